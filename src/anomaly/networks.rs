//! The networks that a recipe names: one for photo and words, and, where the recipe asks for it, another whose patches
//! the memory compares. They answer what every later stage asks of them: whether there are words, which layers, which
//! input, and whether the recipe can be followed at all. Nothing runs here.

use std::sync::Arc;

use crate::model::config::Pooling;
use crate::model::{Backbone, ClipModel, Geometry};
use crate::recipe::{Input, MemoryFeatures, Recipe};
use crate::{Error, Result};

/// The loaded networks of a recipe.
#[derive(Clone, Debug)]
pub struct Networks {
    model: Arc<Backbone>,
    memory: Option<Arc<Backbone>>,
}

/// How one network looks at photos under a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gaze {
    pub geometry: Geometry,
    /// Blocks from 1.
    pub layers: Vec<usize>,
}

/// Which vectors of a network the memory compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The learned patch embedding (`pocket`).
    Head,
    /// Patch tokens through the last layer norm: of a network without words, as DINOv2's authors use them.
    Normed,
    /// Raw outputs of the blocks, each of length 1, side by side.
    Hidden,
    /// The mean of the blocks' raw outputs.
    Mean,
}

impl Networks {
    /// `memory` only where it is another network than `model`.
    pub fn new(model: Arc<Backbone>, memory: Option<Arc<Backbone>>) -> Self {
        Self { model, memory }
    }

    /// The recipe's model.
    pub fn model(&self) -> &Backbone {
        &self.model
    }

    /// The text tower, if the recipe's model has one.
    pub fn words(&self) -> Option<&ClipModel> {
        self.model.as_clip()
    }

    /// The network whose patches the memory compares.
    pub fn memory(&self) -> &Backbone {
        self.memory.as_deref().unwrap_or(&self.model)
    }

    /// The memory's network where it is one of its own.
    pub fn separate_memory(&self) -> Option<&Backbone> {
        self.memory.as_deref()
    }

    /// How the recipe's model looks at photos.
    ///
    /// # Errors
    /// [`Error::Input`] for a layer that it does not have.
    pub fn gaze(&self, recipe: &Recipe) -> Result<Gaze> {
        gaze(&self.model, recipe.input, recipe.layers.as_deref(), "layers")
    }

    /// How the memory's network looks at photos: as the recipe's model where it is the same.
    ///
    /// # Errors
    /// [`Error::Input`] for a layer that it does not have.
    pub fn memory_gaze(&self, recipe: &Recipe) -> Result<Gaze> {
        match &self.memory {
            None => self.gaze(recipe),
            Some(memory) => gaze(memory, recipe.memory_geometry(), recipe.memory_layers.as_deref(), "memory_layers"),
        }
    }

    /// What the memory compares.
    pub fn compared(&self, recipe: &Recipe) -> Compared {
        let info = self.memory().info();
        match recipe.memory_features {
            MemoryFeatures::Hidden => Compared::Hidden,
            MemoryFeatures::Mean => Compared::Mean,
            MemoryFeatures::Auto if info.has_patch_head => Compared::Head,
            MemoryFeatures::Auto if info.has_text => Compared::Hidden,
            MemoryFeatures::Auto => Compared::Normed,
        }
    }

    /// Refuses a recipe that these networks cannot follow.
    ///
    /// # Errors
    /// [`Error::Input`] for layers that are not there, and for words where no network reads them.
    pub fn check(&self, recipe: &Recipe) -> Result<()> {
        self.gaze(recipe)?;
        self.memory_gaze(recipe)?;
        let id = &self.model.info().id;
        if recipe.windows && self.memory.is_some() {
            return Err(Error::input(format!(
                "Windows are those of the model `{id}`, but the memory has a model of its own. Leave `memory_model` out, or choose a method without windows."
            )));
        }
        if self.words().is_some() {
            return Ok(());
        }
        if recipe.windows {
            return Err(Error::input(format!(
                "Windows are compared with words, but the model `{id}` sees photos only. Choose a CLIP model as `model` (or `pocket`), or a method without windows."
            )));
        }
        if self.memory.is_some() {
            return Err(Error::input(format!(
                "The model `{id}` sees photos only, and the memory has a model of its own, so nothing is left for it to do. Choose a CLIP model as `model` (or `pocket`), or leave `memory_model` out."
            )));
        }
        if recipe.text_weight > 0.0 {
            return Err(Error::input(format!(
                "The model `{id}` sees photos only and reads no words, but the text map has the weight {}. Use the method `memory` (or `--text-weight 0`), or give it as `--memory-model` beside a CLIP model.",
                recipe.text_weight
            )));
        }
        if recipe.references.is_empty() {
            return Err(Error::input(format!(
                "The model `{id}` sees photos only, so it can but compare with normal photos, and no reference photo was given. Add some (`--normal DIR`), or use a CLIP model."
            )));
        }
        Ok(())
    }

    /// What a person should know of the recipe under these networks although it can be followed.
    pub fn remark(&self, recipe: &Recipe) -> Option<String> {
        let words = self.words().filter(|_| recipe.windows && recipe.text_weight > 0.0)?;
        (words.config().vision_config.pooling == Pooling::Mean).then(|| {
            format!(
                "`{}` was not trained to see windows of a few patches: what its words say of them is no better than chance. Choose a CLIP model for this method.",
                words.info().id
            )
        })
    }

