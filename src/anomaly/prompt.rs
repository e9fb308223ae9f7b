//! Prompt ensembles: many sentences averaged into one direction for normal and one for anomalous, and the small vector
//! arithmetic that the maps share.

use crate::model::ClipModel;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// One L2-normalised direction for normal and one for anomalous, each `[dim]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchors {
    /// Mean of the normal sentences' embeddings.
    pub normal: Vec<f32>,
    /// Mean of the anomalous sentences' embeddings.
    pub anomalous: Vec<f32>,
}

impl Anchors {
    /// Runs the text tower over all sentences: each embedding normalised, averaged per side, normalised again (as
    /// CLIP's authors average class prompts).
    ///
    /// # Errors
    /// Whatever the text tower reports; [`Error::Input`] when a side's embeddings cancel out.
    pub fn encode(model: &ClipModel, recipe: &Recipe) -> Result<Self> {
        let side = |phrases: &[String], name: &str| -> Result<Vec<f32>> {
            let phrases: Vec<String> = phrases.iter().filter(|p| !p.trim().is_empty()).cloned().collect();
            let embeddings = model.encode_texts(&recipe.prompts.sentences(&phrases, &recipe.object))?;
            let mut mean = vec![0.0; model.info().embedding_dim];
            for mut embedding in embeddings {
                normalise(&mut embedding);
                mean.iter_mut().zip(&embedding).for_each(|(sum, x)| *sum += x);
            }
            if normalise(&mut mean) < 1e-6 {
                return Err(Error::input(format!("The {name} phrases cancel each other out. Use fewer, closer ones.")));
            }
            Ok(mean)
        };
        Ok(Self {
            normal: side(&recipe.prompts.normal, "normal")?,
            anomalous: side(&recipe.prompts.anomalous, "anomalous")?,
        })
    }

    /// Anomalous share of the softmax over the two cosines at `temperature`, 0–1; `embedding` need not be normalised.
    pub fn anomalous_share(&self, embedding: &[f32], temperature: f32) -> f32 {
        let norm = dot(embedding, embedding).sqrt().max(1e-12);
        let difference = (dot(embedding, &self.anomalous) - dot(embedding, &self.normal)) / norm;
        1.0 / (1.0 + (-difference / temperature).exp())
    }
}

/// Scales a vector to length 1 and returns its former length; a zero vector stays.
pub fn normalise(vector: &mut [f32]) -> f32 {
    let norm = dot(vector, vector).sqrt();
    if norm > 0.0 {
        for x in vector {
            *x /= norm;
        }
    }
    norm
}

/// Inner product. Eight running sums let the compiler use the machine's wide registers.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (chunks_a, rest_a) = a.as_chunks::<8>();
    let (chunks_b, rest_b) = b.as_chunks::<8>();
    for (a, b) in chunks_a.iter().zip(chunks_b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

/// Median and 1.4826 · median absolute deviation (a standard deviation for normally distributed values). The spread is
/// kept above a thousandth of the median's size so that a constant map does not explode. Reorders `values`; an empty
/// slice gives (0, 1).
pub fn median_and_spread(values: &mut [f32]) -> (f32, f32) {
    if values.is_empty() {
        return (0.0, 1.0);
    }
    let median = median(values);
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    let spread = 1.4826 * self::median(values);
    (median, spread.max(1e-3 * median.abs()).max(1e-6))
}

/// Median; the lower of the two middle values of an even number. Reorders `values`, which must not be empty.
fn median(values: &mut [f32]) -> f32 {
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_a_two_way_softmax_of_cosines() {
        let anchors = Anchors { normal: vec![1.0, 0.0], anomalous: vec![0.0, 1.0] };
        assert!((anchors.anomalous_share(&[3.0, 3.0], 0.07) - 0.5).abs() < 1e-6);
        // cos = 0.6 and 0.8: softmax((0.8, 0.6) / 0.1)[0] = 1 / (1 + e^-2)
        assert!((anchors.anomalous_share(&[6.0, 8.0], 0.1) - 0.880_797).abs() < 1e-5);
    }

    #[test]
    fn the_spread_is_that_of_a_normal_distribution_and_never_zero() {
        let mut values = [1.0, 2.0, 3.0, 4.0, 100.0];
        assert_eq!(median_and_spread(&mut values), (3.0, 1.4826));
        let (median, spread) = median_and_spread(&mut [7.0; 5]);
        assert_eq!(median, 7.0);
        assert!(spread > 0.0);
    }

    #[test]
    fn the_inner_product_handles_every_length() {
        for n in 0..20 {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(dot(&a, &a), (0..n).map(|i| (i * i) as f32).sum::<f32>());
        }
    }
}
