//! The cheap half: evidence and recipe in, verdict and map out, without a network. Everything here is a pure function,
//! run again for every step of a slider; a 1024² photo takes a few milliseconds on two cores.

use std::time::Instant;

use super::calibrate::{Calibration, Scale, ThresholdSource};
use super::description::describe;
use super::evidence::{Component, Evidence};
use super::inspection::{Inspection, Verdict};
use super::map::{AnomalyMap, upsample};
use super::region::find_regions;
use crate::gpu::kernels::fuse_maps::{self, Term};
use crate::gpu::kernels::smooth_map;
use crate::recipe::{ImageScore, Recipe};

/// The outcome for one photo and the map it rests on.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What is shown, exported and kept.
    pub inspection: Inspection,
    /// Raw scores at the network's input resolution.
    pub map: AnomalyMap,
}

/// Judges one photo.
pub fn judge(evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> Judgement {
    let start = Instant::now();
    let score = image_score(&fuse_grid(evidence, recipe, calibration), evidence, recipe, calibration);
    let map = anomaly_map(evidence, recipe, calibration);
    let normalised = calibration.normalise_image(score);
    let (verdict, reason) = decide(score, normalised, recipe, calibration);
    let floor = region_threshold(&map, calibration, verdict != Verdict::Ok);
    let mut regions =
        find_regions(&map, floor, recipe.top_k, recipe.min_area_px, |raw| calibration.normalise_pixel(raw));
    for region in &mut regions {
        region.description = describe(region, evidence, recipe, calibration);
    }
    let mut timings_ms = evidence.timings_ms;
    let photo = &evidence.photo;
    let quality = recipe.quality.judge(photo.width, photo.height, &photo.quality);
    timings_ms.judge = start.elapsed().as_secs_f32() * 1e3;
    Judgement {
        inspection: Inspection {
            photo: photo.clone(),
            image_score: score,
            normalised_score: normalised,
            image_threshold: calibration.image_threshold,
            p_value: calibration.p_value(score),
            verdict,
            reason,
            quality,
            regions,
            timings_ms,
        },
        map,
    }
}

/// The raw score at which regions and mask are cut: the pixel threshold. Where no pixel reaches it although the photo
/// `deviates` as a whole, a little below the highest, so that it shows where the patches lie that decided.
pub fn region_threshold(map: &AnomalyMap, calibration: &Calibration, deviates: bool) -> f32 {
    let highest = map.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if highest >= calibration.pixel_threshold || !deviates { calibration.pixel_threshold } else { 0.9 * highest }
}

/// The fused, smoothed scores on the patch grid, `[rows * cols]`: what the image score is taken from.
pub fn fuse_grid(evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> Vec<f32> {
    let fused = fused(evidence, recipe, calibration);
    smooth_map::on_cpu(&fused, evidence.rows, evidence.cols, recipe.sigma_px / evidence.patch_px as f32)
}

/// The score of the whole photo, see [`ImageScore`]: by patches the mean of the highest `top_fraction` of the foreground
/// in the fused `grid`, at least one (AnomalyDINO's mean of the top 1 %).
pub fn image_score(grid: &[f32], evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> f32 {
    if recipe.image_score == ImageScore::Whole {
        return whole_score(evidence, recipe, calibration);
    }
    let mut scores: Vec<f32> =
        grid.iter().zip(&evidence.foreground).filter(|(_, part)| **part).map(|(score, _)| *score).collect();
    if scores.is_empty() {
        return 0.0;
    }
    let count = ((scores.len() as f32 * recipe.top_fraction) as usize).clamp(1, scores.len());
    scores.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    scores[..count].iter().sum::<f32>() / count as f32
}

/// What the words say of the photo as a whole and the most deviating foreground patch of the memory map, as the map is
/// fused.
fn whole_score(evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> f32 {
    let highest = |component: &Component| {
        let inside = component.values.iter().zip(&evidence.foreground).filter(|(_, part)| **part);
        inside.map(|(value, _)| *value).fold(component.median, f32::max)
    };
    let scaled = |value: f32, term: Term| term.weight * (value - term.median) / term.scale;
    let [text, memory] = components(evidence, recipe, calibration);
    let text = text.zip(evidence.text_image).map_or(0.0, |((_, term), share)| scaled(share, term));
    text + memory.map_or(0.0, |(component, term)| scaled(highest(component), term))
}

/// The map at the network's input resolution: fused grid → bilinear → Gaussian of `sigma_px`.
pub fn anomaly_map(evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> AnomalyMap {
    let (height, width) = (evidence.rows * evidence.patch_px, evidence.cols * evidence.patch_px);
    let large = upsample(&fused(evidence, recipe, calibration), evidence.rows, evidence.cols, height, width);
    AnomalyMap {
        width,
        height,
        photo_width: evidence.photo.width,
        photo_height: evidence.photo.height,
        scores: smooth_map::on_cpu(&large, height, width, recipe.sigma_px),
    }
}

/// Share of each component in the fused score of one patch, for "why?": (text, memory), standardised and weighted;
/// their sum is the patch's score before smoothing. A component that is not there has no share.
pub fn shares(evidence: &Evidence, recipe: &Recipe, calibration: &Calibration, patch: usize) -> (f32, f32) {
    let share = |component: Option<(&Component, Term)>| {
        component.map_or(0.0, |(map, term)| term.weight * (map.values[patch] - term.median) / term.scale)
    };
    let [text, memory] = components(evidence, recipe, calibration);
    (share(text), share(memory))
}

/// Weighted sum of the standardised components; background patches are typical by definition (0).
fn fused(evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> Vec<f32> {
    let (components, terms): (Vec<_>, Vec<_>) = components(evidence, recipe, calibration).into_iter().flatten().unzip();
    let maps: Vec<&[f32]> = components.iter().map(|component| component.values.as_slice()).collect();
    fuse_maps::on_cpu(&maps, &terms, Some(&evidence.foreground), 0.0)
}

/// Text (where a network reads words) and memory (with references), each with its weight and scale.
fn components<'a>(
    evidence: &'a Evidence,
    recipe: &Recipe,
    calibration: &Calibration,
) -> [Option<(&'a Component, Term)>; 2] {
    let (text, memory) = weights(evidence, recipe);
    let with_term = |component: &'a Component, scale: Option<Scale>, weight: f32| {
        let scale = scale.unwrap_or(Scale { median: component.median, spread: component.spread });
        (component, Term { weight, median: scale.median, scale: scale.spread })
    };
    [
        evidence.text.as_ref().map(|component| with_term(component, calibration.text, text)),
        evidence.memory.as_ref().map(|component| with_term(component, calibration.memory, memory)),
    ]
}

/// Weights of text and memory, summing to 1; a component that is the only one stands alone.
fn weights(evidence: &Evidence, recipe: &Recipe) -> (f32, f32) {
    match (&evidence.text, &evidence.memory) {
        (_, None) => (1.0, 0.0),
        (None, Some(_)) => (0.0, 1.0),
        (Some(_), Some(_)) => {
            let sum = recipe.text_weight + recipe.memory_weight;
            (recipe.text_weight / sum, recipe.memory_weight / sum)
        }
    }
}

fn decide(score: f32, normalised: f32, recipe: &Recipe, calibration: &Calibration) -> (Verdict, String) {
    let basis = match calibration.source {
        ThresholdSource::Recipe => "the threshold set in the recipe".to_owned(),
        ThresholdSource::References(1) => {
            "the threshold from a single reference photo (add more to trust it)".to_owned()
        }
        ThresholdSource::References(n) => format!("the threshold from {n} reference photos"),
        ThresholdSource::Batch(n) => format!("the threshold from {n} photos, most of which are taken to be normal"),
        ThresholdSource::Default => "the default threshold (no reference photos given)".to_owned(),
    };
    let threshold = calibration.image_threshold;
    let verdict = if (normalised - 0.5).abs() < recipe.uncertain_band {
        Verdict::Uncertain
    } else if normalised > 0.5 {
        Verdict::Ng
    } else {
        Verdict::Ok
    };
    let reason = match verdict {
        Verdict::Ok => format!("Score {score:.2} is below {threshold:.2}, {basis}."),
        Verdict::Ng => format!("Score {score:.2} is above {threshold:.2}, {basis}."),
        Verdict::Uncertain => format!("Score {score:.2} is too close to {threshold:.2}, {basis}, to decide."),
    };
    (verdict, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::evidence::testing::evidence;

    fn spot() -> Evidence {
        evidence(8, 8, |p| 0.5 + 0.01 * (p % 3) as f32, |p| if p == 27 { 8.0 } else { 1.0 + 0.1 * (p % 4) as f32 })
    }

    fn recipe() -> Recipe {
        Recipe { sigma_px: 0.0, ..Recipe::default() }
    }

    #[test]
    fn a_deviating_patch_is_found_where_it_is() {
        let recipe = recipe();
        let judgement = judge(&spot(), &recipe, &Calibration::new(&[], &recipe));
        assert_eq!(judgement.inspection.verdict, Verdict::Ng);
        let region = &judgement.inspection.regions[0];
        // Patch 27 is row 3, column 3 of patches of 10 photo pixels; bilinear interpolation widens it by up to half a patch.
        let (cx, cy) = (region.x + region.width / 2, region.y + region.height / 2);
        assert!((30..=40).contains(&cx) && (30..=40).contains(&cy), "{region:?}");
        assert!(region.confidence > 0.5 && !region.description.is_empty());
    }

    #[test]
    fn weights_decide_which_component_counts() {
        let evidence = spot();
        let score = |text: f32, memory: f32| {
            let recipe = Recipe { text_weight: text, memory_weight: memory, ..recipe() };
            judge(&evidence, &recipe, &Calibration::new(&[], &recipe)).inspection.image_score
        };
        assert!(score(0.0, 1.0) > score(0.5, 0.5));
        assert!(score(0.5, 0.5) > score(1.0, 0.0));
        assert!((score(3.0, 7.0) - score(0.3, 0.7)).abs() < 1e-4, "only the ratio counts");
    }

    #[test]
    fn the_shares_of_a_patch_add_up_to_its_score() {
        let (evidence, recipe) = (spot(), recipe());
        let calibration = Calibration::new(&[], &recipe);
        let grid = fuse_grid(&evidence, &recipe, &calibration);
        for (patch, score) in grid.iter().enumerate() {
            let (text, memory) = shares(&evidence, &recipe, &calibration, patch);
            assert!((text + memory - score).abs() < 1e-4);
        }
    }

    #[test]
    fn the_whole_photo_can_decide_in_place_of_its_patches() {
        let recipe = Recipe {
            image_score: ImageScore::Whole,
            normalisation: crate::recipe::Normalisation::None,
            text_weight: 0.5,
            memory_weight: 0.5,
            ..recipe()
        };
        let mut evidence = spot();
        evidence.text_image = Some(0.9);
        let score =
            |evidence: &Evidence| judge(evidence, &recipe, &Calibration::new(&[], &recipe)).inspection.image_score;
        assert!((score(&evidence) - (0.5 * 0.9 + 0.5 * 8.0)).abs() < 1e-5);
        evidence.memory = None;
        assert!((score(&evidence) - 0.9).abs() < 1e-6, "the words alone");
    }

    #[test]
    fn without_words_the_memory_stands_alone() {
        let recipe = recipe();
        let mut evidence = spot();
        evidence.text = None;
        let calibration = Calibration::new(&[std::sync::Arc::new(evidence.clone())], &recipe);
        let (text, memory) = shares(&evidence, &recipe, &calibration, 27);
        assert_eq!(text, 0.0);
        assert!((memory - fuse_grid(&evidence, &recipe, &calibration)[27]).abs() < 1e-4 && memory > 1.0);
    }

    #[test]
    fn background_never_decides() {
        let mut evidence = spot();
        evidence.foreground[27] = false;
        let recipe = recipe();
        let judgement = judge(&evidence, &recipe, &Calibration::new(&[], &recipe));
        assert_eq!(judgement.inspection.verdict, Verdict::Ok);
    }

    #[test]
    fn close_to_the_threshold_is_uncertain() {
        let evidence = spot();
        let score = judge(&evidence, &recipe(), &Calibration::new(&[], &recipe())).inspection.image_score;
        let recipe = Recipe { image_threshold: Some(score), ..recipe() };
        let inspection = judge(&evidence, &recipe, &Calibration::new(&[], &recipe)).inspection;
        assert_eq!((inspection.verdict, inspection.normalised_score), (Verdict::Uncertain, 0.5));
    }

    #[test]
    fn an_anomalous_photo_always_shows_where() {
        let recipe = Recipe { pixel_threshold: Some(1e6), ..recipe() };
        let judgement = judge(&spot(), &recipe, &Calibration::new(&[], &recipe));
        assert_eq!(judgement.inspection.verdict, Verdict::Ng);
        assert!(!judgement.inspection.regions.is_empty());
    }
}
