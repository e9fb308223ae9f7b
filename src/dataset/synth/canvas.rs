//! What the generator paints on: one grey plane, or three for a colour picture, with noise, blur, resampling and
//! anti-aliased shapes. Values are 0–1 where they mean light or coverage, free where they mean noise.

use super::chance::Chance;

/// A square grey picture, row by row.
#[derive(Clone, Debug)]
pub struct Plane {
    pub size: usize,
    pub data: Vec<f32>,
}

/// A square colour picture: red, green, blue.
#[derive(Clone, Debug)]
pub struct Canvas {
    pub rgb: [Plane; 3],
}

impl Plane {
    pub fn filled(size: usize, value: f32) -> Self {
        Self { size, data: vec![value; size * size] }
    }

    pub fn at(&self, x: usize, y: usize) -> f32 {
        self.data[y * self.size + x]
    }

    /// Value at the pixel nearest to (x, y), clamped to the picture.
    pub fn near(&self, x: f32, y: f32) -> f32 {
        let top = (self.size - 1) as f32;
        self.at(x.clamp(0.0, top) as usize, y.clamp(0.0, top) as usize)
    }

    /// Each value replaced by `f(value)`.
    #[must_use]
    pub fn map(mut self, f: impl Fn(f32) -> f32) -> Self {
        self.data.iter_mut().for_each(|v| *v = f(*v));
        self
    }

    /// Each value replaced by `f(value, other's value)`.
    #[must_use]
    pub fn zip(mut self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        self.data.iter_mut().zip(&other.data).for_each(|(v, o)| *v = f(*v, *o));
        self
    }

    /// A picture from a function of (x, y).
    pub fn from_fn(size: usize, mut f: impl FnMut(f32, f32) -> f32) -> Self {
        let mut data = Vec::with_capacity(size * size);
        for y in 0..size {
            data.extend((0..size).map(|x| f(x as f32, y as f32)));
        }
        Self { size, data }
    }

    pub fn mean(&self) -> f32 {
        self.data.iter().sum::<f32>() / self.data.len() as f32
    }

