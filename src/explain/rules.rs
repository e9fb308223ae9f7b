//! The rule-based explanation with the fields of the origin system: image, class, score, per region confidence,
//! location, description and severity, a summary and a recommendation. It repeats what was measured in plain words and
//! claims nothing beyond it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::Recipe;
use crate::anomaly::{Inspection, Severity, Verdict};
use crate::count::count;

/// The explanation of one inspection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// File name of the photo.
    pub image: String,
    /// What was looked at: the recipe's object.
    pub class: String,
    /// Normalised image score, 0–1; 0.5 is the threshold.
    pub score: f32,
    /// Strongest first.
    pub regions: Vec<RegionExplanation>,
    /// One to three sentences: verdict, reason, where.
    pub summary: String,
    /// What to do next.
    pub recommendation: String,
    /// Whose words describe the regions; `vlm` if at least one region has a model's. Everything else is by rules.
    pub explained_by: Source,
    /// The model's name on its server, where one gave words.
    pub explainer: Option<String>,
    /// Why the rules stand in for a model that was asked.
    pub fallback: Option<String>,
}

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Rules of this program: what was measured, in words.
    Rules,
    /// A vision-language model that was shown the region.
    Vlm,
}

/// The explanation of one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionExplanation {
    /// Normalised peak, 0–1; 0.5 is the threshold.
    pub confidence: f32,
    /// Where in the photo.
    pub location: String,
    /// What was seen.
    pub description: String,
    /// How much it matters.
    pub severity: Severity,
    /// Whose words location, description and severity are.
    pub explained_by: Source,
}

/// Explains an inspection in words.
pub fn explain(inspection: &Inspection, recipe: &Recipe) -> Explanation {
    Explanation {
        image: file_name(inspection),
        class: recipe.object.replace('_', " "),
        score: inspection.normalised_score,
        regions: inspection
            .regions
            .iter()
            .map(|region| RegionExplanation {
                confidence: region.confidence,
                location: region.location.clone(),
                description: region.description.clone(),
                severity: region.severity,
                explained_by: Source::Rules,
            })
            .collect(),
        summary: summary(inspection, recipe),
        recommendation: recommendation(inspection, recipe),
        explained_by: Source::Rules,
        explainer: None,
        fallback: None,
    }
}

fn file_name(inspection: &Inspection) -> String {
    let path = &inspection.photo.path;
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn summary(inspection: &Inspection, recipe: &Recipe) -> String {
    let object = recipe.object.replace('_', " ");
    let opening = match inspection.verdict {
        Verdict::Ok => format!("The {object} looks normal."),
        Verdict::Ng => format!("The {object} deviates from normal."),
        Verdict::Uncertain => format!("It cannot be said whether the {object} is normal."),
    };
    let mut summary = format!("{opening} {}", inspection.reason);
    if let Some(p) = inspection.p_value
        && inspection.verdict != Verdict::Ok
    {
        // n references cannot show a p-value below 1/(n + 1): say what it rests on.
        let _ = write!(
            summary,
            " As far as {} can tell, at most about {} in 100 normal parts score this high.",
            count(recipe.references.len(), "reference photo", "reference photos"),
            share_in_100(p)
        );
    }
    if let Some(strongest) = inspection.regions.first() {
        let places = match inspection.regions.len() {
            1 => "One region stands out".to_owned(),
            n => format!("{} regions stand out, the strongest", number(n)),
        };
        let _ = write!(
            summary,
            " {places}: {}, {} (confidence {:.2}, severity {}).",
            strongest.location,
            strongest.description,
            strongest.confidence,
            strongest.severity.name()
        );
    }
    summary
}

fn recommendation(inspection: &Inspection, recipe: &Recipe) -> String {
    let worst = inspection.regions.iter().map(|region| region.severity).max();
    let mut advice = match (inspection.verdict, worst) {
        (Verdict::Ok, _) if !inspection.quality.passed => {
            "Take the photo again before the part is passed: its quality is doubtful.".to_owned()
        }
        (Verdict::Ok, None) => "Pass the part.".to_owned(),
        (Verdict::Ok, Some(_)) => "Pass the part; have a look at the marked region if the part is critical.".to_owned(),
        (Verdict::Uncertain, _) => "Have a person decide on this part.".to_owned(),
        (Verdict::Ng, Some(Severity::High)) => "Set the part aside and confirm the defect at region 1.".to_owned(),
        (Verdict::Ng, Some(_)) => {
            "Look at the marked regions under magnification before the part is rejected.".to_owned()
        }
        (Verdict::Ng, None) => "Set the part aside; the deviation is spread over the photo.".to_owned(),
    };
    if recipe.references.is_empty() {
        advice += " The threshold is a default: give reference photos of normal parts to calibrate it.";
    } else if recipe.references.len() < 4 && inspection.verdict != Verdict::Ok {
        advice += " More reference photos would make the verdict firmer.";
    }
    advice
}

fn share_in_100(p: f32) -> String {
    let percent = 100.0 * p;
    if percent < 1.0 { "1 or fewer".to_owned() } else { format!("{percent:.0}") }
}

fn number(n: usize) -> String {
    let words = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
    words.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::inspection;

    #[test]
    fn every_field_of_a_defective_part_is_filled() {
        let recipe = Recipe { object: "metal_nut".into(), references: vec!["a.png".into(); 8], ..Recipe::default() };
        let explanation = explain(&inspection(640, 480), &recipe);
        assert_eq!(explanation.image, "ring 07.png");
        assert_eq!(explanation.class, "metal nut");
        assert_eq!(explanation.regions.len(), 2);
        assert!(explanation.summary.starts_with("The metal nut deviates from normal."), "{}", explanation.summary);
        assert!(explanation.summary.contains("Two regions stand out, the strongest: upper left"));
        assert!(explanation.recommendation.contains("region 1"));
    }

    #[test]
    fn a_good_part_passes_and_a_default_threshold_is_owned_up_to() {
        let mut good = inspection(640, 480);
        good.verdict = Verdict::Ok;
        good.regions.clear();
        let explanation = explain(&good, &Recipe::default());
        assert!(explanation.recommendation.starts_with("Pass the part."));
        assert!(explanation.recommendation.contains("default"));
        assert!(explanation.summary.contains("looks normal"));

        good.quality.passed = false;
        let recommendation = explain(&good, &Recipe::default()).recommendation;
        assert!(recommendation.starts_with("Take the photo again"), "{recommendation}");
    }

    #[test]
    fn an_undecided_part_goes_to_a_person() {
        let mut unsure = inspection(640, 480);
        unsure.verdict = Verdict::Uncertain;
        let explanation = explain(&unsure, &Recipe::default());
        assert!(explanation.recommendation.starts_with("Have a person decide"));
    }
}
