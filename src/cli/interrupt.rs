//! Ctrl-C: the first asks for a clean end, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

static WANTED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C (and a request to terminate) from now on.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if WANTED.swap(true, Ordering::SeqCst) {
            // 128 + SIGINT, as shells count.
            std::process::exit(130);
        }
    })
    .map_err(|e| Error::bug(format!("Ctrl-C cannot be listened for ({e}).")))
}

/// Has the user asked to stop?
pub fn wanted() -> bool {
    WANTED.load(Ordering::SeqCst)
}
