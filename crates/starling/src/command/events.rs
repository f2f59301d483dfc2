//! `starling events`: what happens, as it happens.

use std::process::ExitCode;
use std::time::Duration;

use starling_api::backend::Cursor;
use starling_api::client::{ClientError, Events};
use starling_api::types::{EventBody, EventLine};
use tokio::time::{Instant, sleep};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, Page, Report, bold, dim, good, plain, warn};

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
        let (what, detail) = match &self.event {
            EventBody::Ready(ready) => (bold("ready"), plain(ready.node.to_string())),
            EventBody::PeerUp { node } => (good("peer up"), plain(node.to_string())),
            EventBody::PeerDown { node } => (dim("peer down"), plain(node.to_string())),
            EventBody::Warning { message, .. } => (warn("warning"), plain(message)),
            EventBody::Resync => (warn("resync"), plain("events before this one are lost")),
            _ => (dim("unknown"), plain("an event that this version does not know")),
        };
        page.line([what, plain("  "), detail]);
    }
}

#[cfg(test)]
mod tests {
    use starling_api::types::WarningCode;
    use starling_proto::ids::NodeKey;

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
}
