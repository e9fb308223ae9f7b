//! The window's handling of what is measured: labels, evaluation, classification and benchmark, and the files of all of
//! them. Carries out, like its parent; the panels only wish.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{TYPING_PAUSE, Window};
use crate::app::benchmark::BenchRun;
use crate::app::classifying::{self, Answer, By, LabJob, LabWork};
use crate::app::command::Command;
use crate::app::evaluation::Evaluation;
use crate::app::evaluation_files::EvaluationFiles;
use crate::app::export::ExportJob;
use crate::app::photo_list::{Focus, Outcome, Rule, Sort, file_name};
use crate::app::session::Page;
use crate::app::state::{ExportProgress, photos};
use crate::bench::ClassResult;
use crate::engine::{PhotoId, lab};
use crate::report::{ModelIdentity, ReportOptions};
use crate::{Error, Result};

impl Window {
    /// Works the evaluation out again if a photo, verdict or label changed and somebody looks at it.
    pub(super) fn evaluate(&mut self) {
        let revision = self.state.photos.revision();
        let wanted = self.state.look.page == Page::Evaluate || self.state.evaluation.is_none();
        if !wanted || self.evaluated == Some(revision) {
            return;
        }
        self.evaluated = Some(revision);
        match Evaluation::of(&self.state.photos) {
            Ok(evaluation) => self.state.evaluation = Some(Arc::new(evaluation)),
            Err(error) => self.state.report_error(&error),
        }
    }

    pub(super) fn labels_opened(&mut self, path: &Path, labels: Vec<(PathBuf, String)>) {
        let given = labels.len();
        let there = labels.iter().filter(|(path, _)| self.state.photos.by_path(path).is_some()).count();
        let labels = labels.into_iter().map(|(path, label)| (path, label.into()));
        let count = self.state.label_paths("Import labels", labels);
        let name = file_name(path);
        if there == 0 {
            let text = format!("{name} labels {}, none of them on the bench. Open the photos first.", photos(given));
            self.state.notices.warning(text);
        } else {
            let others = given - there;
            let others = if others > 0 {
                format!(" {} of the file are not on the bench.", photos(others))
            } else {
                String::new()
            };
            self.state
                .notices
                .done(format!("Took the labels of {} from {name}; {count} changed.{others}", photos(there)));
        }
    }

    /// Hands work over the networks to the engine.
    fn ask_lab(&mut self, what: &'static str, work: LabWork) {
        let id = self.state.job_id();
        self.state.classifying.problem = None;
        self.state.classifying.job = Some(LabJob { id, what, done: 0, total: 0, stopping: false });
        let (work, answer) = lab::answering(work);
        self.engine.queue_lab(id, work);
        self.answer = Some(answer);
    }

    pub(super) fn classify_by_words(&mut self) {
        let classifying = &mut self.state.classifying;
        let setup = classifying.setup.clone();
        classifying.by = By::Words;
        classifying.asked = Some((setup.clone(), self.state.photos.revision()));
        let known = classifying.embedded.clone();
        let photos = classifying::labelled(&self.state.photos);
        self.ask_lab(classifying::BY_WORDS, classifying::by_words(setup, photos, known));
    }

    pub(super) fn learn(&mut self, command: Command) {
        let photos = classifying::labelled(&self.state.photos);
        let labels: Vec<String> = self.state.photos.classes().iter().map(|class| class.name.to_string()).collect();
        let classifying = &mut self.state.classifying;
        let setup = classifying.setup.clone();
        classifying.by = By::Examples;
        let (what, work) = match (command, &classifying.classifier) {
            (Command::ApplyClassifier, Some(kept)) => {
                ("Applying the classifier", classifying::applied(kept.classifier.clone(), photos))
            }
            (Command::TrainClassifier, _) => ("Training", classifying::trained(setup, photos, labels)),
            _ => ("Cross-validating", classifying::cross_validated(setup, photos, labels)),
        };
        self.ask_lab(what, work);
    }

