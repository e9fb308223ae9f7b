//! The detector: networks and a recipe made ready, turning features into evidence. Owned by the engine thread; holds no
//! photos and judges nothing.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::evidence::{Component, Evidence, PhotoFacts, Timings};
use super::features::PhotoFeatures;
use super::foreground::foreground;
use super::grid::Grid;
use super::networks::Networks;
use super::normals::{Deviation, Normals, Reference, alone};
use super::prompt::{Anchors, median_and_spread};
use super::text_map::{text_map, window_map};
use crate::Result;
use crate::gpu::{Compute, DeviceKind};
use crate::recipe::{Comparison, Recipe};

/// Prompts encoded, memory built: ready for photos.
#[derive(Debug)]
pub struct Detector {
    /// `None` where no network reads words.
    anchors: Option<Anchors>,
    normals: Option<Normals>,
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
        let mut detector = Self { anchors: None, normals: None, patch_px, search_on };
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

    /// Takes in the references, or forgets those it had.
    ///
    /// # Errors
    /// As [`Normals::build`].
    pub fn build_memory(
        &mut self,
        references: &[Reference],
        recipe: &Recipe,
        progress: impl FnMut(usize, usize) -> bool,
    ) -> Result<()> {
        self.normals = if references.is_empty() {
            None
        } else {
            Some(Normals::build(references, recipe, self.search_on.as_ref(), progress)?)
        };
        Ok(())
    }

    /// What is known of normal parts, if there are references.
    pub fn normals(&self) -> Option<&Normals> {
        self.normals.as_ref()
    }

    /// Component maps of a photo.
    ///
    /// # Errors
    /// As [`Normals::deviation`].
    pub fn evidence(
        &self,
        photo: Arc<PhotoFacts>,
        features: &PhotoFeatures,
        recipe: &Recipe,
        timings_ms: Timings,
    ) -> Result<Evidence> {
        let start = Instant::now();
        if self.normals.is_none() && recipe.comparison == Comparison::Mutual {
            return Err(alone());
        }
        let deviation =
            self.normals.as_ref().map(|normals| normals.deviation(&photo.sha256, features, recipe)).transpose()?;
        let mut evidence = self.assemble(photo, features, recipe, deviation);
        evidence.timings_ms = Timings { maps: start.elapsed().as_secs_f32() * 1e3, ..timings_ms };
        Ok(evidence)
    }

    /// Component maps of a reference photo against the *other* references (leave one out).
    ///
    /// # Errors
    /// As [`Normals::left_out`].
    pub fn left_out_evidence(
        &self,
        reference: &Reference,
        photo: Arc<PhotoFacts>,
        recipe: &Recipe,
    ) -> Result<Evidence> {
        let deviation = self.normals.as_ref().map(|normals| normals.left_out(reference, recipe)).transpose()?;
        Ok(self.assemble(photo, &reference.features, recipe, deviation))
    }

    fn assemble(
        &self,
        photo: Arc<PhotoFacts>,
        features: &PhotoFeatures,
        recipe: &Recipe,
        deviation: Option<Deviation>,
    ) -> Evidence {
        let PhotoFeatures { embedding, text, memory, windows } = features;
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
        let whole = |anchors: &Anchors| anchors.anomalous_share(embedding, recipe.temperature);
        let words = |anchors: &Anchors| {
            let shares = if recipe.windows {
                window_map(windows, whole(anchors), anchors, recipe.temperature)
            } else {
                text_map(text, anchors, recipe.temperature)
            };
            component(shares, text_grid)
        };
        let (distances, nearest) = deviation.map(|Deviation { distances, nearest }| (distances, nearest)).unzip();
        Evidence {
            rows: grid.rows,
            cols: grid.cols,
            patch_px: grid.patch_px,
            text: self.anchors.as_ref().map(words),
            text_image: self.anchors.as_ref().map(whole),
            memory: distances.map(|distances| component(distances, memory_grid)),
            nearest: nearest
                .filter(|nearest| !nearest.is_empty())
                .map_or_else(Vec::new, |nearest| memory_grid.picked(nearest, grid)),
            memory_grid: (memory.rows, memory.cols),
            foreground: part,
            photo,
            timings_ms: Timings::default(),
        }
    }
}
