//! The path of a file, to be typed where no dialog is at hand.

use std::path::{Path, PathBuf};

use egui::{TextEdit, Ui, vec2};

/// Widest that a path is shown, in points.
const WIDEST: f32 = 560.0;

/// Shows `now`; gives another path that was typed, once the field is left. `name` is its name for those who do not see it.
pub fn path_field(ui: &mut Ui, name: &str, hint: &str, now: Option<&Path>) -> Option<PathBuf> {
    let id = ui.scope_id().with(name);
    let shown = now.map_or_else(String::new, |path| path.display().to_string());
    let mut text = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_else(|| shown.clone());
    let before = text.clone();
    let width = (ui.available_width() - 16.0).clamp(60.0, WIDEST);
    let field = TextEdit::singleline(&mut text).hint_text(hint).desired_width(width);
    let response = ui.add(field.margin(vec2(6.0, 4.0))).accessible_name(name);
    if response.lost_focus() {
        ui.data_mut(|data| data.remove::<String>(id));
        let path = text.trim();
        return (!path.is_empty() && path != shown).then(|| path.into());
    }
    if text != before {
        ui.data_mut(|data| data.insert_temp(id, text));
    }
    None
}
