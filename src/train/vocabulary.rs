//! A small byte-pair vocabulary in the form of CLIP's `tokenizer.json` (Sennrich et al. 2016): every word of a list
//! becomes one token, any other text falls apart into shorter pieces and at last into bytes, so nothing is unknown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// First and last token of every text.
pub const BEGIN: &str = "<|startoftext|>";
/// See [`BEGIN`].
pub const END: &str = "<|endoftext|>";

/// GPT-2's printable stand-ins for the 256 bytes, which the tokenizer files of CLIP use.
fn byte_letters() -> Vec<char> {
    let plain = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || (174..=255).contains(&b);
    let mut beyond = 256;
    (0..256_u32)
        .map(|b| {
            let code = if plain(b) {
                b
            } else {
                beyond += 1;
                beyond - 1
            };
            char::from_u32(code).unwrap_or(' ')
        })
        .collect()
}

/// A `tokenizer.json` whose vocabulary holds all `words` (lower case ASCII), and the number of its tokens.
pub fn tokenizer_json(words: &[String]) -> (Value, usize) {
    let letters = byte_letters();
    let mut tokens: Vec<String> = letters.iter().map(char::to_string).collect();
    tokens.extend(letters.iter().map(|c| format!("{c}</w>")));
    let mut pieces: Vec<Vec<String>> = words
        .iter()
        .map(|word| {
            let mut parts: Vec<String> = word.chars().map(|c| c.to_string()).collect();
            if let Some(last) = parts.last_mut() {
                last.push_str("</w>");
            }
            parts
        })
        .collect();
    let mut merges: Vec<String> = Vec::new();
    loop {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for pair in pieces.iter().flat_map(|parts| parts.windows(2)) {
            *counts.entry((&pair[0], &pair[1])).or_default() += 1;
        }
        // The most frequent pair; of equals the first in the alphabet.
        let best = counts.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
        let Some((left, right)) = best.map(|((left, right), _)| ((*left).to_owned(), (*right).to_owned())) else {
            break;
        };
        let joined = format!("{left}{right}");
        for parts in &mut pieces {
            let mut at = 0;
            while at + 1 < parts.len() {
                if parts[at] == left && parts[at + 1] == right {
                    parts[at].clone_from(&joined);
                    parts.remove(at + 1);
                }
                at += 1;
            }
        }
        merges.push(format!("{left} {right}"));
        if !tokens.contains(&joined) {
            tokens.push(joined);
        }
    }
    tokens.push(BEGIN.to_owned());
    tokens.push(END.to_owned());
    let count = tokens.len();
    let vocabulary: serde_json::Map<String, Value> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    let special = |token: &str, id: usize| json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let split = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(BEGIN, count - 2), special(END, count - 1)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": split}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, count - 1], "cls": [BEGIN, count - 2], "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": merges},
    });
    (file, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_one_token_and_unknown_ones_still_split() {
        let words: Vec<String> =
            ["a", "photo", "of", "hole", "whole", "blowhole", "scratch"].map(str::to_owned).to_vec();
        let (file, count) = tokenizer_json(&words);
        let tokenizer = tokenizers::Tokenizer::from_bytes(file.to_string().as_bytes()).expect("valid file");
        let ids = |text: &str| tokenizer.encode(text, true).expect("any text").get_ids().to_vec();
        for word in &words {
            assert_eq!(ids(word).len(), 3, "{word}");
        }
        let strange = ids("Größe 7 🙂");
        assert!(strange.len() > 5 && strange.iter().all(|&id| (id as usize) < count));
        assert_eq!((strange[0] as usize, strange[strange.len() - 1] as usize), (count - 2, count - 1));
    }
}
