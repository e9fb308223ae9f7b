//! What each weight of our modules is called in published files: Hugging Face transformers' CLIP and DINOv2, open_clip,
//! timm. The only place that knows foreign names; adding a naming means adding a table here.

/// Who wrote the weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// transformers: `vision_model.encoder.layers.0.self_attn.q_proj.weight`, …
    HuggingFace,
    /// open_clip: `visual.transformer.resblocks.0.attn.in_proj_weight`, …
    OpenClip,
    /// transformers' DINOv2: `encoder.layer.0.attention.attention.query.weight`, …
    Dinov2,
    /// The same where the linear layers are gated (the giant): `encoder.layer.0.mlp.weights_in.weight`, …
    Dinov2Gated,
    /// transformers' CLIPSeg: CLIP's names behind `clip.`, and a decoder's.
    ClipSeg,
    /// timm's ViT: `blocks.0.attn.qkv.weight`, …
    Timm,
}

impl Naming {
    fn table(self) -> &'static Table {
        match self {
            Self::HuggingFace => &HUGGING_FACE,
            Self::ClipSeg => &CLIPSEG,
            Self::OpenClip => &OPEN_CLIP,
            Self::Dinov2 => &DINOV2,
            Self::Dinov2Gated => &DINOV2_GATED,
            Self::Timm => &TIMM,
        }
    }
}

/// Where one weight of ours comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Names in the file; several are laid side by side along the output axis (query, key, value).
    pub names: Vec<String>,
    /// The file has `[out, in]` where our linear layers have `[in, out]`.
    pub transposed: bool,
}

/// One naming.
struct Table {
    /// (our beginning, theirs); the first that fits is used.
    beginnings: &'static [(&'static str, &'static str)],
    /// (our part, theirs); all that fit are used.
    parts: &'static [(&'static str, &'static str)],
    /// What stands for `attention.qkv` where query, key and value are three layers.
    apart: Option<[&'static str; 3]>,
    /// Beginnings and ends of tensors that files hold and these networks do not have: buffers, heads of other tasks.
    ignored: (&'static [&'static str], &'static [&'static str]),
}

