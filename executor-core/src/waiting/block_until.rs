//! [`block_until`]: blocks a thread until something that only wakes wakers is ready.

use crate::deadline::has_passed;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until `poll` is ready; returns false if the deadline passes first. `None` is a deadline that never comes.
pub(crate) fn block_until(deadline: Option<Instant>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) -> bool {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if poll(&mut cx).is_ready() {
            return true;
        }
        if has_passed(deadline) {
            return false;
        }
        match deadline {
            Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::block_until;
    use crate::deadline::deadline_after;
    use std::task::Poll;
    use std::time::Duration;

    #[test]
    fn a_waker_or_the_deadline_ends_it() {
        assert!(!block_until(deadline_after(Duration::from_millis(1)), |_| Poll::Pending));
        let mut polled = false;
        let ready = block_until(None, |cx| {
            if polled {
                return Poll::Ready(());
            }
            polled = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(ready);
    }
}
