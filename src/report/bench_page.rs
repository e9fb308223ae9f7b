//! `report.html` and `plots/` of a benchmark: the table first, readable by itself, then curves, types of defects, and the
//! photos that went worst. One page stands alone, styles, charts and pictures inside it, no script.

use std::fmt::Write as _;
use std::path::Path;

use super::chart::{Chart, Line};
use super::html::{LOGO, STYLE, escape, url};
use super::json::VERSION;
use super::text::short_hash;
use super::{create_folder, write_file, write_png};
use crate::Result;
use crate::bench::Shots;
use crate::bench::results::{ClassResult, FigureSet, Group, RunResult, WorstPhoto, groups};
use crate::metrics::Curve;
use crate::metrics::pro::FPR_LIMIT;
use crate::recipe::Comparison;

/// The name of a plot's file, and the plot.
type NamedChart = (&'static str, Chart);

const BENCH_STYLE: &str = include_str!("../../assets/bench.css");

/// Writes the page and the plots of one run.
pub fn write_run(folder: &Path, run: &RunResult) -> Result<()> {
    let classes: Vec<_> = run.classes.iter().map(|class| (class.figures.name.clone(), class)).collect();
    let mut charts = curves(&classes);
    if let [class] = &run.classes[..] {
        charts.extend(histogram(class).map(|chart| ("scores", chart)));
    }
    write_plots(folder, "", &charts)?;
    let page = run_page(run, &charts);
    write_file(&folder.join("report.html"), |out| out.write_all(page.as_bytes())).map(drop)
}

/// Writes the page above several runs, and per class the plots of their curves over each other.
pub fn write_joint(folder: &Path, runs: &[RunResult]) -> Result<()> {
    let charts = joint_curves(runs);
    let alone = charts.len() == 1;
    for (class, charts) in &charts {
        let before = if alone { String::new() } else { format!("{class}_") };
        write_plots(folder, &before, charts)?;
    }
    let page = joint_page(folder, runs, &charts);
    write_file(&folder.join("report.html"), |out| out.write_all(page.as_bytes())).map(drop)
}

/// `plots/<before><name>.png`.
fn write_plots(folder: &Path, before: &str, charts: &[NamedChart]) -> Result<()> {
    let plots = folder.join("plots");
    create_folder(&plots)?;
    for (name, chart) in charts {
        write_png(&plots.join(format!("{before}{name}.png")), &chart.picture().into())?;
    }
    Ok(())
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" content=\"Hairline {VERSION}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{BENCH_STYLE}</style>\n</head>\n<body>\n<main>\n<div class=brand>{LOGO}\
         Hairline</div>\n<h1>{title}</h1>\n{body}<footer>Made by Hairline {VERSION}. Figures hold for these photos under \
         this protocol; other photos, other figures.</footer>\n</main>\n</body>\n</html>\n",
        title = escape(title)
    )
}

fn subject(runs: &[RunResult]) -> String {
    match runs.first().map_or(&[][..], |run| &run.classes[..]) {
        [only] => only.figures.name.clone(),
        classes => format!("{} classes", classes.len()),
    }
}

fn when(created: &str) -> String {
    escape(&created.replace('T', " ").replace('Z', " UTC"))
}

