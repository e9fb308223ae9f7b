//! What the inspector does to classes and labels, each as one step of undo. Part of [`State`], apart from the rest of it
//! because it is a subject of its own.

use std::collections::HashMap;
use std::path::PathBuf;

use super::labels::{Class, ClassEdit, KEYED, Label, LabelStep, folder_class};
use super::photo_list::{Decision, Entry};
use super::state::{State, Step, photos};
use crate::engine::PhotoId;

impl State {
    /// Changes classes or labels as one step of undo; `what` names the thing changed.
    fn change_labels(&mut self, what: &str, step: LabelStep) {
        let back = self.photos.swap_labels(step);
        self.history.close_gesture();
        self.history.record(what, Step::Labels(back));
        self.history.close_gesture();
    }

    /// Labels the photo on view with the class at `place` (0 is the first), or takes its label away.
    pub fn label_selected(&mut self, place: Option<usize>) {
        let Some(entry) = self.selected.and_then(|id| self.photos.get(id)) else { return };
        let label = match place {
            Some(place) if place < KEYED => match self.photos.classes().get(place) {
                Some(class) => Some(class.name.clone()),
                None => return,
            },
            Some(_) => return,
            None => None,
        };
        let (id, advance) = (entry.id, self.look.advance && label.is_some());
        self.label_photo(id, label);
        if advance {
            self.step(1);
        }
    }

    /// Labels one photo.
    pub fn label_photo(&mut self, id: PhotoId, label: Option<Label>) {
        let Some(entry) = self.photos.get(id) else { return };
        if entry.label == label {
            return;
        }
        let what = match &label {
            Some(label) => format!("{}: {label}", entry.name),
            None => format!("{}: no label", entry.name),
        };
        let row = self.photos.row_of(id);
        self.change_labels(&what, LabelStep { classes: None, photos: vec![(id, label)] });
        self.photos.refresh();
        // A photo that no longer fits the filter makes way for the one that takes its row.
        if self.selected == Some(id)
            && self.photos.row_of(id).is_none()
            && let Some(row) = row
        {
            let next = self.photos.shown(row).or_else(|| self.photos.shown(row.saturating_sub(1)));
            if let Some(next) = next.map(|entry| entry.id) {
                self.select(Some(next));
            }
        }
    }

    /// Labels photos on the bench by path, as one step; classes that are new are added. Returns how many labels changed.
    pub fn label_paths(&mut self, what: &str, labels: impl IntoIterator<Item = (PathBuf, Label)>) -> usize {
        let found: Vec<(PhotoId, Label)> =
            labels.into_iter().filter_map(|(path, label)| Some((self.photos.by_path(&path)?, label))).collect();
        self.label_all(what, found)
    }

    fn label_all(&mut self, what: &str, labels: Vec<(PhotoId, Label)>) -> usize {
        let changed: Vec<(PhotoId, Option<Label>)> = labels
            .into_iter()
            .filter(|(id, label)| self.photos.get(*id).is_some_and(|entry| entry.label.as_ref() != Some(label)))
            .map(|(id, label)| (id, Some(label)))
            .collect();
        if changed.is_empty() {
            return 0;
        }
        let mut classes = self.photos.classes().to_vec();
        if classes == super::labels::starters() && self.photos.counts().labelled == 0 {
            // Nobody has chosen these: real names take their place.
            classes.retain(|class| changed.iter().any(|(_, label)| label.as_ref() == Some(&class.name)));
        }
        for label in changed.iter().filter_map(|(_, label)| label.as_ref()) {
            if !classes.iter().any(|class| class.name == *label) {
                classes.push(Class::named(label.clone()));
            }
        }
        // Good parts first: the key 1 is theirs.
        classes.sort_by_key(|class| !class.normal);
        let count = changed.len();
        self.change_labels(what, LabelStep { classes: Some(classes), photos: changed });
        self.photos.refresh();
        count
    }

