//! Vectors on one patch grid brought to another: a matrix along each axis, so that it is exact on every backend and
//! differentiable. What position embeddings of another input size and a pyramid's smaller levels share.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::resample::{self, Filter};

/// `x` `[batch, rows × columns, width]` on a grid of `grid` (rows, columns), `down` `[new rows, rows]` and `across`
/// `[new columns, columns]` → `[batch, new rows × new columns, width]`.
pub(super) fn regridded(x: Tensor<3>, grid: (usize, usize), down: Tensor<2>, across: Tensor<2>) -> Tensor<3> {
    let [batch, _, width] = x.dims();
    let (rows, columns) = (down.dims()[0], across.dims()[0]);
    let kind = FloatDType::from(x.dtype());
    let alike = |weights: Tensor<2>| if weights.dtype() == kind.into() { weights } else { weights.cast(kind) };
    let x = alike(down).unsqueeze::<3>().matmul(x.reshape([batch, grid.0, grid.1 * width]));
    let x = alike(across).unsqueeze::<3>().matmul(x.reshape([batch * rows, grid.1, width]));
    x.reshape([batch, rows * columns, width])
}

/// Pillow's antialiased `filter` along one axis as a matrix `[to, from]`.
pub(super) fn filter_matrix(from: usize, to: usize, filter: Filter, device: &Device) -> Tensor<2> {
    let mut matrix = vec![0.0_f32; to * from];
    for (row, (first, weights)) in matrix.chunks_mut(from).zip(resample::weights(from, to, filter)) {
        row[first..].iter_mut().zip(weights).for_each(|(to, weight)| *to = weight as f32);
    }
    Tensor::from_data(TensorData::new(matrix, [to, from]), device)
}
