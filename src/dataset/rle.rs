//! Binary masks as COCO writes them: polygons, runs, and runs packed into text. The arithmetic is that of the COCO API
//! (Lin et al. 2014; reference: pycocotools), to the pixel: columns first, polygons rasterised on a grid five times as
//! fine. Masks become runs and packed text as well; `export` makes files of them.

use crate::{Error, Result};

/// Polygon corners lie on a grid of this many steps per pixel.
const SCALE: f64 = 5.0;

/// A binary mask as alternating runs of 0 and 1, column by column, starting with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLengths {
    pub height: u32,
    pub width: u32,
    counts: Vec<u32>,
}

impl RunLengths {
    /// From run lengths, which have to add up to the size.
    ///
    /// # Errors
    /// [`Error::Input`] where they do not.
    pub fn new(height: u32, width: u32, counts: Vec<u32>) -> Result<Self> {
        let total: u64 = counts.iter().copied().map(u64::from).sum();
        let pixels = u64::from(height) * u64::from(width);
        if total != pixels {
            return Err(Error::input(format!(
                "The runs cover {total} pixels, but {height} × {width} has {pixels}. Export the annotation again."
            )));
        }
        Ok(Self { height, width, counts })
    }

    /// From the packed text: six bits a character from `0` on, five of them value and one for "goes on", signed, and from
    /// the fourth run on the difference to the run before the last.
    ///
    /// # Errors
    /// [`Error::Input`] for text that is no such thing.
    pub fn unpack(height: u32, width: u32, text: &str) -> Result<Self> {
        let broken = || Error::input("The packed runs of an annotation are damaged. Export the annotation again.");
        let mut counts: Vec<u32> = Vec::new();
        let mut letters = text.bytes();
        while let Some(first) = letters.next() {
            let (mut value, mut shift, mut letter) = (0i64, 0u32, first);
            loop {
                let bits = letter.checked_sub(48).filter(|bits| *bits < 64).ok_or_else(broken)?;
                value |= i64::from(bits & 0x1f) << shift;
                shift += 5;
                if bits & 0x20 == 0 {
                    if bits & 0x10 != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
                if shift > 40 {
                    return Err(broken());
                }
                letter = letters.next().ok_or_else(broken)?;
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| broken())?);
        }
        Self::new(height, width, counts)
    }

    /// From a mask, row by row, `true` inside.
    ///
    /// # Errors
    /// [`Error::Bug`] for a mask of another size.
    pub fn of_mask(height: u32, width: u32, mask: &[bool]) -> Result<Self> {
        if mask.len() != height as usize * width as usize {
            return Err(Error::bug(format!("a mask of {} pixels is said to have {width} × {height}.", mask.len())));
        }
        let whole = [0, 0, width.saturating_sub(1), height.saturating_sub(1)];
        Ok(Self::of_box(height, width, whole, |x, y| mask[y as usize * width as usize + x as usize]))
    }

    /// From the box `[left, top, right, bottom]` (the last ones inside it) of a mask that is empty outside of it.
    pub fn of_box(
        height: u32,
        width: u32,
        [left, top, right, bottom]: [u32; 4],
        is_inside: impl Fn(u32, u32) -> bool,
    ) -> Self {
        let (mut counts, mut inside, mut last) = (Vec::new(), false, 0u64);
        let mut turn = |inside: &mut bool, at: u64| {
            counts.push((at - last) as u32);
            last = at;
            *inside = !*inside;
        };
        let (tall, cut) = (u64::from(height), top > 0 || bottom + 1 < height);
        for x in left..=right.min(width.saturating_sub(1)) {
            let column = u64::from(x) * tall;
            for y in top..=bottom.min(height.saturating_sub(1)) {
                if is_inside(x, y) != inside {
                    turn(&mut inside, column + u64::from(y));
                }
            }
            if inside && cut {
                turn(&mut inside, column + u64::from(bottom) + 1);
            }
        }
        let pixels = tall * u64::from(width);
        if last < pixels || counts.is_empty() {
            counts.push((pixels - last) as u32);
        }
        Self { height, width, counts }
    }

