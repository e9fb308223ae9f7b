//! Contrastive fine-tuning of CLIP on photos and their descriptions: symmetric InfoNCE in which mismatch rows are hard
//! negatives, AdamW over a warm-up and half a cosine. A run that was stopped, even killed, goes on exactly from its last
//! checkpoint. Tables are `pair_set`'s business, figures `match_figures`', frozen towers `match_inputs`'.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::average::{collect_trained, install_trained};
use super::checkpoint::{Checkpoint, write_folder};
use super::loss::contrastive_pairs;
use super::match_figures::{self, MatchFigures};
use super::match_inputs::Inputs;
use super::match_news::MatchNews;
use super::match_settings::MatchTraining;
use super::pair_set::{PairBatch, PairSet};
use super::precision::{LossScale, Precision, computing};
use super::schedule::Schedule;
use super::step::Stepper;
use crate::model::ClipModel;
use crate::model::clip::Clip;
use crate::{Error, Result, report};

/// The largest inverse temperature is e to this, as in CLIP's training: 100.
const LARGEST_LOGIT_SCALE: f32 = 4.605_170_2;

/// One epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchEpoch {
    /// From 1.
    pub epoch: usize,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Mean over the batches.
    pub loss: f64,
    /// On the validation table, where there is one.
    pub validation: Option<MatchFigures>,
    pub seconds: f64,
}

impl std::fmt::Display for MatchEpoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}: loss {:.4}", self.epoch, self.loss)?;
        self.validation.map_or(Ok(()), |figures| write!(f, "; {figures}"))
    }
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct MatchTrained {
    /// Validation figures of the model that the run began with.
    pub base: Option<MatchFigures>,
    /// Every epoch, those before a resumption too.
    pub epochs: Vec<MatchEpoch>,
    /// The epoch whose weights are in `folder`.
    pub best: usize,
    /// The model folder.
    pub folder: PathBuf,
    /// What speaks against trusting the result.
    pub warnings: Vec<String>,
    /// Weights that were trained, and all.
    pub trained_weights: usize,
    pub weights: usize,
    /// Steps that were left out because f16 had no room for their gradients.
    pub skipped_steps: u32,
    /// Pairs through one training step per second, in this session; `None` when nothing was left to train.
    pub pairs_per_second: Option<f64>,
}

/// State between two steps, besides weights and optimiser.
#[derive(Serialize, Deserialize)]
struct Progress {
    settings: MatchTraining,
    /// SHA-256 over model and tables.
    data: String,
    base: Option<MatchFigures>,
    epochs: Vec<MatchEpoch>,
    best: usize,
    /// Steps made.
    step: usize,
    /// Of the batches of the epoch so far: sum of losses, number, seconds.
    sum: f64,
    count: usize,
    seconds: f64,
    scale: LossScale,
}

