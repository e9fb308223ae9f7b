//! Pictures of segmentations: probabilities in grey, and all prompts' masks over the photo, each in its colour, with their
//! outlines and a key below; and the page of an evaluation, the worst photos first.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use image::{GrayImage, Rgb, RgbImage};

use super::base64;
use super::html::{LOGO, STYLE, escape};
use super::images::thumbnail;
use super::lettering::{Style, Weight, mix};
use crate::Result;
use crate::anomaly::AnomalyMap;
use crate::model::ModelInfo;
use crate::segment::evaluate::ClassOverlap;
use crate::segment::{Evaluation, Layer, PhotoOverlap};

/// Colours that colour-blind eyes tell apart (Okabe and Ito 2008), for the first to the eighth prompt and again.
pub const COLOURS: [[u8; 3]; 8] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
    [200, 200, 200],
];
const STRIP: [u8; 3] = [22, 24, 28];
const INK: [u8; 3] = [236, 238, 242];
/// Height of one line of the key in pixels, and the size of its letters.
const LINE: u32 = 24;

/// Probability 0 as black, 1 as white, at photo size.
pub fn probability(map: &AnomalyMap) -> GrayImage {
    let mut picture = GrayImage::new(map.photo_width, map.photo_height);
    for (pixel, probability) in picture.iter_mut().zip(map.at_photo_size()) {
        *pixel = (probability.clamp(0.0, 1.0) * 255.0).round() as u8;
    }
    picture
}

/// The photo with every mask over it; later prompts lie on top.
pub fn overlay(photo: &RgbImage, layers: &[Layer], threshold: f32) -> RgbImage {
    let mut masks = Vec::new();
    for (layer, colour) in layers.iter().zip(COLOURS.iter().cycle()) {
        let mask = super::images::mask(&layer.map, threshold);
        masks.push(Masked { words: &layer.prompt, colour: *colour, mask });
    }
    overlay_of(photo, &masks)
}

/// One mask of a picture.
#[derive(Clone, Debug)]
pub struct Masked<'a> {
    pub words: &'a str,
    pub colour: [u8; 3],
    /// Not 0 inside, of the photo's size.
    pub mask: GrayImage,
}

/// As [`overlay`], of masks that somebody else decided.
pub fn overlay_of(photo: &RgbImage, masks: &[Masked<'_>]) -> RgbImage {
    let (width, height) = photo.dimensions();
    let mut picture = RgbImage::from_pixel(width, height + LINE * masks.len() as u32, Rgb(STRIP));
    image::imageops::replace(&mut picture, photo, 0, 0);
    for (index, Masked { words, colour, mask }) in masks.iter().enumerate() {
        let inside: Vec<bool> = mask.iter().map(|value| *value > 0).collect();
        tint(&mut picture, &inside, width, height, *colour);
        let top = height + LINE * index as u32;
        for y in top + 6..top + LINE - 6 {
            for x in 8..(8 + LINE - 12).min(width) {
                picture.put_pixel(x, y, Rgb(*colour));
            }
        }
        let style = Style { px: 14.0, weight: Weight::Regular, colour: INK };
        let share = inside.iter().filter(|inside| **inside).count() as f64 / inside.len().max(1) as f64;
        style.draw(&mut picture, 28.0, top as f32 + LINE as f32 / 2.0, &format!("{words}  {:.2} %", share * 100.0));
    }
    picture
}

/// Colours the pixels of the upper left `width` × `height` that are inside, their border strongly.
fn tint(picture: &mut RgbImage, inside: &[bool], width: u32, height: u32, colour: [u8; 3]) {
    let at = |x: i64, y: i64| {
        let within = x >= 0 && y >= 0 && x < i64::from(width) && y < i64::from(height);
        within && inside[y as usize * width as usize + x as usize]
    };
    for y in 0..i64::from(height) {
        for x in 0..i64::from(width) {
            if at(x, y) {
                let edge = [(1, 0), (-1, 0), (0, 1), (0, -1)].iter().any(|(dx, dy)| !at(x + dx, y + dy));
                let pixel = picture.get_pixel_mut(x as u32, y as u32);
                pixel.0 = mix(pixel.0, colour, if edge { 1.0 } else { 0.45 });
            }
        }
    }
}

/// Photos shown with pictures on the page of an evaluation.
const CARDS: usize = 60;
/// Longer side of their pictures in pixels.
const SIDE: u32 = 420;
const PREDICTED: [u8; 3] = COLOURS[0];
const TRUE: [u8; 3] = COLOURS[1];

/// `report.html` of an evaluation.
#[derive(Debug)]
pub struct Gallery<'a> {
    /// What was measured.
    pub title: &'a str,
    pub model: &'a ModelInfo,
    pub evaluation: &'a Evaluation,
}

