//! The memory bank: patch features of normal photos, thinned by a greedy coreset, searched for the nearest neighbour
//! (PatchCore, Roth et al. 2022; AnomalyDINO, Damm et al. 2025).

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::evidence::NearestPatch;
use super::prompt::dot;
use crate::gpu::kernels::nearest_patch;
use crate::{Error, Result};

/// Patches considered by the greedy coreset at most; a larger pool is thinned evenly at random first, because the
/// greedy choice costs pool × kept.
const POOL_LIMIT: usize = 60_000;
/// Dimensions of the random projection in which the coreset is chosen (PatchCore's reference implementation).
const PROJECTED: usize = 128;

/// Patch features of normal photos. Rows are L2-normalised by whoever makes them.
#[derive(Clone, Debug, Default)]
pub struct MemoryBank {
    /// The features once more on the graphics device that searches them; `None` searches on the processor.
    resident: Option<Tensor<2>>,
    /// Width of a feature.
    pub dim: usize,
    /// Kept features, `[kept, dim]`.
    pub features: Vec<f32>,
    /// Where each kept feature comes from, `[kept]`.
    pub origin: Vec<NearestPatch>,
    /// Patches offered before thinning.
    pub patches: usize,
}

impl MemoryBank {
    /// Keeps `ratio` of the patches of `photos` (each: index of the reference, columns of its grid, features
    /// `[n, dim]`), chosen by greedy k-centre in a random projection. `progress` is told (kept, to keep) and may stop
    /// the choice by returning false.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `progress` says so; [`Error::Bug`] for features of unequal width.
    pub fn build(
        photos: &[(u32, usize, &[f32])],
        dim: usize,
        ratio: f32,
        seed: u64,
        mut progress: impl FnMut(usize, usize) -> bool,
    ) -> Result<Self> {
        let mut origin = Vec::new();
        let mut features = Vec::new();
        for &(reference, cols, patches) in photos {
            if dim == 0 || patches.len() % dim != 0 {
                return Err(Error::bug(format!("reference {reference} has features that are not {dim} wide.")));
            }
            for (i, patch) in patches.chunks_exact(dim).enumerate() {
                origin.push(NearestPatch { reference, row: (i / cols) as u16, col: (i % cols) as u16 });
                features.extend_from_slice(patch);
            }
        }
        let patches = origin.len();
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut pool: Vec<usize> = (0..patches).collect();
        let keep = ((patches as f32 * ratio).round() as usize).clamp(patches.min(1), patches);
        if keep < patches {
            if pool.len() > POOL_LIMIT {
                for i in 0..POOL_LIMIT {
                    let j = chance.random_range(i..pool.len());
                    pool.swap(i, j);
                }
                pool.truncate(POOL_LIMIT);
            }
            let projected = project(&features, &pool, dim, &mut chance);
            let chosen = greedy_coreset(&projected, pool.len(), keep.min(pool.len()), &mut chance, &mut progress)?;
            pool = chosen.into_iter().map(|i| pool[i]).collect();
        }
        let mut bank = Self { dim, patches, ..Self::default() };
        for i in pool {
            bank.features.extend_from_slice(&features[i * dim..(i + 1) * dim]);
            bank.origin.push(origin[i]);
        }
        Ok(bank)
    }

    /// Kept features.
    pub fn len(&self) -> usize {
        self.origin.len()
    }

    /// Whether there is nothing to compare with.
    pub fn is_empty(&self) -> bool {
        self.origin.is_empty()
    }

    /// For each of `queries` (`[n, dim]`) the L2 distance to the nearest kept patch, and that patch.
    pub fn nearest(&self, queries: &[f32]) -> (Vec<f32>, Vec<NearestPatch>) {
        let n = queries.len() / self.dim;
        let found = match &self.resident {
            None => nearest_patch::on_cpu(queries, n, &self.features, self.len(), self.dim),
            Some(references) => search_on_device(queries, n, references),
        };
        found.into_iter().map(|(squared, index)| (squared.max(0.0).sqrt(), self.origin[index as usize])).unzip()
    }