    /// What distinguishes features of one photo under these networks: the cache's key beside photo and models.
    ///
    /// # Errors
    /// As [`Networks::gaze`].
    pub fn variant(&self, recipe: &Recipe) -> Result<String> {
        let compared = match self.compared(recipe) {
            Compared::Head => "head",
            Compared::Normed => "normed",
            Compared::Hidden => "hidden",
            Compared::Mean => "mean",
        };
        let windows = if recipe.windows { "-windows" } else { "" };
        let (own, memory) = (self.gaze(recipe)?.name() + windows, self.memory_gaze(recipe)?.name());
        Ok(if self.memory.is_some() { format!("{own}+{memory}-{compared}") } else { format!("{own}-{compared}") })
    }
}

impl Gaze {
    fn name(&self) -> String {
        let layers: Vec<String> = self.layers.iter().map(ToString::to_string).collect();
        let geometry = match self.geometry {
            Geometry::Reference => "reference".to_owned(),
            Geometry::KeepAspect { short_side } => format!("aspect{short_side}"),
            Geometry::Squash { size } => format!("squash{size}"),
        };
        format!("{geometry}-l{}", layers.join("_"))
    }
}

fn gaze(backbone: &Backbone, input: Input, layers: Option<&[usize]>, field: &str) -> Result<Gaze> {
    let info = backbone.info();
    let layers = layers.map_or_else(|| backbone.default_layers(), <[usize]>::to_vec);
    if let Some(layer) = layers.iter().find(|layer| **layer == 0 || **layer > info.layers) {
        return Err(Error::input(format!(
            "The recipe asks for layer {layer}, but the model `{}` has layers 1 to {}. Change `{field}`.",
            info.id, info.layers
        )));
    }
    let short_side = input.short_side.unwrap_or(info.short_side as u32);
    let geometry =
        if input.keep_aspect { Geometry::KeepAspect { short_side } } else { Geometry::Squash { size: short_side } };
    Ok(Gaze { geometry, layers })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::model::ModelSource;
    use crate::recipe::Method;

    fn backbone(name: &str) -> Arc<Backbone> {
        let path = format!("{}/tests/fixtures/model/{name}", env!("CARGO_MANIFEST_DIR"));
        let source = if name == "pocket" { ModelSource::Pocket } else { ModelSource::resolve(&path).unwrap() };
        Arc::new(Backbone::load(&source, &burn::tensor::Device::flex()).unwrap())
    }

    #[test]
    fn each_network_has_its_own_layers_and_input() {
        let both = Networks::new(backbone("pocket"), Some(backbone("dinov2")));
        let recipe = Recipe { memory_model: Some("x".into()), ..Recipe::default() };
        assert_eq!(both.memory_gaze(&recipe).unwrap().name(), "aspect448-l3");
        assert_eq!(both.compared(&recipe), Compared::Normed);
        assert!(both.variant(&recipe).unwrap().ends_with("+aspect448-l3-normed"));
        let recipe = Recipe {
            memory_layers: Some(vec![1, 2]),
            memory_input: Some(Input { short_side: Some(70), keep_aspect: false }),
            memory_features: MemoryFeatures::Hidden,
            ..recipe
        };
        assert!(both.variant(&recipe).unwrap().ends_with("+squash70-l1_2-hidden"));
        let message = both.check(&Recipe { memory_layers: Some(vec![9]), ..recipe }).unwrap_err().to_string();
        assert!(message.contains("layer 9") && message.contains("memory_layers"), "{message}");
        let alone = Networks::new(backbone("pocket"), None);
        assert_eq!(alone.compared(&Recipe::default()), Compared::Head);
        assert_eq!(alone.gaze(&Recipe::default()).unwrap(), alone.memory_gaze(&Recipe::default()).unwrap());
    }

    #[test]
    fn windows_need_words_of_the_one_network_and_pocket_says_what_it_cannot_do() {
        let mut recipe = Recipe { references: vec!["a.png".into()], ..Recipe::default() };
        recipe.apply_method(Method::WinclipPlus);
        let alone = Networks::new(backbone("pocket"), None);
        alone.check(&recipe).unwrap();
        assert!(alone.variant(&recipe).unwrap().contains("-windows"));
        assert!(alone.remark(&recipe).unwrap().contains("not trained"));
        assert_eq!(alone.remark(&Recipe::default()), None);
        let refusal = |networks: Networks| networks.check(&recipe).unwrap_err().to_string();
        assert!(refusal(Networks::new(backbone("vit"), None)).contains("sees photos only"));
        let both = Networks::new(backbone("pocket"), Some(backbone("dinov2")));
        assert!(refusal(both).contains("Leave `memory_model` out"));
    }

    #[test]
    fn a_model_without_words_needs_references_and_no_text_weight() {
        let vision = Networks::new(backbone("vit"), None);
        let refusal = |recipe: &Recipe| vision.check(recipe).unwrap_err().to_string();
        let fused = Recipe { references: vec!["a.png".into()], ..Recipe::default() };
        assert!(refusal(&fused).contains("the text map has the weight 0.3"), "{}", refusal(&fused));
        let mut memory = fused.clone();
        memory.apply_method(Method::Memory);
        vision.check(&memory).unwrap();
        memory.references.clear();
        assert!(refusal(&memory).contains("no reference photo"));
        let both = Networks::new(backbone("vit"), Some(backbone("dinov2")));
        assert!(both.check(&fused).unwrap_err().to_string().contains("nothing is left"));
    }
}
