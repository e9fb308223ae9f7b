//! The words of zero-shot classification: phrases per label and templates around them, as given on the command line or in
//! RON files. Sentences only; their embeddings are in `zero_shot`.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::recipe::Prompts;
use crate::{Error, Result};

/// What a photo that fits no label is called; no label may have this name.
pub const NONE: &str = "none of these";
/// Where the phrases and the templates of a run are kept beside its report, as they are read.
pub const PROMPTS_FILE: &str = "prompts.ron";
pub const TEMPLATES_FILE: &str = "templates.ron";

/// A label and the phrases that describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelPhrases {
    pub label: String,
    /// At least one; `{}` in a phrase stands for the object.
    pub phrases: Vec<String>,
}

/// Labels, phrases and templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelPrompts {
    pub labels: Vec<LabelPhrases>,
    /// Sentences in which `{}` stands for the phrase.
    pub templates: Vec<String>,
    /// What is being looked at; replaces `{}` in phrases.
    pub object: String,
}

impl LabelPrompts {
    /// Every label described by its own name, underscores as spaces, in the templates that a new recipe has.
    pub fn new(labels: &[String]) -> Self {
        let of = |label: &String| LabelPhrases { label: label.clone(), phrases: vec![label.replace('_', " ")] };
        let Prompts { templates, .. } = Prompts::default();
        Self { labels: labels.iter().map(of).collect(), templates, object: String::new() }
    }

    /// Takes the phrases of a RON file, a map of label → phrases. Labels that it does not name keep theirs; where there
    /// are no labels yet, those of the file are taken in its order.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file: not readable as RON, a label that is not among the labels, or without a phrase.
    pub fn read_phrases(&mut self, path: &Path) -> Result<()> {
        let wrong = |message: String| Err(Error::input(message).at(path));
        let file: PhraseFile = read_ron(path, "prompts", "a map such as {\"good\": [\"flawless {}\"]}")?;
        let take_all = self.labels.is_empty();
        let mut seen = HashSet::new();
        for (label, phrases) in file.0 {
            if !seen.insert(label.clone()) {
                return wrong(format!("The label `{label}` stands there twice. Join its phrases."));
            }
            let phrases: Vec<String> = phrases.into_iter().filter(|phrase| !phrase.trim().is_empty()).collect();
            if phrases.is_empty() {
                return wrong(format!("The label `{label}` has no phrase. Give it one, or leave it out."));
            }
            match self.labels.iter_mut().find(|known| known.label == label) {
                Some(known) => known.phrases = phrases,
                None if take_all => self.labels.push(LabelPhrases { label, phrases }),
                None => {
                    let known: Vec<&str> = self.labels.iter().map(|known| known.label.as_str()).collect();
                    return wrong(format!("The label `{label}` is not among --labels ({}).", known.join(", ")));
                }
            }
        }
        Ok(())
    }

    /// Takes the templates of a RON file, a list of sentences.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file that is no such list or empty.
    pub fn read_templates(&mut self, path: &Path) -> Result<()> {
        self.templates = read_ron(path, "templates", "a list such as [\"a photo of a {}.\"]")?;
        self.check().map_err(|error| error.at(path))
    }

    /// The phrases as [`LabelPrompts::read_phrases`] reads them, in the order of the labels.
    ///
    /// # Errors
    /// [`Error::Bug`] when they cannot be written as RON.
    pub fn phrases_ron(&self) -> Result<String> {
        write_ron(&PhraseMap(&self.labels))
    }

    /// The templates as [`LabelPrompts::read_templates`] reads them.
    ///
    /// # Errors
    /// [`Error::Bug`] when they cannot be written as RON.
    pub fn templates_ron(&self) -> Result<String> {
        write_ron(&self.templates)
    }

    /// Whether sentences can be made of them.
    ///
    /// # Errors
    /// [`Error::Input`]: fewer than two labels, one twice or named [`NONE`], a phrase that needs an object where none is
    /// given, no template or one without `{}`.
    pub fn check(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for LabelPhrases { label, phrases } in &self.labels {
            if label.trim().is_empty() || label == NONE {
                return Err(Error::input(format!("`{label}` cannot be a label. Give it another name.")));
            }
            if !seen.insert(label) {
                return Err(Error::input(format!("The label `{label}` is given twice. Leave one out.")));
            }
            if let Some(phrase) = phrases.iter().find(|phrase| phrase.contains("{}"))
                && self.object.trim().is_empty()
            {
                return Err(Error::input(format!(
                    "The phrase `{phrase}` has {{}} for the object, but there is none. Name it with --object."
                )));
            }
        }
        if self.templates.is_empty() {
            return Err(Error::input("There is no template. Give at least one, e.g. `a photo of a {}.`"));
        }
        if let Some(template) = self.templates.iter().find(|template| !template.contains("{}")) {
            return Err(Error::input(format!("The template `{template}` has no {{}} for the phrase. Add it.")));
        }
        if self.labels.len() < 2 {
            return Err(Error::input("Classification needs at least two labels, e.g. --labels good,crack."));
        }
        Ok(())
    }

