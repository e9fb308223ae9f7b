//! Descriptions as the window knows them: what is asked of the photo on view or of a whole table, and what came of it. The
//! matching itself is `matching`'s and runs on the engine's thread; the threshold is arithmetic and decides anew at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::classifying::LabJob;
use crate::engine::Lab;
use crate::matching::{
    BadRow, BatchOutcome, Choice, ClaimKind, DEFAULT_THRESHOLD, DescriptionMatch, Evaluation, Histogram, LabEncoder,
    Label, Pair, Pairs, PartFile, Question, Scored, SeenPhoto, Separation, TableSummary, ThresholdFigures,
    describe_photo, evaluate, figures_at, fingerprint, judge_match, match_pairs, see_photo, separation,
};
use crate::photo::hex;
use crate::report::{self, ModelIdentity};
use crate::{Error, Result};

/// Said wherever the embedded model decides.
pub const POCKET_NOTE: &str = "The embedded pocket knows damage of parts, but hardly parts, colours or counts, and its \
     similarities are high for texts that do not fit, too. Take the threshold from labelled rows; for descriptions of \
     other things choose a published CLIP model.";

/// What is held against descriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Against {
    /// The photo on view.
    #[default]
    Photo,
    /// Every row of a table.
    Table,
    /// Nothing: a model learns from the photos and texts of a table.
    Training,
}

/// What is asked; kept with the session, and every change can be taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DescribeSetup {
    /// Catalogue id or folder of a model with a text tower.
    pub model: String,
    pub text: String,
    /// Labels to choose between as typed, separated by commas.
    pub labels: String,
    /// Similarity from which on it is a match, 0–1.
    pub threshold: f32,
    /// The table of photo–text pairs.
    pub table: Option<PathBuf>,
    /// Where its relative photo paths start; `None` is beside the table.
    pub root: Option<PathBuf>,
}

impl Default for DescribeSetup {
    fn default() -> Self {
        Self {
            model: crate::model::POCKET.to_owned(),
            text: String::new(),
            labels: String::new(),
            threshold: DEFAULT_THRESHOLD,
            table: None,
            root: None,
        }
    }
}

impl DescribeSetup {
    /// What is asked of one photo; `None` while there is no description.
    pub fn asked(&self, photo: &Path) -> Option<Asked> {
        let text = self.text.trim();
        let labels = self.labels.split(',').map(str::trim).filter(|label| !label.is_empty());
        (!text.is_empty()).then(|| Asked {
            model: self.model.clone(),
            photo: photo.to_owned(),
            text: text.to_owned(),
            labels: labels.map(str::to_owned).collect(),
        })
    }
}

/// Everything that an answer about one photo depends on; the threshold is none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub model: String,
    pub photo: PathBuf,
    pub text: String,
    pub labels: Vec<String>,
}

/// A photo that went through a model's image tower; further texts need the text tower alone.
#[derive(Debug)]
pub struct Seen {
    model: String,
    path: PathBuf,
    photo: SeenPhoto,
}

/// What came of one photo and its description.
#[derive(Clone, Debug)]
pub struct Said {
    pub asked: Asked,
    pub outcome: DescriptionMatch,
    pub made: Made,
    /// Size of the photo in pixels, for the places of claims.
    pub size: (u32, u32),
}

/// What made an answer.
#[derive(Clone, Debug)]
pub struct Made {
    pub model: ModelIdentity,
    pub device: String,
    /// How well the model tells true from false claims, by kind; `None` where that was never measured.
    pub separations: [(ClaimKind, Option<Separation>); 6],
}

impl Made {
    fn by(lab: &mut Lab<'_, '_>, name: &str) -> Result<Self> {
        let model = ModelIdentity::of(lab.backbone(name)?.info());
        let separations = ClaimKind::ALL.map(|kind| (kind, separation(&model.sha256, kind)));
        Ok(Self { model, device: lab.device()?, separations })
    }

    /// Whether the bands, which are those of published CLIP models, mean anything for its similarities.
    pub fn knows_bands(&self) -> bool {
        self.model.id != crate::model::POCKET
    }
}

/// A table that was read.
#[derive(Clone, Debug)]
pub struct OpenTable {
    pub path: PathBuf,
    pub root: Option<PathBuf>,
    /// Its rows, or why it cannot be used.
    pub pairs: std::result::Result<Arc<Pairs>, String>,
}

/// Which rows are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowFilter {
    #[default]
    All,
    Matches,
    Mismatches,
    /// Decided against their label.
    Wrong,
    /// Not usable.
    Bad,
}

/// In which order rows are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowOrder {
    #[default]
    Table,
    LowestFirst,
    HighestFirst,
}

/// A row of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The place among [`Matched::scores`].
    Scored(usize),
    /// The place among [`Matched::bad`].
    Bad(usize),
}

