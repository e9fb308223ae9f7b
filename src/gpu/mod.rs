//! Device choice and hand-written kernels. The only place that knows wgpu and WGSL.

pub mod kernels;
