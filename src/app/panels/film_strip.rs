//! The list of photos: thumbnail, name, verdict, score. Only visible rows are laid out, so ten thousand photos scroll as
//! smoothly as ten.

use std::fmt::Write as _;

use egui::{
    Align2, AtomExt as _, Color32, CursorIcon, Pos2, Rect, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2,
};
use egui_material_icons::icons::{
    ICON_BROKEN_IMAGE, ICON_CLOSE, ICON_IMAGE, ICON_SEARCH, ICON_THUMB_DOWN, ICON_THUMB_UP, ICON_WARNING,
};

use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::labels::Class;
use crate::app::photo_list::{Agreement, Counts, Decision, Entry, Filter, Focus, Outcome, Rule, Sort};
use crate::app::session::Page;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::badge::{paint_badge, score_bar, text_at};
use crate::app::widgets::icon_button;

const ROW: f32 = 60.0;
const THUMBNAIL: f32 = 48.0;

/// Shows the strip.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let margin = egui::Margin { left: 12, right: 8, top: 8, bottom: 4 };
    egui::Frame::new().inner_margin(margin).show(ui, |ui| {
        search(ui, desk);
        ui.add_space(theme::GRID);
        filters(ui, desk);
        focus(ui, desk);
    });
    let shown = desk.state.photos.shown_len();
    if shown == 0 {
        ui.add_space(theme::WIDE_GAP);
        ui.vertical_centered(|ui| {
            let text = if desk.state.photos.is_empty() { "No photos yet." } else { "No photo matches the filter." };
            ui.label(egui::RichText::new(text).color(palette(ui).ink_faint));
        });
        return;
    }
    let mut area = ScrollArea::vertical().auto_shrink(false).id_salt("film strip");
    let selected_row = desk.state.selected.and_then(|id| desk.state.photos.row_of(id));
    if let Some(row) = selected_row.filter(|_| desk.state.scroll_to_selected) {
        let id = ui.make_persistent_id("film strip");
        let visible = ui.available_height();
        let offset =
            egui::containers::scroll_area::State::load(ui.ctx(), id).map_or(0.0, |state| state.clamped_offset().y);
        let (top, bottom) = (row as f32 * ROW, (row + 1) as f32 * ROW);
        if top < offset {
            area = area.vertical_scroll_offset(top);
        } else if bottom > offset + visible {
            area = area.vertical_scroll_offset(bottom - visible);
        }
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    area.show_rows(ui, ROW, shown, |ui, rows| {
        for row in rows {
            let Some(entry) = desk.state.photos.shown(row).cloned() else { continue };
            ui.push_id(entry.id, |ui| photo_row(ui, desk, &entry));
        }
    });
}

