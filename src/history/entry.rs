//! What the history holds of one verdict: the row that is written, the row that is read, its revisions, and what one can
//! ask for. The database's own business is next door.

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Reader;
use super::database::{Row, Value};
use crate::anomaly::{Inspection, Verdict};
use crate::report::ModelIdentity;
use crate::report::json::{PhotoDocument, VERSION};
use crate::{Error, Recipe, Result, photo};

/// What made a verdict, besides its recipe.
#[derive(Clone, Copy, Debug)]
pub struct MadeWith<'a> {
    /// The model.
    pub model: &'a ModelIdentity,
    /// The memory's model, where it is another one.
    pub memory_model: Option<&'a ModelIdentity>,
    /// The device in words.
    pub device: &'a str,
}

/// A verdict to keep.
#[derive(Clone, Debug)]
pub struct NewEntry {
    id: Uuid,
    path: String,
    photo_sha256: String,
    width: u32,
    height: u32,
    verdict: Verdict,
    normalised_score: f32,
    image_score: f32,
    image_threshold: f32,
    pub(super) recipe: String,
    pub(super) recipe_sha256: String,
    model: ModelIdentity,
    memory_model: Option<ModelIdentity>,
    device: String,
    result: String,
}

impl NewEntry {
    /// The entry of an inspection, with a new id that carries the present time.
    ///
    /// # Errors
    /// [`Error::Bug`] if the result cannot be written as JSON.
    pub fn new(inspection: &Inspection, recipe: &Recipe, made_with: MadeWith<'_>) -> Result<Self> {
        let written = |e: serde_json::Error| Error::bug(format!("a result cannot be written as JSON ({e})."));
        let recipe = serde_json::to_string(recipe).map_err(written)?;
        Ok(Self {
            id: Uuid::now_v7(),
            path: inspection.photo.path.to_string_lossy().into_owned(),
            photo_sha256: inspection.photo.sha256.clone(),
            width: inspection.photo.width,
            height: inspection.photo.height,
            verdict: inspection.verdict,
            normalised_score: inspection.normalised_score,
            image_score: inspection.image_score,
            image_threshold: inspection.image_threshold,
            recipe_sha256: photo::hex(&Sha256::digest(recipe.as_bytes())),
            recipe,
            model: made_with.model.clone(),
            memory_model: made_with.memory_model.cloned(),
            device: made_with.device.to_owned(),
            result: serde_json::to_string(&PhotoDocument::new(inspection)).map_err(written)?,
        })
    }

    /// Its id in the history.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// SHA-256 of the photo's file.
    pub(super) fn photo_sha256(&self) -> &str {
        &self.photo_sha256
    }

    /// Whether an entry says the same of the same file, by the same recipe, models and program.
    pub(super) fn says_as(&self, entry: &Entry) -> bool {
        let memory = self.memory_model.as_ref().map(|model| &model.sha256);
        entry.photo_sha256 == self.photo_sha256
            && entry.path == storable(&self.path)
            && entry.first_verdict == self.verdict
            && entry.recipe_sha256 == self.recipe_sha256
            && entry.model_sha256 == self.model.sha256
            && entry.memory_model_sha256.as_ref() == memory
            && entry.program_version == VERSION
    }

    /// In the order of the statement that inserts it.
    pub(super) fn values(&self) -> Vec<Value> {
        vec![
            Value::Text(self.id.to_string()),
            Value::Text(time_of(self.id)),
            Value::text(&storable(&self.path)),
            Value::text(&self.photo_sha256),
            Value::Int(i64::from(self.width)),
            Value::Int(i64::from(self.height)),
            Value::text(self.verdict.name()),
            Value::Real(f64::from(self.normalised_score)),
            Value::Real(f64::from(self.image_score)),
            Value::Real(f64::from(self.image_threshold)),
            Value::text(&self.recipe_sha256),
            Value::text(&self.model.id),
            Value::text(&self.model.sha256),
            Value::text(&self.device),
            Value::text(VERSION),
            Value::text(&self.result),
            self.memory_model.as_ref().map_or(Value::Null, |model| Value::text(&model.id)),
            self.memory_model.as_ref().map_or(Value::Null, |model| Value::text(&model.sha256)),
        ]
    }
}

