//! How long a run will take, measured beforehand: a few photos go through the frozen tower, a few steps are trained and
//! thrown away. Nothing is written.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;

use super::{Example, Held, Learner, Phrases, Pick, SegmentTraining, judge, losses, optimiser};
use crate::dataset::masked::MaskedFolder;
use crate::model::ClipSegModel;
use crate::train::forecast::Forecast;
use crate::{Error, Result};

/// Photos read, and steps trained, for the measure; one of each more goes before it and is not counted.
const PHOTOS: usize = 3;
const STEPS: usize = 2;
/// Seconds after which one counted step has to do.
const PATIENCE: f64 = 3.0;

/// Seconds that each part of a run takes on this device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// One version of a photo through the frozen tower.
    pub version: f64,
    /// One example through a training step.
    pub example: f64,
    /// One photo judged, all classes.
    pub judged: f64,
}

impl Pace {
    /// Measures; takes some seconds. `go_on` is asked between the parts.
    ///
    /// # Errors
    /// Those of [`super::train`]; [`Error::Cancelled`] when `go_on` says so.
    pub fn measure(
        base: &ClipSegModel,
        train: &MaskedFolder,
        validation: &MaskedFolder,
        settings: &SegmentTraining,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Self> {
        settings.check()?;
        let mut checked = || if go_on() { Ok(()) } else { Err(Error::Cancelled) };
        let phrases = Phrases::new(base, settings)?;
        let (mut examples, mut reading) = (Vec::new(), 0.0);
        let stride = (train.photos.len() / (PHOTOS + 1)).max(1);
        for (count, photo) in train.photos.iter().step_by(stride).take(PHOTOS + 1).enumerate() {
            checked()?;
            let started = Instant::now();
            examples.push(Example::new(base, photo, &phrases, settings, usize::from(settings.variants > 1), 1)?);
            // The first one warms up whatever the device makes ready at its first use.
            if count > 0 || train.photos.len() == 1 {
                reading += started.elapsed().as_secs_f64();
            }
        }
        let read = examples.len().saturating_sub(1).max(1);
        if examples.is_empty() {
            return Err(Error::input("There is no photo to learn from."));
        }
        let device = base.device().clone().autodiff();
        let mut learner = Learner::new(base, settings.deeper, settings.seed, &device)?;
        let layers = &base.config().decoder.extract_layers;
        let mut optimiser = optimiser();
        let (mut training, mut counted) = (0.0, 0);
        for step in 0..=STEPS {
            checked()?;
            let started = Instant::now();
            let pick = |at: usize| Pick {
                example: at % examples.len(),
                prompt: phrases.of_class[0][0].clone(),
                class: Some(0),
            };
            let picks: Vec<Pick> = (0..settings.batch_size).map(pick).collect();
            let (loss, _) = losses(&learner, &examples, &phrases, &picks, layers, settings, &device);
            let gradients = GradientsParams::from_grads(loss.backward(), &learner);
            learner = optimiser.step(settings.rate, learner, gradients);
            if step > 0 {
                training += started.elapsed().as_secs_f64();
                counted += 1;
            }
            if counted > 0 && training > PATIENCE {
                break;
            }
        }
        checked()?;
        let held = validation.photos.iter().take(2).map(|photo| Held::new(base, photo, &phrases, settings));
        let held = held.collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        judge(&learner.valid(), &held, &phrases, layers, base.device(), |_, _| true)?;
        let judging = started.elapsed().as_secs_f64();
        Ok(Self {
            version: reading / read as f64,
            example: training / (counted * settings.batch_size) as f64,
            judged: judging / held.len().max(1) as f64,
        })
    }

    /// What a run with these settings will take; no device is asked.
    pub fn forecast(&self, train: &MaskedFolder, validation: &MaskedFolder, settings: &SegmentTraining) -> Forecast {
        let classes = |photo: &crate::dataset::masked::MaskedPhoto| {
            settings.prompts.keys().filter(|class| photo.masks.contains_key(*class)).count().max(1)
        };
        let examples: usize = train.photos.iter().map(classes).sum();
        let judged = validation.photos.len() as f64;
        let versions = (train.photos.len() * settings.variants) as f64 + judged;
        // The base is judged once before the first epoch.
        let reading = versions * self.version + judged * self.judged;
        let epoch = examples as f64 * self.example + judged * self.judged;
        Forecast::new(reading, epoch, settings.epochs)
    }
}
