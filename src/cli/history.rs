//! `hairline history`: looking into the kept verdicts, correcting one by a revision, and exporting them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::Console;
use crate::anomaly::Verdict;
use crate::count::count;
use crate::history::{self, Correction, Entry, ExportFormat, Filter, History, moment};
use crate::{Error, Result, report};

/// Arguments of `hairline history`.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// The newest verdicts, one a line
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        selection: Selection,
        /// Verdicts at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Print a JSON array with results and revisions
        #[arg(long)]
        json: bool,
    },
    /// Everything about one verdict, its recipe included, as JSON
    Show {
        #[command(flatten)]
        place: Place,
        /// The verdict's id, or the beginning of it
        id: String,
    },
    /// Correct a verdict; what it was before is kept
    Correct {
        #[command(flatten)]
        place: Place,
        /// The verdict's id, or the beginning of it
        id: String,
        /// What it should be: ok, uncertain or ng
        #[arg(long, value_parser = verdict)]
        verdict: Verdict,
        /// Who corrects [default: the user's name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// All verdicts as one file
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        selection: Selection,
        /// csv, json or parquet
        #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format)]
        format: ExportFormat,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
struct Place {
    /// Where verdicts are kept: an SQLite file, or postgres://user@host/database
    #[arg(long, value_name = "FILE|URL")]
    history: String,
}

#[derive(Clone, Debug, Args)]
struct Selection {
    /// Not before this day or time (UTC), e.g. 2026-03-01 or 2026-03-01T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
    /// Up to this day (included) or time (UTC)
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<String>,
    /// Only ok, uncertain or ng, as corrected
    #[arg(long, value_parser = verdict)]
    verdict: Option<Verdict>,
}

impl Selection {
    fn filter(self, limit: usize) -> Filter {
        Filter { since: self.since, until: self.until, verdict: self.verdict, limit, ..Filter::default() }
    }
}

fn verdict(text: &str) -> Result<Verdict, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn format(text: &str) -> Result<ExportFormat, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn since(text: &str) -> Result<String, String> {
    moment(text, false).map_err(|error| error.to_string())
}

fn until(text: &str) -> Result<String, String> {
    moment(text, true).map_err(|error| error.to_string())
}

/// Runs one of the verbs.
pub fn run(args: HistoryArgs, console: &Console) -> Result<()> {
    match args.what {
        What::List { place, selection, limit, json } => {
            let entries = History::open_existing(&place.history)?.list(&selection.filter(limit as usize))?;
            if json {
                return Console::print_json(&entries);
            }
            if entries.is_empty() {
                console.note("The history has no such verdict.");
            }
            for entry in &entries {
                if !Console::print(&row(entry)) {
                    break;
                }
            }
            Ok(())
        }
        What::Show { place, id } => {
            let mut history = History::open_existing(&place.history)?;
            let entry = history.find(&id)?;
            let recipe = history.recipe(&entry.recipe_sha256)?;
            Console::print_json(&Whole { entry: &entry, recipe })
        }
        What::Correct { place, id, verdict, by, note } => {
            let author = by.or_else(history::user).unwrap_or_default();
            let mut history = History::open_existing(&place.history)?;
            let entry = history.correct(&id, &Correction { verdict, author, note })?;
            Console::print(&row(&entry));
            Ok(())
        }
        What::Export { place, selection, format, out } => {
            let mut history = History::open_existing(&place.history)?;
            let filter = selection.filter(usize::MAX);
            let mut outcome: Result<usize> = Ok(0);
            let written = report::write_file(&out, |file| {
                outcome = history::export(&mut history, &filter, format, file);
                outcome.as_ref().map(|_| ()).map_err(|error| std::io::Error::other(error.to_string()))
            });
            let verdicts = count(outcome?, "verdict", "verdicts");
            written?;
            console.note(format!("{verdicts} written to {}", out.display()));
            Ok(())
        }
    }
}

/// What `show` prints.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    recipe: serde_json::Value,
}

/// Id, time, verdict (and what it was at first), score and path, in columns.
fn row(entry: &Entry) -> String {
    let revised = entry
        .revisions
        .last()
        .map(|revision| format!("  (first {}, corrected by {})", entry.first_verdict.word(), revision.author));
    format!(
        "{}  {}  {:<9}  {:.3}  {}{}",
        entry.id,
        entry.time,
        entry.verdict.word(),
        entry.normalised_score,
        entry.path,
        revised.unwrap_or_default()
    )
}
