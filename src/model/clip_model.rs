//! A loaded CLIP with everything around it: photos and sentences in, plain arrays out. Which network, which names in
//! files and which device stay behind it; networks without a text tower are `vit_model`'s.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::clip::{Clip, TextTower};
use super::config::ClipConfig;
use super::features::{VisionFeatures, Want};
use super::fingerprint::{fingerprint, fingerprint_of_folder};
use super::open_clip;
use super::passes::{self, PassOutput};
use super::pocket;
use super::preprocess::{Geometry, PreparedImage, Preprocessor};
use super::source::{ModelInfo, ModelSource, segments_only};
use super::tokenizer::Tokenizer;
use super::weights::{self, WeightFiles};
use crate::gpu::linear::{Precision, with_precision};
use crate::photo::Photo;
use crate::{Error, Result, report};

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
            ModelSource::PocketSeg => Err(segments_only(&source.id())),
            ModelSource::Folder(folder) => Self::load_folder(source.id(), folder, device),
            ModelSource::File(path) => Err(Error::model(
                "A lone weight file is read as a plain ViT, which has no text tower. Choose the folder of a CLIP model.",
            )
            .at(path)),
        }
    }

    fn load_folder(id: String, folder: &Path, device: &Device) -> Result<Self> {
        let (config_path, open_clip_path) = (folder.join("config.json"), folder.join("open_clip_config.json"));
        let (config, preprocessor) = if config_path.is_file() {
            let config = ClipConfig::read(&config_path)?;
            let published = Preprocessor::published(config.vision_config.image_size as u32);
            let preprocessor = Preprocessor::open(folder, published)?;
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
        let sha256 = fingerprint_of_folder(folder, &files)?;
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
        let info = ModelInfo::of_clip(id, sha256, &config);
        Ok(Self { info, config, preprocessor, tokenizer, network, device: device.clone() })
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
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The network itself, for training and for methods that look inside.
    pub fn network(&self) -> &Clip {
        &self.network
    }

    /// How photos become the network's input, for training.
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// The tokenizer, for training.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The temperature that cosines of photos and texts were divided by in training: 1 / e^logit_scale.
    ///
    /// # Errors
    /// [`Error::Device`] when the device does not give it; [`Error::Model`] for a scale that is not finite.
    pub fn temperature(&self) -> Result<f32> {
        let scale = passes::read(&self.info, self.network.logit_scale.val())?;
        scale.first().map(|scale| (-scale).exp()).filter(|t| t.is_finite() && *t > 0.0).ok_or_else(|| {
            Error::model(format!("{} has a logit scale that cannot be used. Give a temperature.", self.info.id))
        })
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
        passes::encode_images(&self.info, &self.device, images, want, |pixels| {
            let vision = &self.network.vision;
            let output = vision.forward(pixels.clone(), &want.layers, want.patch_head);
            let projected = |hidden: &Tensor<3>| want.project.then(|| vision.project_patches(hidden.clone()));
            PassOutput {
                grid: output.grid,
                embedding: output.embedding,
                layers: output.layers.into_iter().map(|hidden| (projected(&hidden), hidden)).collect(),
                patch_head: output.patch_embedding,
                windows: want.windows.iter().map(|side| vision.windows(pixels.clone(), *side)).collect(),
            }
        })
    }

    /// Embeddings of texts, `[dim]` each, not normalised.
    pub fn encode_texts(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        encode_texts(&self.network.text, &self.tokenizer, &self.info, &self.device, texts)
    }

    /// Writes the model with other weights for its network as a folder in the Hugging Face layout, weights as f32.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save_with(&self, network: &Clip, folder: &Path) -> Result<()> {
        report::create_folder(folder)?;
        report::write_json(&folder.join("config.json"), &self.config.published())?;
        let mut preprocessor = self.preprocessor.to_json();
        preprocessor["image_processor_type"] = serde_json::json!("CLIPImageProcessor");
        report::write_json(&folder.join("preprocessor_config.json"), &preprocessor)?;
        let tokenizer = self.tokenizer.to_json()?;
        report::write_file(&folder.join("tokenizer.json"), |out| out.write_all(tokenizer.as_bytes()))?;
        // Without it transformers takes the file for one of another kind.
        let described = serde_json::json!({
            "tokenizer_class": "CLIPTokenizerFast", "model_max_length": self.config.text_config.max_position_embeddings,
        });
        report::write_json(&folder.join("tokenizer_config.json"), &described)?;
        weights::save(network, &folder.join("model.safetensors"), weights::Precision::F32)
    }

    /// Token ids of one text with begin and end token, cut to the tower's length, not padded.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }
}

/// Embeddings of texts by a text tower, `[dim]` each, not normalised.
pub(super) fn encode_texts(
    tower: &TextTower,
    tokenizer: &Tokenizer,
    info: &ModelInfo,
    device: &Device,
    texts: &[String],
) -> Result<Vec<Vec<f32>>> {
    // Texts of like length go together, because a batch is as long as its longest text.
    let mut order = texts.iter().map(|text| Ok(tokenizer.ids(text)?.len())).collect::<Result<Vec<_>>>()?;
    let lengths = std::mem::take(&mut order);
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&index| lengths[index]);
    let mut results: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
    for group in order.chunks(TEXTS_PER_PASS) {
        let chosen: Vec<String> = group.iter().map(|&index| texts[index].clone()).collect();
        let batch = tokenizer.batch(&chosen)?;
        let ids = Tensor::<2, Int>::from_data(TensorData::new(batch.ids, [group.len(), batch.length]), device);
        let values = passes::read(info, tower.forward(ids, &batch.ends))?;
        for (index, embedding) in group.iter().zip(values.chunks_exact(info.embedding_dim)) {
            if !embedding.iter().all(|value| value.is_finite()) {
                return Err(Error::model(format!(
                    "{} gave values that are not finite for the text `{}`. Try another model, or the CPU (--device cpu).",
                    info.id, texts[*index]
                )));
            }
            results[*index] = embedding.to_vec();
        }
    }
    Ok(results)
}
