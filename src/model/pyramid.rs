//! A pyramid of one photo (Adelson et al. 1984, "Pyramid methods in image processing"): the same network looks at it at full
//! size and at half of it, and what both say of a place is averaged. What is larger than a few patches is seen better from
//! farther off. Differentiable, any device.

use burn::tensor::{Device, Tensor, TensorData};

use super::patch_grid::{filter_matrix, regridded};
use super::resample::Filter;

/// Pixels `[batch, channels, height, width]` at half the size, each side rounded up to a multiple of `patch`. A pixel is the
/// mean of the area that it covers.
pub fn halved(pixels: Tensor<4>, patch: usize) -> Tensor<4> {
    let [batch, channels, height, width] = pixels.dims();
    let half = |side: usize| (side / patch).div_ceil(2) * patch;
    let device = pixels.device();
    let (down, across) = (areas(height, half(height), &device), areas(width, half(width), &device));
    let x = pixels.reshape([1, batch * channels * height, width]).matmul(across.swap_dims(0, 1).unsqueeze());
    let x = down.unsqueeze::<3>().matmul(x.reshape([batch * channels, height, half(width)]));
    x.reshape([batch, channels, half(height), half(width)])
}

/// Patch tokens `[batch, rows × columns, width]` of one grid on a finer one, bilinear between patch centres.
pub fn on_grid(tokens: Tensor<3>, from: (usize, usize), to: (usize, usize)) -> Tensor<3> {
    let device = tokens.device();
    let [down, across] =
        [(from.0, to.0), (from.1, to.1)].map(|(from, to)| filter_matrix(from, to, Filter::Bilinear, &device));
    regridded(tokens, from, down, across)
}

/// `[to, from]`: how much of each new pixel every old one covers.
fn areas(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let scale = from as f32 / to as f32;
    let share = |new: usize, old: usize| {
        let (start, end) = (new as f32 * scale, (new + 1) as f32 * scale);
        ((end.min((old + 1) as f32) - start.max(old as f32)) / scale).max(0.0)
    };
    let values = (0..to).flat_map(|new| (0..from).map(move |old| share(new, old))).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(values, [to, from]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_into_vec().expect("f32")
    }

    #[test]
    fn half_the_size_is_the_mean_of_four_pixels_and_odd_grids_round_up() {
        let device = Device::flex();
        let ramp: Vec<f32> = (0..2 * 3 * 16 * 32).map(|i| i as f32).collect();
        let pixels = Tensor::<4>::from_data(TensorData::new(ramp.clone(), [2, 3, 16, 32]), &device);
        let half = halved(pixels, 8);
        assert_eq!(half.dims(), [2, 3, 8, 16]);
        let mean = |c: usize, y: usize, x: usize| {
            let at = |dy: usize, dx: usize| ramp[c * 512 + (2 * y + dy) * 32 + 2 * x + dx];
            (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
        };
        let half = values(half);
        for (c, y, x) in [(0, 0, 0), (2, 7, 15), (5, 3, 9)] {
            let (is, should) = (half[c * 128 + y * 16 + x], mean(c, y, x));
            assert!((is - should).abs() < 1e-3, "{is} {should}");
        }
        let odd = Tensor::<4>::full([1, 3, 8, 24], 0.3, &device);
        let half = halved(odd, 8);
        assert_eq!(half.dims(), [1, 3, 8, 16]);
        assert!(values(half).iter().all(|v| (v - 0.3).abs() < 1e-6), "a flat picture stays flat");
    }

    #[test]
    fn tokens_lie_between_their_neighbours() {
        let device = Device::flex();
        let tokens = Tensor::<3>::from_data(TensorData::new(vec![0.0_f32, 4.0, 8.0, 12.0], [1, 4, 1]), &device);
        let fine = values(on_grid(tokens.clone(), (2, 2), (4, 4)));
        assert_eq!(&fine[..4], [0.0, 1.0, 3.0, 4.0]);
        assert_eq!([fine[4], fine[8], fine[12]], [2.0, 6.0, 8.0]);
        assert_eq!(values(on_grid(tokens, (2, 2), (2, 2))), [0.0, 4.0, 8.0, 12.0]);
    }
}
