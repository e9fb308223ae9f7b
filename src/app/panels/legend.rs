//! The scale of the overlay: colours with numbers. Fixed, with the threshold at its middle, so that colours mean the same
//! on every photo.

use std::sync::Arc;

use egui::{Align2, Color32, Mesh, Rect, Shape, Ui, pos2, vec2};

use crate::anomaly::Calibration;
use crate::app::theme::{self, palette};
use crate::report::ColourMap;

/// Raw pixel scores that are 0 and 0.5 on the fixed scale.
pub fn scale(calibration: &Calibration) -> (f32, f32) {
    calibration.pixel_scale()
}

/// 256 colours for a texture.
pub fn table(colours: ColourMap) -> Arc<Vec<[u8; 4]>> {
    Arc::new(colours.table().iter().map(|&[r, g, b]| [r, g, b, 255]).collect())
}

/// Paints colours from 0 (left) to 1 (right).
pub fn paint_colours(ui: &Ui, rect: Rect, colours: ColourMap) {
    const STEPS: u32 = 64;
    let mut mesh = Mesh::default();
    for step in 0..=STEPS {
        let share = step as f32 / STEPS as f32;
        let [r, g, b] = colours.at(share);
        let x = rect.left() + rect.width() * share;
        mesh.colored_vertex(pos2(x, rect.top()), Color32::from_rgb(r, g, b));
        mesh.colored_vertex(pos2(x, rect.bottom()), Color32::from_rgb(r, g, b));
        if step > 0 {
            let n = 2 * step;
            mesh.add_triangle(n - 2, n - 1, n);
            mesh.add_triangle(n - 1, n, n + 1);
        }
    }
    ui.painter().add(Shape::mesh(mesh));
}

/// Paints the legend with its lower left corner at `corner`.
pub fn paint(ui: &Ui, corner: egui::Pos2, calibration: &Calibration, colours: ColourMap, cursor: Option<f32>) {
    let ink = palette(ui);
    let card = Rect::from_min_size(corner - vec2(0.0, 58.0), vec2(272.0, 58.0));
    ui.painter().rect_filled(card, theme::WIDE_RADIUS, ink.panel.gamma_multiply(0.94));
    let bar = Rect::from_min_size(card.min + vec2(14.0, 24.0), vec2(card.width() - 28.0, 8.0));
    let caption = |x: f32, align: Align2, text: String, colour: Color32| {
        ui.painter().text(pos2(x, card.top() + 12.0), align, text, theme::small_font(), colour);
    };
    caption(bar.left(), Align2::LEFT_CENTER, "Anomaly score".to_owned(), ink.ink_soft);
    caption(bar.center().x, Align2::LEFT_CENTER, "  pixel threshold".to_owned(), ink.ink);
    paint_colours(ui, bar, colours);
    let (low, threshold) = scale(calibration);
    let below = bar.bottom() + 13.0;
    for (share, align) in [(0.0, Align2::LEFT_CENTER), (0.5, Align2::CENTER_CENTER), (1.0, Align2::RIGHT_CENTER)] {
        let raw = low + 2.0 * share * (threshold - low);
        let x = bar.left() + bar.width() * share;
        let text = format!(
            "{}{raw:.1}",
            if share == 1.0 {
                "≥ "
            } else if share == 0.0 {
                "≤ "
            } else {
                ""
            }
        );
        ui.painter().text(pos2(x, below), align, text, theme::small_font(), ink.ink_soft);
    }
    let middle = bar.center().x.round() + 0.5;
    ui.painter().vline(middle, bar.top() - 18.0..=bar.bottom() + 4.0, (1.0, ink.ink));
    if let Some(normalised) = cursor {
        let x = bar.left() + bar.width() * normalised.clamp(0.0, 1.0);
        let tip = pos2(x, bar.top() - 1.0);
        let triangle = vec![tip, tip + vec2(-4.0, -6.0), tip + vec2(4.0, -6.0)];
        ui.painter().add(Shape::convex_polygon(triangle, ink.ink, (1.0, ink.panel)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::calibration;

    #[test]
    fn the_scale_is_that_of_the_calibration() {
        for threshold in [4.0, -3.0] {
            let calibration = Calibration { pixel_threshold: threshold, ..calibration() };
            let (low, middle) = scale(&calibration);
            assert!(calibration.normalise_pixel(low).abs() < 1e-5);
            assert!((calibration.normalise_pixel(middle) - 0.5).abs() < 1e-5);
            assert!((calibration.normalise_pixel(low + 1.5 * (middle - low)) - 0.75).abs() < 1e-5);
        }
    }

    #[test]
    fn the_table_is_the_colour_map() {
        let table = table(ColourMap::Inferno);
        assert_eq!(table.len(), 256);
        assert_eq!(table[0][..3], ColourMap::Inferno.at(0.0));
        assert_eq!(table[255][..3], ColourMap::Inferno.at(1.0));
    }
}
