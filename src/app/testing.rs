//! Stand-ins for tests: outcomes made by hand, and an engine that records what it is asked. Not part of the program.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::port::EnginePort;
use crate::Recipe;
use crate::anomaly::calibrate::ThresholdSource;
use crate::anomaly::{
    AnomalyMap, Calibration, Component, Evidence, Inspection, NearestPatch, PhotoFacts, Region, Severity, Verdict,
};
use crate::engine::lab::Work;
use crate::engine::{JobId, PhotoId, Request, View};
use crate::photo::{Quality, QualityLimits};

/// A photo without fault.
const QUALITY: Quality =
    Quality { blur_score: 240.0, brightness_score: 120.0, contrast: 30.0, black_share: 0.0, white_share: 0.0 };

/// Facts of a photo of 640 × 480.
fn facts(name: &str) -> Arc<PhotoFacts> {
    Arc::new(PhotoFacts {
        path: name.into(),
        sha256: "0123456789abcdef0123456789abcdef".into(),
        width: 640,
        height: 480,
        quality: QUALITY,
        warnings: Vec::new(),
    })
}

/// Thresholds: 5 for photos, 4 for pixels.
pub fn calibration() -> Calibration {
    Calibration {
        text: None,
        memory: None,
        normal_scores: vec![1.0, 2.0, 2.5],
        image_median: 2.0,
        image_threshold: 5.0,
        pixel_median: 0.0,
        pixel_threshold: 4.0,
        calibrated: (5.0, 4.0),
        source: ThresholdSource::References(3),
    }
}

/// An outcome with one region if it is NG.
pub fn inspection(name: &str, score: f32, verdict: Verdict) -> Inspection {
    let region = Region {
        x: 400,
        y: 100,
        width: 80,
        height: 60,
        area: 3600,
        peak: 6.0,
        mean: 5.0,
        confidence: 0.75,
        location: "upper right".into(),
        description: "unlike every reference".into(),
        severity: Severity::Medium,
    };
    Inspection {
        photo: facts(name),
        image_score: score,
        normalised_score: calibration().normalise_image(score),
        image_threshold: 5.0,
        p_value: Some(0.25),
        verdict,
        reason: format!("Score {score:.2} against the threshold 5.00."),
        quality: QualityLimits::default().judge(640, 480, &QUALITY),
        regions: if verdict == Verdict::Ng { vec![region] } else { Vec::new() },
        timings_ms: crate::anomaly::evidence::Timings::default(),
    }
}

/// What the engine sends for a photo on view: NG, with a spot at the upper right.
pub fn view(id: PhotoId, recipe: &Recipe) -> View {
    let (rows, cols) = (12, 16);
    let values = |spot: f32| -> Vec<f32> {
        (0..rows * cols)
            .map(|patch| {
                let (dy, dx) = ((patch / cols) as f32 - 3.0, (patch % cols) as f32 - 11.0);
                0.1 + spot * (-(dx * dx + dy * dy) / 3.0).exp()
            })
            .collect()
    };
    let component = |values| Component { values, median: 0.1, spread: 0.1 };
    let inspection = Arc::new(inspection("part.png", 7.0, Verdict::Ng));
    let evidence = Evidence {
        photo: inspection.photo.clone(),
        rows,
        cols,
        patch_px: 16,
        text: Some(component(values(0.6))),
        text_image: Some(0.6),
        memory: (!recipe.references.is_empty()).then(|| component(values(1.0))),
        nearest: if recipe.references.is_empty() {
            Vec::new()
        } else {
            vec![NearestPatch { reference: 0, row: 2, col: 3 }; rows * cols]
        },
        memory_grid: (rows, cols),
        foreground: vec![true; rows * cols],
        timings_ms: inspection.timings_ms,
    };
    let map = AnomalyMap {
        width: cols,
        height: rows,
        photo_width: 640,
        photo_height: 480,
        scores: values(1.0).iter().map(|v| (v - 0.1) * 7.0).collect(),
    };
    View {
        id,
        recipe: Arc::new(recipe.clone()),
        inspection,
        map: Arc::new(map),
        evidence: Arc::new(evidence),
        calibration: Arc::new(calibration()),
    }
}

/// Writes a grey picture with a bright spot; returns its path.
pub fn photo(dir: &Path, name: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    let picture = image::RgbImage::from_fn(640, 480, |x, y| {
        let spot = (x.abs_diff(440) < 30 && y.abs_diff(130) < 20) as u8;
        image::Rgb([90 + 100 * spot, 96 + 60 * spot, 100])
    });
    picture.save(&path).expect("a picture can be written to a temporary folder");
    path
}

/// An engine that does nothing but remember.
#[derive(Default)]
pub struct FakeEngine {
    inner: Mutex<Asked>,
}

/// What a [`FakeEngine`] was asked.
#[derive(Default)]
pub struct Asked {
    pub requests: Vec<Request>,
    pub recipes: Vec<Recipe>,
    pub views: Vec<Option<PhotoId>>,
    /// Work over networks, which is never done.
    pub labs: Vec<(JobId, Work)>,
}

impl FakeEngine {
    /// Looks at what was asked so far.
    pub fn asked<T>(&self, look: impl FnOnce(&Asked) -> T) -> T {
        look(&self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, note: impl FnOnce(&mut Asked)) {
        note(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl EnginePort for FakeEngine {
    fn send(&self, request: Request) {
        self.note(|asked| asked.requests.push(request));
    }

    fn set_recipe(&self, recipe: Recipe) {
        self.note(|asked| asked.recipes.push(recipe));
    }

    fn view(&self, photo: Option<PhotoId>) {
        self.note(|asked| asked.views.push(photo));
    }

    fn queue_lab(&self, job: JobId, work: Work) {
        self.note(|asked| asked.labs.push((job, work)));
    }

    fn judged(&self, photo: PhotoId) -> Option<View> {
        Some(view(photo, &Recipe::default()))
    }
}
