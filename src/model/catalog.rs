//! Published models that can be downloaded by name, and which of them are installed. The list is `models/catalog.ron`;
//! downloading is `hub`'s business, loading `clip_model`'s.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::source::{POCKET, POCKET_SEG, models_dir};
use crate::{Error, Result};

/// One published model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Organisation and name on the hub.
    pub id: String,
    /// One line for a person who chooses.
    pub summary: String,
    pub licence: String,
    /// Size of the weights, about.
    pub megabytes: u64,
    pub files: Vec<CatalogFile>,
}

/// One file of a published model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFile {
    pub name: String,
    /// Branches or commits to try in order.
    #[serde(default = "main_branch")]
    pub revisions: Vec<String>,
    /// Lower-case hex, where it is known beforehand.
    #[serde(default)]
    pub sha256: Option<String>,
}

fn main_branch() -> Vec<String> {
    vec!["main".to_owned()]
}

impl CatalogEntry {
    /// An entry for a model that is not in the catalogue but lies on the hub in the same layout.
    pub fn unlisted(id: &str) -> Self {
        let file = |name: &str| CatalogFile { name: name.to_owned(), revisions: main_branch(), sha256: None };
        Self {
            id: id.to_owned(),
            summary: "not in the catalogue".to_owned(),
            licence: "unknown; see the model's page on the hub".to_owned(),
            megabytes: 0,
            files: ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"]
                .map(file)
                .to_vec(),
        }
    }
}

/// The whole catalogue, in the order of the file.
pub fn catalog() -> Result<Vec<CatalogEntry>> {
    ron::from_str(include_str!("../../models/catalog.ron"))
        .map_err(|error| Error::bug(format!("models/catalog.ron cannot be read: {error}.")))
}

/// The entry of this id.
pub fn find(id: &str) -> Result<Option<CatalogEntry>> {
    Ok(catalog()?.into_iter().find(|entry| entry.id == id))
}

/// A downloaded model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    pub id: String,
    pub folder: PathBuf,
}

/// A model as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Listed {
    pub id: String,
    /// Ready for use.
    pub installed: bool,
    /// Size of the weights, about; 0 where it is not known or nothing has to be downloaded.
    pub megabytes: u64,
    pub licence: String,
    /// One line for a person who chooses.
    pub summary: String,
}

/// The embedded models, the catalogue, and what else is installed.
pub fn listed() -> Result<Vec<Listed>> {
    let installed = installed()?;
    let embedded = |id: &str, summary: &str| Listed {
        id: id.to_owned(),
        installed: true,
        megabytes: 0,
        licence: "as this program".to_owned(),
        summary: summary.to_owned(),
    };
    let mut rows = vec![
        embedded(POCKET, "embedded: trained on procedural parts only"),
        embedded(POCKET_SEG, "embedded: marks what looks damaged; trained on procedural parts only"),
    ];
    let entries = catalog()?;
    let known: Vec<String> = entries.iter().map(|entry| entry.id.clone()).collect();
    rows.extend(entries.into_iter().map(|entry| Listed {
        installed: installed.iter().any(|model| model.id == entry.id),
        id: entry.id,
        megabytes: entry.megabytes,
        licence: entry.licence,
        summary: entry.summary,
    }));
    rows.extend(installed.into_iter().filter(|model| !known.contains(&model.id)).map(|model| Listed {
        id: model.id,
        installed: true,
        megabytes: 0,
        licence: "see the model's own page".to_owned(),
        summary: "not in the catalogue".to_owned(),
    }));
    Ok(rows)
}

/// Downloaded models by id, sorted. A download that is not finished is not among them.
pub fn installed() -> Result<Vec<Installed>> {
    installed_in(&models_dir()?)
}

fn installed_in(dir: &Path) -> Result<Vec<Installed>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("Cannot look into the folder of models", dir, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::io("Cannot look into the folder of models", dir, &error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let configured = ["config.json", "open_clip_config.json"].iter().any(|file| path.join(file).is_file());
        if configured && !name.starts_with('.') {
            found.push(Installed { id: name.replacen("--", "/", 1), folder: path });
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::folder_of;

    #[test]
    fn every_entry_has_a_usable_id_configuration_and_weights() {
        let entries = catalog().expect("valid RON");
        assert!(entries.len() >= 5);
        for entry in &entries {
            assert!(folder_of(&entry.id).is_ok(), "{}", entry.id);
            let has = |end: &str| entry.files.iter().any(|file| file.name.ends_with(end));
            assert!(has("config.json") && has(".safetensors"), "{}", entry.id);
            let tokenizer = has("tokenizer.json") || has("vocab.json") && has("merges.txt");
            assert!(tokenizer || !entry.id.contains("clip"), "{}", entry.id);
            for file in &entry.files {
                assert!(!file.revisions.is_empty() && !file.name.contains(['/', '\\']), "{}", entry.id);
                assert!(file.sha256.as_ref().is_none_or(|sum| sum.len() == 64), "{}", entry.id);
            }
        }
        assert!(find("openai/clip-vit-base-patch16").expect("valid").is_some());
    }

    #[test]
    fn installed_models_are_found_and_unfinished_ones_are_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["openai--clip-a-b", "a--b", ".openai--half.download", "empty"] {
            std::fs::create_dir(dir.path().join(name)).expect("creates");
            if name != "empty" {
                std::fs::write(dir.path().join(name).join("config.json"), "{}").expect("writes");
            }
        }
        let ids: Vec<_> = installed_in(dir.path()).expect("lists").into_iter().map(|model| model.id).collect();
        assert_eq!(ids, ["a/b", "openai/clip-a-b"]);
        assert!(installed_in(&dir.path().join("nowhere")).expect("none yet").is_empty());
    }
}
