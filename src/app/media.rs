//! Pictures on the graphics device: thumbnails and the photos last looked at, each with a bound on how many are kept.
//! Panels ask for what they show; what is missing is decoded in the background and appears when it is there.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{ColorImage, Context, TextureFilter, TextureHandle, TextureOptions};
use image::RgbImage;

use super::background::{Background, Decoded};
use super::segmenting::decide::DecisionKey;
use crate::Result;
use crate::report::ColourMap;

/// Thumbnails kept, about 100 kB each.
const THUMBNAILS: usize = 400;
/// Decoded photos kept.
const PHOTOS: usize = 4;

/// A photo on the graphics device.
#[derive(Clone)]
pub struct ShownPhoto {
    /// All pixels, for the read-out.
    pub pixels: Arc<RgbImage>,
    large: TextureHandle,
    overview: Option<TextureHandle>,
}

impl ShownPhoto {
    /// The texture to draw at `zoom` screen pixels per photo pixel.
    pub fn texture(&self, zoom: f32) -> &TextureHandle {
        let longest = self.pixels.width().max(self.pixels.height()) as f32;
        match &self.overview {
            Some(overview) if zoom * longest <= 1.2 * overview.size_vec2().max_elem() => overview,
            _ => &self.large,
        }
    }
}

struct Kept<T> {
    value: T,
    used: u64,
}

/// Everything that decides the picture of masks.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersKey {
    pub decision: DecisionKey,
    pub colours: Vec<[u8; 3]>,
    /// The part of the photo: left, top, right, bottom in its pixels.
    pub window: [f32; 4],
    pub size: [usize; 2],
    pub fill: f32,
}

/// Thumbnails and photos.
#[derive(Default)]
pub struct Media {
    layers: Option<(LayersKey, TextureHandle)>,
    /// Small pictures that somebody else keeps, and theirs.
    pictures: Vec<(Arc<ColorImage>, TextureHandle)>,
    thumbnails: HashMap<PathBuf, Kept<TextureHandle>>,
    photos: HashMap<PathBuf, Kept<ShownPhoto>>,
    failed: HashSet<PathBuf>,
    missing_thumbnails: Vec<PathBuf>,
    missing_photos: Vec<PathBuf>,
    colours: Option<(ColourMap, Arc<Vec<[u8; 4]>>)>,
    frame: u64,
}

impl Media {
    /// The colours of the overlay, made once per colour map.
    pub fn colour_table(&mut self, map: ColourMap) -> Arc<Vec<[u8; 4]>> {
        match &self.colours {
            Some((made, table)) if *made == map => table.clone(),
            _ => {
                let table = super::panels::legend::table(map);
                self.colours = Some((map, table.clone()));
                table
            }
        }
    }

    /// The picture of masks, made again when anything that decides it changed.
    pub fn layers(&mut self, ctx: &Context, key: LayersKey, make: impl FnOnce() -> ColorImage) -> TextureHandle {
        if let Some((made, texture)) = &mut self.layers {
            if *made != key {
                texture.set(make(), TextureOptions::NEAREST);
                *made = key;
            }
            return texture.clone();
        }
        let texture = ctx.load_texture("masks", make(), TextureOptions::NEAREST);
        self.layers = Some((key, texture.clone()));
        texture
    }

    /// A small picture that the caller keeps; textures of pictures that nobody keeps any more go.
    pub fn picture(&mut self, ctx: &Context, picture: &Arc<ColorImage>) -> TextureHandle {
        if let Some((_, texture)) = self.pictures.iter().find(|(known, _)| Arc::ptr_eq(known, picture)) {
            return texture.clone();
        }
        self.pictures.retain(|(known, _)| Arc::strong_count(known) > 1);
        let texture = ctx.load_texture("picture", picture.clone(), TextureOptions::LINEAR);
        self.pictures.push((picture.clone(), texture.clone()));
        texture
    }

    /// The thumbnail of a photo, if it is there; asks for it otherwise.
    pub fn thumbnail(&mut self, path: &Path) -> Option<TextureHandle> {
        if let Some(kept) = self.thumbnails.get_mut(path) {
            kept.used = self.frame;
            return Some(kept.value.clone());
        }
        if !self.failed.contains(path) {
            self.missing_thumbnails.push(path.to_owned());
        }
        None
    }

