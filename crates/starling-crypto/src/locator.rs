//! Where a device can be reached, in its own word.

use alloc::vec::Vec;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use starling_proto::contact::ReadKey;
use starling_proto::identity::{LocatorBody, LocatorSecret};
use starling_proto::ids::RecordKey;
use starling_proto::time::UnixSeconds;

use crate::CryptoError;
use crate::keys::{DeviceSecret, SigningSecret as _};
use crate::sign::{SigningDomain, verify};

/// The day that holds `now`, counted from 1970: a locator's place moves daily, so that a holder cannot watch one for
/// long.
#[must_use]
pub fn locator_epoch(now: UnixSeconds) -> u32 {
    u32::try_from(now.get() / (24 * 3600)).unwrap_or(u32::MAX)
}

/// Signs where the device can be reached.
///
/// # Errors
/// [`CryptoError::WrongKey`] if `body` is about another device.
pub fn sign_locator(body: &LocatorBody, device: &DeviceSecret) -> Result<LocatorSecret, CryptoError> {
    if body.device != device.public() {
        return Err(CryptoError::WrongKey);
    }
    let signed = body.encode();
    let signature = device.sign(SigningDomain::Locator, &signed);
    Ok(LocatorSecret::new(signed, signature)?)
}

/// Checks that the device which the locator names signed it. Whether that is a contact's device is for the caller.
///
/// # Errors
/// [`CryptoError::BadSignature`] or [`CryptoError::BadKey`].
pub fn verify_locator(locator: &LocatorSecret) -> Result<&LocatorBody, CryptoError> {
    let body = locator.body();
    verify(SigningDomain::Locator, body.device.as_bytes(), locator.signed(), locator.signature())?;
    Ok(body)
}

/// Bytes of the nonce before a sealed locator.
const NONCE: usize = 24;

/// Seals a locator for those who have the read key: a random nonce, then XChaCha20-Poly1305 with the place of the
/// record as associated data, so that a holder cannot move a locator to another day.
///
/// # Errors
/// [`CryptoError::BadState`] if the locator is longer than the cipher takes, which no decoded one is.
pub fn seal_locator(
    locator: &LocatorSecret,
    read_key: &ReadKey,
    place: &RecordKey,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, CryptoError> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let text = locator.encode();
    let payload = Payload { msg: &text, aad: place.as_bytes() };
    let sealed = XChaCha20Poly1305::new(read_key.as_bytes().into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| CryptoError::BadState)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens what [`seal_locator`] made. The signature inside is still unchecked.
///
/// # Errors
/// [`CryptoError::CannotOpen`] for another key, another place or altered bytes, [`CryptoError::Decode`] for other
/// content.
pub fn open_locator(
    payload: &[u8],
    read_key: &ReadKey,
    place: &RecordKey,
) -> Result<LocatorSecret, CryptoError> {
    let (nonce, sealed) = payload.split_first_chunk::<NONCE>().ok_or(CryptoError::CannotOpen)?;
    let sealed = Payload { msg: sealed, aad: place.as_bytes() };
    let text = XChaCha20Poly1305::new(read_key.as_bytes().into())
        .decrypt(&XNonce::from(*nonce), sealed)
        .map_err(|_| CryptoError::CannotOpen)?;
    Ok(LocatorSecret::decode(&text)?)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use starling_proto::addr::Peer;
    use starling_proto::ids::NodeKey;

    use super::*;
    use crate::secret::Secret;

    fn device(seed: u8) -> DeviceSecret {
        DeviceSecret::from_seed(&Secret::copy_of(&[seed; 32]))
    }

    fn body(seed: u8) -> LocatorBody {
        let peer = Peer::new(NodeKey::new([2; 32]), ["127.0.0.1:3".parse().unwrap()]);
        LocatorBody { device: device(seed).public(), peer, issued: UnixSeconds::new(4) }
    }

    #[test]
    fn the_device_signs() {
        let locator = sign_locator(&body(1), &device(1)).unwrap();
        assert_eq!(verify_locator(&locator), Ok(&body(1)));
        assert_eq!(sign_locator(&body(1), &device(9)), Err(CryptoError::WrongKey));
    }

    #[test]
    fn ida_02_a_locator_of_another_device_is_refused() {
        let locator = sign_locator(&body(1), &device(1)).unwrap();
        let forged = LocatorSecret::new(body(9).encode(), *locator.signature()).unwrap();
        assert_eq!(verify_locator(&forged), Err(CryptoError::BadSignature));
    }

    const PLACE: RecordKey = RecordKey::new([8; 32]);

    #[test]
    fn only_the_read_key_opens_it_and_only_in_its_place() {
        let locator = sign_locator(&body(1), &device(1)).unwrap();
        let key = ReadKey::new([7; 32]);
        let sealed = seal_locator(&locator, &key, &PLACE, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_eq!(open_locator(&sealed, &key, &PLACE), Ok(locator));
        let other_key = open_locator(&sealed, &ReadKey::new([6; 32]), &PLACE);
        assert_eq!(other_key, Err(CryptoError::CannotOpen));
        let moved = open_locator(&sealed, &key, &RecordKey::new([9; 32]));
        assert_eq!(moved, Err(CryptoError::CannotOpen));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(open_locator(&altered, &key, &PLACE), Err(CryptoError::CannotOpen), "{at}");
            assert!(open_locator(&sealed[..at], &key, &PLACE).is_err(), "{at}");
        }
    }

    #[test]
    fn the_longest_locator_fits_its_record() {
        use starling_proto::record::RecordKind;
        let addresses = (1..=4).map(|n| format!("[2001:db8::{n}]:65535").parse().unwrap());
        let peer = Peer::new(NodeKey::new([2; 32]), addresses);
        let body = LocatorBody { peer, issued: UnixSeconds::new(u64::MAX), ..body(1) };
        let locator = sign_locator(&body, &device(1)).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let sealed = seal_locator(&locator, &ReadKey::new([7; 32]), &PLACE, &mut rng).unwrap();
        assert!(sealed.len() <= RecordKind::Locator.payload_limit());
    }
}