    pub fn max(&self) -> f32 {
        self.data.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Mean 0.5 and standard deviation 0.22, clamped to 0–1: any noise as a texture.
    #[must_use]
    pub fn as_texture(self) -> Self {
        let mean = self.mean();
        let variance = self.data.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / self.data.len() as f32;
        let gain = 0.22 / (variance.sqrt() + 1e-5);
        self.map(|v| ((v - mean) * gain + 0.5).clamp(0.0, 1.0))
    }

    /// Smooth Gaussian noise with `columns` × `rows` independent cells across the picture (Catmull–Rom between them).
    pub fn noise(chance: &mut Chance, size: usize, columns: f32, rows: f32) -> Self {
        let cells = |n: f32| (n as usize).clamp(2, size);
        let (columns, rows) = (cells(columns), cells(rows));
        let (across, down) = (taps(columns, size), taps(rows, size));
        let mut wide = vec![0.0_f32; (rows + 3) * size];
        for line in wide.chunks_exact_mut(size) {
            let grid: Vec<f32> = (0..columns + 3).map(|_| chance.coarse_normal()).collect();
            for (value, (start, w)) in line.iter_mut().zip(&across) {
                let g = &grid[*start..*start + 4];
                *value = g[0] * w[0] + g[1] * w[1] + g[2] * w[2] + g[3] * w[3];
            }
        }
        let mut data = vec![0.0_f32; size * size];
        for (line, (start, w)) in data.chunks_exact_mut(size).zip(&down) {
            let row = |k: usize| &wide[(start + k) * size..(start + k + 1) * size];
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            for (x, value) in line.iter_mut().enumerate() {
                *value = a[x] * w[0] + b[x] * w[1] + c[x] * w[2] + d[x] * w[3];
            }
        }
        Self { size, data }
    }

    /// Noise of several octaves, the first with `base` cells, each next one twice as fine and `decay` times as strong;
    /// `stretch` > 1 makes it finer along y than along x.
    pub fn fractal(chance: &mut Chance, size: usize, base: f32, octaves: usize, decay: f32, stretch: f32) -> Self {
        let mut sum = Self::noise(chance, size, base, base * stretch);
        let (mut cells, mut strength) = (base, 1.0);
        for _ in 1..octaves {
            cells *= 2.0;
            strength *= decay;
            if cells >= size as f32 {
                break;
            }
            let next = Self::noise(chance, size, cells, cells * stretch);
            sum = sum.zip(&next, |a, b| a + strength * b);
        }
        sum
    }

    /// Gaussian blur with standard deviation `sigma` pixels, border repeated; below 0.2 the picture as it is.
    #[must_use]
    pub fn blurred(&self, sigma: f32) -> Self {
        if sigma < 0.2 {
            return self.clone();
        }
        let radius = ((sigma * 2.6).ceil() as usize).min(self.size - 1);
        let mut kernel: Vec<f32> = (0..=2 * radius)
            .map(|i| {
                let d = (i as f32 - radius as f32) / sigma;
                super::chance::exp(-0.5 * d * d)
            })
            .collect();
        let sum: f32 = kernel.iter().sum();
        for k in &mut kernel {
            *k /= sum;
        }
        let n = self.size;
        let mut padded = vec![0.0_f32; n + 2 * radius];
        let mut half = vec![0.0_f32; n * n];
        for (line, out) in self.data.chunks_exact(n).zip(half.chunks_exact_mut(n)) {
            padded[..radius].fill(line[0]);
            padded[radius..radius + n].copy_from_slice(line);
            padded[radius + n..].fill(line[n - 1]);
            for (k, &weight) in kernel.iter().enumerate() {
                for (o, v) in out.iter_mut().zip(&padded[k..k + n]) {
                    *o += weight * v;
                }
            }
        }
        let mut data = vec![0.0_f32; n * n];
        for (y, out) in data.chunks_exact_mut(n).enumerate() {
            for (k, &weight) in kernel.iter().enumerate() {
                let row = (y + k).saturating_sub(radius).min(n - 1);
                for (o, v) in out.iter_mut().zip(&half[row * n..(row + 1) * n]) {
                    *o += weight * v;
                }
            }
        }
        Self { size: n, data }
    }

    /// Derivatives (along x, along y) by central differences.
    pub fn gradient(&self) -> (Self, Self) {
        let last = self.size - 1;
        let along_x = |x: f32, y: f32| {
            let (x, y) = (x as usize, y as usize);
            0.5 * (self.at((x + 1).min(last), y) - self.at(x.saturating_sub(1), y))
        };
        let along_y = |x: f32, y: f32| {
            let (x, y) = (x as usize, y as usize);
            0.5 * (self.at(x, (y + 1).min(last)) - self.at(x, y.saturating_sub(1)))
        };
        (Self::from_fn(self.size, along_x), Self::from_fn(self.size, along_y))
    }

    /// Bilinear value at (x, y), mirrored at the border.
    pub fn sample(&self, x: f32, y: f32) -> f32 {
        let mirror = |v: f32| {
            let top = (self.size - 1) as f32;
            let v = v.abs();
            let v = if v > top { 2.0 * top - v } else { v };
            v.clamp(0.0, top)
        };
        let (x, y) = (mirror(x), mirror(y));
        let (left, up) = (x as usize, y as usize);
        let (right, down) = ((left + 1).min(self.size - 1), (up + 1).min(self.size - 1));
        let (fx, fy) = (x - left as f32, y - up as f32);
        let top = self.at(left, up) * (1.0 - fx) + self.at(right, up) * fx;
        let bottom = self.at(left, down) * (1.0 - fx) + self.at(right, down) * fx;
        top * (1.0 - fy) + bottom * fy
    }

    /// The middle `size` × `size` of the picture turned by `angle` radians.
    #[must_use]
    pub fn turned(&self, size: usize, angle: f32) -> Self {
        let (s, c) = (super::chance::sin(angle), super::chance::cos(angle));
        let (from, to) = ((self.size - 1) as f32 * 0.5, (size - 1) as f32 * 0.5);
        Self::from_fn(size, |x, y| {
            let (dx, dy) = (x - to, y - to);
            self.sample(from + dx * c - dy * s, from + dx * s + dy * c)
        })
    }

    /// Paints a filled polygon of any winding by taking the larger of picture and coverage × `value`; with
    /// `value` = 0 it cuts the polygon out.
    pub fn polygon(&mut self, points: &[(f32, f32)], value: f32) {
        const SUB: usize = 4;
        let n = self.size;
        let low = points.iter().map(|p| p.1).fold(f32::INFINITY, f32::min).floor().max(0.0) as usize;
        let high = points.iter().map(|p| p.1).fold(f32::NEG_INFINITY, f32::max).ceil().clamp(0.0, n as f32) as usize;
        let mut coverage = vec![0.0_f32; n];
        let mut crossings = Vec::new();
        for y in low..high {
            coverage.fill(0.0);
            for sub in 0..SUB {
                let at = y as f32 + (sub as f32 + 0.5) / SUB as f32;
                crossings.clear();
                for (i, &(x0, y0)) in points.iter().enumerate() {
                    let (x1, y1) = points[(i + 1) % points.len()];
                    if (y0 <= at) != (y1 <= at) {
                        crossings.push(x0 + (at - y0) / (y1 - y0) * (x1 - x0));
                    }
                }
                crossings.sort_by(f32::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    span(&mut coverage, pair[0], pair[1], 1.0 / SUB as f32);
                }
            }
            let line = &mut self.data[y * n..(y + 1) * n];
            for (pixel, &c) in line.iter_mut().zip(&coverage) {
                let c = c.min(1.0);
                *pixel = if value > 0.0 { pixel.max(c * value) } else { pixel.min(1.0 - c) };
            }
        }
    }

    /// Paints a disc, like [`Plane::polygon`].
    pub fn disc(&mut self, cx: f32, cy: f32, radius: f32, value: f32) {
        self.region(cx - radius, cy - radius, cx + radius, cy + radius, |x, y, pixel| {
            let c = (radius + 0.5 - ((x - cx) * (x - cx) + (y - cy) * (y - cy)).sqrt()).clamp(0.0, 1.0);
            if value > 0.0 { pixel.max(c * value) } else { pixel.min(1.0 - c) }
        });
    }

    /// Paints a line through `points`, `width` pixels wide; thinner than a pixel it becomes fainter instead.
    pub fn stroke(&mut self, points: &[(f32, f32)], width: f32) {
        let (half, strength) = (width.max(1.0) * 0.5, width.clamp(0.3, 1.0));
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let (dx, dy) = (x1 - x0, y1 - y0);
            let square = (dx * dx + dy * dy).max(1e-6);
            self.region(x0.min(x1) - half, y0.min(y1) - half, x0.max(x1) + half, y0.max(y1) + half, |x, y, pixel| {
                let t = (((x - x0) * dx + (y - y0) * dy) / square).clamp(0.0, 1.0);
                let (ex, ey) = (x - x0 - t * dx, y - y0 - t * dy);
                let c = (half + 0.5 - (ex * ex + ey * ey).sqrt()).clamp(0.0, 1.0);
                pixel.max(c * strength)
            });
        }
    }

