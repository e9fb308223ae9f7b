//! The subspace of normal patches: mean and principal components of the references' patches. What a patch has outside of
//! it deviates (SubspaceAD, Lendering et al. 2026). For calibration the references are also judged by subspaces of the others.

use std::collections::HashMap;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

use crate::{Error, Result};

/// Groups that references are left out in, each with a subspace of all others: a decomposition for every reference would
/// take minutes with wide features.
const FOLDS: usize = 5;

/// Mean and principal components.
#[derive(Clone, Debug)]
pub struct Subspace {
    mean: DVector<f32>,
    /// `[dim, kept]`, orthonormal columns.
    components: DMatrix<f32>,
}

/// Count, sum and sum of outer products of vectors, which add up over groups of photos.
#[derive(Clone, Debug)]
struct Moments {
    count: usize,
    sum: DVector<f64>,
    products: DMatrix<f64>,
}

impl Moments {
    /// Of `values` `[n, dim]`.
    fn of(values: &[f32], dim: usize) -> Self {
        // One column for each vector.
        let columns = DMatrix::from_iterator(dim, values.len() / dim, values.iter().map(|value| f64::from(*value)));
        let products = &columns * columns.transpose();
        Self { count: columns.ncols(), sum: columns.column_sum(), products }
    }

    fn added(self, other: &Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + &other.sum, products: self.products + &other.products }
    }
}

impl Subspace {
    /// The fewest principal components that hold `variance` (0–1) of the variance.
    fn new(moments: &Moments, variance: f64) -> Self {
        let n = moments.count.max(1) as f64;
        let mean = &moments.sum / n;
        let covariance = &moments.products / n - &mean * mean.transpose();
        let SymmetricEigen { eigenvalues, eigenvectors } = covariance.symmetric_eigen();
        let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
        order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
        let total: f64 = eigenvalues.iter().map(|value| value.max(0.0)).sum();
        let mut held = 0.0;
        let kept = order.iter().take_while(|i| {
            let wanted = held < variance * total;
            held += eigenvalues[**i].max(0.0);
            wanted
        });
        let columns: Vec<_> = kept.map(|i| eigenvectors.column(*i).map(|value| value as f32)).collect();
        let components =
            if columns.is_empty() { DMatrix::zeros(mean.len(), 0) } else { DMatrix::from_columns(&columns) };
        Self { mean: mean.map(|value| value as f32), components }
    }

    /// Squared length of what the components leave of each vector of `values` `[n, dim]`: `[n]`, ≥ 0.
    pub fn residuals(&self, values: &[f32]) -> Vec<f32> {
        let dim = self.mean.len();
        let mut columns = DMatrix::from_column_slice(dim, values.len() / dim, values);
        columns.column_iter_mut().for_each(|mut column| column -= &self.mean);
        let inside = &self.components * (self.components.transpose() * &columns);
        (columns - inside).column_iter().map(|rest| rest.norm_squared()).collect()
    }
}

/// The subspace of all references, and one for each group that is left out.
#[derive(Clone, Debug)]
pub struct Subspaces {
    all: Subspace,
    folds: Vec<Subspace>,
    /// Group of each reference.
    fold_of: HashMap<u32, usize>,
    /// Vectors that the subspace comes from.
    pub patches: usize,
}

impl Subspaces {
    /// From the vectors of each reference (its index, `[n, dim]`). A single reference is left out by halves: the patches of
    /// one half are judged by the other's, which underestimates the distance to another photo. `progress` is told
    /// (done, of) and may stop the work by returning false.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `progress` says so.
    pub fn build(
        references: &[(u32, &[f32])],
        dim: usize,
        variance: f32,
        mut progress: impl FnMut(usize, usize) -> bool,
    ) -> Result<Self> {
        let fold_of: HashMap<u32, usize> =
            references.iter().enumerate().map(|(i, (reference, _))| (*reference, i % FOLDS)).collect();
        let groups: Vec<Vec<&[f32]>> = if let [(_, values)] = references {
            let half = values.len() / dim / 2 * dim;
            vec![vec![&values[half..]], vec![&values[..half]]]
        } else {
            (0..FOLDS.min(references.len()))
                .map(|fold| references.iter().skip(fold).step_by(FOLDS).map(|(_, values)| *values).collect())
                .collect()
        };
        let steps = groups.len() + 1;
        if !progress(0, steps) {
            return Err(Error::Cancelled);
        }
        let empty = || Moments { count: 0, sum: DVector::zeros(dim), products: DMatrix::zeros(dim, dim) };
        let moments: Vec<Moments> = groups
            .par_iter()
            .map(|group| group.iter().fold(empty(), |sum, values| sum.added(&Moments::of(values, dim))))
            .collect();
        let without = |fold: usize| {
            let others = moments.iter().enumerate().filter(|(other, _)| *other != fold);
            others.fold(empty(), |sum, (_, moments)| sum.added(moments))
        };
        // The group that nobody is in leaves nothing out.
        let mut found = Vec::with_capacity(steps);
        for fold in 0..steps {
            found.push(Subspace::new(&without(fold), f64::from(variance)));
            if !progress(fold + 1, steps) {
                return Err(Error::Cancelled);
            }
        }
        let all = found.pop().ok_or_else(|| Error::bug("no subspace was made."))?;
        Ok(Self { all, folds: found, fold_of, patches: moments.iter().map(|moments| moments.count).sum() })
    }

    /// Dimensions of the subspace of all references.
    pub fn kept(&self) -> usize {
        self.all.components.ncols()
    }

    /// [`Subspace::residuals`] of a photo's vectors.
    pub fn residuals(&self, values: &[f32]) -> Vec<f32> {
        self.all.residuals(values)
    }

    /// The same of a reference, by the subspace of the others.
    pub fn left_out(&self, reference: u32, values: &[f32]) -> Vec<f32> {
        if self.fold_of.len() == 1 {
            // The first half is judged by the subspace that lacks it, which is the second group's.
            let dim = self.all.mean.len();
            let (first, second) = values.split_at(values.len() / dim / 2 * dim);
            return [self.folds[1].residuals(first), self.folds[0].residuals(second)].concat();
        }
        let fold = self.fold_of.get(&reference).copied().unwrap_or(0);
        self.folds[fold].residuals(values)
    }
}
