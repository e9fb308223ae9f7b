//! Measures an embedded-model folder: `cargo run --release --example pocket_eval -- --model models/pocket`. First on
//! procedural parts of unseen seeds and unseen outlines, then on a folder in the MVTec-AD layout (`--mvtec DIR`), zero-shot
//! and with references. `--sweep` tries smoothing widths, top fractions and layers on the procedural parts only. The same
//! arithmetic as the detectors, written straight down, so that it can check them.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::{Device, Tensor, TensorData};
use hairline::dataset::mvtec;
use hairline::dataset::synth::{Outlines, Product};
use hairline::metrics::{average_precision, roc_auc};
use hairline::model::{ClipModel, Geometry, ModelSource, VisionFeatures, Want};
use hairline::photo::Photo;
use hairline::recipe::Prompts;
use hairline::{Error, Recipe, Result};
use image::RgbImage;

struct Options {
    model: PathBuf,
    /// `None` takes the model's own.
    size: Option<u32>,
    sigma: f32,
    top: f32,
    layers: Vec<usize>,
    references: usize,
    products: u64,
    object: String,
    mvtec: Option<PathBuf>,
    sweep: bool,
}

fn options() -> Result<Options> {
    let recipe = Recipe::default();
    let mut options = Options {
        model: "models/pocket".into(),
        size: None,
        sigma: recipe.sigma_px,
        top: recipe.top_fraction,
        layers: vec![6],
        references: 16,
        products: 40,
        object: "part".into(),
        mvtec: None,
        sweep: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        if flag == "--sweep" {
            options.sweep = true;
            continue;
        }
        let value = words.next().ok_or_else(|| Error::input(format!("{flag} needs a value.")))?;
        let wrong = || Error::input(format!("{flag} cannot be `{value}`."));
        match flag.as_str() {
            "--model" => options.model = value.clone().into(),
            "--size" => options.size = Some(value.parse().map_err(|_| wrong())?),
            "--sigma" => options.sigma = value.parse().map_err(|_| wrong())?,
            "--top" => options.top = value.parse().map_err(|_| wrong())?,
            "--references" => options.references = value.parse().map_err(|_| wrong())?,
            "--products" => options.products = value.parse().map_err(|_| wrong())?,
            "--object" => options.object.clone_from(&value),
            "--mvtec" => options.mvtec = Some(value.clone().into()),
            "--layers" => {
                options.layers = value.split(',').map(|n| n.parse().map_err(|_| wrong())).collect::<Result<_>>()?;
            }
            _ => return Err(Error::input(format!("Unknown flag {flag}."))),
        }
    }
    Ok(options)
}

/// One score per patch.
#[derive(Clone)]
struct Grid {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
}

/// A test photo with its ground truth at its own size.
struct Case {
    text: Vec<Grid>,
    learned: Option<Grid>,
    hidden: Option<Grid>,
    width: usize,
    height: usize,
    mask: Vec<bool>,
    group: String,
}

fn unit(values: &[f32]) -> Vec<f32> {
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    values.iter().map(|v| v / length).collect()
}

/// Unit mean of the unit embeddings of all sentences.
fn prototype(model: &ClipModel, sentences: &[String]) -> Result<Vec<f32>> {
    let all = model.encode_texts(sentences)?;
    let mut sum = vec![0.0_f32; model.info().embedding_dim];
    for embedding in &all {
        sum.iter_mut().zip(unit(embedding)).for_each(|(s, v)| *s += v);
    }
    Ok(unit(&sum))
}

/// Softmax over the two cosines at the recipe's usual temperature, one grid per layer.
fn text_grids(features: &VisionFeatures, normal: &[f32], anomalous: &[f32]) -> Vec<Grid> {
    let temperature = Recipe::default().temperature;
    let mut grids = Vec::new();
    for layer in &features.layers {
        let Some(projected) = &layer.projected else { continue };
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let score = |patch: &[f32]| {
            let patch = unit(patch);
            1.0 / (1.0 + ((dot(&patch, normal) - dot(&patch, anomalous)) / temperature).exp())
        };
        let values = projected.chunks_exact(features.dim).map(score).collect();
        grids.push(Grid { rows: features.rows, cols: features.cols, values });
    }
    grids
}

fn averaged(grids: &[Grid]) -> Grid {
    let mut sum = grids[0].clone();
    for grid in &grids[1..] {
        sum.values.iter_mut().zip(&grid.values).for_each(|(s, v)| *s += v);
    }
    sum
}

