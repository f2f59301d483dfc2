//! The network in a box: a seeded virtual network with churn, faults and adversaries that runs thousands of real cores and checks them, and the topology lab.
//!
//! Not for: models. What runs here is the shipping core; only the world around it is made up: the clock, the wires,
//! the disks and the dice, all from one seed, and the sessions, whose messages have their lengths but hide nothing.
//!
//! [`network::Network`] holds the nodes and the queue of what is on its way. Same seed, same trace. [`attack`] runs the
//! overlays alone, so that more of them fit and more can be tried ([`overlays`], [`adversary`]).
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "an instrument: a simulation that cannot go on must stop, with its seed"
)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests compute small known numbers"))]

pub mod adversary;
pub mod attack;
mod bodies;
pub mod checks;
pub mod crash;
pub mod faults;
pub mod fuzz;
pub mod network;
pub mod node;
pub mod overlays;
pub mod scale;
pub mod scenario;
mod session;
mod stamps;
pub mod survival;
pub mod traffic;
mod verdicts;
