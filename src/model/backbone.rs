//! Any vision network that turns a photo into an embedding and patch tokens: CLIP, `pocket`, DINOv2, timm's ViT. Which
//! kind a folder holds is found here; each kind is loaded and run elsewhere. Those with a text tower give it out through
//! [`Backbone::as_clip`].

use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;

use super::clip_model::ClipModel;
use super::dinov2;
use super::features::{VisionFeatures, Want};
use super::preprocess::{Geometry, PreparedImage};
use super::source::{ModelInfo, ModelKind, ModelSource};
use super::vit_model::VitModel;
use crate::gpu::linear::Precision;
use crate::photo::Photo;
use crate::{Error, Result};

/// A vision network ready for use on one device.
#[derive(Debug)]
pub enum Backbone {
    /// With a text tower.
    Clip(Box<ClipModel>),
    /// Vision alone.
    Vit(Box<VitModel>),
}

impl Backbone {
    /// Loads configuration and weights, and the tokenizer where there is a text tower. Takes seconds for a large model.
    ///
    /// # Errors
    /// [`Error::Model`] for a folder of an unknown kind, for missing, extra or misshapen tensors, and for values that are
    /// not finite; [`Error::Io`] for files that cannot be read.
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self> {
        let clip = || ClipModel::load(source, device).map(|model| Self::Clip(Box::new(model)));
        let vit = |model: VitModel| Self::Vit(Box::new(model));
        let id = source.id();
        match source {
            ModelSource::Pocket | ModelSource::PocketSeg => clip(),
            ModelSource::File(path) => VitModel::load_file(id, path, device).map(vit),
            ModelSource::Folder(folder) => match kind_of(folder)? {
                Kind::Known(ModelKind::Clip) => clip(),
                Kind::Known(ModelKind::Dinov2) => VitModel::load_dinov2(id, folder, device).map(vit),
                Kind::Known(ModelKind::Vit) => VitModel::load_timm(id, folder, device).map(vit),
                Kind::Unconfigured => VitModel::load_file(id, &folder.join(WEIGHTS), device).map(vit),
            },
        }
    }

    /// The same network with its blocks' linear layers in `precision`.
    ///
    /// # Errors
    /// [`Error::Device`] where the processor cannot do it.
    pub fn in_precision(self, precision: Precision) -> Result<Self> {
        Ok(match self {
            Self::Clip(model) => Self::Clip(Box::new(model.in_precision(precision)?)),
            Self::Vit(model) => Self::Vit(Box::new(model.in_precision(precision)?)),
        })
    }

    /// Name, fingerprint and sizes.
    pub fn info(&self) -> &ModelInfo {
        match self {
            Self::Clip(model) => model.info(),
            Self::Vit(model) => model.info(),
        }
    }

    /// Where the network lives.
    pub fn device(&self) -> &Device {
        match self {
            Self::Clip(model) => model.device(),
            Self::Vit(model) => model.device(),
        }
    }

    /// Blocks, counted from 1, that detectors read unless told otherwise.
    pub fn default_layers(&self) -> Vec<usize> {
        match self {
            Self::Clip(model) => model.default_layers(),
            Self::Vit(model) => model.default_layers(),
        }
    }

    /// Pixels of one photo for [`Backbone::encode_images`]. Needs no device, so it may run on another thread.
    ///
    /// # Errors
    /// [`Error::Input`] with the photo's path for a photo that the preprocessing cannot take.
    pub fn prepare(&self, photo: &Photo, geometry: Geometry) -> Result<PreparedImage> {
        match self {
            Self::Clip(model) => model.prepare(photo, geometry),
            Self::Vit(model) => model.prepare(photo, geometry),
        }
    }

    /// Features of each image, in order. Images of one size go through the network together.
    ///
    /// # Errors
    /// [`Error::Input`] for layers or a patch head that the model does not have; [`Error::Model`] for results that are
    /// not finite, with the photo's path; [`Error::Device`] when results cannot be read.
    pub fn encode_images(&self, images: &[PreparedImage], want: &Want) -> Result<Vec<VisionFeatures>> {
        match self {
            Self::Clip(model) => model.encode_images(images, want),
            Self::Vit(model) => model.encode_images(images, want),
        }
    }

    /// The model with its text tower, if it has one.
    pub fn as_clip(&self) -> Option<&ClipModel> {
        match self {
            Self::Clip(model) => Some(model),
            Self::Vit(_) => None,
        }
    }

    /// The model with its text tower, where texts are needed.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that sees photos only.
    pub fn text_tower(&self) -> Result<&ClipModel> {
        self.as_clip().ok_or_else(|| {
            Error::input(format!(
                "{} sees photos only: it has no text tower. Choose a CLIP model, e.g. `pocket`, where words are needed.",
                self.info().id
            ))
        })
    }
}

const WEIGHTS: &str = "model.safetensors";

/// What a folder holds.
enum Kind {
    Known(ModelKind),
    /// Weights without any configuration.
    Unconfigured,
}

/// By `model_type` or timm's `architecture` of `config.json`; CLIP's loader explains a folder that has nothing.
fn kind_of(folder: &Path) -> Result<Kind> {
    #[derive(Deserialize)]
    struct File {
        model_type: Option<String>,
        architecture: Option<String>,
    }
    let path = folder.join("config.json");
    if !path.is_file() {
        let lone = folder.join(WEIGHTS).is_file() && !folder.join("open_clip_config.json").is_file();
        return Ok(if lone { Kind::Unconfigured } else { Kind::Known(ModelKind::Clip) });
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::io("Cannot read the model's config.json", &path, &error))?;
    let file: File = serde_json::from_str(&text).map_err(|error| {
        Error::model(format!("config.json cannot be read: {error}. Download the model again, or correct the file."))
            .at(&path)
    })?;
    match (file.model_type.as_deref(), &file.architecture) {
        (Some("clip"), _) | (None, None) => Ok(Kind::Known(ModelKind::Clip)),
        (Some(dinov2::PLAIN | dinov2::WITH_REGISTERS), _) => Ok(Kind::Known(ModelKind::Dinov2)),
        (None, Some(_)) => Ok(Kind::Known(ModelKind::Vit)),
        (Some(other), _) => Err(Error::model(format!(
            "config.json describes a model of type `{other}`; this program reads `clip`, `{}`, `{}` and timm's plain ViTs. Choose another folder.",
            dinov2::PLAIN, dinov2::WITH_REGISTERS
        ))
        .at(&path)),
    }
}
