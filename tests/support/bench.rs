//! The window driven from outside, by the accessible names of its widgets, with an engine that only remembers what it
//! was asked. No display, no renderer, no network.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use hairline::Recipe;
use hairline::anomaly::Verdict;
use hairline::app::EnginePort;
use hairline::app::session::Session;
use hairline::app::testing::{FakeEngine, inspection, photo, view};
use hairline::app::theme;
use hairline::app::window::{Parts, Window};
use hairline::engine::{Engine, EngineOptions, Event};
use hairline::gpu::DevicePolicy;

/// Networks on the processor, nothing kept on disk.
fn on_processor() -> EngineOptions {
    EngineOptions { device: DevicePolicy::Cpu, cache_dir: None, ..EngineOptions::default() }
}

pub struct Bench {
    parts: Option<Parts>,
    window: Option<Window>,
}

/// The window with an engine that only remembers, driven by the names of its widgets.
pub struct Driver {
    pub harness: Harness<'static, Bench>,
    pub engine: Arc<FakeEngine>,
    pub events: Sender<Event>,
    pub dir: tempfile::TempDir,
}

impl Driver {
    pub fn new(session: Session) -> Self {
        Self::with_session_path(session, None)
    }

    pub fn with_session_path(session: Session, session_path: Option<PathBuf>) -> Self {
        let engine = Arc::new(FakeEngine::default());
        let (events, receiver) = crossbeam_channel::unbounded();
        Self::start(session, session_path, engine.clone(), receiver, engine, events)
    }

    /// The window over a real engine on the processor, with the embedded model.
    pub fn with_real_engine() -> Self {
        let (engine, receiver) = Engine::start(on_processor(), Recipe::default(), || {}).unwrap();
        let (events, _) = crossbeam_channel::unbounded();
        Self::start(Session::default(), None, Arc::new(engine), receiver, Arc::default(), events)
    }

    fn start(
        session: Session,
        session_path: Option<PathBuf>,
        port: Arc<dyn EnginePort>,
        receiver: Receiver<Event>,
        engine: Arc<FakeEngine>,
        events: Sender<Event>,
    ) -> Self {
        let parts = Parts {
            session,
            engine: port,
            events: receiver,
            history: None,
            session_path,
            target: None,
            largest_side: 2048,
            bench_engine: on_processor(),
        };
        let mut harness =
            Harness::builder().with_size(egui::vec2(1440.0, 900.0)).with_context_setup(theme::install).build_ui_state(
                |ui, bench: &mut Bench| {
                    if let Some(parts) = bench.parts.take() {
                        bench.window = Some(Window::new(ui.ctx(), parts));
                    }
                    bench.window.as_mut().unwrap().ui(ui);
                },
                Bench { parts: Some(parts), window: None },
            );
        harness.run_steps(3);
        Self { harness, engine, events, dir: tempfile::tempdir().unwrap() }
    }

    pub fn window(&mut self) -> &mut Window {
        self.harness.state_mut().window.as_mut().unwrap()
    }

    pub fn steps(&mut self, count: usize) {
        self.harness.run_steps(count);
        self.harness.check_accessibility();
    }

    /// Frames until something is there; the background works on threads of its own.
    pub fn until(&mut self, what: &str, mut there: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !there(self) {
            assert!(start.elapsed() < Duration::from_secs(30), "{what} did not happen");
            std::thread::sleep(Duration::from_millis(10));
            self.harness.run_steps(1);
        }
        self.steps(2);
    }

    pub fn has(&self, label: &str) -> bool {
        self.harness.query_all_by_label_contains(label).next().is_some()
    }

    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click_accesskit();
        self.steps(2);
    }

    pub fn key(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.steps(2);
    }

    pub fn tell(&mut self, event: Event) {
        self.events.send(event).unwrap();
        self.steps(2);
    }

    /// Three photos on the bench, the first on view and judged NG.
    pub fn with_photos() -> Self {
        let mut driver = Self::new(Session::default());
        let paths: Vec<PathBuf> = ["a.png", "b.png", "c.png"].iter().map(|n| photo(driver.dir.path(), n)).collect();
        driver.window().open(paths, false);
        driver.until("opening", |d| d.has("c.png, waiting"));
        driver.tell(Event::JobStarted { job: 0, total: 3 });
        for (id, score, verdict) in [(0, 7.0, Verdict::Ng), (1, 2.0, Verdict::Ok), (2, 5.0, Verdict::Uncertain)] {
            let inspection = Arc::new(inspection("x.png", score, verdict));
            driver.tell(Event::PhotoInspected { id, job: Some(0), inspection, map: None });
        }
        driver.tell(Event::JobFinished { job: 0, done: 3, failed: 0 });
        driver.judge();
        driver
    }

    pub fn judge(&mut self) {
        let recipe = self.window().state.recipe.clone();
        self.tell(Event::ViewJudged(Arc::new(view(0, &recipe))));
    }

    pub fn recipes(&self) -> Vec<Recipe> {
        self.engine.asked(|asked| asked.recipes.clone())
    }
}
