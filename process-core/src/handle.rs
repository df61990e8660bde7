//! [`Handle`]: a descriptor as a value.

use crate::attachments::{self, Attachment};
use crate::system;
use crate::untrusted_file::UntrustedFile;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::sync::Arc;

/// A descriptor that may be a part of any value on its way to another process, which then has a descriptor of the same file.
///
/// Cloning shares it; it is closed with its last owner. What another process sent as a `Handle` may be any file.
///
/// ```
/// use process_core::Handle;
/// use std::os::fd::{AsFd, OwnedFd};
///
/// let (reader, writer) = std::io::pipe()?;
/// let handle = Handle::from(OwnedFd::from(writer));
/// let another = handle.duplicate()?;
/// # drop((reader, another));
/// // Where no descriptor can travel, it cannot be encoded.
/// assert!(postcard::to_stdvec(&handle).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handle(Arc<Descriptor>);

#[derive(Debug)]
pub(crate) struct Descriptor {
    id: u64,
    file: File,
}

#[derive(Debug)]
enum File {
    Own(OwnedFd),
    /// Sent by a process that is not believed: its close may block.
    Untrusted(UntrustedFile),
}

impl Descriptor {
    /// Takes a descriptor that came from a process that is believed.
    pub(crate) fn trusted(id: u64, file: OwnedFd) -> Self {
        Self { id, file: File::Own(file) }
    }

    /// Takes a descriptor that came from any other process.
    pub(crate) fn untrusted(id: u64, file: UntrustedFile) -> Self {
        Self { id, file: File::Untrusted(file) }
    }
}

impl Attachment for Descriptor {
    fn id(&self) -> u64 {
        self.id
    }

    fn file(&self) -> BorrowedFd<'_> {
        match &self.file {
            File::Own(file) => file.as_fd(),
            File::Untrusted(file) => file.as_fd(),
        }
    }

    fn sealed_length(&self) -> Option<u64> {
        None
    }
}

impl Handle {
    /// Returns another descriptor of the same file, which is the caller's alone.
    ///
    /// # Errors
    ///
    /// The process may have no more descriptors.
    ///
    /// See the example of [`Handle`].
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        system::duplicate(self)
    }
}

impl From<OwnedFd> for Handle {
    fn from(file: OwnedFd) -> Self {
        Self(Arc::new(Descriptor::trusted(attachments::next_id(), file)))
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file()
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        attachments::note(&self.0)
            .map_err(|reason| S::Error::custom(format_args!("a Handle cannot be sent: {reason}")))?;
        self.0.id.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = u64::deserialize(deserializer)?;
        let found = attachments::find(id);
        found
            .map(Self)
            .map_err(|reason| D::Error::custom(format_args!("the descriptor of a Handle is not there: {reason}")))
    }
}
