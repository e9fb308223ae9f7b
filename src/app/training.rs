//! Training of the network that segments, as the window knows it: the data, the settings, how long it will take, and what a
//! run has said so far. Plain data; the training is `train`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::ColorImage;
use serde::{Deserialize, Serialize};

use super::lesson::{Course, Phase, Run, Told, spread};
use crate::dataset::masked::{MaskedFolder, MaskedPhoto, ONLY_CLASS};
use crate::gpu::{self, DevicePolicy};
use crate::photo::{Photo, thumbnail};
use crate::report::segments::COLOURS;
use crate::train::forecast::Forecast;
use crate::train::segmentation::{self, EpochFigures, Judged, Pace, SegmentTraining, TrainEvent, Trained};
use crate::{Error, Result};

/// Photos whose masks are read for the balance of classes at most, spread evenly.
const READ: usize = 200;
/// Photos shown, and their longer side in pixels.
const SAMPLES: usize = 10;
const SAMPLE_PX: u32 = 200;
/// What is to be trained; kept with the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSetup {
    /// Photos with masks to learn from.
    pub data: Option<PathBuf>,
    /// Those to judge on; `None` takes a fifth of `data`.
    pub validation: Option<PathBuf>,
    /// Where the run is kept; `None` is a folder of the program's own.
    pub out: Option<PathBuf>,
    pub base: String,
    /// Class → phrases as typed, with `;` between them.
    pub phrases: BTreeMap<String, String>,
    pub epochs: usize,
    pub batch_size: usize,
    /// Highest learning rate.
    pub rate: f64,
    pub variants: usize,
    /// Share of the examples with an empty answer.
    pub negatives: f64,
    /// Epochs without a better Dice after which the run ends; 0 never.
    pub patience: usize,
    /// Blocks of the vision tower that learn as well.
    pub deeper: usize,
}

impl Default for TrainSetup {
    fn default() -> Self {
        let SegmentTraining { epochs, batch_size, rate, variants, negatives, patience, deeper, .. } =
            SegmentTraining::default();
        Self {
            data: None,
            validation: None,
            out: None,
            base: super::segmenting::DEFAULT_MODEL.to_owned(),
            phrases: BTreeMap::new(),
            epochs,
            batch_size,
            rate,
            variants,
            negatives,
            patience,
            deeper,
        }
    }
}

impl TrainSetup {
    /// Where the run is kept.
    pub fn out(&self) -> Option<PathBuf> {
        self.out.clone().or_else(|| {
            let data = self.data.as_deref()?;
            let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
            // `…/crack_forest/train` is known by both its names.
            let parent = data.parent().and_then(name);
            let name = match (parent, name(data)?) {
                (Some(parent), name) => format!("{parent}-{name}"),
                (None, name) => name,
            };
            Some(dirs::data_dir()?.join("hairline").join("training").join(name))
        })
    }

    /// What a run is told.
    pub fn settings(&self) -> SegmentTraining {
        let phrases = |text: &String| -> Vec<String> {
            text.split(';').map(str::trim).filter(|phrase| !phrase.is_empty()).map(ToOwned::to_owned).collect()
        };
        SegmentTraining {
            prompts: self.phrases.iter().map(|(class, text)| (class.clone(), phrases(text))).collect(),
            epochs: self.epochs,
            batch_size: self.batch_size,
            rate: self.rate,
            variants: self.variants,
            negatives: self.negatives,
            patience: self.patience,
            deeper: self.deeper,
            ..SegmentTraining::default()
        }
    }

    /// Classes of other data go, those of this one get phrases to start from.
    pub fn adopt(&mut self, classes: &[String]) {
        self.phrases.retain(|class, _| classes.contains(class));
        for class in classes {
            let name = if class == ONLY_CLASS { "defect".to_owned() } else { class.replace(['_', '-'], " ") };
            self.phrases.entry(class.clone()).or_insert_with(|| format!("a {name}; {name}"));
        }
    }

    /// The folders to learn from and to judge on.
    ///
    /// # Errors
    /// [`Error::Input`] for folders that cannot be used.
    pub fn folders(&self) -> Result<(MaskedFolder, MaskedFolder)> {
        let Some(data) = &self.data else { return Err(Error::input("Choose photos with masks first.")) };
        let mut train = MaskedFolder::open(data)?;
        let validation = match &self.validation {
            Some(folder) => MaskedFolder::open(folder)?,
            None => train.split(self.settings().seed)?,
        };
        Ok((train, validation))
    }
}

