//! The anomaly map: raw scores at the network's input resolution, where the map holds all it knows. Colouring is the
//! business of the window and of `report`; a heatmap is only the map's picture.

use rayon::prelude::*;

/// Raw anomaly scores, row by row, at the network's input resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyMap {
    /// Columns of the map.
    pub width: usize,
    /// Rows of the map.
    pub height: usize,
    /// Width of the photo that the map spans, in pixels.
    pub photo_width: u32,
    /// Height of the photo that the map spans, in pixels.
    pub photo_height: u32,
    /// Raw scores, `[height * width]`.
    pub scores: Vec<f32>,
}

impl AnomalyMap {
    /// The score at a point of the photo (bilinear), or `None` outside of it. `x` and `y` are in photo pixels.
    pub fn at_photo(&self, x: f32, y: f32) -> Option<f32> {
        if x < 0.0 || y < 0.0 || x >= self.photo_width as f32 || y >= self.photo_height as f32 {
            return None;
        }
        let (x0, x1, fx) = neighbours(x, self.photo_width as usize, self.width);
        let (y0, y1, fy) = neighbours(y, self.photo_height as usize, self.height);
        let row = |y: usize| {
            let row = &self.scores[y * self.width..(y + 1) * self.width];
            row[x0] + (row[x1] - row[x0]) * fx
        };
        Some(row(y0) + (row(y1) - row(y0)) * fy)
    }

    /// The map at photo size, `[photo_height * photo_width]`, bilinear with half-pixel centres.
    pub fn at_photo_size(&self) -> Vec<f32> {
        upsample(&self.scores, self.height, self.width, self.photo_height as usize, self.photo_width as usize)
    }
}

/// Bilinear resize with half-pixel centres and clamped borders (PyTorch's `align_corners=False`), row by row.
pub fn upsample(values: &[f32], rows: usize, cols: usize, height: usize, width: usize) -> Vec<f32> {
    debug_assert_eq!(values.len(), rows * cols);
    let columns: Vec<(usize, usize, f32)> = (0..width).map(|x| neighbours(x as f32 + 0.5, width, cols)).collect();
    let mut out = vec![0.0; height * width];
    out.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, line)| {
        let (y0, y1, fy) = neighbours(y as f32 + 0.5, height, rows);
        let blended: Vec<f32> = values[y0 * cols..(y0 + 1) * cols]
            .iter()
            .zip(&values[y1 * cols..(y1 + 1) * cols])
            .map(|(a, b)| a + (b - a) * fy)
            .collect();
        for (out, &(x0, x1, fx)) in line.iter_mut().zip(&columns) {
            *out = blended[x0] + (blended[x1] - blended[x0]) * fx;
        }
    });
    out
}

/// The two samples around `position` (in units of the larger grid) among `small` samples, and the second's weight.
fn neighbours(position: f32, large: usize, small: usize) -> (usize, usize, f32) {
    let at = (position * small as f32 / large as f32 - 0.5).clamp(0.0, (small - 1) as f32);
    let low = at as usize;
    (low, (low + 1).min(small - 1), at - low as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upsampling_matches_half_pixel_bilinear() {
        // torch.nn.functional.interpolate([[0, 1]], size=(1, 4), mode="bilinear", align_corners=False)
        assert_eq!(upsample(&[0.0, 1.0], 1, 2, 1, 4), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(upsample(&[3.0], 1, 1, 2, 2), [3.0; 4]);
    }

    #[test]
    fn the_score_under_the_cursor_is_the_exported_one() {
        let map = AnomalyMap { width: 2, height: 2, photo_width: 5, photo_height: 3, scores: vec![0.0, 1.0, 2.0, 5.0] };
        let full = map.at_photo_size();
        for y in 0..3 {
            for x in 0..5 {
                let at = map.at_photo(x as f32 + 0.5, y as f32 + 0.5).expect("inside");
                assert!((at - full[y * 5 + x]).abs() < 1e-6);
            }
        }
        assert_eq!(map.at_photo(-0.1, 0.0), None);
        assert_eq!(map.at_photo(5.0, 0.0), None);
    }
}
