//! What each weight of our modules is called in published files: Hugging Face transformers' CLIP and open_clip. The only
//! place that knows foreign names; adding a naming means adding a table here.

/// Who wrote the weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// transformers: `vision_model.encoder.layers.0.self_attn.q_proj.weight`, …
    HuggingFace,
    /// open_clip: `visual.transformer.resblocks.0.attn.in_proj_weight`, …
    OpenClip,
}

/// Where one weight of ours comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Names in the file; several are laid side by side along the output axis (query, key, value).
    pub names: Vec<String>,
    /// The file has `[out, in]` where our linear layers have `[in, out]`.
    pub transposed: bool,
}

/// (our beginning, theirs); the first that fits is used.
type Beginnings = &'static [(&'static str, &'static str)];
/// (our part, theirs); all that fit are used.
type Parts = &'static [(&'static str, &'static str)];

const HUGGING_FACE: (Beginnings, Parts) = (
    &[
        ("vision.class_token", "vision_model.embeddings.class_embedding"),
        ("vision.positions", "vision_model.embeddings.position_embedding.weight"),
        ("vision.stem.projection.", "vision_model.embeddings.patch_embedding."),
        ("vision.stem.stages.", "vision_model.embeddings.stem."),
        ("vision.pre_norm.", "vision_model.pre_layrnorm."),
        ("vision.encoder.blocks.", "vision_model.encoder.layers."),
        ("vision.post_norm.", "vision_model.post_layernorm."),
        ("vision.projection.", "visual_projection."),
        ("vision.patch_head.", "patch_head."),
        ("text.tokens.", "text_model.embeddings.token_embedding."),
        ("text.positions", "text_model.embeddings.position_embedding.weight"),
        ("text.encoder.blocks.", "text_model.encoder.layers."),
        ("text.final_norm.", "text_model.final_layer_norm."),
        ("text.projection.", "text_projection."),
    ],
    &[(".norm1.", ".layer_norm1."), (".norm2.", ".layer_norm2."), (".attention.out.", ".self_attn.out_proj.")],
);

const OPEN_CLIP: (Beginnings, Parts) = (
    &[
        ("vision.class_token", "visual.class_embedding"),
        ("vision.positions", "visual.positional_embedding"),
        ("vision.stem.projection.", "visual.conv1."),
        ("vision.pre_norm.", "visual.ln_pre."),
        ("vision.encoder.blocks.", "visual.transformer.resblocks."),
        ("vision.post_norm.", "visual.ln_post."),
        ("vision.projection.weight", "visual.proj"),
        ("text.tokens.", "token_embedding."),
        ("text.positions", "positional_embedding"),
        ("text.encoder.blocks.", "transformer.resblocks."),
        ("text.final_norm.", "ln_final."),
        ("text.projection.weight", "text_projection"),
    ],
    &[
        (".norm1.", ".ln_1."),
        (".norm2.", ".ln_2."),
        (".attention.qkv.weight", ".attn.in_proj_weight"),
        (".attention.qkv.bias", ".attn.in_proj_bias"),
        (".attention.out.", ".attn.out_proj."),
        (".mlp.fc1.", ".mlp.c_fc."),
        (".mlp.fc2.", ".mlp.c_proj."),
    ],
);

/// Where the weight at `path` of `model::clip::Clip` lies in a file; `linear` tells that it is a linear layer's matrix.
pub fn slot(path: &str, linear: bool, naming: Naming) -> Slot {
    let (beginnings, parts) = match naming {
        Naming::HuggingFace => HUGGING_FACE,
        Naming::OpenClip => OPEN_CLIP,
    };
    let mut name = path.to_owned();
    if let Some((ours, theirs)) = beginnings.iter().find(|(ours, _)| path.starts_with(ours)) {
        name = format!("{theirs}{}", &path[ours.len()..]);
    }
    for (ours, theirs) in parts {
        name = name.replace(ours, theirs);
    }
    // Norms call their weight and bias gamma and beta here.
    for (ours, theirs) in [(".gamma", ".weight"), (".beta", ".bias")] {
        if let Some(stem) = name.strip_suffix(ours) {
            name = format!("{stem}{theirs}");
        }
    }
    // open_clip keeps its two projections as bare matrices, already [in, out].
    let transposed = linear && !(naming == Naming::OpenClip && path.ends_with(".projection.weight"));
    let names = if name.contains(".attention.qkv.") {
        ["q", "k", "v"].map(|which| name.replace(".attention.qkv.", &format!(".self_attn.{which}_proj."))).to_vec()
    } else {
        vec![name]
    };
    Slot { names, transposed }
}

/// Tensors that some writers store although they are no weights.
pub fn is_no_weight(name: &str) -> bool {
    name.ends_with(".position_ids")
        || name.ends_with("attn_mask")
        || ["input_resolution", "context_length", "vocab_size"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names() {
        let one = |path, linear, naming| {
            let slot = slot(path, linear, naming);
            assert_eq!(slot.names.len(), 1);
            (slot.names[0].clone(), slot.transposed)
        };
        for (path, linear, face, open) in [
            (
                "vision.encoder.blocks.11.mlp.fc1.weight",
                true,
                ("vision_model.encoder.layers.11.mlp.fc1.weight", true),
                ("visual.transformer.resblocks.11.mlp.c_fc.weight", true),
            ),
            ("text.projection.weight", true, ("text_projection.weight", true), ("text_projection", false)),
            ("vision.pre_norm.beta", false, ("vision_model.pre_layrnorm.bias", false), ("visual.ln_pre.bias", false)),
            ("logit_scale", false, ("logit_scale", false), ("logit_scale", false)),
        ] {
            assert_eq!(one(path, linear, Naming::HuggingFace), (face.0.to_owned(), face.1));
            assert_eq!(one(path, linear, Naming::OpenClip), (open.0.to_owned(), open.1));
        }
        let qkv = slot("text.encoder.blocks.0.attention.qkv.bias", false, Naming::HuggingFace);
        assert_eq!(qkv.names[2], "text_model.encoder.layers.0.self_attn.v_proj.bias");
        let fused = slot("text.encoder.blocks.0.attention.qkv.weight", true, Naming::OpenClip);
        assert_eq!(fused.names, ["transformer.resblocks.0.attn.in_proj_weight"]);
    }
}
