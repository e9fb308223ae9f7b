//! Training on descriptions as the window knows it: the tables and settings, what was understood of them, and what a run
//! has said so far. Plain data; the training is `train`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::ColorImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::lesson::{Course, Phase, Run, Told, spread};
use super::photo_list::file_name;
use crate::gpu::{self, DevicePolicy};
use crate::matching::read_pairs;
use crate::model::{ClipModel, ModelSource, POCKET};
use crate::photo::{Photo, hex, thumbnail};
use crate::train::forecast::Forecast;
use crate::train::match_figures::{MatchFigures, leakage};
use crate::train::match_news::MatchNews;
use crate::train::match_pace::MatchPace;
use crate::train::match_settings::{MatchTraining, Tune};
use crate::train::matching::{MatchEpoch, MatchTrained, check_tables, train};
use crate::train::pair_set::PairSet;
use crate::{Error, Result};

/// Rows shown that fit, and that do not; the longer side of their photos in pixels.
const FITTING: usize = 8;
const WRONG: usize = 4;
const SAMPLE_PX: u32 = 200;

/// What is to be trained; kept with the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MatchSetup {
    /// Table to learn from.
    pub table: Option<PathBuf>,
    /// Table to judge each epoch on.
    pub validation: Option<PathBuf>,
    /// Where relative photo paths of both start; `None` is beside each table.
    pub root: Option<PathBuf>,
    /// Where the run is kept; `None` is a folder of the program's own.
    pub out: Option<PathBuf>,
    pub base: String,
    pub tune: Tune,
    pub lora_rank: usize,
    pub epochs: usize,
    pub batch_size: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Mismatch rows that a pair brings into its batch at most.
    pub hard_negatives: usize,
}

impl Default for MatchSetup {
    fn default() -> Self {
        let MatchTraining { tune, lora_rank, epochs, batch_size, rate, hard_negatives, .. } = MatchTraining::default();
        Self {
            table: None,
            validation: None,
            root: None,
            out: None,
            base: POCKET.to_owned(),
            tune,
            lora_rank,
            epochs,
            batch_size,
            rate,
            hard_negatives,
        }
    }
}

impl MatchSetup {
    /// What a run is told.
    pub fn settings(&self) -> MatchTraining {
        MatchTraining {
            tune: self.tune,
            lora_rank: self.lora_rank,
            epochs: self.epochs,
            batch_size: self.batch_size,
            rate: self.rate,
            hard_negatives: self.hard_negatives,
            ..MatchTraining::default()
        }
    }

    /// Chooses what is trained. A rate that nobody has touched becomes the usual one of the new choice.
    pub fn tune(&mut self, tune: Tune) {
        if self.rate == self.tune.usual_rate() {
            self.rate = tune.usual_rate();
        }
        self.tune = tune;
    }

    /// Where the run is kept. The program's own folder is another one for every setup, so that the same setup goes on and
    /// another begins anew.
    pub fn out(&self) -> Option<PathBuf> {
        self.out.clone().or_else(|| {
            let table = self.table.as_deref()?;
            let stem = table.file_stem()?.to_string_lossy();
            let folder = table.parent().map(file_name).filter(|name| !name.is_empty());
            let name = folder.map_or_else(|| stem.to_string(), |folder| format!("{folder}-{stem}"));
            let print = hex(&Sha256::digest(format!("{self:?}")));
            let training = dirs::data_dir()?.join("hairline").join("training");
            Some(training.join(format!("{name}-{}", &print[..8])))
        })
    }
}

/// A row of the table with its photo, small.
#[derive(Clone)]
pub struct PairSample {
    pub name: String,
    pub picture: Arc<ColorImage>,
    pub text: String,
    /// Whether the row says that the text fits.
    pub fits: bool,
}

/// What was understood of the tables.
pub struct PairData {
    pub train: PairSet,
    pub validation: Option<PairSet>,
    /// What of the validation table is learned from, as sentences.
    pub leakage: Vec<String>,
    pub samples: Vec<PairSample>,
}

impl PairData {
    /// Reads both tables, every photo of them, and a few rows to look at. Takes seconds, so not for the window's thread.
    ///
    /// # Errors
    /// Those of the tables; [`Error::Cancelled`] when `told` says so.
    pub fn read(setup: &MatchSetup, told: Told<'_>) -> Result<Self> {
        let Some(table) = &setup.table else { return Err(Error::input(MatchCourse::choose())) };
        let root = setup.root.as_deref();
        let table = read_pairs(table, root)?;
        let judged = setup.validation.as_deref().map(|path| read_pairs(path, root)).transpose()?;
        let train = PairSet::open(&table, &mut *told)?;
        let validation = judged.map(|pairs| PairSet::open(&pairs, &mut *told)).transpose()?;
        let rows = |rows: &[(usize, usize)], count: usize, fits: bool| {
            let sample = |&&(photo, text): &&(usize, usize)| {
                let (path, text) = (&train.photos[photo], train.texts[text].clone());
                let picture = super::background::colour_image(&thumbnail(&Photo::open(path)?, SAMPLE_PX));
                Ok(PairSample { name: file_name(path), picture: Arc::new(picture), text, fits })
            };
            spread(rows, count).iter().map(sample).collect::<Result<Vec<_>>>()
        };
        let mut samples = rows(&train.matches, FITTING, true)?;
        samples.extend(rows(&train.mismatches, WRONG, false)?);
        let leakage = validation.as_ref().map_or_else(Vec::new, |set| leakage(&train, set));
        Ok(Self { train, validation, leakage, samples })
    }
}

