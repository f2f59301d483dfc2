//! Accounts, devices, and the keys with which a stranger can reach them.
//!
//! Each type is what its bytes say and no more: lengths and counts have been checked, signatures have not. Those that
//! carry a signature keep the signed bytes as they were received, as [`crate::record::Record`] does.

mod bundle;
mod cert;
mod directory;
mod list;
mod locator;
mod request;
mod signer;

pub use bundle::{Bundle, Envelope, InboxEpoch, InboxKey};
pub use cert::{DeviceCert, DeviceCertBody};
pub use directory::{About, DirectoryEntry, Keyword, Name};
pub use list::{DeviceList, DeviceListBody, ListedDevice, Revocation};
pub use locator::{LocatorBody, LocatorSecret};
pub use request::DeviceRequest;
pub use signer::Signer;

#[cfg(test)]
mod tests;
