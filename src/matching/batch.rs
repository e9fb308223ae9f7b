//! A whole table of pairs: each photo and each text encoded once, in stretches after which the work so far is on disk.
//! A photo that cannot be read fails its own rows alone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::pairs::{BadRow, Pair, Pairs};
use super::part_file::PartFile;
use super::similarity::similarity;
use crate::{Error, Result};

/// Rows between two writes of the part file.
const STRETCH: usize = 64;

/// What has a network: photos and texts to embeddings `[dim]`.
pub trait Encoder {
    /// The embedding of each photo, or why there is none.
    fn photos(&mut self, paths: &[PathBuf]) -> Result<Vec<Result<Vec<f32>>>>;

    /// The embedding of each text.
    fn texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>>;

    /// `done` of `total` rows are through; false to stop.
    fn progress(&mut self, done: usize, total: usize) -> bool;
}

/// A row with its similarity.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored<'a> {
    pub pair: &'a Pair,
    /// 0–1.
    pub similarity: f32,
}

/// What came of a table.
#[derive(Clone, Debug)]
pub struct BatchOutcome<'a> {
    /// In the order of the table.
    pub rows: Vec<Scored<'a>>,
    /// Rows that could not be used, by line.
    pub bad: Vec<BadRow>,
    /// Rows taken over from an earlier run.
    pub resumed: usize,
    /// Different photos and texts that were encoded in this run.
    pub encoded: (usize, usize),
}

/// Matches every row. Scores go into the part file as they come. Rows that failed before are tried again.
///
/// # Errors
/// [`Error::Cancelled`] when the encoder said stop; what the encoder and the part file report. What is done by then is kept.
pub fn match_pairs<'a>(pairs: &'a Pairs, encoder: &mut dyn Encoder, part: &mut PartFile) -> Result<BatchOutcome<'a>> {
    let mut photos: HashMap<&Path, Result<Vec<f32>>> = HashMap::new();
    let mut texts: HashMap<&str, Vec<f32>> = HashMap::new();
    let mut bad = pairs.bad.clone();
    let open: Vec<&Pair> = pairs.rows.iter().filter(|pair| !part.done.contains_key(&pair.line)).collect();
    let resumed = pairs.rows.len() - open.len();
    let mut through = resumed;
    for stretch in open.chunks(STRETCH) {
        if !encoder.progress(through, pairs.rows.len()) {
            return Err(Error::Cancelled);
        }
        let new_photos = missing(stretch.iter().map(|pair| pair.path.as_path()), &photos);
        let paths: Vec<PathBuf> = new_photos.iter().map(|path| (*path).to_owned()).collect();
        photos.extend(new_photos.into_iter().zip(encoder.photos(&paths)?));
        let new_texts = missing(stretch.iter().map(|pair| pair.text.as_str()), &texts);
        let words: Vec<String> = new_texts.iter().map(|text| (*text).to_owned()).collect();
        texts.extend(new_texts.into_iter().zip(encoder.texts(&words)?));
        let mut scores = Vec::with_capacity(stretch.len());
        for pair in stretch {
            match (photos.get(pair.path.as_path()), texts.get(pair.text.as_str())) {
                (Some(Ok(photo)), Some(text)) => scores.push((pair.line, similarity(photo, text)?)),
                (Some(Err(error)), _) => bad.push(BadRow::of(pair, error.clone())),
                _ => return Err(Error::bug("a row of the table was not encoded.")),
            }
        }
        part.append(&scores)?;
        through += stretch.len();
    }
    encoder.progress(through, pairs.rows.len());
    bad.sort_by_key(|row| row.line);
    let rows = pairs.rows.iter().filter_map(|pair| {
        let similarity = *part.done.get(&pair.line)?;
        Some(Scored { pair, similarity })
    });
    let encoded = (photos.values().filter(|photo| photo.is_ok()).count(), texts.len());
    Ok(BatchOutcome { rows: rows.collect(), bad, resumed, encoded })
}

