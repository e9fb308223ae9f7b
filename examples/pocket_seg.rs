//! Trains the decoder of the embedded model that segments: `cargo run --release --example pocket_seg`. Draws procedural
//! parts with masks into `target/pocket-seg`, trains a CLIPSeg decoder behind the towers of `pocket` and writes
//! `models/pocket-seg`. Takes ten minutes of one core. Run it again after an interruption and it goes on.
//! Flags for trying things out: `--out DIR --work DIR --products N --epochs N --rate R --seed N`.
#![expect(clippy::print_stderr, reason = "a program that talks to its user")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hairline::dataset::masked::{MaskedFolder, MaskedPhoto};
use hairline::dataset::synth::chance::Chance;
use hairline::dataset::synth::words::{self, ANOMALOUS};
use hairline::dataset::synth::{DefectKind, Outlines, Product};
use hairline::model::clipseg::DecoderConfig;
use hairline::model::{ClipModel, ClipSegModel, ModelSource};
use hairline::train::segmentation::{SegmentTraining, train};
use hairline::{Error, Result, gpu};
use image::{GrayImage, RgbImage};

/// Side of photos and network input in pixels while training.
const SIZE: usize = 128;
/// Side of the network input afterwards: the decoder knows no positions, and finer patches give finer edges.
const INPUT: u32 = 192;
/// Photos of a product: the first is normal, the others defective.
const PHOTOS: u64 = 4;
/// Products judged after each epoch: never drawn for training, every other one of an outline never trained on.
const JUDGED: u64 = 40;
/// Phrases that stand for a class, besides those without an object.
const SENTENCES: usize = 40;
/// The class of every defect.
const DAMAGE: &str = "damage";

struct Options {
    out: PathBuf,
    work: PathBuf,
    products: u64,
    epochs: usize,
    rate: f64,
    seed: u64,
}

fn options() -> Result<Options> {
    let mut options = Options {
        out: PathBuf::from("models/pocket-seg"),
        work: PathBuf::from("target/pocket-seg"),
        products: 240,
        epochs: 4,
        rate: 3e-3,
        seed: 20,
    };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| Error::input(format!("{flag} needs a value.")))?;
        let wrong = || Error::input(format!("{flag} cannot be `{value}`."));
        match flag.as_str() {
            "--out" => options.out = value.clone().into(),
            "--work" => options.work = value.clone().into(),
            "--products" => options.products = value.parse().map_err(|_| wrong())?,
            "--epochs" => options.epochs = value.parse().map_err(|_| wrong())?,
            "--rate" => options.rate = value.parse().map_err(|_| wrong())?,
            "--seed" => options.seed = value.parse().map_err(|_| wrong())?,
            _ => return Err(Error::input(format!("Unknown flag {flag}."))),
        }
    }
    Ok(options)
}

fn run() -> Result<()> {
    let options = options()?;
    let seen = (0..options.products).map(|index| Product::new(options.seed, index, Outlines::Trained));
    let unseen = (0..JUDGED).map(|index| {
        let outlines = if index % 2 == 0 { Outlines::Trained } else { Outlines::HeldOut };
        Product::new(options.seed + 1, index, outlines)
    });
    let learned = draw(seen, &options.work.join("learned"))?;
    let judged = draw(unseen, &options.work.join("judged"))?;

    let compute = gpu::Compute::cpu();
    let clip = ClipModel::load(&ModelSource::Pocket, &compute.device)?;
    let decoder =
        DecoderConfig { extract_layers: vec![1, 3, 5], decoder_intermediate_size: 256, ..DecoderConfig::default() };
    let base = ClipSegModel::untrained(&clip, decoder, SIZE as u32)?;
    let settings = SegmentTraining {
        prompts: phrases(options.seed),
        epochs: options.epochs,
        rate: options.rate,
        negatives: 0.25,
        variants: 2,
        seed: options.seed,
        ..SegmentTraining::default()
    };
    let trained = train(base, &learned, &judged, &settings, &options.work.join("run"), |event| {
        if event.is_milestone() {
            eprintln!("{event}");
        }
        true
    })?;
    let best = ClipSegModel::load(&ModelSource::Folder(trained.folder), &compute.device)?;
    best.squashed(INPUT).save_decoder(&options.out)
}

/// Every class with the phrases that stand for it: whole sentences, and the bare words an inspector types.
fn phrases(seed: u64) -> BTreeMap<String, Vec<String>> {
    let chance = &mut Chance::new(seed, 0, 0, 77);
    let mut of_class = |name: &str, grammar: &[&str]| {
        let mut phrases: Vec<String> = (0..SENTENCES).map(|_| words::sentence(chance, grammar)).collect();
        let bare = grammar.iter().filter_map(|phrase| phrase.strip_prefix("{} with "));
        phrases.extend(bare.map(ToOwned::to_owned));
        phrases.extend([name.to_owned(), format!("a {name}"), format!("the {name}")]);
        (name.to_owned(), phrases)
    };
    let kinds = DefectKind::ALL.into_iter().map(|kind| of_class(kind.name(), words::phrases(kind)));
    let mut all: BTreeMap<_, _> = kinds.collect();
    let (name, mut damage) = of_class(DAMAGE, ANOMALOUS);
    damage.extend(["defect", "a defect", "the defect", "damaged area", "an anomaly"].map(ToOwned::to_owned));
    all.insert(name, damage);
    all
}

/// Photos and one mask for each kind in them, as PNG.
fn draw(products: impl Iterator<Item = Product>, folder: &Path) -> Result<MaskedFolder> {
    let (images, masks) = (folder.join("images"), folder.join("masks"));
    for folder in [&images, &masks] {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("Cannot create the folder", folder, &e))?;
    }
    let mut photos = Vec::new();
    for (index, product) in products.enumerate() {
        for number in 0..PHOTOS {
            let path = images.join(format!("{index:04}_{number}.png"));
            let sample = product.photo(number, number > 0, SIZE);
            let kinds = DefectKind::ALL.into_iter().filter(|kind| sample.mask.contains(&(*kind as u8)));
            let mut of_photo = BTreeMap::new();
            for (name, wanted) in kinds.map(|kind| (kind.name(), Some(kind as u8))).chain([(DAMAGE, None)]) {
                let inside = |m: &u8| if wanted.map_or(*m > 0, |kind| *m == kind) { 255 } else { 0 };
                let values: Vec<u8> = sample.mask.iter().map(inside).collect();
                if values.contains(&255) {
                    let mask = masks.join(format!("{index:04}_{number}_{name}.png"));
                    save(GrayImage::from_raw(SIZE as u32, SIZE as u32, values).map(Into::into), &mask)?;
                    of_photo.insert(name.to_owned(), mask);
                }
            }
            save(RgbImage::from_raw(SIZE as u32, SIZE as u32, sample.rgb).map(Into::into), &path)?;
            photos.push(MaskedPhoto { path, masks: of_photo });
        }
    }
    let mut classes: Vec<String> = photos.iter().flat_map(|photo| photo.masks.keys().cloned()).collect();
    classes.sort();
    classes.dedup();
    Ok(MaskedFolder { classes, photos })
}

fn save(picture: Option<image::DynamicImage>, path: &Path) -> Result<()> {
    let picture = picture.ok_or_else(|| Error::bug("a photo of the wrong size."))?;
    picture.save(path).map_err(|e| Error::io("Cannot write the picture", path, &std::io::Error::other(e)))
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::from(error.exit_status())
        }
    }
}
