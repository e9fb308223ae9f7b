//! A linear layer with bias and activation on the processor: where most of a network's time goes. The matrix product is
//! gemmkit's; here it is cut into column blocks, one task each, whose activation follows while the block is in the
//! cache. Only on Flex; elsewhere burn's own layer runs, which also is what the tests compare with. What training needs
//! besides is in [`super::backward`].

use std::fmt;
use std::str::FromStr;
use std::sync::Once;

use burn::backend::flex::FlexTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use gemmkit::{BiasDim, Parallelism, gemm_fused_unchecked, gemm_unchecked};
use half::bf16;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::simd::{from_bf16_with_bias, gelu, quick_gelu, to_bf16};
use crate::model::config::Activation;
use crate::{Error, Result};

/// A column block is a multiple of this: three AVX-512 registers, the height of the product's innermost tile.
const TILE: usize = 48;

#[backend_extension(Autodiff, Flex)]
pub trait LinearLayer: Backend {
    fn linear_layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    fn linear_layer_without_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

/// activation(x · weight + bias): `x` `[batch, tokens, in]`, `weight` `[in, out]`, `bias` `[out]` →
/// `[batch, tokens, out]`. For tensors that [`super::is_cpu`]; a weight in bf16 multiplies in bf16, see [`Precision`].
///
/// # Panics
/// If the shapes do not fit, or a tensor is on another device.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>, activation: Activation) -> Tensor<3> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => <Dispatch as LinearLayer>::linear_layer(x, weight, bias.into_dispatch(), activation),
        None => <Dispatch as LinearLayer>::linear_layer_without_bias(x, weight, activation),
    })
}

/// A weight matrix `[inputs, outputs]` in memory: element (i, j) at `i * strides.0 + j * strides.1`.
pub(super) struct Weight<'a, T> {
    pub values: &'a [T],
    pub inputs: usize,
    pub outputs: usize,
    pub strides: (usize, usize),
}

impl<T> Weight<'_, T> {
    /// That every element is within `values`, on which the unchecked products rely.
    fn check(&self) {
        let last = self.inputs.saturating_sub(1) * self.strides.0 + self.outputs.saturating_sub(1) * self.strides.1;
        assert!(last < self.values.len(), "the weight is [{}, {}]", self.inputs, self.outputs);
    }

    /// The column blocks `(first, width)` for a product with `rows` rows: a few for every thread, so that a thread which
    /// is held up does not hold up the others, but few enough that `x` is not fetched too often.
    fn blocks(&self, rows: usize) -> Vec<(usize, usize)> {
        let threads = rayon::current_num_threads();
        let wanted = if threads == 1 || rows * self.inputs * self.outputs < 1 << 20 {
            1
        } else if rows > 1024 {
            2 * threads
        } else {
            4 * threads
        };
        let width = self.outputs.div_ceil(wanted).next_multiple_of(TILE);
        (0..self.outputs).step_by(width).map(|first| (first, width.min(self.outputs - first))).collect()
    }
}

/// Has the product copy a weight's rows side by side before it reads them, even where few rows of `x` use the copy: read
/// where they lie, each step of the inner loop lands on another page of memory. Measured at 197 rows: 1.3 times as fast.
fn tune() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| gemmkit::tuning::set_lhs_pack_threshold(64));
}

/// A raw pointer that tasks share, each writing elements of its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

#[expect(unsafe_code, reason = "tasks write disjoint columns of one matrix, which no safe slice can express")]
// SAFETY: the tasks of `multiply_strided` and `multiply_bf16` write and read elements that no other task touches.
unsafe impl Send for Shared {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn pointer(self) -> *mut f32 {
        self.0
    }

    /// `width` elements of row `row` from column `first` on, of a matrix with `stride` columns.
    ///
    /// # Safety
    /// They must lie inside the matrix, be initialised, and belong to the calling task alone.
    #[expect(unsafe_code, reason = "a part of a row that no other task touches")]
    unsafe fn row<'a>(self, row: usize, stride: usize, first: usize, width: usize) -> &'a mut [f32] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(row * stride + first), width) }
    }
}

pub(super) fn activate(values: &mut [f32], activation: Activation) {
    match activation {
        Activation::Identity => {}
        Activation::QuickGelu => quick_gelu(values),
        Activation::Gelu => gelu(values),
        Activation::Relu => values.iter_mut().for_each(|value| *value = value.max(0.0)),
    }
}

