//! The photos on the bench: what is known of each, and the order in which the film strip shows them. Pixels and
//! textures live elsewhere, so that ten thousand entries stay small.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::labels::{self, Class, Label, LabelStep};
use super::photo_order::sort;
pub use super::photo_order::{Agreement, Filter, Focus, Rule, Sort};
use crate::Error;
use crate::anomaly::{Inspection, Verdict};
use crate::engine::PhotoId;

/// The inspector's own word on a photo; it never changes the engine's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Accepted,
    Rejected,
}

/// What the engine found.
#[derive(Clone, Debug, Default)]
pub enum Outcome {
    /// Not yet looked at.
    #[default]
    Waiting,
    Inspected(Arc<Inspection>),
    Failed(Error),
}

/// One photo.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: PhotoId,
    pub path: PathBuf,
    /// File name for display.
    pub name: String,
    pub outcome: Outcome,
    pub decision: Option<Decision>,
    /// The true class, where the inspector has said it.
    pub label: Option<Label>,
}

impl Entry {
    /// The inspection, if there is one.
    pub fn inspection(&self) -> Option<&Arc<Inspection>> {
        match &self.outcome {
            Outcome::Inspected(inspection) => Some(inspection),
            Outcome::Waiting | Outcome::Failed(_) => None,
        }
    }

    /// The verdict, if there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.inspection().map(|inspection| inspection.verdict)
    }

    /// How verdict and label go together; `None` while one of them is missing.
    pub fn agreement(&self, classes: &[Class]) -> Option<Agreement> {
        let class = classes.iter().find(|class| Some(&class.name) == self.label.as_ref())?;
        Some(Agreement::of(self.verdict()?, class.normal))
    }
}

/// How many photos stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: usize,
    pub ok: usize,
    pub uncertain: usize,
    pub ng: usize,
    pub failed: usize,
    pub waiting: usize,
    pub labelled: usize,
    pub false_alarms: usize,
    pub misses: usize,
}

/// The photos and the order in which they are shown.
#[derive(Clone, Debug)]
pub struct PhotoList {
    entries: Vec<Entry>,
    index: HashMap<PhotoId, usize>,
    paths: HashMap<PathBuf, PhotoId>,
    /// Indices into `entries`, filtered and sorted.
    shown: Vec<usize>,
    counts: Counts,
    sort: Sort,
    filter: Filter,
    search: String,
    focus: Option<Focus>,
    classes: Vec<Class>,
    /// Photos lie in more than one folder, so names alone may be equal.
    several_folders: bool,
    next: PhotoId,
    stale: bool,
    /// Counts changes of photos, outcomes, labels and classes.
    revision: u64,
}

impl Default for PhotoList {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: HashMap::new(),
            paths: HashMap::new(),
            shown: Vec::new(),
            counts: Counts::default(),
            sort: Sort::default(),
            filter: Filter::default(),
            search: String::new(),
            focus: None,
            classes: labels::starters(),
            several_folders: false,
            next: 0,
            stale: false,
            revision: 0,
        }
    }
}

