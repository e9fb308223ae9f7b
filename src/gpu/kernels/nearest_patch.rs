//! The nearest reference of every query by squared Euclidean distance, with its index: `shaders/nearest_patch.wgsl`,
//! `shaders/nearest_patch_reduce.wgsl` and their CPU twin. Exact search over all references; subsampling them is the
//! business of the memory bank.

#![expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor, tensor::IntTensor};
use burn::tensor::{DType, Int, Shape, Tensor, TensorData};
use burn_cubecl::CubeBackend;
use gemmkit::{MatMut, MatRef, Parallelism, gemm};
use rayon::prelude::*;

use super::launch::{Shader, fresh, launch, packed};
use crate::gpu::simd::{mul_add, widest};

const SHADER: Shader =
    Shader { name: "nearest_patch", text: include_str!("../../../shaders/nearest_patch.wgsl"), workgroup: (16, 16) };
const REDUCE: Shader = Shader {
    name: "nearest_patch_reduce",
    text: include_str!("../../../shaders/nearest_patch_reduce.wgsl"),
    workgroup: (64, 1),
};

/// References per workgroup, `CHUNK` of the shader.
const CHUNK: usize = 512;
/// References per matrix product of the CPU twin: with 64 queries their products stay in the second-level cache.
const BLOCK: usize = 1024;

#[backend_extension(Cube, Flex, Fusion)]
pub trait NearestPatch: Backend {
    #[fusion(meta = per_query)]
    fn nearest_patch(queries: FloatTensor<Self>, references: FloatTensor<Self>)
    -> (FloatTensor<Self>, IntTensor<Self>);
}

fn per_query(queries: &TensorSpec, _references: &TensorSpec) -> (TensorSpec, TensorSpec) {
    let shape = Shape::new([queries.shape[0]]);
    (TensorSpec::new(shape.clone(), DType::F32), TensorSpec::new(shape, DType::I32))
}

/// Squared distance `[n]` from every query `[n, d]` to the nearest reference `[m, d]`, and the index `[n]` (32 bits) of
/// that reference, the lowest one of equals. A query that equals a reference has distance 0 exactly. Features must be
/// finite.
///
/// # Panics
/// If the widths differ or there is no reference.
pub fn nearest_patch(queries: Tensor<2>, references: Tensor<2>) -> (Tensor<1>, Tensor<1, Int>) {
    let ([_, d], [m, width]) = (queries.dims(), references.dims());
    assert!(m > 0, "there is at least one reference");
    assert_eq!(d, width, "queries and references have one width");
    let (distance, index) = <Dispatch as NearestPatch>::nearest_patch(
        queries.cast(DType::F32).into_dispatch(),
        references.cast(DType::F32).into_dispatch(),
    );
    (Tensor::from_dispatch(distance), Tensor::from_dispatch(index))
}

/// [`nearest_patch`] on plain row-major slices `[n, d]` and `[m, d]`, on all threads of rayon's pool: one
/// `(squared distance, index)` per query.
///
/// The matrix product of blocks finds the candidates, |a|² + |b|² - 2ab being inexact for neighbours; the distances of
/// the candidates are then summed directly.
///
/// # Panics
/// If a slice has not the stated size, or `m` or `d` is 0.
pub fn on_cpu(queries: &[f32], n: usize, references: &[f32], m: usize, d: usize) -> Vec<(f32, u32)> {
    assert!(m > 0 && d > 0, "there is at least one reference of at least one number");
    assert_eq!(queries.len(), n * d, "queries are [n, d]");
    assert_eq!(references.len(), m * d, "references are [m, d]");
    let norms: Vec<f32> = references.par_chunks_exact(d).map(|row| dot(row, row)).collect();
    // Enough tasks to keep the threads even, rows enough to be worth packing the references for.
    let rows = n.div_ceil(4 * rayon::current_num_threads()).clamp(16, 64);
    let mut nearest = vec![(f32::INFINITY, 0); n];
    nearest.par_chunks_mut(rows).zip(queries.par_chunks(rows * d)).for_each_init(
        || vec![0.0; rows * BLOCK],
        |products, (nearest, queries)| search(queries, references, &norms, d, products, nearest),
    );
    nearest
}

