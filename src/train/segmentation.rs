//! Fine-tuning of CLIPSeg's decoder behind frozen towers (Lüddecke and Ecker 2022), or with the last blocks that it reads:
//! BCE and Dice loss, several phrasings for each class, photos varied, wrong words with an empty answer. What the frozen
//! part says of each varied photo is computed once and kept, so that a processor can train. A run that was stopped, even
//! killed, goes on where it was.

mod base;
mod learner;
mod pace;
mod progress;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::{Module, ParamGroup};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use image::{GrayImage, imageops};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::average::{collect, install};
use super::checkpoint::{Checkpoint, write_folder};
use super::loss::{binary, dice};
use super::precision::{LossScale, Precision, computing};
use super::schedule::Schedule;
use super::step::{Stepper, adamw, pytorch_adamw};
use crate::dataset::masked::{MaskedFolder, MaskedPhoto};
use crate::metrics::segmentation::Sweep;
use crate::model::{ClipSegModel, PreparedImage};
use crate::photo::Photo;
use crate::report::ModelIdentity;
use crate::{Error, Result, anomaly, report};

use learner::Learner;

pub use base::base;
pub use pace::Pace;
pub use progress::{Judged, TrainEvent};

/// Bytes of features kept at most.
const MOST_BYTES: usize = 8 << 30;
/// Words that name nothing in a photo of a part: with them the answer is empty.
const WRONG_WORDS: [&str; 4] = ["a flawless part", "an undamaged surface", "a human hand", "a clean background"];

/// Share of the learning rate that blocks of the tower get.
const DEEPER_RATE: f64 = 0.1;

/// What decides a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentTraining {
    /// Class → phrases, any of which may stand for it.
    pub prompts: BTreeMap<String, Vec<String>>,
    pub epochs: usize,
    pub batch_size: usize,
    /// Batches whose gradients are added up before a step, ≥ 1.
    pub accumulate: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Share of the steps that warm up.
    pub warm_up: f64,
    /// Largest length of all gradients together; longer ones are scaled down to it.
    pub clip_norm: f32,
    pub bce_weight: f64,
    pub dice_weight: f64,
    /// Share of the examples that get words for what the photo does not show (another class, or anything else) and an
    /// empty answer, in [0, 1). Photos that show no class are such examples always.
    pub negatives: f64,
    /// Versions of each photo (the first is the photo itself), ≥ 1.
    pub variants: usize,
    /// Epochs without a better validation Dice after which the run ends; 0 runs to the end.
    pub patience: usize,
    /// Blocks of the vision tower that are trained as well, counted from the last one that the decoder reads; at
    /// [`DEEPER_RATE`] of the rate, because they know much already.
    #[serde(default)]
    pub deeper: usize,
    #[serde(default)]
    pub precision: Precision,
    pub seed: u64,
}

impl Default for SegmentTraining {
    fn default() -> Self {
        Self {
            prompts: BTreeMap::new(),
            epochs: 30,
            batch_size: 8,
            accumulate: 1,
            rate: 1e-3,
            warm_up: 0.05,
            clip_norm: 1.0,
            bce_weight: 1.0,
            dice_weight: 1.0,
            negatives: 0.1,
            variants: 4,
            patience: 0,
            deeper: 0,
            precision: Precision::F32,
            seed: 0,
        }
    }
}

impl SegmentTraining {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`Error::Input`] naming the value.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("--epochs", self.epochs),
            ("--batch-size", self.batch_size),
            ("--accumulate", self.accumulate),
            ("--variants", self.variants),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::input(format!("{name} must be at least 1.")));
        }
        let weights = [("--bce-weight", self.bce_weight), ("--dice-weight", self.dice_weight)];
        if let Some((name, _)) = weights.iter().find(|(_, weight)| !weight.is_finite() || *weight < 0.0) {
            return Err(Error::input(format!("{name} must be 0 or more.")));
        }
        if self.bce_weight + self.dice_weight <= 0.0 {
            return Err(Error::input("--bce-weight and --dice-weight are both 0, so there is nothing to learn."));
        }
        let fine = self.rate > 0.0 && self.rate <= 1.0 && (0.0..=1.0).contains(&self.warm_up) && self.clip_norm > 0.0;
        if !fine {
            return Err(Error::input("Learning rate, warm-up and gradient norm must be above 0 and at most 1."));
        }
        if !(0.0..1.0).contains(&self.negatives) {
            return Err(Error::input("--negatives must lie between 0 and 1."));
        }
        match self.prompts.iter().find(|(_, phrases)| phrases.is_empty()) {
            Some((class, _)) => Err(Error::input(format!("The class `{class}` has no phrase. Give it at least one."))),
            None if self.prompts.is_empty() => Err(Error::input("There is no class to train. Give --prompts.")),
            None => Ok(()),
        }
    }
}

