//! Trains the embedded model: `cargo run --release --example pocket`. Run it again after an interruption and it goes on
//! from its last checkpoint. It prints progress and writes `models/pocket` (the model) and `target/pocket` (checkpoint,
//! losses). Flags for trying things out: `--steps N --seed N --out DIR --work DIR --rate R --products N --stop-after N`.
#![expect(clippy::print_stderr, reason = "a program that talks to its user")]

use hairline::train::pocket::{PocketOptions, run};
use hairline::{Error, Result};

fn options() -> Result<PocketOptions> {
    let mut options = PocketOptions::default();
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| Error::input(format!("{flag} needs a value.")))?;
        let wrong = || Error::input(format!("{flag} cannot be `{value}`."));
        let whole = || value.parse::<usize>().map_err(|_| wrong());
        match flag.as_str() {
            "--out" => options.out = value.clone().into(),
            "--work" => options.work = value.clone().into(),
            "--seed" => options.seed = value.parse().map_err(|_| wrong())?,
            "--rate" => options.rate = value.parse().map_err(|_| wrong())?,
            "--steps" => (options.steps, options.first_steps) = (whole()?, whole()?),
            "--products" => options.products = whole()?,
            "--save-every" => options.save_every = whole()?,
            "--stop-after" => options.stop_after = Some(whole()?),
            _ => return Err(Error::input(format!("Unknown flag {flag}."))),
        }
    }
    Ok(options)
}

fn main() -> std::process::ExitCode {
    let result = options().and_then(|options| run(&options, |line| eprintln!("{line}")));
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::from(error.exit_status())
        }
    }
}
