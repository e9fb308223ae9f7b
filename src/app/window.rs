//! The window itself: drains what engine and background have to say, lays out the panels, carries out their wishes. The
//! only place that changes the state, and it never waits for anything.

mod commands;
mod describing;
mod keeping;
mod measuring;
mod segmenting;
mod training;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use eframe::egui_wgpu::wgpu;
use egui::{CentralPanel, Frame, Key, Margin, Modifiers, Panel, Pos2, Rect, Ui};

use super::action::{Action, Desk};
use super::background::{Background, FolderUse, News, Purpose, TableUse};
use super::benchmark::BenchRun;
use super::classifying::{Answer, By, ClassifySetup, Kept};
use super::command::{COMMANDS, Command};
use super::describing::Against;
use super::intake::Found;
use super::media::Media;
use super::panels;
use super::photo_list::file_name;
use super::port::EnginePort;
use super::recorder::Recorder;
use super::segmenting::SegmentSetup;
use super::segmenting::decide::DecisionKey;
use super::segmenting::{Mode, work as segmenting_work};
use super::session::{Page, Session};
use super::state::{ExportProgress, Sheet, State, photos, references};
use super::theme::{self, ThemeChoice, palette};
use crate::engine::{EngineOptions, Event, PhotoId};
use crate::recipe::Stage;
use crate::{Recipe, Result};

/// A change of words waits this long for the next letter before the text tower runs, in seconds.
const TYPING_PAUSE: f64 = 0.2;
/// Seconds between a drop and the pointer's next place.
const POINTER_WAIT: f64 = 0.3;
/// The session is saved this long after the last change, in seconds.
const SAVE_PAUSE: f64 = 2.0;
/// Part of the scale that a key moves the threshold by.
const THRESHOLD_STEP: f32 = 0.02;

/// What a window is made of.
pub struct Parts {
    pub session: Session,
    pub engine: Arc<dyn EnginePort>,
    pub events: Receiver<Event>,
    /// Where verdicts are kept unless the session names another place; `None` keeps none.
    pub history: Option<String>,
    /// Where the session is saved; `None` keeps nothing.
    pub session_path: Option<PathBuf>,
    /// Format that the window draws to; `None` leaves the overlay out, for tests without a renderer.
    pub target: Option<wgpu::TextureFormat>,
    /// Largest side of a texture.
    pub largest_side: u32,
    /// What the engine of a benchmark is set up with.
    pub bench_engine: EngineOptions,
}

/// Files that were dropped where it is not known yet.
struct DroppedFiles {
    files: Vec<PathBuf>,
    /// In the time of the window's frames, in seconds.
    at: f64,
    alt: bool,
}

/// The window.
pub struct Window {
    pub state: State,
    engine: Arc<dyn EnginePort>,
    events: Receiver<Event>,
    media: Media,
    background: Background,
    target: Option<wgpu::TextureFormat>,
    /// The recipe that the engine has.
    sent: Recipe,
    changed_at: Option<f64>,
    dropped: Option<DroppedFiles>,
    pointer_told_at: Option<f64>,
    last_recipe: Recipe,
    viewed: Option<PhotoId>,
    session_path: Option<PathBuf>,
    saved: Session,
    dirty_since: Option<f64>,
    export_one: bool,
    /// The revision of the photos that the evaluation is of.
    evaluated: Option<u64>,
    /// Where the answer to the classification under way comes from.
    answer: Option<Receiver<Result<Answer>>>,
    /// Where the answer to the segmentation under way comes from.
    segmented: Option<Receiver<Result<segmenting_work::Answer>>>,
    /// What is to be found as of the last frame, and when it changed.
    last_segment: SegmentSetup,
    segment_changed_at: f64,
    /// The decision that the background works on.
    deciding: Option<DecisionKey>,
    /// When words were last changed.
    words_changed_at: Option<f64>,
    last_setup: ClassifySetup,
    describe: describing::Follow,
    recorder: Option<Recorder>,
    /// Where verdicts are kept unless the session names another place.
    history_place: Option<String>,
    bench_engine: EngineOptions,
    /// A text field had the keyboard at the end of the last frame; egui takes it away on Esc before anyone can ask.
    typing: bool,
    theme: Option<ThemeChoice>,
    said: Milestones,
}

/// What the log has heard of how far the start has come.
#[derive(Default)]
struct Milestones {
    first_frame: bool,
    first_verdict: bool,
}