    /// Calls `f(x, y, value)` for the pixels of a box (one pixel wider on each side) and stores what it returns.
    fn region(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, f: impl Fn(f32, f32, f32) -> f32) {
        let n = self.size as f32;
        let range = |low: f32, high: f32| ((low - 1.0).clamp(0.0, n) as usize, (high + 2.0).clamp(0.0, n) as usize);
        let ((left, right), (top, bottom)) = (range(x0, x1), range(y0, y1));
        for y in top..bottom {
            for x in left..right {
                let pixel = &mut self.data[y * self.size + x];
                *pixel = f(x as f32, y as f32, *pixel);
            }
        }
    }
}

/// Where each of `size` pixels lies among `cells` + 3 knots, and its four Catmull–Rom weights.
fn taps(cells: usize, size: usize) -> Vec<(usize, [f32; 4])> {
    (0..size)
        .map(|i| {
            let at = (i as f32 + 0.5) / size as f32 * (cells as f32 - 0.01);
            let t = at - at.floor();
            let (t2, t3) = (t * t, t * t * t);
            let w = [
                -0.5 * t + t2 - 0.5 * t3,
                1.0 - 2.5 * t2 + 1.5 * t3,
                0.5 * t + 2.0 * t2 - 1.5 * t3,
                -0.5 * t2 + 0.5 * t3,
            ];
            (at as usize, w)
        })
        .collect()
}

/// Adds `weight` × the covered part of each pixel between `from` and `to` on one line.
fn span(line: &mut [f32], from: f32, to: f32, weight: f32) {
    let n = line.len() as f32;
    let (from, to) = (from.clamp(0.0, n), to.clamp(0.0, n));
    if to <= from {
        return;
    }
    let (first, last) = (from as usize, (to as usize).min(line.len() - 1));
    if first == last {
        line[first] += weight * (to - from);
        return;
    }
    line[first] += weight * (first as f32 + 1.0 - from);
    line[first + 1..last].iter_mut().for_each(|v| *v += weight);
    line[last] += weight * (to - last as f32);
}

impl Canvas {
    pub fn filled(size: usize, colour: [f32; 3]) -> Self {
        Self { rgb: colour.map(|c| Plane::filled(size, c)) }
    }

