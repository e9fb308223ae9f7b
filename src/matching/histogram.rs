//! The scores of a table as bars: matches, mismatches and rows without label, with the threshold. Numbers for programs,
//! a picture for people.

use std::path::{Path, PathBuf};
use std::sync::Once;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use serde::Serialize;

use super::pairs::Label;
use crate::{Error, Result, report};

/// Bars over the range of the scores.
const BINS: usize = 40;
/// Size of the picture in pixels.
const SIZE: (u32, u32) = (1200, 640);

/// Counts per bar; bar `i` reaches from `edges[i]` to `edges[i + 1]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    pub edges: Vec<f32>,
    #[serde(rename = "match")]
    pub matches: Vec<usize>,
    #[serde(rename = "mismatch")]
    pub mismatches: Vec<usize>,
    pub unlabelled: Vec<usize>,
}

impl Histogram {
    /// Counts scores of 0–1. The range ends at twentieths around the scores.
    pub fn new(scores: impl Iterator<Item = (f32, Option<Label>)> + Clone) -> Self {
        let (low, high) = scores.clone().fold((1.0_f32, 0.0_f32), |(low, high), (s, _)| (low.min(s), high.max(s)));
        let (from, to) =
            if low > high { (0.0, 1.0) } else { ((20.0 * low).floor() / 20.0, (20.0 * high).ceil() / 20.0) };
        let to = to.max(from + 0.05);
        let width = (to - from) / BINS as f32;
        let edges = (0..=BINS).map(|edge| from + edge as f32 * width).collect();
        let empty = || vec![0; BINS];
        let mut counts = Self { edges, matches: empty(), mismatches: empty(), unlabelled: empty() };
        for (score, label) in scores {
            let bin = (((score - from) / width) as usize).min(BINS - 1);
            match label {
                Some(Label::Match) => counts.matches[bin] += 1,
                Some(Label::Mismatch) => counts.mismatches[bin] += 1,
                None => counts.unlabelled[bin] += 1,
            }
        }
        counts
    }

    /// The three kinds of rows with their names, matches first.
    pub fn kinds(&self) -> [(&'static str, &[usize]); 3] {
        [("match", &self.matches), ("mismatch", &self.mismatches), ("without label", &self.unlabelled)]
    }

    /// The highest bar, all kinds on top of each other.
    pub fn tallest(&self) -> usize {
        (0..BINS).map(|bin| self.kinds().iter().map(|(_, counts)| counts[bin]).sum()).max().unwrap_or(0)
    }
}

/// Draws a histogram with its threshold into a PNG file.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn draw_histogram(histogram: &Histogram, threshold: f32, path: &Path) -> Result<PathBuf> {
    let mut pixels = vec![255_u8; 3 * (SIZE.0 * SIZE.1) as usize];
    paint(histogram, threshold, &mut pixels)
        .map_err(|error| Error::bug(format!("the histogram cannot be drawn ({error}).")))?;
    let picture = image::RgbImage::from_raw(SIZE.0, SIZE.1, pixels)
        .ok_or_else(|| Error::bug("the histogram has another size than its picture."))?;
    report::write_png(path, &picture.into())
}

type PaintError = Box<dyn std::error::Error>;

fn paint(histogram: &Histogram, threshold: f32, pixels: &mut [u8]) -> std::result::Result<(), PaintError> {
    const FONT: &str = "Inter";
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // A font that cannot be read shows in the first text drawn; the bundled one is checked by tests.
        let _ = register_font(FONT, FontStyle::Normal, include_bytes!("../../assets/fonts/Inter-Regular.otf"));
    });
    let ink = RGBColor(0x16, 0x19, 0x1d);
    let soft = RGBColor(0x5d, 0x66, 0x72);
    let colours = [RGBColor(0x20, 0xa0, 0x96), RGBColor(0xe2, 0x54, 0x2c), RGBColor(0x9a, 0xa1, 0xab)];
    let (from, to) = (histogram.edges[0].min(threshold), histogram.edges[BINS].max(threshold));
    // Room above the bars for legend and threshold.
    let top = (histogram.tallest().max(1) as f32 * 1.3).ceil();
    let area = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(24)
        .margin_right(36)
        .x_label_area_size(56)
        .y_label_area_size(72)
        .build_cartesian_2d(from..to, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe2, 0xe5, 0xe9))
        .axis_style(soft)
        .x_desc("Similarity")
        .y_desc("Rows")
        .x_labels(11)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.2}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style((FONT, 20).into_font().color(&soft))
        .axis_desc_style((FONT, 22).into_font().color(&ink))
        .draw()?;
    let mut base = [0.0_f32; BINS];
    for ((name, counts), colour) in histogram.kinds().into_iter().zip(colours) {
        let total: usize = counts.iter().sum();
        if total == 0 {
            continue;
        }
        let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, count)| {
            let (left, right) = (histogram.edges[bin], histogram.edges[bin + 1]);
            let gap = 0.06 * (right - left);
            let low = base[bin];
            base[bin] += *count as f32;
            Rectangle::new([(left + gap, low), (right - gap, base[bin])], colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(format!("{name} ({total})"))
            .legend(move |(x, y)| Rectangle::new([(x, y - 8), (x + 16, y + 8)], colour.filled()));
    }
    let dashes = DashedLineSeries::new([(threshold, 0.0), (threshold, top)], 8, 6, ink.stroke_width(2));
    chart.draw_series(dashes)?;
    // The lettering keeps to the side with room.
    let (anchor, shift) = if threshold > from + 0.6 * (to - from) {
        (plotters::style::text_anchor::HPos::Right, -8)
    } else {
        (plotters::style::text_anchor::HPos::Left, 8)
    };
    let style = (FONT, 22)
        .into_font()
        .color(&ink)
        .pos(plotters::style::text_anchor::Pos::new(anchor, plotters::style::text_anchor::VPos::Top));
    let (x, y) = chart.backend_coord(&(threshold, top));
    area.draw(&Text::new(format!("threshold {threshold:.3}"), (x + shift, y + 4), style))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(14)
        .legend_area_size(26)
        .border_style(TRANSPARENT)
        .background_style(WHITE.mix(0.85))
        .label_font((FONT, 20).into_font().color(&ink))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn every_score_falls_into_one_bar() {
        let rows: Vec<(f32, Option<Label>)> = (0..=1000)
            .map(|i| (0.1 + 0.25 * i as f32 / 1000.0, [Some(Label::Match), Some(Label::Mismatch), None][i % 3]))
            .collect();
        let histogram = Histogram::new(rows.iter().copied());
        assert_eq!(histogram.kinds().map(|(_, counts)| counts.iter().sum::<usize>()), [334, 334, 333]);
        assert!((histogram.edges[0] - 0.1).abs() < 1e-6 && (histogram.edges[BINS] - 0.35).abs() < 1e-6);
    }

    #[test]
    fn one_score_or_none_makes_no_broken_picture() {
        let dir = tempfile::tempdir().unwrap();
        for rows in [vec![], vec![(0.25, None)], vec![(1.0, Some(Label::Match)), (0.0, None)]] {
            let histogram = Histogram::new(rows.iter().copied());
            assert_eq!(histogram.tallest(), usize::from(!rows.is_empty()));
            let path = draw_histogram(&histogram, 0.25, &dir.path().join("h.png")).unwrap();
            let picture = image::open(path).unwrap().into_rgb8();
            assert_eq!(picture.dimensions(), SIZE);
            assert!(picture.pixels().any(|pixel| pixel.0 == [0x16, 0x19, 0x1d]), "the threshold is drawn");
        }
    }
}