impl Window {
    /// A window; `ctx` is asked to repaint when something arrives.
    pub fn new(ctx: &egui::Context, parts: Parts) -> Self {
        theme::install(ctx);
        let waker = ctx.clone();
        let background = Background::start(parts.largest_side, move || waker.request_repaint());
        let sent = parts.session.recipe.clone();
        let state = State::restore(parts.session);
        let saved = state.session();
        let last_setup = state.classifying.setup.clone();
        let last_segment = state.segmenting.setup.clone();
        background.find_models();
        if let Some(root) = state.bench_setup.root.clone() {
            background.understand(root);
        }
        if let Some(table) = state.describing.setup.table.clone() {
            background.open_pairs(table, state.describing.setup.root.clone());
        }
        Self {
            last_recipe: state.recipe.clone(),
            state,
            engine: parts.engine,
            events: parts.events,
            media: Media::default(),
            background,
            target: parts.target,
            sent,
            changed_at: None,
            dropped: None,
            pointer_told_at: None,
            viewed: None,
            session_path: parts.session_path,
            saved,
            dirty_since: None,
            export_one: false,
            evaluated: None,
            answer: None,
            segmented: None,
            last_segment,
            segment_changed_at: 0.0,
            deciding: None,
            words_changed_at: None,
            last_setup,
            describe: describing::Follow::default(),
            recorder: None,
            history_place: parts.history,
            bench_engine: parts.bench_engine,
            typing: false,
            theme: None,
            said: Milestones::default(),
        }
    }

    /// Looks for photos among `paths` and puts them on the bench, or among the references. A recipe file is taken as
    /// the recipe, a CSV file as labels, or on the description page as a table of descriptions, to match or to learn from.
    pub fn open(&mut self, paths: Vec<PathBuf>, as_references: bool) {
        if let [only] = &paths[..]
            && only.extension().is_some_and(|extension| extension == "ron")
        {
            self.background.open_recipe(only.clone());
        } else if let [only] = &paths[..]
            && only.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
        {
            if self.state.look.page == Page::Description && self.state.describing.against == Against::Training {
                self.choose_match_table(only.clone());
            } else if self.state.look.page == Page::Description {
                self.open_pair_table(only.clone());
            } else {
                self.background.open_labels(only.clone());
            }
        } else if !paths.is_empty() {
            self.background.find(if as_references { Purpose::References } else { Purpose::Photos }, paths);
        }
    }

    /// Puts the bundled samples on the bench.
    pub fn open_samples(&mut self) {
        self.background.open_samples();
    }

    /// One frame.
    pub fn ui(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        self.begin(&ctx);
        let mut out = Vec::new();
        self.keys(&ctx, &mut out);
        self.panels(ui, &mut out);
        for action in out {
            self.carry_out(&ctx, action);
        }
        self.end(&ctx);
    }

    /// Tells the log when the first frame, and the first with a verdict, are on the screen; `benches/window_start.rs`
    /// listens.
    fn tell_milestones(&mut self, ctx: &egui::Context) {
        if !self.said.first_frame {
            self.said.first_frame = ctx.cumulative_frame_nr() > 0;
            if self.said.first_frame {
                log::info!("first frame");
            }
            ctx.request_repaint();
        }
        if !self.said.first_verdict && self.state.photos.iter().any(|photo| photo.verdict().is_some()) {
            self.said.first_verdict = true;
            log::info!("first verdict");
        }
    }

    /// Everything that happened since the last frame.
    fn begin(&mut self, ctx: &egui::Context) {
        self.state.notices.now = ctx.time();
        // A click beside a field ends the typing; so does a slider, or the next key would still go into the field.
        if let (Some(dragged), Some(focused)) = (ctx.drag_started_id(), ctx.memory(egui::Memory::focused))
            && dragged != focused
        {
            ctx.memory_mut(|memory| memory.surrender_focus(focused));
        }
        if self.theme != Some(self.state.look.theme) {
            self.theme = Some(self.state.look.theme);
            theme::choose(ctx, self.state.look.theme);
        }
        while let Ok(event) = self.events.try_recv() {
            self.state.apply(event);
        }
        for news in self.background.drain() {
            self.take(ctx, news);
        }
        let dropped: Vec<PathBuf> =
            ctx.input(|i| i.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect());
        self.drop_files(ctx, dropped);
        self.state.photos.refresh();
        self.evaluate();
        self.follow_classifying(ctx);
        self.follow_describing(ctx);
        self.follow_history(ctx);
        self.follow_segmenting(ctx);
        self.follow_training(ctx);
        if self.state.selected.is_none() && !self.state.photos.is_empty() {
            let first = self.state.photos.neighbour(None, 0);
            self.state.select(first);
        }
        self.state.bare = ctx.input(|i| i.modifiers.shift_only()) && !ctx.text_edit_focused();
    }

