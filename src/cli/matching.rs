//! `hairline match`: does a photo show what its description says? One pair, or a table of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::Console;
use super::lab::Bench;
use super::{Common, absolute, all_but, interrupt, match_train};
use crate::count::count;
use crate::engine::Lab;
use crate::matching::{
    BANDS, BadRow, Band, Choice, ClaimKind, ClaimOutcome, DEFAULT_THRESHOLD, DescriptionMatch, LENIENT_THRESHOLD,
    LabEncoder, PartFile, Question, STRICT_THRESHOLD, Separation, TableFormat, TableSummary, describe_photo,
    fingerprint, match_pairs, parse_threshold, read_pairs, see_photo, separation, write_table,
};
use crate::model::POCKET;
use crate::report::json::VERSION;
use crate::report::{ModelIdentity, short_hash};
use crate::{Error, Result, report};

/// Bad rows named on the console; all of them are in the output.
const NAMED: usize = 20;

/// Arguments of `hairline match`.
#[derive(Clone, Debug, Args)]
pub struct MatchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Say which model is used, where it runs, and what similarities mean
    Info(InfoArgs),
    /// Hold one description against one photo
    Test(TestArgs),
    /// Hold the descriptions of a table against its photos
    BatchTest(BatchArgs),
    /// Fine-tune a CLIP model on the photos and descriptions of a table
    Train(match_train::TrainArgs),
}

#[derive(Clone, Debug, Args)]
struct InfoArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Args)]
struct TestArgs {
    /// The photo
    #[arg(long, value_name = "P")]
    image: PathBuf,
    /// What it is to show
    #[arg(long, value_name = "T")]
    text: String,
    /// Similarity from which on it is a match: 0 to 1, or lenient, default, strict
    #[arg(long, value_name = "T", default_value = "default", value_parser = threshold, allow_negative_numbers = true)]
    threshold: f32,
    /// Labels to choose between as well, read as "a photo of a LABEL."
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    labels: Vec<String>,
    /// Take the description apart and judge claim by claim: part, colour, count, condition, presence, absence
    #[arg(long)]
    claims: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Args)]
struct BatchArgs {
    /// Table with the columns image_path, text and, where known, label (match or mismatch)
    #[arg(long, value_name = "F")]
    csv: PathBuf,
    /// Similarity from which on a row is a match: 0 to 1, lenient, default, strict; or chosen from labelled rows: best-f1,
    /// precision:0.95
    #[arg(long, value_name = "T", default_value = "default", value_parser = choice, allow_negative_numbers = true)]
    threshold: Choice,
    /// File for the results: .csv (summary beside it) or .json; a histogram is drawn beside it
    #[arg(long, value_name = "F")]
    output: PathBuf,
    /// Folder that relative photo paths start from [default: that of the table]
    #[arg(long, value_name = "D")]
    root_dir: Option<PathBuf>,
    /// Print the summary as one JSON document
    #[arg(long)]
    json: bool,
}

/// The model asked for, else the embedded one.
fn model_of(common: &Common) -> String {
    common.model.clone().unwrap_or_else(|| POCKET.to_owned())
}

fn threshold(text: &str) -> std::result::Result<f32, String> {
    parse_threshold(text).map_err(|error| error.to_string())
}

fn choice(text: &str) -> std::result::Result<Choice, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// Runs the verb asked for.
pub fn run(args: MatchArgs, common: &Common, console: &Console) -> Result<()> {
    match args.what {
        What::Info(args) => info(&args, common, console),
        What::Test(args) => test(args, common, console),
        What::BatchTest(args) => batch_test(args, common, console),
        What::Train(args) => match_train::run(&args, common, console),
    }
}

#[derive(Debug, Serialize)]
struct InfoDocument {
    version: &'static str,
    model: ModelIdentity,
    embedding_dim: usize,
    image_size: usize,
    max_tokens: usize,
    device: String,
    thresholds: Thresholds,
    bands: &'static [Band],
    /// How well true claims are told from false ones, by kind; `null` where that was not measured for this model.
    claims: Vec<KindDocument>,
}

#[derive(Debug, Serialize)]
struct Thresholds {
    lenient: f32,
    default: f32,
    strict: f32,
}

#[derive(Debug, Serialize)]
struct KindDocument {
    kind: ClaimKind,
    separation: Option<Separation>,
}