/// activation(x · weight + bias), `x` being `[rows, inputs]` in row-major order.
pub(super) fn multiply(x: &[f32], weight: &Weight<'_, f32>, bias: Option<&[f32]>, activation: Activation) -> Vec<f32> {
    let k = weight.inputs;
    let rows = x.len() / k.max(1);
    assert_eq!(x.len(), rows * k, "x is [rows, {k}]");
    multiply_strided(x, rows, (k, 1), weight, bias, activation)
}

/// [`multiply`] with element (i, j) of `x` at `i * strides.0 + j * strides.1`.
pub(super) fn multiply_strided(
    x: &[f32],
    rows: usize,
    strides: (usize, usize),
    weight: &Weight<'_, f32>,
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    tune();
    let (k, n) = (weight.inputs, weight.outputs);
    if rows * n * k == 0 {
        return vec![0.0; rows * n];
    }
    // Not zeroed: one thread would, while the others wait.
    let mut out: Vec<f32> = Vec::with_capacity(rows * n);
    weight.check();
    assert!((rows - 1) * strides.0 + (k - 1) * strides.1 < x.len(), "x is [{rows}, {k}]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "the bias is [{n}]");
    let shared = Shared(out.as_mut_ptr());
    let (rsb, csb) = (weight.strides.0 as isize, weight.strides.1 as isize);
    weight.blocks(rows).into_par_iter().for_each(|(first, width)| {
        let bias_pointer = bias.map_or(std::ptr::null(), |bias| bias[first..].as_ptr());
        // SAFETY: `x` is [rows, k], which the assertion above has seen to; columns first..first + width of the weight lie
        // inside it, which `check` has seen to, as do those of the bias and of the result, which no other task touches.
        // A product that adds to nothing (a factor of 0) does not read the result.
        #[expect(unsafe_code, reason = "tasks write disjoint columns of one matrix")]
        unsafe {
            gemm_fused_unchecked(
                rows,
                k,
                width,
                1.0,
                x.as_ptr(),
                strides.0 as isize,
                strides.1 as isize,
                weight.values.as_ptr().add(first * weight.strides.1),
                rsb,
                csb,
                0.0,
                shared.pointer().add(first),
                n as isize,
                1,
                bias_pointer,
                BiasDim::PerCol,
                bias.is_some(),
                None,
                Parallelism::Serial,
            );
        }
        if activation != Activation::Identity {
            for row in 0..rows {
                // SAFETY: the product above has just written these elements, and no other task touches them.
                #[expect(unsafe_code, reason = "tasks write disjoint columns of one matrix")]
                activate(unsafe { shared.row(row, n, first, width) }, activation);
            }
        }
    });
    // SAFETY: the blocks are all columns, and the product has written every row of each.
    #[expect(unsafe_code, reason = "the tasks have written the whole matrix")]
    unsafe {
        out.set_len(rows * n);
    }
    out
}

/// [`multiply`] with both factors in bf16. Sums run in f32; the product is rounded to bf16 before the bias is added.
fn multiply_bf16(x: &[f32], weight: &Weight<'_, bf16>, bias: Option<&[f32]>, activation: Activation) -> Vec<f32> {
    let (k, n) = (weight.inputs, weight.outputs);
    let rows = x.len() / k.max(1);
    if rows * n == 0 {
        return Vec::new();
    }
    let mut out: Vec<f32> = Vec::with_capacity(rows * n);
    weight.check();
    assert_eq!(x.len(), rows * k, "x is [rows, {k}]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "the bias is [{n}]");
    let mut narrow_x = vec![bf16::ZERO; x.len()];
    let piece = x.len().div_ceil(rayon::current_num_threads());
    (narrow_x.par_chunks_mut(piece).zip(x.par_chunks(piece)))
        .for_each(|(narrow, wide)| to_bf16(wide, bytemuck::cast_slice_mut(narrow)));
    let shared = Shared(out.as_mut_ptr());
    let (rsb, csb) = (weight.strides.0 as isize, weight.strides.1 as isize);
    weight.blocks(rows).into_par_iter().for_each(|(first, width)| {
        let mut product = vec![bf16::ZERO; rows * width];
        // SAFETY: `narrow_x` is [rows, k] and packed, `product` [rows, width]; columns first..first + width of the
        // weight lie inside it, which `check` has seen to.
        #[expect(unsafe_code, reason = "a view of columns of a matrix")]
        unsafe {
            gemm_unchecked(
                rows,
                k,
                width,
                bf16::ONE,
                narrow_x.as_ptr(),
                k as isize,
                1,
                weight.values.as_ptr().add(first * weight.strides.1),
                rsb,
                csb,
                bf16::ZERO,
                product.as_mut_ptr(),
                width as isize,
                1,
                Parallelism::Serial,
            );
        }
        let none = vec![0.0; if bias.is_some() { 0 } else { width }];
        let bias = bias.map_or(&none[..], |bias| &bias[first..first + width]);
        for (row, product) in product.chunks_exact(width).enumerate() {
            // SAFETY: the columns of this block belong to this task, which zeroes them first.
            #[expect(unsafe_code, reason = "tasks write disjoint columns of one matrix")]
            let out = unsafe {
                shared.pointer().add(row * n + first).write_bytes(0, width);
                shared.row(row, n, first, width)
            };
            from_bf16_with_bias(bytemuck::cast_slice(product), bias, out);
            activate(out, activation);
        }
    });
    // SAFETY: the blocks are all columns, and each task has written every row of its own.
    #[expect(unsafe_code, reason = "the tasks have written the whole matrix")]
    unsafe {
        out.set_len(rows * n);
    }
    out
}

/// A weight as it lies, transposed or not; anything stranger is copied.
pub(super) fn readable(weight: FlexTensor) -> FlexTensor {
    let in_place = weight.layout().strides().iter().all(|stride| *stride > 0);
    if in_place { weight } else { weight.to_contiguous() }
}

/// Where the first element of a [`readable`] weight lies, and its strides.
pub(super) fn place(weight: &FlexTensor) -> (usize, (usize, usize)) {
    let layout = weight.layout();
    (layout.start_offset(), (layout.strides()[0] as usize, layout.strides()[1] as usize))
}

/// [`linear`] on Flex's own tensors.
pub(super) fn on_flex(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    activation: Activation,
) -> FlexTensor {
    let x = x.to_contiguous();
    let (inputs, outputs) = (weight.layout().shape()[0], weight.layout().shape()[1]);
    let mut shape = x.layout().shape().clone();
    let last = shape.num_dims() - 1;
    assert_eq!(shape[last], inputs, "x has as many columns as the weight has rows");
    shape[last] = outputs;
    let weight = readable(weight);
    let (start, strides) = place(&weight);
    let bias = bias.map(|bias| bias.to_contiguous());
    let bias = bias.as_ref().map(FlexTensor::storage::<f32>);
    let x = x.storage::<f32>();
    let out = if weight.dtype() == DType::BF16 {
        let values = &weight.storage::<bf16>()[start..];
        multiply_bf16(x, &Weight { values, inputs, outputs, strides }, bias, activation)
    } else {
        let values = &weight.storage::<f32>()[start..];
        multiply(x, &Weight { values, inputs, outputs, strides }, bias, activation)
    };
    FlexTensor::from_data(TensorData::new(out, shape))
}

impl LinearLayer for Flex {
    fn linear_layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        on_flex(x, weight, Some(bias), activation)
    }

    fn linear_layer_without_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        on_flex(x, weight, None, activation)
    }
}

