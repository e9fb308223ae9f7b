//! The guided filter (He, Sun and Tang 2013, "Guided Image Filtering"): a coarse map takes its edges from the photo. Here
//! the guide is the photo's brightness; cost does not depend on the radius.

use rayon::prelude::*;

/// How strongly the photo shapes the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guided {
    /// Half side of the window in pixels of the photo, ≥ 1.
    pub radius: usize,
    /// Brightness variance (of values in 0–1) below which a window counts as flat, > 0.
    pub epsilon: f32,
}

/// `map` and `guide` are `[height × width]`, row by row; the guide in 0–1. The result is not clamped.
///
/// # Panics
/// If one of them is not of this size.
pub fn filter(map: &[f32], guide: &[f32], width: usize, height: usize, how: Guided) -> Vec<f32> {
    assert!(map.len() == width * height && guide.len() == map.len(), "map and guide are {width} × {height}");
    let mean = |values: &[f32]| box_mean(values, width, height, how.radius);
    let product = |a: &[f32], b: &[f32]| -> Vec<f32> { a.par_iter().zip(b).map(|(a, b)| a * b).collect() };
    let (mean_guide, mean_map) = (mean(guide), mean(map));
    let (mean_square, mean_both) = (mean(&product(guide, guide)), mean(&product(guide, map)));
    // In each window the map is taken for a·guide + b, by least squares.
    let (slope, offset): (Vec<f32>, Vec<f32>) = (0..map.len())
        .into_par_iter()
        .map(|i| {
            let variance = mean_square[i] - mean_guide[i] * mean_guide[i];
            let covariance = mean_both[i] - mean_guide[i] * mean_map[i];
            let slope = covariance / (variance.max(0.0) + how.epsilon);
            (slope, mean_map[i] - slope * mean_guide[i])
        })
        .unzip();
    let (slope, offset) = (mean(&slope), mean(&offset));
    slope.par_iter().zip(&offset).zip(guide).map(|((slope, offset), guide)| slope * guide + offset).collect()
}

/// Mean over the window around each pixel, cut off at the borders.
fn box_mean(values: &[f32], width: usize, height: usize, radius: usize) -> Vec<f32> {
    let across: Vec<f32> = values
        .par_chunks(width.max(1))
        .flat_map_iter(|row| sliding_mean(row.iter().copied(), row.len(), radius))
        .collect();
    let mut out = vec![0.0; values.len()];
    let columns: Vec<Vec<f32>> = (0..width)
        .into_par_iter()
        .map(|x| sliding_mean((0..height).map(|y| across[y * width + x]), height, radius))
        .collect();
    out.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        row.iter_mut().zip(&columns).for_each(|(out, column)| *out = column[y]);
    });
    out
}

fn sliding_mean(values: impl Iterator<Item = f32>, count: usize, radius: usize) -> Vec<f32> {
    // Sums in f64: differences of running sums lose too much in f32.
    let mut sums = Vec::with_capacity(count + 1);
    sums.push(0.0f64);
    for value in values {
        sums.push(sums[sums.len() - 1] + f64::from(value));
    }
    (0..count)
        .map(|at| {
            let (from, to) = (at.saturating_sub(radius), (at + radius + 1).min(count));
            ((sums[to] - sums[from]) / (to - from) as f64) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_formula_of_the_paper_written_out() {
        let (width, height) = (7, 5);
        let noise = |seed: u32| -> Vec<f32> {
            (0..35u32).map(|i| ((i * 31 + seed).wrapping_mul(2_654_435_761) >> 9) as f32 / (1 << 23) as f32).collect()
        };
        let (map, guide) = (noise(3), noise(17));
        let how = Guided { radius: 2, epsilon: 0.01 };
        let window = |x: i32, y: i32| {
            let inside = move |v: i32, n: usize| (v - 2).max(0) as usize..=((v + 2) as usize).min(n - 1);
            inside(y, height).flat_map(move |yy| inside(x, width).map(move |xx| yy * width + xx)).collect::<Vec<_>>()
        };
        let mean = |at: &[usize], f: &dyn Fn(usize) -> f64| at.iter().map(|i| f(*i)).sum::<f64>() / at.len() as f64;
        let fit = |i: usize| {
            let at = window((i % width) as i32, (i / width) as i32);
            let (g, m) = (mean(&at, &|i| f64::from(guide[i])), mean(&at, &|i| f64::from(map[i])));
            let variance = mean(&at, &|i| f64::from(guide[i]).powi(2)) - g * g;
            let covariance = mean(&at, &|i| f64::from(guide[i]) * f64::from(map[i])) - g * m;
            let a = covariance / (variance + 0.01);
            (a, m - a * g)
        };
        let ours = filter(&map, &guide, width, height, how);
        for (i, ours) in ours.iter().enumerate() {
            let at = window((i % width) as i32, (i / width) as i32);
            let want = mean(&at, &|j| fit(j).0) * f64::from(guide[i]) + mean(&at, &|j| fit(j).1);
            assert!((f64::from(*ours) - want).abs() < 1e-5, "{i}: {ours} {want}");
        }
    }

    #[test]
    fn a_soft_edge_becomes_the_photos_own() {
        let (width, height) = (40, 6);
        let map: Vec<f32> =
            (0..width * height).map(|i| ((i % width) as f32 / 39.0 * 3.0 - 1.0).clamp(0.0, 1.0)).collect();
        let guide: Vec<f32> = (0..width * height).map(|i| f32::from(u8::from(i % width >= 20))).collect();
        let sharp = filter(&map, &guide, width, height, Guided { radius: 8, epsilon: 1e-4 });
        let step = |values: &[f32]| values[3 * width + 20] - values[3 * width + 19];
        assert!(step(&sharp) > 5.0 * step(&map), "{} {}", step(&sharp), step(&map));
    }
}