    /// Takes the answer of the engine, and follows the words when the typing pauses.
    pub(super) fn follow_classifying(&mut self, ctx: &egui::Context) {
        let answer = self.answer.as_ref().and_then(|answer| match answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => Some(Err(lab::lost())),
        });
        if let Some(answer) = answer {
            self.answer = None;
            if matches!(answer, Ok(Answer::Trained(_))) {
                self.state.notices.done("The classifier is trained. Apply it, or save it.");
            }
            self.state.classifying.take(answer);
        }
        if matches!(self.state.look.page, Page::Classify | Page::Evaluate) {
            self.follow_labels();
        }
        let now = self.state.notices.now;
        if self.state.classifying.setup != self.last_setup {
            self.last_setup = self.state.classifying.setup.clone();
            self.words_changed_at = Some(now);
        }
        if self.state.classifying.job.is_some() {
            ctx.request_repaint_after(std::time::Duration::from_millis(100));
            return;
        }
        let classifying = &self.state.classifying;
        let newest = (classifying.setup.clone(), self.state.photos.revision());
        let stale = classifying.words.is_some()
            && self.state.look.page == Page::Classify
            && classifying.by == By::Words
            && classifying.asked.as_ref().is_some_and(|(setup, _)| *setup != newest.0);
        if stale && classifying.setup.problem().is_none() {
            let waited = now - self.words_changed_at.unwrap_or(now);
            if waited >= TYPING_PAUSE {
                self.classify_by_words();
            } else {
                ctx.request_repaint_after(std::time::Duration::from_secs_f64((TYPING_PAUSE - waited).max(0.01)));
            }
        }
    }

    /// What photos truly are in the classification on view is what the labels say now.
    pub(super) fn follow_labels(&mut self) {
        if let Err(error) = self.state.classifying.follow(&self.state.photos) {
            self.state.report_error(&error);
        }
    }

    pub(super) fn run_benchmark(&mut self) {
        let Some(out) = self.state.bench_setup.out() else { return };
        self.state.look.page = Page::Benchmark;
        let run = BenchRun::new(out, self.state.notices.now);
        self.background.bench(self.state.bench_setup.clone(), self.bench_engine.clone(), run.stop.clone());
        self.state.bench = Some(run);
    }

    pub(super) fn bench_ended(&mut self, outcome: Result<()>) {
        let Some(bench) = &mut self.state.bench else { return };
        bench.ended = Some(match outcome {
            Ok(()) => {
                self.state.notices.done(format!("The benchmark is through: {}.", bench.out.display()));
                Ok(())
            }
            Err(Error::Cancelled) => {
                Err("Stopped. Finished classes are kept; the same benchmark goes on where it was.".to_owned())
            }
            Err(error) => {
                self.state.notices.error(error.to_string());
                Err(error.to_string())
            }
        });
    }

    /// Puts the worst photos of a class on the bench, judged with the recipe they were measured with.
    pub(super) fn open_worst(&mut self, class: &ClassResult) {
        let worst: Vec<_> = class.worst_normal.iter().chain(&class.worst_anomalous).map(|worst| &worst.photo).collect();
        let paths: Vec<PathBuf> = worst.iter().map(|photo| photo.path.clone()).collect();
        let state = &mut self.state;
        state.add_photos(paths.clone());
        state.label_paths(
            "Labels of the dataset",
            worst.iter().map(|photo| (photo.path.clone(), photo.kind.as_str().into())),
        );
        // The recipe last: what the first undo gives back is what the message promises.
        state.history.close_gesture();
        state.edit("Recipe of the benchmark", |recipe| *recipe = class.recipe.clone());
        state.history.close_gesture();
        let ids = paths.iter().filter_map(|path| state.photos.by_path(path)).collect();
        let title = format!("worst of {}", class.figures.name);
        state.look.film = true;
        state.look.page = Page::Inspect;
        state.photos.set_sort(Sort::Mistakes);
        state.focus(Focus { title, rule: Rule::Photos(Arc::new(ids)) });
        state.notices.info(format!(
            "{} that went worst in {}, judged with the recipe of that run; Ctrl+Z gives yours back.",
            photos(paths.len()),
            class.figures.name
        ));
    }

    /// Chooses the folder of the benchmark.
    pub fn choose_bench_folder(&mut self, root: PathBuf) {
        self.background.understand(root);
    }

    /// Opens a classifier.
    pub fn open_classifier(&mut self, path: PathBuf) {
        self.background.open_classifier(path);
    }

    /// Writes the classifier.
    pub fn save_classifier_to(&mut self, path: PathBuf) {
        if let Some(kept) = &self.state.classifying.classifier {
            self.background.save_classifier(path, kept.classifier.clone());
        }
    }

    /// Writes the classification on view into a folder.
    pub fn export_classification_to(&mut self, folder: PathBuf) {
        self.follow_labels();
        if let Some(predicted) = self.state.classifying.shown() {
            self.background.save_classification(folder, predicted.run());
        }
    }

    /// Takes labels from a CSV file.
    pub fn import_labels(&mut self, path: PathBuf) {
        self.background.open_labels(path);
    }

    /// Writes the evaluation into a folder.
    pub fn export_evaluation_to(&mut self, folder: PathBuf) {
        if let Some(files) = self.evaluation_files() {
            self.background.save_evaluation(folder, files);
        }
    }

    pub(super) fn evaluation_files(&self) -> Option<EvaluationFiles> {
        let evaluation = self.state.evaluation.clone()?;
        Some(EvaluationFiles::new(evaluation, &self.state))
    }

    /// Exports the photo on view, or all inspected ones with their tables, into a folder.
    pub fn export_to(&mut self, folder: PathBuf, one: bool) {
        self.export_one = one;
        self.start_export(folder);
    }

    pub(super) fn start_export(&mut self, folder: PathBuf) {
        let state = &mut self.state;
        let chosen: Vec<(PhotoId, PathBuf)> = if self.export_one {
            state.selected.and_then(|id| state.photos.get(id)).map(|e| (e.id, e.path.clone())).into_iter().collect()
        } else {
            state.photos.iter().filter(|e| e.inspection().is_some()).map(|e| (e.id, e.path.clone())).collect()
        };
        let kept: Vec<PhotoId> = chosen.iter().map(|(id, _)| *id).collect();
        let failures = state
            .photos
            .iter()
            .filter_map(|entry| match &entry.outcome {
                Outcome::Failed(error) => Some((entry.path.clone(), error.clone())),
                _ => None,
            })
            .filter(|_| !self.export_one)
            .collect();
        let model = state.engine.model.as_ref();
        state.export = Some(ExportProgress { done: 0, total: chosen.len(), started: state.notices.now });
        self.background.export(ExportJob {
            folder,
            photos: chosen,
            failures,
            tables: !self.export_one,
            recipe: self.sent.clone(),
            options: ReportOptions {
                model: ModelIdentity {
                    id: model.map_or_else(|| state.recipe.model.clone(), |model| model.id.clone()),
                    sha256: model.map_or_else(String::new, |model| model.sha256.clone()),
                },
                memory_model: state.engine.memory_model.as_deref().map(ModelIdentity::of),
                device: state.engine.device.clone(),
                colours: state.look.colours,
                save_map: false,
            },
            port: self.engine.clone(),
        });
        // What is exported is kept as it is exported.
        self.keep(&kept);
    }
}
