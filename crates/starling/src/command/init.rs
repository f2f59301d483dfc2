//! `starling init`: a new account and its first device.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use serde::Serialize;
use serde::ser::Serializer;
use starling_api::types::Code;
use starling_core::identity::{Identity, IdentityError};
use starling_core::profile::Profile;
use starling_crypto::kdf::{KdfParams, Passphrase};
use starling_crypto::phrase::RecoveryPhrase;
use starling_crypto::session::Vodozemac;
use starling_proto::DecodeError;
use starling_proto::identity::{About, Name};
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_proto::time::{Now, Tick, UnixMillis};
use starling_store::{Database, Home, HomeLock, Protection};

use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::input;
use crate::output::{Page, Piece, Report, bold, dim, good, plain, warn};

/// Words in a row of the recovery phrase as it is shown.
const WORDS_IN_ROW: usize = 4;

const EXAMPLES: &str = "\
Examples:
  starling init --name Alice
  starling init --name Alice --about \"chess, maths, Berlin\" --listed
  starling init --name Bot --no-passphrase --unlisted --json --home /srv/bot";

/// Make an account and this device's keys in a new home.
///
/// Shows the recovery phrase, 24 words, once and never again: write it down. An account that is there is never
/// overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    person: Person,
}

/// Who begins in a new home, and how it is kept.
#[derive(Debug, clap::Args)]
pub(super) struct Person {
    /// What you are called, at most 128 bytes. Anybody may choose the same name; the tag beside it tells you apart.
    #[arg(long, value_parser = name)]
    name: Name,

    /// What you say about yourself, at most 512 bytes. Each of its words can be searched for.
    #[arg(long, value_name = "TEXT", value_parser = about)]
    about: Option<About>,

    /// Appear in the directory: anybody can find you by the words of name and about text.
    #[arg(long, conflicts_with = "unlisted")]
    listed: bool,

    /// Do not appear in the directory. This is the default where nobody can be asked.
    #[arg(long)]
    unlisted: bool,

    /// Keep the key without a passphrase: whoever can read the home can read everything in it.
    #[arg(long, conflicts_with = "passphrase_file")]
    no_passphrase: bool,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let lock = new_home(context)?;
    let (profile, passphrase) = args.person.understood(context)?;
    let mut phrase = None;
    let identity = set_up(&lock, passphrase.as_ref(), |database, now, rng| {
        let (identity, words) = Identity::create::<Vodozemac>(database, &profile, now, rng)?;
        phrase = Some(words);
        Ok(identity)
    })?;
    let account = NewAccount {
        account: identity.account(),
        device: identity.device(),
        name: profile.name.as_str().to_owned(),
        recovery_phrase: phrase.ok_or_else(|| Failure::internal(&"an account without a phrase"))?,
        listed: profile.listed,
        home: lock.home().path().display().to_string(),
    };
    context.output.show(&account)?;
    Ok(ExitCode::SUCCESS)
}

/// The home that is to be, taken for this process. One that has an account is refused before anything is asked.
pub(super) fn new_home(context: &Context<'_>) -> Result<HomeLock, Failure> {
    let home = Home::create(&context.home()?)?;
    if home.has_account() {
        return Err(starling_store::StoreError::AccountExists.into());
    }
    Ok(home.lock()?)
}

impl Person {
    /// What the words mean; asks for what they leave open.
    pub(super) fn understood(
        self,
        context: &mut Context<'_>,
    ) -> Result<(Profile, Option<Passphrase>), Failure> {
        let passphrase = match self.no_passphrase {
            true => None,
            false => Some(context.passphrase().new_one(", or --no-passphrase to do without one")?),
        };
        let mut profile = Profile::new(self.name);
        profile.about = self.about.unwrap_or_default();
        profile.listed = self.listed || (!self.unlisted && ask_listed(context)?);
        Ok((profile, passphrase))
    }
}

/// A name, as the parser wants it.
pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| match error {
        DecodeError::BadText(_) => "a name is more than blanks and holds no control characters".to_owned(),
        other => other.to_string(),
    })
}

/// An about text, as the parser wants it.
pub(super) fn about(text: &str) -> Result<About, String> {
    About::new(text).map_err(|error| match error {
        DecodeError::BadText(_) => "an about text holds no control characters but line feeds".to_owned(),
        other => other.to_string(),
    })
}

/// A new account, as it is shown once.
#[derive(Serialize)]
struct NewAccount {
    #[serde(serialize_with = "as_text")]
    account: AccountKey,
    #[serde(serialize_with = "as_text")]
    device: DeviceKey,
    name: String,
    #[serde(serialize_with = "in_words")]
    recovery_phrase: RecoveryPhrase,
    #[serde(skip)]
    listed: bool,
    #[serde(skip)]
    home: String,
}

