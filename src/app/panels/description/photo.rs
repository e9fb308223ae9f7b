//! The photo on view against a description: the words, the photo with the places of its claims, similarity and decision,
//! and each claim by itself.

use std::fmt::Write as _;

use egui::{Align2, Color32, Id, Rect, Role, Sense, StrokeKind, TextEdit, Ui, WidgetInfo, pos2, vec2};

use super::{NAME, edit, scale, separations, sign, threshold};
use crate::app::action::Desk;
use crate::app::describing::Said;
use crate::app::theme::{self, palette};
use crate::app::widgets::{bars, columns, named};
use crate::matching::{ClaimOutcome, Holds, band, judge_match};

/// Width of the page from which photo and outcome stand side by side.
const WIDE: f32 = 860.0;
/// Lowest and highest that the photo is drawn.
const PICTURE: (f32, f32) = (240.0, 460.0);

/// Shows words, photo and outcome.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    if ui.available_width() < WIDE {
        words(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        outcome(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        picture(ui, desk);
        return;
    }
    let left = |ui: &mut Ui, desk: &mut Desk<'_>| {
        words(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        picture(ui, desk);
    };
    columns(ui, 0.46, desk, left, outcome);
}

fn words(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.describing.setup.clone();
    let mut text = setup.text;
    let tooltip = "What the photo is to show, in English: parts, colours, counts, conditions, what must be there and what \
                   must not. It is followed while you type; only the text tower runs.";
    ui.label(theme::strong("Description")).on_hover_text(tooltip);
    let field = TextEdit::multiline(&mut text).desired_rows(3).desired_width(f32::INFINITY).margin(vec2(8.0, 6.0));
    let field = field.hint_text("a steel ring with three holes and no scratches");
    if ui.add(field).accessible_name("Description of the photo").changed() {
        edit(desk, "Description", move |setup| setup.text = text);
    }
    ui.horizontal(|ui| {
        let tooltip = "Labels to choose between as well, separated by commas; each is read as “a photo of a LABEL.”";
        named(ui, NAME - 20.0, egui::RichText::new("Labels").color(colours.ink_soft)).on_hover_text(tooltip);
        let mut labels = setup.labels;
        let field = TextEdit::singleline(&mut labels).hint_text("optional: gear, nut, washer").margin(vec2(6.0, 4.0));
        let response = ui.add(field.desired_width(f32::INFINITY)).on_hover_text(tooltip);
        if response.accessible_name("Labels to choose between").changed() {
            edit(desk, "Labels to choose between", move |setup| setup.labels = labels);
        }
    });
}

/// The outcome for the photo on view, if there is one already.
fn said(desk: &Desk<'_>) -> Option<std::sync::Arc<Said>> {
    let describing = &desk.state.describing;
    let path = &desk.state.photos.get(desk.state.selected?)?.path;
    describing.said.clone().filter(|said| said.asked.photo == *path && said.asked.model == describing.setup.model)
}

/// Whether an answer is on its way, or soon will be: words are taken when the typing pauses.
fn pending(desk: &Desk<'_>) -> bool {
    let describing = &desk.state.describing;
    let entry = desk.state.selected.and_then(|id| desk.state.photos.get(id));
    describing.job.is_some() || entry.is_some_and(|entry| describing.setup.asked(&entry.path) != describing.asked)
}

/// Where the claim under the pointer is remembered from one frame to the next.
fn pointed_id() -> Id {
    Id::unique("claim under the pointer")
}

