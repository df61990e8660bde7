//! What a worker may not say or hand over: nothing more is taken from one that did, and it is ended.

use process_core::intake::Refused;
use process_core::system::Unfit;

/// What a worker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// It sent bytes that are no message, or a descriptor with a message that has none.
    NoMessage,
    /// It sent a message that is not for a parent.
    NotForParents,
    /// It said a second time that it is ready, or that it cannot begin.
    BegunTwice,
    /// It announced memory and sent no descriptor.
    NoDescriptor,
    /// It sent more descriptors than belong to a message.
    TooManyDescriptors,
    /// It sent a descriptor for which this process has no room.
    NoRoom,
    /// It sent a descriptor of something else than memory as it was announced.
    Unfit(Unfit),
}

impl From<Refused> for Violation {
    fn from(why: Refused) -> Self {
        match why {
            Refused::TooMany => Self::TooManyDescriptors,
            Refused::NoRoom => Self::NoRoom,
            Refused::Unsealed => Self::Unfit(Unfit::Unsealed),
        }
    }
}

impl Violation {
    /// Returns what happened, as a clause about the worker.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NoMessage => "it sent what is no message",
            Self::NotForParents => "it sent a message that only its parent may send",
            Self::BegunTwice => "it said more than once how it had begun",
            Self::NoDescriptor => "it announced memory and handed over nothing",
            Self::TooManyDescriptors => "it handed over more descriptors than it should",
            Self::NoRoom => {
                "it handed over memory for which there is no descriptor left; raise the limit on open files"
            }
            Self::Unfit(Unfit::Unsealed) => "it handed over memory that is not sealed against change",
            Self::Unfit(Unfit::OtherLength) => "it handed over memory that is not as long as was said",
            Self::Unfit(Unfit::Missing) => "it handed over memory that is not there",
        }
    }
}
