//! Photos with labels, read, made or written for other programs: the MVTec-AD layout, class folders, tables and COCO, masks,
//! procedural parts with defects and ground truth, exports.

pub mod coco_masks;
pub mod export;
pub mod label_file;
pub mod labels;
pub mod mask;
pub mod masked;
pub mod mvtec;
pub mod rle;
pub mod synth;

use std::path::PathBuf;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// `count` of the reference photos, chosen by the seed, in their former order. Of one seed, fewer are always among more.
pub fn choose(references: Vec<PathBuf>, count: usize, seed: u64) -> Vec<PathBuf> {
    let mut order: Vec<usize> = (0..references.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.truncate(count);
    order.sort_unstable();
    order.into_iter().map(|index| references[index].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shots_are_chosen_by_the_seed_and_keep_their_order() {
        let all: Vec<PathBuf> = (0..20).map(|i| PathBuf::from(format!("{i:02}.png"))).collect();
        let four = choose(all.clone(), 4, 7);
        assert_eq!(four.len(), 4);
        assert!(four.is_sorted());
        assert_eq!(four, choose(all.clone(), 4, 7));
        assert_ne!(four, choose(all.clone(), 4, 8));
        assert_eq!(choose(all.clone(), 99, 7), all);
        let sixteen = choose(all, 16, 7);
        assert!(four.iter().all(|photo| sixteen.contains(photo)));
    }
}
