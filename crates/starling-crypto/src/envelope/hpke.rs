//! HPKE with X-Wing: one seal, one open.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;
use starling_proto::identity::{Envelope, InboxEpoch, InboxKey};
use starling_proto::ids::{DeviceKey, MailboxAddress};
use starling_proto::padding::Buckets;

use crate::CryptoError;
use crate::secret::Secret;

/// Begins HPKE's `info`: no other protocol's envelope opens here.
const INFO: &[u8] = b"starling/1/envelope";

/// Where an envelope goes.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The device that will open it.
    pub device: DeviceKey,
    /// The mailbox or request inbox where it will lie.
    pub mailbox: MailboxAddress,
    /// The week of the device's inbox key.
    pub epoch: InboxEpoch,
    /// The device's inbox key of that week.
    pub key: &'a InboxKey,
}

/// The public key of a seed.
#[must_use]
#[expect(clippy::expect_used, reason = "every 32 bytes are the seed of an X-Wing key")]
pub fn inbox_key(seed: &Secret<32>) -> InboxKey {
    let secret = <XWing as Kem>::PrivateKey::from_bytes(seed.expose()).expect("32 bytes are a seed");
    InboxKey::new(XWing::sk_to_pk(&secret).to_bytes().into())
}

/// Pads `plaintext` and seals it.
///
/// # Errors
/// [`CryptoError::BadKey`] if the inbox key is none, [`CryptoError::Decode`] for a plaintext above the largest
/// bucket of [`Buckets::ENVELOPE`].
pub fn seal(
    to: Destination<'_>,
    plaintext: Vec<u8>,
    mut rng: &mut dyn CryptoRng,
) -> Result<Envelope, CryptoError> {
    let key = <XWing as Kem>::PublicKey::from_bytes(to.key.as_bytes()).map_err(|_| CryptoError::BadKey)?;
    let padded = Buckets::ENVELOPE.pad(plaintext)?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        &info(&to.device),
        &padded,
        &aad(&to.mailbox, to.epoch),
        &mut rng,
    )
    .map_err(|_| CryptoError::BadKey)?;
    let mut encapsulated_key = Box::new([0; starling_proto::limits::ENCAPSULATED_KEY]);
    encapsulated.write_exact(&mut *encapsulated_key);
    Ok(Envelope { inbox_epoch: to.epoch, encapsulated_key, ciphertext })
}

/// Opens an envelope that lay at `mailbox` for `device` and takes the padding off.
///
/// # Errors
/// [`CryptoError::CannotOpen`] if it was sealed to another key, for another device, mailbox or week, or altered;
/// [`CryptoError::Decode`] if what was sealed is not padded.
pub fn open(
    seed: &Secret<32>,
    device: &DeviceKey,
    mailbox: &MailboxAddress,
    envelope: &Envelope,
) -> Result<Vec<u8>, CryptoError> {
    let secret =
        <XWing as Kem>::PrivateKey::from_bytes(seed.expose()).map_err(|_| CryptoError::CannotOpen)?;
    let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&*envelope.encapsulated_key)
        .map_err(|_| CryptoError::CannotOpen)?;
    let padded = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        &info(device),
        &envelope.ciphertext,
        &aad(mailbox, envelope.inbox_epoch),
    )
    .map_err(|_| CryptoError::CannotOpen)?;
    Ok(Buckets::ENVELOPE.unpad(&padded)?.to_vec())
}

fn info(device: &DeviceKey) -> Vec<u8> {
    [INFO, device.as_bytes().as_slice()].concat()
}

