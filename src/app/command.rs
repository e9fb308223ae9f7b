//! Every action of the inspector once, as data: label, explanation, keys. Menus, palette, key sheet and the keyboard read
//! this one list; `window` applies them.

use egui::{Key, KeyboardShortcut, Modifiers};

/// An action without further input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    OpenFiles,
    OpenFolder,
    OpenSamples,
    AddReferences,
    AddReferenceFolder,
    UseAsReference,
    OpenRecipe,
    SaveRecipe,
    ExportPhoto,
    ExportAll,
    NewSession,
    Quit,
    Undo,
    Redo,
    CopyReport,
    RemovePhoto,
    Cancel,
    NextPhoto,
    PreviousPhoto,
    FirstPhoto,
    LastPhoto,
    Accept,
    Reject,
    Undecide,
    LowerThreshold,
    RaiseThreshold,
    CalibrateThreshold,
    Fit,
    ActualSize,
    ZoomIn,
    ZoomOut,
    ToggleOverlay,
    ToggleBoxes,
    ToggleContour,
    ToggleCompare,
    ToggleGrid,
    ToggleFilm,
    ToggleInspector,
    ToggleHistogram,
    CycleTheme,
    FullScreen,
    Palette,
    Keys,
    Messages,
}

/// The menu that a command stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    File,
    Edit,
    Photo,
    View,
    Help,
}

impl Menu {
    pub const ALL: [Self; 5] = [Self::File, Self::Edit, Self::Photo, Self::View, Self::Help];

    pub fn label(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Edit => "Edit",
            Self::Photo => "Photo",
            Self::View => "View",
            Self::Help => "Help",
        }
    }
}

/// What people are told of a command.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    pub command: Command,
    pub menu: Menu,
    /// As in the menus; `…` where it asks for more.
    pub label: &'static str,
    /// One sentence for tooltip and palette.
    pub help: &'static str,
    pub shortcut: Option<KeyboardShortcut>,
}

