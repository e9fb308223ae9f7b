//! `report.html`: the run as one page that stands alone, styles and pictures inside it, no script. The most deviating
//! photos come first; links lead to the files beside it and are the only thing lost when it travels alone.

use std::fmt::Write as _;
use std::io::Write;

use super::base64;
use super::json::VERSION;
use super::text::short_hash;
use super::{Run, RunPhoto};
use crate::anomaly::{Inspection, Verdict};
use crate::count::count;

/// Photos shown with pictures; a page of more does not open any more. The rest follows as a table.
const PICTURES: usize = 1000;

pub(super) const STYLE: &str = include_str!("../../assets/report.css");
pub(super) const LOGO: &str = r##"<svg viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="6" fill="#16181c"/><path d="M16.5 3.5 13 9l2 2.5-5 4 1 5" fill="none" stroke="#e2542c" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></svg>"##;

/// Writes the page.
pub fn write(run: &Run, out: &mut dyn Write) -> std::io::Result<()> {
    let mut photos: Vec<&RunPhoto> = run.photos.iter().collect();
    photos.sort_by(|a, b| {
        let key = |p: &RunPhoto| p.inspection.normalised_score;
        let raw = |p: &RunPhoto| p.inspection.image_score;
        key(b).total_cmp(&key(a)).then(raw(b).total_cmp(&raw(a)))
    });
    let title = format!("{} – Hairline inspection report", escape(&run.recipe.object));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" content=\"Hairline {VERSION}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )?;
    out.write_all(header(run).as_bytes())?;
    if !photos.is_empty() {
        let count = |verdict| run.photos.iter().filter(|p| p.inspection.verdict == verdict).count();
        write!(
            out,
            "<h2>Photos</h2>\n<section>\n\
             <input class=pick type=radio name=show id=all checked><input class=pick type=radio name=show id=ng>\
             <input class=pick type=radio name=show id=uncertain><input class=pick type=radio name=show id=ok>\n\
             <div class=filters><label for=all>All {}</label><label for=ng>✕ NG {}</label>\
             <label for=uncertain>? uncertain {}</label><label for=ok>✓ OK {}</label></div>\n<div class=cards>\n",
            photos.len(),
            count(Verdict::Ng),
            count(Verdict::Uncertain),
            count(Verdict::Ok)
        )?;
        for photo in photos.iter().take(PICTURES) {
            out.write_all(card(photo).as_bytes())?;
        }
        out.write_all(b"</div>\n</section>\n")?;
        if photos.len() > PICTURES {
            out.write_all(remaining(&photos[PICTURES..]).as_bytes())?;
        }
    }
    out.write_all(failures(run).as_bytes())?;
    out.write_all(recipe(run).as_bytes())?;
    write!(
        out,
        "<footer>Made by Hairline {VERSION}. Boxes and scores show where a photo deviates from normal parts as far as \
         the model can tell; they are no proof of a defect, nor of its absence.</footer>\n</main>\n</body>\n</html>\n"
    )
}

fn header(run: &Run) -> String {
    let count = |verdict| run.photos.iter().filter(|p| p.inspection.verdict == verdict).count();
    let mut html = format!(
        "<div class=brand>{LOGO}Hairline</div>\n<h1>Inspection report: {}</h1>\n<div class=when>{}{}</div>\n",
        escape(&run.recipe.object),
        escape(&run.created.replace('T', " ").replace('Z', " UTC")),
        if run.cancelled { " · stopped before all photos were through" } else { "" }
    );
    html += "<div class=tiles>\n";
    let mut tile = |class: &str, number: usize, word: &str| {
        let _ = writeln!(html, "<div class=\"tile {class}\"><b>{number}</b><span>{word}</span></div>");
    };
    tile("all", run.photos.len(), if run.photos.len() == 1 { "photo inspected" } else { "photos inspected" });
    tile("ng", count(Verdict::Ng), "✕ NG");
    tile("uncertain", count(Verdict::Uncertain), "? uncertain");
    tile("ok", count(Verdict::Ok), "✓ OK");
    if !run.failures.is_empty() {
        tile("failed", run.failures.len(), "could not be read");
    }
    html += "</div>\n<div class=panels>\n<div class=panel><h3>Scores (0 typical of normal parts, 0.5 threshold)</h3>\n";
    html += &histogram(run);
    html += "</div>\n<div class=panel><h3>Made with</h3>\n<dl>\n";
    let recipe = &run.recipe;
    let references = match recipe.references.len() {
        0 => "none: text alone, default threshold".to_owned(),
        _ => format!("{} · threshold from them", recipe.compared_with()),
    };
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    };
    row("Method", &format!("{} · text {} : memory {}", recipe.method, recipe.text_weight, recipe.memory_weight));
    row("References", &references);
    row("Model", &run.model.id);
    row("Weights", &format!("SHA-256 {}…", short_hash(&run.model.sha256)));
    if let Some(memory) = &run.memory_model {
        row("Memory model", &format!("{} · SHA-256 {}…", memory.id, short_hash(&memory.sha256)));
    }
    row("Device", &run.device);
    row("Program", &format!("Hairline {VERSION} · seed {}", recipe.seed));
    html += "</dl></div>\n</div>\n";
    html
}