    /// Opens what was dropped as soon as it is known where. While files are dragged the pointer belongs to the program
    /// that they come from; where it was let go is told shortly before the drop or shortly after, or not at all.
    fn drop_files(&mut self, ctx: &egui::Context, files: Vec<PathBuf>) {
        let now = ctx.time();
        // Drawn again in every frame that has it.
        let id = panels::references_section::drop_zone_id();
        let zone = ctx.data_mut(|data| {
            let zone = data.get_temp::<Rect>(id);
            data.remove::<Rect>(id);
            zone
        });
        let alt = ctx.input(|i| i.modifiers.alt);
        if ctx.input(|i| i.events.iter().any(|event| matches!(event, egui::Event::PointerMoved(_)))) {
            self.pointer_told_at = Some(now);
        }
        if !files.is_empty() {
            let drop = self.dropped.get_or_insert(DroppedFiles { files: Vec::new(), at: now, alt });
            drop.files.extend(files);
            drop.at = now;
        }
        let Some(drop) = self.dropped.take() else { return };
        let alt = drop.alt || alt;
        let told = self.pointer_told_at.is_some_and(|told| told >= drop.at - POINTER_WAIT);
        if zone.is_some() && !alt && !told && now < drop.at + POINTER_WAIT {
            ctx.request_repaint_after(Duration::from_secs_f64(drop.at + POINTER_WAIT - now));
            self.dropped = Some(drop);
            return;
        }
        let over = zone.zip(ctx.pointer_latest_pos()).is_some_and(|(zone, at)| zone.contains(at));
        self.open(drop.files, over || alt);
    }