    /// The packed text that [`RunLengths::unpack`] reads, as pycocotools writes it.
    pub fn pack(&self) -> String {
        let mut text = String::new();
        for (index, &count) in self.counts.iter().enumerate() {
            let former = if index > 2 { i64::from(self.counts[index - 2]) } else { 0 };
            let mut value = i64::from(count) - former;
            loop {
                let bits = (value & 0x1f) as u8;
                value >>= 5;
                let more = if bits & 0x10 != 0 { value != -1 } else { value != 0 };
                text.push(char::from(48 + (bits | if more { 0x20 } else { 0 })));
                if !more {
                    break;
                }
            }
        }
        text
    }

    /// Pixels inside.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).copied().map(u64::from).sum()
    }

    /// One polygon, corners as x, y, x, y … in pixels.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer than three corners or a coordinate that is no number.
    pub fn polygon(height: u32, width: u32, corners: &[f64]) -> Result<Self> {
        if corners.len() < 6 || !corners.len().is_multiple_of(2) {
            return Err(Error::input(format!(
                "A polygon needs at least three corners as x, y pairs, but has {} numbers.",
                corners.len()
            )));
        }
        if !corners.iter().all(|c| c.is_finite() && c.abs() < 1e7) {
            return Err(Error::input("A polygon has a corner that is no pixel position."));
        }
        let mut crossings = crossings(height, width, corners);
        crossings.push(u64::from(height) * u64::from(width));
        crossings.sort_unstable();
        // Differences of neighbours are the runs; an empty run joins its neighbours.
        let runs = std::iter::once(crossings[0]).chain(crossings.windows(2).map(|pair| pair[1] - pair[0]));
        let mut counts: Vec<u32> = Vec::new();
        let mut join = false;
        for (index, run) in runs.enumerate() {
            let run = run as u32;
            match counts.last_mut() {
                Some(last) if join => {
                    *last += run;
                    join = false;
                }
                _ if index > 0 && run == 0 => join = true,
                _ => counts.push(run),
            }
        }
        Self::new(height, width, counts)
    }

    /// Sets to 255 every pixel of `mask` (row by row, of this size) that lies inside.
    pub fn paint(&self, mask: &mut [u8]) {
        let (height, width) = (self.height as usize, self.width as usize);
        let mut at = 0;
        for (index, run) in self.counts.iter().enumerate() {
            let end = at + *run as usize;
            if index % 2 == 1 {
                (at..end).for_each(|at| mask[at % height * width + at / height] = 255);
            }
            at = end;
        }
    }
}

/// Positions, column by column, at which the outline crosses between pixels, so that the filling turns over.
fn crossings(height: u32, width: u32, corners: &[f64]) -> Vec<u64> {
    let corners: Vec<(i64, i64)> =
        corners.as_chunks::<2>().0.iter().map(|[x, y]| ((SCALE * x + 0.5) as i64, (SCALE * y + 0.5) as i64)).collect();
    let mut outline: Vec<(i64, i64)> = Vec::new();
    for (index, &from) in corners.iter().enumerate() {
        edge(from, corners[(index + 1) % corners.len()], &mut outline);
    }
    let (height, width) = (f64::from(height), f64::from(width));
    let mut found = Vec::new();
    for pair in outline.windows(2) {
        let ((u0, v0), (u1, v1)) = (pair[0], pair[1]);
        if u0 == u1 {
            continue;
        }
        let x = if u1 < u0 { u1 } else { u1 - 1 };
        let x = (x as f64 + 0.5) / SCALE - 0.5;
        if x.floor() != x || x < 0.0 || x > width - 1.0 {
            continue;
        }
        let y = (v0.min(v1) as f64 + 0.5) / SCALE - 0.5;
        found.push((x * height + y.clamp(0.0, height).ceil()) as u64);
    }
    found
}

