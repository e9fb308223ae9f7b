//! Every colour, spacing, text size and font of the window has its name here and nowhere else. The photo is to be the
//! brightest thing on the screen: surroundings are neutral, there is one accent, and three sizes of text on a 4-px grid.

use std::sync::Arc;

use egui::epaint::Shadow;
use egui::style::{HandleShape, ScrollStyle, Selection, TextCursorStyle, WidgetVisuals};
use egui::{Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, RichText, Stroke, TextStyle};
use serde::{Deserialize, Serialize};

use crate::anomaly::Verdict;

/// The unit of all distances, in points.
pub const GRID: f32 = 4.0;
/// Between things that belong together.
pub const GAP: f32 = 2.0 * GRID;
/// Between groups, and around panels.
pub const WIDE_GAP: f32 = 4.0 * GRID;
/// Height of a control.
pub const ROW: f32 = 6.0 * GRID;
/// Height from which a slider's handle takes its size.
pub const HANDLE: f32 = 4.0 * GRID;
/// Corners of controls.
pub const RADIUS: u8 = 5;
/// Corners of cards and windows.
pub const WIDE_RADIUS: u8 = 8;

/// Captions, units, axis numbers.
pub const SMALL: f32 = 11.5;
/// Everything one reads.
pub const BODY: f32 = 13.0;
/// Names of things.
pub const TITLE: f32 = 18.0;

/// Family of the semi-bold cut.
pub const STRONG: &str = "Inter SemiBold";

/// Light or dark surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// As the desktop has it.
    System,
    /// Best for judging photos, so the default.
    #[default]
    Dark,
    Light,
}

impl ThemeChoice {
    fn preference(self) -> egui::ThemePreference {
        match self {
            Self::System => egui::ThemePreference::System,
            Self::Dark => egui::ThemePreference::Dark,
            Self::Light => egui::ThemePreference::Light,
        }
    }
}

/// The colours of one theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Around the photo.
    pub canvas: Color32,
    /// Panels.
    pub panel: Color32,
    /// Fields and cards on a panel.
    pub raised: Color32,
    /// A control under the pointer.
    pub hover: Color32,
    /// Hairlines between panels.
    pub line: Color32,
    /// Text.
    pub ink: Color32,
    /// Text that explains.
    pub ink_soft: Color32,
    /// Text that may be overlooked.
    pub ink_faint: Color32,
    /// The one accent: selection, focus, the main action.
    pub accent: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// A selected row.
    pub selected: Color32,
    /// OK: blue-green, told from orange-red by every kind of colour vision.
    pub ok: Color32,
    /// Uncertain.
    pub uncertain: Color32,
    /// NG.
    pub ng: Color32,
    /// Text on a verdict's colour.
    pub on_verdict: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// Dark surroundings.
pub const DARK: Palette = Palette {
    canvas: rgb(0x0c_0d_0f),
    panel: rgb(0x15_17_1a),
    raised: rgb(0x20_23_28),
    hover: rgb(0x2b_2f_36),
    line: rgb(0x26_29_2e),
    ink: rgb(0xe9_eb_ee),
    ink_soft: rgb(0xb1_b7_c0),
    ink_faint: rgb(0x8a_91_9c),
    accent: rgb(0x6e_a8_fe),
    on_accent: rgb(0x06_16_2e),
    selected: rgb(0x22_30_47),
    ok: rgb(0x2f_b5_a9),
    uncertain: rgb(0xe6_ab_37),
    ng: rgb(0xf0_64_3c),
    on_verdict: rgb(0x10_12_14),
};

/// Light surroundings.
pub const LIGHT: Palette = Palette {
    canvas: rgb(0xd5_d8_dc),
    panel: rgb(0xf5_f6_f7),
    raised: rgb(0xff_ff_ff),
    hover: rgb(0xe6_e9_ed),
    line: rgb(0xdb_de_e3),
    ink: rgb(0x1a_1c_20),
    ink_soft: rgb(0x48_4e_58),
    ink_faint: rgb(0x66_6d_78),
    accent: rgb(0x1f_63_d0),
    on_accent: rgb(0xff_ff_ff),
    selected: rgb(0xdc_e8_fb),
    ok: rgb(0x0a_78_70),
    uncertain: rgb(0x9a_64_00),
    ng: rgb(0xc4_41_1a),
    on_verdict: rgb(0xff_ff_ff),
};

