//! Decoding against Pillow on photos of every kind, measures against OpenCV, and files that are no photos.
//! `tests/fixtures/photo/photos.py` made the photos and the numbers.

use std::path::{Path, PathBuf};

use hairline::Error;
use hairline::photo::{Photo, find_photos, quality, thumbnail};
use image::{ImageFormat, RgbImage};
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photo")
}

fn photo(name: &str) -> PathBuf {
    folder().join("photos").join(name)
}

fn expected() -> Vec<u8> {
    std::fs::read(folder().join("expected.safetensors")).expect("run photos.py")
}

#[test]
fn lossless_photos_are_pillows_to_the_bit() {
    let bytes = expected();
    let expected = SafeTensors::deserialize(&bytes).expect("whole");
    let mut compared = 0;
    for name in expected.names() {
        let Some(file) = name.strip_suffix(":pixels") else { continue };
        let (photo, theirs) = (Photo::open(photo(file)).expect(file), expected.tensor(name).expect(name));
        assert_eq!([photo.height() as usize, photo.width() as usize, 3], theirs.shape(), "{file}");
        assert!(photo.pixels.as_raw() == theirs.data(), "{file} differs");
        compared += 1;
    }
    assert!(compared >= 20, "{compared}");
}

#[test]
fn measures_are_opencvs() {
    let bytes = expected();
    let expected = SafeTensors::deserialize(&bytes).expect("whole");
    for name in expected.names() {
        let Some(file) =
            name.strip_suffix(":quality").filter(|file| Path::new(file).extension() != Some("jpg".as_ref()))
        else {
            continue;
        };
        let theirs = expected.tensor(name).expect(name).data();
        let theirs: Vec<f64> = theirs.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        let ours = quality(&Photo::open(photo(file)).expect(file).pixels);
        let ours = [ours.blur_score, ours.brightness_score, ours.contrast, ours.black_share, ours.white_share];
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            assert!((ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0), "{file}: {ours} is not {theirs}");
        }
    }
}

#[test]
fn only_the_animation_warns() {
    let warnings = |name| Photo::open(photo(name)).expect(name).warnings;
    assert!(warnings("animated-60x40.gif")[0].contains("first picture"));
    assert!(warnings("still-60x40.gif").is_empty());
    assert!(warnings("rgb-97x61.png").is_empty());
}

fn refusal(bytes: &[u8], name: &str) -> String {
    let error = Photo::from_bytes(bytes, name).expect_err("must be refused");
    assert!(matches!(error, Error::Input { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.ends_with(&format!("[{name}]")), "{message}");
    message
}

#[test]
fn files_that_are_no_photos_are_refused_with_a_remedy() {
    assert!(refusal(b"", "empty.png").contains("0 bytes"));
    assert!(refusal(b"just some words", "text.png").contains("its content is text"));
    assert!(refusal(&[0, 159, 146, 150, 0, 1, 2, 3], "noise.jpg").contains("does not read"));
    for name in [
        "rgb-97x61.png",
        "exif-3-168x112.jpg",
        "grey16-67x93.tif",
        "rgb-200x131.bmp",
        "rgba-83x66.webp",
        "progressive-168x112.jpg",
        "rgb-64x64.ppm",
        "still-60x40.gif",
    ] {
        let bytes = std::fs::read(photo(name)).expect(name);
        for part in [3, 2] {
            let message = refusal(&bytes[..bytes.len() * (part - 1) / part], name);
            assert!(message.contains("again"), "{name}: {message}");
        }
    }
}

#[test]
fn a_huge_photo_is_refused_before_it_is_decoded() {
    // The header alone: were the pixels looked for, the file would be called cut off.
    let small = std::fs::read(photo("rgb-97x61.png")).expect("there");
    let mut huge = small[..33].to_vec();
    huge[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    huge[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    let checksum = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&checksum.to_be_bytes());
    huge.extend_from_slice(&small[33..]);
    let message = refusal(&huge, "huge.png");
    assert!(message.contains("30000 × 30000 pixels, 900 million; at most 200 million"), "{message}");
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let message = Photo::open(&pipe).expect_err("a pipe").to_string();
    assert!(message.contains("no ordinary file") && message.contains("pipe.png"), "{message}");
}

#[test]
fn the_format_is_told_by_content_and_the_hash_by_bytes() {
    let bytes = std::fs::read(photo("exif-6-168x112.jpg")).expect("there");
    let (a, b) =
        (Photo::from_bytes(&bytes, "a.png").expect("JPEG"), Photo::open(photo("exif-6-168x112.jpg")).expect("JPEG"));
    assert_eq!((a.width(), a.height()), (112, 168));
    assert_eq!(a.hash, b.hash);
    assert_ne!(a.hash, Photo::open(photo("exif-5-168x112.jpg")).expect("JPEG").hash);
}

#[test]
fn thumbnails_keep_the_aspect_and_are_never_enlarged() {
    let of = |width, height| thumbnail(&Photo::from_pixels(RgbImage::new(width, height), "x"), 64).dimensions();
    assert_eq!([of(640, 320), of(1, 1000), of(20, 10)], [(64, 32), (1, 64), (20, 10)]);
}

#[test]
fn photos_are_found_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let inner = root.join("inner");
    std::fs::create_dir_all(inner.join("empty")).expect("creates");
    for name in ["b.PNG", "a.jpg", "notes.txt", ".hidden.png", "inner/c.tif"] {
        std::fs::write(root.join(name), b"x").expect("writes");
    }
    RgbImage::new(2, 2).save_with_format(root.join("odd.name"), ImageFormat::Png).expect("writes");
    let names = |photos: Vec<PathBuf>| -> Vec<String> {
        photos.iter().map(|path| path.strip_prefix(root).expect("inside").to_string_lossy().into_owned()).collect()
    };
    let given = [root.to_owned(), root.join("a.jpg"), root.join("odd.name")];
    let (photos, failures) = find_photos(&given, false);
    assert_eq!((names(photos), failures.len()), (vec!["a.jpg".into(), "b.PNG".into(), "odd.name".into()], 0));
    let (photos, failures) = find_photos(&[root.to_owned()], true);
    assert_eq!((names(photos), failures.len()), (vec!["a.jpg".into(), "b.PNG".into(), "inner/c.tif".into()], 0));
    let (photos, failures) = find_photos(&[inner.join("empty"), root.join("nowhere.png")], false);
    assert!(photos.is_empty());
    let messages: Vec<String> = failures.iter().map(|failure| failure.error.to_string()).collect();
    assert!(messages[0].contains("no photos") && messages[1].contains("Check the spelling"), "{messages:?}");
}
