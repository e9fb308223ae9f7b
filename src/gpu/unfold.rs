//! Windows of a picture laid out as rows, so that a convolution becomes a linear layer: the picture `[batch, height, width,
//! channels]`, each window `[kernel, kernel, channels]` a row. Forward and backward, on the processor alone; elsewhere
//! burn's convolution runs, which also is what the tests compare with.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::linear::linear;
use super::pieces::by_pieces;
use crate::model::config::Activation;

/// Square windows: side, step from one to the next, and zeros around the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

#[backend_extension(Autodiff, Flex)]
pub trait Unfold: Backend {
    fn unfold_windows(x: FloatTensor<Self>, windows: Windows) -> FloatTensor<Self>;
}

impl Windows {
    /// What `layer` slides over a picture.
    ///
    /// # Panics
    /// If its kernel, stride or padding is not square, or its padding depends on the picture.
    fn of(layer: &Conv2d) -> Self {
        let padding = match &layer.padding {
            PaddingConfig2d::Valid => [0; 4],
            PaddingConfig2d::Explicit(top, left, bottom, right) => [*top, *left, *bottom, *right],
            PaddingConfig2d::Same => panic!("the padding has to be given in pixels"),
        };
        let ([kernel, wide], [stride, across]) = (layer.kernel_size, layer.stride);
        let square = kernel == wide && stride == across && padding.iter().all(|side| *side == padding[0]);
        assert!(square, "kernel, stride and padding have to be square");
        Self { kernel, stride, padding: padding[0] }
    }

    /// Windows along a side of `length` pixels.
    fn along(self, length: usize) -> usize {
        (length + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// The grid of windows of a picture.
    pub fn grid(self, height: usize, width: usize) -> (usize, usize) {
        (self.along(height), self.along(width))
    }
}

/// The convolution with `layer`'s weights of `x` `[batch, height, width, channels]`, as `[batch, rows · columns, out]`, and the
/// grid (rows, columns). For tensors that [`super::is_cpu`].
///
/// # Panics
/// If the shapes do not fit, kernel, stride or padding is not square, or a tensor is on another device.
pub fn convolve(layer: &Conv2d, x: Tensor<4>) -> (Tensor<3>, (usize, usize)) {
    let windows = Windows::of(layer);
    let [_, height, width, channels] = x.dims();
    let weight = layer.weight.val();
    let [out, inside, kernel, _] = weight.dims();
    assert_eq!(inside, channels, "the layer has as many channels as the picture");
    let rows = Tensor::<3>::from_dispatch(<Dispatch as Unfold>::unfold_windows(x.into_dispatch(), windows));
    let weight = weight.permute([2, 3, 1, 0]).reshape([kernel * kernel * channels, out]);
    let bias = layer.bias.as_ref().map(burn::module::Param::val);
    (linear(rows, weight, bias, Activation::Identity), windows.grid(height, width))
}

/// Sizes of one picture.
#[derive(Clone, Copy, Debug)]
struct Picture {
    height: usize,
    width: usize,
    channels: usize,
}

impl Picture {
    fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Calls `each` with (where in the rows, where in the picture, how many numbers) for every stretch of pixels that
    /// lies side by side in both.
    fn stretches(self, windows: Windows, mut each: impl FnMut(usize, usize, usize)) {
        let Windows { kernel, stride, padding } = windows;
        let (rows, columns) = windows.grid(self.height, self.width);
        let line = kernel * self.channels;
        for row in 0..rows {
            for column in 0..columns {
                // Pixels of the window's lines that lie inside the picture.
                let left = column * stride;
                let first = padding.saturating_sub(left);
                let last = kernel.min(self.width + padding - left);
                for y in 0..kernel {
                    let Some(from) = (row * stride + y).checked_sub(padding).filter(|from| *from < self.height) else {
                        continue;
                    };
                    let to = ((row * columns + column) * kernel + y) * line + first * self.channels;
                    let from = (from * self.width + left + first - padding) * self.channels;
                    each(to, from, (last - first) * self.channels);
                }
            }
        }
    }
}

fn on_flex(x: &FlexTensor, windows: Windows) -> (FlexTensor, Picture) {
    let shape = x.layout().shape();
    let (batch, picture) = (shape[0], Picture { height: shape[1], width: shape[2], channels: shape[3] });
    let (rows, columns) = windows.grid(picture.height, picture.width);
    let width = windows.kernel * windows.kernel * picture.channels;
    let values = x.storage::<f32>();
    let each = rows * columns * width;
    let out = by_pieces(batch * each, each, |index, out| {
        let x = &values[index * picture.len()..][..picture.len()];
        picture.stretches(windows, |to, from, count| out[to..to + count].copy_from_slice(&x[from..from + count]));
    });
    (FlexTensor::from_data(TensorData::new(out, [batch, rows * columns, width])), picture)
}

impl Unfold for Flex {
    fn unfold_windows(x: FloatTensor<Self>, windows: Windows) -> FloatTensor<Self> {
        on_flex(&x.to_contiguous(), windows).0
    }
}

#[derive(Debug)]
struct UnfoldBackward;

impl Backward<Flex, 1> for UnfoldBackward {
    type State = (Picture, Windows);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slopes = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(node)] = &ops.parents else { return };
        let (picture, windows) = ops.state;
        let (batch, each) = (slopes.layout().shape()[0], slopes.layout().shape()[1] * slopes.layout().shape()[2]);
        let slopes = slopes.storage::<f32>();
        let mut back = vec![0.0_f32; batch * picture.len()];
        back.par_chunks_mut(picture.len()).zip(slopes.par_chunks(each)).for_each(|(back, slopes)| {
            picture.stretches(windows, |at, from, count| {
                let sums = back[from..from + count].iter_mut();
                sums.zip(&slopes[at..at + count]).for_each(|(sum, slope)| *sum += slope);
            });
        });
        let shape = [batch, picture.height, picture.width, picture.channels];
        gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(back, shape)));
    }
}

