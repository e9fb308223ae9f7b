//! Segmentation as the window knows it: what is to be found, with which threshold, what came of it, and the corrections.
//! The work itself is `segment`'s and runs on the engine's thread; this says what to ask for and keeps the answers.

pub mod correction;
pub mod decide;
pub mod work;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Rect;
use serde::{Deserialize, Serialize};

use super::classifying::LabJob;
use crate::anomaly::AnomalyMap;
use crate::segment::SegmentOptions;
use crate::segment::guided::Guided;
use correction::{Corrections, Raster, Stroke, Strokes};
use decide::{Decided, DecisionKey, Subject};

/// A layer's name between the photos, their corrections and undo; never given twice.
pub type LayerId = u64;

/// Bytes of probability maps that are kept at most, the last used ones.
const MOST_BYTES: usize = 512 << 20;
/// Brightness variance below which the guided filter takes a window for flat.
const EPSILON: f32 = 1e-3;

/// What a layer looks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Prompt {
    Words(String),
    /// A part of a photo that shows it, in pixels.
    Example {
        photo: PathBuf,
        x: u32,
        y: u32,
        width: u32,
        height: u32,
    },
}

impl Prompt {
    /// As files, categories and people call it.
    pub fn name(&self) -> String {
        match self {
            Self::Words(words) => words.trim().to_owned(),
            Self::Example { photo, x, y, .. } => {
                format!("like {} at {x}, {y}", super::photo_list::file_name(photo))
            }
        }
    }

    /// Nothing to look for.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Words(words) if words.trim().is_empty())
    }
}

/// One prompt with what is made of its map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSetup {
    pub id: LayerId,
    pub prompt: Prompt,
    /// Probability from which a pixel belongs to the mask, in (0, 1).
    pub threshold: f32,
    pub visible: bool,
    /// Place among the colours.
    pub colour: usize,
}

/// What is looked for and how; kept with the session, and every change can be taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SegmentSetup {
    /// A catalogue id, a folder, or the embedded model.
    pub model: String,
    /// The later ones lie on top.
    pub layers: Vec<LayerSetup>,
    /// The next layer's name.
    next: LayerId,
    /// Go over large photos in tiles.
    pub tiled: bool,
    /// Side of a tile in pixels.
    pub tile: u32,
    /// Take edges from the photo.
    pub guided: bool,
    /// Half side of the guided filter's window in pixels.
    pub radius: usize,
}

impl Default for SegmentSetup {
    fn default() -> Self {
        Self {
            model: DEFAULT_MODEL.to_owned(),
            layers: Vec::new(),
            next: 0,
            tiled: false,
            tile: 512,
            guided: false,
            radius: 8,
        }
    }
}

/// The model that segments out of the box.
pub const DEFAULT_MODEL: &str = crate::model::POCKET_SEG;

impl SegmentSetup {
    /// Adds a layer on top, in a colour that is free if there is one; returns its name.
    pub fn add(&mut self, prompt: Prompt) -> LayerId {
        let colours = 0..crate::report::segments::COLOURS.len();
        let uses = |colour: usize| self.layers.iter().filter(|layer| layer.colour == colour).count();
        let colour = colours.min_by_key(|colour| uses(*colour)).unwrap_or(0);
        let id = self.next;
        self.next += 1;
        self.layers.push(LayerSetup { id, prompt, threshold: 0.5, visible: true, colour });
        id
    }

    pub fn layer(&self, id: LayerId) -> Option<&LayerSetup> {
        self.layers.iter().find(|layer| layer.id == id)
    }

    pub fn layer_mut(&mut self, id: LayerId) -> Option<&mut LayerSetup> {
        self.layers.iter_mut().find(|layer| layer.id == id)
    }

    /// Layers that look for something.
    pub fn asking(&self) -> impl Iterator<Item = &LayerSetup> {
        self.layers.iter().filter(|layer| !layer.prompt.is_empty())
    }

    /// As the network is asked.
    pub fn options(&self) -> SegmentOptions {
        SegmentOptions { tile: self.tiled.then_some(self.tile), ..SegmentOptions::default() }
    }

    pub fn edges(&self) -> Option<Guided> {
        self.guided.then_some(Guided { radius: self.radius, epsilon: EPSILON })
    }

    /// The map of `prompt` in `photo`, by all that shapes it.
    pub fn key(&self, photo: &Path, prompt: &Prompt) -> MapKey {
        MapKey {
            photo: photo.to_owned(),
            model: self.model.clone(),
            tile: self.tiled.then_some(self.tile),
            radius: self.guided.then_some(self.radius),
            prompt: prompt.clone(),
        }
    }
}

