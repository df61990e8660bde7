//! What a parent and its worker agree on: the memory they share, the messages on their socket, what values
//! take along, and the settings with which a worker begins.

pub(crate) mod attachments;
pub(crate) mod layout;
pub(crate) mod message;
pub(crate) mod violation;
pub(crate) mod worker_settings;
