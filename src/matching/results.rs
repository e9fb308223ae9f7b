//! What is kept of a table once it is matched: figures, rows in their order with the bad ones among them, and a histogram.
//! One writer for window and command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::batch::{BatchOutcome, Scored};
use super::evaluate::{Choice, Evaluation, evaluate};
use super::histogram::{Histogram, draw_histogram};
use super::pairs::{BadRow, Label, Pairs};
use super::similarity::{Status, judge_match};
use crate::report::json::VERSION;
use crate::report::{self, ModelIdentity};
use crate::{Error, Result};

/// The document of a table, without its rows.
#[derive(Clone, Debug, Serialize)]
pub struct TableSummary {
    pub version: &'static str,
    pub model: ModelIdentity,
    pub device: String,
    /// The table.
    pub csv: String,
    /// In force, 0–1.
    pub threshold: f32,
    /// Rows with a similarity.
    pub rows: usize,
    pub matched: usize,
    pub failed: usize,
    /// `None` where no row has a label.
    pub evaluation: Option<Evaluation>,
    pub histogram: Histogram,
    pub failures: Vec<BadRow>,
}

impl TableSummary {
    /// Chooses the threshold and counts.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn new(
        outcome: &BatchOutcome<'_>,
        choice: Choice,
        csv: String,
        model: ModelIdentity,
        device: String,
    ) -> Result<Self> {
        let labelled = || outcome.rows.iter().filter_map(|row| Some((row.similarity, row.pair.label? == Label::Match)));
        let (scores, labels): (Vec<f32>, Vec<bool>) = labelled().unzip();
        let (threshold, evaluation) = evaluate(&scores, &labels, choice)?;
        Ok(Self {
            version: VERSION,
            model,
            device,
            csv,
            threshold,
            rows: outcome.rows.len(),
            matched: outcome.rows.iter().filter(|row| row.similarity >= threshold).count(),
            failed: outcome.bad.len(),
            evaluation,
            histogram: Histogram::new(outcome.rows.iter().map(|row| (row.similarity, row.pair.label))),
            failures: outcome.bad.clone(),
        })
    }
}

/// Everything that the similarities of a table depend on, in one line.
pub fn fingerprint(pairs: &Pairs, model: &ModelIdentity, device: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    [pairs.sha256.as_str(), &model.sha256, device, &root].join(" ").replace(['\n', '\r'], " ")
}

/// How the results of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Rows, with the summary in `<stem>_summary.json` beside them.
    Csv,
    /// One document.
    Json,
}

impl TableFormat {
    /// By the extension of the file to write.
    ///
    /// # Errors
    /// [`Error::Input`] for any other extension than `.csv` and `.json`.
    pub fn of(output: &Path) -> Result<Self> {
        let extension = output.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            _ => Err(Error::input("The file of the results must end in .csv or .json, which says how it is written.")
                .at(output)),
        }
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    summary: &'a TableSummary,
    results: Vec<RowDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct RowDocument<'a> {
    line: u64,
    image_path: &'a str,
    text: &'a str,
    label: Option<Label>,
    similarity_score: f32,
    is_match: bool,
    status: Status,
    threshold: f32,
}

impl<'a> RowDocument<'a> {
    fn new(row: &Scored<'a>, threshold: f32) -> Self {
        let judged = judge_match(row.similarity, threshold);
        Self {
            line: row.pair.line,
            image_path: &row.pair.given,
            text: &row.pair.text,
            label: row.pair.label,
            similarity_score: judged.similarity_score,
            is_match: judged.is_match,
            status: judged.status,
            threshold,
        }
    }
}

/// Writes the results of a table, and `<stem>_histogram.png` beside them.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_table(
    output: &Path,
    format: TableFormat,
    outcome: &BatchOutcome<'_>,
    summary: &TableSummary,
) -> Result<()> {
    draw_histogram(&summary.histogram, summary.threshold, &beside(output, "_histogram.png"))?;
    match format {
        TableFormat::Csv => {
            report::write_file(output, |out| write_rows(outcome, summary.threshold, out))?;
            write_json(&beside(output, "_summary.json"), summary)
        }
        TableFormat::Json => {
            let results = outcome.rows.iter().map(|row| RowDocument::new(row, summary.threshold)).collect();
            write_json(output, &Document { summary, results })
        }
    }
}

/// `<stem><suffix>` beside the output.
fn beside(output: &Path, suffix: &str) -> PathBuf {
    let stem = output.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    output.with_file_name(format!("{stem}{suffix}"))
}

fn write_json(path: &Path, document: &impl Serialize) -> Result<()> {
    report::write_file(path, |out| {
        serde_json::to_writer_pretty(&mut *out, document)?;
        out.write_all(b"\n")
    })
    .map(drop)
}

fn write_rows(outcome: &BatchOutcome<'_>, threshold: f32, out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(["line", "image_path", "text", "label", "similarity_score", "is_match", "status", "error"])?;
    // Bad rows stand where they stood in the table.
    let mut bad = outcome.bad.iter().peekable();
    let mut failed = |table: &mut csv::Writer<_>, before: u64| -> csv::Result<()> {
        while let Some(row) = bad.next_if(|row| row.line < before) {
            let [image, text, label] = &row.fields;
            table.write_record([&row.line.to_string(), image, text, label, "", "", "", &row.error.to_string()])?;
        }
        Ok(())
    };
    for row in &outcome.rows {
        failed(&mut table, row.pair.line)?;
        let judged = judge_match(row.similarity, threshold);
        table.write_record([
            row.pair.line.to_string().as_str(),
            &row.pair.given,
            &row.pair.text,
            row.pair.label.map_or("", Label::name),
            &judged.similarity_score.to_string(),
            &judged.is_match.to_string(),
            judged.status.word(),
            "",
        ])?;
    }
    failed(&mut table, u64::MAX)?;
    table.flush()
}