    /// The labels' names.
    pub fn names(&self) -> Vec<String> {
        self.labels.iter().map(|label| label.label.clone()).collect()
    }

    /// Every sentence: label by label, phrase by phrase, template by template.
    pub fn sentences(&self) -> Vec<String> {
        let phrases = self.labels.iter().flat_map(|label| &label.phrases);
        let sentence =
            |phrase: &String, template: &String| template.replace("{}", &phrase.replace("{}", self.object.trim()));
        phrases.flat_map(|phrase| self.templates.iter().map(move |template| sentence(phrase, template))).collect()
    }
}

/// A RON map that keeps its order and every entry, twice-named ones too.
struct PhraseFile(Vec<(String, Vec<String>)>);

impl<'de> Deserialize<'de> for PhraseFile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = PhraseFile;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of label to phrases")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<PhraseFile, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(PhraseFile(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// The same map, to write.
struct PhraseMap<'a>(&'a [LabelPhrases]);

impl Serialize for PhraseMap<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|of| (&of.label, &of.phrases)))
    }
}

fn write_ron(value: &impl Serialize) -> Result<String> {
    let text = ron::ser::to_string_pretty(value, ron::ser::PrettyConfig::default());
    text.map(|text| text + "\n").map_err(|e| Error::bug(format!("the prompts cannot be written as RON ({e}).")))
}

fn read_ron<T: serde::de::DeserializeOwned>(path: &Path, what: &str, form: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(&format!("Cannot read the {what}"), path, &e))?;
    ron::from_str(&text).map_err(|e| Error::input(format!("The {what} cannot be read ({e}). Write {form}.")).at(path))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn sentences_run_over_phrases_and_templates() {
        let dir = tempfile::tempdir().unwrap();
        let (phrases, templates) = (dir.path().join("p.ron"), dir.path().join("t.ron"));
        std::fs::write(&phrases, r#"{ "crack": ["cracked {}", "{} with a crack"], }"#).unwrap();
        std::fs::write(&templates, r#"["a {}.", "one {}!"]"#).unwrap();
        let mut prompts = LabelPrompts::new(&labels(&["cut_edge", "crack"]));
        prompts.read_phrases(&phrases).unwrap();
        let said = prompts.read_templates(&phrases).unwrap_err().to_string();
        assert!(said.starts_with("The templates cannot be read"), "{said}");
        prompts.read_templates(&templates).unwrap_err();
        prompts.object = "tile".into();
        prompts.read_templates(&templates).unwrap();
        assert_eq!(
            prompts.sentences(),
            [
                "a cut edge.",
                "one cut edge!",
                "a cracked tile.",
                "one cracked tile!",
                "a tile with a crack.",
                "one tile with a crack!"
            ]
        );
        let mut alone = LabelPrompts::new(&[]);
        alone.read_phrases(&phrases).unwrap();
        assert_eq!(alone.names(), ["crack"]);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (phrases, templates) = (dir.path().join(PROMPTS_FILE), dir.path().join(TEMPLATES_FILE));
        let mut prompts = LabelPrompts::new(&labels(&["weld", "crack", "a \"burr\""]));
        prompts.labels[1].phrases = vec!["cracked {}".into(), "ein Riß, quer\\längs".into()];
        prompts.object = "tile".into();
        prompts.templates.push("'{}'".into());
        std::fs::write(&phrases, prompts.phrases_ron().unwrap()).unwrap();
        std::fs::write(&templates, prompts.templates_ron().unwrap()).unwrap();
        let mut read = LabelPrompts { object: "tile".into(), ..LabelPrompts::new(&[]) };
        read.read_phrases(&phrases).unwrap();
        read.read_templates(&templates).unwrap();
        assert_eq!(read, prompts);
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.ron");
        for (text, said) in [
            ("[1, 2", "cannot be read"),
            (r#"{"hole": ["a hole"]}"#, "not among --labels (good, crack)"),
            (r#"{"crack": []}"#, "no phrase"),
            (r#"{"crack": ["a"], "crack": ["b"]}"#, "twice"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = LabelPrompts::new(&labels(&["good", "crack"])).read_phrases(&path).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("p.ron"), "{text}: {error}");
        }
        for names in [&["one"][..], &["a", "a"], &["a", NONE], &["a", " "]] {
            assert!(LabelPrompts::new(&labels(names)).check().is_err(), "{names:?}");
        }
        let mut prompts = LabelPrompts::new(&labels(&["a", "b"]));
        prompts.templates = vec!["no place".into()];
        assert!(prompts.check().unwrap_err().to_string().contains("no {}"));
    }
}