    /// Copies the features to `device`, where [`Self::nearest`] then searches them with the shader.
    pub fn move_to(&mut self, device: &Device) {
        let features = TensorData::new(self.features.clone(), [self.len(), self.dim]);
        self.resident = Some(Tensor::from_data(features, device));
    }

    /// The bank without the patches of one reference: what that photo is judged against when it is left out.
    #[must_use]
    pub fn without(&self, reference: u32) -> Self {
        let mut bank = Self { dim: self.dim, patches: self.patches, ..Self::default() };
        for (origin, feature) in self.origin.iter().zip(self.features.chunks_exact(self.dim)) {
            if origin.reference != reference {
                bank.origin.push(*origin);
                bank.features.extend_from_slice(feature);
            }
        }
        bank
    }

    /// Distances of a photo's own patches to its other patches farther than `gap` rows or columns away. The only
    /// leave-out there is for a single reference; it underestimates the distance to another photo.
    pub fn own_distances(queries: &[f32], dim: usize, cols: usize, gap: usize) -> (Vec<f32>, Vec<NearestPatch>) {
        let n = queries.len() / dim;
        (0..n)
            .into_par_iter()
            .map(|i| {
                let mut best = (f32::INFINITY, i);
                for j in 0..n {
                    if (i / cols).abs_diff(j / cols) <= gap && (i % cols).abs_diff(j % cols) <= gap {
                        continue;
                    }
                    let squared = squared_distance(&queries[i * dim..(i + 1) * dim], &queries[j * dim..(j + 1) * dim]);
                    if squared < best.0 {
                        best = (squared, j);
                    }
                }
                let squared = if best.0.is_finite() { best.0 } else { 0.0 };
                (
                    squared.sqrt(),
                    NearestPatch { reference: 0, row: (best.1 / cols) as u16, col: (best.1 % cols) as u16 },
                )
            })
            .unzip()
    }
}

fn search_on_device(queries: &[f32], n: usize, references: &Tensor<2>) -> Vec<(f32, u32)> {
    let [_, dim] = references.dims();
    let queries = Tensor::from_data(TensorData::new(queries.to_vec(), [n, dim]), &references.device());
    let (distances, indices) = nearest_patch::nearest_patch(queries, references.clone());
    let distances = distances.into_data().convert::<f32>().try_into_vec::<f32>();
    let indices = indices.into_data().convert::<i64>().try_into_vec::<i64>();
    // A lost device shows here; the engine catches the panic and starts again.
    let distances = distances.expect("the shader's distances can be read back");
    let indices = indices.expect("the shader's indices can be read back");
    distances.into_iter().zip(indices).map(|(distance, index)| (distance, index as u32)).collect()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    (dot(a, a) + dot(b, b) - 2.0 * dot(a, b)).max(0.0)
}

/// Sparse random signs, `[pool, min(dim, PROJECTED)]`; narrow features are taken as they are.
fn project(features: &[f32], pool: &[usize], dim: usize, chance: &mut ChaCha8Rng) -> Vec<f32> {
    let row = |i: usize| &features[i * dim..(i + 1) * dim];
    if dim <= PROJECTED {
        return pool.iter().flat_map(|&i| row(i).iter().copied()).collect();
    }
    let scale = 1.0 / (PROJECTED as f32).sqrt();
    let matrix: Vec<f32> = (0..PROJECTED * dim).map(|_| if chance.random_bool(0.5) { scale } else { -scale }).collect();
    pool.par_iter().flat_map_iter(|&i| matrix.chunks_exact(dim).map(move |signs| dot(row(i), signs))).collect()
}

