//! What is known of normal parts from the references, on each level: patches to be near to, a subspace to lie in, or
//! photos to be like. All three answer the same question, how far each patch of a photo deviates.

use std::sync::Arc;

use burn::tensor::Device;

use super::evidence::NearestPatch;
use super::features::PhotoFeatures;
use super::level::Level;
use super::memory::MemoryBank;
use super::mutual::Batch;
use super::subspace::Subspaces;
use crate::recipe::{Comparison, Recipe};
use crate::{Error, Result};

/// Neighbourhood (in patches) that a single reference leaves out when it is compared with itself.
const OWN_GAP: usize = 2;

/// A reference photo.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Index into the recipe's references.
    pub index: u32,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    pub features: Arc<PhotoFeatures>,
}

/// The references as one level knows them.
#[derive(Clone, Debug)]
enum Known {
    Bank(Box<MemoryBank>),
    Subspaces(Subspaces),
    Batch(Batch),
}

/// The references on every level that the recipe compares.
#[derive(Clone, Debug)]
pub struct Normals {
    levels: Vec<Known>,
}

/// How far a photo's patches deviate from the references.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviation {
    /// `[rows * cols]` of the memory's patch grid, ≥ 0.
    pub distances: Vec<f32>,
    /// The nearest reference patch of each patch; empty where no single one decides.
    pub nearest: Vec<NearestPatch>,
}

/// Who is compared: any photo, or a reference that must not meet itself.
#[derive(Clone, Copy)]
enum Who {
    Photo,
    LeftOut(u32),
}

impl Normals {
    /// Takes in the references as the recipe compares them. `progress` is told (done, of) and may stop the work by
    /// returning false.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `progress` says so; [`Error::Bug`] for features of unequal width.
    pub fn build(
        references: &[Reference],
        recipe: &Recipe,
        search_on: Option<&Device>,
        mut progress: impl FnMut(usize, usize) -> bool,
    ) -> Result<Self> {
        let photos: Vec<Vec<Level<'_>>> =
            references.iter().map(|reference| Level::all(&reference.features, recipe)).collect();
        let mut levels = Vec::new();
        for at in 0..photos.first().map_or(0, Vec::len) {
            let dim = photos[0][at].dim;
            let of_level = || references.iter().zip(photos.iter().map(|levels| &levels[at]));
            if let Some((reference, _)) = of_level().find(|(_, level)| level.dim != dim) {
                return Err(Error::bug(format!("reference {} has features that are not {dim} wide.", reference.index)));
            }
            levels.push(match recipe.comparison {
                Comparison::Nearest => {
                    let patches: Vec<_> =
                        of_level().map(|(reference, level)| (reference.index, level.cols, &*level.values)).collect();
                    let mut bank = MemoryBank::build(&patches, dim, recipe.coreset_ratio, recipe.seed, &mut progress)?;
                    if let Some(device) = search_on {
                        bank.move_to(device);
                    }
                    Known::Bank(Box::new(bank))
                }
                Comparison::Subspace => {
                    let patches: Vec<_> =
                        of_level().map(|(reference, level)| (reference.index, &*level.values)).collect();
                    Known::Subspaces(Subspaces::build(&patches, dim, recipe.subspace_variance, &mut progress)?)
                }
                Comparison::Mutual => {
                    let vectors =
                        of_level().map(|(reference, level)| (reference.sha256.clone(), level.values.to_vec()));
                    Known::Batch(Batch::new(vectors.collect(), dim))
                }
            });
        }
        Ok(Self { levels })
    }

    /// Patches (or windows) offered by the references and kept of them, over all levels. A subspace rests on all.
    pub fn size(&self) -> (usize, usize) {
        let sizes = self.levels.iter().map(|known| match known {
            Known::Bank(bank) => (bank.patches, bank.len()),
            Known::Subspaces(subspaces) => (subspaces.patches, subspaces.patches),
            Known::Batch(batch) => (batch.vectors(), batch.vectors()),
        });
        sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// How far the patches of a photo deviate. `sha256` is its content: it is not compared with itself where photos are
    /// compared with each other.
    ///
    /// # Errors
    /// [`Error::Input`] where there is no other photo to compare with.
    pub fn deviation(&self, sha256: &str, features: &PhotoFeatures, recipe: &Recipe) -> Result<Deviation> {
        self.compare(Who::Photo, sha256, features, recipe)
    }

    /// The same of a reference against the *other* references (leave one out). A single reference is compared with its
    /// own patches, which underestimates the distance to another photo.
    ///
    /// # Errors
    /// As [`Self::deviation`].
    pub fn left_out(&self, reference: &Reference, recipe: &Recipe) -> Result<Deviation> {
        self.compare(Who::LeftOut(reference.index), &reference.sha256, &reference.features, recipe)
    }

    fn compare(&self, who: Who, sha256: &str, features: &PhotoFeatures, recipe: &Recipe) -> Result<Deviation> {
        let mut sum = vec![0.0; features.memory.rows * features.memory.cols];
        let mut nearest = Vec::new();
        let share = 1.0 / self.levels.len().max(1) as f32;
        for (known, level) in self.levels.iter().zip(Level::all(features, recipe)) {
            let mut distances = match known {
                Known::Bank(bank) => {
                    let (distances, found) = nearest_patches(bank, who, &level);
                    if level.side == 1 && nearest.is_empty() {
                        nearest = found;
                    }
                    distances
                }
                Known::Subspaces(subspaces) => match who {
                    Who::Photo => subspaces.residuals(&level.values),
                    Who::LeftOut(reference) => subspaces.left_out(reference, &level.values),
                },
                Known::Batch(batch) => batch.distances(sha256, &level.values).ok_or_else(alone)?,
            };
            if recipe.windows {
                // WinCLIP's association: half of 1 - cosine. Of unit vectors, |a - b|² = 2 (1 - cosine).
                for distance in &mut distances {
                    *distance = 0.25 * distance.powi(2);
                }
            }
            sum.iter_mut().zip(level.on_patches(distances)).for_each(|(sum, distance)| *sum += share * distance);
        }
        Ok(Deviation { distances: sum, nearest })
    }
}

/// The refusal of a photo that is to be compared with other photos and finds none.
pub(super) fn alone() -> Error {
    Error::input("Photos are compared with each other, but there is no other one. Add more, most of them normal.")
}

fn nearest_patches(bank: &MemoryBank, who: Who, level: &Level<'_>) -> (Vec<f32>, Vec<NearestPatch>) {
    let Who::LeftOut(reference) = who else { return bank.nearest(&level.values) };
    let others = bank.without(reference);
    if others.is_empty() {
        MemoryBank::own_distances(&level.values, level.dim, level.cols, OWN_GAP)
    } else {
        others.nearest(&level.values)
    }
}
