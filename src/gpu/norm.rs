//! Layer norm (Ba et al. 2016) and group norm (Wu and He 2018) on the processor, forward and backward, on all cores.
//! Channels come last. Only on Flex; elsewhere burn's own norms run, which also are what the tests
//! compare with. Sums over rows are cut into pieces of a fixed size, so that no result depends on the number of threads.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::nn::GroupNorm;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::pieces::by_pieces;
use super::simd::{
    channel_squares, channel_sums, channel_sums_with_slopes, group_slopes, layer_norm_rows, layer_norm_slopes,
    scale_rows,
};

/// Rows of one task.
const ROWS: usize = 64;

#[backend_extension(Autodiff, Flex)]
pub trait Norms: Backend {
    fn layer_norm_last(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn group_norm_last(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

/// gamma · (x - mean) / √(variance + epsilon) + beta over the last dimension: `x` `[…, width]`, `gamma` and `beta` `[width]` →
/// the same shape. For tensors that [`super::is_cpu`].
///
/// # Panics
/// If the widths differ, or a tensor is on another device.
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f32) -> Tensor<D> {
    assert_eq!(x.dims()[D - 1], gamma.dims()[0], "the norm is as wide as its input");
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Norms>::layer_norm_last(x, gamma, beta, epsilon))
}

/// `norm` of `x` `[batch, positions, channels]`, the same shape: burn's, which wants the channels second, on a tensor that
/// has them last. For tensors that [`super::is_cpu`].
///
/// # Panics
/// If the norm has no scale and offset, or the tensor is on another device.
pub fn group_norm(norm: &GroupNorm, x: Tensor<3>) -> Tensor<3> {
    let value = |param: &Option<burn::module::Param<Tensor<1>>>| {
        param.as_ref().expect("a group norm with scale and offset").val().into_dispatch()
    };
    let (gamma, beta) = (value(&norm.gamma), value(&norm.beta));
    Tensor::from_dispatch(<Dispatch as Norms>::group_norm_last(
        x.into_dispatch(),
        gamma,
        beta,
        norm.num_groups,
        norm.epsilon as f32,
    ))
}

fn layer_norm_on_flex(x: &FlexTensor, gamma: &FlexTensor, beta: &FlexTensor, epsilon: f32) -> FlexTensor {
    let (values, gamma, beta) = (x.storage::<f32>(), gamma.storage::<f32>(), beta.storage::<f32>());
    let width = gamma.len();
    let piece = ROWS * width;
    let out = by_pieces(values.len(), piece, |index, out| {
        layer_norm_rows(&values[index * piece..][..out.len()], gamma, beta, epsilon, out);
    });
    FlexTensor::from_data(TensorData::new(out, x.layout().shape().clone()))
}

/// The sums of the channels of one picture of `len` numbers as means over its groups, spread over their channels.
fn group_means(sums: &[f32], groups: usize, len: usize) -> Vec<f32> {
    let (each, count) = (sums.len() / groups, (len / groups) as f32);
    let means: Vec<f32> = sums.chunks_exact(each).map(|sums| sums.iter().sum::<f32>() / count).collect();
    (0..sums.len()).map(|channel| means[channel / each]).collect()
}

/// Mean and inverse deviation of each group of one picture, spread over its channels.
fn group_statistics(x: &[f32], channels: usize, groups: usize, epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let (mut sums, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    channel_sums(x, &mut sums);
    let mean = group_means(&sums, groups, x.len());
    channel_squares(x, &mean, &mut squares);
    let variance = group_means(&squares, groups, x.len());
    (mean, variance.into_iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect())
}

fn group_norm_on_flex(
    x: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    groups: usize,
    epsilon: f32,
) -> FlexTensor {
    let (values, gamma, beta) = (x.storage::<f32>(), gamma.storage::<f32>(), beta.storage::<f32>());
    let (channels, picture) = (gamma.len(), x.layout().shape()[1] * gamma.len());
    let out = by_pieces(values.len(), picture, |index, out| {
        let x = &values[index * picture..][..picture];
        let (mean, inverse) = group_statistics(x, channels, groups, epsilon);
        let scale: Vec<f32> = inverse.iter().zip(gamma).map(|(i, g)| i * g).collect();
        let offset: Vec<f32> = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        scale_rows(x, &scale, &offset, out);
    });
    FlexTensor::from_data(TensorData::new(out, x.layout().shape().clone()))
}

impl Norms for Flex {
    fn layer_norm_last(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        layer_norm_on_flex(&x.to_contiguous(), &gamma.to_contiguous(), &beta.to_contiguous(), epsilon)
    }

    fn group_norm_last(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        group_norm_on_flex(&x.to_contiguous(), &gamma.to_contiguous(), &beta.to_contiguous(), groups, epsilon)
    }
}

/// What the gradient of a norm needs: its input and its scale. Statistics are computed again.
#[derive(Clone, Debug)]
struct NormState {
    x: FlexTensor,
    gamma: FlexTensor,
    epsilon: f32,
    /// `None`: a layer norm.
    groups: Option<usize>,
}

#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 3> for NormBackward {
    type State = NormState;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slopes = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let NormState { x, gamma, epsilon, groups } = ops.state;
        let shape = x.layout().shape().clone();
        let (x, slopes, gamma) = (x.storage::<f32>(), slopes.storage::<f32>(), gamma.storage::<f32>());
        let width = gamma.len();
        let mut back = vec![0.0; x.len()];
        let piece = if groups.is_some() { shape[1] * width } else { ROWS * width };
        let parts: Vec<Sums> = (back.par_chunks_mut(piece).zip(x.par_chunks(piece)).zip(slopes.par_chunks(piece)))
            .map(|((back, x), slopes)| {
                if let Some(groups) = groups {
                    return group_norm_slopes(x, slopes, gamma, groups, epsilon, back);
                }
                let mut sums = Sums::new(width);
                layer_norm_slopes(x, slopes, gamma, epsilon, back, &mut sums.gamma, &mut sums.beta);
                sums
            })
            .collect();
        let mut sums = Sums::new(width);
        for part in parts {
            sums.gamma.iter_mut().zip(part.gamma).for_each(|(sum, value)| *sum += value);
            sums.beta.iter_mut().zip(part.beta).for_each(|(sum, value)| *sum += value);
        }
        let [x, gamma, beta] = &ops.parents;
        if let Some(node) = x {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(back, shape)));
        }
        if let Some(node) = gamma {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(sums.gamma, [width])));
        }
        if let Some(node) = beta {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(sums.beta, [width])));
        }
    }
}

