//! Light and camera of a product's inspection station: uneven light, streaks and highlights that belong to normal
//! photos too, dark borders, blur, sensor noise, low contrast and JPEG-like blocks. Nothing here is a defect.

use std::f32::consts::{PI, TAU};

use super::canvas::{Canvas, Plane};
use super::chance::{Chance, cos, exp, sin};

/// How one product is photographed; photos vary around it.
#[derive(Clone, Debug)]
pub struct Camera {
    grey: bool,
    /// Direction of the light in radians.
    pub light: f32,
    slope: f32,
    gain_jitter: f32,
    streaks: usize,
    streak_gain: f32,
    streak_angle: f32,
    highlights: usize,
    highlight_gain: f32,
    vignette: f32,
    border: Option<[f32; 4]>,
    border_tone: f32,
    blur: f32,
    noise: f32,
    contrast: f32,
    offset: f32,
    /// Quality 35–95; 0 for none.
    jpeg: f32,
}

impl Camera {
    pub fn random(chance: &mut Chance, grey: bool) -> Self {
        let contrast = if chance.flip(0.4) { chance.uniform(0.35, 1.0) } else { 1.0 };
        Self {
            grey,
            light: chance.uniform(0.0, TAU),
            slope: chance.uniform(0.0, 0.35),
            gain_jitter: chance.uniform(0.0, 0.12),
            streaks: if chance.flip(0.35) { 1 + chance.below(4) } else { 0 },
            streak_gain: chance.uniform(0.05, 0.5) * if chance.flip(0.75) { 1.0 } else { -0.6 },
            streak_angle: if chance.flip(0.6) { chance.below(2) as f32 * PI * 0.5 } else { chance.uniform(0.0, PI) },
            highlights: if chance.flip(0.3) { 1 + chance.below(3) } else { 0 },
            highlight_gain: chance.uniform(0.1, 0.6),
            vignette: if chance.flip(0.3) { chance.uniform(0.1, 0.7) } else { 0.0 },
            border: chance
                .flip(0.22)
                .then(|| [0; 4].map(|_| if chance.flip(0.4) { chance.uniform(1.0, 14.0) } else { -9.0 })),
            border_tone: if chance.flip(0.75) { chance.uniform(0.0, 0.12) } else { chance.uniform(0.85, 1.0) },
            blur: if chance.flip(0.7) { chance.uniform(0.0, 1.3) } else { 0.0 },
            noise: chance.uniform(0.0, 0.035),
            contrast,
            offset: chance.uniform(0.0, 1.0 - contrast),
            jpeg: if chance.flip(0.4) { chance.uniform(35.0, 95.0) } else { 0.0 },
        }
    }

