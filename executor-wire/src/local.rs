//! Thread-local values that may be used at any time: also while their thread ends and destroys them, and in exit handlers.
//!
//! Values without a destructor ([`local!`](crate::local!)) are never gone. Values with one ([`kept!`](crate::kept!)) can only be
//! reached through [`Kept`], which says if they are gone.

use std::cell::RefCell;
use std::thread::LocalKey;

/// Declares thread-local values without a destructor, which are there until their thread is gone.
///
/// A value that needs a destructor does not compile.
///
/// ```
/// use std::cell::Cell;
///
/// executor_wire::local! {
///     static DEPTH: Cell<u32> = Cell::new(0);
/// }
/// DEPTH.set(DEPTH.get() + 1);
/// assert_eq!(DEPTH.get(), 1);
/// ```
#[macro_export]
macro_rules! local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $start:expr;)*) => {
        const _: () = {
            $(assert!(!::std::mem::needs_drop::<$type>(), "what needs a destructor is declared by `kept!`");)*
        };
        ::std::thread_local! { $($(#[$attribute])* static $name: $type = const { $start };)* }
    };
}

/// Declares a thread-local value that is destroyed when its thread ends, as a [`Kept`](crate::local::Kept).
#[macro_export]
macro_rules! kept {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $start:expr;) => {
        // A constant, which the compiler sees through in every crate; a static is a pointer to a function to call.
        $(#[$attribute])*
        const $name: $crate::local::Kept<$type> = {
            ::std::thread_local! {
                static KEY: ::std::cell::RefCell<$type> = const { ::std::cell::RefCell::new($start) };
            }
            $crate::local::Kept::new(&KEY)
        };
    };
}

/// A thread-local value that may be gone already.
///
/// ```
/// executor_wire::kept! {
///     static WORDS: Vec<String> = Vec::new();
/// }
/// WORDS.with(|words| words.push("kept".to_owned()));
/// assert_eq!(WORDS.with(|words| words.len()), Some(1));
/// ```
#[derive(Debug)]
pub struct Kept<T: 'static>(&'static LocalKey<RefCell<T>>);

impl<T> Kept<T> {
    /// For [`kept!`](crate::kept).
    #[doc(hidden)]
    #[must_use]
    pub const fn new(key: &'static LocalKey<RefCell<T>>) -> Self {
        Self(key)
    }

    /// Runs `f` with the value; `None` if it is gone, or in use by a caller on this thread.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.try_with(|value| value.try_borrow_mut().ok().map(|mut value| f(&mut value))).ok().flatten()
    }

    /// Replaces the value, and returns the old one; `None` if it is gone.
    ///
    /// ```
    /// executor_wire::kept! {
    ///     static WORD: String = String::new();
    /// }
    /// WORD.replace("one".to_owned());
    /// assert_eq!(WORD.replace("two".to_owned()), Some("one".to_owned()));
    /// ```
    #[inline]
    pub fn replace(&self, value: T) -> Option<T> {
        // The old value is dropped outside: its destructor may use this very value.
        self.with(|kept| std::mem::replace(kept, value))
    }

    /// Takes the value, and leaves the default. Returns the default if the value is gone.
    ///
    /// ```
    /// executor_wire::kept! {
    ///     static WORD: Option<&str> = Some("one");
    /// }
    /// assert_eq!([WORD.take(), WORD.take()], [Some("one"), None]);
    /// ```
    #[inline]
    #[must_use]
    pub fn take(&self) -> T
    where
        T: Default,
    {
        self.replace(T::default()).unwrap_or_default()
    }
}
