//! The account's devices.

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_core::view;
use starling_proto::identity::DeviceRequest;
use starling_proto::ids::{AccountKey, DeviceKey};
use utoipa::ToSchema;

use super::{Code, ErrorBody, Time, text};

/// The account's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Devices {
    /// The account id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// Those that are active, the first one first.
    pub devices: Vec<Device>,
    /// Whether the account's list names this device no more: what is shown is the last list that did.
    pub revoked: bool,
}

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub device: DeviceKey,
    /// When its keys were made, by its own clock.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub added: Time,
    /// Whether it is this one.
    pub this: bool,
    /// Whether it can link others.
    pub can_link: bool,
    /// Whether it is connected with this one.
    pub connected: bool,
}

/// Make a device one of the account's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkDeviceRequest {
    /// `starling:device1…`, as the device that waits shows it.
    pub code: String,
}

/// Take a device off the account's list, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeDeviceRequest {
    /// Its id.
    pub device: String,
}

impl TryFrom<LinkDeviceRequest> for Command {
    type Error = ErrorBody;

    fn try_from(request: LinkDeviceRequest) -> Result<Self, ErrorBody> {
        let request: DeviceRequest = request.code.trim().parse().map_err(|error| {
            let hint = "copy all of what `starling device request` shows on the other device";
            ErrorBody::new(Code::BadInput, format!("this is no device code: {error}"), hint)
        })?;
        Ok(Self::LinkDevice(Box::new(request)))
    }
}

impl TryFrom<RevokeDeviceRequest> for Command {
    type Error = ErrorBody;

    fn try_from(request: RevokeDeviceRequest) -> Result<Self, ErrorBody> {
        let device = request.device.trim().parse().map_err(|error| {
            let hint = "`starling device list` shows the ids";
            ErrorBody::new(Code::BadInput, format!("this is no device id: {error}"), hint)
        })?;
        Ok(Self::RevokeDevice(device))
    }
}

impl From<view::Devices> for Devices {
    fn from(view: view::Devices) -> Self {
        let devices = view.devices.into_iter().map(|device| Device {
            device: device.device,
            added: device.added.into(),
            this: device.this,
            can_link: device.can_link,
            connected: device.connected,
        });
        Self { account: view.account, devices: devices.collect(), revoked: view.revoked }
    }
}
