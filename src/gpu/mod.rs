//! Device choice and hand-written kernels. The only place that knows wgpu and WGSL.

pub mod device;
pub mod kernels;

pub use device::{Compute, DeviceKind, DevicePolicy, choose};
