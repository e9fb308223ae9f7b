//! Multinomial logistic regression with L2 penalty, solved by L-BFGS to the one minimum that its strictly convex objective
//! has: scikit-learn's `LogisticRegression(C=…, class_weight=…)` (the same objective; coefficients agree as far as both
//! solvers are converged). Features come scaled.

use std::cell::RefCell;

use argmin::core::{CostFunction, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::objective::Objective;
use crate::{Error, Result};

/// Former steps that L-BFGS remembers, as SciPy's.
const MEMORY: usize = 10;
/// Starts of the solver at most; a line search that rounding defeats is begun anew from the best point.
const STARTS: usize = 5;

/// How classes of different size count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeight {
    /// Every photo counts the same.
    #[default]
    None,
    /// Every class counts the same: a photo weighs n / (classes · photos of its class).
    Balanced,
}

/// How the regression is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticOptions {
    /// Inverse strength of the penalty, > 0; scikit-learn's `C`.
    pub c: f64,
    pub class_weight: ClassWeight,
    /// How far a weight may be from the exact solution, as the gradient's length bounds it.
    pub tolerance: f64,
    /// Evaluations of the objective at most.
    pub max_evaluations: usize,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        Self { c: 1.0, class_weight: ClassWeight::None, tolerance: 1e-4, max_evaluations: 5000 }
    }
}

/// A fitted regression: class scores are `weights · features + intercepts`, probabilities their softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// `[classes, width]`
    pub weights: Vec<f64>,
    /// `[classes]`
    pub intercepts: Vec<f64>,
    /// Whether the tolerance was reached.
    pub converged: bool,
}

impl Logistic {
    /// Fits `features` (scaled) of photos with the classes `truth`, indices below `classes`, each of which occurs.
    ///
    /// With two classes scikit-learn penalises one vector of weights, the difference of ours; twice the penalty on both
    /// halves of that difference has the same minimum, so the two agree there as well.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer than two classes or a `c` that is not above 0.
    pub fn fit(features: &Features, truth: &[usize], classes: usize, options: LogisticOptions) -> Result<Self> {
        if classes < 2 {
            return Err(Error::input(
                "A classifier needs photos of at least two classes. Label some of another class.",
            ));
        }
        if !(options.c > 0.0 && options.c.is_finite()) {
            return Err(Error::input(format!("C is {}, but it has to be a number above 0.", options.c)));
        }
        let weights = options.class_weight.of_rows(truth, classes);
        let strength = options.c * weights.iter().sum::<f64>();
        let penalty = if classes == 2 { 2.0 } else { 1.0 } / strength;
        let objective = Objective::new(features, truth, &weights, classes, penalty);
        // The objective is strongly convex in the weights: ‖w − w*‖ ≤ ‖gradient‖ / penalty.
        let goal = options.tolerance * penalty;
        let problem = Problem::new(&objective, options.max_evaluations);
        for _ in 0..STARTS {
            let (start, slope) = problem.best();
            if length(&slope) <= goal || problem.exhausted() {
                break;
            }
            let bug = |e: argmin::core::Error| Error::bug(format!("the solver refuses its settings ({e})."));
            let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
                .with_tolerance_grad(goal)
                .and_then(|solver| solver.with_tolerance_cost(0.0))
                .map_err(bug)?;
            // The best point is kept by the problem; a line search that fails leaves it there.
            if let Err(error) = Executor::new(&problem, solver).configure(|state| state.param(start)).ctrlc(false).run()
            {
                log::debug!("the solver stopped: {error}");
            }
        }
        let (parameters, slope) = problem.best();
        let (weights, intercepts) = parameters.split_at(classes * features.width());
        let converged = length(&slope) <= goal;
        if !converged {
            log::warn!(
                "the logistic regression did not converge: the gradient is {:.1e}, not {goal:.1e}",
                length(&slope)
            );
        }
        Ok(Self { weights: weights.to_vec(), intercepts: intercepts.to_vec(), converged })
    }

    /// Probabilities of the classes for one row of scaled features.
    pub fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        let scores = self.weights.chunks_exact(row.len()).zip(&self.intercepts);
        softmax(scores.map(|(weights, intercept)| intercept + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>()))
    }
}

/// Probabilities proportional to e^score.
pub fn softmax(scores: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = scores.into_iter().collect();
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for value in &mut values {
        *value = (*value - highest).exp();
    }
    let sum: f64 = values.iter().sum();
    for value in &mut values {
        *value /= sum;
    }
    values
}

