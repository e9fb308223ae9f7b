//! Every shader of the project is valid WGSL: parsed and validated without a graphics device.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use std::path::{Path, PathBuf};

use naga::valid::{Capabilities, ValidationFlags, Validator};

fn shaders(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            shaders(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "wgsl") {
            found.push(path);
        }
    }
}

fn validate(text: &str) -> Result<naga::Module, String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text))?;
    Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .map_err(|error| error.emit_to_string(text))?;
    Ok(module)
}

#[test]
fn every_shader_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut found = Vec::new();
    shaders(&folder, &mut found);
    assert!(found.len() >= 4, "found only {found:?}");
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let module = validate(&text).unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        let is_part = path.components().any(|part| part.as_os_str() == "shared");
        assert!(is_part || !module.entry_points.is_empty(), "{} has no entry point", path.display());
    }
}

/// CubeCL places several tensors in one buffer, which wgpu lets be bound in one way only, so every buffer of a compute
/// shader is bound read_write; and it removes what is unused from the layout, so every binding has to be used.
#[test]
fn compute_shaders_bind_every_buffer_read_write_and_use_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut found = Vec::new();
    shaders(&folder, &mut found);
    let mut compute_shaders = 0;
    for path in found {
        let module = validate(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).unwrap();
        for (entry, point) in module.entry_points.iter().enumerate() {
            if point.stage != naga::ShaderStage::Compute {
                continue;
            }
            compute_shaders += 1;
            for (handle, variable) in module.global_variables.iter() {
                if let naga::AddressSpace::Storage { access } = variable.space {
                    let name = variable.name.as_deref().unwrap_or("a binding");
                    let read_write = naga::StorageAccess::LOAD | naga::StorageAccess::STORE;
                    assert_eq!(access, read_write, "{name} in {}", path.display());
                    let is_used = !info.get_entry_point(entry)[handle].is_empty();
                    assert!(is_used, "{name} is not used in {}", path.display());
                }
            }
        }
    }
    assert!(compute_shaders >= 4);
}

#[test]
fn a_broken_shader_is_noticed() {
    assert!(validate("fn broken() -> f32 { return 1u; }").is_err());
    assert!(validate("@compute @workgroup_size(1) fn main() { undefined_function(); }").is_err());
}
