//! What multinomial logistic regression minimises, with its gradient: one pass over the features per evaluation, each row
//! read once for scores and gradient alike. Says nothing of how the minimum is found.

use pulp::{Arch, Simd, WithSimd};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::features::Features;

/// Rows of features per task. Fixed, so that sums are the same with any number of threads.
const ROWS_PER_TASK: usize = 128;
/// Rows whose scores are computed together, so that a weight once loaded is used for all of them.
const BLOCK: usize = 4;
/// Classes whose scores are computed together, so that a feature once loaded is used for all of them.
const TEAM: usize = 3;

/// Mean weighted cross-entropy plus `penalty / 2 · ‖W‖²`. Parameters are `[classes, width]` weights and then `[classes]`
/// intercepts, which are not penalised.
#[derive(Debug)]
pub struct Objective<'a> {
    features: &'a Features,
    /// Class of each row.
    truth: &'a [usize],
    /// Weight of each row, divided by the sum of all.
    share: Vec<f64>,
    classes: usize,
    penalty: f64,
}

impl<'a> Objective<'a> {
    /// `weights` are those of the rows, > 0.
    pub fn new(features: &'a Features, truth: &'a [usize], weights: &[f64], classes: usize, penalty: f64) -> Self {
        let whole: f64 = weights.iter().sum();
        Self { features, truth, share: weights.iter().map(|weight| weight / whole).collect(), classes, penalty }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.classes * (self.features.width() + 1)
    }

    /// Value and gradient at `parameters`.
    pub fn evaluate(&self, parameters: &[f64]) -> (f64, Vec<f64>) {
        let tasks = self.features.len().div_ceil(ROWS_PER_TASK);
        let parts: Vec<(f64, Vec<f64>)> = (0..tasks).into_par_iter().map(|task| self.part(task, parameters)).collect();
        let weights = self.classes * self.features.width();
        let (mut value, mut gradient) = (0.0, vec![0.0; parameters.len()]);
        for (part_value, part_gradient) in parts {
            value += part_value;
            gradient.iter_mut().zip(&part_gradient).for_each(|(sum, x)| *sum += x);
        }
        let mut squares = 0.0;
        for (slope, weight) in gradient.iter_mut().zip(&parameters[..weights]) {
            squares += weight * weight;
            *slope += self.penalty * weight;
        }
        (value + self.penalty / 2.0 * squares, gradient)
    }

    /// The rows of one task, without the penalty.
    fn part(&self, task: usize, parameters: &[f64]) -> (f64, Vec<f64>) {
        let (width, classes) = (self.features.width(), self.classes);
        let (weights, intercepts) = parameters.split_at(classes * width);
        let arch = Arch::new();
        let mut value = 0.0;
        let mut gradient = vec![0.0; parameters.len()];
        let (weight_slopes, intercept_slopes) = gradient.split_at_mut(classes * width);
        let mut scores = vec![[0.0; BLOCK]; classes];
        let end = self.features.len().min((task + 1) * ROWS_PER_TASK);
        let mut first = task * ROWS_PER_TASK;
        while first < end {
            // A last incomplete block repeats a row, with no weight.
            let at: [usize; BLOCK] = std::array::from_fn(|i| (first + i).min(end - 1));
            let rows = at.map(|at| self.features.row(at));
            for (weights, scores) in weights.chunks(TEAM * width).zip(scores.chunks_mut(TEAM)) {
                match scores.len() {
                    TEAM => dot::<TEAM>(arch, weights, rows, scores),
                    2 => dot::<2>(arch, weights, rows, scores),
                    _ => dot::<1>(arch, weights, rows, scores),
                }
            }
            for (score, intercept) in scores.iter_mut().zip(intercepts) {
                *score = score.map(|score| score + intercept);
            }
            for i in 0..BLOCK {
                let (truth, share) = (self.truth[at[i]], if first + i < end { self.share[at[i]] } else { 0.0 });
                let highest = scores.iter().map(|score| score[i]).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score[i] - highest).exp()).sum();
                value += share * (highest + sum.ln() - scores[truth][i]);
                for (class, score) in scores.iter_mut().enumerate() {
                    let p = (score[i] - highest).exp() / sum;
                    score[i] = share * (p - f64::from(u8::from(class == truth)));
                }
            }
            for (sum, slope) in intercept_slopes.iter_mut().zip(&scores) {
                *sum += slope.iter().sum::<f64>();
            }
            for (slopes, factors) in weight_slopes.chunks_mut(TEAM * width).zip(scores.chunks(TEAM)) {
                match factors.len() {
                    TEAM => add::<TEAM>(arch, slopes, factors, rows),
                    2 => add::<2>(arch, slopes, factors, rows),
                    _ => add::<1>(arch, slopes, factors, rows),
                }
            }
            first += BLOCK;
        }
        (value, gradient)
    }
}

