//! From prepared images through any vision network and back to plain arrays: images of one size go together, as many as
//! memory allows, and every result is checked for values that are no numbers. Which network it is, the caller knows.

use burn::tensor::{Device, Tensor, TensorData};

use super::features::{LayerFeatures, VisionFeatures, Want};
use super::preprocess::PreparedImage;
use super::source::ModelInfo;
use crate::{Error, Result};

/// Patches in one pass at most; more photos go in several passes. Bounds the memory of activations.
const PATCHES_PER_PASS: usize = 8192;

/// What a network says of images of one size, still on the device.
pub(super) struct PassOutput {
    /// Patch grid (rows, columns).
    pub grid: (usize, usize),
    /// `[images, dim]`
    pub embedding: Tensor<2>,
    /// For each layer asked for its projected patches `[images, patches, dim]`, if asked for, and its hidden ones
    /// `[images, patches, width]`.
    pub layers: Vec<(Option<Tensor<3>>, Tensor<3>)>,
    /// `[images, patches, head dim]`
    pub patch_head: Option<Tensor<3>>,
    /// For each side asked for `[images, windows, dim]`.
    pub windows: Vec<Tensor<3>>,
}

/// Features of each image, in order. `forward` takes pixels `[images, 3, height, width]`.
///
/// # Errors
/// [`Error::Input`] for layers or a patch head that the model does not have; [`Error::Model`] for results that are not
/// finite, with the photo's path; [`Error::Device`] when results cannot be read.
pub(super) fn encode_images(
    info: &ModelInfo,
    device: &Device,
    images: &[PreparedImage],
    want: &Want,
    forward: impl Fn(Tensor<4>) -> PassOutput,
) -> Result<Vec<VisionFeatures>> {
    if let Some(&layer) = want.layers.iter().find(|&&layer| layer == 0 || layer > info.layers) {
        return Err(Error::input(format!(
            "Layer {layer} was asked for, but the layers of {} are numbered 1 to {}.",
            info.id, info.layers
        )));
    }
    if want.patch_head && !info.has_patch_head {
        return Err(Error::input(format!(
            "{} has no learned patch embedding. Choose hidden states as memory features.",
            info.id
        )));
    }
    if !want.windows.is_empty() && !info.has_text {
        return Err(Error::input(format!(
            "{} sees photos only, and windows are for comparing with words. Choose a CLIP model.",
            info.id
        )));
    }
    let patch = info.patch_size as u32;
    for image in images {
        let least = (image.height.min(image.width) / patch) as usize;
        if let Some(side) = want.windows.iter().find(|side| **side > least) {
            return Err(Error::input(format!(
                "Windows of {side} × {side} patches were asked for, but {} sees this photo as {least} along its shorter side. Choose a larger input.",
                info.id
            ))
            .at(&image.path));
        }
    }
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
        let output = forward(stacked(&photos, device));
        for (index, features) in batch.iter().zip(unpacked(info, &photos, want, output)?) {
            results[*index] = Some(features);
        }
    }
    Ok(results.into_iter().flatten().collect())
}

/// Pixels of images of one size, `[images, 3, height, width]`.
pub(super) fn stacked(images: &[&PreparedImage], device: &Device) -> Tensor<4> {
    let shape = [images.len(), 3, images[0].height as usize, images[0].width as usize];
    let mut pixels = Vec::with_capacity(shape.iter().product());
    for image in images {
        pixels.extend_from_slice(&image.pixels);
    }
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

fn unpacked(
    info: &ModelInfo,
    images: &[&PreparedImage],
    want: &Want,
    output: PassOutput,
) -> Result<Vec<VisionFeatures>> {
    let (rows, cols) = output.grid;
    let embeddings = split(info, output.embedding, images)?;
    let heads = output.patch_head.map(|head| split(info, head, images)).transpose()?;
    let mut windows = Vec::new();
    for (&side, embeddings) in want.windows.iter().zip(output.windows) {
        windows.push((side, split(info, embeddings, images)?));
    }
    let mut layers = Vec::new();
    for (&layer, (projected, hidden)) in want.layers.iter().zip(output.layers) {
        let projected = projected.map(|projected| split(info, projected, images)).transpose()?;
        layers.push((layer, split(info, hidden, images)?, projected));
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
        windows: windows.iter_mut().map(|(side, of)| (*side, std::mem::take(&mut of[index]))).collect(),
        width: info.width,
        dim: info.embedding_dim,
    });
    Ok(features.collect())
}

/// A result `[images, …]` as one array per image, checked for values that are not numbers.
fn split<const D: usize>(info: &ModelInfo, tensor: Tensor<D>, images: &[&PreparedImage]) -> Result<Vec<Vec<f32>>> {
    let values = read(info, tensor)?;
    let each = values.len() / images.len();
    let parts: Vec<Vec<f32>> =
        if images.len() == 1 { vec![values] } else { values.chunks_exact(each).map(<[f32]>::to_vec).collect() };
    for (part, image) in parts.iter().zip(images) {
        if !part.iter().all(|value| value.is_finite()) {
            return Err(Error::model(format!(
                "{} gave values that are not finite for this photo. Try another model, or the CPU (--device cpu).",
                info.id
            ))
            .at(&image.path));
        }
    }
    Ok(parts)
}

/// A tensor's values, row by row.
pub(super) fn read<const D: usize>(info: &ModelInfo, tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|error| Error::device(format!("Results of {} cannot be read: {error:?}.", info.id)))
}
