//! `hairline bench`: methods measured on a labelled folder tree. A thin front of `bench::run`: flags in, progress and
//! tables out.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::console::{Console, Progress};
use super::inspect::{method, stage_words};
use super::{Common, all_but, interrupt};
use crate::bench::files::{JointDocument, RunDocument};
use crate::bench::results::groups;
use crate::bench::{self, BenchEvent, FigureSet, Matrix, Outcome, Plan, Protocol, RunResult, Shots};
use crate::count::count;
use crate::engine::EngineOptions;
use crate::gpu::linear::Precision;
use crate::recipe::Method;
use crate::{Error, Recipe, Result};

/// Arguments of `hairline bench`. `--model` and `--seed` stand for the common flags of these names and may be repeated.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// One class, or a folder of classes
    #[arg(value_name = "ROOT")]
    root: PathBuf,
    /// Folder for the results; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Layout of ROOT: mvtec has train/good, test/<type>, ground_truth/<type>/<stem>_mask.png
    #[arg(long, value_name = "NAME", default_value = "mvtec", value_parser = ["mvtec"])]
    layout: String,
    /// Preset: fused, origin, memory, patchcore, subspace, winclip, winclip-plus or batch; may be repeated
    #[arg(long = "method", value_name = "NAME", value_parser = method)]
    methods: Vec<Method>,
    /// Catalogue id, or a folder in the Hugging Face layout; may be repeated
    #[arg(id = "model", long = "model", value_name = "ID|DIR", action = ArgAction::Append)]
    models: Vec<String>,
    /// Compare patches of this network instead: id, folder or timm ViT's safetensors file, or none; may be repeated
    #[arg(long = "memory-model", value_name = "ID|DIR")]
    memory_models: Vec<String>,
    /// Reference photos from train/good: a number (0: words alone) or all; may be repeated [default: 4]
    #[arg(long, value_name = "0|K|all", value_parser = shots)]
    shots: Vec<Shots>,
    /// Seed that chooses the references; may be repeated for mean and deviation
    #[arg(id = "seed", long = "seed", value_name = "N", action = ArgAction::Append)]
    seeds: Vec<u64>,
    /// What happens to photo and mask before figures are computed: original, origin-224, winclip-240, clip-518 or dino-original
    #[arg(long, value_name = "NAME", default_value_t, value_parser = protocol)]
    protocol: Protocol,
    /// What is being looked at [default: the name of each class]
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Start from this recipe; the flags above override it
    #[arg(long, value_name = "FILE.ron")]
    recipe: Option<PathBuf>,
    /// Write the raw anomaly maps as measured (maps/<class>/<type>/<stem>_map.npy)
    #[arg(long)]
    save_maps: bool,
    /// Print bench.json to stdout instead of the table
    #[arg(long)]
    json: bool,
    /// How networks multiply on the processor: f32, or bf16, about twice as fast with AVX-512 BF16; scores move a little
    #[arg(long, value_name = "P", default_value_t)]
    precision: Precision,
    /// Compute all features anew, so that the time per photo is measured in every run
    #[arg(long)]
    no_cache: bool,
}

fn shots(text: &str) -> std::result::Result<Shots, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn protocol(text: &str) -> std::result::Result<Protocol, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// Measures and reports.
pub fn run(args: BenchArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    let base = match &args.recipe {
        Some(path) => Recipe::open(path)?,
        None => Recipe::default(),
    };
    let matrix = Matrix {
        base,
        methods: args.methods,
        models: args.models,
        memory_models: args.memory_models.into_iter().map(|name| (name != "none").then_some(name)).collect(),
        shots: args.shots,
        seeds: args.seeds,
        protocol: args.protocol,
        object: args.object,
    };
    let root = std::path::absolute(&args.root).unwrap_or(args.root);
    let plan = Plan { save_maps: args.save_maps, ..Plan::new(&root, &args.out, matrix)? };
    let mut options = EngineOptions { device: common.device, precision: args.precision, ..EngineOptions::default() };
    if args.no_cache {
        options.cache_dir = None;
        options.memory_budget = 0;
    }
    let mut watch = Watch { console, progress: None, tables: !args.json, several: plan.runs.len() > 1, kept: false };
    let outcome = bench::run(&plan, options, &mut |event| {
        watch.event(event);
        !interrupt::wanted()
    });
    let kept = watch.kept;
    drop(watch);
    let outcome = match outcome {
        Err(Error::Cancelled) => {
            if kept {
                console.note("Finished classes are kept: the same command goes on from there.");
            }
            return Err(Error::Cancelled);
        }
        other => other?,
    };
    let runs: Vec<RunResult> = outcome.runs.iter().map(|run| RunResult::clone(run)).collect();
    match (&runs[..], args.json) {
        ([run], true) => Console::print_json(&RunDocument::new(run))?,
        (_, true) => Console::print_json(&JointDocument::new(&runs))?,
        (_, false) if runs.len() > 1 => print_joint(&runs),
        _ => {}
    }
    console.note(format!("Results: {}", args.out.join("report.html").display()));
    exit(&outcome)
}

