//! What inspectors type, as a small grammar: nouns of parts, words for good parts, for damage in general and for each
//! kind of defect, and sentences around them. Captions of procedural photos and the training prompts of the embedded
//! model come from here, and so does its vocabulary.

use super::chance::Chance;
use super::defect::DefectKind;
use super::product::{Product, Sample};

/// Sentences; `{}` is the phrase.
pub const TEMPLATES: &[&str] = &[
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of one {}.",
    "a photo of my {}.",
    "a close-up photo of a {}.",
    "a close-up photo of the {}.",
    "a cropped photo of the {}.",
    "a cropped photo of a {}.",
    "a bright photo of a {}.",
    "a dark photo of the {}.",
    "a blurry photo of a {}.",
    "a jpeg corrupted photo of a {}.",
    "a low resolution photo of the {}.",
    "a black and white photo of a {}.",
    "a good photo of a {}.",
    "a bad photo of a {}.",
    "a photo of a large {}.",
    "a photo of a small {}.",
    "a photo of the {} for visual inspection.",
    "a photo of a {} for visual inspection.",
    "a photo of the {} for anomaly detection.",
    "a photo of a {} for quality control.",
    "an image of a {}.",
    "an image of the {}.",
    "a picture of a {}.",
    "a picture of the {}",
    "a microscope image of a {}.",
    "there is a {} in the scene.",
    "this is a {}.",
    "this is the {} in the photo.",
    "a {}",
    "the {}",
    "{}",
    "{}.",
];

/// Phrases for a good part; `{}` is the object.
pub const NORMAL: &[&str] = &[
    "{}",
    "flawless {}",
    "perfect {}",
    "undamaged {}",
    "unblemished {}",
    "intact {}",
    "good {}",
    "clean {}",
    "normal {}",
    "new {}",
    "fine {}",
    "ok {}",
    "okay {}",
    "acceptable {}",
    "accepted {}",
    "pristine {}",
    "spotless {}",
    "faultless {}",
    "correct {}",
    "healthy {}",
    "regular {}",
    "defect-free {}",
    "defect free {}",
    "unbroken {}",
    "unscratched {}",
    "complete {}",
    "sound {}",
    "smooth and even {}",
    "{} without defect",
    "{} without defects",
    "{} without any defect",
    "{} without flaw",
    "{} without flaws",
    "{} without damage",
    "{} without a scratch",
    "{} without scratches",
    "{} without cracks",
    "{} without holes",
    "{} without stains",
    "{} without blemish",
    "{} without contamination",
    "{} with no defect",
    "{} with no defects",
    "{} with no damage",
    "{} with no scratch",
    "{} with no visible damage",
    "{} free of defects",
    "{} free of damage",
    "{} in good condition",
    "{} in perfect condition",
    "{} with a clean surface",
    "{} with an intact surface",
    "{} with a uniform surface",
    "{} that passes inspection",
    "{} that is fine",
    "{} as it should be",
];

/// Phrases for a bad part of whatever kind.
pub const ANOMALOUS: &[&str] = &[
    "damaged {}",
    "defective {}",
    "broken {}",
    "faulty {}",
    "flawed {}",
    "bad {}",
    "imperfect {}",
    "abnormal {}",
    "anomalous {}",
    "blemished {}",
    "rejected {}",
    "spoiled {}",
    "worn {}",
    "ng {}",
    "not ok {}",
    "incorrect {}",
    "ruined {}",
    "{} with a defect",
    "{} with defects",
    "{} with a flaw",
    "{} with flaws",
    "{} with damage",
    "{} with a damage",
    "{} with visible damage",
    "{} with an anomaly",
    "{} with a fault",
    "{} with a blemish",
    "{} with an imperfection",
    "{} with a surface defect",
    "{} with something wrong",
    "{} in bad condition",
    "{} in poor condition",
    "{} that fails inspection",
    "{} that is damaged",
    "{} that is broken",
    "{} that is defective",
];

