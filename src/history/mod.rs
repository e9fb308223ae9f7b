//! The history: every verdict that was given, with what it was given on, and every later correction as a revision beside
//! it. Nothing is ever overwritten. One SQLite file by default, or a PostgreSQL database that several benches share; the
//! statements are the same for both. Judges nothing, and keeps no pictures.

mod database;
mod entry;
mod export;
#[cfg(test)]
mod tests;

use uuid::Uuid;

pub use entry::{Correction, Entry, Filter, MadeWith, NewEntry, Order, Revision, moment};
pub use export::{ExportFormat, export};

use crate::anomaly::Verdict;
use crate::{Error, Result};
use database::{Database, Row, Value};

/// Statements that brought the schema from one version to the next. Only ever appended to.
const MIGRATIONS: [&str; 2] = [include_str!("migration_1.sql"), include_str!("migration_2.sql")];

/// Columns of an entry, in the order that [`Entry`] reads them. The current verdict is that of the newest revision.
const COLUMNS: &str = "v.id, v.time, v.path, v.photo_sha256, v.width, v.height, v.verdict, v.normalised_score, \
     v.image_score, v.image_threshold, v.recipe_sha256, v.model_id, v.model_sha256, v.device, v.program_version, v.result, v.memory_model_id, v.memory_model_sha256";

/// The verdict in force: the newest revision's, else the first one.
const IN_FORCE: &str =
    "COALESCE((SELECT r.verdict FROM revisions r WHERE r.verdict_id = v.id ORDER BY r.id DESC LIMIT 1), v.verdict)";

/// An open history. Verdicts are on disk when [`History::record`] returns.
#[derive(Debug)]
pub struct History {
    database: Database,
}

impl History {
    /// Opens the history at `address`: `postgres://…` (or `postgresql://…`), else the path of an SQLite file, which is
    /// created where it is missing. Brings an older schema up to date.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no history or comes from a newer program, [`Error::Io`] where the file or the
    /// server cannot be reached.
    pub fn open(address: &str) -> Result<Self> {
        let mut database = Database::open(address)?;
        database.migrate(&MIGRATIONS)?;
        Ok(Self { database })
    }

    /// Like [`History::open`], but a missing file is an error: for reading, where a misspelt name must not make a file.
    pub fn open_existing(address: &str) -> Result<Self> {
        if !Database::is_postgres(address) && !std::path::Path::new(address).is_file() {
            return Err(Error::input(
                "There is no such history. Check the path, or keep one with `hairline inspect … --history FILE`.",
            )
            .at(address));
        }
        Self::open(address)
    }

    /// Keeps verdicts, all or none. They are on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Io`] when the database refuses; nothing was kept then.
    pub fn record(&mut self, entries: &[NewEntry]) -> Result<()> {
        let mut statements = Vec::with_capacity(2 * entries.len());
        for entry in entries {
            statements.push((
                "INSERT INTO recipes (sha256, recipe) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
                vec![Value::text(&entry.recipe_sha256), Value::text(&entry.recipe)],
            ));
            // The id makes it safe to send the same entry again after a lost connection.
            statements.push((
                "INSERT INTO verdicts (id, time, path, photo_sha256, width, height, verdict, normalised_score, image_score, \
                 image_threshold, recipe_sha256, model_id, model_sha256, device, program_version, result, \
                 memory_model_id, memory_model_sha256) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
                 ON CONFLICT (id) DO NOTHING",
                entry.values(),
            ));
        }
        self.database.transact(&statements)
    }

    /// Whether the newest verdict on this photo was given for the same file with the same words: by the same recipe,
    /// models and program. Keeping it again would tell nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when the database refuses.
    pub fn holds(&mut self, entry: &NewEntry) -> Result<bool> {
        let sql = format!("SELECT {COLUMNS} FROM verdicts v WHERE v.photo_sha256 = $1 ORDER BY v.id DESC LIMIT 1");
        let rows = self.database.query(&sql, &[Value::text(entry.photo_sha256())])?;
        let newest = rows.into_iter().next().map(Entry::read).transpose()?;
        Ok(newest.is_some_and(|newest| entry.says_as(&newest)))
    }