/// Everything that shapes a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MapKey {
    pub photo: PathBuf,
    pub model: String,
    pub tile: Option<u32>,
    /// `None` is the network's own map.
    pub radius: Option<usize>,
    pub prompt: Prompt,
}

impl MapKey {
    /// The network's own map, before edges.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self { radius: None, ..self.clone() }
    }
}

/// Probability maps at photo size, the last used ones.
#[derive(Debug, Default)]
pub struct Maps {
    kept: HashMap<MapKey, (Arc<AnomalyMap>, u64)>,
    clock: u64,
}

impl Maps {
    pub fn get(&self, key: &MapKey) -> Option<&Arc<AnomalyMap>> {
        self.kept.get(key).map(|(map, _)| map)
    }

    /// Maps that are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds maps, and lets the longest unused ones go.
    pub fn add(&mut self, maps: Vec<(MapKey, Arc<AnomalyMap>)>) {
        self.clock += 1;
        self.kept.extend(maps.into_iter().map(|(key, map)| (key, (map, self.clock))));
        let bytes = |map: &AnomalyMap| map.scores.len() * size_of::<f32>();
        let mut all: usize = self.kept.values().map(|(map, _)| bytes(map)).sum();
        while all > MOST_BYTES {
            let old = self.kept.iter().filter(|(_, (_, used))| *used < self.clock).min_by_key(|(_, (_, used))| *used);
            let Some(key) = old.map(|(key, _)| key.clone()) else { return };
            if let Some((map, _)) = self.kept.remove(&key) {
                all -= bytes(&map);
            }
        }
    }

    /// These are in use.
    pub fn touch(&mut self, photo: &Path) {
        self.clock += 1;
        let clock = self.clock;
        self.kept.iter_mut().filter(|(key, _)| key.photo == photo).for_each(|(_, (_, used))| *used = clock);
    }
}

/// What the pointer does on the photo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Moves the photo.
    #[default]
    Hand,
    Add,
    Erase,
    /// Draws a box around an example.
    Example,
}

/// What fills the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Masks,
    Training,
}

/// A wish about segmentation.
pub enum Wish {
    Mode(Mode),
    /// A change of the setup, as one step of undo.
    Edit {
        what: String,
        change: Box<dyn FnOnce(&mut SegmentSetup)>,
    },
    /// A new layer.
    Add(Prompt),
    Typed(String),
    Activate(LayerId),
    Tool(Tool),
    /// Radius of the brush in pixels of the photo.
    Radius(u32),
    /// The brush is at this pixel of the photo; the first one begins a stroke.
    Brush {
        erase: bool,
        at: [i32; 2],
    },
    /// The stroke is at its end.
    Lift,
    /// Takes all strokes of a layer on the photo on view away.
    Restore(LayerId),
    /// Zooms to a part of the photo, in its pixels.
    Show(Rect),
    Retry,
}

/// Everything the window knows of it.
pub struct Segmenting {
    pub setup: SegmentSetup,
    pub mode: Mode,
    /// Models to choose from.
    pub models: Vec<String>,
    /// The prompt being typed.
    pub typed: String,
    pub maps: Maps,
    pub corrections: Corrections,
    /// The layer that the brush corrects.
    pub active: Option<LayerId>,
    pub tool: Tool,
    pub radius: u32,
    pub job: Option<LabJob>,
    /// What the network was asked last, in words and files.
    pub asked: Vec<MapKey>,
    pub problem: Option<String>,
    pub decided: Option<Arc<Decided>>,
    /// The stroke under way, on a layer of a photo.
    live: Option<(PathBuf, LayerId, Stroke)>,
    /// Of the photo on view.
    rasters: HashMap<LayerId, Raster>,
    raster_photo: PathBuf,
    version: u64,
}

impl Default for Segmenting {
    fn default() -> Self {
        Self {
            setup: SegmentSetup::default(),
            mode: Mode::default(),
            models: Vec::new(),
            typed: String::new(),
            maps: Maps::default(),
            corrections: Corrections::new(),
            active: None,
            tool: Tool::default(),
            radius: 8,
            job: None,
            asked: Vec::new(),
            problem: None,
            decided: None,
            live: None,
            rasters: HashMap::new(),
            raster_photo: PathBuf::new(),
            version: 0,
        }
    }
}