impl<C: CheckpointStrategy> Unfold for Autodiff<Flex, C> {
    fn unfold_windows(x: FloatTensor<Self>, windows: Windows) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let (out, picture) = on_flex(&x.into_primitive().to_contiguous(), windows);
        match UnfoldBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(step) => step.finish(out),
            OpsKind::Tracked(step) => step.finish((picture, windows), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn off<const D: usize>(got: Option<Tensor<D>>, want: Option<Tensor<D>>) -> f32 {
        let (got, want) = (got.expect("a gradient"), want.expect("a gradient"));
        let largest: f32 = want.clone().abs().max().into_scalar();
        let difference: f32 = (got - want).abs().max().into_scalar();
        difference / largest
    }

    #[test]
    fn agrees_with_burns_convolution_and_its_gradient() {
        let device = Device::flex().autodiff();
        let random = |shape| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad();
        for (windows, (height, width), bias) in [
            (Windows { kernel: 3, stride: 2, padding: 1 }, (9, 12), true),
            (Windows { kernel: 3, stride: 1, padding: 1 }, (4, 3), true),
            (Windows { kernel: 4, stride: 4, padding: 0 }, (8, 12), false),
            (Windows { kernel: 5, stride: 3, padding: 2 }, (7, 1), true),
        ] {
            let Windows { kernel, stride, padding } = windows;
            let layer = Conv2dConfig::new([5, 16], [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                .with_bias(bias)
                .init(&device);
            let x = random([2, 5, height, width]);
            let (got, grid) = convolve(&layer, x.clone().permute([0, 2, 3, 1]));
            let want = layer.forward(x.clone());
            assert_eq!(want.dims(), [2, 16, grid.0, grid.1]);
            let want = want.reshape([2, 16, grid.0 * grid.1]).swap_dims(1, 2);
            let difference: f32 = (got.clone() - want.clone()).abs().max().into_scalar();
            assert!(difference < 1e-5, "{windows:?}: off by {difference}");
            let factor = Tensor::random(want.dims(), Distribution::Normal(0.0, 1.0), &device);
            let (got, want) = ((got * factor.clone()).sum().backward(), (want * factor).sum().backward());
            assert!(off(x.grad(&got), x.grad(&want)) < 1e-5);
            assert!(off(layer.weight.grad(&got), layer.weight.grad(&want)) < 1e-5);
        }
    }
}
