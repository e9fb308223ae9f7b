//! The confusion matrix as a picture for reports: photos and their share of the true class in every cell, recall and
//! precision at the edges. Counts come from `metrics::Confusion`; the window draws its own, which can be clicked.

use image::{Rgb, RgbImage, imageops};
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::rect::Rect;

use super::lettering::{Style, Weight, mix};
use crate::metrics::{ClassReport, Confusion};

const PAPER: [u8; 3] = [255, 255, 255];
const INK: [u8; 3] = [24, 28, 36];
const FAINT: [u8; 3] = [122, 130, 142];
const EMPTY_CELL: [u8; 3] = [244, 245, 247];
/// Recognised photos; told apart from [`MISTAKEN`] by colour-blind eyes.
const RECOGNISED: [u8; 3] = [23, 92, 163];
const MISTAKEN: [u8; 3] = [214, 84, 26];
/// Pixels around everything, and between cells.
const MARGIN: f32 = 28.0;
const GAP: f32 = 3.0;
/// Labels of classes are cut to this width.
const LONGEST_LABEL: f32 = 190.0;

fn style(weight: Weight, px: f32, colour: [u8; 3]) -> Style {
    Style { weight, px, colour }
}

/// Draws the matrix; rows are truth. A column `none` stands beside it when photos were given no label.
pub fn confusion_picture(confusion: &Confusion) -> RgbImage {
    let report = ClassReport::new(confusion);
    let classes = confusion.labels().len();
    let cell: f32 = match classes {
        0..=6 => 92.0,
        7..=10 => 78.0,
        11..=16 => 62.0,
        _ => 48.0,
    };
    let name = style(Weight::Regular, if cell > 70.0 { 15.0 } else { 13.0 }, INK);
    let labels: Vec<String> = confusion.labels().iter().map(|label| elided(label, name, LONGEST_LABEL)).collect();
    let with_none = confusion.rejected().iter().any(|&count| count > 0);
    let mut columns = labels.clone();
    if with_none {
        columns.push("none".to_owned());
    }
    let widest = labels.iter().map(|label| name.width(label)).fold(name.width("precision"), f32::max);
    let upright = columns.iter().all(|label| name.width(label) <= cell - 6.0);
    let head = if upright { 26.0 } else { columns.iter().map(|label| name.width(label)).fold(0.0, f32::max) + 14.0 };
    let (left, top) = (MARGIN + widest + 14.0, MARGIN + 74.0 + head);
    let edge = 70.0;
    let title = style(Weight::SemiBold, 21.0, INK);
    let note = style(Weight::Regular, 13.5, FAINT);
    let facts = format!(
        "{} photos · accuracy {:.1} % · macro F1 {:.3}",
        confusion.total(),
        100.0 * report.accuracy,
        report.macro_average.f1
    );
    let legend = "Cells: photos, and their share of the true class in %. Blue: recognised, orange: mistaken.";
    let width = left + columns.len() as f32 * cell + 2.0 * edge;
    let width =
        [width, MARGIN + note.width(legend), MARGIN + note.width(&facts)].into_iter().fold(0.0, f32::max) + MARGIN;
    let height = top + classes as f32 * cell + 44.0 + 34.0 + MARGIN;
    let mut picture = RgbImage::from_pixel(width.ceil() as u32, height.ceil() as u32, Rgb(PAPER));

    title.draw(&mut picture, MARGIN, MARGIN + 9.0, "Confusion matrix");
    note.draw(&mut picture, MARGIN, MARGIN + 35.0, &facts);
    let axis = style(Weight::SemiBold, 13.5, FAINT);
    axis.draw(&mut picture, MARGIN, top - 14.0, "True class");
    axis.draw(&mut picture, left, MARGIN + 62.0, "Predicted");
    for (at, label) in columns.iter().enumerate() {
        let middle = left + (at as f32 + 0.5) * cell;
        if upright {
            name.draw(&mut picture, middle - name.width(label) / 2.0, top - 14.0, label);
        } else {
            draw_upwards(&mut picture, name, middle, top - 7.0, label);
        }
    }
    let beyond = left + columns.len() as f32 * cell;
    let centred = |picture: &mut RgbImage, style: Style, x: f32, y: f32, text: &str| {
        style.draw(picture, x - style.width(text) / 2.0, y, text);
    };
    centred(&mut picture, axis, beyond + edge * 0.5, top - 14.0, "photos");
    centred(&mut picture, axis, beyond + edge * 1.5, top - 14.0, "recall");
    for (row, label) in labels.iter().enumerate() {
        let middle = top + (row as f32 + 0.5) * cell;
        name.draw(&mut picture, left - 14.0 - name.width(label), middle, label);
        for column in 0..columns.len() {
            let (count, share) = if column < classes {
                (confusion.counts()[row][column], confusion.row_share(row, column))
            } else {
                let count = confusion.rejected()[row];
                (count, count as f64 / confusion.support(row).max(1) as f64)
            };
            let corner = (left + column as f32 * cell, top + row as f32 * cell);
            draw_cell(&mut picture, corner, cell, count, share, row == column);
        }
        let figure = style(Weight::Regular, name.px, INK);
        centred(&mut picture, figure, beyond + edge * 0.5, middle, &confusion.support(row).to_string());
        let recall = format!("{:.1} %", 100.0 * report.per_class[row].recall);
        centred(&mut picture, figure, beyond + edge * 1.5, middle, &recall);
    }
    let below = top + classes as f32 * cell + 20.0;
    axis.draw(&mut picture, left - 14.0 - axis.width("precision"), below, "precision");
    for (at, figures) in report.per_class.iter().enumerate() {
        let text = if cell > 55.0 {
            format!("{:.1} %", 100.0 * figures.precision)
        } else {
            format!("{:.0}", 100.0 * figures.precision)
        };
        centred(&mut picture, style(Weight::Regular, name.px, INK), left + (at as f32 + 0.5) * cell, below, &text);
    }
    note.draw(&mut picture, MARGIN, below + 40.0, legend);
    picture
}

