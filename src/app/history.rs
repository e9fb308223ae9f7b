//! Undo and redo. One drag of a slider, or one visit to a text field, is one step, however many values it passed through.
//! What a step holds is the caller's business: something that, carried out, gives the step back the other way.

/// Steps kept at most.
const DEPTH: usize = 200;

/// Steps back and steps forward, each with the name of the thing changed.
#[derive(Clone, Debug)]
pub struct History<T> {
    past: Vec<(String, T)>,
    future: Vec<(String, T)>,
    /// The gesture that later changes of the same thing still belong to.
    open: Option<String>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self { past: Vec::new(), future: Vec::new(), open: None }
    }
}

impl<T> History<T> {
    /// Remembers the step back unless this change continues the gesture in hand. `what` names the thing changed, for
    /// menus.
    pub fn record(&mut self, what: &str, back: T) {
        if self.open.as_deref() != Some(what) {
            self.past.push((what.to_owned(), back));
            if self.past.len() > DEPTH {
                self.past.remove(0);
            }
            self.open = Some(what.to_owned());
        }
        self.future.clear();
    }

    /// The mouse button was released or the text field left: the next change is a step of its own.
    pub fn close_gesture(&mut self) {
        self.open = None;
    }

    /// Name of the step that an undo would take back.
    pub fn undo_name(&self) -> Option<&str> {
        self.past.last().map(|(what, _)| what.as_str())
    }

    /// Name of the step that a redo would do again.
    pub fn redo_name(&self) -> Option<&str> {
        self.future.last().map(|(what, _)| what.as_str())
    }

    /// The step to carry out for an undo; hand its way back to [`Self::undone`].
    pub fn take_past(&mut self) -> Option<(String, T)> {
        self.open = None;
        self.past.pop()
    }

    pub fn undone(&mut self, what: String, forward: T) {
        self.future.push((what, forward));
    }

    /// The step to carry out for a redo; hand its way back to [`Self::redone`].
    pub fn take_future(&mut self) -> Option<(String, T)> {
        self.open = None;
        self.future.pop()
    }

    pub fn redone(&mut self, what: String, back: T) {
        self.past.push((what, back));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value with a history of former values.
    struct Kept {
        now: u32,
        history: History<u32>,
    }

    impl Kept {
        fn set(&mut self, what: &str, value: u32) {
            self.history.record(what, self.now);
            self.now = value;
        }

        fn undo(&mut self) -> Option<u32> {
            let (what, before) = self.history.take_past()?;
            self.history.undone(what, std::mem::replace(&mut self.now, before));
            Some(self.now)
        }

        fn redo(&mut self) -> Option<u32> {
            let (what, after) = self.history.take_future()?;
            self.history.redone(what, std::mem::replace(&mut self.now, after));
            Some(self.now)
        }
    }

    #[test]
    fn one_drag_is_one_step() {
        let mut kept = Kept { now: 1, history: History::default() };
        for value in [2, 3, 4] {
            kept.set("Smoothing", value);
        }
        kept.history.close_gesture();
        kept.set("Smoothing", 5);
        assert_eq!([kept.undo(), kept.undo(), kept.undo()], [Some(4), Some(1), None]);
        assert_eq!([kept.redo(), kept.redo(), kept.redo()], [Some(4), Some(5), None]);
    }

    #[test]
    fn a_new_change_forgets_what_was_undone() {
        let mut kept = Kept { now: 1, history: History::default() };
        kept.set("Smoothing", 2);
        assert!(kept.undo().is_some());
        kept.set("Weight", 3);
        assert_eq!(kept.history.redo_name(), None);
        assert_eq!(kept.history.undo_name(), Some("Weight"));
    }
}
