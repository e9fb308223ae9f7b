//! Surfaces of procedural parts: a dozen patterns, from smooth paint to weave, each with random scale, contrast and
//! colour. A material belongs to a product; every photo of it draws fresh grain from the same statistics.

use super::canvas::{Canvas, Plane};
use super::chance::{Chance, exp, sin, tanh};

/// Kind of pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Smooth,
    Cast,
    Brushed,
    Wood,
    Woven,
    Tiled,
    Speckled,
    Wrinkled,
    Ribbed,
    Dotted,
    Ground,
    Turned,
}

impl Pattern {
    pub const ALL: [Self; 12] = [
        Self::Smooth,
        Self::Cast,
        Self::Brushed,
        Self::Wood,
        Self::Woven,
        Self::Tiled,
        Self::Speckled,
        Self::Wrinkled,
        Self::Ribbed,
        Self::Dotted,
        Self::Ground,
        Self::Turned,
    ];

    /// Patterns calm enough for what lies behind a part.
    pub const CALM: [Self; 3] = [Self::Smooth, Self::Cast, Self::Brushed];

    /// Adjectives of the surface.
    pub fn adjectives(self) -> &'static [&'static str] {
        match self {
            Self::Smooth => &["smooth", "plain", "painted", "matte", "polished", "coated"],
            Self::Cast => &["cast", "rough", "granular", "grainy", "sandblasted"],
            Self::Brushed => &["brushed", "rolled", "drawn", "fibrous"],
            Self::Wood => &["wood", "wooden", "grained", "veneered"],
            Self::Woven => &["woven", "fabric", "knitted", "textile", "canvas"],
            Self::Tiled => &["tiled", "grid", "mesh", "paved", "checked"],
            Self::Speckled => &["speckled", "granite", "terrazzo", "flecked", "spotted"],
            Self::Wrinkled => &["leather", "wrinkled", "veined", "marbled"],
            Self::Ribbed => &["ribbed", "striped", "corrugated", "threaded", "knurled"],
            Self::Dotted => &["perforated", "dotted", "studded", "embossed"],
            Self::Ground => &["ground", "machined", "milled", "magnetic"],
            Self::Turned => &["turned", "concentric", "spun", "lathed"],
        }
    }

    /// What such a surface may be made of.
    pub fn substances(self) -> &'static [&'static str] {
        match self {
            Self::Smooth => &["plastic", "metal", "glass", "ceramic", "steel", "rubber"],
            Self::Cast => &["metal", "iron", "aluminium", "concrete", "foam", "rubber"],
            Self::Brushed => &["metal", "steel", "aluminium", "brass", "copper"],
            Self::Wood => &["wood", "oak", "plywood", "bamboo"],
            Self::Woven => &["fabric", "carpet", "cloth", "fibre", "textile"],
            Self::Tiled => &["ceramic", "metal", "plastic", "tile", "wire"],
            Self::Speckled => &["stone", "granite", "composite", "ceramic", "food"],
            Self::Wrinkled => &["leather", "marble", "paper", "rubber"],
            Self::Ribbed => &["metal", "plastic", "rubber", "cardboard"],
            Self::Dotted => &["metal", "plastic", "foil", "paper"],
            Self::Ground | Self::Turned => &["metal", "steel", "magnet", "ferrite", "aluminium"],
        }
    }
}

/// One surface.
#[derive(Clone, Debug)]
pub struct Material {
    pub pattern: Pattern,
    /// Mean colour, red, green, blue in 0–1.
    pub base: [f32; 3],
    accent: [f32; 3],
    knobs: [f32; 8],
    angle: f32,
    grain: f32,
    wander: f32,
}

fn colour(chance: &mut Chance, grey: bool) -> [f32; 3] {
    if grey {
        return [chance.uniform(0.08, 0.92); 3];
    }
    let c = [0; 3].map(|_| chance.uniform(0.05, 0.95));
    let (mean, saturation) = ((c[0] + c[1] + c[2]) / 3.0, chance.uniform(0.1, 1.0));
    c.map(|v| mean + (v - mean) * saturation)
}

