//! Outlines of procedural parts as coverage planes. The outlines of [`ShapeKind::HELD_OUT`] never appear in training:
//! what is measured on them says whether the network learnt defects rather than parts.

use std::f32::consts::{FRAC_PI_2, TAU};

use super::canvas::Plane;
use super::chance::{Chance, cos, sin};

/// Kind of outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeKind {
    Disc,
    Ring,
    Plate,
    Gear,
    Chip,
    Bars,
    Cable,
    Free,
    /// A plate that nearly fills the photo, its border in sight on some sides.
    Tile,
    Nut,
    Bracket,
    Capsule,
    Cross,
    Crescent,
}

impl ShapeKind {
    /// Outlines used in training.
    pub const TRAINED: [Self; 9] =
        [Self::Disc, Self::Ring, Self::Plate, Self::Gear, Self::Chip, Self::Bars, Self::Cable, Self::Free, Self::Tile];
    /// Outlines used for validation only.
    pub const HELD_OUT: [Self; 5] = [Self::Nut, Self::Bracket, Self::Capsule, Self::Cross, Self::Crescent];

    /// Nouns for a part of this outline.
    pub fn nouns(self) -> &'static [&'static str] {
        match self {
            Self::Disc => &["disc", "washer", "coin", "lid", "cap", "button", "wafer"],
            Self::Ring => &["ring", "gasket", "seal", "bearing", "washer", "hoop"],
            Self::Plate => &["plate", "panel", "sheet", "board", "cover"],
            Self::Gear => &["gear", "cog", "sprocket", "wheel", "rotor"],
            Self::Chip => &["chip", "transistor", "connector", "circuit", "component"],
            Self::Bars => &["bar", "rod", "rail", "strip", "profile"],
            Self::Cable => &["cable", "wire", "cord", "bundle"],
            Self::Free => &["part", "casting", "workpiece", "piece", "blank"],
            Self::Tile => &["tile", "plate", "slab", "block", "segment", "magnet"],
            Self::Nut => &["nut", "hexagon nut"],
            Self::Bracket => &["bracket", "angle"],
            Self::Capsule => &["capsule", "pill", "tablet"],
            Self::Cross => &["cross", "fitting"],
            Self::Crescent => &["crescent", "clip"],
        }
    }
}

/// One product's outline and how much it moves from photo to photo.
#[derive(Clone, Debug)]
pub struct Shape {
    pub kind: ShapeKind,
    radius: f32,
    aspect: f32,
    count: usize,
    knobs: [f32; 8],
    angle: f32,
    centre: (f32, f32),
    corners: [f32; 20],
    move_px: f32,
    turn: f32,
}

impl Shape {
    /// A random outline of one of `kinds`, in units of 1/128 picture.
    pub fn random(chance: &mut Chance, kinds: &[ShapeKind]) -> Self {
        let kind = chance.choose(kinds);
        let angle = if chance.flip(0.5) { chance.uniform(0.0, TAU) } else { chance.below(4) as f32 * FRAC_PI_2 };
        let turn = if kind == ShapeKind::Tile || chance.flip(0.7) { chance.uniform(0.0, 0.12) } else { 3.0 };
        Self {
            kind,
            radius: chance.uniform(22.0, 72.0),
            aspect: chance.uniform(0.35, 1.0),
            count: 3 + chance.below(13),
            knobs: chance.units(),
            angle,
            centre: (chance.uniform(48.0, 80.0), chance.uniform(48.0, 80.0)),
            corners: std::array::from_fn(|_| chance.uniform(0.6, 1.2)),
            move_px: chance.uniform(0.0, 5.0),
            turn,
        }
    }

    /// Middle of the part in units of 1/128 picture.
    pub fn centre(&self) -> (f32, f32) {
        self.centre
    }

