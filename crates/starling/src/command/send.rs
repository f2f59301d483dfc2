//! `starling send`: a text to a contact.

mod wait;

use std::process::ExitCode;

use serde::Serialize;
use starling_api::client::ClientError;
use starling_api::request_id::RequestId;
use starling_api::types::{ErrorBody, SendReply, SendRequest};
use starling_proto::ids::MessageId;
use starling_proto::limits;
use starling_proto::time::Span;

use self::wait::{Goal, Waiting};
use super::messages;
use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::output::{Form, Output, Page, Report, plain};
use crate::span;

const EXAMPLES: &str = "\
Examples:
  starling send bob \"tea at five?\"
  starling send bob - < letter.txt                   a text from standard input
  starling send bob hello --wait delivered           until it is on their disk
  starling send bob hello --wait read --timeout 1h
  starling send bob -- \"--help is no option here\"
  starling send bob \"at five then\" --reply-to starmsg1…
  starling send bob \"the code is 4711\" --disappear 1h

It is on your own disk when the command ends, and goes on trying for 30 days while your peer runs.";

/// Send a text to a contact, and print the message's id and how far it has come.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// To whom: a petname, an account id, or 8 letters or more of its beginning.
    who: String,

    /// What, at most 8192 bytes; `-` reads it from standard input.
    text: String,

    /// Answer this message of the conversation.
    #[arg(long, value_name = "ID")]
    reply_to: Option<MessageId>,

    /// Let it disappear so long after they have read it, and here so long from now: a whole number and s, m, h or d, at
    /// most 365d. What they copy elsewhere stays.
    #[arg(long, value_name = "TIME", value_parser = life)]
    disappear: Option<Span>,

    /// Wait until it has come so far.
    #[arg(long, value_enum)]
    wait: Option<Goal>,

    /// Wait no longer than that: a whole number and s, m, h or d. Then the exit code is 6; the message is tried further.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span::parse, requires = "wait")]
    timeout: Span,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let client = client::connect(&home)?;
    let request = SendRequest {
        reply_to: args.reply_to,
        disappears_after_s: args.disappear.map(seconds),
        ..SendRequest::new(args.who, input::text(args.text, limits::TEXT)?)
    };
    let (sent, ended) = Context::block_on(async {
        let waiting = match args.wait {
            // Before sending, so that nothing is missed.
            Some(goal) => Some(Waiting::begin(&client, &home, goal, args.timeout).await?),
            None => None,
        };
        let id = RequestId::generate().map_err(ClientError::Random)?;
        let mut sent = client.send(&request, &id).await?;
        let ended = match waiting {
            Some(waiting) => waiting.end(&mut sent).await,
            None => Ok(()),
        };
        Ok((sent, ended))
    })?;
    match ended {
        Ok(()) => context.output.show(&sent).map(|()| ExitCode::SUCCESS),
        Err(failure) => unfinished(sent, failure, context.output),
    }
}

/// The message is on its way and the wait is over: programs get both in one document, people both in turn.
fn unfinished(sent: SendReply, failure: Failure, output: &mut Output) -> Result<ExitCode, Failure> {
    match (output.form(), failure.body()) {
        (Form::Json, Some(body)) => {
            output.show(&Unfinished { sent, error: body.clone() })?;
            Ok(failure.exit_code())
        }
        _ => {
            output.show(&sent)?;
            Err(failure)
        }
    }
}

fn life(text: &str) -> Result<Span, String> {
    let life = span::parse(text)?;
    if life > limits::LONGEST_LIFE { Err("at most 365d".to_owned()) } else { Ok(life) }
}

fn seconds(span: Span) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

impl Report for SendReply {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([
            plain(self.id.to_string()),
            plain("  "),
            messages::state(self.state),
            messages::holders(self.holders),
        ]);
    }
}

#[derive(Serialize)]
struct Unfinished {
    #[serde(flatten)]
    sent: SendReply,
    error: ErrorBody,
}

impl Report for Unfinished {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        self.sent.describe(page);
    }
}