/// The photo with a box for each claim that has a place.
fn picture(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(entry) = desk.state.selected.and_then(|id| desk.state.photos.get(id)).cloned() else { return };
    ui.add(egui::Label::new(theme::strong(&entry.name)).truncate()).on_hover_text(entry.path.display().to_string());
    let Some(photo) = desk.media.photo(&entry.path) else {
        let text = if desk.media.failed(&entry.path) { "This photo cannot be decoded." } else { "Decoding…" };
        ui.label(egui::RichText::new(text).color(colours.ink_faint));
        return;
    };
    let size = vec2(photo.pixels.width() as f32, photo.pixels.height() as f32);
    // Below it the window's own bars, above it the words: all of it is to be seen without scrolling.
    let room = ui.ctx().content_rect().height() - 400.0;
    let scale = (ui.available_width() / size.x).min(room.clamp(PICTURE.0, PICTURE.1) / size.y);
    let (rect, response) = ui.allocate_exact_size(size * scale, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Photo with the places of claims"));
    let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let texture = photo.texture(scale * ui.pixels_per_point());
    ui.painter().image(texture.id(), rect, uv, Color32::WHITE);
    let Some(said) = said(desk) else { return };
    let pointed = ui.data(|data| data.get_temp::<usize>(pointed_id()));
    let per_pixel = vec2(rect.width() / said.size.0.max(1) as f32, rect.height() / said.size.1.max(1) as f32);
    for (index, claim) in said.outcome.claims.iter().flatten().enumerate() {
        let Some(place) = &claim.place else { continue };
        let min = rect.min + vec2(place.x as f32, place.y as f32) * per_pixel;
        let area = Rect::from_min_size(min, vec2(place.width as f32, place.height as f32) * per_pixel);
        let on = pointed == Some(index);
        if pointed.is_some() && !on {
            continue;
        }
        let (_, ink) = holds(claim.holds, &theme::DARK);
        let width = if on { 2.5 } else { 1.5 };
        let area = area.intersect(rect);
        ui.painter().rect_stroke(area, 2, (width + 2.0, Color32::from_black_alpha(120)), StrokeKind::Middle);
        ui.painter().rect_stroke(area, 2, (width, ink), StrokeKind::Middle);
        let text = if on { format!("{} {}", index + 1, claim.claim) } else { (index + 1).to_string() };
        let galley = ui.painter().layout_no_wrap(text, theme::strong_font(theme::SMALL), theme::DARK.on_verdict);
        let tag = Rect::from_min_size(area.min, galley.size() + vec2(8.0, 2.0));
        ui.painter().rect_filled(tag, 3, ink);
        ui.painter().galley(tag.center() - galley.size() / 2.0, galley, theme::DARK.on_verdict);
    }
}

/// Sign and colour of a claim.
fn holds(holds: Holds, colours: &theme::Palette) -> (&'static str, Color32) {
    match holds {
        Holds::Yes => ("✓", colours.ok),
        Holds::No => ("×", colours.ng),
        Holds::Undecided => ("?", colours.uncertain),
    }
}

fn outcome(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.describing.setup.clone();
    let width = ui.available_width().min(560.0);
    let Some(said) = said(desk) else {
        ui.label(theme::strong("Similarity"));
        let text = if desk.state.selected.is_none() {
            "Open photos first: drop them here, or File → Open photos."
        } else if setup.text.trim().is_empty() {
            "Type what the photo is to show. Similarity, decision and claims appear here."
        } else if pending(desk) {
            "Looking at the photo…"
        } else {
            "There is no answer for this photo."
        };
        ui.label(egui::RichText::new(text).color(colours.ink_faint));
        ui.add_space(theme::WIDE_GAP);
        threshold(ui, desk, width);
        return;
    };
    let similarity = said.outcome.outcome.similarity_score;
    let judged = judge_match(similarity, setup.threshold);
    let (mark, ink) = sign(judged.status, colours);
    let status = format!("{mark} {}", judged.status.word());
    let distance = "Clear from 0.05 above the threshold; a near miss is less than 0.05 below.";
    let doubt = judged.is_match.then(|| failures(&said)).flatten();
    ui.horizontal_wrapped(|ui| {
        let (headline, ink) = match &doubt {
            Some(failures) => (format!("? similar, but {failures}"), colours.uncertain),
            None => (status.clone(), ink),
        };
        ui.label(theme::title(headline).color(ink)).on_hover_text(distance);
        ui.add_space(theme::GAP);
        ui.label(theme::title(format!("{similarity:.3}")));
        let beside = if doubt.is_some() { format!("similarity: {status}") } else { "similarity".to_owned() };
        ui.label(theme::small(beside).color(colours.ink_faint));
    });
    if doubt.is_some() {
        let text = format!(
            "Two judgements: by its similarity with the whole description the photo is a {} (threshold {:.2}); claim by \
             claim it is not.",
            judged.status.word(),
            setup.threshold
        );
        ui.add(egui::Label::new(theme::small(text).color(colours.ink_soft)).wrap()).on_hover_text(distance);
    }
    if let Some(failing) = failing(&said) {
        ui.horizontal_wrapped(|ui| {
            let text = format!("× {}", failing.claim);
            ui.label(theme::strong("Fails:").color(colours.ng));
            ui.label(egui::RichText::new(text).color(colours.ng));
            ui.label(egui::RichText::new(format!("rather: {}", failing.instead)).color(colours.ink_soft));
        });
    }
    ui.add_space(theme::GRID);
    let bands = said.made.knows_bands();
    scale::show(ui, similarity, setup.threshold, bands, width);
    let meaning = if bands {
        let band = band(similarity);
        format!("{}: {}.", band.name, band.meaning)
    } else {
        "The usual bands (0.20 lenient, 0.25 default, 0.30 strict) do not fit this model.".to_owned()
    };
    ui.label(theme::small(meaning).color(colours.ink_soft));
    ui.add_space(theme::GAP);
    threshold(ui, desk, width);
    ui.add_space(theme::WIDE_GAP);
    claims(ui, &said);
    if let Some(labels) = &said.outcome.outcome.zero_shot_results {
        ui.add_space(theme::WIDE_GAP);
        ui.label(theme::strong("Labels"));
        let shares: Vec<(&str, f32)> = labels.0.iter().map(|(label, share)| (label.as_str(), *share)).collect();
        bars(ui, &shares, |place| place == 0);
    }
}

/// How many claims fail, in words; `None` where none does.
fn failures(said: &Said) -> Option<String> {
    let claims = || said.outcome.claims.iter().flatten();
    match (claims().filter(|claim| claim.holds == Holds::No).count(), claims().count()) {
        (0, _) => None,
        (1, 1) => Some("its claim fails".to_owned()),
        (1, all) => Some(format!("1 of {all} claims fails")),
        (failing, all) => Some(format!("{failing} of {all} claims fail")),
    }
}

/// The claim that fails most clearly.
fn failing(said: &Said) -> Option<&ClaimOutcome> {
    let failing = said.outcome.failing_claim.as_ref()?;
    said.outcome.claims.iter().flatten().find(|claim| claim.claim == *failing && claim.holds == Holds::No)
}

/// Every claim in a row of its own; the one under the pointer is shown on the photo.
fn claims(ui: &mut Ui, said: &Said) {
    let colours = palette(ui);
    let claims: Vec<&ClaimOutcome> = said.outcome.claims.iter().flatten().collect();
    let tooltip = separations(&said.made);
    ui.label(theme::strong("Claims")).on_hover_text(&tooltip);
    if claims.is_empty() {
        let text = "The description has no claim that can be checked. Name the part, colours, counts, or what must not be there.";
        ui.label(egui::RichText::new(text).color(colours.ink_faint));
        return;
    }
    let mut pointed = None;
    let room = ui.available_width();
    // What is left of number, sign, score and margins is shared by kind, claim, alternative and trust.
    let share = (room - 112.0).max(280.0);
    let columns = [0.0, 22.0, 44.0, 44.0 + 0.19 * share, 44.0 + 0.56 * share, 112.0 + 0.56 * share];
    ui.spacing_mut().item_spacing.y = 0.0;
    let (head, _) = ui.allocate_exact_size(vec2(room, 22.0), Sense::hover());
    let heads = [(columns[2], "kind"), (columns[3], "claim"), (columns[4], "score"), (columns[5], "rather")];
    for (x, text) in heads {
        let at = pos2(head.left() + x, head.center().y);
        ui.painter().text(at, Align2::LEFT_CENTER, text, theme::small_font(), colours.ink_faint);
    }
    ui.painter().hline(head.x_range(), head.bottom(), (1.0, colours.line));
    for (index, claim) in claims.iter().enumerate() {
        let (rect, response) = ui.allocate_exact_size(vec2(room, 28.0), Sense::hover());
        let (mark, ink) = holds(claim.holds, colours);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, spoken(claim)));
        if response.hovered() {
            pointed = Some(index);
            ui.painter().rect_filled(rect, theme::RADIUS, colours.raised);
        }
        let middle = rect.center().y;
        let painter = ui.painter();
        let write = |x: f32, width: f32, text: String, font: egui::FontId, ink: Color32| {
            let mut job = egui::text::LayoutJob::simple_singleline(text, font, ink);
            job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(8.0));
            let galley = painter.layout_job(job);
            painter.galley(pos2(rect.left() + x, middle - galley.size().y / 2.0), galley, ink);
        };
        let number = if claim.place.is_some() { (index + 1).to_string() } else { String::new() };
        write(columns[0] + 4.0, 20.0, number, theme::small_font(), colours.ink_faint);
        write(columns[1], 20.0, mark.to_owned(), theme::strong_font(theme::BODY), ink);
        let width = columns[3] - columns[2] - 8.0;
        write(columns[2], width, claim.kind.name().to_owned(), theme::small_font(), colours.ink_soft);
        let width = columns[4] - columns[3] - 8.0;
        write(columns[3], width, claim.claim.clone(), theme::body_font(), colours.ink);
        write(columns[4], 60.0, format!("{:.2}", claim.score), theme::body_font(), colours.ink_soft);
        let weak = claim.separation.is_some_and(|separation| separation.weak);
        let rather = if claim.holds == Holds::Yes { String::new() } else { claim.instead.clone() };
        let taken = if weak { 44.0 } else { 0.0 };
        write(columns[5], room - columns[5] - taken - 8.0, rather, theme::body_font(), colours.ink_soft);
        if weak {
            let at = pos2(rect.right() - 4.0, middle);
            painter.text(at, Align2::RIGHT_CENTER, "weak", theme::small_font(), colours.uncertain);
        }
        response.on_hover_text(explained(claim));
    }
    ui.data_mut(|data| match pointed {
        Some(index) => {
            data.insert_temp(pointed_id(), index);
        }
        None => data.remove::<usize>(pointed_id()),
    });
    ui.spacing_mut().item_spacing.y = theme::GRID;
    ui.add_space(theme::GRID);
    let weak = claims.iter().any(|claim| claim.separation.is_some_and(|separation| separation.weak));
    let text = if weak {
        "Weak: this model hardly tells true from false claims of that kind. Numbered claims are shown on the photo, as far as a place stands out."
    } else {
        "The score is the claim against its strongest alternative; 0.50 says nothing. Numbered claims are shown on the photo, as far as a place stands out."
    };
    ui.add(egui::Label::new(theme::small(text).color(colours.ink_faint)).wrap()).on_hover_text(tooltip);
}

/// What a screen reader says of a claim.
fn spoken(claim: &ClaimOutcome) -> String {
    let word = match claim.holds {
        Holds::Yes => "holds",
        Holds::No => "fails",
        Holds::Undecided => "undecided",
    };
    format!("Claim {} {}, {word}, score {:.2}", claim.kind.name(), claim.claim, claim.score)
}

fn explained(claim: &ClaimOutcome) -> String {
    let mut text = format!(
        "“{}” against “{}”: {:.2}. From 0.60 it holds, to 0.40 it fails, between is undecided.",
        claim.claim, claim.instead, claim.score
    );
    if let Some(place) = &claim.place {
        let _ = write!(text, "\nLooked for at {}; a hint for the eye, no measurement.", place.location);
    }
    if let Some(separation) = claim.separation {
        let _ = write!(
            text,
            "\nThis model tells true from false claims of this kind with an area under the ROC curve of {:.2}; 0.5 is chance.",
            separation.auroc
        );
    }
    text
}