    /// The part in one photo: coverage 0–1.
    pub fn paint(&self, size: usize, chance: &mut Chance) -> Plane {
        let u = size as f32 / 128.0;
        let (cx, cy) = (self.centre.0 + chance.normal() * self.move_px, self.centre.1 + chance.normal() * self.move_px);
        let angle = self.angle + chance.normal() * self.turn;
        let (s, c) = (sin(angle), cos(angle));
        let place = |x: f32, y: f32| ((cx + x * c - y * s) * u, (cy + x * s + y * c) * u);
        let mut m = Plane::filled(size, 0.0);
        let (r, q) = (self.radius, &self.knobs);
        let a = r * self.aspect;
        let rect = |m: &mut Plane, x0: f32, y0: f32, x1: f32, y1: f32, value: f32| {
            m.polygon(&[place(x0, y0), place(x1, y0), place(x1, y1), place(x0, y1)], value);
        };
        let disc = |m: &mut Plane, x: f32, y: f32, radius: f32, value: f32| {
            let (px, py) = place(x, y);
            m.disc(px, py, radius.max(0.7) * u, value);
        };
        let around = |n: usize, radius: &dyn Fn(usize) -> f32| -> Vec<(f32, f32)> {
            (0..n)
                .map(|i| {
                    let t = TAU * i as f32 / n as f32;
                    place(cos(t) * radius(i), sin(t) * radius(i))
                })
                .collect()
        };
        match self.kind {
            ShapeKind::Disc => disc(&mut m, 0.0, 0.0, r, 1.0),
            ShapeKind::Ring => {
                disc(&mut m, 0.0, 0.0, r, 1.0);
                disc(&mut m, 0.0, 0.0, r * (0.3 + 0.5 * q[0]), 0.0);
            }
            ShapeKind::Plate => {
                rect(&mut m, -r, -a, r, a, 1.0);
                for hole in 0..(q[1] * 5.0) as usize {
                    let (x, y) = ((-0.75 + 1.5 * (hole % 2) as f32) * r, (-0.7 + 1.4 * (hole / 2 % 2) as f32) * a);
                    disc(&mut m, x, y, a * 0.12 + 1.0, 0.0);
                }
            }
            ShapeKind::Gear => {
                let teeth = self.count + 4;
                let depth = 0.1 + 0.15 * q[0];
                m.polygon(&around(teeth * 6, &|i| r * if i % 6 < 3 { 1.0 } else { 1.0 - depth }), 1.0);
                if q[1] > 0.4 {
                    disc(&mut m, 0.0, 0.0, r * 0.3, 0.0);
                }
            }
            ShapeKind::Chip => {
                rect(&mut m, -r * 0.6, -a * 0.6, r * 0.6, a * 0.6, 1.0);
                let n = 2 + self.count / 3;
                let half = r * 1.1 / n as f32 * 0.22 + 1.0;
                for lead in 0..n {
                    let x = -r * 0.5 + lead as f32 * r / (n - 1) as f32;
                    rect(&mut m, x - half, a * 0.5, x + half, a * 1.6, 1.0);
                    if q[2] > 0.5 {
                        rect(&mut m, x - half, -a * 1.6, x + half, -a * 0.5, 1.0);
                    }
                }
            }
            ShapeKind::Bars => {
                let n = 1 + self.count / 4;
                let half = 90.0 / n as f32 * (0.15 + 0.3 * q[0]);
                for bar in 0..n {
                    let x = (bar as f32 - (n - 1) as f32 * 0.5) * 100.0 / n as f32;
                    rect(&mut m, x - half, -160.0, x + half, 160.0, 1.0);
                }
            }
            ShapeKind::Cable => {
                let n = 3 + (q[0] * 4.0) as usize;
                for strand in 0..n {
                    let t = TAU * strand as f32 / n as f32;
                    disc(&mut m, cos(t) * r * 0.55, sin(t) * r * 0.55, r * (0.25 + 0.15 * q[1]), 1.0);
                }
            }
            ShapeKind::Free => m.polygon(&around(self.count, &|i| r * self.corners[i % self.corners.len()]), 1.0),
            ShapeKind::Tile => {
                // Margins in units of 1/128; a negative one lies outside the photo.
                let margin = |i: usize| -60.0 + self.corners[i] * 62.0 + 12.0 * q[i] * q[i];
                let (dx, dy) = (cx - self.centre.0, cy - self.centre.1);
                let tilt = (angle - self.angle) * 0.5;
                let (ts, tc) = (sin(tilt), cos(tilt));
                let corner = |x: f32, y: f32| {
                    let (x, y) = (x + dx - 64.0, y + dy - 64.0);
                    ((64.0 + x * tc - y * ts) * u, (64.0 + x * ts + y * tc) * u)
                };
                let (l, t, rr, b) = (margin(0), margin(1), 128.0 - margin(2), 128.0 - margin(3));
                m.polygon(&[corner(l, t), corner(rr, t), corner(rr, b), corner(l, b)], 1.0);
            }
            ShapeKind::Nut => {
                m.polygon(&around(6, &|_| r), 1.0);
                disc(&mut m, 0.0, 0.0, r * (0.35 + 0.25 * q[0]), 0.0);
            }
            ShapeKind::Bracket => {
                let w = r * (0.3 + 0.4 * q[0]);
                rect(&mut m, -r, -r, -r + w, r, 1.0);
                rect(&mut m, -r, r - w, r, r, 1.0);
                disc(&mut m, -r + w * 0.5, -r * 0.7, w * 0.2, 0.0);
            }
            ShapeKind::Capsule => {
                let half = r * (0.25 + 0.25 * q[0]);
                rect(&mut m, -r + half, -half, r - half, half, 1.0);
                disc(&mut m, -r + half, 0.0, half, 1.0);
                disc(&mut m, r - half, 0.0, half, 1.0);
            }
            ShapeKind::Cross => {
                let w = r * (0.2 + 0.25 * q[0]);
                rect(&mut m, -r, -w, r, w, 1.0);
                rect(&mut m, -w, -r, w, r, 1.0);
            }
            ShapeKind::Crescent => {
                disc(&mut m, 0.0, 0.0, r, 1.0);
                disc(&mut m, r * (0.35 + 0.3 * q[0]), 0.0, r * 0.75, 0.0);
            }
        }
        m
    }
}
