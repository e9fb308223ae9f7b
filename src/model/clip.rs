//! CLIP (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"; reference:
//! transformers `modeling_clip.py`): a vision and a text tower into one space. The modules run on any device, with or
//! without gradients; names of weights in files are `weights`'s business, pixels and tokens come in ready-made.

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::{ClipConfig, Pooling, TextConfig, VisionConfig};
use super::layer_norm::LayerNorm;
use super::patch_head::PatchHead;
use super::positions::{self, Bicubic};
use super::pyramid;
use super::stem::Stem;
use super::vit::{Encoder, EncoderConfig};

/// Share of the half-size level in the layers of a pyramid. With a third, text maps of `pocket` are better on large damage and
/// worse on procedural parts; with a quarter they are better on the one and as good on the other.
const HALF_SIZE: f32 = 0.25;

/// What the vision tower says of a batch of images.
#[derive(Debug, Clone)]
pub struct VisionOutput {
    /// `[batch, width]`, after the last layer norm, before the projection.
    pub pooled: Tensor<2>,
    /// `[batch, dim]` in the joint space, not normalised.
    pub embedding: Tensor<2>,
    /// Raw outputs of the blocks asked for, patches only: `[batch, patches, width]` each, row by row. With a pyramid the mean
    /// over its levels.
    pub layers: Vec<Tensor<3>>,
    /// `[batch, patches, head dim]`, unit vectors, when it was asked for and the model has a patch head.
    pub patch_embedding: Option<Tensor<3>>,
    /// Patch grid (rows, columns).
    pub grid: (usize, usize),
}

/// Images to embeddings.
#[derive(Module, Debug)]
pub struct VisionTower {
    pub stem: Stem,
    /// `[width]`; absent where the mean is pooled.
    pub class_token: Option<Param<Tensor<1>>>,
    /// `[class token + trained grid², width]`; absent with conditional positions.
    pub positions: Option<Param<Tensor<2>>>,
    pub pre_norm: LayerNorm,
    pub encoder: Encoder,
    pub post_norm: LayerNorm,
    pub projection: Linear,
    pub patch_head: Option<PatchHead>,
    trained_grid: usize,
    patch_size: usize,
    /// 1: a photo is seen at its size; 2: at half of it as well.
    pub pyramid_levels: usize,
}

impl VisionTower {
    pub fn new(config: &VisionConfig, dim: usize, device: &Device) -> Self {
        let width = config.hidden_size;
        let norm = || LayerNorm::new(width, config.layer_norm_eps, device);
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        let tokens = config.prefix_tokens() + config.trained_grid().pow(2);
        let encoder = EncoderConfig {
            layers: config.num_hidden_layers,
            width,
            heads: config.num_attention_heads,
            hidden: config.intermediate_size,
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps,
            gated: false,
            layer_scale: false,
            causal: false,
            conditional_positions: config.conditional_positions,
        };
        Self {
            stem: Stem::new(config, device),
            class_token: (config.pooling == Pooling::Cls).then(|| small.init([width], device)),
            positions: (!config.conditional_positions).then(|| small.init([tokens, width], device)),
            pre_norm: norm(),
            encoder: Encoder::new(&encoder, device),
            post_norm: norm(),
            projection: LinearConfig::new(width, dim).with_bias(false).init(device),
            patch_head: config.patch_head.as_ref().map(|head| PatchHead::new(head, config, device)),
            trained_grid: config.trained_grid(),
            patch_size: config.patch_size,
            pyramid_levels: config.pyramid_levels,
        }
    }

    /// Pixels `[batch, 3, height, width]`, normalised, both sides multiples of the patch; `layers` are block numbers from
    /// 1 whose hidden patches are wanted; `patch_head` asks for the patch embedding too.
    pub fn forward(&self, pixels: Tensor<4>, layers: &[usize], patch_head: bool) -> VisionOutput {
        let head = self.patch_head.as_ref().filter(|_| patch_head);
        let wanted: Vec<usize> = layers.iter().chain(head.iter().flat_map(|head| head.layers())).copied().collect();
        let (last, hidden, grid) = self.run(pixels.clone(), &wanted);
        let patches = grid.0 * grid.1;
        let prefix = last.dims()[1] - patches;
        let mut hidden: Vec<_> = hidden.into_iter().map(|x| x.narrow(1, prefix, patches)).collect();
        let for_head = hidden.split_off(layers.len());

        let pooled = self.pooled(last, prefix);
        VisionOutput {
            embedding: self.projection.forward(pooled.clone()),
            pooled,
            layers: self.with_half_size(pixels, layers, hidden, grid),
            patch_embedding: head.map(|head| head.forward(for_head)),
            grid,
        }
    }

