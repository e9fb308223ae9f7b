//! Thresholds and scale from normal photos alone: each reference is judged against the others (leave one out), and the
//! most deviating of them marks what a normal part may look like. Without references, fixed defaults stand in, and the
//! calibration says so.

use super::evidence::Evidence;
use super::judge::{fuse_grid, image_score};
use super::prompt::median_and_spread;
use crate::recipe::{Comparison, Normalisation, Recipe};

/// Scale of the text map for photos judged without references: undecided between the phrases is 0, a share of 0.1 is 1.
/// Standardising by the photo itself would hide what covers much of it: on procedural parts that drops the image AUROC
/// of the embedded model from 0.81 to 0.59.
const ZERO_SHOT_TEXT: Scale = Scale { median: 0.5, spread: 0.1 };
/// Image score from which a photo without references is called anomalous, on that scale: the 90th percentile of normal
/// procedural parts (`hairline synth --seed 777 --classes 40 --good 5`) under the embedded model. Another model needs its
/// own.
const ZERO_SHOT_THRESHOLD: f32 = 2.9;
/// Image score of a typical normal photo without references, from the same photos.
const ZERO_SHOT_MEDIAN: f32 = 0.3;
/// Where shares of the words are taken as they are (WinCLIP), 0.5 is undecided.
const RAW_THRESHOLD: f32 = 0.5;
/// Share of a typical normal photo there.
const RAW_MEDIAN: f32 = 0.25;
/// Robust standard deviations above the median from which a photo of a batch is anomalous.
const BATCH_DEVIATIONS: f32 = 3.0;
/// Image threshold where every photo is standardised by itself, in its own robust standard deviations.
const OWN_SCALE_THRESHOLD: f32 = 5.0;
/// Where a typical normal photo lies on its own scale.
const OWN_SCALE_MEDIAN: f32 = 2.5;

/// Centre and spread by which component maps are standardised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Median.
    pub median: f32,
    /// 1.4826 · median absolute deviation, > 0.
    pub spread: f32,
}

/// Thresholds and scale in force for one recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Scale of the text component; `None` standardises by the photo itself.
    pub text: Option<Scale>,
    /// Scale of the memory component; `None` standardises by the photo itself.
    pub memory: Option<Scale>,
    /// Image scores of the left-out references, ascending; empty without references.
    pub normal_scores: Vec<f32>,
    /// Raw image score of a typical normal photo.
    pub image_median: f32,
    /// Raw image score at which the verdict turns.
    pub image_threshold: f32,
    /// Raw pixel score of a typical normal pixel.
    pub pixel_median: f32,
    /// Raw pixel score from which a pixel belongs to a region.
    pub pixel_threshold: f32,
    /// The image and the pixel threshold as they would be without the recipe's own.
    pub calibrated: (f32, f32),
    /// Where the image threshold comes from, for reports.
    pub source: ThresholdSource,
}

/// Where the image threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdSource {
    /// The recipe states it.
    Recipe,
    /// The left-out references: their tolerance limit, or the most deviating of them if that is higher.
    References(usize),
    /// The photos of a batch, taken to be mostly normal: three robust standard deviations above their median.
    Batch(usize),
    /// The default for photos without references.
    Default,
}

/// Least spread of the references as a part of their median: photos that hardly differ (one part taken twice) must not
/// turn the noise of the camera into an anomaly.
const LEAST_SPREAD: f32 = 0.05;

/// Upper tolerance limit of normally distributed scores: with 95 % confidence, 95 % of normal parts lie below. Few
/// references leave a wide margin, many a narrow one. Factors for up to five from tables, beyond by Natrella's
/// approximation (NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.6.3).
fn tolerance_limit(scores: &[f32]) -> f32 {
    let n = scores.len() as f32;
    let mean = scores.iter().sum::<f32>() / n;
    let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f32>() / (n - 1.0).max(1.0)).sqrt();
    let factor = match scores.len() {
        0..=2 => 26.26,
        3 => 7.656,
        4 => 5.144,
        5 => 4.203,
        _ => {
            let z = 1.644_85_f32;
            let (a, b) = (1.0 - z * z / (2.0 * (n - 1.0)), z * z - z * z / n);
            (z + (z * z - a * b).sqrt()) / a
        }
    };
    mean + factor * deviation
}