/// How much there is of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassBalance {
    pub class: String,
    /// Photos to learn from that show it.
    pub photos: usize,
    /// Share of their pixels that it covers, in [0, 1]; `None` where no mask was read.
    pub share: Option<f64>,
}

/// A photo with its masks, small.
#[derive(Clone)]
pub struct Sample {
    pub name: String,
    pub picture: Arc<ColorImage>,
    pub classes: Vec<String>,
}

/// What was understood of the data.
#[derive(Clone)]
pub struct TrainData {
    pub train: Arc<MaskedFolder>,
    pub validation: Arc<MaskedFolder>,
    pub balance: Vec<ClassBalance>,
    /// Photos to learn from that show nothing.
    pub plain: usize,
    /// Photos whose masks were read for the shares.
    pub read: usize,
    pub samples: Vec<Sample>,
}

impl TrainData {
    /// Reads folders, masks and a few photos. Takes seconds, so not for the window's thread.
    ///
    /// # Errors
    /// As [`TrainSetup::folders`]; those of a mask or photo that cannot be read.
    pub fn read(setup: &TrainSetup) -> Result<Self> {
        let (train, validation) = setup.folders()?;
        if let Some(class) = train.classes.iter().find(|class| !validation.classes.contains(class))
            && setup.validation.is_some()
        {
            let text = format!("The photos to judge on show no `{class}`, which is to be learned. Choose others.");
            return Err(match &setup.validation {
                Some(folder) => Error::input(text).at(folder),
                None => Error::input(text),
            });
        }
        let photos: Vec<&MaskedPhoto> = spread(&train.photos, READ);
        let mut sums: BTreeMap<&String, (f64, usize)> = BTreeMap::new();
        for photo in &photos {
            for (class, path) in &photo.masks {
                let mask = crate::dataset::mask::read_mask(path)?;
                let inside = mask.iter().filter(|value| **value > 0).count();
                let sum = sums.entry(class).or_default();
                *sum = (sum.0 + inside as f64 / mask.len().max(1) as f64, sum.1 + 1);
            }
        }
        let balance = train.classes.iter().map(|class| ClassBalance {
            class: class.clone(),
            photos: train.photos.iter().filter(|photo| photo.masks.contains_key(class)).count(),
            share: sums.get(class).map(|(sum, count)| sum / *count as f64),
        });
        let balance = balance.collect();
        let masked: Vec<MaskedPhoto> = train.photos.iter().filter(|photo| !photo.masks.is_empty()).cloned().collect();
        let samples = spread(&masked, SAMPLES).into_iter().map(|photo| sample(photo, &train.classes));
        Ok(Self {
            samples: samples.collect::<Result<_>>()?,
            plain: train.photos.len() - masked.len(),
            read: photos.len(),
            balance,
            train: Arc::new(train),
            validation: Arc::new(validation),
        })
    }
}

/// The photo with the outlines of its masks, small.
fn sample(photo: &MaskedPhoto, classes: &[String]) -> Result<Sample> {
    let opened = Photo::open(&photo.path)?;
    let mut small = thumbnail(&opened, SAMPLE_PX);
    let (width, height) = small.dimensions();
    for class in photo.masks.keys() {
        let truth = photo.truth(&opened, class)?;
        let colour = COLOURS[classes.iter().position(|known| known == class).unwrap_or(0) % COLOURS.len()];
        let wide = opened.width() as usize;
        for (x, y, pixel) in small.enumerate_pixels_mut() {
            // A fine line must not fall between the pixels of the small picture.
            let range = |at: u32, small: u32, large: u32| {
                let from = (u64::from(at) * u64::from(large) / u64::from(small)) as usize;
                from..((u64::from(at + 1) * u64::from(large)).div_ceil(u64::from(small)) as usize)
            };
            let mut rows = range(y, height, opened.height());
            if rows.any(|row| range(x, width, opened.width()).any(|column| truth[row * wide + column])) {
                let mix = |a: u8, b: u8| ((u16::from(a) * 3 + u16::from(b) * 7) / 10) as u8;
                pixel.0 = [0, 1, 2].map(|channel| mix(pixel.0[channel], colour[channel]));
            }
        }
    }
    let name = super::photo_list::file_name(&photo.path);
    let picture = Arc::new(super::background::colour_image(&small));
    Ok(Sample { name, picture, classes: photo.masks.keys().cloned().collect() })
}