/// Greedy k-centre: start with the point farthest from the mean of ten random ones, then always add the point farthest
/// from all chosen ones. Returns indices into the pool.
fn greedy_coreset(
    points: &[f32],
    n: usize,
    keep: usize,
    chance: &mut ChaCha8Rng,
    progress: &mut impl FnMut(usize, usize) -> bool,
) -> Result<Vec<usize>> {
    let dim = points.len() / n.max(1);
    let point = |i: usize| &points[i * dim..(i + 1) * dim];
    let starts: Vec<usize> = (0..10.min(n)).map(|_| chance.random_range(0..n)).collect();
    let mut distance: Vec<f32> = (0..n)
        .into_par_iter()
        .map(|i| starts.iter().map(|&s| squared_distance(point(i), point(s)).sqrt()).sum::<f32>() / starts.len() as f32)
        .collect();
    let mut chosen = Vec::with_capacity(keep);
    while chosen.len() < keep {
        if chosen.len() % 64 == 0 && !progress(chosen.len(), keep) {
            return Err(Error::Cancelled);
        }
        let farthest = (0..n).max_by(|&a, &b| distance[a].total_cmp(&distance[b]).then(b.cmp(&a)));
        let Some(farthest) = farthest else { break };
        chosen.push(farthest);
        let centre = point(farthest);
        distance.par_chunks_mut(1024).enumerate().for_each(|(block, distances)| {
            for (offset, distance) in distances.iter_mut().enumerate() {
                *distance = distance.min(squared_distance(point(block * 1024 + offset), centre).sqrt());
            }
        });
        distance[farthest] = f32::NEG_INFINITY;
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    /// Three tight clusters far apart, 20 points each.
    fn clusters() -> Vec<f32> {
        (0..60).flat_map(|i| [(i / 20) as f32 * 10.0 + (i % 20) as f32 * 0.01, (i % 7) as f32 * 0.01]).collect()
    }

    #[test]
    fn the_coreset_covers_every_cluster_first() {
        let points = clusters();
        let bank = MemoryBank::build(&[(0, 60, &points)], 2, 0.05, 3, |_, _| true).unwrap();
        assert_eq!((bank.len(), bank.patches), (3, 60));
        let mut found: Vec<usize> = bank.origin.iter().map(|o| o.col as usize / 20).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2]);
    }

    #[test]
    fn ratio_one_keeps_everything_and_finds_itself_at_distance_zero() {
        let points = clusters();
        let bank = MemoryBank::build(&[(0, 10, &points)], 2, 1.0, 0, |_, _| true).unwrap();
        let (distance, nearest) = bank.nearest(&points);
        assert!(distance.iter().all(|d| *d < 1e-3));
        assert_eq!(nearest[25], NearestPatch { reference: 0, row: 2, col: 5 });
    }

    #[test]
    fn leaving_a_photo_out_removes_all_of_its_patches() {
        let points = clusters();
        let bank = MemoryBank::build(&[(0, 10, &points), (1, 10, &points)], 2, 1.0, 0, |_, _| true).unwrap();
        let rest = bank.without(0);
        assert_eq!(rest.len(), 60);
        assert!(rest.origin.iter().all(|o| o.reference == 1));
    }

    #[test]
    fn the_same_seed_chooses_the_same_patches_and_a_stop_is_obeyed() {
        let points = clusters();
        let build = |seed| MemoryBank::build(&[(0, 60, &points)], 2, 0.3, seed, |_, _| true).unwrap().origin;
        assert_eq!(build(5), build(5));
        let stopped = MemoryBank::build(&[(0, 60, &points)], 2, 0.3, 0, |_, _| false);
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }

    #[test]
    fn own_distances_skip_the_neighbourhood() {
        let ramp: Vec<f32> = (0..5).map(|i| i as f32).collect();
        let (distance, _) = MemoryBank::own_distances(&ramp, 1, 5, 1);
        assert_eq!(distance, [2.0, 2.0, 2.0, 2.0, 2.0]);
    }
}
