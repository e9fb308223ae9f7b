//! What a benchmark found: figures per class, their means, and what they were measured with. Plain data with the keys of
//! `bench.json`; keys may be added, never renamed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::plan::Shots;
use super::protocol::Protocol;
use crate::Recipe;
use crate::metrics::Curves;
use crate::report::ModelIdentity;

/// The columns of the table. Fractions 0–1 except for the time; `None` where the data has no such figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FigureSet {
    pub image_auroc: Option<f64>,
    pub image_ap: Option<f64>,
    pub image_f1_max: Option<f64>,
    pub pixel_auroc: Option<f64>,
    pub pixel_ap: Option<f64>,
    pub pixel_f1_max: Option<f64>,
    pub aupro: Option<f64>,
    /// From the file to the map, milliseconds a photo, over the photos whose features were not in the cache.
    pub ms_per_image: Option<f64>,
}

impl FigureSet {
    /// Keys, and headings for people, in the order of [`FigureSet::values`].
    pub const COLUMNS: [(&'static str, &'static str); 8] = [
        ("image_auroc", "Img-AUROC"),
        ("image_ap", "Img-AP"),
        ("image_f1_max", "Img-F1max"),
        ("pixel_auroc", "Pix-AUROC"),
        ("pixel_ap", "Pix-AP"),
        ("pixel_f1_max", "Pix-F1max"),
        ("aupro", "AUPRO"),
        ("ms_per_image", "ms/photo"),
    ];

    /// Every value, in the order of [`FigureSet::COLUMNS`].
    pub fn values(&self) -> [Option<f64>; 8] {
        [
            self.image_auroc,
            self.image_ap,
            self.image_f1_max,
            self.pixel_auroc,
            self.pixel_ap,
            self.pixel_f1_max,
            self.aupro,
            self.ms_per_image,
        ]
    }

    fn from_values(values: [Option<f64>; 8]) -> Self {
        let [image_auroc, image_ap, image_f1_max, pixel_auroc, pixel_ap, pixel_f1_max, aupro, ms_per_image] = values;
        Self { image_auroc, image_ap, image_f1_max, pixel_auroc, pixel_ap, pixel_f1_max, aupro, ms_per_image }
    }

    /// One value as people read it: per cent with one decimal, the time in milliseconds, `—` where there is none.
    pub fn text(column: usize, value: Option<f64>) -> String {
        match value {
            None => "—".to_owned(),
            Some(ms) if column == 7 => {
                if ms < 100.0 {
                    format!("{ms:.1}")
                } else {
                    format!("{ms:.0}")
                }
            }
            Some(fraction) => format!("{:.1}", 100.0 * fraction),
        }
    }

    /// Column by column, the mean over the sets that have the figure.
    pub fn mean<'a>(sets: impl Iterator<Item = &'a Self> + Clone) -> Self {
        Self::from_values(std::array::from_fn(|column| {
            let present: Vec<f64> = sets.clone().filter_map(|set| set.values()[column]).collect();
            (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
        }))
    }

    /// Column by column, the sample standard deviation (n − 1); `None` for fewer than two.
    pub fn deviation<'a>(sets: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mean = Self::mean(sets.clone()).values();
        Self::from_values(std::array::from_fn(|column| {
            let present: Vec<f64> = sets.clone().filter_map(|set| set.values()[column]).collect();
            let mean = mean[column].filter(|_| present.len() > 1)?;
            Some((present.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (present.len() - 1) as f64).sqrt())
        }))
    }
}

/// One class: its row of the table and a little more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    pub name: String,
    #[serde(flatten)]
    pub figures: FigureSet,
    /// Test photos that were measured.
    pub n_test: usize,
    /// How many of them are anomalous.
    pub n_anomalous: usize,
    /// Reference photos that could be used.
    pub n_references: usize,
    /// Connected defects in the masks.
    pub n_regions: usize,
    /// Raw image score at which `image_f1_max` is reached.
    pub image_f1_threshold: Option<f64>,
    /// Raw pixel score at which `pixel_f1_max` is reached.
    pub pixel_f1_threshold: Option<f64>,
    /// Each type of defect against the good photos.
    pub types: Vec<TypeFigures>,
}

/// One type of defect, i.e. one folder of `test`, against the good photos of its class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeFigures {
    pub name: String,
    /// Photos of this type.
    pub n: usize,
    pub image_auroc: Option<f64>,
    pub image_ap: Option<f64>,
}

/// A test photo and its raw image score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredPhoto {
    pub path: PathBuf,
    /// `good`, or the type of defect.
    pub kind: String,
    pub score: f32,
}

impl ScoredPhoto {
    /// Anything but `good`.
    pub fn anomalous(&self) -> bool {
        self.kind != "good"
    }

    /// The label in `scores.csv`.
    pub fn label(&self) -> &'static str {
        if self.anomalous() { "anomalous" } else { "normal" }
    }
}

/// A photo that the method gets wrong first, with small pictures: JPEG in Base 64, so that a page can hold them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstPhoto {
    pub photo: ScoredPhoto,
    /// The photo, its ground truth outlined.
    pub picture: String,
    /// The photo under its heatmap.
    pub heatmap: String,
}

