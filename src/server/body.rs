//! A request's body under guard: bytes, pauses and the whole time are bounded, so that neither a huge nor a slow client
//! holds a place for long. What a handler leaves unread is read away for a few seconds, because a client that is still
//! sending when the connection closes never sees the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use tokio::time::{Instant, Sleep};

/// Longest time that an unread rest is read away.
const LINGER: Duration = Duration::from_secs(3);

/// Bounds of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes at most.
    pub bytes: u64,
    /// Longest pause between two pieces.
    pub pause: Duration,
    /// Time for the whole body.
    pub whole: Duration,
}

/// Why a guarded body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is too large")]
    TooLarge,
    #[error("the body comes too slowly")]
    TooSlow,
    #[error("a header inside of the form is too long")]
    HeaderTooLong,
    #[error("the body was cut off")]
    CutOff,
}

/// Bytes that may still be read until the reader says that it got on; see [`Allowance::grant`].
#[derive(Clone, Debug)]
pub struct Allowance(Arc<AtomicU64>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Allowance {
    /// Allows so many bytes from now on. Part headers are kept in memory until their end is seen, so that reader grants
    /// little while it waits for one, and [`u64::MAX`] while content streams to disk.
    pub fn grant(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: u64) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left != u64::MAX {
            self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
        }
        left >= bytes
    }
}

/// See the module.
#[derive(Debug)]
pub struct GuardedBody {
    inner: Option<Body>,
    limits: BodyLimits,
    read: u64,
    started: Instant,
    pause: Pin<Box<Sleep>>,
    allowance: Allowance,
    /// The client waits for a sign before it sends; without one nothing needs reading away.
    unasked: bool,
}

impl GuardedBody {
    pub fn new(inner: Body, limits: BodyLimits, allowance: Allowance, expects_continue: bool) -> Self {
        Self {
            inner: Some(inner),
            limits,
            read: 0,
            started: Instant::now(),
            pause: Box::pin(tokio::time::sleep(limits.pause)),
            allowance,
            unasked: expects_continue,
        }
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.unasked = false;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                this.read += bytes;
                if this.read > this.limits.bytes {
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                }
                if !this.allowance.take(bytes) {
                    return Poll::Ready(Some(Err(BodyError::HeaderTooLong)));
                }
                let now = Instant::now();
                if now - this.started > this.limits.whole {
                    return Poll::Ready(Some(Err(BodyError::TooSlow)));
                }
                this.pause.as_mut().reset(now + this.limits.pause);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                this.inner = None;
                Poll::Ready(Some(Err(BodyError::CutOff)))
            }
            Poll::Ready(None) => {
                this.inner = None;
                Poll::Ready(None)
            }
            Poll::Pending => match this.pause.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::TooSlow))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        let Some(mut body) = self.inner.take() else { return };
        if self.unasked || body.is_end_stream() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut left = self.limits.bytes;
        runtime.spawn(tokio::time::timeout(LINGER, async move {
            while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
                if left == 0 {
                    return;
                }
            }
        }));
    }
}
