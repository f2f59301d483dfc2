//! `starling device request`: a new home, whose device waits to be one of an account.

use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;
use starling_core::candidate::Candidate;
use starling_crypto::kdf::Passphrase;
use starling_crypto::session::Vodozemac;
use starling_proto::identity::DeviceRequest;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_store::{Database, Home, HomeLock};

use crate::command::init::{self, as_text};
use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::output::{Page, Report, bold, dim, plain, warn};

/// On a new device: make its keys, and show the code with which another device of the account links it.
///
/// Where a device waits already, its code is shown again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The account, as `starling whoami` shows it on a device that has it.
    account: AccountKey,

    /// Keep the key without a passphrase: whoever can read the home can read everything in it.
    #[arg(long, conflicts_with = "passphrase_file")]
    no_passphrase: bool,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let home = Home::create(&context.home()?)?;
    let lock = home.lock()?;
    let candidate = if lock.home().has_account() {
        let (candidate, database) = waiting(&lock, context)?;
        database.close()?;
        if candidate.request().body.account != args.account {
            let waits_for = candidate.request().body.account;
            let message = format!("the device in this home waits to be linked to {waits_for}");
            return Err(Failure::new(Code::Conflict, message, "use another home: --home DIR"));
        }
        candidate
    } else {
        let passphrase: Option<Passphrase> = match args.no_passphrase {
            true => None,
            false => Some(context.passphrase().new_one(", or --no-passphrase to do without one")?),
        };
        init::set_up(&lock, passphrase.as_ref(), |database, now, rng| {
            Ok(Candidate::create::<Vodozemac>(database, args.account, now, rng)?)
        })?
    };
    let request = candidate.request();
    context.output.show(&Asked {
        account: request.body.account,
        device: request.body.device,
        code: request.clone(),
        home: lock.home().path().display().to_string(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The device that waits in a home, and its database.
///
/// # Errors
/// There is an account already, or nothing at all.
pub(super) fn waiting(lock: &HomeLock, context: &mut Context<'_>) -> Result<(Candidate, Database), Failure> {
    let home = lock.home();
    let passphrase = match home.needs_passphrase()? {
        true => Some(context.passphrase().existing()?),
        false => None,
    };
    let database = Database::open(lock, &home.unlock(passphrase.as_ref())?)?;
    match Candidate::find(&database)? {
        Some(candidate) => Ok((candidate, database)),
        None => Err(starling_store::StoreError::AccountExists.into()),
    }
}

/// A device that waits, as it is shown.
#[derive(Serialize)]
struct Asked {
    #[serde(serialize_with = "as_text")]
    account: AccountKey,
    #[serde(serialize_with = "as_text")]
    device: DeviceKey,
    #[serde(serialize_with = "as_text")]
    code: DeviceRequest,
    #[serde(skip)]
    home: String,
}

impl Report for Asked {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([plain("A device that waits to be linked is in "), plain(&self.home)]);
        page.table(
            2,
            [
                vec![dim("account"), plain(self.account.to_string())],
                vec![dim("device"), bold(self.device.to_string())],
            ],
        );
        page.blank();
        page.line([plain("On a device that has the account, while its peer runs:")]);
        page.blank();
        page.line([bold(format!("starling device link {} new.archive", self.code))]);
        page.blank();
        page.line([warn(
            "Show the code to nobody else: it opens what the other device writes for this one.",
        )]);
        page.line([plain("Then bring the file here: starling device join new.archive")]);
    }
}
