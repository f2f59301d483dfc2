//! Many overlays on a virtual clock: the shipping machine, a network in a box, one seed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "tests compute small known numbers"
)]

#[cfg(test)]
mod finding;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod net;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod records;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod serving;