impl Material {
    /// A random surface of one of `patterns`, grey or coloured.
    pub fn random(chance: &mut Chance, grey: bool, patterns: &[Pattern]) -> Self {
        let pattern = chance.choose(patterns);
        let base = colour(chance, grey);
        let other = colour(chance, grey);
        let mut contrast = chance.uniform(0.03, 0.45);
        if pattern == Pattern::Smooth {
            contrast *= 0.4;
        }
        let (pull, push) = (0.5 * chance.unit(), contrast * chance.sign());
        let accent = [0, 1, 2].map(|c| (base[c] + (other[c] - base[c]) * pull + push).clamp(0.0, 1.0));
        let angle = if chance.flip(0.6) {
            chance.uniform(0.0, std::f32::consts::PI)
        } else {
            chance.below(2) as f32 * std::f32::consts::FRAC_PI_2
        };
        Self {
            pattern,
            base,
            accent,
            knobs: chance.units(),
            angle,
            grain: chance.uniform(0.0, 0.06) * chance.unit(),
            wander: chance.unit(),
        }
    }

    /// A fresh piece of the surface, `size` × `size` pixels; lengths scale with `size` from 128.
    pub fn paint(&self, size: usize, chance: &mut Chance) -> Canvas {
        let turn = self.angle + chance.normal() * 0.03;
        let straight = matches!(self.pattern, Pattern::Smooth | Pattern::Cast | Pattern::Speckled | Pattern::Turned);
        let mut texture = if straight {
            self.texture(size, size as f32 / 128.0, chance)
        } else {
            let wide = size + size / 2 - size / 16;
            self.texture(wide, size as f32 / 128.0, chance).turned(size, turn)
        };
        if self.grain > 0.004 {
            texture.data.iter_mut().for_each(|v| *v += self.grain * 2.0 * chance.coarse_normal());
        }
        Canvas::between(self.base, self.accent, &texture)
    }