    /// The photo as 8-bit RGB, row by row.
    pub fn take(&self, scene: Canvas, chance: &mut Chance) -> Vec<u8> {
        let size = scene.size();
        let u = size as f32 / 128.0;
        let n = size as f32;
        let angle = self.light + chance.normal() * 0.3;
        let (s, c) = (sin(angle) / n, cos(angle) / n);
        let (slope, gain) = (2.0 * self.slope * chance.uniform(0.5, 1.3), 1.0 + self.gain_jitter * chance.normal());
        let half = n * 0.5;
        let mut light = Plane::from_fn(size, |x, y| gain * (1.0 + slope * ((x - half) * c + (y - half) * s)));
        if self.vignette > 0.0 {
            let k = self.vignette * 2.0 / (n * n);
            light = light.zip(
                &Plane::from_fn(size, |x, y| {
                    let (dx, dy) = (x - half, y - half);
                    let d = (dx * dx + dy * dy) * k;
                    1.0 - d.min(0.95)
                }),
                |a, b| a * b,
            );
        }
        for _ in 0..self.streaks {
            let angle = self.streak_angle + chance.normal() * 0.05;
            let (s, c) = (sin(angle), cos(angle));
            let (at, width) = (chance.uniform(-0.45, 0.45) * n, chance.log_uniform(1.5, 14.0) * u);
            let fade = Plane::noise(chance, size, 3.0, 3.0);
            let gain = self.streak_gain * chance.uniform(0.4, 1.2);
            for (i, v) in light.data.iter_mut().enumerate() {
                let (x, y) = ((i % size) as f32 - half, (i / size) as f32 - half);
                let d = (x * c + y * s - at) / width;
                if d * d < 12.0 {
                    *v += gain * exp(-0.5 * d * d) * (0.8 + 0.5 * fade.data[i]).clamp(0.0, 1.5);
                }
            }
        }
        let mut photo = scene.zip(&light, |v, l| v * l);
        for _ in 0..self.highlights {
            let (cx, cy) = (chance.uniform(0.0, n), chance.uniform(0.0, n));
            let (rx, ry) = (chance.log_uniform(4.0, 40.0) * u, chance.log_uniform(4.0, 40.0) * u);
            let gain = self.highlight_gain * chance.uniform(0.3, 1.0);
            let glow = Plane::from_fn(size, |x, y| {
                let (dx, dy) = ((x - cx) / rx, (y - cy) / ry);
                let d = dx * dx + dy * dy;
                if d < 12.0 { gain * exp(-0.5 * d) } else { 0.0 }
            });
            photo = photo.zip(&glow, |v, g| v + g);
        }
        if let Some(margins) = self.border {
            let m = margins.map(|m| (m + chance.normal() * 1.5) * u);
            let tilt = chance.normal() * 0.02;
            let frame = Plane::from_fn(size, |x, y| {
                let inside =
                    (x - m[0] + tilt * y).min(y - m[1] - tilt * x).min(n - m[2] - x + tilt * y).min(n - m[3] - y);
                (1.0 - inside).clamp(0.0, 1.0)
            });
            photo = photo.tinted([self.border_tone; 3], &frame);
        }
        photo = photo.map(|v| v * self.contrast + self.offset);
        if self.blur > 0.25 {
            photo = photo.blurred(self.blur * u);
        }
        if self.noise > 0.003 {
            self.add_noise(&mut photo, chance);
        }
        if self.jpeg > 0.0 {
            photo = compressed(photo, self.jpeg, self.grey);
        }
        let mut bytes = vec![0_u8; size * size * 3];
        for (i, pixel) in bytes.chunks_exact_mut(3).enumerate() {
            for (byte, plane) in pixel.iter_mut().zip(&photo.rgb) {
                *byte = (plane.data[i].clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
        bytes
    }

    fn add_noise(&self, photo: &mut Canvas, chance: &mut Chance) {
        if self.grey {
            let n = photo.size();
            let grain: Vec<f32> = (0..n * n).map(|_| self.noise * chance.coarse_normal()).collect();
            for plane in &mut photo.rgb {
                plane.data.iter_mut().zip(&grain).for_each(|(v, g)| *v += g);
            }
        } else {
            for plane in &mut photo.rgb {
                plane.data.iter_mut().for_each(|v| *v += self.noise * chance.coarse_normal());
            }
        }
    }
}

/// Luminance quantisation of JPEG, annex K.1.
const QUANTISATION: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// Quantises 8×8 blocks of the cosine transform as JPEG does at `quality`, each channel alike.
fn compressed(mut photo: Canvas, quality: f32, grey: bool) -> Canvas {
    let scale = if quality < 50.0 { 5000.0 / quality } else { 200.0 - 2.0 * quality } / 100.0 / 255.0;
    let basis: [[f32; 8]; 8] = std::array::from_fn(|k| {
        std::array::from_fn(|x| {
            let norm = if k == 0 { 0.353_553_4 } else { 0.5 };
            norm * cos((2 * x + 1) as f32 * k as f32 * PI / 16.0)
        })
    });
    let size = photo.size();
    let channels = if grey { 1 } else { 3 };
    for plane in photo.rgb.iter_mut().take(channels) {
        for top in (0..size.saturating_sub(7)).step_by(8) {
            for left in (0..size.saturating_sub(7)).step_by(8) {
                block(plane, top, left, &basis, scale);
            }
        }
    }
    if grey {
        let first = photo.rgb[0].clone();
        photo.rgb[1] = first.clone();
        photo.rgb[2] = first;
    }
    photo
}

fn block(plane: &mut Plane, top: usize, left: usize, basis: &[[f32; 8]; 8], scale: f32) {
    let size = plane.size;
    let mut rows = [[0.0_f32; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        let start = (top + y) * size + left;
        let line = &plane.data[start..start + 8];
        for (k, value) in row.iter_mut().enumerate() {
            *value = (0..8).map(|x| line[x] * basis[k][x]).sum();
        }
    }
    let mut spectrum = [[0.0_f32; 8]; 8];
    for v in 0..8 {
        for k in 0..8 {
            let value: f32 = (0..8).map(|y| rows[y][k] * basis[v][y]).sum();
            let step = (f32::from(QUANTISATION[v * 8 + k]) * scale).max(1.0 / 255.0);
            spectrum[v][k] = (value / step + 0.5).floor() * step;
        }
    }
    for (y, row) in rows.iter_mut().enumerate() {
        for (k, value) in row.iter_mut().enumerate() {
            *value = (0..8).map(|v| spectrum[v][k] * basis[v][y]).sum();
        }
    }
    for (y, row) in rows.iter().enumerate() {
        let start = (top + y) * size + left;
        for (x, pixel) in plane.data[start..start + 8].iter_mut().enumerate() {
            *pixel = (0..8).map(|k| row[k] * basis[k][x]).sum();
        }
    }
}
