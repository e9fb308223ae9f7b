//! A loaded CLIPSeg with everything around it: photos and prompts in, probability maps out. Tiling, thresholds and files
//! are `segment`'s business.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData, activation};

use super::clip_model::{ClipModel, encode_texts};
use super::clipseg::{ClipSeg, ClipSegConfig, Decoder, DecoderConfig, Lone};
use super::config::ClipConfig;
use super::fingerprint::{fingerprint, fingerprint_of_folder};
use super::names::Naming;
use super::passes::{read, stacked};
use super::pocket;
use super::preprocess::{Geometry, PreparedImage, Preprocessor};
use super::source::{ModelInfo, ModelSource, POCKET, POCKET_SEG};
use super::tokenizer::Tokenizer;
use super::weights::{self, WeightFiles};
use crate::photo::Photo;
use crate::{Error, Result, report};

/// Prompts decoded together at most; more go in several passes of the decoder.
const PROMPTS_PER_PASS: usize = 8;
/// Side of the input that the published models were trained with, where the folder does not say.
const PUBLISHED_SIDE: u32 = 352;

/// Probabilities of one photo for one prompt, at the network's input size.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbabilityMap {
    pub width: usize,
    pub height: usize,
    /// `[height × width]`, row by row, in [0, 1].
    pub values: Vec<f32>,
}

/// A CLIPSeg model ready for use on one device.
#[derive(Debug)]
pub struct ClipSegModel {
    info: ModelInfo,
    config: ClipSegConfig,
    preprocessor: Preprocessor,
    tokenizer: Tokenizer,
    network: ClipSeg,
    device: Device,
}

impl ClipSegModel {
    /// Loads `pocket-seg`, or a folder in the Hugging Face layout. Takes seconds for a large model.
    ///
    /// # Errors
    /// [`Error::Input`] for a source that is no such folder, [`Error::Model`] for files that do not fit.
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self> {
        match source {
            ModelSource::PocketSeg => Self::embedded(source.id(), device),
            ModelSource::Folder(folder) => Self::open(source.id(), folder, device).map_err(|error| error.at(folder)),
            ModelSource::Pocket | ModelSource::File(_) => Err(Error::input(format!(
                "`{}` cannot segment by words. Choose `{POCKET_SEG}`, or a CLIPSeg model: `hairline models pull \
                 CIDAS/clipseg-rd64-refined`, or a folder.",
                source.id()
            ))),
        }
    }