impl Calibration {
    /// Calibrates on `references`: evidence of each reference photo against the others.
    pub fn new(references: &[std::sync::Arc<Evidence>], recipe: &Recipe) -> Self {
        let by_references = recipe.normalisation == Normalisation::References && !references.is_empty();
        let scale = |component: fn(&Evidence) -> Option<&[f32]>| -> Option<Scale> {
            if recipe.normalisation == Normalisation::None {
                return Some(Scale { median: 0.0, spread: 1.0 });
            }
            if !by_references {
                return None;
            }
            let mut pool: Vec<f32> = references
                .iter()
                .filter_map(|e| component(e).map(|values| (e, values)))
                .flat_map(|(e, values)| {
                    values.iter().zip(&e.foreground).filter(|(_, part)| **part).map(|(value, _)| *value)
                })
                .collect();
            (!pool.is_empty()).then(|| {
                let (median, spread) = median_and_spread(&mut pool);
                Scale { median, spread: spread.max(LEAST_SPREAD * median.abs()) }
            })
        };
        let zero_shot = recipe.normalisation == Normalisation::References && references.is_empty();
        let (image_median, image_threshold) = match recipe.normalisation {
            Normalisation::None => (RAW_MEDIAN, RAW_THRESHOLD),
            Normalisation::References if zero_shot => (ZERO_SHOT_MEDIAN, ZERO_SHOT_THRESHOLD),
            Normalisation::References | Normalisation::Photo => (OWN_SCALE_MEDIAN, OWN_SCALE_THRESHOLD),
        };
        let mut calibration = Self {
            text: if zero_shot {
                Some(ZERO_SHOT_TEXT)
            } else {
                scale(|e| e.text.as_ref().map(|t| t.values.as_slice()))
            },
            memory: scale(|e| e.memory.as_ref().map(|m| m.values.as_slice())),
            normal_scores: Vec::new(),
            image_median,
            image_threshold,
            pixel_median: 0.0,
            // The image score is a mean of peaks: a pixel that high lies among them.
            pixel_threshold: 0.9 * image_threshold,
            calibrated: (0.0, 0.0),
            source: ThresholdSource::Default,
        };
        if !references.is_empty() {
            let mut peaks = Vec::with_capacity(references.len());
            for evidence in references {
                let grid = fuse_grid(evidence, recipe, &calibration);
                calibration.normal_scores.push(image_score(&grid, evidence, recipe, &calibration));
                peaks.push(grid.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            }
            calibration.normal_scores.sort_by(f32::total_cmp);
            peaks.sort_by(f32::total_cmp);
            let batch = recipe.comparison == Comparison::Mutual;
            let beyond = |sorted: &[f32]| {
                let (median, last) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
                if batch {
                    let (median, spread) = median_and_spread(&mut sorted.to_vec());
                    return (median, median + BATCH_DEVIATIONS * spread);
                }
                // A single reference, or equal ones, leave no spread to put a margin on: take a part of the score.
                (median, tolerance_limit(sorted).max(last + (0.02 * last.abs()).max(1e-3)))
            };
            (calibration.image_median, calibration.image_threshold) = beyond(&calibration.normal_scores);
            calibration.pixel_threshold = beyond(&peaks).1;
            calibration.source = ThresholdSource::References(references.len());
            if batch {
                calibration.source = ThresholdSource::Batch(references.len());
                // Not those of normal photos alone.
                calibration.normal_scores.clear();
            }
        }
        calibration.calibrated = (calibration.image_threshold, calibration.pixel_threshold);
        if let Some(threshold) = recipe.image_threshold {
            calibration.image_threshold = threshold;
            calibration.source = ThresholdSource::Recipe;
        }
        if let Some(threshold) = recipe.pixel_threshold {
            calibration.pixel_threshold = threshold;
        }
        calibration
    }

    /// Image score → 0–1: a typical normal photo is 0, the threshold 0.5, twice as far 1.
    pub fn normalise_image(&self, raw: f32) -> f32 {
        normalise(raw, self.image_median, self.image_threshold)
    }

    /// Pixel score → 0–1: a typical normal pixel is 0, the threshold 0.5, twice as far 1.
    pub fn normalise_pixel(&self, raw: f32) -> f32 {
        normalise(raw, self.pixel_median, self.pixel_threshold)
    }

    /// Raw pixel scores that are 0 and 0.5 on the normalised scale.
    pub fn pixel_scale(&self) -> (f32, f32) {
        (low_end(self.pixel_median, self.pixel_threshold), self.pixel_threshold)
    }

    /// The raw image score that a normalised one stands for (inverse of [`Self::normalise_image`] inside 0–1).
    pub fn image_score_at(&self, normalised: f32) -> f32 {
        let low = low_end(self.image_median, self.image_threshold);
        low + 2.0 * normalised * (self.image_threshold - low)
    }

    /// Share of normal photos expected to score at least `raw`: (1 + references at least as high) / (1 + references).
    /// `None` without references. (Conformal p-value; Vovk, Gammerman & Shafer 2005.)
    pub fn p_value(&self, raw: f32) -> Option<f32> {
        let n = self.normal_scores.len();
        let higher = n - self.normal_scores.partition_point(|score| *score < raw);
        (n > 0).then(|| (1 + higher) as f32 / (1 + n) as f32)
    }
}

/// The raw score that maps to 0. A threshold set below the normal median would turn the scale round, so the low end
/// moves below the threshold then.
fn low_end(median: f32, threshold: f32) -> f32 {
    if threshold - median > 1e-6 { median } else { threshold - 1.0 }
}

fn normalise(raw: f32, median: f32, threshold: f32) -> f32 {
    let low = low_end(median, threshold);
    (0.5 * (raw - low) / (threshold - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::anomaly::evidence::testing::evidence;

    fn references() -> Vec<Arc<Evidence>> {
        (0..4)
            .map(|i| Arc::new(evidence(4, 4, |p| 0.5 + 0.01 * (p % 5) as f32, |p| 1.0 + 0.1 * ((p + i) % 4) as f32)))
            .collect()
    }

    #[test]
    fn no_left_out_reference_is_beyond_the_threshold_and_a_worse_photo_is() {
        let (references, recipe) = (references(), Recipe::default());
        let calibration = Calibration::new(&references, &recipe);
        assert_eq!(calibration.source, ThresholdSource::References(4));
        for reference in &references {
            let score = image_score(&fuse_grid(reference, &recipe, &calibration), reference, &recipe, &calibration);
            assert!(score < calibration.image_threshold);
        }
        let bad = evidence(4, 4, |p| 0.5 + 0.01 * (p % 5) as f32, |p| if p == 5 { 9.0 } else { 1.0 });
        let score = image_score(&fuse_grid(&bad, &recipe, &calibration), &bad, &recipe, &calibration);
        assert!(score > calibration.image_threshold);
        assert_eq!(calibration.p_value(score), Some(0.2), "higher than all four references: 1 / 5");
        assert_eq!(calibration.p_value(f32::NEG_INFINITY), Some(1.0));
    }

    #[test]
    fn the_threshold_is_half_way_up_the_scale_and_the_scale_can_be_read_back() {
        let calibration = Calibration::new(&references(), &Recipe::default());
        assert_eq!(calibration.normalise_image(calibration.image_threshold), 0.5);
        assert_eq!(calibration.normalise_image(calibration.image_median), 0.0);
        for normalised in [0.0, 0.25, 0.5, 1.0] {
            let raw = calibration.image_score_at(normalised);
            assert!((calibration.normalise_image(raw) - normalised).abs() < 1e-5);
        }
    }

    #[test]
    fn the_tolerance_limit_narrows_with_more_references() {
        // 0 and 1 in turn: mean 0.5; tabled factors for n = 8 and 20 are 3.187 and 2.396 (ISO 16269-6).
        for (n, factor) in [(8usize, 3.187), (20, 2.396)] {
            let scores: Vec<f32> = (0..n).map(|i| (i % 2) as f32).collect();
            let deviation = (0.25 * n as f32 / (n - 1) as f32).sqrt();
            let limit = tolerance_limit(&scores);
            assert!((limit - (0.5 + factor * deviation)).abs() < 0.03, "{n}: {limit}");
        }
    }

    #[test]
    fn a_threshold_in_the_recipe_wins_even_below_the_median() {
        let recipe = Recipe { image_threshold: Some(-3.0), pixel_threshold: Some(-2.0), ..Recipe::default() };
        let calibration = Calibration::new(&references(), &recipe);
        assert_eq!(calibration.source, ThresholdSource::Recipe);
        assert_eq!(calibration.normalise_image(-3.0), 0.5);
        assert!(calibration.normalise_image(-2.9) > 0.5, "higher is still worse");
        assert!(calibration.normalise_pixel(-2.1) < 0.5);
        let without = Calibration::new(&references(), &Recipe::default());
        assert_eq!(calibration.calibrated, (without.image_threshold, without.pixel_threshold));
    }

    #[test]
    fn without_references_the_defaults_stand_and_there_is_no_p_value() {
        let calibration = Calibration::new(&[], &Recipe::default());
        assert_eq!(calibration.source, ThresholdSource::Default);
        assert_eq!(calibration.p_value(1.0), None);
    }
}
