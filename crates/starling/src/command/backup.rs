//! `starling backup`: what another device needs to go on, in one encrypted file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use serde::Serialize;
use starling_api::types::Code;
use starling_core::backup::{Origin, SLOTS, kept_contact, kept_message, restored_contact, restored_message};
use starling_core::identity::{Identity, IdentityError};
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
    reader.hold()?;
    let mut rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| Failure::internal(&error))?;
    let protection = (&passphrase, KdfParams::default());
    let mut made = None;
    let bytes = Backup::create(&home, &file, protection, &mut rng, |to| {
        made = Some(copy(&reader, to)?);
        Ok::<_, Failure>(())
    })?;
    drop(reader);
    database.map(Database::close).transpose()?;
    let (account, copied) = made.ok_or_else(|| Failure::internal(&"a backup of nothing"))?;
    let file = file.display().to_string();
    context.output.show(&Made { file, account, copied, bytes })?;
    Ok(ExitCode::SUCCESS)
}

/// How much was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Copied {
    /// People.
    pub(super) contacts: u64,
    /// Messages, and what was said about them.
    pub(super) messages: u64,
}

fn copy(from: &Reader, to: &mut Database) -> Result<(AccountKey, Copied), Failure> {
    let identity = Identity::decode(&from.slot(Slot::Identity)?.ok_or(IdentityError::Absent)?)?;
    let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (account, device) = (identity.account(), identity.device());
    let origin = Origin { account, device, made: UnixSeconds::new(made) };
    to.write_slot(Slot::Origin, &origin.encode()).map_err(storage)?;
    copy_slots(from, to)?;
    let mut copied = Copied::default();
    for row in from.contacts()? {
        if let Some(row) = kept_contact(row).map_err(storage)? {
            to.write_contact(&row).map_err(storage)?;
            copied.contacts = copied.contacts.saturating_add(1);
        }
    }
    copied.messages = copy_history(from, to, "backing up", kept_message)?;
    Ok((account, copied))
}

/// Puts a backup into a home that is being set up. The identity is there already.
///
/// # Errors
/// The backup or the disk fails.
pub(super) fn take_over(from: &Reader, to: &mut Database, now: UnixSeconds) -> Result<Copied, Failure> {
    copy_slots(from, to)?;
    let mut copied = Copied::default();
    for row in from.contacts()? {
        let row = restored_contact(row, now).map_err(storage)?;
        to.write_contact(&row).map_err(storage)?;
        copied.contacts = copied.contacts.saturating_add(1);
    }
    copied.messages = copy_history(from, to, "restoring", restored_message)?;
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