/// Fills `nearest` for a few `queries`, block by block of the references.
fn search(
    queries: &[f32],
    references: &[f32],
    norms: &[f32],
    d: usize,
    products: &mut [f32],
    nearest: &mut [(f32, u32)],
) {
    let rows = nearest.len();
    // What a product of d terms in f32 may be off by, relative to the squared norms: a few times the typical error.
    let slack = 4.0 * f32::EPSILON * (d as f32).sqrt();
    let squares: Vec<f32> = queries.chunks_exact(d).map(|row| dot(row, row)).collect();
    let mut estimates = vec![f32::INFINITY; rows];
    for (block, (norms, references)) in norms.chunks(BLOCK).zip(references.chunks(BLOCK * d)).enumerate() {
        let width = norms.len();
        let products = &mut products[..rows * width];
        gemm(
            -2.0,
            MatRef::from_row_major(queries, rows, d),
            MatRef::from_col_major(references, d, width),
            0.0,
            MatMut::from_row_major(products, rows, width),
            Parallelism::Serial,
        );
        for (row, scores) in products.chunks_exact_mut(width).enumerate() {
            let query = &queries[row * d..][..d];
            estimates[row] = add_and_min(scores, norms, estimates[row]);
            // `scores` lacks |query|², which is the same for every reference.
            let largest = norms.iter().fold(0.0, |a: f32, b| a.max(*b));
            let bound = estimates[row] + slack * (squares[row] + largest);
            for (i, _) in scores.iter().enumerate().filter(|(_, score)| **score <= bound) {
                if nearest[row].0 == 0.0 {
                    break;
                }
                let distance = squared_distance(query, &references[i * d..][..d]);
                if distance < nearest[row].0 {
                    nearest[row] = (distance, (block * BLOCK + i) as u32);
                }
            }
        }
    }
}

widest!(fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body);
widest!(fn squared_distance(a: &[f32], b: &[f32]) -> f32 = squared_distance_body);
widest!(
    /// `scores += norms`; the smallest of the sums and `least`.
    fn add_and_min(scores: &mut [f32], norms: &[f32], least: f32) -> f32 = add_and_min_body
);

