//! `starling delete`: a text of ours is to be no more.

use std::process::ExitCode;

use starling_api::types::{ChangeMessageRequest, MessageChange};
use starling_proto::ids::MessageId;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  starling delete starmsg1…

It travels as a message of its own, whose id is printed: `starling trace` shows how far it has come. Whoever has read or
copied the text still knows it, and a peer that was changed may keep it.";

/// Delete a text that you have written, here and for whoever has it. That there was one is still shown.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The text's id, as `starling messages --ids` and `starling send` give it.
    id: MessageId,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let request = ChangeMessageRequest { id: args.id, change: MessageChange::Delete, text: None };
    let sent = Context::block_on(async { Ok(client::connect(&home)?.change_message(&request).await?) })?;
    context.output.show(&sent)?;
    Ok(ExitCode::SUCCESS)
}