impl Report for NewAccount {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([plain("Account "), bold(&self.name), plain(" is made in "), plain(&self.home)]);
        page.table(
            2,
            [
                vec![dim("account"), plain(self.account.to_string())],
                vec![dim("device"), plain(self.device.to_string())],
            ],
        );
        page.line([listing(self.listed)]);
        page.blank();
        page.line([bold("Your recovery phrase")]);
        let words: Vec<&str> = self.recovery_phrase.words().collect();
        page.table(2, rows(&words));
        page.blank();
        page.line([warn("Write these 24 words down, in order, on paper. They are not shown again.")]);
        page.line([plain(
            "Whoever has them has your account. Without them, if this device is lost, so is the account.",
        )]);
        page.line([plain("Do not photograph them, nor keep them on this machine.")]);
        page.blank();
        page.line([plain("Next: `starling run` starts your peer.")]);
    }
}

/// What follows for somebody who is listed, or not.
pub(super) fn listing(listed: bool) -> Piece<'static> {
    if listed {
        good("You will be listed: anybody can find you by the words of your profile.")
    } else {
        dim("You are not listed: nobody can search for you. `starling profile list` changes that.")
    }
}

/// The words, numbered, in rows.
fn rows<'a>(words: &[&'a str]) -> impl Iterator<Item = Vec<Piece<'a>>> {
    let numbered: Vec<(usize, &'a str)> = (1..).zip(words.iter().copied()).collect();
    let rows: Vec<Vec<_>> = numbered.chunks(WORDS_IN_ROW).map(<[_]>::to_vec).collect();
    rows.into_iter().map(|row| {
        row.into_iter().flat_map(|(number, word)| [dim(format!("{number:>2}")), bold(word)]).collect()
    })
}

/// Sets a home up with what `make` writes into it: all of it, or nothing.
pub(super) fn set_up<T>(
    lock: &HomeLock,
    passphrase: Option<&Passphrase>,
    make: impl FnOnce(&mut Database, Now, &mut StdRng) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut rng = random()?;
    let protection = match passphrase {
        Some(passphrase) => Protection::Passphrase { passphrase, params: KdfParams::default() },
        None => Protection::None,
    };
    let now = now()?;
    // Set-up and account draw from generators of their own: one cannot be lent to both.
    let mut account_rng = StdRng::from_rng(&mut rng);
    let mut made = None;
    let database = Home::set_up(lock, &protection, &mut rng, |database| {
        made = Some(make(database, now, &mut account_rng)?);
        Ok::<_, Failure>(())
    })?;
    database.close()?;
    made.ok_or_else(|| Failure::internal(&"the home was set up without an account"))
}

/// Random numbers, seeded by the operating system.
pub(super) fn random() -> Result<StdRng, Failure> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| {
        let message = format!("the operating system gives no random numbers: {error}");
        Failure::new(Code::Failed, message, "try again when the system has started")
    })
}

/// The wall clock. Nothing that is made here depends on running time.
pub(super) fn now() -> Result<Now, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| {
        Failure::new(Code::Failed, "the clock stands before 1970", "set the clock and try again")
    })?;
    let wall = UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Ok(Now { tick: Tick::ZERO, wall })
}

/// Asks whether to be listed. Who cannot be asked is not.
fn ask_listed(context: &mut Context<'_>) -> Result<bool, Failure> {
    let question = "Shall anybody be able to find you by the words of your name and about text?\n\
                    You can change this at any time with `starling profile list` and `unlist`. [y/N] ";
    let answer = input::ask(context.output, question, "use --listed or --unlisted")?;
    Ok(answer.is_some_and(|answer| input::is_yes(&answer)))
}

pub(super) fn as_text<T: ToString, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_string())
}

fn in_words<S: Serializer>(phrase: &RecoveryPhrase, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&phrase.to_text())
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Exists => starling_store::StoreError::AccountExists.into(),
            IdentityError::Absent => starling_store::StoreError::NoAccount.into(),
            IdentityError::Waiting => Self::new(
                Code::Conflict,
                error.to_string(),
                "link it on the account's other device, and bring what that wrote: starling device join FILE",
            ),
            IdentityError::Storage(_) | IdentityError::Damaged(_) => {
                Self::new(Code::Storage, error.to_string(), "`starling doctor` looks for the cause")
            }
            _ => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_crypto::secret::Secret;

    use super::*;

    fn account() -> NewAccount {
        NewAccount {
            account: AccountKey::new([1; 32]),
            device: DeviceKey::new([2; 32]),
            name: "Alice".into(),
            recovery_phrase: RecoveryPhrase::from_entropy(&Secret::copy_of(&[0x7f; 32])),
            listed: false,
            home: "/srv/alice".into(),
        }
    }

    #[test]
    fn the_phrase_is_shown_with_what_to_do_with_it() {
        let account = account();
        let mut page = Page::default();
        account.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false));
    }

    #[test]
    fn programs_get_the_contract() {
        insta::assert_snapshot!(serde_json::to_string(&account()).unwrap());
    }
}