/// Slopes of scale and offset.
struct Sums {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { gamma: vec![0.0; width], beta: vec![0.0; width] }
    }
}

/// One picture's group norm taken back: writes the slopes of `x`, returns those of scale and offset.
fn group_norm_slopes(x: &[f32], slopes: &[f32], gamma: &[f32], groups: usize, epsilon: f32, back: &mut [f32]) -> Sums {
    let channels = gamma.len();
    let (mean, inverse) = group_statistics(x, channels, groups, epsilon);
    let mut sums = Sums::new(channels);
    channel_sums_with_slopes(x, slopes, &mean, &inverse, &mut sums.gamma, &mut sums.beta);
    // Mean over the group of slope · gamma, and of slope · gamma · standardised x.
    let over_group = |sums: &[f32]| {
        let weighted: Vec<f32> = sums.iter().zip(gamma).map(|(sum, gamma)| sum * gamma).collect();
        group_means(&weighted, groups, x.len())
    };
    let (plain, along) = (over_group(&sums.beta), over_group(&sums.gamma));
    // inverse · (gamma · slope - plain - (x - mean) · inverse · along) = a · slope + b · x + c
    let a: Vec<f32> = inverse.iter().zip(gamma).map(|(i, g)| i * g).collect();
    let b: Vec<f32> = inverse.iter().zip(&along).map(|(i, s)| -i * i * s).collect();
    let c: Vec<f32> =
        (0..channels).map(|channel| -inverse[channel] * plain[channel] - b[channel] * mean[channel]).collect();
    group_slopes(x, slopes, &a, &b, &c, back);
    sums
}

impl<C: CheckpointStrategy> Norms for Autodiff<Flex, C> {
    fn layer_norm_last(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        learn::<C>(x, gamma, beta, None, epsilon)
    }

