//! `hairline metrics`: the benchmark's figures from files that other programs made.

use std::path::PathBuf;

use clap::Args;

use super::console::{Console, Progress};
use super::interrupt;
use crate::Result;
use crate::bench::FigureSet;
use crate::bench::external::{External, ExternalFigures, measure_files};
use crate::count::count;

/// Arguments of `hairline metrics`.
#[derive(Clone, Debug, Args)]
pub struct MetricsArgs {
    /// Table with the columns path, label (normal or anomalous) and score, a row per photo
    #[arg(long, value_name = "FILE.csv")]
    scores: PathBuf,
    /// Anomaly maps <stem>_map.npy or <stem>_map.png, in folders named as the photos' or in one
    #[arg(long, value_name = "DIR", requires = "masks")]
    maps: Option<PathBuf>,
    /// Masks <stem>_mask.png of the maps' sizes; a photo without one is all normal
    #[arg(long, value_name = "DIR", requires = "maps")]
    masks: Option<PathBuf>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(args: MetricsArgs, console: &Console) -> Result<()> {
    interrupt::listen()?;
    let files = External { scores: &args.scores, maps: args.maps.as_deref().zip(args.masks.as_deref()) };
    let mut progress: Option<Progress> = None;
    let figures = measure_files(files, |done, total| {
        progress.get_or_insert_with(|| console.progress(total as u64, "maps read")).set(done as u64);
        !interrupt::wanted()
    })?;
    drop(progress);
    if figures.n_unmasked > 0 {
        let unmasked = count(figures.n_unmasked, "anomalous photo has", "anomalous photos have");
        console.warn(format!("{unmasked} no mask: all pixels count as normal there."));
    }
    if args.json {
        return Console::print_json(&figures);
    }
    print_table(&figures, args.maps.is_some());
    Ok(())
}

fn print_table(figures: &ExternalFigures, pixels: bool) {
    let text = |value: Option<f64>| FigureSet::text(0, value);
    let threshold = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |value| format!("{value:.4}"));
    let mut lines = vec![
        format!("{:<8}{:>7}{:>7}{:>7}{:>12}{:>7}", "", "AUROC", "AP", "F1max", "at", "AUPRO"),
        format!(
            "{:<8}{:>7}{:>7}{:>7}{:>12}",
            "photos",
            text(figures.image_auroc),
            text(figures.image_ap),
            text(figures.image_f1_max),
            threshold(figures.image_f1_threshold)
        ),
    ];
    if pixels {
        lines.push(format!(
            "{:<8}{:>7}{:>7}{:>7}{:>12}{:>7}",
            "pixels",
            text(figures.pixel_auroc),
            text(figures.pixel_ap),
            text(figures.pixel_f1_max),
            threshold(figures.pixel_f1_threshold),
            text(figures.aupro)
        ));
    }
    let normal = figures.n_test - figures.n_anomalous;
    let (anomalous, regions) = (
        count(figures.n_anomalous, "anomalous photo", "anomalous photos"),
        count(figures.n_regions, "region", "regions"),
    );
    lines.push(format!("{normal} normal and {anomalous}, {regions}"));
    for line in lines {
        if !Console::print(&line) {
            return;
        }
    }
}
