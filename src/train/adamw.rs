//! AdamW (Loshchilov and Hutter 2019). On the processor a step is one pass over weight, gradient and moments, on all
//! cores; burn's, which runs elsewhere, makes a dozen passes on one core.

use burn::optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::gpu::is_cpu;
use crate::gpu::simd::{AdamStep, adam_step};

/// Numbers of one task.
const PIECE: usize = 1 << 15;

/// The optimiser of one weight; its state is burn's.
#[derive(Clone)]
pub struct AdamW {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    weight_decay: f32,
    /// Of the learning rate.
    share: f64,
    elsewhere: burn::optim::AdamW,
}

impl AdamW {
    /// With the decay of both moments, what keeps the division finite, and the share of a weight that a learning rate of 1
    /// would take away.
    pub fn new(beta_1: f32, beta_2: f32, epsilon: f32, weight_decay: f32) -> Self {
        let elsewhere = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(weight_decay)
            .build();
        Self { beta_1, beta_2, epsilon, weight_decay, share: 1.0, elsewhere }
    }

    /// The same with this share of the learning rate.
    #[must_use]
    pub fn at_share(self, share: f64) -> Self {
        Self { share, ..self }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let rate = rate * self.share;
        if !(is_cpu(&weight) && is_cpu(&gradient)) {
            return self.elsewhere.step(rate, weight, gradient, state);
        }
        let device = weight.device();
        let momentum = state.map_or_else(
            || AdaptiveMomentumState::new(0, weight.zeros_like(), weight.zeros_like()),
            |state| state.momentum,
        );
        let time = momentum.time + 1;
        let step = AdamStep {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            keep: (1.0 - rate * f64::from(self.weight_decay)) as f32,
            rate: (rate / (1.0 - f64::from(self.beta_1).powi(time as i32))) as f32,
            unbias: (1.0 / (1.0 - f64::from(self.beta_2).powi(time as i32))) as f32,
        };
        let gradient = gradient.into_data();
        let (mut weight, mut first, mut second) =
            (weight.into_data(), momentum.moment_1.into_data(), momentum.moment_2.into_data());
        let pieces = numbers(&mut weight)
            .par_chunks_mut(PIECE)
            .zip(numbers(&mut first).par_chunks_mut(PIECE))
            .zip(numbers(&mut second).par_chunks_mut(PIECE))
            .zip(gradient.as_slice::<f32>().expect("a gradient in f32").par_chunks(PIECE));
        pieces.for_each(|(((weight, first), second), gradient)| adam_step(&step, weight, gradient, first, second));
        let back = |data: TensorData| Tensor::from_data(data, &device);
        let momentum = AdaptiveMomentumState::new(time, back(first), back(second));
        (back(weight), Some(AdamWState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

fn numbers(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice::<f32>().expect("weights and moments in f32")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn steps_are_those_of_burn() {
        let device = Device::flex();
        let ours = AdamW::new(0.9, 0.98, 1e-8, 0.1);
        let normal = || Tensor::<2>::random([173, 391], Distribution::Normal(0.0, 1.0), &device);
        let (mut a, mut b, mut states) = (normal(), None, (None, None));
        for step in 1..=5 {
            // Gradients as sharp and as flat as training has them, some of them nothing.
            let gradient = normal().powi_scalar(3) * 1e-2;
            let gradient = gradient.clone().mask_fill(gradient.abs().lower_elem(1e-9), 0.0);
            let rate = 1e-2 / f64::from(step);
            let theirs = b.unwrap_or_else(|| a.clone());
            let (next, state) = ours.elsewhere.step(rate, theirs, gradient.clone(), states.1);
            (b, states.1) = (Some(next), state);
            (a, states.0) = ours.step(rate, a, gradient, states.0);
        }
        let values = |x: Tensor<2>| x.into_data().try_into_vec::<f32>().unwrap();
        let (ours, theirs) = (states.0.unwrap().momentum, states.1.unwrap().momentum);
        assert_eq!(ours.time, theirs.time);
        // Weights and first moments lose digits where their terms almost cancel.
        let pairs =
            [(a, b.unwrap(), 1e-2), (ours.moment_1, theirs.moment_1, 1e-2), (ours.moment_2, theirs.moment_2, 1e-9)];
        for (ours, theirs, scale) in pairs {
            for (x, y) in values(ours).into_iter().zip(values(theirs)) {
                assert!((x - y).abs() <= 2e-6 * y.abs().max(scale), "{x} instead of {y}");
            }
        }
    }
}
