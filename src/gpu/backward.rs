//! Gradients of [`super::linear`] and [`super::attention`] on the processor, so that training takes the same fast products
//! as inference. Nothing is kept for the backward pass but the inputs and, under an activation, the sums it was given;
//! the attention weights are computed again, as FlashAttention does (Dao et al. 2022).

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use gemmkit::{MatMut, MatRef, Parallelism, gemm};
use rayon::prelude::*;

use super::activate;
use super::attention::{self, SelfAttention};
use super::linear::{self, LinearLayer, Weight, multiply, multiply_strided, place, readable};
use super::simd::{exponentials, gelu_slopes, quick_gelu_slopes, softmax_slopes};
use crate::model::config::Activation;

/// Numbers that one task takes of a long row of them.
pub(super) const PIECE: usize = 1 << 14;

/// activation(x · weight + bias) with respect to x, the weight and, as third parent, the bias.
#[derive(Debug)]
struct LinearBackward;

/// What [`LinearBackward`] needs, as far as its parents ask for gradients.
#[derive(Clone, Debug)]
struct LinearState {
    x: Option<FlexTensor>,
    weight: Option<FlexTensor>,
    /// x · weight + bias, where an activation follows.
    sums: Option<FlexTensor>,
    activation: Activation,
}

impl<const N: usize> Backward<Flex, N> for LinearBackward {
    type State = LinearState;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slopes = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let shape = slopes.layout().shape().clone();
        let outputs = shape[shape.num_dims() - 1];
        let mut changed = Vec::new();
        let slopes = match &ops.state.sums {
            Some(sums) => {
                changed.extend_from_slice(slopes.storage::<f32>());
                through(ops.state.activation, sums.storage::<f32>(), &mut changed);
                &changed[..]
            }
            None => slopes.storage::<f32>(),
        };
        let rows = slopes.len() / outputs.max(1);
        let [x, weight] = [&ops.parents[0], &ops.parents[1]];
        if let (Some(node), Some(weight)) = (x, ops.state.weight) {
            let (start, (row, column)) = place(&weight);
            let inputs = weight.layout().shape()[0];
            let values = &weight.storage::<f32>()[start..];
            let transposed = Weight { values, inputs: outputs, outputs: inputs, strides: (column, row) };
            let gradient = multiply(slopes, &transposed, None, Activation::Identity);
            let mut shape = shape.clone();
            let last = shape.num_dims() - 1;
            shape[last] = inputs;
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(gradient, shape)));
        }
        if let (Some(node), Some(x)) = (weight, ops.state.x) {
            let inputs = x.layout().shape()[x.layout().num_dims() - 1];
            let factor = Weight { values: slopes, inputs: rows, outputs, strides: (outputs, 1) };
            let gradient =
                multiply_strided(x.storage::<f32>(), inputs, (1, inputs), &factor, None, Activation::Identity);
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(gradient, [inputs, outputs])));
        }
        if let Some(Some(node)) = ops.parents.get(2) {
            let mut gradient = vec![0.0_f32; outputs];
            for row in slopes.chunks_exact(outputs) {
                gradient.iter_mut().zip(row).for_each(|(sum, slope)| *sum += slope);
            }
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(gradient, [outputs])));
        }
    }
}

/// Takes `slopes` back through an activation of `sums`.
pub(super) fn through(activation: Activation, sums: &[f32], slopes: &mut [f32]) {
    sums.par_chunks(PIECE).zip(slopes.par_chunks_mut(PIECE)).for_each(|(sums, slopes)| match activation {
        Activation::Identity => {}
        Activation::QuickGelu => quick_gelu_slopes(sums, slopes),
        Activation::Gelu => gelu_slopes(sums, slopes),
        Activation::Relu => {
            slopes.iter_mut().zip(sums).filter(|(_, sum)| **sum <= 0.0).for_each(|(slope, _)| *slope = 0.0);
        }
    });
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

/// The layer, with what its gradient needs kept. `tracked` says of x and of the weight whether anybody asks for theirs.
fn learn_linear<C: CheckpointStrategy, const N: usize>(
    nodes: [NodeGuard; N],
    tracked: [bool; 2],
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    activation: Activation,
) -> Tracked<C> {
    match LinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::UnTracked(step) => step.finish(linear::on_flex(x, weight, bias, activation)),
        OpsKind::Tracked(step) => {
            let (x, weight) = (x.to_contiguous(), readable(weight));
            let sums = linear::on_flex(x.clone(), weight.clone(), bias, Activation::Identity);
            let out =
                if activation == Activation::Identity { sums.clone() } else { activate::on_flex(&sums, activation) };
            let [wants_x, wants_weight] = tracked;
            let state = LinearState {
                x: wants_weight.then_some(x),
                weight: wants_x.then_some(weight),
                sums: (activation != Activation::Identity).then_some(sums),
                activation,
            };
            step.finish(state, out)
        }
    }
}

