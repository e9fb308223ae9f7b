//! Position embeddings for a grid other than the trained one: bicubic interpolation as PyTorch's `interpolate` does it,
//! which is what the reference implementations call.

use burn::tensor::{Device, Tensor, TensorData};

use super::patch_grid::{filter_matrix, regridded};
use super::resample::Filter;

/// How the reference of a model calls `interpolate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bicubic {
    /// a = −0.75, half-pixel centres, clamped border: transformers' CLIP and DINOv2.
    #[default]
    Plain,
    /// `antialias=True`, which also means a = −0.5 and weights renormalised at the border: transformers' DINOv2 with
    /// registers, timm.
    Antialiased,
}

/// A table `[prefix + trained², width]` for the patch grid (rows, columns): `[prefix + rows × columns, width]`. Rows in
/// front of the patches (a class token's) stay as they are.
pub fn on_grid(table: Tensor<2>, trained: usize, grid: (usize, usize), how: Bicubic) -> Tensor<2> {
    let patches = trained * trained;
    let prefix = table.dims()[0] - patches;
    if grid == (trained, trained) {
        return table;
    }
    let body = interpolated(table.clone().narrow(0, prefix, patches), (trained, trained), grid, how);
    if prefix == 0 { body } else { Tensor::cat(vec![table.narrow(0, 0, prefix), body], 0) }
}

/// `[old_rows × old_columns, width]` → `[rows × columns, width]`. The table as it is when the grids agree.
pub fn interpolated(table: Tensor<2>, old: (usize, usize), new: (usize, usize), how: Bicubic) -> Tensor<2> {
    if old == new {
        return table;
    }
    let device = table.device();
    let [down, across] = [(old.0, new.0), (old.1, new.1)].map(|(from, to)| weights(from, to, how, &device));
    regridded(table.unsqueeze(), old, down, across).squeeze_dim(0)
}

/// The interpolation along one axis as a matrix `[to, from]`.
fn weights(from: usize, to: usize, how: Bicubic, device: &Device) -> Tensor<2> {
    if how == Bicubic::Antialiased {
        return filter_matrix(from, to, Filter::Bicubic, device);
    }
    let mut matrix = vec![0.0_f32; to * from];
    let step = from as f64 / to as f64;
    for (row, weights) in matrix.chunks_mut(from).enumerate() {
        let centre = (row as f64 + 0.5) * step - 0.5;
        let left = centre.floor();
        for tap in -1..=2 {
            let source = (left as i64 + tap).clamp(0, from as i64 - 1) as usize;
            weights[source] += cubic(centre - left - tap as f64) as f32;
        }
    }
    Tensor::from_data(TensorData::new(matrix, [to, from]), device)
}

/// Keys' cubic convolution kernel with a = −0.75.
fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let x = distance.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_weights_sums_to_one() {
        for (from, to) in [(7, 14), (14, 5), (24, 37), (3, 1)] {
            for how in [Bicubic::Plain, Bicubic::Antialiased] {
                let sums = weights(from, to, how, &Device::flex()).sum_dim(1).into_data();
                let sums = sums.try_to_vec::<f32>().expect("f32");
                assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{from} to {to}: {sums:?}");
            }
        }
    }

    #[test]
    fn the_axes_are_not_confused() {
        let device = Device::flex();
        // A table that depends on the column alone stays so on a grid with more rows.
        let table = (0..6).flat_map(|patch| [(patch % 3) as f32, 0.0]).collect::<Vec<_>>();
        let table = Tensor::from_data(TensorData::new(table, [6, 2]), &device);
        let wide = interpolated(table, (2, 3), (5, 3), Bicubic::Plain).into_data().try_to_vec::<f32>().expect("f32");
        for (patch, pair) in wide.chunks(2).enumerate() {
            assert!((pair[0] - (patch % 3) as f32).abs() < 1e-5 && pair[1].abs() < 1e-6);
        }
    }
}