/// Phrases for each kind of defect; `{}` is the object.
pub fn phrases(kind: DefectKind) -> &'static [&'static str] {
    match kind {
        DefectKind::Scratch => &[
            "scratched {}",
            "scuffed {}",
            "scraped {}",
            "{} with a scratch",
            "{} with scratches",
            "{} with a thin scratch",
            "{} with a long scratch",
            "{} with a scrape",
            "{} with a scuff",
            "{} with a groove",
            "{} with a cut",
            "{} with a score mark",
            "{} with a tool mark",
        ],
        DefectKind::Crack => &[
            "cracked {}",
            "fractured {}",
            "split {}",
            "{} with a crack",
            "{} with cracks",
            "{} with a fine crack",
            "{} with a hairline crack",
            "{} with a fracture",
            "{} with a fissure",
            "{} with a break",
            "{} with a rupture",
        ],
        DefectKind::Hole => &[
            "pierced {}",
            "pitted {}",
            "porous {}",
            "{} with a hole",
            "{} with holes",
            "{} with a small hole",
            "{} with a blowhole",
            "{} with blowholes",
            "{} with a pinhole",
            "{} with a pore",
            "{} with a pit",
            "{} with a void",
            "{} with a puncture",
            "{} with a poke",
            "{} with a bubble",
        ],
        DefectKind::Stain => &[
            "stained {}",
            "discoloured {}",
            "discolored {}",
            "dirty {}",
            "spotted {}",
            "{} with a stain",
            "{} with stains",
            "{} with a spot",
            "{} with a colour spot",
            "{} with a smear",
            "{} with a smudge",
            "{} with oil",
            "{} with rust",
            "{} with discoloration",
            "{} with dirt",
            "{} with corrosion",
        ],
        DefectKind::Dent => &[
            "dented {}",
            "deformed {}",
            "{} with a dent",
            "{} with dents",
            "{} with a bump",
            "{} with a bulge",
            "{} with a pressure mark",
            "{} with an impression",
            "{} with a ding",
            "{} with a fold",
        ],
        DefectKind::Missing => &[
            "chipped {}",
            "incomplete {}",
            "{} with a chip",
            "{} with a missing piece",
            "{} with a missing part",
            "{} with a missing corner",
            "{} with a broken edge",
            "{} with a broken corner",
            "{} with a chipped edge",
            "{} with a part broken off",
            "{} with a piece missing",
            "{} with a break at the edge",
        ],
        DefectKind::Contamination => &[
            "contaminated {}",
            "soiled {}",
            "dusty {}",
            "{} with contamination",
            "{} with a foreign body",
            "{} with foreign matter",
            "{} with a fibre",
            "{} with a fiber",
            "{} with a hair",
            "{} with a thread",
            "{} with dust",
            "{} with particles",
            "{} with a residue",
            "{} with glue",
            "{} with metal contamination",
        ],
        DefectKind::Distortion => &[
            "bent {}",
            "misshapen {}",
            "misplaced {}",
            "distorted {}",
            "twisted {}",
            "{} with a bend",
            "{} with a distortion",
            "{} with a wrong pattern",
            "{} with a swapped part",
            "{} with a warped area",
            "{} with a misalignment",
        ],
        DefectKind::Rough => &[
            "rough {}",
            "eroded {}",
            "{} with a rough area",
            "{} with a rough surface",
            "{} with roughness",
            "{} with an abrasion",
            "{} with erosion",
            "{} with pitting",
            "{} with a damaged surface",
            "{} with a coarse patch",
        ],
        DefectKind::Uneven => &[
            "uneven {}",
            "unevenly ground {}",
            "blotchy {}",
            "{} with an uneven surface",
            "{} with uneven brightness",
            "{} with uneven grinding",
            "{} with a grinding mark",
            "{} with a burn",
            "{} with a dark area",
            "{} with a bright area",
            "{} with a shadow mark",
            "{} with a faded area",
        ],
        DefectKind::Fray => &[
            "frayed {}",
            "torn {}",
            "ragged {}",
            "{} with a frayed edge",
            "{} with a frayed border",
            "{} with fraying",
            "{} with a torn edge",
            "{} with a ragged edge",
            "{} with a burr",
            "{} with a tear",
            "{} with a worn edge",
        ],
    }
}

