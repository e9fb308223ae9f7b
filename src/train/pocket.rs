//! Training of `pocket`, the embedded default: a small CLIP that sees procedural parts only. Dense patch–text alignment
//! against masks, image–text alignment against captions, and an episodic loss in which each patch of a photo is looked up
//! among the patches of other normal photos of the same product, as the memory bank will do. Evaluation is elsewhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Initializer, Module, Param};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::json;

use super::adamw::AdamW;
use super::average::{Average, collect, install};
use super::episode::{ANOMALOUS_SENTENCES, Episode, EpisodeShape, NORMAL_SENTENCES, NORMALS, PHOTOS};
use super::loss::{balanced_binary, contrastive, cross_entropy, unit, weighted_mean};
use super::schedule::Schedule;
use super::vocabulary::tokenizer_json;
use crate::dataset::synth::words::vocabulary;
use crate::model::clip::Clip;
use crate::model::config::{
    Activation, ClipConfig, InputNormalisation, PatchHeadConfig, Pooling, TextConfig, VisionConfig,
};
use crate::model::tokenizer::Tokenizer;
use crate::model::weights::{self, Precision};
use crate::{Error, Result};

/// Parts of a batch, each computed by one thread on products of its own.
const PARTS: usize = 2;
/// The last share of each plan sees larger crops of larger photos, nearer to whole photos at the size at which they are
/// judged.
const FINE: f64 = 0.35;
/// Highest learning rate of the second plan as a share of the first's.
const SECOND_RATE: f64 = 0.4;
/// References per product, of the [`NORMALS`] normal photos.
const REFERENCES: usize = NORMALS - 1;
/// Most deviating patches whose mean is an image's score in the losses.
const TOP: usize = 3;
/// Sharpness of the soft maximum over reference patches.
const SHARPNESS: f64 = 30.0;

/// What decides a run. The same options give the same data; the weights agree as far as the processor's arithmetic does.
#[derive(Clone, Debug)]
pub struct PocketOptions {
    /// Folder of the finished model, in the Hugging Face layout.
    pub out: PathBuf,
    /// Folder of checkpoint and log; a run that finds a checkpoint there goes on from it.
    pub work: PathBuf,
    pub seed: u64,
    pub steps: usize,
    /// Steps of the first plan of learning rates (warm-up and half a cosine). What `steps` has beyond them is a second plan
    /// that starts from the weights of the first; the model is then the mean of the weights that the two lead to (a model
    /// soup, Wortsman et al. 2022).
    pub first_steps: usize,
    /// Products per part of a batch, each with six photos; half as many where crops are larger. At most
    /// [`super::episode::MOST_PRODUCTS`].
    pub products: usize,
    /// Side of the crops in pixels; half as much again in the last third of each plan.
    pub crop: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Steps between checkpoints, which also write the model.
    pub save_every: usize,
    /// Stop after this step although the schedule goes on; `None` runs to the end.
    pub stop_after: Option<usize>,
}

impl Default for PocketOptions {
    fn default() -> Self {
        Self {
            out: PathBuf::from("models/pocket"),
            work: PathBuf::from("target/pocket"),
            seed: 20,
            steps: 11_200,
            first_steps: 8000,
            products: 4,
            crop: 96,
            rate: 1.5e-3,
            save_every: 200,
            stop_after: None,
        }
    }
}

impl PocketOptions {
    /// Highest learning rate, step and steps of the plan that `step` belongs to.
    fn plan(&self, step: usize) -> (f64, usize, usize) {
        match step.checked_sub(self.first_steps) {
            None => (self.rate, step, self.first_steps),
            Some(step) => (self.rate * SECOND_RATE, step, self.steps - self.first_steps),
        }
    }

    /// Learning rate of `step`.
    fn rate(&self, step: usize) -> f64 {
        let (peak, step, steps) = self.plan(step);
        Schedule { peak, warm_up: 150.min(steps / 10 + 1), steps }.rate(step)
    }