fn photo_row(ui: &mut Ui, desk: &mut Desk<'_>, entry: &Entry) {
    let colours = palette(ui);
    let selected = desk.state.selected == Some(entry.id);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    response.widget_info(|| {
        WidgetInfo::selected(Role::ListItem, true, selected, spoken(entry, desk.state.photos.classes()))
    });
    let card = rect.shrink2(vec2(6.0, 2.0));
    if selected {
        ui.painter().rect_filled(card, theme::RADIUS, colours.selected);
        let edge = Rect::from_min_size(card.min, vec2(3.0, card.height()));
        ui.painter().rect_filled(edge, 2, colours.accent);
    } else if response.hovered() {
        ui.painter().rect_filled(card, theme::RADIUS, colours.raised);
    }
    let picture =
        Rect::from_center_size(pos2(card.left() + 8.0 + THUMBNAIL / 2.0, rect.center().y), vec2(THUMBNAIL, THUMBNAIL));
    paint_thumbnail(ui, desk, entry, picture);
    let left = picture.right() + 10.0;
    let width = card.right() - left - 8.0;
    let mut job = egui::text::LayoutJob::default();
    let mut prefix = desk.state.photos.folder_prefix(entry);
    if prefix.strip_suffix('/') == entry.label.as_deref() {
        // The label on the right says it already.
        prefix.clear();
    }
    for (text, ink) in [(prefix, colours.ink_faint), (entry.name.clone(), colours.ink)] {
        job.append(&text, 0.0, egui::TextFormat::simple(theme::body_font(), ink));
    }
    let said = Said::of(desk, entry);
    let decided = if entry.decision.is_some() { 20.0 } else { 0.0 };
    let label = label_galley(ui, desk, entry, said.as_ref(), width * 0.42);
    let taken = label.as_ref().map_or(0.0, |galley| galley.size().x + 8.0);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width - decided - taken);
    let galley = ui.painter().layout_job(job);
    let name_height = galley.size().y;
    ui.painter().galley(pos2(left, picture.top() + 3.0), galley, colours.ink);
    if let Some(label) = label {
        let at = pos2(card.right() - 8.0 - decided - label.size().x, picture.top() + 3.0 + name_height / 2.0);
        ui.painter().galley(at - vec2(0.0, label.size().y / 2.0), label, colours.ink_soft);
    }
    if let Some(decision) = entry.decision {
        let (icon, ink) = match decision {
            Decision::Accepted => (ICON_THUMB_UP, colours.ok),
            Decision::Rejected => (ICON_THUMB_DOWN, colours.ng),
        };
        let font = egui::FontId::new(14.0, icon.font_family());
        let at = pos2(card.right() - 8.0, picture.top() + 3.0 + name_height / 2.0);
        ui.painter().text(at, Align2::RIGHT_CENTER, icon.codepoint, font, ink);
    }
    let middle = picture.bottom() - 11.0;
    match &entry.outcome {
        _ if let Some(said) = &said => {
            let score = format!("{:.2}", said.confidence);
            let at = pos2(card.right() - 8.0, middle);
            let number = ui.painter().text(at, Align2::RIGHT_CENTER, score, theme::small_font(), colours.ink_soft);
            let mut job =
                egui::text::LayoutJob::simple_singleline(said.label.clone(), theme::small_font(), colours.ink_soft);
            job.wrap = egui::text::TextWrapping::truncate_at_width(number.left() - left - 8.0);
            let galley = ui.painter().layout_job(job);
            ui.painter().galley(pos2(left, middle - galley.size().y / 2.0), galley, colours.ink_soft);
        }
        Outcome::Waiting => {
            text_at(ui, pos2(left, middle), "waiting", theme::small_font(), colours.ink_faint);
        }
        Outcome::Failed(error) => {
            text_at(ui, pos2(left, middle), "cannot be read", theme::small_font(), colours.ng);
            response.clone().on_hover_text(error.to_string());
        }
        Outcome::Inspected(inspection) => {
            let badge = paint_badge(ui, pos2(left, middle), inspection.verdict);
            let mut after = badge.right() + 8.0;
            if !inspection.quality.passed {
                after = quality_sign(ui, pos2(after - 2.0, middle), &inspection.quality.reason).right() + 6.0;
            }
            let score = format!("{:.2}", inspection.normalised_score);
            let at = pos2(card.right() - 8.0, middle);
            let number = ui.painter().text(at, Align2::RIGHT_CENTER, score, theme::small_font(), colours.ink_soft);
            let bar = Rect::from_min_max(pos2(after, middle - 2.0), pos2(number.left() - 8.0, middle + 2.0));
            if bar.width() > 12.0 {
                score_bar(ui, bar, inspection.normalised_score, inspection.verdict, colours);
            }
        }
    }
    if response.clicked() {
        desk.push(Action::Select(entry.id));
    }
    response.context_menu(|ui| photo_menu(ui, desk, entry));
}

/// The sign of a photo of doubtful quality; its tooltip says why. Returns its place.
pub fn quality_sign(ui: &Ui, left_middle: Pos2, reason: &str) -> Rect {
    let font = egui::FontId::new(14.0, ICON_WARNING.font_family());
    let ink = palette(ui).uncertain;
    let rect = ui.painter().text(left_middle, Align2::LEFT_CENTER, ICON_WARNING.codepoint, font, ink);
    let sign = ui.interact(rect, ui.scope_id().with("quality"), Sense::hover());
    sign.widget_info(|| WidgetInfo::labeled(Role::Label, true, "Doubtful photo"));
    sign.on_hover_text(format!(
        "Doubtful photo. {reason}\nThe limits stand in the recipe; the verdict is made all the same."
    ));
    rect
}

/// What the classification on view says of a photo, on the page that shows one.
struct Said {
    label: String,
    /// In [0, 1].
    confidence: f64,
}

impl Said {
    fn of(desk: &Desk<'_>, entry: &Entry) -> Option<Self> {
        let shown = desk.state.classifying.shown().filter(|_| desk.state.look.page == Page::Classify)?;
        let photo = shown.of(&entry.path)?;
        let label = photo.prediction.and_then(|at| shown.classification.labels.get(at));
        let label = label.cloned().unwrap_or_else(|| "none of these".to_owned());
        Some(Self { label, confidence: photo.confidence() })
    }
}

