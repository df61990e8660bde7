//! What becomes of an executor one of whose own threads panics.

use crate::error::BrokenExecutor;
use executor_wire::panic::contain_with_text;

/// Runs what a thread of an executor's own does besides user code.
///
/// If that panics, the executor has a fault. What the thread was to do is then not done by anybody: the executor has to break, so
/// that nobody waits for it.
///
/// # Errors
///
/// What to break the executor with. The panic hook has reported the panic by then.
///
/// ```
/// use executor_core::task::guarded;
///
/// assert_eq!(guarded("counter", || 1 + 1).ok(), Some(2));
/// let broken = guarded("counter", || panic!("too many")).unwrap_err();
/// assert!(broken.to_string().contains("counter") && broken.to_string().contains("too many"));
/// ```
pub fn guarded<R>(thread: &str, body: impl FnOnce() -> R) -> Result<R, BrokenExecutor> {
    contain_with_text(body).map_err(|text| {
        let event = format!("a thread of it ({thread}) panicked, which is a fault of this library; please report it");
        BrokenExecutor::new(event, text)
    })
}
