//! The files of a classification, zero-shot or learned: `predictions.csv`, `metrics.json`, `report.txt`, where the truth
//! is known `confusion.csv` and `confusion.png`, and of words `prompts.ron` and `templates.ron`. Computes nothing; the
//! figures come from `classify` and `metrics`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::json::VERSION;
use super::text::{field, line, section, short_hash, wrapped};
use super::{ModelIdentity, confusion_picture, create_folder, write_file, write_json, write_png};
use crate::classify::fusion::FoldFigures;
use crate::classify::{
    Classification, ClassificationFigures, ClassifiedPhoto, LabelPrompts, NONE, PROMPTS_FILE, Part, TEMPLATES_FILE,
    Xray,
};
use crate::count::count;
use crate::metrics::Interval;
use crate::metrics::reliability::ReliabilityBin;
use crate::photo::Failure;
use crate::{Error, Result};

/// Mistakes listed in the text report.
const WORST: usize = 10;

/// A classification and what it was made with.
#[derive(Clone, Debug, Default)]
pub struct ClassificationRun {
    /// Heading of the report, e.g. `Zero-shot classification`.
    pub title: String,
    /// UTC, RFC 3339; see [`super::utc`].
    pub created: String,
    pub classification: Classification,
    /// `None` where no photo's class is known.
    pub figures: Option<ClassificationFigures>,
    pub models: Vec<ModelIdentity>,
    /// The device in words.
    pub device: String,
    /// What else decided the outcome: name and value.
    pub settings: Vec<(String, String)>,
    pub warnings: Vec<String>,
    /// Photos that could not be used.
    pub failures: Vec<Failure>,
    /// Of a cross-validation, else empty.
    pub folds: Vec<FoldFigures>,
    pub xray: Option<Xray>,
    /// Of a run by words: lead over the second label below which a photo is given none, 0–1.
    pub margin: f64,
    /// Of a run by words: what it can be repeated from.
    pub prompts: Option<LabelPrompts>,
    /// The run was stopped before all photos were through.
    pub cancelled: bool,
}

/// `metrics.json`.
#[derive(Serialize)]
struct MetricsDocument<'a> {
    labels: &'a [String],
    accuracy: Option<f64>,
    macro_f1: Option<f64>,
    weighted_f1: Option<f64>,
    per_class: &'a [crate::metrics::ClassFigures],
    confusion: &'a [Vec<u64>],
    /// Photos of each true class that were given no label.
    rejected: &'a [u64],
    top_2: Option<f64>,
    ece: Option<f64>,
    reliability: &'a [ReliabilityBin],
    accuracy_interval: Option<Interval>,
    macro_f1_interval: Option<Interval>,
    folds: &'a [FoldFigures],
    fold_mean: Option<FoldSummary>,
    fold_std: Option<FoldSummary>,
    photos: usize,
    labelled: usize,
    version: &'static str,
    created: &'a str,
    title: &'a str,
    models: &'a [ModelIdentity],
    device: &'a str,
    settings: serde_json::Map<String, serde_json::Value>,
    warnings: &'a [String],
    failures: &'a [Failure],
    cancelled: bool,
}

#[derive(Serialize)]
struct FoldSummary {
    accuracy: f64,
    macro_f1: f64,
    weighted_f1: f64,
}

impl FoldSummary {
    /// Mean, or the standard deviation of the folds as a sample (n − 1).
    fn new(folds: &[FoldFigures], deviation: bool) -> Option<Self> {
        let of = |value: fn(&FoldFigures) -> f64| {
            let mean = folds.iter().map(value).sum::<f64>() / folds.len() as f64;
            let squares: f64 = folds.iter().map(|fold| (value(fold) - mean).powi(2)).sum();
            if deviation { (squares / (folds.len() - 1).max(1) as f64).sqrt() } else { mean }
        };
        (!folds.is_empty()).then(|| Self {
            accuracy: of(|fold| fold.accuracy),
            macro_f1: of(|fold| fold.macro_f1),
            weighted_f1: of(|fold| fold.weighted_f1),
        })
    }
}

