//! What decides a run of `match train`: which weights move, how far and how long. Checked here, used by `matching`.

use std::str::FromStr;

use burn::module::{Lora, Module, ModuleMapper, Param, ParamGroup};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::average::{collect, collect_trained, install, install_trained};
use super::precision::Precision;
use crate::model::ClipModel;
use crate::model::clip::Clip;
use crate::{Error, Result};

/// Which weights are trained. The temperature is trained in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tune {
    /// Both towers.
    #[default]
    Full,
    /// The image tower; texts are embedded once.
    Vision,
    /// The text tower; photos are embedded once (Zhai et al. 2022, "LiT").
    Text,
    /// The two projections into the joint space; photos and texts go through the towers once.
    Projections,
    /// Low-rank additions to the attention weights of both towers (Hu et al. 2022, "LoRA"), merged when they are saved.
    Lora,
}

impl Tune {
    /// A highest learning rate to start from.
    pub fn usual_rate(self) -> f64 {
        match self {
            Self::Full | Self::Vision | Self::Text => 5e-6,
            Self::Lora => 1e-4,
            Self::Projections => 1e-3,
        }
    }

    /// Whether the image tower before its projection stays as it is.
    pub fn freezes_vision(self) -> bool {
        matches!(self, Self::Text | Self::Projections)
    }

    /// Whether the text tower before its projection stays as it is.
    pub fn freezes_text(self) -> bool {
        matches!(self, Self::Vision | Self::Projections)
    }
}

impl FromStr for Tune {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "full" => Self::Full,
            "vision" => Self::Vision,
            "text" => Self::Text,
            "projections" => Self::Projections,
            "lora" => Self::Lora,
            _ => {
                return Err(Error::input(format!(
                    "There is no way of tuning \"{text}\". Choose full, vision, text, projections or lora."
                )));
            }
        })
    }
}

/// What decides a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchTraining {
    pub tune: Tune,
    /// Rank of the low-rank additions, where there are any.
    pub lora_rank: usize,
    pub epochs: usize,
    /// Matching pairs in a batch, ≥ 2.
    pub batch_size: usize,
    /// Mismatch rows that each pair brings into its batch at most.
    pub hard_negatives: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Share of the steps that warm up.
    pub warm_up: f64,
    /// Largest length of all gradients together; longer ones are scaled down to it.
    pub clip_norm: f64,
    /// Steps between two checkpoints, ≥ 1; does not change what is learned.
    pub save_steps: usize,
    pub precision: Precision,
    pub seed: u64,
}

impl Default for MatchTraining {
    fn default() -> Self {
        Self {
            tune: Tune::Full,
            lora_rank: 8,
            epochs: 3,
            batch_size: 8,
            hard_negatives: 1,
            rate: Tune::Full.usual_rate(),
            warm_up: 0.1,
            clip_norm: 1.0,
            save_steps: 100,
            precision: Precision::F32,
            seed: 0,
        }
    }
}

impl MatchTraining {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`Error::Input`] naming the value.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("--epochs", self.epochs),
            ("--save-steps", self.save_steps),
            ("--lora-rank", if self.tune == Tune::Lora { self.lora_rank } else { 1 }),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::input(format!("{name} must be at least 1.")));
        }
        if self.batch_size < 2 {
            return Err(Error::input("--batch-size must be at least 2: a photo is told from the others of its batch."));
        }
        let fine = self.rate > 0.0 && self.rate <= 1.0 && (0.0..=1.0).contains(&self.warm_up) && self.clip_norm > 0.0;
        if !fine {
            return Err(Error::input("Learning rate, warm-up and gradient norm must be above 0 and at most 1."));
        }
        Ok(())
    }

    /// Whether a run with these settings can go on from one with the others.
    pub fn continues(&self, other: &Self) -> bool {
        Self { save_steps: other.save_steps, ..self.clone() } == *other
    }

    /// The network of `base` ready for training on `device`: only what [`Tune`] names has gradients. Weights are numbered
    /// in order, so that an optimiser's state of one process fits the network of the next.
    ///
    /// # Errors
    /// [`Error::Device`] when weights cannot be read.
    pub fn trainee(&self, base: &ClipModel, device: &Device) -> Result<Clip> {
        let mut clip = install(Clip::new(base.config(), device), collect(base.network())?)?;
        match self.tune {
            Tune::Full => {}
            Tune::Vision => clip.text = clip.text.freeze(),
            Tune::Text => clip.vision = clip.vision.freeze(),
            Tune::Projections => {
                clip = clip.freeze();
                clip.vision.projection = clip.vision.projection.unfreeze();
                clip.text.projection = clip.text.projection.unfreeze();
            }
            Tune::Lora => {
                // Twice the rank as numerator is the usual choice: the additions count twofold.
                let additions = Lora::new(self.lora_rank, 2.0 * self.lora_rank as f64);
                clip = clip.apply_lora(additions.set_param_group(ParamGroup::from_predicate("attention")));
                clip = clip.map(&mut Drawn::new(self.seed, self.lora_rank));
            }
        }
        clip.logit_scale = clip.logit_scale.set_require_grad(true);
        let trained = collect_trained(&clip)?;
        install_trained(clip, trained)
    }
}

