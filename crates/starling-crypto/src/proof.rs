//! A device's word that it speaks on a connection: worth something to one peer, on one connection, from one end.

use alloc::vec::Vec;

use starling_proto::identity::DeviceCert;
use starling_proto::ids::{DeviceListHash, NodeKey};
use starling_proto::limits;
use starling_proto::message::DeviceProof;

use crate::CryptoError;
use crate::identity::{VerifiedDevice, VerifiedDeviceList};
use crate::keys::{DeviceSecret, SigningSecret as _};
use crate::sign::{SigningDomain, verify};

/// Which end of a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer that dialled.
    Dialler,
    /// The peer that was dialled.
    Listener,
}

impl End {
    /// The number under the signature.
    const fn byte(self) -> u8 {
        match self {
            Self::Dialler => 1,
            Self::Listener => 2,
        }
    }
}

/// A connection as the device that proves itself sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Exported from the TLS session: the same at both ends, different on every connection.
    pub channel_binding: [u8; limits::CHANNEL_BINDING],
    /// The node key of the peer whose device proves itself.
    pub prover: NodeKey,
    /// The node key of the peer that it proves itself to.
    pub verifier: NodeKey,
    /// The end at which the proving device is.
    pub end: End,
}

impl Connection {
    /// What the device signs: end, binding, both node keys and the hash of its device list, 129 bytes.
    fn statement(&self, device_list: &DeviceListHash) -> Vec<u8> {
        let parts: [&[u8]; 5] = [
            &[self.end.byte()],
            &self.channel_binding,
            self.prover.as_bytes(),
            self.verifier.as_bytes(),
            device_list.as_bytes(),
        ];
        parts.concat()
    }
}

/// The device's proof for `connection`; `device_list` is its account's newest list that it knows.
#[must_use]
pub fn prove_device(
    connection: &Connection,
    cert: &DeviceCert,
    device_list: DeviceListHash,
    device: &DeviceSecret,
) -> DeviceProof {
    let statement = connection.statement(&device_list);
    let signature = device.sign(SigningDomain::DeviceProof, &statement);
    DeviceProof { device_cert: cert.encode(), signature, device_list }
}

/// Checks that a device of `list` made the proof for this connection. The hash of the list that the device names may
/// differ from `list`: then the account record is read again.
///
/// # Errors
/// [`CryptoError::UnknownDevice`] or [`CryptoError::RevokedDevice`] by `list`; else what is wrong with the proof.
pub fn verify_device_proof(
    proof: &DeviceProof,
    connection: &Connection,
    list: &VerifiedDeviceList,
) -> Result<VerifiedDevice, CryptoError> {
    let cert = DeviceCert::decode(&proof.device_cert)?;
    let device = list.device(&cert.body().device)?;
    let statement = connection.statement(&proof.device_list);
    verify(SigningDomain::DeviceProof, device.key().as_bytes(), &statement, &proof.signature)?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, account, cert, device, first_list};
    use crate::identity::Authority;

    fn connection() -> Connection {
        Connection {
            channel_binding: [1; 32],
            prover: NodeKey::new([2; 32]),
            verifier: NodeKey::new([3; 32]),
            end: End::Dialler,
        }
    }

    fn proof(connection: &Connection) -> DeviceProof {
        let cert = cert(1, Authority::Account(&account()));
        prove_device(connection, &cert, first_list().hash(), &device(1))
    }

    #[test]
    fn a_listed_device_is_believed() {
        let verified = verify_device_proof(&proof(&connection()), &connection(), &first_list());
        assert_eq!(verified.map(|device| device.key()), Ok(device(1).public()));
    }

    #[test]
    fn ida_05_a_proof_is_worth_nothing_elsewhere() {
        let here = connection();
        let reflected =
            Connection { prover: here.verifier, verifier: here.prover, end: End::Listener, ..here };
        for elsewhere in [
            Connection { channel_binding: [9; 32], ..here },
            Connection { verifier: NodeKey::new([9; 32]), ..here },
            Connection { prover: NodeKey::new([9; 32]), ..here },
            Connection { end: End::Listener, ..here },
            reflected,
        ] {
            let refused = verify_device_proof(&proof(&here), &elsewhere, &first_list());
            assert_eq!(refused, Err(CryptoError::BadSignature), "{elsewhere:?}");
        }
    }

    #[test]
    fn the_named_list_is_under_the_signature() {
        let changed = DeviceProof { device_list: DeviceListHash::new([9; 32]), ..proof(&connection()) };
        let refused = verify_device_proof(&changed, &connection(), &first_list());
        assert_eq!(refused, Err(CryptoError::BadSignature));
    }

    #[test]
    fn ida_02_a_device_that_is_not_listed_or_not_any_more_is_refused() {
        let first = device(1);
        let by_first = Authority::Device(&first);
        let here = connection();
        let second = prove_device(&here, &cert(2, by_first), first_list().hash(), &device(2));
        assert_eq!(verify_device_proof(&second, &here, &first_list()), Err(CryptoError::UnknownDevice));
        let two = first_list().add(cert(2, by_first), by_first, NOW).unwrap();
        assert!(verify_device_proof(&second, &here, &two).is_ok());
        let one = two.revoke(&device(2).public(), by_first, NOW).unwrap();
        assert_eq!(verify_device_proof(&second, &here, &one), Err(CryptoError::RevokedDevice));
        // Another device under the first one's certificate.
        let posed = prove_device(&here, &cert(1, Authority::Account(&account())), two.hash(), &device(2));
        assert_eq!(verify_device_proof(&posed, &here, &two), Err(CryptoError::BadSignature));
    }
}
