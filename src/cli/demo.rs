//! `hairline demo`, and the window: the bundled samples in a window where there is a display, else as files.

use std::path::{Path, PathBuf};

use clap::Args;

use super::console::Console;
use super::inspect::Job;
use super::{Common, interrupt};
use crate::gpu::linear::Precision;
use crate::report::ColourMap;
use crate::{Error, Recipe, Result, app, samples};

/// Where results go without a display and without `--out`.
const DEFAULT_OUT: &str = "hairline-demo";

/// Arguments of `hairline demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Write the results here instead of opening the window [without a display: hairline-demo]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The samples in the window, or as files.
pub fn run(args: DemoArgs, common: &Common, console: &Console) -> Result<()> {
    let out = match args.out {
        Some(out) => out,
        None if display_is_missing() => {
            console.note("There is no display, so the samples are inspected into files.");
            PathBuf::from(DEFAULT_OUT)
        }
        None => {
            let Err(error) = app::run(app::Options { demo: true, ..options(common) }) else {
                return Ok(());
            };
            console.warn(format!("The window cannot be opened, so the samples are inspected into files. {error}"));
            PathBuf::from(DEFAULT_OUT)
        }
    };
    headless(&out, common, console)
}

/// Opens the window with `photos`, or with the last session, or with the samples.
pub fn window(common: &Common, photos: Vec<PathBuf>) -> Result<()> {
    if display_is_missing() {
        return Err(Error::input(
            "The window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set. Start it in a graphical session, \
             or go on without one: `hairline demo` inspects the bundled samples, `hairline inspect PHOTOS --out DIR` \
             your own, and `hairline --help` lists the rest.",
        ));
    }
    app::run(app::Options { photos: super::absolute(photos), ..options(common) }).map_err(|error| match error {
        // What the machine lacks for a window is the user's to supply; the command line needs none of it.
        Error::Device { message } => Error::input(message),
        other => other,
    })
}

fn options(common: &Common) -> app::Options {
    let mut recipe = Recipe::default();
    if let Some(model) = &common.model {
        recipe.model.clone_from(model);
    }
    recipe.seed = common.seed.unwrap_or(recipe.seed);
    app::Options { recipe, device: common.device, ..app::Options::default() }
}

fn headless(out: &Path, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    let samples = samples::unpack(&out.join("samples"))?;
    let mut recipe = samples.recipe();
    if let Some(model) = &common.model {
        recipe.model.clone_from(model);
    }
    recipe.seed = common.seed.unwrap_or(recipe.seed);
    let job = Job {
        photos: samples.photos,
        recipe,
        out: out.to_owned(),
        colours: ColourMap::default(),
        save_maps: false,
        precision: Precision::F32,
        cache: false,
        export: Vec::new(),
        json: false,
        failures: Vec::new(),
        history: None,
        vlm: None,
    };
    job.run(common, console)
}

fn display_is_missing() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(all(unix, not(target_os = "macos"))) && !set("DISPLAY") && !set("WAYLAND_DISPLAY")
}
