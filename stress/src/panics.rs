//! Panics that are to be, and how they are kept silent.

use std::convert::Infallible;
use std::panic;

use crate::values::Value;
use crate::work::EXPECTED;

/// A panic that a callback or an input iterator starts; it belongs to no task, so it is not counted.
pub(crate) struct StrayPanic;

/// The panics of tasks, callbacks and inputs are part of the program; only others are news.
pub(crate) fn silence_expected() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let told = payload.downcast_ref::<String>().is_some_and(|text| text.starts_with(EXPECTED));
        if !told && !payload.is::<Value>() && !payload.is::<StrayPanic>() {
            report(panic);
        }
    }));
}

/// What a worker does before its first task: keeps silent about panics that are to be.
pub(crate) fn initialize_worker() -> Result<(), Infallible> {
    silence_expected();
    Ok(())
}
