//! Leave to deposit: what a mailbox's owner hands to each contact.

use starling_proto::ids::{MailboxAddress, PublisherKey};
use starling_proto::record::{Capability, CapabilityBody};
use starling_proto::time::UnixSeconds;

use crate::CryptoError;
use crate::keys::{MailboxSecret, SigningSecret as _};
use crate::sign::{SigningDomain, verify};

/// Gives `depositor` leave to keep up to `quota_kib` KiB in the mailbox until `expires`.
///
/// # Errors
/// None in practice: a body that was just encoded can be read.
pub fn issue_capability(
    mailbox: &MailboxSecret,
    depositor: PublisherKey,
    expires: UnixSeconds,
    quota_kib: u32,
) -> Result<Capability, CryptoError> {
    let signed = CapabilityBody { address: mailbox.public(), depositor, expires, quota_kib }.encode();
    let signature = mailbox.sign(SigningDomain::Capability, &signed);
    Ok(Capability::new(signed, signature)?)
}

/// Checks that the mailbox's owner signed. Depositor, end and address are the caller's to compare.
///
/// # Errors
/// [`CryptoError::BadSignature`] or [`CryptoError::BadKey`].
pub fn verify_capability(capability: &Capability) -> Result<MailboxAddress, CryptoError> {
    let address = capability.body().address;
    verify(SigningDomain::Capability, address.as_bytes(), capability.signed(), capability.signature())?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn mailbox(seed: u8) -> MailboxSecret {
        MailboxSecret::from_seed(&Secret::copy_of(&[seed; 32]))
    }

    fn issue(mailbox: &MailboxSecret) -> Capability {
        issue_capability(mailbox, PublisherKey::new([2; 32]), UnixSeconds::new(3), 4).unwrap()
    }

    #[test]
    fn the_owner_signs() {
        assert_eq!(verify_capability(&issue(&mailbox(1))), Ok(mailbox(1).public()));
    }

    #[test]
    fn ida_02_leave_for_another_mailbox_is_refused() {
        let body = CapabilityBody { address: mailbox(9).public(), ..issue(&mailbox(1)).body().clone() };
        let forged = Capability::new(body.encode(), *issue(&mailbox(1)).signature()).unwrap();
        assert_eq!(verify_capability(&forged), Err(CryptoError::BadSignature));
    }
}
