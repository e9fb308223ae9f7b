//! The embedded model through the whole public interface: photos of several sizes and sentences in, arrays out.

use hairline::model::{ClipModel, Geometry, ModelSource, Want};
use hairline::photo::Photo;
use image::RgbImage;

fn model() -> ClipModel {
    ClipModel::load(&ModelSource::Pocket, &burn::tensor::Device::flex()).expect("the embedded model loads")
}

fn photo(width: u32, height: u32, seed: u32) -> Photo {
    let pixels = RgbImage::from_fn(width, height, |x, y| {
        let value = x.wrapping_mul(31).wrapping_add(y.wrapping_mul(17)).wrapping_mul(seed * 2 + 1) >> 2;
        image::Rgb([value as u8, (value >> 3) as u8, (x + y) as u8])
    });
    Photo::from_pixels(pixels, format!("photo-{seed}.png"))
}

#[test]
fn photos_of_several_sizes_come_back_in_order_and_as_if_alone() {
    let model = model();
    let info = model.info().clone();
    let geometry = Geometry::KeepAspect { short_side: 64 };
    let images: Vec<_> = [(90, 60), (60, 90), (120, 80), (33, 33)]
        .into_iter()
        .zip(1..)
        .map(|((width, height), seed)| model.prepare(&photo(width, height, seed), geometry).expect("prepares"))
        .collect();
    let want =
        Want { layers: model.default_layers(), project: true, patch_head: info.has_patch_head, ..Want::default() };
    let together = model.encode_images(&images, &want).expect("encodes");
    assert_eq!(together.len(), images.len());
    for (image, features) in images.iter().zip(&together) {
        let patches = features.rows * features.cols;
        assert_eq!(features.rows * info.patch_size, image.height as usize);
        assert_eq!(features.cols * info.patch_size, image.width as usize);
        assert_eq!(features.embedding.len(), info.embedding_dim);
        assert_eq!(features.layers.len(), want.layers.len());
        for (layer, number) in features.layers.iter().zip(&want.layers) {
            assert_eq!((layer.layer, layer.hidden.len()), (*number, patches * info.width));
            assert_eq!(layer.projected.as_ref().map(Vec::len), Some(patches * info.embedding_dim));
        }
        if let Some(head) = &features.patch_head {
            assert_eq!(head.len(), patches * info.patch_head_dim);
            let lengths = head.chunks(info.patch_head_dim).map(|row| row.iter().map(|v| v * v).sum::<f32>());
            assert!(lengths.into_iter().all(|length| (length - 1.0).abs() < 1e-3));
        }
        let alone = model.encode_images(std::slice::from_ref(image), &want).expect("encodes");
        let difference =
            alone[0].embedding.iter().zip(&features.embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-4, "{difference}");
    }
}

#[test]
fn texts_come_back_in_order_and_as_if_alone() {
    let model = model();
    let texts: Vec<String> =
        ["a part", "a photo of a metal ring with a long scratch", "crack", ""].map(str::to_owned).to_vec();
    let together = model.encode_texts(&texts).expect("encodes");
    for (text, embedding) in texts.iter().zip(&together) {
        let alone = model.encode_texts(std::slice::from_ref(text)).expect("encodes");
        let difference = alone[0].iter().zip(embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-4, "{text}: {difference}");
    }
    assert_ne!(together[0], together[1]);
    let long = "scratch ".repeat(200);
    assert_eq!(model.token_ids(&long).expect("cuts").len(), model.info().max_tokens);
}

#[test]
fn a_layer_that_is_not_there_is_refused() {
    let model = model();
    let image = model.prepare(&photo(64, 64, 1), Geometry::Reference).expect("prepares");
    let want = Want { layers: vec![99], ..Want::default() };
    let message = model.encode_images(&[image], &want).expect_err("no such layer").to_string();
    assert!(message.contains("Layer 99"), "{message}");
}

#[test]
fn the_fingerprint_is_stable() {
    let model = model();
    assert_eq!(model.info().sha256.len(), 64);
    assert_eq!(model.info().sha256, self::model().info().sha256);
}
