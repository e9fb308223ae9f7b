//! A depth-wise 3×3 convolution over the patch grid, added to its input, on tokens as they lie: `[batch, tokens, width]`,
//! forward and backward. burn's convolution wants the channels in front of the grid, and takes many times as long. Only on
//! Flex; elsewhere burn's runs, which also is what the tests compare with.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::simd::add_products;

/// Weights of one channel: 3 rows of 3.
const TAPS: usize = 9;

#[backend_extension(Autodiff, Flex)]
pub trait Depthwise: Backend {
    fn add_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grid: (usize, usize),
    ) -> FloatTensor<Self>;
}

/// x + convolution of x: `x` `[batch, rows · columns, width]`, `weight` `[width, 1, 3, 3]`, `bias` `[width]`, borders padded
/// with 0 → the same shape as `x`. For tensors that [`super::is_cpu`].
///
/// # Panics
/// If the shapes do not fit, or a tensor is on another device.
pub fn add_depthwise(x: Tensor<3>, weight: Tensor<4>, bias: Tensor<1>, grid: (usize, usize)) -> Tensor<3> {
    let [_, tokens, width] = x.dims();
    assert_eq!(
        (tokens, weight.dims()),
        (grid.0 * grid.1, [width, 1, 3, 3]),
        "one kernel per channel, one token per place"
    );
    // The channels of one tap side by side, as they lie in a token.
    let taps = weight.reshape([width, TAPS]).transpose();
    let (x, taps, bias) = (x.into_dispatch(), taps.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Depthwise>::add_depthwise(x, taps, bias, grid))
}

/// For each place of the grid its neighbours inside it, as (tap, neighbour).
fn neighbours((rows, columns): (usize, usize), place: usize) -> impl Iterator<Item = (usize, usize)> {
    let (row, column) = (place / columns, place % columns);
    (0..TAPS).filter_map(move |tap| {
        let (row, column) = ((row + tap / 3).checked_sub(1)?, (column + tap % 3).checked_sub(1)?);
        (row < rows && column < columns).then_some((tap, row * columns + column))
    })
}

fn token(values: &[f32], width: usize, index: usize) -> &[f32] {
    &values[index * width..(index + 1) * width]
}

fn on_flex(x: &FlexTensor, taps: &FlexTensor, bias: &FlexTensor, grid: (usize, usize)) -> FlexTensor {
    let (values, taps, bias) = (x.storage::<f32>(), taps.storage::<f32>(), bias.storage::<f32>());
    let width = bias.len();
    let picture = grid.0 * grid.1 * width;
    let mut out = values.to_vec();
    out.par_chunks_mut(picture).zip(values.par_chunks(picture)).for_each(|(out, x)| {
        for (place, out) in out.chunks_exact_mut(width).enumerate() {
            out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            for (tap, from) in neighbours(grid, place) {
                add_products(token(taps, width, tap), token(x, width, from), out);
            }
        }
    });
    FlexTensor::from_data(TensorData::new(out, x.layout().shape().clone()))
}

impl Depthwise for Flex {
    fn add_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grid: (usize, usize),
    ) -> FloatTensor<Self> {
        on_flex(&x.to_contiguous(), &weight.to_contiguous(), &bias.to_contiguous(), grid)
    }
}

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    taps: FlexTensor,
    grid: (usize, usize),
}

#[derive(Debug)]
struct DepthwiseBackward;

impl Backward<Flex, 3> for DepthwiseBackward {
    type State = State;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slopes = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let State { x, taps, grid } = ops.state;
        let shape = x.layout().shape().clone();
        let (x, taps, slopes) = (x.storage::<f32>(), taps.storage::<f32>(), slopes.storage::<f32>());
        let width = taps.len() / TAPS;
        let picture = grid.0 * grid.1 * width;
        let mut back = slopes.to_vec();
        let parts: Vec<Vec<f32>> =
            (back.par_chunks_mut(picture).zip(x.par_chunks(picture)).zip(slopes.par_chunks(picture)))
                .map(|((back, x), slopes)| {
                    // Slopes of the nine taps and, behind them, of the bias.
                    let mut of_weights = vec![0.0; (TAPS + 1) * width];
                    let (of_taps, of_bias) = of_weights.split_at_mut(TAPS * width);
                    for (place, slope) in slopes.chunks_exact(width).enumerate() {
                        of_bias.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += slope);
                        for (tap, from) in neighbours(grid, place) {
                            let back = &mut back[from * width..(from + 1) * width];
                            add_products(token(taps, width, tap), slope, back);
                            add_products(token(x, width, from), slope, &mut of_taps[tap * width..(tap + 1) * width]);
                        }
                    }
                    of_weights
                })
                .collect();
        let mut of_taps = vec![0.0; (TAPS + 1) * width];
        for part in parts {
            of_taps.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        let of_bias = of_taps.split_off(TAPS * width);
        let [x, taps, bias] = &ops.parents;
        if let Some(node) = x {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(back, shape)));
        }
        if let Some(node) = taps {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(of_taps, [TAPS, width])));
        }
        if let Some(node) = bias {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(of_bias, [width])));
        }
    }
}

impl<C: CheckpointStrategy> Depthwise for Autodiff<Flex, C> {
    fn add_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grid: (usize, usize),
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, taps, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive().to_contiguous());
        let out = on_flex(&x, &taps, &bias, grid);
        match DepthwiseBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(step) => step.finish(out),
            OpsKind::Tracked(step) => step.finish(State { x, taps, grid }, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex().autodiff()).require_grad()
    }

    fn off<const D: usize>(got: Option<Tensor<D>>, want: Option<Tensor<D>>) -> f32 {
        (got.expect("a gradient") - want.expect("a gradient")).abs().max().into_scalar()
    }

    #[test]
    fn agrees_with_burns_convolution_and_its_gradient() {
        for (batch, grid, width) in [(1, (1, 1), 3), (2, (3, 5), 24), (3, (12, 7), 128)] {
            let tokens = grid.0 * grid.1;
            let (x, weight, bias) = (random([batch, tokens, width]), random([width, 1, 3, 3]), random([width]));
            let factor = random([batch, tokens, width]);
            let got = add_depthwise(x.clone(), weight.clone(), bias.clone(), grid);
            let image = x.clone().swap_dims(1, 2).reshape([batch, width, grid.0, grid.1]);
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], width);
            let moved = conv2d(image, weight.clone(), Some(bias.clone()), options);
            let want = x.clone() + moved.reshape([batch, width, tokens]).swap_dims(1, 2);
            let difference: f32 = (got.clone() - want.clone()).abs().max().into_scalar();
            assert!(difference < 1e-5, "{grid:?}: off by {difference}");
            let (got, want) = ((got * factor.clone()).sum().backward(), (want * factor).sum().backward());
            let errors = [
                off(x.grad(&got), x.grad(&want)),
                off(weight.grad(&got), weight.grad(&want)),
                off(bias.grad(&got), bias.grad(&want)),
            ];
            assert!(errors.iter().all(|error| *error < 2e-4), "{grid:?}: off by {errors:?}");
        }
    }
}
