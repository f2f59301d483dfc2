//! Invites: consent given in advance, and the mailbox at which they are answered.
//!
//! Both sides derive the same mailbox from the invite's secret. So the invited can write itself the leave to deposit
//! there that a stranger must otherwise pay for with work, and the holders of the mailbox learn nothing of the
//! inviting device's request inbox.

use starling_crypto::CryptoError;
use starling_crypto::capability::issue_capability;
use starling_crypto::keys::{DepositorSecret, MailboxSecret, SigningSecret as _};
use starling_crypto::secret::Secret;
use starling_proto::invite::InviteSecret;
use starling_proto::record::Capability;
use starling_proto::time::{Span, UnixSeconds};

use crate::wire;

/// How long an invite is good where nobody says otherwise.
pub const DEFAULT_LIFE: Span = Span::from_days(7);
/// The longest life of an invite: as long as a request is repeated.
pub const LONGEST_LIFE: Span = Span::from_days(30);
/// Invites that wait for an answer.
pub const INVITES: usize = 64;
/// What may lie at an invite's mailbox, in KiB: a request with its envelope takes 3, and one repetition of it.
const QUOTA_KIB: u32 = 8;

/// The BLAKE3 contexts that tell the keys of an invite from one another; fixed for ever.
const MAILBOX_CONTEXT: &str = "starling/1/invite/mailbox";
const DEPOSITOR_CONTEXT: &str = "starling/1/invite/depositor";

/// An invite that we gave out and that nobody has answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnInvite {
    secret: InviteSecret,
    pub(super) expires: UnixSeconds,
}

impl OwnInvite {
    pub(super) const fn new(secret: InviteSecret, expires: UnixSeconds) -> Self {
        Self { secret, expires }
    }

    /// Owns the mailbox at which it is answered.
    pub(super) fn mailbox(&self) -> MailboxSecret {
        mailbox(&self.secret)
    }

    pub(super) fn to_wire(&self) -> wire::OwnInvite {
        wire::OwnInvite { secret: self.secret.as_bytes().to_vec(), expires_s: self.expires.get() }
    }

    pub(super) fn from_wire(stored: &wire::OwnInvite) -> Option<Self> {
        let secret = InviteSecret::new(stored.secret.as_slice().try_into().ok()?);
        Some(Self::new(secret, UnixSeconds::new(stored.expires_s)))
    }
}

/// Owns the mailbox at which the invite with this secret is answered.
pub(super) fn mailbox(secret: &InviteSecret) -> MailboxSecret {
    MailboxSecret::from_seed(&derived(MAILBOX_CONTEXT, secret))
}

/// Signs the answer as a record, and the leave to deposit it.
pub(super) fn leave(
    secret: &InviteSecret,
    expires: UnixSeconds,
) -> Result<(DepositorSecret, Capability), CryptoError> {
    let depositor = DepositorSecret::from_seed(&derived(DEPOSITOR_CONTEXT, secret));
    let leave = issue_capability(&mailbox(secret), depositor.publisher(), expires, QUOTA_KIB)?;
    Ok((depositor, leave))
}

fn derived(context: &str, secret: &InviteSecret) -> Secret<32> {
    Secret::from_fn(|bytes| *bytes = blake3::derive_key(context, secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use starling_crypto::capability::verify_capability;

    use super::*;

    #[test]
    fn both_sides_know_the_mailbox_and_nobody_else_does() {
        let secret = InviteSecret::new([1; 16]);
        let ours = OwnInvite::new(secret.clone(), UnixSeconds::new(9)).mailbox().public();
        let (depositor, leave) = leave(&secret, UnixSeconds::new(9)).unwrap();
        assert_eq!(verify_capability(&leave), Ok(ours));
        assert_eq!(leave.body().depositor, depositor.publisher());
        assert_ne!(mailbox(&InviteSecret::new([2; 16])).public(), ours);
    }

    #[test]
    fn a_stored_invite_round_trips() {
        let invite = OwnInvite::new(InviteSecret::new([1; 16]), UnixSeconds::new(9));
        assert_eq!(OwnInvite::from_wire(&invite.to_wire()), Some(invite));
    }
}
