//! Segmentation's work for the engine's thread: maps of a photo, and the file of all corrected photos.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::correction::{Raster, Strokes};
use super::decide::Subject;
use super::{LayerId, MapKey, Prompt, SegmentSetup};
use crate::anomaly::AnomalyMap;
use crate::dataset::export::coco_masks::{CocoWriter, PhotoWithMasks};
use crate::engine::Lab;
use crate::model::ClipSegModel;
use crate::photo::Photo;
use crate::segment::{probabilities, sharpened};
use crate::{Error, Result};

/// What comes back from the engine's thread.
#[derive(Debug)]
pub enum Answer {
    /// Maps of one photo.
    Maps(Vec<(MapKey, Arc<AnomalyMap>)>),
    /// The annotation file, the folder that its photos' names start from, how many they are, and those left out.
    Exported { file: PathBuf, root: PathBuf, photos: usize, failures: Vec<(PathBuf, Error)> },
}

/// A map that is known already, by its key.
pub type Known = Vec<(MapKey, Arc<AnomalyMap>)>;

/// The maps of `photo` for `prompts`, and the network's own ones where edges are taken from the photo; those in `known` do
/// not go through the network again.
pub fn segmented(
    setup: SegmentSetup,
    photo: PathBuf,
    prompts: Vec<Prompt>,
    known: Known,
) -> impl FnOnce(&mut Lab<'_, '_>) -> Result<Answer> + Send {
    move |lab| maps(lab, &setup, &photo, &prompts, &known).map(Answer::Maps)
}

fn maps(lab: &mut Lab<'_, '_>, setup: &SegmentSetup, path: &Path, prompts: &[Prompt], known: &Known) -> Result<Known> {
    let photo = Photo::open(path)?;
    let (width, height) = (photo.width(), photo.height());
    let plain = |prompt: &Prompt| setup.key(path, prompt).plain();
    let of = |scores| AnomalyMap {
        width: width as usize,
        height: height as usize,
        photo_width: width,
        photo_height: height,
        scores,
    };
    let mut made: Known = Vec::new();
    let missing: Vec<&Prompt> =
        prompts.iter().filter(|prompt| !known.iter().any(|(key, _)| *key == plain(prompt))).collect();
    if !missing.is_empty() {
        let model = lab.segmenter(&setup.model)?;
        let embeddings = missing.iter().map(|prompt| embedding(&model, prompt)).collect::<Result<Vec<_>>>()?;
        let maps = probabilities(&model, &photo, &embeddings, &setup.options(), |done, total| {
            lab.progress(done, total);
            !lab.cancelled()
        })?;
        made.extend(missing.into_iter().map(plain).zip(maps.into_iter().map(|scores| Arc::new(of(scores)))));
    }
    let Some(how) = setup.edges() else { return Ok(made) };
    let mut sharp: Known = Vec::new();
    for prompt in prompts {
        let key = plain(prompt);
        let own = known.iter().chain(&made).find(|(known, _)| *known == key);
        let own = own.ok_or_else(|| Error::bug("a prompt has no map."))?;
        let scores = sharpened(std::slice::from_ref(&own.1.scores), &photo, how).remove(0);
        sharp.push((setup.key(path, prompt), Arc::new(of(scores))));
        if lab.cancelled() {
            return Err(Error::Cancelled);
        }
    }
    made.extend(sharp);
    Ok(made)
}

fn embedding(model: &ClipSegModel, prompt: &Prompt) -> Result<Vec<f32>> {
    let mut embeddings = match prompt {
        Prompt::Words(words) => model.encode_texts(&[words.trim().to_owned()])?,
        Prompt::Example { photo, x, y, width, height } => {
            let opened = Photo::open(photo)?;
            if x + width > opened.width() || y + height > opened.height() || *width == 0 || *height == 0 {
                let text = "The example lies outside of its photo, which was changed. Draw the example again.";
                return Err(Error::input(text).at(photo));
            }
            let crop = image::imageops::crop_imm(&opened.pixels, *x, *y, *width, *height).to_image();
            model.encode_examples(&[model.prepare(&Photo::from_pixels(crop, photo))?])?
        }
    };
    embeddings.pop().ok_or_else(|| Error::bug("a prompt has no embedding."))
}

/// Writes every layer's masks of all `photos` (with the strokes on them) into one annotation file. A photo that cannot be
/// read is left out and named.
pub fn exported(
    setup: SegmentSetup,
    photos: Vec<(PathBuf, Vec<(LayerId, Strokes)>)>,
    known: Known,
    file: PathBuf,
) -> impl FnOnce(&mut Lab<'_, '_>) -> Result<Answer> + Send {
    move |lab| {
        let layers: Vec<_> = setup.asking().cloned().collect();
        let mut names: Vec<String> = layers.iter().map(|layer| layer.prompt.name()).collect();
        names.sort();
        names.dedup();
        let mut writer = CocoWriter::new(names.clone());
        let root = common_folder(photos.iter().map(|(path, _)| path));
        let (mut failures, total) = (Vec::new(), photos.len());
        for (done, (path, strokes)) in photos.iter().enumerate() {
            lab.progress(done, total);
            if lab.cancelled() {
                return Err(Error::Cancelled);
            }
            let prompts: Vec<Prompt> = layers.iter().map(|layer| layer.prompt.clone()).collect();
            let made = match maps(lab, &setup, path, &prompts, &known) {
                Ok(made) => made,
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    failures.push((path.clone(), error));
                    continue;
                }
            };
            let mut masks: Vec<(usize, image::GrayImage)> = Vec::new();
            for layer in &layers {
                let key = setup.key(path, &layer.prompt);
                let map = known.iter().chain(&made).find(|(known, _)| *known == key).map(|(_, map)| map.clone());
                let map = map.ok_or_else(|| Error::bug("a layer has no map."))?;
                let drawn = strokes.iter().find(|(id, _)| *id == layer.id).map(|(_, strokes)| strokes.clone());
                let cells = drawn.map(|strokes| Raster::new(map.width, map.height, strokes, 0).cells);
                let mask = Subject { id: layer.id, map, threshold: layer.threshold, version: 0, cells }.mask();
                let category = names.binary_search(&layer.prompt.name()).unwrap_or(0);
                // Two layers of one name are one category: their masks are joined.
                match masks.iter_mut().find(|(known, _)| *known == category) {
                    Some((_, joined)) => {
                        joined.iter_mut().zip(mask.iter()).for_each(|(joined, value)| *joined |= *value);
                    }
                    None => masks.push((category, mask)),
                }
            }
            let Some((width, height)) = masks.first().map(|(_, mask)| mask.dimensions()) else { continue };
            let file_name = path.strip_prefix(&root).unwrap_or(path).display().to_string().replace('\\', "/");
            writer.add(&PhotoWithMasks { file_name, width, height, masks })?;
        }
        let file = writer.write(&file)?;
        Ok(Answer::Exported { file, root, photos: total - failures.len(), failures })
    }
}

/// The innermost folder that all photos lie in.
fn common_folder<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> PathBuf {
    let mut paths = paths.into_iter();
    let mut root = paths.next().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_owned();
    for path in paths {
        while !path.starts_with(&root) && root.pop() {}
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_start_from_the_innermost_common_folder() {
        let common = |paths: &[&str]| common_folder(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(common(&["/a/b/c.png", "/a/b/d.png"]), Path::new("/a/b"));
        assert_eq!(common(&["/a/b/c.png", "/a/bb/d.png"]), Path::new("/a"));
        assert_eq!(common(&["c.png"]), Path::new(""));
    }
}
