//! `starling trace`: why has it not arrived?

use std::process::ExitCode;

use starling_api::types::{MessageState, Trace};
use starling_proto::ids::MessageId;

use super::messages;
use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Local, Page, Report, bold, dim, plain};

const EXAMPLES: &str = "\
Examples:
  starling trace starmsg1…          the id that `starling send` printed
  starling trace starmsg1… --json | jq -r '.steps[] | [.time, .step] | @tsv'";

/// Show every step of one message: what was tried when, and why it has not arrived.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The message's id, as `starling send` and `starling messages --json` give it.
    id: MessageId,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let trace = Context::block_on(async { Ok(client::connect(&home)?.trace(&args.id).await?) })?;
    context.output.show(&trace)?;
    Ok(ExitCode::SUCCESS)
}

impl Report for Trace {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([
            bold(self.id.to_string()),
            plain("  "),
            messages::state(self.state),
            messages::holders(self.holders),
        ]);
        let direction = if self.mine { "to " } else { "from " };
        page.line([dim(direction), dim(self.conversation.to_string())]);
        let mut day = String::new();
        for step in &self.steps {
            let at = Local::of(step.time);
            if at.day() != day {
                day = at.day();
                page.line([dim(day.clone())]);
            }
            page.indented(2, [dim(at.precise()), plain("  "), plain(step.text.clone())]);
        }
        if self.mine && matches!(self.state, MessageState::Queued | MessageState::Stored) {
            page.line([dim("It is tried again until the other device confirms it, for 30 days.")]);
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_api::types::{Step, TraceStep};
    use starling_proto::ids::AccountKey;

    use super::*;

    fn step(time: &str, step: Step, text: &str, peers: u32) -> TraceStep {
        TraceStep { time: time.parse().unwrap(), step, text: text.into(), device: None, peers }
    }

    fn text(state: MessageState, mine: bool) -> String {
        let trace = Trace {
            id: MessageId::new([7; 16]),
            conversation: AccountKey::new([1; 32]),
            mine,
            sent_at: "2026-11-21T11:00:00.000Z".parse().unwrap(),
            state,
            holders: None,
            steps: vec![
                step("2026-11-21T11:00:00.001Z", Step::Queued, "written down", 0),
                step("2026-11-21T11:00:01.000Z", Step::NotReached, "does not answer\u{1b}[2J", 1),
                step("2026-11-24T11:00:01.000Z", Step::Sent, "sent", 3),
            ],
        };
        let mut page = Page::default();
        trace.describe(&mut page);
        page.render(false).to_string()
    }

    #[test]
    fn a_trace_tells_what_happened_when() {
        let text = text(MessageState::Queued, true);
        // The clock is that of the machine: only what does not depend on its zone is looked at.
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8, "{text}");
        assert!(lines[0].starts_with("starmsg1") && lines[0].ends_with("  queued"), "{text}");
        assert!(lines[1].starts_with("to starling1"), "{text}");
        assert!(lines[3].ends_with(":00.001  written down"), "{text}");
        assert!(lines[4].ends_with("  does not answer<U+001B>[2J"), "{text}");
        assert!(lines[5].starts_with("2026-11-2") && lines[6].ends_with("  sent"), "{text}");
        assert!(lines[7].contains("for 30 days"), "{text}");
    }

    #[test]
    fn nothing_is_promised_for_what_has_ended_or_is_not_ours() {
        for (state, mine) in
            [(MessageState::Failed, true), (MessageState::Read, true), (MessageState::Queued, false)]
        {
            assert!(!text(state, mine).contains("30 days"));
        }
    }
}