    /// What a part of the batch of `step` looks like.
    fn shape(&self, step: usize, patch: usize) -> EpisodeShape {
        let (_, step, steps) = self.plan(step);
        if (step as f64) < steps as f64 * (1.0 - FINE) {
            EpisodeShape { products: self.products, crop: self.crop, patch }
        } else {
            let crop = (self.crop * 3 / 2).next_multiple_of(patch);
            EpisodeShape { products: self.products.div_ceil(2), crop, patch }
        }
    }
}

/// The network's sizes; `vocab_size` is the tokenizer's.
#[expect(clippy::approx_constant, reason = "a start value near ln 10, kept as the published weights had it")]
pub fn config(vocab_size: usize) -> ClipConfig {
    ClipConfig {
        text_config: TextConfig {
            vocab_size,
            hidden_size: 128,
            intermediate_size: 384,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: (vocab_size - 1) as u32,
        },
        vision_config: VisionConfig {
            hidden_size: 128,
            intermediate_size: 512,
            num_hidden_layers: 6,
            num_attention_heads: 4,
            num_channels: 3,
            image_size: 160,
            patch_size: 8,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            stem_channels: Some(vec![24, 48]),
            conditional_positions: true,
            pooling: Pooling::Mean,
            patch_head: Some(PatchHeadConfig { layers: vec![3, 6], dim: 64 }),
            input_normalisation: InputNormalisation::PerImage,
            default_layers: Some(vec![6]),
            pyramid_levels: 2,
        },
        projection_dim: 96,
        logit_scale_init_value: 2.3026,
        ..ClipConfig::default()
    }
}

/// The network and the two numbers that turn a nearest similarity into a logit.
#[derive(Module, Debug)]
struct Trainee {
    clip: Clip,
    /// `[1]` each: logit = slope · (offset − similarity).
    slope: Param<Tensor<1>>,
    offset: Param<Tensor<1>>,
}

impl Trainee {
    fn new(config: &ClipConfig, device: &Device) -> Self {
        let constant = |value: f64| Initializer::Constant { value }.init([1], device);
        let mut clip = Clip::new(config, device);
        // Trained at one size: the smaller one helps with what is larger than a crop.
        clip.vision.pyramid_levels = 1;
        Self { clip, slope: constant(10.0), offset: constant(0.7) }
    }
}

/// Loss terms of one step, for the log.
#[derive(Clone, Copy, Debug, Default)]
struct Terms([f32; 8]);

const TERM_NAMES: [&str; 8] = ["dense", "kind", "top", "image", "caption", "episode", "episode_top", "total"];

