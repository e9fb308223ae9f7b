//! Defects painted into a photo of a normal part, each with the pixels it changed: thin ones (scratch, crack), small
//! ones (hole, stain, dent, foreign matter), missing and misplaced pieces, and ones that cover a tenth to a half of the
//! part (roughness, uneven brightness, a frayed border).

use std::f32::consts::TAU;

use super::canvas::{Canvas, Plane};
use super::chance::{Chance, cos, exp, sin};

/// What is wrong with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DefectKind {
    Scratch = 1,
    Crack,
    Hole,
    Stain,
    Dent,
    Missing,
    Contamination,
    Distortion,
    Rough,
    Uneven,
    Fray,
}

impl DefectKind {
    pub const ALL: [Self; 11] = [
        Self::Scratch,
        Self::Crack,
        Self::Hole,
        Self::Stain,
        Self::Dent,
        Self::Missing,
        Self::Contamination,
        Self::Distortion,
        Self::Rough,
        Self::Uneven,
        Self::Fray,
    ];

    /// Name of the folder in a written dataset.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Crack => "crack",
            Self::Hole => "hole",
            Self::Stain => "stain",
            Self::Dent => "dent",
            Self::Missing => "missing",
            Self::Contamination => "contamination",
            Self::Distortion => "distortion",
            Self::Rough => "rough",
            Self::Uneven => "uneven",
            Self::Fray => "fray",
        }
    }
}

/// What a defect needs to know of the photo besides its pixels.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Coverage of the part; `None` where the part fills the photo.
    pub part: Option<&'a Plane>,
    /// What lies behind the part.
    pub background: Option<&'a Canvas>,
    /// Another surface, for foreign matter and what lies underneath.
    pub other: &'a Canvas,
}

/// A random outline around (`cx`, `cy`) with about the radius `r`.
fn blob(chance: &mut Chance, size: usize, cx: f32, cy: f32, r: f32) -> Plane {
    const POINTS: usize = 28;
    let radii: [f32; 7] = std::array::from_fn(|_| chance.uniform(0.6, 1.3));
    let (squash, angle) = (chance.uniform(0.4, 1.0), chance.uniform(0.0, TAU));
    let (s, c) = (sin(angle), cos(angle));
    let points: Vec<(f32, f32)> = (0..POINTS)
        .map(|i| {
            let at = i as f32 / POINTS as f32 * 7.0;
            let (k, f) = (at as usize, at - at.floor());
            let radius = r * (radii[k] * (1.0 - f) + radii[(k + 1) % 7] * f);
            let t = TAU * i as f32 / POINTS as f32;
            let (x, y) = (cos(t) * radius, sin(t) * radius * squash);
            (cx + x * c - y * s, cy + x * s + y * c)
        })
        .collect();
    let mut plane = Plane::filled(size, 0.0);
    plane.polygon(&points, 1.0);
    plane
}

/// A wandering line from (`x`, `y`); `jag` is the wander per step in radians, branches grow where asked for.
fn line(chance: &mut Chance, size: usize, start: (f32, f32), length: f32, width: f32, jag: f32, branch: bool) -> Plane {
    let u = size as f32 / 128.0;
    let mut plane = Plane::filled(size, 0.0);
    let mut open = vec![(start.0, start.1, chance.uniform(0.0, TAU), length)];
    let mut branches = 0;
    while let Some((mut x, mut y, heading, length)) = open.pop() {
        let steps = ((length / (5.0 * u)) as usize).max(3);
        let (mut angle, stride) = (heading, length / steps as f32);
        let mut points = vec![(x, y)];
        for _ in 0..steps {
            angle = if jag > 0.3 { heading } else { angle } + chance.normal() * jag;
            x += cos(angle) * stride;
            y += sin(angle) * stride;
            points.push((x, y));
            if branch && branches < 4 && length > 15.0 * u && chance.flip(0.08) {
                branches += 1;
                let away = angle + chance.sign() * chance.uniform(0.5, 1.2);
                open.push((x, y, away, length * chance.uniform(0.2, 0.5)));
            }
        }
        plane.stroke(&points, width);
    }
    plane
}

/// A point inside the part, or anywhere for a surface.
fn place(chance: &mut Chance, size: usize, part: Option<&Plane>) -> (f32, f32) {
    let n = size as f32;
    if let Some(part) = part
        && chance.flip(0.93)
    {
        for _ in 0..40 {
            let (x, y) = (chance.uniform(0.0, n), chance.uniform(0.0, n));
            if part.near(x, y) > 0.5 {
                return (x, y);
            }
        }
    }
    (chance.uniform(0.05 * n, 0.95 * n), chance.uniform(0.05 * n, 0.95 * n))
}