    fn group_norm_last(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        learn::<C>(x, gamma, beta, Some(groups), epsilon)
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

fn learn<C: CheckpointStrategy>(
    x: Tracked<C>,
    gamma: Tracked<C>,
    beta: Tracked<C>,
    groups: Option<usize>,
    epsilon: f32,
) -> Tracked<C> {
    let nodes = [x.node(), gamma.node(), beta.node()];
    let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.into_primitive().to_contiguous());
    let out = match groups {
        None => layer_norm_on_flex(&x, &gamma, &beta, epsilon),
        Some(groups) => group_norm_on_flex(&x, &gamma, &beta, groups, epsilon),
    };
    match NormBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::UnTracked(step) => step.finish(out),
        OpsKind::Tracked(step) => step.finish(NormState { x, gamma, epsilon, groups }, out),
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::{GroupNormConfig, LayerNormConfig};
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.3, 1.5), &Device::flex().autodiff()).require_grad()
    }

    /// The largest difference, relative to the largest value.
    fn off<const D: usize>(got: Tensor<D>, want: Tensor<D>) -> f32 {
        assert_eq!(got.dims(), want.dims());
        let largest: f32 = want.clone().abs().max().into_scalar();
        let difference: f32 = (got - want).abs().max().into_scalar();
        difference / largest.max(1e-3)
    }

    fn compare(x: &Tensor<3>, gamma: &Tensor<1>, beta: &Tensor<1>, got: Tensor<3>, want: Tensor<3>) {
        let factor = random(x.dims());
        assert!(off(got.clone(), want.clone()) < 1e-5);
        let (got, want) = ((got * factor.clone()).sum().backward(), (want * factor).sum().backward());
        let pair = |tensor: &Tensor<1>| (tensor.grad(&got).expect("a gradient"), tensor.grad(&want).expect("one"));
        for (got, want) in [pair(gamma), pair(beta)] {
            assert!(off(got, want) < 2e-5);
        }
        let error = off(x.grad(&got).expect("a gradient"), x.grad(&want).expect("one"));
        assert!(error < 2e-5, "off by {error}");
    }

    #[test]
    fn layer_norm_and_its_gradient_are_burns() {
        for shape in [[1, 1, 8], [2, 50, 128], [3, 70, 101]] {
            let (x, gamma, beta) = (random(shape), random([shape[2]]), random([shape[2]]));
            let mut norm = LayerNormConfig::new(shape[2]).with_epsilon(1e-5).init(&x.device());
            (norm.gamma, norm.beta) = (Param::from_tensor(gamma.clone()), Some(Param::from_tensor(beta.clone())));
            let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().expect("set above").val());
            compare(
                &x,
                &gamma,
                &beta,
                layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-5),
                norm.forward(x.clone()),
            );
        }
    }

    #[test]
    fn group_norm_and_its_gradient_are_burns() {
        for (shape, groups) in [([2, 1, 8], 2), ([2, 60, 24], 4), ([3, 17, 48], 1)] {
            let (x, gamma, beta) = (random(shape), random([shape[2]]), random([shape[2]]));
            let mut norm = GroupNormConfig::new(groups, shape[2]).init(&x.device());
            (norm.gamma, norm.beta) = (Some(Param::from_tensor(gamma)), Some(Param::from_tensor(beta)));
            let value = |param: &Option<Param<Tensor<1>>>| param.as_ref().expect("set above").val();
            let (gamma, beta) = (value(&norm.gamma), value(&norm.beta));
            let want = norm.forward(x.clone().swap_dims(1, 2)).swap_dims(1, 2);
            compare(&x, &gamma, &beta, group_norm(&norm, x.clone()), want);
        }
    }

    #[test]
    fn a_constant_row_becomes_the_offset() {
        let device = Device::flex();
        let (gamma, beta) = (Tensor::ones([16], &device), Tensor::zeros([16], &device));
        let out = layer_norm(Tensor::<3>::full([1, 2, 16], 7.5, &device), gamma, beta, 1e-5);
        let largest: f32 = out.abs().max().into_scalar();
        assert!(largest < 1e-3, "{largest}");
    }
}