    fn take(&mut self, ctx: &egui::Context, news: News) {
        match news {
            News::Thumbnail { path, image } => self.media.take_thumbnail(ctx, path, image),
            News::Photo { path, decoded } => self.media.take_photo(ctx, path, decoded),
            News::Found { purpose, found } => self.found(purpose, found),
            News::Samples(Ok(samples)) => {
                self.state.edit("Samples", |recipe| {
                    recipe.object = samples.object;
                    recipe.references = samples.references;
                });
                self.state.history.close_gesture();
                let count = self.state.add_photos(samples.photos);
                self.state.notices.info(format!(
                    "Opened {} and {}.",
                    crate::count::count(count, "sample", "samples"),
                    references(self.state.recipe.references.len())
                ));
            }
            News::RecipeOpened { path, recipe: Ok(recipe) } => {
                self.state.history.close_gesture();
                self.state.edit("Open recipe", |now| *now = *recipe);
                self.state.history.close_gesture();
                self.state.notices.done(format!("Judging with {}.", file_name(&path)));
            }
            News::RecipeOpened { recipe: Err(error), .. }
            | News::LabelsOpened { labels: Err(error), .. }
            | News::LabelsSaved(Err(error))
            | News::EvaluationSaved(Err(error))
            | News::ClassifierOpened { classifier: Err(error), .. }
            | News::ClassifierSaved(Err(error))
            | News::ClassificationSaved(Err(error))
            | News::MatchesSaved(Err(error))
            | News::MasksSaved(Err(error))
            | News::RecipeSaved(Err(error)) => {
                self.state.report_error(&error);
            }
            News::LabelsOpened { path, labels: Ok(labels) } => self.labels_opened(&path, labels),
            News::LabelsSaved(Ok(path))
            | News::EvaluationSaved(Ok(path))
            | News::ClassificationSaved(Ok(path))
            | News::MatchesSaved(Ok(path))
            | News::MasksSaved(Ok(path))
            | News::RecipeSaved(Ok(path)) => {
                self.state.notices.done(format!("Saved {}.", path.display()));
            }
            News::ExportFolder(folder) => self.start_export(folder),
            News::ExportProgressed { done, total } => {
                let now = self.state.notices.now;
                let export = self.state.export.get_or_insert(ExportProgress { done, total, started: now });
                (export.done, export.total) = (done, total);
            }
            News::ExportFinished(outcome) => {
                self.state.export = None;
                match outcome {
                    Ok(exported) => {
                        let mut text =
                            format!("Exported {} to {}.", photos(exported.photos), exported.folder.display());
                        if exported.stopped {
                            text.push_str(" Stopped before the rest.");
                        }
                        if let Some((_, error)) = exported.failures.first() {
                            let count = photos(exported.failures.len());
                            let _ = write!(text, " {count} left out; the first: {error}");
                        }
                        self.state.notices.done(text);
                    }
                    Err(error) => self.state.report_error(&error),
                }
            }
            News::ClassifierOpened { path, classifier: Ok(classifier) } => {
                let kept = Kept { classifier: Arc::from(classifier), path: Some(path.clone()) };
                self.state.classifying.classifier = Some(kept);
                self.state.classifying.by = By::Examples;
                self.state.notices.done(format!("Opened {}. Apply it to the photos on the bench.", file_name(&path)));
            }
            News::ClassifierSaved(Ok(path)) => {
                self.state.notices.done(format!("Saved {}.", path.display()));
                if let Some(kept) = &mut self.state.classifying.classifier {
                    kept.path = Some(path);
                }
            }
            News::BenchFolder { root, understood } => {
                self.state.bench_setup.root = Some(root);
                self.state.bench_folder = Some(understood.map_err(|error| error.to_string()));
            }
            News::BenchOut(folder) => self.state.bench_setup.out = Some(folder),
            News::Model(path) => {
                let name = path.display().to_string();
                if !self.state.models.contains(&name) {
                    self.state.models.push(name.clone());
                    self.state.added_models.push(name);
                    self.background.find_segmenters(self.state.models.clone());
                }
            }
            News::Models(installed) => {
                let added = self.state.added_models.iter().filter(|name| !installed.contains(name)).cloned();
                self.state.models = installed.iter().cloned().chain(added).collect();
                self.background.find_segmenters(self.state.models.clone());
            }
            News::BenchPlanned(photos) => {
                if let Some(bench) = &mut self.state.bench {
                    bench.all_photos = photos;
                }
            }
            News::Bench(event) => {
                if let Some(bench) = &mut self.state.bench {
                    bench.apply(event);
                }
            }
            News::PairTable(table) => self.pair_table_opened(table),
            News::HistoryFile(path) => self.export_history_to(path),
            News::BenchEnded(outcome) => self.bench_ended(outcome),
            News::FolderChosen(FolderUse::Masks, folder) => self.export_masks_to(folder),
            News::FolderChosen(FolderUse::Coco, folder) => self.export_coco_to(&folder),
            News::FolderChosen(FolderUse::TrainData, folder) => self.choose_training_data(folder),
            News::FolderChosen(FolderUse::TrainValidation, folder) => self.choose_validation_data(Some(folder)),
            News::FolderChosen(FolderUse::TrainOut, folder) => self.state.training.setup.out = Some(folder),
            News::FolderChosen(FolderUse::MatchRoot, folder) => self.state.match_training.setup.root = Some(folder),
            News::FolderChosen(FolderUse::MatchOut, folder) => self.state.match_training.setup.out = Some(folder),
            News::TableChosen(TableUse::Learning, table) => self.choose_match_table(table),
            News::TableChosen(TableUse::Judging, table) => self.choose_match_validation(Some(table)),
            news @ (News::Segmenter(_) | News::Matcher(_)) => self.take_lesson(news),
            News::Segmenters(models) => self.state.segmenting.models = models,
            News::Decided(decided) => self.decided(decided),
            News::SessionSaved(Ok(())) => {}
            News::Samples(Err(error)) | News::SessionSaved(Err(error)) => self.state.report_error(&error),
            News::DialogFailed(text) => self.state.notices.error(text),
        }
    }