/// A table with its similarities; any threshold can be held against them.
#[derive(Debug)]
pub struct Matched {
    pub csv: PathBuf,
    pub made: Made,
    pub pairs: Arc<Pairs>,
    /// Place of the row among the table's usable ones, and its similarity; in the order of the table.
    pub scores: Vec<(usize, f32)>,
    /// Rows that could not be used, by line.
    pub bad: Vec<BadRow>,
    /// Rows taken over from a run that was stopped.
    pub resumed: usize,
    pub histogram: Histogram,
    /// What labels tell of the scores, at the default threshold; `None` without labels.
    pub evaluation: Option<Evaluation>,
    labelled: Vec<(f32, bool)>,
    /// Places among `scores`, lowest similarity first.
    ascending: Vec<usize>,
}

impl Matched {
    fn new(csv: PathBuf, made: Made, pairs: &Arc<Pairs>, outcome: &BatchOutcome<'_>) -> Result<Self> {
        let mut places = pairs.rows.iter().enumerate();
        let place = |row: &Scored<'_>| {
            let (place, _) = places
                .find(|(_, pair)| pair.line == row.pair.line)
                .ok_or_else(|| Error::bug("a row was matched that is not in the table."))?;
            Ok((place, row.similarity))
        };
        let scores = outcome.rows.iter().map(place).collect::<Result<Vec<_>>>()?;
        let labelled: Vec<(f32, bool)> =
            outcome.rows.iter().filter_map(|row| Some((row.similarity, row.pair.label? == Label::Match))).collect();
        let (of, truth): (Vec<f32>, Vec<bool>) = labelled.iter().copied().unzip();
        let (_, evaluation) = evaluate(&of, &truth, Choice::Fixed(DEFAULT_THRESHOLD))?;
        let mut ascending: Vec<usize> = (0..scores.len()).collect();
        ascending.sort_by(|&a, &b| scores[a].1.total_cmp(&scores[b].1));
        Ok(Self {
            csv,
            made,
            pairs: pairs.clone(),
            bad: outcome.bad.clone(),
            resumed: outcome.resumed,
            histogram: Histogram::new(outcome.rows.iter().map(|row| (row.similarity, row.pair.label))),
            scores,
            evaluation,
            labelled,
            ascending,
        })
    }

    /// The row at a place among the scores.
    pub fn pair(&self, place: usize) -> Option<(&Pair, f32)> {
        let &(row, similarity) = self.scores.get(place)?;
        Some((self.pairs.rows.get(row)?, similarity))
    }

    /// How many rows match at a threshold.
    pub fn matching(&self, threshold: f32) -> usize {
        self.scores.iter().filter(|(_, similarity)| *similarity >= threshold).count()
    }

    /// Figures of the labelled rows at a threshold; `None` without labels.
    pub fn figures(&self, threshold: f32) -> Option<ThresholdFigures> {
        (!self.labelled.is_empty()).then(|| figures_at(&self.labelled, threshold))
    }

    /// The threshold that the labelled rows speak for.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn choose(&self, choice: Choice) -> Result<f32> {
        let (scores, labels): (Vec<f32>, Vec<bool>) = self.labelled.iter().copied().unzip();
        Ok(evaluate(&scores, &labels, choice)?.0)
    }

    /// The rows that pass a filter at a threshold.
    pub fn listed(&self, filter: RowFilter, order: RowOrder, threshold: f32) -> Vec<Listed> {
        let wanted = |place: &usize| {
            let Some((pair, similarity)) = self.pair(*place) else { return false };
            let is_match = judge_match(similarity, threshold).is_match;
            match filter {
                RowFilter::All => true,
                RowFilter::Matches => is_match,
                RowFilter::Mismatches => !is_match,
                RowFilter::Wrong => pair.label.is_some_and(|label| (label == Label::Match) != is_match),
                RowFilter::Bad => false,
            }
        };
        let bad = matches!(filter, RowFilter::All | RowFilter::Bad);
        let bad = (0..if bad { self.bad.len() } else { 0 }).map(Listed::Bad);
        let mut rows: Vec<Listed> = match order {
            RowOrder::Table => (0..self.scores.len()).filter(wanted).map(Listed::Scored).collect(),
            RowOrder::LowestFirst => {
                self.ascending.iter().copied().filter(|at| wanted(at)).map(Listed::Scored).collect()
            }
            RowOrder::HighestFirst => {
                self.ascending.iter().rev().copied().filter(|at| wanted(at)).map(Listed::Scored).collect()
            }
        };
        rows.extend(bad);
        if order == RowOrder::Table {
            rows.sort_by_key(|row| self.line(*row));
        }
        rows
    }

    /// Line of the table.
    pub fn line(&self, row: Listed) -> u64 {
        match row {
            Listed::Scored(place) => self.pair(place).map_or(0, |(pair, _)| pair.line),
            Listed::Bad(place) => self.bad.get(place).map_or(0, |row| row.line),
        }
    }

    fn outcome(&self) -> BatchOutcome<'_> {
        let row = |&(row, similarity): &(usize, f32)| Some(Scored { pair: self.pairs.rows.get(row)?, similarity });
        BatchOutcome {
            rows: self.scores.iter().filter_map(row).collect(),
            bad: self.bad.clone(),
            resumed: self.resumed,
            encoded: (0, 0),
        }
    }

    /// Writes rows, figures and histogram as they are at a threshold; returns the file.
    ///
    /// # Errors
    /// [`Error::Input`] for another extension than `.csv` and `.json`, [`Error::Io`] naming the file.
    pub fn write(&self, threshold: f32, output: &Path) -> Result<PathBuf> {
        let format = crate::matching::TableFormat::of(output)?;
        let outcome = self.outcome();
        let summary = TableSummary::new(
            &outcome,
            Choice::Fixed(threshold),
            self.csv.display().to_string(),
            self.made.model.clone(),
            self.made.device.clone(),
        )?;
        crate::matching::write_table(output, format, &outcome, &summary)?;
        Ok(output.to_owned())
    }
}