    /// Raw outputs of the blocks in `layers` (counted from 1), class token included where there is one:
    /// `[batch, tokens, width]` each; and the patch grid (rows, columns).
    pub fn tokens(&self, pixels: Tensor<4>, layers: &[usize]) -> (Vec<Tensor<3>>, (usize, usize)) {
        let (_, hidden, grid) = self.run(pixels, layers);
        (hidden, grid)
    }

    /// Embeddings `[batch, windows, dim]` in the joint space, not normalised, of every window of `side` × `side` patches, row
    /// by row: the network sees the window's patches, at their positions in the photo, and the class token if it has one
    /// (WinCLIP, Jeong et al. 2023, §4.2).
    ///
    /// # Panics
    /// If the grid has fewer patches than `side` along a side.
    pub fn windows(&self, pixels: Tensor<4>, side: usize) -> Tensor<3> {
        let (x, (rows, cols)) = self.embedded(pixels);
        assert!((1..=rows.min(cols)).contains(&side), "a window of {side} patches lies in {rows} × {cols}");
        let [batch, tokens, width] = x.dims();
        let prefix = tokens - rows * cols;
        let corners = (0..=rows - side).flat_map(|row| (0..=cols - side).map(move |col| (row, col)));
        let inside = |(row, col): (usize, usize)| {
            let patches =
                (row..row + side).flat_map(move |row| (col..col + side).map(move |col| prefix + row * cols + col));
            (0..prefix).chain(patches).map(|token| token as i32)
        };
        let chosen: Vec<i32> = corners.flat_map(inside).collect();
        let each = prefix + side * side;
        let (count, device) = (chosen.len() / each, x.device());
        let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [count * each]), &device);
        let windows = x.select(1, chosen).reshape([batch * count, each, width]);
        let (last, _) = self.encoder.forward(windows, (side, side), &[]);
        let embedding = self.projection.forward(self.pooled(last, prefix));
        let [_, dim] = embedding.dims();
        embedding.reshape([batch, count, dim])
    }

    /// Class token or mean of the last block's `[batch, tokens, width]`, through the last layer norm: `[batch, width]`.
    fn pooled(&self, last: Tensor<3>, prefix: usize) -> Tensor<2> {
        let [batch, _, width] = last.dims();
        if prefix == 0 {
            self.post_norm.forward(last).mean_dim(1).reshape([batch, width])
        } else {
            self.post_norm.forward(last.narrow(1, 0, 1)).reshape([batch, width])
        }
    }

    /// What the blocks take in, class token included where there is one, and the patch grid.
    fn embedded(&self, pixels: Tensor<4>) -> (Tensor<3>, (usize, usize)) {
        let (x, grid) = self.stem.forward(pixels);
        (self.pre_norm.forward(self.with_positions(x, grid)), grid)
    }

    /// The last block's tokens, those of the blocks asked for, and the patch grid.
    fn run(&self, pixels: Tensor<4>, layers: &[usize]) -> (Tensor<3>, Vec<Tensor<3>>, (usize, usize)) {
        let (x, grid) = self.embedded(pixels);
        let (last, hidden) = self.encoder.forward(x, grid, layers);
        (last, hidden, grid)
    }

    /// `fine` patches of `layers` at the size of `pixels` → with a pyramid their mean with those at half the size, which
    /// count [`HALF_SIZE`].
    fn with_half_size(
        &self,
        pixels: Tensor<4>,
        layers: &[usize],
        fine: Vec<Tensor<3>>,
        grid: (usize, usize),
    ) -> Vec<Tensor<3>> {
        if self.pyramid_levels == 1 || layers.is_empty() {
            return fine;
        }
        let (_, coarse, coarse_grid) = self.run(pyramid::halved(pixels, self.patch_size), layers);
        let mean = |(fine, coarse): (Tensor<3>, Tensor<3>)| {
            fine * (1.0 - HALF_SIZE) + pyramid::on_grid(coarse, coarse_grid, grid) * HALF_SIZE
        };
        fine.into_iter().zip(coarse).map(mean).collect()
    }

    /// Hidden patches `[batch, patches, width]` of any layer into the joint space `[batch, patches, dim]`: last layer norm
    /// and projection, not normalised. What the text map compares with texts.
    pub fn project_patches(&self, hidden: Tensor<3>) -> Tensor<3> {
        self.projection.forward(self.post_norm.forward(hidden))
    }

    /// Class token in front, position embeddings added, interpolated to the grid at hand.
    fn with_positions(&self, patches: Tensor<3>, grid: (usize, usize)) -> Tensor<3> {
        let [batch, _, width] = patches.dims();
        let x = match &self.class_token {
            Some(token) => {
                let token = token.val().reshape([1, 1, width]).expand([batch, 1, width]);
                Tensor::cat(vec![token, patches], 1)
            }
            None => patches,
        };
        let Some(table) = &self.positions else { return x };
        x + positions::on_grid(table.val(), self.trained_grid, grid, Bicubic::Plain).unsqueeze::<3>()
    }
}

