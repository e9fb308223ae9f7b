//! Photos with pixel masks: a folder with `images` and `masks` (one mask a photo, or a folder of them for each class), or
//! the MVTec-AD layout. Lists paths; masks are looked through once, because one without a marked pixel shows nothing, and
//! read again by whoever needs their pixels.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::mask::read_mask;
use super::mvtec;
use crate::photo::{Photo, find_photos};
use crate::{Error, Result};

/// The class of masks that lie in no folder of their own.
pub const ONLY_CLASS: &str = "mask";

/// A photo and what is outlined in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedPhoto {
    pub path: PathBuf,
    /// Class → mask, not 0 inside. A class without a mask has no pixel in this photo; of a folder that was opened the
    /// reverse is true as well.
    pub masks: BTreeMap<String, PathBuf>,
}

/// A folder of photos with masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedFolder {
    /// Sorted.
    pub classes: Vec<String>,
    pub photos: Vec<MaskedPhoto>,
}

impl MaskedFolder {
    /// Reads `root`. A mask without a marked pixel says the same as none, namely that the photo does not show the class;
    /// the class stays one of the folder's. A mask that cannot be read stays, so that whoever needs it can say so.
    ///
    /// # Errors
    /// [`Error::Input`] for a folder of neither layout, or a mask without its photo.
    pub fn open(root: &Path) -> Result<Self> {
        let (images, masks) = (root.join("images"), root.join("masks"));
        if images.is_dir() && masks.is_dir() {
            return Self::of_pair(&images, &masks).map(Self::without_black_masks);
        }
        if root.join("test").is_dir() {
            return Self::of_mvtec(root).map(Self::without_black_masks);
        }
        Err(Error::input("The folder has neither `images` and `masks` nor `test` and `ground_truth`. Choose a folder of one of these layouts.").at(root))
    }

    /// Takes a fifth of the photos (at least one), chosen by the seed, out, to judge on.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer than two photos.
    pub fn split(&mut self, seed: u64) -> Result<Self> {
        if self.photos.len() < 2 {
            return Err(Error::input(
                "One photo is too few to learn from and to judge on. Add photos, or name a folder to judge on (--val).",
            ));
        }
        let mut photos = std::mem::take(&mut self.photos);
        photos.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut validation = photos.split_off(photos.len() - (photos.len() / 5).max(1));
        photos.sort_by(|a, b| a.path.cmp(&b.path));
        validation.sort_by(|a, b| a.path.cmp(&b.path));
        self.photos = photos;
        Ok(Self { classes: self.classes.clone(), photos: validation })
    }

    fn without_black_masks(mut self) -> Self {
        self.photos.par_iter_mut().for_each(|photo| photo.masks.retain(|_, path| !is_black(path)));
        self
    }

    fn of_pair(images: &Path, masks: &Path) -> Result<Self> {
        let photos = listed(images)?;
        let by_stem: HashMap<String, usize> = photos.iter().enumerate().map(|(i, path)| (stem(path), i)).collect();
        if by_stem.len() < photos.len() {
            return Err(Error::input(
                "Two photos differ only in their extension, so masks cannot be told apart. Rename one.",
            )
            .at(images));
        }
        let mut found: Vec<MaskedPhoto> =
            photos.into_iter().map(|path| MaskedPhoto { path, masks: BTreeMap::new() }).collect();
        let mut classes: Vec<String> = Vec::new();
        for mask in listed(masks)? {
            let inside = mask.strip_prefix(masks).ok().and_then(Path::parent);
            let class = inside.filter(|inside| !inside.as_os_str().is_empty());
            let class = class.map_or_else(|| ONLY_CLASS.to_owned(), |class| class.to_string_lossy().into_owned());
            let name = stem(&mask);
            let photo = by_stem.get(&name).or_else(|| by_stem.get(name.strip_suffix("_mask").unwrap_or(&name)));
            let Some(&photo) = photo else {
                return Err(Error::input(
                    "The mask belongs to no photo in `images`. Add the photo, or remove the mask.",
                )
                .at(&mask));
            };
            if found[photo].masks.insert(class.clone(), mask.clone()).is_some() {
                return Err(Error::input("The photo has two masks of one class. Remove one.").at(&mask));
            }
            classes.push(class);
        }
        classes.sort();
        classes.dedup();
        if classes.is_empty() {
            return Err(Error::input("There is no mask. Put one PNG for each photo here.").at(masks));
        }
        Ok(Self { classes, photos: found })
    }