/// What comes back from the engine's thread.
#[derive(Debug)]
pub enum Described {
    Photo { seen: Arc<Seen>, said: Box<Said> },
    Table(Box<Matched>),
}

/// Everything the window knows of it.
#[derive(Debug)]
pub struct Describing {
    pub setup: DescribeSetup,
    pub against: Against,
    /// What the photo on view was last asked, answered or not.
    pub asked: Option<Asked>,
    pub seen: Option<Arc<Seen>>,
    pub said: Option<Arc<Said>>,
    pub table: Option<OpenTable>,
    pub matched: Option<Arc<Matched>>,
    pub filter: RowFilter,
    pub order: RowOrder,
    /// Share of what is called a match that is to be one, 0–1.
    pub precision: f64,
    pub job: Option<LabJob>,
    pub problem: Option<String>,
}

impl Default for Describing {
    fn default() -> Self {
        Self {
            setup: DescribeSetup::default(),
            against: Against::default(),
            asked: None,
            seen: None,
            said: None,
            table: None,
            matched: None,
            filter: RowFilter::default(),
            order: RowOrder::default(),
            precision: 0.95,
            job: None,
            problem: None,
        }
    }
}

impl Describing {
    /// The rows to match, if the table can be used.
    pub fn pairs(&self) -> Option<&Arc<Pairs>> {
        let pairs = self.table.as_ref()?.pairs.as_ref().ok()?;
        (!pairs.rows.is_empty()).then_some(pairs)
    }

    /// An answer, or why there is none.
    pub fn take(&mut self, answer: Result<Described>) {
        self.job = None;
        match answer {
            Ok(Described::Photo { seen, said }) => {
                self.seen = Some(seen);
                self.said = Some(Arc::from(said));
                self.problem = None;
            }
            Ok(Described::Table(matched)) => {
                self.matched = Some(Arc::from(matched));
                self.problem = None;
            }
            Err(Error::Cancelled) => {}
            Err(error) => {
                self.said = None;
                self.problem = Some(error.to_string());
            }
        }
    }
}

/// Holds a description against a photo. A photo in `known` is not looked at again.
pub fn one_photo(
    asked: Asked,
    known: Option<Arc<Seen>>,
) -> impl FnOnce(&mut Lab<'_, '_>) -> Result<Described> + Send + 'static {
    move |lab| {
        let known = known.filter(|seen| seen.model == asked.model && seen.path == asked.photo);
        let seen = match known {
            Some(seen) => seen,
            None => Arc::new(Seen {
                model: asked.model.clone(),
                path: asked.photo.clone(),
                photo: see_photo(lab, &asked.model, &asked.photo, true)?,
            }),
        };
        let question = Question {
            text: asked.text.clone(),
            threshold: DEFAULT_THRESHOLD,
            labels: asked.labels.clone(),
            claims: true,
        };
        let outcome = describe_photo(lab, &asked.model, &seen.photo, &question)?;
        let made = Made::by(lab, &asked.model)?;
        let facts = &seen.photo.embedded.facts;
        let size = (facts.width, facts.height);
        Ok(Described::Photo { seen, said: Box::new(Said { asked, outcome, made, size }) })
    }
}

