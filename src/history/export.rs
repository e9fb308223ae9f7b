//! The history as a table for other programs: CSV and Parquet with one row a verdict, JSON with everything. Written page
//! by page, so that a million verdicts do not have to fit into the memory (a Parquet file holds one page per row group).

use std::io::Write;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::{Entry, Filter, History, Order};
use crate::{Error, Result};

/// Rows read at a time.
const PAGE: usize = 2000;

/// Format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One row a verdict, for spreadsheets.
    Csv,
    /// An array of entries with results and revisions.
    Json,
    /// One row a verdict, for data frames; the result is a column of JSON.
    Parquet,
}

impl std::str::FromStr for ExportFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err(Error::input(format!("There is no format `{name}`. Use one of: csv, json, parquet."))),
        }
    }
}

/// A cell of the table.
enum Cell {
    Text(String),
    Int(i64),
    Real(f64),
}

/// A column: its name, and its value for an entry.
type Column = (&'static str, fn(&Entry) -> Cell);

/// The columns of the table, each with its value. The newest revision stands for all.
const COLUMNS: [Column; 22] = [
    ("id", |e| Cell::Text(e.id.clone())),
    ("time", |e| Cell::Text(e.time.clone())),
    ("path", |e| Cell::Text(e.path.clone())),
    ("verdict", |e| Cell::Text(e.verdict.name().to_owned())),
    ("first_verdict", |e| Cell::Text(e.first_verdict.name().to_owned())),
    ("revisions", |e| Cell::Int(e.revisions.len() as i64)),
    ("revised_at", |e| newest(e, |r| &r.time)),
    ("revised_by", |e| newest(e, |r| &r.author)),
    ("note", |e| newest(e, |r| &r.note)),
    ("normalised_score", |e| Cell::Real(shortest(e.normalised_score))),
    ("image_score", |e| Cell::Real(shortest(e.image_score))),
    ("image_threshold", |e| Cell::Real(shortest(e.image_threshold))),
    ("photo_sha256", |e| Cell::Text(e.photo_sha256.clone())),
    ("width", |e| Cell::Int(i64::from(e.width))),
    ("height", |e| Cell::Int(i64::from(e.height))),
    ("recipe_sha256", |e| Cell::Text(e.recipe_sha256.clone())),
    ("model_id", |e| Cell::Text(e.model_id.clone())),
    ("model_sha256", |e| Cell::Text(e.model_sha256.clone())),
    ("memory_model_id", |e| Cell::Text(e.memory_model_id.clone().unwrap_or_default())),
    ("memory_model_sha256", |e| Cell::Text(e.memory_model_sha256.clone().unwrap_or_default())),
    ("device", |e| Cell::Text(e.device.clone())),
    ("program_version", |e| Cell::Text(e.program_version.clone())),
];

fn newest(entry: &Entry, part: fn(&super::Revision) -> &String) -> Cell {
    Cell::Text(entry.revisions.last().map(part).cloned().unwrap_or_default())
}

/// The double that is written with the same digits as the float, so that 0.83 does not become 0.8299999833106995.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Writes the entries that pass the filter, oldest first, and returns their number. The filter's own order and limit do
/// not count.
///
/// # Errors
/// [`Error::Io`] when the database refuses, and I/O errors of `out`.
pub fn export(
    history: &mut History,
    filter: &Filter,
    format: ExportFormat,
    out: &mut (dyn Write + Send),
) -> Result<usize> {
    let pages =
        Pages { history, filter: Filter { order: Order::OldestFirst, limit: PAGE, ..filter.clone() }, done: false };
    match format {
        ExportFormat::Csv => write_csv(pages, out),
        ExportFormat::Json => write_json(pages, out),
        ExportFormat::Parquet => write_parquet(pages, out),
    }
}

/// The entries, page by page.
struct Pages<'a> {
    history: &'a mut History,
    filter: Filter,
    done: bool,
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Entry>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let page = self.history.list(&self.filter);
        let last = page.as_ref().ok().and_then(|page| page.last()).map(|entry| entry.id.clone());
        self.done = !page.as_ref().is_ok_and(|page| page.len() == PAGE);
        self.filter.beyond = last.or(self.filter.beyond.take());
        Some(page)
    }
}