/// (value − median) / (1.4826 · median absolute deviation), as the detector does where there are no references.
fn standardised(mut grid: Grid) -> Grid {
    let median = |values: &mut Vec<f32>| {
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f32::total_cmp).1
    };
    let centre = median(&mut grid.values.clone());
    let spread = 1.4826 * median(&mut grid.values.iter().map(|v| (v - centre).abs()).collect());
    for value in &mut grid.values {
        *value = (*value - centre) / (spread + 1e-6);
    }
    grid
}

/// Unit hidden states of all layers side by side, per patch.
fn hidden_patches(features: &VisionFeatures) -> Vec<f32> {
    let patches = features.rows * features.cols;
    (0..patches)
        .flat_map(|p| {
            features
                .layers
                .iter()
                .flat_map(move |layer| unit(&layer.hidden[p * features.width..(p + 1) * features.width]))
        })
        .collect()
}

/// 1 − the largest cosine to the bank, per patch.
fn nearest(query: &[f32], bank: &Tensor<2>, features: &VisionFeatures) -> Result<Grid> {
    let width = bank.dims()[0];
    let rows = query.len() / width;
    let scale = query[..width].iter().map(|v| v * v).sum::<f32>();
    let query = Tensor::<2>::from_data(TensorData::new(query.to_vec(), [rows, width]), &bank.device());
    let best = query.matmul(bank.clone()).max_dim(1);
    let best = best.into_data().try_into_vec::<f32>().map_err(|e| Error::device(format!("{e:?}")))?;
    let values = best.into_iter().map(|cosine| 1.0 - cosine / scale).collect();
    Ok(Grid { rows: features.rows, cols: features.cols, values })
}

/// `[width, patches]` on the processor.
fn bank(patches: Vec<f32>, width: usize) -> Tensor<2> {
    let rows = patches.len() / width;
    Tensor::<2>::from_data(TensorData::new(patches, [rows, width]), &Device::flex()).transpose()
}

/// The grid at `height` × `width`, bilinear between patch centres.
fn enlarged(grid: &Grid, height: usize, width: usize) -> Vec<f32> {
    let taps = |from: usize, to: usize| -> Vec<(usize, usize, f32)> {
        (0..to)
            .map(|i| {
                let at = ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
                let low = at as usize;
                (low, (low + 1).min(from - 1), at - low as f32)
            })
            .collect()
    };
    let (down, across) = (taps(grid.rows, height), taps(grid.cols, width));
    let mut out = Vec::with_capacity(height * width);
    for &(top, bottom, fy) in &down {
        let line = |row: usize| &grid.values[row * grid.cols..(row + 1) * grid.cols];
        let (a, b) = (line(top), line(bottom));
        out.extend(across.iter().map(|&(l, r, fx)| {
            let upper = a[l] + (a[r] - a[l]) * fx;
            let lower = b[l] + (b[r] - b[l]) * fx;
            upper + (lower - upper) * fy
        }));
    }
    out
}

/// Gaussian with standard deviation `sigma` pixels, border repeated.
fn smoothed(map: &[f32], height: usize, width: usize, sigma: f32) -> Vec<f32> {
    if sigma <= 0.0 {
        return map.to_vec();
    }
    let radius = (4.0 * sigma + 0.5) as i64;
    let mut kernel: Vec<f32> = (-radius..=radius).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    for k in &mut kernel {
        *k /= sum;
    }
    let pass = |source: &[f32], step: usize, length: usize, at: usize, base: usize| -> f32 {
        kernel
            .iter()
            .enumerate()
            .map(|(k, w)| {
                let i = (at as i64 + k as i64 - radius).clamp(0, length as i64 - 1) as usize;
                w * source[base + i * step]
            })
            .sum()
    };
    let half: Vec<f32> = (0..height * width).map(|i| pass(map, 1, width, i % width, i / width * width)).collect();
    (0..height * width).map(|i| pass(&half, width, height, i / width, i % width)).collect()
}

/// Mean of the largest `part` of the values.
fn top_mean(values: &[f32], part: f32) -> f32 {
    let n = ((values.len() as f32 * part) as usize).max(1);
    let mut sorted = values.to_vec();
    sorted.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a));
    sorted[..n].iter().sum::<f32>() / n as f32
}

