//! `starling messages`: a conversation.

use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::{Message, MessageState, Messages, MessagesRequest, Reaction};
use starling_proto::ids::MessageId;

use super::contact::person;
use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Form, Local, Page, Piece, Report, bad, bold, dim, good, plain, written};

const EXAMPLES: &str = "\
Examples:
  starling messages bob
  starling messages bob --search croquet
  starling messages bob --limit 20 --before starmsg1…     the 20 before that one
  starling messages bob --ids                             what `edit`, `delete`, `react` and `send --reply-to` want
  starling messages bob --json | jq -r '.messages[].text'";

/// Show the messages with a contact, oldest first. What is shown counts as read, and its author is told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// With whom: a petname, an account id, or 8 letters or more of its beginning.
    who: String,

    /// Show at most N messages, the latest.
    #[arg(long, value_name = "N", default_value_t = MessagesRequest::DEFAULT_LIMIT)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(MessagesRequest::LONGEST)))]
    limit: u16,

    /// Show only messages before this one.
    #[arg(long, value_name = "ID")]
    before: Option<MessageId>,

    /// Show only messages that hold this text.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Show the id of each message.
    #[arg(long)]
    ids: bool,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let form = context.output.form();
    let Args { who, limit, before, search, ids } = args;
    let request = MessagesRequest { who, before, limit, search };
    let conversation = Context::block_on(async {
        let client = client::connect(&home)?;
        let read = client.messages(&request).await?;
        // A program knows whom it asked for.
        let with = match (form, read.messages.first()) {
            (Form::Text, Some(message)) => {
                let contacts = client.contacts().await?.contacts;
                contacts.into_iter().find(|contact| contact.account == message.conversation)
            }
            _ => None,
        };
        let with = with.map(|contact| person::title(&contact));
        Ok(Conversation { full: read.messages.len() == usize::from(limit), read, with, ids })
    })?;
    context.output.show(&conversation)?;
    Ok(ExitCode::SUCCESS)
}

/// How far a message has come, in a word.
pub(super) const fn word(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "queued",
        MessageState::Stored => "stored",
        MessageState::Delivered => "delivered",
        MessageState::Read => "read",
        MessageState::Failed => "failed",
    }
}

/// The same, as it is shown.
pub(super) fn state<'a>(state: MessageState) -> Piece<'a> {
    match state {
        MessageState::Queued | MessageState::Stored => dim(word(state)),
        MessageState::Delivered | MessageState::Read => good(word(state)),
        MessageState::Failed => bad(word(state)),
    }
}

/// What somebody thinks of a message: its first line, as words, since signs may be joined of several.
pub(super) fn reaction(reaction: &Reaction) -> Piece<'_> {
    written(&reaction.reaction).next().unwrap_or_else(|| plain(""))
}

/// How many peers keep a message, if any do.
pub(super) fn holders<'a>(holders: Option<u32>) -> Piece<'a> {
    match holders {
        None => plain(""),
        Some(1) => dim(" with 1 peer"),
        Some(peers) => dim(format!(" with {peers} peers")),
    }
}

/// A part of a conversation.
#[derive(Serialize)]
struct Conversation {
    #[serde(flatten)]
    read: Messages,
    /// With whom, in a line.
    #[serde(skip)]
    with: Option<String>,
    /// Whether there may be older ones.
    #[serde(skip)]
    full: bool,
    /// Whether each shows its id.
    #[serde(skip)]
    ids: bool,
}

impl Report for Conversation {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let messages = &self.read.messages;
        if let Some(with) = &self.with {
            page.line([bold(with)]);
        }
        let mut rows = Vec::new();
        let mut day = String::new();
        for message in messages {
            let at = Local::of(message.sent_at);
            if at.day() != day {
                day = at.day();
                page.table(2, std::mem::take(&mut rows));
                page.line([dim(day.clone())]);
            }
            rows.extend(rows_of(message, &at));
            rows.extend(self.remarks(message));
        }
        page.table(2, rows);
        match messages.first() {
            None => page.line([dim("no messages")]),
            Some(first) if self.full => page.line([dim(format!("older ones: --before {}", first.id))]),
            Some(_) => {}
        }
    }
}

impl Conversation {
    /// What else is to be said of a message, each in a row whose word of ours stands in the column of the states.
    fn remarks<'a>(&'a self, message: &'a Message) -> Vec<Vec<Piece<'a>>> {
        let remark = |who: &'a str, word: &'a str, piece| vec![plain(""), plain(who), dim(word), piece];
        let mut rows = Vec::new();
        if let Some(answered) = &message.reply_to {
            let known = self.read.messages.iter().find(|known| known.id == *answered && !known.deleted);
            let quote = known.and_then(|known| written(&known.text).next());
            rows.push(remark("", "answers", quote.unwrap_or_else(|| dim(answered.to_string()))));
        }
        if message.deleted {
            rows.push(remark("", "deleted", plain("")));
        }
        if let Some(at) = message.edited_at {
            let at = Local::of(at);
            rows.push(remark("", "edited", dim(format!("{} {}", at.day(), at.minute()))));
        }
        if let Some(at) = message.disappears_at {
            let at = Local::of(at);
            rows.push(remark("", "until", dim(format!("{} {}", at.day(), at.minute()))));
        }
        for reaction in &message.reactions {
            let who = if reaction.from == message.conversation { "they" } else { "you" };
            rows.push(remark(who, "react", self::reaction(reaction)));
        }
        if self.ids {
            rows.push(remark("", "id", dim(message.id.to_string())));
        }
        rows
    }
}