impl<C: CheckpointStrategy> LinearLayer for Autodiff<Flex, C> {
    fn linear_layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let tracked = [x.is_tracked(), weight.is_tracked()];
        let nodes = [x.node(), weight.node(), bias.node()];
        let bias = Some(bias.into_primitive());
        learn_linear::<C, 3>(nodes, tracked, x.into_primitive(), weight.into_primitive(), bias, activation)
    }

    fn linear_layer_without_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let tracked = [x.is_tracked(), weight.is_tracked()];
        let nodes = [x.node(), weight.node()];
        learn_linear::<C, 2>(nodes, tracked, x.into_primitive(), weight.into_primitive(), None, activation)
    }
}

/// Self-attention with respect to its queries, keys and values side by side.
#[derive(Debug)]
struct AttentionBackward;

#[derive(Clone, Debug)]
struct AttentionInputs {
    qkv: FlexTensor,
    heads: usize,
    causal: bool,
}

impl Backward<Flex, 1> for AttentionBackward {
    type State = AttentionInputs;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slopes = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(node)] = &ops.parents else { return };
        let AttentionInputs { qkv, heads, causal } = ops.state;
        let shape = slopes.layout().shape();
        let (tokens, width) = (shape[1], shape[2]);
        let qkv_shape = qkv.layout().shape().clone();
        let gradient =
            attention_gradient(qkv.storage::<f32>(), slopes.storage::<f32>(), Layout { tokens, width, heads, causal });
        gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(gradient, qkv_shape)));
    }
}

/// How one image's queries, keys and values are laid out.
#[derive(Clone, Copy)]
struct Layout {
    tokens: usize,
    width: usize,
    heads: usize,
    causal: bool,
}

/// `qkv` `[batch, tokens, 3 × width]`, `slopes` of the result `[batch, tokens, width]` → those of `qkv`.
fn attention_gradient(qkv: &[f32], slopes: &[f32], layout: Layout) -> Vec<f32> {
    let Layout { tokens, width, heads, .. } = layout;
    let mut gradient = vec![0.0; qkv.len()];
    if gradient.is_empty() {
        return gradient;
    }
    let head = width / heads;
    let images: Vec<_> = qkv.chunks(tokens * 3 * width).zip(slopes.chunks(tokens * width)).collect();
    let parts: Vec<Vec<f32>> = (0..images.len() * heads)
        .into_par_iter()
        .map_init(
            || vec![0.0; 2 * tokens * tokens],
            |scratch, task| {
                let (qkv, slopes) = images[task / heads];
                head_gradient(qkv, slopes, task % heads * head, layout, scratch)
            },
        )
        .collect();
    gradient.par_chunks_mut(tokens * 3 * width).zip(parts.par_chunks(heads)).for_each(|(gradient, parts)| {
        for (at, part) in (0..).step_by(head).zip(parts) {
            for (index, values) in part.chunks_exact(tokens * head).enumerate() {
                for (row, values) in gradient.chunks_exact_mut(3 * width).zip(values.chunks_exact(head)) {
                    row[index * width + at..][..head].copy_from_slice(values);
                }
            }
        }
    });
    gradient
}

/// The slopes of one head's queries, keys and values, `[3, tokens, head]`; `at` is the head's first column and `scratch`
/// has room for two matrices `[tokens, tokens]`.
fn head_gradient(qkv: &[f32], slopes: &[f32], at: usize, layout: Layout, scratch: &mut [f32]) -> Vec<f32> {
    let Layout { tokens, width, heads, causal } = layout;
    let (head, stride) = (width / heads, 3 * width as isize);
    let scale = 1.0 / (head as f32).sqrt();
    let part = |index: usize| MatRef::new(&qkv[index * width + at..], tokens, head, stride, 1);
    let transposed = |index: usize| MatRef::new(&qkv[index * width + at..], head, tokens, 1, stride);
    let slopes = MatRef::new(&slopes[at..], tokens, head, width as isize, 1);
    let (chances, pull) = scratch.split_at_mut(tokens * tokens);
    let square = |values| MatRef::from_row_major(values, tokens, tokens);
    let flipped = |values| MatRef::new(values, tokens, tokens, 1, tokens as isize);

    product(part(0), transposed(1), chances);
    for (row, chances) in chances.chunks_exact_mut(tokens).enumerate() {
        let (seen, hidden) = chances.split_at_mut(if causal { row + 1 } else { tokens });
        hidden.fill(0.0);
        let inverse = 1.0 / exponentials(seen, scale);
        for chance in seen {
            *chance *= inverse;
        }
    }
    let mut out = vec![0.0; 3 * tokens * head];
    let (queries, rest) = out.split_at_mut(tokens * head);
    let (keys, values) = rest.split_at_mut(tokens * head);
    product(flipped(chances), slopes, values);
    product(slopes, transposed(2), pull);
    for (pull, chances) in pull.chunks_exact_mut(tokens).zip(chances.chunks_exact(tokens)) {
        softmax_slopes(chances, pull, scale);
    }
    product(square(pull), part(1), queries);
    product(flipped(pull), part(0), keys);
    out
}