fn aad(mailbox: &MailboxAddress, epoch: InboxEpoch) -> Vec<u8> {
    [mailbox.as_bytes().as_slice(), &epoch.get().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use starling_proto::DecodeError;
    use starling_proto::limits;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(7)
    }

    fn seed(n: u8) -> Secret<32> {
        Secret::copy_of(&[n; 32])
    }

    const DEVICE: DeviceKey = DeviceKey::new([1; 32]);
    const MAILBOX: MailboxAddress = MailboxAddress::new([2; 32]);

    fn sealed(plaintext: &[u8]) -> Envelope {
        let key = inbox_key(&seed(3));
        let to = Destination { device: DEVICE, mailbox: MAILBOX, epoch: InboxEpoch::new(2900), key: &key };
        seal(to, plaintext.to_vec(), &mut rng()).unwrap()
    }

    #[test]
    fn opens_for_its_recipient() {
        assert_eq!(open(&seed(3), &DEVICE, &MAILBOX, &sealed(b"hello")), Ok(b"hello".to_vec()));
    }

    #[test]
    fn everything_bound_must_fit() {
        let envelope = sealed(b"hello");
        let refused = Err(CryptoError::CannotOpen);
        assert_eq!(open(&seed(4), &DEVICE, &MAILBOX, &envelope), refused);
        assert_eq!(open(&seed(3), &DeviceKey::new([9; 32]), &MAILBOX, &envelope), refused);
        assert_eq!(open(&seed(3), &DEVICE, &MailboxAddress::new([9; 32]), &envelope), refused);
        let other_week = Envelope { inbox_epoch: InboxEpoch::new(2901), ..envelope };
        assert_eq!(open(&seed(3), &DEVICE, &MAILBOX, &other_week), refused);
    }

    #[test]
    fn wir_03_every_flipped_bit_of_the_header_is_refused() {
        let bytes = sealed(b"hello").encode();
        // Field headers, version, week and the whole encapsulated key; then the ciphertext's header.
        let header = bytes.len() - 528;
        assert_eq!(header, 1131);
        for bit in 0..header * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = Envelope::decode(&flipped)
                .map_err(CryptoError::from)
                .and_then(|envelope| open(&seed(3), &DEVICE, &MAILBOX, &envelope));
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn wir_03_every_truncation_is_refused() {
        let envelope = sealed(b"hello");
        for cut in 0..envelope.ciphertext.len() {
            let cut = Envelope { ciphertext: envelope.ciphertext[..cut].to_vec(), ..envelope.clone() };
            assert_eq!(open(&seed(3), &DEVICE, &MAILBOX, &cut), Err(CryptoError::CannotOpen));
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let key = InboxKey::new([0xff; limits::INBOX_KEY]);
        let to = Destination { device: DEVICE, mailbox: MAILBOX, epoch: InboxEpoch::new(0), key: &key };
        assert_eq!(seal(to, vec![], &mut rng()), Err(CryptoError::BadKey));
    }

    #[test]
    fn prv_01_sizes_are_buckets_and_nothing_else() {
        let overhead = 16;
        for length in [0, 1, 511, 512, 1000, 5000, 16_384, 16_639] {
            let envelope = sealed(&vec![7; length]);
            let padded = envelope.ciphertext.len() - overhead;
            assert!(Buckets::ENVELOPE.lengths().contains(&padded), "{length}");
        }
        let key = inbox_key(&seed(3));
        let to = Destination { device: DEVICE, mailbox: MAILBOX, epoch: InboxEpoch::new(0), key: &key };
        let refused = seal(to, vec![7; 16_640], &mut rng());
        assert!(matches!(refused, Err(CryptoError::Decode(DecodeError::TooLong { .. }))));
    }

    #[test]
    fn the_largest_envelope_fits_a_record() {
        let bytes = sealed(&[7; 16_639]).encode();
        assert!(bytes.len() <= limits::RECORD_PAYLOAD, "{}", bytes.len());
        assert!(Envelope::decode(&bytes).is_ok());
    }

    #[test]
    fn two_seals_of_one_text_share_nothing() {
        let key = inbox_key(&seed(3));
        let to = Destination { device: DEVICE, mailbox: MAILBOX, epoch: InboxEpoch::new(0), key: &key };
        let mut rng = rng();
        let (one, two) = (seal(to, vec![7], &mut rng).unwrap(), seal(to, vec![7], &mut rng).unwrap());
        assert_ne!(one.encapsulated_key, two.encapsulated_key);
        assert_ne!(one.ciphertext, two.ciphertext);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn round_trips(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(open(&seed(3), &DEVICE, &MAILBOX, &sealed(&text)), Ok(text));
        }

        #[test]
        fn one_flipped_bit_of_the_ciphertext_is_refused(bit in 0usize..528 * 8) {
            let mut envelope = sealed(b"hello");
            envelope.ciphertext[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&seed(3), &DEVICE, &MAILBOX, &envelope), Err(CryptoError::CannotOpen));
        }
    }
}