/// One epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochFigures {
    /// From 1.
    pub epoch: usize,
    pub rate: f64,
    /// Means over the training examples.
    pub bce: f64,
    pub dice_loss: f64,
    /// On the validation photos at 0.5, over all pixels; absent where nothing is outlined or predicted.
    pub iou: Option<f64>,
    pub dice: Option<f64>,
    /// Absent where nothing is outlined.
    pub best_threshold: Option<f64>,
    pub best_dice: Option<f64>,
    pub seconds: f64,
}

impl EpochFigures {
    /// What was found on the validation photos.
    pub fn judged(&self) -> Judged {
        let Self { iou, dice, best_threshold, best_dice, .. } = *self;
        Judged { iou, dice, best_threshold, best_dice }
    }
}

impl std::fmt::Display for EpochFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, bce, dice_loss, .. } = self;
        write!(f, "epoch {epoch}: BCE {bce:.4}, Dice loss {dice_loss:.4}; {}", self.judged())
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Trained {
    /// What the decoder gave before it was trained.
    pub base: Judged,
    /// Every epoch of the run, those before a resumption too.
    pub epochs: Vec<EpochFigures>,
    /// The epoch whose decoder is in `model`.
    pub best: usize,
    /// The model folder.
    pub folder: PathBuf,
    /// Examples through one training step per second, in this session; `None` when nothing was left to train.
    pub examples_per_second: Option<f64>,
}

/// What the frozen part says of one version of a photo, and the truth at the network's input size.
struct Example {
    /// `[tokens × width]` of each block of [`Learner::wanted`].
    tokens: Vec<Vec<f32>>,
    shape: [usize; 2],
    grid: (usize, usize),
    /// Class → share of each input pixel inside the mask, `[height × width]` in [0, 1]; absent classes have none.
    masks: BTreeMap<String, Vec<f32>>,
}

/// A validation photo: its tokens, and its truth at its own size.
struct Held {
    example: Example,
    photo: (usize, usize),
    truth: BTreeMap<String, Vec<bool>>,
}

/// State between two epochs, besides the optimiser's.
#[derive(Serialize, Deserialize)]
struct Progress {
    settings: SegmentTraining,
    /// SHA-256 over the photos' paths and the model.
    data: String,
    epochs: Vec<EpochFigures>,
    best: usize,
    scale: LossScale,
}

