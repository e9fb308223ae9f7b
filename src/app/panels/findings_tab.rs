//! What was found in the photo on view: the verdict with its reason, the regions, and "why?".

use egui::{Align2, CursorIcon, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::decision_sections::titled;
use super::why;
use crate::anomaly::{Region, Severity};
use crate::app::action::{Action, Desk};
use crate::app::theme::{self, palette};
use crate::app::widgets::{badge, named};

/// Shows the tab.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(view) = desk.state.view.clone() else {
        ui.add_space(theme::WIDE_GAP);
        let text = if desk.state.selected.is_some() {
            "This photo is being inspected."
        } else {
            "Choose a photo to see what was found."
        };
        ui.label(egui::RichText::new(text).color(colours.ink_faint));
        return;
    };
    let inspection = &view.inspection;
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        badge(ui, Some(inspection.verdict));
        ui.label(theme::title(format!("{:.2}", inspection.normalised_score)));
        ui.label(theme::small("of 1, threshold 0.50").color(colours.ink_faint));
    });
    ui.label(egui::RichText::new(&inspection.reason).color(colours.ink_soft));
    if let Some(p) = inspection.p_value {
        let text = format!("p-value {p:.3} among {} normal references", view.calibration.normal_scores.len());
        ui.label(theme::small(text).color(colours.ink_faint))
            .on_hover_text("Share of normal parts that would score at least this high. Small means unusual.");
    }
    if !inspection.quality.passed {
        let text = format!("Doubtful photo. {}", inspection.quality.reason);
        ui.label(theme::small(text).color(colours.uncertain));
    }
    for warning in &inspection.photo.warnings {
        ui.label(theme::small(warning).color(colours.uncertain));
    }
    let summary = match inspection.regions.len() {
        0 => "none above the threshold".to_owned(),
        n => format!("{n} shown"),
    };
    titled(ui, desk, "Regions", &summary, |ui, desk| {
        if inspection.regions.is_empty() {
            let text = "No place scores above the pixel threshold.";
            ui.label(theme::small(text).color(colours.ink_faint));
        }
        let mut pointed = None;
        for (index, region) in inspection.regions.iter().enumerate() {
            if region_row(ui, desk, index, region) {
                pointed = Some(index);
            }
        }
        if pointed != desk.state.region {
            desk.push(Action::PointAt(pointed));
        }
    });
    titled(ui, desk, "Why?", "click a place in the photo", |ui, desk| why::show(ui, desk, &view));
    titled(ui, desk, "Photo", &format!("{} × {}", inspection.photo.width, inspection.photo.height), |ui, _| {
        facts(ui, inspection);
    });
}

/// One region; true while the pointer is over it.
fn region_row(ui: &mut Ui, desk: &mut Desk<'_>, index: usize, region: &Region) -> bool {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    let name = format!(
        "Region {}, {}, score {:.2}, {}",
        index + 1,
        region.location,
        region.confidence,
        region.severity.name()
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let over = response.hovered() || desk.state.region == Some(index);
    if over {
        ui.painter().rect_filled(rect.expand2(vec2(6.0, 0.0)), theme::RADIUS, colours.raised);
    }
    let painter = ui.painter();
    let number = egui::Rect::from_center_size(pos2(rect.left() + 10.0, rect.center().y), vec2(20.0, 20.0));
    painter.rect_filled(number, 4, theme::DARK.ng);
    painter.text(
        number.center(),
        Align2::CENTER_CENTER,
        index + 1,
        theme::strong_font(theme::SMALL),
        theme::DARK.on_verdict,
    );
    let left = number.right() + 10.0;
    painter.text(
        pos2(left, rect.center().y - 8.0),
        Align2::LEFT_CENTER,
        &region.location,
        theme::body_font(),
        colours.ink,
    );
    let details =
        format!("{} × {} px · area {} px · peak {:.1}", region.width, region.height, region.area, region.peak);
    painter.text(
        pos2(left, rect.center().y + 8.0),
        Align2::LEFT_CENTER,
        details,
        theme::small_font(),
        colours.ink_faint,
    );
    let score = format!("{:.2}", region.confidence);
    painter.text(
        pos2(rect.right(), rect.center().y - 8.0),
        Align2::RIGHT_CENTER,
        score,
        theme::strong_font(theme::BODY),
        colours.ink,
    );
    let ink = match region.severity {
        Severity::Low => colours.ink_soft,
        Severity::Medium => colours.uncertain,
        Severity::High => colours.ng,
    };
    painter.text(
        pos2(rect.right(), rect.center().y + 8.0),
        Align2::RIGHT_CENTER,
        region.severity.name(),
        theme::small_font(),
        ink,
    );
    let hovered = response.hovered();
    if response.on_hover_text(format!("{}\nClick to zoom there.", region.description)).clicked() {
        desk.push(Action::ShowRegion(index));
    }
    hovered
}

fn facts(ui: &mut Ui, inspection: &crate::anomaly::Inspection) {
    let colours = palette(ui);
    let photo = &inspection.photo;
    let timings = inspection.timings_ms;
    let rows = [
        (
            "Sharpness",
            format!("{:.0}", photo.quality.blur_score),
            "Variance of the Laplacian. Low means blurred; compare photos of one product only.",
        ),
        ("Brightness", format!("{:.0} of 255", photo.quality.brightness_score), "Mean grey value."),
        ("Contrast", format!("{:.0}", photo.quality.contrast), "Standard deviation of the grey values."),
        (
            "Clipping",
            format!(
                "{:.1} % black, {:.1} % white",
                100.0 * photo.quality.black_share,
                100.0 * photo.quality.white_share
            ),
            "Share of pixels whose detail is lost in the dark or in glare.",
        ),
        (
            "Time",
            format!("{:.0} + {:.0} + {:.0} + {:.0} ms", timings.decode, timings.features, timings.maps, timings.judge),
            "Decoding, network, maps, verdict. Network 0 means that its features came from the cache.",
        ),
        (
            "SHA-256",
            format!("{}…", photo.sha256.get(..16).unwrap_or(&photo.sha256)),
            "Of the file's bytes; the report has all of it.",
        ),
    ];
    for (name, value, tooltip) in rows {
        ui.horizontal(|ui| {
            let name = theme::small(name).color(colours.ink_faint);
            named(ui, 84.0, name).on_hover_text(tooltip);
            let value = egui::Label::new(theme::small(value).color(colours.ink_soft)).truncate();
            ui.add(value).on_hover_text(tooltip);
        });
    }
}
