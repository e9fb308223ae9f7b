//! Carries out what panels wish and keys ask for: every action and every command of the window ends here.

use egui::Rect;

use super::{THRESHOLD_STEP, Window};
use crate::app::action::Action;
use crate::app::background::{FolderUse, Purpose, Question, TableUse};
use crate::app::command::Command;
use crate::app::photo_list::{Decision, Focus, Rule};
use crate::app::session::Page;
use crate::app::state::Sheet;
use crate::app::theme::ThemeChoice;
use crate::app::viewport;

impl Window {
    pub(super) fn carry_out(&mut self, ctx: &egui::Context, action: Action) {
        let state = &mut self.state;
        match action {
            Action::Run(command) => self.run(ctx, command),
            Action::Edit { what, change } => state.edit(&what, change),
            Action::Look(change) => change(&mut state.look),
            Action::Select(id) => {
                state.select(Some(id));
                state.scroll_to_selected = false;
                if !state.look.page.shows_photo() {
                    state.look.page = Page::Inspect;
                }
            }
            Action::Sort(sort) => state.photos.set_sort(sort),
            Action::Filter(filter) => state.photos.set_filter(filter),
            Action::Search(search) => state.photos.set_search(search),
            Action::Focus(Some(focus)) => {
                state.look.film = true;
                state.focus(focus);
            }
            Action::Focus(None) => state.photos.set_focus(None),
            Action::Label(id, label) => state.label_photo(id, label),
            Action::Classes(edit) => state.edit_classes(edit),
            Action::EditClassify { what, change } => state.edit_classify(&what, change),
            Action::ClassifyBy(by) => state.classifying.by = by,
            Action::PinClassification(pinned) => state.classifying.pinned = pinned,
            Action::EditDescription { what, change } => state.edit_description(&what, change),
            Action::Describe(change) => change(&mut state.describing),
            Action::History(wish) => self.wish_of_history(wish),
            Action::OpenPair(place) => self.open_pair(place),
            Action::OpenPairTable(path) => self.open_pair_table(path),
            Action::LearnFrom(table) => self.choose_match_table(table),
            Action::JudgeOn(table) => self.choose_match_validation(table),
            Action::PairsFrom(root) => self.pairs_from(root),
            Action::TrainOn(folder) => self.choose_training_data(folder),
            Action::BenchOn(folder) => self.choose_bench_folder(folder),
            Action::Segment(wish) => self.carry_out_segment(wish),
            Action::SetUpTraining(change) => change(&mut state.training.setup),
            Action::SetUpMatchTraining(change) => change(&mut state.match_training.setup),
            Action::SetUpBench(change) => change(&mut state.bench_setup),
            Action::OpenWorst(class) => self.open_worst(&class),
            Action::Ask(place) => state.ask(place),
            Action::Cursor(cursor) => state.cursor = cursor,
            Action::ShowRegion(index) => {
                let region = state.view.as_ref().and_then(|view| view.inspection.regions.get(index));
                if let Some(region) = region {
                    let min = egui::pos2(region.x as f32, region.y as f32);
                    let target = Rect::from_min_size(min, viewport::size(region.width, region.height));
                    state.viewport.show(state.canvas, target);
                    state.look.grid = false;
                }
            }
            Action::PointAt(region) => state.region = region,
            Action::Viewport(viewport) => state.viewport = viewport,
            Action::Settle(viewport) => {
                if state.viewport.fit == viewport.fit {
                    state.viewport = viewport;
                }
            }
            Action::InspectWaiting => state.inspect_waiting(),
            Action::Sheet(sheet) => state.sheet = sheet,
            Action::DismissNotice(place) => state.notices.dismiss(place),
            Action::ClearNotices => state.notices.clear(),
            Action::StopExport => self.background.stop_export(),
        }
    }