/// In what precision the linear layers of the blocks multiply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As the weights are.
    #[default]
    F32,
    /// Both factors rounded to bf16 (8 bits of mantissa), summed in f32: about twice as fast on a processor with AVX-512
    /// BF16. Embeddings then deviate by about half a percent, scores move accordingly.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::input(format!("There is no precision \"{text}\". Choose f32 or bf16."))),
        }
    }
}

/// Whether this processor multiplies bf16 matrices faster than f32 ones.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `module` with its blocks' linear weights in `precision`; everything else stays as it is.
///
/// # Errors
/// [`Error::Device`] for [`Precision::Bf16`] on a processor without AVX-512 BF16.
pub fn with_precision<M: Module>(module: M, precision: Precision) -> Result<M> {
    match precision {
        Precision::F32 => Ok(module),
        Precision::Bf16 if has_bf16() => Ok(module.map(&mut ToBf16 { path: Vec::new() })),
        Precision::Bf16 => Err(no_bf16()),
    }
}

pub(super) fn no_bf16() -> Error {
    Error::device("This processor has no AVX-512 BF16, which `--precision bf16` needs. Leave the option out.")
}

/// Narrows the weights of linear layers inside `blocks`. The others see few rows, and their forward pass is burn's own.
struct ToBf16 {
    path: Vec<(String, bool)>,
}

