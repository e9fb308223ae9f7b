//! Writing results from the window: the same files as the command line's, made by the same functions, on a thread of
//! their own with progress. One photo that fails does not stop the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::port::EnginePort;
use crate::engine::PhotoId;
use crate::photo::Photo;
use crate::report::{PhotoResult, ReportOptions, Run, RunPhoto, Thumbnails, unique_stems, utc, write_photo, write_run};
use crate::{Error, Recipe, Result};

/// What to write, and where.
pub struct ExportJob {
    pub folder: PathBuf,
    /// The photos, in the order of the tables.
    pub photos: Vec<(PhotoId, PathBuf)>,
    /// Photos that could not be inspected, for the tables.
    pub failures: Vec<(PathBuf, Error)>,
    /// Also write the tables and the HTML report of the run.
    pub tables: bool,
    pub recipe: Recipe,
    pub options: ReportOptions,
    pub port: Arc<dyn EnginePort>,
}

/// What became of an export.
#[derive(Clone, Debug)]
pub struct Exported {
    pub folder: PathBuf,
    /// Photos whose files were written.
    pub photos: usize,
    /// Photos left out, and why.
    pub failures: Vec<(PathBuf, Error)>,
    pub stopped: bool,
}

/// Writes everything; `progress` gets photos done and in all.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be written; a photo that fails is in [`Exported::failures`] instead.
pub fn run(job: &ExportJob, stop: &AtomicBool, progress: impl Fn(usize, usize)) -> Result<Exported> {
    let paths: Vec<PathBuf> = job.photos.iter().map(|(_, path)| path.clone()).collect();
    let total = paths.len();
    let mut run = Run {
        created: utc(std::time::SystemTime::now()),
        recipe: job.recipe.clone(),
        model: job.options.model.clone(),
        memory_model: job.options.memory_model.clone(),
        device: job.options.device.clone(),
        photos: Vec::new(),
        failures: job.failures.clone(),
        cancelled: false,
    };
    for (done, ((id, path), stem)) in job.photos.iter().zip(unique_stems(&paths)).enumerate() {
        progress(done, total);
        if stop.load(Ordering::Relaxed) {
            run.cancelled = true;
            break;
        }
        match export_photo(job, *id, path, &stem) {
            Ok(photo) => run.photos.push(photo),
            // A full or forbidden folder fails every photo alike, so say it once and stop.
            Err(error @ Error::Io { .. }) if !path.exists() || run.photos.is_empty() && path.is_file() => {
                if path.is_file() {
                    return Err(error);
                }
                run.failures.push((path.clone(), error));
            }
            Err(error) => run.failures.push((path.clone(), error)),
        }
    }
    if job.tables {
        write_run(&job.folder, &run)?;
    }
    progress(total, total);
    Ok(Exported {
        folder: job.folder.clone(),
        photos: run.photos.len(),
        failures: run.failures,
        stopped: run.cancelled,
    })
}

fn export_photo(job: &ExportJob, id: PhotoId, path: &Path, stem: &str) -> Result<RunPhoto> {
    let view = job
        .port
        .judged(id)
        .ok_or_else(|| Error::input("The photo has not been inspected yet. Export again when it has.").at(path))?;
    let photo = Photo::open(path)?;
    let result = PhotoResult {
        photo: &photo.pixels,
        inspection: &view.inspection,
        map: &view.map,
        calibration: &view.calibration,
        recipe: &view.recipe,
        explanation: None,
    };
    write_photo(&job.folder, stem, result, &job.options)?;
    let thumbnails = if job.tables { Thumbnails::new(result, job.options.colours)? } else { Thumbnails::default() };
    Ok(RunPhoto { stem: stem.to_owned(), inspection: view.inspection, thumbnails })
}