    /// A decoded photo, if it is there; asks for it otherwise. The first one asked for in a frame is decoded first.
    pub fn photo(&mut self, path: &Path) -> Option<ShownPhoto> {
        if let Some(kept) = self.photos.get_mut(path) {
            kept.used = self.frame;
            return Some(kept.value.clone());
        }
        if !self.failed.contains(path) && !self.missing_photos.iter().any(|missing| missing == path) {
            self.missing_photos.push(path.to_owned());
        }
        None
    }

    /// True if the file could not be decoded.
    pub fn failed(&self, path: &Path) -> bool {
        self.failed.contains(path)
    }

    /// Forgets that files failed, e.g. because they are opened again.
    pub fn try_again<'a>(&mut self, paths: impl IntoIterator<Item = &'a PathBuf>) {
        for path in paths {
            self.failed.remove(path);
        }
    }

    /// A thumbnail arrived.
    pub fn take_thumbnail(&mut self, ctx: &Context, path: PathBuf, image: Result<ColorImage>) {
        match image {
            Ok(image) => {
                let value = ctx.load_texture("thumbnail", image, TextureOptions::LINEAR);
                self.thumbnails.insert(path, Kept { value, used: self.frame });
                evict(&mut self.thumbnails, THUMBNAILS);
            }
            Err(_) => {
                self.failed.insert(path);
            }
        }
    }

    /// A photo arrived.
    pub fn take_photo(&mut self, ctx: &Context, path: PathBuf, decoded: Result<Decoded>) {
        match decoded {
            Ok(decoded) => {
                let crisp = TextureOptions { magnification: TextureFilter::Nearest, ..TextureOptions::LINEAR };
                let value = ShownPhoto {
                    pixels: decoded.pixels,
                    large: ctx.load_texture("photo", decoded.large, crisp),
                    overview: decoded.overview.map(|image| ctx.load_texture("overview", image, TextureOptions::LINEAR)),
                };
                self.photos.insert(path, Kept { value, used: self.frame });
                evict(&mut self.photos, PHOTOS);
            }
            Err(_) => {
                self.failed.insert(path);
            }
        }
    }

    /// Hands what was missing in this frame to the background; at the end of each frame.
    pub fn end_frame(&mut self, background: &Background) {
        self.frame += 1;
        background.want_thumbnails(std::mem::take(&mut self.missing_thumbnails));
        background.want_photos(std::mem::take(&mut self.missing_photos));
    }

    /// Thumbnails on the graphics device.
    pub fn thumbnails_kept(&self) -> usize {
        self.thumbnails.len()
    }
}

/// Drops the longest unused ones beyond `limit`.
fn evict<T>(kept: &mut HashMap<PathBuf, Kept<T>>, limit: usize) {
    while kept.len() > limit {
        let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(path, _)| path.clone()) else { return };
        kept.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn thumbnails_are_bounded_and_the_longest_unused_go() {
        let (ctx, mut media) = (Context::default(), Media::default());
        for n in 0..THUMBNAILS + 50 {
            media.frame += 1;
            media.take_thumbnail(&ctx, format!("{n}").into(), Ok(ColorImage::example()));
            assert!(media.thumbnail(Path::new("0")).is_some(), "used every frame, so kept");
        }
        assert_eq!(media.thumbnails_kept(), THUMBNAILS);
        assert!(media.thumbnail(Path::new("1")).is_none());
    }

    #[test]
    fn a_file_that_failed_is_not_asked_for_again() {
        let (ctx, mut media) = (Context::default(), Media::default());
        assert!(media.photo(Path::new("a")).is_none());
        assert_eq!(media.missing_photos.len(), 1);
        media.take_photo(&ctx, "a".into(), Err(Error::input("x")));
        media.missing_photos.clear();
        assert!(media.photo(Path::new("a")).is_none() && media.failed(Path::new("a")));
        assert!(media.missing_photos.is_empty());
        media.try_again(&["a".into()]);
        assert!(media.photo(Path::new("a")).is_none());
        assert_eq!(media.missing_photos.len(), 1);
    }
}