/// PostgreSQL's text holds no NUL; a path cannot either, so this only ever meets made-up names.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// One verdict of the history.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Entry {
    /// UUID of version 7: ids sort by time.
    pub id: String,
    /// When the verdict was given: UTC, RFC 3339, to the millisecond.
    pub time: String,
    /// The photo's path, or the name it was uploaded under.
    pub path: String,
    /// SHA-256 of the photo's file.
    pub photo_sha256: String,
    /// Pixels, after orientation.
    pub width: u32,
    /// Pixels, after orientation.
    pub height: u32,
    /// The verdict in force: the newest revision's, else the first one.
    pub verdict: Verdict,
    /// What the program said.
    pub first_verdict: Verdict,
    /// Corrections, oldest first.
    pub revisions: Vec<Revision>,
    /// 0–1 with the threshold at 0.5.
    pub normalised_score: f32,
    /// Raw image score.
    pub image_score: f32,
    /// Raw score at which the verdict turned.
    pub image_threshold: f32,
    /// SHA-256 of the recipe as JSON; the recipe itself is kept once.
    pub recipe_sha256: String,
    /// Name of the model.
    pub model_id: String,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// Name of the memory's model, where it is another one.
    pub memory_model_id: Option<String>,
    /// SHA-256 of the memory's model.
    pub memory_model_sha256: Option<String>,
    /// The device in words.
    pub device: String,
    /// Version of the program.
    pub program_version: String,
    /// The photo object as it was given out.
    #[schema(value_type = Object)]
    pub result: serde_json::Value,
}

impl Entry {
    /// Reads a row of [`super::COLUMNS`].
    pub(super) fn read(row: Row) -> Result<Self> {
        let mut row = Reader::new(row);
        let (id, time, path, photo_sha256) = (row.text()?, row.text()?, row.text()?, row.text()?);
        let (width, height, verdict) = (row.count()?, row.count()?, row.verdict()?);
        Ok(Self {
            id,
            time,
            path,
            photo_sha256,
            width,
            height,
            verdict,
            first_verdict: verdict,
            revisions: Vec::new(),
            normalised_score: row.real()? as f32,
            image_score: row.real()? as f32,
            image_threshold: row.real()? as f32,
            recipe_sha256: row.text()?,
            model_id: row.text()?,
            model_sha256: row.text()?,
            device: row.text()?,
            program_version: row.text()?,
            result: json(&row.text()?)?,
            memory_model_id: row.optional_text()?,
            memory_model_sha256: row.optional_text()?,
        })
    }
}

/// A later correction of a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Revision {
    /// When: UTC, RFC 3339, to the millisecond.
    pub time: String,
    /// What the verdict became.
    pub verdict: Verdict,
    /// Who corrected.
    pub author: String,
    /// Why.
    pub note: String,
}

impl Revision {
    /// Reads verdict id, time, verdict, author, note.
    pub(super) fn read(row: Row) -> Result<(String, Self)> {
        let mut row = Reader::new(row);
        let of = row.text()?;
        Ok((of, Self { time: row.text()?, verdict: row.verdict()?, author: row.text()?, note: row.text()? }))
    }
}

/// A correction to add.
#[derive(Clone, Debug)]
pub struct Correction {
    /// What the verdict becomes.
    pub verdict: Verdict,
    /// Who corrects.
    pub author: String,
    /// Why; may be empty.
    pub note: String,
}

/// Which entries to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Not before this moment, as made by [`moment`].
    pub since: Option<String>,
    /// Before this moment, as made by [`moment`].
    pub until: Option<String>,
    /// Only those with this verdict in force.
    pub verdict: Option<Verdict>,
    /// Go on behind the entry with this id, in the order asked for.
    pub beyond: Option<String>,
    /// In which order.
    pub order: Order,
    /// At most this many.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self { since: None, until: None, verdict: None, beyond: None, order: Order::NewestFirst, limit: 50 }
    }
}

/// Order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For looking.
    NewestFirst,
    /// For exports.
    OldestFirst,
}

/// A moment that a person wrote, as the history writes times: RFC 3339 with an offset (`2026-03-01T12:00:00+01:00`), or a
/// date in UTC, which stands for its first moment, with `end` for the first moment of the day after it.
///
/// # Errors
/// [`Error::Input`] showing both forms.
pub fn moment(text: &str, end: bool) -> Result<String> {
    use jiff::civil::Date;
    use jiff::tz::TimeZone;
    use jiff::{Timestamp, ToSpan};
    let text = text.trim();
    let day = |date: Date| {
        let date = if end { date.checked_add(1.day()).ok()? } else { date };
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    // A date also parses from the beginning of a longer text, so length decides.
    let time = match text.parse::<Timestamp>() {
        Ok(time) => Some(time),
        Err(_) if text.len() == "2026-03-01".len() => text.parse::<Date>().ok().and_then(day),
        Err(_) => None,
    };
    time.map(|time| format!("{time:.3}")).ok_or_else(|| {
        Error::input(format!("{text:?} is no time. Write a date (2026-03-01) or date and time (2026-03-01T12:00:00Z)."))
    })
}

/// The time that a UUID of version 7 carries.
pub(super) fn time_of(id: Uuid) -> String {
    let (secs, nanos) = id.get_timestamp().map_or((0, 0), |time| time.to_unix());
    let time = jiff::Timestamp::new(secs as i64, nanos as i32).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// JSON that this program wrote.
pub(super) fn json(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|e| {
        Error::input(format!(
            "The history was changed by another program: a result is no JSON ({e}). Restore a backup."
        ))
    })
}
