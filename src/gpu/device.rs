//! Where the networks run: a real graphics adapter if there is one, else the processor, which is first class.
//! The only place that asks wgpu what the machine has. It chooses and opens; what then runs there is not its business.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::OnceLock;

use burn::backend::WgpuDeviceKind;
use burn::backend::wgpu::graphics::AutoGraphicsApi;
use burn::backend::wgpu::{RuntimeOptions, WgpuBackend, WgpuDevice, WgpuInitError, try_init_setup};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::linear::{Precision, has_bf16, no_bf16};
use crate::{Error, Result};

/// What the user asks for with `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DevicePolicy {
    /// A real graphics adapter, else the processor. A software adapter does not count: the processor is faster.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A graphics adapter, be it a software one, or an error.
    Gpu,
}

impl fmt::Display for DevicePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

impl FromStr for DevicePolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => Err(Error::input(format!("There is no device \"{text}\". Choose auto, cpu or gpu."))),
        }
    }
}

/// What kind of device was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor, through burn's Flex backend.
    Cpu,
    /// A graphics adapter, through wgpu.
    Gpu,
    /// A graphics adapter that the processor imitates (lavapipe, SwiftShader, WARP), through wgpu.
    SoftwareGpu,
}

/// An opened device.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Where tensors go.
    pub device: Device,
    /// For people, e.g. `CPU (AMD EPYC, 2 threads)` or `NVIDIA GeForce RTX 4070 (Vulkan)`.
    pub name: String,
    pub kind: DeviceKind,
    /// How the networks' linear layers multiply there.
    pub precision: Precision,
    /// Why it is not what one might expect, as a sentence: a graphics adapter is there but could not be opened.
    pub note: Option<String>,
}

impl Compute {
    /// The processor. Always works.
    pub fn cpu() -> Self {
        let threads = rayon::current_num_threads();
        let plural = if threads == 1 { "" } else { "s" };
        let name = format!("CPU ({}, {threads} thread{plural})", processor_name());
        Self { device: Device::flex(), name, kind: DeviceKind::Cpu, precision: Precision::F32, note: None }
    }
}

impl Compute {
    /// The same device with the networks in `precision`, which its name then says.
    ///
    /// # Errors
    /// [`Error::Device`] for [`Precision::Bf16`] on a graphics adapter, or on a processor without AVX-512 BF16.
    pub fn in_precision(self, precision: Precision) -> Result<Self> {
        match (precision, self.kind) {
            (Precision::F32, _) => Ok(Self { precision, ..self }),
            (Precision::Bf16, DeviceKind::Cpu) if has_bf16() => {
                Ok(Self { precision, name: format!("{}, bf16", self.name), ..self })
            }
            (Precision::Bf16, DeviceKind::Cpu) => Err(no_bf16()),
            (Precision::Bf16, _) => Err(Error::device(format!(
                "`--precision bf16` is for processors, but networks run on {}. Leave it out, or add `--device cpu`.",
                self.name
            ))),
        }
    }
}

/// Chooses a device by `policy`, opens it, and makes sure that it computes.
///
/// # Errors
/// [`Error::Device`] if [`DevicePolicy::Gpu`] is asked for and no adapter is found or it cannot be opened.
pub fn choose(policy: DevicePolicy) -> Result<Compute> {
    match policy {
        DevicePolicy::Cpu => Ok(Compute::cpu()),
        DevicePolicy::Gpu => match best(adapters()) {
            Some(adapter) => open(adapter).map_err(Error::device),
            None => Err(Error::device(NO_ADAPTER)),
        },
        DevicePolicy::Auto => match best(adapters()).filter(|adapter| adapter.kind() == DeviceKind::Gpu) {
            None => Ok(Compute::cpu()),
            Some(adapter) => open(adapter).or_else(|reason| {
                log::warn!("{reason}");
                Ok(Compute { note: Some(reason), ..Compute::cpu() })
            }),
        },
    }
}

const NO_ADAPTER: &str = "No graphics adapter was found. Install a graphics driver with Vulkan and the Vulkan loader \
    (Debian and Ubuntu: `apt install libvulkan1 mesa-vulkan-drivers`, for NVIDIA its own driver), or go on with \
    `--device cpu`, which needs neither.";

/// A graphics adapter of this machine.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its name and graphics interface, e.g. `llvmpipe (LLVM 15.0.6, 256 bits) (Vulkan)`.
    pub name: String,
    device_type: wgpu::DeviceType,
    backend: wgpu::Backend,
    /// Counted among the adapters of its type and interface.
    index: usize,
}

impl Adapter {
    /// [`DeviceKind::Gpu`] or [`DeviceKind::SoftwareGpu`].
    pub fn kind(&self) -> DeviceKind {
        if self.device_type == wgpu::DeviceType::Cpu { DeviceKind::SoftwareGpu } else { DeviceKind::Gpu }
    }

    /// How much it is preferred: discrete before integrated before the rest, software last.
    fn rank(&self) -> u8 {
        match self.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        }
    }

    /// Burn's name for it: adapters are counted per type.
    fn selector(&self) -> WgpuDevice {
        let kind = match self.device_type {
            wgpu::DeviceType::DiscreteGpu => WgpuDeviceKind::DiscreteGpu(self.index),
            wgpu::DeviceType::IntegratedGpu => WgpuDeviceKind::IntegratedGpu(self.index),
            wgpu::DeviceType::VirtualGpu => WgpuDeviceKind::VirtualGpu(self.index),
            wgpu::DeviceType::Other => WgpuDeviceKind::Other(self.index),
            wgpu::DeviceType::Cpu => WgpuDeviceKind::Cpu,
        };
        WgpuDevice::new(kind).on(match self.backend {
            wgpu::Backend::Metal => WgpuBackend::Metal,
            wgpu::Backend::Dx12 => WgpuBackend::Dx12,
            _ => WgpuBackend::Vulkan,
        })
    }
}