/// Trains the decoder of `base` on `train`, judges it on `validation` after each epoch, and keeps in `out`: `model/` (the
/// best epoch, a CLIPSeg folder), `last.safetensors` and `optimiser-<epoch>.bpk` (to go on from), `curves.csv` and
/// `training.ron`. A run with the same settings that was stopped goes on. `report` gets what happens and says whether to
/// go on.
///
/// # Errors
/// [`Error::Input`] for settings out of range, photos or masks that cannot be used, an `out` of another run, and a loss
/// that is no longer a number; [`Error::Cancelled`] when `report` says so.
pub fn train(
    base: ClipSegModel,
    train: &MaskedFolder,
    validation: &MaskedFolder,
    settings: &SegmentTraining,
    out: &Path,
    mut report: impl FnMut(&TrainEvent) -> bool,
) -> Result<Trained> {
    settings.check()?;
    report::create_folder(out)?;
    let data = fingerprint(&base, train, validation);
    let device = base.device().clone().autodiff();
    settings.precision.check(&device)?;
    let mut learner = Learner::new(&base, settings.deeper, settings.seed, &device)?;
    let untrained = learner.clone().valid();
    let mut stepper = Stepper::with(optimiser(), settings.precision, f64::from(settings.clip_norm));
    let mut progress = Progress { settings: settings.clone(), data, epochs: Vec::new(), best: 0, scale: stepper.scale };
    if let Some(mut saved) = Checkpoint::<Progress>::open(out)? {
        if saved.progress.settings != progress.settings || saved.progress.data != progress.data {
            return Err(Error::input(
                "The folder holds a run with other settings, photos or model. Choose another --out, or remove it.",
            )
            .at(out));
        }
        stepper.optimiser = saved.optimiser(out, stepper.optimiser)?;
        learner = install(learner, std::mem::take(&mut saved.weights))?;
        progress = saved.progress;
        stepper.scale = progress.scale;
        report(&TrainEvent::Resumed(progress.epochs.clone()));
    }
    let phrases = Phrases::new(&base, settings)?;
    let mut examples = Vec::new();
    let versions = train.photos.len() * settings.variants + validation.photos.len();
    let mut reading =
        |done| if report(&TrainEvent::Reading { done, total: versions }) { Ok(()) } else { Err(Error::Cancelled) };
    for (index, photo) in train.photos.iter().enumerate() {
        for version in 0..settings.variants {
            reading(examples.len())?;
            examples.push(Example::new(&base, photo, &phrases, settings, version, settings.seed ^ index as u64)?);
        }
        let bytes = examples[0].bytes() * versions;
        if bytes > MOST_BYTES {
            return Err(Error::input(format!(
                "The features of all photos would take {:.1} GB of memory. Use fewer --variants or a smaller --input.",
                bytes as f64 / 1e9
            )));
        }
    }
    let mut held = Vec::new();
    for photo in &validation.photos {
        reading(examples.len() + held.len())?;
        held.push(Held::new(&base, photo, &phrases, settings)?);
    }
    write_recipe(&base, train, validation, settings, &held, out)?;

    let read = &base.config().decoder.extract_layers;
    let judging = |report: &mut dyn FnMut(&TrainEvent) -> bool, learner: &Learner| {
        let mut told = |done, total| report(&TrainEvent::Judging { done, total });
        judge(learner, &held, &phrases, read, base.device(), &mut told).map(|sweep| Judged::of(&sweep))
    };
    let before = judging(&mut report, &untrained)?;
    report(&TrainEvent::Base(before));
    let every = phrases.occurrences(train);
    let per_epoch = every.len();
    let batches = per_epoch.div_ceil(settings.batch_size);
    let steps = batches.div_ceil(settings.accumulate);
    let total = steps * settings.epochs;
    let schedule =
        Schedule { peak: settings.rate, warm_up: ((total as f64 * settings.warm_up) as usize).max(1), steps: total };
    let (mut done, mut busy, mut mark) = (0usize, 0.0f64, Instant::now());
    for epoch in progress.epochs.len()..settings.epochs {
        if settings.patience > 0 && epoch >= progress.best + settings.patience && progress.best > 0 {
            report(&TrainEvent::StoppedEarly { best: progress.best });
            break;
        }
        let started = Instant::now();
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed.wrapping_mul(0x9e37_79b9).wrapping_add(epoch as u64));
        let mut order = every.clone();
        order.shuffle(&mut rng);
        let mut sums = [0.0f64; 2];
        for (number, batch) in order.chunks(settings.batch_size).enumerate() {
            let chosen: Vec<_> = batch.iter().map(|pick| phrases.pick(*pick, train, settings, &mut rng)).collect();
            let (loss, terms) = losses(&learner, &examples, &phrases, &chosen, read, settings, &device);
            if terms.iter().all(|term| term.is_finite()) {
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term * batch.len() as f64);
            }
            stepper.add(loss / settings.accumulate as f64, &learner);
            if (number + 1) % settings.accumulate == 0 || number + 1 == batches {
                let step = epoch * steps + number / settings.accumulate;
                learner = stepper.step(schedule.rate(step), learner)?;
            }
            done += batch.len();
            let [bce, dice_loss] = terms;
            let (epochs, batch) = (settings.epochs, number + 1);
            if !report(&TrainEvent::Batch { epoch: epoch + 1, epochs, batch, batches, bce, dice_loss }) {
                return Err(Error::Cancelled);
            }
        }
        busy += started.elapsed().as_secs_f64();
        let plain = learner.clone().valid();
        let Judged { iou, dice, best_threshold, best_dice } = judging(&mut report, &plain)?;
        let figures = EpochFigures {
            epoch: epoch + 1,
            rate: schedule.rate(epoch * steps),
            bce: sums[0] / per_epoch as f64,
            dice_loss: sums[1] / per_epoch as f64,
            iou,
            dice,
            best_threshold,
            best_dice,
            // With what keeping the epoch before took.
            seconds: std::mem::replace(&mut mark, Instant::now()).elapsed().as_secs_f64(),
        };
        progress.epochs.push(figures);
        let former = progress.best.checked_sub(1).map(|best| progress.epochs[best].dice);
        if former.is_none_or(|former| figures.dice > former) {
            progress.best = figures.epoch;
            let network = plain.in_place(&base);
            write_folder(&out.join("model"), |folder| base.save_with(&network, folder))?;
        }
        progress.scale = stepper.scale;
        Checkpoint::save(out, progress.epochs.len(), &progress, &collect(&learner)?, &stepper.optimiser)?;
        write_curves(out, &progress.epochs)?;
        if !report(&TrainEvent::Epoch(figures)) {
            return Err(Error::Cancelled);
        }
    }
    Ok(Trained {
        base: before,
        best: progress.best,
        epochs: progress.epochs,
        folder: out.join("model"),
        examples_per_second: (done > 0).then(|| done as f64 / busy),
    })
}

