//! Device choice, hand-written kernels, and what makes a transformer fast on the processor. The only place that knows
//! wgpu and WGSL, and instruction sets.

mod activate;
pub mod attention;
mod backward;
pub mod depthwise;
pub mod device;
pub mod kernels;
pub mod linear;
pub mod norm;
mod pieces;
pub(crate) mod simd;
pub mod unfold;

pub use activate::activate;
pub use device::{Compute, DeviceKind, DevicePolicy, choose};

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Tensor};

/// Whether `x` is an f32 tensor on the processor, with gradients or without: what this module's own operations
/// work on.
pub fn is_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device();
    let mut device = device.as_dispatch();
    if let DispatchDevice::Autodiff(inner) = device {
        device = inner;
    }
    x.dtype() == DType::F32 && matches!(device, DispatchDevice::Flex(_))
}
