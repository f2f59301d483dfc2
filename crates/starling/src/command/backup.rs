//! `starling backup`: what another device needs to go on, in one encrypted file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;
use starling_core::backup::{
    Origin, SLOTS, kept_contact, kept_message, linked_contact, restored_contact, restored_message,
};
use starling_core::identity::{Identity, IdentityError};
use starling_core::profile::Profile;
use starling_core::storage::{
    ContactStore as _, MessageRow, MessageStore as _, Slot, SlotStore as _, StorageError,
};
use starling_crypto::kdf::{KdfParams, Passphrase};
use starling_proto::ids::AccountKey;
use starling_proto::time::UnixSeconds;
use starling_store::{Backup, Database, Home, Reader, StoreError};

use super::init;
use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::output::{Page, Report, bold, dim, plain};
use crate::progress::Bar;

/// Messages that are read in one go.
const ROWS: u32 = 500;

const EXAMPLES: &str = "\
Examples:
  starling backup /media/stick/alice.starling
  starling backup alice-$(date +%F).starling --json
  starling restore alice.starling                    on the new device, with the recovery phrase

The file has profile, settings, contacts and messages, but for those that are to disappear; and neither the recovery phrase nor a key of this device: it is of
use only to whoever has its passphrase, and brings the account back only together with the phrase.";

/// Write contacts, messages and settings into one encrypted file.
///
/// Your peer may run meanwhile, or not. The file opens with the passphrase of this home; where it has none, one is asked
/// for. A file that is there is not overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file to be made.
    file: PathBuf,
}

