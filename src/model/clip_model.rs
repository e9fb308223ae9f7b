//! A loaded CLIP with everything around it: photos and sentences in, plain arrays out. The one type that the rest of the
//! program uses of this module; which network, which names in files and which device stay behind it.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::clip::Clip;
use super::config::ClipConfig;
use super::features::{LayerFeatures, VisionFeatures, Want};
use super::open_clip;
use super::pocket;
use super::preprocess::{Geometry, PreparedImage, Preprocessor};
use super::source::{ModelInfo, ModelSource};
use super::tokenizer::Tokenizer;
use super::weights::WeightFiles;
use crate::photo::Photo;
use crate::{Error, Result};

/// Patches in one pass of the vision tower at most; more photos go in several passes. Bounds the memory of activations.
const PATCHES_PER_PASS: usize = 8192;
/// Texts in one pass of the text tower at most.
const TEXTS_PER_PASS: usize = 64;

/// A CLIP model ready for use on one device.
#[derive(Debug)]
pub struct ClipModel {
    info: ModelInfo,
    config: ClipConfig,
    preprocessor: Preprocessor,
    tokenizer: Tokenizer,
    network: Clip,
    device: Device,
}

impl ClipModel {
    /// Loads configuration, tokenizer and weights. Takes seconds for a large model.
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self> {
        match source {
            ModelSource::Pocket => {
                let config = ClipConfig::parse(pocket::CONFIG)?;
                let preprocessor = Preprocessor::parse(pocket::PREPROCESSOR, config.vision_config.image_size as u32)?;
                let tokenizer = Tokenizer::from_json(pocket::TOKENIZER, &config.text_config)?;
                let files = WeightFiles::embedded(pocket::WEIGHTS_NAME, pocket::WEIGHTS);
                let described = [
                    ("config.json", pocket::CONFIG.as_bytes()),
                    ("preprocessor_config.json", pocket::PREPROCESSOR.as_bytes()),
                    ("tokenizer.json", pocket::TOKENIZER),
                ];
                let sha256 = fingerprint(&described, &files);
                Self::assemble(source.id(), sha256, config, preprocessor, tokenizer, &files, device)
            }
            ModelSource::Folder(folder) => Self::load_folder(source.id(), folder, device),
        }
    }

    fn load_folder(id: String, folder: &Path, device: &Device) -> Result<Self> {
        let (config_path, open_clip_path) = (folder.join("config.json"), folder.join("open_clip_config.json"));
        let (config, preprocessor) = if config_path.is_file() {
            let config = ClipConfig::read(&config_path)?;
            let preprocessor = Preprocessor::open(folder, config.vision_config.image_size as u32)?;
            (config, preprocessor)
        } else if open_clip_path.is_file() {
            open_clip::read(&open_clip_path)?
        } else {
            let what = if folder.is_dir() {
                "The folder has no config.json, so it is no model."
            } else {
                "There is no such model folder."
            };
            return Err(Error::model(format!("{what} Choose a folder in the Hugging Face layout.")).at(folder));
        };
        let tokenizer = Tokenizer::open(folder, &config.text_config)?;
        let files = WeightFiles::open(folder)?;
        let mut described = Vec::new();
        for name in [
            "config.json",
            "open_clip_config.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "vocab.json",
            "merges.txt",
        ] {
            let path = folder.join(name);
            if path.is_file() {
                described.push((
                    name,
                    std::fs::read(&path)
                        .map_err(|error| Error::io("Cannot read a file of the model", &path, &error))?,
                ));
            }
        }
        let described: Vec<_> = described.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let sha256 = fingerprint(&described, &files);
        Self::assemble(id, sha256, config, preprocessor, tokenizer, &files, device).map_err(|error| error.at(folder))
    }

    fn assemble(
        id: String,
        sha256: String,
        config: ClipConfig,
        preprocessor: Preprocessor,
        tokenizer: Tokenizer,
        files: &WeightFiles,
        device: &Device,
    ) -> Result<Self> {
        let network = files.load_into(Clip::new(&config, device), device)?;
        let info = ModelInfo::new(id, sha256, &config);
        Ok(Self { info, config, preprocessor, tokenizer, network, device: device.clone() })
    }

    /// Name, fingerprint and sizes.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Where the network lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The configuration as read.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The network itself, for training and for methods that look inside.
    pub fn network(&self) -> &Clip {
        &self.network
    }

    /// The tokenizer, for training.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Blocks, counted from 1, that detectors read unless told otherwise: 9, 10, 11 of twelve, else the last three.
    pub fn default_layers(&self) -> Vec<usize> {
        self.config.vision_config.default_layers()
    }

    /// Pixels of one photo for [`ClipModel::encode_images`]. Needs no device, so it may run on another thread.
    pub fn prepare(&self, photo: &Photo, geometry: Geometry) -> Result<PreparedImage> {
        self.preprocessor
            .prepare(photo, geometry, self.config.vision_config.patch_size as u32)
            .map_err(|error| error.at(&photo.path))
    }