/// The points of one edge on the fine grid, from its start to its end, one per step along its longer direction.
fn edge(from: (i64, i64), to: (i64, i64), points: &mut Vec<(i64, i64)>) {
    let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    let flat = dx >= dy;
    let flip = if flat { from.0 > to.0 } else { from.1 > to.1 };
    let (a, b) = if flip { (to, from) } else { (from, to) };
    let slope = match (flat, dx.max(dy)) {
        (_, 0) => 0.0,
        (true, _) => (b.1 - a.1) as f64 / dx as f64,
        (false, _) => (b.0 - a.0) as f64 / dy as f64,
    };
    let steps = dx.max(dy);
    for step in 0..=steps {
        let along = if flip { steps - step } else { step };
        let across = slope * along as f64 + 0.5;
        points.push(if flat {
            (a.0 + along, (a.1 as f64 + across) as i64)
        } else {
            ((a.0 as f64 + across) as i64, a.1 + along)
        });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn picture(runs: &RunLengths) -> Vec<u8> {
        let mut mask = vec![0; (runs.height * runs.width) as usize];
        runs.paint(&mut mask);
        mask
    }

    #[test]
    fn a_square_is_filled_and_runs_go_down_the_columns() {
        let square = RunLengths::polygon(4, 5, &[1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]).unwrap();
        let inside: Vec<usize> = (0..20).filter(|at| picture(&square)[*at] > 0).collect();
        assert_eq!(inside, [6, 7, 8, 11, 12, 13]);
        let down = RunLengths::new(3, 2, vec![1, 2, 3]).unwrap();
        assert_eq!(picture(&down), [0, 0, 255, 0, 255, 0]);
    }

    /// The texts are pycocotools' own (`mask.encode`, version 2.0.11).
    #[test]
    fn masks_are_packed_as_pycocotools_packs_them() {
        let ring: Vec<bool> =
            (0..12 * 40).map(|at| ((at % 40) - 20i32).abs() < 15 && ((at / 40) - 6i32).abs() <= 3).collect();
        let runs = RunLengths::of_mask(12, 40, &ring).unwrap();
        assert_eq!(runs.pack(), "[2750000000000000000000000000000000000000000000000000000000i1");
        assert_eq!(runs.area(), 29 * 7);
        let slope: Vec<bool> = (0..90 * 70).map(|at| (at % 70) * 3 + (at / 70) * 5 > 311).collect();
        let packed = RunLengths::of_mask(90, 70, &slope).unwrap().pack();
        assert_eq!((packed.len(), &packed[..24]), (143, "o1k0n1100O1O100O100O1O10"));
        let whole = RunLengths::of_mask(3, 2, &[true; 6]).unwrap();
        assert_eq!((whole.pack().as_str(), whole.area()), ("06", 6));
        assert_eq!(RunLengths::of_mask(3, 2, &[false; 6]).unwrap().pack(), "6");
        assert!(RunLengths::of_mask(3, 2, &[false; 5]).is_err());
    }

    #[test]
    fn a_mask_survives_packing() {
        let mut state = 7u32;
        for (height, width) in [(1, 1), (5, 9), (64, 40), (200, 3)] {
            let mask: Vec<bool> = (0..height * width)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state >> 29 < 3
                })
                .collect();
            let text = RunLengths::of_mask(height, width, &mask).unwrap().pack();
            let painted = picture(&RunLengths::unpack(height, width, &text).unwrap());
            assert!(painted.iter().zip(&mask).all(|(value, inside)| (*value > 0) == *inside), "{height} × {width}");
        }
    }

    #[test]
    fn what_cannot_be_a_mask_is_refused() {
        assert!(RunLengths::new(3, 2, vec![1, 2]).unwrap_err().to_string().contains("cover 3 pixels"));
        assert!(RunLengths::polygon(4, 4, &[0.0, 0.0, 1.0, 1.0]).is_err());
        assert!(RunLengths::polygon(4, 4, &[0.0, 0.0, f64::NAN, 1.0, 2.0, 2.0]).is_err());
        for text in ["~~~", "PPPPPPPPPPPP", "o", " "] {
            assert!(RunLengths::unpack(4, 4, text).is_err(), "{text}");
        }
        // A polygon outside covers nothing.
        let outside = RunLengths::polygon(4, 4, &[-9.0, -9.0, -5.0, -9.0, -5.0, -5.0]).unwrap();
        assert!(picture(&outside).iter().all(|p| *p == 0));
    }
}
