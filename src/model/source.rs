//! Where a model comes from and what it is called: the embedded default, a folder, or a catalogue entry that was
//! downloaded. Nothing is loaded here.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::config::ClipConfig;
use crate::{Error, Result};

/// Name of the embedded model.
pub const POCKET: &str = "pocket";

/// Where to load a model from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelSource {
    /// The small model compiled into the program.
    Pocket,
    /// A folder in the Hugging Face layout.
    Folder(PathBuf),
}

impl ModelSource {
    /// `pocket`, an existing folder, or a catalogue id whose files were downloaded.
    pub fn resolve(name: &str) -> Result<Self> {
        if name == POCKET {
            return Ok(Self::Pocket);
        }
        let path = Path::new(name);
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let installed = folder_of(name)?;
        if installed.is_dir() {
            return Ok(Self::Folder(installed));
        }
        Err(Error::input(format!(
            "There is no model `{name}`: it is neither `{POCKET}` nor a folder, and it has not been downloaded. `hairline models list` shows \
             what there is; `hairline models pull {name}` downloads one of the catalogue."
        )))
    }

    /// The name in reports: `pocket`, the catalogue id of a downloaded model, or the folder's own name.
    pub fn id(&self) -> String {
        match self {
            Self::Pocket => POCKET.to_owned(),
            Self::Folder(path) => {
                let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
                let name = whole.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                let installed = models_dir().ok().and_then(|dir| dir.canonicalize().ok());
                if whole.parent() == installed.as_deref() && whole.parent().is_some() {
                    name.replacen("--", "/", 1)
                } else {
                    name
                }
            }
        }
    }
}

/// Where downloaded models live: `HAIRLINE_MODELS`, or `hairline/models` in the user's data folder.
pub fn models_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("HAIRLINE_MODELS").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(dir));
    }
    dirs::data_dir().map(|dir| dir.join("hairline").join("models")).ok_or_else(|| {
        Error::input("The user's data folder is unknown on this system. Set HAIRLINE_MODELS to a folder for models.")
    })
}

/// The folder of a downloaded model `org/name`, whether it is there or not.
pub fn folder_of(id: &str) -> Result<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if id.is_empty() || id.split('/').count() > 2 || !id.split('/').all(plain) {
        return Err(Error::input(format!(
            "`{id}` is neither an existing folder nor a model id of the form organisation/name. Check the spelling."
        )));
    }
    Ok(models_dir()?.join(id.replace('/', "--")))
}

/// What is known of a loaded model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    pub id: String,
    /// Over configuration, tokenizer and weights, lower-case hex.
    pub sha256: String,
    /// Width of the joint space of images and texts.
    pub embedding_dim: usize,
    /// Width of the vision tower's hidden states.
    pub width: usize,
    /// Blocks of the vision tower.
    pub layers: usize,
    /// Pixels along a patch.
    pub patch_size: usize,
    /// Side of the input that the model was trained for, in pixels.
    pub image_size: usize,
    pub has_patch_head: bool,
    /// Width of the learned patch embedding, 0 without one.
    pub patch_head_dim: usize,
    /// Tokens of a text at most, begin and end included.
    pub max_tokens: usize,
}

impl ModelInfo {
    pub(super) fn new(id: String, sha256: String, config: &ClipConfig) -> Self {
        let vision = &config.vision_config;
        Self {
            id,
            sha256,
            embedding_dim: config.projection_dim,
            width: vision.hidden_size,
            layers: vision.num_hidden_layers,
            patch_size: vision.patch_size,
            image_size: vision.image_size,
            has_patch_head: vision.patch_head.is_some(),
            patch_head_dim: vision.patch_head.as_ref().map_or(0, |head| head.dim),
            max_tokens: config.text_config.max_position_embeddings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for id in ["", "../x", "a/../b", "a/b/c", "/etc", "a b/c", ".hidden/x"] {
            assert!(folder_of(id).is_err(), "{id}");
        }
        let folder = folder_of("openai/clip-vit-base-patch32").expect("valid id");
        assert!(folder.ends_with("openai--clip-vit-base-patch32"));
    }

    #[test]
    fn an_unknown_model_says_how_to_get_it() {
        let message = ModelSource::resolve("openai/no-such-model").expect_err("not there").to_string();
        assert!(message.contains("models pull openai/no-such-model"), "{message}");
        assert_eq!(ModelSource::resolve("pocket").expect("embedded"), ModelSource::Pocket);
    }
}
