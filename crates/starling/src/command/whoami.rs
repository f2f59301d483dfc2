//! `starling whoami`: account, device, node, name and tag.

use std::process::ExitCode;

use starling_api::types::WhoAmI;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bold, dim, plain};

const EXAMPLES: &str = "\
Examples:
  starling whoami
  starling whoami --json | jq -r .account    the account id alone";

/// Show account, device, node, name and tag of the running node.
///
/// The account id is what you give to others. The tag stands beside your name wherever it is shown: anybody may choose
/// your name, nobody your tag.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(super) fn run(_: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let who = Context::block_on(async { Ok(client::connect(&home)?.whoami().await?) })?;
    context.output.show(&who)?;
    Ok(ExitCode::SUCCESS)
}

impl Report for WhoAmI {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([bold(&self.name), plain(" "), dim(&self.tag)]);
        page.table(
            0,
            [
                vec![dim("account"), plain(self.account.to_string())],
                vec![dim("device"), plain(self.device.to_string())],
                vec![dim("node"), plain(self.node.to_string())],
            ],
        );
    }
}