/// Trains to the end (or `stop_after`) and writes the model folder.
///
/// `report` gets a line of progress now and then.
///
/// # Errors
/// [`Error::Io`] for files that cannot be read or written, [`Error::Model`] for a checkpoint of another network,
/// [`Error::Bug`] when the loss is no longer a number.
pub fn run(options: &PocketOptions, mut report: impl FnMut(&str)) -> Result<()> {
    let (tokenizer_file, vocab_size) = tokenizer_json(&vocabulary());
    let config = config(vocab_size);
    config.check()?;
    let tokenizer = Tokenizer::from_json(tokenizer_file.to_string().as_bytes(), &config.text_config)?;
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let first_plan = options.work.join("first_plan");
    create(&first_plan)?;

    let mut trainee = Trainee::new(&config, &device);
    let first_weights = collect(&trainee)?;
    trainee = install(trainee, first_weights)?;
    let mut optimiser = optimiser();
    let mut average = Average::new(0.998);
    let mut first = 0;
    if let Some(saved) = Checkpoint::open(&options.work)? {
        report(&format!("Going on after step {}.", saved.step));
        trainee = install(trainee, saved.weights)?;
        average = saved.average;
        optimiser = optimiser.load(options.work.join("optimiser.bpk")).map_err(|error| {
            Error::model(format!("The optimiser's state cannot be read: {error:?}.")).at(&options.work)
        })?;
        first = saved.step;
    }
    let last = options.stop_after.unwrap_or(options.steps).min(options.steps);
    let two_plans = options.first_steps < options.steps;
    let mut log = Log::open(&options.work.join("losses.csv"), first)?;

    let threads = (0..PARTS).map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build());
    let threads = threads.collect::<std::result::Result<Vec<_>, _>>();
    let threads = threads.map_err(|error| Error::bug(format!("no threads for training ({error}).")))?;

    let (started, mut photos) = (Instant::now(), 0);
    for step in first..last {
        let shape = options.shape(step, config.vision_config.patch_size);
        let (gradients, terms) = gradients(&trainee, &threads, |part, trainee| {
            let episode = shape.episode(options.seed, step * PARTS + part);
            losses(trainee, &episode, shape, &tokenizer, &device)
        })?;
        if !terms.0.iter().all(|term| term.is_finite()) {
            return Err(Error::bug(format!("the loss of step {step} is not finite: {terms:?}.")));
        }
        trainee = optimiser.step(options.rate(step), trainee, gradients);
        photos += PARTS * shape.images();
        let done = step + 1;
        if done % 4 == 0 {
            average.update(&trainee)?;
        }
        log.line(step, options.rate(step), terms)?;
        if done % 20 == 0 || done == last {
            let speed = photos as f64 / started.elapsed().as_secs_f64();
            let left = started.elapsed().as_secs_f64() / (done - first) as f64 * (last - done) as f64 / 60.0;
            report(&format!("step {done}/{last}  {speed:.1} photos/s  {left:.0} min left  {}", terms.text()));
        }
        if average.values.is_empty() {
            average.update(&trainee)?;
        }
        if done == options.first_steps {
            save_checkpoint(&first_plan, done, &trainee, &average, &optimiser)?;
        }
        if done % options.save_every == 0 || done == last {
            save_checkpoint(&options.work, done, &trainee, &average, &optimiser)?;
            // The finished model of two plans is written below.
            if done < options.steps || !two_plans {
                let averaged = install(trainee.clone(), average.values.clone())?;
                write_folder(&options.out, &config, &tokenizer_file, &averaged.clip)?;
            }
        }
    }
    if last == options.steps && two_plans {
        let missing = || Error::model("The state after the first plan is missing. Delete the folder to start again.");
        let earlier = Checkpoint::open(&first_plan)?.ok_or_else(|| missing().at(&first_plan))?;
        for (values, earlier) in average.values.iter_mut().zip(&earlier.average.values) {
            values.iter_mut().zip(earlier).for_each(|(value, earlier)| *value = 0.5 * (*value + earlier));
        }
        write_folder(&options.out, &config, &tokenizer_file, &install(trainee, average.values)?.clip)?;
    }
    Ok(())
}

/// The mean of the gradients, and of the loss terms, of the parts of a batch. Each part has a thread of its own, which
/// keeps two cores busier than two threads at every product; the result does not depend on which is first.
fn gradients(
    trainee: &Trainee,
    threads: &[rayon::ThreadPool],
    losses: impl Fn(usize, &Trainee) -> Result<(Tensor<1>, Terms)> + Sync,
) -> Result<(GradientsParams, Terms)> {
    let share = 1.0 / threads.len() as f32;
    let one = |part: usize| -> Result<(GradientsParams, Terms)> {
        // A copy that shares the weights, so that the threads do not wait for each other's graphs.
        let trainee = trainee.clone().fork(&trainee.slope.device());
        let (loss, terms) = losses(part, &trainee)?;
        Ok((GradientsParams::from_grads((loss * share).backward(), &trainee), terms))
    };
    let parts: Vec<Result<_>> = std::thread::scope(|scope| {
        let one = &one;
        let parts: Vec<_> = (threads.iter().enumerate())
            .map(|(part, thread)| scope.spawn(move || thread.install(|| one(part))))
            .collect();
        let panicked = || Err(Error::bug("a training thread panicked."));
        parts.into_iter().map(|part| part.join().unwrap_or_else(|_| panicked())).collect()
    });
    let (mut sum, mut mean) = (GradientsAccumulator::new(), Terms::default());
    for part in parts {
        let (gradients, terms) = part?;
        sum.accumulate(trainee, gradients);
        mean.0.iter_mut().zip(terms.0).for_each(|(mean, term)| *mean += term * share);
    }
    Ok((sum.grads(), mean))
}