/// Writes the files of a run into `dir`, which is created. Returns their paths.
///
/// # Errors
/// [`Error::Io`] naming the file that cannot be written.
pub fn write_classification(dir: &Path, run: &ClassificationRun) -> Result<Vec<PathBuf>> {
    create_folder(dir)?;
    let mut written = vec![
        write_file(&dir.join("predictions.csv"), |out| write_predictions(&run.classification, out))?,
        write_json(&dir.join("metrics.json"), &metrics_document(run))?,
        write_file(&dir.join("report.txt"), |out| out.write_all(classification_text(run).as_bytes()))?,
    ];
    if let Some(figures) = &run.figures {
        written.push(write_file(&dir.join("confusion.csv"), |out| write_confusion(figures, out))?);
        let picture = confusion_picture(&figures.confusion);
        written.push(write_png(&dir.join("confusion.png"), &picture.into())?);
    }
    if let Some(xray) = &run.xray {
        written.push(write_file(&dir.join("xray.csv"), |out| write_xray(xray, out))?);
    }
    if let Some(prompts) = &run.prompts {
        for (name, text) in [(PROMPTS_FILE, prompts.phrases_ron()?), (TEMPLATES_FILE, prompts.templates_ron()?)] {
            written.push(write_file(&dir.join(name), |out| out.write_all(text.as_bytes()))?);
        }
    }
    Ok(written)
}

/// `metrics.json` as a value, for programs that want it on stdout or over HTTP.
///
/// # Errors
/// [`Error::Bug`] when it cannot be written as JSON.
pub fn metrics_json(run: &ClassificationRun) -> Result<serde_json::Value> {
    serde_json::to_value(metrics_document(run))
        .map_err(|e| Error::bug(format!("the metrics cannot be written as JSON ({e}).")))
}

fn metrics_document(run: &ClassificationRun) -> MetricsDocument<'_> {
    let figures = run.figures.as_ref();
    MetricsDocument {
        labels: &run.classification.labels,
        accuracy: figures.map(|figures| figures.report.accuracy),
        macro_f1: figures.map(|figures| figures.report.macro_average.f1),
        weighted_f1: figures.map(|figures| figures.report.weighted_average.f1),
        per_class: figures.map_or(&[], |figures| &figures.report.per_class),
        confusion: figures.map_or(&[], |figures| figures.confusion.counts()),
        rejected: figures.map_or(&[], |figures| figures.confusion.rejected()),
        top_2: figures.map(|figures| figures.top_2),
        ece: figures.and_then(ece),
        reliability: figures.map_or(&[], |figures| &figures.reliability.bins),
        accuracy_interval: figures.map(|figures| figures.accuracy_interval),
        macro_f1_interval: figures.map(|figures| figures.macro_f1_interval),
        folds: &run.folds,
        fold_mean: FoldSummary::new(&run.folds, false),
        fold_std: FoldSummary::new(&run.folds, true),
        photos: run.classification.photos.len(),
        labelled: figures.map_or(0, |figures| figures.confusion.total() as usize),
        version: VERSION,
        created: &run.created,
        title: &run.title,
        models: &run.models,
        device: &run.device,
        settings: run.settings.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect(),
        warnings: &run.warnings,
        failures: &run.failures,
        cancelled: run.cancelled,
    }
}

/// The calibration error; `None` where no photo of known class was given a label.
fn ece(figures: &ClassificationFigures) -> Option<f64> {
    figures.reliability.bins.iter().any(|bin| bin.count > 0).then_some(figures.reliability.ece)
}

/// The name of a label, or of none.
fn named(labels: &[String], label: Option<usize>) -> &str {
    label.map_or(NONE, |label| &labels[label])
}

/// The columns of `predictions.csv`: `path`, `truth` (empty where unknown), `prediction`, and the score of every label.
pub fn write_predictions(run: &Classification, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(["path", "truth", "prediction"].into_iter().chain(run.labels.iter().map(String::as_str)))?;
    for photo in &run.photos {
        let truth = photo.truth.map_or("", |truth| &run.labels[truth]).to_owned();
        let prediction = named(&run.labels, photo.prediction).to_owned();
        let scores = photo.scores.iter().map(|score| format!("{score:.6}"));
        table.write_record([photo.path.to_string_lossy().into_owned(), truth, prediction].into_iter().chain(scores))?;
    }
    table.flush()
}

