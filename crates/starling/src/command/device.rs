//! `starling device`: several devices of one account.

mod join;
mod link;
mod request;

use std::process::ExitCode;

use clap::Subcommand;
use starling_api::types::{Device, Devices};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Piece, Report, bold, dim, good, plain, warn};

const EXAMPLES: &str = "\
Examples:
  starling device request starling1…                   on the new device: shows a code
  starling device link starling:device1… new.archive   on a device that has the account
  starling device join new.archive                     on the new device
  starling device list
  starling device revoke stardev1…                     a device that was lost or sold";

/// Use one account on several devices: link, list and revoke them.
///
/// Linked devices find the same contacts and messages, and are kept in step. Each has keys of its own; a device that was
/// lost is revoked, and nobody talks with it any more.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Request(request::Args),
    Link(link::Args),
    Join(join::Args),
    /// Show the account's devices.
    List,
    /// Take a device off the account, for ever: contacts and your other devices talk with it no more.
    Revoke {
        /// Its id, as `starling device list` shows it.
        device: String,
    },
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let revoked = match args.action {
        Action::Request(args) => return request::run(&args, context),
        Action::Link(args) => return link::run(&args, context),
        Action::Join(args) => return join::run(&args, context),
        Action::List => None,
        Action::Revoke { device } => Some(device),
    };
    let home = context.home()?;
    let devices = Context::block_on(async {
        let client = client::connect(&home)?;
        Ok(match revoked {
            None => client.devices().await?,
            Some(device) => client.revoke_device(&device).await?,
        })
    })?;
    context.output.show(&devices)?;
    Ok(ExitCode::SUCCESS)
}

impl Report for Devices {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        if self.revoked {
            page.line([warn("This device is none of the account's any more. The last list that named it:")]);
        }
        page.table(0, self.devices.iter().map(row));
    }
}

fn row(device: &Device) -> Vec<Piece<'_>> {
    let state = match (device.this, device.connected) {
        (true, _) => bold("this one"),
        (false, true) => good("connected"),
        (false, false) => dim("not connected"),
    };
    let may = if device.can_link { "can link others" } else { "" };
    vec![plain(device.device.to_string()), state, dim(device.added.to_string()), dim(may)]
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::{AccountKey, DeviceKey};
    use starling_proto::time::UnixSeconds;

    use super::*;

    #[test]
    fn devices_are_shown_and_a_revoked_one_is_told() {
        let device = |n: u8, this| Device {
            device: DeviceKey::new([n; 32]),
            added: UnixSeconds::new(1_800_000_000).into(),
            this,
            can_link: n == 1,
            connected: !this && n < 3,
        };
        let devices = vec![device(1, false), device(2, true), device(3, false)];
        let mut devices = Devices { account: AccountKey::new([9; 32]), devices, revoked: false };
        let shown = |devices: &Devices| {
            let mut page = Page::default();
            devices.describe(&mut page);
            page.render(false).to_string()
        };
        let first = shown(&devices);
        devices.revoked = true;
        insta::assert_snapshot!(format!("{first}\n{}", shown(&devices)));
    }
}