/// [`adamw`], with a lower rate for blocks of the tower.
fn optimiser() -> ModuleOptimizer {
    adamw().with_group(ParamGroup::from_predicate("deeper"), pytorch_adamw().at_share(DEEPER_RATE), None)
}

/// What decided a run, for whoever wants to know later how a model came about.
#[derive(Serialize)]
struct Recipe<'a> {
    program: String,
    model: ModelIdentity,
    /// Width and height of the network's input in pixels.
    input: (u32, u32),
    settings: &'a SegmentTraining,
    learned_from: Vec<&'a Path>,
    judged_on: Vec<&'a Path>,
}

/// `training.ron`.
fn write_recipe(
    base: &ClipSegModel,
    train: &MaskedFolder,
    validation: &MaskedFolder,
    settings: &SegmentTraining,
    held: &[Held],
    out: &Path,
) -> Result<()> {
    let patch = base.info().patch_size;
    let input = held.first().map_or((0, 0), |held| {
        let (rows, columns) = held.example.grid;
        ((columns * patch) as u32, (rows * patch) as u32)
    });
    let recipe = Recipe {
        program: format!("Hairline {}", report::json::VERSION),
        model: ModelIdentity::of(base.info()),
        input,
        settings,
        learned_from: train.photos.iter().map(|photo| photo.path.as_path()).collect(),
        judged_on: validation.photos.iter().map(|photo| photo.path.as_path()).collect(),
    };
    let text = ron::ser::to_string_pretty(&recipe, ron::ser::PrettyConfig::default())
        .map_err(|e| Error::bug(format!("the recipe of the training cannot be written ({e}).")))?;
    report::write_file(&out.join("training.ron"), |file| file.write_all(text.as_bytes()))?;
    Ok(())
}

/// The classes and their phrases, encoded.
struct Phrases {
    classes: Vec<String>,
    /// For each class its phrases' embeddings.
    of_class: Vec<Vec<Vec<f32>>>,
    wrong: Vec<Vec<f32>>,
}

/// One example of a batch: a version of a photo, a prompt, and the class whose mask is the answer (`None`: nothing).
struct Pick {
    example: usize,
    prompt: Vec<f32>,
    class: Option<usize>,
}

impl Phrases {
    fn new(base: &ClipSegModel, settings: &SegmentTraining) -> Result<Self> {
        let of_class = settings.prompts.values().map(|phrases| base.encode_texts(phrases)).collect::<Result<_>>()?;
        let wrong = base.encode_texts(&WRONG_WORDS.map(ToOwned::to_owned))?;
        Ok(Self { classes: settings.prompts.keys().cloned().collect(), of_class, wrong })
    }

    /// Each class of each photo, and `None` once for a photo that shows no class.
    fn occurrences(&self, folder: &MaskedFolder) -> Vec<(usize, Option<usize>)> {
        let of_photo = |(index, photo): (usize, &MaskedPhoto)| {
            let shown = (0..self.classes.len()).filter(|class| photo.masks.contains_key(&self.classes[*class]));
            let mut shown: Vec<_> = shown.map(|class| (index, Some(class))).collect();
            if shown.is_empty() {
                shown.push((index, None));
            }
            shown
        };
        folder.photos.iter().enumerate().flat_map(of_photo).collect()
    }