/// Draws the first factor of low-rank additions by the seed alone, whatever else draws on the device: about normally
/// distributed, with a deviation of one over the rank. The second factor is zero.
struct Drawn {
    rng: ChaCha8Rng,
    deviation: f32,
    path: Vec<String>,
}

impl Drawn {
    fn new(seed: u64, rank: usize) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), deviation: 1.0 / rank as f32, path: Vec::new() }
    }
}

impl ModuleMapper for Drawn {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !matches!(self.path.as_slice(), [.., outer, inner] if outer == "lora" && inner == "a") {
            return param;
        }
        let (id, old) = (param.id, param.val());
        // The sum of twelve even draws, less six, has a deviation of 1.
        let mut normal = || (0..12).map(|_| self.rng.random_range(0.0..1.0f32)).sum::<f32>() - 6.0;
        let values: Vec<f32> = (0..old.dims().iter().product()).map(|_| self.deviation * normal()).collect();
        param.transform_for_load(Tensor::from_data(TensorData::new(values, old.dims()), &old.device()), id)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::model::ModelSource;

    #[test]
    fn only_what_is_named_has_gradients_and_nothing_changes_at_first() {
        let device = Device::flex();
        let base = ClipModel::load(&ModelSource::Pocket, &device).unwrap();
        let whole = collect(base.network()).unwrap();
        let count = |clip: &Clip| collect_trained(clip).unwrap().iter().map(Vec::len).sum::<usize>();
        let all: usize = whole.iter().map(Vec::len).sum();
        for (tune, least, most) in [
            (Tune::Full, all, all),
            (Tune::Vision, all / 2, all - 1),
            (Tune::Text, all / 10, all / 2),
            // Two projections of 128 × 96, and the temperature.
            (Tune::Projections, 2 * 128 * 96 + 1, 2 * 128 * 96 + 1),
            // Eight blocks, each with (128 + 384) × 4 and (128 + 128) × 4 additions.
            (Tune::Lora, 8 * (512 + 256) * 4 + 1, 8 * (512 + 256) * 4 + 1),
        ] {
            let settings = MatchTraining { tune, lora_rank: 4, ..MatchTraining::default() };
            let clip = settings.trainee(&base, &device.clone().autodiff()).unwrap();
            let trained = count(&clip);
            assert!((least..=most).contains(&trained), "{tune:?}: {trained} of {all}");
            assert_eq!(collect(&clip.valid().materialize()).unwrap(), whole, "{tune:?}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (settings, word) in [
            (MatchTraining { epochs: 0, ..MatchTraining::default() }, "--epochs"),
            (MatchTraining { batch_size: 1, ..MatchTraining::default() }, "--batch-size"),
            (MatchTraining { save_steps: 0, ..MatchTraining::default() }, "--save-steps"),
            (MatchTraining { rate: 0.0, ..MatchTraining::default() }, "Learning rate"),
            (MatchTraining { tune: Tune::Lora, lora_rank: 0, ..MatchTraining::default() }, "--lora-rank"),
        ] {
            assert!(settings.check().unwrap_err().to_string().contains(word));
        }
        MatchTraining::default().check().unwrap();
        let other = MatchTraining { save_steps: 7, ..MatchTraining::default() };
        assert!(other.continues(&MatchTraining::default()));
        assert!(!MatchTraining { seed: 1, ..other }.continues(&MatchTraining::default()));
    }
}