    /// Labels every photo that has no label with what `class` says of it.
    fn label_rest(&mut self, what: &str, class: impl Fn(&Entry) -> Option<Label>) -> usize {
        let labels = self
            .photos
            .iter()
            .filter(|entry| entry.label.is_none())
            .filter_map(|entry| Some((entry.id, class(entry)?)))
            .collect();
        self.label_all(what, labels)
    }

    /// Labels photos without a label by the folders they lie in.
    pub fn label_by_folder(&mut self) {
        match self.label_rest("Labels from folders", |entry| folder_class(&entry.path)) {
            0 => self.notices.info("Every photo has a label already."),
            count => self.notices.done(format!("Labelled {} by their folders; Ctrl+Z takes it back.", photos(count))),
        }
    }

    /// Labels photos without a label by the decisions: accepted ones with the first good class, rejected ones with the
    /// first other class.
    pub fn label_by_decision(&mut self) {
        let first = |normal: bool| {
            let class = self.photos.classes().iter().find(|class| class.normal == normal);
            class.map_or_else(|| Label::from(if normal { "good" } else { "defect" }), |class| class.name.clone())
        };
        let (good, bad) = (first(true), first(false));
        let class = |entry: &Entry| {
            entry.decision.map(|decision| if decision == Decision::Accepted { good.clone() } else { bad.clone() })
        };
        match self.label_rest("Labels from decisions", class) {
            0 => self.notices.info("No accepted or rejected photo is without a label. Decide with A and X first."),
            count => {
                self.notices.done(format!("Labelled {} by your decisions; Ctrl+Z takes it back.", photos(count)));
            }
        }
    }

    /// Changes the list of classes.
    pub fn edit_classes(&mut self, edit: ClassEdit) {
        let mut classes = self.photos.classes().to_vec();
        let place = |name: &Label| classes.iter().position(|class| class.name == *name);
        let mut relabelled = Vec::new();
        let labelled = |list: &super::photo_list::PhotoList, name: &Label| -> Vec<PhotoId> {
            list.iter().filter(|entry| entry.label.as_ref() == Some(name)).map(|entry| entry.id).collect()
        };
        let what = match edit {
            ClassEdit::Add(name) => {
                let Some(name) = self.usable(&name) else { return };
                classes.push(Class::named(name.clone()));
                format!("Class {name}")
            }
            ClassEdit::Rename { from, to } => {
                if *from == *to.trim() {
                    return;
                }
                let (Some(at), Some(to)) = (place(&from), self.usable(&to)) else { return };
                classes[at].name = to.clone();
                relabelled = labelled(&self.photos, &from).into_iter().map(|id| (id, Some(to.clone()))).collect();
                format!("Class {from} is {to}")
            }
            ClassEdit::Remove(name) => {
                let Some(at) = place(&name) else { return };
                classes.remove(at);
                relabelled = labelled(&self.photos, &name).into_iter().map(|id| (id, None)).collect();
                if !relabelled.is_empty() {
                    let count = photos(relabelled.len());
                    self.notices.info(format!("Removed {name} and its label from {count}; Ctrl+Z takes it back."));
                }
                format!("Remove class {name}")
            }
            ClassEdit::Normal(name, normal) => {
                let Some(at) = place(&name) else { return };
                classes[at].normal = normal;
                format!("Class {name} is {}", if normal { "good" } else { "defective" })
            }
            ClassEdit::Up(name) => {
                let Some(at) = place(&name).filter(|&at| at > 0) else { return };
                classes.swap(at, at - 1);
                "Order of classes".to_owned()
            }
        };
        self.change_labels(&what, LabelStep { classes: Some(classes), photos: relabelled });
        self.photos.refresh();
    }

    /// A name that a class can take, or nothing and a message.
    fn usable(&mut self, name: &str) -> Option<Label> {
        let name = name.trim();
        if name.is_empty() {
            self.notices.warning("A class needs a name.");
            None
        } else if self.photos.classes().iter().any(|class| &*class.name == name) {
            self.notices.warning(format!("There is a class {name} already."));
            None
        } else {
            Some(Label::from(name))
        }
    }

