//! A loaded vision network without a text tower (DINOv2, timm's ViT) with everything around it: photos in, plain arrays
//! out. What it is called in files, the configuration says; CLIP models are `clip_model`'s.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::features::{VisionFeatures, Want};
use super::fingerprint::{fingerprint, fingerprint_of_folder};
use super::names::Naming;
use super::passes::{self, PassOutput};
use super::preprocess::{Geometry, PreparedImage, Preprocessor};
use super::source::{ModelInfo, ModelKind};
use super::vision_transformer::{VisionTransformer, VitConfig};
use super::weights::WeightFiles;
use super::{dinov2, timm};
use crate::gpu::linear::{Precision, with_precision};
use crate::photo::Photo;
use crate::{Error, Result};

/// A plain vision transformer ready for use on one device.
#[derive(Debug)]
pub struct VitModel {
    info: ModelInfo,
    config: VitConfig,
    preprocessor: Preprocessor,
    network: VisionTransformer,
    device: Device,
}

impl VitModel {
    /// Loads a DINOv2 folder in transformers' layout.
    pub fn load_dinov2(id: String, folder: &Path, device: &Device) -> Result<Self> {
        let config = with_config(folder, dinov2::parse)?;
        let preprocessor = Preprocessor::open(folder, Preprocessor::dinov2())?;
        let files = WeightFiles::open(folder)?.named(dinov2::naming(&config));
        let sha256 = fingerprint_of_folder(folder, &files)?;
        Self::assemble(id, sha256, config, preprocessor, &files, device).map_err(|error| error.at(folder))
    }

    /// Loads a folder in timm's layout, `config.json` and `model.safetensors`.
    pub fn load_timm(id: String, folder: &Path, device: &Device) -> Result<Self> {
        let files = WeightFiles::open(folder)?.named(Naming::Timm);
        let shapes = files.shapes()?;
        let (config, preprocessor) = with_config(folder, |json| timm::parse(json, &shapes))?;
        let sha256 = fingerprint_of_folder(folder, &files)?;
        Self::assemble(id, sha256, config, preprocessor, &files, device).map_err(|error| error.at(folder))
    }

    /// Loads a weight file under timm's names that has no configuration.
    pub fn load_file(id: String, path: &Path, device: &Device) -> Result<Self> {
        let files = WeightFiles::single(path, Naming::Timm)?;
        let (config, preprocessor) = timm::infer(&files.shapes()?).map_err(|error| error.at(path))?;
        let sha256 = fingerprint(&[], &files);
        Self::assemble(id, sha256, config, preprocessor, &files, device).map_err(|error| error.at(path))
    }

    fn assemble(
        id: String,
        sha256: String,
        config: VitConfig,
        preprocessor: Preprocessor,
        files: &WeightFiles,
        device: &Device,
    ) -> Result<Self> {
        let network = files.load_into(VisionTransformer::new(&config, device), device)?;
        let info = ModelInfo::of_vit(id, sha256, &config);
        Ok(Self { info, config, preprocessor, network, device: device.clone() })
    }

    /// Name, fingerprint and sizes.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The same model with its blocks' linear layers in `precision`.
    ///
    /// # Errors
    /// As [`with_precision`].
    pub fn in_precision(self, precision: Precision) -> Result<Self> {
        Ok(Self { network: with_precision(self.network, precision)?, ..self })
    }

    /// Where the network lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The configuration as read.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The network itself, for methods that look inside.
    pub fn network(&self) -> &VisionTransformer {
        &self.network
    }

    /// Blocks, counted from 1, that detectors read unless told otherwise: the last of DINOv2 (AnomalyDINO), the three in
    /// the middle of a ViT trained to classify, whose later blocks give up the place for the class.
    pub fn default_layers(&self) -> Vec<usize> {
        let last = self.config.layers;
        match self.config.kind {
            ModelKind::Vit => ((last / 2).saturating_sub(1).max(1)..=(last / 2 + 1).min(last)).collect(),
            _ => vec![last],
        }
    }

    /// Pixels of one photo for [`VitModel::encode_images`]. Needs no device, so it may run on another thread.
    pub fn prepare(&self, photo: &Photo, geometry: Geometry) -> Result<PreparedImage> {
        let patch = self.config.patch_size as u32;
        self.preprocessor.prepare(photo, geometry, patch).map_err(|error| error.at(&photo.path))
    }

    /// Features of each image, in order. Images of one size go through the network together. Projected patches are the
    /// layer's through the last layer norm.
    pub fn encode_images(&self, images: &[PreparedImage], want: &Want) -> Result<Vec<VisionFeatures>> {
        passes::encode_images(&self.info, &self.device, images, want, |pixels| {
            let output = self.network.forward(pixels, &want.layers);
            let normed = |hidden: &Tensor<3>| want.project.then(|| self.network.normed(hidden.clone()));
            PassOutput {
                grid: output.grid,
                embedding: output.embedding,
                layers: output.layers.into_iter().map(|hidden| (normed(&hidden), hidden)).collect(),
                patch_head: None,
                windows: Vec::new(),
            }
        })
    }
}

/// The folder's `config.json` through `parse`.
fn with_config<T>(folder: &Path, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::io("Cannot read the model's config.json", &path, &error))?;
    parse(&text).map_err(|error| error.at(&path))
}