    fn pick(
        &self,
        (photo, class): (usize, Option<usize>),
        folder: &MaskedFolder,
        settings: &SegmentTraining,
        rng: &mut ChaCha8Rng,
    ) -> Pick {
        let example = photo * settings.variants + rng.random_range(0..settings.variants);
        let class = class.filter(|_| !rng.random_bool(settings.negatives));
        let phrases = if let Some(class) = class {
            &self.of_class[class]
        } else {
            let masks = &folder.photos[photo].masks;
            let absent: Vec<_> =
                (0..self.classes.len()).filter(|class| !masks.contains_key(&self.classes[*class])).collect();
            match absent.choose(rng) {
                Some(class) if rng.random_bool(0.75) => &self.of_class[*class],
                _ => &self.wrong,
            }
        };
        Pick { example, prompt: phrases[rng.random_range(0..phrases.len())].clone(), class }
    }

    /// What stands for a class when it is judged: the mean of its phrases.
    fn mean(&self, class: usize) -> Vec<f32> {
        let phrases = &self.of_class[class];
        let mut mean = vec![0.0; phrases[0].len()];
        for phrase in phrases {
            mean.iter_mut().zip(phrase).for_each(|(mean, value)| *mean += value / phrases.len() as f32);
        }
        mean
    }
}

impl Example {
    fn new(
        base: &ClipSegModel,
        photo: &MaskedPhoto,
        phrases: &Phrases,
        settings: &SegmentTraining,
        version: usize,
        seed: u64,
    ) -> Result<Self> {
        let opened = Photo::open(&photo.path)?;
        let mut masks: BTreeMap<String, GrayImage> = BTreeMap::new();
        for class in phrases.classes.iter().filter(|class| photo.masks.contains_key(*class)) {
            let truth = photo.truth(&opened, class)?;
            let pixels = truth.into_iter().map(|inside| if inside { 255 } else { 0 }).collect();
            let mask = GrayImage::from_raw(opened.width(), opened.height(), pixels);
            masks.insert(class.clone(), mask.ok_or_else(|| Error::bug("a mask has not its photo's size."))?);
        }
        let varied = if version == 0 { opened } else { vary(opened, &mut masks, seed, version) };
        let image = base.prepare(&varied)?;
        let masks = masks.into_iter().map(|(class, mask)| (class, shares(&mask, &image))).collect();
        let (tokens, grid) = base.hidden(&image, &Learner::wanted(base, settings.deeper));
        let [_, count, width] = tokens[0].dims();
        let read = |tokens: Tensor<3>| {
            tokens
                .into_data()
                .try_into_vec::<f32>()
                .map_err(|e| Error::device(format!("Features cannot be read: {e:?}.")))
        };
        let tokens = tokens.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Self { tokens, shape: [count, width], grid, masks })
    }
}

impl Example {
    fn bytes(&self) -> usize {
        self.tokens.iter().chain(self.masks.values()).map(|values| values.len() * size_of::<f32>()).sum()
    }
}

impl Held {
    fn new(base: &ClipSegModel, photo: &MaskedPhoto, phrases: &Phrases, settings: &SegmentTraining) -> Result<Self> {
        let opened = Photo::open(&photo.path)?;
        let truth = phrases.classes.iter().map(|class| Ok((class.clone(), photo.truth(&opened, class)?)));
        Ok(Self {
            truth: truth.collect::<Result<_>>()?,
            photo: (opened.height() as usize, opened.width() as usize),
            example: Example::new(base, photo, phrases, settings, 0, 0)?,
        })
    }
}