/// A point on the border of the part, if it has one in sight.
fn border(chance: &mut Chance, part: Option<&Plane>) -> Option<(f32, f32)> {
    let part = part?;
    let n = part.size;
    let on_border = |x: usize, y: usize| {
        let inside = part.at(x, y) > 0.5;
        inside
            && (part.at(x + 1, y) < 0.5
                || part.at(x, y + 1) < 0.5
                || part.at(x - 1, y) < 0.5
                || part.at(x, y - 1) < 0.5)
    };
    let points: Vec<(usize, usize)> =
        (1..n - 1).flat_map(|y| (1..n - 1).map(move |x| (x, y))).filter(|&(x, y)| on_border(x, y)).collect();
    (!points.is_empty()).then(|| {
        let (x, y) = chance.choose(&points);
        (x as f32, y as f32)
    })
}

/// Paints a defect of `kind` and returns the photo with it and the pixels it visibly changed (1 or 0). The mask may be
/// empty when chance put the defect where it cannot be seen.
pub fn paint(photo: &Canvas, scene: &Scene<'_>, kind: DefectKind, chance: &mut Chance) -> (Canvas, Plane) {
    let size = photo.size();
    let u = size as f32 / 128.0;
    let radius = chance.log_uniform(3.0, 26.0) * u;
    let (cx, cy) = place(chance, size, scene.part);
    let strength = chance.uniform(0.1, 0.7);
    let light = photo.light(cx, cy);
    let mut sign = chance.sign();
    if light > 0.7 {
        sign = if chance.flip(0.8) { -1.0 } else { 1.0 };
    } else if light < 0.25 {
        sign = if chance.flip(0.8) { 1.0 } else { -1.0 };
    }
    let on_part = |plane: Plane| match scene.part {
        Some(part) => plane.zip(part, |a, b| a * b),
        None => plane,
    };
    // The region of defects that cover an area; thin and small ones are told by the difference alone.
    let mut area: Option<Plane> = None;
    let painted = match kind {
        DefectKind::Scratch => {
            let (length, width) = (chance.uniform(15.0, 90.0) * u, chance.choose(&[0.6, 0.8, 1.0, 1.5, 2.0, 3.0]) * u);
            let jag = chance.choose(&[0.02, 0.05, 0.12]);
            let mut m = line(chance, size, (cx, cy), length, width, jag, false);
            if chance.flip(0.15) {
                for _ in 0..3 {
                    let near = (cx + chance.normal() * 8.0 * u, cy + chance.normal() * 8.0 * u);
                    let more = line(chance, size, near, length * 0.6, width, 0.05, false);
                    m = m.zip(&more, f32::max);
                }
            }
            if chance.flip(0.8) {
                m = on_part(m);
            }
            photo.clone().zip(&m, |v, m| v + m * sign * strength)
        }
        DefectKind::Crack => {
            let (length, width) =
                (chance.uniform(15.0, 100.0) * u, chance.choose(&[0.7, 1.0, 1.0, 1.5, 2.0, 3.0, 4.0]) * u);
            let jag = chance.uniform(0.3, 1.0);
            let m = on_part(line(chance, size, (cx, cy), length, width, jag, true));
            let dark = (strength + 0.25).min(1.0);
            if chance.flip(0.85) {
                photo.clone().zip(&m, |v, m| v * (1.0 - m * dark))
            } else {
                photo.clone().zip(&m, |v, m| v + m * strength)
            }
        }
        DefectKind::Hole => {
            let count = if chance.flip(0.2) { 2 + chance.below(5) } else { 1 };
            let mut m = blob(chance, size, cx, cy, radius * 0.5 + 1.2 * u);
            for _ in 1..count {
                let (x, y) = (cx + chance.normal() * 14.0 * u, cy + chance.normal() * 14.0 * u);
                let r = chance.uniform(1.2, 4.0) * u;
                let more = blob(chance, size, x, y, r);
                m = m.zip(&more, f32::max);
            }
            let inside = if chance.flip(0.85) { light * chance.uniform(0.0, 0.55) } else { chance.uniform(0.7, 1.0) };
            let soft = m.blurred(chance.uniform(0.4, 1.2) * u);
            let mut out = photo.clone().tinted([inside; 3], &soft);
            if chance.flip(0.4) {
                let rim = m.blurred(2.0 * u).zip(&m, |a, b| (a - b).clamp(0.0, 1.0));
                let gain = chance.uniform(-0.5, 0.6);
                out = out.zip(&rim, |v, r| v + r * gain);
            }
            out
        }
        DefectKind::Stain => {
            let m = blob(chance, size, cx, cy, radius + 4.0 * u)
                .blurred(chance.uniform(0.5 * u, (radius * 0.4).max(0.6 * u)));
            let cloud = Plane::fractal(chance, size, 8.0, 2, 0.5, 1.0);
            let opacity = chance.uniform(0.3, 0.9);
            let m = m.zip(&cloud, |m, c| (m * (1.0 + 0.3 * c)).clamp(0.0, 1.0) * opacity);
            let tone = (light + sign * strength).clamp(0.0, 1.0);
            let hue = if chance.flip(0.4) { 0.3 } else { 0.0 };
            let colour = [0; 3].map(|_| (tone + chance.uniform(-1.0, 1.0) * hue).clamp(0.0, 1.0));
            photo.clone().tinted(colour, &m)
        }
        DefectKind::Dent => {
            let m = blob(chance, size, cx, cy, radius + 4.0 * u);
            let (gx, gy) = m.blurred((radius * 0.3).max(1.2 * u)).gradient();
            let angle = chance.uniform(0.0, TAU);
            let (s, c) = (sin(angle), cos(angle));
            let slope = gx.zip(&gy, |x, y| x * c + y * s);
            let gain = (strength * 0.7).max(0.12) / (slope.data.iter().fold(0.0_f32, |a, v| a.max(v.abs())) + 1e-5);
            area = Some(m);
            photo.clone().zip(&slope, |v, e| v + e * gain)
        }
        DefectKind::Missing => {
            let edge = border(chance, scene.part).filter(|_| chance.flip(0.85));
            let (m, below) = if let (Some((x, y)), Some(background)) = (edge, scene.background) {
                (on_part(blob(chance, size, x, y, radius + 3.0 * u)), background.clone())
            } else {
                let tone = (light + sign * strength).clamp(0.0, 1.0);
                let below = if chance.flip(0.5) { scene.other.clone() } else { Canvas::filled(size, [tone; 3]) };
                let x = if chance.flip(0.5) { chance.choose(&[0.0, size as f32]) } else { cx };
                (blob(chance, size, x, cy, radius + 4.0 * u), below)
            };
            let mut out = photo.clone().covered(&below, &m);
            if chance.flip(0.5) {
                // The broken face: a rough rim, lighter or darker.
                let rim = m.blurred(2.5 * u).zip(&m, |a, b| (a - b).clamp(0.0, 1.0));
                let rough = Plane::noise(chance, size, 64.0, 64.0);
                let gain = chance.uniform(-0.9, 0.9);
                out = out.zip(&on_part(rim.zip(&rough, |r, n| r * (1.0 + 0.5 * n))), |v, r| v + r * gain);
            }
            out
        }
        DefectKind::Contamination => match chance.below(3) {
            0 => {
                let m = blob(chance, size, cx, cy, radius * 0.8 + 2.0 * u);
                photo.clone().covered(scene.other, &m)
            }
            1 => {
                let (length, width) = (chance.uniform(12.0, 60.0) * u, chance.choose(&[1.0, 2.0, 3.0]) * u);
                let m = line(chance, size, (cx, cy), length, width, 0.15, false);
                let tone = (light + sign * (strength + 0.1)).clamp(0.0, 1.0);
                let colour = if chance.flip(0.4) { chance.units() } else { [tone; 3] };
                photo.clone().tinted(colour, &m)
            }
            _ => {
                let mut m = Plane::filled(size, 0.0);
                for _ in 0..3 + chance.below(11) {
                    let (x, y) = (cx + chance.normal() * radius * 0.8, cy + chance.normal() * radius * 0.8);
                    let r = chance.uniform(1.0, 3.0) * u;
                    let grain = blob(chance, size, x, y, r);
                    m = m.zip(&grain, f32::max);
                }
                photo.clone().tinted([(light + sign * (strength + 0.1)).clamp(0.0, 1.0); 3], &m)
            }
        },
        DefectKind::Distortion => {
            let m = blob(chance, size, cx, cy, radius + 7.0 * u);
            let soft = m.blurred(1.5 * u);
            area = Some(m);
            if chance.flip(0.5) {
                let reach = chance.uniform(3.0, 10.0) * u;
                let dx = Plane::noise(chance, size, 8.0, 8.0).zip(&soft, |d, m| d * m * reach);
                let dy = Plane::noise(chance, size, 8.0, 8.0).zip(&soft, |d, m| d * m * reach);
                photo.displaced(&dx, &dy)
            } else {
                let angle = chance.uniform(0.45, 2.7);
                let (s, c) = (sin(angle), cos(angle));
                let dx = Plane::from_fn(size, |x, y| (x - cx) * (c - 1.0) - (y - cy) * s);
                let dy = Plane::from_fn(size, |x, y| (x - cx) * s + (y - cy) * (c - 1.0));
                let turned = photo.displaced(&dx, &dy);
                photo.clone().covered(&turned, &soft)
            }
        }
        DefectKind::Rough => {
            let m = on_part(wide(chance, size, cx, cy, u));
            let cells = 128.0 / chance.uniform(1.2, 6.0);
            let grain = if chance.flip(0.5) {
                Plane::noise(chance, size, cells, cells)
            } else {
                let cells = cells * 0.5;
                Plane::fractal(chance, size, cells, 2, 0.9, 1.0).map(|v| if v > 0.8 { v } else { 0.15 * v })
            };
            let gain = chance.uniform(0.06, 0.28);
            let shift = chance.normal() * 0.05;
            let soft = m.blurred(chance.uniform(0.5, 5.0) * u);
            area = Some(m);
            photo.clone().zip(&soft.zip(&grain, |m, g| m * (g * gain + shift)), |v, d| v + d)
        }
        DefectKind::Uneven => {
            let m =
                on_part(if chance.flip(0.5) { wide(chance, size, cx, cy, u) } else { band(chance, size, cx, cy, u) });
            let soft = m.blurred(chance.log_uniform(0.5, 9.0) * u);
            let cloud = Plane::noise(chance, size, 6.0, 6.0);
            let gain = chance.uniform(0.1, 0.4) * sign;
            area = Some(soft.clone().map(|v| if v > 0.4 { 1.0 } else { 0.0 }));
            let flatten = chance.flip(0.4);
            let smooth = photo.blurred(3.0 * u);
            let calm = soft.clone().map(|v| if flatten { v * 0.8 } else { 0.0 });
            let shade = soft.zip(&cloud, |m, c| m * (1.0 + 0.25 * c) * gain);
            photo.clone().covered(&smooth, &calm).zip(&shade, |v, d| v * (1.0 + d * 0.5) + d * 0.5)
        }
        DefectKind::Fray => {
            let (x, y) = border(chance, scene.part).unwrap_or((cx, cy));
            let reach = chance.uniform(6.0, 22.0) * u;
            let r = reach * chance.uniform(1.0, 1.8);
            let seed = blob(chance, size, x, y, r);
            let near = match scene.part {
                // Along the border: where the part is close to its outside.
                Some(part) => {
                    let open = part.blurred(reach * 0.35);
                    seed.zip(&open, |a, o| if o < 0.93 { a } else { 0.0 }).zip(part, |a, p| a * p)
                }
                None => seed,
            };
            let cells = 128.0 / chance.uniform(2.0, 6.0);
            let torn = Plane::fractal(chance, size, cells, 2, 0.7, 1.0);
            let level = chance.uniform(-0.4, 0.5);
            let hole = near.clone().zip(&torn, |m, t| m * ((t - level) * 3.0).clamp(0.0, 1.0));
            area = Some(near);
            match scene.background {
                Some(background) if chance.flip(0.6) => photo.clone().covered(background, &hole),
                _ => {
                    let tone = (light + sign * (strength + 0.05)).clamp(0.0, 1.0);
                    photo.clone().tinted([tone; 3], &hole)
                }
            }
        }
    };
    let painted = painted.map(|v| v.clamp(0.0, 1.0));
    let difference = painted.difference(photo);
    let mask = match area {
        Some(area) => {
            let local = difference.blurred(3.0 * u);
            area.zip(&local, |a, d| f32::from(u8::from(a > 0.4 && d > 0.012)))
        }
        None => difference.blurred(0.6 * u).map(|d| f32::from(u8::from(d > 0.03))),
    };
    (painted, mask)
}

