//! Hand-written kernels. Each file here is one kernel under one name: the launcher of the shader
//! `shaders/<name>.wgsl`, and its CPU twin, both behind one function on burn tensors; `tests/kernels.rs` shows that the
//! two agree. The plain-slice `on_cpu` functions are what the live path calls while a slider moves.

pub mod fuse_maps;
pub mod launch;
pub mod nearest_patch;
pub mod smooth_map;

pub use fuse_maps::{Term, fuse_maps};
pub use nearest_patch::nearest_patch;
pub use smooth_map::smooth_map;
