//! The kept verdicts as the window shows them: which are listed, which one is looked at, and the correction being written.
//! Plain data; reading and writing is `recorder`'s.

use crate::anomaly::Verdict;
use crate::history::{Correction, Entry, Filter};

/// Entries asked for at a time.
pub const PAGE: usize = 100;

/// The correction being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub verdict: Option<Verdict>,
    pub note: String,
}

/// Everything the window knows of the history.
#[derive(Debug, Default)]
pub struct KeptVerdicts {
    /// An SQLite file or a PostgreSQL address without its password; `None` keeps nothing.
    pub place: Option<String>,
    /// Newest first.
    pub entries: Vec<Entry>,
    /// There are older ones.
    pub more: bool,
    /// Only those with this verdict in force.
    pub verdict: Option<Verdict>,
    /// The entry that is looked at.
    pub chosen: Option<String>,
    pub draft: Draft,
    /// Something was kept since the list was read.
    pub stale: bool,
    /// A list is on its way.
    pub asked: bool,
    pub problem: Option<String>,
}

impl KeptVerdicts {
    /// What to ask for: the newest, or those after the last one listed.
    pub fn filter(&self, further: bool) -> Filter {
        let last = self.entries.last().filter(|_| further).map(|entry| entry.id.clone());
        Filter { verdict: self.verdict, beyond: last, limit: PAGE + 1, ..Filter::default() }
    }

    /// A list arrived; one that belongs to another filter is dropped.
    pub fn listed(&mut self, filter: &Filter, mut entries: Vec<Entry>) {
        self.asked = false;
        self.problem = None;
        if filter.verdict != self.verdict {
            self.stale = true;
            return;
        }
        self.more = entries.len() > PAGE;
        entries.truncate(PAGE);
        if filter.beyond.is_none() {
            self.entries = entries;
        } else {
            self.entries.extend(entries);
        }
    }

    /// An entry was corrected.
    pub fn corrected(&mut self, entry: Entry) {
        self.draft = Draft::default();
        if let Some(kept) = self.entries.iter_mut().find(|kept| kept.id == entry.id) {
            *kept = entry;
        }
    }

    /// The entry that is looked at.
    pub fn shown(&self) -> Option<&Entry> {
        let chosen = self.chosen.as_ref()?;
        self.entries.iter().find(|entry| entry.id == *chosen)
    }

    /// The correction as written; `None` until it says something.
    pub fn correction(&self, author: &str) -> Option<(String, Correction)> {
        let (entry, verdict) = (self.shown()?, self.draft.verdict?);
        let author = author.trim();
        (!author.is_empty() && verdict != entry.verdict).then(|| {
            let note = self.draft.note.trim().to_owned();
            (entry.id.clone(), Correction { verdict, author: author.to_owned(), note })
        })
    }
}

/// `2026-03-01 12:00` of a time as the history writes it.
pub fn short_time(time: &str) -> String {
    time.get(..16).map_or_else(|| time.to_owned(), |time| time.replace('T', " "))
}

/// An address as it may be shown: without user, password and parameters.
pub fn shown_place(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{}", host.split('?').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_password() {
        assert_eq!(shown_place("postgres://ada:sesame@db:5432/parts?password=x"), "postgres://db:5432/parts");
        assert_eq!(shown_place("/data/h.sqlite"), "/data/h.sqlite");
    }

    #[test]
    fn a_list_of_another_filter_is_not_shown() {
        let mut kept = KeptVerdicts { verdict: Some(Verdict::Ng), asked: true, ..KeptVerdicts::default() };
        kept.listed(&Filter::default(), Vec::new());
        assert!(kept.stale && !kept.asked, "the right one is asked for");
        assert_eq!(short_time("2026-03-01T12:00:59.123Z"), "2026-03-01 12:00");
    }
}
