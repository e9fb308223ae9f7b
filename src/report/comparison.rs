//! Several classifications of the same photos side by side: their figures, and McNemar's test for every two of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::text::{line, section, wrapped};
use super::{create_folder, write_file};
use crate::Result;
use crate::classify::{Classification, ClassificationFigures};
use crate::count::count;
use crate::metrics::McNemar;

/// A run with a name.
#[derive(Clone, Copy, Debug)]
pub struct ComparedRun<'a> {
    pub name: &'a str,
    pub classification: &'a Classification,
    pub figures: Option<&'a ClassificationFigures>,
}

/// McNemar's test between two runs.
struct Pair<'a> {
    first: &'a str,
    second: &'a str,
    photos: usize,
    test: McNemar,
}

/// Writes `comparison.csv` (one row for every two runs) and `comparison.txt` into `dir`, which is created.
///
/// # Errors
/// [`crate::Error::Input`] when two runs share no photo whose class is known; [`crate::Error::Io`] naming the file.
pub fn write_comparison(dir: &Path, runs: &[ComparedRun<'_>]) -> Result<Vec<PathBuf>> {
    create_folder(dir)?;
    let mut pairs = Vec::new();
    for (at, first) in runs.iter().enumerate() {
        for second in &runs[at + 1..] {
            let (photos, test) = first.classification.compared(second.classification)?;
            pairs.push(Pair { first: first.name, second: second.name, photos, test });
        }
    }
    Ok(vec![
        write_file(&dir.join("comparison.csv"), |out| write_pairs(&pairs, out))?,
        write_file(&dir.join("comparison.txt"), |out| out.write_all(text(runs, &pairs).as_bytes()))?,
    ])
}

fn write_pairs(pairs: &[Pair<'_>], out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record([
        "first",
        "second",
        "photos",
        "only_first_right",
        "only_second_right",
        "exact_p",
        "chi_squared_corrected",
        "corrected_p",
    ])?;
    for Pair { first, second, photos, test } in pairs {
        let figures = [
            photos.to_string(),
            test.only_first.to_string(),
            test.only_second.to_string(),
            format!("{:.9}", test.exact_p),
            format!("{:.9}", test.statistic),
            format!("{:.9}", test.corrected_p),
        ];
        table.write_record([(*first).to_owned(), (*second).to_owned()].into_iter().chain(figures))?;
    }
    table.flush()
}

fn text(runs: &[ComparedRun<'_>], pairs: &[Pair<'_>]) -> String {
    let mut text = String::from("Comparison of classifications\n═════════════════════════════\n");
    section(&mut text, "Runs");
    let width = runs.iter().map(|run| run.name.chars().count()).max().unwrap_or(0);
    line(&mut text, &format!("  {:<width$}  accuracy  interval          macro F1   top-2", "run"));
    for run in runs {
        let Some(figures) = run.figures else { continue };
        let interval = figures.accuracy_interval;
        let _ = writeln!(
            text,
            "  {:<width$}  {:>8.3}  {:.3} to {:.3}    {:>8.3}  {:>6.3}",
            run.name,
            figures.report.accuracy,
            interval.lower,
            interval.upper,
            figures.report.macro_average.f1,
            figures.top_2
        );
    }
    section(&mut text, "McNemar's test");
    wrapped(
        &mut text,
        "Counts the photos that only one of two runs has right. A small p-value says that the difference is hardly chance; \
         read the exact one, above all when few photos are decided.",
    );
    for Pair { first, second, photos, test } in pairs {
        line(&mut text, "");
        line(&mut text, &format!("  {first} against {second}, {}", count(*photos, "photo", "photos")));
        let McNemar { only_first, only_second, exact_p, statistic, corrected_p } = test;
        line(&mut text, &format!("    only {first} right: {only_first}; only {second} right: {only_second}"));
        let p = |p: &f64| if *p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") };
        line(&mut text, &format!("    exact {}; corrected χ² = {statistic:.3}, {}", p(exact_p), p(corrected_p)));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::classify::ClassifiedPhoto;

    #[test]
    fn every_two_runs_are_tested_against_each_other() {
        let run = |right: usize| Classification {
            labels: vec!["a".into(), "b".into()],
            photos: (0..10)
                .map(|at| ClassifiedPhoto {
                    path: format!("{at}.png").into(),
                    width: 1,
                    height: 1,
                    truth: Some(0),
                    prediction: Some(usize::from(at >= right)),
                    scores: vec![0.5, 0.5],
                })
                .collect(),
        };
        let runs = [run(9), run(3), run(9)];
        let named: Vec<ComparedRun<'_>> = runs
            .iter()
            .zip(["x", "y", "z"])
            .map(|(classification, name)| ComparedRun { name, classification, figures: None })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let files = write_comparison(dir.path(), &named).unwrap();
        let table = std::fs::read_to_string(&files[0]).unwrap();
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains("x,y,10,6,0,0.031250000,"), "{table}");
        assert!(table.contains("x,z,10,0,0,1.000000000,0.000000000,"), "{table}");
        assert!(std::fs::read_to_string(&files[1]).unwrap().contains("exact p = 0.031"));
    }
}
