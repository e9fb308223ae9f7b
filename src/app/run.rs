//! Opening the window: what the user named, what the last session had, engine and renderer. Where no window can be had,
//! the error says what is missing and how to go on without one.

use std::path::PathBuf;
use std::sync::Arc;

use super::port::EnginePort;
use super::session::{self, Restored, Session};
use super::window::{Parts, Window};
use crate::engine::{Engine, EngineOptions};
use crate::gpu::DevicePolicy;
use crate::{Error, Recipe, Result};

/// How to open the window.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The recipe to start from; the default one means the session's.
    pub recipe: Recipe,
    /// Photos and folders to put on the bench; none means the session's.
    pub photos: Vec<PathBuf>,
    /// Photos and folders of normal parts, besides those of the recipe.
    pub references: Vec<PathBuf>,
    /// Where networks run.
    pub device: DevicePolicy,
    /// Where the session is kept; `None` is the user's data folder.
    pub session: Option<PathBuf>,
    /// Show the bundled samples (or `photos`) and leave the user's session alone.
    pub demo: bool,
}

/// What is said where no window can be had.
const GO_ON: &str = "Without a window: `hairline inspect PHOTOS… --out DIR` judges photos, `hairline demo --out DIR` the \
    bundled samples; neither needs a display or a graphics adapter.";

/// Opens the window and returns when it is closed.
///
/// # Errors
/// [`Error::Device`] where there is no display or no graphics adapter; [`Error::Input`] for a recipe out of range.
pub fn run(options: Options) -> Result<()> {
    options.recipe.check()?;
    let path = match (&options.session, options.demo) {
        (Some(path), _) => Some(path.clone()),
        (None, true) => None,
        (None, false) => session::default_path(),
    };
    let restored = path.as_deref().map_or(Restored::Nothing, session::restore);
    // The samples are for a first look; a bench that was cleared stays clear, with its recipe.
    let samples = options.photos.is_empty() && (options.demo || matches!(restored, Restored::Nothing));
    let (session, mut notes) = merge(restored, &options);
    // The samples are a first look; they leave no trace in the user's history.
    let history = path
        .as_deref()
        .and_then(std::path::Path::parent)
        .map(|folder| folder.join("history.sqlite").display().to_string());
    if path.is_none() && !options.demo {
        notes.push("This system names no folder for programs' data, so the session is not kept.".to_owned());
    }
    display_there()?;
    // The Vulkan loader does not like instances that come and go on several threads at once: ask before the window does.
    if crate::gpu::device::adapters().is_empty() {
        log::info!("no Vulkan, Metal or Direct3D 12 adapter; the window may still find OpenGL");
    }
    let icon = eframe::icon_data::from_png_bytes(include_bytes!("../../assets/icon.png")).unwrap_or_default();
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Hairline")
            .with_app_id("hairline")
            .with_icon(icon)
            .with_inner_size([1440.0, 900.0])
            .with_min_inner_size([880.0, 560.0])
            .with_drag_and_drop(true),
        renderer: eframe::Renderer::Wgpu,
        ..eframe::NativeOptions::default()
    };
    let outcome = eframe::run_native(
        "Hairline",
        native,
        Box::new(move |context| {
            let renderer = context.wgpu_render_state.as_ref();
            let renderer = renderer.ok_or("the window was opened without wgpu")?;
            let ctx = context.egui_ctx.clone();
            let engine_options = EngineOptions { device: options.device, ..EngineOptions::default() };
            let bench_engine = engine_options.clone();
            let (engine, events) =
                Engine::start(engine_options, session.recipe.clone(), move || ctx.request_repaint())?;
            let mut window = Window::new(
                &context.egui_ctx,
                Parts {
                    session,
                    engine: Arc::new(engine) as Arc<dyn EnginePort>,
                    events,
                    session_path: path,
                    history,
                    target: Some(renderer.target_format),
                    largest_side: renderer.device.limits().max_texture_dimension_2d,
                    bench_engine,
                },
            );
            for note in notes {
                window.state.notices.warning(note);
            }
            window.open(options.photos, false);
            window.open(options.references, true);
            if samples {
                window.open_samples();
            }
            Ok(Box::new(window) as Box<dyn eframe::App>)
        }),
    );
    outcome.map_err(|error| explain(&error))
}

/// What the window starts with, and what to say about it.
fn merge(restored: Restored, options: &Options) -> (Session, Vec<String>) {
    let mut notes = Vec::new();
    let mut session = match restored {
        Restored::Nothing => Session::default(),
        Restored::Session(session) => *session,
        Restored::Broken { kept, reason } => {
            let kept = kept.map_or_else(
                || "It could not be put aside and will be overwritten.".to_owned(),
                |path| format!("It is kept as {}.", path.display()),
            );
            notes.push(format!("The last session cannot be read: {reason}. {kept}"));
            Session::default()
        }
    };
    if options.recipe != Recipe::default() {
        session.recipe = options.recipe.clone();
    }
    if !options.photos.is_empty() || options.demo {
        session.photos.clear();
        session.selected = None;
    }
    (session, notes)
}

/// winit panics or waits in some of these cases, so it is asked only where an answer is likely.
fn display_there() -> Result<()> {
    let unix = cfg!(all(unix, not(target_os = "macos"), not(target_os = "android")));
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if unix && !named("DISPLAY") && !named("WAYLAND_DISPLAY") && !named("WAYLAND_SOCKET") {
        return Err(Error::device(format!(
            "There is no display: neither DISPLAY nor WAYLAND_DISPLAY is set. Log in to a desktop, or use `ssh -X`. {GO_ON}"
        )));
    }
    Ok(())
}

fn explain(error: &eframe::Error) -> Error {
    let (what, remedy) = match error {
        eframe::Error::Wgpu(_) => (
            "No graphics adapter can draw the window",
            "Install a graphics driver with Vulkan and its loader (Debian and Ubuntu: `apt install libvulkan1 mesa-vulkan-drivers`).",
        ),
        eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => (
            "The display cannot be used",
            "Check DISPLAY or WAYLAND_DISPLAY (Debian and Ubuntu: `apt install libxkbcommon-x11-0 libxcursor1 libxi6 libxrandr2 libx11-xcb1`).",
        ),
        eframe::Error::AppCreation(_) => ("The window cannot be opened", "Start it from a desktop session."),
    };
    Error::device(format!("{what}: {error}. {remedy} {GO_ON}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_photos_and_recipes_win_over_the_session() {
        let kept = || {
            let mut session = Session { photos: vec!["old.png".into()], ..Session::default() };
            session.recipe.object = "ring".into();
            Restored::Session(Box::new(session))
        };
        let (session, notes) = merge(kept(), &Options::default());
        assert_eq!((session.photos.len(), session.recipe.object.as_str(), notes.len()), (1, "ring", 0));
        let named = Options { photos: vec!["new.png".into()], ..Options::default() };
        assert!(merge(kept(), &named).0.photos.is_empty(), "the named ones are searched for and added");
        let recipe = Recipe { object: "gear".into(), ..Recipe::default() };
        assert_eq!(merge(kept(), &Options { recipe, ..Options::default() }).0.recipe.object, "gear");
        let (_, notes) =
            merge(Restored::Broken { kept: Some("s.broken".into()), reason: "eof".into() }, &Options::default());
        assert!(notes[0].contains("s.broken"));
    }
}