/// Training of a CLIP model on photos and their descriptions.
#[derive(Clone, Copy, Debug)]
pub struct MatchCourse;

/// A run of it.
pub type MatchRun = Run<MatchCourse>;

impl MatchRun {
    /// The epoch that is kept: the lowest validation loss, or without a validation table the last one.
    pub fn best(&self) -> Option<&MatchEpoch> {
        let loss = |epoch: &MatchEpoch| epoch.validation.map(|figures| figures.loss);
        self.epochs.iter().reduce(|best, next| match (loss(best), loss(next)) {
            (Some(best_loss), Some(next_loss)) if next_loss >= best_loss => best,
            _ => next,
        })
    }

    /// The folder of the best epoch's model, once there is one.
    pub fn model(&self) -> Option<PathBuf> {
        (!self.epochs.is_empty()).then(|| self.out.join("best_model"))
    }
}

fn base(setup: &MatchSetup, device: DevicePolicy) -> Result<ClipModel> {
    ClipModel::load(&ModelSource::resolve(&setup.base)?, &gpu::choose(device)?.device)
}

impl Course for MatchCourse {
    type Setup = MatchSetup;
    /// Table to learn from, table to judge on, root.
    type Source = (PathBuf, Option<PathBuf>, Option<PathBuf>);
    type Data = PairData;
    type PaceKey = MatchSetup;
    type Pace = MatchPace;
    type Judged = MatchFigures;
    type Epoch = MatchEpoch;
    type Losses = f64;
    type Event = MatchNews;
    type Outcome = MatchTrained;

    fn source(setup: &MatchSetup) -> Option<Self::Source> {
        Some((setup.table.clone()?, setup.validation.clone(), setup.root.clone()))
    }

    fn pace_key(setup: &MatchSetup) -> MatchSetup {
        MatchSetup { out: None, epochs: 0, rate: 0.0, ..setup.clone() }
    }

    fn epochs(setup: &MatchSetup) -> usize {
        setup.epochs
    }

    fn seconds(epoch: &MatchEpoch) -> f64 {
        epoch.seconds
    }

    fn out(setup: &MatchSetup) -> Option<PathBuf> {
        setup.out()
    }

