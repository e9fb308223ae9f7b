//! The window drawn by wgpu (software Vulkan does): the overlay's colours, its fading below the threshold, the contour,
//! and the bare photo while Shift is held.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::Arc;

use eframe::egui_wgpu::RendererOptions;
use egui::{Rect, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use hairline::anomaly::AnomalyMap;
use hairline::app::overlay::{Overlay, SHADER};
use hairline::report::ColourMap;
use image::Rgba;

const SIZE: f32 = 64.0;

/// A grey square with the overlay of a map that rises from 0 (left) to 8 (right); the threshold is 4, in the middle.
fn drawn(change: impl Fn(&mut Overlay)) -> image::RgbaImage {
    let renderer = create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE);
    let width = 32;
    let scores = (0..width * 4).map(|i| 8.0 * ((i % width) as f32 + 0.5) / width as f32).collect();
    let mut overlay = Overlay {
        map: Arc::new(AnomalyMap { width, height: 4, photo_width: 640, photo_height: 80, scores }),
        colours: Arc::new(ColourMap::Inferno.table().iter().map(|&[r, g, b]| [r, g, b, 255]).collect()),
        uv: Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)),
        low: 0.0,
        threshold: 4.0,
        opacity: 0.5,
        contour_px: 0.0,
        contour: [1.0, 1.0, 1.0, 1.0],
        split: 0.0,
        target: renderer.target_format,
    };
    change(&mut overlay);
    let mut harness = Harness::builder()
        .with_size(vec2(SIZE, SIZE))
        .renderer(WgpuTestRenderer::from_render_state(renderer))
        .build_ui(move |ui| {
            let all = ui.ctx().content_rect();
            let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("test")));
            painter.rect_filled(all, 0, egui::Color32::from_gray(100));
            painter.add(overlay.clone().shape(all));
        });
    harness.run_steps(2);
    harness.render().unwrap()
}

fn near(pixel: Rgba<u8>, wanted: [f32; 3]) -> bool {
    pixel.0.iter().zip(wanted).all(|(have, want)| (f32::from(*have) - want).abs() <= 3.0)
}

fn mixed(normalised: f32, opacity: f32) -> [f32; 3] {
    ColourMap::Inferno.at(normalised).map(|c| 100.0 + (f32::from(c) - 100.0) * opacity)
}

#[test]
fn the_overlay_fades_below_the_threshold_and_has_the_colours_of_the_exports_above() {
    let picture = drawn(|_| {});
    let at = |x: f32| *picture.get_pixel((x * SIZE) as u32, 32);
    assert!(near(at(0.0), [100.0; 3]), "a typical pixel stays as photographed: {:?}", at(0.0));
    // The middle of pixel column x is (x + 0.5) / 64 across; the score there is 8 times that, normalised the same share.
    for column in [40_u32, 52, 60] {
        let share = (column as f32 + 0.5) / SIZE;
        let pixel = *picture.get_pixel(column, 32);
        assert!(near(pixel, mixed(share, 0.5)), "{column}: {pixel:?} {:?}", mixed(share, 0.5));
    }
    let column = 16;
    let share: f32 = (column as f32 + 0.5) / SIZE;
    let t = share / 0.5;
    let fading = 0.5 * t * t * (3.0 - 2.0 * t);
    let pixel = *picture.get_pixel(column, 32);
    assert!(near(pixel, mixed(share, fading)), "{pixel:?}");
}

#[test]
fn the_contour_lies_where_the_score_crosses_the_threshold() {
    let picture = drawn(|overlay| (overlay.opacity, overlay.contour_px) = (0.0, 2.0));
    let bright: Vec<u32> = (0..64).filter(|&x| picture.get_pixel(x, 32).0[0] > 180).collect();
    assert!(!bright.is_empty() && bright.iter().all(|x| (30..=33).contains(x)), "{bright:?}");
}

#[test]
fn comparing_leaves_the_left_side_bare_and_outside_of_the_photo_nothing_is_drawn() {
    let picture = drawn(|overlay| overlay.split = 0.8);
    assert!(near(*picture.get_pixel(48, 32), [100.0; 3]));
    assert!(!near(*picture.get_pixel(60, 32), [100.0; 3]));
    let picture = drawn(|overlay| overlay.uv = Rect::from_min_max(pos2(0.5, 0.0), pos2(1.5, 1.0)));
    assert!(near(*picture.get_pixel(50, 32), [100.0; 3]), "right of the photo");
    assert!(near(*picture.get_pixel(16, 32), mixed(0.5 + 16.5 / SIZE, 0.5)));
}

#[test]
fn the_shader_is_valid() {
    let module = naga::front::wgsl::parse_str(SHADER).unwrap_or_else(|e| panic!("{}", e.emit_to_string(SHADER)));
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
    validator.validate(&module).unwrap();
}
