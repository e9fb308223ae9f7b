//! Draws the bundled sample photos (`assets/samples`): a gear and a nut, normal and defective. Equal numbers give equal
//! photos; run it (`make samples`) after a change of the generator or of the choice below.

use std::error::Error;
use std::path::Path;

use hairline::dataset::synth::{Outlines, Product, Sample};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

/// Side in pixels.
const SIZE: usize = 320;
const QUALITY: u8 = 88;

/// A product of the generator's world and the numbers of its photos.
struct Choice {
    name: &'static str,
    index: u64,
    outlines: Outlines,
    references: [u64; 4],
    good: u64,
    defective: [u64; 4],
}

const CHOICES: [Choice; 2] = [
    Choice {
        name: "gear",
        index: 4,
        outlines: Outlines::Trained,
        references: [100, 101, 104, 108],
        good: 106,
        defective: [110, 117, 125, 127],
    },
    Choice {
        name: "nut",
        index: 11,
        outlines: Outlines::HeldOut,
        references: [100, 101, 103, 107],
        good: 106,
        defective: [112, 113, 115, 120],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).ok_or("Usage: samples DIR")?;
    for Choice { name, index, outlines, references, good, defective } in CHOICES {
        let product = Product::new(1, index, outlines);
        for (number, photo) in references.into_iter().enumerate() {
            save(&out, &format!("normal/{name}_{}.jpg", number + 1), &product.photo(photo, false, SIZE))?;
        }
        save(&out, &format!("parts/{name}_good.jpg"), &product.photo(good, false, SIZE))?;
        for photo in defective {
            let sample = product.photo(photo, true, SIZE);
            let kind = sample.kind.ok_or("a defective photo without a defect")?;
            save(&out, &format!("parts/{name}_{}.jpg", kind.name()), &sample)?;
        }
    }
    Ok(())
}

fn save(out: &str, name: &str, sample: &Sample) -> Result<(), Box<dyn Error>> {
    let path = Path::new(out).join(name);
    let side = sample.size as u32;
    let picture = RgbImage::from_raw(side, side, sample.rgb.clone()).ok_or("a sample of the wrong size")?;
    std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    Ok(JpegEncoder::new_with_quality(file, QUALITY).encode_image(&picture)?)
}