/// The colours in force.
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

impl Palette {
    /// The colour of a verdict; `None` is a photo without one yet.
    pub fn verdict(&self, verdict: Option<Verdict>) -> Color32 {
        match verdict {
            Some(Verdict::Ok) => self.ok,
            Some(Verdict::Uncertain) => self.uncertain,
            Some(Verdict::Ng) => self.ng,
            None => self.ink_faint,
        }
    }
}

/// The sign of a verdict, so that colour never stands alone.
pub fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "✓",
        Verdict::Uncertain => "?",
        Verdict::Ng => "×",
    }
}

/// Text in the semi-bold cut.
pub fn strong(text: impl Into<String>) -> RichText {
    RichText::new(text).family(FontFamily::Name(STRONG.into()))
}

/// A title.
pub fn title(text: impl Into<String>) -> RichText {
    strong(text).size(TITLE)
}

/// A caption.
pub fn small(text: impl Into<String>) -> RichText {
    RichText::new(text).size(SMALL)
}

/// The body font.
pub fn body_font() -> FontId {
    FontId::proportional(BODY)
}

/// The caption font.
pub fn small_font() -> FontId {
    FontId::proportional(SMALL)
}

/// The semi-bold font at `size`.
pub fn strong_font(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(STRONG.into()))
}

/// Fonts and styles of both themes.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    ctx.set_visuals_of(egui::Theme::Dark, visuals(&DARK, true));
    ctx.set_visuals_of(egui::Theme::Light, visuals(&LIGHT, false));
    ctx.all_styles_mut(style);
}

/// Follows the inspector's choice of theme.
pub fn choose(ctx: &egui::Context, choice: ThemeChoice) {
    ctx.set_theme(choice.preference());
}

/// Inter for everything, egui's own fonts and the icons for glyphs it lacks.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut add = |name: &str, bytes: &'static [u8]| {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    };
    add("Inter", include_bytes!("../../assets/fonts/Inter-Regular.otf"));
    add(STRONG, include_bytes!("../../assets/fonts/Inter-SemiBold.otf"));
    let icons = egui_material_icons::font_insert();
    fonts.font_data.insert(icons.name.clone(), Arc::new(icons.data));
    let fallbacks = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let chain = |first: &str| {
        let mut chain = vec![first.to_owned()];
        chain.extend(fallbacks.iter().cloned());
        chain.push(icons.name.clone());
        chain
    };
    fonts.families.insert(FontFamily::Proportional, chain("Inter"));
    fonts.families.insert(FontFamily::Name(STRONG.into()), chain(STRONG));
    let mut only_icons = vec![icons.name.clone()];
    only_icons.extend(fallbacks.iter().cloned());
    fonts.families.insert(FontFamily::Name(egui_material_icons::FONT_FAMILY.into()), only_icons);
    if let Some(monospace) = fonts.families.get_mut(&FontFamily::Monospace) {
        monospace.push("Inter".to_owned());
        monospace.push(icons.name.clone());
    }
    fonts
}

fn style(style: &mut egui::Style) {
    style.text_styles = [
        (TextStyle::Small, small_font()),
        (TextStyle::Body, body_font()),
        (TextStyle::Button, body_font()),
        (TextStyle::Monospace, FontId::monospace(SMALL)),
        (TextStyle::Heading, strong_font(TITLE)),
    ]
    .into();
    style.animation_time = 0.12;
    let spacing = &mut style.spacing;
    spacing.item_spacing = egui::vec2(GAP, GRID);
    spacing.button_padding = egui::vec2(GAP, GRID);
    spacing.interact_size = egui::vec2(8.0 * GRID, ROW);
    spacing.window_margin = Margin::same(16);
    spacing.menu_margin = Margin::same(6);
    spacing.indent = WIDE_GAP;
    spacing.slider_rail_height = GRID;
    spacing.tooltip_width = 320.0;
    spacing.combo_width = 0.0;
    spacing.icon_width = 15.0;
    spacing.icon_width_inner = 8.0;
    spacing.scroll = ScrollStyle { bar_width: 8.0, ..ScrollStyle::floating() };
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.45;
}

