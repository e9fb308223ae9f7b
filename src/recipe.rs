//! The recipe: everything that decides a verdict, in one RON file that a person can read and another machine can
//! repeat. It is not the session (which photos are open, how the window looks) and holds no results.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::count::count;
use crate::photo::QualityLimits;
use crate::{Error, Result};

/// Largest side of a neighbourhood in patches.
pub const MOST_NEIGHBOURS: usize = 9;

/// Version of the recipe's own format; a file of a newer one is refused.
pub const RECIPE_VERSION: u32 = 1;

/// Everything that decides a verdict. Fields that a file leaves out take the values of [`Recipe::default`]; unknown
/// fields are an error, because a misspelt threshold must not pass unnoticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Format version, see [`RECIPE_VERSION`].
    pub version: u32,
    /// Catalogue id, folder in the Hugging Face layout, or `pocket` for the embedded model.
    pub model: String,
    /// Preset that the other fields started from; see [`Method`].
    pub method: Method,
    /// What is being looked at, e.g. `metal ring`; it replaces `{}` in the phrases.
    pub object: String,
    /// Words for good and bad parts.
    pub prompts: Prompts,
    /// Size of the network's input.
    pub input: Input,
    /// Blocks (counted from 1) whose tokens are compared; `None` lets the model choose.
    pub layers: Option<Vec<usize>>,
    /// Another network for the memory map, named as `model` is; `None` compares patches of `model`. Where the two patch
    /// grids differ, the coarser component is interpolated bilinearly onto the finer grid.
    pub memory_model: Option<String>,
    /// As `layers`, of `memory_model`.
    pub memory_layers: Option<Vec<usize>>,
    /// As `input`, of `memory_model`; `None` takes its own size and keeps the aspect ratio.
    pub memory_input: Option<Input>,
    /// Which patch features are compared with those of the references.
    pub memory_features: MemoryFeatures,
    /// How they are compared.
    pub comparison: Comparison,
    /// Sides, in patches, of the squares whose mean stands for the patch in their middle when patches are compared: odd, at
    /// most 9; 1 is the patch alone. With several the memory map is the mean of theirs (PatchCore takes 3, MuSc 1, 3 and 5).
    pub neighbourhoods: Vec<usize>,
    /// Share of the references' variance that [`Comparison::Subspace`] calls normal, in (0, 1].
    pub subspace_variance: f32,
    /// Look at windows of 2 × 2 and 3 × 3 patches as photos of their own (WinCLIP): the text map then is the harmonic mean of
    /// the shares of the windows over a patch and of the whole photo, and the memory compares windows as well as patches. The
    /// network runs again for each of several hundred windows.
    pub windows: bool,
    /// Share of the text map in the fused map, ≥ 0; only the ratio to `memory_weight` counts.
    pub text_weight: f32,
    /// Share of the memory map in the fused map, ≥ 0; without references the text map stands alone.
    pub memory_weight: f32,
    /// Softmax temperature of the text map, > 0. Cosines are divided by it; a low one makes shares of 0 and 1 of all that is
    /// clear, which no longer tells clear from clearer.
    pub temperature: f32,
    /// Part of the reference patches kept by the greedy coreset, in (0, 1].
    pub coreset_ratio: f32,
    /// What the component maps are standardised by before they are added.
    pub normalisation: Normalisation,
    /// Separation of part and background.
    pub foreground: Foreground,
    /// What the image score is taken from.
    pub image_score: ImageScore,
    /// Standard deviation of the Gaussian over the map, in pixels of the network's input (of the network with the finer
    /// patch grid); 0 switches it off.
    pub sigma_px: f32,
    /// Part of the patches whose mean is the image score, in (0, 1]; 0.01 is the most deviating hundredth.
    pub top_fraction: f32,
    /// Raw image score above which a part is NG; `None` calibrates it on the references.
    pub image_threshold: Option<f32>,
    /// Raw pixel score above which a pixel belongs to a region; `None` calibrates it on the references.
    pub pixel_threshold: Option<f32>,
    /// Half width of the band around 0.5 (normalised) in which the verdict is `uncertain`, in [0, 0.5).
    pub uncertain_band: f32,
    /// Regions reported at most, strongest first.
    pub top_k: usize,
    /// Regions with fewer pixels of the photo than this are left out.
    pub min_area_px: u32,
    /// What a photo must keep to, to be judged without a warning; it changes no verdict.
    pub quality: QualityLimits,
    /// Photos of normal parts, in the order they were given; for [`Comparison::Mutual`] photos most of which are normal.
    pub references: Vec<PathBuf>,
    /// Seed of every random choice (coreset start and projection).
    pub seed: u64,
    /// The vision-language server that `--explain vlm` asks; it decides no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlm: Option<Vlm>,
}

