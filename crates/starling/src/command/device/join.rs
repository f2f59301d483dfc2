//! `starling device join`: the device that waited is one of the account's now.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_store::{Database, Home};

use super::{link, request};
use crate::command::backup::{self, Copied, For};
use crate::command::init::{self, as_text};
use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::output::{Page, Report, bold, dim, plain};

/// On the new device: take what the other one wrote for it, and be one of the account's.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file that `starling device link` made.
    file: PathBuf,
}

pub(super) fn run(Args { file }: &Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let lock = Home::open(&context.home()?)?.lock()?;
    let (candidate, mut database) = request::waiting(&lock, context)?;
    let body = candidate.request().body.clone();
    let secret = link::secret(candidate.request());
    let foreign = || {
        let message = format!("{} was not written for this device", file.display());
        Failure::new(
            Code::BadInput,
            message,
            "`starling device request` shows its code again, to link it with",
        )
    };
    let (archive, origin) = backup::open(lock.home(), file, &secret)
        .map_err(|failure| if failure.code() == Some(Code::WrongPassphrase) { foreign() } else { failure })?;
    let list = origin.list.filter(|_| origin.account == body.account).ok_or_else(foreign)?;
    let profile = backup::profile(&archive)?;
    let now = init::now()?;
    database.begin()?;
    let taken = candidate
        .join(&mut database, list, &profile, now)
        .map_err(Failure::from)
        .and_then(|_| backup::take_over(archive.reader(), &mut database, now.seconds(), For::Linking));
    let copied = taken.inspect_err(|_| drop(Database::rollback(&mut database)))?;
    database.commit()?;
    database.close()?;
    let name = profile.name.as_str().to_owned();
    context.output.show(&Joined { account: body.account, device: body.device, name, copied })?;
    Ok(ExitCode::SUCCESS)
}

/// A device that has joined, as it is shown.
#[derive(Serialize)]
struct Joined {
    #[serde(serialize_with = "as_text")]
    account: AccountKey,
    #[serde(serialize_with = "as_text")]
    device: DeviceKey,
    name: String,
    #[serde(flatten)]
    copied: Copied,
}

impl Report for Joined {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([plain("This is a device of "), bold(&self.name), plain(" now")]);
        let Copied { contacts, messages } = self.copied;
        page.table(
            2,
            [
                vec![dim("account"), plain(self.account.to_string())],
                vec![dim("device"), plain(self.device.to_string())],
                vec![dim("contacts"), plain(contacts.to_string())],
                vec![dim("messages"), plain(messages.to_string())],
            ],
        );
        page.line([plain("Next: `starling run --join PEER` starts your peer. The file is of no more use.")]);
    }
}
