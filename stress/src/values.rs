//! What a task takes, returns and leaves behind: each counts its making and its end in the books.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use executor_core::TaskError;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entry::Entry;
use crate::home::Home;
use crate::load::Load;
use crate::work::Work;

/// A task's argument: says what to do, and counts its own end.
pub(crate) struct Argument {
    pub(crate) home: Home,
    pub(crate) work: Work,
    pub(crate) load: Load,
}

impl Argument {
    pub(crate) fn new(entry: &Arc<Entry>, work: Work, load: Load) -> Self {
        if work.is_deadly() {
            entry.deadly();
        }
        Self { home: Home::Here(Arc::clone(entry)), work, load }
    }

    /// Returns whether it belongs to the task of these books.
    pub(crate) fn is_of(&self, entry: &Entry) -> bool {
        self.home.number() == entry.number() && self.load.is_of(entry.number())
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        if let Home::Here(entry) = &self.home {
            entry.arguments_dropped.fetch_add(1, Relaxed);
        }
    }
}

/// A task's result or, where panics have payloads, that: counts its making and its end.
pub(crate) struct Value {
    home: Home,
    load: Load,
}

impl Value {
    pub(crate) fn new(home: &Home, load: Load) -> Self {
        if let Home::Here(entry) = home {
            entry.values_made.fetch_add(1, Relaxed);
        }
        Self { home: home.clone(), load }
    }

    /// Whose value it says it is.
    pub(crate) fn entry(&self) -> &Entry {
        match &self.home {
            Home::Here(entry) => entry,
            Home::Away(_) => panic!("a value that came back knows its books"),
        }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Home::Here(entry) = &self.home {
            entry.values_dropped.fetch_add(1, Relaxed);
        }
    }
}

/// What a callback captures: counts its making, its calls and its end.
pub(crate) struct Callback {
    entry: Arc<Entry>,
}

impl Callback {
    pub(crate) fn new(entry: &Arc<Entry>) -> Self {
        entry.callbacks_added.fetch_add(1, Relaxed);
        Self { entry: Arc::clone(entry) }
    }

    pub(crate) fn call(&self, outcome: &Result<Value, TaskError>) {
        self.entry.callbacks_called.fetch_add(1, Relaxed);
        match outcome {
            Ok(value) => self.entry.note_value(value.entry()),
            Err(error) => self.entry.note_error(error),
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.entry.callbacks_dropped.fetch_add(1, Relaxed);
    }
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.home, &self.work, &self.load).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (home, work, load) = <(Home, Work, Load)>::deserialize(deserializer)?;
        if load.is_of(home.number()) { Ok(Self { home, work, load }) } else { Err(D::Error::custom("another's load")) }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.home, &self.load).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (home, load) = <(Home, Load)>::deserialize(deserializer)?;
        if load.is_of(home.number()) { Ok(Self::new(&home, load)) } else { Err(D::Error::custom("another's load")) }
    }
}
