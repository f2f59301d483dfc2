//! What the store promises, one module for each behaviour, through its public interface only.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests compute small known numbers, and what they do not expect is to fail loudly"
)]

mod backup;
mod common;
mod conformance;
mod crash;
mod damage;
mod home;
mod readers;
mod schemas;
mod talk;
mod torn;