    fn run(&mut self, ctx: &egui::Context, command: Command) {
        if !self.state.allows(command) {
            return;
        }
        let state = &mut self.state;
        let look = &mut state.look;
        match command {
            Command::OpenFiles => self.background.ask(Question::Files(Purpose::Photos)),
            Command::OpenFolder => self.background.ask(Question::Folder(Purpose::Photos)),
            Command::OpenSamples => self.background.open_samples(),
            Command::AddReferences => self.background.ask(Question::Files(Purpose::References)),
            Command::AddReferenceFolder => self.background.ask(Question::Folder(Purpose::References)),
            Command::OpenRecipe => self.background.ask(Question::OpenRecipe),
            Command::SaveRecipe => match state.recipe.check().and_then(|()| state.recipe.to_ron()) {
                Ok(text) => self.background.ask(Question::SaveRecipe(text)),
                Err(error) => state.report_error(&error),
            },
            Command::ExportPhoto | Command::ExportAll => {
                self.export_one = command == Command::ExportPhoto;
                self.background.ask(Question::ExportFolder);
            }
            Command::ImportLabels => self.background.ask(Question::OpenLabels),
            Command::ExportLabels => self.background.ask(Question::SaveLabels(state.labels())),
            Command::ExportEvaluation => {
                if let Some(files) = self.evaluation_files() {
                    self.background.ask(Question::SaveEvaluation(Box::new(files)));
                }
            }
            Command::NewSession => state.clear_photos(),
            Command::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            Command::Undo => state.undo(),
            Command::Redo => state.redo(),
            Command::CopyReport => {
                ctx.copy_text(state.report.clone());
                state.notices.done("The report is on the clipboard.");
            }
            Command::RemovePhoto => {
                if let Some(id) = state.selected {
                    state.remove_photo(id);
                }
            }
            Command::Cancel => state.stop_job(),
            Command::NextPhoto => state.step(1),
            Command::PreviousPhoto => state.step(-1),
            Command::FirstPhoto => state.step(isize::MIN),
            Command::LastPhoto => state.step(isize::MAX),
            Command::Accept => state.decide(Some(Decision::Accepted)),
            Command::Reject => state.decide(Some(Decision::Rejected)),
            Command::Undecide => state.decide(None),
            Command::Label(place) => state.label_selected(Some(place)),
            Command::ClearLabel => state.label_selected(None),
            Command::EditClasses => state.sheet = Sheet::Classes { new: String::new() },
            Command::LabelByFolder => state.label_by_folder(),
            Command::LabelByDecision => state.label_by_decision(),
            Command::ToggleAdvance => look.advance = !look.advance,
            Command::ToggleLabels => look.labels = !look.labels,
            Command::ReviewMistakes => state.review_mistakes(),
            Command::ShowMisses => state.focus(Focus { title: "misses".to_owned(), rule: Rule::Misses }),
            Command::ShowFalseAlarms => {
                state.focus(Focus { title: "false alarms".to_owned(), rule: Rule::FalseAlarms });
            }
            Command::ClearFocus => state.photos.set_focus(None),
            Command::Page(page) => look.page = page,
            Command::LabelsFromClasses => state.labels_from_classes(),
            Command::ClassifyByWords => self.classify_by_words(),
            Command::EvaluateClassifier | Command::TrainClassifier | Command::ApplyClassifier => self.learn(command),
            Command::SaveClassifier => {
                if let Some(kept) = &state.classifying.classifier {
                    self.background.ask(Question::SaveClassifier(kept.classifier.clone()));
                }
            }
            Command::OpenClassifier => self.background.ask(Question::OpenClassifier),
            Command::ExportClassification => {
                self.follow_labels();
                if let Some(predicted) = self.state.classifying.shown() {
                    self.background.ask(Question::SaveClassification(Box::new(predicted.run())));
                }
            }
            Command::StopLab => state.stop_lab(),
            Command::ExportMasks => self.background.ask(Question::FolderFor(FolderUse::Masks)),
            Command::ExportCoco => self.background.ask(Question::FolderFor(FolderUse::Coco)),
            Command::StopSegmenting => state.stop_segmenting(),
            Command::ChooseTrainData => self.background.ask(Question::FolderFor(FolderUse::TrainData)),
            Command::ChooseTrainValidation => self.background.ask(Question::FolderFor(FolderUse::TrainValidation)),
            Command::ChooseTrainOut => self.background.ask(Question::FolderFor(FolderUse::TrainOut)),
            Command::StartTraining => self.start_training(),
            Command::StopTraining => state.training.stop(),
            Command::UseTrained => self.use_trained(),
            Command::ChooseBenchFolder => self.background.ask(Question::BenchFolder),
            Command::ChooseBenchOut => self.background.ask(Question::BenchOut),
            Command::AddModelFolder => self.background.ask(Question::ModelFolder),
            Command::AddModelFile => self.background.ask(Question::ModelFile),
            Command::RunBenchmark => self.run_benchmark(),
            Command::StopBenchmark => {
                if let Some(bench) = &state.bench {
                    bench.stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Command::OpenBenchReport => {
                if let Some(bench) = &state.bench {
                    let page = bench.out.join("report.html");
                    ctx.open_url(egui::OpenUrl::new_tab(format!("file://{}", page.display())));
                }
            }
            Command::OpenPairTable => self.background.ask(Question::PairTable(state.describing.setup.root.clone())),
            Command::ChoosePairRoot => {
                if let Some(table) = state.describing.setup.table.clone() {
                    self.background.ask(Question::PairRoot(table));
                }
            }
            Command::MatchTable => self.match_table(),
            Command::StopMatching => state.stop_describing(),
            Command::ExportMatches => {
                if let Some(matched) = state.describing.matched.clone() {
                    self.background.ask(Question::SaveMatches(matched, state.describing.setup.threshold));
                }
            }
            Command::ChooseMatchTable => self.background.ask(Question::TableFor(TableUse::Learning)),
            Command::ChooseMatchValidation => self.background.ask(Question::TableFor(TableUse::Judging)),
            Command::ChooseMatchRoot => self.background.ask(Question::FolderFor(FolderUse::MatchRoot)),
            Command::ChooseMatchOut => self.background.ask(Question::FolderFor(FolderUse::MatchOut)),
            Command::StartMatchTraining => self.start_match_training(),
            Command::StopMatchTraining => state.match_training.stop(),
            Command::UseMatchTrained => self.use_match_trained(),
            Command::ExportHistory => self.ask_where_to_export_history(),
            Command::UseAsReference => {
                if let Some(path) = state.selected.and_then(|id| state.photos.get(id)).map(|entry| entry.path.clone()) {
                    let text = match state.add_references(vec![path]) {
                        0 => "This photo is a reference already.",
                        _ => "This photo is a reference now; Ctrl+Z takes it back.",
                    };
                    state.notices.info(text);
                }
            }
            Command::LowerThreshold => state.nudge_threshold(-THRESHOLD_STEP),
            Command::RaiseThreshold => state.nudge_threshold(THRESHOLD_STEP),
            Command::CalibrateThreshold => state.edit("Calibrate thresholds", |recipe| {
                recipe.image_threshold = None;
                recipe.pixel_threshold = None;
            }),
            Command::Fit => state.viewport.fit = true,
            Command::ActualSize => {
                let zoom = 1.0 / ctx.pixels_per_point();
                let factor = zoom / state.viewport.zoom;
                state.viewport.zoom_about(state.canvas, state.canvas.center(), factor);
            }
            Command::ZoomIn => state.viewport.zoom_about(state.canvas, state.canvas.center(), 1.25),
            Command::ZoomOut => state.viewport.zoom_about(state.canvas, state.canvas.center(), 0.8),
            Command::ToggleOverlay => look.overlay = !look.overlay,
            Command::ToggleBoxes => look.boxes = !look.boxes,
            Command::ToggleContour => look.contour = !look.contour,
            Command::ToggleCompare => look.compare = !look.compare,
            Command::ToggleGrid => look.grid = !look.grid,
            Command::ToggleFilm => look.film = !look.film,
            Command::ToggleInspector => look.inspector = !look.inspector,
            Command::ToggleHistogram => look.histogram = !look.histogram,
            Command::CycleTheme => {
                look.theme = match look.theme {
                    ThemeChoice::Dark => ThemeChoice::Light,
                    ThemeChoice::Light => ThemeChoice::System,
                    ThemeChoice::System => ThemeChoice::Dark,
                };
            }
            Command::FullScreen => {
                let full = ctx.input(|i| i.viewport().fullscreen.unwrap_or(false));
                ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(!full));
            }
            Command::Palette => state.sheet = Sheet::Palette { query: String::new(), row: 0 },
            Command::Keys => state.sheet = Sheet::Keys,
            Command::Messages => {
                state.notices.unseen = 0;
                state.sheet = Sheet::Messages;
            }
        }
    }
}
