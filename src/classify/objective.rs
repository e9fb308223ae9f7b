//! What multinomial logistic regression minimises, with its gradient: one pass over the features per evaluation, each row
//! read once for scores and gradient alike. Says nothing of how the minimum is found.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::features::Features;
use crate::gpu::simd::widest;

/// Rows of features per task. Fixed, so that sums are the same with any number of threads.
const ROWS_PER_TASK: usize = 128;
/// Rows whose scores are computed together, so that a weight once loaded is used for all of them.
const BLOCK: usize = 4;
/// Numbers in a widest vector register, twice.
const LANES: usize = 8;

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
                *score = dot4(&weights[class * width..(class + 1) * width], rows[0], rows[1], rows[2], rows[3]);
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
                let target = &mut weight_slopes[class * width..(class + 1) * width];
                add4(target, slope, rows[0], rows[1], rows[2], rows[3]);
            }
            first += BLOCK;
        }
        (value, gradient)
    }
}

widest! {
    /// Inner products of `w` with four rows.
    fn dot4(w: &[f64], a: &[f64], b: &[f64], c: &[f64], d: &[f64]) -> [f64; BLOCK] = dot4_body
}

widest! {
    /// Adds four rows to `sum`, each times its factor.
    fn add4(sum: &mut [f64], factors: &[f64; BLOCK], a: &[f64], b: &[f64], c: &[f64], d: &[f64]) = add4_body
}

#[expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]
#[inline(always)]
fn mul_add<const FUSED: bool>(a: f64, b: f64, c: f64) -> f64 {
    // Without the instruction `f64::mul_add` is a slow library call.
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]
#[inline(always)]
fn dot4_body<const FUSED: bool>(w: &[f64], a: &[f64], b: &[f64], c: &[f64], d: &[f64]) -> [f64; BLOCK] {
    let mut sums = [[0.0_f64; LANES]; BLOCK];
    let (w_chunks, w_rest) = w.as_chunks::<LANES>();
    let rows = [a.as_chunks::<LANES>(), b.as_chunks::<LANES>(), c.as_chunks::<LANES>(), d.as_chunks::<LANES>()];
    let whole = w_chunks.len();
    let chunks = rows.map(|(chunks, _)| &chunks[..whole]);
    for at in 0..whole {
        for (sum, row) in sums.iter_mut().zip(chunks) {
            for lane in 0..LANES {
                sum[lane] = mul_add::<FUSED>(w_chunks[at][lane], row[at][lane], sum[lane]);
            }
        }
    }
    std::array::from_fn(|i| {
        let rest: f64 = w_rest.iter().zip(rows[i].1).map(|(w, x)| w * x).sum();
        sums[i].iter().sum::<f64>() + rest
    })
}

#[expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]
#[inline(always)]
fn add4_body<const FUSED: bool>(sum: &mut [f64], factors: &[f64; BLOCK], a: &[f64], b: &[f64], c: &[f64], d: &[f64]) {
    let rest = a[..sum.len()].iter().zip(&b[..sum.len()]).zip(&c[..sum.len()]).zip(&d[..sum.len()]);
    for (sum, (((a, b), c), d)) in sum.iter_mut().zip(rest) {
        let upper = mul_add::<FUSED>(factors[1], *b, mul_add::<FUSED>(factors[0], *a, *sum));
        *sum = mul_add::<FUSED>(factors[3], *d, mul_add::<FUSED>(factors[2], *c, upper));
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