/// Image AUROC, pixel AUROC, pixel AP of maps over all cases.
fn judge(cases: &[Case], grid: impl Fn(&Case) -> Grid, sigma: f32, top: f32, only: Option<&str>) -> Result<[f64; 3]> {
    let (mut scores, mut labels, mut pixels, mut truth) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for case in cases {
        let bad = case.mask.iter().any(|&m| m);
        if only.is_some_and(|kind| bad && case.group != kind) {
            continue;
        }
        let grid = grid(case);
        // At the network's input size, where sigma is meant, then at the photo's own.
        let (height, width) = (grid.rows * 8, grid.cols * 8);
        let map = smoothed(&enlarged(&grid, height, width), height, width, sigma);
        scores.push(top_mean(&map, top));
        labels.push(bad);
        pixels.extend(enlarged(&Grid { rows: height, cols: width, values: map }, case.height, case.width));
        truth.extend_from_slice(&case.mask);
    }
    let none = || Error::input("There are no normal or no defective photos to measure.");
    Ok([
        roc_auc(&scores, &labels)?.ok_or_else(none)?,
        roc_auc(&pixels, &truth)?.ok_or_else(none)?,
        average_precision(&pixels, &truth)?.ok_or_else(none)?,
    ])
}

fn line(name: &str, [image, pixel, precision]: [f64; 3]) {
    println!("{name:<44} image {image:.4}  pixel {pixel:.4}  pixel AP {precision:.4}");
}

fn case_of(
    features: &VisionFeatures,
    photo: &Photo,
    mask: Vec<bool>,
    group: &str,
    texts: &[Vec<f32>; 2],
    banks: Option<&[Tensor<2>; 2]>,
) -> Result<Case> {
    let (mut learned, mut hidden) = (None, None);
    if let Some([head, raw]) = banks {
        let patches = features.patch_head.as_ref().ok_or_else(|| Error::model("The model has no patch head."))?;
        learned = Some(nearest(patches, head, features)?);
        hidden = Some(nearest(&hidden_patches(features), raw, features)?);
    }
    Ok(Case {
        text: text_grids(features, &texts[0], &texts[1]),
        learned,
        hidden,
        width: photo.pixels.width() as usize,
        height: photo.pixels.height() as usize,
        mask,
        group: group.to_owned(),
    })
}

struct Bench<'a> {
    model: &'a ClipModel,
    texts: [Vec<f32>; 2],
    want: Want,
    size: u32,
}

impl Bench<'_> {
    fn features(&self, photo: &Photo) -> Result<VisionFeatures> {
        let prepared = self.model.prepare(photo, Geometry::KeepAspect { short_side: self.size })?;
        let mut all = self.model.encode_images(&[prepared], &self.want)?;
        all.pop().ok_or_else(|| Error::bug("no features for a photo."))
    }

    fn banks(&self, photos: &[Photo]) -> Result<[Tensor<2>; 2]> {
        let (mut learned, mut hidden, mut width) = (Vec::new(), Vec::new(), 0);
        for photo in photos {
            let features = self.features(photo)?;
            learned.extend(features.patch_head.clone().unwrap_or_default());
            hidden.extend(hidden_patches(&features));
            width = features.width * features.layers.len();
        }
        Ok([bank(learned, self.model.info().patch_head_dim), bank(hidden, width)])
    }

    fn synth(&self, outlines: Outlines, products: u64) -> Result<Vec<Case>> {
        const SIDE: usize = 192;
        let mut cases = Vec::new();
        for index in 0..products {
            let product = Product::new(900_001, index, outlines);
            let open = |number: u64, defective: bool| -> Result<(Photo, Vec<bool>)> {
                let sample = product.photo(number, defective, SIDE);
                let pixels = RgbImage::from_raw(SIDE as u32, SIDE as u32, sample.rgb)
                    .ok_or_else(|| Error::bug("a photo of the wrong size."))?;
                Ok((
                    Photo::from_pixels(pixels, format!("{index}/{number}")),
                    sample.mask.iter().map(|&m| m > 0).collect(),
                ))
            };
            let references = (0..4).map(|n| Ok(open(n, false)?.0)).collect::<Result<Vec<_>>>()?;
            let banks = self.banks(&references)?;
            for number in 4..9 {
                let (photo, mask) = open(number, number >= 6)?;
                cases.push(case_of(&self.features(&photo)?, &photo, mask, "", &self.texts, Some(&banks))?);
            }
        }
        Ok(cases)
    }

    fn folder(&self, class: &mvtec::MvtecClass, references: usize) -> Result<Vec<Case>> {
        let photos = class.train.iter().take(references).map(Photo::open).collect::<Result<Vec<_>>>()?;
        let banks = if photos.is_empty() { None } else { Some(self.banks(&photos)?) };
        let mut cases = Vec::new();
        for test in &class.test {
            let photo = Photo::open(&test.path)?;
            let mask = match &test.mask {
                Some(path) => Photo::open(path)?.pixels.pixels().map(|p| p.0[0] > 127).collect(),
                None => vec![test.anomalous(); (photo.pixels.width() * photo.pixels.height()) as usize],
            };
            if mask.len() != (photo.pixels.width() * photo.pixels.height()) as usize {
                return Err(Error::input("The mask has another size than its photo.").at(&test.path));
            }
            cases.push(case_of(&self.features(&photo)?, &photo, mask, &test.kind, &self.texts, banks.as_ref())?);
        }
        Ok(cases)
    }
}

