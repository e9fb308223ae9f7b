//! What outlives the window: which photos are open, the recipe, the inspector's decisions, and how the window looks. One
//! RON file, written beside its target and renamed; a file that cannot be read is put aside, never lost in silence.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::benchmark::BenchSetup;
use super::classifying::ClassifySetup;
use super::describing::DescribeSetup;
use super::labels::{self, Class, Label};
use super::match_training::MatchSetup;
use super::photo_list::{Decision, Filter, Sort};
use super::segmenting::correction::Strokes;
use super::segmenting::{LayerId, SegmentSetup};
use super::theme::ThemeChoice;
use super::training::TrainSetup;
use crate::report::ColourMap;
use crate::{Error, Recipe, Result};

/// Version of the file's format.
const VERSION: u32 = 1;

/// The tabs of the side panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tab {
    /// What decides the verdict.
    #[default]
    Recipe,
    /// Regions and "why?" of the photo on view.
    Findings,
    /// The report of the photo on view.
    Report,
}

/// What fills the middle of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// Photos, one by one or as a grid.
    #[default]
    Inspect,
    /// Verdicts and predictions against labels.
    Evaluate,
    /// Classes by words, and by a classifier from labelled photos.
    Classify,
    /// Masks by words, corrected by brush, and training of what draws them.
    Segment,
    /// Methods measured on a labelled folder.
    Benchmark,
    /// Photos against what they are said to show.
    Description,
    /// Verdicts that were kept.
    History,
}

impl Page {
    pub const ALL: [Self; 7] = [
        Self::Inspect,
        Self::Evaluate,
        Self::Classify,
        Self::Description,
        Self::Segment,
        Self::Benchmark,
        Self::History,
    ];

    /// As its tab names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Inspect => "Inspect",
            Self::Evaluate => "Evaluate",
            Self::Classify => "Classify",
            Self::Segment => "Segment",
            Self::Benchmark => "Benchmark",
            Self::Description => "Description",
            Self::History => "History",
        }
    }

    /// Whether the photo on view is part of it: a photo chosen in the film strip is then shown here.
    pub fn shows_photo(self) -> bool {
        matches!(self, Self::Inspect | Self::Classify | Self::Description | Self::Segment)
    }
}

/// How the window looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    pub theme: ThemeChoice,
    pub colours: ColourMap,
    /// Opacity of the overlay from the threshold upwards, 0–1.
    pub opacity: f32,
    pub overlay: bool,
    pub contour: bool,
    pub boxes: bool,
    /// Photo left, overlay right of a line.
    pub compare: bool,
    /// Where that line is, 0–1 across the canvas.
    pub split: f32,
    pub film: bool,
    pub inspector: bool,
    pub histogram: bool,
    /// Thumbnails in place of the canvas.
    pub grid: bool,
    pub page: Page,
    /// The row of classes below the photo.
    pub labels: bool,
    /// A label set by key shows the next photo.
    pub advance: bool,
    /// Good against defective in the matrix, in place of every class.
    pub two_rows: bool,
    pub tab: Tab,
    pub sort: Sort,
    pub filter: Filter,
    /// Sections of the side panel that are folded, by title.
    pub folded: Vec<String>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::default(),
            colours: ColourMap::default(),
            opacity: 0.62,
            overlay: true,
            contour: true,
            boxes: true,
            compare: false,
            split: 0.5,
            film: true,
            inspector: true,
            histogram: true,
            grid: false,
            page: Page::default(),
            labels: true,
            advance: false,
            two_rows: false,
            tab: Tab::default(),
            sort: Sort::default(),
            filter: Filter::default(),
            folded: vec!["Network".to_owned()],
        }
    }
}