fn failed(error: &std::io::Error) -> Error {
    Error::Io { message: format!("Cannot write the export: {error}."), path: None }
}

fn write_csv(pages: Pages<'_>, out: &mut (dyn Write + Send)) -> Result<usize> {
    let fail = |e: csv::Error| failed(&std::io::Error::other(e));
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS.map(|(name, _)| name)).map_err(fail)?;
    let mut count = 0;
    for page in pages {
        for entry in page? {
            let cells = COLUMNS.iter().map(|(_, value)| match value(&entry) {
                Cell::Text(text) => text,
                Cell::Int(value) => value.to_string(),
                Cell::Real(value) => value.to_string(),
            });
            table.write_record(cells).map_err(fail)?;
            count += 1;
        }
    }
    table.flush().map_err(|e| failed(&e))?;
    Ok(count)
}

fn write_json(pages: Pages<'_>, out: &mut (dyn Write + Send)) -> Result<usize> {
    let mut count = 0;
    let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(|e| failed(&e));
    write(b"[")?;
    for page in pages {
        for entry in page? {
            write(if count == 0 { b"\n" } else { b",\n" })?;
            let text = serde_json::to_vec(&entry).map_err(|e| Error::bug(format!("an entry is no JSON ({e}).")))?;
            write(&text)?;
            count += 1;
        }
    }
    write(b"\n]\n")?;
    Ok(count)
}

fn write_parquet(pages: Pages<'_>, out: &mut (dyn Write + Send)) -> Result<usize> {
    let fail = |e: ParquetError| failed(&std::io::Error::other(e));
    let kinds = COLUMNS.iter().map(|(name, value)| {
        let kind = match value(&blank()) {
            Cell::Text(_) => "BYTE_ARRAY",
            Cell::Int(_) => "INT64",
            Cell::Real(_) => "DOUBLE",
        };
        format!("REQUIRED {kind} {name}{};", if kind == "BYTE_ARRAY" { " (STRING)" } else { "" })
    });
    let schema = format!("message history {{ {} REQUIRED BYTE_ARRAY result (STRING); }}", kinds.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).map_err(fail)?);
    let properties = WriterProperties::builder().set_created_by(format!("hairline {}", env!("CARGO_PKG_VERSION")));
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties.build())).map_err(fail)?;
    let mut count = 0;
    for page in pages {
        let page = page?;
        if page.is_empty() {
            continue;
        }
        let mut group = file.next_row_group().map_err(fail)?;
        for (_, value) in &COLUMNS {
            write_column(&mut group, page.iter().map(value).collect()).map_err(fail)?;
        }
        write_column(&mut group, page.iter().map(|entry| Cell::Text(entry.result.to_string())).collect())
            .map_err(fail)?;
        group.close().map_err(fail)?;
        count += page.len();
    }
    file.close().map_err(fail)?;
    Ok(count)
}

fn write_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    cells: Vec<Cell>,
) -> Result<(), ParquetError> {
    let (mut texts, mut ints, mut reals) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        match cell {
            Cell::Text(text) => texts.push(ByteArray::from(text.into_bytes())),
            Cell::Int(value) => ints.push(value),
            Cell::Real(value) => reals.push(value),
        }
    }
    let Some(mut column) = group.next_column()? else { return Err(ParquetError::General("no column left".into())) };
    if !texts.is_empty() {
        column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
    } else if !ints.is_empty() {
        column.typed::<Int64Type>().write_batch(&ints, None, None)?;
    } else {
        column.typed::<DoubleType>().write_batch(&reals, None, None)?;
    }
    column.close()
}

/// An entry without content, to ask each column for its kind.
fn blank() -> Entry {
    let text = String::new;
    Entry {
        id: text(),
        time: text(),
        path: text(),
        photo_sha256: text(),
        width: 0,
        height: 0,
        verdict: crate::anomaly::Verdict::Ok,
        first_verdict: crate::anomaly::Verdict::Ok,
        revisions: Vec::new(),
        normalised_score: 0.0,
        image_score: 0.0,
        image_threshold: 0.0,
        recipe_sha256: text(),
        model_id: text(),
        model_sha256: text(),
        memory_model_id: None,
        memory_model_sha256: None,
        device: text(),
        program_version: text(),
        result: serde_json::Value::Null,
    }
}