fn learned(case: &Case) -> Grid {
    case.learned.clone().unwrap_or_else(|| case.text[0].clone())
}

fn hidden(case: &Case) -> Grid {
    case.hidden.clone().unwrap_or_else(|| case.text[0].clone())
}

fn measure() -> Result<()> {
    let options = options()?;
    let source = ModelSource::Folder(options.model.clone());
    let model = ClipModel::load(&source, &Device::flex())?;
    let layers = if options.sweep { (1..=model.info().layers).collect() } else { options.layers.clone() };
    let prompts = Prompts::default();
    let texts = [&prompts.normal, &prompts.anomalous]
        .map(|phrases| prototype(&model, &prompts.sentences(phrases, &options.object)));
    let [normal, anomalous] = texts;
    let want = Want { layers, project: true, patch_head: true, ..Want::default() };
    let size = options.size.unwrap_or(model.config().vision_config.image_size as u32);
    let bench = Bench { model: &model, texts: [normal?, anomalous?], want, size };
    let last = |case: &Case| averaged(&case.text);
    let standard = |case: &Case| standardised(averaged(&case.text));
    for (name, outlines) in [("synth, unseen seed", Outlines::Trained), ("synth, unseen outlines", Outlines::HeldOut)] {
        if options.products == 0 {
            break;
        }
        let cases = bench.synth(outlines, options.products)?;
        if options.sweep {
            for layer in 0..bench.want.layers.len() {
                line(
                    &format!("{name}: text, layer {}", layer + 1),
                    judge(&cases, |c| c.text[layer].clone(), options.sigma, options.top, None)?,
                );
            }
            let (from, to) = (bench.want.layers.len() - 2, bench.want.layers.len());
            line(
                &format!("{name}: text, last two layers"),
                judge(&cases, |c| averaged(&c.text[from..to]), options.sigma, options.top, None)?,
            );
            for sigma in [0.0, 2.0, 4.0, 6.0, 9.0] {
                for top in [0.002, 0.01, 0.03] {
                    let row = judge(&cases, |c| c.text[to - 1].clone(), sigma, top, None)?;
                    line(&format!("{name}: text, sigma {sigma} top {top}"), row);
                    line(
                        &format!("{name}: 4 refs, sigma {sigma} top {top}"),
                        judge(&cases, learned, sigma, top, None)?,
                    );
                }
            }
        } else {
            line(&format!("{name}: zero-shot"), judge(&cases, last, options.sigma, options.top, None)?);
            line(
                &format!("{name}: zero-shot, standardised"),
                judge(&cases, standard, options.sigma, options.top, None)?,
            );
            line(&format!("{name}: 4 references, learned"), judge(&cases, learned, options.sigma, options.top, None)?);
            line(&format!("{name}: 4 references, hidden"), judge(&cases, hidden, options.sigma, options.top, None)?);
        }
    }
    let Some(root) = &options.mvtec else { return Ok(()) };
    for class in mvtec::read(root)? {
        let cases = bench.folder(&class, options.references)?;
        let mut kinds: Vec<&str> =
            cases.iter().map(|case| case.group.as_str()).filter(|&kind| kind != "good").collect();
        kinds.dedup();
        let every = std::iter::once(None).chain(kinds.iter().map(|&kind| Some(kind)));
        for only in every {
            let name = format!("{}{}", class.name, only.map_or(String::new(), |kind| format!(", {kind}")));
            line(&format!("{name}: zero-shot"), judge(&cases, last, options.sigma, options.top, only)?);
            if only.is_none() {
                line(
                    &format!("{name}: zero-shot, standardised"),
                    judge(&cases, standard, options.sigma, options.top, only)?,
                );
            }
            if cases.iter().all(|case| case.learned.is_some()) {
                let n = options.references;
                line(
                    &format!("{name}: {n} references, learned"),
                    judge(&cases, learned, options.sigma, options.top, only)?,
                );
                if only.is_none() {
                    line(
                        &format!("{name}: {n} references, hidden"),
                        judge(&cases, hidden, options.sigma, options.top, only)?,
                    );
                }
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(error.exit_status())
        }
    }
}
