//! How long a run of `match train` will take, measured beforehand: a few photos and texts go through the towers, a few
//! steps are made and thrown away. Nothing is written.

use std::time::Instant;

use super::forecast::Forecast;
use super::match_inputs::Inputs;
use super::match_settings::{MatchTraining, Tune};
use super::matching::batch_loss;
use super::pair_set::PairSet;
use super::step::Stepper;
use crate::model::ClipModel;
use crate::{Error, Result};

/// Photos and texts that go through the towers for the measure, at most.
const EMBEDDED: usize = 8;
/// Steps that are counted; one more goes before them, while the device makes ready what it needs.
const STEPS: usize = 2;
/// Seconds after which one counted step has to do.
const PATIENCE: f64 = 3.0;

/// Seconds that each part of a run takes on this device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchPace {
    /// A photo through the image tower, read from its file.
    pub photo: f64,
    /// A text through the text tower.
    pub text: f64,
    /// A pair's part of a training step.
    pub pair: f64,
}

impl MatchPace {
    /// Measures; takes some seconds. `go_on` is asked between the parts.
    ///
    /// # Errors
    /// Those of [`super::matching::train`]; [`Error::Cancelled`] when `go_on` says so.
    pub fn measure(
        base: &ClipModel,
        train: &PairSet,
        settings: &MatchTraining,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Self> {
        settings.check()?;
        let few = train.part(EMBEDDED);
        let whole = Inputs::new(base, &few, Tune::Full, |_, _| true)?;
        let (mut photo, mut text) = (0.0, 0.0);
        // The first round warms up whatever the device makes ready at its first use.
        for _ in 0..2 {
            let started = Instant::now();
            whole.all_photos(base.network(), |_| go_on())?;
            photo = started.elapsed().as_secs_f64() / few.photos.len().max(1) as f64;
            let started = Instant::now();
            whole.all_texts(base.network(), |_| go_on())?;
            text = started.elapsed().as_secs_f64() / few.texts.len().max(1) as f64;
        }
        let part = train.part(settings.batch_size);
        let inputs = Inputs::new(base, &part, settings.tune, |_, _| go_on())?;
        let device = base.device().clone().autodiff();
        let mut clip = settings.trainee(base, &device)?;
        let mut stepper = Stepper::new(settings.precision, settings.clip_norm);
        let batch = part.batches(settings.batch_size, settings.hard_negatives, settings.seed, 0).into_iter().next();
        let batch = batch.ok_or_else(|| Error::input("There is no pair to learn from."))?;
        let (mut training, mut counted) = (0.0, 0);
        for step in 0..=STEPS {
            if !go_on() {
                return Err(Error::Cancelled);
            }
            let started = Instant::now();
            let loss = batch_loss(&clip, &inputs, &part, &batch, settings.precision, &device)?;
            stepper.add(loss, &clip);
            clip = stepper.step(settings.rate, clip)?;
            // A device that computes on its own is waited for.
            clip.logit_scale.val().into_scalar::<f32>();
            if step > 0 {
                training += started.elapsed().as_secs_f64();
                counted += 1;
            }
            if counted > 0 && training > PATIENCE {
                break;
            }
        }
        Ok(Self { photo, text, pair: training / (counted * batch.pairs.len().max(1)) as f64 })
    }

    /// What a run with these settings will take; no device is asked. Writing checkpoints is not counted.
    pub fn forecast(&self, train: &PairSet, validation: Option<&PairSet>, settings: &MatchTraining) -> Forecast {
        let (vision, text) = (settings.tune.freezes_vision(), settings.tune.freezes_text());
        // Photos and texts through the towers that are frozen, or through those that are not.
        let through = |set: &PairSet, frozen: bool| {
            let photos = if vision == frozen { set.photos.len() as f64 * self.photo } else { 0.0 };
            photos + if text == frozen { set.texts.len() as f64 * self.text } else { 0.0 }
        };
        let judging = validation.map_or(0.0, |set| through(set, false));
        let kept = through(train, true) + validation.map_or(0.0, |set| through(set, true));
        // The base is judged once before the first epoch.
        Forecast::new(kept + judging, train.matches.len() as f64 * self.pair + judging, settings.epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_towers_cost_once_and_others_in_every_epoch() {
        let pace = MatchPace { photo: 1.0, text: 0.1, pair: 2.0 };
        let set = |photos: usize, texts: usize| {
            let mut set = PairSet::default();
            set.photos = vec!["a.png".into(); photos];
            set.texts = vec![String::new(); texts];
            set.matches = vec![(0, 0); photos];
            set
        };
        let (train, validation) = (set(10, 20), set(4, 10));
        let of = |tune, validation| {
            let settings = MatchTraining { tune, epochs: 3, ..MatchTraining::default() };
            let Forecast { reading, epoch, total } = pace.forecast(&train, validation, &settings);
            assert!((total - reading - 3.0 * epoch).abs() < 1e-9);
            [reading, epoch].map(|seconds| (seconds * 10.0).round() as i32)
        };
        assert_eq!(of(Tune::Projections, Some(&validation)), [170, 200], "14 photos and 30 texts, then steps alone");
        assert_eq!(of(Tune::Projections, None), [120, 200]);
        assert_eq!(of(Tune::Full, Some(&validation)), [50, 250], "the validation table before and in every epoch");
        assert_eq!(of(Tune::Text, Some(&validation)), [150, 210], "photos once; ten texts are judged");
    }
}
