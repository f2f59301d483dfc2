//! `starling contact`: the people one talks to.

mod list;
pub(super) mod person;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use starling_api::client::Client;
use starling_api::types::{AddContactRequest, ChangeContactRequest, Contact, ContactChange, ContactState};
use starling_proto::invite::Invite;
use starling_proto::limits;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::output::{Page, Report, good};

const EXAMPLES: &str = "\
Examples:
  starling contact add starling1… --note \"we met at the chess club\"
  starling contact list                      who asks, who is a contact
  starling contact accept qpzry9x8           8 letters of the id are enough
  starling contact rename qpzry9x8 bob       from now on: starling send bob hello
  starling contact verify bob                is it really him?";

const ADD_EXAMPLES: &str = "\
Examples:
  starling contact add starling1… --note \"we met at the chess club\"
  starling contact add starling:invite1…
  starling contact add - < invite.txt        an invite is a secret: other users see what is typed here";

/// Ask people to be your contacts, answer those who ask, and name, compare or block them.
///
/// Texts go between contacts only: both must have agreed. WHO is a petname, an account id, or 8 letters or more of the
/// beginning of a contact's account id.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Ask somebody to be your contact; if they have asked already, accept them.
    ///
    /// It waits where they will find it, for 30 days, while you and they come and go.
    #[command(after_help = ADD_EXAMPLES)]
    Add(Newcomer),
    /// Accept somebody's request.
    Accept(Who),
    /// Decline somebody's request; they are told.
    Decline(Who),
    /// Forget a contact or a request; messages stay.
    Remove(Who),
    /// Give a contact a petname of yours, or take it back.
    Rename(Petname),
    /// Show everybody who asks, is a contact, was asked, or is blocked.
    List,
    /// Want nothing of somebody any more. They are not told.
    Block(Who),
    /// Take a block back: what was before is again.
    Unblock(Who),
    /// Show 60 digits to compare with a contact: if they are the same on both sides, nobody stands between you.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
}

#[derive(Debug, clap::Args)]
struct Newcomer {
    /// An account id, as `starling search` shows it, or an invite; `-` reads it from standard input.
    #[arg(value_name = "ACCOUNT|INVITE")]
    whom: String,

    /// A few words that go with the request, at most 256 bytes.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(Debug, clap::Args)]
struct Who {
    /// A petname, an account id, or 8 letters or more of its beginning.
    who: String,
}

#[derive(Debug, clap::Args)]
struct Petname {
    /// A petname, an account id, or 8 letters or more of its beginning.
    who: String,

    /// What to call them; without it, by their own name again.
    name: Option<String>,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let client = client::connect(&home)?;
    let (who, change) = match args.action {
        Action::List => return list::run(&client, context),
        Action::Verify(args) => return verify::run(&args, &client, context),
        Action::Add(newcomer) => return add(newcomer, &client, context),
        Action::Rename(Petname { who, name }) => {
            let request = ChangeContactRequest { who, change: ContactChange::Rename, petname: name };
            return make(&request, &client, context);
        }
        Action::Accept(Who { who }) => (who, ContactChange::Accept),
        Action::Decline(Who { who }) => (who, ContactChange::Decline),
        Action::Remove(Who { who }) => (who, ContactChange::Remove),
        Action::Block(Who { who }) => (who, ContactChange::Block),
        Action::Unblock(Who { who }) => (who, ContactChange::Unblock),
    };
    make(&ChangeContactRequest { who, change, petname: None }, &client, context)
}

fn add(newcomer: Newcomer, client: &Client, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let whom = input::text(newcomer.whom, Invite::LONGEST_TEXT.saturating_add(limits::TEXT))?;
    let request = AddContactRequest { whom, note: newcomer.note };
    let contact = Context::block_on(async { Ok(client.add_contact(&request).await?) })?;
    let said = match contact.state {
        ContactState::Accepted => "You are contacts now.",
        _ => "Asked. Whether they accept shows in `starling contact list` and `starling events`.",
    };
    context.output.show(&Changed { contact, said })?;
    Ok(ExitCode::SUCCESS)
}

fn make(
    request: &ChangeContactRequest,
    client: &Client,
    context: &mut Context<'_>,
) -> Result<ExitCode, Failure> {
    let contact = Context::block_on(async { Ok(client.change_contact(request).await?) })?;
    let said = match request.change {
        ContactChange::Accept => "You are contacts now.",
        ContactChange::Decline => "Declined. They are told.",
        ContactChange::Remove => "Forgotten. The messages stay.",
        ContactChange::Block => "Blocked. Nothing of theirs reaches you.",
        ContactChange::Unblock => "No longer blocked.",
        ContactChange::Rename if contact.petname.is_some() => "Renamed.",
        ContactChange::Rename => "They have their own name again.",
        ContactChange::Verify | ContactChange::Unverify => "Noted.",
    };
    context.output.show(&Changed { contact, said })?;
    Ok(ExitCode::SUCCESS)
}

/// What has become of somebody.
#[derive(Serialize)]
struct Changed {
    #[serde(flatten)]
    contact: Contact,
    #[serde(skip)]
    said: &'static str,
}

impl Report for Changed {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([good(self.said)]);
        person::describe(&self.contact, 2, page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_and_shown() {
        let contact = person::tests::contact("Bob", ContactState::Accepted);
        let json = serde_json::to_value(&contact).unwrap();
        let changed = Changed { contact, said: "Renamed." };
        assert_eq!(serde_json::to_value(&changed).unwrap(), json, "programs get the contact");
        let mut page = Page::default();
        changed.describe(&mut page);
        let text = page.render(false);
        assert!(text.starts_with("Renamed.\n  Bob abcd-efgh\n"), "{}", *text);
    }
}