/// a · b into `out`, packed row by row.
fn product(a: MatRef<'_, f32>, b: MatRef<'_, f32>, out: &mut [f32]) {
    let out = MatMut::from_row_major(out, a.rows(), b.cols());
    gemm(1.0, a, b, 0.0, out, Parallelism::Serial);
}

impl<C: CheckpointStrategy> SelfAttention for Autodiff<Flex, C> {
    fn self_attention(qkv: FloatTensor<Self>, heads: usize, causal: bool) -> FloatTensor<Self> {
        let nodes = [qkv.node()];
        let qkv = qkv.into_primitive().to_contiguous();
        let mixed = attention::on_flex(&qkv, heads, causal);
        match AttentionBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(step) => step.finish(mixed),
            OpsKind::Tracked(step) => step.finish(AttentionInputs { qkv, heads, causal }, mixed),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::attention;
    use burn::tensor::ops::AttentionModuleOptions;
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::gpu::attention::self_attention;
    use crate::gpu::linear::linear;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex().autodiff()).require_grad()
    }

    /// The largest difference, relative to the largest value (all of them may be 0).
    fn off<const D: usize>(got: Option<Tensor<D>>, want: Option<Tensor<D>>) -> f32 {
        let (got, want) = (got.expect("a gradient"), want.expect("a gradient"));
        assert_eq!(got.dims(), want.dims());
        let largest: f32 = want.clone().abs().max().into_scalar();
        let difference: f32 = (got - want).abs().max().into_scalar();
        difference / largest.max(1e-3)
    }

    #[test]
    fn a_linear_layer_learns_as_burns_does() {
        for (shape, outputs) in [([1, 1, 1], 1), ([2, 33, 70], 101), ([3, 50, 384], 96)] {
            for which in [Activation::Identity, Activation::QuickGelu, Activation::Gelu, Activation::Relu] {
                for transposed in [false, true] {
                    let x = random(shape);
                    let weight = random(if transposed { [outputs, shape[2]] } else { [shape[2], outputs] });
                    let bias = random([outputs]);
                    let as_used = || if transposed { weight.clone().transpose() } else { weight.clone() };
                    let factor = random([shape[0], shape[1], outputs]);
                    let of = |out: Tensor<3>| (out * factor.clone()).sum().backward();
                    let got = of(linear(x.clone(), as_used(), Some(bias.clone()), which));
                    let sums = x.clone().matmul(as_used().unsqueeze::<3>()) + bias.clone().unsqueeze::<3>();
                    let want = of(crate::model::vit::activate(sums, which));
                    let errors = [
                        off(x.grad(&got), x.grad(&want)),
                        off(weight.grad(&got), weight.grad(&want)),
                        off(bias.grad(&got), bias.grad(&want)),
                    ];
                    assert!(errors.iter().all(|error| *error < 1e-5), "{shape:?} {which:?}: off by {errors:?}");

                    let got = of(linear(x.clone(), as_used(), None, Activation::Identity));
                    let want = of(x.clone().matmul(as_used().unsqueeze::<3>()));
                    assert!(off(weight.grad(&got), weight.grad(&want)) < 1e-5);
                }
            }
        }
    }

    #[test]
    fn what_is_frozen_gets_no_gradient_and_does_not_keep_the_others_from_theirs() {
        let frozen = |shape| Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex().autodiff());
        let (x, weight) = (random([2, 5, 8]), frozen([8, 4]));
        let gradients = linear(x.clone(), weight.clone(), None, Activation::Gelu).sum().backward();
        assert!(x.grad(&gradients).is_some() && weight.grad(&gradients).is_none());
        let (x, weight): (Tensor<3>, Tensor<2>) =
            (Tensor::random([2, 5, 8], Distribution::Default, &Device::flex().autodiff()), random([8, 4]));
        let gradients = linear(x.clone(), weight.clone(), None, Activation::Gelu).sum().backward();
        assert!(x.grad(&gradients).is_none() && weight.grad(&gradients).is_some());
    }

    #[test]
    fn attention_learns_as_burns_does() {
        for (batch, tokens, heads, head) in [(1, 1, 1, 4), (1, 65, 3, 16), (3, 17, 2, 24)] {
            let width = heads * head;
            let qkv = random([batch, tokens, 3 * width]);
            let factor = random([batch, tokens, width]);
            let part = |index: usize| {
                qkv.clone().narrow(2, index * width, width).reshape([batch, tokens, heads, head]).swap_dims(1, 2)
            };
            for causal in [false, true] {
                let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
                let want = attention(part(0), part(1), part(2), None, None, options);
                let want = want.swap_dims(1, 2).reshape([batch, tokens, width]);
                let want = (want * factor.clone()).sum().backward();
                let got = (self_attention(qkv.clone(), heads, causal) * factor.clone()).sum().backward();
                let error = off(qkv.grad(&got), qkv.grad(&want));
                assert!(error < 1e-5, "{batch} x {tokens} x {heads} x {head}: off by {error}");
            }
        }
    }
}
