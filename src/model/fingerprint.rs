//! One SHA-256 per model over everything that decides its numbers: configuration, preprocessing, tokenizer and weights.
//! Reports name it and caches are keyed by it.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::weights::WeightFiles;
use crate::{Error, Result};

/// Files of a folder that decide what a model says, besides its weights.
const DESCRIBING: [&str; 6] =
    ["config.json", "open_clip_config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt"];

/// SHA-256 over names, lengths and contents, in hex.
pub(super) fn fingerprint(described: &[(&str, &[u8])], weights: &WeightFiles) -> String {
    let mut hasher = Sha256::new();
    let weights = weights.parts.iter().map(|(path, bytes)| {
        (path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(), bytes.as_ref())
    });
    let described = described.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes));
    for (name, bytes) in described.chain(weights) {
        hasher.update(name.as_bytes());
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    crate::photo::hex(&hasher.finalize())
}

/// [`fingerprint`] of a folder and its weights.
pub(super) fn fingerprint_of_folder(folder: &Path, weights: &WeightFiles) -> Result<String> {
    let mut described = Vec::new();
    for name in DESCRIBING {
        let path = folder.join(name);
        if path.is_file() {
            let bytes =
                std::fs::read(&path).map_err(|error| Error::io("Cannot read a file of the model", &path, &error))?;
            described.push((name, bytes));
        }
    }
    let described: Vec<_> = described.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    Ok(fingerprint(&described, weights))
}