    /// Features of each image, in order. Images of one size go through the network together.
    pub fn encode_images(&self, images: &[PreparedImage], want: &Want) -> Result<Vec<VisionFeatures>> {
        if let Some(&layer) = want.layers.iter().find(|&&layer| layer == 0 || layer > self.info.layers) {
            return Err(Error::input(format!(
                "Layer {layer} was asked for, but the layers of {} are numbered 1 to {}.",
                self.info.id, self.info.layers
            )));
        }
        if want.patch_head && !self.info.has_patch_head {
            return Err(Error::input(format!(
                "{} has no learned patch embedding. Choose hidden states as memory features.",
                self.info.id
            )));
        }
        let patch = self.config.vision_config.patch_size as u32;
        let mut results: Vec<Option<VisionFeatures>> = vec![None; images.len()];
        let mut waiting: Vec<usize> = (0..images.len()).collect();
        while let Some(&first) = waiting.first() {
            let (height, width) = (images[first].height, images[first].width);
            let per_pass = (PATCHES_PER_PASS / ((height / patch) * (width / patch)).max(1) as usize).max(1);
            let batch: Vec<usize> = waiting
                .iter()
                .copied()
                .filter(|&i| (images[i].height, images[i].width) == (height, width))
                .take(per_pass)
                .collect();
            waiting.retain(|index| !batch.contains(index));
            let photos: Vec<_> = batch.iter().map(|&index| &images[index]).collect();
            for (index, features) in batch.iter().zip(self.encode_same_size(&photos, want)?) {
                results[*index] = Some(features);
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    fn encode_same_size(&self, images: &[&PreparedImage], want: &Want) -> Result<Vec<VisionFeatures>> {
        let (count, height, width) = (images.len(), images[0].height as usize, images[0].width as usize);
        let mut pixels = Vec::with_capacity(count * 3 * height * width);
        for image in images {
            pixels.extend_from_slice(&image.pixels);
        }
        let pixels = Tensor::from_data(TensorData::new(pixels, [count, 3, height, width]), &self.device);
        let vision = &self.network.vision;
        let output = vision.forward(pixels, &want.layers, want.patch_head);
        let (rows, cols) = output.grid;
        let embeddings = self.split(output.embedding, images)?;
        let heads = output.patch_embedding.map(|head| self.split(head, images)).transpose()?;
        let mut layers = Vec::new();
        for (&layer, hidden) in want.layers.iter().zip(output.layers) {
            let projected =
                if want.project { Some(self.split(vision.project_patches(hidden.clone()), images)?) } else { None };
            layers.push((layer, self.split(hidden, images)?, projected));
        }
        let features = embeddings.into_iter().enumerate().map(|(index, embedding)| VisionFeatures {
            rows,
            cols,
            embedding,
            layers: layers
                .iter_mut()
                .map(|(layer, hidden, projected)| LayerFeatures {
                    layer: *layer,
                    hidden: std::mem::take(&mut hidden[index]),
                    projected: projected.as_mut().map(|projected| std::mem::take(&mut projected[index])),
                })
                .collect(),
            patch_head: heads.as_ref().map(|heads| heads[index].clone()),
            width: self.info.width,
            dim: self.info.embedding_dim,
        });
        Ok(features.collect())
    }

    /// A result `[images, …]` as one array per image, checked for values that are not numbers.
    fn split<const D: usize>(&self, tensor: Tensor<D>, images: &[&PreparedImage]) -> Result<Vec<Vec<f32>>> {
        let values = self.read(tensor)?;
        let each = values.len() / images.len();
        let parts: Vec<Vec<f32>> =
            if images.len() == 1 { vec![values] } else { values.chunks_exact(each).map(<[f32]>::to_vec).collect() };
        for (part, image) in parts.iter().zip(images) {
            if !part.iter().all(|value| value.is_finite()) {
                return Err(Error::Model {
                    message: format!(
                        "{} gave values that are not finite for this photo. Try another model, or the CPU (--device cpu).",
                        self.info.id
                    ),
                    path: Some(image.path.clone()),
                });
            }
        }
        Ok(parts)
    }

    fn read<const D: usize>(&self, tensor: Tensor<D>) -> Result<Vec<f32>> {
        tensor
            .into_data()
            .try_into_vec::<f32>()
            .map_err(|error| Error::device(format!("Results of {} cannot be read: {error:?}.", self.info.id)))
    }

    /// Embeddings of texts, `[dim]` each, not normalised.
    pub fn encode_texts(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        // Texts of like length go together, because a batch is as long as its longest text.
        let mut order = texts.iter().map(|text| Ok(self.tokenizer.ids(text)?.len())).collect::<Result<Vec<_>>>()?;
        let lengths = std::mem::take(&mut order);
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| lengths[index]);
        let mut results: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
        for group in order.chunks(TEXTS_PER_PASS) {
            let chosen: Vec<String> = group.iter().map(|&index| texts[index].clone()).collect();
            let batch = self.tokenizer.batch(&chosen)?;
            let ids =
                Tensor::<2, Int>::from_data(TensorData::new(batch.ids, [group.len(), batch.length]), &self.device);
            let values = self.read(self.network.text.forward(ids, &batch.ends))?;
            for (index, embedding) in group.iter().zip(values.chunks_exact(self.info.embedding_dim)) {
                if !embedding.iter().all(|value| value.is_finite()) {
                    return Err(Error::model(format!(
                        "{} gave values that are not finite for the text `{}`. Try another model, or the CPU (--device cpu).",
                        self.info.id, texts[*index]
                    )));
                }
                results[*index] = embedding.to_vec();
            }
        }
        Ok(results)
    }

    /// Token ids of one text with begin and end token, cut to the tower's length, not padded.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }
}

/// SHA-256 over names, lengths and contents of a model's files, in hex.
fn fingerprint(described: &[(&str, &[u8])], weights: &WeightFiles) -> String {
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
