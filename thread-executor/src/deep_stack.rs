//! Tasks that wait for tasks that wait for tasks. Each runs on top of the one that waits for it, so the stack grows with the
//! depth. When half of it is used, the next task runs on a fresh thread, while this one waits for it.

use crate::settings::Settings;
use executor_core::task::Claimed;
use std::ptr;

/// Where a thread's stack begins, and how large it is.
#[derive(Clone)]
pub(crate) struct DeepStack {
    base: usize,
    size: usize,
    #[cfg(not(any(loom, shuttle)))]
    name: std::sync::Arc<str>,
}

impl DeepStack {
    /// Measures the calling thread's stack, from the caller's frame on.
    pub(crate) fn here(settings: &Settings) -> Self {
        Self {
            base: address_of_frame(),
            size: settings.stack_size,
            #[cfg(not(any(loom, shuttle)))]
            name: format!("{}_deep", settings.thread_name_prefix).into(),
        }
    }

    /// Returns whether half of the stack is used.
    #[inline(never)]
    pub(crate) fn is_deep(&self) -> bool {
        // A model's stack is the model's own.
        !cfg!(any(loom, shuttle)) && address_of_frame().abs_diff(self.base) > self.size / 2
    }

    /// Runs `run` on a fresh thread, after `prepare` has succeeded there, and waits for it. Runs it on the calling thread if
    /// no thread could be started or prepared.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn run_on_another<'a>(
        &self,
        task: Claimed<'a>,
        prepare: impl FnOnce() -> bool + Send,
        run: impl FnOnce(Claimed<'a>, Self) + Send,
    ) {
        // Shared, so that task and work survive a thread that does not get to them.
        let handoff = parking_lot::Mutex::new(Some((task, run)));
        let open = |stack: Self| {
            let taken = handoff.lock().take();
            if let Some((task, run)) = taken {
                run(task, stack);
            }
        };
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name(self.name.to_string()).stack_size(self.size);
            // An error is ignored: what is left in `handoff` runs here.
            let _ = builder.spawn_scoped(scope, || {
                if prepare() {
                    open(Self { base: address_of_frame(), ..self.clone() });
                }
            });
        });
        open(self.clone());
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn run_on_another<'a>(
        &self,
        task: Claimed<'a>,
        _prepare: impl FnOnce() -> bool + Send,
        run: impl FnOnce(Claimed<'a>, Self) + Send,
    ) {
        run(task, self.clone());
    }
}

/// Returns the address of a local variable of a fresh frame.
#[inline(never)]
fn address_of_frame() -> usize {
    let marker = 0_u8;
    ptr::from_ref(std::hint::black_box(&marker)).addr()
}
