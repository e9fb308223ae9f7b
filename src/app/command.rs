//! Every action of the inspector once, as data: label, explanation, keys. Menus, palette, key sheet and the keyboard read
//! this one list; `window` applies them.

use std::borrow::Cow;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::session::Page;

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
    /// Label with the class at this place, 0 is the first.
    Label(usize),
    ClearLabel,
    EditClasses,
    LabelByFolder,
    LabelByDecision,
    ImportLabels,
    ExportLabels,
    ToggleAdvance,
    ToggleLabels,
    ReviewMistakes,
    ShowMisses,
    ShowFalseAlarms,
    ClearFocus,
    ExportEvaluation,
    ClassifyByWords,
    LabelsFromClasses,
    EvaluateClassifier,
    TrainClassifier,
    ApplyClassifier,
    SaveClassifier,
    OpenClassifier,
    ExportClassification,
    StopLab,
    ExportMasks,
    ExportCoco,
    StopSegmenting,
    ChooseTrainData,
    ChooseTrainValidation,
    ChooseTrainOut,
    StartTraining,
    StopTraining,
    UseTrained,
    ChooseBenchFolder,
    ChooseBenchOut,
    AddModelFolder,
    AddModelFile,
    RunBenchmark,
    StopBenchmark,
    OpenBenchReport,
    OpenPairTable,
    ChoosePairRoot,
    MatchTable,
    StopMatching,
    ExportMatches,
    ChooseMatchTable,
    ChooseMatchValidation,
    ChooseMatchRoot,
    ChooseMatchOut,
    StartMatchTraining,
    StopMatchTraining,
    UseMatchTrained,
    ExportHistory,
    Page(Page),
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
    Label,
    Measure,
    View,
    Help,
}

impl Menu {
    pub const ALL: [Self; 7] =
        [Self::File, Self::Edit, Self::Photo, Self::Label, Self::Measure, Self::View, Self::Help];