const fn key(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn ctrl(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

const fn ctrl_shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}

const fn info(
    command: Command,
    menu: Menu,
    label: &'static str,
    help: &'static str,
    shortcut: Option<KeyboardShortcut>,
) -> Info {
    Info { command, menu, label, help, shortcut }
}

/// Every command, in the order of the menus.
pub const COMMANDS: &[Info] = {
    use Command as C;
    use Menu as M;
    &[
        info(C::OpenFiles, M::File, "Open photos…", "Put photos on the bench.", Some(ctrl(Key::O))),
        info(
            C::OpenFolder,
            M::File,
            "Open folder…",
            "Put all photos of a folder and its sub-folders on the bench.",
            Some(ctrl_shift(Key::O)),
        ),
        info(
            C::OpenSamples,
            M::File,
            "Open the samples",
            "Put the bundled sample parts on the bench, with references.",
            None,
        ),
        info(
            C::AddReferences,
            M::File,
            "Add reference photos…",
            "Add photos of normal parts; patches unlike all of theirs score higher.",
            Some(ctrl(Key::R)),
        ),
        info(
            C::AddReferenceFolder,
            M::File,
            "Add reference folder…",
            "Add all photos of a folder as references.",
            Some(ctrl_shift(Key::R)),
        ),
        info(
            C::OpenRecipe,
            M::File,
            "Open recipe…",
            "Judge with the words, weights and thresholds of a recipe file.",
            None,
        ),
        info(
            C::SaveRecipe,
            M::File,
            "Save recipe…",
            "Keep words, weights, references and thresholds in a file for other batches and the command line.",
            Some(ctrl(Key::S)),
        ),
        info(
            C::ExportPhoto,
            M::File,
            "Export this photo…",
            "Write heatmap, boxes, mask and report of the photo on view into a folder.",
            Some(ctrl(Key::E)),
        ),
        info(
            C::ExportAll,
            M::File,
            "Export all…",
            "Write pictures and reports of all inspected photos, and the tables of the run.",
            Some(ctrl_shift(Key::E)),
        ),
        info(
            C::NewSession,
            M::File,
            "Clear the bench",
            "Take all photos off the bench; recipe and files stay.",
            Some(ctrl(Key::N)),
        ),
        info(C::Quit, M::File, "Quit", "Close the window; the session is kept.", Some(ctrl(Key::Q))),
        info(C::Undo, M::Edit, "Undo", "Take back the last change of the recipe.", Some(ctrl(Key::Z))),
        info(C::Redo, M::Edit, "Redo", "Do again what was taken back.", Some(ctrl_shift(Key::Z))),
        info(
            C::CopyReport,
            M::Edit,
            "Copy report",
            "Copy the report of the photo on view as text.",
            Some(ctrl_shift(Key::C)),
        ),
        info(C::LowerThreshold, M::Edit, "Lower threshold", "More parts become NG.", Some(key(Key::OpenBracket))),
        info(C::RaiseThreshold, M::Edit, "Raise threshold", "Fewer parts become NG.", Some(key(Key::CloseBracket))),
        info(
            C::CalibrateThreshold,
            M::Edit,
            "Calibrate thresholds",
            "Take the thresholds from the references again.",
            None,
        ),
        info(
            C::PreviousPhoto,
            M::Photo,
            "Previous photo",
            "Show the photo before this one.",
            Some(key(Key::ArrowLeft)),
        ),
        info(C::NextPhoto, M::Photo, "Next photo", "Show the photo after this one.", Some(key(Key::ArrowRight))),
        info(C::FirstPhoto, M::Photo, "First photo", "Show the first photo of the list.", Some(key(Key::Home))),
        info(C::LastPhoto, M::Photo, "Last photo", "Show the last photo of the list.", Some(key(Key::End))),
        info(
            C::Accept,
            M::Photo,
            "Accept",
            "Your own decision: the part is good. The verdict stays as it is.",
            Some(key(Key::A)),
        ),
        info(
            C::Reject,
            M::Photo,
            "Reject",
            "Your own decision: the part is bad. The verdict stays as it is.",
            Some(key(Key::X)),
        ),
        info(C::Undecide, M::Photo, "Undecided", "Take your decision back.", Some(key(Key::U))),
        info(
            C::UseAsReference,
            M::Photo,
            "Use as reference",
            "This part is fine: add its photo to the references.",
            Some(key(Key::R)),
        ),
        info(
            C::RemovePhoto,
            M::Photo,
            "Take off the bench",
            "Take this photo off the bench; the file stays.",
            Some(key(Key::Delete)),
        ),
        info(C::Cancel, M::Photo, "Stop inspecting", "Stop after the photo in hand; what is done stays.", None),
        info(C::Fit, M::View, "Fit", "Show the whole photo.", Some(key(Key::Num0))),
        info(C::ActualSize, M::View, "100 %", "One photo pixel on one screen pixel.", Some(key(Key::Num1))),
        info(
            C::ZoomIn,
            M::View,
            "Zoom in",
            "Show the photo larger. The mouse wheel zooms to the cursor.",
            Some(key(Key::Plus)),
        ),
        info(C::ZoomOut, M::View, "Zoom out", "Show the photo smaller.", Some(key(Key::Minus))),
        info(
            C::ToggleOverlay,
            M::View,
            "Overlay",
            "Show the anomaly map over the photo. Hold Shift to hide it for a moment.",
            Some(key(Key::O)),
        ),
        info(
            C::ToggleContour,
            M::View,
            "Contour",
            "Show the line where the pixel score crosses the threshold.",
            Some(key(Key::L)),
        ),
        info(C::ToggleBoxes, M::View, "Boxes", "Show the boxes of the regions.", Some(key(Key::B))),
        info(
            C::ToggleCompare,
            M::View,
            "Compare",
            "Photo left and overlay right of a line that can be dragged.",
            Some(key(Key::C)),
        ),
        info(C::ToggleGrid, M::View, "Grid", "Thumbnails in place of the photo.", Some(key(Key::G))),
        info(C::ToggleFilm, M::View, "Film strip", "Show or hide the list of photos.", Some(key(Key::F2))),
        info(
            C::ToggleInspector,
            M::View,
            "Side panel",
            "Show or hide recipe, findings and report.",
            Some(key(Key::F3)),
        ),
        info(C::ToggleHistogram, M::View, "Histogram", "Show or hide the scores of all photos.", Some(key(Key::F4))),
        info(C::CycleTheme, M::View, "Dark, light, system", "Change the colours of the window.", None),
        info(C::FullScreen, M::View, "Full screen", "Use the whole screen, or not.", Some(key(Key::F11))),
        info(C::Palette, M::Help, "Command palette…", "Find any command by its name.", Some(ctrl_shift(Key::P))),
        info(C::Keys, M::Help, "Keys", "Show all keys.", Some(key(Key::Questionmark))),
        info(C::Messages, M::Help, "Messages", "Show everything the window had to say.", None),
    ]
};

impl Command {
    /// What people are told of it.
    pub fn info(self) -> &'static Info {
        // The test below proves that every command is in the list.
        COMMANDS.iter().find(|info| info.command == self).unwrap_or(&COMMANDS[0])
    }
}

