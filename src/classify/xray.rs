//! The prompt x-ray: what each phrase and each template contributes, measured on photos whose class is known. Works on
//! embeddings that are there already, so that it follows every edit of the words.

use serde::Serialize;

use super::prompts::LabelPrompts;
use super::zero_shot::{TextBank, cosines};
use crate::anomaly::prompt::dot;
use crate::{Error, Result};

/// What a phrase or a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Phrase,
    Template,
}

/// One phrase or template under the x-ray.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct XrayRow {
    pub part: Part,
    /// Label of a phrase; empty for a template, which all labels share.
    pub label: String,
    pub text: String,
    /// Accuracy when the label has this phrase alone (all labels this template alone), 0–1.
    pub own_accuracy: f64,
    /// Share of the label's photos that are recognised then, 0–1; of all photos for a template.
    pub own_recall: f64,
    /// Accuracy of everything minus accuracy without this one: above 0 it helps, below it harms. `None` for the only one.
    pub effect: Option<f64>,
}

/// The x-ray of a set of prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Xray {
    /// Accuracy with all phrases and templates, 0–1.
    pub accuracy: f64,
    /// Photos it was measured on.
    pub photos: usize,
    /// Phrases label by label, then templates.
    pub rows: Vec<XrayRow>,
}

impl Xray {
    /// Measures on photos with an embedding (of any length) and a true class each.
    ///
    /// # Errors
    /// [`Error::Input`] without photos, or when the phrases of a label cancel out; [`Error::Bug`] for a class without label.
    pub fn new(prompts: &LabelPrompts, bank: &TextBank, photos: &[(&[f32], usize)]) -> Result<Self> {
        if photos.is_empty() {
            return Err(Error::input("The x-ray of prompts needs photos whose class is known."));
        }
        if photos.iter().any(|(_, truth)| *truth >= bank.labels()) {
            return Err(Error::bug("a photo is of a class that has no label."));
        }
        let directions = bank.directions()?;
        let scores: Vec<Vec<f32>> = photos.iter().map(|(embedding, _)| cosines(embedding, &directions)).collect();
        let lengths: Vec<f32> =
            photos.iter().map(|(embedding, _)| dot(embedding, embedding).sqrt().max(1e-12)).collect();
        let truths: Vec<usize> = photos.iter().map(|(_, truth)| *truth).collect();
        let accuracy = share(&truths, &scores, |_| true);

        // Scores when one label's direction is another one, or is not there at all.
        let with = |label: usize, direction: Option<&Vec<f32>>| -> Vec<Vec<f32>> {
            let mut scores = scores.clone();
            for ((row, (embedding, _)), length) in scores.iter_mut().zip(photos).zip(&lengths) {
                row[label] = direction.map_or(f32::NEG_INFINITY, |direction| dot(embedding, direction) / length);
            }
            scores
        };
        let mut rows = Vec::new();
        for (label, phrases) in prompts.labels.iter().enumerate() {
            for (at, text) in phrases.phrases.iter().enumerate() {
                let alone = with(label, bank.direction(label, |phrase, _| phrase == at).as_ref());
                let effect = (phrases.phrases.len() > 1).then(|| {
                    let without = with(label, bank.direction(label, |phrase, _| phrase != at).as_ref());
                    accuracy - share(&truths, &without, |_| true)
                });
                rows.push(XrayRow {
                    part: Part::Phrase,
                    label: phrases.label.clone(),
                    text: text.clone(),
                    own_accuracy: share(&truths, &alone, |_| true),
                    own_recall: share(&truths, &alone, |truth| truth == label),
                    effect,
                });
            }
        }
        // Scores when all labels use only some of the templates.
        let of_templates = |keep: &dyn Fn(usize) -> bool| -> Vec<Vec<f32>> {
            let directions: Vec<Vec<f32>> = (0..bank.labels())
                .map(|label| bank.direction(label, |_, template| keep(template)).unwrap_or_default())
                .collect();
            photos.iter().map(|(embedding, _)| cosines(embedding, &directions)).collect()
        };
        for (at, text) in prompts.templates.iter().enumerate() {
            let own_accuracy = share(&truths, &of_templates(&|template| template == at), |_| true);
            let effect = (prompts.templates.len() > 1)
                .then(|| accuracy - share(&truths, &of_templates(&|template| template != at), |_| true));
            rows.push(XrayRow {
                part: Part::Template,
                label: String::new(),
                text: text.clone(),
                own_accuracy,
                own_recall: own_accuracy,
                effect,
            });
        }
        Ok(Self { accuracy, photos: photos.len(), rows })
    }
}

/// Of the photos whose class is `wanted`, the share that is recognised; 0 where there is none.
fn share(truths: &[usize], scores: &[Vec<f32>], wanted: impl Fn(usize) -> bool) -> f64 {
    let best = |row: &[f32]| row.iter().enumerate().fold(0, |best, (at, x)| if *x > row[best] { at } else { best });
    let (mut right, mut all) = (0_u32, 0_u32);
    for (&truth, row) in truths.iter().zip(scores).filter(|(truth, _)| wanted(**truth)) {
        all += 1;
        right += u32::from(best(row) == truth);
    }
    if all == 0 { 0.0 } else { f64::from(right) / f64::from(all) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::classify::prompts::LabelPhrases;

    #[test]
    fn a_misleading_phrase_shows_and_the_only_one_has_no_effect() {
        let prompts = LabelPrompts {
            labels: vec![
                LabelPhrases { label: "right".into(), phrases: vec!["east".into(), "north".into()] },
                LabelPhrases { label: "up".into(), phrases: vec!["top".into()] },
            ],
            templates: vec!["{}".into()],
            object: String::new(),
        };
        // "north" points where the photos of `up` are.
        let bank = TextBank::new(&prompts, &[vec![1.0, 0.0], vec![0.0, 1.0], vec![0.3, 1.0]]).unwrap();
        let photos: [(&[f32], usize); 4] = [(&[5.0, 0.1], 0), (&[1.0, 0.1], 0), (&[0.1, 1.0], 1), (&[-0.2, 2.0], 1)];
        let xray = Xray::new(&prompts, &bank, &photos).unwrap();
        assert_eq!((xray.photos, xray.accuracy), (4, 1.0));
        let north = &xray.rows[1];
        assert_eq!((north.text.as_str(), north.own_accuracy, north.own_recall), ("north", 0.0, 0.0));
        assert_eq!(xray.rows[0].own_accuracy, 1.0);
        assert_eq!(xray.rows[0].effect, Some(1.0), "without `east` nothing is right");
        assert_eq!(xray.rows[1].effect, Some(0.0));
        assert_eq!(xray.rows[2].effect, None);
        assert_eq!(xray.rows[3].part, Part::Template);
        assert!(Xray::new(&prompts, &bank, &[]).is_err());
    }
}