fn run_page(run: &RunResult, charts: &[NamedChart]) -> String {
    let mut html = format!(
        "<div class=when>{} · {} · protocol {}</div>\n<div class=tiles>\n",
        when(&run.created),
        escape(&run.title()),
        run.protocol
    );
    let tile = |column: usize, unit: &str, word: &str| {
        let value = run.mean.values()[column];
        let unit = if value.is_some() { unit } else { "" };
        format!(
            "<div class=tile><b>{}<small>{unit}</small></b><span>{word}</span></div>\n",
            FigureSet::text(column, value)
        )
    };
    html += &tile(0, "%", "image AUROC");
    html += &tile(1, "%", "image AP");
    html += &tile(3, "%", "pixel AUROC");
    html += &tile(6, "%", "AUPRO");
    html += &tile(7, "ms", "per photo");
    html += "</div>\n";
    let rows: Vec<(String, &FigureSet, String)> = run
        .classes
        .iter()
        .map(|class| {
            let figures = &class.figures;
            let count = format!("{} <i>+ {}</i>", figures.n_test - figures.n_anomalous, figures.n_anomalous);
            (escape(&figures.name), &figures.figures, count)
        })
        .collect();
    html += "<h2>Figures</h2>\n<div class=scroll><table class=figures>\n";
    html += CAPTION;
    html += &heading("Class", &["OK + NG"]);
    for (name, figures, count) in &rows {
        let _ = writeln!(html, "<tr><td>{name}</td>{}<td>{count}</td></tr>", cells(figures));
    }
    let _ = writeln!(html, "<tr class=mean><td>MEAN</td>{}<td></td></tr>\n</table></div>", cells(&run.mean));
    let wide = if run.classes.len() > 1 { " wide" } else { "" };
    let _ = writeln!(html, "<h2>Curves</h2>\n<div class=\"charts{wide}\">");
    for (_, chart) in charts {
        let _ = writeln!(html, "<div class=panel>{}</div>", chart.svg());
    }
    html += "</div>\n<div class=two>\n";
    html += &types(run);
    let _ =
        writeln!(html, "<div><h2>Made with</h2>\n<div class=panel><dl>\n{}</dl></div></div>\n</div>", provenance(run));
    html += "<h2>Photos that went worst</h2>\n<p class=soft>Ground truth is outlined in blue. A normal photo here is the \
             first to raise a false alarm, an anomalous one the first to be missed.</p>\n";
    for class in &run.classes {
        html += &worst(class, run.classes.len() > 1);
    }
    html += &failures(run);
    html += &recipe(run);
    page(&format!("Benchmark: {}", subject(std::slice::from_ref(run))), &html)
}

const CAPTION: &str = "<caption>Fractions in per cent, higher is better. Img: photos by their image score. Pix: all pixels \
     of a class pooled. AP: average precision. F1max: the best F1 over all thresholds, seen with the labels. AUPRO: \
     per-region overlap over false-positive rates up to 0.3. MEAN: each class counts alike. — : the data has no such \
     figure, or (ms/photo) features came from the cache.</caption>\n";

fn heading(first: &str, last: &[&str]) -> String {
    let names = FigureSet::COLUMNS.map(|(_, title)| title);
    let cells: Vec<String> = std::iter::once(first)
        .chain(names)
        .chain(last.iter().copied())
        .map(|name| format!("<th>{name}</th>"))
        .collect();
    format!("<tr>{}</tr>\n", cells.concat())
}

fn cells(figures: &FigureSet) -> String {
    let cell = |(column, value)| format!("<td>{}</td>", FigureSet::text(column, value));
    figures.values().into_iter().enumerate().map(cell).collect::<Vec<_>>().concat()
}

/// A line for each named result in every chart; charts without a line are left out.
fn curves(results: &[(String, &ClassResult)]) -> Vec<NamedChart> {
    let of = |title: &str,
              figure: &'static str,
              x: &str,
              y: &str,
              x_end: f64,
              pick: fn(&ClassResult) -> (&Curve, Option<f64>)| {
        let lines = results
            .iter()
            .filter_map(|(name, class)| {
                let (curve, figure) = pick(class);
                (!curve.is_empty()).then(|| Line {
                    name: name.clone(),
                    value: format!("{} %", FigureSet::text(0, figure)),
                    points: curve.clone(),
                })
            })
            .collect();
        let (count, digits) = if x_end < 1.0 { (6, 2) } else { (5, 1) };
        let tick = |i: u32| {
            let value = f64::from(i) / f64::from(count) * x_end;
            (value, format!("{value:.digits$}"))
        };
        Chart {
            title: title.to_owned(),
            x: x.to_owned(),
            y: y.to_owned(),
            figure,
            x_end,
            ticks: (0..=count).map(tick).collect(),
            chance: title.starts_with("ROC"),
            dots: false,
            lines,
        }
    };
    let (rate, recall) = ("False-positive rate", "Recall");
    let charts = [
        (
            "roc",
            of("ROC, photos", "AUROC", rate, "True-positive rate", 1.0, |c| {
                (&c.image_curves.roc, c.figures.figures.image_auroc)
            }),
        ),
        (
            "pr",
            of("Precision and recall, photos", "AP", recall, "Precision", 1.0, |c| {
                (&c.image_curves.precision_recall, c.figures.figures.image_ap)
            }),
        ),
        (
            "pixel_roc",
            of("ROC, pixels", "AUROC", rate, "True-positive rate", 1.0, |c| {
                (&c.pixel_curves.roc, c.figures.figures.pixel_auroc)
            }),
        ),
        (
            "pixel_pr",
            of("Precision and recall, pixels", "AP", recall, "Precision", 1.0, |c| {
                (&c.pixel_curves.precision_recall, c.figures.figures.pixel_ap)
            }),
        ),
        (
            "pro",
            of("Per-region overlap (PRO)", "AUPRO", rate, "Mean overlap with a defect", FPR_LIMIT, |c| {
                (&c.pixel_curves.pro, c.figures.figures.aupro)
            }),
        ),
    ];
    charts.into_iter().filter(|(_, chart)| !chart.lines.is_empty()).collect()
}

