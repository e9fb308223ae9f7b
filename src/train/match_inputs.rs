//! Photos and texts of a table as unit embeddings by a network that changes: pixels and tokens through the towers, or,
//! where a tower is frozen, what it said once. Knows no loss.

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::loss::unit;
use super::match_settings::Tune;
use super::pair_set::PairSet;
use super::precision::Precision;
use crate::model::clip::Clip;
use crate::model::{ClipModel, Geometry};
use crate::photo::Photo;
use crate::{Error, Result};

/// Photos or texts that go through a tower together where no gradients are kept.
const TOGETHER: usize = 16;

/// The photos and texts of one table, as a network takes them.
pub struct Inputs<'a> {
    base: &'a ClipModel,
    set: &'a PairSet,
    /// Pooled outputs of frozen towers, one per photo or text.
    photos: Option<Vec<Vec<f32>>>,
    texts: Option<Vec<Vec<f32>>>,
}

impl<'a> Inputs<'a> {
    /// Runs what `tune` freezes. `done` is told how many photos and texts are through, and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `done` says so; those of photos, texts and the device.
    pub fn new(
        base: &'a ClipModel,
        set: &'a PairSet,
        tune: Tune,
        mut done: impl FnMut(usize, usize) -> bool,
    ) -> Result<Self> {
        let mut inputs = Self { base, set, photos: None, texts: None };
        let (network, device) = (base.network(), base.device());
        if tune.freezes_vision() {
            let total = set.photos.len();
            let mut through = 0;
            let pooled = all(
                total,
                |part| Ok(network.vision.forward(inputs.pixels(part, device)?, &[], false).pooled),
                |more| {
                    through += more;
                    done(through - more, total)
                },
            )?;
            inputs.photos = Some(pooled);
        }
        if tune.freezes_text() {
            let total = set.texts.len();
            let mut through = 0;
            let pooled = all(
                total,
                |part| {
                    let (ids, ends) = inputs.tokens(part, device)?;
                    Ok(network.text.pooled(ids, &ends))
                },
                |more| {
                    through += more;
                    done(through - more, total)
                },
            )?;
            inputs.texts = Some(pooled);
        }
        Ok(inputs)
    }

    /// Unit embeddings of photos by `network` on `device`: `[photos, dim]`, f32.
    ///
    /// # Errors
    /// Those of the photos.
    pub fn photo_embeddings(
        &self,
        network: &Clip,
        which: &[usize],
        precision: Precision,
        device: &Device,
    ) -> Result<Tensor<2>> {
        let embedding = match &self.photos {
            Some(pooled) => network.vision.projection.forward(kept(pooled, which, precision, device)),
            None => network.vision.forward(self.pixels(which, device)?, &[], false).embedding,
        };
        Ok(unit(embedding.cast(FloatDType::F32)))
    }

    /// The same for texts.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn text_embeddings(
        &self,
        network: &Clip,
        which: &[usize],
        precision: Precision,
        device: &Device,
    ) -> Result<Tensor<2>> {
        let embedding = if let Some(pooled) = &self.texts {
            network.text.projection.forward(kept(pooled, which, precision, device))
        } else {
            let (ids, ends) = self.tokens(which, device)?;
            network.text.forward(ids, &ends)
        };
        Ok(unit(embedding.cast(FloatDType::F32)))
    }

    /// All photos by a network without gradients, in the order of the set.
    ///
    /// # Errors
    /// As [`Inputs::photo_embeddings`]; [`Error::Device`] when results cannot be read; [`Error::Cancelled`] when `go_on`,
    /// told how many come next, says no.
    pub fn all_photos(&self, network: &Clip, go_on: impl FnMut(usize) -> bool) -> Result<Vec<Vec<f32>>> {
        let embed = |part: &[usize]| self.photo_embeddings(network, part, Precision::F32, self.base.device());
        all(self.set.photos.len(), embed, go_on)
    }

    /// The same for texts.
    ///
    /// # Errors
    /// As [`Inputs::all_photos`].
    pub fn all_texts(&self, network: &Clip, go_on: impl FnMut(usize) -> bool) -> Result<Vec<Vec<f32>>> {
        let embed = |part: &[usize]| self.text_embeddings(network, part, Precision::F32, self.base.device());
        all(self.set.texts.len(), embed, go_on)
    }

    /// `[photos, 3, height, width]`
    fn pixels(&self, which: &[usize], device: &Device) -> Result<Tensor<4>> {
        let prepare = |index: &usize| self.base.prepare(&Photo::open(&self.set.photos[*index])?, Geometry::Reference);
        let images = which.par_iter().map(prepare).collect::<Result<Vec<_>>>()?;
        let (height, width) = images.first().map_or((0, 0), |image| (image.height as usize, image.width as usize));
        let mut pixels = Vec::with_capacity(images.len() * 3 * height * width);
        for image in &images {
            if (image.height as usize, image.width as usize) != (height, width) {
                return Err(Error::model(
                    "The model's preprocessor_config.json leaves photos of different sizes, which cannot be learned from together. Add a crop_size to it.",
                )
                .at(&image.path));
            }
            pixels.extend_from_slice(&image.pixels);
        }
        Ok(Tensor::from_data(TensorData::new(pixels, [images.len(), 3, height, width]), device))
    }

    /// Token ids `[texts, length]` and the place of each end token.
    fn tokens(&self, which: &[usize], device: &Device) -> Result<(Tensor<2, Int>, Vec<usize>)> {
        let texts: Vec<String> = which.iter().map(|index| self.set.texts[*index].clone()).collect();
        let batch = self.base.tokenizer().batch(&texts)?;
        let ids = Tensor::from_data(TensorData::new(batch.ids, [texts.len(), batch.length]), device);
        Ok((ids, batch.ends))
    }
}

/// Everything from 0 to `count`, a few at a time.
fn all(
    count: usize,
    embed: impl Fn(&[usize]) -> Result<Tensor<2>>,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Vec<Vec<f32>>> {
    let mut embedded = Vec::with_capacity(count);
    for part in (0..count).collect::<Vec<_>>().chunks(TOGETHER) {
        if !go_on(part.len()) {
            return Err(Error::Cancelled);
        }
        embedded.extend(rows(embed(part)?)?);
    }
    Ok(embedded)
}

/// Some of the rows that were kept, `[which, width]`.
fn kept(pooled: &[Vec<f32>], which: &[usize], precision: Precision, device: &Device) -> Tensor<2> {
    let width = pooled.first().map_or(0, Vec::len);
    let values: Vec<f32> = which.iter().flat_map(|index| pooled[*index].iter().copied()).collect();
    let rows: Tensor<2> = Tensor::from_data(TensorData::new(values, [which.len(), width]), device);
    if precision == Precision::F16 { rows.cast(FloatDType::F16) } else { rows }
}

/// `[rows, width]` as plain arrays.
fn rows(tensor: Tensor<2>) -> Result<Vec<Vec<f32>>> {
    let width = tensor.dims()[1];
    let values = tensor.into_data().try_into_vec::<f32>();
    let values = values.map_err(|error| Error::device(format!("Embeddings cannot be read: {error:?}.")))?;
    Ok(values.chunks_exact(width).map(<[f32]>::to_vec).collect())
}
