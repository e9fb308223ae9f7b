//! Runs a hand-written WGSL shader on burn tensors: the one way from a `.wgsl` file to a CubeCL launch.
//! It knows nothing of what a shader computes; shapes and parameters are the business of each kernel's own file.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::cubecl::{CubeKernel, PrecompiledSource, ir::metadata::Info, prelude::*, server::KernelArguments};
use burn::tensor::{DType, Shape};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

/// A compute shader: its name in logs, its text, and its workgroup size, which repeats `@workgroup_size`.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    pub name: &'static str,
    pub text: &'static str,
    pub workgroup: (u32, u32),
}

impl KernelMetadata for Shader {
    /// Covers the text, because CubeCL's pipeline caches are keyed by the id alone and never see the source.
    fn id(&self) -> KernelId {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        let dim = CubeDim::new_2d(self.workgroup.0, self.workgroup.1);
        KernelId::new::<Self>().info((self.name, hasher.finish())).cube_dim(dim.0)
    }

    fn address_type(&self) -> burn::cubecl::ir::ElemType {
        burn::cubecl::ir::ElemType::UInt(burn::cubecl::ir::UIntKind::U32)
    }
}

impl CubeKernel for Shader {
    fn define(&self) -> KernelDefinition {
        let dim = CubeDim::new_2d(self.workgroup.0, self.workgroup.1);
        let settings = KernelSettings::new(dim.0, ExecutionMode::Checked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource { source: self.text.to_owned(), entrypoint_name: "main".into(), lang: "wgsl" })
    }
}

/// Whether [`fresh`] fills new buffers with noise.
static NOISE: AtomicBool = AtomicBool::new(false);

/// From now on fills every buffer a kernel is about to write with NaN, so that a test sees what a kernel left unwritten.
/// For tests: it costs an upload per buffer.
pub fn fill_fresh_buffers_with_noise() {
    NOISE.store(true, Ordering::Relaxed);
}

/// A new, uninitialised tensor of `shape` and a four-byte `dtype` on the device of `like`.
pub fn fresh(like: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    let elements = shape.num_elements();
    let handle = if NOISE.load(Ordering::Relaxed) {
        // 0xffff_ffff is a NaN as f32 and -1 as i32.
        like.client.create_from_slice(&vec![0xff; elements * 4])
    } else {
        like.client.empty(elements * 4)
    };
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, dtype)
}

/// A small tensor of host values on the device of `like`.
pub fn upload(like: &CubeTensor, values: &[f32]) -> CubeTensor {
    let handle = like.client.create_from_slice(bytemuck::cast_slice(values));
    let shape = Shape::new([values.len()]);
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, DType::F32)
}

/// `tensor` with its elements in row-major order, as the shaders expect them.
///
/// # Panics
/// If it is not f32: the public functions convert before they come here.
pub fn packed(tensor: CubeTensor) -> CubeTensor {
    assert_eq!(tensor.dtype, DType::F32, "the shaders read f32");
    into_contiguous(tensor)
}

/// Queues `shader` over `groups` workgroups, with `tensors` as bindings 0.. and `params` as the last binding.
pub fn launch(shader: Shader, groups: (u32, u32), tensors: &[&CubeTensor], params: &[u32]) {
    let client = &tensors[0].client;
    let params = client.create_from_slice(bytemuck::cast_slice(params));
    let mut arguments = KernelArguments::new();
    for tensor in tensors {
        arguments = arguments.with_buffer(tensor.handle.clone().binding());
    }
    arguments = arguments.with_buffer(params.binding());
    client.launch(Box::new(shader), CubeCount::Static(groups.0, groups.1, 1), arguments);
}