/// Objects of any industry, so that the text tower learns that they say nothing about damage.
pub const OBJECTS: &[&str] = &[
    "part",
    "object",
    "product",
    "item",
    "component",
    "piece",
    "workpiece",
    "sample",
    "surface",
    "material",
    "texture",
    "thing",
    "device",
    "bottle",
    "cable",
    "capsule",
    "carpet",
    "grid",
    "hazelnut",
    "leather",
    "metal nut",
    "pill",
    "screw",
    "tile",
    "toothbrush",
    "transistor",
    "wood",
    "zipper",
    "magnetic tile",
    "magnet",
    "casting",
    "candle",
    "cashew",
    "chewing gum",
    "macaroni",
    "pipe fryum",
    "pcb",
    "circuit board",
    "fabric",
    "steel",
    "steel strip",
    "metal ring",
    "metal plate",
    "metal part",
    "gasket",
    "bearing",
    "bolt",
    "nut",
    "washer",
    "spring",
    "gear",
    "shaft",
    "pipe",
    "tube",
    "valve",
    "bracket",
    "housing",
    "cover",
    "lid",
    "cap",
    "label",
    "package",
    "box",
    "can",
    "jar",
    "glass",
    "lens",
    "screen",
    "phone",
    "wafer",
    "chip",
    "solder joint",
    "connector",
    "wire",
    "rail",
    "road",
    "concrete",
    "wall",
    "brick",
    "weld",
    "weld seam",
    "blade",
    "turbine blade",
    "brake disc",
    "tyre",
    "tire",
    "wheel",
    "battery",
    "solar cell",
    "panel",
    "door",
    "coin",
    "key",
    "tool",
    "knife",
    "needle",
    "syringe",
    "tablet",
    "vial",
    "ampoule",
    "paper",
    "cardboard",
    "film",
    "foil",
    "textile",
    "cloth",
    "thread",
    "rope",
    "belt",
    "strap",
    "shoe",
    "bag",
    "wooden board",
    "plank",
    "parquet",
    "ceramic",
    "ceramic plate",
    "cup",
    "plate",
    "disc",
    "ring",
    "strip",
    "sheet",
    "bar",
    "rod",
    "block",
    "slab",
    "fruit",
    "apple",
    "potato",
    "bread",
    "biscuit",
    "egg",
    "leaf",
    "plastic part",
    "rubber seal",
    "toy",
    "brush",
    "switch",
    "sensor",
    "motor",
    "rotor",
    "stator",
    "coil",
    "plug",
    "socket",
    "lamp",
    "led",
    "tray",
    "frame",
    "handle",
    "hinge",
];

const COLOURS: &[(&str, [f32; 3])] = &[
    ("red", [0.75, 0.2, 0.2]),
    ("green", [0.2, 0.65, 0.25]),
    ("blue", [0.2, 0.3, 0.75]),
    ("yellow", [0.85, 0.8, 0.25]),
    ("orange", [0.85, 0.5, 0.2]),
    ("brown", [0.45, 0.3, 0.2]),
    ("purple", [0.5, 0.25, 0.6]),
    ("pink", [0.85, 0.5, 0.65]),
    ("cyan", [0.3, 0.75, 0.75]),
    ("beige", [0.8, 0.7, 0.55]),
    ("black", [0.1, 0.1, 0.1]),
    ("dark grey", [0.28, 0.28, 0.28]),
    ("grey", [0.5, 0.5, 0.5]),
    ("light grey", [0.72, 0.72, 0.72]),
    ("white", [0.92, 0.92, 0.92]),
];

/// The nearest colour word.
pub fn colour_word(rgb: [f32; 3]) -> &'static str {
    let distance = |c: &[f32; 3]| -> f32 { c.iter().zip(rgb).map(|(a, b)| (a - b) * (a - b)).sum() };
    COLOURS.iter().min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1))).map_or("grey", |c| c.0)
}

