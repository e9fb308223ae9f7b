//! The limits of the photos themselves: size, sharpness, light, clipping. They put a warning sign on a photo and change no
//! verdict.

use egui::Ui;

use super::decision_sections::titled;
use crate::app::action::Desk;
use crate::app::widgets::SliderRow;
use crate::photo::QualityLimits;

/// One limit: how it is shown, and where it is kept.
struct Limit {
    row: SliderRow<'static>,
    name: &'static str,
    of: fn(&mut QualityLimits) -> &mut f64,
    /// What the recipe's value is multiplied by for display.
    scale: f64,
}

fn limits() -> [Limit; 6] {
    let row = |name, range, tooltip| SliderRow::new(name, range, tooltip).decimals(0);
    [
        Limit {
            row: row(
                "Sharpness from",
                0.0..=500.0,
                "Photos with a smaller variance of the Laplacian are called blurred. It depends on the product: look at good photos first.",
            ),
            name: "Sharpness from",
            of: |limits| &mut limits.min_blur_score,
            scale: 1.0,
        },
        Limit {
            row: row("Brightness from", 0.0..=255.0, "Photos with a smaller mean grey value are called too dark."),
            name: "Brightness from",
            of: |limits| &mut limits.min_brightness,
            scale: 1.0,
        },
        Limit {
            row: row("Brightness to", 0.0..=255.0, "Photos with a larger mean grey value are called too bright."),
            name: "Brightness to",
            of: |limits| &mut limits.max_brightness,
            scale: 1.0,
        },
        Limit {
            row: row(
                "Contrast from",
                0.0..=100.0,
                "Photos with a smaller standard deviation of the grey values are called flat.",
            ),
            name: "Contrast from",
            of: |limits| &mut limits.min_contrast,
            scale: 1.0,
        },
        Limit {
            row: row("Black up to", 0.0..=100.0, "Photos with more black pixels are called underexposed.").unit(" %"),
            name: "Black up to",
            of: |limits| &mut limits.max_black_share,
            scale: 100.0,
        },
        Limit {
            row: row("White up to", 0.0..=100.0, "Photos with more white pixels are called overexposed.").unit(" %"),
            name: "White up to",
            of: |limits| &mut limits.max_white_share,
            scale: 100.0,
        },
    ]
}

/// Shows the section.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let doubtful =
        desk.state.photos.iter().filter_map(|entry| entry.inspection()).filter(|i| !i.quality.passed).count();
    let summary = match doubtful {
        0 => "no photo is doubtful".to_owned(),
        1 => "1 photo is doubtful".to_owned(),
        n => format!("{n} photos are doubtful"),
    };
    titled(ui, desk, "Photo quality", &summary, |ui, desk| {
        let mut now = desk.state.recipe.quality;
        let mut default = QualityLimits::default();
        let row = SliderRow::new(
            "Side from",
            16.0..=4096.0,
            "Photos whose shorter side has fewer pixels are called too small.",
        );
        let row = row.unit(" px").decimals(0).logarithmic().default(f64::from(default.min_side_px));
        if let Some(side) = row.show(ui, f64::from(now.min_side_px)) {
            desk.edit("Side from", move |recipe| recipe.quality.min_side_px = side.round() as u32);
        }
        for Limit { row, name, of, scale } in limits() {
            let row = row.default(scale * *of(&mut default));
            if let Some(value) = row.show(ui, scale * *of(&mut now)) {
                desk.edit(name, move |recipe| *of(&mut recipe.quality) = value / scale);
            }
        }
    });
}