/// A vision-language model behind an OpenAI-compatible server (Ollama, llama.cpp, vLLM) that puts regions into words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vlm {
    /// The server's address with its version, e.g. `http://127.0.0.1:8080/v1`.
    pub address: String,
    /// The model's name on that server.
    pub model: String,
    /// The question, sent with each region's picture. `{object}`, `{location}`, `{description}` and `{confidence}` stand
    /// for what is known of the region; the form of the answer is asked for in addition.
    pub prompt: String,
    /// Seconds for the answer on one region, > 0.
    pub timeout_s: f32,
    /// Regions asked about at most, strongest first, ≥ 1.
    pub top_k: usize,
}

impl Default for Vlm {
    fn default() -> Self {
        Self {
            address: "http://127.0.0.1:8080/v1".to_owned(),
            model: "default".to_owned(),
            prompt: include_str!("../assets/vlm_prompt.txt").trim_end().to_owned(),
            timeout_s: 60.0,
            top_k: 3,
        }
    }
}

impl Vlm {
    fn check(&self) -> Result<()> {
        if !["http://", "https://"].iter().any(|scheme| self.address.starts_with(scheme)) {
            return Err(Error::input(format!(
                "`vlm.address` is {:?}, but must begin with http:// or https://, e.g. \"http://127.0.0.1:8080/v1\".",
                self.address
            )));
        }
        if self.prompt.trim().is_empty() {
            return Err(Error::input("`vlm.prompt` is empty. Leave it out for the usual question."));
        }
        if !(self.timeout_s.is_finite() && (0.1..=3600.0).contains(&self.timeout_s)) {
            return Err(Error::input(format!(
                "`vlm.timeout_s` is {}, but must lie between 0.1 and 3600.",
                self.timeout_s
            )));
        }
        if self.top_k == 0 {
            return Err(Error::input("`vlm.top_k` is 0, but at least one region must be asked about."));
        }
        Ok(())
    }
}

/// A named preset. The recipe's fields, not the name, decide; the name says where they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Text 0.3 + memory 0.7 over CLIP's layers 9, 10, 11, standardised within each photo: the origin system.
    Origin,
    /// Nearest neighbour in the memory alone (AnomalyDINO type); needs references.
    Memory,
    /// Text and memory standardised by the references, where there are any. The default.
    Fused,
    /// Words alone, on windows of several sizes (Jeong et al. 2023).
    Winclip,
    /// The same beside the windows and patches of references, half and half; needs references.
    WinclipPlus,
    /// What the principal components of the references' patches leave over (SubspaceAD, Lendering et al. 2026); needs references.
    Subspace,
    /// Nearest neighbour among a tenth of the references' patches, each the mean of 3 × 3 (Roth et al. 2022); needs
    /// references.
    Patchcore,
    /// The photos against each other (Li et al. 2024, MuSc): no normal photos are needed, but most have to be.
    Batch,
}

