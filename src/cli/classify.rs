//! `hairline classify`: labels for photos by words alone. Several models side by side, each in its own folder, with a
//! comparison.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{ArgGroup, Args};

use super::console::Console;
use super::lab::Bench;
use super::{Common, all_but, interrupt};
use crate::classify::job::{self, Embedding};
use crate::classify::{Augmentation, Classification, LabelPrompts, TextBank};
use crate::count::count;
use crate::dataset::export::{ExportFormat, ExportSet};
use crate::dataset::labels::{self, LabelledPhoto};
use crate::model::ModelSource;
use crate::photo::Failure;
use crate::report::{self, ClassificationRun, ComparedRun, ModelIdentity};
use crate::{Error, Result};

/// Arguments of `hairline classify`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("words").required(true).multiple(true).args(["labels", "prompts", "labels_from"]))]
pub struct ClassifyArgs {
    /// Folder of photos, searched at every depth; sub-folders with a label's name tell the true class
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Labels, separated by commas [default: those of --prompts, else those of --labels-from]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    labels: Vec<String>,
    /// Folder for the results; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Catalogue id, or a folder in the Hugging Face layout; may be repeated [default: the embedded `pocket`]
    #[arg(long = "model", id = "model", value_name = "ID|DIR", help_heading = "Common options")]
    models: Vec<String>,
    /// Sentences around each phrase, a RON list; {} stands for the phrase [default: those of a new recipe]
    #[arg(long, value_name = "FILE.ron")]
    templates: Option<PathBuf>,
    /// Phrases of each label, a RON map of label to list; {} stands for the object [default: the label's own name]
    #[arg(long, value_name = "FILE.ron")]
    prompts: Option<PathBuf>,
    /// What is being looked at; replaces {} in phrases
    #[arg(long, value_name = "NAME", default_value = "")]
    object: String,
    /// True classes from a table (columns path, label) or a COCO file instead of sub-folders
    #[arg(long, value_name = "FILE")]
    labels_from: Option<PathBuf>,
    /// Look at each photo in several views: shifts, flips, rotations, crops
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = augmentation)]
    augment: Vec<Augmentation>,
    /// Cosines are divided by it before the softmax [default: what the model was trained with]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Give no label when the best is ahead of the second by less than this probability
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    margin: f64,
    /// Compare with an earlier run's predictions.csv
    #[arg(long, value_name = "FILE.csv")]
    against: Option<PathBuf>,
    /// Write the predictions for other programs as well: coco, fiftyone, labelstudio
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = export_format)]
    export: Vec<ExportFormat>,
    /// Print metrics.json to stdout instead of a table
    #[arg(long)]
    json: bool,
    /// Compute everything anew: neither read nor fill the cache of features on disk
    #[arg(long)]
    no_cache: bool,
}

fn augmentation(text: &str) -> std::result::Result<Augmentation, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// Parses a format of `--export`.
pub fn export_format(text: &str) -> std::result::Result<ExportFormat, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// Classifies and reports.
pub fn run(args: ClassifyArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    let mut prompts = LabelPrompts::new(&args.labels);
    prompts.object.clone_from(&args.object);
    if let Some(path) = &args.prompts {
        prompts.read_phrases(path)?;
    }
    let (photos, mut failures) = photos(&args, &mut prompts, console)?;
    if let Some(path) = &args.templates {
        prompts.read_templates(path)?;
    }
    prompts.check()?;
    let earlier = args.against.as_deref().map(report::read_predictions).transpose()?;
    let models = if args.models.is_empty() { vec!["pocket".to_owned()] } else { args.models.clone() };
    check_models(&models)?;
    report::create_folder(&args.out)?;

    let folders = model_folders(&args.out, &models);
    let mut bench = Bench::start(common, !args.no_cache, console)?;
    let (mut runs, mut cancelled) = (Vec::new(), false);
    for (model, folder) in models.iter().zip(&folders) {
        let run = one_model(&args, model, &photos, &prompts, &failures, common, &mut bench)?;
        cancelled |= run.cancelled;
        report::write_classification(folder, &run)?;
        let made_by = format!("Hairline {}, {}", env!("CARGO_PKG_VERSION"), run.models[0].id);
        for format in &args.export {
            ExportSet::from_classification(&run.classification, &made_by).write(*format, folder)?;
        }
        console.note(in_short(&run, folder));
        runs.push(run);
        if cancelled {
            break;
        }
    }
    compare(&runs, earlier.as_ref(), &args.out, common, console)?;
    say(&runs, args.json)?;
    if cancelled {
        return Err(Error::Cancelled);
    }
    if let Some(run) = runs.first() {
        failures.clone_from(&run.failures);
    }
    failed(failures.len())
}

