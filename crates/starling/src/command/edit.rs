//! `starling edit`: a text of ours reads otherwise.

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
  starling edit starmsg1… \"tea at six?\"
  starling edit starmsg1… - < letter.txt          a text from standard input

It travels as a message of its own, whose id is printed: `starling trace` shows how far it has come.";

/// Change a text that you have written, here and for whoever has it. It is shown as edited.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The text's id, as `starling messages --ids` and `starling send` give it.
    id: MessageId,

    /// How it is to read, at most 8192 bytes; `-` reads it from standard input.
    text: String,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let text = Some(input::text(args.text, limits::TEXT)?);
    let request = ChangeMessageRequest { id: args.id, change: MessageChange::Edit, text };
    let sent = Context::block_on(async { Ok(client::connect(&home)?.change_message(&request).await?) })?;
    context.output.show(&sent)?;
    Ok(ExitCode::SUCCESS)
}