    /// Photos with each label, by name.
    pub fn label_counts(&self) -> HashMap<Label, usize> {
        let mut counts = HashMap::new();
        for label in self.photos.iter().filter_map(|entry| entry.label.clone()) {
            *counts.entry(label).or_default() += 1;
        }
        counts
    }

    /// Every label, for a file.
    pub fn labels(&self) -> Vec<(PathBuf, String)> {
        let labelled =
            self.photos.iter().filter_map(|entry| Some((entry.path.clone(), entry.label.as_ref()?.to_string())));
        labelled.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench() -> State {
        let mut state = State::default();
        state.add_photos(vec!["set/good/a.png".into(), "set/crack/b.png".into(), "set/crack/c.png".into()]);
        state
    }

    fn labels(state: &State) -> Vec<Option<&str>> {
        state.photos.iter().map(|entry| entry.label.as_deref()).collect()
    }

    fn classes(state: &State) -> Vec<&str> {
        state.photos.classes().iter().map(|class| &*class.name).collect()
    }

    #[test]
    fn a_key_labels_one_photo_and_one_step_takes_it_back() {
        let mut state = bench();
        state.select(Some(1));
        state.label_selected(Some(1));
        assert_eq!(labels(&state), [None, Some("defect"), None]);
        state.label_selected(Some(7));
        assert_eq!(labels(&state), [None, Some("defect"), None], "there is no eighth class");
        state.label_selected(None);
        assert_eq!(labels(&state), [None, None, None]);
        state.undo();
        assert_eq!(labels(&state), [None, Some("defect"), None]);
        assert_eq!(state.history.undo_name(), Some("b.png: defect"));
        state.undo();
        state.redo();
        assert_eq!(labels(&state), [None, Some("defect"), None]);
    }

    #[test]
    fn labelling_can_go_on_to_the_next_photo() {
        let mut state = bench();
        state.look.advance = true;
        state.select(state.photos.by_path("set/crack/b.png".as_ref()));
        state.label_selected(Some(1));
        assert_eq!(state.selected, state.photos.by_path("set/crack/c.png".as_ref()));
    }

    #[test]
    fn folders_give_labels_and_classes_in_one_step() {
        let mut state = bench();
        state.label_by_folder();
        assert_eq!(labels(&state), [Some("good"), Some("crack"), Some("crack")]);
        assert_eq!(classes(&state), ["good", "crack"], "the unused starter class is gone");
        assert_eq!(state.label_counts()["crack"], 2);
        state.undo();
        assert_eq!(labels(&state), [None, None, None]);
        assert_eq!(classes(&state), ["good", "defect"]);
    }

    #[test]
    fn decisions_give_labels_only_where_there_is_none() {
        let mut state = bench();
        state.photos.set_decision(0, Some(Decision::Accepted));
        state.photos.set_decision(1, Some(Decision::Rejected));
        state.label_photo(1, Some("good".into()));
        state.label_by_decision();
        assert_eq!(labels(&state), [Some("good"), Some("good"), None]);
    }

    #[test]
    fn classes_are_renamed_removed_and_brought_back_with_their_photos() {
        let mut state = bench();
        state.label_by_folder();
        state.edit_classes(ClassEdit::Rename { from: "crack".into(), to: " split ".into() });
        assert_eq!(labels(&state), [Some("good"), Some("split"), Some("split")]);
        state.edit_classes(ClassEdit::Rename { from: "split".into(), to: "good".into() });
        assert_eq!(classes(&state), ["good", "split"], "a name is there once");
        state.edit_classes(ClassEdit::Remove("split".into()));
        assert_eq!(labels(&state), [Some("good"), None, None]);
        state.undo();
        state.undo();
        assert_eq!(labels(&state), [Some("good"), Some("crack"), Some("crack")]);
        state.edit_classes(ClassEdit::Up("crack".into()));
        state.edit_classes(ClassEdit::Normal("crack".into(), true));
        assert!(state.photos.classes()[0].normal && &*state.photos.classes()[0].name == "crack");
    }
}
