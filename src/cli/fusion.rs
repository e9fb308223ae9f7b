//! `hairline fusion`: a classifier over the embeddings of one or several backbones, learned from labelled photos:
//! cross-validated, trained, used.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Subcommand};
use tokenizers::utils::SysRegex;

use super::classify::{check_models, compare, export_format, failed, in_short, model_names, outside, say};
use super::console::Console;
use super::lab::Bench;
use super::{Common, interrupt};
use crate::classify::fusion::{self, FusedPhotos};
use crate::classify::job::{self, Embedding};
use crate::classify::{ClassWeight, Classifier, FoldOptions, HeadKind, HeadOptions, LogisticOptions};
use crate::count::count;
use crate::dataset::export::{ExportFormat, ExportSet};
use crate::dataset::labels::{self, LabelledPhoto};
use crate::photo::{Failure, find_photos};
use crate::report::{self, ClassificationRun, ModelIdentity};
use crate::{Error, Result};

/// Arguments of `hairline fusion`.
#[derive(Clone, Debug, Args)]
pub struct FusionArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Cross-validate: how good would a classifier be on photos that it has not seen?
    Evaluate(EvaluateArgs),
    /// Train a classifier on all labelled photos and write it as one file
    Train(TrainArgs),
    /// Label photos with a trained classifier
    Predict(PredictArgs),
}

/// Where photos and labels come from.
#[derive(Clone, Debug, Args)]
struct PhotosArgs {
    /// Folder of labelled photos: a sub-folder per class
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only these classes, separated by commas [default: every class that occurs]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    labels: Vec<String>,
    /// Classes from a table (columns path, label and perhaps group) or a COCO file instead of sub-folders
    #[arg(long, value_name = "FILE")]
    labels_from: Option<PathBuf>,
    /// Backbones, separated by commas, whose embeddings stand side by side [default: --model]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    models: Vec<String>,
    /// Scale each backbone's embedding to length 1 first
    #[arg(long)]
    normalise: bool,
    /// Compute everything anew: neither read nor fill the cache of features on disk
    #[arg(long)]
    no_cache: bool,
}

/// Which head, and its settings.
#[derive(Clone, Debug, Args)]
struct HeadArgs {
    /// logistic, or for classes with few photos centroid or knn
    #[arg(long, value_name = "NAME", default_value = "logistic", value_parser = head)]
    head: HeadKind,
    /// Inverse strength of the logistic regression's penalty
    #[arg(long, value_name = "C", default_value_t = 1.0, allow_negative_numbers = true)]
    c: f64,
    /// Let every class count the same instead of every photo (logistic)
    #[arg(long)]
    balanced: bool,
    /// Neighbours that vote (knn)
    #[arg(long, value_name = "K", default_value_t = 5)]
    neighbours: usize,
}

#[derive(Clone, Debug, Args)]
struct EvaluateArgs {
    #[command(flatten)]
    photos: PhotosArgs,
    #[command(flatten)]
    head: HeadArgs,
    /// Folder for the results; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folds of the cross-validation
    #[arg(long, value_name = "K", default_value_t = 3)]
    folds: usize,
    /// Deal photos to folds in their order instead of by the seed
    #[arg(long)]
    no_shuffle: bool,
    /// Keep photos of one part in one fold: what this regular expression finds in the path names the part
    #[arg(long, value_name = "REGEX", conflicts_with = "group_folders")]
    group: Option<String>,
    /// Keep photos of one sub-folder of a class in one fold
    #[arg(long)]
    group_folders: bool,
    /// Compare with an earlier run's predictions.csv
    #[arg(long, value_name = "FILE.csv")]
    against: Option<PathBuf>,
    /// Write the predictions for other programs as well: coco, fiftyone, labelstudio
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = export_format)]
    export: Vec<ExportFormat>,
    /// Print metrics.json to stdout instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Args)]
struct TrainArgs {
    #[command(flatten)]
    photos: PhotosArgs,
    #[command(flatten)]
    head: HeadArgs,
    /// File to write
    #[arg(long, value_name = "MODEL.safetensors")]
    out: PathBuf,
}

