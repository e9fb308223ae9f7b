//! The report as plain text, for a printer, a mail or the window's report panel. Lines end before column 80; figures
//! stand in columns.

use std::fmt::Write as _;

use super::json::VERSION;
use super::{ModelIdentity, ReportOptions};
use crate::Recipe;
use crate::anomaly::{Inspection, Verdict};
use crate::explain::{Explanation, Source, explain};
use crate::photo::Quality;

/// Text is wrapped at this column.
const WIDTH: usize = 78;

/// The report of one photo in the words of the rules, without the lines that name model and device.
pub fn report_text(inspection: &Inspection, recipe: &Recipe) -> String {
    explained_text(inspection, &explain(inspection, recipe), recipe)
}

/// [`report_text`] in lines of at most `columns` (40 or more), for a narrow panel.
pub fn narrow_report_text(inspection: &Inspection, recipe: &Recipe, columns: usize) -> String {
    text_in(inspection, &explain(inspection, recipe), recipe, columns)
}

/// The report of one photo in the words of an explanation.
pub fn explained_text(inspection: &Inspection, explanation: &Explanation, recipe: &Recipe) -> String {
    text_in(inspection, explanation, recipe, WIDTH)
}

fn text_in(inspection: &Inspection, explanation: &Explanation, recipe: &Recipe, columns: usize) -> String {
    let wrapped = |text: &mut String, words: &str| set(text, "  ", words, "  ", columns);
    // A value goes on below where it began.
    let field = |text: &mut String, name: &str, value: &str| {
        if 12 + value.chars().count() <= columns {
            field(text, name, value);
        } else {
            set(text, &format!("  {name:<9} "), value, "            ", columns);
        }
    };
    let mut text = String::new();
    let title = "Hairline inspection report";
    line(&mut text, title);
    line(&mut text, &"═".repeat(title.chars().count()));
    line(&mut text, "");
    let photo = &inspection.photo;
    let verdict = match inspection.verdict {
        Verdict::Ok => "OK – normal",
        Verdict::Uncertain => "uncertain – a person should decide",
        Verdict::Ng => "NG – anomalous",
    };
    field(&mut text, "Image", &explanation.image);
    field(&mut text, "Class", &explanation.class);
    field(&mut text, "Verdict", verdict);
    field(
        &mut text,
        "Score",
        &format!(
            "{:.2} of 1, threshold 0.50  (raw {:.2}, threshold {:.2})",
            inspection.normalised_score, inspection.image_score, inspection.image_threshold
        ),
    );
    if let Some(p) = inspection.p_value {
        field(&mut text, "p-value", &format!("{p:.3} among {} normal reference photos", recipe.references.len()));
    }
    field(&mut text, "Photo", &format!("{} × {} pixels", photo.width, photo.height));
    let Quality { blur_score, brightness_score, .. } = photo.quality;
    let measured = format!("sharpness {blur_score:.0}, brightness {brightness_score:.0} of 255");
    if inspection.quality.passed {
        field(&mut text, "Quality", &format!("sufficient  ({measured})"));
    } else {
        field(&mut text, "Quality", &format!("⚠ doubtful  ({measured})"));
        wrapped(&mut text, &inspection.quality.reason);
    }
    for warning in &photo.warnings {
        field(&mut text, "Note", warning);
    }
    section(&mut text, "Summary");
    wrapped(&mut text, &explanation.summary);
    section(&mut text, "Regions");
    if inspection.regions.is_empty() {
        line(&mut text, "  None above the threshold.");
    } else {
        let table = columns >= 70;
        line(
            &mut text,
            if table {
                "  #  Confidence  Severity  Location      Box (x, y, width × height)"
            } else {
                "  #  Confidence  Severity  Location"
            },
        );
        for (index, (region, words)) in inspection.regions.iter().zip(&explanation.regions).enumerate() {
            let row = format!(
                "{:>3}  {:>10.2}  {:<8}  {:<12}",
                index + 1,
                region.confidence,
                words.severity.name(),
                region.location
            );
            let place = format!("{}, {}, {} × {}", region.x, region.y, region.width, region.height);
            if table {
                line(&mut text, &format!("{row}  {place}"));
            } else {
                line(&mut text, &row);
                line(&mut text, &format!("     Box {place}"));
            }
            let place = match words.explained_by {
                Source::Rules => String::new(),
                Source::Vlm => format!("{}: ", words.location),
            };
            let words = format!("{place}{}; {} px", words.description, region.area);
            set(&mut text, "     ", &words, "     ", columns);
        }
        if let Some(model) = &explanation.explainer {
            let by_model = explanation.regions.iter().filter(|region| region.explained_by == Source::Vlm).count();
            wrapped(
                &mut text,
                &format!(
                    "Location, description and severity of {by_model} of {} regions are the words of the vision-language model \
                 {model}; it decided nothing.",
                    explanation.regions.len()
                ),
            );
        }
        if let Some(reason) = &explanation.fallback {
            wrapped(&mut text, &format!("Words by rules stand in for a vision-language model. {reason}"));
        }
    }
    section(&mut text, "Recommendation");
    wrapped(&mut text, &explanation.recommendation);
    text
}