/// The photos with their true classes; labels where none were given yet.
fn photos(
    args: &ClassifyArgs,
    prompts: &mut LabelPrompts,
    console: &Console,
) -> Result<(Vec<LabelledPhoto>, Vec<Failure>)> {
    let names = prompts.names();
    let mut found = labels::from_folders(&args.dir, Some(&names));
    if let Some(file) = &args.labels_from {
        let given = labels::from_file(file, &args.dir)?;
        if prompts.labels.is_empty() {
            let mut names: Vec<String> = given.iter().filter_map(|photo| photo.label.clone()).collect();
            names.sort();
            names.dedup();
            *prompts = LabelPrompts { object: prompts.object.clone(), ..LabelPrompts::new(&names) };
        }
        labels::apply(&mut found.photos, &given);
    } else {
        for (folder, photos) in &found.other_folders {
            console.note(format!(
                "The sub-folder {} is no label; {} no true class.",
                folder.display(),
                count(*photos, "photo in it has", "photos in it have")
            ));
        }
    }
    for failure in &found.failures {
        Console::failure(&failure.error);
    }
    let photos = outside(found.photos, &args.out);
    if photos.is_empty() {
        return Err(found.failures.into_iter().next().map_or_else(
            || Error::input("The folder has no photo to classify.").at(&args.dir),
            |failure| failure.error,
        ));
    }
    Ok((photos, found.failures))
}

/// The photos that do not lie in the folder for results: pictures of an earlier run are no photos of parts.
pub fn outside(photos: Vec<LabelledPhoto>, out: &Path) -> Vec<LabelledPhoto> {
    let out = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    let inside = |photo: &LabelledPhoto| photo.path.canonicalize().is_ok_and(|path| path.starts_with(&out));
    photos.into_iter().filter(|photo| !inside(photo)).collect()
}

/// Where each model's files go: the folder itself for one, a sub-folder each for several.
fn model_folders(out: &Path, models: &[String]) -> Vec<PathBuf> {
    if models.len() == 1 {
        return vec![out.to_owned()];
    }
    // A model's name may end in `.5` or the like, which is no file extension.
    let names: Vec<PathBuf> = models.iter().map(|model| format!("{}.", model.trim_end_matches('/')).into()).collect();
    report::unique_stems(&names).iter().map(|stem| out.join(stem)).collect()
}

