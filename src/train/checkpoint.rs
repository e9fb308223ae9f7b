//! The state of a run on disk, so that one that was stopped, even killed, goes on exactly: what the loop remembers, the
//! weights, and the optimiser's state in a file of its own. Which run it is and whether it fits, the loops decide.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, report};

/// Weights and progress; names the optimiser's file by its stamp.
const LAST: &str = "last.safetensors";

/// What a run goes on from.
#[derive(Clone, Debug)]
pub struct Checkpoint<P> {
    /// What the loop remembers.
    pub progress: P,
    /// As `average::collect` or `collect_trained` gave them.
    pub weights: Vec<Vec<f32>>,
    stamp: usize,
}

fn optimiser_path(folder: &Path, stamp: usize) -> PathBuf {
    folder.join(format!("optimiser-{stamp}.bpk"))
}

impl<P: Serialize + DeserializeOwned> Checkpoint<P> {
    /// Writes the state into `folder`. First the optimiser's state under a name of its own, then the file that names it:
    /// whenever the process dies, the two fit. `stamp` (an epoch or step) must differ from that of the state before.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(
        folder: &Path,
        stamp: usize,
        progress: &P,
        weights: &[Vec<f32>],
        optimiser: &ModuleOptimizer,
    ) -> Result<()> {
        let state = optimiser_path(folder, stamp);
        optimiser.save(&state).map_err(|error| Error::Io {
            message: format!("Cannot write the optimiser's state: {error:?}."),
            path: Some(state.clone()),
        })?;
        let broken = |e: &dyn Display| Error::bug(format!("a checkpoint cannot be written ({e})."));
        let views = weights.iter().enumerate().map(|(index, values)| {
            let view = TensorView::new(Dtype::F32, vec![values.len()], bytemuck::cast_slice(values.as_slice()));
            view.map(|view| (format!("{index:04}"), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| broken(&e))?;
        let json = serde_json::to_string(progress).map_err(|e| broken(&e))?;
        let note = HashMap::from([("progress".to_owned(), json), ("stamp".to_owned(), stamp.to_string())]);
        let bytes = safetensors::serialize(views, Some(note)).map_err(|e| broken(&e))?;
        report::write_file(&folder.join(LAST), |file| file.write_all(&bytes))?;
        remove_others(folder, &state);
        Ok(())
    }

    /// The state in `folder`, or `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Model`] for one that is damaged.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(LAST);
        if !path.is_file() {
            return Ok(None);
        }
        let damaged =
            || Error::model("The state of the run is damaged. Choose another folder, or remove this one.").at(&path);
        let bytes = std::fs::read(&path).map_err(|e| Error::io("Cannot read the state of the run", &path, &e))?;
        let (_, head) = SafeTensors::read_metadata(&bytes).map_err(|_| damaged())?;
        let note = |name: &str| head.metadata().as_ref().and_then(|note| note.get(name)).ok_or_else(damaged);
        let progress = serde_json::from_str(note("progress")?).map_err(|_| damaged())?;
        let stamp = note("stamp")?.parse().map_err(|_| damaged())?;
        let file = SafeTensors::deserialize(&bytes).map_err(|_| damaged())?;
        let mut names = file.names();
        names.sort_unstable();
        let read = |name: &&str| {
            let view = file.tensor(name).ok()?;
            Some(view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let weights = names.iter().map(read).collect::<Option<Vec<Vec<f32>>>>().ok_or_else(damaged)?;
        Ok(Some(Self { progress, weights, stamp }))
    }

    /// `optimiser` with the state that belongs to this checkpoint of `folder`.
    ///
    /// # Errors
    /// [`Error::Model`] naming the file.
    pub fn optimiser(&self, folder: &Path, optimiser: ModuleOptimizer) -> Result<ModuleOptimizer> {
        let state = optimiser_path(folder, self.stamp);
        optimiser
            .load(&state)
            .map_err(|e| Error::model(format!("The optimiser's state cannot be read: {e:?}.")).at(&state))
    }
}

/// Optimisers' states of former checkpoints. What cannot be removed is only in the way of the disk.
fn remove_others(folder: &Path, keep: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("optimiser-") && name.ends_with(".bpk") && entry.path() != keep {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A model folder that appears whole: `write` fills a folder beside `whole`, then the two are swapped.
///
/// # Errors
/// Those of `write`; [`Error::Io`] naming the folder.
pub fn write_folder(whole: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let (part, old) = (whole.with_extension("part"), whole.with_extension("old"));
    let failed = |e: std::io::Error| Error::io("Cannot write the model", whole, &e);
    let clear = |folder: &Path| if folder.exists() { std::fs::remove_dir_all(folder) } else { Ok(()) };
    clear(&part).and_then(|()| clear(&old)).map_err(failed)?;
    // The part is soon renamed, so an error names what it would have been.
    write(&part).map_err(|error| renamed(error, &part, whole))?;
    if whole.exists() {
        std::fs::rename(whole, &old).map_err(failed)?;
    }
    std::fs::rename(&part, whole).and_then(|()| clear(&old)).map_err(failed)
}

fn renamed(mut error: Error, part: &Path, whole: &Path) -> Error {
    if let Error::Io { path: Some(path), .. } = &mut error
        && let Ok(below) = path.strip_prefix(part)
    {
        *path = whole.join(below);
    }
    error
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::train::step::adamw;

    #[test]
    fn the_newest_state_is_found_and_the_former_one_gone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Checkpoint::<String>::open(dir.path()).unwrap().is_none());
        for stamp in [100, 200] {
            let weights = vec![vec![stamp as f32, 0.1], vec![]];
            Checkpoint::save(dir.path(), stamp, &format!("step {stamp}"), &weights, &adamw()).unwrap();
        }
        let found = Checkpoint::<String>::open(dir.path()).unwrap().unwrap();
        assert_eq!((found.progress.as_str(), found.stamp), ("step 200", 200));
        assert_eq!(found.weights, [vec![200.0, 0.1], vec![]]);
        found.optimiser(dir.path(), adamw()).unwrap();
        assert!(!optimiser_path(dir.path(), 100).exists() && optimiser_path(dir.path(), 200).exists());
        std::fs::write(dir.path().join(LAST), b"half").unwrap();
        assert!(Checkpoint::<String>::open(dir.path()).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn a_folder_that_fails_half_way_leaves_the_former_one() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("best_model");
        let fill = |text: &'static str| {
            move |folder: &Path| {
                std::fs::create_dir(folder).unwrap();
                std::fs::write(folder.join("a"), text).unwrap();
                Ok(())
            }
        };
        write_folder(&whole, fill("old")).unwrap();
        let failed = write_folder(&whole, |folder| {
            std::fs::create_dir(folder).unwrap();
            Err(Error::input("no"))
        });
        assert!(failed.is_err() && std::fs::read_to_string(whole.join("a")).unwrap() == "old");
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failed = write_folder(&whole, |folder| Err(Error::io("Cannot write", folder.join("a"), &full)));
        assert!(failed.unwrap_err().to_string().ends_with(&format!("[{}]", whole.join("a").display())));
        write_folder(&whole, fill("new")).unwrap();
        assert_eq!(std::fs::read_to_string(whole.join("a")).unwrap(), "new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
