//! Photos against each other: a patch deviates if even the photos most like it have nothing near it. Photos with a defect
//! may be among them while they are few (mutual scoring, Li et al. 2024, "MuSc: Zero-Shot Industrial Anomaly Classification and
//! Segmentation with Mutual Scoring of the Unlabeled Images").

use crate::gpu::kernels::nearest_patch;

/// Photos that one is compared with at most; of more, evenly many are taken, because the work grows with their number.
pub const MOST_PHOTOS: usize = 128;
/// Share of the photos whose distances count, the nearest ones.
const NEAREST: f32 = 0.3;

/// The vectors of each photo of a batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    dim: usize,
    /// Content hash and vectors `[n, dim]`.
    photos: Vec<(String, Vec<f32>)>,
}

impl Batch {
    /// From the content hash and the vectors `[n, dim]` of each photo.
    pub fn new(photos: Vec<(String, Vec<f32>)>, dim: usize) -> Self {
        Self { dim, photos }
    }

    /// Vectors held.
    pub fn vectors(&self) -> usize {
        self.photos.iter().map(|(_, values)| values.len()).sum::<usize>() / self.dim.max(1)
    }

    /// For each vector of `values` `[n, dim]` the mean of the least 30 % of its L2 distances to the nearest vector of each
    /// photo whose content is another than `hash`: `[n]`. `None` where there is no other photo.
    pub fn distances(&self, hash: &str, values: &[f32]) -> Option<Vec<f32>> {
        let n = values.len() / self.dim.max(1);
        let others: Vec<Vec<f32>> = self
            .photos
            .iter()
            .filter(|(other, _)| other != hash)
            .map(|(_, other)| {
                let found = nearest_patch::on_cpu(values, n, other, other.len() / self.dim, self.dim);
                found.into_iter().map(|(squared, _)| squared.max(0.0).sqrt()).collect()
            })
            .collect();
        let kept = ((others.len() as f32 * NEAREST) as usize).max(1);
        (!others.is_empty()).then(|| {
            (0..n)
                .map(|i| {
                    let mut distances: Vec<f32> = others.iter().map(|other| other[i]).collect();
                    distances.select_nth_unstable_by(kept - 1, f32::total_cmp);
                    distances[..kept].iter().sum::<f32>() / kept as f32
                })
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_photos_decide_and_the_photo_itself_does_not_count() {
        // Ten photos of one patch each, 0 to 9.
        let photos = (0..10_u8).map(|i| (i.to_string(), vec![f32::from(i), 0.0])).collect();
        let batch = Batch::new(photos, 2);
        assert_eq!(batch.vectors(), 10);
        // Of the nine others 30 % are two: those next to 5, and those next to 0.
        assert_eq!(batch.distances("5", &[5.0, 0.0]), Some(vec![1.0]));
        assert_eq!(batch.distances("0", &[0.0, 0.0]), Some(vec![1.5]));
        // A photo that is none of them: three of ten.
        assert_eq!(batch.distances("new", &[9.0, 3.0]), Some(vec![(3.0 + 10.0_f32.sqrt() + 13.0_f32.sqrt()) / 3.0]));
        assert_eq!(Batch::new(vec![("a".into(), vec![1.0])], 1).distances("a", &[1.0]), None);
    }
}