/// Bars of the normalised scores, stacked by verdict.
fn histogram(run: &Run) -> String {
    const BINS: usize = 40;
    let (width, height, base) = (640.0, 150.0, 128.0);
    let mut bins = [[0usize; 3]; BINS];
    for photo in &run.photos {
        let bin = ((photo.inspection.normalised_score * BINS as f32) as usize).min(BINS - 1);
        bins[bin][photo.inspection.verdict as usize] += 1;
    }
    let tallest = bins.iter().map(|bin| bin.iter().sum::<usize>()).max().unwrap_or(0).max(1);
    let unit = (base - 14.0) / tallest as f32;
    let step = width / BINS as f32;
    let mut svg =
        format!("<svg class=chart viewBox=\"0 0 {width} {height}\" role=img aria-label=\"Histogram of scores\">");
    for (index, bin) in bins.iter().enumerate() {
        let mut top = base;
        for (class, count) in ["bar-ok", "bar-uncertain", "bar-ng"].iter().zip(bin) {
            if *count > 0 {
                let tall = unit * *count as f32;
                top -= tall;
                let x = index as f32 * step + 1.0;
                let w = step - 2.0;
                let _ = write!(svg, "<rect class={class} x={x:.1} y={top:.1} width={w:.1} height={tall:.1} rx=1.5 />");
            }
        }
    }
    let _ = write!(
        svg,
        "<line class=axis x1=0 x2={width} y1={base} y2={base} />\
         <line class=threshold x1={mid} x2={mid} y1=6 y2={base} />\
         <text x=0 y=145>0</text><text x={mid} y=145 text-anchor=middle>0.5 threshold</text>\
         <text x={width} y=145 text-anchor=end>1</text></svg>",
        mid = width / 2.0
    );
    svg
}

fn card(photo: &RunPhoto) -> String {
    let inspection = &photo.inspection;
    let name = inspection.photo.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let verdict = inspection.verdict.name();
    let mut html = format!("<article class=\"card {verdict}\">\n");
    if !photo.thumbnails.photo.is_empty() {
        let picture = |bytes: &[u8], alt: &str| {
            format!("<img loading=lazy alt=\"{alt}\" src=\"data:image/jpeg;base64,{}\">", base64(bytes))
        };
        let _ = writeln!(
            html,
            "<div class=pair><div class=view><div class=frame>{}</div></div><div class=view><div class=frame>{}{}</div></div></div>",
            picture(&photo.thumbnails.photo, "Photo"),
            picture(&photo.thumbnails.heatmap, "Heatmap with regions"),
            boxes(inspection)
        );
    }
    let _ = write!(
        html,
        "<div class=text><div class=title><b>{}</b>{}</div>\n\
         <div class=meter title=\"Score {score:.3}; the mark is the threshold\"><i style=\"width:{:.1}%\"></i></div>\n\
         <p class=small>Score {score:.2} · {} × {} px · {}</p>\n",
        escape(&name),
        badge(inspection.verdict),
        100.0 * inspection.normalised_score,
        inspection.photo.width,
        inspection.photo.height,
        escape(&inspection.photo.path.parent().map(|p| p.display().to_string()).unwrap_or_default()),
        score = inspection.normalised_score,
    );
    if !inspection.regions.is_empty() {
        html += "<ol>\n";
        for region in &inspection.regions {
            let _ = writeln!(
                html,
                "<li>{}: {} <span class=small>(confidence {:.2}, {})</span></li>",
                escape(&region.location),
                escape(&region.description),
                region.confidence,
                region.severity.name()
            );
        }
        html += "</ol>\n";
    }
    if !inspection.quality.passed {
        let _ = writeln!(html, "<p class=doubt>⚠ {}</p>", escape(&inspection.quality.reason));
    }
    for warning in &inspection.photo.warnings {
        let _ = writeln!(html, "<p class=small>{}</p>", escape(warning));
    }
    let stem = url(&photo.stem);
    let _ = write!(
        html,
        "<div class=links><a href=\"{stem}_report.txt\">Report</a><a href=\"{stem}_heatmap.png\">Heatmap</a>\
         <a href=\"{stem}_boxes.png\">Boxes</a><a href=\"{stem}_mask.png\">Mask</a></div>\n</div>\n</article>\n"
    );
    html
}