    /// Photos were found among what was dropped or opened: says what was understood.
    fn found(&mut self, purpose: Purpose, found: Found) {
        let left_out = found.left_out().map_or_else(String::new, |text| format!(" {text}"));
        let Found { photos: paths, labels, failures, .. } = found;
        self.media.try_again(&paths);
        let (given, several) = (paths.len(), paths.len() > 1);
        let first = paths.first().and_then(|path| path.parent()).map(file_name).unwrap_or_default();
        let from = if several && !first.is_empty() { format!(" from {first}") } else { String::new() };
        match purpose {
            Purpose::Photos => {
                let target = paths.first().cloned();
                let new = self.state.add_photos(paths);
                if let Some(id) = target.and_then(|path| self.state.photos.by_path(&path)).filter(|_| given > 0) {
                    self.state.look.grid = false;
                    if self.state.look.page != Page::Segment {
                        self.state.look.page = Page::Inspect;
                    }
                    self.state.photos.set_focus(None);
                    self.state.photos.refresh();
                    self.state.select(Some(id));
                }
                let labelled = match self.state.label_paths("Labels of the dataset", labels) {
                    0 => String::new(),
                    count if count == new => " Labelled by the dataset's folders; Ctrl+Z takes that back.".to_owned(),
                    count => format!(" {} labelled by the dataset's folders; Ctrl+Z takes that back.", photos(count)),
                };
                if new > 0 {
                    let known =
                        if new < given { format!(" {} were here already.", given - new) } else { String::new() };
                    self.state.notices.info(format!("Opened {}{from}.{known}{labelled}{left_out}", photos(new)));
                } else if given > 0 {
                    self.state.notices.info(format!("These photos are on the bench already.{labelled}{left_out}"));
                } else if !left_out.is_empty() {
                    self.state.notices.warning(format!("Nothing was opened.{left_out}"));
                }
            }
            Purpose::References => {
                let new = self.state.add_references(paths);
                if new > 0 {
                    self.state.notices.info(format!("Added {}{from}.{left_out}", references(new)));
                } else if given > 0 {
                    self.state.notices.info("These photos are references already.");
                }
            }
        }
        for failure in failures {
            self.state.notices.error(failure.error.to_string());
        }
    }

