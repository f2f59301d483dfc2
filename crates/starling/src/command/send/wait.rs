//! Waiting until a message has come far enough.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use starling_api::client::{Client, Events};
use starling_api::types::{Code, EventBody, MessageState, SendReply};
use starling_proto::ids::MessageId;
use starling_proto::time::Span;
use tokio::time::{Instant, timeout_at};

use crate::client;
use crate::command::messages;
use crate::failure::Failure;
use crate::span;

/// How far a message is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Goal {
    /// On the disks of enough other peers, or further.
    Stored,
    /// On the disk of one of the recipient's devices.
    Delivered,
    /// Seen by the recipient.
    Read,
}

/// An open event stream, and how long it is read.
pub(super) struct Waiting<'a> {
    events: Events,
    home: &'a Path,
    goal: Goal,
    timeout: Span,
    deadline: Instant,
}

impl<'a> Waiting<'a> {
    /// Opens the stream: every event from now on is seen. The time runs from here.
    ///
    /// # Errors
    /// Those of the client.
    pub(super) async fn begin(
        client: &Client,
        home: &'a Path,
        goal: Goal,
        timeout: Span,
    ) -> Result<Self, Failure> {
        // No wait is longer than the process lives.
        let deadline =
            Instant::now().checked_add(Duration::from_millis(timeout.as_ms())).ok_or_else(|| {
                Failure::new(Code::BadInput, "the time-out is too long", "use a shorter --timeout")
            })?;
        let mut events = client.events(None);
        // The first line says who we are, and that the stream stands.
        events.next().await?;
        Ok(Self { events, home, goal, timeout, deadline })
    }

    /// Waits until the message has come so far; its state is kept up to date in `sent`, however the wait ends.
    ///
    /// # Errors
    /// The message was given up, the time is over, or the node has ended.
    pub(super) async fn end(mut self, sent: &mut SendReply) -> Result<(), Failure> {
        loop {
            if sent.state == MessageState::Failed {
                return Err(self.given_up(sent.id).await);
            }
            if self.goal.is_reached(sent.state) {
                return Ok(());
            }
            match timeout_at(self.deadline, self.events.next()).await {
                Err(_) => return Err(self.timed_out(sent)),
                Ok(event) => match event?.event {
                    EventBody::MessageState { id, state, holders, .. } if id == sent.id => {
                        (sent.state, sent.holders) = (state, holders);
                    }
                    // Some events are lost, or the node was started anew: its state is still on its disk.
                    EventBody::Resync => {
                        sent.state = client::connect(self.home)?.trace(&sent.id).await?.state;
                    }
                    _ => {}
                },
            }
        }
    }

    async fn given_up(&self, id: MessageId) -> Failure {
        let trace = match client::connect(self.home) {
            Ok(client) => client.trace(&id).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        let cause = match trace {
            Ok(trace) => {
                trace.steps.last().map_or_else(|| "no step is known".to_owned(), |step| step.text.clone())
            }
            Err(failure) => failure.message().to_owned(),
        };
        let hint = format!("`starling trace {id}` shows every step");
        Failure::new(Code::Failed, format!("the message will not arrive: {cause}"), hint)
    }

    fn timed_out(&self, sent: &SendReply) -> Failure {
        let (id, time) = (sent.id, span::text(self.timeout));
        Failure::new(
            Code::TimedOut,
            format!(
                "after {time} the message {id} is {}, not {}",
                messages::word(sent.state),
                self.goal.word()
            ),
            format!("it is tried further while your peer runs; `starling trace {id}` shows what hinders it"),
        )
    }
}

impl Goal {
    /// Whether a message in `state` has come so far or further.
    const fn is_reached(self, state: MessageState) -> bool {
        match self {
            Self::Stored => {
                matches!(state, MessageState::Stored | MessageState::Delivered | MessageState::Read)
            }
            Self::Delivered => matches!(state, MessageState::Delivered | MessageState::Read),
            Self::Read => matches!(state, MessageState::Read),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_is_far_enough_and_given_up_is_not() {
        use MessageState::{Delivered, Failed, Queued, Read, Stored};
        for (goal, reached) in [
            (Goal::Stored, &[Stored, Delivered, Read][..]),
            (Goal::Delivered, &[Delivered, Read]),
            (Goal::Read, &[Read]),
        ] {
            for state in [Queued, Stored, Delivered, Read, Failed] {
                assert_eq!(goal.is_reached(state), reached.contains(&state), "{goal:?} {state:?}");
            }
        }
    }
}
