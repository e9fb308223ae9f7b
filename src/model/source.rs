//! Where a model comes from and what it is called: the embedded default, a folder, a lone weight file, or a catalogue
//! entry that was downloaded. Nothing is loaded here.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use super::config::ClipConfig;
use super::vision_transformer::VitConfig;
use crate::{Error, Result};

/// Name of the embedded model.
pub const POCKET: &str = "pocket";
/// Name of the embedded model that segments.
pub const POCKET_SEG: &str = "pocket-seg";

/// Where to load a model from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelSource {
    /// The small model compiled into the program.
    Pocket,
    /// The towers of [`ModelSource::Pocket`] with a CLIPSeg decoder, compiled into the program.
    PocketSeg,
    /// A folder in the Hugging Face layout.
    Folder(PathBuf),
    /// One safetensors file of a plain ViT under timm's names, without a configuration.
    File(PathBuf),
}

impl ModelSource {
    /// When the weights were last written; `None` for those compiled into the program, and where nobody knows.
    pub fn modified(&self) -> Option<SystemTime> {
        let weights = match self {
            Self::Pocket | Self::PocketSeg => return None,
            Self::Folder(folder) => folder.join("model.safetensors"),
            Self::File(file) => file.clone(),
        };
        std::fs::metadata(weights).ok()?.modified().ok()
    }

    /// `pocket`, `pocket-seg`, an existing folder or safetensors file, or a catalogue id whose files were downloaded.
    pub fn resolve(name: &str) -> Result<Self> {
        if name == POCKET {
            return Ok(Self::Pocket);
        }
        if name == POCKET_SEG {
            return Ok(Self::PocketSeg);
        }
        let path = Path::new(name);
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if path.is_file() {
            if path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("safetensors")) {
                return Ok(Self::File(path.to_owned()));
            }
            return Err(Error::input(
                "A model is a folder in the Hugging Face layout, or a safetensors file; this file is neither. Choose the folder that holds it.",
            )
            .at(path));
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

    /// The name in reports: `pocket`, the catalogue id of a downloaded model, or the folder's or file's own name.
    pub fn id(&self) -> String {
        match self {
            Self::Pocket => POCKET.to_owned(),
            Self::PocketSeg => POCKET_SEG.to_owned(),
            Self::File(path) => path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
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

/// What kind of network a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// An image and a text tower into one space: transformers' CLIP, open_clip, `pocket`.
    Clip,
    /// DINOv2 in transformers' layout, with registers or without.
    Dinov2,
    /// A plain ViT in timm's layout.
    Vit,
}

/// What is known of a loaded model.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ModelInfo {
    pub id: String,
    pub kind: ModelKind,
    /// Over configuration, tokenizer and weights, lower-case hex.
    pub sha256: String,
    /// Whether texts can be encoded too.
    pub has_text: bool,
    /// Width of an image's embedding; with a text tower, of the joint space.
    pub embedding_dim: usize,
    /// Width of the vision tower's hidden states.
    pub width: usize,
    /// Blocks of the vision tower.
    pub layers: usize,
    /// Pixels along a patch.
    pub patch_size: usize,
    /// Side of the input that the model was trained for, in pixels.
    pub image_size: usize,
    /// Shorter side of the input that detectors use unless told otherwise, in pixels.
    pub short_side: usize,
    pub has_patch_head: bool,
    /// Width of the learned patch embedding, 0 without one.
    pub patch_head_dim: usize,
    /// Tokens of a text at most, begin and end included; 0 without a text tower.
    pub max_tokens: usize,
}

impl ModelInfo {
    pub(super) fn of_clip(id: String, sha256: String, config: &ClipConfig) -> Self {
        let vision = &config.vision_config;
        Self {
            id,
            kind: ModelKind::Clip,
            sha256,
            has_text: true,
            embedding_dim: config.projection_dim,
            width: vision.hidden_size,
            layers: vision.num_hidden_layers,
            patch_size: vision.patch_size,
            image_size: vision.image_size,
            short_side: vision.image_size,
            has_patch_head: vision.patch_head.is_some(),
            patch_head_dim: vision.patch_head.as_ref().map_or(0, |head| head.dim),
            max_tokens: config.text_config.max_position_embeddings,
        }
    }

    pub(super) fn of_vit(id: String, sha256: String, config: &VitConfig) -> Self {
        Self {
            id,
            kind: config.kind,
            sha256,
            has_text: false,
            embedding_dim: config.width,
            width: config.width,
            layers: config.layers,
            patch_size: config.patch_size,
            image_size: config.image_size,
            short_side: config.short_side,
            has_patch_head: false,
            patch_head_dim: 0,
            max_tokens: 0,
        }
    }
}

/// The refusal of a model that gives no features of its own.
pub(super) fn segments_only(id: &str) -> Error {
    Error::input(format!(
        "`{id}` segments by words and nothing else. Use it with `hairline segment`, or choose `{POCKET}` here."
    ))
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