fn one_model(
    args: &ClassifyArgs,
    model: &str,
    photos: &[LabelledPhoto],
    prompts: &LabelPrompts,
    failures: &[Failure],
    common: &Common,
    bench: &mut Bench<'_>,
) -> Result<ClassificationRun> {
    let work = {
        let (model, photos, prompts) = (model.to_owned(), photos.to_vec(), prompts.clone());
        let (augment, temperature) = (args.augment.clone(), args.temperature);
        let total = photos.len();
        move |lab: &mut crate::engine::Lab<'_, '_>| -> Result<(Embedding, TextBank, f32)> {
            // The words first: they are quick, and mistakes in them show before the photos are embedded.
            let bank = job::text_bank(lab, &model, &prompts)?;
            let temperature = match temperature {
                Some(temperature) => temperature,
                None => job::trained_temperature(lab, &model)?,
            };
            let embedding = job::embed(lab, &model, &photos, &augment, |lab, done| lab.progress(done, total))?;
            Ok((embedding, bank, temperature))
        }
    };
    let (embedding, bank, temperature) = bench.run(photos.len(), "photos embedded", work)?;
    for failure in &embedding.failures {
        Console::failure(&failure.error);
    }
    let Embedding { embedded, failures: unread, cancelled } = embedding;
    let classification = job::zero_shot(&embedded, prompts, &bank, temperature, args.margin)?;
    Ok(ClassificationRun {
        title: "Zero-shot classification".to_owned(),
        created: report::utc(SystemTime::now()),
        figures: classification.figures(common.seed.unwrap_or(0))?,
        xray: job::xray(&embedded, prompts, &bank)?,
        classification,
        models: vec![ModelIdentity { id: embedded.backbone.id, sha256: embedded.backbone.sha256 }],
        device: embedded.device,
        margin: args.margin,
        settings: job::settings(prompts, temperature, args.margin, &args.augment),
        prompts: Some(prompts.clone()),
        failures: failures.iter().cloned().chain(unread).collect(),
        cancelled,
        ..ClassificationRun::default()
    })
}

/// Whether all of these models are there, before the first of them runs for a while. Nothing is loaded.
pub fn check_models(models: &[String]) -> Result<()> {
    models.iter().try_for_each(|model| ModelSource::resolve(model).map(drop))
}

/// Compares runs with each other and with an earlier one, in files of the folder `out`; a run alone is not compared.
pub fn compare(
    runs: &[ClassificationRun],
    earlier: Option<&Classification>,
    out: &Path,
    common: &Common,
    console: &Console,
) -> Result<()> {
    let names: Vec<String> = runs.iter().map(model_names).collect();
    let mut compared: Vec<ComparedRun<'_>> = runs
        .iter()
        .zip(&names)
        .map(|(run, name)| ComparedRun { name, classification: &run.classification, figures: run.figures.as_ref() })
        .collect();
    let figures = earlier.map(|run| run.figures(common.seed.unwrap_or(0))).transpose()?.flatten();
    if let Some(earlier) = earlier {
        compared.push(ComparedRun { name: "earlier run", classification: earlier, figures: figures.as_ref() });
    }
    if compared.len() > 1 && compared.iter().all(|run| run.figures.is_some()) {
        report::write_comparison(out, &compared)?;
        console.note(format!("Comparison: {}", out.join("comparison.txt").display()));
    } else if compared.len() > 1 {
        console.warn("There is nothing to compare: no photo's true class is known.");
    }
    Ok(())
}

/// The models of a run in one name.
pub fn model_names(run: &ClassificationRun) -> String {
    run.models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(" + ")
}

/// One line for stderr.
pub fn in_short(run: &ClassificationRun, folder: &Path) -> String {
    let photos = count(run.classification.photos.len(), "photo", "photos");
    let figures = run.figures.as_ref().map_or_else(
        || "true classes unknown".to_owned(),
        |figures| {
            let report = &figures.report;
            format!("accuracy {:.3}, macro F1 {:.3}", report.accuracy, report.macro_average.f1)
        },
    );
    format!("{}: {photos}, {figures}. Results: {}", model_names(run), folder.join("report.txt").display())
}

/// Data to stdout: a row per photo and model, or the metrics as one JSON document.
pub fn say(runs: &[ClassificationRun], json: bool) -> Result<()> {
    if json {
        let documents: Vec<serde_json::Value> = runs.iter().map(report::metrics_json).collect::<Result<_>>()?;
        return match documents.as_slice() {
            [one] => Console::print_json(one),
            several => Console::print_json(&several),
        };
    }
    for run in runs {
        let labels = &run.classification.labels;
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        for photo in &run.classification.photos {
            let label = photo.prediction.map_or(crate::classify::NONE, |label| &labels[label]);
            let row = format!("{label:<width$}  {:.3}  {}", photo.confidence(), photo.path.display());
            if !Console::print(&row) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The error for a batch in which some photos failed.
pub fn failed(count: usize) -> Result<()> {
    all_but(count, "file", "used", "done", "above and in metrics.json")
}