/// A version of the photo: mirrored, in other light, a part of it; the masks go along.
fn vary(photo: Photo, masks: &mut BTreeMap<String, GrayImage>, seed: u64, version: usize) -> Photo {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(version as u64));
    let path = photo.path;
    let mut pixels = photo.pixels;
    let (across, down) = (rng.random_bool(0.5), rng.random_bool(0.5));
    let share = rng.random_range(0.7..=1.0f32);
    let (width, height) = ((pixels.width() as f32 * share) as u32, (pixels.height() as f32 * share) as u32);
    let (width, height) = (width.max(1), height.max(1));
    let left = rng.random_range(0..=pixels.width() - width);
    let top = rng.random_range(0..=pixels.height() - height);
    let (contrast, light) = (rng.random_range(0.75..1.3f32), rng.random_range(-25.0..25.0f32));
    pixels = imageops::crop_imm(&pixels, left, top, width, height).to_image();
    for mask in masks.values_mut() {
        *mask = imageops::crop_imm(mask, left, top, width, height).to_image();
    }
    if across {
        imageops::flip_horizontal_in_place(&mut pixels);
        masks.values_mut().for_each(imageops::flip_horizontal_in_place);
    }
    if down {
        imageops::flip_vertical_in_place(&mut pixels);
        masks.values_mut().for_each(imageops::flip_vertical_in_place);
    }
    for value in pixels.iter_mut() {
        *value = ((f32::from(*value) - 128.0) * contrast + 128.0 + light).clamp(0.0, 255.0) as u8;
    }
    Photo::from_pixels(pixels, path)
}

/// The mask at the network's input size: the share of each pixel inside.
fn shares(mask: &GrayImage, image: &PreparedImage) -> Vec<f32> {
    let small = imageops::resize(mask, image.width, image.height, imageops::FilterType::Triangle);
    small.iter().map(|value| f32::from(*value) / 255.0).collect()
}

/// The loss of one batch `[1]`, and its two terms.
fn losses(
    learner: &Learner,
    examples: &[Example],
    phrases: &Phrases,
    picks: &[Pick],
    read: &[usize],
    settings: &SegmentTraining,
    device: &Device,
) -> (Tensor<1>, [f64; 2]) {
    let chosen: Vec<&Example> = picks.iter().map(|pick| &examples[pick.example]).collect();
    let grid = chosen[0].grid;
    let learner = computing(learner, settings.precision);
    let half = settings.precision == Precision::F16;
    let mut tokens = stacked(&chosen, device);
    let mut prompts = prompts(picks.iter().map(|p| &p.prompt), device);
    if half {
        tokens = tokens.into_iter().map(|tokens| tokens.cast(FloatDType::F16)).collect();
        prompts = prompts.cast(FloatDType::F16);
    }
    let reduced = learner.reduced(tokens, grid, read);
    let logits = learner.decoder().forward(reduced, prompts, grid).cast(FloatDType::F32);
    let [batch, height, width] = logits.dims();
    let mut target = Vec::with_capacity(batch * height * width);
    for (pick, example) in picks.iter().zip(&chosen) {
        match pick.class.and_then(|class| example.masks.get(&phrases.classes[class])) {
            Some(mask) => target.extend_from_slice(mask),
            None => target.resize(target.len() + height * width, 0.0),
        }
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [batch, height * width]), device);
    let logits = logits.reshape([batch, height * width]);
    let (bce, dice) = (binary(logits.clone(), target.clone()), dice(logits, target));
    let loss = bce.clone() * settings.bce_weight + dice.clone() * settings.dice_weight;
    let terms = [bce, dice].map(|term| f64::from(term.into_scalar::<f32>()));
    (loss, terms)
}

/// Tokens of examples `[batch, tokens, width]` for each block that is read.
fn stacked(examples: &[&Example], device: &Device) -> Vec<Tensor<3>> {
    let [tokens, width] = examples[0].shape;
    (0..examples[0].tokens.len())
        .map(|layer| {
            let values = examples.iter().flat_map(|example| example.tokens[layer].iter().copied()).collect();
            Tensor::from_data(TensorData::new(values, [examples.len(), tokens, width]), device)
        })
        .collect()
}

fn prompts<'a>(embeddings: impl ExactSizeIterator<Item = &'a Vec<f32>>, device: &Device) -> Tensor<2> {
    let count = embeddings.len();
    let values: Vec<f32> = embeddings.flatten().copied().collect();
    let dim = values.len() / count.max(1);
    Tensor::from_data(TensorData::new(values, [count, dim]), device)
}