/// Time, author, state and text in columns. Words of ours stand before those of others, so that none can be taken for
/// the other; what has not arrived shows its id, which `starling trace` wants.
fn rows_of<'a>(message: &'a Message, at: &Local) -> Vec<Vec<Piece<'a>>> {
    let (who, state) = match message.mine {
        true => (bold("you"), state(message.state)),
        false => (plain("they"), plain("")),
    };
    let mut lines = written(&message.text);
    let first = lines.next().unwrap_or_else(|| plain(""));
    let beneath = |piece| vec![plain(""), plain(""), plain(""), piece];
    let mut rows = vec![vec![dim(at.minute()), who, state, first]];
    rows.extend(lines.map(beneath));
    if message.mine && !matches!(message.state, MessageState::Delivered | MessageState::Read) {
        rows.push(beneath(dim(message.id.to_string())));
    }
    rows
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::AccountKey;

    use super::*;

    fn message(n: u8, mine: bool, text: &str, state: MessageState) -> Message {
        Message {
            id: MessageId::new([n; 16]),
            conversation: AccountKey::new([1; 32]),
            from: AccountKey::new([if mine { 2 } else { 1 }; 32]),
            mine,
            text: text.into(),
            sent_at: format!("2026-11-2{n}T11:30:00.000Z").parse().unwrap(),
            received_at: format!("2026-11-2{n}T11:30:00.000Z").parse().unwrap(),
            state,
            holders: None,
            reply_to: None,
            edited_at: None,
            deleted: false,
            disappears_after_s: None,
            disappears_at: None,
            reactions: Vec::new(),
        }
    }

    fn text(messages: Vec<Message>, full: bool) -> String {
        let conversation = Conversation {
            read: Messages { messages },
            with: Some("Bob abcd-efgh".into()),
            full,
            ids: false,
        };
        let mut page = Page::default();
        conversation.describe(&mut page);
        page.render(false).to_string()
    }

    /// The lines without day and time, which depend on the machine's zone.
    fn columns(text: &str) -> Vec<&str> {
        text.lines().map(|line| line.get(9..).unwrap_or_default()).collect()
    }

    #[test]
    fn a_conversation_stands_in_columns() {
        let shown = text(
            vec![
                message(1, false, "hello\nyou  read  I owe you\u{1b}[2J", MessageState::Delivered),
                message(1, true, "hi", MessageState::Read),
                message(1, true, "still there?", MessageState::Queued),
            ],
            false,
        );
        let id = MessageId::new([1; 16]).to_string();
        assert_eq!(
            columns(&shown)[2..],
            [
                "they          hello",
                "              you  read  I owe you<U+001B>[2J",
                "you   read    hi",
                "you   queued  still there?",
                &format!("              {id}"),
            ]
        );
        assert!(shown.starts_with("Bob abcd-efgh\n2026-11-21 ("), "{shown}");
    }

    #[test]
    fn what_was_said_about_a_message_stands_beneath_it() {
        let first = Message {
            edited_at: Some("2026-11-21T11:31:00.000Z".parse().unwrap()),
            reactions: vec![Reaction { from: AccountKey::new([2; 32]), reaction: "+1\nyou".into() }],
            ..message(1, false, "tea at six?", MessageState::Read)
        };
        let answer = Message {
            reply_to: Some(first.id),
            reactions: vec![Reaction { from: AccountKey::new([1; 32]), reaction: "\u{1b}[2J".into() }],
            ..message(2, true, "yes", MessageState::Read)
        };
        let gone = Message { deleted: true, ..message(2, true, "", MessageState::Read) };
        let shown = text(vec![first, answer, gone], false);
        let shown: Vec<String> = columns(&shown)[2..]
            .iter()
            .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(shown[1].starts_with("edited 2026-11-21"), "{shown:?}");
        assert_eq!(
            [&shown[..1], &shown[2..3], &shown[4..]].concat(),
            [
                "they tea at six?",
                "you react +1",
                "you read yes",
                "answers tea at six?",
                "they react <U+001B>[2J",
                "you read",
                "deleted",
            ]
        );
    }

    #[test]
    fn each_day_has_a_line() {
        let shown = text(
            vec![message(1, false, "one", MessageState::Read), message(4, false, "two", MessageState::Read)],
            true,
        );
        assert_eq!(shown.lines().filter(|line| line.starts_with("2026-11-2")).count(), 2, "{shown}");
        assert!(shown.ends_with(&format!("older ones: --before {}\n", MessageId::new([1; 16]))), "{shown}");
    }

    #[test]
    fn nothing_is_said() {
        let shown = text(vec![], false);
        assert!(shown.ends_with("no messages\n"), "{shown}");
    }
}