/// A photo, what was predicted for each class, and each class's truth.
pub type Shown = (RgbImage, Vec<Layer>, Vec<Vec<bool>>);

impl Gallery<'_> {
    /// Writes the page; `show` opens and segments a photo again, for the few that are shown.
    ///
    /// # Errors
    /// Those of `show`; [`crate::Error::Io`] naming the page.
    pub fn write(&self, path: &Path, mut show: impl FnMut(&Path) -> Result<Shown>) -> Result<PathBuf> {
        let evaluation = self.evaluation;
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>{title} – Hairline segmentation</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<div class=brand>{LOGO}Hairline</div>\n\
             <h1>Segmentation: {title}</h1>\n<div class=when>{} · SHA-256 {}… · threshold {}</div>\n",
            escape(&self.model.id),
            &self.model.sha256[..self.model.sha256.len().min(12)],
            evaluation.threshold,
            title = escape(self.title),
        );
        html += "<h2>Figures</h2>\n<table><tr><th>Class</th><th>Photos</th><th>IoU</th><th>Dice</th><th>Mean IoU</th>\
                 <th>Mean Dice</th><th>Best threshold</th><th>IoU there</th><th>Dice there</th></tr>\n";
        for row in evaluation.classes.iter().chain([&evaluation.overall]) {
            html += &table_row(row);
        }
        html += "</table>\n<p class=small>IoU and Dice over the pixels of all photos; means over the photos in which the \
                 class is outlined. The best threshold was chosen on these very photos.</p>\n<h2>Worst photos first</h2>\n";
        let _ = writeln!(
            html,
            "<p class=small>Left the truth (<b style=\"color:{}\">blue</b>), right the prediction (<b \
             style=\"color:{}\">orange</b>).</p>\n<div class=cards>",
            css(TRUE),
            css(PREDICTED)
        );
        for photo in worst_first(&evaluation.photos).into_iter().take(CARDS) {
            let (pixels, layers, truths) = show(&photo.path)?;
            let class = evaluation.classes.iter().position(|class| class.class == photo.class).unwrap_or(0);
            let (width, height) = pixels.dimensions();
            let predicted: Vec<bool> =
                layers[class].map.scores.iter().map(|score| f64::from(*score) >= evaluation.threshold).collect();
            let picture = |inside: &[bool], colour| {
                let mut picture = pixels.clone();
                tint(&mut picture, inside, width, height, colour);
                Ok::<_, crate::Error>(base64(&super::jpeg(&thumbnail(&picture, SIDE))?))
            };
            html += &card(photo, &picture(&truths[class], TRUE)?, &picture(&predicted, PREDICTED)?);
        }
        html += "</div>\n</main>\n</body>\n</html>\n";
        super::write_file(path, |out| out.write_all(html.as_bytes()))
    }
}

/// By Dice, photos without a figure (nothing there, nothing found) left out.
fn worst_first(photos: &[PhotoOverlap]) -> Vec<&PhotoOverlap> {
    let mut sorted: Vec<&PhotoOverlap> = photos.iter().filter(|photo| photo.dice.is_some()).collect();
    sorted.sort_by(|a, b| a.dice.partial_cmp(&b.dice).unwrap_or(std::cmp::Ordering::Equal));
    sorted
}

fn figure(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

fn css([r, g, b]: [u8; 3]) -> String {
    format!("rgb({r} {g} {b})")
}

fn table_row(row: &ClassOverlap) -> String {
    let figures = [row.iou, row.dice, row.mean_iou, row.mean_dice, row.best_threshold, row.best_iou, row.best_dice];
    let cells = figures.map(figure).join("</td><td>");
    format!("<tr><td>{}</td><td>{}</td><td>{cells}</td></tr>\n", escape(&row.class), row.photos)
}

fn card(photo: &PhotoOverlap, truth: &str, predicted: &str) -> String {
    let name = photo.path.file_name().unwrap_or(photo.path.as_os_str()).to_string_lossy().into_owned();
    let name = escape(&name);
    let view = |what: &str, jpeg: &str| {
        format!(
            "<div class=view><div class=frame><img loading=lazy alt=\"{what} of {name}\" \
             src=\"data:image/jpeg;base64,{jpeg}\"></div></div>"
        )
    };
    format!(
        "<div class=card><div class=pair>{}{}</div><div class=text><div class=title><b>{name}</b></div><p class=small>{} · \
         Dice {} · IoU {} · outlined {:.2} %, predicted {:.2} %</p></div></div>\n",
        view("truth", truth),
        view("prediction", predicted),
        escape(&photo.class),
        figure(photo.dice),
        figure(photo.iou),
        photo.truth_share * 100.0,
        photo.predicted_share * 100.0
    )
}
