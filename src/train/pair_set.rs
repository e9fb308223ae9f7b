//! What a table of photo–text pairs teaches: each photo and text once, which fit and which do not, rows that cannot be
//! used, and the batches of an epoch. No network here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::matching::{BadRow, Label, Pairs};
use crate::photo::{Photo, hex};
use crate::{Error, Result};

/// Photos, texts and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct PairSet {
    /// Each photo once, whatever names it has.
    pub photos: Vec<PathBuf>,
    /// SHA-256 of each photo's file.
    pub hashes: Vec<String>,
    /// Each text once; case and spaces make no difference.
    pub texts: Vec<String>,
    /// (photo, text) of the rows that fit, each once.
    pub matches: Vec<(usize, usize)>,
    /// The rows that do not fit, each once.
    pub mismatches: Vec<(usize, usize)>,
    /// Rows that could not be used, by line.
    pub bad: Vec<BadRow>,
    /// Rows that say what another one says.
    pub repeated: usize,
    fitting: HashSet<(usize, usize)>,
    /// Photo → texts of its mismatch rows; text → photos of its mismatch rows whose photo has no match.
    wrong_texts: BTreeMap<usize, Vec<usize>>,
    wrong_photos: BTreeMap<usize, Vec<usize>>,
}

/// One batch: photos and texts as rows and columns, and the pairs among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairBatch {
    /// Indices of photos, each once.
    pub photos: Vec<usize>,
    /// Indices of texts, each once.
    pub texts: Vec<usize>,
    /// (row, column) of the pairs that fit.
    pub pairs: Vec<(usize, usize)>,
}

/// A text as it is compared with others.
pub fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

impl PairSet {
    /// Opens every photo of the table once. A row whose photo cannot be read, and one that contradicts an earlier one, is
    /// a bad row. `opened` is told how many photos are through, and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `opened` says so.
    pub fn open(pairs: &Pairs, mut opened: impl FnMut(usize, usize) -> bool) -> Result<Self> {
        let mut set = Self { bad: pairs.bad.clone(), ..Self::default() };
        let mut paths: Vec<&Path> = pairs.rows.iter().map(|row| row.path.as_path()).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut found: HashMap<&Path, Result<String>> = HashMap::new();
        for stretch in paths.chunks(64) {
            if !opened(found.len(), paths.len()) {
                return Err(Error::Cancelled);
            }
            found.par_extend(stretch.par_iter().map(|path| (*path, check(path))));
        }
        let (mut photos, mut texts) = (HashMap::new(), HashMap::new());
        let mut said: HashMap<(usize, usize), (Label, u64)> = HashMap::new();
        for row in &pairs.rows {
            let hash = match found.get(row.path.as_path()) {
                Some(Ok(hash)) => hash,
                Some(Err(error)) => {
                    set.bad.push(BadRow::of(row, error.clone()));
                    continue;
                }
                None => return Err(Error::bug("a photo of the table was not opened.")),
            };
            let photo = *photos.entry(hash.clone()).or_insert_with(|| {
                set.photos.push(row.path.clone());
                set.hashes.push(hash.clone());
                set.photos.len() - 1
            });
            let text = *texts.entry(plain(&row.text)).or_insert_with(|| {
                set.texts.push(row.text.clone());
                set.texts.len() - 1
            });
            // A row without a label shows a photo and what is to be seen on it.
            let label = row.label.unwrap_or(Label::Match);
            match said.get(&(photo, text)) {
                Some((other, _)) if *other == label => set.repeated += 1,
                Some((other, line)) => {
                    let message = format!(
                        "The row says `{}`, but line {line} says `{}` of the same photo and text. Correct one of them.",
                        label.name(),
                        other.name()
                    );
                    set.bad.push(BadRow::of(row, Error::input(message)));
                }
                None => {
                    said.insert((photo, text), (label, row.line));
                    let rows = if label == Label::Match { &mut set.matches } else { &mut set.mismatches };
                    rows.push((photo, text));
                }
            }
        }
        set.bad.sort_by_key(|row| row.line);
        set.index();
        Ok(set)
    }

