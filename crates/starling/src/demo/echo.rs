//! A person who answers everything they hear with the same words.

use starling_api::client::Client;
use starling_api::types::{EventBody, SendRequest};
use tokio::task::JoinHandle;

use super::peer::{broken, request_id};
use crate::failure::Failure;

/// What an answer begins with.
pub(super) const MARK: &str = "echo: ";

/// Answers until it is ended.
pub(super) struct Echo(JoinHandle<Result<(), Failure>>);

impl Echo {
    /// Answers whatever comes from now on.
    ///
    /// # Errors
    /// The peer gives no events.
    pub(super) async fn begin(client: Client) -> Result<Self, Failure> {
        let mut events = client.events(None);
        // The first line says that the stream stands: nothing that comes later is missed.
        events.next().await?;
        Ok(Self(tokio::spawn(async move {
            loop {
                let EventBody::Message(message) = events.next().await?.event else { continue };
                if message.mine || message.text.starts_with(MARK) {
                    continue;
                }
                let text = format!("{MARK}{}", message.text);
                let request = SendRequest::new(message.conversation.to_string(), text);
                client.send(&request, &request_id()?).await?;
            }
        })))
    }

    /// Answers no more.
    ///
    /// # Errors
    /// It had ended before, which is why.
    pub(super) fn end(self) -> Result<(), Failure> {
        if self.0.is_finished() {
            return Err(broken("somebody stopped answering"));
        }
        self.0.abort();
        Ok(())
    }
}