impl Method {
    /// Every method of this version, in the order menus show them.
    pub const ALL: [Self; 8] = [
        Self::Fused,
        Self::Origin,
        Self::Memory,
        Self::Patchcore,
        Self::Subspace,
        Self::Winclip,
        Self::WinclipPlus,
        Self::Batch,
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Memory => "memory",
            Self::Fused => "fused",
            Self::Winclip => "winclip",
            Self::WinclipPlus => "winclip-plus",
            Self::Subspace => "subspace",
            Self::Patchcore => "patchcore",
            Self::Batch => "batch",
        }
    }

    /// Whether there is nothing to judge by without photos of normal parts.
    pub fn needs_references(self) -> bool {
        matches!(self, Self::Memory | Self::WinclipPlus | Self::Subspace | Self::Patchcore)
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|method| method.name()).collect();
            Error::input(format!("There is no method `{name}` in this version. Use one of: {}.", known.join(", ")))
        })
    }
}

/// Words for good and bad parts. In a phrase `{}` stands for the object, in a template for the phrase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// Phrases for a normal part, e.g. `flawless {}`.
    #[serde(default = "default_normal")]
    pub normal: Vec<String>,
    /// Phrases for an anomalous part, e.g. `{} with a scratch`.
    #[serde(default = "default_anomalous")]
    pub anomalous: Vec<String>,
    /// Sentences around the phrase, e.g. `a photo of a {}.`; the ensemble runs over all pairs.
    #[serde(default = "default_templates")]
    pub templates: Vec<String>,
}

/// Phrases and templates that a new recipe starts from, kept as an asset so that they can be read and edited.
const DEFAULT_PROMPTS: &str = include_str!("../assets/prompts.ron");

impl Default for Prompts {
    /// The asset names every field, so that parsing it never asks for a default.
    fn default() -> Self {
        ron::from_str(DEFAULT_PROMPTS).expect("assets/prompts.ron is part of the program and read by every test")
    }
}

fn default_normal() -> Vec<String> {
    Prompts::default().normal
}

fn default_anomalous() -> Vec<String> {
    Prompts::default().anomalous
}

fn default_templates() -> Vec<String> {
    Prompts::default().templates
}

/// Geometry of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// Pixels of the shorter side (of both when squashed); `None` takes the model's own size.
    pub short_side: Option<u32>,
    /// Keep the aspect ratio, rounding both sides to whole patches; otherwise squash to a square.
    pub keep_aspect: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { short_side: None, keep_aspect: true }
    }
}

/// Which patch features are compared with those of the references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryFeatures {
    /// The model's own patch embedding where it has one (`pocket`), the layers' tokens through the last layer norm where
    /// it has no words (DINOv2), else the layers' hidden states. Each is L2-normalised.
    Auto,
    /// Hidden states of the layers, each L2-normalised, side by side.
    Hidden,
    /// The mean of the layers' hidden states, its length kept (SubspaceAD).
    Mean,
}

/// How patches are compared with those of the references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// L2 distance to the nearest kept patch of any reference.
    Nearest,
    /// Squared length of what is left of a patch when the principal components of the references' patches are taken off it
    /// (SubspaceAD).
    Subspace,
    /// L2 distance to the nearest patch of each reference; the mean of the least 30 % of these counts, so that references with
    /// a defect do no harm while they are few (MuSc). A photo is never compared with itself.
    Mutual,
}

/// What the image score is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageScore {
    /// The mean of the most deviating patches of the fused map, see [`Recipe::top_fraction`].
    Patches,
    /// What the words say of the photo as a whole and the most deviating patch of the memory map, weighed and scaled as the
    /// map is (WinCLIP).
    Whole,
}

/// What the component maps are standardised by: (value − median) / (1.4826 · MAD).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// The foreground of the photo itself.
    Photo,
    /// The left-out reference photos; a fixed scale of the text map where there are no references.
    References,
    /// Nothing: shares and distances are added as they are.
    None,
}

/// Separation of part and background by the first principal component of the patch features (AnomalyDINO §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Foreground {
    /// Off treats the whole photo as part; right for textures and parts that fill the frame.
    pub enabled: bool,
    /// Threshold on the first principal component in units of its standard deviation.
    pub threshold: f32,
}

