//! [`guarded`]: what happens to an executor when one of its own threads panics.

use crate::error::BrokenExecutor;
use executor_wire::panic::contain_with_text;

/// Runs the work of an executor's own thread, other than user code.
///
/// A panic of it is a fault of the executor, and leaves work undone. So the executor has to break, lest anybody wait for that
/// work.
///
/// # Errors
///
/// The reason to break the executor with. The panic hook has reported the panic by then.
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
