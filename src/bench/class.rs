//! One class in the making: photos come back from several threads in any order and are taken in in the order of the
//! folder, so that a run repeated gives the same bits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use image::GrayImage;

use super::protocol::{Protocol, ScoredMap};
use super::results::{ClassFigures, ClassResult, FailedFile, FigureSet, ScoredPhoto, TypeFigures, WorstPhoto};
use crate::dataset::mask::read_mask;
use crate::dataset::mvtec::{MvtecClass, TestPhoto};
use crate::engine::View;
use crate::metrics::{Curves, Figures, PixelPool, Ranking, measure};
use crate::photo::Photo;
use crate::report::{self, ColourMap, ModelIdentity, PhotoResult, WorstPictures, unique_stems};
use crate::{Error, Recipe, Result};

/// Photos of each kind that a class shows as its worst.
const WORST: usize = 6;

/// What a worker thread made of one photo.
pub struct Measured {
    score: f32,
    /// From the file to the map in milliseconds; `None` where the features came from the cache.
    ms: Option<f64>,
    /// Where masks say which pixels are defective: the map and its mask, `None` for all normal.
    pixels: Option<(ScoredMap, Option<GrayImage>)>,
    /// Made only for photos that might be among the worst.
    pictures: Option<WorstPictures>,
}

/// A photo that cannot be measured fails alone; a file that cannot be written ends the run.
pub enum Trouble {
    Photo(Error),
    Output(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Photo(error)
    }
}

/// A photo that was taken in.
pub enum Through {
    /// With its score; the number counts the photos through so far.
    Measured(ScoredPhoto, usize),
    Failed(FailedFile),
}

/// The mask of a photo of this size.
fn fitting_mask(path: &Path, photo: &Path, (width, height): (u32, u32)) -> Result<GrayImage> {
    let mask = read_mask(path)?;
    if mask.dimensions() == (width, height) {
        return Ok(mask);
    }
    Err(Error::input(format!(
        "The mask has {} × {} pixels, its photo {} has {width} × {height}. Both must have the same size.",
        mask.width(),
        mask.height(),
        photo.display()
    ))
    .at(path))
}

/// Scores of the worst photos so far, shared with the worker threads.
#[derive(Default)]
pub struct Bar {
    normal: Vec<f32>,
    anomalous: Vec<f32>,
}

/// What stays the same for all photos of a class.
pub struct Frame<'a> {
    pub class: &'a MvtecClass,
    pub protocol: Protocol,
    /// The class has masks, so pixels are measured.
    pub masks: bool,
    /// Stem of each test photo, unique within its folder.
    stems: Vec<String>,
    bar: Mutex<Bar>,
}

impl<'a> Frame<'a> {
    pub fn new(class: &'a MvtecClass, protocol: Protocol) -> Self {
        let masks = class.test.iter().any(|photo| photo.mask.is_some());
        let stems = class
            .test
            .chunk_by(|a, b| a.kind == b.kind)
            .flat_map(|kind| unique_stems(&kind.iter().map(|photo| photo.path.clone()).collect::<Vec<_>>()))
            .collect();
        Self { class, protocol, masks, stems, bar: Mutex::default() }
    }

    /// Map, mask and pictures of one judged photo; the map is written into `maps`, if that is given, as measured.
    pub fn measure(&self, index: usize, view: &View, maps: Option<&Path>) -> std::result::Result<Measured, Trouble> {
        let photo = &self.class.test[index];
        let inspection = &view.inspection;
        let score = inspection.image_score;
        if !score.is_finite() {
            let message = format!("The image score is {score}, no finite number.");
            return Err(Trouble::Photo(Error::input(message).at(&photo.path)));
        }
        let size = (inspection.photo.width, inspection.photo.height);
        let mask = photo.mask.as_ref().map(|path| fitting_mask(path, &photo.path, size)).transpose()?;
        let map = self.protocol.map(view);
        if let Some(folder) = maps {
            let folder = folder.join(&photo.kind);
            let shape = [u64::from(map.height), u64::from(map.width)];
            report::create_folder(&folder)
                .and_then(|()| {
                    report::write_npy(&folder.join(format!("{}_map.npy", self.stems[index])), &shape, &map.scores)
                })
                .map_err(Trouble::Output)?;
        }
        let pictures = if self.might_be_worst(photo, score) {
            let opened = Photo::open(&photo.path)?;
            let result = PhotoResult::new(&opened.pixels, view);
            Some(WorstPictures::new(result, mask.as_ref(), ColourMap::default())?)
        } else {
            None
        };
        // The pixels of an anomalous photo without a mask are unknown.
        let known = self.masks && (mask.is_some() || !photo.anomalous());
        let timings = inspection.timings_ms;
        let total = timings.decode + timings.features + timings.maps + timings.judge;
        Ok(Measured {
            score,
            ms: (timings.features > 0.0).then_some(f64::from(total)),
            pixels: known.then(|| (map, mask.map(|mask| self.protocol.mask(mask)))),
            pictures,
        })
    }

    /// Whether fewer than [`WORST`] photos are known to be worse. Photos that come out of order only make more of them.
    fn might_be_worst(&self, photo: &TestPhoto, score: f32) -> bool {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let (scores, badness) = if photo.anomalous() { (&mut bar.anomalous, -score) } else { (&mut bar.normal, score) };
        let place = scores.partition_point(|other| *other >= badness);
        scores.insert(place, badness);
        scores.truncate(WORST);
        place < WORST
    }
}