#[derive(Clone, Debug, Args)]
struct PredictArgs {
    /// Photos, or folders that are searched at every depth; sub-folders with a label's name tell the true class
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The trained classifier
    #[arg(long, value_name = "MODEL.safetensors")]
    classifier: PathBuf,
    /// Where its backbones are now, in its order; a single one also as --model [default: where they were in training]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    models: Vec<String>,
    /// Folder for predictions.csv and the other files [default: only stdout]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the predictions for other programs as well: coco, fiftyone, labelstudio
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = export_format, requires = "out")]
    export: Vec<ExportFormat>,
    /// Print metrics.json to stdout instead of a table
    #[arg(long)]
    json: bool,
    /// Compute everything anew: neither read nor fill the cache of features on disk
    #[arg(long)]
    no_cache: bool,
}

fn head(text: &str) -> std::result::Result<HeadKind, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

impl HeadArgs {
    fn options(&self) -> HeadOptions {
        let class_weight = if self.balanced { ClassWeight::Balanced } else { ClassWeight::None };
        HeadOptions {
            kind: self.head,
            logistic: LogisticOptions { c: self.c, class_weight, ..LogisticOptions::default() },
            neighbours: self.neighbours,
        }
    }

    fn in_words(&self) -> String {
        match self.head {
            HeadKind::Logistic if self.balanced => format!("logistic, C {}, balanced classes", self.c),
            HeadKind::Logistic => format!("logistic, C {}", self.c),
            HeadKind::Centroid => "nearest centroid".to_owned(),
            HeadKind::Knn => format!("{} nearest neighbours", self.neighbours),
        }
    }
}

/// Runs the verb asked for.
pub fn run(args: FusionArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    match args.what {
        What::Evaluate(args) => evaluate(&args, common, console),
        What::Train(args) => train(&args, common, console),
        What::Predict(args) => predict(&args, common, console),
    }
}

/// Photos with embeddings side by side, and what else was learned on the way.
struct Gathered {
    fused: FusedPhotos,
    labels: Vec<String>,
    failures: Vec<Failure>,
    device: String,
}

impl Gathered {
    /// A run with these outcomes, still without its own title and settings.
    fn run(self, classification: crate::classify::Classification, common: &Common) -> Result<ClassificationRun> {
        let identity =
            |backbone: crate::classify::BackboneIdentity| ModelIdentity { id: backbone.id, sha256: backbone.sha256 };
        Ok(ClassificationRun {
            created: report::utc(SystemTime::now()),
            figures: classification.figures(common.seed.unwrap_or(0))?,
            classification,
            models: self.fused.backbones.into_iter().map(identity).collect(),
            device: self.device,
            failures: self.failures,
            ..ClassificationRun::default()
        })
    }
}

/// The backbones that `--models` names, or the one of `--model`.
fn models_of(models: &[String], common: &Common) -> Result<Option<Vec<String>>> {
    match (models, &common.model) {
        ([], None) => Ok(None),
        ([], Some(model)) => Ok(Some(vec![model.clone()])),
        (models, None) => Ok(Some(models.to_vec())),
        (_, Some(_)) => {
            Err(Error::input("--model and --models both name the networks. Give all of them to --models alone."))
        }
    }
}

/// The labelled photos that `args` name, `adjust`ed, and embedded with every backbone.
fn gather(
    args: &PhotosArgs,
    out: &Path,
    common: &Common,
    console: &Console,
    adjust: impl FnOnce(&mut Vec<LabelledPhoto>) -> Result<()>,
) -> Result<Gathered> {
    let wanted = (!args.labels.is_empty()).then_some(args.labels.as_slice());
    let mut found = labels::from_folders(&args.dir, wanted);
    if let Some(file) = &args.labels_from {
        labels::apply(&mut found.photos, &labels::from_file(file, &args.dir)?);
    }
    for failure in &found.failures {
        Console::failure(&failure.error);
    }
    let mut photos = outside(found.photos, out);
    let all = photos.len();
    photos.retain(|photo| photo.label.as_ref().is_some_and(|label| wanted.is_none_or(|wanted| wanted.contains(label))));
    if photos.len() < all {
        let unlabelled = count(all - photos.len(), "photo without a label is", "photos without a label are");
        console.note(format!("{unlabelled} left out."));
    }
    adjust(&mut photos)?;
    let models = models_of(&args.models, common)?.unwrap_or_else(|| vec!["pocket".to_owned()]);
    check_models(&models)?;
    let mut bench = Bench::start(common, !args.no_cache, console)?;
    let (fused, mut failures, device) = embed(&mut bench, &models, &photos, args.normalise)?;
    failures.splice(0..0, found.failures);
    let labels = wanted.map_or_else(|| fused.labels(), <[String]>::to_vec);
    Ok(Gathered { fused, labels, failures, device })
}