/// A file that could not be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedFile {
    pub path: PathBuf,
    pub error: String,
}

/// Everything measured on one class in one run; kept as a file, so that a run that was stopped can go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassResult {
    /// Of recipe, model, protocol and files: a result is used again only where it is the same.
    pub fingerprint: String,
    pub figures: ClassFigures,
    /// Over photos.
    pub image_curves: Curves,
    /// Over pixels.
    pub pixel_curves: Curves,
    pub model: ModelIdentity,
    /// The memory's model, where it is another one.
    pub memory_model: Option<ModelIdentity>,
    pub device: String,
    /// The recipe, references included.
    pub recipe: Recipe,
    pub photos: Vec<ScoredPhoto>,
    /// Normal photos with the highest scores, highest first.
    pub worst_normal: Vec<WorstPhoto>,
    /// Anomalous photos with the lowest scores, lowest first.
    pub worst_anomalous: Vec<WorstPhoto>,
    pub failures: Vec<FailedFile>,
}

/// One run: one method with one model, number of references and seed, on every class.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    /// Where its files are.
    pub folder: PathBuf,
    /// UTC, RFC 3339.
    pub created: String,
    pub protocol: Protocol,
    pub shots: Shots,
    /// The recipe of all classes; object and references are each class's own.
    pub recipe: Recipe,
    pub classes: Vec<ClassResult>,
    /// Over the classes, each counting alike.
    pub mean: FigureSet,
}

impl RunResult {
    /// The model; of no class, of nothing.
    pub fn model(&self) -> ModelIdentity {
        self.classes.first().map(|class| class.model.clone()).unwrap_or_default()
    }

    /// The memory's model, where it is another one.
    pub fn memory_model(&self) -> Option<ModelIdentity> {
        self.classes.first().and_then(|class| class.memory_model.clone())
    }

    /// Method, model and references in words, e.g. `fused · pocket · 4 references`.
    pub fn title(&self) -> String {
        super::plan::title(&self.recipe, self.shots)
    }

    /// Files that could not be used, over all classes.
    pub fn failures(&self) -> impl Iterator<Item = &FailedFile> {
        self.classes.iter().flat_map(|class| &class.failures)
    }
}

/// Runs that differ in the seed alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub method: String,
    pub model: String,
    /// The memory's model, where it is another one.
    pub memory_model: Option<String>,
    pub shots: Shots,
    pub seeds: Vec<u64>,
    /// Over the seeds, of the means over the classes.
    pub mean: FigureSet,
    /// Sample standard deviation over the seeds; absent for one seed.
    pub deviation: FigureSet,
    /// In words.
    #[serde(skip)]
    pub title: String,
}

impl Group {
    /// Method and models: what stays the same while references are varied.
    pub fn name(&self) -> String {
        let memory = self.memory_model.as_ref().map(|memory| format!(" + {memory}"));
        format!("{} · {}{}", self.method, self.model, memory.unwrap_or_default())
    }
}

/// Gathers runs that differ in the seed alone, in the order of their first.
pub fn groups(runs: &[RunResult]) -> Vec<Group> {
    let mut titles: Vec<String> = runs.iter().map(RunResult::title).collect();
    titles.dedup();
    titles
        .into_iter()
        .map(|title| {
            let members = runs.iter().filter(|run| run.title() == title);
            let sets = members.clone().map(|run| &run.mean);
            let first = members.clone().next();
            let of_first = |of: fn(&RunResult) -> String| first.map(of).unwrap_or_default();
            Group {
                method: of_first(|run| run.recipe.method.name().to_owned()),
                model: of_first(|run| run.model().id),
                memory_model: first.and_then(RunResult::memory_model).map(|model| model.id),
                shots: first.map(|run| run.shots).unwrap_or_default(),
                seeds: members.map(|run| run.recipe.seed).collect(),
                mean: FigureSet::mean(sets.clone()),
                deviation: FigureSet::deviation(sets),
                title,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_deviations_leave_out_what_is_absent() {
        let set = |auroc, aupro| FigureSet { image_auroc: Some(auroc), aupro, ..FigureSet::default() };
        let sets = [set(0.5, None), set(0.7, Some(0.4)), set(0.9, None)];
        let mean = FigureSet::mean(sets.iter());
        assert!((mean.image_auroc.expect("three") - 0.7).abs() < 1e-12);
        assert_eq!((mean.aupro, mean.pixel_ap), (Some(0.4), None));
        let deviation = FigureSet::deviation(sets.iter());
        assert!((deviation.image_auroc.expect("three") - 0.2).abs() < 1e-12);
        assert_eq!(deviation.aupro, None);
    }

    #[test]
    fn figures_are_read_in_per_cent_and_milliseconds() {
        assert_eq!(FigureSet::text(0, Some(0.748_4)), "74.8");
        assert_eq!(FigureSet::text(7, Some(25.04)), "25.0");
        assert_eq!(FigureSet::text(7, Some(1234.5)), "1234");
        assert_eq!(FigureSet::text(6, None), "—");
    }
}