const HUGGING_FACE: Table = Table {
    beginnings: &[
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
    parts: &[(".norm1.", ".layer_norm1."), (".norm2.", ".layer_norm2."), (".attention.out.", ".self_attn.out_proj.")],
    apart: Some(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ignored: (&[], &[".position_ids"]),
};

/// What follows `clip.` is [`HUGGING_FACE`]'s.
const CLIPSEG: Table = Table {
    beginnings: &[
        ("decoder.plain.", "decoder.transposed_convolution."),
        ("decoder.refined.conv.", "decoder.transposed_convolution.0."),
        ("decoder.refined.up1.", "decoder.transposed_convolution.2."),
        ("decoder.refined.up2.", "decoder.transposed_convolution.4."),
    ],
    ..HUGGING_FACE
};

const OPEN_CLIP: Table = Table {
    beginnings: &[
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
    parts: &[
        (".norm1.", ".ln_1."),
        (".norm2.", ".ln_2."),
        (".attention.qkv.weight", ".attn.in_proj_weight"),
        (".attention.qkv.bias", ".attn.in_proj_bias"),
        (".attention.out.", ".attn.out_proj."),
        (".mlp.fc1.", ".mlp.c_fc."),
        (".mlp.fc2.", ".mlp.c_proj."),
    ],
    apart: None,
    ignored: (&["input_resolution", "context_length", "vocab_size"], &["attn_mask"]),
};

const DINOV2: Table = Table {
    beginnings: &[
        ("class_token", "embeddings.cls_token"),
        ("registers", "embeddings.register_tokens"),
        ("positions", "embeddings.position_embeddings"),
        ("stem.projection.", "embeddings.patch_embeddings.projection."),
        ("encoder.blocks.", "encoder.layer."),
        ("norm.", "layernorm."),
    ],
    parts: &[
        (".scale1", ".layer_scale1.lambda1"),
        (".scale2", ".layer_scale2.lambda1"),
        (".attention.out.", ".attention.output.dense."),
    ],
    apart: Some(["attention.attention.query", "attention.attention.key", "attention.attention.value"]),
    // Stands for hidden patches in training only.
    ignored: (&["embeddings.mask_token"], &[]),
};

const DINOV2_GATED: Table = Table {
    parts: &[
        (".scale1", ".layer_scale1.lambda1"),
        (".scale2", ".layer_scale2.lambda1"),
        (".attention.out.", ".attention.output.dense."),
        (".mlp.fc1.", ".mlp.weights_in."),
        (".mlp.fc2.", ".mlp.weights_out."),
    ],
    ..DINOV2
};

const TIMM: Table = Table {
    beginnings: &[
        ("class_token", "cls_token"),
        ("positions", "pos_embed"),
        ("stem.projection.", "patch_embed.proj."),
        ("encoder.blocks.", "blocks."),
    ],
    parts: &[
        (".scale1", ".ls1.gamma"),
        (".scale2", ".ls2.gamma"),
        (".attention.qkv.", ".attn.qkv."),
        (".attention.out.", ".attn.proj."),
    ],
    apart: None,
    // The classifier.
    ignored: (&["head."], &[]),
};

/// Where the weight at `path` of our modules lies in a file; `linear` tells that it is a linear layer's matrix.
pub fn slot(path: &str, linear: bool, naming: Naming) -> Slot {
    if let (Naming::ClipSeg, Some(inner)) = (naming, path.strip_prefix("clip.")) {
        let Slot { names, transposed } = slot(inner, linear, Naming::HuggingFace);
        return Slot { names: names.into_iter().map(|name| format!("clip.{name}")).collect(), transposed };
    }
    let table = naming.table();
    let mut name = path.to_owned();
    if let Some((ours, theirs)) = table.beginnings.iter().find(|(ours, _)| path.starts_with(ours)) {
        name = format!("{theirs}{}", &path[ours.len()..]);
    }
    // Norms call their weight and bias gamma and beta here.
    for (ours, theirs) in [(".gamma", ".weight"), (".beta", ".bias")] {
        if let Some(stem) = name.strip_suffix(ours) {
            name = format!("{stem}{theirs}");
        }
    }
    for (ours, theirs) in table.parts {
        name = name.replace(ours, theirs);
    }
    // open_clip keeps its two projections as bare matrices, already [in, out].
    let transposed = linear && !(naming == Naming::OpenClip && path.ends_with(".projection.weight"));
    let names = match table.apart {
        Some(apart) if name.contains("attention.qkv") => apart.map(|one| name.replace("attention.qkv", one)).to_vec(),
        _ => vec![name],
    };
    Slot { names, transposed }
}

/// Tensors of a file that are no weights of these networks.
pub fn is_no_weight(name: &str, naming: Naming) -> bool {
    let (beginnings, ends) = naming.table().ignored;
    beginnings.iter().any(|beginning| name.starts_with(beginning)) || ends.iter().any(|end| name.ends_with(end))
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
        for (path, naming, name) in [
            ("norm.beta", Naming::Dinov2, "layernorm.bias"),
            ("encoder.blocks.3.norm1.gamma", Naming::Dinov2, "encoder.layer.3.norm1.weight"),
            ("encoder.blocks.3.scale2", Naming::Dinov2, "encoder.layer.3.layer_scale2.lambda1"),
            ("encoder.blocks.3.attention.out.bias", Naming::Dinov2, "encoder.layer.3.attention.output.dense.bias"),
            ("encoder.blocks.3.mlp.fc1.bias", Naming::Dinov2, "encoder.layer.3.mlp.fc1.bias"),
            ("encoder.blocks.3.mlp.fc1.bias", Naming::Dinov2Gated, "encoder.layer.3.mlp.weights_in.bias"),
            ("encoder.blocks.3.attention.qkv.weight", Naming::Timm, "blocks.3.attn.qkv.weight"),
            ("encoder.blocks.3.scale1", Naming::Timm, "blocks.3.ls1.gamma"),
            ("norm.gamma", Naming::Timm, "norm.weight"),
            ("clip.vision.pre_norm.beta", Naming::ClipSeg, "clip.vision_model.pre_layrnorm.bias"),
            ("decoder.layers.1.attention.out.bias", Naming::ClipSeg, "decoder.layers.1.self_attn.out_proj.bias"),
            ("decoder.layers.1.norm2.gamma", Naming::ClipSeg, "decoder.layers.1.layer_norm2.weight"),
            ("decoder.refined.up1.weight", Naming::ClipSeg, "decoder.transposed_convolution.2.weight"),
            ("decoder.film_mul.bias", Naming::ClipSeg, "decoder.film_mul.bias"),
        ] {
            assert_eq!(slot(path, false, naming).names, [name]);
        }
        let key = slot("encoder.blocks.0.attention.qkv.weight", true, Naming::Dinov2);
        assert_eq!(key.names[1], "encoder.layer.0.attention.attention.key.weight");
        assert!(is_no_weight("head.weight", Naming::Timm) && !is_no_weight("head_dist.weight", Naming::Timm));
    }
}
