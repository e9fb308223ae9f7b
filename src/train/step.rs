//! One step of a training: gradients of scaled losses added up, checked, clipped by their joint length and given to
//! AdamW. Which loss, which network and when to step, the training loops know.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

use super::adamw::AdamW;
use super::precision::{LossScale, Precision};
use crate::{Error, Result};

/// [`AdamW`] with PyTorch's defaults, for all weights.
pub fn adamw() -> ModuleOptimizer {
    pytorch_adamw().into()
}

/// [`AdamW`] with PyTorch's defaults, for one group of weights.
pub fn pytorch_adamw() -> AdamW {
    AdamW::new(0.9, 0.999, 1e-8, 0.01)
}

/// Everything between a loss and the next weights of one network.
pub struct Stepper<M: Module> {
    pub optimiser: ModuleOptimizer,
    pub scale: LossScale,
    precision: Precision,
    clip_norm: f64,
    gradients: GradientsAccumulator<M>,
}

impl<M: Module> Stepper<M> {
    /// With [`adamw`]; `clip_norm` is the largest length of all gradients together, as PyTorch's `clip_grad_norm_`.
    pub fn new(precision: Precision, clip_norm: f64) -> Self {
        Self::with(adamw(), precision, clip_norm)
    }

    /// The same with another optimiser.
    pub fn with(optimiser: ModuleOptimizer, precision: Precision, clip_norm: f64) -> Self {
        Self {
            optimiser,
            scale: LossScale::new(precision),
            precision,
            clip_norm,
            gradients: GradientsAccumulator::new(),
        }
    }

    /// Adds the gradients of `loss` `[1]` (f32) to those that wait for the next step.
    pub fn add(&mut self, loss: Tensor<1>, network: &M) {
        let gradients = GradientsParams::from_grads((loss * self.scale.factor).backward(), network);
        self.gradients.accumulate(network, gradients);
    }

    /// The network after a step with the gradients that wait; as it was, when f16 had no room for them.
    ///
    /// # Errors
    /// [`Error::Input`] for gradients that are no numbers; [`Error::Device`] when they cannot be read.
    pub fn step(&mut self, rate: f64, network: M) -> Result<M> {
        let gradients = self.gradients.grads();
        let length = length(&gradients, &network)? / self.scale.factor;
        let factor = self.scale.factor;
        if !self.scale.update(self.precision, length.is_finite())? {
            return Ok(network);
        }
        let share = (self.clip_norm / (length + 1e-6)).min(1.0) / factor;
        Ok(self.optimiser.step(rate, network.clone(), scaled(gradients, &network, share)))
    }
}

/// Euclidean length of all gradients of `network` together.
fn length<M: Module>(gradients: &GradientsParams, network: &M) -> Result<f64> {
    let mut squares = Squares { gradients, sums: Vec::new() };
    network.visit(&mut squares);
    if squares.sums.is_empty() {
        return Err(Error::bug("no weight of the network has a gradient."));
    }
    let sums = Tensor::cat(squares.sums, 0).into_data().try_into_vec::<f32>();
    let sums = sums.map_err(|error| Error::device(format!("Gradients cannot be read: {error:?}.")))?;
    Ok(sums.into_iter().map(f64::from).sum::<f64>().sqrt())
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sums.push(gradient.powi_scalar(2).sum());
        }
    }
}

/// The gradients of `network`, each times `share`.
fn scaled<M: Module>(gradients: GradientsParams, network: &M, share: f64) -> GradientsParams {
    if share == 1.0 {
        return gradients;
    }
    let mut scaler = Scaler { from: gradients, to: GradientsParams::new(), share };
    network.visit(&mut scaler);
    scaler.to
}

struct Scaler {
    from: GradientsParams,
    to: GradientsParams,
    share: f64,
}

impl ModuleVisitor for Scaler {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient * self.share);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::train::average::collect;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn layer() -> Linear {
        LinearConfig::new(2, 1).with_bias(false).init(&Device::flex().autodiff())
    }

    /// (3, 4) · weight: the gradient is (3, 4), of length 5.
    fn loss(layer: &Linear) -> Tensor<1> {
        layer.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &Device::flex().autodiff())).sum()
    }

    #[test]
    fn gradients_add_up_and_are_cut_to_the_length_allowed() {
        let layer = layer();
        let mut stepper = Stepper::<Linear>::new(Precision::F32, 1.0);
        stepper.add(loss(&layer) * 0.5, &layer);
        stepper.add(loss(&layer) * 0.5, &layer);
        let gradients = stepper.gradients.grads();
        assert!((length(&gradients, &layer).unwrap() - 5.0).abs() < 1e-5);
        let cut = scaled(gradients, &layer, 1.0 / 5.0).get::<2>(layer.weight.id).unwrap();
        let cut = cut.into_data().try_into_vec::<f32>().unwrap();
        assert!((cut[0] - 0.6).abs() < 1e-6 && (cut[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn a_step_does_not_depend_on_the_scale_of_the_loss() {
        let start = layer();
        let moved = |factor: f64| {
            let mut stepper = Stepper::new(Precision::F16, 1.0);
            stepper.scale.factor = factor;
            stepper.add(loss(&start), &start);
            collect(&stepper.step(0.1, start.clone()).unwrap()).unwrap()
        };
        let (small, large) = (moved(2.0), moved(4096.0));
        assert_eq!(small, large);
        assert_ne!(small, collect(&start).unwrap());
    }

    #[test]
    fn a_step_without_numbers_is_left_out() {
        let start = layer();
        let mut stepper = Stepper::new(Precision::F16, 1.0);
        stepper.add(loss(&start) * f32::INFINITY, &start);
        let same = stepper.step(0.1, start.clone()).unwrap();
        assert_eq!(collect(&same).unwrap(), collect(&start).unwrap());
        assert_eq!((stepper.scale.factor, stepper.scale.skipped), (LossScale::new(Precision::F16).factor / 2.0, 1));
        let mut plain = Stepper::new(Precision::F32, 1.0);
        plain.add(loss(&start) * f32::INFINITY, &start);
        assert!(plain.step(0.1, start).is_err());
    }
}