/// Reads a `predictions.csv` of this or another program: the columns `path`, `truth` and `prediction`, then one per label.
/// Photos have no size.
///
/// # Errors
/// [`Error::Input`] naming the file: columns that are missing, a label that has no column, a score that is no number.
pub fn read_predictions(file: &Path) -> Result<Classification> {
    let wrong = |message: String| Error::input(message).at(file);
    let bytes = std::fs::read(file).map_err(|e| Error::io("Cannot read the predictions", file, &e))?;
    let mut table = csv::Reader::from_reader(bytes.as_slice());
    let unreadable = |e: csv::Error| wrong(format!("The predictions cannot be read ({e})."));
    let header = table.headers().map_err(unreadable)?.clone();
    if header.iter().take(3).ne(["path", "truth", "prediction"]) {
        return Err(wrong("The first columns have to be path, truth and prediction.".into()));
    }
    let labels: Vec<String> = header.iter().skip(3).map(str::to_owned).collect();
    let mut photos = Vec::new();
    for record in table.records() {
        let record = record.map_err(unreadable)?;
        let at = record.position().map_or(0, csv::Position::line);
        let label = |name: &str| {
            let found = labels.iter().position(|label| label == name);
            found.ok_or_else(|| wrong(format!("Line {at}: the label `{name}` has no column of its own.")))
        };
        let known = |name: &str, unknown: &str| if name == unknown { Ok(None) } else { label(name).map(Some) };
        let score = |text: &str| {
            let value = text.trim().parse::<f64>().ok().filter(|score| score.is_finite());
            value.ok_or_else(|| wrong(format!("Line {at}: `{text}` is no score. Correct or remove that line.")))
        };
        photos.push(ClassifiedPhoto {
            path: PathBuf::from(&record[0]),
            width: 0,
            height: 0,
            truth: known(&record[1], "")?,
            prediction: known(&record[2], NONE)?,
            scores: record.iter().skip(3).map(score).collect::<Result<_>>()?,
        });
    }
    Ok(Classification { labels, photos })
}

fn write_confusion(figures: &ClassificationFigures, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let confusion = &figures.confusion;
    let with_none = confusion.rejected().iter().any(|&count| count > 0);
    let mut table = csv::Writer::from_writer(out);
    let none = with_none.then_some(NONE);
    table.write_record(["truth"].into_iter().chain(confusion.labels().iter().map(String::as_str)).chain(none))?;
    for (truth, label) in confusion.labels().iter().enumerate() {
        let counts = confusion.counts()[truth].iter().copied().chain(with_none.then_some(confusion.rejected()[truth]));
        table.write_record(std::iter::once(label.clone()).chain(counts.map(|count| count.to_string())))?;
    }
    table.flush()
}

fn write_xray(xray: &Xray, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(["part", "label", "text", "own_accuracy", "own_recall", "effect"])?;
    for row in &xray.rows {
        let part = match row.part {
            Part::Phrase => "phrase",
            Part::Template => "template",
        };
        let effect = row.effect.map(|effect| format!("{effect:.6}")).unwrap_or_default();
        let (accuracy, recall) = (format!("{:.6}", row.own_accuracy), format!("{:.6}", row.own_recall));
        table.write_record([part, row.label.as_str(), row.text.as_str(), &accuracy, &recall, &effect])?;
    }
    table.flush()
}

