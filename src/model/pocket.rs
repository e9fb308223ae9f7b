//! The files of the small default models, compiled into the program so that it works without a download or a network.
//! They lie in `models/pocket/` in the Hugging Face layout and take the same path as any other folder's; of `pocket-seg`,
//! whose towers are those of `pocket`, only the decoder is kept.

pub(super) const CONFIG: &str = include_str!("../../models/pocket/config.json");
pub(super) const PREPROCESSOR: &str = include_str!("../../models/pocket/preprocessor_config.json");
pub(super) const TOKENIZER: &[u8] = include_bytes!("../../models/pocket/tokenizer.json");
pub(super) const WEIGHTS_NAME: &str = "model.safetensors";
pub(super) const WEIGHTS: &[u8] = include_bytes!("../../models/pocket/model.safetensors");

pub(super) const SEG_CONFIG: &str = include_str!("../../models/pocket-seg/config.json");
pub(super) const SEG_PREPROCESSOR: &str = include_str!("../../models/pocket-seg/preprocessor_config.json");
pub(super) const SEG_WEIGHTS_NAME: &str = "decoder.safetensors";
pub(super) const SEG_WEIGHTS: &[u8] = include_bytes!("../../models/pocket-seg/decoder.safetensors");
