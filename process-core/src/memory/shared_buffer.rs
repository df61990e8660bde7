//! [`SharedBuffer`]: bulk data that crosses to another process without being copied.

use crate::attachments;
use crate::memory::Buffer;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes in memory that other processes read in place: a value that contains one crosses as a number and a descriptor, however long it
/// is. It is read-only once it is built; cloning shares it.
///
/// The memory has no name and no file behind it, and is gone with its last owner in the last process. Where no descriptor travels, it is
/// encoded as its bytes.
///
/// ```
/// use process_core::SharedBuffer;
///
/// fn sum(numbers: &SharedBuffer) -> u64 {
///     numbers.typed::<u64>().unwrap_or_default().iter().sum()
/// }
///
/// let numbers: Vec<u64> = (0..100_000).collect();
/// let buffer = SharedBuffer::from_typed(&numbers)?;
/// assert_eq!(sum(&buffer), 4_999_950_000);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedBuffer(Arc<Buffer>);

/// Plain numbers: every pattern of bits is a value, and there is nothing between the values.
///
/// ```
/// fn is_plain<T: process_core::Plain>() {}
/// is_plain::<f64>();
/// ```
///
/// # Safety
///
/// The type has no padding, no invalid patterns of bits, no pointers and no interior mutability.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($number:ty),*) => {$(
        // SAFETY: a primitive number.
        unsafe impl Plain for $number {}
    )*};
}

plain!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);

impl SharedBuffer {
    /// Copies some bytes.
    ///
    /// # Errors
    ///
    /// The system has no memory, or no descriptor, for it.
    ///
    /// ```
    /// let buffer = process_core::SharedBuffer::from_slice(b"once for all")?;
    /// assert_eq!(&buffer[..4], b"once");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_slice(bytes: &[u8]) -> io::Result<Self> {
        Ok(Self(Arc::new(Buffer::copy_of(bytes)?)))
    }

    /// Copies some numbers.
    ///
    /// # Errors
    ///
    /// As for [`from_slice`](Self::from_slice).
    ///
    /// ```
    /// let buffer = process_core::SharedBuffer::from_typed(&[1.5_f32, 2.5])?;
    /// assert_eq!(buffer.typed::<f32>(), Some(&[1.5, 2.5][..]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_typed<T: Plain>(values: &[T]) -> io::Result<Self> {
        // SAFETY: plain values are their bytes.
        Self::from_slice(unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
    }

    /// Makes one of `length` bytes, zero until `fill` has written them in place.
    ///
    /// # Errors
    ///
    /// As for [`from_slice`](Self::from_slice).
    ///
    /// ```
    /// let buffer = process_core::SharedBuffer::build(3, |bytes| bytes[1] = 7)?;
    /// assert_eq!(&*buffer, [0, 7, 0]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn build(length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        Ok(Self(Arc::new(Buffer::build(length, fill)?)))
    }

    /// Returns the bytes as numbers; `None` if their count does not fit.
    ///
    /// ```
    /// let buffer = process_core::SharedBuffer::from_slice(&[1, 0, 2, 0])?;
    /// assert_eq!(buffer.typed::<u16>().map(<[u16]>::len), Some(2));
    /// assert_eq!(buffer.typed::<u64>(), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn typed<T: Plain>(&self) -> Option<&[T]> {
        let bytes = self.0.bytes();
        let size = size_of::<T>();
        if size == 0 || !bytes.len().is_multiple_of(size) || !bytes.as_ptr().addr().is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: aligned, of the right length, and any bytes are plain values.
        Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size) })
    }
}

impl Deref for SharedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for SharedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for SharedBuffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedBuffer {}

impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").field("length", &self.len()).finish_non_exhaustive()
    }
}

/// How it is written: by number where memory can be handed over, else with all its bytes.
#[derive(Serialize, Deserialize)]
enum Written {
    Number { id: u64, length: u64 },
    Bytes(Vec<u8>),
}

impl Serialize for SharedBuffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = if attachments::note(&self.0).is_ok() {
            Written::Number { id: self.0.id(), length: self.0.length() }
        } else {
            Written::Bytes(self.to_vec())
        };
        written.serialize(serializer).map_err(S::Error::custom)
    }
}

impl<'de> Deserialize<'de> for SharedBuffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number { id, length } => {
                let buffer = attachments::find::<Buffer>(id).map_err(|reason| {
                    D::Error::custom(format_args!("the memory of a SharedBuffer is not there: {reason}"))
                })?;
                if buffer.length() != length {
                    return Err(D::Error::custom("the memory of a SharedBuffer is not as long as it was"));
                }
                Ok(Self(buffer))
            }
            Written::Bytes(bytes) => Self::from_slice(&bytes).map_err(D::Error::custom),
        }
    }
}