fn info(args: &InfoArgs, common: &Common, console: &Console) -> Result<()> {
    let name = model_of(common);
    interrupt::listen()?;
    let document = Bench::start(common, true, console)?.run(1, "photos seen", move |lab| {
        LabEncoder::new(lab, &name)?;
        let device = lab.device()?;
        let model = lab.backbone(&name)?;
        let info = model.info();
        Ok(InfoDocument {
            version: VERSION,
            model: ModelIdentity::of(info),
            embedding_dim: info.embedding_dim,
            image_size: info.image_size,
            max_tokens: info.max_tokens,
            device,
            thresholds: Thresholds { lenient: LENIENT_THRESHOLD, default: DEFAULT_THRESHOLD, strict: STRICT_THRESHOLD },
            bands: &BANDS,
            claims: ClaimKind::ALL
                .map(|kind| KindDocument { kind, separation: separation(&info.sha256, kind) })
                .into_iter()
                .collect(),
        })
    })?;
    if args.json {
        return Console::print_json(&document);
    }
    let mut lines = vec![
        format!("Model       {} (SHA-256 {}…)", document.model.id, short_hash(&document.model.sha256)),
        format!("Device      {}", document.device),
        format!(
            "Input       photos of {} px, texts of up to {} tokens, {} values each",
            document.image_size, document.max_tokens, document.embedding_dim
        ),
        format!(
            "Thresholds  lenient {LENIENT_THRESHOLD:.2}, default {DEFAULT_THRESHOLD:.2}, strict {STRICT_THRESHOLD:.2}"
        ),
        String::new(),
        "Similarity  what it means for published CLIP models".to_owned(),
    ];
    lines.extend(
        BANDS.iter().map(|band| format!("{:.2}–{:.2}   {:<10} {}", band.from, band.to, band.name, band.meaning)),
    );
    lines.push(String::new());
    lines.push("Claims      area under the ROC curve, true against false claims (0.5 is chance)".to_owned());
    lines.extend(document.claims.iter().map(|kind| {
        let known = kind.separation.map_or_else(|| "not measured for this model".to_owned(), separation_words);
        format!("{:<11} {known}", kind.kind.name())
    }));
    for line in lines {
        if !Console::print(&line) {
            break;
        }
    }
    if document.model.id == POCKET {
        console.note(POCKET_NOTE);
    }
    Ok(())
}

/// Said wherever the embedded model decides.
const POCKET_NOTE: &str = "The embedded model knows parts and defects, little else. Its similarities are not those of \
                           published CLIP models: choose the threshold from labelled rows (match batch-test --threshold \
                           best-f1), or use a CLIP model (--model).";

fn separation_words(separation: Separation) -> String {
    format!("{:.2}{}", separation.auroc, if separation.weak { "  weak: do not rely on it" } else { "" })
}

#[derive(Debug, Serialize)]
struct TestDocument {
    image: String,
    text: String,
    #[serde(flatten)]
    outcome: DescriptionMatch,
    model: ModelIdentity,
    device: String,
}

fn test(args: TestArgs, common: &Common, console: &Console) -> Result<()> {
    let name = model_of(common);
    let TestArgs { image, text, threshold, labels, claims, json } = args;
    let labels: Vec<String> = labels.into_iter().map(|label| label.trim().to_owned()).collect();
    if labels.iter().any(String::is_empty) {
        return Err(Error::input("--labels has an empty label. Separate labels by single commas."));
    }
    interrupt::listen()?;
    let document = Bench::start(common, true, console)?.run(1, "photos seen", move |lab| {
        let photo = see_photo(lab, &name, &image, claims)?;
        let question = Question { text: text.clone(), threshold, labels, claims };
        let outcome = describe_photo(lab, &name, &photo, &question)?;
        let model = lab.backbone(&name)?;
        let model = ModelIdentity::of(model.info());
        Ok(TestDocument { image: image.display().to_string(), text, outcome, model, device: lab.device()? })
    })?;
    if json {
        return Console::print_json(&document);
    }
    let result = &document.outcome.outcome;
    Console::print(&format!(
        "{}  similarity {:.3}, threshold {:.2}{}",
        result.status.word(),
        result.similarity_score,
        result.threshold,
        result.band.map(|band| format!(" ({band})")).unwrap_or_default()
    ));
    for (label, probability) in result.zero_shot_results.iter().flat_map(|labels| &labels.0) {
        Console::print(&format!("{:>7.1} %  {label}", 100.0 * probability));
    }
    if let Some(claims) = &document.outcome.claims {
        print_claims(claims, console);
    }
    if document.model.id == POCKET {
        console.note(POCKET_NOTE);
    }
    Ok(())
}

fn print_claims(claims: &[ClaimOutcome], console: &Console) {
    if claims.is_empty() {
        console.warn(
            "The description has no claim that can be checked. Name the part, colours, counts, or what must not be there.",
        );
    }
    for claim in claims {
        let mut line =
            format!("{} {:<9} {:<28} {:.2}", claim.holds.sign(), claim.kind.name(), claim.claim, claim.score);
        if claim.holds != crate::matching::Holds::Yes {
            let _ = write!(line, "  rather: {}", claim.instead);
        }
        if claim.separation.is_some_and(|separation| separation.weak) {
            line.push_str("  (weak)");
        }
        if let Some(place) = &claim.place {
            let crate::matching::Place { x, y, width, height, location, .. } = place;
            let _ = write!(line, "  at {location} ({x}, {y}, {width} × {height})");
        }
        Console::print(line.trim_end());
    }
    let mut weak: Vec<&str> =
        claims.iter().filter(|c| c.separation.is_some_and(|s| s.weak)).map(|c| c.kind.name()).collect();
    weak.sort_unstable();
    weak.dedup();
    if !weak.is_empty() {
        console.warn(format!(
            "This model hardly tells true from false claims of these kinds, marked (weak): {}. `match info` has the figures.",
            weak.join(", ")
        ));
    }
}

