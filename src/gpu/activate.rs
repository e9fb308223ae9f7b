//! An activation by itself on the processor, forward and backward on all cores, where none of our linear layers comes
//! before it. Only on Flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::backward::{PIECE, through};
use super::linear;
use crate::model::config::Activation;

#[backend_extension(Autodiff, Flex)]
pub trait Activated: Backend {
    fn activated(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
}

/// `activation` of every number. For tensors that [`super::is_cpu`].
///
/// # Panics
/// If the tensor is on another device.
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Activated>::activated(x.into_dispatch(), activation))
}

/// The same on Flex's own tensors.
pub(super) fn on_flex(x: &FlexTensor, activation: Activation) -> FlexTensor {
    let mut values = x.storage::<f32>().to_vec();
    values.par_chunks_mut(PIECE).for_each(|values| linear::activate(values, activation));
    FlexTensor::from_data(TensorData::new(values, x.layout().shape().clone()))
}

impl Activated for Flex {
    fn activated(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        on_flex(&x.to_contiguous(), activation)
    }
}

#[derive(Debug)]
struct ActivatedBackward;

impl Backward<Flex, 1> for ActivatedBackward {
    type State = (FlexTensor, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slopes = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(node)] = &ops.parents else { return };
        let (x, activation) = ops.state;
        let mut back = slopes.storage::<f32>().to_vec();
        through(activation, x.storage::<f32>(), &mut back);
        let data = TensorData::new(back, x.layout().shape().clone());
        gradients.register::<Flex>(node.id, FlexTensor::from_data(data));
    }
}

impl<C: CheckpointStrategy> Activated for Autodiff<Flex, C> {
    fn activated(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive().to_contiguous();
        let out = on_flex(&x, activation);
        match ActivatedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(step) => step.finish(out),
            OpsKind::Tracked(step) => step.finish((x, activation), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn agrees_with_burns_activations_and_their_gradients() {
        for which in [Activation::Identity, Activation::QuickGelu, Activation::Gelu, Activation::Relu] {
            let device = Device::flex().autodiff();
            let x = Tensor::<2>::random([3, 70], Distribution::Normal(0.0, 2.0), &device).require_grad();
            let (got, want) = (activate(x.clone(), which), crate::model::vit::activate(x.clone(), which));
            let difference: f32 = (got.clone() - want.clone()).abs().max().into_scalar();
            let (got, want) = (got.sum().backward(), want.sum().backward());
            let slopes = x.grad(&got).expect("a gradient") - x.grad(&want).expect("a gradient");
            let slopes: f32 = slopes.abs().max().into_scalar();
            assert!(difference < 1e-5 && slopes < 1e-5, "{which:?}: off by {difference}, {slopes}");
        }
    }
}
