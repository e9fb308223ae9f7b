//! Finished classes on disk, so that a run that was stopped goes on where it was: `classes/<name>.json` in the run's
//! folder, used again only under the same fingerprint. A damaged or foreign file is measured anew, never an error.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::results::ClassResult;
use crate::dataset::mvtec::MvtecClass;
use crate::photo::hex;
use crate::report::{self, ModelIdentity};
use crate::{Recipe, Result};

use super::Protocol;

/// Counts changes of what a stored result means.
const FORMAT: u32 = 1;

/// Everything that decides the result of a class: program, recipe, weights, protocol, and name, size and time of every
/// photo and mask.
pub fn fingerprint(
    class: &MvtecClass,
    recipe: &Recipe,
    models: &[ModelIdentity],
    protocol: Protocol,
    save_maps: bool,
) -> Result<String> {
    let mut hasher = Sha256::new();
    let head = format!("{FORMAT} {} {protocol} {save_maps}\n{}\n", report::json::VERSION, recipe.to_ron()?);
    hasher.update(head.as_bytes());
    for model in models {
        hasher.update(model.sha256.as_bytes());
    }
    let tested = class.test.iter().flat_map(|photo| std::iter::once(&photo.path).chain(&photo.mask));
    for path in recipe.references.iter().chain(tested) {
        hasher.update(path.to_string_lossy().as_bytes());
        // A file that is gone fails later, by name.
        if let Ok(facts) = std::fs::metadata(path) {
            let changed = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            hasher.update(format!(" {} {:?}\n", facts.len(), changed).as_bytes());
        }
    }
    Ok(hex(&hasher.finalize()))
}

fn path(folder: &Path, class: &str) -> PathBuf {
    folder.join("classes").join(format!("{class}.json"))
}

/// The stored result of a class, if there is one under this fingerprint.
pub fn load(folder: &Path, class: &str, fingerprint: &str) -> Option<ClassResult> {
    let bytes = std::fs::read(path(folder, class)).ok()?;
    let result: ClassResult = serde_json::from_slice(&bytes).ok()?;
    (result.fingerprint == fingerprint).then_some(result)
}

/// Stores the result of a class.
pub fn save(folder: &Path, result: &ClassResult) -> Result<()> {
    let path = path(folder, &result.figures.name);
    report::create_folder(&folder.join("classes"))?;
    report::write_file(&path, |out| Ok(serde_json::to_writer(out, result)?))?;
    Ok(())
}
