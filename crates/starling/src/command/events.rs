//! `starling events`: what happens, as it happens.

use std::process::ExitCode;
use std::time::Duration;

use starling_api::backend::Cursor;
use starling_api::client::{ClientError, Events};
use starling_api::types::{EventBody, EventLine};
use tokio::time::{Instant, sleep};

use super::contact::person;
use super::messages;
use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, Page, Piece, Report, bold, dim, good, plain, warn};

/// Between two attempts to reach a node that has gone.
const RETRY: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  starling events
  starling events --json | jq -c 'select(.event == \"peer_up\")'
  starling events --json --since 00000000deadbeef-41    go on behind an event that was read before";

/// Follow what happens in the running node, until interrupted.
///
/// Every event has a cursor; --since goes on behind it. An event named `resync` says that some are lost, because they
/// are too old or the node was started anew: read what you follow from the start.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Begin behind this event instead of now.
    #[arg(long, value_name = "CURSOR")]
    since: Option<Cursor>,

    /// When the node ends, wait so many seconds for it to come back; then end with exit code 3.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    reconnect: u32,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let patience = Duration::from_secs(args.reconnect.into());
    Context::block_on(async {
        let mut events = client::connect(&home)?.events(args.since);
        // Who is not there at the start is not waited for: the user is told at once.
        context.output.show(&events.next().await?)?;
        loop {
            let event = next(&mut events, patience, context.output).await?;
            context.output.show(&event)?;
        }
    })
}

/// The next event; a node that has gone gets `patience` to come back.
async fn next(events: &mut Events, patience: Duration, output: &mut Output) -> Result<EventLine, Failure> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match events.next().await {
            Ok(event) => return Ok(event),
            Err(error) if !is_passing(&error) || begun.elapsed() >= patience => return Err(error.into()),
            Err(_) => {}
        }
        if !told {
            output.warn("the node has gone; waiting for it to come back")?;
            told = true;
        }
        sleep(RETRY).await;
    }
}

/// Whether another attempt may end otherwise.
const fn is_passing(error: &ClientError) -> bool {
    matches!(error, ClientError::NotRunning(_) | ClientError::TimedOut | ClientError::Broken(_))
}

impl Report for EventLine {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let (what, detail) = line(&self.event);
        page.line([what, plain("  "), detail]);
        match &self.event {
            EventBody::Message(message) => page.block(2, &message.text),
            EventBody::MessageChanged(message) => {
                // Deeper than our own words beneath it, for which a line of theirs could pass.
                page.block(4, &message.text);
                for reaction in &message.reactions {
                    let whose =
                        if reaction.from == message.conversation { "they react: " } else { "you react: " };
                    page.indented(2, [dim(whose), messages::reaction(reaction)]);
                }
            }
            EventBody::ContactRequest { name, note, .. } => {
                page.indented(2, [dim("name: "), plain(name)]);
                page.block(2, note);
            }
            EventBody::ContactAccepted { name, .. } => page.indented(2, [dim("name: "), plain(name)]),
            EventBody::Presence { status_line, .. } => page.block(2, status_line),
            _ => {}
        }
    }
}

/// What happened and to whom. What others wrote stands beneath.
fn line(event: &EventBody) -> (Piece<'_>, Piece<'_>) {
    match event {
        EventBody::Ready(ready) => (bold("ready"), plain(ready.node.to_string())),
        EventBody::PeerUp { node } => (good("peer up"), plain(node.to_string())),
        EventBody::PeerDown { node } => (dim("peer down"), plain(node.to_string())),
        EventBody::ContactRequest { account, .. } => (bold("contact request"), plain(account.to_string())),
        EventBody::ContactAccepted { account, .. } => (good("contact accepted"), plain(account.to_string())),
        EventBody::ContactDeclined { account } => (warn("contact declined"), plain(account.to_string())),
        EventBody::RequestStored { account, holders } => {
            (dim("request stored"), plain(format!("{account} at {holders} peers")))
        }
        EventBody::DevicesChanged { account, reset: true, .. } => {
            (warn("account began anew"), plain(format!("{account}: compare with `starling contact verify`")))
        }
        EventBody::DevicesChanged { account, added, .. } => {
            (warn("devices changed"), plain(format!("{account}: {added} new")))
        }
        EventBody::Presence { account, presence, typing, .. } => {
            let typing = if *typing { ", typing" } else { "" };
            (dim("presence"), plain(format!("{account} is {}{typing}", person::word(*presence))))
        }
        EventBody::Message(message) => (bold("message"), plain(message.from.to_string())),
        EventBody::MessageChanged(message) => {
            let how = match (message.deleted, message.edited_at) {
                (true, _) => " is deleted",
                (false, Some(_)) => " is edited",
                (false, None) => "",
            };
            (dim("message changed"), plain(format!("{}{how}", message.id)))
        }
        EventBody::MessageState { id, state, .. } => {
            (dim("message state"), plain(format!("{id} is {}", messages::word(*state))))
        }
        EventBody::Warning { message, .. } => (warn("warning"), plain(message)),
        EventBody::Resync => (warn("resync"), plain("events before this one are lost")),
        _ => (dim("unknown"), plain("an event that this version does not know")),
    }
}

#[cfg(test)]
mod tests {
    use starling_api::types::{Presence, WarningCode};
    use starling_proto::ids::{AccountKey, NodeKey};

    use super::*;

    fn text(event: EventBody) -> String {
        let line = EventLine { cursor: "00000000deadbeef-41".parse().unwrap(), event };
        let mut page = Page::default();
        line.describe(&mut page);
        page.render(false).to_string()
    }

    #[test]
    fn events_read_well() {
        let node = NodeKey::new([7; 32]);
        insta::assert_snapshot!(text(EventBody::PeerUp { node }), @"peer up  starnode1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurs3400v4");
        let warning =
            EventBody::Warning { code: WarningCode::Alone, message: "nobody\u{1b}[2J answers".into() };
        insta::assert_snapshot!(text(warning), @"warning  nobody<U+001B>[2J answers");
        insta::assert_snapshot!(text(EventBody::Resync), @"resync  events before this one are lost");
    }

    #[test]
    fn uix_02_what_others_wrote_stands_beneath() {
        let (account, note) = (AccountKey::new([7; 32]), "one\ncontact accepted\u{1b}[2J".into());
        insta::assert_snapshot!(text(EventBody::ContactRequest { account, name: "Bob\nready".into(), note }), @r"
        contact request  starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx
          name: Bob<U+000A>ready
          one
          contact accepted<U+001B>[2J
        ");
        let presence = EventBody::Presence {
            account,
            presence: Presence::Away,
            status_line: "tea\u{202e}".into(),
            typing: false,
        };
        insta::assert_snapshot!(text(presence), @r"
        presence  starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx is away
          tea<U+202E>
        ");
    }
}
