//! `starling react`: what we think of a text.

use std::process::ExitCode;

use starling_api::types::{ChangeMessageRequest, MessageChange};
use starling_proto::ids::MessageId;
use starling_proto::limits;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;

const EXAMPLES: &str = "\
Examples:
  starling react starmsg1… 👍
  starling react starmsg1… --remove";

/// React to a text with a sign or two; the author sees it beside the text.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The text's id, as `starling messages --ids` and `starling send` give it.
    id: MessageId,

    /// The reaction, at most 64 bytes. It takes the place of the one before.
    #[arg(required_unless_present = "remove")]
    reaction: Option<String>,

    /// Take your reaction back.
    #[arg(long, conflicts_with = "reaction")]
    remove: bool,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let text = args.reaction.map(|reaction| input::text(reaction, limits::REACTION)).transpose()?;
    let text = Some(text.unwrap_or_default());
    let request = ChangeMessageRequest { id: args.id, change: MessageChange::React, text };
    let sent = Context::block_on(async { Ok(client::connect(&home)?.change_message(&request).await?) })?;
    context.output.show(&sent)?;
    Ok(ExitCode::SUCCESS)
}
