//! The command line: one file per verb, a thin front of the engine. Data goes to stdout, talk and progress to stderr;
//! the exit status is 0 done, 1 the user's input, 2 usage, 3 internal.

mod bench;
mod classify;
mod console;
mod demo;
mod embed;
mod fusion;
mod history;
mod inspect;
mod interrupt;
mod lab;
mod match_train;
mod matching;
mod metrics;
mod models;
mod segment;
mod serve;
mod synth;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::gpu::DevicePolicy;
use crate::{Error, Result};
use console::Console;

/// A desktop inspection bench: finds where a part deviates from normal ones, says how sure that is, and why.
///
/// Without a command the window opens, with the photos named or as it was left. Every command works without a display and without a graphics card.
#[derive(Debug, Parser)]
#[command(name = "hairline", version, propagate_version = true, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit status: 0 done, 1 a file or value given cannot be used, 2 usage, 3 internal error.")]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// Photos and folders to open in the window
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Flags that every command understands.
#[derive(Clone, Debug, Args)]
struct Common {
    /// Catalogue id, a folder in the Hugging Face layout, or a timm ViT's safetensors file [default: the embedded `pocket`, for
    /// segment `pocket-seg`]
    #[arg(long, global = true, value_name = "ID|DIR", help_heading = "Common options")]
    model: Option<String>,
    /// Where networks run: auto, cpu or gpu
    #[arg(long, global = true, value_name = "DEVICE", default_value_t, value_parser = device, help_heading = "Common options")]
    device: DevicePolicy,
    /// Seed of every random choice
    #[arg(long, global = true, value_name = "N", help_heading = "Common options")]
    seed: Option<u64>,
    /// Threads for computing [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Common options")]
    threads: Option<u16>,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Common options")]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Common options")]
    quiet: bool,
}

fn device(text: &str) -> std::result::Result<DevicePolicy, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Inspect the bundled samples: in the window if there is a display, else into a folder
    Demo(demo::DemoArgs),
    /// Inspect photos or folders of photos and write pictures and reports
    Inspect(inspect::InspectArgs),
    /// Label photos by words alone
    Classify(classify::ClassifyArgs),
    /// Learn a classifier from labelled photos, measure it, use it
    Fusion(fusion::FusionArgs),
    /// Measure methods on labelled photos with masks: figures, curves, report
    Bench(bench::BenchArgs),
    /// The same figures from scores and maps that other programs made
    Metrics(metrics::MetricsArgs),
    /// Check that photos show what their descriptions say
    Match(matching::MatchArgs),
    /// Write embeddings of images or texts as a NumPy file
    Embed(embed::EmbedArgs),
    /// Print token ids, one JSON array a line
    Tokens(tokens::TokensArgs),
    /// Write procedural photos of parts with defects, masks included
    Synth(synth::SynthArgs),
    /// Masks by words: predict, evaluate, train, and masks from annotations
    Segment(segment::SegmentArgs),
    /// Look into the kept verdicts, correct one, or export them
    History(history::HistoryArgs),
    /// Serve the HTTP API on this machine, or with a token to others
    Serve(serve::ServeArgs),
    /// List, describe, download and verify models
    Models(models::ModelsArgs),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version are data, usage errors are talk; clap knows which. A closed pipe is no error of ours.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { 2 } else { 0 });
        }
    };
    if let Some(word) = cli.paths.iter().find(|path| !path.exists()) {
        let message =
            format!("`{}` is neither a command nor a photo or folder; `--help` lists the commands", word.display());
        let _ = Cli::command().error(clap::error::ErrorKind::InvalidSubcommand, message).print();
        return ExitCode::from(2);
    }
    let service = matches!(cli.command, Some(Command::Serve(_)));
    let console = Console::new(cli.common.quiet, cli.common.verbose, service);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(cli, &console)));
    let outcome = outcome.unwrap_or_else(|_| Err(Error::bug("the program stopped unexpectedly.")));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::error(&error);
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(cli: Cli, console: &Console) -> Result<()> {
    let common = cli.common;
    if let Some(threads) = common.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|e| Error::bug(format!("the thread pool cannot be set up ({e}).")))?;
    }
    match cli.command {
        None => demo::window(&common, cli.paths),
        Some(Command::Demo(args)) => demo::run(args, &common, console),
        Some(Command::Inspect(args)) => inspect::run(args, &common, console),
        Some(Command::Classify(args)) => classify::run(args, &common, console),
        Some(Command::Fusion(args)) => fusion::run(args, &common, console),
        Some(Command::Bench(args)) => bench::run(args, &common, console),
        Some(Command::Metrics(args)) => {
            without_model(&common, "metrics")?;
            metrics::run(args, console)
        }
        Some(Command::Match(args)) => matching::run(args, &common, console),
        Some(Command::Embed(args)) => embed::run(args, &common, console),
        Some(Command::Tokens(args)) => tokens::run(args, &common),
        Some(Command::Synth(args)) => {
            without_model(&common, "synth")?;
            synth::run(args, &common, console)
        }
        Some(Command::Segment(args)) => segment::run(args, &common, console),
        Some(Command::History(args)) => {
            without_model(&common, "history")?;
            history::run(args, console)
        }
        Some(Command::Serve(args)) => serve::run(args, &common),
        Some(Command::Models(args)) => models::run(args, console),
    }
}

/// Refuses `--model` where no network runs, so that nobody takes it for used.
fn without_model(common: &Common, verb: &str) -> Result<()> {
    if common.model.is_none() {
        return Ok(());
    }
    Err(Error::input(format!("`hairline {verb}` uses no network, so it has no model. Leave out --model.")))
}

/// How a run ends in which `failed` of the `things` could not be `used` while the rest is `done`; `named` says where the
/// failed ones are named.
fn all_but(failed: usize, thing: &str, used: &str, done: &str, named: &str) -> Result<()> {
    match failed {
        0 => Ok(()),
        1 => Err(Error::input(format!("One {thing} could not be {used}; the rest is {done}. It is named {named}."))),
        n => {
            Err(Error::input(format!("{n} {thing}s could not be {used}; the rest is {done}. They are named {named}.")))
        }
    }
}

/// The paths, made absolute, so that a recipe means the same from another folder.
fn absolute(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