/// What the pace was measured with; the rest of a setup does not change it.
#[derive(Clone, Debug, PartialEq)]
pub struct PaceKey {
    data: Option<PathBuf>,
    validation: Option<PathBuf>,
    base: String,
    batch_size: usize,
    deeper: usize,
}

/// Training of the network that segments.
#[derive(Clone, Copy, Debug)]
pub struct SegmentCourse;

/// A run of it.
pub type TrainRun = Run<SegmentCourse>;

impl TrainRun {
    /// The epoch with the highest Dice, which is the one kept.
    pub fn best(&self) -> Option<&EpochFigures> {
        self.epochs.iter().reduce(|best, next| if next.dice > best.dice { next } else { best })
    }

    /// The folder of the best epoch's model, once there is one.
    pub fn model(&self) -> Option<PathBuf> {
        (!self.epochs.is_empty()).then(|| self.out.join("model"))
    }
}

impl Course for SegmentCourse {
    type Setup = TrainSetup;
    type Source = (PathBuf, Option<PathBuf>);
    type Data = TrainData;
    type PaceKey = PaceKey;
    type Pace = Pace;
    type Judged = Judged;
    type Epoch = EpochFigures;
    /// BCE, Dice loss.
    type Losses = [f64; 2];
    type Event = TrainEvent;
    type Outcome = Trained;

    fn source(setup: &TrainSetup) -> Option<Self::Source> {
        Some((setup.data.clone()?, setup.validation.clone()))
    }

    fn pace_key(setup: &TrainSetup) -> PaceKey {
        let TrainSetup { data, validation, base, batch_size, deeper, .. } = setup.clone();
        PaceKey { data, validation, base, batch_size, deeper }
    }

    fn epochs(setup: &TrainSetup) -> usize {
        setup.epochs
    }

    fn seconds(epoch: &EpochFigures) -> f64 {
        epoch.seconds
    }

    fn out(setup: &TrainSetup) -> Option<PathBuf> {
        setup.out()
    }