impl ClassWeight {
    /// The weight of each row.
    fn of_rows(self, truth: &[usize], classes: usize) -> Vec<f64> {
        let mut counts = vec![0.0_f64; classes];
        for &class in truth {
            counts[class] += 1.0;
        }
        let weight = |class: usize| match self {
            Self::None => 1.0,
            Self::Balanced => truth.len() as f64 / (classes as f64 * counts[class]),
        };
        truth.iter().map(|&class| weight(class)).collect()
    }
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// A point with its value and gradient.
#[derive(Clone, Debug)]
struct Point {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// The objective as the solver asks for it. The solver wants value and gradient one after the other, here they come
/// together, so the newest point is kept; so is the best one, because the solver's own is lost when it fails.
struct Problem<'a> {
    objective: &'a Objective<'a>,
    newest: RefCell<Point>,
    best: RefCell<Point>,
    left: RefCell<usize>,
}

impl<'a> Problem<'a> {
    fn new(objective: &'a Objective<'a>, evaluations: usize) -> Self {
        let at = vec![0.0; objective.parameters()];
        let (value, gradient) = objective.evaluate(&at);
        let start = Point { at, value, gradient };
        Self {
            objective,
            newest: RefCell::new(start.clone()),
            best: RefCell::new(start),
            left: RefCell::new(evaluations),
        }
    }

    /// Parameters with the lowest value so far, and the gradient there.
    fn best(&self) -> (Vec<f64>, Vec<f64>) {
        let best = self.best.borrow();
        (best.at.clone(), best.gradient.clone())
    }

    fn exhausted(&self) -> bool {
        *self.left.borrow() == 0
    }

    fn visit(&self, at: &[f64]) -> std::result::Result<(), argmin::core::Error> {
        if self.newest.borrow().at == at {
            return Ok(());
        }
        let mut left = self.left.borrow_mut();
        *left = left.checked_sub(1).ok_or_else(|| argmin::core::Error::msg("the evaluations are used up"))?;
        let (value, gradient) = self.objective.evaluate(at);
        let point = Point { at: at.to_vec(), value, gradient };
        let mut best = self.best.borrow_mut();
        // Near the minimum values differ by less than they are rounded; there the gradient tells which is nearer.
        let near = (value - best.value).abs() <= 1e-12 * best.value.abs();
        if (near && length(&point.gradient) < length(&best.gradient)) || (!near && value < best.value) {
            best.clone_from(&point);
        }
        *self.newest.borrow_mut() = point;
        Ok(())
    }
}

impl CostFunction for &Problem<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> std::result::Result<f64, argmin::core::Error> {
        self.visit(at)?;
        Ok(self.newest.borrow().value)
    }
}

impl Gradient for &Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> std::result::Result<Vec<f64>, argmin::core::Error> {
        self.visit(at)?;
        Ok(self.newest.borrow().gradient.clone())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde::Deserialize;

    use super::*;
    use crate::classify::scaler::Scaler;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        classes: usize,
        c: f64,
        balanced: bool,
        features: Vec<Vec<f32>>,
        truth: Vec<usize>,
        mean: Vec<f64>,
        scale: Vec<f64>,
        /// `[classes, width]`, with two classes `[1, width]`.
        weights: Vec<Vec<f64>>,
        intercepts: Vec<f64>,
        probabilities: Vec<Vec<f64>>,
        predictions: Vec<usize>,
    }

    #[test]
    fn weights_probabilities_and_predictions_equal_scikit_learn() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/fixtures/classify/logistic.json")).unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let features = Features::from_rows(case.features.iter().map(Vec::as_slice)).unwrap();
            let scaler = Scaler::fit(&features);
            for (ours, theirs) in scaler.mean.iter().zip(&case.mean).chain(scaler.scale.iter().zip(&case.scale)) {
                assert!((ours - theirs).abs() < 1e-12, "{}: {ours} instead of {theirs}", case.name);
            }
            let scaled = scaler.transform(&features).unwrap();
            let class_weight = if case.balanced { ClassWeight::Balanced } else { ClassWeight::None };
            let options = LogisticOptions { c: case.c, class_weight, ..LogisticOptions::default() };
            let fitted = Logistic::fit(&scaled, &case.truth, case.classes, options).unwrap();
            assert!(fitted.converged, "{}", case.name);
            let width = features.width();
            let mut ours: Vec<Vec<f64>> = fitted.weights.chunks(width).map(<[f64]>::to_vec).collect();
            let mut intercepts = fitted.intercepts.clone();
            if case.classes == 2 {
                ours = vec![(0..width).map(|i| ours[1][i] - ours[0][i]).collect()];
                intercepts = vec![intercepts[1] - intercepts[0]];
            }
            let pairs = ours.iter().flatten().zip(case.weights.iter().flatten());
            for (ours, theirs) in pairs.chain(intercepts.iter().zip(&case.intercepts)) {
                assert!((ours - theirs).abs() < 1e-3, "{}: {ours} instead of {theirs}", case.name);
            }
            for (at, row) in scaled.rows().enumerate() {
                let probabilities = fitted.probabilities(row);
                for (ours, theirs) in probabilities.iter().zip(&case.probabilities[at]) {
                    assert!((ours - theirs).abs() < 1e-4, "{}, photo {at}: {ours} instead of {theirs}", case.name);
                }
                assert_eq!(crate::metrics::reliability::argmax(&probabilities), case.predictions[at]);
            }
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let features = Features::from_rows([&[1.0][..], &[2.0]]).unwrap();
        let fit = |classes, c| Logistic::fit(&features, &[0, 1], classes, LogisticOptions { c, ..Default::default() });
        assert!(fit(1, 1.0).is_err() && fit(2, 0.0).is_err() && fit(2, f64::NAN).is_err());
    }
}