/// `sum of term(a, b, sum so far)` in 16 independent lanes, which is what lets it be vectorised.
#[inline(always)]
fn sum_in_lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (a_rows, b_rows) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a_rows.remainder().iter().zip(b_rows.remainder()).fold(0.0, |sum, (a, b)| term(*a, *b, sum));
    for (a, b) in a_rows.zip(b_rows) {
        for i in 0..16 {
            lanes[i] = term(a[i], b[i], lanes[i]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn dot_body<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    sum_in_lanes(a, b, mul_add::<FUSED>)
}

#[inline(always)]
fn squared_distance_body<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    sum_in_lanes(a, b, |a, b, sum| mul_add::<FUSED>(a - b, a - b, sum))
}

#[inline(always)]
fn add_and_min_body<const FUSED: bool>(scores: &mut [f32], norms: &[f32], least: f32) -> f32 {
    let mut lanes = [least; 16];
    let smaller = |a: f32, b: f32| if a < b { a } else { b };
    for (scores, norms) in scores.chunks_mut(16).zip(norms.chunks(16)) {
        if let (Some(scores), Some(norms)) = (scores.first_chunk_mut::<16>(), norms.first_chunk::<16>()) {
            for i in 0..16 {
                scores[i] += norms[i];
                lanes[i] = smaller(scores[i], lanes[i]);
            }
        } else {
            for (score, norm) in scores.iter_mut().zip(norms) {
                *score += norm;
                lanes[0] = smaller(*score, lanes[0]);
            }
        }
    }
    lanes.into_iter().fold(least, smaller)
}

impl NearestPatch for CubeBackend {
    fn nearest_patch(
        queries: FloatTensor<Self>,
        references: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        let (queries, references) = (packed(queries), packed(references));
        let (n, d, m) = (queries.meta.shape()[0], queries.meta.shape()[1], references.meta.shape()[0]);
        let chunks = m.div_ceil(CHUNK);
        let params = [n as u32, m as u32, d as u32, chunks as u32];
        let distances = fresh(&queries, Shape::new([n, chunks]), DType::F32);
        let indices = fresh(&queries, Shape::new([n, chunks]), DType::I32);
        let groups = (n.div_ceil(16) as u32, chunks as u32);
        launch(SHADER, groups, &[&queries, &references, &distances, &indices], &params);
        let distance = fresh(&queries, Shape::new([n]), DType::F32);
        let index = fresh(&queries, Shape::new([n]), DType::I32);
        let groups = (n.div_ceil(64) as u32, 1);
        launch(REDUCE, groups, &[&distances, &indices, &distance, &index], &params);
        (distance, index)
    }
}

impl NearestPatch for Flex {
    fn nearest_patch(
        queries: FloatTensor<Self>,
        references: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        let (queries, references) = (queries.to_contiguous(), references.to_contiguous());
        let (n, d, m) = (queries.layout().shape()[0], queries.layout().shape()[1], references.layout().shape()[0]);
        let nearest = on_cpu(queries.storage::<f32>(), n, references.storage::<f32>(), m, d);
        let (distance, index): (Vec<f32>, Vec<i32>) = nearest.into_iter().map(|(d, i)| (d, i as i32)).unzip();
        (
            FloatTensor::<Self>::from_data(TensorData::new(distance, [n])),
            IntTensor::<Self>::from_data(TensorData::new(index, [n])),
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn features(rng: &mut ChaCha8Rng, rows: usize, d: usize) -> Vec<f32> {
        (0..rows * d).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// The definition, in f64.
    fn by_definition(query: &[f32], references: &[f32], d: usize) -> (f64, u32) {
        let mut nearest = (f64::INFINITY, 0);
        for (i, reference) in references.chunks_exact(d).enumerate() {
            let distance = query.iter().zip(reference).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            if distance < nearest.0 {
                nearest = (distance, i as u32);
            }
        }
        nearest
    }

    #[test]
    fn agrees_with_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (n, m, d) in [(1, 1, 1), (37, 5, 70), (130, 1025, 33), (65, 2100, 64)] {
            let (queries, references) = (features(&mut rng, n, d), features(&mut rng, m, d));
            let nearest = on_cpu(&queries, n, &references, m, d);
            assert_eq!(nearest.len(), n);
            for (query, (distance, index)) in queries.chunks_exact(d).zip(nearest) {
                let (want, want_index) = by_definition(query, &references, d);
                assert!((f64::from(distance) - want).abs() <= 1e-6 * want.max(1e-6), "{distance} instead of {want}");
                assert_eq!(index, want_index);
            }
        }
    }

    #[test]
    fn a_reference_finds_itself_at_distance_zero_even_far_from_the_origin() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (m, d) = (1500, 48);
        let mut references: Vec<f32> = features(&mut rng, m, d).into_iter().map(|value| value * 1e-3 + 100.0).collect();
        // Twins: the lower index is the answer.
        references.copy_within(3 * d..4 * d, 1200 * d);
        for (i, (distance, index)) in on_cpu(&references, m, &references, m, d).into_iter().enumerate() {
            assert_eq!((distance, index), (0.0, if i == 1200 { 3 } else { i as u32 }));
        }
    }

    #[test]
    fn no_query_gives_no_answer() {
        assert!(on_cpu(&[], 0, &[1.0, 2.0], 1, 2).is_empty());
    }
}