    /// Keys, unless something is being typed.
    fn keys(&mut self, ctx: &egui::Context, out: &mut Vec<Action>) {
        let typing = ctx.text_edit_focused();
        if ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape)) {
            self.close_innermost(ctx);
        }
        if self.state.sheet != Sheet::None && !matches!(self.state.sheet, Sheet::Palette { .. }) {
            return;
        }
        let away = self.state.look.grid || self.state.look.page != Page::Inspect;
        if away
            && !typing
            && self.state.sheet == Sheet::None
            && ctx.memory(|memory| memory.focused().is_none())
            && ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Enter))
        {
            self.state.look.grid = false;
            self.state.look.page = Page::Inspect;
        }
        // Longer shortcuts first: Ctrl+Shift+Z must not be taken for Ctrl+Z.
        let mut ordered: Vec<_> = COMMANDS.iter().filter_map(|info| Some((info, info.shortcut?))).collect();
        ordered.sort_by_key(|(_, shortcut)| !shortcut.modifiers.shift);
        for (info, shortcut) in ordered {
            let plain = !shortcut.modifiers.command;
            if plain && (typing || self.state.sheet != Sheet::None || ctx.any_popup_open()) {
                continue;
            }
            if typing && matches!(info.command, Command::Undo | Command::Redo | Command::CopyReport) {
                continue;
            }
            let pressed = ctx.input_mut(|i| {
                i.consume_shortcut(&shortcut)
                    || shortcut.logical_key == Key::Questionmark && i.consume_key(Modifiers::SHIFT, Key::Questionmark)
                    || shortcut.logical_key == Key::Plus && i.consume_key(Modifiers::NONE, Key::Equals)
            });
            if pressed && self.state.allows(info.command) {
                out.push(Action::Run(info.command));
            }
        }
    }

    fn close_innermost(&mut self, ctx: &egui::Context) {
        if egui::Popup::is_any_open(ctx) {
            egui::Popup::close_all(ctx);
        } else if self.state.sheet != Sheet::None {
            self.state.sheet = Sheet::None;
        } else if let Some(id) = ctx.memory(egui::Memory::focused) {
            ctx.memory_mut(|memory| memory.surrender_focus(id));
        } else if self.typing {
            self.typing = false;
        } else if self.state.look.page != Page::Inspect {
            self.state.look.page = Page::Inspect;
        } else if self.state.look.grid {
            self.state.look.grid = false;
        } else if self.state.asked.is_some() {
            self.state.asked = None;
        } else if self.state.photos.focus().is_some() {
            self.state.photos.set_focus(None);
        } else {
            self.state.viewport.fit = true;
        }
    }

    fn panels(&mut self, ui: &mut Ui, out: &mut Vec<Action>) {
        let colours = palette(ui);
        let desk = &mut Desk { state: &self.state, media: &mut self.media, out };
        let bar = |margin| theme::panel_frame(colours, margin);
        let top = Panel::top("top").exact_size(44.0).frame(bar(Margin { left: 12, right: 12, top: 0, bottom: 0 }));
        top.show(ui, |ui| panels::top_bar::show(ui, desk));
        let bottom =
            Panel::bottom("status").exact_size(32.0).frame(bar(Margin { left: 12, right: 8, top: 0, bottom: 0 }));
        bottom.show(ui, |ui| panels::status_bar::show(ui, desk));
        let empty = desk.state.photos.is_empty();
        // In a small window the photo keeps the larger part.
        let width = ui.available_width();
        let side = (0.36 * width).clamp(300.0, 560.0);
        // Panels that a small window squeezes are others to egui, or they would stay as narrow in a large one.
        let squeezed = width < 1160.0;
        let id = |wide: &'static str, narrow: &'static str| if squeezed { narrow } else { wide };
        if !empty && desk.state.look.film {
            let most = (0.24 * width).clamp(200.0, 420.0);
            let panel = Panel::left(id("film", "narrow film"))
                .default_size(264.0)
                .size_range(200.0..=most)
                .frame(bar(Margin::ZERO));
            panel.show(ui, |ui| panels::film_strip::show(ui, desk));
        }
        let inspecting = desk.state.look.page == Page::Inspect;
        let masks = desk.state.look.page == Page::Segment && desk.state.segmenting.mode == Mode::Masks;
        if masks && !empty {
            let panel = Panel::right(id("layers", "narrow layers"))
                .default_size(356.0)
                .size_range(300.0..=side)
                .frame(bar(Margin::ZERO));
            panel.show(ui, |ui| panels::segment::side(ui, desk));
        }
        if desk.state.look.inspector && inspecting {
            let panel = Panel::right(id("inspector", "narrow inspector"))
                .default_size(356.0)
                .size_range(300.0..=side)
                .frame(bar(Margin::ZERO));
            panel.show(ui, |ui| panels::inspector::show(ui, desk));
        }
        if !empty && desk.state.look.histogram && inspecting {
            let margin = Margin { left: 14, right: 14, top: 8, bottom: 2 };
            let panel = Panel::bottom("histogram").default_size(148.0).size_range(96.0..=320.0).resizable(true);
            panel.frame(bar(margin)).show(ui, |ui| panels::histogram::show(ui, desk));
        }
        if !empty && desk.state.look.labels && inspecting && !desk.state.look.grid {
            let panel =
                Panel::bottom("labels").exact_size(36.0).frame(bar(Margin { left: 14, right: 14, top: 0, bottom: 0 }));
            panel.show(ui, |ui| panels::label_bar::show(ui, desk));
        }
        let mut canvas = None;
        CentralPanel::default().frame(Frame::new().fill(colours.canvas)).show(ui, |ui| {
            ui.spacing_mut().item_spacing = egui::Vec2::ZERO;
            ui.scope(|ui| {
                ui.reset_style();
                match desk.state.look.page {
                    Page::Segment if masks && !empty => canvas = Some(panels::segment::picture(ui, desk)),
                    Page::Segment if masks => panels::segment::empty(ui, desk),
                    Page::Inspect | Page::Evaluate if empty => panels::welcome::show(ui, desk),
                    Page::Inspect if desk.state.look.grid => panels::grid::show(ui, desk),
                    Page::Inspect => canvas = Some(panels::canvas::show(ui, desk, self.target)),
                    Page::Evaluate => panels::evaluate::show(ui, desk),
                    Page::Classify => panels::classify::show(ui, desk),
                    Page::Segment => panels::segment::training(ui, desk),
                    Page::Benchmark => panels::benchmark::show(ui, desk),
                    Page::Description => panels::description::show(ui, desk),
                    Page::History => panels::kept::show(ui, desk),
                }
            });
        });
        panels::toasts::show(ui, desk);
        panels::sheets::show(ui, desk);
        drop_preview(ui, empty);
        self.state.scroll_to_selected = false;
        if let Some(canvas) = canvas {
            self.state.canvas = canvas;
        }
    }

    /// Tells the engine what is wanted now, and keeps the session.
    fn end(&mut self, ctx: &egui::Context) {
        self.media.end_frame(&self.background);
        self.typing = ctx.text_edit_focused();
        let gesture = ctx.input(|i| i.pointer.any_down()) || self.typing;
        if !gesture {
            self.state.history.close_gesture();
        }
        self.send_recipe(ctx);
        if self.viewed != self.state.selected {
            self.viewed = self.state.selected;
            self.engine.view(self.viewed);
        }
        self.keep_verdicts();
        for request in self.state.take_requests() {
            self.engine.send(request);
        }
        self.autosave(ctx);
        let benching = self.state.bench.as_ref().is_some_and(BenchRun::running);
        if self.state.job.is_some() || self.state.export.is_some() || benching {
            ctx.request_repaint_after(Duration::from_millis(250));
        }
    }

    /// Numbers go out at once, words when the typing pauses, and everything before photos are asked for: they are not
    /// inspected by a recipe of the past.
    fn send_recipe(&mut self, ctx: &egui::Context) {
        let now = self.state.notices.now;
        if self.state.recipe != self.last_recipe {
            self.last_recipe = self.state.recipe.clone();
            self.changed_at = Some(now);
        }
        let recipe = self.state.recipe.clone().among(self.state.photos.iter().map(|entry| entry.path.clone()));
        if recipe == self.sent || recipe.check().is_err() {
            return;
        }
        let cheap = self.sent.stage_changed(&recipe) == Some(Stage::Judgement);
        let waited = now - self.changed_at.unwrap_or(now);
        if cheap || waited >= TYPING_PAUSE || self.state.has_requests() {
            self.sent = recipe;
            self.engine.set_recipe(self.sent.clone());
        } else {
            let left = (TYPING_PAUSE - waited).max(0.01);
            ctx.request_repaint_after(Duration::from_secs_f64(left));
        }
    }

    fn autosave(&mut self, ctx: &egui::Context) {
        let Some(path) = self.session_path.clone() else { return };
        let now = self.state.notices.now;
        let session = self.state.session();
        if session == self.saved {
            self.dirty_since = None;
            return;
        }
        let since = *self.dirty_since.get_or_insert(now);
        if now - since >= SAVE_PAUSE {
            self.dirty_since = None;
            self.saved = session.clone();
            self.background.save_session(path, session);
        } else {
            ctx.request_repaint_after(Duration::from_secs_f64(SAVE_PAUSE));
        }
    }

    /// Writes the session now, on this thread: the window closes.
    pub fn save_now(&mut self) {
        if let Some(path) = &self.session_path {
            let session = self.state.session();
            if session != self.saved
                && let Err(error) = super::session::save(path, &session)
            {
                log::error!("{error}");
            }
        }
    }

    /// Thumbnails on the graphics device, for tests of their bound.
    pub fn thumbnails_kept(&self) -> usize {
        self.media.thumbnails_kept()
    }
}

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.tell_milestones(ui.ctx());
        Self::ui(self, ui);
    }

    fn on_exit(&mut self) {
        self.save_now();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        let palette = if visuals.dark_mode { &theme::DARK } else { &theme::LIGHT };
        palette.canvas.to_normalized_gamma_f32()
    }
}

