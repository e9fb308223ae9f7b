//! The window's side of the engine: what it may ask. A trait, so that tests can put a recorder in the engine's place and
//! feed events by hand.

use std::sync::Arc;

use crate::Recipe;
use crate::engine::lab::Work;
use crate::engine::{Engine, JobId, PhotoId, Request, View};

/// What the window asks of an engine; see [`Engine`] for the meaning of each.
pub trait EnginePort: Send + Sync {
    /// Hands in a wish.
    fn send(&self, request: Request);
    /// Sets the recipe; only the newest counts.
    fn set_recipe(&self, recipe: Recipe);
    /// The photo on the screen.
    fn view(&self, photo: Option<PhotoId>);
    /// Runs work over the networks as a job; see [`crate::engine::lab::answering`] for its answer.
    fn queue_lab(&self, job: JobId, work: Work);
    /// Judges an inspected photo on the caller's thread; a few milliseconds, so not on the window's.
    fn judged(&self, photo: PhotoId) -> Option<View>;
}

impl EnginePort for Engine {
    fn send(&self, request: Request) {
        Self::send(self, request);
    }

    fn set_recipe(&self, recipe: Recipe) {
        Self::set_recipe(self, recipe);
    }

    fn view(&self, photo: Option<PhotoId>) {
        Self::view(self, photo);
    }

    fn queue_lab(&self, job: JobId, work: Work) {
        Self::queue_lab(self, job, work);
    }

    fn judged(&self, photo: PhotoId) -> Option<View> {
        Self::judged(self, photo)
    }
}

impl<T: EnginePort + ?Sized> EnginePort for Arc<T> {
    fn send(&self, request: Request) {
        (**self).send(request);
    }

    fn set_recipe(&self, recipe: Recipe) {
        (**self).set_recipe(recipe);
    }

    fn view(&self, photo: Option<PhotoId>) {
        (**self).view(photo);
    }

    fn queue_lab(&self, job: JobId, work: Work) {
        (**self).queue_lab(job, work);
    }

    fn judged(&self, photo: PhotoId) -> Option<View> {
        (**self).judged(photo)
    }
}