/// An irregular region that covers about a tenth to a half of the photo.
fn wide(chance: &mut Chance, size: usize, cx: f32, cy: f32, u: f32) -> Plane {
    let r = chance.uniform(20.0, 52.0) * u;
    let cells = chance.uniform(4.0, 12.0);
    let ragged = Plane::noise(chance, size, cells, cells);
    let (angle, squash) = (chance.uniform(0.0, TAU), chance.uniform(0.4, 1.0));
    let (s, c) = (sin(angle), cos(angle));
    Plane::from_fn(size, |x, y| {
        let (dx, dy) = (x - cx, y - cy);
        let (a, b) = (dx * c + dy * s, (dy * c - dx * s) / squash);
        let inside = 1.0 - (a * a + b * b).sqrt() / r + 0.25 * ragged.data[y as usize * size + x as usize];
        (inside * r * 0.3).clamp(0.0, 1.0)
    })
}

/// A straight band across the photo, as a wrong pass of a tool leaves it.
fn band(chance: &mut Chance, size: usize, cx: f32, cy: f32, u: f32) -> Plane {
    let angle = if chance.flip(0.5) { chance.below(2) as f32 * TAU / 4.0 } else { chance.uniform(0.0, TAU) };
    let (s, c, half) = (sin(angle), cos(angle), chance.uniform(5.0, 24.0) * u);
    let sharp = exp(chance.uniform(-2.0, 0.7));
    Plane::from_fn(size, |x, y| ((half - ((x - cx) * c + (y - cy) * s).abs()) * sharp).clamp(0.0, 1.0))
}