/// Takes in the photos of a class in their order.
pub struct Collector<'a> {
    frame: &'a Frame<'a>,
    pool: PixelPool,
    waiting: BTreeMap<usize, Result<Measured>>,
    next: usize,
    photos: Vec<ScoredPhoto>,
    ms: Vec<f64>,
    worst_normal: Vec<WorstPhoto>,
    worst_anomalous: Vec<WorstPhoto>,
    failures: Vec<FailedFile>,
}

impl<'a> Collector<'a> {
    pub fn new(frame: &'a Frame<'a>) -> Self {
        Self {
            frame,
            pool: PixelPool::default(),
            waiting: BTreeMap::new(),
            next: 0,
            photos: Vec::new(),
            ms: Vec::new(),
            worst_normal: Vec::new(),
            worst_anomalous: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Test photos of the class.
    pub fn total(&self) -> usize {
        self.frame.class.test.len()
    }

    /// The photo at `index` is through. Gives every photo whose turn it is now.
    pub fn put(&mut self, index: usize, outcome: Result<Measured>) -> Vec<Through> {
        self.waiting.insert(index, outcome);
        let mut through = Vec::new();
        while let Some(outcome) = self.waiting.remove(&self.next) {
            let photo = &self.frame.class.test[self.next];
            self.next += 1;
            through.push(match outcome.and_then(|measured| self.take(photo, measured)) {
                Ok(scored) => Through::Measured(scored, self.next),
                Err(error) => Through::Failed(self.fail(photo.path.clone(), &error)),
            });
        }
        through
    }

    /// A file could not be used.
    pub fn fail(&mut self, path: PathBuf, error: &Error) -> FailedFile {
        let failed = FailedFile { path, error: error.to_string() };
        self.failures.push(failed.clone());
        failed
    }

    fn take(&mut self, photo: &TestPhoto, measured: Measured) -> Result<ScoredPhoto> {
        let Measured { score, ms, pixels, pictures } = measured;
        if let Some((map, mask)) = pixels {
            self.pool.add(&map.scores, map.width, map.height, mask.as_ref()).map_err(|e| e.at(&photo.path))?;
        }
        self.ms.extend(ms);
        let scored = ScoredPhoto { path: photo.path.clone(), kind: photo.kind.clone(), score };
        if let Some(WorstPictures { photo: picture, heatmap }) = pictures {
            let worst = WorstPhoto { photo: scored.clone(), picture, heatmap };
            let (list, sign) =
                if photo.anomalous() { (&mut self.worst_anomalous, -1.0) } else { (&mut self.worst_normal, 1.0) };
            list.push(worst);
            list.sort_by(|a, b| (sign * b.photo.score).total_cmp(&(sign * a.photo.score)));
            list.truncate(WORST);
        }
        self.photos.push(scored.clone());
        Ok(scored)
    }

    /// The figures of the class. `models` are the model and, where it is another one, the memory's. The failures come from everywhere, in the order of their paths.
    pub fn finish(
        mut self,
        fingerprint: String,
        recipe: Recipe,
        models: Vec<ModelIdentity>,
        device: String,
        unusable: usize,
    ) -> ClassResult {
        let scores = || self.photos.iter().map(|photo| (f64::from(photo.score), photo.anomalous()));
        let (image, image_curves) = measure(&Ranking::labelled(scores()));
        let mut kinds: Vec<&str> =
            self.photos.iter().filter(|photo| photo.anomalous()).map(|photo| photo.kind.as_str()).collect();
        kinds.dedup();
        let types = kinds
            .into_iter()
            .map(|kind| {
                let of_kind = self.photos.iter().filter(|photo| photo.kind == kind || !photo.anomalous());
                let entries = of_kind.map(|photo| (f64::from(photo.score), photo.anomalous()));
                let ranking = Ranking::labelled(entries);
                let (figures, _) = measure(&ranking);
                TypeFigures {
                    name: kind.to_owned(),
                    n: ranking.anomalies() as usize,
                    image_auroc: figures.auroc,
                    image_ap: figures.ap,
                }
            })
            .collect();
        let ranking = std::mem::take(&mut self.pool).ranking();
        let (pixel, pixel_curves): (Figures, Curves) = measure(&ranking);
        self.failures.sort_by(|a, b| a.path.cmp(&b.path));
        let figures = ClassFigures {
            name: self.frame.class.name.clone(),
            figures: FigureSet {
                image_auroc: image.auroc,
                image_ap: image.ap,
                image_f1_max: image.f1_max.map(|best| best.value),
                pixel_auroc: pixel.auroc,
                pixel_ap: pixel.ap,
                pixel_f1_max: pixel.f1_max.map(|best| best.value),
                aupro: pixel.aupro,
                ms_per_image: (!self.ms.is_empty()).then(|| self.ms.iter().sum::<f64>() / self.ms.len() as f64),
            },
            n_test: self.photos.len(),
            n_anomalous: self.photos.iter().filter(|photo| photo.anomalous()).count(),
            n_references: recipe.references.len() - unusable,
            n_regions: ranking.parts(),
            image_f1_threshold: image.f1_max.map(|best| best.threshold),
            pixel_f1_threshold: pixel.f1_max.map(|best| best.threshold),
            types,
        };
        let mut models = models.into_iter();
        ClassResult {
            fingerprint,
            figures,
            image_curves,
            pixel_curves,
            model: models.next().unwrap_or_default(),
            memory_model: models.next(),
            device,
            recipe,
            photos: self.photos,
            worst_normal: self.worst_normal,
            worst_anomalous: self.worst_anomalous,
            failures: self.failures,
        }
    }
}