fn optimiser() -> ModuleOptimizer {
    ModuleOptimizer::from(AdamW::new(0.9, 0.98, 1e-8, 0.02))
        .with_grad_clipping(GradientClippingConfig::Norm(1.0).init())
}

fn floats<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn integers(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// Mean of the [`TOP`] largest values of each row of `[rows, n]`: `[rows]`.
fn top_mean(x: Tensor<2>) -> Tensor<1> {
    let rows = x.dims()[0];
    x.topk(TOP, 1).mean_dim(1).reshape([rows])
}

/// The loss of one part of a batch `[1]` and its terms.
fn losses(
    trainee: &Trainee,
    episode: &Episode,
    shape: EpisodeShape,
    tokenizer: &Tokenizer,
    device: &Device,
) -> Result<(Tensor<1>, Terms)> {
    let (images, side) = (shape.images(), shape.crop / shape.patch);
    let patches = side * side;
    let flag = |values: Vec<bool>| {
        let n = values.len();
        floats(values.into_iter().map(f32::from).collect(), [n], device)
    };
    let positive = flag(episode.kinds.iter().map(|&kind| kind > 0).collect());
    let negative = flag(episode.kinds.iter().zip(&episode.clear).map(|(&kind, &clear)| kind == 0 && clear).collect());
    let bad = flag(episode.anomalous.clone());
    let good = flag(episode.anomalous.iter().map(|bad| !bad).collect());
    let kinds = integers(episode.kinds.clone(), device);

    // Texts: prompts first, then captions.
    let texts: Vec<String> = episode.prompts.iter().chain(&episode.captions).cloned().collect();
    let tokens = tokenizer.batch(&texts)?;
    let ids = Tensor::<2, Int>::from_data(TensorData::new(tokens.ids, [texts.len(), tokens.length]), device);
    let texts = unit(trainee.clip.text.forward(ids, &tokens.ends));
    let prompts = episode.prompts.len();
    let anomalous = prompts - NORMAL_SENTENCES;
    let normal_texts = texts.clone().narrow(0, 0, NORMAL_SENTENCES);
    let anomalous_texts = texts.clone().narrow(0, NORMAL_SENTENCES, anomalous);
    let kind_texts = texts.clone().narrow(0, NORMAL_SENTENCES + ANOMALOUS_SENTENCES, anomalous - ANOMALOUS_SENTENCES);
    let captions = texts.narrow(0, prompts, episode.captions.len());
    let normal = unit(normal_texts.clone().mean_dim(0));
    let direction = unit(anomalous_texts.mean_dim(0)) - normal;

    let pixels = floats(episode.pixels.clone(), [images, 3, shape.crop, shape.crop], device);
    let seen = trainee.clip.vision.forward((pixels - 0.5) / 0.25, &[trainee.clip.vision.encoder.blocks.len()], true);
    let hidden = seen.layers.into_iter().next().ok_or_else(|| Error::bug("the vision tower gave no layer."))?;
    let joint = unit(trainee.clip.vision.project_patches(hidden));
    let dim = joint.dims()[2];
    let joint = joint.reshape([images * patches, dim]);
    let scale = trainee.clip.logit_scale.val().exp();

    // Each patch against the means of the good and the bad sentences, as the text map does it.
    let logits = (joint.clone().matmul(direction.clone().transpose()) * scale.clone().unsqueeze::<2>())
        .reshape([images * patches]);
    let dense = balanced_binary(logits.clone(), positive.clone(), negative.clone());
    // Each patch against one sentence per kind and one good sentence.
    let one_normal = normal_texts.narrow(0, 0, 1);
    let classes = Tensor::cat(vec![one_normal, kind_texts], 0);
    let by_kind = cross_entropy(joint.matmul(classes.transpose()) * scale.clone().unsqueeze::<2>(), kinds);
    let kind = (weighted_mean(by_kind.clone(), positive.clone()) + weighted_mean(by_kind, negative.clone())) * 0.5;
    // The most deviating patches decide about the photo.
    let top = balanced_binary(top_mean(logits.reshape([images, patches])), bad.clone(), good.clone());

    // The whole photo against the same sentences, and against captions.
    let whole = unit(seen.embedding);
    let image_logits = (whole.clone().matmul(direction.transpose()) * scale.clone().unsqueeze::<2>()).reshape([images]);
    let image = balanced_binary(image_logits, bad, good);
    let captioned = whole.select(0, integers(episode.captioned.clone(), device));
    let caption = contrastive(captioned.matmul(captions.transpose()) * scale.unsqueeze::<2>());

    // Queries against the references of the same product.
    let embedding = seen.patch_embedding.ok_or_else(|| Error::bug("the network has no patch head."))?;
    let head = embedding.dims()[2];
    let products = shape.products;
    let queries = PHOTOS - REFERENCES;
    let embedding = embedding.reshape([products, PHOTOS * patches, head]);
    let references = embedding.clone().narrow(1, 0, REFERENCES * patches);
    let queried = embedding.narrow(1, REFERENCES * patches, queries * patches);
    let similarity = queried.matmul(references.swap_dims(1, 2));
    let nearest = ((similarity * SHARPNESS).exp().sum_dim(2).log() / SHARPNESS).reshape([products * queries * patches]);
    let logits = (trainee.offset.val() - nearest) * trainee.slope.val();
    let of_queries = |flags: Tensor<1>, per_image: usize| {
        flags
            .reshape([products, PHOTOS * per_image])
            .narrow(1, REFERENCES * per_image, queries * per_image)
            .reshape([products * queries * per_image])
    };
    let episodic = balanced_binary(logits.clone(), of_queries(positive, patches), of_queries(negative, patches));
    let query_bad: Vec<bool> =
        episode.anomalous.chunks(PHOTOS).flat_map(|product| product[REFERENCES..].to_vec()).collect();
    let query_good = flag(query_bad.iter().map(|bad| !bad).collect());
    let episodic_top =
        balanced_binary(top_mean(logits.reshape([products * queries, patches])), flag(query_bad), query_good);

    let total = dense.clone()
        + kind.clone() * 0.4
        + top.clone() * 0.5
        + image.clone() * 0.2
        + caption.clone() * 0.1
        + episodic.clone()
        + episodic_top.clone() * 0.5;
    let named = Tensor::cat(vec![dense, kind, top, image, caption, episodic, episodic_top, total.clone()], 0);
    let values = named.into_data().try_into_vec::<f32>();
    let values = values.map_err(|error| Error::device(format!("The losses cannot be read: {error:?}.")))?;
    let mut terms = Terms::default();
    terms.0.copy_from_slice(&values);
    Ok((total, terms))
}

impl Terms {
    fn text(self) -> String {
        TERM_NAMES.iter().zip(self.0).map(|(name, value)| format!("{name} {value:.3}")).collect::<Vec<_>>().join("  ")
    }
}

/// `losses.csv`: step, learning rate and every term, one row a step.
struct Log(std::fs::File);

impl Log {
    /// A new file, or the rows before `step` of the one that is there.
    fn open(path: &Path, step: usize) -> Result<Self> {
        let mut text = format!("step,rate,{}\n", TERM_NAMES.join(","));
        if step > 0 {
            let old = std::fs::read_to_string(path).unwrap_or_default();
            text = old.lines().take(step + 1).fold(String::new(), |all, line| all + line + "\n");
        }
        std::fs::write(path, text).map_err(|e| Error::io("Cannot write the log", path, &e))?;
        let file = std::fs::OpenOptions::new().append(true).open(path);
        file.map(Self).map_err(|e| Error::io("Cannot write the log", path, &e))
    }

    fn line(&mut self, step: usize, rate: f64, terms: Terms) -> Result<()> {
        let values = terms.0.map(|value| format!("{value:.5}")).join(",");
        writeln!(self.0, "{step},{rate:.6},{values}").map_err(|e| Error::io("Cannot write the log", "losses.csv", &e))
    }
}

/// State of a run between two steps, without the optimiser, which burn keeps in a file of its own.
struct Checkpoint {
    step: usize,
    weights: Vec<Vec<f32>>,
    average: Average,
}

const CHECKPOINT: &str = "checkpoint.bin";

impl Checkpoint {
    /// The checkpoint in `work`, or `None` where there is none.
    fn open(work: &Path) -> Result<Option<Self>> {
        let path = work.join(CHECKPOINT);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io("Cannot read the checkpoint", &path, &e))?;
        let damaged = || Error::model("The checkpoint is damaged. Delete the folder to start again.").at(&path);
        let mut words = bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let mut number = || words.next().map(|b| u32::from_le_bytes(b) as usize).ok_or_else(damaged);
        let (step, updates, groups) = (number()?, number()?, number()?);
        let sizes = (0..groups).map(|_| number()).collect::<Result<Vec<_>>>()?;
        let mut read = || -> Result<Vec<Vec<f32>>> {
            sizes
                .iter()
                .map(|&n| {
                    let values: Vec<f32> = words.by_ref().take(n).map(f32::from_le_bytes).collect();
                    if values.len() == n { Ok(values) } else { Err(damaged()) }
                })
                .collect()
        };
        let weights = read()?;
        let average = Average { updates, values: read()?, ..Average::new(0.998) };
        Ok(Some(Self { step, weights, average }))
    }
}