fn visuals(colours: &Palette, dark: bool) -> egui::Visuals {
    let mut visuals = if dark { egui::Visuals::dark() } else { egui::Visuals::light() };
    let widget = |fill: Color32, line: Color32, ink: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.0, ink),
        expansion: 0.0,
    };
    visuals.widgets.noninteractive = widget(colours.panel, colours.line, colours.ink);
    visuals.widgets.inactive = widget(colours.raised, colours.line, colours.ink);
    visuals.widgets.hovered = widget(colours.hover, colours.hover, colours.ink);
    visuals.widgets.active = widget(colours.hover, colours.accent, colours.ink);
    visuals.widgets.open = widget(colours.hover, colours.line, colours.ink);
    visuals.selection = Selection { bg_fill: colours.selected, stroke: Stroke::new(1.0, colours.accent) };
    visuals.hyperlink_color = colours.accent;
    visuals.weak_text_color = Some(colours.ink_faint);
    visuals.extreme_bg_color = colours.raised;
    visuals.text_edit_bg_color = Some(colours.raised);
    visuals.faint_bg_color = colours.raised;
    visuals.code_bg_color = colours.raised;
    visuals.warn_fg_color = colours.uncertain;
    visuals.error_fg_color = colours.ng;
    visuals.panel_fill = colours.panel;
    visuals.window_fill = colours.panel;
    visuals.window_stroke = Stroke::new(1.0, colours.line);
    visuals.window_corner_radius = CornerRadius::same(WIDE_RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(WIDE_RADIUS);
    let shadow =
        Shadow { offset: [0, 8], blur: 24, spread: 0, color: Color32::from_black_alpha(if dark { 110 } else { 40 }) };
    visuals.window_shadow = shadow;
    visuals.popup_shadow = shadow;
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = HandleShape::Circle;
    visuals.indent_has_left_vline = false;
    visuals.text_cursor = TextCursorStyle { stroke: Stroke::new(1.5, colours.accent), ..visuals.text_cursor };
    visuals
}

/// A panel without a frame line of its own.
pub fn panel_frame(colours: &Palette, margin: Margin) -> egui::Frame {
    egui::Frame::new().fill(colours.panel).inner_margin(margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: Color32) -> f32 {
        let linear = |v: u8| {
            let v = f32::from(v) / 255.0;
            if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, level AA: 4.5 for text.
    #[test]
    fn text_can_be_read_in_both_themes() {
        for colours in [&DARK, &LIGHT] {
            for ink in [colours.ink, colours.ink_soft, colours.ink_faint, colours.ok, colours.uncertain, colours.ng] {
                assert!(contrast(ink, colours.panel) >= 4.5, "{ink:?} {}", contrast(ink, colours.panel));
            }
            assert!(contrast(colours.ink, colours.raised) >= 7.0);
            assert!(contrast(colours.on_accent, colours.accent) >= 4.5);
            for verdict in [Verdict::Ok, Verdict::Uncertain, Verdict::Ng] {
                assert!(contrast(colours.on_verdict, colours.verdict(Some(verdict))) >= 4.5, "{verdict:?}");
            }
        }
    }

    #[test]
    fn verdicts_differ_in_sign_too() {
        let signs = [Verdict::Ok, Verdict::Uncertain, Verdict::Ng].map(sign);
        assert!(signs[0] != signs[1] && signs[1] != signs[2] && signs[0] != signs[2]);
    }
}
