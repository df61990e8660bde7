//! [`Parts`]: what the running chunks of a map have given away, on its way to the map's reader.
//!
//! ```text
//!  running chunk ──part──► executor's queue        another worker runs it, as a chunk like any other
//!                └─future─► Parts ──► window       the reader waits for it, and hands it out in its place
//! ```
//! A part is given before the chunk that it was cut from is done. So a reader that finds the chunk done finds its parts.

use crate::future::Promise;
use crate::map::buffers::{Buffers, ChunkFuture, Done, Span};
use crate::sync::Mutex;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// The parts that the reader has not taken yet.
pub(crate) struct Parts<A, R>(Mutex<State<A, R>>);

struct State<A, R> {
    given: Vec<(Span, ChunkFuture<A, R>)>,
    /// Fulfilled when a part is given, so that a reader that waits hears of it.
    signal: Option<Promise<Done<A, R>>>,
    /// The map is gone, or has given up: parts are not wanted any more.
    closed: bool,
}

impl<A: Send + 'static, R: Send + 'static> Parts<A, R> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { given: Vec::new(), signal: None, closed: false })))
    }

    /// Returns a future that is done when the next part is given. Parts given before are to be taken after this.
    pub(crate) fn listen(&self) -> ChunkFuture<A, R> {
        let (promise, future) = Promise::new();
        let before = self.0.lock().signal.replace(promise);
        drop(before);
        future
    }

    /// Hands parts to the reader; the executor has them by now.
    pub(crate) fn give(&self, mut parts: Vec<(Span, ChunkFuture<A, R>)>) {
        let signal = {
            let mut state = self.0.lock();
            if !state.closed {
                state.given.append(&mut parts);
            }
            state.signal.take()
        };
        stop_all(&parts);
        if let Some(signal) = signal {
            // The reader may have gone meanwhile.
            let _ = signal.set_result(Done { buffers: Buffers::new(), elapsed: Duration::ZERO, bytes: None });
        }
    }
}

impl<A, R> Parts<A, R> {
    /// Takes what was given.
    pub(crate) fn take(&self) -> Vec<(Span, ChunkFuture<A, R>)> {
        mem::take(&mut self.0.lock().given)
    }

    /// Takes what was given. What is given from now on is stopped.
    pub(crate) fn close(&self) -> Vec<(Span, ChunkFuture<A, R>)> {
        let mut state = self.0.lock();
        state.closed = true;
        mem::take(&mut state.given)
    }
}

/// Cancels the parts that have not begun, and asks those that run to stop.
pub(crate) fn stop_all<A, R>(parts: &[(Span, ChunkFuture<A, R>)]) {
    // Last first: a worker that goes on from chunk to chunk must not begin what is about to be cancelled.
    parts.iter().rev().for_each(|(_, future)| future.stop_gently());
}
