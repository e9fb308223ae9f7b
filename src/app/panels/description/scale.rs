//! A similarity on its scale: the bands with their meaning, the threshold and the place of the photo.

use std::fmt::Write as _;

use egui::{Align2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::theme::{self, palette};
use crate::matching::{BANDS, band};

const BAR: f32 = 10.0;
const HEIGHT: f32 = 44.0;
/// Where the scale ends while everything lies below; CLIP's similarities do.
const SHORT: f32 = 0.5;

/// Draws the scale. Without `bands` only threshold and place: the model's similarities are not those that bands speak of.
pub fn show(ui: &mut Ui, similarity: f32, threshold: f32, bands: bool, width: f32) {
    let colours = palette(ui);
    let end = if similarity.max(threshold) < SHORT - 0.04 { SHORT } else { 1.0 };
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::hover());
    let spoken = format!("Similarity {similarity:.3} on a scale to {end}, threshold {threshold:.3}");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &spoken));
    let bar = Rect::from_min_size(pos2(rect.left(), rect.top() + 16.0), vec2(width, BAR));
    let x = |value: f32| bar.left() + bar.width() * (value / end).clamp(0.0, 1.0);
    let painter = ui.painter();
    painter.rect_filled(bar, 3, colours.hover);
    let of = |value: f32| if value >= threshold { colours.ok } else { colours.ng };
    let mut filled = bar;
    filled.set_right(x(similarity));
    painter.rect_filled(filled, 3, of(similarity));
    if bands {
        for band in BANDS.iter().skip(1).filter(|band| band.from < end) {
            let line = Rect::from_min_max(pos2(x(band.from) - 0.5, bar.top()), pos2(x(band.from) + 0.5, bar.bottom()));
            painter.rect_filled(line, 0, colours.panel);
        }
    }
    let ticks: Vec<f32> = if end < 1.0 { vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5] } else { vec![0.0, 0.25, 0.5, 0.75, 1.0] };
    for tick in ticks {
        let text = if tick == 0.0 { "0".to_owned() } else { format!("{tick}") };
        let align = match tick {
            0.0 => Align2::LEFT_TOP,
            _ if tick >= end => Align2::RIGHT_TOP,
            _ => Align2::CENTER_TOP,
        };
        painter.text(pos2(x(tick), bar.bottom() + 3.0), align, text, theme::small_font(), colours.ink_faint);
    }
    // The threshold as a line through the bar with its number above.
    let at = x(threshold);
    painter.vline(at, (bar.top() - 3.0)..=(bar.bottom() + 3.0), (2.0, colours.accent));
    let align = if threshold > 0.5 * end { Align2::RIGHT_BOTTOM } else { Align2::LEFT_BOTTOM };
    let text = format!("threshold {threshold:.3}");
    painter.text(pos2(at, bar.top() - 3.0), align, text, theme::small_font(), colours.accent);
    let mut tooltip = String::new();
    if bands {
        tooltip.push_str("What similarities of published CLIP models mean:\n");
        for of in &BANDS {
            let here = if band(similarity) == of { "▸ " } else { "" };
            let _ = writeln!(tooltip, "{here}{:.2}–{:.2} {}: {}", of.from, of.to, of.name, of.meaning);
        }
    } else {
        tooltip.push_str("The bands of published CLIP models say nothing of this model's similarities.");
    }
    response.on_hover_text(tooltip.trim_end());
}
