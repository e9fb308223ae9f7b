//! ROC area and average precision against numbers made with scikit-learn (`tests/fixtures/metrics/make.py`).

use hairline::metrics::{average_precision, roc_auc};
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
