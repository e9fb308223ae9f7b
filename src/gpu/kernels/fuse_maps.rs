//! The anomaly map from its components, `shaders/fuse_maps.wgsl` and its CPU twin: a weighted sum of standardised
//! component maps inside the foreground. Where weights, medians and scales come from is decided in `anomaly`.

#![expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]

use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bool, DType, Tensor, TensorData};
use burn_cubecl::CubeBackend;
use rayon::prelude::*;

use super::launch::{Shader, fresh, launch, packed};
use crate::gpu::simd::{mul_add, widest};

const SHADER: Shader =
    Shader { name: "fuse_maps", text: include_str!("../../../shaders/fuse_maps.wgsl"), workgroup: (64, 1) };

/// Pixels that one task of the CPU twin fuses: what the nearest cache holds of a few maps.
const CHUNK: usize = 16 * 1024;

/// How one component map enters the sum: `weight * (x - median) / scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Share of the component, any finite number.
    pub weight: f32,
    /// Centre of the component's normal values.
    pub median: f32,
    /// Spread of the component's normal values. A component without spread (a scale that is not above 0) says nothing
    /// and adds nothing.
    pub scale: f32,
}

impl Term {
    /// `weight / scale`, or 0 for a component without spread.
    fn gain(self) -> f32 {
        if self.scale > 0.0 { self.weight / self.scale } else { 0.0 }
    }
}

#[backend_extension(Cube, Flex, Fusion)]
pub trait FuseMaps: Backend {
    #[fusion(dtype = foreground, shape = foreground)]
    fn fuse_maps(
        maps: FloatTensor<Self>,
        foreground: FloatTensor<Self>,
        terms: Vec<Term>,
        floor: f32,
    ) -> FloatTensor<Self>;
}

/// The sum of `terms[c]` applied to `maps[c]`, `maps` being `[components, height, width]`; pixels that are false in
/// `foreground` `[height, width]` get `floor` instead. Without a foreground every pixel counts.
///
/// # Panics
/// If there is not one term per map, or the foreground has another size than the maps.
pub fn fuse_maps(maps: Tensor<3>, terms: &[Term], foreground: Option<Tensor<2, Bool>>, floor: f32) -> Tensor<2> {
    let [components, height, width] = maps.dims();
    assert_eq!(components, terms.len(), "one term per component map");
    let foreground = match foreground {
        Some(mask) => mask.float().cast(DType::F32),
        None => Tensor::ones([height, width], (&maps.device(), DType::F32)),
    };
    assert_eq!(foreground.dims(), [height, width], "the foreground has the size of the maps");
    let maps = maps.cast(DType::F32).into_dispatch();
    Tensor::from_dispatch(<Dispatch as FuseMaps>::fuse_maps(maps, foreground.into_dispatch(), terms.to_vec(), floor))
}

/// [`fuse_maps`] on plain slices of equal length, on all threads of rayon's pool.
///
/// # Panics
/// If there is not one term per map, or the lengths differ.
pub fn on_cpu(maps: &[&[f32]], terms: &[Term], foreground: Option<&[bool]>, floor: f32) -> Vec<f32> {
    assert_eq!(maps.len(), terms.len(), "one term per component map");
    let pixels = maps.first().map_or_else(|| foreground.map_or(0, <[bool]>::len), |map| map.len());
    assert!(maps.iter().all(|map| map.len() == pixels), "the component maps have one size");
    assert!(foreground.is_none_or(|mask| mask.len() == pixels), "the foreground has the size of the maps");
    let mut fused = vec![0.0; pixels];
    fused.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
        let range = chunk * CHUNK..chunk * CHUNK + out.len();
        for (map, term) in maps.iter().zip(terms) {
            add_term(out, &map[range.clone()], term.gain(), term.median);
        }
        if let Some(mask) = foreground {
            for (out, inside) in out.iter_mut().zip(&mask[range]) {
                *out = if *inside { *out } else { floor };
            }
        }
    });
    fused
}

widest!(fn add_term(out: &mut [f32], map: &[f32], gain: f32, median: f32) = add_term_body);

#[inline(always)]
fn add_term_body<const FUSED: bool>(out: &mut [f32], map: &[f32], gain: f32, median: f32) {
    for (out, value) in out.iter_mut().zip(map) {
        *out = mul_add::<FUSED>(gain, *value - median, *out);
    }
}

impl FuseMaps for CubeBackend {
    fn fuse_maps(
        maps: FloatTensor<Self>,
        foreground: FloatTensor<Self>,
        terms: Vec<Term>,
        floor: f32,
    ) -> FloatTensor<Self> {
        /// Workgroups in one row of the dispatch; more than 65,535 are not allowed.
        const ROW: u32 = 32_768;
        let (maps, foreground) = (packed(maps), packed(foreground));
        let fused = fresh(&maps, foreground.meta.shape().clone(), DType::F32);
        let pixels = foreground.meta.shape().num_elements() as u32;
        let groups = pixels.div_ceil(SHADER.workgroup.0);
        let mut params = vec![terms.len() as u32, pixels, ROW * SHADER.workgroup.0, floor.to_bits()];
        params.extend(terms.iter().flat_map(|term| [term.gain().to_bits(), term.median.to_bits()]));
        launch(SHADER, (groups.min(ROW), groups.div_ceil(ROW)), &[&maps, &foreground, &fused], &params);
        fused
    }
}

impl FuseMaps for Flex {
    fn fuse_maps(
        maps: FloatTensor<Self>,
        foreground: FloatTensor<Self>,
        terms: Vec<Term>,
        floor: f32,
    ) -> FloatTensor<Self> {
        let (maps, foreground) = (maps.to_contiguous(), foreground.to_contiguous());
        let shape = foreground.layout().shape().clone();
        let inside: Vec<bool> = foreground.storage::<f32>().iter().map(|value| *value > 0.5).collect();
        let components: Vec<&[f32]> = maps.storage::<f32>().chunks_exact(inside.len().max(1)).collect();
        FloatTensor::<Self>::from_data(TensorData::new(on_cpu(&components, &terms, Some(&inside), floor), shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_is_the_weighted_sum_of_its_standardised_values() {
        let (text, memory) = ([0.5, 1.0, 2.0], [10.0, 30.0, 20.0]);
        let terms = [Term { weight: 0.3, median: 1.0, scale: 0.5 }, Term { weight: 0.7, median: 20.0, scale: 10.0 }];
        let fused = on_cpu(&[&text, &memory], &terms, Some(&[true, true, false]), -4.0);
        let want = [0.3 * (0.5 - 1.0) / 0.5 + 0.7 * (10.0 - 20.0) / 10.0, 0.7, -4.0];
        for (got, want) in fused.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} instead of {want}");
        }
    }

    #[test]
    fn a_component_without_spread_adds_nothing() {
        let terms = [Term { weight: 1.0, median: 0.0, scale: 0.0 }];
        assert_eq!(on_cpu(&[&[1.0, 2.0]], &terms, None, 0.0), [0.0, 0.0]);
    }
}