/// Every class of every validation photo at the photo's own size.
fn judge(
    learner: &Learner,
    held: &[Held],
    phrases: &Phrases,
    read: &[usize],
    device: &Device,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<Sweep> {
    let mut sweep = Sweep::default();
    let means: Vec<Vec<f32>> = (0..phrases.classes.len()).map(|class| phrases.mean(class)).collect();
    for (done, Held { example, photo, truth }) in held.iter().enumerate() {
        if !progress(done, held.len()) {
            return Err(Error::Cancelled);
        }
        let reduced = learner.reduced(stacked(&[example], device), example.grid, read);
        let logits = learner.decoder().forward_each(reduced, prompts(means.iter(), device), example.grid);
        let [_, height, width] = logits.dims();
        let maps = burn::tensor::activation::sigmoid(logits).into_data().try_into_vec::<f32>();
        let maps = maps.map_err(|e| Error::device(format!("Validation maps cannot be read: {e:?}.")))?;
        for (map, class) in maps.chunks_exact(height * width).zip(&phrases.classes) {
            let map = anomaly::map::upsample(map, height, width, photo.0, photo.1);
            sweep
                .add(&map, &truth[class])
                .map_err(|_| Error::bug("a validation map holds values that are no numbers."))?;
        }
    }
    Ok(sweep)
}

fn write_curves(out: &Path, epochs: &[EpochFigures]) -> Result<()> {
    report::write_file(&out.join("curves.csv"), |file| {
        writeln!(file, "epoch,rate,bce,dice_loss,iou,dice,best_threshold,best_dice,seconds")?;
        for e in epochs {
            let EpochFigures { epoch, rate, bce, dice_loss, iou, dice, best_threshold, best_dice, seconds } = e;
            let [iou, dice, best_threshold, best_dice] = [iou, dice, best_threshold, best_dice]
                .map(|figure| figure.map_or(String::new(), |f| format!("{f:.6}")));
            writeln!(
                file,
                "{epoch},{rate:.6},{bce:.6},{dice_loss:.6},{iou},{dice},{best_threshold},{best_dice},{seconds:.1}"
            )?;
        }
        Ok(())
    })?;
    Ok(())
}

fn fingerprint(base: &ClipSegModel, train: &MaskedFolder, validation: &MaskedFolder) -> String {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    hasher.update(base.info().sha256.as_bytes());
    hasher.update(serde_json::to_vec(base.config()).unwrap_or_default());
    for folder in [train, validation] {
        for photo in &folder.photos {
            hasher.update(photo.path.to_string_lossy().as_bytes());
            hasher.update([0]);
        }
        hasher.update([1]);
    }
    crate::photo::hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::model::clipseg::DecoderConfig;
    use crate::model::{ClipModel, ModelSource};

    const SIDE: u32 = 64;

    /// Bright plates with a dark square on whole patches, and the square as mask.
    fn folder(dir: &Path) -> MaskedFolder {
        let photos = (0..3u32).map(|i| {
            let inside =
                move |x: u32, y: u32| (8 + 16 * i..32 + 16 * i).contains(&x) && (16..16 + 8 * (i + 2)).contains(&y);
            let (path, mask) = (dir.join(format!("{i}.png")), dir.join(format!("{i}_mask.png")));
            image::RgbImage::from_fn(SIDE, SIDE, |x, y| {
                let grain = (x * 7 + y * 13 + i * 5) % 16;
                image::Rgb([if inside(x, y) { 30 } else { 170 } + grain as u8; 3])
            })
            .save(&path)
            .unwrap();
            GrayImage::from_fn(SIDE, SIDE, |x, y| image::Luma([if inside(x, y) { 255 } else { 0 }]))
                .save(&mask)
                .unwrap();
            MaskedPhoto { path, masks: BTreeMap::from([("square".to_owned(), mask)]) }
        });
        MaskedFolder { classes: vec!["square".to_owned()], photos: photos.collect() }
    }

    fn base() -> ClipSegModel {
        let clip = ClipModel::load(&ModelSource::Pocket, &Device::flex()).unwrap();
        let blocks = clip.config().vision_config.num_hidden_layers;
        let decoder = DecoderConfig {
            reduce_dim: 32,
            extract_layers: vec![blocks / 2, blocks - 1],
            decoder_num_attention_heads: 4,
            decoder_intermediate_size: 64,
            ..DecoderConfig::default()
        };
        ClipSegModel::untrained(&clip, decoder, SIDE).unwrap()
    }

    fn settings(epochs: usize) -> SegmentTraining {
        SegmentTraining {
            prompts: BTreeMap::from([("square".to_owned(), vec!["a hole".to_owned(), "a dark hole".to_owned()])]),
            epochs,
            batch_size: 3,
            rate: 5e-3,
            negatives: 0.0,
            variants: 1,
            ..SegmentTraining::default()
        }
    }

    /// Dice of the squares at 0.5, over all photos.
    fn dice(model: &ClipSegModel, photos: &MaskedFolder) -> Option<f64> {
        let prompts = model.encode_texts(&settings(1).prompts["square"]).unwrap();
        let mean: Vec<f32> = prompts[0].iter().zip(&prompts[1]).map(|(a, b)| (a + b) / 2.0).collect();
        let mut sweep = Sweep::default();
        for photo in &photos.photos {
            let opened = Photo::open(&photo.path).unwrap();
            let map = model.predict(&model.prepare(&opened).unwrap(), std::slice::from_ref(&mean)).unwrap().remove(0);
            sweep.add(&map.values, &photo.truth(&opened, "square").unwrap()).unwrap();
        }
        sweep.at(0.5).dice()
    }

    #[test]
    fn a_tiny_set_is_learned_by_heart_and_the_folder_gives_the_same_figures() {
        let dir = tempfile::tempdir().unwrap();
        let photos = folder(dir.path());
        let out = dir.path().join("run");
        let trained = train(base(), &photos, &photos, &settings(80), &out, |_| true).unwrap();
        let best = trained.epochs[trained.best - 1].dice.unwrap();
        assert!(best > 0.95, "{best}");

        let model = ClipSegModel::load(&ModelSource::Folder(trained.folder), &Device::flex()).unwrap();
        assert!((dice(&model, &photos).unwrap() - best).abs() < 1e-6);
    }

    #[test]
    fn deeper_blocks_learn_where_they_are_asked_to_and_the_folder_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let photos = folder(dir.path());
        let out = dir.path().join("run");
        let settings = SegmentTraining { deeper: 2, ..settings(12) };
        let start = base();
        let (blocks, read) =
            (start.network().clip.vision.encoder.blocks.clone(), start.config().decoder.extract_layers.clone());
        let trained = train(start, &photos, &photos, &settings, &out, |_| true).unwrap();
        let first = trained.epochs[0].dice_loss;
        let last = trained.epochs[trained.epochs.len() - 1].dice_loss;
        assert!(last < first, "{first} to {last}");

        let model = ClipSegModel::load(&ModelSource::Folder(trained.folder), &Device::flex()).unwrap();
        let now = &model.network().clip.vision.encoder.blocks;
        let deepest = *read.iter().max().unwrap();
        for (number, (before, now)) in blocks.iter().zip(now).enumerate() {
            let same = collect(before).unwrap() == collect(now).unwrap();
            assert_eq!(same, number + 2 <= deepest || number > deepest, "block {number}");
        }
        // What was judged is what the folder gives.
        let best = trained.epochs[trained.best - 1].dice.unwrap_or(0.0);
        assert!((dice(&model, &photos).unwrap_or(0.0) - best).abs() < 1e-6);

        let all = SegmentTraining { deeper: deepest + 1, ..settings };
        let error = train(base(), &photos, &photos, &all, &dir.path().join("all"), |_| true).unwrap_err();
        assert!(error.to_string().contains("--deeper must be at most"), "{error}");
    }

    #[test]
    fn a_run_that_was_stopped_goes_on_to_the_same_weights() {
        let dir = tempfile::tempdir().unwrap();
        let photos = folder(dir.path());
        let settings =
            SegmentTraining { variants: 2, negatives: 0.3, accumulate: 2, batch_size: 1, deeper: 1, ..settings(4) };
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        train(base(), &photos, &photos, &settings, &whole, |_| true).unwrap();
        let stopped = train(base(), &photos, &photos, &settings, &parts, |event| {
            !matches!(event, TrainEvent::Batch { epoch: 3, .. })
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));
        let resumed = train(base(), &photos, &photos, &settings, &parts, |_| true).unwrap();
        assert_eq!(resumed.epochs.len(), 4);
        let weights = |out: &Path| Checkpoint::<Progress>::open(out).unwrap().unwrap().weights;
        assert_eq!(weights(&whole), weights(&parts));

        let other = SegmentTraining { seed: 9, ..settings };
        let error = train(base(), &photos, &photos, &other, &parts, |_| true).unwrap_err();
        assert!(error.to_string().contains("another --out"), "{error}");
    }
}
