//! The files of a benchmark. Of one run: `bench.json`, `bench.csv`, `scores.csv`, curves as PNG in `plots/`, `report.html`,
//! and per class its recipe beside its stored result in `classes/`. Of several runs, joint tables above their folders.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::plan::Shots;
use super::protocol::Protocol;
use super::results::{ClassFigures, ClassResult, FailedFile, FigureSet, Group, RunResult, groups};
use crate::report::json::VERSION;
use crate::report::{self, bench_page};
use crate::{Recipe, Result};

/// `bench.json` of one run.
#[derive(Debug, Serialize)]
pub struct RunDocument<'a> {
    protocol: Protocol,
    method: &'static str,
    model: String,
    shots: Shots,
    seed: u64,
    classes: Vec<&'a ClassFigures>,
    /// Over the classes, each counting alike.
    mean: &'a FigureSet,
    version: &'static str,
    created: &'a str,
    model_sha256: String,
    /// The memory's model, where it is another one.
    memory_model: Option<String>,
    memory_model_sha256: Option<String>,
    device: String,
    /// Object and references are each class's own.
    recipe: &'a Recipe,
    files: Vec<ClassFiles<'a>>,
    failures: Vec<&'a FailedFile>,
}

/// Which files a class was measured with.
#[derive(Debug, Serialize)]
struct ClassFiles<'a> {
    class: &'a str,
    references: &'a [PathBuf],
    test: Vec<&'a Path>,
}

/// `bench.json` above several runs.
#[derive(Debug, Serialize)]
pub struct JointDocument<'a> {
    /// As in the folder of each run.
    runs: Vec<RunDocument<'a>>,
    /// Over the seeds.
    groups: Vec<Group>,
}

impl<'a> RunDocument<'a> {
    /// The document of a run.
    pub fn new(run: &'a RunResult) -> Self {
        let model = run.model();
        let (memory_model, memory_model_sha256) = run.memory_model().map(|model| (model.id, model.sha256)).unzip();
        Self {
            protocol: run.protocol,
            method: run.recipe.method.name(),
            model: model.id,
            shots: run.shots,
            seed: run.recipe.seed,
            classes: run.classes.iter().map(|class| &class.figures).collect(),
            mean: &run.mean,
            version: VERSION,
            created: &run.created,
            model_sha256: model.sha256,
            memory_model,
            memory_model_sha256,
            device: run.classes.first().map(|class| class.device.clone()).unwrap_or_default(),
            recipe: &run.recipe,
            files: run
                .classes
                .iter()
                .map(|class| ClassFiles {
                    class: &class.figures.name,
                    references: &class.recipe.references,
                    test: class.photos.iter().map(|photo| photo.path.as_path()).collect(),
                })
                .collect(),
            failures: run.failures().collect(),
        }
    }
}

impl<'a> JointDocument<'a> {
    /// The document of several runs.
    pub fn new(runs: &'a [RunResult]) -> Self {
        Self { runs: runs.iter().map(RunDocument::new).collect(), groups: groups(runs) }
    }
}

/// Writes the files of one run into its folder.
///
/// # Errors
/// [`Io`](crate::Error::Io) naming the file.
pub fn write_run(run: &RunResult) -> Result<()> {
    let folder = &run.folder;
    report::create_folder(folder)?;
    report::write_json(&folder.join("bench.json"), &RunDocument::new(run))?;
    write_table(&folder.join("bench.csv"), std::slice::from_ref(run))?;
    write_scores(&folder.join("scores.csv"), &run.classes)?;
    for class in &run.classes {
        let ron = class.recipe.to_ron()?;
        let path = folder.join("classes").join(format!("{}.ron", class.figures.name));
        report::create_folder(&folder.join("classes"))?;
        report::write_file(&path, |out| out.write_all(ron.as_bytes()))?;
    }
    bench_page::write_run(folder, run)
}

/// Writes the joint files of several runs.
///
/// # Errors
/// [`Io`](crate::Error::Io) naming the file.
pub fn write_joint(folder: &Path, runs: &[RunResult]) -> Result<()> {
    report::write_json(&folder.join("bench.json"), &JointDocument::new(runs))?;
    write_table(&folder.join("bench.csv"), runs)?;
    bench_page::write_joint(folder, runs)
}

/// `bench.csv`: a row per class and one for the mean, of every run.
fn write_table(path: &Path, runs: &[RunResult]) -> Result<()> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    report::write_file(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        let head = ["method", "model", "memory_model", "shots", "seed", "protocol", "class"].into_iter();
        table.write_record(head.chain(FigureSet::COLUMNS.map(|(key, _)| key)).chain(["n_test"]))?;
        for run in runs {
            let rows = run.classes.iter().map(|class| {
                let figures = &class.figures;
                (figures.name.as_str(), &figures.figures, figures.n_test)
            });
            let tested = run.classes.iter().map(|class| class.figures.n_test).sum();
            for (name, figures, n) in rows.chain([("MEAN", &run.mean, tested)]) {
                let mut row = vec![
                    run.recipe.method.name().to_owned(),
                    run.model().id,
                    run.memory_model().map(|model| model.id).unwrap_or_default(),
                    run.shots.to_string(),
                    run.recipe.seed.to_string(),
                    run.protocol.name().to_owned(),
                    name.to_owned(),
                ];
                row.extend(figures.values().map(number));
                row.push(n.to_string());
                table.write_record(row)?;
            }
        }
        table.flush()
    })
    .map(drop)
}

/// `scores.csv`: a row per photo.
fn write_scores(path: &Path, classes: &[ClassResult]) -> Result<()> {
    report::write_file(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(["path", "label", "score", "class", "type"])?;
        for class in classes {
            for photo in &class.photos {
                table.write_record([
                    &photo.path.to_string_lossy(),
                    photo.label(),
                    &photo.score.to_string(),
                    &class.figures.name,
                    &photo.kind,
                ])?;
            }
        }
        table.flush()
    })
    .map(drop)
}
