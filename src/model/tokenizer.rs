//! Text to token ids, from the `tokenizer.json` of a model folder, or from the older pair `vocab.json` and `merges.txt`
//! with CLIP's published rules (reference: transformers `CLIPTokenizerFast`). Cuts to the tower's length keeping the end
//! token. Sentences, templates and prompts are made elsewhere.

use std::path::Path;

use tokenizers::{TruncationDirection, TruncationParams, TruncationStrategy};

use super::config::TextConfig;
use crate::{Error, Result};

/// Token ids of some texts, of equal length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    /// `[texts × length]`, row by row.
    pub ids: Vec<i32>,
    pub length: usize,
    /// Position of the end token in each row.
    pub ends: Vec<usize>,
}

/// The vocabulary and rules of one model.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    config: TextConfig,
}

impl Tokenizer {
    /// From the bytes of a `tokenizer.json`.
    pub fn from_json(json: &[u8], config: &TextConfig) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(|error| {
            Error::model(format!("tokenizer.json cannot be read: {error}. Download the model again."))
        })?;
        let truncation = TruncationParams {
            max_length: config.max_position_embeddings,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
            direction: TruncationDirection::Right,
        };
        inner
            .with_truncation(Some(truncation))
            .map_err(|error| Error::model(format!("tokenizer.json leaves no room for words: {error}.")))?;
        inner.with_padding(None);
        Ok(Self { inner, config: config.clone() })
    }

    /// From a model folder.
    pub fn open(folder: &Path, config: &TextConfig) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let read =
            |path: &Path| std::fs::read(path).map_err(|error| Error::io("Cannot read the tokenizer", path, &error));
        if path.is_file() {
            return Self::from_json(&read(&path)?, config).map_err(|error| error.at(&path));
        }
        let (vocabulary, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        if vocabulary.is_file() && merges.is_file() {
            let json = published_rules(&read(&vocabulary)?, &read(&merges)?).map_err(|error| error.at(&vocabulary))?;
            return Self::from_json(&json, config).map_err(|error| error.at(&vocabulary));
        }
        Err(Error::model("The folder has no tokenizer.json, nor vocab.json with merges.txt. Download the model again.")
            .at(folder))
    }

    /// As the `tokenizer.json` of a model folder.
    pub fn to_json(&self) -> Result<String> {
        let failed = |error: tokenizers::Error| Error::bug(format!("a tokenizer cannot be written ({error})."));
        let mut inner = self.inner.clone();
        inner.with_truncation(None).map_err(failed)?;
        inner.to_string(false).map_err(failed)
    }

    /// Ids of one text with begin and end token, cut to the tower's length, not padded.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode(text, true).map_err(|error| {
            Error::input(format!("The text `{text}` cannot be split into tokens: {error}. Rephrase it."))
        })?;
        let ids = encoding.get_ids().to_vec();
        if let Some(beyond) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            return Err(Error::model(format!(
                "The tokenizer gives id {beyond}, but the model knows {} tokens. Tokenizer and weights do not belong together.",
                self.config.vocab_size
            )));
        }
        Ok(ids)
    }

    /// Several texts, padded at the end by each row's end token to the longest of them. What follows the end token has
    /// no influence on a causal tower, so a row need not be as long as the tower allows.
    pub fn batch(&self, texts: &[String]) -> Result<TokenBatch> {
        let rows = texts.iter().map(|text| self.ids(text)).collect::<Result<Vec<_>>>()?;
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let (mut ids, mut ends) = (Vec::with_capacity(rows.len() * length), Vec::with_capacity(rows.len()));
        for (row, text) in rows.iter().zip(texts) {
            let end = self.config.end_position(row).ok_or_else(|| {
                Error::model(format!(
                    "The tokenizer gives the text `{text}` no end token {}. Tokenizer and config.json do not belong together.",
                    self.config.eos_token_id
                ))
            })?;
            ends.push(end);
            ids.extend(row.iter().map(|&id| id as i32));
            ids.extend(std::iter::repeat_n(row[end] as i32, length - row.len()));
        }
        Ok(TokenBatch { ids, length, ends })
    }
}

/// A `tokenizer.json` with CLIP's rules around a given vocabulary and merges.
fn published_rules(vocabulary: &[u8], merges: &[u8]) -> Result<Vec<u8>> {
    let damaged = |what: &str| Error::model(format!("{what} Download the model again."));
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(vocabulary).map_err(|error| damaged(&format!("vocab.json cannot be read: {error}.")))?;
    let merges = std::str::from_utf8(merges).map_err(|_| damaged("merges.txt is not UTF-8."))?;
    let merges: Vec<&str> =
        merges.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty()).collect();
    let id = |token: &str| {
        vocabulary
            .get(token)
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| damaged(&format!("vocab.json has no {token}.")))
    };
    let (begin, end) = ("<|startoftext|>", "<|endoftext|>");
    let (begin_id, end_id) = (id(begin)?, id(end)?);
    // The published file looks for the begin token in the normalised text, for the end token in the text as given.
    let special = |content: &str, id: u64, normalised: bool| serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": normalised, "special": true});
    let split = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(begin, begin_id, true), special(end, end_id, false)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": split}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [end, end_id], "cls": [begin, begin_id], "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": end, "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": merges},
    });
    serde_json::to_vec(&json).map_err(|error| Error::bug(format!("a tokenizer that cannot be written: {error}.")))
}