/// Boxes as parts of the picture's size, so that they fit it at every size.
fn boxes(inspection: &Inspection) -> String {
    let (width, height) = (inspection.photo.width as f32, inspection.photo.height as f32);
    let mut html = String::new();
    for (index, region) in inspection.regions.iter().enumerate() {
        let edge = if (region.y as f32) < 0.1 * height { " edge" } else { "" };
        let _ = write!(
            html,
            "<div class=\"box{edge}\" style=\"left:{:.2}%;top:{:.2}%;width:{:.2}%;height:{:.2}%\"><i>{}</i></div>",
            100.0 * region.x as f32 / width,
            100.0 * region.y as f32 / height,
            100.0 * region.width as f32 / width,
            100.0 * region.height as f32 / height,
            index + 1
        );
    }
    html
}

fn badge(verdict: Verdict) -> String {
    let sign = match verdict {
        Verdict::Ok => "✓",
        Verdict::Uncertain => "?",
        Verdict::Ng => "✕",
    };
    format!("<span class=\"badge {}\">{sign} {}</span>", verdict.name(), verdict.word())
}

fn remaining(photos: &[&RunPhoto]) -> String {
    let mut html = format!(
        "<h2>{}</h2>\n<p class=soft>Less deviating than those above; pictures are in the files beside this \
         page.</p>\n<table><tr><th>Verdict</th><th>Score</th><th>Photo</th></tr>\n",
        count(photos.len(), "more photo", "more photos")
    );
    for photo in photos {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{:.2}</td><td><a href=\"{}_report.txt\">{}</a></td></tr>",
            badge(photo.inspection.verdict),
            photo.inspection.normalised_score,
            url(&photo.stem),
            escape(&photo.inspection.photo.path.display().to_string())
        );
    }
    html + "</table>\n"
}

fn failures(run: &Run) -> String {
    if run.failures.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Could not be inspected</h2>\n<table><tr><th>File</th><th>Why</th></tr>\n".to_owned();
    for (path, error) in &run.failures {
        // The path has a column of its own.
        let path = path.display().to_string();
        let why = error.to_string().replace(&format!(" [{path}]"), "");
        let _ = writeln!(html, "<tr><td>{}</td><td>{}</td></tr>", escape(&path), escape(&why));
    }
    html + "</table>\n"
}

fn recipe(run: &Run) -> String {
    let Ok(ron) = run.recipe.to_ron() else { return String::new() };
    format!(
        "<h2>Recipe</h2>\n<details><summary>Everything that decided these verdicts</summary><p class=soft>Save it as \
         <code>recipe.ron</code> and repeat the run with <code>hairline inspect --recipe recipe.ron</code>.</p>\
         <pre>{}</pre></details>\n",
        escape(&ron)
    )
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A file name as a relative link: everything but unreserved characters percent-encoded.
pub(super) fn url(name: &str) -> String {
    let mut url = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::sync::Arc;

    use super::*;
    use crate::report::testing::inspection;
    use crate::report::{ModelIdentity, Thumbnails};
    use crate::{Error, Recipe};

    fn run(photos: usize) -> Run {
        Run {
            created: "2026-03-01T12:34:56Z".into(),
            recipe: Recipe { object: "<ring> & \"nut\"".into(), ..Recipe::default() },
            model: ModelIdentity { id: "pocket".into(), sha256: "ab".repeat(32) },
            memory_model: Some(ModelIdentity { id: "facebook/dinov2-small".into(), sha256: "cd".repeat(32) }),
            device: "CPU".into(),
            photos: (0..photos)
                .map(|i| RunPhoto {
                    stem: format!("ring {i}"),
                    inspection: Arc::new(inspection(640, 480)),
                    thumbnails: Thumbnails { photo: vec![1, 2, 3], heatmap: vec![4, 5] },
                })
                .collect(),
            failures: vec![("a<b.png".into(), Error::input("The photo is empty (0 bytes).").at("a<b.png"))],
            cancelled: false,
        }
    }

    fn page(photos: usize) -> String {
        let mut bytes = Vec::new();
        write(&run(photos), &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_page_stands_alone_and_nothing_from_outside_is_markup() {
        let page = page(3);
        assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
        assert!(page.contains("&lt;ring&gt; &amp; &quot;nut&quot;") && !page.contains("<ring>"));
        assert!(page.contains("a&lt;b.png</td><td>The photo is empty (0 bytes).</td>"));
        assert!(page.contains("href=\"ring%200_report.txt\""));
        assert_eq!(page.matches("<article").count(), 3);
        assert_eq!(page.matches("data:image/jpeg;base64,AQID\"").count(), 3);
    }

    #[test]
    fn beyond_a_thousand_photos_the_rest_is_a_table() {
        let page = page(PICTURES + 2);
        assert_eq!(page.matches("<article").count(), PICTURES);
        assert!(page.contains("2 more photos"));
    }
}