impl PhotoList {
    /// Adds the photos that are not on the bench yet; returns the new ones' names.
    pub fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) -> Vec<PhotoId> {
        let mut added = Vec::new();
        for path in paths {
            if self.paths.contains_key(&path) {
                continue;
            }
            let id = self.next;
            self.next += 1;
            let name = file_name(&path);
            self.paths.insert(path.clone(), id);
            self.index.insert(id, self.entries.len());
            self.entries.push(Entry { id, path, name, outcome: Outcome::Waiting, decision: None, label: None });
            added.push(id);
        }
        self.touch();
        added
    }

    /// Takes a photo off the bench. The file stays.
    pub fn remove(&mut self, id: PhotoId) -> Option<Entry> {
        let at = self.index.remove(&id)?;
        let entry = self.entries.remove(at);
        self.paths.remove(&entry.path);
        for later in &self.entries[at..] {
            if let Some(index) = self.index.get_mut(&later.id) {
                *index -= 1;
            }
        }
        self.touch();
        Some(entry)
    }

    /// Takes all photos off the bench. Names are not used again, so late events about the old ones find nothing.
    pub fn clear(&mut self) -> Vec<PhotoId> {
        let ids = self.entries.iter().map(|entry| entry.id).collect();
        *self = Self {
            next: self.next,
            sort: self.sort,
            filter: self.filter,
            search: std::mem::take(&mut self.search),
            classes: std::mem::take(&mut self.classes),
            revision: self.revision + 1,
            stale: true,
            ..Self::default()
        };
        ids
    }

    pub fn set_outcome(&mut self, id: PhotoId, outcome: Outcome) {
        if let Some(&at) = self.index.get(&id) {
            self.entries[at].outcome = outcome;
            self.touch();
        }
    }

    pub fn set_decision(&mut self, id: PhotoId, decision: Option<Decision>) {
        if let Some(&at) = self.index.get(&id) {
            self.entries[at].decision = decision;
        }
    }

    /// Carries out a change of classes and labels; returns the change that takes it back. Photos that have left the bench
    /// are passed over.
    pub fn swap_labels(&mut self, step: LabelStep) -> LabelStep {
        let classes = step.classes.map(|classes| std::mem::replace(&mut self.classes, classes));
        let mut photos = Vec::with_capacity(step.photos.len());
        for (id, label) in step.photos {
            if let Some(&at) = self.index.get(&id) {
                photos.push((id, std::mem::replace(&mut self.entries[at].label, label)));
            }
        }
        self.touch();
        LabelStep { classes, photos }
    }

    /// The true classes, in the order of their keys.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Counts changes of photos, outcomes, labels and classes, for whoever keeps something worked out of them.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn touch(&mut self) {
        self.stale = true;
        self.revision += 1;
    }

    pub fn get(&self, id: PhotoId) -> Option<&Entry> {
        self.index.get(&id).map(|&at| &self.entries[at])
    }

    pub fn by_path(&self, path: &Path) -> Option<PhotoId> {
        self.paths.get(path).copied()
    }

    /// Every photo, in the order they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn sort(&self) -> Sort {
        self.sort
    }

    pub fn filter(&self) -> Filter {
        self.filter
    }

    pub fn search(&self) -> &str {
        &self.search
    }

    pub fn set_sort(&mut self, sort: Sort) {
        self.stale |= self.sort != sort;
        self.sort = sort;
    }

    pub fn set_filter(&mut self, filter: Filter) {
        self.stale |= self.filter != filter;
        self.filter = filter;
    }

    /// The closer look at some of the photos, if one is taken.
    pub fn focus(&self) -> Option<&Focus> {
        self.focus.as_ref()
    }

    pub fn set_focus(&mut self, focus: Option<Focus>) {
        self.stale |= self.focus != focus;
        self.focus = focus;
    }

    pub fn set_search(&mut self, search: String) {
        self.stale |= self.search != search;
        self.search = search;
    }

    /// Sorts and filters again if anything changed; once per frame.
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.counts = Counts { total: self.entries.len(), ..Counts::default() };
        for entry in &self.entries {
            match &entry.outcome {
                Outcome::Waiting => self.counts.waiting += 1,
                Outcome::Failed(_) => self.counts.failed += 1,
                Outcome::Inspected(inspection) => match inspection.verdict {
                    Verdict::Ok => self.counts.ok += 1,
                    Verdict::Uncertain => self.counts.uncertain += 1,
                    Verdict::Ng => self.counts.ng += 1,
                },
            }
            self.counts.labelled += usize::from(entry.label.is_some());
            match entry.agreement(&self.classes) {
                Some(Agreement::FalseAlarm) => self.counts.false_alarms += 1,
                Some(Agreement::Miss) => self.counts.misses += 1,
                Some(Agreement::Right | Agreement::Open) | None => {}
            }
        }
        let mut folders = self.entries.iter().map(|entry| entry.path.parent());
        let first = folders.next();
        self.several_folders = folders.any(|folder| Some(folder) != first);
        let needle = self.search.to_lowercase();
        let entries = &self.entries;
        self.shown.clear();
        self.shown.extend(
            (0..entries.len())
                .filter(|&at| self.filter.admits(&entries[at]))
                .filter(|&at| self.focus.as_ref().is_none_or(|focus| focus.rule.admits(&entries[at], &self.classes)))
                .filter(|&at| needle.is_empty() || entries[at].name.to_lowercase().contains(&needle)),
        );
        sort(&mut self.shown, &self.entries, self.sort, &self.classes);
    }

    /// The folder's name, where it is needed to tell photos apart; empty elsewhere.
    pub fn folder_prefix(&self, entry: &Entry) -> String {
        let folder = entry.path.parent().and_then(Path::file_name).filter(|_| self.several_folders);
        folder.map_or_else(String::new, |folder| format!("{}/", folder.to_string_lossy()))
    }

    /// How many photos the film strip shows.
    pub fn shown_len(&self) -> usize {
        self.shown.len()
    }

    /// The photo in row `row` of the film strip.
    pub fn shown(&self, row: usize) -> Option<&Entry> {
        self.shown.get(row).map(|&at| &self.entries[at])
    }

    /// The row in which a photo is shown.
    pub fn row_of(&self, id: PhotoId) -> Option<usize> {
        let at = *self.index.get(&id)?;
        self.shown.iter().position(|&shown| shown == at)
    }

    /// The photo `step` rows further, stopping at the ends; the first one if `from` is not shown.
    pub fn neighbour(&self, from: Option<PhotoId>, step: isize) -> Option<PhotoId> {
        let last = self.shown.len().checked_sub(1)?;
        let row = match from.and_then(|id| self.row_of(id)) {
            Some(row) => row.saturating_add_signed(step).min(last),
            None => 0,
        };
        self.shown(row).map(|entry| entry.id)
    }
}

