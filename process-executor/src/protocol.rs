//! What a parent and its worker agree on: the memory they share, and the settings with which a worker begins.

pub(crate) mod layout;
pub(crate) mod worker_settings;