impl ModuleMapper for ToBf16 {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container == "Struct:Linear"));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let in_block = self.path.iter().any(|(name, _)| name == "blocks");
        let in_linear = self.path.iter().any(|(_, linear)| *linear);
        if D == 2 && in_block && in_linear { param.map(|weight| weight.cast(FloatDType::BF16)) } else { param }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Distribution, activation};

    use super::*;

    fn layer(inputs: usize, outputs: usize, bias: bool) -> Linear {
        LinearConfig::new(inputs, outputs).with_bias(bias).init(&Device::flex())
    }

    fn burns_own(layer: &Linear, x: Tensor<3>, activation: Activation) -> Tensor<3> {
        let x = layer.forward(x);
        match activation {
            Activation::Identity => x,
            Activation::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
            Activation::Gelu => activation::gelu(x),
            Activation::Relu => activation::relu(x),
        }
    }

    fn run(layer: &Linear, x: Tensor<3>, activation: Activation) -> Tensor<3> {
        linear(x, layer.weight.val(), layer.bias.as_ref().map(Param::val), activation)
    }

    fn random(shape: [usize; 3]) -> Tensor<3> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    fn largest(x: Tensor<3>) -> f32 {
        x.abs().max().into_scalar()
    }

    #[test]
    fn agrees_with_burns_layer() {
        for (shape, outputs) in [([1, 1, 1], 1), ([1, 197, 96], 384), ([2, 33, 70], 101), ([3, 50, 384], 96)] {
            for bias in [true, false] {
                let layer = layer(shape[2], outputs, bias);
                for activation in [Activation::Identity, Activation::QuickGelu, Activation::Gelu, Activation::Relu] {
                    let x = random(shape);
                    let got = run(&layer, x.clone(), activation);
                    assert_eq!(got.dims(), [shape[0], shape[1], outputs]);
                    let error = largest(got - burns_own(&layer, x, activation));
                    assert!(error < 1e-5, "{shape:?} -> {outputs}, {activation:?}: off by {error}");
                }
            }
        }
    }

    #[test]
    fn reads_strided_inputs_and_transposed_weights() {
        let layer = layer(64, 80, true);
        let x = random([64, 50, 2]).swap_dims(0, 2);
        let weight = layer.weight.val().transpose().mul_scalar(1.0).transpose();
        let got = linear(x.clone(), weight, layer.bias.as_ref().map(Param::val), Activation::Identity);
        assert!(largest(got - layer.forward(x)) < 1e-5);
        // A view of the middle columns of a wider matrix.
        let wide = Tensor::<2>::random([64, 200], Distribution::Normal(0.0, 0.1), &Device::flex());
        let x = random([1, 20, 64]);
        let got = linear(x.clone(), wide.clone().narrow(1, 60, 80), None, Activation::Identity);
        let want = x.squeeze_dim::<2>(0).matmul(wide.narrow(1, 60, 80)).unsqueeze::<3>();
        assert!(largest(got - want) < 1e-5);
    }

    #[test]
    fn no_row_gives_no_row() {
        assert_eq!(run(&layer(8, 4, true), random([0, 5, 8]), Activation::Gelu).dims(), [0, 5, 4]);
    }

    #[derive(Module, Debug)]
    struct Net {
        blocks: Vec<Linear>,
        projection: Linear,
    }

    #[test]
    fn bf16_narrows_the_blocks_alone_and_stays_within_half_a_percent() {
        let net = Net { blocks: vec![layer(256, 192, true)], projection: layer(192, 8, true) };
        let (x, exact) = (random([1, 40, 256]), net.blocks[0].clone());
        match with_precision(net, Precision::Bf16) {
            Ok(net) => {
                assert_eq!(net.blocks[0].weight.val().dtype(), DType::BF16);
                assert_eq!(net.projection.weight.val().dtype(), DType::F32);
                let want = burns_own(&exact, x.clone(), Activation::Gelu);
                let error = (run(&net.blocks[0], x, Activation::Gelu) - want.clone()).powf_scalar(2.0).mean().sqrt();
                let error: f32 = (error / want.powf_scalar(2.0).mean().sqrt()).into_scalar();
                assert!(error < 5e-3, "off by {error}");
                assert!(error > 0.0, "bf16 cannot be exact");
            }
            Err(error) => {
                assert!(!has_bf16());
                assert!(error.to_string().contains("AVX-512 BF16"));
            }
        }
    }

    #[test]
    fn precisions_survive_their_text() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse::<Precision>().ok(), Some(precision));
        }
        assert!("f16".parse::<Precision>().is_err());
    }
}
