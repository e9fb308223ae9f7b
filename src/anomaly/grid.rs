//! Patch grids of one photo by two networks, and the way from one to the other. Both grids span the whole photo, so a
//! patch of one lies where its centre falls in the other.

use super::map::upsample;

/// A patch grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub rows: usize,
    pub cols: usize,
    /// Side of a patch in pixels of its network's input.
    pub patch_px: usize,
}

impl Grid {
    /// Patches.
    pub fn count(self) -> usize {
        self.rows * self.cols
    }

    /// The one with more patches; of equal ones the first.
    #[must_use]
    pub fn finer(self, other: Self) -> Self {
        if other.count() > self.count() { other } else { self }
    }

    fn fits(self, other: Self) -> bool {
        (self.rows, self.cols) == (other.rows, other.cols)
    }

    /// Values `[rows * cols]` of this grid on `other`, bilinear between the centres of patches.
    pub fn blended(self, values: Vec<f32>, other: Self) -> Vec<f32> {
        if self.fits(other) {
            return values;
        }
        upsample(&values, self.rows, self.cols, other.rows, other.cols)
    }

    /// Items `[rows * cols]` of this grid on `other`, each patch taking the one under its centre.
    pub fn picked<T: Copy>(self, items: Vec<T>, other: Self) -> Vec<T> {
        if self.fits(other) {
            return items;
        }
        let under = |at: usize, from: usize, to: usize| (2 * at + 1) * to / (2 * from);
        (0..other.count())
            .map(|patch| {
                let row = under(patch / other.cols, other.rows, self.rows);
                let col = under(patch % other.cols, other.cols, self.cols);
                items[row * self.cols + col]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_blended_and_items_picked_at_the_centres() {
        let (coarse, fine) = (Grid { rows: 1, cols: 2, patch_px: 16 }, Grid { rows: 2, cols: 4, patch_px: 14 });
        assert_eq!((coarse.finer(fine), fine.finer(coarse)), (fine, fine));
        let row = [0.0, 0.25, 0.75, 1.0];
        assert_eq!(coarse.blended(vec![0.0, 1.0], fine), [row, row].concat());
        assert_eq!(coarse.picked(vec!['a', 'b'], fine), ['a', 'a', 'b', 'b', 'a', 'a', 'b', 'b']);
        let odd = Grid { rows: 3, cols: 3, patch_px: 8 };
        let picked = odd.picked((0..9).collect(), Grid { rows: 5, cols: 4, patch_px: 8 });
        assert_eq!(picked[..4], [0, 1, 1, 2]);
        assert_eq!([picked[0], picked[4], picked[8], picked[12], picked[16]], [0, 0, 3, 6, 6]);
    }
}
