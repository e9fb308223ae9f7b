//! What a run trains: the decoder, and where it is asked for the last blocks of the vision tower that the decoder reads.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::model::ClipSegModel;
use crate::model::clip::VisionTower;
use crate::model::clipseg::{ClipSeg, Decoder};
use crate::model::vit::Block;
use crate::train::average::{collect, install};
use crate::{Error, Result};

/// The trained part of a CLIPSeg network. Everything below it is frozen, so its outputs are computed once and kept.
#[derive(Module, Debug)]
pub struct Learner {
    /// Blocks of the vision tower, up to the last one that the decoder reads.
    deeper: Vec<Block>,
    decoder: Decoder,
    /// Number of the first block of `deeper`, from 0.
    first: usize,
}

impl Learner {
    /// Decoder and the last `deeper` blocks that it reads, as they were loaded or drawn now by the seed, ready to be trained
    /// on `device`. Weights are numbered in order, so that an optimiser's state of one process fits the next.
    ///
    /// # Errors
    /// [`Error::Input`] for more blocks than lie between the first one and the last that the decoder reads.
    pub fn new(base: &ClipSegModel, deeper: usize, seed: u64, device: &Device) -> Result<Self> {
        base.device().seed(seed);
        let last = last_read(base);
        if deeper > last {
            return Err(Error::input(format!(
                "--deeper must be at most {last}: the decoder of {} reads no block above number {}, and what lies below the \
                 second stays as it is.",
                base.info().id,
                last + 1
            )));
        }
        let first = last + 1 - deeper;
        let ClipSeg { clip, decoder } = base.network();
        let config = base.config();
        let blocks = if deeper == 0 {
            Vec::new()
        } else {
            let tower = VisionTower::new(&config.clip.vision_config, config.clip.projection_dim, device);
            tower.encoder.blocks.into_iter().skip(first).take(deeper).collect()
        };
        let mut weights = Vec::new();
        for block in &clip.vision.encoder.blocks[first..=last] {
            weights.extend(collect(block)?);
        }
        weights.extend(collect(decoder)?);
        install(Self { deeper: blocks, decoder: Decoder::new(config, device), first }, weights)
    }

    /// The blocks, counted from 1, whose outputs [`Learner::forward`] wants: those that the decoder reads of the frozen
    /// part, in the decoder's order, and then what the trained blocks begin with.
    pub fn wanted(base: &ClipSegModel, deeper: usize) -> Vec<usize> {
        let first = (last_read(base) + 1).saturating_sub(deeper);
        let frozen = base.config().decoder.extract_layers.iter().filter(|layer| **layer < first).map(|layer| layer + 1);
        frozen.chain((deeper > 0).then_some(first)).collect()
    }

    /// Outputs of the frozen part ([`Learner::wanted`], `[batch, tokens, width]` each) → what the decoder reads, reduced to
    /// its width. `read` are the blocks that it reads, from 0.
    pub fn reduced(&self, mut frozen: Vec<Tensor<3>>, grid: (usize, usize), read: &[usize]) -> Vec<Tensor<3>> {
        if self.deeper.is_empty() {
            return self.decoder.reduce(frozen);
        }
        let mut x = frozen.pop().expect("the input of the trained blocks comes last");
        let mut learned = Vec::with_capacity(self.deeper.len());
        for block in &self.deeper {
            x = block.forward(x, grid);
            learned.push(x.clone());
        }
        let mut frozen = frozen.into_iter();
        let tokens = read.iter().map(|layer| match layer.checked_sub(self.first) {
            Some(at) => learned[at].clone(),
            None => frozen.next().expect("an output for every frozen block that is read"),
        });
        self.decoder.reduce(tokens.collect())
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The whole network of `base` with what was learned in its place.
    pub fn in_place(&self, base: &ClipSegModel) -> ClipSeg {
        let mut clip = base.network().clip.clone();
        let places = clip.vision.encoder.blocks.iter_mut().skip(self.first);
        places.zip(&self.deeper).for_each(|(place, block)| *place = block.clone());
        ClipSeg { clip, decoder: self.decoder.clone() }
    }
}

/// The last block that the decoder reads, from 0.
fn last_read(base: &ClipSegModel) -> usize {
    base.config().decoder.extract_layers.iter().copied().max().unwrap_or(0)
}
