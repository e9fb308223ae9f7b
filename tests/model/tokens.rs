//! Token ids of a thousand strings against transformers' on the published vocabulary, which is not part of the
//! repository. `tests/fixtures/model/tokens.py` made the strings and the ids.

#![expect(clippy::print_stderr, reason = "a test that finds no vocabulary says so")]

use std::path::{Path, PathBuf};

use hairline::model::config::TextConfig;
use hairline::model::tokenizer::Tokenizer;

/// The published vocabulary, unless the folder of shared material is absent as a whole.
fn published() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if shared.is_dir() {
        return Some(shared.join("weights/clip-tokenizer"));
    }
    eprintln!("{} is absent: token ids are not compared with the published vocabulary.", shared.display());
    None
}

fn strings() -> Vec<(String, Vec<u32>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model/tokens.jsonl");
    let lines = std::fs::read_to_string(path).expect("run tokens.py");
    lines
        .lines()
        .map(|line| {
            let (text, differences): (String, Vec<i64>) = serde_json::from_str(line).expect("valid");
            let mut id = 0;
            let inner = differences.into_iter().map(|difference| {
                id += difference;
                u32::try_from(id).expect("an id")
            });
            (text, std::iter::once(49_406).chain(inner).chain([49_407]).collect())
        })
        .collect()
}

fn compare(tokenizer: &Tokenizer) {
    let strings = strings();
    assert_eq!(strings.len(), 1000);
    assert!(strings.iter().filter(|(_, ids)| ids.len() == 77).count() >= 20, "some overflow");
    for (text, ids) in &strings {
        assert_eq!(&tokenizer.ids(text).expect("tokens"), ids, "{text:?}");
    }
}

#[test]
fn tokenizer_json_gives_the_published_ids() {
    let Some(folder) = published() else { return };
    compare(&Tokenizer::open(&folder, &TextConfig::default()).expect("reads"));
}

#[test]
fn vocabulary_and_merges_alone_give_the_same_ids() {
    let Some(folder) = published() else { return };
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in ["vocab.json", "merges.txt"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).expect("copies");
    }
    compare(&Tokenizer::open(copy.path(), &TextConfig::default()).expect("reads"));
}

#[test]
fn a_batch_ends_each_row_with_its_end_token() {
    let Some(folder) = published() else { return };
    // Older files give the end token as 2.
    let config = TextConfig { eos_token_id: 2, ..TextConfig::default() };
    let tokenizer = Tokenizer::open(&folder, &config).expect("reads");
    let batch = tokenizer.batch(&["a photo of a scratch".to_owned(), "crack".to_owned()]).expect("tokens");
    assert_eq!((batch.length, &batch.ends), (7, &vec![6, 2]));
    assert_eq!(batch.ids[7..], [49_406, batch.ids[8], 49_407, 49_407, 49_407, 49_407, 49_407]);
    let small = TextConfig { vocab_size: 400, ..config };
    let message = Tokenizer::open(&folder, &small).expect("reads").ids("crack").expect_err("too large").to_string();
    assert!(message.contains("do not belong together"), "{message}");
}
