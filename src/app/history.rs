//! Undo and redo of recipe changes. One drag of a slider, or one visit to a text field, is one step, however many values
//! it passed through.

use crate::recipe::Recipe;

/// Steps kept at most.
const DEPTH: usize = 200;

/// Former and undone recipes.
#[derive(Clone, Debug, Default)]
pub struct History {
    past: Vec<(String, Recipe)>,
    future: Vec<(String, Recipe)>,
    /// The gesture that later changes of the same thing still belong to.
    open: Option<String>,
}

impl History {
    /// Remembers `before` unless this change continues the gesture in hand. `what` names the thing changed, for menus.
    pub fn record(&mut self, what: &str, before: &Recipe) {
        if self.open.as_deref() != Some(what) {
            self.past.push((what.to_owned(), before.clone()));
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

    /// Name of the step that [`Self::undo`] would take back.
    pub fn undo_name(&self) -> Option<&str> {
        self.past.last().map(|(what, _)| what.as_str())
    }

    /// Name of the step that [`Self::redo`] would do again.
    pub fn redo_name(&self) -> Option<&str> {
        self.future.last().map(|(what, _)| what.as_str())
    }

    /// Steps back; returns the recipe to go to.
    pub fn undo(&mut self, now: &Recipe) -> Option<Recipe> {
        self.open = None;
        let (what, before) = self.past.pop()?;
        self.future.push((what, now.clone()));
        Some(before)
    }

    /// Steps forward again.
    pub fn redo(&mut self, now: &Recipe) -> Option<Recipe> {
        self.open = None;
        let (what, after) = self.future.pop()?;
        self.past.push((what, now.clone()));
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sigma(sigma_px: f32) -> Recipe {
        Recipe { sigma_px, ..Recipe::default() }
    }

    #[test]
    fn one_drag_is_one_step() {
        let mut history = History::default();
        for before in [1.0, 2.0, 3.0] {
            history.record("Smoothing", &sigma(before));
        }
        history.close_gesture();
        history.record("Smoothing", &sigma(4.0));
        assert_eq!(history.undo(&sigma(5.0)), Some(sigma(4.0)));
        assert_eq!(history.undo(&sigma(4.0)), Some(sigma(1.0)));
        assert_eq!(history.undo(&sigma(1.0)), None);
        assert_eq!(history.redo(&sigma(1.0)), Some(sigma(4.0)));
        assert_eq!(history.redo(&sigma(4.0)), Some(sigma(5.0)));
        assert_eq!(history.redo(&sigma(5.0)), None);
    }

    #[test]
    fn a_new_change_forgets_what_was_undone() {
        let mut history = History::default();
        history.record("Smoothing", &sigma(1.0));
        assert!(history.undo(&sigma(2.0)).is_some());
        history.record("Weight", &sigma(1.0));
        assert_eq!(history.redo_name(), None);
        assert_eq!(history.undo_name(), Some("Weight"));
    }
}
