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
