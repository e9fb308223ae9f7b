//! The detector: networks and a recipe made ready, turning features into evidence. Owned by the engine thread; holds no
//! photos and judges nothing.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::evidence::{Component, Evidence, NearestPatch, PhotoFacts, Timings};
use super::features::PhotoFeatures;
use super::foreground::foreground;
use super::grid::Grid;
use super::memory::MemoryBank;
use super::networks::Networks;
use super::prompt::{Anchors, median_and_spread};
use super::text_map::text_map;
use crate::Result;
use crate::gpu::{Compute, DeviceKind};
use crate::recipe::Recipe;

/// Neighbourhood (in patches) that a single reference leaves out when it is compared with itself.
const OWN_GAP: usize = 2;

/// Prompts encoded, memory built: ready for photos.
#[derive(Debug)]
pub struct Detector {
    /// `None` where no network reads words.
    anchors: Option<Anchors>,
    bank: Option<MemoryBank>,
    /// Side of a patch in pixels of the network's input: of the words' network, and of the memory's.
    patch_px: (usize, usize),
    /// The graphics device that searches the memory; `None` searches on the processor.
    search_on: Option<Device>,
}

impl Detector {
    /// Encodes the recipe's prompts, where a network reads words. The memory starts empty; it is searched where the
    /// networks run.
    ///
    /// # Errors
    /// As [`Anchors::encode`].
    pub fn new(networks: &Networks, compute: &Compute, recipe: &Recipe) -> Result<Self> {
        let search_on = (compute.kind != DeviceKind::Cpu).then(|| compute.device.clone());
        let patch_px = (networks.model().info().patch_size, networks.memory().info().patch_size);
        let mut detector = Self { anchors: None, bank: None, patch_px, search_on };
        detector.encode_prompts(networks, recipe)?;
        Ok(detector)
    }

    /// Encodes other prompts; the memory stays.
    ///
    /// # Errors
    /// As [`Anchors::encode`].
    pub fn encode_prompts(&mut self, networks: &Networks, recipe: &Recipe) -> Result<()> {
        self.anchors = networks.words().map(|model| Anchors::encode(model, recipe)).transpose()?;
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
                    references.iter().map(|(index, f)| (*index, f.memory.cols, f.memory.values.as_slice())).collect();
                let mut bank =
                    MemoryBank::build(&photos, first.memory.dim, recipe.coreset_ratio, recipe.seed, progress)?;
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
        recipe: &Recipe,
        timings_ms: Timings,
    ) -> Evidence {
        let start = Instant::now();
        let nearest = self.bank.as_ref().map(|bank| bank.nearest(&features.memory.values));
        let mut evidence = self.assemble(photo, features, recipe, nearest);
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
        recipe: &Recipe,
    ) -> Evidence {
        let nearest = self.bank.as_ref().map(|bank| {
            let others = bank.without(reference);
            if others.is_empty() {
                let own = &features.memory;
                MemoryBank::own_distances(&own.values, own.dim, own.cols, OWN_GAP)
            } else {
                others.nearest(&features.memory.values)
            }
        });
        self.assemble(photo, features, recipe, nearest)
    }

    fn assemble(
        &self,
        photo: Arc<PhotoFacts>,
        features: &PhotoFeatures,
        recipe: &Recipe,
        nearest: Option<(Vec<f32>, Vec<NearestPatch>)>,
    ) -> Evidence {
        let PhotoFeatures { embedding, text, memory } = features;
        let memory_grid = Grid { rows: memory.rows, cols: memory.cols, patch_px: self.patch_px.1 };
        let text_grid = Grid { rows: text.rows, cols: text.cols, patch_px: self.patch_px.0 };
        let grid = if self.anchors.is_some() { memory_grid.finer(text_grid) } else { memory_grid };

        let part = foreground(&memory.values, memory.rows, memory.cols, memory.dim, recipe.foreground);
        let part = memory_grid.picked(part, grid);
        let component = |values: Vec<f32>, from: Grid| {
            let values = from.blended(values, grid);
            let inside = values.iter().zip(&part).filter(|(_, part)| **part);
            let (median, spread) = median_and_spread(&mut inside.map(|(value, _)| *value).collect::<Vec<f32>>());
            Component { values, median, spread }
        };
        let words = |anchors: &Anchors| component(text_map(text, anchors, recipe.temperature), text_grid);
        let whole = |anchors: &Anchors| anchors.anomalous_share(embedding, recipe.temperature);
        let (distances, nearest) = nearest.unzip();
        Evidence {
            rows: grid.rows,
            cols: grid.cols,
            patch_px: grid.patch_px,
            text: self.anchors.as_ref().map(words),
            text_image: self.anchors.as_ref().map(whole),
            memory: distances.map(|distances| component(distances, memory_grid)),
            nearest: nearest.map_or_else(Vec::new, |nearest| memory_grid.picked(nearest, grid)),
            memory_grid: (memory.rows, memory.cols),
            foreground: part,
            photo,
            timings_ms: Timings::default(),
        }
    }
}
