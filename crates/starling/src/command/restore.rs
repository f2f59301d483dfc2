//! `starling restore`: the account of a recovery phrase, on a device that is new.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;
use starling_core::backup::Origin;
use starling_core::identity::Identity;
use starling_core::profile::Profile;
use starling_crypto::CryptoError;
use starling_crypto::phrase::RecoveryPhrase;
use starling_crypto::session::Vodozemac;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_store::Backup;
use zeroize::Zeroizing;

use super::backup::{self, Copied, For};
use super::init::{self, Person};
use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::input;
use crate::output::{Page, Report, bold, dim, plain, warn};

/// The most of a file that is looked at, in bytes: the longest phrase has 215, and blanks do not matter.
const LONGEST: usize = 4096;

const EXAMPLES: &str = "\
Examples:
  starling restore --name Alice
  starling restore --name Alice --listed --phrase-file phrase.txt
  pass show starling/phrase | starling restore --name Alice --phrase-file -
  starling restore alice.starling                    with what `starling backup` wrote";

/// Bring an account back on a new device, from its recovery phrase, and what it had from a backup.
///
/// Asks for the 24 words that `starling init` showed. Every other device of the account is put out of it: do this when
/// a device is lost, not to have a second one. Contacts and messages were on the lost device: a backup brings them back,
/// and asks the contacts anew, whose peers answer at once. Without one your contacts' devices notice the new one within a
/// day and ask it to be contacts again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The backup; the new home has its passphrase.
    #[arg(value_name = "BACKUP", required_unless_present = "name")]
    #[arg(conflicts_with_all = ["name", "about", "listed", "unlisted", "no_passphrase"])]
    backup: Option<PathBuf>,

    /// Read the recovery phrase from FILE instead of asking for it; - is standard input.
    #[arg(long, value_name = "FILE")]
    phrase_file: Option<PathBuf>,

    #[command(flatten)]
    person: Option<Person>,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let lock = init::new_home(context)?;
    // A wrong passphrase is told before 24 words are typed.
    let mut backup = None;
    if let Some(file) = args.backup {
        let passphrase = context.passphrase().existing()?;
        let (opened, origin) = backup::open(lock.home(), &file, &passphrase)?;
        backup = Some((opened, origin, passphrase));
    }
    let phrase = phrase(args.phrase_file.as_deref(), context)?;
    let own;
    let (profile, passphrase) = match (&backup, args.person) {
        (Some((backup, origin, passphrase)), _) => {
            (of_backup(backup, origin, phrase.account().public())?, Some(passphrase))
        }
        (None, Some(person)) => {
            let profile;
            (profile, own) = person.understood(context)?;
            (profile, own.as_ref())
        }
        (None, None) => return Err(Failure::internal(&"neither a name nor a backup")),
    };
    let mut copied = None;
    let identity = init::set_up(&lock, passphrase, |database, now, rng| {
        let identity = Identity::restore::<Vodozemac>(database, &phrase, &profile, now, rng)?;
        if let Some((backup, ..)) = &backup {
            copied = Some(backup::take_over(backup.reader(), database, now.seconds(), For::Restoring)?);
        }
        Ok(identity)
    })?;
    context.output.show(&Restored {
        account: identity.account(),
        device: identity.device(),
        name: profile.name.as_str().to_owned(),
        copied,
        listed: profile.listed,
        home: lock.home().path().display().to_string(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The profile that is in a backup, if it is one of this account.
fn of_backup(backup: &Backup, origin: &Origin, account: AccountKey) -> Result<Profile, Failure> {
    if origin.account != account {
        return Err(Failure::new(
            Code::BadInput,
            format!("this is a backup of {}, and the recovery phrase is that of {account}", origin.account),
            "use the phrase and the backup of the same account",
        ));
    }
    backup::profile(backup)
}

/// The phrase, from where the user has it.
fn phrase(file: Option<&Path>, context: &mut Context<'_>) -> Result<RecoveryPhrase, Failure> {
    let text = match file {
        Some(path) if path.as_os_str() == "-" => input::text("-".into(), LONGEST).map(Zeroizing::new)?,
        Some(path) => read(path)?,
        None => asked(context)?,
    };
    RecoveryPhrase::parse(&text).map_err(|error| wrong(&error))
}

fn asked(context: &mut Context<'_>) -> Result<Zeroizing<String>, Failure> {
    let question = "The 24 words of the recovery phrase, in order, on one line:\n";
    let hint = "give its file with --phrase-file FILE, or - for standard input";
    let answer = input::ask(context.output, question, hint)?;
    answer.map(Zeroizing::new).ok_or_else(|| {
        Failure::new(Code::BadInput, "the recovery phrase is needed, and nobody can be asked for it", hint)
    })
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let name = path.display();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    let read = File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text));
    read.map_err(|error| {
        let message = format!("the phrase file {name} cannot be read: {error}");
        Failure::new(Code::BadInput, message, "check --phrase-file")
    })?;
    Ok(text)
}

/// What is wrong with a phrase. No word of it is repeated.
fn wrong(error: &CryptoError) -> Failure {
    let (message, hint) = match error {
        CryptoError::PhraseLength { expected, got } => (
            format!("a recovery phrase has {expected} words, and this has {got}"),
            "write all of them, with blanks between",
        ),
        CryptoError::PhraseWord { position } => (
            format!("word {position} is none of those that recovery phrases are made of"),
            "look for a slip of the pen in that word",
        ),
        _ => (
            "these words do not belong together".to_owned(),
            "two of them have changed places, or one was read as another",
        ),
    };
    Failure::new(Code::BadInput, message, hint)
}

/// A restored account, as it is shown.
#[derive(Serialize)]
struct Restored {
    #[serde(serialize_with = "init::as_text")]
    account: AccountKey,
    #[serde(serialize_with = "init::as_text")]
    device: DeviceKey,
    name: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    copied: Option<Copied>,
    #[serde(skip)]
    listed: bool,
    #[serde(skip)]
    home: String,
}

impl Report for Restored {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([
            plain("Account "),
            bold(&self.name),
            plain(" is restored, on a new device, in "),
            plain(&self.home),
        ]);
        page.table(
            2,
            [
                vec![dim("account"), plain(self.account.to_string())],
                vec![dim("device"), plain(self.device.to_string())],
            ],
        );
        page.line([init::listing(self.listed)]);
        page.blank();
        page.line([warn(
            "Every other device of this account is put out of it, once others have heard of this one.",
        )]);
        if let Some(Copied { contacts, messages }) = self.copied {
            page.line([plain(format!(
                "{contacts} contacts and {messages} messages are back. Each contact is asked anew, and their peers answer at once."
            ))]);
            page.line([plain(
                "What had not arrived when the backup was made is shown as failed: send it again.",
            )]);
            page.blank();
            page.line([plain("Next: `starling run --join PEER` starts your peer.")]);
            return;
        }
        page.line([plain(
            "Your contacts' devices notice this one within a day and ask to be contacts again: accept those whom you know.",
        )]);
        page.line([plain(
            "Whose id you have, you can ask at once: `starling contact add ID`. Who knows you has said yes already.",
        )]);
        page.blank();
        page.line([plain("Next: `starling run --join PEER` starts your peer.")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Failure {
        RecoveryPhrase::parse(text).map_err(|error| wrong(&error)).unwrap_err()
    }

    #[test]
    fn each_slip_has_its_own_words_and_none_repeats_the_phrase() {
        let words = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth \
                     useful legal winner thank year wave sausage worth title";
        assert!(RecoveryPhrase::parse(words).is_ok());
        let slips = [
            words.replacen("legal", "xlegal", 1),
            words.replacen("legal ", "", 1),
            words.replacen("legal winner", "winner legal", 1),
        ];
        let told: Vec<String> = slips.iter().map(|slip| format!("{:?}", failed(slip))).collect();
        insta::assert_snapshot!(told.join("\n"));
        assert!(told.iter().all(|told| !told.contains("winner") && !told.contains("xlegal")));
    }

    #[test]
    fn what_follows_is_said() {
        let restored = Restored {
            account: AccountKey::new([1; 32]),
            device: DeviceKey::new([2; 32]),
            name: "Alice".into(),
            copied: None,
            listed: false,
            home: "/srv/alice".into(),
        };
        let mut page = Page::default();
        restored.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false));
        insta::assert_snapshot!(serde_json::to_string(&restored).unwrap());
        let restored = Restored { copied: Some(Copied { contacts: 3, messages: 1024 }), ..restored };
        let mut page = Page::default();
        restored.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false));
        insta::assert_snapshot!(serde_json::to_string(&restored).unwrap());
    }
}
