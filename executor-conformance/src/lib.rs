//! The contract of [`executor_core::Executor`] as named cases, written once and run against every executor.
//!
//! ```text
//!  Subject { name, factory, traits }          cases()
//!        │                                      │  each: name, contract numbers, needs
//!        └──────────────► run_all ◄─────────────┘
//!                            │  needs unmet ──► listed as "not applicable", with the reason
//!                            │  else: watchdog ─► case(&subject) ─► Stage { gates, pool }
//!                            ▼
//!                         Report ── assert_passed() lists every case that failed
//! ```
//!
//! A test of a new executor says how to build it and what it can do. Cases that need more are listed, and do not fail:
//!
//! ```
//! use executor_conformance::{Config, Subject, Traits, run_all};
//! use executor_core::{Executor, SerialExecutor};
//! use std::error::Error;
//!
//! fn build(_: &Config) -> Result<Box<dyn Executor>, Box<dyn Error>> {
//!     Ok(Box::new(SerialExecutor::new()))
//! }
//!
//! let traits = Traits {
//!     concurrent: false, // a task runs at submit
//!     max_workers: 1,
//!     max_queue: usize::MAX,
//!     bounded: false,
//!     sized: false,
//!     initializer: false,
//!     in_process: true,
//!     time_limits: true,
//! };
//! let report = run_all(&Subject { name: "serial", factory: build, traits });
//! println!("{report}");
//! report.assert_passed();
//! ```
//!
//! **A case may not assume that its tasks share memory with it.** Tasks are plain functions with serde arguments, and they
//! meet the case at [`Gate`]s and [`Log`]s, which are files: the same case then holds for threads and for processes.
//!
//! **A case never depends on speed.** It waits for what must happen and leaves "for ever" to the watchdog; where a time
//! limit is the thing under test, the task it limits is held at a gate, so that the limit must expire.
//!
//! The contract numbers (`F2`, `M14`, `H13`) are those of `docs/contract.md` in the project's repository, which says of each
//! behaviour what holds it. [`contract_gaps`] compares that page with the cases. Where this library differs from Python on
//! purpose, the case tests our behaviour and says so.

mod case;
mod cases;
mod contract;
mod gate;
mod on_purpose;
mod run;
mod stage;
mod subject;
mod tasks;
mod watchdog;

pub use case::{Case, Needs};
pub use contract::contract_gaps;
pub use gate::{Gate, Gates, Log};
pub use on_purpose::{OnPurpose, other_panics, silence_panics_on_purpose};
pub use run::{Report, cases, run_all};
pub use subject::{Config, Factory, Initializer, Subject, Traits};
pub use watchdog::step;
