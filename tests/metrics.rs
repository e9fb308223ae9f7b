//! Figures against numbers made with scikit-learn and with the arithmetic of MVTec's evaluation
//! (`tests/fixtures/metrics/make.py` and `pixels.py`), on random and on adversarial inputs.

use hairline::metrics::{Figures, PixelPool, Ranking, average_precision, measure, roc_auc};
use image::GrayImage;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    scores: Vec<f32>,
    labels: Vec<bool>,
    roc_auc: f64,
    average_precision: f64,
}

#[test]
fn figures_equal_those_of_scikit_learn() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("fixtures/metrics/roc.json")).expect("the fixture is valid JSON");
    assert_eq!(cases.len(), 5);
    for case in cases {
        let area = roc_auc(&case.scores, &case.labels).expect("numbers").expect("both kinds");
        let precision = average_precision(&case.scores, &case.labels).expect("numbers").expect("a positive");
        assert!((area - case.roc_auc).abs() < 1e-12, "{area} instead of {}", case.roc_auc);
        assert!(
            (precision - case.average_precision).abs() < 1e-12,
            "{precision} instead of {}",
            case.average_precision
        );
    }
}

#[test]
fn the_order_of_the_entries_does_not_matter() {
    let scores: Vec<f32> = (0..500).map(|i| ((i * 7919) % 101) as f32).collect();
    let labels: Vec<bool> = (0..500).map(|i| (i * 31) % 7 < 2).collect();
    let (mut other_scores, mut other_labels) = (scores.clone(), labels.clone());
    other_scores.reverse();
    other_labels.reverse();
    assert_eq!(roc_auc(&scores, &labels).expect("numbers"), roc_auc(&other_scores, &other_labels).expect("numbers"));
    assert_eq!(
        average_precision(&scores, &labels).expect("numbers"),
        average_precision(&other_scores, &other_labels).expect("numbers")
    );
}

#[derive(Deserialize)]
struct Fixture {
    pixels: Vec<PixelCase>,
    photos: Vec<PhotoCase>,
}

#[derive(Deserialize)]
struct PixelCase {
    name: String,
    photos: Vec<Photo>,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct Photo {
    width: u32,
    scores: Vec<f32>,
    mask: String,
}

#[derive(Deserialize)]
struct PhotoCase {
    scores: Vec<f64>,
    labels: Vec<bool>,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    auroc: Option<f64>,
    ap: Option<f64>,
    f1_max: Option<f64>,
    f1_threshold: Option<f64>,
    #[serde(default)]
    aupro: Option<f64>,
}

impl Expected {
    fn check(&self, name: &str, figures: Figures) {
        for (key, found, wanted) in [
            ("auroc", figures.auroc, self.auroc),
            ("ap", figures.ap, self.ap),
            ("f1_max", figures.f1_max.map(|best| best.value), self.f1_max),
            ("f1_threshold", figures.f1_max.map(|best| best.threshold), self.f1_threshold),
            ("aupro", figures.aupro, self.aupro),
        ] {
            match (found, wanted) {
                (None, None) => {}
                (Some(found), Some(wanted)) if (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0) => {}
                _ => panic!("{name}, {key}: {found:?} instead of {wanted:?}"),
            }
        }
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics/pixels.json")).expect("the fixture is valid JSON")
}

#[test]
fn pixel_figures_equal_those_of_scikit_learn_and_mvtec() {
    let cases = fixture().pixels;
    assert_eq!(cases.len(), 15);
    let mut absent = 0;
    for case in cases {
        let mut pool = PixelPool::default();
        for photo in &case.photos {
            let height = photo.scores.len() as u32 / photo.width;
            let mask = photo.mask.bytes().map(|digit| digit - b'0').collect();
            let mask = GrayImage::from_raw(photo.width, height, mask).expect("a digit per score");
            pool.add(&photo.scores, photo.width, height, Some(&mask)).expect("finite scores");
        }
        absent += usize::from(case.expected.auroc.is_none());
        case.expected.check(&case.name, measure(&pool.ranking()).0);
    }
    assert_eq!(absent, 2, "without defects, and without normal pixels, there is no figure");
}

#[test]
fn photo_figures_equal_those_of_scikit_learn_in_double_precision() {
    let cases = fixture().photos;
    assert_eq!(cases.len(), 5);
    for (index, case) in cases.iter().enumerate() {
        let ranking = Ranking::labelled(case.scores.iter().copied().zip(case.labels.iter().copied()));
        let (figures, _) = measure(&ranking);
        assert_eq!(figures.aupro, None, "photos have no regions");
        case.expected.check(&format!("photos {index}"), figures);
    }
}