/// The graphics adapters of this machine with an interface that can compute (Vulkan, Metal, Direct3D 12), asked for once.
///
/// A program with a window calls this before it opens the window: the Vulkan loader does not like instances to come and
/// go on several threads at once. Without any driver the list is empty.
pub fn adapters() -> &'static [Adapter] {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
        // A broken driver may panic inside wgpu; that must not take the program down before its first window.
        catch_unwind(probe).unwrap_or_else(|_| {
            log::warn!("A graphics driver failed while being asked for its adapters. It is not used.");
            Vec::new()
        })
    })
}

fn probe() -> Vec<Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let instance = wgpu::Instance::new(descriptor);
    let found = burn::cubecl::future::block_on(instance.enumerate_adapters(backends));
    let mut adapters: Vec<Adapter> = Vec::new();
    for info in found.iter().map(wgpu::Adapter::get_info) {
        let alike = |other: &&Adapter| other.device_type == info.device_type && other.backend == info.backend;
        let index = adapters.iter().filter(alike).count();
        let name = format!("{} ({:?})", info.name, info.backend);
        adapters.push(Adapter { name, device_type: info.device_type, backend: info.backend, index });
    }
    adapters
}

/// The preferred one of `adapters`; of equals the first.
fn best(adapters: &[Adapter]) -> Option<&Adapter> {
    adapters.iter().min_by_key(|adapter| adapter.rank())
}

/// Opens `adapter` and computes a sum on it.
fn open(adapter: &Adapter) -> Result<Compute, String> {
    let attempt = || -> Result<Device, String> {
        let selector = adapter.selector();
        let options = RuntimeOptions::try_default().map_err(|error| error.to_string())?;
        match try_init_setup::<AutoGraphicsApi>(&selector, options) {
            // Opened before, e.g. by an engine that was restarted: the computation below tells whether it still works.
            Ok(_) | Err(WgpuInitError::Registration { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        let device = Device::from(selector);
        let sum = Tensor::<1>::ones([3], &device).sum().into_data().try_to_vec::<f32>();
        match sum.as_deref() {
            Ok([sum]) if *sum == 3.0 => Ok(device),
            other => Err(format!("it computes 1 + 1 + 1 = {other:?}")),
        }
    };
    let opened = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| Err("its driver failed".into()));
    match opened {
        Ok(device) => Ok(Compute {
            device,
            name: adapter.name.clone(),
            kind: adapter.kind(),
            precision: Precision::F32,
            note: None,
        }),
        Err(reason) => Err(format!(
            "The graphics adapter {} cannot be used: {reason}. Update its driver, or go on with `--device cpu`.",
            adapter.name
        )),
    }
}

/// The processor's own name, or its architecture.
fn processor_name() -> String {
    #[cfg(target_arch = "x86_64")]
    if let Some(name) = x86_brand() {
        return name;
    }
    std::env::consts::ARCH.to_owned()
}

/// The brand string of CPUID leaves 0x8000_0002 to 0x8000_0004.
#[cfg(target_arch = "x86_64")]
fn x86_brand() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    if __cpuid(0x8000_0000).eax < 0x8000_0004 {
        return None;
    }
    let registers = (0x8000_0002..=0x8000_0004).map(__cpuid).flat_map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]);
    let bytes: Vec<u8> = registers.flat_map(u32::to_le_bytes).take_while(|byte| *byte != 0).collect();
    let name = String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(device_type: wgpu::DeviceType) -> Adapter {
        Adapter { name: format!("{device_type:?}"), device_type, backend: wgpu::Backend::Vulkan, index: 0 }
    }

    #[test]
    fn policies_survive_their_text() {
        for policy in [DevicePolicy::Auto, DevicePolicy::Cpu, DevicePolicy::Gpu] {
            assert_eq!(policy.to_string().parse::<DevicePolicy>().ok(), Some(policy));
            assert_eq!(ron::to_string(&policy).ok(), Some(policy.to_string()));
        }
        let error = "cuda".parse::<DevicePolicy>().map_err(|error| error.to_string());
        assert_eq!(error, Err("There is no device \"cuda\". Choose auto, cpu or gpu.".into()));
    }

    #[test]
    fn discrete_before_integrated_and_software_last() {
        use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu};
        let all = [adapter(Cpu), adapter(IntegratedGpu), adapter(DiscreteGpu)];
        assert_eq!(best(&all).map(|adapter| adapter.device_type), Some(DiscreteGpu));
        assert_eq!(best(&all[..2]).map(|adapter| adapter.device_type), Some(IntegratedGpu));
        assert_eq!(best(&all[..1]).map(Adapter::kind), Some(DeviceKind::SoftwareGpu));
        assert!(best(&[]).is_none());
    }

    #[test]
    fn the_processor_always_works_and_says_who_it_is() {
        let compute = choose(DevicePolicy::Cpu).expect("the processor needs nothing");
        assert_eq!(compute.kind, DeviceKind::Cpu);
        assert!(compute.name.starts_with("CPU (") && compute.name.contains("thread"), "{}", compute.name);
    }
}
