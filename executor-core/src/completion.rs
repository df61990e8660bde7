//! Many futures at once: [`wait`], [`as_completed`], and the set under both and under `map`.

pub(crate) mod as_completed;
pub(crate) mod into_stream;
pub(crate) mod member;
pub(crate) mod set;
pub(crate) mod wait;

pub use as_completed::{AsCompleted, TimedAsCompleted, Unfinished, as_completed};
pub use into_stream::IntoStream;
pub use member::Member;
pub use wait::{DoneAndNotDone, FirstError, ReturnCondition, ReturnWhen, wait};
