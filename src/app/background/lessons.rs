//! Trainings on threads of their own: the data that is read, the pace that is measured, the run itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Background, News, Shared};
use crate::app::lesson::{Course, LessonNews};
use crate::gpu::DevicePolicy;
use crate::{Error, Result};

/// News that are no milestone keep this distance.
const NEWS_APART: Duration = Duration::from_millis(100);

impl Background {
    /// Looks at the data until it is understood or `stop` is set.
    pub fn read_lesson<C: Course>(&self, setup: C::Setup, of: C::Source, stop: Arc<AtomicBool>)
    where
        News: From<LessonNews<C>>,
    {
        self.spawn("hairline-train-data", move |shared| {
            let mut told = Instant::now();
            let data = C::read(&setup, &mut |done, total| {
                if told.elapsed() >= NEWS_APART {
                    told = Instant::now();
                    shared.tell(LessonNews::<C>::Reading { of: of.clone(), done, total }.into());
                }
                wanted(shared, &stop)
            });
            shared.tell(LessonNews::<C>::Read { of, data: data.map(Arc::new) }.into());
        });
    }

    /// Measures how long training will take.
    pub fn measure_pace<C: Course>(
        &self,
        setup: C::Setup,
        data: Arc<C::Data>,
        device: DevicePolicy,
        stop: Arc<AtomicBool>,
    ) where
        News: From<LessonNews<C>>,
    {
        self.spawn("hairline-pace", move |shared| {
            let pace = guarded_run(|| C::measure(&setup, &data, device, &mut || wanted(shared, &stop)));
            shared.tell(LessonNews::<C>::Paced(pace).into());
        });
    }

    /// Trains until it is through or `stop` is set.
    pub fn train<C: Course>(
        &self,
        setup: C::Setup,
        data: Arc<C::Data>,
        out: PathBuf,
        device: DevicePolicy,
        stop: Arc<AtomicBool>,
    ) where
        News: From<LessonNews<C>>,
    {
        self.spawn("hairline-train", move |shared| {
            let mut told = Instant::now();
            let ended = guarded_run(|| {
                C::train(&setup, &data, &out, device, &mut |event| {
                    // Batches may come by the hundred; the window draws what it can.
                    if C::is_milestone(event) || told.elapsed() >= NEWS_APART {
                        told = Instant::now();
                        shared.tell(LessonNews::<C>::Told(event.clone()).into());
                    }
                    wanted(shared, &stop)
                })
            });
            shared.tell(LessonNews::<C>::Ended(ended).into());
        });
    }
}

fn wanted(shared: &Shared, stop: &AtomicBool) -> bool {
    !stop.load(Ordering::Relaxed) && !shared.lock().stopping
}

/// A network that panics (a driver, too little memory) must not leave the window waiting.
fn guarded_run<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or_else(|_| {
        let text = "The network failed. Try a smaller batch, or start the program with `--device cpu`.";
        Err(Error::device(text))
    })
}
