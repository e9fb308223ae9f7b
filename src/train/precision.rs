//! Mixed precision (Micikevicius et al. 2018, "Mixed Precision Training"): weights stay f32 and are rounded to f16 for each
//! pass; the loss is computed in f32 and scaled up before it is followed back, so that small gradients do not vanish in
//! f16. The choice of the number type, the rounded copy and the scale are here; the step itself is `step`'s business.

use std::fmt;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::gpu::{Compute, DeviceKind};
use crate::{Error, Result};

/// Number type of a pass forward and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    F32,
    /// f16 with f32 weights, f32 loss and loss scaling.
    F16,
}

impl Precision {
    /// Refuses f16 on a device that does not compute in it.
    ///
    /// # Errors
    /// [`Error::Input`] saying what to do instead.
    pub fn check(self, device: &Device) -> Result<()> {
        if self == Self::F32 || device.supports_dtype(FloatDType::F16) {
            return Ok(());
        }
        Err(Error::input("This device does not compute in f16. Leave --precision out, or set it to f32."))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// What the user asks for with `--precision`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionPolicy {
    /// f16 on a graphics adapter that computes in it, f32 elsewhere.
    #[default]
    Auto,
    F32,
    F16,
}

impl FromStr for PrecisionPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            _ => Err(Error::input(format!("There is no precision \"{text}\". Choose auto, f32 or f16."))),
        }
    }
}

impl PrecisionPolicy {
    /// The number type on this device.
    ///
    /// # Errors
    /// [`Error::Input`] where f16 is asked for and the device has none.
    pub fn choose(self, compute: &Compute) -> Result<Precision> {
        let adapter = compute.kind != DeviceKind::Cpu;
        let precision = match self {
            Self::Auto if adapter && compute.device.supports_dtype(FloatDType::F16) => Precision::F16,
            Self::Auto | Self::F32 => Precision::F32,
            // The processor has no f16 arithmetic: every sum would be rounded by hand, slower than f32.
            Self::F16 if !adapter => {
                return Err(Error::input(
                    "The processor has no f16 arithmetic. Leave --precision out (it trains in f32), or train on a graphics adapter.",
                ));
            }
            Self::F16 => Precision::F16,
        };
        precision.check(&compute.device)?;
        Ok(precision)
    }
}

/// `module` as it computes in `precision`: for f16 a copy whose weights are rounded, through which gradients reach the
/// weights of `module` itself. Norms of burn widen what they sum up.
#[must_use]
pub fn computing<M: Module>(module: &M, precision: Precision) -> M {
    match precision {
        Precision::F32 => module.clone(),
        Precision::F16 => module.clone().map(&mut Rounder),
    }
}

struct Rounder;

impl ModuleMapper for Rounder {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight.cast(FloatDType::F16))
    }
}

/// Steps with finite gradients after which the scale is doubled.
const GROW_AFTER: u32 = 2000;
/// Bounds of the scale: below the first the loss itself is broken, above the second nothing is gained.
const SCALES: (f64, f64) = (1.0, 16_777_216.0);

/// The factor on the loss, as PyTorch's `GradScaler` moves it: halved when a gradient is not finite (and the step left
/// out), doubled after a long run of good steps. It begins lower, because a short run cannot afford to leave steps out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    pub factor: f64,
    /// Good steps since the factor last changed.
    pub good: u32,
    /// Steps left out so far.
    pub skipped: u32,
}

impl LossScale {
    /// Where a run begins. f32 has no need of scaling: the factor is 1 and stays so.
    pub fn new(precision: Precision) -> Self {
        let factor = match precision {
            Precision::F32 => 1.0,
            Precision::F16 => 4096.0,
        };
        Self { factor, good: 0, skipped: 0 }
    }

    /// Takes in whether all gradients of a step in `precision` were finite; says whether the step is to be made.
    ///
    /// # Errors
    /// [`Error::Input`] where they are not and no smaller factor can help.
    pub fn update(&mut self, precision: Precision, finite: bool) -> Result<bool> {
        if !finite {
            self.good = 0;
            self.skipped += 1;
            if precision == Precision::F32 || self.factor <= SCALES.0 {
                return Err(Error::input(
                    "The loss or its gradients are no longer numbers. Lower the learning rate (--lr) and start again in another folder.",
                ));
            }
            self.factor = (self.factor / 2.0).max(SCALES.0);
            return Ok(false);
        }
        self.good += 1;
        if precision == Precision::F16 && self.good >= GROW_AFTER {
            self.good = 0;
            self.factor = (self.factor * 2.0).min(SCALES.1);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use burn::nn::LinearConfig;
    use burn::optim::GradientsParams;
    use burn::tensor::Distribution;

    #[test]
    fn the_scale_halves_at_once_and_grows_slowly() {
        let mut scale = LossScale::new(Precision::F16);
        assert!(scale.update(Precision::F16, true).unwrap());
        assert!(!scale.update(Precision::F16, false).unwrap());
        assert_eq!((scale.factor, scale.good, scale.skipped), (2048.0, 0, 1));
        for _ in 0..GROW_AFTER - 1 {
            assert!(scale.update(Precision::F16, true).unwrap());
        }
        assert_eq!(scale.factor, 2048.0);
        scale.update(Precision::F16, true).unwrap();
        assert_eq!((scale.factor, scale.good), (4096.0, 0));
        for _ in 0..20 * GROW_AFTER {
            scale.update(Precision::F16, true).unwrap();
        }
        assert_eq!(scale.factor, SCALES.1);
    }

    #[test]
    fn a_loss_that_no_scale_can_save_ends_the_run() {
        let mut scale = LossScale::new(Precision::F16);
        let left = (0..12).take_while(|_| scale.update(Precision::F16, false).is_ok()).count();
        assert_eq!((left, scale.factor), (12, 1.0));
        assert!(scale.update(Precision::F16, false).unwrap_err().to_string().contains("--lr"));
        assert!(LossScale::new(Precision::F32).update(Precision::F32, false).is_err());
        assert_eq!(LossScale::new(Precision::F32).factor, 1.0);
    }

    #[test]
    fn the_processor_trains_in_f32() {
        let compute = Compute::cpu();
        assert_eq!(PrecisionPolicy::Auto.choose(&compute).unwrap(), Precision::F32);
        assert_eq!(PrecisionPolicy::F32.choose(&compute).unwrap(), Precision::F32);
        let error = PrecisionPolicy::F16.choose(&compute).unwrap_err().to_string();
        assert!(error.contains("no f16 arithmetic"), "{error}");
        assert!("f64".parse::<PrecisionPolicy>().is_err());
    }

    #[test]
    fn gradients_through_the_rounded_copy_reach_the_weights() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(6, 3).init(&device);
        let x = Tensor::<2>::random([4, 6], Distribution::Normal(0.0, 1.0), &device);
        let loss = |precision: Precision| {
            let x = if precision == Precision::F16 { x.clone().cast(FloatDType::F16) } else { x.clone() };
            let out = computing(&layer, precision).forward(x).cast(FloatDType::F32);
            let gradients = GradientsParams::from_grads(out.powi_scalar(2).sum().backward(), &layer);
            gradients.get::<2>(layer.weight.id).unwrap().into_data().try_into_vec::<f32>().unwrap()
        };
        let (whole, half) = (loss(Precision::F32), loss(Precision::F16));
        let largest = whole.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let off = whole.iter().zip(&half).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
        assert!(off > 0.0 && off < 5e-3 * largest, "{off} of {largest}");
    }
}