    /// The pattern before turning and colouring, around 0–1; `u` is pixels per unit of 1/128 picture.
    fn texture(&self, n: usize, u: f32, chance: &mut Chance) -> Plane {
        let q = &self.knobs;
        let across = n as f32 / u;
        match self.pattern {
            Pattern::Smooth => Plane::noise(chance, n, 3.0, 3.0).map(|v| 0.5 + 0.3 * v),
            Pattern::Cast => {
                let base = 2.0 * exp(2.7 * q[0]);
                Plane::fractal(chance, n, base, 1 + (4.0 * q[1]) as usize, 0.4 + 0.5 * q[2], 0.5 + 1.5 * q[3])
                    .as_texture()
            }
            Pattern::Brushed => Plane::fractal(chance, n, 2.0 + 6.0 * q[0], 3, 0.8, 8.0 + 24.0 * q[1]).as_texture(),
            Pattern::Ground => {
                let broad = Plane::noise(chance, n, 2.0 + 4.0 * q[0], 2.0 + 2.0 * q[1]).as_texture();
                let fine = Plane::fractal(chance, n, 2.0 + 10.0 * q[2], 2, 0.8, 20.0 + 20.0 * q[3]).as_texture();
                let speck = Plane::noise(chance, n, across * 0.4, across * 0.4);
                let weight = 0.2 + 0.6 * q[4];
                broad.zip(&fine, |a, b| a * weight + b * (1.0 - weight)).zip(&speck, |a, b| a + 0.05 * b)
            }
            Pattern::Wood => {
                let bend = Plane::fractal(chance, n, 2.0, 3, 0.5, 1.0);
                let streak = Plane::noise(chance, n, across, 2.0);
                let (rate, strength) = ((0.1 + 0.5 * q[0]) / u, 1.0 + 5.0 * q[1]);
                along_x(bend.zip(&streak, |b, s| b * strength + 0.5 * s * q[2]), |x, v| 0.5 + 0.5 * sin(x * rate + v))
            }
            Pattern::Woven => {
                let rate = (0.25 + 0.9 * q[0]) / u;
                let shift = Plane::noise(chance, n, 4.0, 4.0).map(|v| v * self.wander * 0.6);
                let (pa, pb) = (chance.uniform(0.0, 6.0), chance.uniform(0.0, 6.0));
                let mut out = Plane::from_fn(n, |x, y| {
                    let d = shift.data[y as usize * n + x as usize];
                    let (a, b) = (sin(x * rate + d + pa), sin(y * rate * (1.0 + 0.3 * q[1]) + d + pb));
                    if a * b > 0.0 { 0.5 + 0.5 * a.abs() } else { 0.3 + 0.3 * q[2] * b.abs() }
                });
                out.data.iter_mut().for_each(|v| *v += 0.08 * chance.coarse_normal());
                out
            }
            Pattern::Tiled => {
                let (pitch, gap) = ((8.0 + 40.0 * q[0]) * u, 0.04 + 0.2 * q[1]);
                let (pa, pb) = (chance.unit(), chance.unit());
                let lines = Plane::from_fn(n, |x, y| {
                    let (a, b) = (x / pitch + pa, y / (pitch * (0.6 + q[2])) + pb);
                    let hit = a - a.floor() < gap || (q[3] > 0.4 && b - b.floor() < gap);
                    f32::from(u8::from(hit))
                });
                let cloud = Plane::noise(chance, n, 30.0, 30.0);
                lines.blurred((0.5 + q[4]) * u).zip(&cloud, |a, b| a + 0.1 * q[5] * b)
            }
            Pattern::Speckled => {
                let cells = 20.0 + 100.0 * q[0];
                let (level, edge) = (0.3 + 1.5 * q[1], 1.0 + 6.0 * q[2]);
                Plane::noise(chance, n, cells, cells).map(|v| ((v - level) * edge + 0.5).clamp(0.0, 1.0))
            }
            Pattern::Wrinkled => {
                let base = 8.0 * exp(1.7 * q[0]);
                Plane::fractal(chance, n, base, 2, 0.5, 1.0).map(|v| 1.0 - v.abs()).as_texture()
            }
            Pattern::Ribbed => {
                let bend = Plane::noise(chance, n, 3.0, 3.0).map(|v| 0.3 * self.wander * v);
                let (rate, edge, phase) = ((0.15 + 0.9 * q[0]) / u, 1.0 + 3.0 * q[1], chance.uniform(0.0, 6.0));
                along_x(bend, |x, v| 0.5 + 0.5 * tanh(edge * sin(x * rate + phase + v)))
            }
            Pattern::Dotted => {
                let (pitch, radius) = ((10.0 + 24.0 * q[0]) * u, 0.15 + 0.25 * q[1]);
                let (pa, pb) = (chance.unit(), chance.unit());
                Plane::from_fn(n, |x, y| {
                    let (a, b) = (x / pitch + pa, y / pitch + pb);
                    let (a, b) = (a - a.floor() - 0.5, b - b.floor() - 0.5);
                    1.0 / (1.0 + exp(((a * a + b * b).sqrt() - radius) * 25.0))
                })
            }
            Pattern::Turned => {
                let centre = [0.5 + 0.6 * (q[0] - 0.5), 0.5 + 0.6 * (q[1] - 0.5)]
                    .map(|c| (c + 0.01 * chance.normal()) * n as f32);
                let rings = Plane::fractal(chance, n, 20.0 + 60.0 * q[2], 2, 0.7, 0.02);
                let sheen = 0.25 * q[3];
                let middle = n / 2;
                let out = Plane::from_fn(n, |x, y| {
                    let (dx, dy) = (x - centre[0], y - centre[1]);
                    let r = (dx * dx + dy * dy).sqrt();
                    let ring = rings.sample(r * 0.9, middle as f32);
                    let side = (dx * dx - dy * dy) / (r * r + 1.0);
                    0.5 + 0.2 * ring + sheen * side
                });
                let speck = Plane::noise(chance, n, across * 0.5, across * 0.5);
                out.zip(&speck, |a, b| a + 0.04 * b)
            }
        }
    }
}

/// Each value replaced by `f(x, value)`.
fn along_x(mut plane: Plane, f: impl Fn(f32, f32) -> f32) -> Plane {
    for line in plane.data.chunks_exact_mut(plane.size) {
        line.iter_mut().enumerate().for_each(|(x, v)| *v = f(x as f32, *v));
    }
    plane
}
