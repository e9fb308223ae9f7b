//! What a long run has done so far, in a file beside its output: scores by line of the table, under a fingerprint of
//! everything they depend on. A run that was stopped goes on from here; the file goes when the output is written.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// First word of the file.
const KIND: &str = "hairline-match-1";

/// Scores on disk, held by one run at a time.
#[derive(Debug)]
pub struct PartFile {
    path: PathBuf,
    file: File,
    /// Similarities by line of the table.
    pub done: HashMap<u64, f32>,
}

/// `<output>.part`.
pub fn part_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

impl PartFile {
    /// Opens the part file of `output`. Scores of an earlier run with the same `fingerprint` are taken over; anything
    /// else in the file is dropped, a torn last line included.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be opened; [`Error::Input`] when another run holds it.
    pub fn open(output: &Path, fingerprint: &str) -> Result<Self> {
        let path = part_path(output);
        let fail = |error: &std::io::Error| Error::io("Cannot write the part file", &path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| fail(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::input(
                    "Another run is writing this output. Wait for it, or choose another --output.",
                )
                .at(output));
            }
            Err(TryLockError::Error(error)) => return Err(fail(&error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| fail(&error))?;
        let header = format!("{KIND} {fingerprint}\n");
        let mut done = HashMap::new();
        let mut kept = 0;
        if bytes.starts_with(header.as_bytes()) {
            kept = header.len();
            for line in bytes[header.len()..].split_inclusive(|byte| *byte == b'\n') {
                let Some((number, score)) = parse(line) else { break };
                done.insert(number, score);
                kept += line.len();
            }
        }
        file.set_len(kept as u64).map_err(|error| fail(&error))?;
        file.seek(SeekFrom::End(0)).map_err(|error| fail(&error))?;
        let mut part = Self { path: path.clone(), file, done };
        if kept == 0 {
            part.write(&header)?;
        }
        Ok(part)
    }

    /// Keeps scores; they are on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn append(&mut self, scores: &[(u64, f32)]) -> Result<()> {
        if scores.is_empty() {
            return Ok(());
        }
        let mut text = String::with_capacity(scores.len() * 16);
        for (line, score) in scores {
            let _ = writeln!(text, "{line} {score}");
        }
        self.done.extend(scores.iter().copied());
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| Error::io("Cannot write the part file", &self.path, &error))
    }

    /// Removes the file: the output is written.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn finish(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| Error::io("Cannot remove the part file", &self.path, &error))
    }
}

/// `line score` with its end of line; `None` for anything else.
fn parse(line: &[u8]) -> Option<(u64, f32)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (number, score) = line.split_once(' ')?;
    let score: f32 = score.parse().ok()?;
    Some((number.parse().ok()?, score)).filter(|_| (0.0..=1.0).contains(&score))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_stopped_run_goes_on_where_it_was_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.json");
        let mut part = PartFile::open(&output, "abc").unwrap();
        part.append(&[(2, 0.1), (3, 0.123_456_79)]).unwrap();
        drop(part);
        // Killed while writing: the last line is torn.
        let mut file = OpenOptions::new().append(true).open(part_path(&output)).unwrap();
        file.write_all(b"4 0.99").unwrap();
        drop(file);
        let mut part = PartFile::open(&output, "abc").unwrap();
        assert_eq!(part.done, HashMap::from([(2, 0.1), (3, 0.123_456_79)]));
        part.append(&[(4, 0.5)]).unwrap();
        drop(part);
        let part = PartFile::open(&output, "abc").unwrap();
        assert_eq!(part.done.len(), 3);
        part.finish().unwrap();
        assert!(!part_path(&output).exists());
    }

    #[test]
    fn scores_of_another_table_or_model_are_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.json");
        PartFile::open(&output, "abc").unwrap().append(&[(2, 0.1)]).unwrap();
        assert!(PartFile::open(&output, "other").unwrap().done.is_empty());
        assert!(PartFile::open(&output, "abc").unwrap().done.is_empty(), "they are gone for good");
        std::fs::write(part_path(&output), b"\xff\xfe rubbish").unwrap();
        assert!(PartFile::open(&output, "abc").unwrap().done.is_empty());
    }

    #[test]
    fn two_runs_do_not_write_one_output() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.json");
        let _first = PartFile::open(&output, "abc").unwrap();
        assert!(PartFile::open(&output, "abc").unwrap_err().to_string().contains("Another run"));
    }
}
