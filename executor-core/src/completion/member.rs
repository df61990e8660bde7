//! [`Member`]: what a set of futures consists of.

use crate::future::Future;

/// A future, or a pair `(key, future)` whose key says what the future is for. Sealed: these two and no others.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, as_completed};
///
/// let executor = SerialExecutor::new();
/// let pairs = ["one", "three"].map(|word| (word, executor.submit(|text: String| text.len(), word.to_owned()).unwrap()));
/// for (word, length) in as_completed(pairs) {
///     assert_eq!(word.len(), length.result()?);
/// }
/// # Ok::<(), executor_core::TaskError>(())
/// ```
pub trait Member: sealed::Sealed {
    /// The type of the future's value.
    type Value;

    /// Returns the future.
    fn future(&self) -> &Future<Self::Value>;
}

impl<T> Member for Future<T> {
    type Value = T;

    fn future(&self) -> &Future<T> {
        self
    }
}

impl<K, T> Member for (K, Future<T>) {
    type Value = T;

    fn future(&self) -> &Future<T> {
        &self.1
    }
}

pub(crate) use sealed::Sealed;

mod sealed {
    use crate::future::Future;

    #[expect(unnameable_types, reason = "that nobody can name it is what seals `Member`")]
    pub trait Sealed {}

    impl<T> Sealed for Future<T> {}
    impl<K, T> Sealed for (K, Future<T>) {}
}