fn save_checkpoint(
    work: &Path,
    step: usize,
    trainee: &Trainee,
    average: &Average,
    optimiser: &ModuleOptimizer,
) -> Result<()> {
    let weights = collect(trainee)?;
    let mut bytes = Vec::new();
    let head = [step, average.updates, weights.len()];
    for number in head.into_iter().chain(weights.iter().map(Vec::len)) {
        bytes.extend((number as u32).to_le_bytes());
    }
    for value in weights.iter().chain(&average.values).flatten() {
        bytes.extend(value.to_le_bytes());
    }
    let part = work.join("optimiser.part.bpk");
    optimiser.save(&part).map_err(|error| Error::Io {
        message: format!("Cannot write the optimiser's state: {error:?}."),
        path: Some(part.clone()),
    })?;
    let whole = work.join("optimiser.bpk");
    std::fs::rename(&part, &whole).map_err(|e| Error::io("Cannot write the optimiser's state", &whole, &e))?;
    write(&work.join(CHECKPOINT), &bytes)
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("Cannot create the folder", folder, &e))
}

/// Writes under a temporary name, then renames.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).map_err(|e| Error::io("Cannot write the file", &part, &e))?;
    std::fs::rename(&part, path).map_err(|e| Error::io("Cannot write the file", path, &e))
}

/// The model folder in the Hugging Face layout, weights as f16. The model card is written by hand.
fn write_folder(folder: &Path, config: &ClipConfig, tokenizer: &serde_json::Value, clip: &Clip) -> Result<()> {
    create(folder)?;
    let pretty = |value: &serde_json::Value| {
        serde_json::to_vec_pretty(value).map_err(|e| Error::bug(format!("JSON that cannot be written ({e}).")))
    };
    let config =
        serde_json::to_value(config).map_err(|e| Error::bug(format!("a configuration without JSON ({e}).")))?;
    let size = config["vision_config"]["image_size"].clone();
    let preprocessor = json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": true, "size": {"shortest_edge": size}, "resample": 3,
        "do_center_crop": true, "crop_size": {"height": size, "width": size},
        "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_convert_rgb": true,
        "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25],
    });
    write(&folder.join("config.json"), &pretty(&config)?)?;
    write(&folder.join("preprocessor_config.json"), &pretty(&preprocessor)?)?;
    write(&folder.join("tokenizer.json"), tokenizer.to_string().as_bytes())?;
    weights::save(clip, &folder.join("model.safetensors"), Precision::F16)
}
