//! The files of the small default model, compiled into the program so that it works without a download or a network.
//! They lie in `models/pocket/` in the Hugging Face layout and take the same path as any other folder's.

pub(super) const CONFIG: &str = include_str!("../../models/pocket/config.json");
pub(super) const PREPROCESSOR: &str = include_str!("../../models/pocket/preprocessor_config.json");
pub(super) const TOKENIZER: &[u8] = include_bytes!("../../models/pocket/tokenizer.json");
pub(super) const WEIGHTS_NAME: &str = "model.safetensors";
pub(super) const WEIGHTS: &[u8] = include_bytes!("../../models/pocket/model.safetensors");