pub(super) fn run(Args { file }: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let home = Home::open(&context.home()?)?;
    let has_passphrase = home.needs_passphrase()?;
    let source = context.passphrase();
    let passphrase = if has_passphrase { source.existing()? } else { source.new_one("")? };
    let key = home.unlock(has_passphrase.then_some(&passphrase))?;
    // With nobody running, what a crash left is put in order first.
    let database = match home.lock() {
        Ok(lock) => Some(Database::open(&lock, &key)?),
        Err(StoreError::Locked { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let reader = home.readers(&key).open()?;
    let (copied, bytes, identity) = write(&home, &reader, (&file, &passphrase), For::Restoring)?;
    drop(reader);
    database.map(Database::close).transpose()?;
    let file = file.display().to_string();
    context.output.show(&Made { file, account: identity.account(), copied, bytes })?;
    Ok(ExitCode::SUCCESS)
}

/// What an archive is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A device that begins anew, with the recovery phrase.
    Restoring,
    /// One that the account's list names already.
    Linking,
}

/// Writes what another device needs into one encrypted file. Gives how much was copied, and the size in bytes.
///
/// # Errors
/// The home or the disk fails, or there is such a file.
pub(super) fn write(
    home: &Home,
    reader: &Reader,
    (file, passphrase): (&Path, &Passphrase),
    what_for: For,
) -> Result<(Copied, u64, Identity), Failure> {
    reader.hold()?;
    let identity = match reader.slot(Slot::Identity)? {
        Some(bytes) => Identity::decode(&bytes)?,
        None if reader.slot(Slot::Candidate)?.is_some() => return Err(IdentityError::Waiting.into()),
        None => return Err(IdentityError::Absent.into()),
    };
    let mut rng = init::random()?;
    let mut copied = Copied::default();
    let bytes = Backup::create(home, file, (passphrase, KdfParams::default()), &mut rng, |to| {
        copied = copy(reader, to, &identity, what_for)?;
        Ok::<_, Failure>(())
    })?;
    Ok((copied, bytes, identity))
}

/// How much was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Copied {
    /// People.
    pub(super) contacts: u64,
    /// Messages, and what was said about them.
    pub(super) messages: u64,
}

fn copy(from: &Reader, to: &mut Database, identity: &Identity, what_for: For) -> Result<Copied, Failure> {
    let (account, device, made) = (identity.account(), identity.device(), init::now()?.seconds());
    let list = (what_for == For::Linking).then(|| identity.list().list().clone());
    let origin = Origin { account, device, made, list };
    to.write_slot(Slot::Origin, &origin.encode()).map_err(storage)?;
    copy_slots(from, to)?;
    let mut copied = Copied::default();
    // Our own other devices have a row as well.
    for row in from.contacts()?.into_iter().filter(|row| row.account != account) {
        if let Some(row) = kept_contact(row).map_err(storage)? {
            to.write_contact(&row).map_err(storage)?;
            copied.contacts = copied.contacts.saturating_add(1);
        }
    }
    copied.messages = copy_history(from, to, "copying", kept_message)?;
    Ok(copied)
}

/// Puts an archive into a home that is being set up. The identity is there already.
///
/// # Errors
/// The archive or the disk fails.
pub(super) fn take_over(
    from: &Reader,
    to: &mut Database,
    now: UnixSeconds,
    what_for: For,
) -> Result<Copied, Failure> {
    copy_slots(from, to)?;
    let mut copied = Copied::default();
    for row in from.contacts()? {
        let row = match what_for {
            For::Restoring => restored_contact(row, now),
            For::Linking => linked_contact(row, now),
        };
        to.write_contact(&row.map_err(storage)?).map_err(storage)?;
        copied.contacts = copied.contacts.saturating_add(1);
    }
    // The other device goes on delivering what it has written.
    let change = if what_for == For::Restoring { restored_message } else { |row| row };
    copied.messages = copy_history(from, to, "restoring", change)?;
    Ok(copied)
}

fn copy_slots(from: &Reader, to: &mut Database) -> Result<(), Failure> {
    for slot in SLOTS {
        if let Some(bytes) = from.slot(slot)? {
            to.write_slot(slot, &bytes).map_err(storage)?;
        }
    }
    Ok(())
}

fn copy_history(
    from: &Reader,
    to: &mut Database,
    doing: &'static str,
    change: impl Fn(MessageRow) -> MessageRow,
) -> Result<u64, Failure> {
    let all = from.history_rows()?;
    let (bar, mut done, mut last) = (Bar::new("messages".to_owned()), 0_u64, 0_i64);
    loop {
        let rows = from.history(last, ROWS)?;
        if rows.is_empty() {
            return Ok(done);
        }
        for (number, row) in rows {
            to.write_message(&change(row)).map_err(storage)?;
            (last, done) = (number, done.saturating_add(1));
        }
        bar.show(doing, done, all);
    }
}

fn storage(error: StorageError) -> Failure {
    IdentityError::Storage(error).into()
}

/// Opens a backup in the home that is to be made of it.
///
/// # Errors
/// It cannot be read, is none, or is damaged; the passphrase is wrong.
pub(super) fn open(home: &Home, file: &Path, passphrase: &Passphrase) -> Result<(Backup, Origin), Failure> {
    let damaged = || {
        let message = format!("the backup {} is damaged", file.display());
        Failure::new(Code::Storage, message, "use another copy of it; nothing was made here")
    };
    let backup = Backup::open(home, file, passphrase).map_err(|error| match error {
        StoreError::Corrupt(_)
        | StoreError::WrongKey(_)
        | StoreError::NotADatabase(_)
        | StoreError::KeyDamaged(_) => damaged(),
        error => error.into(),
    })?;
    let origin = backup.reader().slot(Slot::Origin)?;
    let origin = origin.and_then(|bytes| Origin::decode(&bytes)).ok_or_else(damaged)?;
    Ok((backup, origin))
}

/// The profile that is in an archive.
///
/// # Errors
/// There is none.
pub(super) fn profile(archive: &Backup) -> Result<Profile, Failure> {
    let profile = archive.reader().slot(Slot::Profile)?;
    let profile = profile.and_then(|bytes| Profile::decode(&bytes));
    profile.ok_or_else(|| IdentityError::Damaged("profile").into())
}

/// A backup that was made, as it is shown.
#[derive(Serialize)]
struct Made {
    file: String,
    #[serde(serialize_with = "init::as_text")]
    account: AccountKey,
    #[serde(flatten)]
    copied: Copied,
    bytes: u64,
}

impl Report for Made {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([plain("Backup in "), bold(&self.file)]);
        let Copied { contacts, messages } = self.copied;
        page.table(
            2,
            [
                vec![dim("account"), plain(self.account.to_string())],
                vec![dim("contacts"), plain(contacts.to_string())],
                vec![dim("messages"), plain(messages.to_string())],
                vec![dim("bytes"), plain(self.bytes.to_string())],
            ],
        );
        page.line([plain(
            "It opens with its passphrase, and brings the account back together with the recovery phrase:",
        )]);
        page.line([plain("starling restore FILE")]);
    }
}