/// The label, with a sign where the verdict is wrong, or what `said` is.
fn label_galley(
    ui: &Ui,
    desk: &Desk<'_>,
    entry: &Entry,
    said: Option<&Said>,
    width: f32,
) -> Option<std::sync::Arc<egui::Galley>> {
    let colours = palette(ui);
    let label = entry.label.as_ref()?;
    let wrong = match said {
        Some(said) => *said.label != **label,
        None => {
            matches!(entry.agreement(desk.state.photos.classes()), Some(Agreement::FalseAlarm | Agreement::Miss))
        }
    };
    let (text, ink) = if wrong { (format!("≠ {label}"), colours.ng) } else { (label.to_string(), colours.ink_faint) };
    let mut job = egui::text::LayoutJob::simple_singleline(text, theme::small_font(), ink);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width);
    Some(ui.painter().layout_job(job))
}

/// What a right click on a photo offers.
pub fn photo_menu(ui: &mut Ui, desk: &mut Desk<'_>, entry: &Entry) {
    ui.set_min_width(190.0);
    for command in [
        Command::Accept,
        Command::Reject,
        Command::Undecide,
        Command::UseAsReference,
        Command::ExportPhoto,
        Command::RemovePhoto,
    ] {
        let info = command.info();
        if ui.button(info.label).on_hover_text(info.help).clicked() {
            desk.push(Action::Select(entry.id));
            desk.run(command);
            ui.close();
        }
    }
}

/// What a screen reader says of a photo.
fn spoken(entry: &Entry, classes: &[Class]) -> String {
    let mut text = match &entry.outcome {
        Outcome::Waiting => format!("{}, waiting", entry.name),
        Outcome::Failed(_) => format!("{}, cannot be read", entry.name),
        Outcome::Inspected(i) => {
            let doubt = if i.quality.passed { "" } else { ", doubtful photo" };
            format!("{}, {}, score {:.2}{doubt}", entry.name, i.verdict.word(), i.normalised_score)
        }
    };
    if let Some(label) = &entry.label {
        let _ = write!(text, ", truly {label}");
    }
    if let Some(agreement @ (Agreement::FalseAlarm | Agreement::Miss)) = entry.agreement(classes) {
        let _ = write!(text, ", {}", agreement.word());
    }
    text
}

/// The thumbnail, or a sign in its place, centred in `rect`.
pub fn paint_thumbnail(ui: &Ui, desk: &mut Desk<'_>, entry: &Entry, rect: Rect) {
    let colours = palette(ui);
    if let Some(texture) = desk.media.thumbnail(&entry.path) {
        paint_picture(ui, &texture, rect);
    } else {
        ui.painter().rect_filled(rect, 4, colours.hover);
        let failed = desk.media.failed(&entry.path) || matches!(entry.outcome, Outcome::Failed(_));
        let icon = if failed { ICON_BROKEN_IMAGE } else { ICON_IMAGE };
        let font = egui::FontId::new(18.0, icon.font_family());
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon.codepoint, font, colours.ink_faint);
    }
}

/// A texture, filling `rect`: the middle of it is shown where the shapes differ.
pub fn paint_picture(ui: &Ui, texture: &egui::TextureHandle, rect: Rect) {
    let size = texture.size_vec2();
    let scale = (rect.width() / size.x).max(rect.height() / size.y);
    let shown = rect.size() / (size * scale);
    let uv = Rect::from_center_size(Pos2::new(0.5, 0.5), shown);
    let shape = egui::epaint::RectShape::filled(rect, 4, Color32::WHITE).with_texture(texture.id(), uv);
    ui.painter().add(shape);
}

fn search(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let mut text = desk.state.photos.search().to_owned();
        let icon = ICON_SEARCH.rich_text().size(15.0).color(colours.ink_faint);
        let clear = !text.is_empty();
        let width = ui.available_width() - if clear { 132.0 } else { 100.0 };
        let field = egui::TextEdit::singleline(&mut text).hint_text("Find a photo").prefix(icon).desired_width(width);
        let changed = ui.add(field.margin(vec2(6.0, 4.0))).accessible_name("Find a photo").changed();
        if clear && icon_button(ui, ICON_CLOSE, "Clear the search", "Show all photos again.").clicked() {
            desk.push(Action::Search(String::new()));
        } else if changed {
            desk.push(Action::Search(text));
        }
        let sort = desk.state.photos.sort();
        let combo = egui::ComboBox::from_id_salt("sort").selected_text(theme::small(sort.label())).width(92.0);
        // A longer name must not push the panel wider, frame after frame.
        let shown = combo.truncate().show_ui(ui, |ui| {
            for choice in Sort::ALL {
                if ui.selectable_label(choice == sort, choice.label()).clicked() {
                    desk.push(Action::Sort(choice));
                }
            }
        });
        shown.response.on_hover_text("Order of the photos.").accessible_name("Sort photos");
    });
}