/// The lines that make a report traceable.
pub fn provenance_text(inspection: &Inspection, recipe: &Recipe, options: &ReportOptions) -> String {
    let identity = |model: &ModelIdentity| format!("{} (SHA-256 {})", model.id, short_hash(&model.sha256));
    let mut text = String::new();
    section(&mut text, "Made with");
    field(&mut text, "Program", &format!("Hairline {VERSION}"));
    field(&mut text, "Model", &identity(&options.model));
    if let Some(memory) = &options.memory_model {
        field(&mut text, "Memory model", &identity(memory));
    }
    field(&mut text, "Device", &options.device);
    field(
        &mut text,
        "Recipe",
        &format!(
            "method {}, text {} and memory {}, {}",
            recipe.method,
            recipe.text_weight,
            recipe.memory_weight,
            recipe.compared_with()
        ),
    );
    field(&mut text, "File", &inspection.photo.path.display().to_string());
    field(&mut text, "SHA-256", &inspection.photo.sha256);
    text
}

/// The first 16 hexadecimal digits, enough to tell files apart by eye.
pub fn short_hash(sha256: &str) -> &str {
    sha256.get(..16).unwrap_or(sha256)
}

pub(super) fn line(text: &mut String, content: &str) {
    text.push_str(content.trim_end());
    text.push('\n');
}

pub(super) fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<9} {value}");
}

pub(super) fn section(text: &mut String, name: &str) {
    let _ = writeln!(text, "\n{name}\n{}", "─".repeat(name.chars().count()));
}

/// Words set in lines of at most [`WIDTH`] columns, indented by two.
pub(super) fn wrapped(text: &mut String, words: &str) {
    set(text, "  ", words, "  ", WIDTH);
}

/// Words set in lines of at most `columns`, the first one behind `first`, the others behind `margin`.
fn set(text: &mut String, first: &str, words: &str, margin: &str, columns: usize) {
    let mut current = first.to_owned();
    let mut bare = true;
    for word in words.split_whitespace() {
        if !bare && current.chars().count() + 1 + word.chars().count() > columns {
            line(text, &current);
            margin.clone_into(&mut current);
            bare = true;
        }
        if !bare {
            current.push(' ');
        }
        current.push_str(word);
        bare = false;
    }
    line(text, &current);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::inspection;

    #[test]
    fn a_report_reads_as_written_here() {
        let recipe = Recipe { object: "metal ring".into(), references: vec!["a.png".into(); 16], ..Recipe::default() };
        let text = report_text(&inspection(640, 480), &recipe);
        let expected = "\
Hairline inspection report
══════════════════════════

  Image     ring 07.png
  Class     metal ring
  Verdict   NG – anomalous
  Score     0.83 of 1, threshold 0.50  (raw 6.21, threshold 4.10)
  p-value   0.059 among 16 normal reference photos
  Photo     640 × 480 pixels
  Quality   sufficient  (sharpness 210, brightness 128 of 255)

Summary
───────
  The metal ring deviates from normal. Score 6.21 is above 4.10, the threshold
  from 16 reference photos. As far as 16 reference photos can tell, at most
  about 6 in 100 normal parts score this high. Two regions stand out, the
  strongest: upper left, thin mark, unlike any reference photo (confidence
  0.91, severity high).

Regions
───────
  #  Confidence  Severity  Location      Box (x, y, width × height)
  1        0.91  high      upper left    64, 48, 128 × 32
     thin mark, unlike any reference photo; 1300 px
  2        0.62  low       lower centre  320, 384, 40 × 40
     small spot, unlike any reference photo; 900 px

Recommendation
──────────────
  Set the part aside and confirm the defect at region 1.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_narrow_report_keeps_to_its_columns_and_says_the_same() {
        let recipe = Recipe { object: "metal ring".into(), references: vec!["a.png".into(); 16], ..Recipe::default() };
        let inspection = inspection(640, 480);
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
            // Where a box stands: in a column under its name, or behind it.
            words.retain(|word| !["Box", "(x,", "y,", "width", "×", "height)"].contains(&word.as_str()));
            words.sort();
            words
        };
        let narrow = narrow_report_text(&inspection, &recipe, 46);
        assert!(narrow.lines().all(|line| line.chars().count() <= 46), "{narrow}");
        assert_eq!(words(&narrow), words(&report_text(&inspection, &recipe)));
    }

    #[test]
    fn no_line_of_words_is_longer_than_the_width() {
        let mut text = String::new();
        wrapped(&mut text, &"word ".repeat(200));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(text.split_whitespace().count(), 200);
    }
}