/// Embeds photos with every backbone and puts the embeddings side by side.
fn embed(
    bench: &mut Bench<'_>,
    models: &[String],
    photos: &[LabelledPhoto],
    normalise: bool,
) -> Result<(FusedPhotos, Vec<Failure>, String)> {
    let (mut parts, mut failures, mut device) = (Vec::new(), Vec::<Failure>::new(), String::new());
    for model in models {
        let (model, list, total) = (model.clone(), photos.to_vec(), photos.len());
        let embedding = bench.run(total, "photos embedded", move |lab| {
            job::embed(lab, &model, &list, &[], |lab, done| lab.progress(done, total))
        })?;
        let Embedding { embedded, failures: unread, cancelled } = embedding;
        if cancelled {
            return Err(Error::Cancelled);
        }
        for failure in unread {
            if !failures.iter().any(|known| known.path == failure.path) {
                Console::failure(&failure.error);
                failures.push(failure);
            }
        }
        device.clone_from(&embedded.device);
        parts.push(embedded);
    }
    Ok((fusion::fuse(&parts, normalise)?, failures, device))
}

fn evaluate(args: &EvaluateArgs, common: &Common, console: &Console) -> Result<()> {
    let earlier = args.against.as_deref().map(report::read_predictions).transpose()?;
    report::create_folder(&args.out)?;
    let gathered = gather(&args.photos, &args.out, common, console, |photos| group(args, photos, console))?;
    let seed = (!args.no_shuffle).then_some(common.seed.unwrap_or(0));
    let folds = FoldOptions { folds: args.folds, seed };
    let mut progress = console.progress(args.folds as u64, "folds learned");
    let outcome = fusion::evaluate(&gathered.fused, &gathered.labels, &folds, args.head.options(), |done| {
        progress.set(done as u64);
        !interrupt::wanted()
    })?;
    drop(progress);
    for warning in &outcome.warnings {
        console.warn(warning);
    }
    let dim: usize = gathered.fused.backbones.iter().map(|backbone| backbone.dim).sum();
    let order = seed.map_or_else(|| "in their order".to_owned(), |seed| format!("shuffled by seed {seed}"));
    let grouped = gathered.fused.photos.iter().any(|photo| photo.group.is_some());
    let normalise = args.photos.normalise;
    let run = ClassificationRun {
        title: format!("Fusion, {}-fold cross-validation", args.folds),
        settings: vec![
            (
                "Features".into(),
                format!("{dim} per photo{}", if normalise { ", each backbone at length 1" } else { "" }),
            ),
            ("Head".into(), format!("standard scaler, {}", args.head.in_words())),
            ("Folds".into(), format!("stratified{}, {order}", if grouped { ", groups kept whole" } else { "" })),
        ],
        warnings: outcome.warnings,
        folds: outcome.folds,
        ..gathered.run(outcome.classification, common)?
    };
    write(&run, &args.out, &args.export)?;
    console.note(in_short(&run, &args.out));
    compare(std::slice::from_ref(&run), earlier.as_ref(), &args.out, common, console)?;
    say(std::slice::from_ref(&run), args.json)?;
    failed(run.failures.len())
}

/// Which photos belong together: by expression, by sub-folder, or as the table of labels says.
fn group(args: &EvaluateArgs, photos: &mut [LabelledPhoto], console: &Console) -> Result<()> {
    if let Some(expression) = &args.group {
        // The regular expressions of the tokenizer library: no other is among the dependencies.
        let regex = SysRegex::new(expression)
            .map_err(|e| Error::input(format!("--group `{expression}` is no regular expression ({e}).")))?;
        let mut without = 0;
        for photo in photos {
            let below = photo.path.strip_prefix(&args.photos.dir).unwrap_or(&photo.path).to_string_lossy().into_owned();
            photo.group = regex.find_iter(&below).next().map(|(start, end)| below[start..end].to_owned());
            without += usize::from(photo.group.is_none());
        }
        if without > 0 {
            console.warn(format!(
                "--group finds nothing in {}; each of those photos counts as its own part.",
                count(without, "path", "paths")
            ));
        }
    } else if !args.group_folders && args.photos.labels_from.is_none() {
        for photo in photos {
            photo.group = None;
        }
    }
    Ok(())
}