/// Token ids to embeddings.
#[derive(Module, Debug)]
pub struct TextTower {
    pub tokens: Embedding,
    /// `[longest text, width]`
    pub positions: Param<Tensor<2>>,
    pub encoder: Encoder,
    pub final_norm: LayerNorm,
    pub projection: Linear,
}

impl TextTower {
    pub fn new(config: &TextConfig, dim: usize, device: &Device) -> Self {
        let width = config.hidden_size;
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        let encoder = EncoderConfig {
            layers: config.num_hidden_layers,
            width,
            heads: config.num_attention_heads,
            hidden: config.intermediate_size,
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps,
            gated: false,
            layer_scale: false,
            causal: true,
            conditional_positions: false,
        };
        Self {
            tokens: EmbeddingConfig::new(config.vocab_size, width).with_initializer(small.clone()).init(device),
            positions: small.init([config.max_position_embeddings, width], device),
            encoder: Encoder::new(&encoder, device),
            final_norm: LayerNorm::new(width, config.layer_norm_eps, device),
            projection: LinearConfig::new(width, dim).with_bias(false).init(device),
        }
    }

    /// Ids `[batch, tokens]` and the position of the end token in each row → embeddings `[batch, dim]`, not normalised.
    ///
    /// A token sees only those before it, so whatever follows the end token has no influence and may be cut off.
    ///
    /// # Panics
    /// If there are more tokens than positions, or `ends` has not one entry per row.
    pub fn forward(&self, ids: Tensor<2, Int>, ends: &[usize]) -> Tensor<2> {
        self.projection.forward(self.pooled(ids, ends))
    }

    /// The end tokens after the last layer norm, before the projection: `[batch, width]`. As [`TextTower::forward`].
    ///
    /// # Panics
    /// As [`TextTower::forward`].
    pub fn pooled(&self, ids: Tensor<2, Int>, ends: &[usize]) -> Tensor<2> {
        let [batch, tokens] = ids.dims();
        assert_eq!(ends.len(), batch, "one end position per text");
        let x = self.tokens.forward(ids) + self.positions.val().narrow(0, 0, tokens).unsqueeze::<3>();
        let width = x.dims()[2];
        let device = x.device();
        let (x, _) = self.encoder.forward(x, (1, tokens), &[]);
        let rows: Vec<i32> = ends.iter().enumerate().map(|(row, end)| (row * tokens + end) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &device);
        self.final_norm.forward(x.reshape([batch * tokens, width]).select(0, rows))
    }
}

/// Both towers and the temperature between them.
#[derive(Module, Debug)]
pub struct Clip {
    pub vision: VisionTower,
    pub text: TextTower,
    /// `[1]`: logarithm of the inverse temperature; a scalar in files.
    pub logit_scale: Param<Tensor<1>>,
}