/// A shortcut as people read it: signs where the keyboard has signs.
pub fn shortcut_text(ctx: &egui::Context, shortcut: &KeyboardShortcut) -> String {
    let named = ctx.format_shortcut(shortcut);
    [("OpenBracket", "["), ("CloseBracket", "]"), ("Questionmark", "?"), ("Plus", "+"), ("Minus", "−")]
        .into_iter()
        .fold(named, |text, (name, sign)| text.replace(name, sign))
}

/// Keys that are held or belong to the mouse, for the key sheet.
pub const HELD_KEYS: &[(&str, &str)] = &[
    ("Shift (hold)", "Hide overlay and boxes"),
    ("Space + drag", "Pan"),
    ("Wheel", "Zoom to the cursor"),
    ("Double click", "Fit, or 100 % there"),
    ("Click", "Why is this place scored so?"),
    ("Double click on a name", "Reset a value"),
    ("Esc", "Close the innermost thing"),
    ("Enter", "Open the photo from the grid"),
];

/// Commands that contain all letters of `query` in order, best first.
pub fn search(query: &str) -> Vec<&'static Info> {
    let query: Vec<char> = query.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    let mut found: Vec<(usize, usize, &'static Info)> = COMMANDS
        .iter()
        .enumerate()
        .filter(|(_, info)| info.command != Command::Palette)
        .filter_map(|(order, info)| {
            let label = info.label.to_lowercase();
            let help = info.help.to_lowercase();
            let cost = subsequence_cost(&label, &query).or_else(|| {
                let plain: String = query.iter().collect();
                (query.len() > 2 && help.replace(' ', "").contains(&plain)).then_some(1000)
            })?;
            Some((cost, order, info))
        })
        .collect();
    found.sort_by_key(|&(cost, order, _)| (cost, order));
    found.into_iter().map(|(.., info)| info).collect()
}

/// How far the letters of `query` are spread over `label`; `None` if one is missing.
fn subsequence_cost(label: &str, query: &[char]) -> Option<usize> {
    let letters: Vec<char> = label.chars().filter(|c| !c.is_whitespace()).collect();
    let mut cost = 0;
    let mut from = 0;
    for (n, wanted) in query.iter().enumerate() {
        let at = letters[from..].iter().position(|c| c == wanted)?;
        cost += if n == 0 { at } else { at * 4 };
        from += at + 1;
    }
    Some(cost)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn labels_and_keys_are_unique() {
        let labels: HashSet<_> = COMMANDS.iter().map(|info| info.label).collect();
        assert_eq!(labels.len(), COMMANDS.len());
        let keys: Vec<_> = COMMANDS.iter().filter_map(|info| info.shortcut).collect();
        let distinct: HashSet<_> = keys.iter().map(|k| format!("{k:?}")).collect();
        assert_eq!(distinct.len(), keys.len());
        let commands: HashSet<_> = COMMANDS.iter().map(|info| info.command).collect();
        assert_eq!(commands.len(), COMMANDS.len());
    }

    #[test]
    fn every_command_says_what_it_does() {
        for info in COMMANDS {
            assert!(info.help.ends_with('.') && info.help.len() > 8, "{}", info.label);
            assert_eq!(info.command.info().label, info.label);
        }
    }

    #[test]
    fn the_palette_finds_by_letters_in_order() {
        let first = |query: &str| search(query).first().map(|info| info.command);
        assert_eq!(first("undo"), Some(Command::Undo));
        assert_eq!(first("expall"), Some(Command::ExportAll));
        assert_eq!(first("compare"), Some(Command::ToggleCompare));
        assert!(search("zzz").is_empty());
        assert_eq!(search("").len(), COMMANDS.len() - 1);
    }
}
