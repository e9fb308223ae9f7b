//! One number of the recipe: name, slider, typed value with unit. A double click on the name resets it.

use std::ops::RangeInclusive;

use egui::{Align, DragValue, Label, Layout, Role, Sense, Slider, Ui, WidgetInfo, vec2};

use crate::app::theme::{self, palette};

/// Width of the name.
pub const NAME: f32 = 116.0;
/// Width of the typed value.
const VALUE: f32 = 68.0;

/// A row; see [`Self::show`].
pub struct SliderRow<'a> {
    name: &'a str,
    before: &'a str,
    unit: &'a str,
    tooltip: &'a str,
    range: RangeInclusive<f64>,
    decimals: usize,
    step: Option<f64>,
    logarithmic: bool,
    default: Option<f64>,
    width: f32,
}

impl<'a> SliderRow<'a> {
    /// `tooltip` says what the number changes in the verdict.
    pub fn new(name: &'a str, range: RangeInclusive<f64>, tooltip: &'a str) -> Self {
        let (decimals, width) = (2, NAME);
        Self {
            name,
            before: "",
            unit: "",
            tooltip,
            range,
            decimals,
            step: None,
            logarithmic: false,
            default: None,
            width,
        }
    }

    pub fn unit(mut self, unit: &'a str) -> Self {
        self.unit = unit;
        self
    }

    /// What stands before the number, e.g. `± `.
    pub fn before(mut self, before: &'a str) -> Self {
        self.before = before;
        self
    }

    pub fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = decimals;
        self
    }

    pub fn step(mut self, step: f64) -> Self {
        self.step = Some(step);
        self
    }

    pub fn logarithmic(mut self) -> Self {
        self.logarithmic = true;
        self
    }

    /// Width of the name, where other rows stand above or below.
    pub fn name_width(mut self, width: f32) -> Self {
        self.width = width;
        self
    }

    /// What a double click goes back to.
    pub fn default(mut self, value: f64) -> Self {
        self.default = Some(value);
        self
    }

    /// Shows `value`; returns the new one when it changed.
    pub fn show(self, ui: &mut Ui, value: f64) -> Option<f64> {
        let colours = palette(ui);
        let mut new = value;
        let changed_from_default = self.default.is_some_and(|default| (default - value).abs() > 1e-6);
        let tooltip = match self.default {
            Some(default) => {
                let Self { before, decimals, unit, .. } = self;
                format!("{}\nDouble click: back to {before}{default:.decimals$}{unit}.", self.tooltip)
            }
            None => self.tooltip.to_owned(),
        };
        let mut reset = false;
        ui.horizontal(|ui| {
            ui.set_min_height(theme::ROW);
            let ink = if changed_from_default { colours.ink } else { colours.ink_soft };
            let label = Label::new(egui::RichText::new(self.name).color(ink)).truncate().sense(Sense::click());
            let named = ui
                .allocate_ui_with_layout(vec2(self.width, theme::ROW), Layout::left_to_right(Align::Center), |ui| {
                    ui.set_min_width(self.width);
                    ui.add(label)
                })
                .inner
                .on_hover_text(&tooltip);
            named.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{} name", self.name)));
            reset |= named.double_clicked();
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let mut number = DragValue::new(&mut new)
                    .range(self.range.clone())
                    .fixed_decimals(self.decimals)
                    .prefix(self.before)
                    .suffix(self.unit)
                    .speed(self.step.unwrap_or((self.range.end() - self.range.start()) / 400.0))
                    .update_while_editing(false);
                number = number.min_size(vec2(VALUE, 0.0));
                ui.add(number).on_hover_text(&tooltip).accessible_name(format!("{} value", self.name));
                // A number of many digits takes from the slider, not from the panel.
                ui.spacing_mut().slider_width = (ui.available_width() - theme::GAP).max(theme::GAP);
                ui.spacing_mut().interact_size.y = theme::HANDLE;
                let mut slider =
                    Slider::new(&mut new, self.range.clone()).show_value(false).logarithmic(self.logarithmic);
                if let Some(step) = self.step {
                    slider = slider.step_by(step);
                }
                let slid = ui.add(slider).on_hover_text(&tooltip).accessible_name(self.name);
                reset |= slid.contains_pointer()
                    && ui.input(|i| i.pointer.button_double_clicked(egui::PointerButton::Primary));
            });
        });
        if let Some(default) = self.default.filter(|_| reset) {
            new = default;
        }
        (new != value).then_some(new)
    }
}
