//! What a run starts from: a CLIPSeg model as it is, or a new decoder behind another CLIP.

use burn::tensor::Device;

use crate::model::clipseg::DecoderConfig;
use crate::model::{ClipModel, ClipSegModel, ModelSource};
use crate::{Error, Result};

/// Side of the square input in pixels, where the decoder is new.
const NEW_SIDE: u32 = 256;

/// The model named `model` on `device`. `side` is that of the square network input in pixels; `None` is the model's own,
/// and 256 where the decoder is new.
///
/// # Errors
/// [`Error::Input`] for a side out of range or an unknown name, [`Error::Model`] for files that do not fit.
pub fn base(model: &str, side: Option<u32>, device: &Device) -> Result<ClipSegModel> {
    if let Some(side) = side.filter(|side| !(64..=2048).contains(side)) {
        return Err(Error::input(format!(
            "The network's input of {side} pixels (--input) must lie between 64 and 2048."
        )));
    }
    let source = ModelSource::resolve(model)?;
    if ClipSegModel::is(&source)? {
        let model = ClipSegModel::load(&source, device)?;
        return Ok(match side {
            Some(side) => model.squashed(side),
            None => model,
        });
    }
    let clip = ClipModel::load(&source, device)?;
    let vision = &clip.config().vision_config;
    let (blocks, patch) = (vision.num_hidden_layers, vision.patch_size);
    let decoder = DecoderConfig {
        extract_layers: [1, 2, 3].map(|quarter| blocks * quarter / 4).to_vec(),
        decoder_intermediate_size: if vision.hidden_size < 512 { 256 } else { 2048 },
        use_complex_transposed_convolution: (patch / 4).pow(2) == patch,
        ..DecoderConfig::default()
    };
    ClipSegModel::untrained(&clip, decoder, side.unwrap_or(NEW_SIDE))
}