/// Matches every row of a table. What is done is kept in `kept` until the table is through, so that a run that was stopped
/// goes on from there; without a folder it begins anew.
pub fn whole_table(
    model: String,
    table: OpenTable,
    pairs: Arc<Pairs>,
    kept: Option<PathBuf>,
) -> impl FnOnce(&mut Lab<'_, '_>) -> Result<Described> + Send + 'static {
    move |lab| {
        let mut encoder = LabEncoder::new(lab, &model)?;
        let made = Made::by(encoder.lab(), &model)?;
        let root = table.root.as_deref().or_else(|| table.path.parent()).unwrap_or(Path::new(""));
        let print = fingerprint(&pairs, &made.model, &made.device, root);
        let scratch = match kept {
            Some(_) => None,
            None => {
                Some(tempfile::tempdir().map_err(|e| Error::io("Cannot write", std::env::temp_dir().as_path(), &e))?)
            }
        };
        let folder =
            kept.as_deref().or_else(|| scratch.as_ref().map(tempfile::TempDir::path)).unwrap_or(Path::new("."));
        report::create_folder(folder)?;
        let mut part = PartFile::open(&folder.join(hex(&Sha256::digest(print.as_bytes()))), &print)?;
        let outcome = match_pairs(&pairs, &mut encoder, &mut part)?;
        let matched = Matched::new(table.path, made, &pairs, &outcome)?;
        part.finish()?;
        Ok(Described::Table(Box::new(matched)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn matched() -> Matched {
        let dir = tempfile::tempdir().unwrap();
        let csv = dir.path().join("pairs.csv");
        std::fs::write(
            &csv,
            "image_path,text,label\na.png,a ring,match\nb.png,a nut,mismatch\n,nothing,match\nc.png,a bolt,match\nd.png,a cap,\n",
        )
        .unwrap();
        let pairs = Arc::new(crate::matching::read_pairs(&csv, None).unwrap());
        let scores = [0.4, 0.3, 0.1, 0.2];
        let rows = pairs.rows.iter().zip(scores).map(|(pair, similarity)| Scored { pair, similarity }).collect();
        let outcome = BatchOutcome { rows, bad: pairs.bad.clone(), resumed: 0, encoded: (4, 4) };
        let made = Made {
            model: ModelIdentity::default(),
            device: String::new(),
            separations: ClaimKind::ALL.map(|kind| (kind, None)),
        };
        Matched::new(csv, made, &pairs, &outcome).unwrap()
    }

    #[test]
    fn rows_are_listed_by_what_the_threshold_says_of_them() {
        let matched = matched();
        let lines = |filter, order, threshold| -> Vec<u64> {
            matched.listed(filter, order, threshold).into_iter().map(|row| matched.line(row)).collect()
        };
        assert_eq!(lines(RowFilter::All, RowOrder::Table, 0.25), [2, 3, 4, 5, 6], "the bad row in its place");
        assert_eq!(lines(RowFilter::Matches, RowOrder::LowestFirst, 0.25), [3, 2]);
        assert_eq!(lines(RowFilter::Mismatches, RowOrder::HighestFirst, 0.25), [6, 5]);
        assert_eq!(lines(RowFilter::Wrong, RowOrder::Table, 0.25), [3, 5]);
        assert_eq!(lines(RowFilter::Wrong, RowOrder::Table, 0.35), [5], "a threshold decides anew");
        assert_eq!(lines(RowFilter::Bad, RowOrder::LowestFirst, 0.25), [4]);
        assert_eq!(matched.matching(0.25), 2);
    }

    #[test]
    fn the_threshold_comes_from_the_labels_and_the_files_are_those_of_the_command_line() {
        let matched = matched();
        let best = matched.choose(Choice::BestF1).unwrap();
        assert!(best <= 0.1, "both matches are found: {best}");
        assert!(matched.choose(Choice::Precision(1.0)).unwrap() > 0.3);
        assert_eq!(matched.figures(0.25).unwrap().confusion, [[1, 1], [1, 0]]);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.csv");
        matched.write(0.25, &out).unwrap();
        let text = std::fs::read_to_string(&out).unwrap();
        assert!(text.lines().count() == 6 && text.contains("4,,nothing,match,,,,"), "{text}");
        assert!(dir.path().join("out_summary.json").is_file() && dir.path().join("out_histogram.png").is_file());
        assert!(matched.write(0.25, &dir.path().join("out.txt")).is_err());
    }

    #[test]
    fn nothing_is_asked_without_words() {
        let mut setup = DescribeSetup { text: "  ".into(), ..DescribeSetup::default() };
        assert_eq!(setup.asked(Path::new("a.png")), None);
        setup.text = " a ring ".into();
        setup.labels = "ring, ,nut,".into();
        let asked = setup.asked(Path::new("a.png")).unwrap();
        assert_eq!((asked.text.as_str(), asked.labels.len()), ("a ring", 2));
        setup.threshold = 0.4;
        assert_eq!(setup.asked(Path::new("a.png")), Some(asked), "a threshold asks nothing anew");
    }
}