/// Inner products of the weights of `C` classes with four rows: each number once loaded is used several times.
struct Dot<'a, const C: usize> {
    weights: [&'a [f64]; C],
    rows: [&'a [f64]; BLOCK],
}

impl<const C: usize> WithSimd for Dot<'_, C> {
    type Output = [[f64; BLOCK]; C];

    #[expect(clippy::inline_always, reason = "it must become part of the function compiled for each processor")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let (weights, rows) = (self.weights.map(S::as_simd_f64s), self.rows.map(S::as_simd_f64s));
        let whole = rows[0].0.len();
        let (heads, bodies) = (weights.map(|(w, _)| &w[..whole]), rows.map(|(row, _)| &row[..whole]));
        let mut sums = [[simd.splat_f64s(0.0); BLOCK]; C];
        for at in 0..whole {
            let row = bodies.map(|row| row[at]);
            for (sums, w) in sums.iter_mut().zip(heads) {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum = simd.mul_add_e_f64s(w[at], x, *sum);
                }
            }
        }
        std::array::from_fn(|class| {
            std::array::from_fn(|row| {
                let rest = weights[class].1.iter().zip(rows[row].1).map(|(w, x)| w * x).sum::<f64>();
                simd.reduce_sum_f64s(sums[class][row]) + rest
            })
        })
    }
}

/// Adds four rows to the slopes of `C` classes, each times its factor.
struct Add<'a, const C: usize> {
    slopes: [&'a mut [f64]; C],
    factors: [[f64; BLOCK]; C],
    rows: [&'a [f64]; BLOCK],
}

impl<const C: usize> WithSimd for Add<'_, C> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "it must become part of the function compiled for each processor")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factors = self.factors.map(|factors| factors.map(|factor| simd.splat_f64s(factor)));
        let rows = self.rows.map(S::as_simd_f64s);
        let whole = rows[0].0.len();
        let bodies = rows.map(|(row, _)| &row[..whole]);
        let mut slopes = self.slopes.map(S::as_mut_simd_f64s);
        for at in 0..whole {
            let row = bodies.map(|row| row[at]);
            for ((slopes, _), factors) in slopes.iter_mut().zip(&factors) {
                let mut sum = slopes[at];
                for (factor, x) in factors.iter().zip(row) {
                    sum = simd.mul_add_e_f64s(*factor, x, sum);
                }
                slopes[at] = sum;
            }
        }
        for ((_, rest), factors) in slopes.iter_mut().zip(self.factors) {
            for (at, slope) in rest.iter_mut().enumerate() {
                *slope += factors.iter().zip(&rows).map(|(factor, (_, row))| factor * row[at]).sum::<f64>();
            }
        }
    }
}

/// Scores of `C` classes with weights `[C, width]` for four rows.
fn dot<const C: usize>(arch: Arch, weights: &[f64], rows: [&[f64]; BLOCK], scores: &mut [[f64; BLOCK]]) {
    let mut each = weights.chunks_exact(rows[0].len());
    let weights = std::array::from_fn(|_| each.next().unwrap_or_default());
    scores.copy_from_slice(&arch.dispatch(Dot::<C> { weights, rows }));
}

/// Adds four rows to the slopes `[C, width]` of `C` classes.
fn add<const C: usize>(arch: Arch, slopes: &mut [f64], factors: &[[f64; BLOCK]], rows: [&[f64]; BLOCK]) {
    let mut each = slopes.chunks_exact_mut(rows[0].len());
    let slopes = std::array::from_fn(|_| each.next().unwrap_or_default());
    arch.dispatch(Add::<C> { slopes, factors: std::array::from_fn(|class| factors[class]), rows });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn table(rows: usize, width: usize) -> Features {
        let values: Vec<f32> = (0..rows * width).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
        Features::from_rows(values.chunks(width)).unwrap()
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        let features = table(131, 11);
        let truth: Vec<usize> = (0..131).map(|i| i * i % 3).collect();
        let weights: Vec<f64> = (0..131).map(|i| 1.0 + f64::from(i % 4)).collect();
        let objective = Objective::new(&features, &truth, &weights, 3, 0.2);
        let at: Vec<f64> = (0..objective.parameters()).map(|i| ((i * 31) % 17) as f64 / 20.0 - 0.4).collect();
        let (_, gradient) = objective.evaluate(&at);
        for parameter in [0, 7, 20, 32, 33, 35] {
            let moved = |by: f64| {
                let mut at = at.clone();
                at[parameter] += by;
                objective.evaluate(&at).0
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - gradient[parameter]).abs() < 1e-8, "{parameter}: {slope} and {}", gradient[parameter]);
        }
    }

    #[test]
    fn at_zero_every_class_is_as_likely() {
        let features = table(10, 3);
        let objective = Objective::new(&features, &[0, 1, 2, 3, 0, 1, 2, 3, 0, 1], &[1.0; 10], 4, 1.0);
        let (value, _) = objective.evaluate(&vec![0.0; objective.parameters()]);
        assert!((value - 4.0_f64.ln()).abs() < 1e-14);
    }
}
