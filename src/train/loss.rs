//! Losses that several training loops share. Every function returns a tensor of one number.

use burn::tensor::{Int, Tensor, TensorData, activation};

/// Binary cross-entropy on logits, the mean over the positive and the mean over the negative entries weighing the same,
/// so that a few defective patches count as much as all the normal ones.
///
/// All `[n]`; `positive` and `negative` are 0 or 1, both 0 for an entry to be left out.
pub fn balanced_binary(logits: Tensor<1>, positive: Tensor<1>, negative: Tensor<1>) -> Tensor<1> {
    let miss = activation::softplus(logits.clone().neg(), 1.0);
    let alarm = activation::softplus(logits, 1.0);
    (weighted_mean(miss, positive) + weighted_mean(alarm, negative)) * 0.5
}

/// Binary cross-entropy on logits, the mean over all entries. `target` lies in [0, 1]; both `[rows, n]`.
pub fn binary(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    (activation::softplus(logits.clone(), 1.0) - logits * target).mean()
}

/// 1 − Dice on logits (Milletari et al. 2016, "V-Net"), softened by 1 so that an empty mask has a gradient: the mean over
/// rows. `target` lies in [0, 1]; both `[rows, n]`.
pub fn dice(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let probability = activation::sigmoid(logits);
    let both = (probability.clone() * target.clone()).sum_dim(1) * 2.0 + 1.0;
    let areas = probability.sum_dim(1) + target.sum_dim(1) + 1.0;
    (both / areas).mean().neg() + 1.0
}

/// Σ w·v / (Σ w + 1): a mean that fades out where there is next to nothing to average.
pub fn weighted_mean(values: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    (values * weights.clone()).sum() / (weights.sum() + 1.0)
}

/// Cross-entropy of `[n, classes]` logits per row: `[n]`. `classes` holds each row's class.
pub fn cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    activation::log_softmax(logits, 1).gather(1, classes.reshape([rows, 1])).reshape([rows]).neg()
}

/// CLIP's symmetric contrastive loss (Radford et al. 2021): `[n, n]` scaled similarities, matching pairs on the diagonal.
pub fn contrastive(similarity: Tensor<2>) -> Tensor<1> {
    let [n, _] = similarity.dims();
    let diagonal = Tensor::<1, Int>::arange(0..n as i64, &similarity.device());
    let across = cross_entropy(similarity.clone(), diagonal.clone()).mean();
    (across + cross_entropy(similarity.transpose(), diagonal).mean()) * 0.5
}

/// Symmetric InfoNCE over photos and texts of which some fit one another (van den Oord et al. 2018; the form of CLIP, with
/// texts that are known to be wrong among the candidates as in NegCLIP, Yuksekgonul et al. 2023).
///
/// `similarity` `[photos, texts]` holds scaled cosines, `pairs` the (photo, text) that the batch is about. Half the loss is
/// the mean over pairs of the cross-entropy of the pair's text among all texts for its photo, half that of its photo among
/// all photos for its text. Rows and columns beyond the pairs' own are hard negatives. Where `fits` says that another text
/// of the batch fits the photo too (or another photo the text), it is no candidate: neither right nor wrong.
///
/// # Panics
/// If a pair is outside of `similarity`.
pub fn contrastive_pairs(
    similarity: Tensor<2>,
    pairs: &[(usize, usize)],
    fits: impl Fn(usize, usize) -> bool,
) -> Tensor<1> {
    let device = similarity.device();
    let [photos, texts] = similarity.dims();
    let side = |similarity: Tensor<2>, rows: Vec<usize>, right: Vec<usize>, left_out: Vec<bool>| {
        let indices = |values: Vec<usize>| {
            let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
            let count = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device)
        };
        let penalty: Vec<f32> = left_out.into_iter().map(|out| if out { -1e9 } else { 0.0 }).collect();
        let shape = [rows.len(), similarity.dims()[1]];
        let penalty = Tensor::<2>::from_data(TensorData::new(penalty, shape), &device);
        cross_entropy(similarity.select(0, indices(rows)) + penalty, indices(right)).mean()
    };
    let (rows, columns): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
    let other_text = |&(photo, text): &(usize, usize)| {
        (0..texts)
            .map(move |other| (photo, text, other))
            .map(|(photo, text, other)| other != text && fits(photo, other))
    };
    let other_photo = |&(photo, text): &(usize, usize)| {
        (0..photos)
            .map(move |other| (photo, text, other))
            .map(|(photo, text, other)| other != photo && fits(other, text))
    };
    let left_out_texts = pairs.iter().flat_map(other_text).collect();
    let left_out_photos = pairs.iter().flat_map(other_photo).collect();
    let by_photo = side(similarity.clone(), rows.clone(), columns.clone(), left_out_texts);
    let by_text = side(similarity.transpose(), columns, rows, left_out_photos);
    (by_photo + by_text) * 0.5
}

