//! `starling settings`: what others learn of us.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use starling_api::types::{Availability, PassOn, Settings, SettingsRequest};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Piece, Report, dim, good, plain};

const EXAMPLES: &str = "\
Examples:
  starling settings show
  starling settings set --read-receipts off --typing off
  starling settings set --status busy --line \"until five\"
  starling settings set --status online --line \"\"
  starling settings set --pass-on directory";

/// Show or change what others learn of you: that you read, that you type, how you appear, and who places or looks for
/// what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Change settings; what is not named stays.
    #[command(after_help = EXAMPLES)]
    Set(Changes),
    /// Show the settings.
    Show,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// Whether authors learn that you have read their messages.
    #[arg(long, value_enum, value_name = "ON|OFF")]
    read_receipts: Option<Switch>,

    /// Whether contacts see that you are typing to them.
    #[arg(long, value_enum, value_name = "ON|OFF")]
    typing: Option<Switch>,

    /// How you appear to contacts while your peer runs.
    #[arg(long, value_enum)]
    status: Option<Status>,

    /// What you say about it, at most 128 bytes; an empty text for nothing.
    #[arg(long, value_name = "TEXT")]
    line: Option<String>,

    /// What other peers place and look for in your place. The peers that keep records then see those, and not you; the
    /// one that does it, a random one each time, sees you and what it does. What nobody does for you waits. Reading your
    /// own mailbox and talking with contacts always goes straight.
    #[arg(long, value_enum)]
    pass_on: Option<Passing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// They do.
    On,
    /// They do not.
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Passing {
    /// Nothing: you do it yourself.
    Off,
    /// Directory entries, account record, bundle; searches.
    Directory,
    /// Besides that mail and contact requests, the locator, and what you read of contacts.
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// There.
    Online,
    /// Not at the keyboard.
    Away,
    /// There, and not to be disturbed.
    Busy,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let settings = Context::block_on(async {
        let client = client::connect(&home)?;
        Ok(match args.action {
            Action::Set(changes) => client.set_settings(&changes.into()).await?,
            Action::Show => client.settings().await?,
        })
    })?;
    context.output.show(&settings)?;
    Ok(ExitCode::SUCCESS)
}

impl From<Changes> for SettingsRequest {
    fn from(changes: Changes) -> Self {
        let is_on = |switch: Switch| switch == Switch::On;
        Self {
            read_receipts: changes.read_receipts.map(is_on),
            typing: changes.typing.map(is_on),
            status: changes.status.map(|status| match status {
                Status::Online => Availability::Online,
                Status::Away => Availability::Away,
                Status::Busy => Availability::Busy,
            }),
            status_line: changes.line,
            pass_on: changes.pass_on.map(|pass_on| match pass_on {
                Passing::Off => PassOn::Off,
                Passing::Directory => PassOn::Directory,
                Passing::All => PassOn::All,
            }),
        }
    }
}

impl Report for Settings {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let switch = |is_on: bool| -> Piece<'a> { if is_on { good("on") } else { plain("off") } };
        let status = match self.status {
            Availability::Online => "online",
            Availability::Away => "away",
            Availability::Busy => "busy",
        };
        let pass_on = match self.pass_on {
            PassOn::Off => "off",
            PassOn::Directory => "directory",
            PassOn::All => "all",
        };
        page.table(
            0,
            [
                vec![dim("read receipts"), switch(self.read_receipts)],
                vec![dim("typing"), switch(self.typing)],
                vec![dim("status"), plain(status)],
                vec![dim("line"), plain(&self.status_line)],
                vec![dim("pass on"), plain(pass_on)],
            ],
        );
    }
}
