//! Made-up results that the tests of reports share.

use std::path::PathBuf;
use std::sync::Arc;

use crate::anomaly::calibrate::ThresholdSource;
use crate::anomaly::evidence::Timings;
use crate::anomaly::{AnomalyMap, Calibration, Inspection, PhotoFacts, Region, Severity, Verdict};
use crate::photo::{Quality, QualityLimits};

/// A defective ring with two regions, in a photo of this size.
pub fn inspection(width: u32, height: u32) -> Inspection {
    let region = |x: u32, y: u32, w: u32, h: u32, area, confidence, location: &str, shape: &str, severity| Region {
        x: (x * width / 640).min(width - 1),
        y: (y * height / 480).min(height - 1),
        width: (w * width / 640).max(1),
        height: (h * height / 480).max(1),
        area,
        peak: confidence * 9.0,
        mean: confidence * 6.0,
        confidence,
        location: location.to_owned(),
        description: format!("{shape}, unlike any reference photo"),
        severity,
    };
    let quality =
        Quality { blur_score: 210.0, brightness_score: 128.0, contrast: 40.0, black_share: 0.0, white_share: 0.01 };
    Inspection {
        photo: Arc::new(PhotoFacts {
            path: PathBuf::from("line 3/ring 07.png"),
            sha256: "0123456789abcdef".repeat(4),
            width,
            height,
            quality,
            warnings: Vec::new(),
        }),
        image_score: 6.21,
        normalised_score: 0.83,
        image_threshold: 4.10,
        p_value: Some(1.0 / 17.0),
        verdict: Verdict::Ng,
        reason: "Score 6.21 is above 4.10, the threshold from 16 reference photos.".to_owned(),
        quality: QualityLimits::default().judge(640, 480, &quality),
        regions: vec![
            region(64, 48, 128, 32, 1300, 0.91, "upper left", "thin mark", Severity::High),
            region(320, 384, 40, 40, 900, 0.62, "lower centre", "small spot", Severity::Low),
        ],
        timings_ms: Timings::default(),
    }
}

/// Threshold 4.5, typical pixel 0.
pub fn calibration() -> Calibration {
    Calibration {
        text: None,
        memory: None,
        normal_scores: Vec::new(),
        image_median: 2.0,
        image_threshold: 4.10,
        pixel_median: 0.0,
        pixel_threshold: 4.5,
        calibrated: (4.10, 4.5),
        source: ThresholdSource::Default,
    }
}

/// A map that is 0 except for single hot pixels of twice the threshold; the photo has the map's size.
pub fn map(width: usize, height: usize, hot: &[(usize, usize)]) -> AnomalyMap {
    let mut scores = vec![0.0; width * height];
    for &(x, y) in hot {
        scores[y * width + x] = 9.0;
    }
    AnomalyMap { width, height, photo_width: width as u32, photo_height: height as u32, scores }
}