/// Each row of the last axis scaled to length 1.
pub fn unit<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let length = (x.clone().powi_scalar(2).sum_dim(D - 1) + 1e-12).sqrt();
    x / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn number(x: Tensor<1>) -> f32 {
        x.into_scalar::<f32>()
    }

    #[test]
    fn balance_ignores_how_many_there_are() {
        let device = Device::flex();
        let logits = Tensor::<1>::from_floats([2.0, -1.0, -1.0, -1.0, 9.0], &device);
        let positive = Tensor::from_floats([1.0, 0.0, 0.0, 0.0, 0.0], &device);
        let negative = Tensor::from_floats([0.0, 1.0, 1.0, 1.0, 0.0], &device);
        let expected = 0.5 * ((-2.0_f32).exp().ln_1p() / 2.0 + 3.0 * (-1.0_f32).exp().ln_1p() / 4.0);
        assert!((number(balanced_binary(logits, positive, negative)) - expected).abs() < 1e-5);
    }

    #[test]
    fn binary_and_dice_are_those_of_pytorch() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[2.0, -1.0, 0.5], [-3.0, 0.0, 1.0]], &device);
        let target = Tensor::<2>::from_floats([[1.0, 0.0, 0.25], [0.0, 0.0, 0.0]], &device);
        // torch.nn.functional.binary_cross_entropy_with_logits(logits, target), and for Dice with p = sigmoid(logits):
        // (1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)).mean()
        assert!((number(binary(logits.clone(), target.clone())) - 0.5573772).abs() < 1e-6);
        assert!((number(dice(logits, target)) - 0.3985727).abs() < 1e-6);
    }

    #[test]
    fn pairs_without_more_are_the_loss_of_clip() {
        let device = Device::flex();
        let similarity = Tensor::<2>::from_floats([[2.0, -1.0, 0.5], [-3.0, 0.0, 1.0], [0.3, 0.2, 0.1]], &device);
        let pairs = [(0, 0), (1, 1), (2, 2)];
        let whole = number(contrastive(similarity.clone()));
        assert!((number(contrastive_pairs(similarity.clone(), &pairs, |p, t| p == t)) - whole).abs() < 1e-6);
        // Order and repetition of pairs change nothing.
        let twice = [(2, 2), (1, 1), (0, 0), (0, 0), (1, 1), (2, 2)];
        assert!((number(contrastive_pairs(similarity, &twice, |p, t| p == t)) - whole).abs() < 1e-6);
    }

    #[test]
    fn hard_negatives_count_and_other_matches_do_not() {
        let device = Device::flex();
        let ln = |logits: &[f32], right: f32| logits.iter().map(|x| x.exp()).sum::<f32>().ln() - right;
        let similarity = Tensor::<2>::from_floats([[2.0, 1.0, 0.5], [0.0, 3.0, -0.5]], &device);
        let pairs = [(0, 0), (1, 1)];
        // The third text is a mismatch: a candidate for both photos, itself right for none.
        let loss = number(contrastive_pairs(similarity.clone(), &pairs, |p, t| p == t));
        let mean = f32::midpoint;
        let by_photo = mean(ln(&[2.0, 1.0, 0.5], 2.0), ln(&[0.0, 3.0, -0.5], 3.0));
        let by_text = mean(ln(&[2.0, 0.0], 2.0), ln(&[1.0, 3.0], 3.0));
        assert!((loss - mean(by_photo, by_text)).abs() < 1e-6, "{loss}");
        // The second text fits the first photo too.
        let loss = number(contrastive_pairs(similarity, &pairs, |p, t| p == t || (p, t) == (0, 1)));
        let by_photo = mean(ln(&[2.0, 0.5], 2.0), ln(&[0.0, 3.0, -0.5], 3.0));
        let by_text = mean(ln(&[2.0, 0.0], 2.0), ln(&[3.0], 3.0));
        assert!((loss - mean(by_photo, by_text)).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn contrast_is_least_on_the_diagonal() {
        let device = Device::flex();
        let eye = Tensor::<2>::eye(4, &device);
        let matching = number(contrastive(eye.clone() * 20.0));
        let crossed = number(contrastive(eye.flip([0]) * 20.0));
        assert!(matching < 1e-4 && crossed > 19.0, "{matching} {crossed}");
        assert!((number(contrastive(Tensor::zeros([4, 4], &device))) - 4.0_f32.ln()).abs() < 1e-5);
    }
}