fn write(run: &ClassificationRun, out: &Path, export: &[ExportFormat]) -> Result<()> {
    report::write_classification(out, run)?;
    let made_by = format!("Hairline {}, {}", env!("CARGO_PKG_VERSION"), model_names(run));
    for format in export {
        ExportSet::from_classification(&run.classification, &made_by).write(*format, out)?;
    }
    Ok(())
}

fn train(args: &TrainArgs, common: &Common, console: &Console) -> Result<()> {
    let gathered = gather(&args.photos, &args.out, common, console, |_| Ok(()))?;
    let classifier = fusion::train(&gathered.fused, &gathered.labels, args.head.options())?;
    if let Some(dir) = args.out.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        report::create_folder(dir)?;
    }
    classifier.save(&args.out)?;
    let backbones: Vec<&str> = classifier.backbones.iter().map(|backbone| backbone.id.as_str()).collect();
    console.note(format!(
        "A classifier of {} labels ({}) over {}, learned from {}, written to {}",
        classifier.labels.len(),
        classifier.labels.join(", "),
        backbones.join(" + "),
        count(gathered.fused.photos.len(), "photo", "photos"),
        args.out.display()
    ));
    failed_in_training(gathered.failures.len())
}

fn failed_in_training(count: usize) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    Err(Error::input(format!(
        "{count} of the files could not be used (named above); the classifier was learned from the rest. Correct or remove them."
    )))
}

fn predict(args: &PredictArgs, common: &Common, console: &Console) -> Result<()> {
    let classifier = Classifier::open(&args.classifier)?;
    if let Some(out) = &args.out {
        report::create_folder(out)?;
    }
    let trained_on = || classifier.backbones.iter().map(|backbone| backbone.name.clone()).collect();
    let models = models_of(&args.models, common)?.unwrap_or_else(trained_on);
    let (mut photos, mut failures) = (Vec::new(), Vec::new());
    for path in &args.paths {
        if path.is_dir() {
            let found = labels::from_folders(path, Some(&classifier.labels));
            photos.extend(found.photos);
            failures.extend(found.failures);
        } else {
            let (found, unusable) = find_photos(std::slice::from_ref(path), false);
            photos.extend(found.into_iter().map(|path| LabelledPhoto { path, label: None, group: None }));
            failures.extend(unusable);
        }
    }
    for failure in &failures {
        Console::failure(&failure.error);
    }
    if let Some(out) = &args.out {
        photos = outside(photos, out);
    }
    if photos.is_empty() {
        return Err(Error::input("There is no photo to label. Give photos, or folders that hold some."));
    }
    check_models(&models)?;
    let mut bench = Bench::start(common, !args.no_cache, console)?;
    let (fused, unread, device) = embed(&mut bench, &models, &photos, classifier.normalised)?;
    failures.extend(unread);
    let classification = fusion::predict(&classifier, &fused)?;
    let gathered = Gathered { fused, labels: classifier.labels.clone(), failures, device };
    let head = classifier.pipeline.head.kind().name();
    let run = ClassificationRun {
        title: "Fusion, trained classifier".to_owned(),
        settings: vec![
            ("File".into(), args.classifier.display().to_string()),
            ("Head".into(), format!("standard scaler, {head}")),
        ],
        ..gathered.run(classification, common)?
    };
    if let Some(out) = &args.out {
        write(&run, out, &args.export)?;
        console.note(in_short(&run, out));
    }
    say(std::slice::from_ref(&run), args.json)?;
    match (&args.out, run.failures.len()) {
        (None, count) if count > 0 => {
            Err(Error::input(format!("{count} of the files could not be used (named above); the rest is done.")))
        }
        (_, count) => failed(count),
    }
}
