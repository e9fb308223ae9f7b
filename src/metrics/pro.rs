//! Per-region overlap: the mean, over all connected defects of the ground truth, of the share of a defect that lies at or
//! above a threshold (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021). Large and small defects count
//! alike. Its area over the false-positive rate is exact: every score is a threshold.

use image::{GrayImage, Luma};
use imageproc::region_labelling::{Connectivity, connected_components};

use super::ranking::Step;

/// False-positive rate up to which the overlap is integrated, as published.
pub const FPR_LIMIT: f64 = 0.3;

/// Area under the overlap over the false-positive rate from 0 to a limit, divided by the limit: AUPRO.
#[derive(Clone, Copy, Debug)]
pub struct ProArea {
    limit: f64,
    normals: u64,
    parts: usize,
    false_alarms: u64,
    overlap: f64,
    area: f64,
}

impl ProArea {
    /// An area of nothing yet, for a ranking with this many normal entries and parts; `limit` in (0, 1].
    pub fn new(limit: f64, normals: u64, parts: usize) -> Self {
        Self { limit, normals, parts, false_alarms: 0, overlap: 0.0, area: 0.0 }
    }

    /// The next step: a straight line from the last corner to the next, cut at the limit.
    pub fn take(&mut self, step: &Step) {
        let normals = self.normals.max(1) as f64;
        let (from, low) = (self.false_alarms as f64 / normals, self.overlap);
        self.false_alarms += step.normal;
        self.overlap += step.overlap;
        let (to, high) = (self.false_alarms as f64 / normals, self.overlap);
        if from >= self.limit || to == from {
            return;
        }
        let end = to.min(self.limit);
        let at_end = low + (high - low) * (end - from) / (to - from);
        self.area += (end - from) * (low + at_end) / 2.0;
    }

    /// The figure, 0–1, after the last step; `None` without a part or without a normal entry.
    pub fn finish(self) -> Option<f64> {
        (self.parts > 0 && self.normals > 0).then_some(self.area / self.limit)
    }
}

/// The connected parts (8-neighbourhood) of a mask: per pixel 0 for normal or 1 + the part's index, row by row, and the
/// pixels of each part. A pixel that is not 0 is anomalous.
pub fn parts(mask: &GrayImage) -> (Vec<u32>, Vec<u32>) {
    if mask.iter().all(|pixel| *pixel == 0) {
        return (vec![0; mask.len()], Vec::new());
    }
    let flat = GrayImage::from_fn(mask.width(), mask.height(), |x, y| Luma([u8::from(mask.get_pixel(x, y).0[0] > 0)]));
    let labels = connected_components(&flat, Connectivity::Eight, Luma([0])).into_raw();
    let mut sizes = Vec::new();
    for label in labels.iter().filter(|label| **label > 0) {
        let index = *label as usize - 1;
        if sizes.len() <= index {
            sizes.resize(index + 1, 0);
        }
        sizes[index] += 1;
    }
    (labels, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Ranking;

    fn area(limit: f64, normal: &[f32], anomalous: &[(f32, u32)], parts: &[u32]) -> Option<f64> {
        use crate::metrics::ranking::Score;
        let normal = normal.iter().map(|score| score.key()).collect();
        let anomalous = anomalous.iter().map(|(score, part)| (score.key(), *part)).collect();
        let ranking: Ranking<f32> = Ranking::sorted(normal, anomalous, parts);
        let mut area = ProArea::new(limit, ranking.normals(), ranking.parts());
        ranking.steps().for_each(|step| area.take(&step));
        area.finish()
    }

    #[test]
    fn every_part_counts_alike() {
        // One pixel found before any false alarm, three found after all of them: overlap 0.5 up to a rate of 1.
        let found = area(1.0, &[1.0, 1.0], &[(2.0, 0), (0.0, 1), (0.0, 1), (0.0, 1)], &[1, 3]);
        assert_eq!(found, Some(0.5));
    }

    #[test]
    fn ties_are_straight_lines_cut_at_the_limit() {
        let equal = area(0.3, &[1.0; 7], &[(1.0, 0), (1.0, 0)], &[2]).expect("both kinds");
        assert!((equal - 0.15).abs() < 1e-12, "{equal}");
        assert_eq!(area(0.3, &[0.0; 4], &[(1.0, 0)], &[1]), Some(1.0));
        assert_eq!(area(0.3, &[], &[(1.0, 0)], &[1]), None);
        assert_eq!(area(0.3, &[1.0], &[], &[]), None);
    }

    #[test]
    fn corners_join_parts_and_gaps_part_them() {
        let mask = GrayImage::from_fn(5, 3, |x, y| {
            Luma([if [(0, 0), (1, 1), (3, 0), (3, 2), (4, 2)].contains(&(x, y)) { 1 + x as u8 } else { 0 }])
        });
        let (labels, mut sizes) = parts(&mask);
        assert_eq!(labels[0], labels[6], "a diagonal joins, whatever the values");
        assert_ne!(labels[3], labels[13], "a row between parts");
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2, 2]);
        assert_eq!(parts(&GrayImage::new(4, 4)).1, Vec::<u32>::new());
    }
}