    /// Whether `source` is a model of this kind, as far as its configuration tells.
    ///
    /// # Errors
    /// [`Error::Io`] for a configuration that is there but cannot be read.
    pub fn is(source: &ModelSource) -> Result<bool> {
        let ModelSource::Folder(folder) = source else { return Ok(*source == ModelSource::PocketSeg) };
        let path = folder.join("config.json");
        if !path.is_file() {
            return Ok(false);
        }
        let text =
            std::fs::read_to_string(&path).map_err(|e| Error::io("Cannot read the model's config.json", &path, &e))?;
        Ok(serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|json| json["model_type"] == "clipseg"))
    }

    fn embedded(id: String, device: &Device) -> Result<Self> {
        let clip = ClipModel::load(&ModelSource::Pocket, device)?;
        let config = ClipSegConfig::parse(pocket::SEG_CONFIG)?;
        let preprocessor = Preprocessor::parse(pocket::SEG_PREPROCESSOR, config.clip.vision_config.image_size as u32)?;
        let files = WeightFiles::embedded(pocket::SEG_WEIGHTS_NAME, pocket::SEG_WEIGHTS).named(Naming::ClipSeg);
        let described = [
            ("config.json", pocket::SEG_CONFIG.as_bytes()),
            ("preprocessor_config.json", pocket::SEG_PREPROCESSOR.as_bytes()),
            // The towers and their tokenizer.
            (POCKET, clip.info().sha256.as_bytes()),
        ];
        let sha256 = fingerprint(&described, &files);
        let Lone { decoder } = files.load_into(Lone { decoder: Decoder::new(&config, device) }, device)?;
        Ok(Self {
            info: ModelInfo::of_clip(id, sha256, &config.clip),
            preprocessor,
            tokenizer: clip.tokenizer().clone(),
            network: ClipSeg { clip: clip.network().clone(), decoder },
            config,
            device: device.clone(),
        })
    }

    fn open(id: String, folder: &Path, device: &Device) -> Result<Self> {
        let config = ClipSegConfig::read(&folder.join("config.json"))?;
        let preprocessor = Preprocessor::open(folder, Preprocessor::clipseg(PUBLISHED_SIDE))?;
        let tokenizer = Tokenizer::open(folder, &config.clip.text_config)?;
        let files = WeightFiles::open_clipseg(folder)?;
        let sha256 = fingerprint_of_folder(folder, &files)?;
        let network = files.load_into(ClipSeg::new(&config, device), device)?;
        let info = ModelInfo::of_clip(id, sha256, &config.clip);
        Ok(Self { info, config, preprocessor, tokenizer, network, device: device.clone() })
    }

    /// A decoder with random weights behind the towers of `clip`, for training: the whole photo is squeezed to `side`
    /// pixels.
    ///
    /// # Errors
    /// [`Error::Model`] where decoder and towers do not fit.
    pub fn untrained(clip: &ClipModel, decoder: DecoderConfig, side: u32) -> Result<Self> {
        let device = clip.device().clone();
        let towers = ClipConfig { model_type: "clipseg".to_owned(), ..clip.config().clone() };
        let config = ClipSegConfig { clip: towers, decoder };
        config.check()?;
        let decoder = Decoder::new(&config, &device);
        Ok(Self {
            info: ModelInfo { id: format!("{} with a new decoder", clip.info().id), ..clip.info().clone() },
            preprocessor: clip.preprocessor().clone().squashed(side),
            tokenizer: clip.tokenizer().clone(),
            network: ClipSeg { clip: clip.network().clone(), decoder },
            config,
            device,
        })
    }

    /// Writes the model with other weights (`network`) as a folder in the Hugging Face layout, weights as f32.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save_with(&self, network: &ClipSeg, folder: &Path) -> Result<()> {
        report::create_folder(folder)?;
        report::write_json(&folder.join("config.json"), &self.config)?;
        report::write_json(&folder.join("preprocessor_config.json"), &self.preprocessor.to_json())?;
        let tokenizer = self.tokenizer.to_json()?;
        report::write_file(&folder.join("tokenizer.json"), |out| out.write_all(tokenizer.as_bytes()))?;
        weights::save_clipseg(network, &folder.join("model.safetensors"), weights::Precision::F32)
    }

    /// The same model for inputs of another size: the whole photo is squeezed to `side` pixels.
    #[must_use]
    pub fn squashed(self, side: u32) -> Self {
        Self { preprocessor: self.preprocessor.squashed(side), ..self }
    }

    /// Writes what `pocket-seg` keeps of a model whose towers are those of `pocket`: configuration, preprocessing, and
    /// the decoder as f16.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save_decoder(&self, folder: &Path) -> Result<()> {
        report::create_folder(folder)?;
        report::write_json(&folder.join("config.json"), &self.config)?;
        report::write_json(&folder.join("preprocessor_config.json"), &self.preprocessor.to_json())?;
        let lone = Lone { decoder: self.network.decoder.clone() };
        weights::save_decoder(&lone, &folder.join(pocket::SEG_WEIGHTS_NAME), weights::Precision::F16)
    }

    /// The network itself, for training.
    pub fn network(&self) -> &ClipSeg {
        &self.network
    }

    /// Where the network lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Outputs of the blocks that the decoder reads, class token included: `[1, tokens, width]` each, and the patch grid.
    pub fn tokens(&self, image: &PreparedImage) -> (Vec<Tensor<3>>, (usize, usize)) {
        // The files count blocks from 0, the towers here from 1.
        let layers: Vec<usize> = self.config.decoder.extract_layers.iter().map(|layer| layer + 1).collect();
        self.hidden(image, &layers)
    }

    /// The same of the blocks in `layers`, counted from 1.
    pub fn hidden(&self, image: &PreparedImage, layers: &[usize]) -> (Vec<Tensor<3>>, (usize, usize)) {
        self.network.clip.vision.tokens(stacked(&[image], &self.device), layers)
    }

    /// Name, fingerprint and sizes.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The configuration as read.
    pub fn config(&self) -> &ClipSegConfig {
        &self.config
    }

    /// Pixels of one photo (or tile), the whole of it squeezed to the network's input.
    ///
    /// # Errors
    /// [`Error::Input`] with the photo's path for a photo that the preprocessing cannot take.
    pub fn prepare(&self, photo: &Photo) -> Result<PreparedImage> {
        let patch = self.info.patch_size as u32;
        self.preprocessor.prepare(photo, Geometry::Reference, patch).map_err(|error| error.at(&photo.path))
    }

    /// Prompts in words, `[dim]` each.
    ///
    /// # Errors
    /// What the tokenizer and the text tower report.
    pub fn encode_texts(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        encode_texts(&self.network.clip.text, &self.tokenizer, &self.info, &self.device, texts)
    }

    /// Pictures as prompts (crops of what is looked for), `[dim]` each.
    ///
    /// # Errors
    /// [`Error::Device`] when results cannot be read.
    pub fn encode_examples(&self, images: &[PreparedImage]) -> Result<Vec<Vec<f32>>> {
        images
            .iter()
            .map(|image| {
                let output = self.network.clip.vision.forward(stacked(&[image], &self.device), &[], false);
                read(&self.info, output.embedding)
            })
            .collect()
    }

    /// The map of each prompt (from [`ClipSegModel::encode_texts`] or [`ClipSegModel::encode_examples`]) for one image.
    /// The vision tower runs once.
    ///
    /// # Errors
    /// [`Error::Model`] for results that are not finite, with the photo's path.
    pub fn predict(&self, image: &PreparedImage, prompts: &[Vec<f32>]) -> Result<Vec<ProbabilityMap>> {
        let (tokens, grid) = self.tokens(image);
        let reduced = self.network.decoder.reduce(tokens);
        let dim = self.info.embedding_dim;
        let mut maps = Vec::with_capacity(prompts.len());
        for group in prompts.chunks(PROMPTS_PER_PASS) {
            let values = TensorData::new(group.concat(), [group.len(), dim]);
            let prompts = Tensor::<2>::from_data(values, &self.device);
            let logits = self.network.decoder.forward_each(reduced.clone(), prompts, grid);
            let [_, height, width] = logits.dims();
            let values = read(&self.info, activation::sigmoid(logits))?;
            if !values.iter().all(|value| value.is_finite()) {
                return Err(Error::model(format!("{} gave values that are not finite for this photo.", self.info.id))
                    .at(&image.path));
            }
            maps.extend(values.chunks_exact(height * width).map(|values| ProbabilityMap {
                width,
                height,
                values: values.to_vec(),
            }));
        }
        Ok(maps)
    }
}