    fn choose() -> &'static str {
        "Choose photos with masks first."
    }

    fn problem(setup: &TrainSetup) -> Option<String> {
        setup.settings().check().err().map(|error| error.to_string())
    }

    fn adopt(setup: &mut TrainSetup, data: &TrainData) {
        setup.adopt(&data.train.classes);
    }

    fn read(setup: &TrainSetup, _told: Told<'_>) -> Result<TrainData> {
        TrainData::read(setup)
    }

    fn measure(
        setup: &TrainSetup,
        data: &TrainData,
        device: DevicePolicy,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Pace> {
        let base = segmentation::base(&setup.base, None, &gpu::choose(device)?.device)?;
        Pace::measure(&base, &data.train, &data.validation, &setup.settings(), go_on)
    }

    fn forecast(pace: &Pace, data: &TrainData, setup: &TrainSetup) -> Forecast {
        pace.forecast(&data.train, &data.validation, &setup.settings())
    }

    fn train(
        setup: &TrainSetup,
        data: &TrainData,
        out: &Path,
        device: DevicePolicy,
        tell: &mut dyn FnMut(&TrainEvent) -> bool,
    ) -> Result<Trained> {
        let base = segmentation::base(&setup.base, None, &gpu::choose(device)?.device)?;
        segmentation::train(base, &data.train, &data.validation, &setup.settings(), out, tell)
    }

    fn is_milestone(event: &TrainEvent) -> bool {
        event.is_milestone()
    }

    fn apply(run: &mut TrainRun, event: TrainEvent) {
        match event {
            TrainEvent::Resumed(epochs) => {
                run.resumed = epochs.len();
                run.epochs = epochs;
            }
            TrainEvent::Reading { done, total } => run.phase = Phase::Reading { done, total },
            TrainEvent::Base(judged) => run.base = Some(judged),
            TrainEvent::Batch { epoch, batch, batches, bce, dice_loss, .. } => {
                run.learned(epoch, batch, batches, [bce, dice_loss]);
            }
            TrainEvent::Judging { done, total } => run.phase = Phase::Judging { done, total },
            TrainEvent::Epoch(figures) => run.epochs.push(figures),
            TrainEvent::StoppedEarly { .. } => run.early = true,
        }
    }

    fn conclude(run: &mut TrainRun, _outcome: Trained) -> String {
        let best = run.best().and_then(|best| Some((best.epoch, best.dice?)));
        let best = best.map_or_else(String::new, |(epoch, dice)| format!(" Epoch {epoch} is best, Dice {dice:.3}."));
        format!("Training is through.{best}")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::app::lesson;

    fn figures(epoch: usize, dice: f64) -> EpochFigures {
        EpochFigures {
            epoch,
            rate: 1e-3,
            bce: 0.2,
            dice_loss: 0.4,
            iou: Some(dice / (2.0 - dice)),
            dice: Some(dice),
            best_threshold: Some(0.4),
            best_dice: Some(dice),
            seconds: 10.0,
        }
    }

    #[test]
    fn a_run_says_what_it_does_and_how_long_it_will_take() {
        let mut run = TrainRun::new("run".into(), TrainSetup { epochs: 4, ..TrainSetup::default() });
        SegmentCourse::apply(&mut run, TrainEvent::Resumed(vec![figures(1, 0.3)]));
        assert_eq!(run.seconds_left(), None, "the epochs before were another sitting's");
        SegmentCourse::apply(&mut run, TrainEvent::Reading { done: 3, total: 10 });
        assert_eq!(run.doing(), "Reading photos: 3 of 10");
        SegmentCourse::apply(&mut run, TrainEvent::Epoch(figures(2, 0.6)));
        SegmentCourse::apply(&mut run, TrainEvent::Epoch(figures(3, 0.5)));
        let batch = TrainEvent::Batch { epoch: 4, epochs: 4, batch: 1, batches: 2, bce: 0.1, dice_loss: 0.2 };
        SegmentCourse::apply(&mut run, batch.clone());
        assert_eq!((run.seconds_left(), run.share()), (Some(5.0), 0.875));
        assert_eq!(run.best().map(|best| best.epoch), Some(2));
        for _ in 0..10 * lesson::POINTS {
            SegmentCourse::apply(&mut run, batch.clone());
        }
        assert!(run.batches.len() <= 2 * lesson::POINTS);
    }

    #[test]
    fn data_is_understood_and_shown() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["images", "masks/crack", "masks/hole"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for n in 0..5u32 {
            let name = format!("{n}.png");
            image::RgbImage::from_pixel(40, 20, image::Rgb([200; 3]))
                .save(dir.path().join("images").join(&name))
                .unwrap();
            if n < 3 {
                let line = image::GrayImage::from_fn(40, 20, |x, _| image::Luma([if x == 7 { 255 } else { 0 }]));
                line.save(dir.path().join("masks/crack").join(&name)).unwrap();
            }
        }
        image::GrayImage::new(40, 20).save(dir.path().join("masks/hole/4.png")).unwrap();
        let mut setup = TrainSetup { data: Some(dir.path().to_owned()), ..TrainSetup::default() };
        setup.validation = setup.data.clone();
        let data = TrainData::read(&setup).unwrap();
        assert_eq!((data.train.photos.len(), data.plain, data.samples.len()), (5, 2, 3));
        assert_eq!((data.balance[0].class.as_str(), data.balance[0].photos), ("crack", 3));
        assert!((data.balance[0].share.unwrap() - 0.025).abs() < 1e-9);
        assert_eq!(
            (data.balance[1].photos, data.balance[1].share),
            (0, None),
            "a mask without a marked pixel shows nothing"
        );
        let outlined = data.samples[0].picture.pixels.iter().filter(|pixel| pixel.r() != 200).count();
        assert_eq!(outlined, 20);

        setup.adopt(&data.train.classes);
        let settings = setup.settings();
        assert_eq!(settings.prompts["crack"], ["a crack", "crack"]);
        assert!(settings.check().is_ok());
        setup.phrases.insert("crack".to_owned(), " ; ".to_owned());
        assert!(setup.settings().check().unwrap_err().to_string().contains("crack"));
        setup.adopt(&["hole".to_owned()]);
        assert_eq!(setup.phrases.len(), 1, "classes that are not there go");
    }

    #[test]
    fn runs_are_kept_apart_by_the_names_of_their_data() {
        let setup = TrainSetup { data: Some("/photos/crack_forest/train".into()), ..TrainSetup::default() };
        let out = setup.out();
        assert!(out.is_none_or(|out| out.ends_with("training/crack_forest-train")));
        assert_eq!(TrainSetup { out: Some("here".into()), ..setup }.out(), Some("here".into()));
    }
}
