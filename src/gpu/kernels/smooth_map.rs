//! Gaussian smoothing of a map, `shaders/smooth_map.wgsl` and its CPU twin. The semantics are those of
//! `scipy.ndimage.gaussian_filter(map, sigma, mode="reflect", truncate=4.0)`, which the tests check against.

#![expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]

use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{DType, Tensor, TensorData};
use burn_cubecl::CubeBackend;
use rayon::prelude::*;

use super::launch::{Shader, fresh, launch, packed, upload};
use crate::gpu::simd::{mul_add, widest};

const SHADER: Shader =
    Shader { name: "smooth_map", text: include_str!("../../../shaders/smooth_map.wgsl"), workgroup: (16, 16) };

/// Rows of the result that one task of the CPU twin computes.
const BAND: usize = 16;

#[backend_extension(Cube, Flex, Fusion)]
pub trait SmoothMap: Backend {
    #[fusion(dtype = map, shape = map)]
    fn smooth_map(map: FloatTensor<Self>, sigma_px: f32) -> FloatTensor<Self>;
}

/// `map` `[height, width]` smoothed by a Gaussian of standard deviation `sigma_px` pixels, cut off after 4 of them.
/// The border is mirrored with the edge pixel repeated. A `sigma_px` of 0 or less returns the map as it is.
pub fn smooth_map(map: Tensor<2>, sigma_px: f32) -> Tensor<2> {
    if radius(sigma_px) == 0 {
        return map;
    }
    Tensor::from_dispatch(<Dispatch as SmoothMap>::smooth_map(map.cast(DType::F32).into_dispatch(), sigma_px))
}

/// Pixels on each side that take part: 4 sigma, rounded.
fn radius(sigma_px: f32) -> usize {
    if sigma_px > 0.0 { (4.0 * f64::from(sigma_px) + 0.5) as usize } else { 0 }
}

/// Normalised taps `[2 * radius + 1]`.
fn taps(sigma_px: f32) -> Vec<f32> {
    let (sigma, radius) = (f64::from(sigma_px), radius(sigma_px) as i64);
    let weights: Vec<f64> = (-radius..=radius).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| (w / sum) as f32).collect()
}

/// Index `i` folded into `0..n` by mirroring with the edge repeated.
fn reflect_index(i: isize, n: usize) -> usize {
    let folded = i.rem_euclid(2 * n as isize) as usize;
    if folded < n { folded } else { 2 * n - 1 - folded }
}

/// [`smooth_map`] on a plain row-major slice `[height, width]`, on all threads of rayon's pool.
///
/// # Panics
/// If `map.len()` is not `height * width`.
pub fn on_cpu(map: &[f32], height: usize, width: usize, sigma_px: f32) -> Vec<f32> {
    assert_eq!(map.len(), height * width, "the map has height x width pixels");
    let radius = radius(sigma_px);
    if radius == 0 || map.is_empty() {
        return map.to_vec();
    }
    let taps = taps(sigma_px);
    let mut smooth = vec![0.0; map.len()];
    // Down the columns into one padded row, then along that row: the intermediate map never leaves the nearest cache.
    smooth.par_chunks_mut(BAND * width).enumerate().for_each_init(
        || vec![0.0; width + 2 * radius],
        |padded, (band, rows)| {
            for (line, out) in rows.chunks_exact_mut(width).enumerate() {
                let y = (band * BAND + line) as isize;
                let row = |t: usize| {
                    let source = reflect_index(y + t as isize - radius as isize, height) * width;
                    &map[source..source + width]
                };
                weighted_sum(&mut padded[radius..radius + width], &taps, row);
                for i in 0..radius {
                    let (left, right) = (-1 - i as isize, (width + i) as isize);
                    padded[radius - 1 - i] = padded[radius + reflect_index(left, width)];
                    padded[radius + width + i] = padded[radius + reflect_index(right, width)];
                }
                weighted_sum(out, &taps, |t| &padded[t..t + width]);
            }
        },
    );
    smooth
}

