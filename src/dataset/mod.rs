//! Folders of labelled photos, read or made: the MVTec-AD layout, and procedural parts with defects and ground truth.

pub mod mvtec;
pub mod synth;
