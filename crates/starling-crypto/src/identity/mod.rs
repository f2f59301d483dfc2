//! Accounts and their devices: certificates, device lists, and what one list may become.
//!
//! A [`VerifiedDevice`] or a [`VerifiedDeviceList`] cannot be had but by checking: code that holds one need not ask.

mod authority;
mod cert;
mod list;
mod make;
mod succession;

pub use authority::Authority;
pub use cert::{VerifiedDevice, accept_cert, issue_cert, verify_chain};
pub use list::VerifiedDeviceList;
pub use make::LIST_LIFE;
pub use succession::{ListChange, ListConflict};

#[cfg(test)]
mod tests;
