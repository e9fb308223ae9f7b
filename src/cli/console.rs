//! What the command line says: data to stdout, talk and progress to stderr. A reader that has gone away is no error, and
//! where nobody watches a terminal, progress is a plain line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{Error, Result};

/// Time between two plain lines of progress.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// How much is said.
#[derive(Debug)]
pub struct Console {
    quiet: bool,
}

impl Console {
    /// Sets up the log as well: warnings, with `-v` information, with `-vv` everything of this program. A service says a
    /// step more, and as lines of JSON.
    pub fn new(quiet: bool, verbose: u8, service: bool) -> Self {
        let level = match (quiet, verbose + u8::from(service)) {
            (true, _) => log::LevelFilter::Error,
            (false, 0) => log::LevelFilter::Warn,
            (false, 1) => log::LevelFilter::Info,
            (false, _) => log::LevelFilter::Trace,
        };
        // Of the libraries below only errors are of interest here.
        let others = if verbose > 1 { log::LevelFilter::Info } else { log::LevelFilter::Error };
        let mut builder = env_logger::Builder::new();
        builder.filter_level(others).filter_module("hairline", level).parse_default_env();
        if service {
            builder.format(crate::server::log::json_line);
        } else {
            builder.format_timestamp(None).format_target(verbose > 0);
        }
        // A second logger (in tests, say) is not worth an error.
        let _ = builder.try_init();
        Self { quiet }
    }

    /// Talk.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            to_stderr(text.as_ref());
        }
    }

    /// Something the user should look at.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.quiet {
            to_stderr(&format!("warning: {}", text.as_ref()));
        }
    }

    /// Why a command ends; said even when quiet.
    pub fn error(error: &Error) {
        to_stderr(&format!("error: {error}"));
    }

    /// A file that failed while the rest goes on; said even when quiet.
    pub fn failure(error: &Error) {
        to_stderr(&format!("failed: {error}"));
    }

    /// Data: one line on stdout. Returns false when nobody reads any more.
    pub fn print(line: &str) -> bool {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
    }

    /// Data: one JSON document on stdout.
    pub fn print_json(document: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|e| Error::bug(format!("a result cannot be written as JSON ({e}).")))?;
        Self::print(&text);
        Ok(())
    }

    /// Progress of `total` steps; `what` names them in the plural, e.g. `photos inspected`.
    pub fn progress(&self, total: u64, what: &str) -> Progress {
        self.start(total, what, "{bar:32} {pos}/{len} {msg}  {elapsed} (left {eta})")
    }

    /// Progress of a download of `total` bytes, 0 where that is not known.
    pub fn bytes(&self, total: u64, file: &str) -> Progress {
        self.start(total, file, "{bar:32} {bytes} of {total_bytes} {msg}  {bytes_per_sec} (left {eta})")
    }

    fn start(&self, total: u64, what: &str, template: &str) -> Progress {
        let kind = if self.quiet {
            Kind::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_message(what.to_owned());
            Kind::Bar(bar)
        } else {
            Kind::Plain(Instant::now())
        };
        Progress { kind, total, what: what.to_owned() }
    }
}

fn to_stderr(line: &str) {
    // Nobody to tell is nobody to fail for.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A bar on a terminal, plain lines elsewhere. Dropping it clears the bar.
#[derive(Debug)]
pub struct Progress {
    kind: Kind,
    total: u64,
    what: String,
}

#[derive(Debug)]
enum Kind {
    Silent,
    Bar(ProgressBar),
    /// When the last line was written.
    Plain(Instant),
}

impl Progress {
    /// `done` steps are through.
    pub fn set(&mut self, done: u64) {
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => bar.set_position(done),
            Kind::Plain(last) => {
                if last.elapsed() >= PLAIN_INTERVAL {
                    *last = Instant::now();
                    to_stderr(&format!("{done} of {} {}", self.total, self.what));
                }
            }
        }
    }

    /// Does it count `what`?
    pub fn counts(&self, what: &str) -> bool {
        self.what == what
    }

    /// Runs `talk` without the bar in its way.
    pub fn suspend(&self, talk: impl FnOnce()) {
        match &self.kind {
            Kind::Bar(bar) => bar.suspend(talk),
            Kind::Silent | Kind::Plain(_) => talk(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}
