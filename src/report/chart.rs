//! Line charts, as SVG inside a page and as PNG beside it: one layout, two pens. Light, so that they print; not
//! interactive, the window draws its own.

use std::fmt::Write as _;

use image::{Rgb, RgbImage, imageops};

use super::html::escape;
use super::lettering::{Style, Weight, blend};

/// Width and height of the plot, margins around it, and what the legend has besides its names, in units of the chart.
const PLOT: (f32, f32) = (388.0, 352.0);
const LEFT: f32 = 50.0;
const TOP: f32 = 74.0;
const RIGHT: f32 = 18.0;
const BOTTOM: f32 = 48.0;
const LEGEND: f32 = 124.0;
/// Room for the legend's names: as much as the longest needs, within these.
const NAMES: (f32, f32) = (126.0, 290.0);
/// Paper around the chart in a picture.
const MARGIN: f32 = 20.0;
/// Lines named in the legend at most.
const NAMED: usize = 20;
/// Pixels of the PNG per unit.
const SCALE: f32 = 2.0;

const PAPER: [u8; 3] = [255, 255, 255];
const INK: [u8; 3] = [22, 25, 29];
const SOFT: [u8; 3] = [93, 102, 114];
const GRID: [u8; 3] = [230, 233, 237];
const AXIS: [u8; 3] = [150, 157, 167];

/// A chart over 0–1 upwards.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    /// What runs to the right.
    pub x: String,
    /// What runs upwards.
    pub y: String,
    /// What the lines' values are, e.g. `AUROC`.
    pub figure: &'static str,
    /// The value at the right edge; the left edge is 0.
    pub x_end: f64,
    /// Marks on the horizontal axis, with their words.
    pub ticks: Vec<(f64, String)>,
    /// Draw the line of mere chance, from corner to corner.
    pub chance: bool,
    /// Draw a dot at every point.
    pub dots: bool,
    pub lines: Vec<Line>,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    /// What the legend says beside the name, e.g. the area; lines without one are named in the chart's head.
    pub value: String,
    pub points: Vec<[f64; 2]>,
}

/// Where a text is anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// What charts are drawn with. Coordinates are units of the chart, origin top left.
trait Pen {
    fn line(&mut self, points: &[(f32, f32)], colour: [u8; 3], width: f32);
    fn dot(&mut self, x: f32, y: f32, colour: [u8; 3], radius: f32);
    /// `y` is the middle of a capital letter.
    fn text(&mut self, x: f32, y: f32, anchor: Anchor, weight: Weight, px: f32, colour: [u8; 3], text: &str);
}

impl Chart {
    fn legend(&self) -> bool {
        self.lines.len() > 1 && self.lines.iter().any(|line| !line.value.is_empty())
    }

    /// Width of the legend's names.
    fn names(&self) -> f32 {
        let style = Style { weight: Weight::Regular, px: 12.5, colour: INK };
        let widths = self.lines.iter().take(NAMED).map(|line| style.width(&line.name).ceil());
        widths.fold(NAMES.0, f32::max).min(NAMES.1)
    }

