//! The state of the large input that is on its way to shared memory.

/// What becomes of the large task that was at the front of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Preparation {
    /// There is none.
    #[default]
    None,
    /// A thread moves its input to shared memory.
    UnderWay,
    /// The same; the task is to be cancelled when it comes back, if it has not begun.
    ToBeCancelled,
}