/// Trains the network of `base` on `train`, judges it on `validation` after each epoch, and keeps in `out`: `best_model/`
/// (lowest validation loss; without validation the last epoch), the state to go on from (`last.safetensors`,
/// `optimiser-<step>.bpk`), `curves.csv` and `training.ron`. `news` is told what happens and says whether to go on; when it
/// does not, the state is kept.
///
/// # Errors
/// [`Error::Input`] for settings out of range, a table without contrast, an `out` of another run, and a loss that is no
/// number; [`Error::Cancelled`] when `news` says so.
pub fn train(
    base: &ClipModel,
    train: &PairSet,
    validation: Option<&PairSet>,
    settings: &MatchTraining,
    out: &Path,
    mut news: impl FnMut(&MatchNews) -> bool,
) -> Result<MatchTrained> {
    settings.check()?;
    settings.precision.check(base.device())?;
    check_tables(train, validation)?;
    report::create_folder(out)?;
    let device = base.device().clone().autodiff();
    let mut clip = settings.trainee(base, &device)?;
    let mut stepper = Stepper::new(settings.precision, settings.clip_norm);
    let mut progress = Progress {
        settings: settings.clone(),
        data: fingerprint(base, train, validation),
        base: None,
        epochs: Vec::new(),
        best: 0,
        step: 0,
        sum: 0.0,
        count: 0,
        seconds: 0.0,
        scale: stepper.scale,
    };
    if let Some(mut saved) = Checkpoint::<Progress>::open(out)? {
        if !settings.continues(&saved.progress.settings) || saved.progress.data != progress.data {
            return Err(Error::input(
                "The folder holds a run with other settings, tables or model. Choose another folder (--output), or remove it.",
            )
            .at(out));
        }
        stepper.optimiser = saved.optimiser(out, stepper.optimiser)?;
        clip = install_trained(clip, std::mem::take(&mut saved.weights))?;
        progress = saved.progress;
        stepper.scale = progress.scale;
        let Progress { step, base, ref epochs, .. } = progress;
        if !news(&MatchNews::Resumed { step, base, epochs: epochs.clone() }) {
            return Err(Error::Cancelled);
        }
    }
    let mut prepared = |done, total| news(&MatchNews::Prepared { done, total });
    let inputs = Inputs::new(base, train, settings.tune, &mut prepared)?;
    let held = validation.map(|set| Inputs::new(base, set, settings.tune, &mut prepared).map(|inputs| (set, inputs)));
    let held = held.transpose()?;
    let text = ron::ser::to_string_pretty(settings, ron::ser::PrettyConfig::default());
    let text = text.map_err(|e| Error::bug(format!("settings that cannot be written ({e}).")))?;
    report::write_file(&out.join("training.ron"), |file| file.write_all(text.as_bytes()))?;
    if let (Some((set, inputs)), None) = (&held, progress.base) {
        let base = figures(set, inputs, base.network(), &mut news)?;
        progress.base = Some(base);
        news(&MatchNews::Base(base));
    }

    let per_epoch = train.matches.len().div_ceil(settings.batch_size);
    let steps = per_epoch * settings.epochs;
    let schedule =
        Schedule { peak: settings.rate, warm_up: ((steps as f64 * settings.warm_up) as usize).max(1), steps };
    let (mut pairs, mut busy, mut batches) = (0usize, 0.0f64, Vec::new());
    while progress.epochs.len() < settings.epochs {
        // Steps first, then the judgement of the epoch that they make up; a run may have been stopped between the two.
        let go_on = if progress.step < per_epoch * (progress.epochs.len() + 1) {
            let started = Instant::now();
            let (epoch, number) = (progress.step / per_epoch, progress.step % per_epoch);
            if batches.is_empty() || number == 0 {
                batches = train.batches(settings.batch_size, settings.hard_negatives, settings.seed, epoch);
            }
            let batch = &batches[number];
            let loss = batch_loss(&clip, &inputs, train, batch, settings.precision, &device)?;
            let value = loss.clone().into_scalar::<f32>();
            stepper.add(loss, &clip);
            clip = cooled(stepper.step(schedule.rate(progress.step), clip)?);
            if value.is_finite() {
                progress.sum += f64::from(value);
                progress.count += 1;
            }
            progress.step += 1;
            pairs += batch.pairs.len();
            busy += started.elapsed().as_secs_f64();
            progress.seconds += started.elapsed().as_secs_f64();
            progress.scale = stepper.scale;
            let go_on = news(&MatchNews::Stepped { step: progress.step, steps, loss: value });
            if go_on && (number + 1 == per_epoch || !progress.step.is_multiple_of(settings.save_steps)) {
                continue;
            }
            go_on
        } else {
            let started = Instant::now();
            let plain = clip.valid().materialize();
            let judged = held.as_ref().map(|(set, inputs)| figures(set, inputs, &plain, &mut news)).transpose();
            if let Err(Error::Cancelled) = judged {
                false
            } else {
                progress.seconds += started.elapsed().as_secs_f64();
                let done = MatchEpoch {
                    epoch: progress.epochs.len() + 1,
                    rate: schedule.rate(progress.step - 1),
                    loss: progress.sum / progress.count.max(1) as f64,
                    validation: judged?,
                    seconds: progress.seconds,
                };
                (progress.sum, progress.count, progress.seconds) = (0.0, 0, 0.0);
                let writing = Instant::now();
                if is_best(&progress.epochs, progress.best, &done) {
                    progress.best = done.epoch;
                    write_folder(&out.join("best_model"), |folder| base.save_with(&plain, folder))?;
                }
                progress.epochs.push(done);
                write_curves(out, &progress)?;
                progress.seconds += writing.elapsed().as_secs_f64();
                news(&MatchNews::Epoch(done))
            }
        };
        let writing = Instant::now();
        Checkpoint::save(out, progress.step, &progress, &collect_trained(&clip)?, &stepper.optimiser)?;
        progress.seconds += writing.elapsed().as_secs_f64();
        if !go_on && progress.epochs.len() < settings.epochs {
            return Err(Error::Cancelled);
        }
    }
    let mut warnings = validation.map_or_else(Vec::new, |set| match_figures::leakage(train, set));
    if let Some(base) = &progress.base {
        let judged: Vec<_> = progress.epochs.iter().filter_map(|e| Some((e.loss, e.validation?))).collect();
        warnings.extend(match_figures::overfitting(base, &judged));
    }
    let count = |weights: &[Vec<f32>]| weights.iter().map(Vec::len).sum();
    Ok(MatchTrained {
        base: progress.base,
        epochs: progress.epochs,
        best: progress.best,
        folder: out.join("best_model"),
        warnings,
        trained_weights: count(&collect_trained(&clip)?),
        weights: base.network().num_params(),
        skipped_steps: progress.scale.skipped,
        pairs_per_second: (pairs > 0).then(|| pairs as f64 / busy),
    })
}

