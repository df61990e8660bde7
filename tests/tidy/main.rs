//! The rules of CONTRIBUTING.md that a machine can check.

mod agreement;
mod atomics;
mod contract;
mod crates;
mod documents;
mod forbidden;
mod modules;
mod paths;
mod report;
mod rules;
mod sizes;
mod sources;
mod unsafe_code;