    /// The entries that pass the filter, with all their revisions.
    ///
    /// # Errors
    /// [`Error::Io`] when the database refuses.
    pub fn list(&mut self, filter: &Filter) -> Result<Vec<Entry>> {
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        let mut condition = |text: &str, value: Value| {
            values.push(value);
            conditions.push(format!("{text} ${}", values.len()));
        };
        if let Some(since) = &filter.since {
            condition("v.time >=", Value::text(since));
        }
        if let Some(until) = &filter.until {
            condition("v.time <", Value::text(until));
        }
        if let Some(verdict) = filter.verdict {
            condition(&format!("{IN_FORCE} ="), Value::text(verdict.name()));
        }
        let (beyond, direction) = match filter.order {
            Order::NewestFirst => ("v.id <", "DESC"),
            Order::OldestFirst => ("v.id >", "ASC"),
        };
        if let Some(cursor) = &filter.beyond {
            condition(beyond, Value::text(cursor));
        }
        let conditions = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
        values.push(Value::Int(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT {COLUMNS} FROM verdicts v WHERE {conditions} ORDER BY v.id {direction} LIMIT ${}",
            values.len()
        );
        let mut entries =
            self.database.query(&sql, &values)?.into_iter().map(Entry::read).collect::<Result<Vec<_>>>()?;
        self.add_revisions(&mut entries)?;
        Ok(entries)
    }

    /// One query for the revisions of all entries, which lie between the smallest and the largest id.
    fn add_revisions(&mut self, entries: &mut [Entry]) -> Result<()> {
        let ids = || entries.iter().map(|entry| entry.id.as_str());
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(()) };
        let rows = self.database.query(
            "SELECT verdict_id, time, verdict, author, note FROM revisions \
             WHERE verdict_id >= $1 AND verdict_id <= $2 ORDER BY id",
            &[Value::text(first), Value::text(last)],
        )?;
        for row in rows {
            let (of, revision) = Revision::read(row)?;
            if let Some(entry) = entries.iter_mut().find(|entry| entry.id == of) {
                entry.verdict = revision.verdict;
                entry.revisions.push(revision);
            }
        }
        Ok(())
    }

    /// The entry whose id is `id` or begins with it.
    ///
    /// # Errors
    /// [`Error::Input`] where there is none or more than one.
    pub fn find(&mut self, id: &str) -> Result<Entry> {
        let start = id.trim().to_ascii_lowercase();
        if start.is_empty() || !start.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Err(Error::input(format!(
                "{id:?} is no id of a verdict. `hairline history list` shows them in its first column."
            )));
        }
        let sql = format!("SELECT {COLUMNS} FROM verdicts v WHERE v.id LIKE $1 ORDER BY v.id LIMIT 2");
        let rows = self.database.query(&sql, &[Value::Text(format!("{start}%"))])?;
        let mut found = rows.into_iter().map(Entry::read).collect::<Result<Vec<_>>>()?;
        if found.len() > 1 {
            return Err(Error::input(format!(
                "More than one verdict has an id that begins with {id}. Give more of it."
            )));
        }
        self.add_revisions(&mut found)?;
        found.pop().ok_or_else(|| {
            Error::input(format!("The history has no verdict {id}. `hairline history list` shows what it has."))
        })
    }

    /// The recipe with this hash, as JSON.
    pub fn recipe(&mut self, sha256: &str) -> Result<serde_json::Value> {
        let rows = self.database.query("SELECT recipe FROM recipes WHERE sha256 = $1", &[Value::text(sha256)])?;
        let Some(row) = rows.into_iter().next() else {
            return Err(Error::input(format!("The history has no recipe {sha256}.")));
        };
        entry::json(&Reader::new(row).text()?)
    }

    /// Adds a revision to a verdict; the former verdicts stay. Returns the entry as it stands then.
    ///
    /// # Errors
    /// [`Error::Input`] where there is no such verdict or no author.
    pub fn correct(&mut self, id: &str, correction: &Correction) -> Result<Entry> {
        if correction.author.trim().is_empty() {
            return Err(Error::input("A correction needs a name: who corrects? Give it with --by."));
        }
        let entry = self.find(id)?;
        let revision = Uuid::now_v7();
        self.database.transact(&[(
            "INSERT INTO revisions (id, verdict_id, time, verdict, author, note) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO NOTHING",
            vec![
                Value::Text(revision.to_string()),
                Value::text(&entry.id),
                Value::Text(entry::time_of(revision)),
                Value::text(correction.verdict.name()),
                Value::text(correction.author.trim()),
                Value::text(correction.note.trim()),
            ],
        )])?;
        self.find(&entry.id)
    }
}

/// The name of the user who runs the program, as the system tells it.
pub fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
}

/// Reads the values of a row one after the other; what does not fit was not written by this program.
struct Reader(std::vec::IntoIter<Value>);

impl Reader {
    fn new(row: Row) -> Self {
        Self(row.into_iter())
    }

    fn text(&mut self) -> Result<String> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            other => Err(unexpected("text", other.as_ref())),
        }
    }

    fn optional_text(&mut self) -> Result<Option<String>> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected("text", other.as_ref())),
        }
    }

    fn real(&mut self) -> Result<f64> {
        match self.0.next() {
            Some(Value::Real(value)) => Ok(value),
            Some(Value::Int(value)) => Ok(value as f64),
            other => Err(unexpected("a number", other.as_ref())),
        }
    }

    fn count(&mut self) -> Result<u32> {
        match self.0.next() {
            Some(Value::Int(value)) => u32::try_from(value).map_err(|_| unexpected("a size", Some(&Value::Int(value)))),
            other => Err(unexpected("a whole number", other.as_ref())),
        }
    }

    fn verdict(&mut self) -> Result<Verdict> {
        self.text()?.parse()
    }
}

fn unexpected(wanted: &str, found: Option<&Value>) -> Error {
    Error::input(format!(
        "The history was changed by another program: {wanted} was expected, {found:?} found. Restore it from a backup."
    ))
}