    pub fn label(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Edit => "Edit",
            Self::Photo => "Photo",
            Self::Label => "Label",
            Self::Measure => "Measure",
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

const LABEL_HELP: &str = "Say what the part on view truly is. The verdict stays; the evaluation compares.";

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
            C::ExportMasks,
            M::File,
            "Export masks…",
            "Write masks, probabilities and overlay of the photo on view as PNG into a folder.",
            None,
        ),
        info(
            C::ExportCoco,
            M::File,
            "Export corrected as COCO…",
            "Write the masks of all photos that were corrected by brush into one COCO file, for training.",
            None,
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
        info(C::Label(0), M::Label, "Label as class 1", LABEL_HELP, Some(key(Key::Num1))),
        info(C::Label(1), M::Label, "Label as class 2", LABEL_HELP, Some(key(Key::Num2))),
        info(C::Label(2), M::Label, "Label as class 3", LABEL_HELP, Some(key(Key::Num3))),
        info(C::Label(3), M::Label, "Label as class 4", LABEL_HELP, Some(key(Key::Num4))),
        info(C::Label(4), M::Label, "Label as class 5", LABEL_HELP, Some(key(Key::Num5))),
        info(C::Label(5), M::Label, "Label as class 6", LABEL_HELP, Some(key(Key::Num6))),
        info(C::Label(6), M::Label, "Label as class 7", LABEL_HELP, Some(key(Key::Num7))),
        info(C::Label(7), M::Label, "Label as class 8", LABEL_HELP, Some(key(Key::Num8))),
        info(C::Label(8), M::Label, "Label as class 9", LABEL_HELP, Some(key(Key::Num9))),
        info(C::ClearLabel, M::Label, "No label", "Take the label of the photo on view away.", Some(key(Key::Num0))),
        info(
            C::ToggleAdvance,
            M::Label,
            "Go on after labelling",
            "Show the next photo when a label is set by key.",
            None,
        ),
        info(
            C::EditClasses,
            M::Label,
            "Edit classes…",
            "Add, rename, order and remove classes, and say which are good.",
            Some(key(Key::K)),
        ),
        info(
            C::LabelByFolder,
            M::Label,
            "Labels from folders",
            "Label photos without a label by the folder they lie in.",
            None,
        ),
        info(
            C::LabelByDecision,
            M::Label,
            "Labels from decisions",
            "Label photos without a label: accepted ones as good, rejected ones as defective.",
            None,
        ),
        info(
            C::ImportLabels,
            M::Label,
            "Import labels…",
            "Read labels from a CSV file with the columns path and label, or from a COCO file.",
            None,
        ),
        info(
            C::ExportLabels,
            M::Label,
            "Export labels…",
            "Write all labels into a CSV file with the columns path and label.",
            None,
        ),
        info(
            C::ReviewMistakes,
            M::Measure,
            "Review mistakes",
            "Show misses and false alarms only, the worst first.",
            Some(key(Key::M)),
        ),
        info(C::ShowMisses, M::Measure, "Show misses", "Show only defective parts judged OK.", None),
        info(C::ShowFalseAlarms, M::Measure, "Show false alarms", "Show only good parts judged NG.", None),
        info(
            C::ClearFocus,
            M::Measure,
            "Show all photos again",
            "Leave the closer look at some of the photos.",
            Some(key(Key::Backspace)),
        ),
        info(
            C::ExportEvaluation,
            M::Measure,
            "Export the evaluation…",
            "Write confusion matrix and figures as picture, tables and report into a folder.",
            None,
        ),
        info(
            C::ClassifyByWords,
            M::Measure,
            "Classify by words",
            "Ask the model which label's words fit each photo best.",
            None,
        ),
        info(
            C::LabelsFromClasses,
            M::Measure,
            "Labels from the classes",
            "Describe every class of the bench by its name; edit the words from there.",
            None,
        ),
        info(
            C::EvaluateClassifier,
            M::Measure,
            "Cross-validate",
            "Learn from the labelled photos and test each by a classifier that never saw it.",
            None,
        ),
        info(C::TrainClassifier, M::Measure, "Train a classifier", "Learn from all labelled photos.", None),
        info(
            C::ApplyClassifier,
            M::Measure,
            "Apply to all photos",
            "Classify every photo on the bench with the classifier.",
            None,
        ),
        info(
            C::SaveClassifier,
            M::Measure,
            "Save classifier…",
            "Keep the classifier in a file, for other batches and the command line.",
            None,
        ),
        info(C::OpenClassifier, M::Measure, "Open classifier…", "Use a classifier that was saved.", None),
        info(
            C::ExportClassification,
            M::Measure,
            "Export the classification…",
            "Write predictions, confusion matrix, figures and report into a folder.",
            None,
        ),
        info(C::StopLab, M::Measure, "Stop classifying", "Stop after the photos in hand.", None),
        info(C::StopSegmenting, M::Measure, "Stop segmenting", "Stop after the tile or photo in hand.", None),
        info(
            C::ChooseTrainData,
            M::Measure,
            "Choose photos to learn from…",
            "A folder with images and masks, or one class in the MVTec-AD layout.",
            None,
        ),
        info(
            C::ChooseTrainValidation,
            M::Measure,
            "Choose photos to judge on…",
            "A folder of the same layout that is never learned from.",
            None,
        ),
        info(
            C::ChooseTrainOut,
            M::Measure,
            "Choose where to keep the training…",
            "Checkpoints, curves and the best model are written there.",
            None,
        ),
        info(
            C::StartTraining,
            M::Measure,
            "Start training",
            "Teach the network from the photos with masks; a run that was stopped goes on where it was.",
            None,
        ),
        info(
            C::StopTraining,
            M::Measure,
            "Stop training",
            "Stop at once; the last whole epoch is kept and the same run goes on from there.",
            None,
        ),
        info(
            C::UseTrained,
            M::Measure,
            "Use the trained network",
            "Segment with the best epoch so far, by the words and the threshold it was best with.",
            None,
        ),
        info(
            C::ChooseBenchFolder,
            M::Measure,
            "Choose benchmark folder…",
            "Measure on one class in the MVTec-AD layout, or on a folder of classes.",
            None,
        ),
        info(
            C::ChooseBenchOut,
            M::Measure,
            "Choose results folder…",
            "Write tables, scores and curves of the benchmark there.",
            None,
        ),
        info(
            C::AddModelFolder,
            M::Measure,
            "Add model folder…",
            "Offer a network in the Hugging Face layout among the models.",
            None,
        ),
        info(
            C::AddModelFile,
            M::Measure,
            "Add model file…",
            "Offer a network kept in one safetensors file, as timm's, among the models.",
            None,
        ),
        info(
            C::RunBenchmark,
            M::Measure,
            "Run benchmark",
            "Measure every method, model and number of references; a stopped run goes on where it was.",
            None,
        ),
        info(
            C::StopBenchmark,
            M::Measure,
            "Stop benchmark",
            "Stop after the photos in hand; finished classes are kept.",
            None,
        ),
        info(
            C::OpenBenchReport,
            M::Measure,
            "Open the page",
            "Show tables, curves and worst photos of the benchmark in the browser.",
            None,
        ),
        info(
            C::OpenPairTable,
            M::Measure,
            "Open a table of descriptions…",
            "Read a CSV file with the columns image_path, text and, where known, label (match or mismatch).",
            None,
        ),
        info(
            C::ChoosePairRoot,
            M::Measure,
            "Folder of the table's photos…",
            "Where relative paths of the table start; without one they start beside the table.",
            None,
        ),
        info(
            C::MatchTable,
            M::Measure,
            "Match the table",
            "Hold every description against its photo; a stopped run goes on where it was.",
            None,
        ),
        info(C::StopMatching, M::Measure, "Stop matching", "Stop after the rows in hand; they are kept.", None),
        info(
            C::ExportMatches,
            M::Measure,
            "Export the matches…",
            "Write rows, figures and histogram at this threshold, as CSV or JSON.",
            None,
        ),
        info(
            C::ChooseMatchTable,
            M::Measure,
            "Choose descriptions to learn from…",
            "A CSV file with the columns image_path, text and, for texts that do not fit, label (match or mismatch).",
            None,
        ),
        info(
            C::ChooseMatchValidation,
            M::Measure,
            "Choose descriptions to judge on…",
            "A table of the same columns with other photos; nothing is learned from it.",
            None,
        ),
        info(
            C::ChooseMatchRoot,
            M::Measure,
            "Folder of the photos to learn from…",
            "Where relative paths of both tables start; without one they start beside each table.",
            None,
        ),
        info(
            C::ChooseMatchOut,
            M::Measure,
            "Choose where to keep the training on descriptions…",
            "Checkpoints, curves and the best model are written there.",
            None,
        ),
        info(
            C::StartMatchTraining,
            M::Measure,
            "Train on descriptions",
            "Teach a model which text belongs to which photo; a run that was stopped goes on where it was.",
            None,
        ),
        info(
            C::StopMatchTraining,
            M::Measure,
            "Stop training on descriptions",
            "Stop after the step in hand; it is kept, and the same training goes on from there.",
            None,
        ),
        info(
            C::UseMatchTrained,
            M::Measure,
            "Use the trained model",
            "Hold descriptions against photos with the best epoch so far.",
            None,
        ),
        info(
            C::ExportHistory,
            M::Measure,
            "Export the history…",
            "Write all kept verdicts with their corrections as CSV, JSON or Parquet.",
            None,
        ),
        info(
            C::Page(Page::Inspect),
            M::View,
            "Inspect",
            "Photos one by one, with overlay, regions and recipe.",
            Some(key(Key::F5)),
        ),
        info(
            C::Page(Page::Evaluate),
            M::View,
            "Evaluate",
            "Confusion matrix and figures: verdicts and predictions against labels.",
            Some(key(Key::F6)),
        ),
        info(
            C::Page(Page::Classify),
            M::View,
            "Classify",
            "Name defects by words, or by a classifier from labelled photos.",
            Some(key(Key::F7)),
        ),
        info(
            C::Page(Page::Segment),
            M::View,
            "Segment",
            "Outline what words name, correct it by brush, and train the network that does it.",
            Some(key(Key::F10)),
        ),
        info(
            C::Page(Page::Benchmark),
            M::View,
            "Benchmark",
            "Measure methods and models on a labelled folder.",
            Some(key(Key::F8)),
        ),
        info(
            C::Page(Page::Description),
            M::View,
            "Description",
            "Does the photo show what the work order says? One photo claim by claim, a table, or training on your own.",
            Some(key(Key::F12)),
        ),
        info(C::Page(Page::History), M::View, "History", "Verdicts that were kept, with their corrections.", None),
        info(C::Fit, M::View, "Fit", "Show the whole photo.", Some(key(Key::F))),
        info(C::ActualSize, M::View, "100 %", "One photo pixel on one screen pixel.", Some(key(Key::Z))),
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
        info(
            C::ToggleLabels,
            M::View,
            "Label bar",
            "Show or hide the row of classes below the photo.",
            Some(key(Key::F9)),
        ),
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

/// Commands that contain all letters of `query` in order, best first. `name` is what a command is called now.
pub fn search<'a>(query: &str, name: impl Fn(&'static Info) -> Cow<'a, str>) -> Vec<&'static Info> {
    let query: Vec<char> = query.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    let mut found: Vec<(usize, usize, &'static Info)> = COMMANDS
        .iter()
        .enumerate()
        .filter(|(_, info)| info.command != Command::Palette)
        .filter_map(|(order, info)| {
            let label = name(info).to_lowercase();
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
        let found = |query: &str| search(query, |info| info.label.into());
        let first = |query: &str| found(query).first().map(|info| info.command);
        assert_eq!(first("undo"), Some(Command::Undo));
        assert_eq!(first("expall"), Some(Command::ExportAll));
        assert_eq!(first("compare"), Some(Command::ToggleCompare));
        assert!(found("zzz").is_empty());
        assert_eq!(found("").len(), COMMANDS.len() - 1);
        let renamed =
            search("crack", |info| if info.command == Command::Label(1) { "Label as crack" } else { "x" }.into());
        assert_eq!(renamed.first().map(|info| info.command), Some(Command::Label(1)));
    }
}