/// Those of `wanted` that are not `known`, each once.
fn missing<'k, K: std::hash::Hash + Eq + ?Sized, V>(
    wanted: impl Iterator<Item = &'k K>,
    known: &HashMap<&'k K, V>,
) -> Vec<&'k K> {
    let mut seen = std::collections::HashSet::new();
    wanted.filter(|key| !known.contains_key(key) && seen.insert(*key)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    /// Photo and text of the same first letter are alike; `x` cannot be read. Counts what it was asked.
    #[derive(Default)]
    struct Letters {
        photos: Vec<PathBuf>,
        texts: Vec<String>,
        /// Stops after that many rows.
        stop: Option<usize>,
    }

    fn letter(text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; 26];
        vector[usize::from(text.as_bytes()[0] - b'a')] = 2.0;
        vector
    }

    impl Encoder for Letters {
        fn photos(&mut self, paths: &[PathBuf]) -> Result<Vec<Result<Vec<f32>>>> {
            self.photos.extend_from_slice(paths);
            let encode = |path: &PathBuf| {
                let name = path.to_str().unwrap();
                if name.starts_with('x') {
                    Err(Error::input("Cannot read the photo.").at(path))
                } else {
                    Ok(letter(name))
                }
            };
            Ok(paths.iter().map(encode).collect())
        }

        fn texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
            self.texts.extend_from_slice(texts);
            Ok(texts.iter().map(|text| letter(text)).collect())
        }

        fn progress(&mut self, done: usize, _: usize) -> bool {
            self.stop.is_none_or(|stop| done < stop)
        }
    }

    fn pairs(count: usize) -> Pairs {
        let pair = |i: usize| Pair {
            line: i as u64 + 2,
            given: String::new(),
            path: ["a.png", "b.png", "x.png"][i % 3].into(),
            text: ["apple", "ball", "axe", "bat"][i % 4].to_owned(),
            label: None,
        };
        Pairs { rows: (0..count).map(pair).collect(), bad: Vec::new(), sha256: String::new() }
    }

    #[test]
    fn everything_is_encoded_once_and_a_bad_photo_fails_its_rows_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = PartFile::open(&dir.path().join("o"), "f").unwrap();
        let (pairs, mut letters) = (pairs(1000), Letters::default());
        let outcome = match_pairs(&pairs, &mut letters, &mut part).unwrap();
        assert_eq!((letters.photos.len(), letters.texts.len(), outcome.encoded), (3, 4, (2, 4)));
        assert_eq!((outcome.rows.len(), outcome.bad.len(), outcome.resumed), (667, 333, 0));
        assert_eq!(outcome.bad[0].line, 4, "lines of the table, in order");
        assert!(outcome.bad.windows(2).all(|pair| pair[0].line < pair[1].line));
        assert!(outcome.rows.iter().all(|row| {
            (row.similarity == 1.0) == (row.pair.path.to_str().unwrap().as_bytes()[0] == row.pair.text.as_bytes()[0])
        }));
    }

    #[test]
    fn a_run_that_was_stopped_ends_as_one_that_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let pairs = pairs(1000);
        let whole = {
            let mut part = PartFile::open(&dir.path().join("whole"), "f").unwrap();
            match_pairs(&pairs, &mut Letters::default(), &mut part).unwrap()
        };
        let output = dir.path().join("stopped");
        let mut part = PartFile::open(&output, "f").unwrap();
        let stopped = match_pairs(&pairs, &mut Letters { stop: Some(500), ..Letters::default() }, &mut part);
        assert!(matches!(stopped, Err(Error::Cancelled)));
        drop(part);
        let mut part = PartFile::open(&output, "f").unwrap();
        let outcome = match_pairs(&pairs, &mut Letters::default(), &mut part).unwrap();
        assert_eq!(outcome.rows, whole.rows);
        assert!(outcome.resumed > 300, "{}", outcome.resumed);
        assert_eq!(outcome.bad.len(), whole.bad.len(), "unreadable photos are tried again");
    }
}
