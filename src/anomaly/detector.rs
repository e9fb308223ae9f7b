//! The detector: a model and a recipe made ready, turning features into evidence. Owned by the engine thread; holds no
//! photos and judges nothing.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::evidence::{Component, Evidence, NearestPatch, PhotoFacts, Timings};
use super::features::PhotoFeatures;
use super::foreground::foreground;
use super::memory::MemoryBank;
use super::prompt::{Anchors, median_and_spread};
use super::text_map::text_map;
use crate::Result;
use crate::gpu::{Compute, DeviceKind};
use crate::model::ClipModel;
use crate::recipe::Recipe;

/// Neighbourhood (in patches) that a single reference leaves out when it is compared with itself.
const OWN_GAP: usize = 2;

/// Prompts encoded, memory built: ready for photos.
#[derive(Debug)]
pub struct Detector {
    anchors: Anchors,
    bank: Option<MemoryBank>,
    /// The graphics device that searches the memory; `None` searches on the processor.
    search_on: Option<Device>,
}

impl Detector {
    /// Encodes the recipe's prompts. The memory starts empty; it is searched where the networks run.
    ///
    /// # Errors
    /// As [`Anchors::encode`].
    pub fn new(model: &ClipModel, compute: &Compute, recipe: &Recipe) -> Result<Self> {
        let search_on = (compute.kind != DeviceKind::Cpu).then(|| compute.device.clone());
        Ok(Self { anchors: Anchors::encode(model, recipe)?, bank: None, search_on })
    }

    /// Encodes other prompts; the memory stays.
    ///
    /// # Errors
    /// As [`Anchors::encode`].
    pub fn encode_prompts(&mut self, model: &ClipModel, recipe: &Recipe) -> Result<()> {
        self.anchors = Anchors::encode(model, recipe)?;
        Ok(())
    }

    /// Builds the memory from the references' features (index into the recipe's references, features), or empties it.
    ///
    /// # Errors
    /// As [`MemoryBank::build`].
    pub fn build_memory(
        &mut self,
        references: &[(u32, Arc<PhotoFeatures>)],
        recipe: &Recipe,
        progress: impl FnMut(usize, usize) -> bool,
    ) -> Result<()> {
        self.bank = match references.first() {
            None => None,
            Some((_, first)) => {
                let photos: Vec<_> =
                    references.iter().map(|(index, f)| (*index, f.cols, f.memory.as_slice())).collect();
                let mut bank =
                    MemoryBank::build(&photos, first.memory_dim, recipe.coreset_ratio, recipe.seed, progress)?;
                if let Some(device) = &self.search_on {
                    bank.move_to(device);
                }
                Some(bank)
            }
        };
        Ok(())
    }

    /// The memory, if there are references.
    pub fn bank(&self) -> Option<&MemoryBank> {
        self.bank.as_ref()
    }

    /// Component maps of a photo.
    pub fn evidence(
        &self,
        photo: Arc<PhotoFacts>,
        features: &PhotoFeatures,
        patch_px: usize,
        recipe: &Recipe,
        timings_ms: Timings,
    ) -> Evidence {
        let start = Instant::now();
        let nearest = self.bank.as_ref().map(|bank| bank.nearest(&features.memory));
        let mut evidence = self.assemble(photo, features, patch_px, recipe, nearest);
        evidence.timings_ms = Timings { maps: start.elapsed().as_secs_f32() * 1e3, ..timings_ms };
        evidence
    }

    /// Component maps of a reference photo against the *other* references (leave one out). A single reference is
    /// compared with its own patches outside of their neighbourhood.
    pub fn left_out_evidence(
        &self,
        reference: u32,
        photo: Arc<PhotoFacts>,
        features: &PhotoFeatures,
        patch_px: usize,
        recipe: &Recipe,
    ) -> Evidence {
        let nearest = self.bank.as_ref().map(|bank| {
            let others = bank.without(reference);
            if others.is_empty() {
                MemoryBank::own_distances(&features.memory, features.memory_dim, features.cols, OWN_GAP)
            } else {
                others.nearest(&features.memory)
            }
        });
        self.assemble(photo, features, patch_px, recipe, nearest)
    }

    fn assemble(
        &self,
        photo: Arc<PhotoFacts>,
        features: &PhotoFeatures,
        patch_px: usize,
        recipe: &Recipe,
        nearest: Option<(Vec<f32>, Vec<NearestPatch>)>,
    ) -> Evidence {
        let (rows, cols) = (features.rows, features.cols);
        let foreground = foreground(&features.memory, rows, cols, features.memory_dim, recipe.foreground);
        let component = |values: Vec<f32>| {
            let mut inside: Vec<f32> =
                values.iter().zip(&foreground).filter(|(_, part)| **part).map(|(value, _)| *value).collect();
            let (median, spread) = median_and_spread(&mut inside);
            Component { values, median, spread }
        };
        let (memory, nearest) = nearest.map_or((None, Vec::new()), |(distance, patches)| (Some(distance), patches));
        Evidence {
            rows,
            cols,
            patch_px,
            text: component(text_map(features, &self.anchors, recipe.temperature)),
            text_image: self.anchors.anomalous_share(&features.embedding, recipe.temperature),
            memory: memory.map(component),
            nearest,
            foreground,
            photo,
            timings_ms: Timings::default(),
        }
    }
}