/// `report.txt`.
pub fn classification_text(run: &ClassificationRun) -> String {
    let Classification { labels, photos } = &run.classification;
    let mut text = String::new();
    line(&mut text, &run.title);
    line(&mut text, &"═".repeat(run.title.chars().count()));
    line(&mut text, "");
    field(&mut text, "Photos", &format!("{}, {} labels", photos.len(), labels.len()));
    if run.cancelled {
        field(&mut text, "Stopped", "on request, before all photos were through");
    }
    let interval = |interval: Interval, scale: f64| {
        let Interval { estimate, lower, upper, level, .. } = interval;
        format!(
            "{:.3} ({:.0} % interval {:.3} to {:.3})",
            estimate * scale,
            100.0 * level,
            lower * scale,
            upper * scale
        )
    };
    if let Some(figures) = &run.figures {
        field(
            &mut text,
            "Known",
            &format!("the class of {}", count(figures.confusion.total() as usize, "photo", "photos")),
        );
        field(&mut text, "Accuracy", &interval(figures.accuracy_interval, 1.0));
        field(&mut text, "Macro F1", &interval(figures.macro_f1_interval, 1.0));
        field(&mut text, "Top-2", &format!("{:.3}", figures.top_2));
        if let Some(ece) = ece(figures) {
            field(&mut text, "ECE", &format!("{ece:.3}  (scores as probabilities, 10 bins)"));
        }
        let drawn = figures.accuracy_interval.resamples;
        field(&mut text, "", &format!("Intervals: bootstrap, {drawn} draws, stratified by true class."));
    }
    for warning in &run.warnings {
        line(&mut text, "");
        wrapped(&mut text, &format!("Note: {warning}"));
    }
    if let Some(figures) = &run.figures {
        section(&mut text, "Classes");
        text.push_str(&figures.report.to_text());
        section(&mut text, "Confusion matrix (rows: true class)");
        text.push_str(&confusion_text(figures));
        section(&mut text, "Reliability: are scores probabilities?");
        let rejected: u64 = figures.confusion.rejected().iter().sum();
        if rejected > 0 {
            line(&mut text, &format!("  Left out, because they were given no label: {rejected}"));
        }
        line(&mut text, "  highest score  photos  of them right  mean score");
        for bin in figures.reliability.bins.iter().filter(|bin| bin.count > 0) {
            let ReliabilityBin { lower, upper, count, accuracy, confidence } = bin;
            let _ = writeln!(text, "   {lower:.1} to {upper:.1}    {count:>6}  {accuracy:>13.2}  {confidence:>10.2}");
        }
    } else {
        section(&mut text, "Predictions");
        for (label, name) in labels.iter().enumerate() {
            let count = photos.iter().filter(|photo| photo.prediction == Some(label)).count();
            line(&mut text, &format!("{count:>7}  {name}"));
        }
        let none = photos.iter().filter(|photo| photo.prediction.is_none()).count();
        if none > 0 {
            line(&mut text, &format!("{none:>7}  {NONE}"));
        }
    }
    if let (Some(mean), Some(std)) = (FoldSummary::new(&run.folds, false), FoldSummary::new(&run.folds, true)) {
        section(&mut text, "Folds");
        line(&mut text, "  fold  learned  tested  accuracy  macro F1  weighted F1");
        for fold in &run.folds {
            let FoldFigures { fold, learned, tested, accuracy, macro_f1, weighted_f1 } = fold;
            let _ = writeln!(
                text,
                "  {fold:>4}  {learned:>7}  {tested:>6}  {accuracy:>8.3}  {macro_f1:>8.3}  {weighted_f1:>11.3}"
            );
        }
        for (name, summary) in [("mean", mean), ("standard deviation", std)] {
            let FoldSummary { accuracy, macro_f1, weighted_f1 } = summary;
            let _ = writeln!(text, "  {name:<21}  {accuracy:>8.3}  {macro_f1:>8.3}  {weighted_f1:>11.3}");
        }
    }
    let worst = run.classification.worst_first();
    if !worst.is_empty() {
        section(&mut text, "Most confident mistakes");
        for photo in worst.iter().take(WORST) {
            let (truth, given) = (named(labels, photo.truth), named(labels, photo.prediction));
            let _ = writeln!(text, "  {:.2}  {truth} taken for {given}: {}", photo.confidence(), photo.path.display());
        }
    }
    if let Some(xray) = &run.xray {
        text.push_str(&xray_text(xray, run.margin));
    }
    if !run.failures.is_empty() {
        section(&mut text, "Photos that could not be used");
        for failure in &run.failures {
            wrapped(&mut text, &failure.error.to_string());
        }
    }
    section(&mut text, "Made with");
    field(&mut text, "Program", &format!("Hairline {VERSION}, {}", run.created));
    for model in &run.models {
        field(&mut text, "Model", &format!("{} (SHA-256 {})", model.id, short_hash(&model.sha256)));
    }
    field(&mut text, "Device", &run.device);
    for (name, value) in &run.settings {
        field(&mut text, name, value);
    }
    text
}

fn confusion_text(figures: &ClassificationFigures) -> String {
    let confusion = &figures.confusion;
    let with_none = confusion.rejected().iter().any(|&count| count > 0);
    let first = confusion.labels().iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let columns: Vec<&str> = confusion.labels().iter().map(String::as_str).chain(with_none.then_some("none")).collect();
    let widths: Vec<usize> = columns.iter().map(|label| label.chars().count().max(4)).collect();
    let mut text = format!("{:>first$}", "");
    for (label, width) in columns.iter().zip(&widths) {
        let _ = write!(text, "  {label:>width$}");
    }
    text.push('\n');
    for (truth, label) in confusion.labels().iter().enumerate() {
        let _ = write!(text, "{label:>first$}");
        let counts = confusion.counts()[truth].iter().chain(with_none.then_some(&confusion.rejected()[truth]));
        for (count, width) in counts.zip(&widths) {
            let _ = write!(text, "  {count:>width$}");
        }
        text.push('\n');
    }
    text
}