impl Segmenting {
    /// From what was kept.
    pub fn restore(setup: SegmentSetup, corrections: Vec<(PathBuf, LayerId, Strokes)>) -> Self {
        let corrections = corrections.into_iter().map(|(photo, layer, strokes)| ((photo, layer), strokes));
        let active = setup.layers.last().map(|layer| layer.id);
        Self { setup, corrections: corrections.collect(), active, ..Self::default() }
    }

    /// Corrections to keep: those of layers that are there.
    pub fn kept(&self) -> Vec<(PathBuf, LayerId, Strokes)> {
        let there = self.corrections.iter().filter(|((_, layer), _)| self.setup.layer(*layer).is_some());
        there.map(|((photo, layer), strokes)| (photo.clone(), *layer, strokes.clone())).collect()
    }

    /// The maps that the layers need for `photo`.
    pub fn needed(&self, photo: &Path) -> Vec<MapKey> {
        self.setup.asking().map(|layer| self.setup.key(photo, &layer.prompt)).collect()
    }

    /// Photos with a stroke on a layer that is there.
    pub fn corrected(&self) -> Vec<&PathBuf> {
        let there = self.corrections.keys().filter(|(_, layer)| self.setup.layer(*layer).is_some());
        let mut photos: Vec<&PathBuf> = there.map(|(photo, _)| photo).collect();
        photos.dedup();
        photos
    }

    /// The strokes on a layer of a photo.
    pub fn strokes(&self, photo: &Path, layer: LayerId) -> Option<&Strokes> {
        self.corrections.get(&(photo.to_owned(), layer))
    }

    /// Sets the strokes on a layer of a photo; returns those before.
    pub fn swap_strokes(&mut self, photo: &Path, layer: LayerId, strokes: Strokes) -> Strokes {
        let key = (photo.to_owned(), layer);
        let before =
            if strokes.is_empty() { self.corrections.remove(&key) } else { self.corrections.insert(key, strokes) };
        before.unwrap_or_default()
    }

    /// The chosen layer has its map of this photo, so there is a mask to correct.
    pub fn can_brush(&self, photo: &Path) -> bool {
        let layer = self.active.and_then(|id| self.setup.layer(id));
        layer.is_some_and(|layer| layer.visible && self.maps.get(&self.setup.key(photo, &layer.prompt)).is_some())
    }

    /// The brush is down; whether it erases.
    pub fn brushing(&self) -> Option<bool> {
        self.live.as_ref().map(|(_, _, stroke)| stroke.erase)
    }

    /// Puts the brush down, or moves it.
    pub fn brush(&mut self, photo: &Path, erase: bool, at: [i32; 2]) {
        let Some(layer) = self.active else { return };
        let radius = self.radius;
        let fresh = || (photo.to_owned(), layer, Stroke { erase, radius, points: Vec::new() });
        let (of, layer, stroke) = self.live.get_or_insert_with(fresh);
        if stroke.points.last() == Some(&at) || of != photo {
            return;
        }
        stroke.points.push(at);
        self.version += 1;
        if self.raster_photo == photo
            && let Some(raster) = self.rasters.get_mut(layer)
        {
            raster.extend(stroke, stroke.points.len() - 1, self.version);
        }
    }

    /// Lifts the brush, if it was down: photo and layer, and the strokes there before.
    pub fn lift(&mut self) -> Option<(PathBuf, LayerId, Strokes)> {
        let (photo, layer, stroke) = self.live.take()?;
        let mut strokes = self.strokes(&photo, layer).cloned().unwrap_or_default();
        Arc::make_mut(&mut strokes).push(stroke);
        if self.raster_photo == photo
            && let Some(raster) = self.rasters.get_mut(&layer)
        {
            raster.strokes = strokes.clone();
        }
        let before = self.swap_strokes(&photo, layer, strokes);
        Some((photo, layer, before))
    }

    /// Paints what is not painted yet, for the photo on view.
    pub fn settle(&mut self, photo: &Path) {
        if self.raster_photo != photo {
            self.rasters.clear();
            photo.clone_into(&mut self.raster_photo);
        }
        let layers: Vec<(LayerId, MapKey)> =
            self.setup.asking().map(|layer| (layer.id, self.setup.key(photo, &layer.prompt))).collect();
        for (id, key) in layers {
            let Some(map) = self.maps.get(&key) else { continue };
            let strokes = self.strokes(photo, id).cloned().unwrap_or_default();
            let size = (map.width, map.height);
            let live = self.live.as_ref().is_some_and(|(of, layer, _)| *layer == id && of == photo);
            let known = self.rasters.get(&id);
            let fits = known.is_some_and(|raster| {
                (raster.width, raster.height) == size
                    && (live || Arc::ptr_eq(&raster.strokes, &strokes) || raster.strokes == strokes)
            });
            // The chosen layer has its pixels ready before the first stroke.
            let needless = known.is_none() && strokes.is_empty() && self.active != Some(id);
            if !fits && !needless {
                self.version += 1;
                self.rasters.insert(id, Raster::new(size.0, size.1, strokes, self.version));
            }
        }
    }