/// Per class the curves of several runs over each other: of each group its first seed, of a single group every seed.
fn joint_curves(runs: &[RunResult]) -> Vec<(String, Vec<NamedChart>)> {
    let first_of = |group: Group| {
        let run = runs.iter().find(|run| run.title() == group.title)?;
        Some((group.title, run))
    };
    let mut shown: Vec<(String, &RunResult)> = groups(runs).into_iter().filter_map(first_of).collect();
    if shown.len() == 1 {
        shown = runs.iter().map(|run| (format!("seed {}", run.recipe.seed), run)).collect();
    }
    let Some(first) = runs.first() else { return Vec::new() };
    let of_class = |name: &str| {
        let found = shown.iter().filter_map(|(title, run)| {
            let class = run.classes.iter().find(|class| class.figures.name == name)?;
            Some((title.clone(), class))
        });
        curves(&found.collect::<Vec<_>>())
    };
    first.classes.iter().map(|class| (class.figures.name.clone(), of_class(&class.figures.name))).collect()
}

/// How the scores of normal and of anomalous photos lie; `None` without a spread of scores.
fn histogram(class: &ClassResult) -> Option<Chart> {
    let bins = (class.photos.len() / 6).clamp(6, 24);
    let scores = || class.photos.iter().map(|photo| f64::from(photo.score));
    let (low, high) = scores().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), s| (low.min(s), high.max(s)));
    if high <= low {
        return None;
    }
    let line = |anomalous: bool| {
        let mut counts = vec![0_u32; bins];
        for photo in class.photos.iter().filter(|photo| photo.anomalous() == anomalous) {
            let at = (f64::from(photo.score) - low) / (high - low);
            counts[((at * bins as f64) as usize).min(bins - 1)] += 1;
        }
        let fullest = f64::from(counts.iter().copied().max().unwrap_or(0).max(1));
        let edge = |bin: usize| bin as f64 / bins as f64;
        let top = |(bin, count): (usize, &u32)| {
            let height = f64::from(*count) / fullest;
            [[edge(bin), height], [edge(bin + 1), height]]
        };
        let mut points = vec![[0.0, 0.0]];
        points.extend(counts.iter().enumerate().flat_map(top));
        points.push([1.0, 0.0]);
        Line { name: if anomalous { "anomalous" } else { "normal" }.to_owned(), value: String::new(), points }
    };
    let tick = |i: u32| {
        let at = f64::from(i) / 5.0;
        (at, format!("{:.2}", low + at * (high - low)))
    };
    Some(Chart {
        title: "Scores of photos".to_owned(),
        x: "Raw image score".to_owned(),
        y: "Photos, as a share of the fullest bin".to_owned(),
        figure: "",
        x_end: 1.0,
        ticks: (0..=5).map(tick).collect(),
        chance: false,
        dots: false,
        lines: vec![line(false), line(true)],
    })
}

/// Each type of defect against the good photos; nothing where no class has more than one.
fn types(run: &RunResult) -> String {
    if run.classes.iter().all(|class| class.figures.types.len() < 2) {
        return String::new();
    }
    let several = run.classes.len() > 1;
    let mut html =
        "<div><h2>Types of defects</h2>\n<div class=scroll><table class=figures>\n<caption>Photos of one type \
                    against the good ones of the class.</caption>\n<tr><th>Type</th><th>Photos</th><th>Img-AUROC</th>\
                    <th>Img-AP</th></tr>\n"
            .to_owned();
    for class in &run.classes {
        for kind in &class.figures.types {
            let name = if several { format!("{} / {}", class.figures.name, kind.name) } else { kind.name.clone() };
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&name),
                kind.n,
                FigureSet::text(0, kind.image_auroc),
                FigureSet::text(1, kind.image_ap)
            );
        }
    }
    html + "</table></div></div>\n"
}

