//! The table of photo–text pairs: a CSV with the columns `image_path`, `text` and, where known, `label`. Rows that cannot
//! be used are listed with their line; the rest stays usable.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::photo::hex;
use crate::{Error, Result};

/// What somebody who knows says of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    Match,
    Mismatch,
}

impl Label {
    /// The word in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
        }
    }
}

/// A usable row.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Line of the file on which the row begins, counted from 1.
    pub line: u64,
    /// The photo as the table names it.
    pub given: String,
    /// Where to read it.
    pub path: PathBuf,
    pub text: String,
    pub label: Option<Label>,
}

/// A row that cannot be used, or whose photo cannot be read.
#[derive(Clone, Debug, Serialize)]
pub struct BadRow {
    pub line: u64,
    /// `image_path`, `text` and `label` as far as they can be read, for the table of results.
    #[serde(skip)]
    pub fields: [String; 3],
    #[serde(serialize_with = "as_text")]
    pub error: Error,
}

fn as_text<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}

impl BadRow {
    /// A row that was read and failed later.
    pub fn of(pair: &Pair, error: Error) -> Self {
        let label = pair.label.map_or("", Label::name);
        Self { line: pair.line, fields: [&pair.given, &pair.text, label].map(str::to_owned), error }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Pairs {
    pub rows: Vec<Pair>,
    pub bad: Vec<BadRow>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

/// Reads a table. Relative paths of photos are looked for under `root`, else beside the table. Columns are found by
/// name in whatever order; a `;` separates them where the header has no comma.
///
/// # Errors
/// [`Error::Io`] for a file that cannot be read, [`Error::Input`] for a header without `image_path` and `text`, or a
/// table without rows.
pub fn read_pairs(path: &Path, root: Option<&Path>) -> Result<Pairs> {
    let bytes = std::fs::read(path).map_err(|error| Error::io("Cannot read the table", path, &error))?;
    let root = root.or_else(|| path.parent()).unwrap_or(Path::new(""));
    parse(&bytes, root).map_err(|error| error.at(path))
}

fn parse(bytes: &[u8], root: &Path) -> Result<Pairs> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b',') || !first.contains(&b';') { b',' } else { b';' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let header = reader
        .byte_headers()
        .map_err(|error| Error::input(format!("The table cannot be read: {error}. Save it as CSV again.")))?
        .clone();
    let column = |name: &str| header.iter().position(|field| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
    let (Some(image), Some(words)) = (column("image_path"), column("text")) else {
        let names = header.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ");
        return Err(Error::input(format!(
            "The table needs the columns `image_path` and `text` (and may have `label`), but its first line is: {names}."
        )));
    };
    let label = column("label");
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    let mut record = csv::ByteRecord::new();
    loop {
        // The reader counts from the end of the row before, blank lines included.
        let start = reader.position().clone();
        let blank = text[start.byte() as usize..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let line = start.line() + blank.filter(|byte| **byte == b'\n').count() as u64;
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => match pair(&record, line, [image, words], label, root, header.len()) {
                Ok(pair) => rows.push(pair),
                Err(error) => {
                    // In a row of another length nobody knows which field is which.
                    let known = |at: Option<usize>| {
                        let field = at.filter(|_| record.len() == header.len()).and_then(|at| record.get(at));
                        String::from_utf8_lossy(field.unwrap_or_default()).trim().to_owned()
                    };
                    bad.push(BadRow { line, fields: [known(Some(image)), known(Some(words)), known(label)], error });
                }
            },
            Err(error) => {
                let unreadable = Error::input(format!("The row cannot be read: {error}."));
                bad.push(BadRow { line, fields: <[String; 3]>::default(), error: unreadable });
                if matches!(error.kind(), csv::ErrorKind::Io(_)) {
                    break;
                }
            }
        }
    }
    if rows.is_empty() && bad.is_empty() {
        return Err(Error::input("The table has a header and no rows. Add a row for each photo and text."));
    }
    Ok(Pairs { rows, bad, sha256: hex(&Sha256::digest(bytes)) })
}

fn pair(
    record: &csv::ByteRecord,
    line: u64,
    [image, words]: [usize; 2],
    label: Option<usize>,
    root: &Path,
    columns: usize,
) -> Result<Pair> {
    if record.len() != columns {
        return Err(Error::input(format!(
            "The row has {} fields, the header {columns}. Put texts with commas in quotation marks.",
            record.len()
        )));
    }
    let field = |at: usize, name: &str| {
        let text = std::str::from_utf8(&record[at])
            .map_err(|_| Error::input(format!("`{name}` is no UTF-8 text. Save the table as UTF-8.")))?;
        Ok::<_, Error>(text.trim())
    };
    let (given, text) = (field(image, "image_path")?, field(words, "text")?);
    if given.is_empty() || text.is_empty() {
        let name = if given.is_empty() { "image_path" } else { "text" };
        return Err(Error::input(format!("`{name}` is empty. Fill it in, or delete the row.")));
    }
    let label = match label.map(|at| field(at, "label")).transpose()?.unwrap_or_default().to_lowercase().as_str() {
        "" => None,
        "match" => Some(Label::Match),
        "mismatch" => Some(Label::Mismatch),
        other => {
            return Err(Error::input(format!("The label is `{other}`, but must be `match`, `mismatch` or empty.")));
        }
    };
    Ok(Pair { line, given: given.to_owned(), path: root.join(given), text: text.to_owned(), label })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn read(text: &str) -> Pairs {
        parse(text.as_bytes(), Path::new("root")).unwrap()
    }

    #[test]
    fn good_rows_are_kept_and_bad_ones_named_by_line() {
        let table = "label,image_path,text\nmatch,a.png,\"a red, round cap\"\n,b.png,\n\nperhaps,c.png,x\nmismatch,/d.png,\"two\nlines\"\nmatch,e.png,a,b\n,f.png,last";
        let pairs = read(table);
        let kept: Vec<_> = pairs.rows.iter().map(|pair| (pair.line, pair.text.as_str(), pair.label)).collect();
        assert_eq!(
            kept,
            [(2, "a red, round cap", Some(Label::Match)), (6, "two\nlines", Some(Label::Mismatch)), (9, "last", None)]
        );
        assert_eq!(pairs.rows[0].path, Path::new("root/a.png"));
        assert_eq!(pairs.rows[1].path, Path::new("/d.png"), "absolute paths stay");
        let bad: Vec<_> = pairs.bad.iter().map(|row| row.line).collect();
        assert_eq!(bad, [3, 5, 8]);
        assert!(pairs.bad[1].error.to_string().contains("perhaps"));
        assert_eq!(pairs.bad[1].fields, ["c.png", "x", "perhaps"]);
        assert_eq!(pairs.bad[2].fields, ["", "", ""], "of another length");
        assert!(pairs.bad[2].error.to_string().contains("quotation marks"));
    }

    #[test]
    fn spreadsheets_semicolons_and_byte_order_marks_are_understood() {
        let pairs = read("\u{feff}image_path;text;label\r\na.png;a ring, worn;MATCH\r\n");
        assert_eq!((pairs.rows[0].text.as_str(), pairs.rows[0].label), ("a ring, worn", Some(Label::Match)));
    }

    #[test]
    fn a_text_in_another_encoding_is_one_bad_row() {
        let pairs = parse(b"image_path,text\na.png,gr\xfcn\nb.png,red\n", Path::new("")).unwrap();
        assert_eq!((pairs.rows.len(), pairs.bad[0].line), (1, 2));
        assert!(pairs.bad[0].error.to_string().contains("UTF-8"));
    }

    #[test]
    fn a_table_without_the_columns_or_rows_is_refused() {
        let error = parse(b"photo,words\na,b\n", Path::new("")).unwrap_err().to_string();
        assert!(error.contains("image_path") && error.contains("photo, words"), "{error}");
        assert!(parse(b"", Path::new("")).is_err());
        assert!(parse(b"image_path,text\n", Path::new("")).unwrap_err().to_string().contains("no rows"));
    }
}
