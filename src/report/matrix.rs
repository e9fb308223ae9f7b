//! The picture of a confusion matrix: counts and row percentages on white, for reports. Cells that are right carry an
//! outline, so that colour is not the only sign. The matrix to click on is the window's.

use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_filled_rect_mut, draw_hollow_rect_mut};
use imageproc::rect::Rect;

use super::lettering::{Style, Weight, mix};

const PAPER: [u8; 3] = [255, 255, 255];
const INK: [u8; 3] = [26, 28, 32];
const FAINT: [u8; 3] = [102, 109, 120];
const EMPTY: [u8; 3] = [244, 245, 247];
const RIGHT: [u8; 3] = [10, 120, 112];
const WRONG: [u8; 3] = [196, 65, 26];
const OPEN: [u8; 3] = [154, 100, 0];

/// What a cell means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    Right,
    Wrong,
    /// Neither: left to a person.
    Open,
}

/// A matrix of counts with names.
#[derive(Clone, Debug)]
pub struct MatrixPicture {
    /// Over the matrix.
    pub title: String,
    /// What rows and columns are.
    pub axes: [String; 2],
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// `[row][column]`
    pub counts: Vec<Vec<u64>>,
    /// `[row][column]`
    pub kinds: Vec<Vec<CellKind>>,
}

impl MatrixPicture {
    /// Draws it, at a size that grows with the number of classes.
    pub fn draw(&self) -> RgbImage {
        let text = |px: f32, weight: Weight, colour: [u8; 3]| Style { weight, px, colour };
        let (title, name) = (text(26.0, Weight::SemiBold, INK), text(19.0, Weight::Regular, INK));
        let (faint, number) = (text(16.0, Weight::Regular, FAINT), text(22.0, Weight::SemiBold, INK));
        let widest = |names: &[String], least: f32| names.iter().map(|n| name.width(n)).fold(least, f32::max);
        let cell = [(widest(&self.columns, 60.0) + 24.0).clamp(84.0, 260.0) as u32, 72];
        let left = (widest(&self.rows, faint.width(&self.axes[0])) + 52.0) as u32;
        let top = 132_u32;
        let support = 96_u32;
        let width = (left + cell[0] * self.columns.len() as u32 + support).max(title.width(&self.title) as u32 + 56);
        let height = top + cell[1] * self.rows.len() as u32 + 28;
        let mut picture = RgbImage::from_pixel(width, height, Rgb(PAPER));
        title.draw(&mut picture, 28.0, 34.0, &self.title);
        faint.draw(&mut picture, left as f32 + 4.0, 76.0, &format!("{} →", self.axes[1]));
        faint.draw(&mut picture, 28.0, 108.0, &format!("{} ↓", self.axes[0]));
        let right = (left + cell[0] * self.columns.len() as u32) as f32;
        faint.draw(&mut picture, right + 16.0, 108.0, "photos");
        let centred = |picture: &mut RgbImage, style: Style, middle: [f32; 2], text: &str| {
            style.draw(picture, middle[0] - style.width(text) / 2.0, middle[1], text);
        };
        for (column, label) in self.columns.iter().enumerate() {
            let middle = left as f32 + (column as f32 + 0.5) * cell[0] as f32;
            centred(&mut picture, name, [middle, 108.0], label);
        }
        for (row, label) in self.rows.iter().enumerate() {
            let corner = top + row as u32 * cell[1];
            let middle = corner as f32 + cell[1] as f32 / 2.0;
            name.draw(&mut picture, left as f32 - 16.0 - name.width(label), middle, label);
            let total: u64 = self.counts[row].iter().sum();
            faint.draw(&mut picture, right + 16.0, middle, &total.to_string());
            for (column, (&count, kind)) in self.counts[row].iter().zip(&self.kinds[row]).enumerate() {
                let x = left + column as u32 * cell[0];
                let rect = Rect::at(x as i32 + 2, corner as i32 + 2).of_size(cell[0] - 4, cell[1] - 4);
                let share = if total == 0 { 0.0 } else { count as f32 / total as f32 };
                let colour = match kind {
                    CellKind::Right => RIGHT,
                    CellKind::Wrong => WRONG,
                    CellKind::Open => OPEN,
                };
                let fill = if count == 0 { EMPTY } else { mix(PAPER, colour, 0.12 + 0.36 * share) };
                draw_filled_rect_mut(&mut picture, rect, Rgb(fill));
                if *kind == CellKind::Right {
                    draw_hollow_rect_mut(&mut picture, rect, Rgb(colour));
                }
                let at = x as f32 + cell[0] as f32 / 2.0;
                if count > 0 {
                    centred(&mut picture, number, [at, middle - 11.0], &count.to_string());
                    let share = Style { colour: INK, ..faint };
                    centred(
                        &mut picture,
                        share,
                        [at, middle + 15.0],
                        &format!("{:.0} %", 100.0 * count as f32 / total as f32),
                    );
                } else {
                    centred(&mut picture, faint, [at, middle], "0");
                }
            }
        }
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_cells_are_outlined_and_empty_ones_are_pale() {
        let matrix = MatrixPicture {
            title: "Verdicts".to_owned(),
            axes: ["truly".to_owned(), "verdict".to_owned()],
            rows: vec!["good".to_owned(), "a class with a long name".to_owned()],
            columns: vec!["OK".to_owned(), "NG".to_owned()],
            counts: vec![vec![4, 0], vec![1, 3]],
            kinds: vec![vec![CellKind::Right, CellKind::Wrong], vec![CellKind::Wrong, CellKind::Right]],
        };
        let picture = matrix.draw();
        let outlined = picture.pixels().filter(|pixel| pixel.0 == RIGHT).count();
        assert!(outlined > 200, "{outlined}");
        assert!(picture.pixels().filter(|pixel| pixel.0 == EMPTY).count() > 1000);
        assert!(picture.width() > 400 && picture.height() > 250);
        let twenty: Vec<String> = (0..20).map(|n| format!("class {n}")).collect();
        let large = MatrixPicture {
            counts: vec![vec![1; 20]; 20],
            kinds: vec![vec![CellKind::Wrong; 20]; 20],
            rows: twenty.clone(),
            columns: twenty,
            ..matrix
        };
        assert!(large.draw().width() < 4000);
    }
}