    fn size(&self) -> (f32, f32) {
        let right = if self.legend() { LEGEND + self.names() } else { RIGHT };
        (LEFT + PLOT.0 + right, TOP + PLOT.1 + BOTTOM)
    }

    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let (width, height) = self.size();
        let mut pen = SvgPen(format!(
            "<svg class=curves viewBox=\"0 0 {width} {height}\" role=img aria-label=\"{}\">",
            escape(&self.title)
        ));
        self.draw(&mut pen);
        pen.0 + "</svg>"
    }

    /// The chart as a picture.
    pub fn picture(&self) -> RgbImage {
        let (width, height) = self.size();
        let paper = |margin: f32| {
            let side = |length: f32| ((length + 2.0 * margin) * SCALE) as u32;
            RgbImage::from_pixel(side(width), side(height), Rgb(PAPER))
        };
        let mut pen = PixelPen(paper(0.0));
        self.draw(&mut pen);
        let mut framed = paper(MARGIN);
        imageops::replace(&mut framed, &pen.0, (MARGIN * SCALE) as i64, (MARGIN * SCALE) as i64);
        framed
    }

    fn draw(&self, pen: &mut impl Pen) {
        let place = |[x, y]: [f64; 2]| {
            (LEFT + PLOT.0 * (x / self.x_end) as f32, TOP + PLOT.1 * (1.0 - y.clamp(0.0, 1.0)) as f32)
        };
        let (left, right, bottom) = (LEFT, LEFT + PLOT.0, TOP + PLOT.1);
        pen.text(2.0, 15.0, Anchor::Start, Weight::SemiBold, 16.0, INK, &self.title);
        pen.text(2.0, 50.0, Anchor::Start, Weight::Regular, 12.5, SOFT, &self.y);
        for fifth in 0..=5 {
            let value = f64::from(fifth) / 5.0;
            let (_, y) = place([0.0, value]);
            pen.line(&[(left, y), (right, y)], if fifth == 0 { AXIS } else { GRID }, 1.0);
            pen.text(left - 9.0, y, Anchor::End, Weight::Regular, 12.0, SOFT, &format!("{value:.1}"));
        }
        for (value, words) in &self.ticks {
            let (x, _) = place([*value, 0.0]);
            pen.line(&[(x, TOP), (x, bottom)], GRID, 1.0);
            pen.line(&[(x, bottom), (x, bottom + 5.0)], AXIS, 1.0);
            pen.text(x, bottom + 16.0, Anchor::Middle, Weight::Regular, 12.0, SOFT, words);
        }
        pen.line(&[(left, bottom), (right, bottom)], AXIS, 1.0);
        pen.text(right, bottom + 37.0, Anchor::End, Weight::Regular, 12.5, SOFT, &self.x);
        if self.chance {
            pen.line(&[place([0.0, 0.0]), place([self.x_end, self.x_end])], AXIS, 1.0);
        }
        // The first line is the most important one: it lies on top.
        for (index, line) in self.lines.iter().enumerate().rev() {
            let points: Vec<(f32, f32)> = line.points.iter().map(|point| place(*point)).collect();
            pen.line(&points, colour(index), 2.0);
            if self.dots {
                for (x, y) in points {
                    pen.dot(x, y, colour(index), 3.5);
                }
            }
        }
        if !self.legend() {
            let mut end = right;
            for (index, line) in self.lines.iter().enumerate().rev() {
                let words =
                    if line.value.is_empty() { line.name.clone() } else { format!("{} {}", self.figure, line.value) };
                pen.text(end, 15.0, Anchor::End, Weight::SemiBold, 14.0, colour(index), &words);
                end -= Style { weight: Weight::SemiBold, px: 14.0, colour: INK }.width(&words) + 22.0;
            }
            return;
        }
        let names = self.names();
        let end = right + LEGEND + names - 8.0;
        pen.text(end, 50.0, Anchor::End, Weight::Regular, 12.5, SOFT, self.figure);
        let mut y = TOP + 6.0;
        for (index, line) in self.lines.iter().take(NAMED).enumerate() {
            let x = right + 18.0;
            pen.line(&[(x, y), (x + 16.0, y)], colour(index), 3.0);
            pen.text(x + 23.0, y, Anchor::Start, Weight::Regular, 12.5, INK, &shortened(&line.name, names));
            pen.text(end, y, Anchor::End, Weight::SemiBold, 12.5, INK, &line.value);
            y += 19.0;
        }
        if self.lines.len() > NAMED {
            let more = format!("and {} more", self.lines.len() - NAMED);
            pen.text(right + 18.0, y, Anchor::Start, Weight::Regular, 12.5, SOFT, &more);
        }
    }
}

/// Colours that stay apart beside each other, also in grey.
fn colour(index: usize) -> [u8; 3] {
    const FIRST: [[u8; 3]; 2] = [[37, 99, 201], [200, 67, 28]];
    let more = colorous::TABLEAU10.iter().skip(4).chain(colorous::DARK2.iter());
    let more: Vec<[u8; 3]> = more.map(|c| [c.r, c.g, c.b]).collect();
    FIRST.get(index).copied().unwrap_or_else(|| more[(index.max(2) - 2) % more.len()])
}

/// The name, cut with an ellipsis where it is wider than `width`.
fn shortened(name: &str, width: f32) -> String {
    let style = Style { weight: Weight::Regular, px: 12.5, colour: INK };
    if style.width(name) <= width {
        return name.to_owned();
    }
    let mut kept: String = name.to_owned();
    while !kept.is_empty() && style.width(&kept) > width - style.width("…") {
        kept.pop();
    }
    kept + "…"
}

struct SvgPen(String);

impl Pen for SvgPen {
    fn line(&mut self, points: &[(f32, f32)], colour: [u8; 3], width: f32) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(
            self.0,
            "<polyline points=\"{}\" fill=none stroke=\"{}\" stroke-width={width} stroke-linejoin=round />",
            points.join(" "),
            hex(colour)
        );
    }

    fn dot(&mut self, x: f32, y: f32, colour: [u8; 3], radius: f32) {
        let _ = write!(self.0, "<circle cx={x:.1} cy={y:.1} r={radius} fill=\"{}\" />", hex(colour));
    }

    fn text(&mut self, x: f32, y: f32, anchor: Anchor, weight: Weight, px: f32, colour: [u8; 3], text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if weight == Weight::SemiBold { 600 } else { 400 };
        // A capital letter of Inter is 0.727 em high.
        let baseline = y + 0.3635 * px;
        let _ = write!(
            self.0,
            "<text x={x:.1} y={baseline:.1} text-anchor={anchor} font-weight={weight} font-size={px} fill=\"{}\">{}</text>",
            hex(colour),
            escape(text)
        );
    }
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

