//! Invites: links for one person each.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_core::meeting::{INVITE_LIFE, LONGEST_INVITE_LIFE};
use starling_proto::invite::Invite;
use starling_proto::time::Span;
use utoipa::ToSchema;

use super::{Code, ErrorBody, Time, text};

/// Make an invite for one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// How long it is good, in seconds: at least 1, at most 2,592,000 (30 days); 604,800 (7 days) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_s: Option<u64>,
}

/// An invite. Whoever has it can become a contact: it is a secret between two people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteReply {
    /// `starling:invite1…`; the first who answers it is a contact.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub invite: Invite,
    /// Until when it is good.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub expires: Time,
}

impl InviteRequest {
    /// The command of a node that may be dialled at `addresses`.
    pub(crate) fn command(self, addresses: Vec<SocketAddr>) -> Result<Command, ErrorBody> {
        let life = self.life_s.map_or(INVITE_LIFE, Span::from_secs);
        if life == Span::ZERO || life > LONGEST_INVITE_LIFE {
            let longest = LONGEST_INVITE_LIFE.as_secs();
            return Err(ErrorBody::new(
                Code::BadInput,
                format!("an invite is good for 1 second at least and {longest} (30 days) at most"),
                "choose another life_s, or leave it out for 7 days",
            ));
        }
        Ok(Command::Invite { life, addresses })
    }
}

impl From<Box<Invite>> for InviteReply {
    fn from(invite: Box<Invite>) -> Self {
        Self { expires: invite.expires.into(), invite: *invite }
    }
}