/// Everything that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    pub version: u32,
    pub recipe: Recipe,
    pub photos: Vec<PathBuf>,
    /// The photo on view.
    pub selected: Option<PathBuf>,
    pub decisions: Vec<(PathBuf, Decision)>,
    /// The true classes, in the order of their keys.
    pub classes: Vec<Class>,
    pub labels: Vec<(PathBuf, Label)>,
    pub classify: ClassifySetup,
    pub segment: SegmentSetup,
    /// Strokes of the brush on a layer of a photo.
    pub corrections: Vec<(PathBuf, LayerId, Strokes)>,
    pub train: TrainSetup,
    pub match_train: MatchSetup,
    pub bench: BenchSetup,
    pub describe: DescribeSetup,
    /// Where verdicts are kept: an SQLite file or a PostgreSQL address; `None` is the user's own file.
    pub history: Option<String>,
    /// Who inspects, for corrections.
    pub inspector: String,
    /// Folders and files of networks to choose from, besides the installed ones.
    pub models: Vec<String>,
    pub look: Look,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            version: VERSION,
            recipe: Recipe::default(),
            photos: Vec::new(),
            selected: None,
            decisions: Vec::new(),
            classes: labels::starters(),
            labels: Vec::new(),
            classify: ClassifySetup::default(),
            segment: SegmentSetup::default(),
            corrections: Vec::new(),
            train: TrainSetup::default(),
            match_train: MatchSetup::default(),
            bench: BenchSetup::default(),
            describe: DescribeSetup::default(),
            history: None,
            inspector: crate::history::user().unwrap_or_default(),
            models: Vec::new(),
            look: Look::default(),
        }
    }
}

/// What became of a session file.
#[derive(Debug)]
pub enum Restored {
    /// There is none.
    Nothing,
    Session(Box<Session>),
    /// It cannot be read; it was put aside if that was possible.
    Broken {
        kept: Option<PathBuf>,
        reason: String,
    },
}

/// Where the session of this user is kept; `None` where the system names no folder for such files.
pub fn default_path() -> Option<PathBuf> {
    dirs::data_dir().map(|dir| dir.join("hairline").join("session.ron"))
}

/// Reads a session.
pub fn restore(path: &Path) -> Restored {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Restored::Nothing,
        Err(error) => return put_aside(path, &error.to_string()),
    };
    match ron::from_str::<Session>(&text) {
        Ok(session) if session.version > VERSION => {
            put_aside(path, &format!("it has format version {}, this program reads up to {VERSION}", session.version))
        }
        Ok(session) => match session.recipe.check() {
            Ok(()) => Restored::Session(Box::new(session)),
            Err(error) => put_aside(path, &error.to_string()),
        },
        Err(error) => put_aside(path, &error.to_string()),
    }
}

/// Renames the file to `<name>.broken`, or the first free `<name>.broken-N`.
fn put_aside(path: &Path, reason: &str) -> Restored {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".broken");
    let mut target = PathBuf::from(&aside);
    for n in 2..1000 {
        if !target.exists() {
            break;
        }
        let mut next = aside.clone();
        next.push(format!("-{n}"));
        target = next.into();
    }
    let kept = std::fs::rename(path, &target).is_ok().then_some(target);
    Restored::Broken { kept, reason: reason.to_owned() }
}

/// Writes a session whole or not at all.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save(path: &Path, session: &Session) -> Result<()> {
    let text = ron::ser::to_string_pretty(session, ron::ser::PrettyConfig::default())
        .map_err(|e| Error::bug(format!("the session cannot be written as RON ({e}).")))?;
    let failed = |e: &std::io::Error| Error::io("Cannot save the session", path, e);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| failed(&e))?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(|e| failed(&e))?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn session() -> Session {
        let mut session = Session { photos: vec!["a b/größe.png".into()], ..Session::default() };
        session.recipe.object = "metal ring".into();
        session.look.colours = ColourMap::Cividis;
        session.decisions = vec![("a b/größe.png".into(), Decision::Rejected)];
        session
    }

    #[test]
    fn a_session_survives_its_file_and_leaves_nothing_else_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("session.ron");
        save(&path, &Session::default()).unwrap();
        save(&path, &session()).unwrap();
        let Restored::Session(restored) = restore(&path) else { panic!("not restored") };
        assert_eq!(*restored, session());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_half_written_file_is_kept_aside_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.ron");
        save(&path, &session()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 1, whole.len() / 2, whole.len() - 3] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let Restored::Broken { kept, .. } = restore(&path) else {
                panic!("{length} bytes were taken for a session")
            };
            assert_eq!(std::fs::read(kept.unwrap()).unwrap(), &whole[..length]);
            assert!(!path.exists());
        }
        assert!(matches!(restore(&path), Restored::Nothing));
    }

    #[test]
    fn a_newer_format_or_a_meaningless_recipe_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.ron");
        for text in ["(version: 99)", "(recipe: (temperature: 0.0))", "not ron"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(restore(&path), Restored::Broken { .. }), "{text}");
        }
    }
}