    /// What fits and what does not, for quick questions.
    fn index(&mut self) {
        self.fitting = self.matches.iter().copied().collect();
        let with_match: HashSet<usize> = self.matches.iter().map(|(photo, _)| *photo).collect();
        for &(photo, text) in &self.mismatches {
            if with_match.contains(&photo) {
                self.wrong_texts.entry(photo).or_default().push(text);
            } else {
                self.wrong_photos.entry(text).or_default().push(photo);
            }
        }
    }

    /// A table of `count` matching pairs at most, spread evenly, with as many mismatch rows of their
    /// photos at most.
    #[must_use]
    pub fn part(&self, count: usize) -> Self {
        let mut part = Self::default();
        let (mut photos, mut texts) = (BTreeMap::new(), BTreeMap::new());
        let shown = count.min(self.matches.len());
        let pairs: Vec<(usize, usize)> = (0..shown).map(|at| self.matches[at * self.matches.len() / shown]).collect();
        let named: HashSet<usize> = pairs.iter().map(|(photo, _)| *photo).collect();
        let wrong: Vec<(usize, usize)> =
            self.mismatches.iter().filter(|(photo, _)| named.contains(photo)).take(count).copied().collect();
        for (index, &(photo, text)) in pairs.iter().chain(&wrong).enumerate() {
            let photo = *photos.entry(photo).or_insert_with(|| {
                part.photos.push(self.photos[photo].clone());
                part.hashes.push(self.hashes[photo].clone());
                part.photos.len() - 1
            });
            let text = *texts.entry(text).or_insert_with(|| {
                part.texts.push(self.texts[text].clone());
                part.texts.len() - 1
            });
            if index < pairs.len() { &mut part.matches } else { &mut part.mismatches }.push((photo, text));
        }
        part.index();
        part
    }

    /// Whether a row says that the text fits the photo.
    pub fn fits(&self, photo: usize, text: usize) -> bool {
        self.fitting.contains(&(photo, text))
    }

    /// Mismatch rows that no batch can use, because neither their photo nor their text occurs in a row that fits.
    pub fn idle(&self) -> usize {
        let with_match: HashSet<usize> = self.matches.iter().map(|(_, text)| *text).collect();
        self.wrong_photos.iter().filter(|(text, _)| !with_match.contains(text)).map(|(_, photos)| photos.len()).sum()
    }

    /// Batches of an epoch: every matching pair once, in an order that seed and epoch decide, the batches as even as can
    /// be. Each pair brings up to `hard` texts that are known not to fit its photo (or photos that do not fit its text).
    pub fn batches(&self, batch_size: usize, hard: usize, seed: u64, epoch: usize) -> Vec<PairBatch> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9).wrapping_add(epoch as u64));
        let mut order = self.matches.clone();
        order.shuffle(&mut rng);
        let count = order.len().div_ceil(batch_size.max(1));
        let mut batches = Vec::with_capacity(count);
        for number in 0..count {
            let part = &order[number * order.len() / count..(number + 1) * order.len() / count];
            let mut batch = PairBatch { photos: Vec::new(), texts: Vec::new(), pairs: Vec::new() };
            let place = |list: &mut Vec<usize>, index: usize| {
                list.iter().position(|known| *known == index).unwrap_or_else(|| {
                    list.push(index);
                    list.len() - 1
                })
            };
            for &(photo, text) in part {
                let pair = (place(&mut batch.photos, photo), place(&mut batch.texts, text));
                batch.pairs.push(pair);
            }
            for &(photo, text) in part {
                for wrong in some(self.wrong_texts.get(&photo), hard, &mut rng) {
                    place(&mut batch.texts, wrong);
                }
                for wrong in some(self.wrong_photos.get(&text), hard, &mut rng) {
                    place(&mut batch.photos, wrong);
                }
            }
            batches.push(batch);
        }
        batches
    }
}