/// Refuses tables from which nothing can be learned or judged.
///
/// # Errors
/// [`Error::Input`] naming the table and what it lacks.
pub fn check_tables(train: &PairSet, validation: Option<&PairSet>) -> Result<()> {
    for (set, name) in [(Some(train), "the table to learn from"), (validation, "the table to judge on")] {
        let Some(set) = set else { continue };
        if set.matches.is_empty() {
            return Err(Error::input(format!(
                "No row of {name} can be used that says what is on its photo. Add rows without a label or with the label `match`."
            )));
        }
        if set.texts.len() < 2 || set.photos.len() < 2 {
            let what = if set.texts.len() < 2 { "text" } else { "photo" };
            return Err(Error::input(format!(
                "All rows of {name} have the same {what}, so there is nothing to tell apart. Add rows with another {what}."
            )));
        }
    }
    Ok(())
}

/// The loss of one batch, `[1]`, f32.
pub(super) fn batch_loss(
    clip: &Clip,
    inputs: &Inputs<'_>,
    set: &PairSet,
    batch: &PairBatch,
    precision: Precision,
    device: &Device,
) -> Result<Tensor<1>> {
    let network = computing(clip, precision);
    let photos = inputs.photo_embeddings(&network, &batch.photos, precision, device)?;
    let texts = inputs.text_embeddings(&network, &batch.texts, precision, device)?;
    let scale = clip.logit_scale.val().exp().unsqueeze::<2>();
    let similarity = photos.matmul(texts.transpose()) * scale;
    Ok(contrastive_pairs(similarity, &batch.pairs, |row, column| set.fits(batch.photos[row], batch.texts[column])))
}

/// The network with its temperature kept from falling below a hundredth.
fn cooled(mut clip: Clip) -> Clip {
    clip.logit_scale =
        clip.logit_scale.map(|scale| Tensor::from_inner(scale.inner().clamp_max(LARGEST_LOGIT_SCALE)).require_grad());
    clip
}