fn exit(outcome: &Outcome) -> Result<()> {
    all_but(outcome.failures(), "file", "used", "measured", "above and in bench.json")
}

/// Says what happens.
struct Watch<'a> {
    console: &'a Console,
    progress: Option<Progress>,
    /// Print a table after each run.
    tables: bool,
    /// There is more than one run.
    several: bool,
    /// A class is finished, now or by an earlier run.
    kept: bool,
}

impl Watch<'_> {
    fn event(&mut self, event: BenchEvent) {
        match event {
            BenchEvent::RunStarted { index, total, title, seed } => {
                self.progress = None;
                if self.several {
                    self.console.note(format!("Run {} of {total}: {title} · seed {seed}", index + 1));
                }
            }
            BenchEvent::ClassKept(class) => {
                self.kept = true;
                self.progress = None;
                self.console.note(format!("{}: measured before, taken over", class.figures.name));
                for failure in &class.failures {
                    Console::failure(&Error::input(&failure.error));
                }
            }
            BenchEvent::ClassStarted { class, photos } => {
                self.progress = None;
                self.console.note(format!("{class}: {}", count(photos, "photo", "photos")));
            }
            BenchEvent::Preparing { stage, done, total } => self.count(stage_words(stage), done, total),
            BenchEvent::PhotoMeasured { done, total, .. } => self.count("photos measured", done, total),
            BenchEvent::Failed { error, .. } => self.aside(|| Console::failure(&Error::input(error))),
            BenchEvent::Warned(warning) => {
                let console = self.console;
                self.aside(|| console.warn(warning));
            }
            BenchEvent::ClassFinished(_) => {
                self.kept = true;
                self.progress = None;
            }
            BenchEvent::RunFinished(run) => {
                self.progress = None;
                if self.tables {
                    if self.several {
                        Console::print(&format!("\n{} · seed {}", run.title(), run.recipe.seed));
                    }
                    print_run(&run);
                }
            }
            BenchEvent::Waiting => {}
        }
    }

    fn count(&mut self, what: &str, done: usize, total: usize) {
        if self.progress.as_ref().is_none_or(|progress| !progress.counts(what)) {
            self.progress = Some(self.console.progress(total as u64, what));
        }
        if let Some(progress) = &mut self.progress {
            progress.set(done as u64);
        }
    }

    fn aside(&self, talk: impl FnOnce()) {
        match &self.progress {
            Some(progress) => progress.suspend(talk),
            None => talk(),
        }
    }
}

/// The table: a row per class, then the mean.
fn print_run(run: &RunResult) {
    let rows: Vec<(String, Vec<String>)> = run
        .classes
        .iter()
        .map(|class| (class.figures.name.as_str(), &class.figures.figures))
        .chain([("MEAN", &run.mean)])
        .map(|(name, figures)| (name.to_owned(), texts(figures)))
        .collect();
    print_table("Class", &rows);
}

/// Mean ± deviation over the seeds, a row per method, model and number of references.
fn print_joint(runs: &[RunResult]) {
    let rows: Vec<(String, Vec<String>)> = groups(runs)
        .into_iter()
        .map(|group| {
            let spreads = group.deviation.values();
            let cells = texts(&group.mean).into_iter().zip(spreads).enumerate().map(|(column, (mean, spread))| {
                let spread = spread.map(|spread| format!(" ± {}", FigureSet::text(column, Some(spread))));
                mean + &spread.unwrap_or_default()
            });
            (group.title, cells.collect())
        })
        .collect();
    Console::print("");
    print_table("Mean over classes and seeds", &rows);
}

fn texts(figures: &FigureSet) -> Vec<String> {
    figures.values().into_iter().enumerate().map(|(column, value)| FigureSet::text(column, value)).collect()
}

fn print_table(first: &str, rows: &[(String, Vec<String>)]) {
    let wide = |text: &str| text.chars().count();
    let name_width = rows.iter().map(|(name, _)| wide(name)).chain([wide(first)]).max().unwrap_or(0);
    let titles = FigureSet::COLUMNS.map(|(_, title)| title);
    let widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(column, title)| rows.iter().map(|(_, cells)| wide(&cells[column])).max().unwrap_or(0).max(wide(title)))
        .collect();
    let line = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("  {cell:>width$}")).collect();
        Console::print(&format!("{name:<name_width$}{}", cells.concat()))
    };
    if !line(first, &mut titles.into_iter()) {
        return;
    }
    for (name, cells) in rows {
        if !line(name, &mut cells.iter().map(String::as_str)) {
            return;
        }
    }
}
