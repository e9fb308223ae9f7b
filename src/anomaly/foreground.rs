//! Which patches show the part: the first principal component of the patch features, thresholded (AnomalyDINO, Damm et
//! al. 2025, §3.2). Works for a part before a different background; for a texture that fills the frame it is left off.

use super::prompt::{dot, normalise};
use crate::recipe::Foreground;

/// A mask that keeps less than this share of the photo says nothing: the whole photo counts as part.
const LEAST_SHARE: f32 = 0.05;

/// True where the patch shows the part, `[rows * cols]`. `features` is `[rows * cols, width]`, not normalised.
pub fn foreground(features: &[f32], rows: usize, cols: usize, width: usize, rule: Foreground) -> Vec<bool> {
    let whole = vec![true; rows * cols];
    if !rule.enabled || rows * cols < 4 {
        return whole;
    }
    let scores = first_component(features, width);
    let above = |sign: f32| scores.iter().map(|score| sign * score > rule.threshold).collect::<Vec<bool>>();
    let mut mask = above(1.0);
    if !is_central(&mask, rows, cols) {
        mask = above(-1.0);
    }
    let closed = erode(&dilate(&dilate(&mask, rows, cols), rows, cols), rows, cols);
    let kept = closed.iter().filter(|part| **part).count() as f32 / (rows * cols) as f32;
    if kept < LEAST_SHARE { whole } else { closed }
}

/// Projection of each row on the first principal component, in units of its standard deviation, by power iteration.
fn first_component(features: &[f32], width: usize) -> Vec<f32> {
    let n = features.len() / width;
    let mut mean = vec![0.0; width];
    for row in features.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / n as f32);
    }
    let centred: Vec<f32> =
        features.chunks_exact(width).flat_map(|row| row.iter().zip(&mean).map(|(x, m)| x - m)).collect();
    // Start from the longest row: never orthogonal to the component unless all rows are equal.
    let longest = centred.chunks_exact(width).max_by(|a, b| dot(a, a).total_cmp(&dot(b, b)));
    let mut direction = longest.map_or_else(|| vec![0.0; width], <[f32]>::to_vec);
    normalise(&mut direction);
    for _ in 0..30 {
        let mut next = vec![0.0; width];
        for row in centred.chunks_exact(width) {
            let along = dot(row, &direction);
            next.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
        }
        if normalise(&mut next) == 0.0 {
            break;
        }
        direction = next;
    }
    let scores: Vec<f32> = centred.chunks_exact(width).map(|row| dot(row, &direction)).collect();
    let deviation = (dot(&scores, &scores) / n as f32).sqrt().max(1e-12);
    scores.into_iter().map(|score| score / deviation).collect()
}

/// Whether the mask fills more of the middle (a border of a fifth left out) than of the border. The sign of a principal
/// component is arbitrary; a part lies in the middle. (The reference implementation turns the sign round where the
/// mask fills at most 35 % of the middle, which mistakes the background of a small part for the part.)
fn is_central(mask: &[bool], rows: usize, cols: usize) -> bool {
    let (top, left) = (rows / 5, cols / 5);
    let (mut inside, mut outside) = ((0, 0), (0, 0));
    for y in 0..rows {
        for x in 0..cols {
            let middle = (top..rows - top).contains(&y) && (left..cols - left).contains(&x);
            let (set, total) = if middle { &mut inside } else { &mut outside };
            *set += usize::from(mask[y * cols + x]);
            *total += 1;
        }
    }
    inside.0 * outside.1.max(1) >= outside.0 * inside.1.max(1)
}

fn dilate(mask: &[bool], rows: usize, cols: usize) -> Vec<bool> {
    neighbourhood(mask, rows, cols, false)
}

/// Patches outside of the photo do not count, so that a part at the edge is not eaten away.
fn erode(mask: &[bool], rows: usize, cols: usize) -> Vec<bool> {
    neighbourhood(mask, rows, cols, true)
}

/// Whether all, or else any, of the 3 × 3 patches around each are set.
fn neighbourhood(mask: &[bool], rows: usize, cols: usize, all: bool) -> Vec<bool> {
    let mut out = Vec::with_capacity(mask.len());
    for y in 0..rows {
        for x in 0..cols {
            let columns = x.saturating_sub(1)..(x + 2).min(cols);
            let mut around = (y.saturating_sub(1)..(y + 2).min(rows)).map(|y| &mask[y * cols..][columns.clone()]);
            out.push(if all {
                around.all(|row| row.iter().all(|part| *part))
            } else {
                around.any(|row| row.contains(&true))
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Foreground = Foreground { enabled: true, threshold: 0.0 };

    /// A square part of other features in the middle of a 12 × 12 grid.
    fn features(sign: f32) -> Vec<f32> {
        (0..144)
            .flat_map(|i| {
                let (y, x) = (i / 12, i % 12);
                let part = (4..8).contains(&y) && (4..8).contains(&x);
                let noise = (i * 7 % 5) as f32 * 0.01;
                [sign * if part { 5.0 } else { -1.0 } + noise, 1.0 - noise, noise]
            })
            .collect()
    }

    #[test]
    fn the_middle_is_the_part_whatever_the_sign_of_the_component() {
        for sign in [1.0, -1.0] {
            let mask = foreground(&features(sign), 12, 12, 3, ON);
            assert!(mask[4 * 12 + 4] && mask[7 * 12 + 7], "the part itself");
            assert!(!mask[0] && !mask[11] && !mask[143], "corners are background");
        }
    }

    #[test]
    fn nothing_to_separate_means_the_whole_photo() {
        assert!(foreground(&[1.0; 64 * 3], 8, 8, 3, ON).iter().all(|part| *part));
        let off = Foreground { enabled: false, threshold: 0.0 };
        assert!(foreground(&features(1.0), 12, 12, 3, off).iter().all(|part| *part));
    }
}