/// A word of random letters: whatever an inspector may call a part.
fn made_up(chance: &mut Chance) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..3 + chance.below(7)).map(|_| char::from(letters[chance.below(letters.len())])).collect()
}

/// Any object at all.
pub fn any_object(chance: &mut Chance) -> String {
    if chance.flip(0.08) { made_up(chance) } else { chance.pick(OBJECTS).to_owned() }
}

/// A sentence about any object from one of `phrases`.
pub fn sentence(chance: &mut Chance, phrases: &[&str]) -> String {
    let object = any_object(chance);
    let phrase = chance.pick(phrases).replace("{}", &object);
    chance.pick(TEMPLATES).replace("{}", &phrase)
}

/// What the photo shows: colour, surface, substance, outline and state, each left out at times.
pub fn caption(product: &Product, sample: &Sample, chance: &mut Chance) -> String {
    let pattern = product.material.pattern;
    let noun = match &product.shape {
        Some(shape) => chance.pick(shape.kind.nouns()),
        None => chance.pick(&["surface", "texture", "sheet", "material", "tile"]),
    };
    let mut object = String::new();
    for (p, word) in [
        (0.6, colour_word(product.material.base)),
        (0.7, chance.pick(pattern.adjectives())),
        (0.5, chance.pick(pattern.substances())),
    ] {
        if chance.flip(p) {
            object.push_str(word);
            object.push(' ');
        }
    }
    object.push_str(noun);
    let phrase = match sample.kind {
        None => chance.pick(NORMAL),
        Some(_) if chance.flip(0.25) => chance.pick(ANOMALOUS),
        Some(kind) => chance.pick(phrases(kind)),
    };
    chance.pick(TEMPLATES).replace("{}", &phrase.replace("{}", &object))
}

/// Every word the grammar can say, in lower case, sorted, once.
pub fn vocabulary() -> Vec<String> {
    use super::material::Pattern;
    use super::shape::ShapeKind;
    let mut texts: Vec<&str> = Vec::new();
    texts.extend(TEMPLATES.iter().chain(NORMAL).chain(ANOMALOUS).chain(OBJECTS));
    texts.extend(DefectKind::ALL.into_iter().flat_map(phrases));
    texts.extend(Pattern::ALL.into_iter().flat_map(Pattern::adjectives));
    texts.extend(Pattern::ALL.into_iter().flat_map(Pattern::substances));
    texts.extend(ShapeKind::TRAINED.into_iter().chain(ShapeKind::HELD_OUT).flat_map(ShapeKind::nouns));
    texts.extend(COLOURS.iter().map(|c| c.0));
    let mut words: Vec<String> = texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphabetic()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::synth::Outlines;

    #[test]
    fn every_phrase_has_a_place_for_the_object() {
        let all = NORMAL.iter().chain(ANOMALOUS).chain(TEMPLATES).chain(DefectKind::ALL.into_iter().flat_map(phrases));
        for phrase in all {
            assert_eq!(phrase.matches("{}").count(), 1, "{phrase}");
        }
    }

    #[test]
    fn captions_say_what_is_wrong() {
        let chance = &mut Chance::new(3, 0, 0, 0);
        let product = Product::new(3, 1, Outlines::Trained);
        let good = product.photo(0, false, 32);
        let caption = caption(&product, &good, chance);
        assert!(!caption.contains("{}"), "{caption}");
        assert!(!["damaged", "defective", "cracked"].iter().any(|word| caption.contains(word)), "{caption}");
    }

    #[test]
    fn the_vocabulary_holds_what_inspectors_type() {
        let words = vocabulary();
        for word in ["flawless", "scratch", "blowhole", "chip", "frayed", "uneven", "contamination", "bent", "magnetic"]
        {
            assert!(words.binary_search(&word.to_owned()).is_ok(), "{word}");
        }
    }
}
