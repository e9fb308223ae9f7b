//! Multi-head self-attention on the processor straight from the fused query-key-value layer, without the copies that
//! splitting and merging the heads would make. Only on Flex; elsewhere burn's own attention runs. What training needs
//! besides is in [`super::backward`].

use burn::backend::flex::FlexTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use gemmkit::{MatMut, MatRef, Parallelism, gemm};
use rayon::prelude::*;

use super::pieces::by_pieces;
use super::simd::exponentials;

#[backend_extension(Autodiff, Flex)]
pub trait SelfAttention: Backend {
    fn self_attention(qkv: FloatTensor<Self>, heads: usize, causal: bool) -> FloatTensor<Self>;
}

/// softmax(Q Kᵀ / √head) V per head (Vaswani et al. 2017): `qkv` `[batch, tokens, 3 × width]`, query, key and value side
/// by side, each the heads side by side → `[batch, tokens, width]`. With `causal` a token sees none after it. For
/// tensors that [`super::is_cpu`].
///
/// # Panics
/// If the last dimension is not three times a multiple of `heads`, or the tensor is on another device.
pub fn self_attention(qkv: Tensor<3>, heads: usize, causal: bool) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as SelfAttention>::self_attention(qkv.into_dispatch(), heads, causal))
}

/// [`self_attention`] on a plain row-major slice.
fn on_cpu(qkv: &[f32], batch: usize, tokens: usize, width: usize, heads: usize, causal: bool) -> Vec<f32> {
    assert!(heads > 0 && width.is_multiple_of(heads), "the heads share the width evenly");
    assert_eq!(qkv.len(), batch * tokens * 3 * width, "qkv is [batch, tokens, 3 width]");
    if qkv.is_empty() {
        return Vec::new();
    }
    // A task is a block of queries of one image: two for every thread, not so short that fetching the keys dominates.
    let blocks = (2 * rayon::current_num_threads()).div_ceil(batch).clamp(1, tokens.div_ceil(16));
    let rows = tokens.div_ceil(blocks);
    by_pieces(batch * tokens * width, tokens * width, |image, mixed| {
        let qkv = &qkv[image * tokens * 3 * width..][..tokens * 3 * width];
        mixed.par_chunks_mut(rows * width).enumerate().for_each_init(
            || vec![0.0; rows * tokens],
            |scores, (block, mixed)| attend(qkv, block * rows, tokens, width, heads, causal, scores, mixed),
        );
    })
}

/// The queries from `first` on, as many as `mixed` has rows, against all keys of one image.
fn attend(
    qkv: &[f32],
    first: usize,
    tokens: usize,
    width: usize,
    heads: usize,
    causal: bool,
    scores: &mut [f32],
    mixed: &mut [f32],
) {
    let (rows, head) = (mixed.len() / width, width / heads);
    let stride = 3 * width as isize;
    let scale = 1.0 / (head as f32).sqrt();
    // No later key matters to a causal block.
    let keys = if causal { first + rows } else { tokens };
    let scores = &mut scores[..rows * keys];
    for at in (0..heads).map(|h| h * head) {
        gemm(
            1.0,
            MatRef::new(&qkv[first * 3 * width + at..], rows, head, stride, 1),
            MatRef::new(&qkv[width + at..], head, keys, 1, stride),
            0.0,
            MatMut::from_row_major(scores, rows, keys),
            Parallelism::Serial,
        );
        let sums: Vec<f32> = (scores.chunks_exact_mut(keys).enumerate())
            .map(|(row, scores)| {
                let (seen, hidden) = scores.split_at_mut(if causal { first + row + 1 } else { keys });
                hidden.fill(0.0);
                exponentials(seen, scale)
            })
            .collect();
        gemm(
            1.0,
            MatRef::from_row_major(scores, rows, keys),
            MatRef::new(&qkv[2 * width + at..], keys, head, stride, 1),
            0.0,
            MatMut::new(&mut mixed[at..], rows, head, width as isize, 1),
            Parallelism::Serial,
        );
        for (row, sum) in mixed.chunks_exact_mut(width).zip(sums) {
            let inverse = 1.0 / sum;
            row[at..at + head].iter_mut().for_each(|value| *value *= inverse);
        }
    }
}

/// [`self_attention`] on Flex's own tensors.
pub(super) fn on_flex(qkv: &FlexTensor, heads: usize, causal: bool) -> FlexTensor {
    let qkv = qkv.to_contiguous();
    let shape = qkv.layout().shape();
    let (batch, tokens, width) = (shape[0], shape[1], shape[2] / 3);
    let mixed = on_cpu(qkv.storage::<f32>(), batch, tokens, width, heads, causal);
    FlexTensor::from_data(TensorData::new(mixed, [batch, tokens, width]))
}

impl SelfAttention for Flex {
    fn self_attention(qkv: FloatTensor<Self>, heads: usize, causal: bool) -> FloatTensor<Self> {
        on_flex(&qkv, heads, causal)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::attention;
    use burn::tensor::ops::AttentionModuleOptions;
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn agrees_with_burns_attention() {
        let device = Device::flex();
        for (batch, tokens, heads, head) in [(1, 1, 1, 4), (1, 197, 12, 64), (3, 17, 2, 24), (2, 77, 8, 64)] {
            let width = heads * head;
            let qkv = Tensor::<3>::random([batch, tokens, 3 * width], Distribution::Normal(0.0, 2.0), &device);
            let part = |index: usize| {
                qkv.clone().narrow(2, index * width, width).reshape([batch, tokens, heads, head]).swap_dims(1, 2)
            };
            for causal in [false, true] {
                let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
                let want = attention(part(0), part(1), part(2), None, None, options);
                let want = want.swap_dims(1, 2).reshape([batch, tokens, width]);
                let difference = (self_attention(qkv.clone(), heads, causal) - want).abs().max();
                let difference: f32 = difference.into_scalar();
                assert!(difference < 2e-5, "{batch} x {tokens} x {heads} x {head}: off by {difference}");
            }
        }
    }

    #[test]
    fn no_image_gives_nothing() {
        assert!(on_cpu(&[], 0, 5, 8, 2, false).is_empty());
    }
}
