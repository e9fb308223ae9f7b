//! From a file to features, against Pillow, OpenCV, transformers, open_clip and timm: one program, because each that links the
//! whole tensor stack takes long to build. The numbers lie in `tests/fixtures` beside the scripts that made them.

mod comparison;
mod decode;
mod gradients;
mod hub;
mod networks;
mod pocket;
mod preprocess;
mod reference;
mod segmentation;
mod tokens;
mod vision;
