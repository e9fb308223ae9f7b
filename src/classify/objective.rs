//! What multinomial logistic regression minimises, with its gradient: one pass over the features per evaluation, each row
//! read once for scores and gradient alike. Says nothing of how the minimum is found.

use pulp::{Arch, Simd, WithSimd};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::features::Features;

/// Rows of features per task. Fixed, so that sums are the same with any number of threads.
const ROWS_PER_TASK: usize = 128;
/// Rows whose scores are computed together, so that a weight once loaded is used for all of them.
const BLOCK: usize = 4;

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
            for (class, score) in scores.iter_mut().enumerate() {
                *score = arch.dispatch(Dot { w: &weights[class * width..(class + 1) * width], rows });
                for score in score {
                    *score += intercepts[class];
                }
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
            for (class, slope) in scores.iter().enumerate() {
                intercept_slopes[class] += slope.iter().sum::<f64>();
                let sum = &mut weight_slopes[class * width..(class + 1) * width];
                arch.dispatch(Add { sum, factors: *slope, rows });
            }
            first += BLOCK;
        }
        (value, gradient)
    }
}

/// Inner products of `w` with four rows.
struct Dot<'a> {
    w: &'a [f64],
    rows: [&'a [f64]; BLOCK],
}

impl WithSimd for Dot<'_> {
    type Output = [f64; BLOCK];

    #[expect(clippy::inline_always, reason = "it must become part of the function compiled for each processor")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let (w, w_rest) = S::as_simd_f64s(self.w);
        let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = self.rows.map(S::as_simd_f64s);
        let mut sums = [simd.splat_f64s(0.0); BLOCK];
        for ((((w, a), b), c), d) in w.iter().zip(a).zip(b).zip(c).zip(d) {
            sums[0] = simd.mul_add_e_f64s(*w, *a, sums[0]);
            sums[1] = simd.mul_add_e_f64s(*w, *b, sums[1]);
            sums[2] = simd.mul_add_e_f64s(*w, *c, sums[2]);
            sums[3] = simd.mul_add_e_f64s(*w, *d, sums[3]);
        }
        let rests = [a_rest, b_rest, c_rest, d_rest];
        std::array::from_fn(|i| {
            simd.reduce_sum_f64s(sums[i]) + w_rest.iter().zip(rests[i]).map(|(w, x)| w * x).sum::<f64>()
        })
    }
}

/// Adds four rows to `sum`, each times its factor.
struct Add<'a> {
    sum: &'a mut [f64],
    factors: [f64; BLOCK],
    rows: [&'a [f64]; BLOCK],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "it must become part of the function compiled for each processor")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factors = self.factors.map(|factor| simd.splat_f64s(factor));
        let (sum, sum_rest) = S::as_mut_simd_f64s(self.sum);
        let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = self.rows.map(S::as_simd_f64s);
        for ((((sum, a), b), c), d) in sum.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            let upper = simd.mul_add_e_f64s(factors[1], *b, simd.mul_add_e_f64s(factors[0], *a, *sum));
            *sum = simd.mul_add_e_f64s(factors[3], *d, simd.mul_add_e_f64s(factors[2], *c, upper));
        }
        for (at, sum) in sum_rest.iter_mut().enumerate() {
            let [f, g, h, i] = self.factors;
            *sum += f * a_rest[at] + g * b_rest[at] + h * c_rest[at] + i * d_rest[at];
        }
    }
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