    fn of_mvtec(root: &Path) -> Result<Self> {
        let class = mvtec::read_class(root)?;
        let mut classes: Vec<String> = Vec::new();
        let photos = class.test.into_iter().map(|photo| {
            let mut masks = BTreeMap::new();
            if let Some(mask) = photo.mask {
                classes.push(photo.kind.clone());
                masks.insert(photo.kind, mask);
            }
            MaskedPhoto { path: photo.path, masks }
        });
        let photos: Vec<MaskedPhoto> = photos.collect();
        classes.sort();
        classes.dedup();
        if classes.is_empty() {
            return Err(Error::input("No test photo has a mask under `ground_truth`.").at(root));
        }
        Ok(Self { classes, photos })
    }
}

impl MaskedPhoto {
    /// Whether each pixel of `photo` belongs to `class`, row by row.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Input`] for a mask that cannot be read or is of another size, naming it.
    pub fn truth(&self, photo: &Photo, class: &str) -> Result<Vec<bool>> {
        let Some(path) = self.masks.get(class) else {
            return Ok(vec![false; (photo.width() * photo.height()) as usize]);
        };
        let mask = read_mask(path)?;
        if mask.dimensions() != (photo.width(), photo.height()) {
            return Err(Error::input(format!(
                "The mask has {} × {} pixels, its photo {} × {}. Draw the mask on the photo as it is.",
                mask.width(),
                mask.height(),
                photo.width(),
                photo.height()
            ))
            .at(path));
        }
        Ok(mask.iter().map(|value| *value > 0).collect())
    }
}

/// Whether a mask can be read and marks nothing.
fn is_black(path: &Path) -> bool {
    read_mask(path).is_ok_and(|mask| mask.iter().all(|value| *value == 0))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut photos, failures) = find_photos(&[folder.to_owned()], true);
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure.error);
    }
    photos.sort();
    Ok(photos)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn save(path: &Path, value: u8) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_fn(4, 3, |x, _| image::Luma([if x == 0 { value } else { 0 }])).save(path).unwrap();
    }

    /// What `segment masks` writes for several categories: a mask of each for every photo, black where it has none.
    #[test]
    fn a_mask_without_a_marked_pixel_says_the_same_as_none() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            save(&dir.path().join(format!("images/{name}.png")), 90);
        }
        for (name, value) in [("crack/a", 255), ("crack/b", 0), ("hole/a", 0), ("hole/b", 1), ("rust/a", 0)] {
            save(&dir.path().join(format!("masks/{name}_mask.png")), value);
        }
        let folder = MaskedFolder::open(dir.path()).unwrap();
        assert_eq!(folder.classes, ["crack", "hole", "rust"]);
        let shown: Vec<Vec<&str>> =
            folder.photos.iter().map(|photo| photo.masks.keys().map(String::as_str).collect()).collect();
        assert_eq!(shown, [vec!["crack"], vec!["hole"], vec![]]);
        let photo = Photo::open(&folder.photos[0].path).unwrap();
        let marked = |class| folder.photos[0].truth(&photo, class).unwrap().iter().filter(|inside| **inside).count();
        assert_eq!((marked("crack"), marked("hole"), marked("rust")), (3, 0, 0));
    }

    #[test]
    fn of_the_mvtec_layout_too_and_what_cannot_be_read_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["test/good/0.png", "test/cut/0.png", "test/cut/1.png", "test/cut/2.png"] {
            save(&dir.path().join(name), 90);
        }
        save(&dir.path().join("ground_truth/cut/0_mask.png"), 255);
        save(&dir.path().join("ground_truth/cut/1_mask.png"), 0);
        std::fs::write(dir.path().join("ground_truth/cut/2_mask.png"), "no picture").unwrap();
        let folder = MaskedFolder::open(dir.path()).unwrap();
        let with_mask: Vec<&Path> =
            folder.photos.iter().filter(|photo| !photo.masks.is_empty()).map(|photo| photo.path.as_path()).collect();
        assert_eq!(with_mask, [dir.path().join("test/cut/0.png"), dir.path().join("test/cut/2.png")]);
        let photo = folder.photos.iter().find(|photo| photo.path.ends_with("cut/2.png")).unwrap();
        let refused = photo.truth(&Photo::open(&photo.path).unwrap(), "cut").unwrap_err().to_string();
        assert!(refused.contains("2_mask.png"), "{refused}");
    }
}