/// Up to `count` of `list`, each once.
fn some(list: Option<&Vec<usize>>, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut left = list.cloned().unwrap_or_default();
    let mut chosen = Vec::new();
    while chosen.len() < count && !left.is_empty() {
        chosen.push(left.swap_remove(rng.random_range(0..left.len())));
    }
    chosen
}

/// SHA-256 of a photo's file, which must be one that can be shown to a network.
fn check(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("Cannot read the photo", path, &e))?;
    Photo::from_bytes(&bytes, path)?;
    Ok(hex(&Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::matching::read_pairs;

    /// A table beside photos `a` to `e`; `b` and `copy` are the same file.
    fn set(rows: &str) -> PairSet {
        let dir = tempfile::tempdir().unwrap();
        for (index, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            image::RgbImage::from_pixel(8, 8, image::Rgb([50 * index as u8, 0, 0]))
                .save(dir.path().join(format!("{name}.png")))
                .unwrap();
        }
        std::fs::copy(dir.path().join("b.png"), dir.path().join("copy.png")).unwrap();
        std::fs::write(dir.path().join("broken.png"), b"no photo").unwrap();
        let table = dir.path().join("pairs.csv");
        std::fs::write(&table, format!("image_path,text,label\n{rows}")).unwrap();
        PairSet::open(&read_pairs(&table, None).unwrap(), |_, _| true).unwrap()
    }

    #[test]
    fn photos_and_texts_are_known_by_what_they_are() {
        let set = set("a.png,A red cap,match\n\
                       b.png,a  RED cap,mismatch\n\
                       copy.png,a blue cap,\n\
                       b.png,A blue cap,match\n\
                       broken.png,a cap,match\n\
                       missing.png,a cap,match\n\
                       copy.png,a blue cap,mismatch\n");
        assert_eq!((set.photos.len(), set.texts.len(), set.repeated), (2, 2, 1));
        assert_eq!((set.matches.as_slice(), set.mismatches.as_slice()), (&[(0, 0), (1, 1)][..], &[(1, 0)][..]));
        assert!(set.fits(1, 1) && !set.fits(1, 0));
        let lines: Vec<u64> = set.bad.iter().map(|row| row.line).collect();
        assert_eq!(lines, [6, 7, 8]);
        assert!(set.bad[2].error.to_string().contains("line 4"), "{}", set.bad[2].error);
    }

    #[test]
    fn every_pair_comes_once_an_epoch_and_brings_its_mismatches() {
        // `e` has no text that fits it, so it stands against the text it is said not to fit; the last row fits nowhere.
        let set = set("a.png,one,match\nb.png,two,match\nc.png,three,match\nd.png,one,match\na.png,three,mismatch\n\
                       b.png,wrong,mismatch\ne.png,two,mismatch\ne.png,nothing,mismatch\n");
        assert_eq!(set.idle(), 1);
        let batches = set.batches(3, 1, 7, 0);
        assert_eq!(batches.iter().map(|batch| batch.pairs.len()).collect::<Vec<_>>(), [2, 2]);
        let mut pairs: Vec<(usize, usize)> = batches
            .iter()
            .flat_map(|batch| batch.pairs.iter().map(|(row, column)| (batch.photos[*row], batch.texts[*column])))
            .collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 0), (1, 1), (2, 2), (3, 0)]);
        let with_b = batches.iter().find(|batch| batch.photos.contains(&1)).unwrap();
        let wrong = set.texts.iter().position(|text| text == "wrong").unwrap();
        assert!(with_b.texts.contains(&wrong) && with_b.photos.contains(&4));
        assert_eq!(batches, set.batches(3, 1, 7, 0));
        assert!((1..9).any(|epoch| set.batches(3, 1, 7, epoch) != batches));
        let part = set.part(2);
        assert_eq!((part.photos.len(), part.matches.len(), part.mismatches.len()), (2, 2, 1));
        assert!(part.matches.iter().all(|&(photo, text)| part.fits(photo, text)));
        assert_eq!(set.part(100).matches.len(), 4);
        let plain = set.batches(3, 0, 7, 0);
        assert!(plain.iter().all(|batch| !batch.texts.contains(&wrong) && !batch.photos.contains(&4)));
    }
}