    /// Lets all maps go, e.g. because a model of the same name changed.
    pub fn forget_maps(&mut self) {
        self.maps = Maps::default();
        self.asked.clear();
        self.problem = None;
    }

    /// The layers that have their map, ready to be decided and drawn; the lowest first.
    pub fn subjects(&self, photo: &Path) -> Vec<Subject> {
        let subject = |layer: &LayerSetup| {
            let map = self.maps.get(&self.setup.key(photo, &layer.prompt))?.clone();
            let raster = self.rasters.get(&layer.id).filter(|_| self.raster_photo == photo);
            Some(Subject {
                id: layer.id,
                map,
                threshold: layer.threshold,
                version: raster.map_or(0, |raster| raster.version),
                cells: raster.map(|raster| raster.cells.clone()),
            })
        };
        self.setup.asking().filter_map(subject).collect()
    }

    /// What was decided, if it is of exactly these.
    pub fn decided_of(&self, key: &DecisionKey) -> Option<&Arc<Decided>> {
        self.decided.as_ref().filter(|decided| decided.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(key: &MapKey) -> (MapKey, Arc<AnomalyMap>) {
        let scores = (0..20 * 10).map(|at| (at % 20) as f32 / 20.0).collect();
        (key.clone(), Arc::new(AnomalyMap { width: 20, height: 10, photo_width: 20, photo_height: 10, scores }))
    }

    #[test]
    fn layers_take_free_colours_and_never_an_old_name() {
        let mut setup = SegmentSetup::default();
        let ids: Vec<LayerId> =
            ["crack", "hole", "dent"].map(|words| setup.add(Prompt::Words(words.to_owned()))).into();
        setup.layers.remove(1);
        let fourth = setup.add(Prompt::Words("stain".to_owned()));
        assert!(!ids.contains(&fourth));
        assert_eq!(setup.layer(fourth).map(|layer| layer.colour), Some(1), "the colour of the one removed");
    }

    #[test]
    fn a_stroke_is_painted_at_once_and_comes_back_after_undo() {
        let photo = Path::new("a.png");
        let mut state = Segmenting::restore(SegmentSetup::default(), Vec::new());
        let id = state.setup.add(Prompt::Words("crack".to_owned()));
        (state.active, state.radius) = (Some(id), 1);
        let key = state.needed(photo).remove(0);
        state.maps.add(vec![map(&key)]);
        state.settle(photo);
        state.brush(photo, false, [2, 5]);
        state.brush(photo, false, [6, 5]);
        let inside = |state: &Segmenting, at: usize| state.subjects(photo)[0].is_inside(at);
        assert!(inside(&state, 5 * 20 + 4), "while the brush is down");
        let (_, layer, before) = state.lift().expect("the brush was down");
        state.settle(photo);
        assert!(before.is_empty() && inside(&state, 5 * 20 + 4) && inside(&state, 19) && !inside(&state, 0));
        assert_eq!(state.corrected(), [photo]);
        let drawn = state.swap_strokes(photo, layer, before);
        state.settle(photo);
        assert!(!inside(&state, 5 * 20 + 4) && state.corrected().is_empty());
        state.swap_strokes(photo, layer, drawn);
        state.settle(photo);
        assert!(inside(&state, 5 * 20 + 4));
        state.setup.layers.clear();
        assert!(state.kept().is_empty() && state.corrected().is_empty(), "no layer, no correction");
    }

    #[test]
    fn maps_are_bounded_and_those_on_view_stay() {
        let mut maps = Maps::default();
        let setup = SegmentSetup::default();
        let prompt = Prompt::Words("x".to_owned());
        let large = |name: &str| {
            let key = setup.key(Path::new(name), &prompt);
            let map =
                AnomalyMap { width: 8192, height: 8192, photo_width: 1, photo_height: 1, scores: vec![0.0; 1 << 26] };
            (key, Arc::new(map))
        };
        for name in ["a", "b"] {
            maps.add(vec![large(name)]);
        }
        maps.touch(Path::new("a"));
        maps.add(vec![large("c")]);
        let there = |name: &str| maps.get(&setup.key(Path::new(name), &prompt)).is_some();
        assert!(there("a") && !there("b") && there("c"));
    }
}