/// `out = sum over t of taps[t] * row(t)`, eight rows at a time so that `out` is read and written rarely.
fn weighted_sum<'a>(out: &mut [f32], taps: &[f32], row: impl Fn(usize) -> &'a [f32]) {
    out.fill(0.0);
    let mut t = 0;
    while t + 8 <= taps.len() {
        add_eight(out, std::array::from_fn(|i| taps[t + i]), std::array::from_fn(|i| row(t + i)));
        t += 8;
    }
    for (t, tap) in taps.iter().enumerate().skip(t) {
        add_one(out, *tap, row(t));
    }
}

widest!(fn add_eight(out: &mut [f32], taps: [f32; 8], rows: [&[f32]; 8]) = add_eight_body);
widest!(fn add_one(out: &mut [f32], tap: f32, row: &[f32]) = add_one_body);

#[inline(always)]
fn add_eight_body<const FUSED: bool>(out: &mut [f32], taps: [f32; 8], rows: [&[f32]; 8]) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (x, out) in out.iter_mut().enumerate() {
        let even = mul_add::<FUSED>(taps[0], rows[0][x], *out);
        let odd = taps[1] * rows[1][x];
        let even = mul_add::<FUSED>(taps[2], rows[2][x], even);
        let odd = mul_add::<FUSED>(taps[3], rows[3][x], odd);
        let even = mul_add::<FUSED>(taps[4], rows[4][x], even);
        let odd = mul_add::<FUSED>(taps[5], rows[5][x], odd);
        let even = mul_add::<FUSED>(taps[6], rows[6][x], even);
        let odd = mul_add::<FUSED>(taps[7], rows[7][x], odd);
        *out = even + odd;
    }
}

#[inline(always)]
fn add_one_body<const FUSED: bool>(out: &mut [f32], tap: f32, row: &[f32]) {
    for (out, value) in out.iter_mut().zip(row) {
        *out = mul_add::<FUSED>(tap, *value, *out);
    }
}

impl SmoothMap for CubeBackend {
    fn smooth_map(map: FloatTensor<Self>, sigma_px: f32) -> FloatTensor<Self> {
        let map = packed(map);
        let (height, width) = (map.meta.shape()[0] as u32, map.meta.shape()[1] as u32);
        let taps = upload(&map, &taps(sigma_px));
        let groups = (width.div_ceil(16), height.div_ceil(16));
        let across = fresh(&map, map.meta.shape().clone(), DType::F32);
        let smooth = fresh(&map, map.meta.shape().clone(), DType::F32);
        let params = |down: u32| [height, width, radius(sigma_px) as u32, down];
        launch(SHADER, groups, &[&map, &taps, &across], &params(1));
        launch(SHADER, groups, &[&across, &taps, &smooth], &params(0));
        smooth
    }
}

impl SmoothMap for Flex {
    fn smooth_map(map: FloatTensor<Self>, sigma_px: f32) -> FloatTensor<Self> {
        let map = map.to_contiguous();
        let shape = map.layout().shape().clone();
        let smooth = on_cpu(map.storage::<f32>(), shape[0], shape[1], sigma_px);
        FloatTensor::<Self>::from_data(TensorData::new(smooth, shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_mirrors_with_the_edge_repeated() {
        let seen: Vec<usize> = (-5..8).map(|i| reflect_index(i, 3)).collect();
        assert_eq!(seen, [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
        assert_eq!(reflect_index(-7, 1), 0);
    }

    #[test]
    fn a_constant_stays_and_sigma_zero_changes_nothing() {
        let flat = vec![2.5; 7 * 5];
        for value in on_cpu(&flat, 7, 5, 3.0) {
            assert!((value - 2.5).abs() < 1e-6);
        }
        let ramp: Vec<f32> = (0..35).map(|i| i as f32).collect();
        assert_eq!(on_cpu(&ramp, 7, 5, 0.0), ramp);
        assert!(on_cpu(&[], 0, 0, 1.0).is_empty());
    }

    #[test]
    fn an_impulse_becomes_the_outer_product_of_the_taps() {
        let (n, sigma) = (41, 2.0);
        let mut map = vec![0.0; n * n];
        map[20 * n + 20] = 1.0;
        let (smooth, taps) = (on_cpu(&map, n, n, sigma), taps(sigma));
        for y in 0..taps.len() {
            for x in 0..taps.len() {
                let (got, want) = (smooth[(12 + y) * n + 12 + x], taps[y] * taps[x]);
                assert!((got - want).abs() < 1e-8, "at {x}, {y}: {got} instead of {want}");
            }
        }
    }
}