fn provenance(run: &RunResult) -> String {
    let mut html = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    };
    let recipe = &run.recipe;
    let model = run.model();
    row("Method", &format!("{} · text {} : memory {}", recipe.method, recipe.text_weight, recipe.memory_weight));
    let references = match run.shots {
        Shots::Count(0) if recipe.comparison == Comparison::Mutual => {
            "none: the test photos of a class with each other".to_owned()
        }
        Shots::Count(0) => "none: words alone".to_owned(),
        Shots::Count(count) => format!("{count} of train/good, chosen by seed {}", recipe.seed),
        Shots::All => format!("all of train/good · seed {}", recipe.seed),
    };
    row("References", &references);
    row("Model", &model.id);
    row("Weights", &format!("SHA-256 {}…", short_hash(&model.sha256)));
    if let Some(memory) = run.memory_model() {
        row("Memory model", &format!("{} · SHA-256 {}…", memory.id, short_hash(&memory.sha256)));
    }
    row("Protocol", &format!("{}. {}", run.protocol, run.protocol.words()));
    row("Device", run.classes.first().map_or("", |class| &class.device));
    row("Program", &format!("Hairline {VERSION}"));
    html
}

fn worst(class: &ClassResult, named: bool) -> String {
    let mut html = String::new();
    let name = if named { format!("{}: ", escape(&class.figures.name)) } else { String::new() };
    for (photos, title, order) in [
        (&class.worst_anomalous, "anomalous photos that score lowest", "lowest first"),
        (&class.worst_normal, "normal photos that score highest", "highest first"),
    ] {
        if photos.is_empty() {
            continue;
        }
        let mut title = title.to_owned();
        if !named {
            title = title.replacen(char::is_alphabetic, &title[..1].to_uppercase(), 1);
        }
        let _ = writeln!(html, "<h3 class=group>{name}{title} <span>· {order}</span></h3>\n<div class=worst>");
        html += &photos.iter().map(card).collect::<Vec<_>>().concat();
        html += "</div>\n";
    }
    html
}

fn card(worst: &WorstPhoto) -> String {
    let name = worst.photo.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let picture = |bytes: &str, alt: &str| {
        format!(
            "<div class=view><div class=frame><img loading=lazy alt=\"{alt}\" src=\"data:image/jpeg;base64,{bytes}\"></div></div>"
        )
    };
    format!(
        "<article class=card><div class=pair>{}{}</div><div class=text title=\"{}\"><b>{}/{}</b><span class=small>score \
         {:.2}</span></div></article>\n",
        picture(&worst.picture, "Photo"),
        picture(&worst.heatmap, "Heatmap"),
        escape(&worst.photo.path.display().to_string()),
        escape(&worst.photo.kind),
        escape(&name),
        worst.photo.score
    )
}

fn failures(run: &RunResult) -> String {
    let mut failures = run.failures().peekable();
    if failures.peek().is_none() {
        return String::new();
    }
    let mut html = "<h2>Could not be measured</h2>\n<table><tr><th>File</th><th>Why</th></tr>\n".to_owned();
    for failure in failures {
        let path = failure.path.display().to_string();
        let why = failure.error.replace(&format!(" [{path}]"), "");
        let _ = writeln!(html, "<tr><td>{}</td><td>{}</td></tr>", escape(&path), escape(&why));
    }
    html + "</table>\n"
}

fn recipe(run: &RunResult) -> String {
    let Some(Ok(ron)) = run.classes.first().map(|class| class.recipe.to_ron()) else { return String::new() };
    let which = if run.classes.len() > 1 {
        format!("That of the class {}; the others are in <code>classes/</code>.", escape(&run.classes[0].figures.name))
    } else {
        "With the list of references; also in <code>classes/</code>.".to_owned()
    };
    format!(
        "<h2>Recipe</h2>\n<details><summary>Everything that decided these scores</summary><p class=soft>{which}</p><pre>{}</pre></details>\n",
        escape(&ron)
    )
}