impl Default for Foreground {
    fn default() -> Self {
        Self { enabled: false, threshold: 0.0 }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: RECIPE_VERSION,
            model: "pocket".to_owned(),
            method: Method::Fused,
            object: "part".to_owned(),
            prompts: Prompts::default(),
            input: Input::default(),
            layers: None,
            memory_model: None,
            memory_layers: None,
            memory_input: None,
            memory_features: MemoryFeatures::Auto,
            comparison: Comparison::Nearest,
            neighbourhoods: vec![1],
            subspace_variance: 0.99,
            windows: false,
            text_weight: 0.3,
            memory_weight: 0.7,
            temperature: 0.15,
            coreset_ratio: 0.25,
            normalisation: Normalisation::References,
            foreground: Foreground::default(),
            image_score: ImageScore::Patches,
            sigma_px: 4.0,
            top_fraction: 0.01,
            image_threshold: None,
            pixel_threshold: None,
            uncertain_band: 0.05,
            top_k: 5,
            min_area_px: 0,
            quality: QualityLimits::default(),
            references: Vec::new(),
            seed: 0,
            vlm: None,
        }
    }
}

/// A share of the patches so small that it is one patch on every usual grid (up to 20,000).
const MOST_DEVIATING: f32 = 1e-4;

impl Recipe {
    /// The preset of `method`.
    pub fn for_method(method: Method) -> Self {
        let mut recipe = Self::default();
        recipe.apply_method(method);
        recipe
    }

    /// Sets the fields that `method` stands for; models, object, prompts, references and seed stay.
    pub fn apply_method(&mut self, method: Method) {
        let fused = Self::default();
        self.method = method;
        self.layers = None;
        self.memory_layers = None;
        self.memory_features = fused.memory_features;
        self.comparison = fused.comparison;
        self.neighbourhoods = fused.neighbourhoods;
        self.subspace_variance = fused.subspace_variance;
        self.windows = fused.windows;
        self.image_score = fused.image_score;
        self.text_weight = fused.text_weight;
        self.memory_weight = fused.memory_weight;
        self.temperature = fused.temperature;
        self.coreset_ratio = fused.coreset_ratio;
        self.normalisation = fused.normalisation;
        self.foreground = fused.foreground;
        self.sigma_px = fused.sigma_px;
        self.top_fraction = fused.top_fraction;
        if matches!(method, Method::Memory | Method::Subspace | Method::Patchcore | Method::Batch) {
            (self.text_weight, self.memory_weight) = (0.0, 1.0);
            self.coreset_ratio = 1.0;
        }
        match method {
            Method::Fused | Method::Memory => {}
            Method::Subspace => {
                self.comparison = Comparison::Subspace;
                self.memory_features = MemoryFeatures::Mean;
            }
            Method::Patchcore => {
                self.coreset_ratio = 0.1;
                self.neighbourhoods = vec![3];
                self.top_fraction = MOST_DEVIATING;
            }
            Method::Batch => {
                self.comparison = Comparison::Mutual;
                self.neighbourhoods = vec![1, 3, 5];
                self.top_fraction = MOST_DEVIATING;
            }
            Method::Winclip | Method::WinclipPlus => {
                let text = if method == Method::Winclip { 1.0 } else { 0.5 };
                (self.text_weight, self.memory_weight) = (text, 1.0 - text);
                self.coreset_ratio = 1.0;
                self.memory_features = MemoryFeatures::Hidden;
                self.windows = true;
                self.normalisation = Normalisation::None;
                self.image_score = ImageScore::Whole;
                self.temperature = 0.07;
                self.sigma_px = 0.0;
            }
            Method::Origin => {
                self.memory_features = MemoryFeatures::Hidden;
                self.coreset_ratio = 0.1;
                self.normalisation = Normalisation::Photo;
                self.foreground = Foreground { enabled: true, ..Foreground::default() };
                self.sigma_px = 4.0;
            }
        }
    }