impl Clip {
    /// A network with random weights of the sizes in `config`, which must have passed [`ClipConfig::check`].
    pub fn new(config: &ClipConfig, device: &Device) -> Self {
        let scale = Initializer::Constant { value: config.logit_scale_init_value };
        Self {
            vision: VisionTower::new(&config.vision_config, config.projection_dim, device),
            text: TextTower::new(&config.text_config, config.projection_dim, device),
            logit_scale: scale.init([1], device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{InputNormalisation, PatchHeadConfig};
    use super::*;
    use burn::optim::GradientsParams;
    use burn::tensor::Distribution;

    fn small() -> ClipConfig {
        ClipConfig {
            text_config: TextConfig {
                vocab_size: 50,
                hidden_size: 16,
                intermediate_size: 32,
                num_hidden_layers: 2,
                num_attention_heads: 2,
                max_position_embeddings: 9,
                ..TextConfig::default()
            },
            vision_config: VisionConfig {
                hidden_size: 32,
                intermediate_size: 64,
                num_hidden_layers: 3,
                num_attention_heads: 4,
                image_size: 32,
                patch_size: 8,
                ..VisionConfig::default()
            },
            projection_dim: 12,
            ..ClipConfig::default()
        }
    }

    fn pocket() -> ClipConfig {
        let mut config = small();
        config.vision_config = VisionConfig {
            stem_channels: Some(vec![8, 16]),
            conditional_positions: true,
            pooling: Pooling::Mean,
            patch_head: Some(PatchHeadConfig { layers: vec![2, 3], dim: 6 }),
            input_normalisation: InputNormalisation::PerImage,
            pyramid_levels: 2,
            ..config.vision_config
        };
        config
    }

    fn ids(device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(vec![1, 7, 9, 2, 1, 8, 2, 0], [2, 4]), device)
    }

    #[test]
    fn shapes_on_a_grid_that_is_not_square() {
        let device = Device::flex();
        for config in [small(), pocket()] {
            let clip = Clip::new(&config, &device);
            let pixels = Tensor::random([2, 3, 24, 40], Distribution::Normal(0.0, 1.0), &device);
            let out = clip.vision.forward(pixels, &[3, 1], true);
            assert_eq!(out.grid, (3, 5));
            assert_eq!((out.pooled.dims(), out.embedding.dims()), ([2, 32], [2, 12]));
            assert_eq!(out.layers.iter().map(Tensor::dims).collect::<Vec<_>>(), [[2, 15, 32]; 2]);
            assert_eq!(clip.vision.project_patches(out.layers[0].clone()).dims(), [2, 15, 12]);
            let head = config.vision_config.patch_head.is_some();
            assert_eq!(out.patch_embedding.map(|x| x.dims()), head.then_some([2, 15, 6]));
        }
    }

    #[test]
    fn with_two_levels_a_layer_is_a_mean_of_both_sizes_and_all_else_is_of_the_full_one() {
        let device = Device::flex();
        let mut tower = Clip::new(&pocket(), &device).vision;
        let pixels = Tensor::random([2, 3, 32, 48], Distribution::Normal(0.0, 1.0), &device);
        let both = tower.forward(pixels.clone(), &[2], true);
        tower.pyramid_levels = 1;
        let fine = tower.forward(pixels.clone(), &[2], true);
        let coarse = tower.forward(pyramid::halved(pixels, 8), &[2], true);
        assert_eq!((both.grid, fine.grid, coarse.grid), ((4, 6), (4, 6), (2, 3)));
        let coarse = pyramid::on_grid(coarse.layers[0].clone(), (2, 3), (4, 6));
        let mean = fine.layers[0].clone() * 0.75 + coarse * 0.25;
        let difference = |a: Tensor<3>, b: Tensor<3>| (a - b).abs().max().into_scalar::<f32>();
        assert!(difference(both.layers[0].clone(), mean) < 1e-5);
        assert!(difference(both.layers[0].clone(), fine.layers[0].clone()) > 1e-3, "the smaller size has a say");
        let [two, one] = [both, fine].map(|output| (output.patch_embedding.expect("configured"), output.embedding));
        assert!(difference(two.0, one.0) == 0.0);
        assert!((two.1 - one.1).abs().max().into_scalar::<f32>() == 0.0);
    }

    #[test]
    fn what_follows_the_end_token_has_no_influence() {
        let device = Device::flex();
        let clip = Clip::new(&small(), &device);
        let long = clip.text.forward(ids(&device), &[3, 2]).narrow(0, 1, 1);
        let short = clip.text.forward(ids(&device).slice([1..2, 0..3]), &[2]);
        let difference = (long - short).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn every_weight_of_the_small_model_has_a_gradient() {
        let device = Device::flex().autodiff();
        let clip = Clip::new(&pocket(), &device);
        let pixels = Tensor::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        let image = clip.vision.forward(pixels, &[3], true);
        let text = clip.text.forward(ids(&device), &[3, 2]);
        let weights = Tensor::random(image.embedding.dims(), Distribution::Normal(0.0, 1.0), &device);
        let head = image.patch_embedding.expect("configured").powi_scalar(3).sum();
        let loss = (image.embedding * text * weights).sum() * clip.logit_scale.val().exp() + head;
        let gradients = GradientsParams::from_grads(loss.backward(), &clip);
        let parameters = burn::module::list_param_ids(&clip);
        assert_eq!(gradients.len(), parameters.len());
    }
}