    pub fn size(&self) -> usize {
        self.rgb[0].size
    }

    /// `low` where `t` is 0, `high` where it is 1.
    pub fn between(low: [f32; 3], high: [f32; 3], t: &Plane) -> Self {
        let plane = |c: usize| t.clone().map(|t| low[c] + (high[c] - low[c]) * t);
        Self { rgb: [plane(0), plane(1), plane(2)] }
    }

    /// Each pixel and its value of `by` through `f`, all channels alike.
    #[must_use]
    pub fn zip(self, by: &Plane, f: impl Fn(f32, f32) -> f32) -> Self {
        Self { rgb: self.rgb.map(|plane| plane.zip(by, &f)) }
    }

    #[must_use]
    pub fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self { rgb: self.rgb.map(|plane| plane.map(&f)) }
    }

    /// `over` painted on top with the opacity `alpha`.
    #[must_use]
    pub fn covered(mut self, over: &Self, alpha: &Plane) -> Self {
        for (plane, top) in self.rgb.iter_mut().zip(&over.rgb) {
            for ((v, o), a) in plane.data.iter_mut().zip(&top.data).zip(&alpha.data) {
                *v += (o - *v) * a;
            }
        }
        self
    }

    /// One colour painted on top with the opacity `alpha`.
    #[must_use]
    pub fn tinted(mut self, colour: [f32; 3], alpha: &Plane) -> Self {
        for (plane, c) in self.rgb.iter_mut().zip(colour) {
            for (v, a) in plane.data.iter_mut().zip(&alpha.data) {
                *v += (c - *v) * a;
            }
        }
        self
    }

    #[must_use]
    pub fn blurred(&self, sigma: f32) -> Self {
        Self { rgb: [0, 1, 2].map(|c| self.rgb[c].blurred(sigma)) }
    }

    /// Pixel (x, y) taken from (x + dx, y + dy) of the picture.
    #[must_use]
    pub fn displaced(&self, dx: &Plane, dy: &Plane) -> Self {
        let n = self.size();
        let plane = |c: usize| {
            Plane::from_fn(n, |x, y| {
                let at = y as usize * n + x as usize;
                self.rgb[c].sample(x + dx.data[at], y + dy.data[at])
            })
        };
        Self { rgb: [plane(0), plane(1), plane(2)] }
    }

    /// Mean of the three channels at the pixel nearest to (x, y).
    pub fn light(&self, x: f32, y: f32) -> f32 {
        self.rgb.iter().map(|plane| plane.near(x, y)).sum::<f32>() / 3.0
    }

    /// Largest difference over the channels, per pixel.
    pub fn difference(&self, other: &Self) -> Plane {
        let n = self.size();
        let mut largest = Plane::filled(n, 0.0);
        for (a, b) in self.rgb.iter().zip(&other.rgb) {
            for (l, (v, w)) in largest.data.iter_mut().zip(a.data.iter().zip(&b.data)) {
                *l = l.max((v - w).abs());
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_their_area() {
        let mut plane = Plane::filled(64, 0.0);
        plane.polygon(&[(10.25, 8.5), (40.75, 8.5), (40.75, 30.0), (10.25, 30.0)], 1.0);
        assert!((plane.data.iter().sum::<f32>() - 30.5 * 21.5).abs() < 0.5);
        let mut disc = Plane::filled(64, 0.0);
        disc.disc(32.0, 32.0, 20.0, 1.0);
        assert!((disc.data.iter().sum::<f32>() - std::f32::consts::PI * 400.0).abs() < 15.0);
        disc.disc(32.0, 32.0, 40.0, 0.0);
        assert!(disc.data.iter().sum::<f32>() < 1.0);
    }

    #[test]
    fn a_blur_keeps_the_mean_and_flattens() {
        let plane = Plane::noise(&mut Chance::new(1, 0, 0, 0), 64, 64.0, 64.0);
        let soft = plane.blurred(3.0);
        assert!((plane.mean() - soft.mean()).abs() < 0.05);
        assert!(soft.max() < 0.5 * plane.max());
    }

    #[test]
    fn turning_by_nothing_cuts_out_the_middle() {
        let plane = Plane::from_fn(41, |x, y| x + 100.0 * y);
        let middle = plane.turned(21, 0.0);
        assert!(
            (middle.at(0, 0) - plane.at(10, 10)).abs() < 1e-2 && (middle.at(20, 20) - plane.at(30, 30)).abs() < 1e-2
        );
    }
}
