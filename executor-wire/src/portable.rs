//! [`Portable`]: the values that cross from one process to another.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that can be an argument or a result of a task on any executor, in this process or another: one that serde can
/// carry and that owns all it holds. Implemented for every such type.
///
/// A thread pool serializes nothing; the bound is what makes a program that compiles for threads also run on processes.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Picture {
///     width: u32,
///     pixels: Vec<u8>,
/// }
///
/// fn is_portable<T: executor_wire::Portable>() {}
/// is_portable::<Picture>();
/// is_portable::<Result<(String, f64), String>>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument or a result of `submit` or `map`",
    label = "not portable: it must be `Serialize + DeserializeOwned + Send + 'static`",
    note = "derive it: `#[derive(serde::Serialize, serde::Deserialize)]`, and own the data: `String`, not `&str`",
    note = "work that captures, borrows or returns anything else goes to `ThreadPoolExecutor::spawn` or `scope`"
)]
pub trait Portable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Portable for T {}