/// While files hover over the window: what a drop would do.
fn drop_preview(ui: &Ui, empty: bool) {
    let hovered = ui.input(|i| i.raw.hovered_files.clone());
    if hovered.is_empty() || empty {
        return;
    }
    let colours = palette(ui);
    let names: Vec<String> = hovered.iter().take(3).filter_map(|file| file.path.as_deref()).map(file_name).collect();
    let more =
        if hovered.len() > names.len() { format!(" and {} more", hovered.len() - names.len()) } else { String::new() };
    let what = if names.is_empty() { photos(hovered.len()) } else { format!("{}{more}", names.join(", ")) };
    let text = format!("Drop to inspect {what}\nOn the references, or with Alt: add as photos of good parts");
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop preview"));
    let painter = ui.ctx().layer_painter(layer);
    let screen = ui.ctx().content_rect();
    painter.rect_stroke(screen.shrink(3.0), 8, (3.0, colours.accent), egui::StrokeKind::Inside);
    let galley = painter.layout(text, theme::body_font(), colours.ink, 520.0);
    let at: Pos2 = screen.center_bottom() - egui::vec2(galley.size().x / 2.0, 120.0);
    painter.rect_filled(
        Rect::from_min_size(at, galley.size()).expand2(egui::vec2(20.0, 14.0)),
        theme::WIDE_RADIUS,
        colours.raised,
    );
    painter.galley(at, galley, colours.ink);
}