struct PixelPen(RgbImage);

impl PixelPen {
    /// Blends a shape given by its distance from the middle of a pixel; each pixel once, however often it is visited.
    fn stroke(&mut self, points: &[(f32, f32)], colour: [u8; 3], half_width: f32) {
        let (width, height) = self.0.dimensions();
        let mut cover = vec![0.0_f32; (width * height) as usize];
        let reach = half_width + 1.0;
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let (dx, dy) = (x1 - x0, y1 - y0);
            let length = dx * dx + dy * dy;
            let low = |a: f32, b: f32| (a.min(b) - reach).floor().max(0.0) as u32;
            let high = |a: f32, b: f32, end: u32| ((a.max(b) + reach).ceil().max(0.0) as u32).min(end);
            for y in low(y0, y1)..high(y0, y1, height) {
                for x in low(x0, x1)..high(x0, x1, width) {
                    let (px, py) = (x as f32 + 0.5 - x0, y as f32 + 0.5 - y0);
                    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
                    let distance = (px - along * dx).hypot(py - along * dy);
                    let at = &mut cover[(y * width + x) as usize];
                    *at = at.max((half_width + 0.5 - distance).clamp(0.0, 1.0));
                }
            }
        }
        for (at, cover) in cover.into_iter().enumerate().filter(|(_, cover)| *cover > 0.0) {
            blend(&mut self.0, (at as u32 % width).into(), (at as u32 / width).into(), colour, cover);
        }
    }
}

impl Pen for PixelPen {
    fn line(&mut self, points: &[(f32, f32)], colour: [u8; 3], width: f32) {
        let scaled: Vec<(f32, f32)> = points.iter().map(|(x, y)| (x * SCALE, y * SCALE)).collect();
        self.stroke(&scaled, colour, width * SCALE / 2.0);
    }

    fn dot(&mut self, x: f32, y: f32, colour: [u8; 3], radius: f32) {
        let centre = (x * SCALE, y * SCALE);
        self.stroke(&[centre, centre], colour, radius * SCALE);
    }

    fn text(&mut self, x: f32, y: f32, anchor: Anchor, weight: Weight, px: f32, colour: [u8; 3], text: &str) {
        let style = Style { weight, px: px * SCALE, colour };
        let shift = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => style.width(text) / 2.0,
            Anchor::End => style.width(text),
        };
        style.draw(&mut self.0, x * SCALE - shift, y * SCALE, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(lines: usize) -> Chart {
        Chart {
            title: "ROC".into(),
            x: "False-positive rate".into(),
            y: "True-positive rate".into(),
            figure: "AUROC",
            x_end: 1.0,
            ticks: vec![(0.0, "0".into()), (1.0, "1".into())],
            chance: true,
            dots: false,
            lines: (0..lines)
                .map(|i| Line {
                    name: format!("<class {i}>"),
                    value: "98.1".into(),
                    points: vec![[0.0, 0.0], [0.0, 0.5], [1.0, 1.0]],
                })
                .collect(),
        }
    }

    #[test]
    fn lines_are_drawn_where_they_belong() {
        let picture = chart(1).picture();
        let pixel = |at: f32| ((MARGIN + at) * SCALE) as u32;
        let at = |x: f32, y: f32| picture.get_pixel(pixel(x), pixel(y)).0;
        assert_eq!(at(LEFT, TOP + 0.75 * PLOT.1), colour(0), "straight up to one half");
        assert_eq!(at(LEFT + 0.5 * PLOT.0, TOP + 0.25 * PLOT.1), colour(0), "then half way to the corner");
        assert_eq!(at(LEFT + 0.25 * PLOT.0, TOP + 0.5 * PLOT.1), PAPER);
    }

    #[test]
    fn a_chart_of_many_lines_has_a_legend_and_no_markup_from_outside() {
        let svg = chart(NAMED + 3).svg();
        assert!(svg.contains("&lt;class 0&gt;") && !svg.contains("<class"));
        assert!(svg.contains("and 3 more"));
        assert_eq!(svg.matches("stroke-width=2 ").count(), NAMED + 3);
        assert!(!chart(1).svg().contains("class 0"), "one line needs no name");
        let long = |times: usize| {
            let mut chart = chart(2);
            chart.lines[1].name = "fused · pocket · 16 references ".repeat(times);
            chart
        };
        assert!(long(1).svg().contains("16 references") && long(1).size().0 > chart(2).size().0);
        assert!(long(9).svg().contains('…') && long(9).size().0 < 2.0 * chart(2).size().0);
    }

    #[test]
    fn neighbouring_colours_differ() {
        for a in 0..14 {
            for b in 0..a {
                assert_ne!(colour(a), colour(b), "{a} and {b}");
            }
        }
    }
}
