//! The constructors of the executable that the loader would run after ours. A process that is taken over runs them first, so that
//! it is as far as the program is when its `main` begins: C++ code has its statics, and a build that measures coverage its profile.

use crate::system::each_module;
use std::ffi::{c_char, c_int};
use std::ops::{ControlFlow, Range};
use std::ptr;

/// A constructor as the loader calls it: some C libraries hand over what `main` is given.
pub type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Returns where those lie that come after the one at `place`; none if the loader's tables do not say.
#[must_use]
pub fn after(place: *const Constructor) -> Range<usize> {
    let place = place.addr();
    let found = each_module(|module| match module.constructors() {
        Some(all) if all.contains(&place) => ControlFlow::Break(place + size_of::<Constructor>()..all.end),
        _ => ControlFlow::Continue(()),
    });
    found.unwrap_or(0..0)
}

/// Runs the constructors that lie there.
///
/// # Safety
///
/// The places are those that [`after`] has returned, on the thread that runs the constructor before them, once.
pub unsafe fn run(
    places: Range<usize>,
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    for place in places.step_by(size_of::<Constructor>()) {
        // SAFETY: an entry of the executable's table, which the loader would have called next with the same arguments.
        let constructor = unsafe { ptr::with_exposed_provenance::<Option<Constructor>>(place).read() };
        if let Some(constructor) = constructor {
            constructor(count, arguments, environment);
        }
    }
}
