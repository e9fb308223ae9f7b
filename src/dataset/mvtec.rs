//! The folder layout of MVTec-AD (Bergmann et al. 2019): `train/good`, `test/<type>`, and masks in
//! `ground_truth/<type>/<stem>_mask.png`. Lists paths and labels; photos are opened by whoever needs them.

use std::path::{Path, PathBuf};

use crate::photo::EXTENSIONS;
use crate::{Error, Result};

/// One test photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestPhoto {
    pub path: PathBuf,
    /// Name of its folder: `good`, or the type of defect.
    pub kind: String,
    /// Pixel mask, not 0 where defective; `None` for a good photo, and where the dataset has none.
    pub mask: Option<PathBuf>,
}

impl TestPhoto {
    pub fn anomalous(&self) -> bool {
        self.kind != "good"
    }
}

/// One class: a product with its reference and test photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MvtecClass {
    pub name: String,
    pub root: PathBuf,
    /// `train/good`, sorted by name.
    pub train: Vec<PathBuf>,
    /// `test`, sorted by type, then name.
    pub test: Vec<TestPhoto>,
}

/// Whether the folder looks like one class.
fn is_class(folder: &Path) -> bool {
    folder.join("test").is_dir() || folder.join("train").join("good").is_dir()
}

/// Reads `root`, which is one class or a folder of classes (sorted by name). Other folders and files are ignored.
///
/// # Errors
/// [`Error::Input`] naming the folder when there is no class, or a class without test photos; naming the mask when a
/// dataset has masks but one defective photo lacks its own; [`Error::Io`] for a folder that cannot be read.
pub fn read(root: &Path) -> Result<Vec<MvtecClass>> {
    if is_class(root) {
        return Ok(vec![read_class(root)?]);
    }
    let classes: Vec<PathBuf> = entries(root)?.into_iter().filter(|path| path.is_dir() && is_class(path)).collect();
    if classes.is_empty() {
        return Err(Error::input(
            "The folder is not in the MVTec-AD layout: neither it nor its sub-folders hold `train/good` and `test`. \
             Choose the folder of one class, or of several.",
        )
        .at(root));
    }
    classes.iter().map(|path| read_class(path)).collect()
}

/// Reads the folder of one class.
///
/// # Errors
/// As [`read`].
pub fn read_class(root: &Path) -> Result<MvtecClass> {
    let good = root.join("train").join("good");
    let train = if good.is_dir() { photos(&good)? } else { Vec::new() };
    let test_root = root.join("test");
    if !test_root.is_dir() {
        return Err(Error::input("The class has no folder `test`. Add test photos by type, e.g. `test/good`.").at(root));
    }
    let masks = root.join("ground_truth");
    let mut test = Vec::new();
    for folder in entries(&test_root)?.into_iter().filter(|path| path.is_dir()) {
        let kind = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mask_folder = masks.join(&kind);
        for path in photos(&folder)? {
            let mask = if kind != "good" && mask_folder.is_dir() { Some(mask_of(&mask_folder, &path)?) } else { None };
            test.push(TestPhoto { path, kind: kind.clone(), mask });
        }
    }
    if test.is_empty() {
        return Err(Error::input("The class has no test photos. Put some into `test/good` and `test/<type>`.").at(root));
    }
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let name = whole.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned();
    Ok(MvtecClass { name, root: root.to_owned(), train, test })
}

/// What a file is within a class of this layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A photo of `train/good`.
    Train,
    /// A photo of `test/<type>`, with its type.
    Test(String),
    /// A mask of `ground_truth`.
    Mask,
}

/// What `path` is, if the folders above it are those of a class; `None` elsewhere. Looks at names first and at the disk
/// last.
pub fn role(path: &Path) -> Option<Role> {
    let folder = path.parent()?;
    let (kind, part) = (name(folder)?, name(folder.parent()?)?);
    let root = folder.parent()?.parent()?;
    let role = match part.as_str() {
        "train" if kind == "good" => Role::Train,
        "test" => Role::Test(kind),
        "ground_truth" => Role::Mask,
        _ => return None,
    };
    // A folder that happens to be called `test` is no dataset: one of the others has to stand beside it.
    let beside = ["train", "test", "ground_truth"].iter().filter(|part| root.join(part).is_dir()).count();
    (beside >= 2).then_some(role)
}

fn name(folder: &Path) -> Option<String> {
    Some(folder.file_name()?.to_string_lossy().into_owned())
}

/// `<stem>_mask.png`, or `<stem>.png` as some datasets of the layout have it.
fn mask_of(folder: &Path, photo: &Path) -> Result<PathBuf> {
    let stem = photo.file_stem().unwrap_or_default().to_string_lossy();
    let names = [format!("{stem}_mask.png"), format!("{stem}.png")];
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        Error::input(format!(
            "The defective photo {} has no mask, though others of its type do. Add it, or remove the folder of masks.",
            photo.display()
        ))
        .at(folder.join(&names[0]))
    })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::io("Cannot read the folder", folder, &e);
    let mut paths = std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Photos directly in `folder`, sorted by name; hidden files are left out.
fn photos(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_photo = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        !hidden && path.is_file() && ending.is_some_and(|ending| EXTENSIONS.contains(&ending.as_str()))
    };
    Ok(entries(folder)?.into_iter().filter(is_photo).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_the_folders_above_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("ring");
        for folder in ["train/good", "test/crack", "ground_truth/crack"] {
            std::fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        assert_eq!(role(&root.join("train/good/1.png")), Some(Role::Train));
        assert_eq!(role(&root.join("test/crack/1.png")), Some(Role::Test("crack".to_owned())));
        assert_eq!(role(&root.join("ground_truth/crack/1_mask.png")), Some(Role::Mask));
        assert_eq!(role(&root.join("test/1.png")), None);
        std::fs::create_dir_all(dir.path().join("other/test/crack")).expect("a folder");
        assert_eq!(role(&dir.path().join("other/test/crack/1.png")), None, "`test` alone is no dataset");
    }
}