/// File name for display.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::inspection;

    fn list(names: &[(&str, Option<(f32, Verdict)>)]) -> PhotoList {
        let mut list = PhotoList::default();
        for (name, outcome) in names {
            let id = list.add([PathBuf::from(name)])[0];
            if let Some((score, verdict)) = outcome {
                list.set_outcome(id, Outcome::Inspected(Arc::new(inspection(name, *score, *verdict))));
            }
        }
        list.refresh();
        list
    }

    fn names(list: &PhotoList) -> Vec<&str> {
        (0..list.shown_len()).filter_map(|row| list.shown(row)).map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn numbers_in_names_sort_by_value() {
        assert_eq!(
            names(&list(&[("p10.png", None), ("p9.png", None), ("p009b.png", None)])),
            ["p9.png", "p009b.png", "p10.png"]
        );
    }

    #[test]
    fn sorting_and_filtering_follow_the_verdicts() {
        let mut list = list(&[
            ("a", Some((1.0, Verdict::Ok))),
            ("b", Some((9.0, Verdict::Ng))),
            ("c", None),
            ("d", Some((5.0, Verdict::Uncertain))),
        ]);
        list.set_sort(Sort::Score);
        list.refresh();
        assert_eq!(names(&list), ["b", "d", "a", "c"]);
        list.set_filter(Filter::Ng);
        list.refresh();
        assert_eq!(names(&list), ["b"]);
        let counts = list.counts();
        assert_eq!((counts.total, counts.ok, counts.uncertain, counts.ng, counts.waiting), (4, 1, 1, 1, 1));
        list.set_filter(Filter::All);
        list.set_search("D".into());
        list.refresh();
        assert_eq!(names(&list), ["d"]);
    }

    fn label(list: &mut PhotoList, id: PhotoId, name: &str) {
        list.swap_labels(LabelStep { classes: None, photos: vec![(id, Some(name.into()))] });
    }

    #[test]
    fn mistakes_come_first_and_the_worst_of_them_before_the_others() {
        let mut list = list(&[
            ("right", Some((9.0, Verdict::Ng))),
            ("miss", Some((1.0, Verdict::Ok))),
            ("alarm", Some((6.0, Verdict::Ng))),
            ("open", Some((5.0, Verdict::Uncertain))),
            ("unlabelled", Some((8.0, Verdict::Ng))),
        ]);
        for (id, name) in [(0, "defect"), (1, "defect"), (2, "good"), (3, "good")] {
            label(&mut list, id, name);
        }
        list.set_sort(Sort::Mistakes);
        list.refresh();
        assert_eq!(names(&list), ["miss", "alarm", "open", "right", "unlabelled"]);
        let counts = list.counts();
        assert_eq!((counts.labelled, counts.misses, counts.false_alarms), (4, 1, 1));
        for (rule, expected) in [
            (Rule::Misses, vec!["miss"]),
            (Rule::Mistakes, vec!["miss", "alarm"]),
            (Rule::Label(None), vec!["unlabelled"]),
            (Rule::Judged(vec!["defect".into()], Verdict::Ng), vec!["right"]),
        ] {
            list.set_focus(Some(Focus { title: "x".into(), rule }));
            list.refresh();
            assert_eq!(names(&list), expected);
        }
        list.set_focus(None);
        list.set_sort(Sort::Label);
        list.refresh();
        assert_eq!(names(&list), ["alarm", "open", "right", "miss", "unlabelled"]);
    }

    #[test]
    fn a_change_of_labels_gives_its_way_back() {
        let mut list = list(&[("a", None), ("b", None)]);
        label(&mut list, 0, "good");
        let before = list.get(0).and_then(|entry| entry.label.clone());
        let revision = list.revision();
        let step = LabelStep { classes: Some(Vec::new()), photos: vec![(0, None), (1, Some("x".into())), (9, None)] };
        let back = list.swap_labels(step);
        assert!(list.classes().is_empty() && list.revision() > revision);
        list.swap_labels(back);
        assert_eq!(list.get(0).and_then(|entry| entry.label.clone()), before);
        assert_eq!(list.classes(), labels::starters());
    }

    #[test]
    fn a_path_is_on_the_bench_once_and_removal_keeps_the_rest_reachable() {
        let mut list = list(&[("a", None), ("b", None), ("c", None)]);
        assert!(list.add([PathBuf::from("b")]).is_empty());
        list.remove(0);
        list.refresh();
        assert_eq!(list.get(2).map(|entry| entry.name.as_str()), Some("c"));
        assert_eq!(list.neighbour(Some(1), 1), Some(2));
        assert_eq!(list.neighbour(Some(2), 1), Some(2), "stops at the end");
        list.clear();
        assert_eq!(list.add([PathBuf::from("a")]), [3], "names are not used again");
    }
}
