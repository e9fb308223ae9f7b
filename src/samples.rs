//! The bundled sample photos: two procedural products, normal parts as references and parts to inspect, inside the
//! program so that a demonstration works from any folder. Made by `examples/samples.rs`; no real product is shown.

use std::path::{Path, PathBuf};

use crate::report::{create_folder, write_file};
use crate::{Error, Recipe, Result};

/// One bundled file: its path below the samples' folder, and its bytes.
type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!(concat!("../assets/samples/", $name)) as &[u8])),*] };
}

/// Photos of normal parts.
const REFERENCES: &[File] = files![
    "normal/gear_1.jpg",
    "normal/gear_2.jpg",
    "normal/gear_3.jpg",
    "normal/gear_4.jpg",
    "normal/nut_1.jpg",
    "normal/nut_2.jpg",
    "normal/nut_3.jpg",
    "normal/nut_4.jpg",
];

/// Photos to inspect.
const PHOTOS: &[File] = files![
    "parts/gear_contamination.jpg",
    "parts/gear_crack.jpg",
    "parts/gear_good.jpg",
    "parts/gear_hole.jpg",
    "parts/gear_rough.jpg",
    "parts/nut_crack.jpg",
    "parts/nut_good.jpg",
    "parts/nut_hole.jpg",
    "parts/nut_missing.jpg",
    "parts/nut_stain.jpg",
];

/// Where the samples lie after [`unpack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// What they show, for the recipe.
    pub object: String,
    /// Photos of normal parts.
    pub references: Vec<PathBuf>,
    /// Photos to inspect.
    pub photos: Vec<PathBuf>,
}

impl Samples {
    /// The recipe that the samples are shown with.
    pub fn recipe(&self) -> Recipe {
        Recipe { object: self.object.clone(), references: self.references.clone(), ..Recipe::default() }
    }
}

/// The folder in the user's data that a window keeps the samples in.
///
/// # Errors
/// [`Error::Input`] where the system names no such folder.
pub fn default_dir() -> Result<PathBuf> {
    dirs::data_dir().map(|dir| dir.join("hairline").join("samples")).ok_or_else(|| {
        Error::input(
            "The user's data folder is unknown on this system. Write the samples elsewhere: hairline demo --out DIR",
        )
    })
}

/// Writes the samples below `dir`, which is created; files that are there already and equal are left alone.
///
/// # Errors
/// [`Error::Io`] naming the file that cannot be written.
pub fn unpack(dir: &Path) -> Result<Samples> {
    let write = |files: &[File]| -> Result<Vec<PathBuf>> {
        files
            .iter()
            .map(|(name, bytes)| {
                let path = dir.join(name);
                if let Some(parent) = path.parent() {
                    create_folder(parent)?;
                }
                if !std::fs::read(&path).is_ok_and(|present| present == *bytes) {
                    write_file(&path, |out| out.write_all(bytes))?;
                }
                Ok(path)
            })
            .collect()
    };
    Ok(Samples { object: "part".to_owned(), references: write(REFERENCES)?, photos: write(PHOTOS)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_photos_and_unpacking_twice_writes_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let samples = unpack(dir.path()).expect("writes");
        assert_eq!((samples.references.len(), samples.photos.len()), (8, 10));
        for path in samples.references.iter().chain(&samples.photos) {
            let photo = crate::photo::Photo::open(path).expect("a photo");
            assert_eq!((photo.width(), photo.height()), (320, 320));
        }
        let modified = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).expect("a file");
        let before = modified(&samples.photos[0]);
        assert_eq!(unpack(dir.path()).expect("finds them"), samples);
        assert_eq!(modified(&samples.photos[0]), before);
        let bundled = PHOTOS.len() + REFERENCES.len();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples");
        let count = |name| std::fs::read_dir(folder.join(name)).expect("a folder").count();
        assert_eq!(count("normal") + count("parts"), bundled, "every sample in the folder is bundled");
    }
}