fn joint_page(folder: &Path, runs: &[RunResult], curves: &[(String, Vec<NamedChart>)]) -> String {
    let groups = groups(runs);
    let Some(first) = runs.first() else { return page("Benchmark", "") };
    let seeds = groups.iter().map(|group| group.seeds.len()).max().unwrap_or(1);
    let mut html = format!(
        "<div class=when>{} · {} runs · protocol {}</div>\n<p class=soft>{}</p>\n<h2>Figures</h2>\n<div class=scroll><table \
         class=figures>\n",
        when(&first.created),
        runs.len(),
        first.protocol,
        escape(first.protocol.words())
    );
    html += CAPTION;
    html += &heading("Method · model · references", &["Seeds"]);
    for group in &groups {
        let (mean, deviation) = (group.mean.values(), group.deviation.values());
        let cells: Vec<String> = mean
            .iter()
            .zip(deviation)
            .enumerate()
            .map(|(column, (mean, deviation))| {
                let spread =
                    deviation.map(|d| format!(" <i>± {}</i>", FigureSet::text(column, Some(d)))).unwrap_or_default();
                format!("<td>{}{spread}</td>", FigureSet::text(column, *mean))
            })
            .collect();
        let _ = writeln!(
            html,
            "<tr><td>{}</td>{}<td>{}</td></tr>",
            escape(&group.title),
            cells.concat(),
            group.seeds.len()
        );
    }
    html += "</table></div>\n";
    if seeds > 1 {
        html += "<p class=small>± is the sample standard deviation over the seeds, which choose the references.</p>\n";
    }
    let charts = by_shots(&groups);
    if !charts.is_empty() {
        html += "<h2>By number of references</h2>\n<div class=\"charts wide\">\n";
        for chart in charts {
            let _ = writeln!(html, "<div class=panel>{}</div>", chart.svg());
        }
        html += "</div>\n";
    }
    html += "<h2>Curves</h2>\n";
    if seeds > 1 && groups.len() > 1 {
        html += "<p class=small>Of each row of the table above, the run with its first seed.</p>\n";
    }
    for (class, charts) in curves {
        let folded = curves.len() > 1;
        if folded {
            let _ = writeln!(html, "<details><summary>{}</summary>", escape(class));
        }
        html += "<div class=\"charts wide\">\n";
        for (_, chart) in charts {
            let _ = writeln!(html, "<div class=panel>{}</div>", chart.svg());
        }
        html += if folded { "</div>\n</details>\n" } else { "</div>\n" };
    }
    html += "<h2>Runs</h2>\n<div class=scroll><table class=figures>\n";
    html += &heading("Run", &["Seed"]);
    for run in runs {
        let name = run.folder.strip_prefix(folder).unwrap_or(&run.folder).to_string_lossy().into_owned();
        let _ = writeln!(
            html,
            "<tr><td><a href=\"{}/report.html\">{}</a></td>{}<td>{}</td></tr>",
            url(&name),
            escape(&run.title()),
            cells(&run.mean),
            run.recipe.seed
        );
    }
    html += "</table></div>\n";
    page(&format!("Benchmark: {}", subject(runs)), &html)
}

/// Figures over the number of references, a line per method and model, where there are at least two numbers.
fn by_shots(groups: &[Group]) -> Vec<Chart> {
    let mut shots: Vec<Shots> = groups.iter().map(|group| group.shots).collect();
    shots.sort_by_key(|shots| if let Shots::Count(count) = shots { *count } else { u32::MAX });
    shots.dedup();
    if shots.len() < 2 {
        return Vec::new();
    }
    let place = |wanted: Shots| {
        let at = shots.iter().position(|shots| *shots == wanted).unwrap_or(0);
        (at as f64 + 0.5) / shots.len() as f64
    };
    let mut names: Vec<String> = Vec::new();
    for group in groups {
        if !names.contains(&group.name()) {
            names.push(group.name());
        }
    }
    let chart = |title: &str, column: usize| Chart {
        title: title.to_owned(),
        x: "Reference photos".to_owned(),
        y: "Mean over classes and seeds".to_owned(),
        figure: "with the most references",
        x_end: 1.0,
        ticks: shots.iter().map(|shots| (place(*shots), shots.to_string())).collect(),
        chance: false,
        dots: true,
        lines: names
            .iter()
            .map(|name| {
                let mut points: Vec<[f64; 2]> = groups
                    .iter()
                    .filter(|group| group.name() == *name)
                    .filter_map(|group| Some([place(group.shots), group.mean.values()[column]?]))
                    .collect();
                points.sort_by(|a, b| a[0].total_cmp(&b[0]));
                let last = points.last().map(|point| point[1]);
                let value = format!("{} %", FigureSet::text(0, last));
                Line { name: name.clone(), value, points }
            })
            .filter(|line| !line.points.is_empty())
            .collect(),
    };
    let charts = [chart("Image AUROC", 0), chart("Image AP", 1), chart("Pixel AUROC", 3), chart("AUPRO", 6)];
    charts.into_iter().filter(|chart| !chart.lines.is_empty()).collect()
}