    fn choose() -> &'static str {
        "Choose a table of photos and texts first."
    }

    fn problem(setup: &MatchSetup) -> Option<String> {
        setup.settings().check().err().map(|error| error.to_string())
    }

    fn read(setup: &MatchSetup, told: Told<'_>) -> Result<PairData> {
        let data = PairData::read(setup, told)?;
        check_tables(&data.train, data.validation.as_ref())?;
        Ok(data)
    }

    fn measure(
        setup: &MatchSetup,
        data: &PairData,
        device: DevicePolicy,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<MatchPace> {
        MatchPace::measure(&base(setup, device)?, &data.train, &setup.settings(), go_on)
    }

    fn forecast(pace: &MatchPace, data: &PairData, setup: &MatchSetup) -> Forecast {
        pace.forecast(&data.train, data.validation.as_ref(), &setup.settings())
    }

    fn train(
        setup: &MatchSetup,
        data: &PairData,
        out: &Path,
        device: DevicePolicy,
        tell: &mut dyn FnMut(&MatchNews) -> bool,
    ) -> Result<MatchTrained> {
        train(&base(setup, device)?, &data.train, data.validation.as_ref(), &setup.settings(), out, tell)
    }

    fn is_milestone(event: &MatchNews) -> bool {
        event.is_milestone()
    }

    fn apply(run: &mut MatchRun, event: MatchNews) {
        match event {
            MatchNews::Resumed { base, epochs, .. } => {
                run.resumed = epochs.len();
                (run.base, run.epochs) = (base, epochs);
            }
            MatchNews::Prepared { done, total } => run.phase = Phase::Reading { done, total },
            MatchNews::Base(figures) => run.base = Some(figures),
            MatchNews::Stepped { step, steps, loss } => {
                let each = (steps / run.setup.epochs.max(1)).max(1);
                let before = step.saturating_sub(1);
                run.learned(before / each + 1, before % each + 1, each, f64::from(loss));
            }
            MatchNews::Judging { done, total } => run.phase = Phase::Judging { done, total },
            MatchNews::Epoch(epoch) => run.epochs.push(epoch),
        }
    }

    fn conclude(run: &mut MatchRun, outcome: MatchTrained) -> String {
        let best = outcome.epochs.get(outcome.best.wrapping_sub(1));
        let loss = |figures: Option<MatchFigures>| figures.map(|figures| figures.loss);
        let said = match (loss(outcome.base), loss(best.and_then(|best| best.validation))) {
            (Some(before), Some(after)) => {
                format!(" Epoch {} is best: validation loss {after:.3}, before {before:.3}.", outcome.best)
            }
            _ => String::new(),
        };
        run.warnings = outcome.warnings;
        format!("Training on descriptions is through.{said}")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn epoch(epoch: usize, loss: f64) -> MatchEpoch {
        let figures =
            MatchFigures { loss, photo_to_text: 0.5, text_to_photo: 0.5, auroc: Some(0.7), matching: 0.3, other: None };
        MatchEpoch { epoch, rate: 1e-3, loss, validation: Some(figures), seconds: 4.0 }
    }

    #[test]
    fn a_run_counts_steps_as_batches_of_epochs_and_keeps_the_lowest_loss() {
        let mut run = MatchRun::new("run".into(), MatchSetup { epochs: 4, ..MatchSetup::default() });
        MatchCourse::apply(&mut run, MatchNews::Resumed { step: 3, base: None, epochs: vec![epoch(1, 1.0)] });
        assert_eq!((run.seconds_left(), run.resumed), (None, 1));
        MatchCourse::apply(&mut run, MatchNews::Stepped { step: 6, steps: 12, loss: 0.5 });
        assert_eq!(run.phase, Phase::Learning { epoch: 2, batch: 3, batches: 3 });
        MatchCourse::apply(&mut run, MatchNews::Epoch(epoch(2, 0.4)));
        MatchCourse::apply(&mut run, MatchNews::Epoch(epoch(3, 0.6)));
        MatchCourse::apply(&mut run, MatchNews::Stepped { step: 10, steps: 12, loss: 0.5 });
        assert_eq!(run.batches.last(), Some(&(3.0 + 1.0 / 3.0, 0.5)));
        assert!((run.seconds_left().unwrap() - 8.0 / 3.0).abs() < 1e-9);
        assert_eq!(run.best().map(|best| best.epoch), Some(2));
        for epoch in &mut run.epochs {
            epoch.validation = None;
        }
        assert_eq!(run.best().map(|best| best.epoch), Some(3), "nothing to judge by: the last one");
    }

    #[test]
    fn the_usual_rate_follows_what_is_tuned_until_somebody_sets_another() {
        let mut setup = MatchSetup::default();
        setup.tune(Tune::Projections);
        assert_eq!(setup.rate, 1e-3);
        setup.rate = 2e-3;
        setup.tune(Tune::Lora);
        assert_eq!((setup.tune, setup.rate), (Tune::Lora, 2e-3));
        assert!(MatchSetup { batch_size: 1, ..setup }.settings().check().is_err());
    }

    #[test]
    fn every_setup_has_a_folder_of_its_own() {
        let setup = MatchSetup { table: Some("/photos/tiles/train.csv".into()), ..MatchSetup::default() };
        let Some(out) = setup.out() else { return };
        assert!(out.to_string_lossy().contains("training/tiles-train-"), "{out:?}");
        assert_eq!(setup.out(), Some(out.clone()));
        assert_ne!(MatchSetup { epochs: 9, ..setup.clone() }.out(), Some(out));
        assert_eq!(MatchSetup { out: Some("here".into()), ..setup }.out(), Some("here".into()));
    }

    #[test]
    fn tables_are_understood_with_samples_and_leaks() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            let grey = name.as_bytes()[0];
            image::RgbImage::from_pixel(300, 20, image::Rgb([grey; 3]))
                .save(dir.path().join(format!("{name}.png")))
                .unwrap();
        }
        let table = |name: &str, rows: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("image_path,text,label\n{rows}")).unwrap();
            Some(path)
        };
        let mut setup = MatchSetup {
            table: table(
                "train.csv",
                "a.png,a ring,match\nb.png,a nut,match\na.png,a nut,mismatch\nd.png,a cap,match\n",
            ),
            validation: table("val.csv", "a.png,a bolt,match\nc.png,a nut,match\n"),
            ..MatchSetup::default()
        };
        let data = MatchCourse::read(&setup, &mut |_, _| true).unwrap();
        assert_eq!((data.train.matches.len(), data.train.mismatches.len(), data.train.bad.len()), (2, 1, 1));
        assert_eq!(data.leakage.len(), 2, "{:?}", data.leakage);
        assert_eq!(data.samples.len(), 3);
        let last = &data.samples[2];
        assert_eq!((last.name.as_str(), last.text.as_str(), last.fits), ("a.png", "a nut", false));
        assert_eq!(last.picture.size, [200, 13]);
        setup.validation = table("one.csv", "a.png,a bolt,match\n");
        let error = MatchCourse::read(&setup, &mut |_, _| true).err().unwrap();
        assert!(error.to_string().contains("table to judge on"), "{error}");
    }
}
