//! Requests of a mailbox's owner: signed for one holder and one connection, so that they cannot be sent on.

use starling_proto::ids::NodeKey;
use starling_proto::limits;
use starling_proto::message::{OwnerOperation, OwnerRequest};

use crate::CryptoError;
use crate::keys::{MailboxSecret, SigningSecret as _};
use crate::sign::{SigningDomain, verify};

/// Signs an operation on the mailbox.
///
/// # Errors
/// [`CryptoError::Decode`] for more ids than one request may carry, [`CryptoError::WrongKey`] if the operation is on
/// another mailbox.
pub fn sign_owner_request(
    operation: &OwnerOperation,
    mailbox: &MailboxSecret,
) -> Result<OwnerRequest, CryptoError> {
    if operation.address != mailbox.public() {
        return Err(CryptoError::WrongKey);
    }
    let signed = operation.encode();
    let signature = mailbox.sign(SigningDomain::OwnerOperation, &signed);
    Ok(OwnerRequest::new(signed, signature)?)
}

/// Checks that a request is by the mailbox's owner, for this holder and on this connection.
///
/// # Errors
/// [`CryptoError::WrongConnection`] for one that was made for somebody else or somewhere else, else what is wrong
/// with the signature.
pub fn verify_owner_request(
    request: &OwnerRequest,
    holder: &NodeKey,
    binding: &[u8; limits::CHANNEL_BINDING],
) -> Result<(), CryptoError> {
    let body = request.body();
    if body.holder != *holder || body.channel_binding != *binding {
        return Err(CryptoError::WrongConnection);
    }
    let key = body.address.as_bytes();
    verify(SigningDomain::OwnerOperation, key, request.signed(), request.signature())
}

#[cfg(test)]
mod tests {
    use starling_proto::message::Operation;
    use starling_proto::time::UnixSeconds;

    use super::*;
    use crate::secret::Secret;

    const HOLDER: NodeKey = NodeKey::new([2; 32]);
    const BINDING: [u8; 32] = [3; 32];

    fn mailbox(seed: u8) -> MailboxSecret {
        MailboxSecret::from_seed(&Secret::copy_of(&[seed; 32]))
    }

    fn operation() -> OwnerOperation {
        OwnerOperation {
            operation: Operation::List,
            address: mailbox(1).public(),
            holder: HOLDER,
            channel_binding: BINDING,
            issued: UnixSeconds::new(4),
        }
    }

    #[test]
    fn the_owner_is_heard() {
        let request = sign_owner_request(&operation(), &mailbox(1)).unwrap();
        assert_eq!(verify_owner_request(&request, &HOLDER, &BINDING), Ok(()));
    }

    #[test]
    fn ida_05_a_request_sent_on_is_refused() {
        let request = sign_owner_request(&operation(), &mailbox(1)).unwrap();
        let elsewhere = Err(CryptoError::WrongConnection);
        assert_eq!(verify_owner_request(&request, &NodeKey::new([9; 32]), &BINDING), elsewhere);
        assert_eq!(verify_owner_request(&request, &HOLDER, &[9; 32]), elsewhere);
    }

    #[test]
    fn ida_02_somebody_else_is_not() {
        let other = OwnerOperation { address: mailbox(9).public(), ..operation() };
        let by_other = sign_owner_request(&other, &mailbox(9)).unwrap();
        let forged = OwnerRequest::new(operation().encode(), *by_other.signature()).unwrap();
        assert_eq!(verify_owner_request(&forged, &HOLDER, &BINDING), Err(CryptoError::BadSignature));
        assert_eq!(sign_owner_request(&operation(), &mailbox(9)), Err(CryptoError::WrongKey));
    }
}