    /// Reads and checks a RON file.
    ///
    /// # Errors
    /// [`Error::Input`] with line and column for a syntax error or unknown field, with the field's name for a value
    /// out of range.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("Cannot read the recipe", path, &e))?;
        Self::from_ron(&text).map_err(|e| e.at(path))
    }

    /// Parses and checks RON text.
    pub fn from_ron(text: &str) -> Result<Self> {
        let recipe: Self = ron::from_str(text)
            .map_err(|e| Error::input(format!("The recipe cannot be read: {e}. Correct that place in the file.")))?;
        recipe.check()?;
        Ok(recipe)
    }

    /// The recipe as RON text.
    pub fn to_ron(&self) -> Result<String> {
        ron::ser::to_string_pretty(self, ron::ser::PrettyConfig::default())
            .map_err(|e| Error::bug(format!("the recipe cannot be written as RON ({e}).")))
    }

    /// Refuses values that would make a verdict meaningless.
    ///
    /// # Errors
    /// [`Error::Input`] naming the field, its value and the range.
    pub fn check(&self) -> Result<()> {
        let range = |name: &str, value: f32, low: f32, high: f32| {
            if value.is_finite() && (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::input(format!("`{name}` is {value}, but must lie between {low} and {high}.")))
            }
        };
        if self.version > RECIPE_VERSION {
            return Err(Error::input(format!(
                "The recipe has format version {}, this program reads up to {RECIPE_VERSION}. Update Hairline.",
                self.version
            )));
        }
        range("text_weight", self.text_weight, 0.0, 1e3)?;
        range("memory_weight", self.memory_weight, 0.0, 1e3)?;
        if self.text_weight + self.memory_weight <= 0.0 {
            return Err(Error::input("`text_weight` and `memory_weight` are both 0: give at least one a share."));
        }
        range("temperature", self.temperature, 1e-4, 100.0)?;
        range("coreset_ratio", self.coreset_ratio, 1e-4, 1.0)?;
        range("subspace_variance", self.subspace_variance, 1e-3, 1.0)?;
        if self.neighbourhoods.is_empty()
            || self.neighbourhoods.iter().any(|side| side.is_multiple_of(2) || *side > MOST_NEIGHBOURS)
        {
            return Err(Error::input(format!(
                "`neighbourhoods` is {:?}, but must name odd sides from 1 to {MOST_NEIGHBOURS}, e.g. [1] or [1, 3].",
                self.neighbourhoods
            )));
        }
        range("foreground.threshold", self.foreground.threshold, -10.0, 10.0)?;
        range("sigma_px", self.sigma_px, 0.0, 100.0)?;
        range("top_fraction", self.top_fraction, 1e-6, 1.0)?;
        range("uncertain_band", self.uncertain_band, 0.0, 0.49)?;
        for (name, value) in [("image_threshold", self.image_threshold), ("pixel_threshold", self.pixel_threshold)] {
            if let Some(value) = value {
                range(name, value, -1e6, 1e6)?;
            }
        }
        if let Some(side) = self.input.short_side {
            range("input.short_side", side as f32, 16.0, 4096.0)?;
        }
        if let Some(side) = self.memory_input.and_then(|input| input.short_side) {
            range("memory_input.short_side", side as f32, 16.0, 4096.0)?;
        }
        for (name, layers) in [("layers", &self.layers), ("memory_layers", &self.memory_layers)] {
            if layers.as_ref().is_some_and(|layers| layers.is_empty() || layers.contains(&0)) {
                return Err(Error::input(format!("`{name}` must name at least one block, counted from 1.")));
            }
        }
        if self.memory_model.is_none() && (self.memory_layers.is_some() || self.memory_input.is_some()) {
            return Err(Error::input(
                "`memory_layers` and `memory_input` belong to a `memory_model`, but there is none. Name one, or use `layers` and `input`.",
            ));
        }
        if self.top_k == 0 {
            return Err(Error::input("`top_k` is 0, but at least one region must be allowed."));
        }
        self.quality.check()?;
        if let Some(vlm) = &self.vlm {
            vlm.check()?;
        }
        self.prompts.check()
    }

    /// The recipe as it judges these `photos`: where photos are compared with each other and no others are named, they are
    /// the references themselves.
    #[must_use]
    pub fn among(mut self, photos: impl IntoIterator<Item = PathBuf>) -> Self {
        if self.comparison == Comparison::Mutual && self.references.is_empty() {
            self.references = photos.into_iter().collect();
        }
        self
    }

    /// What photos are compared with, for reports: `16 reference photos`, or `91 photos, with each other`.
    pub fn compared_with(&self) -> String {
        match self.comparison {
            Comparison::Mutual => format!("{}, with each other", count(self.references.len(), "photo", "photos")),
            Comparison::Nearest | Comparison::Subspace => {
                count(self.references.len(), "reference photo", "reference photos")
            }
        }
    }

    /// Geometry of the input of the network whose patches the memory compares.
    pub fn memory_geometry(&self) -> Input {
        if self.memory_model.is_some() { self.memory_input.unwrap_or_default() } else { self.input }
    }

    /// What has to be computed again when `self` becomes `next`: the earliest stage that differs.
    pub fn stage_changed(&self, next: &Self) -> Option<Stage> {
        if self.model != next.model || self.memory_model != next.memory_model {
            Some(Stage::Model)
        } else if self.layers != next.layers
            || self.input != next.input
            || self.memory_layers != next.memory_layers
            || self.memory_input != next.memory_input
            || self.memory_features != next.memory_features
            || self.windows != next.windows
        {
            Some(Stage::Features)
        } else if self.references != next.references
            || self.coreset_ratio != next.coreset_ratio
            || self.comparison != next.comparison
            || self.neighbourhoods != next.neighbourhoods
            || self.subspace_variance != next.subspace_variance
            || self.seed != next.seed
        {
            Some(Stage::Memory)
        } else if self.prompts != next.prompts
            || self.object != next.object
            || self.temperature != next.temperature
            || self.foreground != next.foreground
        {
            Some(Stage::Evidence)
        } else if self != next {
            Some(Stage::Judgement)
        } else {
            None
        }
    }
}

