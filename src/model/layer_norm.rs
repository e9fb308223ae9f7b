//! Layer norm (Ba et al. 2016) over the last dimension: burn's, except that the processor has a pass of our own for it,
//! forward and backward. In f16 the statistics run in f32, which a sum of squares would leave.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::layer_norm;
use burn::tensor::{DType, Device, FloatDType, Tensor};

use crate::gpu;

/// gamma · (x − mean) / √(variance + epsilon) + beta.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`
    pub gamma: Param<Tensor<1>>,
    /// `[width]`
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self { gamma: Initializer::Ones.init([width], device), beta: Initializer::Zeros.init([width], device), epsilon }
    }

    /// `[…, width]` → the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if gpu::is_cpu(&x) {
            return gpu::norm::layer_norm(x, gamma, beta, self.epsilon as f32);
        }
        if x.dtype() != DType::F16 {
            return layer_norm(x, gamma, Some(beta), self.epsilon);
        }
        let wide = |x: Tensor<1>| x.cast(FloatDType::F32);
        layer_norm(x.cast(FloatDType::F32), wide(gamma), Some(wide(beta)), self.epsilon).cast(FloatDType::F16)
    }
}