/// How well a network without gradients does on a table.
fn figures(
    set: &PairSet,
    inputs: &Inputs<'_>,
    network: &Clip,
    news: &mut impl FnMut(&MatchNews) -> bool,
) -> Result<MatchFigures> {
    let total = set.photos.len() + set.texts.len();
    let mut done = 0;
    let mut go_on = |more| {
        let go_on = news(&MatchNews::Judging { done, total });
        done += more;
        go_on
    };
    let photos = inputs.all_photos(network, &mut go_on)?;
    let texts = inputs.all_texts(network, &mut go_on)?;
    let scale = network.logit_scale.val().exp().into_scalar::<f32>();
    match_figures::judge(set, &photos, &texts, scale)
}

/// Whether `done` is better than the best of the epochs before.
fn is_best(epochs: &[MatchEpoch], best: usize, done: &MatchEpoch) -> bool {
    let former = best.checked_sub(1).and_then(|index| epochs.get(index)).and_then(|epoch| epoch.validation);
    match (former, done.validation) {
        (Some(former), Some(now)) => now.loss < former.loss,
        _ => true,
    }
}

/// `curves.csv`: row 0 is the model before training.
fn write_curves(out: &Path, progress: &Progress) -> Result<()> {
    let figures = |judged: Option<&MatchFigures>| {
        judged.map_or(",,,,,".to_owned(), |f| {
            let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
            format!(
                "{:.6},{:.6},{:.6},{},{:.6},{}",
                f.loss,
                f.photo_to_text,
                f.text_to_photo,
                optional(f.auroc),
                f.matching,
                optional(f.other)
            )
        })
    };
    report::write_file(&out.join("curves.csv"), |file| {
        writeln!(
            file,
            "epoch,rate,loss,validation_loss,photo_to_text,text_to_photo,auroc,matching_similarity,other_similarity,seconds"
        )?;
        writeln!(file, "0,,,{},", figures(progress.base.as_ref()))?;
        for e in &progress.epochs {
            let judged = figures(e.validation.as_ref());
            writeln!(file, "{},{:.3e},{:.6},{judged},{:.1}", e.epoch, e.rate, e.loss, e.seconds)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn fingerprint(base: &ClipModel, train: &PairSet, validation: Option<&PairSet>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(base.info().sha256.as_bytes());
    for set in std::iter::once(train).chain(validation) {
        for text in set.hashes.iter().chain(&set.texts) {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        for (photo, text) in set.matches.iter().chain(&set.mismatches) {
            hasher.update((*photo as u64).to_le_bytes());
            hasher.update((*text as u64).to_le_bytes());
        }
        hasher.update((set.matches.len() as u64).to_le_bytes());
    }
    crate::photo::hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::fmt::Write as _;

    use super::*;
    use crate::matching::read_pairs;
    use crate::model::config::{ClipConfig, TextConfig, VisionConfig};
    use crate::model::{ModelSource, weights};
    use crate::train::match_settings::Tune;

    const COLOURS: [(&str, [u8; 3]); 4] =
        [("red", [200, 40, 40]), ("green", [40, 180, 60]), ("blue", [40, 60, 200]), ("white", [230, 230, 230])];

    /// Plates of four colours with their texts, and a mismatch row for each.
    fn set(dir: &Path) -> PairSet {
        let mut table = "image_path,text,label\n".to_owned();
        for (index, (colour, [r, g, b])) in COLOURS.into_iter().enumerate() {
            image::RgbImage::from_fn(48, 48, |x, y| {
                let inside = (8..40).contains(&x) && (8..40).contains(&y);
                image::Rgb(if inside { [r, g, b] } else { [90, 90, 90] })
            })
            .save(dir.join(format!("{colour}.png")))
            .unwrap();
            let wrong = COLOURS[(index + 1) % 4].0;
            let _ = writeln!(table, "{colour}.png,a {colour} plate,match\n{colour}.png,no {wrong} plate,mismatch");
        }
        let path = dir.join("pairs.csv");
        std::fs::write(&path, table).unwrap();
        PairSet::open(&read_pairs(&path, None).unwrap(), |_, _| true).unwrap()
    }

    /// A very small model with random weights and pocket's tokenizer.
    fn base(dir: &Path) -> ClipModel {
        let (device, folder) = (Device::flex(), dir.join("base"));
        let pocket = ClipModel::load(&ModelSource::Pocket, &device).unwrap();
        let config = ClipConfig {
            text_config: TextConfig {
                hidden_size: 32,
                intermediate_size: 64,
                num_hidden_layers: 1,
                num_attention_heads: 2,
                ..pocket.config().text_config.clone()
            },
            vision_config: VisionConfig {
                hidden_size: 32,
                intermediate_size: 64,
                num_hidden_layers: 2,
                num_attention_heads: 2,
                image_size: 32,
                patch_size: 8,
                ..VisionConfig::default()
            },
            projection_dim: 16,
            ..ClipConfig::default()
        };
        report::create_folder(&folder).unwrap();
        report::write_json(&folder.join("config.json"), &config.published()).unwrap();
        std::fs::write(folder.join("tokenizer.json"), pocket.tokenizer().to_json().unwrap()).unwrap();
        let network = Clip::new(&config, &device);
        weights::save(&network, &folder.join("model.safetensors"), weights::Precision::F32).unwrap();
        ClipModel::load(&ModelSource::Folder(folder), &device).unwrap()
    }

    fn settings(tune: Tune, rate: f64, epochs: usize) -> MatchTraining {
        MatchTraining { tune, rate, epochs, batch_size: 4, save_steps: 1000, ..MatchTraining::default() }
    }

    fn trained_weights(out: &Path) -> Vec<u8> {
        std::fs::read(out.join("best_model/model.safetensors")).unwrap()
    }

    #[test]
    fn a_tiny_set_is_learned_by_heart_and_the_folder_gives_the_same_figures() {
        let dir = tempfile::tempdir().unwrap();
        let (set, base, out) = (set(dir.path()), base(dir.path()), dir.path().join("run"));
        let trained = train(&base, &set, Some(&set), &settings(Tune::Full, 3e-3, 100), &out, |_| true).unwrap();
        let (before, best) = (trained.base.unwrap(), trained.epochs[trained.best - 1].validation.unwrap());
        assert!(best.loss < 0.2 && best.loss < before.loss / 4.0, "{before:?} {best:?}");
        assert_eq!((best.photo_to_text, best.text_to_photo, best.auroc), (1.0, 1.0, Some(1.0)));
        assert_eq!(trained.trained_weights, trained.weights);
        assert!(trained.warnings[0].starts_with("4 of 4 validation photos"), "{:?}", trained.warnings);

        let model = ClipModel::load(&ModelSource::Folder(trained.folder), &Device::flex()).unwrap();
        let inputs = Inputs::new(&model, &set, Tune::Full, |_, _| true).unwrap();
        let again = figures(&set, &inputs, model.network(), &mut |_| true).unwrap();
        assert!((again.loss - best.loss).abs() < 1e-6, "{again:?} {best:?}");
        let curves = std::fs::read_to_string(out.join("curves.csv")).unwrap();
        assert_eq!(curves.lines().count(), 102);
    }

    #[test]
    fn every_way_of_tuning_learns_and_leaves_a_plain_model() {
        let dir = tempfile::tempdir().unwrap();
        let (set, base) = (set(dir.path()), base(dir.path()));
        for (tune, rate) in [(Tune::Vision, 3e-3), (Tune::Text, 3e-3), (Tune::Projections, 1e-2), (Tune::Lora, 1e-2)] {
            let out = dir.path().join(format!("{tune:?}"));
            let trained = train(&base, &set, Some(&set), &settings(tune, rate, 60), &out, |_| true).unwrap();
            let (before, best) = (trained.base.unwrap(), trained.epochs[trained.best - 1].validation.unwrap());
            assert!(best.loss < 0.8 * before.loss, "{tune:?}: {before:?} {best:?}");
            assert!(trained.trained_weights < trained.weights);
            let model = ClipModel::load(&ModelSource::Folder(trained.folder), &Device::flex()).unwrap();
            let inputs = Inputs::new(&model, &set, Tune::Full, |_, _| true).unwrap();
            let again = figures(&set, &inputs, model.network(), &mut |_| true).unwrap();
            assert!((again.loss - best.loss).abs() < 1e-4, "{tune:?}: {again:?} {best:?}");
        }
    }

    #[test]
    fn a_run_that_was_stopped_goes_on_to_the_same_weights() {
        let dir = tempfile::tempdir().unwrap();
        let (set, base) = (set(dir.path()), base(dir.path()));
        for tune in [Tune::Full, Tune::Lora] {
            let settings = MatchTraining { batch_size: 2, save_steps: 1, ..settings(tune, 1e-3, 3) };
            let folder = |name: &str| dir.path().join(format!("{name}-{tune:?}"));
            let run = |out: &Path, settings: &MatchTraining, stop: usize| {
                train(
                    &base,
                    &set,
                    Some(&set),
                    settings,
                    out,
                    |news| !matches!(news, MatchNews::Stepped { step, .. } if *step == stop),
                )
            };
            run(&folder("whole"), &settings, 0).unwrap();
            // The same seed, the same weights; how often the state is kept makes no difference.
            run(&folder("again"), &MatchTraining { save_steps: 4, ..settings.clone() }, 0).unwrap();
            assert_eq!(trained_weights(&folder("whole")), trained_weights(&folder("again")), "{tune:?}");
            // Stopped in the middle of an epoch, then at the end of one.
            let parts = folder("parts");
            assert!(matches!(run(&parts, &settings, 3), Err(Error::Cancelled)));
            assert!(matches!(run(&parts, &settings, 4), Err(Error::Cancelled)));
            let resumed = run(&parts, &settings, 0).unwrap();
            assert_eq!(resumed.epochs.len(), 3);
            assert_eq!(trained_weights(&folder("whole")), trained_weights(&parts), "{tune:?}");
            // Stopped while the first epoch is judged: its steps are kept, and it is judged by the next run.
            let (judging, mut learned) = (folder("judging"), false);
            let stopped = train(&base, &set, Some(&set), &settings, &judging, |news| {
                learned |= matches!(news, MatchNews::Stepped { .. });
                !(learned && matches!(news, MatchNews::Judging { .. }))
            });
            assert!(matches!(stopped, Err(Error::Cancelled)));
            let mut first = None;
            train(&base, &set, Some(&set), &settings, &judging, |news| {
                if !matches!(news, MatchNews::Prepared { .. } | MatchNews::Judging { .. }) {
                    first.get_or_insert(news.clone());
                }
                true
            })
            .unwrap();
            assert!(
                matches!(first, Some(MatchNews::Resumed { step: 2, ref epochs, .. }) if epochs.is_empty()),
                "{first:?}"
            );
            assert_eq!(trained_weights(&folder("whole")), trained_weights(&judging), "{tune:?}");
            let losses = |out: &Path| {
                let rows = std::fs::read_to_string(out.join("curves.csv")).unwrap();
                rows.lines().map(|row| row.rsplit_once(',').unwrap().0.to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(losses(&folder("whole")), losses(&parts), "all but the seconds");
            let error = run(&parts, &MatchTraining { seed: 9, ..settings }, 0).unwrap_err();
            assert!(error.to_string().contains("another folder (--output)"), "{error}");
        }
    }

    #[test]
    fn tables_without_contrast_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (set, base) = (set(dir.path()), base(dir.path()));
        let mut one_text = set.clone();
        one_text.texts.truncate(1);
        let mut no_match = set.clone();
        no_match.matches.clear();
        for (table, word) in [(one_text, "same text"), (no_match, "No row of the table to learn from")] {
            let error = train(&base, &table, None, &MatchTraining::default(), dir.path(), |_| true).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