/// The chip of a closer look at some photos, or the way to one.
fn focus(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    if let Some(focus) = desk.state.photos.focus().cloned() {
        ui.add_space(theme::GRID);
        ui.horizontal(|ui| {
            let shown = photos(desk.state.photos.shown_len());
            // The title gives way; how many they are, and the way out, stay.
            let title = theme::small(&focus.title).color(colours.ink).atom_shrink(true);
            let rest = theme::small(format!("{shown}  ×")).color(colours.ink_soft);
            let button = egui::Button::new((title, rest))
                .truncate()
                .fill(colours.selected)
                .stroke((1.0, colours.accent))
                .corner_radius(10);
            let info = Command::ClearFocus.info();
            let response = ui.add(button).on_hover_text(info.help).accessible_name(info.label);
            if response.clicked() {
                desk.run(Command::ClearFocus);
            }
        });
        return;
    }
    let counts = desk.state.photos.counts();
    if counts.labelled == 0 {
        return;
    }
    let combo = egui::ComboBox::from_id_salt("label filter").selected_text(theme::small("Every label"));
    let shown = combo.width(ui.available_width() - 8.0).show_ui(ui, |ui| {
        let by_label = desk.state.label_counts();
        let mut choices = Vec::new();
        for class in desk.state.photos.classes() {
            let count = by_label.get(&class.name).copied().unwrap_or(0);
            choices.push((class.name.to_string(), count, Rule::Label(Some(class.name.clone()))));
        }
        choices.push(("no label".to_owned(), counts.total - counts.labelled, Rule::Label(None)));
        choices.push(("misses".to_owned(), counts.misses, Rule::Misses));
        choices.push(("false alarms".to_owned(), counts.false_alarms, Rule::FalseAlarms));
        for (title, count, rule) in choices.into_iter().filter(|(_, count, _)| *count > 0) {
            if ui.selectable_label(false, format!("{title}  {count}")).clicked() {
                desk.push(Action::Focus(Some(Focus { title, rule })));
            }
        }
    });
    shown
        .response
        .on_hover_text("Show only photos of one label, or those judged wrong.")
        .accessible_name("Filter by label");
}

fn filters(ui: &mut Ui, desk: &mut Desk<'_>) {
    let Counts { total, ok, uncertain, ng, failed, .. } = desk.state.photos.counts();
    let colours = palette(ui);
    let mut chips = vec![
        (Filter::All, "All".to_owned(), total, colours.ink_soft),
        (Filter::Ng, format!("{} NG", theme::sign(crate::anomaly::Verdict::Ng)), ng, colours.ng),
        (Filter::Uncertain, "?".to_owned(), uncertain, colours.uncertain),
        (Filter::Ok, format!("{} OK", theme::sign(crate::anomaly::Verdict::Ok)), ok, colours.ok),
    ];
    if failed > 0 {
        chips.push((Filter::Failed, "!".to_owned(), failed, colours.ng));
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        ui.spacing_mut().button_padding = vec2(7.0, 2.0);
        for (filter, label, count, ink) in chips {
            let on = desk.state.photos.filter() == filter;
            let text = theme::small(format!("{label} {count}")).color(ink);
            let fill = if on { colours.selected } else { Color32::TRANSPARENT };
            let line = if on { colours.accent } else { colours.line };
            let button = egui::Button::new(text).fill(fill).stroke((1.0, line)).corner_radius(10);
            let (name, tooltip) = match filter {
                Filter::All => ("Show all photos", "Show all photos."),
                Filter::Ng => ("Show NG only", "Show only photos judged NG."),
                Filter::Uncertain => ("Show uncertain only", "Show only photos too close to the threshold to say."),
                Filter::Ok => ("Show OK only", "Show only photos judged OK."),
                Filter::Failed => ("Show unreadable only", "Show only photos that could not be read."),
            };
            let response = ui.add(button).on_hover_text(tooltip);
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, name));
            if response.clicked() {
                desk.push(Action::Filter(if on { Filter::All } else { filter }));
            }
        }
    });
}
