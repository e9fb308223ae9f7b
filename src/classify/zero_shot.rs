//! Zero-shot classification: which label's words is a photo's embedding nearest to? Radford et al. 2021 (CLIP), §3.1.4:
//! the embeddings of a label's sentences are normalised, averaged and normalised again. Arithmetic on embeddings, fast
//! enough for every key press.

use super::logistic::softmax;
use super::prompts::LabelPrompts;
use crate::anomaly::prompt::{dot, normalise};
use crate::metrics::reliability::argmax;
use crate::{Error, Result};

/// Normalised embeddings of every sentence, by label, phrase and template.
#[derive(Clone, Debug, PartialEq)]
pub struct TextBank {
    /// `[labels][phrases][templates][dim]`
    embeddings: Vec<Vec<Vec<Vec<f32>>>>,
}

impl TextBank {
    /// Sorts the embeddings of [`LabelPrompts::sentences`] by label, phrase and template.
    ///
    /// # Errors
    /// [`Error::Bug`] when there are not as many as sentences.
    pub fn new(prompts: &LabelPrompts, embeddings: &[Vec<f32>]) -> Result<Self> {
        let templates = prompts.templates.len();
        let expected: usize = prompts.labels.iter().map(|label| label.phrases.len() * templates).sum();
        if embeddings.len() != expected || embeddings.iter().any(|row| row.len() != embeddings[0].len()) {
            return Err(Error::bug(format!("{} embeddings for {expected} sentences.", embeddings.len())));
        }
        let mut rest = embeddings.iter().map(|embedding| {
            let mut embedding = embedding.clone();
            normalise(&mut embedding);
            embedding
        });
        let embeddings = prompts
            .labels
            .iter()
            .map(|label| label.phrases.iter().map(|_| rest.by_ref().take(templates).collect()).collect())
            .collect();
        Ok(Self { embeddings })
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.embeddings.len()
    }

    /// Number of phrases of a label.
    pub fn phrases(&self, label: usize) -> usize {
        self.embeddings[label].len()
    }

    /// Number of templates.
    pub fn templates(&self) -> usize {
        self.embeddings.iter().flatten().map(Vec::len).next().unwrap_or(0)
    }

    /// The direction of one label, of those of its sentences that `keep(phrase, template)` wants. `None` when there is
    /// none, or when they cancel out.
    pub fn direction(&self, label: usize, keep: impl Fn(usize, usize) -> bool) -> Option<Vec<f32>> {
        let mut sum: Vec<f32> = Vec::new();
        for (phrase, sentences) in self.embeddings[label].iter().enumerate() {
            let kept = sentences.iter().enumerate().filter(|(template, _)| keep(phrase, *template));
            for (_, embedding) in kept {
                sum.resize(embedding.len(), 0.0);
                sum.iter_mut().zip(embedding).for_each(|(sum, x)| *sum += x);
            }
        }
        (normalise(&mut sum) > 1e-6).then_some(sum)
    }

    /// The direction of every label, of all of its sentences.
    ///
    /// # Errors
    /// [`Error::Input`] when the sentences of a label cancel out.
    pub fn directions(&self) -> Result<Vec<Vec<f32>>> {
        (0..self.labels())
            .map(|label| {
                self.direction(label, |_, _| true).ok_or_else(|| {
                    Error::input(format!(
                        "The phrases of label number {} cancel each other out. Use fewer, closer ones.",
                        label + 1
                    ))
                })
            })
            .collect()
    }
}

/// Cosine of a photo's embedding with each direction; the embedding need not be normalised, directions are.
pub fn cosines(embedding: &[f32], directions: &[Vec<f32>]) -> Vec<f32> {
    let norm = dot(embedding, embedding).sqrt().max(1e-12);
    directions.iter().map(|direction| dot(embedding, direction) / norm).collect()
}

/// Softmax of the cosines over the temperature, > 0: a probability per label.
pub fn probabilities(cosines: &[f32], temperature: f32) -> Vec<f64> {
    softmax(cosines.iter().map(|cosine| f64::from(*cosine) / f64::from(temperature)))
}

/// The most probable label; none when it is ahead of the second by less than `margin`, 0–1.
pub fn decide(probabilities: &[f64], margin: f64) -> Option<usize> {
    let best = argmax(probabilities);
    let second =
        probabilities.iter().enumerate().filter(|(label, _)| *label != best).map(|(_, p)| *p).fold(0.0, f64::max);
    (probabilities.get(best)? - second >= margin).then_some(best)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::classify::prompts::LabelPhrases;

    fn bank() -> TextBank {
        let prompts = LabelPrompts {
            labels: vec![
                LabelPhrases { label: "a".into(), phrases: vec!["x".into(), "y".into()] },
                LabelPhrases { label: "b".into(), phrases: vec!["z".into()] },
            ],
            templates: vec!["{}".into()],
            object: String::new(),
        };
        TextBank::new(&prompts, &[vec![2.0, 0.0], vec![0.0, 10.0], vec![-1.0, 0.0]]).unwrap()
    }

    #[test]
    fn each_sentence_counts_the_same_whatever_its_length() {
        let directions = bank().directions().unwrap();
        let half = std::f32::consts::FRAC_1_SQRT_2;
        assert!((directions[0][0] - half).abs() < 1e-6 && (directions[0][1] - half).abs() < 1e-6);
        assert_eq!(directions[1], [-1.0, 0.0]);
        assert_eq!(bank().direction(0, |phrase, _| phrase == 1).unwrap(), [0.0, 1.0]);
        assert_eq!(bank().direction(1, |_, _| false), None);
        assert!(TextBank::new(&LabelPrompts::new(&["a".into(), "b".into()]), &[]).is_err());
    }

    #[test]
    fn probabilities_are_a_softmax_of_cosines_and_the_margin_rejects() {
        let directions = bank().directions().unwrap();
        let cosines = cosines(&[0.0, 3.0], &directions);
        assert!((cosines[0] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6 && cosines[1] == 0.0);
        let p = probabilities(&cosines, 0.1);
        assert!((p[0] - 1.0 / (1.0 + (-7.071_067_8_f64).exp())).abs() < 1e-6);
        assert_eq!(decide(&[0.6, 0.4], 0.0), Some(0));
        assert_eq!(decide(&[0.6, 0.4], 0.3), None);
        assert_eq!(decide(&[], 0.0), None);
    }
}
