//! `hairline segment masks`: COCO annotations as black and white PNG masks.

use std::path::{Path, PathBuf};

use clap::Args;

use super::folder_name;
use crate::cli::console::Console;
use crate::cli::interrupt;
use crate::count::count;
use crate::dataset::coco_masks::{CocoMasks, Image};
use crate::{Error, Result, report};

/// Annotations without a photo named on the console.
const NAMED: usize = 20;

/// Arguments of `hairline segment masks`.
#[derive(Clone, Debug, Args)]
pub struct MasksArgs {
    /// The annotation file
    #[arg(long, value_name = "FILE.json")]
    coco: PathBuf,
    /// Folder that the file's photo names start from
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder for the masks, `<stem>_mask.png` each; with several categories, a folder for each
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave out regions marked as crowds
    #[arg(long)]
    skip_crowds: bool,
}

/// Writes the masks.
pub fn run(args: &MasksArgs, console: &Console) -> Result<()> {
    let file = CocoMasks::open(&args.coco, !args.skip_crowds)?;
    if file.categories.is_empty() || file.images.is_empty() {
        return Err(Error::input("The annotation file names no photo or no category, so there is no mask to write.")
            .at(&args.coco));
    }
    let folders: Vec<PathBuf> = match file.categories.as_slice() {
        [_] => vec![args.out.clone()],
        several => {
            several.iter().map(|category| Ok(args.out.join(folder_name(&category.name)?))).collect::<Result<_>>()?
        }
    };
    for (index, folder) in folders.iter().enumerate() {
        if folders[..index].contains(folder) {
            return Err(Error::input(format!(
                "Two categories would be written to {}. Give them different names.",
                folder.display()
            ))
            .at(&args.coco));
        }
        report::create_folder(folder)?;
    }
    for stray in file.strays.iter().take(NAMED) {
        Console::failure(stray);
    }
    if file.strays.len() > NAMED {
        let more = file.strays.len() - NAMED;
        let belong = count(more, "more annotation belongs to a photo", "more annotations belong to photos");
        Console::failure(&Error::input(format!("{belong} that the file does not list.")).at(&args.coco));
    }
    let photos: Vec<PathBuf> = file.images.iter().map(|image| args.images.join(&image.file_name)).collect();
    let stems = report::unique_stems(&photos);
    let mut progress = console.progress(file.images.len() as u64, "photos done");
    let (mut written, mut failed, mut empty) = (0usize, 0usize, 0usize);
    for (done, ((image, photo), stem)) in file.images.iter().zip(&photos).zip(&stems).enumerate() {
        if interrupt::wanted() {
            return Err(Error::Cancelled);
        }
        let outcome = same_size(image, photo).and_then(|()| {
            // A photo has every mask or none, and many large masks have no room in memory at once.
            for category in &file.categories {
                file.mask(image, category)?;
            }
            for (category, folder) in file.categories.iter().zip(&folders) {
                let mask = file.mask(image, category)?;
                empty += usize::from(mask.iter().all(|value| *value == 0));
                report::write_png(&folder.join(format!("{stem}_mask.png")), &mask.into())?;
                written += 1;
            }
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(error @ Error::Io { .. }) if photo.is_file() => return Err(error),
            Err(error) => {
                progress.suspend(|| Console::failure(&error));
                failed += 1;
            }
        }
        progress.set(done as u64 + 1);
    }
    drop(progress);
    let masks = count(written, "mask", "masks");
    console.note(format!("{masks} written to {}, {empty} of them empty", args.out.display()));
    if failed > 0 {
        let have = if failed == 1 { "has" } else { "have" };
        return Err(Error::input(format!(
            "{failed} of {} {have} no mask (named above); the rest is written. Correct the annotations or the photos.",
            count(file.images.len(), "photo", "photos")
        )));
    }
    match file.strays.len() {
        0 => Ok(()),
        strays => Err(Error::input(format!(
            "{} (named above); every mask is written. Correct the annotations.",
            count(strays, "annotation belongs to no photo", "annotations belong to no photo")
        ))),
    }
}

/// That the photo is there and as large as the annotations say, without decoding it.
fn same_size(image: &Image, photo: &Path) -> Result<()> {
    let size = image::ImageReader::open(photo)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| Error::io("Cannot read the photo", photo, &e))?
        .into_dimensions()
        .map_err(|e| Error::input(format!("This is no photo that can be read ({e}).")).at(photo))?;
    if size == (image.width, image.height) {
        return Ok(());
    }
    Err(Error::input(format!(
        "The photo has {} × {} pixels, but photo {} of the annotations {} × {}. Annotate the photo as it is.",
        size.0, size.1, image.id, image.width, image.height
    ))
    .at(photo))
}