/// A cell with its count and, where there is room, its share; an empty one stays pale.
fn draw_cell(picture: &mut RgbImage, corner: (f32, f32), cell: f32, count: u64, share: f64, diagonal: bool) {
    let hue = if diagonal { RECOGNISED } else { MISTAKEN };
    // Single photos in a large class should show, so the colour starts above nothing.
    let strength = if count == 0 { 0.0 } else { 0.10 + 0.90 * share as f32 };
    let ground = if count == 0 { EMPTY_CELL } else { mix(PAPER, hue, strength) };
    let side = (cell - GAP).round() as u32;
    let place = Rect::at(corner.0.round() as i32, corner.1.round() as i32).of_size(side, side);
    draw_filled_rect_mut(picture, place, Rgb(ground));
    // Brightness as the eye weighs the channels; letters are white on dark cells only.
    let [red, green, blue] = ground.map(f32::from);
    let ink = match (count, 0.2126 * red + 0.7152 * green + 0.0722 * blue < 140.0) {
        (0, _) => mix(EMPTY_CELL, FAINT, 0.55),
        (_, true) => PAPER,
        (_, false) => INK,
    };
    let (middle, number) = (corner.0 + (cell - GAP) / 2.0, style(Weight::SemiBold, (cell * 0.24).min(21.0), ink));
    let text = count.to_string();
    let lift = if count == 0 { 0.0 } else { cell * 0.12 };
    number.draw(picture, middle - number.width(&text) / 2.0, corner.1 + (cell - GAP) / 2.0 - lift, &text);
    if count > 0 {
        let percent = style(Weight::Regular, (cell * 0.16).clamp(9.5, 14.0), mix(ground, ink, 0.82));
        let text = if cell > 55.0 { format!("{:.1} %", 100.0 * share) } else { format!("{:.0} %", 100.0 * share) };
        percent.draw(picture, middle - percent.width(&text) / 2.0, corner.1 + (cell - GAP) / 2.0 + cell * 0.17, &text);
    }
}

/// Text that reads upwards, its beginning at `bottom`, centred on the column `middle`.
fn draw_upwards(picture: &mut RgbImage, style: Style, middle: f32, bottom: f32, text: &str) {
    let (length, thickness) = (style.width(text).ceil() as u32 + 2, (style.px * 1.5).ceil() as u32);
    let mut strip = RgbImage::from_pixel(length, thickness, Rgb(PAPER));
    style.draw(&mut strip, 1.0, thickness as f32 / 2.0, text);
    let strip = imageops::rotate270(&strip);
    let (x, y) = (middle - thickness as f32 / 2.0, bottom - length as f32);
    imageops::replace(picture, &strip, x.round() as i64, y.round() as i64);
}

/// The text, its end replaced by `…` where it is wider than `widest` pixels.
fn elided(text: &str, style: Style, widest: f32) -> String {
    if style.width(text) <= widest {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if style.width(&format!("{kept}{c}…")) > widest {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn matrix(labels: &[&str], pairs: &[(usize, Option<usize>)]) -> Confusion {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        Confusion::new(&labels, pairs.iter().copied()).unwrap()
    }

    #[test]
    fn recognised_cells_are_blue_mistaken_ones_orange_and_empty_ones_pale() {
        let confusion = matrix(&["a", "b"], &[(0, Some(0)), (1, Some(0))]);
        let picture = confusion_picture(&confusion);
        let (mut blue, mut orange, mut pale) = (0, 0, 0);
        for pixel in picture.pixels() {
            blue += u32::from(pixel.0 == RECOGNISED);
            orange += u32::from(pixel.0 == MISTAKEN);
            pale += u32::from(pixel.0 == EMPTY_CELL);
        }
        // Two full cells, less their letters, and two empty ones.
        assert!(blue > 6000 && orange > 6000 && pale > 14_000, "{blue}, {orange}, {pale}");
    }

    #[test]
    fn any_number_of_classes_and_any_names_fit() {
        for classes in [1, 2, 9, 14, 25] {
            let labels: Vec<String> = (0..classes).map(|i| format!("class number {i} {}", "long ".repeat(i))).collect();
            let pairs: Vec<_> = (0..classes).map(|i| (i, (i % 3 > 0).then_some((i * 7) % classes))).collect();
            let picture = confusion_picture(&Confusion::new(&labels, pairs).unwrap());
            // Nothing touches the frame.
            let (width, height) = picture.dimensions();
            let border =
                picture.enumerate_pixels().filter(|(x, y, _)| *x < 4 || *y < 4 || *x + 4 >= width || *y + 4 >= height);
            assert!(border.into_iter().all(|(.., pixel)| pixel.0 == PAPER), "{classes} classes");
        }
        let short = style(Weight::Regular, 15.0, INK);
        assert!(short.width(&elided(&"wide ".repeat(40), short, 100.0)) <= 100.0);
    }
}