/// Stages from a recipe to a verdict, most expensive first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Other weights: everything.
    Model,
    /// The image tower has to run again.
    Features,
    /// The memory bank is built again, from cached features.
    Memory,
    /// Only the text tower runs; maps are made again from cached features.
    Evidence,
    /// Pure arithmetic on the maps: what a slider moves.
    Judgement,
}

impl Prompts {
    /// All sentences for `phrases`: each phrase with the object filled in, in each template.
    pub fn sentences(&self, phrases: &[String], object: &str) -> Vec<String> {
        let bare = [String::from("{}")];
        let templates = if self.templates.is_empty() { &bare[..] } else { &self.templates };
        let mut sentences = Vec::with_capacity(phrases.len() * templates.len());
        for phrase in phrases {
            let phrase = phrase.replace("{}", &object.replace('_', " "));
            sentences.extend(templates.iter().map(|template| template.replace("{}", &phrase)));
        }
        sentences
    }

    fn check(&self) -> Result<()> {
        for (name, phrases) in [("prompts.normal", &self.normal), ("prompts.anomalous", &self.anomalous)] {
            if phrases.iter().all(|phrase| phrase.trim().is_empty()) {
                return Err(Error::input(format!(
                    "`{name}` has no phrase. Give at least one, e.g. \"flawless {{}}\"."
                )));
            }
        }
        if let Some(template) = self.templates.iter().find(|template| !template.contains("{}")) {
            return Err(Error::input(format!("The template {template:?} lacks `{{}}`, the place of the phrase.")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_recipe_survives_its_file() {
        let mut recipe = Recipe::for_method(Method::Origin);
        recipe.object = "größe \"ring\"".into();
        recipe.layers = Some(vec![9, 10, 11]);
        recipe.image_threshold = Some(2.5);
        assert_eq!(Recipe::from_ron(&recipe.to_ron().unwrap()).unwrap(), recipe);
    }

    #[test]
    fn missing_fields_take_defaults_and_misspelt_ones_are_refused() {
        assert_eq!(Recipe::from_ron("(object: \"gear\")").unwrap().object, "gear");
        let error = Recipe::from_ron("(treshold: 1.0)").unwrap_err().to_string();
        assert!(error.contains("treshold"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (text, field) in [
            ("(temperature: 0.0)", "temperature"),
            ("(neighbourhoods: [2])", "neighbourhoods"),
            ("(neighbourhoods: [])", "neighbourhoods"),
            ("(subspace_variance: 0.0)", "subspace_variance"),
            ("(text_weight: NaN)", "text_weight"),
            ("(text_weight: 0.0, memory_weight: 0.0)", "text_weight"),
            ("(layers: Some([0]))", "layers"),
            ("(memory_model: Some(\"x\"), memory_layers: Some([]))", "memory_layers"),
            ("(memory_input: Some((short_side: Some(448))))", "memory_model"),
            ("(prompts: (normal: [\"\"]))", "prompts.normal"),
            ("(prompts: (templates: [\"a photo\"]))", "a photo"),
            ("(version: 99)", "version 99"),
            ("(quality: (min_contrast: -1.0))", "quality.min_contrast"),
        ] {
            let error = Recipe::from_ron(text).unwrap_err().to_string();
            assert!(error.contains(field), "{text}: {error}");
        }
    }

    #[test]
    fn a_slider_never_asks_for_a_network() {
        let before = Recipe::default();
        let change = |f: fn(&mut Recipe)| {
            let mut after = before.clone();
            f(&mut after);
            before.stage_changed(&after)
        };
        assert_eq!(change(|_| {}), None);
        assert_eq!(change(|r| r.text_weight = 0.9), Some(Stage::Judgement));
        assert_eq!(change(|r| r.image_threshold = Some(1.0)), Some(Stage::Judgement));
        assert_eq!(change(|r| r.sigma_px = 1.0), Some(Stage::Judgement));
        assert_eq!(change(|r| r.quality.min_blur_score = 99.0), Some(Stage::Judgement));
        assert_eq!(change(|r| r.object = "gear".into()), Some(Stage::Evidence));
        assert_eq!(change(|r| r.references.push("a.png".into())), Some(Stage::Memory));
        assert_eq!(change(|r| r.layers = Some(vec![3])), Some(Stage::Features));
        assert_eq!(change(|r| r.memory_model = Some("x".into())), Some(Stage::Model));
        assert_eq!(change(|r| r.memory_layers = Some(vec![3])), Some(Stage::Features));
        assert_eq!(change(|r| r.windows = true), Some(Stage::Features));
        assert_eq!(change(|r| r.neighbourhoods = vec![3]), Some(Stage::Memory));
        assert_eq!(change(|r| r.image_score = ImageScore::Whole), Some(Stage::Judgement));
    }

    #[test]
    fn every_method_has_a_name_and_leaves_nothing_of_the_one_before() {
        for method in Method::ALL {
            assert_eq!(method.name().parse::<Method>().unwrap(), method);
            let mut recipe = Recipe::for_method(method);
            recipe.check().unwrap();
            assert_eq!(Recipe::from_ron(&recipe.to_ron().unwrap()).unwrap(), recipe);
            recipe.apply_method(Method::Fused);
            assert_eq!(recipe, Recipe::default(), "after {method}");
        }
    }

    #[test]
    fn sentences_are_all_pairs_with_the_object_in_plain_words() {
        let prompts = Prompts {
            normal: vec!["flawless {}".into(), "{} without defect".into()],
            anomalous: vec!["damaged {}".into()],
            templates: vec!["a photo of a {}.".into(), "a close-up of a {}.".into()],
        };
        let sentences = prompts.sentences(&prompts.normal, "metal_nut");
        assert_eq!(sentences.len(), 4);
        assert_eq!(sentences[0], "a photo of a flawless metal nut.");
        assert_eq!(sentences[3], "a close-up of a metal nut without defect.");
    }
}