fn batch_test(args: BatchArgs, common: &Common, console: &Console) -> Result<()> {
    let format = TableFormat::of(&args.output)?;
    let output =
        std::path::absolute(&args.output).map_err(|e| Error::io("Cannot find the folder", &args.output, &e))?;
    if let Some(folder) = output.parent() {
        report::create_folder(folder)?;
    }
    let beside = args.csv.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let root = absolute(vec![args.root_dir.unwrap_or_else(|| beside.to_owned())]).remove(0);
    let pairs = read_pairs(&args.csv, Some(&root))?;
    if pairs.rows.is_empty() {
        name_failures(&pairs.bad);
        return Err(Error::input("No row of the table can be used (see above). Correct them.").at(&args.csv));
    }
    let (name, choice, csv) = (model_of(common), args.threshold, args.csv.clone());
    interrupt::listen()?;
    let total = pairs.rows.len();
    let work = move |lab: &mut Lab<'_, '_>| {
        let mut encoder = LabEncoder::new(lab, &name)?;
        let device = encoder.lab().device()?;
        let model = encoder.lab().backbone(&name)?;
        let model = ModelIdentity::of(model.info());
        let mut part = PartFile::open(&output, &fingerprint(&pairs, &model, &device, &root))?;
        let outcome = match_pairs(&pairs, &mut encoder, &mut part)?;
        let (resumed, encoded) = (outcome.resumed, outcome.encoded);
        let summary = TableSummary::new(&outcome, choice, csv.display().to_string(), model, device)?;
        write_table(&output, format, &outcome, &summary)?;
        part.finish()?;
        Ok((summary, resumed, encoded))
    };
    let mut bench = Bench::start(common, true, console)?;
    let (summary, resumed, encoded) = bench.run(total, "rows matched", work).inspect_err(|error| {
        if matches!(error, Error::Cancelled) {
            console.note("What is done is kept beside the output; the same command goes on from there.");
        }
    })?;
    if resumed > 0 {
        console.note(format!("{} done already by an earlier run.", count(resumed, "row was", "rows were")));
    }
    let (photos, texts) = (count(encoded.0, "photo", "photos"), count(encoded.1, "text", "texts"));
    console.note(format!("{photos} and {texts} went through the network."));
    name_failures(&summary.failures);
    if args.json {
        Console::print_json(&summary)?;
    } else {
        print_summary(&summary);
    }
    console.note(format!("Results: {}", args.output.display()));
    all_but(summary.failures.len(), "row", "used", "done", "above and in the results")
}

fn name_failures(bad: &[BadRow]) {
    for row in bad.iter().take(NAMED) {
        Console::failure(&Error::input(format!("line {}: {}", row.line, row.error)));
    }
    if bad.len() > NAMED {
        let more = count(bad.len() - NAMED, "more row", "more rows");
        Console::failure(&Error::input(format!("{more}, named in the results.")));
    }
}

fn print_summary(summary: &TableSummary) {
    let mut lines = vec![format!(
        "{}, {} match at {:.3}, {} do not, {} failed",
        count(summary.rows + summary.failed, "row", "rows"),
        summary.matched,
        summary.threshold,
        summary.rows - summary.matched,
        summary.failed
    )];
    if let Some(evaluation) = &summary.evaluation {
        let at = &evaluation.at_threshold;
        let [[hits, missed], [false_hits, rejected]] = at.confusion;
        let auroc = evaluation.auroc.map_or_else(|| "–".to_owned(), |auroc| format!("{auroc:.3}"));
        lines.push(format!(
            "AUROC {auroc}   {}, {} labelled",
            count(evaluation.matches, "match", "matches"),
            count(evaluation.mismatches, "mismatch", "mismatches")
        ));
        lines.push(format!(
            "at {:.3}: precision {:.3}, recall {:.3}, F1 {:.3}, accuracy {:.3}",
            at.threshold, at.precision, at.recall, at.f1, at.accuracy
        ));
        lines.push(format!("best F1 {:.3} at {:.3}", evaluation.best_f1.f1, evaluation.best_f1.threshold));
        lines.push("truth      said match  said mismatch".to_owned());
        lines.push(format!("match      {hits:>10}  {missed:>13}"));
        lines.push(format!("mismatch   {false_hits:>10}  {rejected:>13}"));
    }
    for line in lines {
        if !Console::print(&line) {
            break;
        }
    }
}
