//! Where the photo lies on the canvas: zoom and centre, and the arithmetic between screen points and photo pixels. Pure;
//! drawing is the canvas panel's business.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// Largest zoom, in screen points per photo pixel.
const CLOSEST: f32 = 64.0;

/// Zoom and place of the photo on the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// Follow the canvas: the whole photo is visible.
    pub fit: bool,
    /// Screen points per photo pixel.
    pub zoom: f32,
    /// The photo pixel in the middle of the canvas.
    pub centre: Vec2,
}

impl Default for Viewport {
    fn default() -> Self {
        Self { fit: true, zoom: 1.0, centre: Vec2::ZERO }
    }
}

impl Viewport {
    /// Takes account of the size of canvas and photo; once per frame, before anything else.
    pub fn settle(&mut self, canvas: Rect, photo: Vec2) {
        if self.fit {
            self.zoom = Self::fitting(canvas, photo);
            self.centre = photo / 2.0;
        }
        let least = Self::fitting(canvas, photo).min(1.0) / 4.0;
        self.zoom = self.zoom.clamp(least, CLOSEST);
        self.centre = self.centre.clamp(Vec2::ZERO, photo);
    }

    /// Zoom at which the whole photo is visible; small photos are enlarged eightfold at most.
    pub fn fitting(canvas: Rect, photo: Vec2) -> f32 {
        (canvas.size() / photo.max(Vec2::splat(1.0))).min_elem().clamp(1e-4, 8.0)
    }

    /// The photo's rectangle on the screen.
    pub fn photo_rect(&self, canvas: Rect, photo: Vec2) -> Rect {
        Rect::from_min_size(self.to_screen(canvas, Pos2::ZERO), photo * self.zoom)
    }

    /// A point of the photo on the screen.
    pub fn to_screen(self, canvas: Rect, photo: Pos2) -> Pos2 {
        canvas.center() + (photo.to_vec2() - self.centre) * self.zoom
    }

    /// A point of the screen in the photo, in pixels.
    pub fn to_photo(self, canvas: Rect, screen: Pos2) -> Pos2 {
        ((screen - canvas.center()) / self.zoom + self.centre).to_pos2()
    }

    /// Zooms by `factor` and keeps what is under `anchor` where it is.
    pub fn zoom_about(&mut self, canvas: Rect, anchor: Pos2, factor: f32) {
        let held = self.to_photo(canvas, anchor);
        self.fit = false;
        self.zoom = (self.zoom * factor).clamp(1e-3, CLOSEST);
        self.centre = held.to_vec2() - (anchor - canvas.center()) / self.zoom;
    }

    /// Moves the photo by `delta` screen points.
    pub fn pan(&mut self, delta: Vec2) {
        self.fit = false;
        self.centre -= delta / self.zoom;
    }

    /// Shows `target` (in photo pixels) with some surroundings.
    pub fn show(&mut self, canvas: Rect, target: Rect) {
        self.fit = false;
        let wanted = target.size().max(Vec2::splat(8.0)) * 2.5;
        self.zoom = (canvas.size() / wanted).min_elem().clamp(1e-3, CLOSEST / 2.0);
        self.centre = target.center().to_vec2();
    }

    /// The part of the photo (0–1 across it) at the corners of `screen`.
    pub fn uv(&self, canvas: Rect, photo: Vec2, screen: Rect) -> Rect {
        let at = |corner: Pos2| {
            let point = self.to_photo(canvas, corner);
            pos2(point.x / photo.x, point.y / photo.y)
        };
        Rect::from_min_max(at(screen.min), at(screen.max))
    }
}

/// Size of a picture as a vector.
pub fn size(width: u32, height: u32) -> Vec2 {
    vec2(width as f32, height as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANVAS: Rect = Rect { min: pos2(100.0, 50.0), max: pos2(500.0, 350.0) };
    const PHOTO: Vec2 = vec2(1000.0, 500.0);

    #[test]
    fn fitting_shows_the_whole_photo_in_the_middle() {
        let mut viewport = Viewport::default();
        viewport.settle(CANVAS, PHOTO);
        let rect = viewport.photo_rect(CANVAS, PHOTO);
        assert!(CANVAS.expand(0.01).contains_rect(rect));
        assert!((rect.center() - CANVAS.center()).length() < 1e-3);
        assert!((rect.width() - 400.0).abs() < 1e-3);
    }

    #[test]
    fn zooming_keeps_the_point_under_the_cursor() {
        let mut viewport = Viewport::default();
        viewport.settle(CANVAS, PHOTO);
        let cursor = pos2(150.0, 180.0);
        let before = viewport.to_photo(CANVAS, cursor);
        viewport.zoom_about(CANVAS, cursor, 3.7);
        viewport.zoom_about(CANVAS, cursor, 0.8);
        assert!((viewport.to_photo(CANVAS, cursor) - before).length() < 1e-2);
        assert!(!viewport.fit);
    }

    #[test]
    fn screen_and_photo_are_inverse_and_uv_spans_the_photo() {
        let mut viewport = Viewport { fit: false, zoom: 2.5, centre: vec2(400.0, 200.0) };
        viewport.settle(CANVAS, PHOTO);
        let point = pos2(123.0, 321.0);
        assert!((viewport.to_screen(CANVAS, viewport.to_photo(CANVAS, point)) - point).length() < 1e-3);
        let uv = viewport.uv(CANVAS, PHOTO, viewport.photo_rect(CANVAS, PHOTO));
        assert!(uv.min.to_vec2().length() < 1e-4 && (uv.max - pos2(1.0, 1.0)).length() < 1e-4);
    }

    #[test]
    fn a_region_is_shown_whole() {
        let mut viewport = Viewport::default();
        let region = Rect::from_min_size(pos2(700.0, 100.0), vec2(30.0, 60.0));
        viewport.show(CANVAS, region);
        let shown = Rect::from_min_max(viewport.to_screen(CANVAS, region.min), viewport.to_screen(CANVAS, region.max));
        assert!(CANVAS.contains_rect(shown));
    }
}
