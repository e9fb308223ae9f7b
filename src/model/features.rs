//! What a network says of photos, as plain arrays that outlive the device: the currency between `model` and `anomaly`.

/// What to compute for photos; the embedding of the whole photo comes always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Want {
    /// Blocks, counted from 1, whose hidden patches are wanted.
    pub layers: Vec<usize>,
    /// Project those layers' patches into the joint space as well.
    pub project: bool,
    /// The learned patch embedding, where the model has one.
    pub patch_head: bool,
    /// Sides, in patches, of the windows that are to be seen as photos of their own (CLIP only).
    pub windows: Vec<usize>,
}

/// One photo's features.
#[derive(Clone, Debug)]
pub struct VisionFeatures {
    /// Patch grid.
    pub rows: usize,
    pub cols: usize,
    /// `[dim]`, not normalised.
    pub embedding: Vec<f32>,
    /// In the order asked for.
    pub layers: Vec<LayerFeatures>,
    /// `[rows × cols × head dim]`, unit vectors.
    pub patch_head: Option<Vec<f32>>,
    /// For each side asked for the embeddings of its windows, `[(rows - side + 1) × (cols - side + 1) × dim]`, not normalised.
    pub windows: Vec<(usize, Vec<f32>)>,
    /// Width of hidden states.
    pub width: usize,
    /// Width of the joint space.
    pub dim: usize,
}

/// Patches of one block, row by row.
#[derive(Clone, Debug)]
pub struct LayerFeatures {
    /// Block, counted from 1.
    pub layer: usize,
    /// `[rows × cols × width]`: raw output of the block.
    pub hidden: Vec<f32>,
    /// `[rows × cols × dim]`: after the last layer norm and the projection, not normalised.
    pub projected: Option<Vec<f32>>,
}