fn xray_text(xray: &Xray, margin: f64) -> String {
    let mut text = String::new();
    section(&mut text, "Prompt x-ray");
    wrapped(
        &mut text,
        &format!(
            "On {}, {:.3} right with everything{}. Alone: accuracy with this phrase or template alone. Recall: of the \
             label's photos then. Effect: what it adds to the accuracy; below 0 it harms.",
            count(xray.photos, "photo", "photos"),
            xray.accuracy,
            if margin > 0.0 { ", measured without the margin" } else { "" }
        ),
    );
    line(&mut text, "");
    line(&mut text, "  alone  recall  effect  phrase or template");
    for row in &xray.rows {
        let effect = match row.effect {
            None => "only".to_owned(),
            Some(effect) if effect.abs() < 5e-4 => "0".to_owned(),
            Some(effect) => format!("{effect:+.3}"),
        };
        let name = match row.part {
            Part::Phrase => format!("{}: {}", row.label, row.text),
            Part::Template => row.text.clone(),
        };
        line(&mut text, &format!("  {:>5.3}  {:>6.3}  {effect:>6}  {name}", row.own_accuracy, row.own_recall));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn run() -> ClassificationRun {
        let photo = |name: &str, truth, prediction, scores: [f64; 2]| ClassifiedPhoto {
            path: name.into(),
            width: 0,
            height: 0,
            truth,
            prediction,
            scores: scores.to_vec(),
        };
        let classification = Classification {
            labels: vec!["good".into(), "crack, long".into()],
            photos: vec![
                photo("a.png", Some(0), Some(0), [0.75, 0.25]),
                photo("b.png", Some(1), Some(0), [0.625, 0.375]),
                photo("c.png", Some(1), None, [0.5, 0.5]),
                photo("d.png", None, Some(1), [0.125, 0.875]),
            ],
        };
        let figures = classification.figures(0).unwrap();
        ClassificationRun { title: "Test run".into(), classification, figures, ..ClassificationRun::default() }
    }

    #[test]
    fn metrics_json_has_the_keys_that_other_programs_read() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = write_classification(dir.path(), &run())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["predictions.csv", "metrics.json", "report.txt", "confusion.csv", "confusion.png"]);
        let metrics: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("metrics.json")).unwrap()).unwrap();
        assert_eq!(metrics["confusion"], serde_json::json!([[1, 0], [1, 0]]));
        assert_eq!(metrics["rejected"], serde_json::json!([0, 1]));
        assert!((metrics["accuracy"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
        for key in ["label", "precision", "recall", "f1", "support"] {
            assert!(!metrics["per_class"][0][key].is_null(), "{key}");
        }
        let confusion = std::fs::read_to_string(dir.path().join("confusion.csv")).unwrap();
        assert_eq!(confusion, "truth,good,\"crack, long\",none of these\ngood,1,0,0\n\"crack, long\",1,0,1\n");
    }

    #[test]
    fn words_are_kept_so_that_the_run_can_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let prompts = LabelPrompts::new(&["good".to_owned(), "crack, long".to_owned()]);
        write_classification(dir.path(), &ClassificationRun { prompts: Some(prompts.clone()), ..run() }).unwrap();
        let mut read = LabelPrompts::new(&[]);
        read.read_phrases(&dir.path().join(PROMPTS_FILE)).unwrap();
        read.read_templates(&dir.path().join(TEMPLATES_FILE)).unwrap();
        assert_eq!(read, prompts);
    }

    #[test]
    fn predictions_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        write_classification(dir.path(), &run()).unwrap();
        let file = dir.path().join("predictions.csv");
        assert_eq!(read_predictions(&file).unwrap(), run().classification);
        for (text, said) in [
            ("path,prediction\n", "first columns"),
            ("path,truth,prediction,a\nx,b,a,1\n", "Line 2: the label `b`"),
            ("path,truth,prediction,a\nx,a,a,NaN\n", "`NaN` is no score"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = read_predictions(&file).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("predictions.csv"), "{error}");
        }
    }

    #[test]
    fn without_truth_there_are_counts_and_no_figures() {
        let mut run = run();
        run.classification.photos.iter_mut().for_each(|photo| photo.truth = None);
        run.figures = run.classification.figures(0).unwrap();
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write_classification(dir.path(), &run).unwrap().len(), 3);
        let metrics: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("metrics.json")).unwrap()).unwrap();
        assert!(metrics["accuracy"].is_null() && metrics["photos"] == 4);
        let text = classification_text(&run);
        assert!(text.contains("      2  good") && text.contains("      1  none of these"), "{text}");
    }

    #[test]
    fn the_report_lists_the_most_confident_mistake_first() {
        let text = classification_text(&run());
        let (first, second) = (text.find("b.png").unwrap(), text.find("c.png").unwrap());
        assert!(first < second && text.contains("0.62  crack, long taken for good"), "{text}");
        assert!(text.contains("0.7 to 0.8         1           1.00        0.75"), "{text}");
    }
}
