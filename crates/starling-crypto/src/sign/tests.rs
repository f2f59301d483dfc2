//! IDA-01: signatures and keys that must not pass, with concrete bytes.

use proptest::prelude::*;

use super::*;
use crate::fixture::unhex32;
use crate::keys::{DeviceSecret, SigningSecret as _};
use crate::secret::Secret;

fn secret() -> DeviceSecret {
    DeviceSecret::from_seed(&Secret::copy_of(&[1; 32]))
}

fn check(key: &[u8; 32], signature: &Signature) -> Result<(), CryptoError> {
    verify(SigningDomain::Record, key, b"message", signature)
}

/// The eight points of small order, as listed in libsodium's `ge25519_has_small_order` and in "Taming the many EdDSAs"
/// (Chalkias, Garillot, Nikolaenko, 2020), table 1, the spellings that are not canonical among them.
const SMALL_ORDER: [&str; 12] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[test]
fn a_good_signature_passes() {
    let signature = secret().sign(SigningDomain::Record, b"message");
    assert_eq!(check(secret().public().as_bytes(), &signature), Ok(()));
}

#[test]
fn ida_01_keys_of_small_order_are_refused() {
    for key in SMALL_ORDER {
        // R is the neutral point and S is zero: with a key of small order that fits every eighth message or more.
        let mut forged = [0; 64];
        forged[0] = 1;
        assert_eq!(check(&unhex32(key), &Signature::new(forged)), Err(CryptoError::BadKey), "{key}");
    }
}

#[test]
fn ida_01_a_nonce_of_small_order_is_refused() {
    let good = *secret().sign(SigningDomain::Record, b"message").as_bytes();
    for nonce in SMALL_ORDER {
        let mut forged = good;
        forged[..32].copy_from_slice(&unhex32(nonce));
        let refused = check(secret().public().as_bytes(), &Signature::new(forged));
        assert_eq!(refused, Err(CryptoError::BadSignature), "{nonce}");
    }
}

#[test]
fn ida_01_a_nonce_of_small_order_is_refused_where_the_equation_holds() {
    // R is the neutral point and S = H(R, A, M) a: what a key's owner can make in order to have a signature that other
    // verifiers judge otherwise. RFC 8032 accepts it.
    let mut lax = [0; 64];
    lax[0] = 1;
    let scalar = unhex32("72966cdcb182d203799e8ae082809778ccb9e63888ba063054a060f7fa36c008");
    lax[32..].copy_from_slice(&scalar);
    let key = secret().public();
    let message = SigningDomain::Record.message(b"message");
    let plain = VerifyingKey::from_bytes(key.as_bytes()).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&lax);
    assert!(ed25519_dalek::Verifier::verify(&plain, &message, &signature).is_ok());
    assert_eq!(check(key.as_bytes(), &Signature::new(lax)), Err(CryptoError::BadSignature));
}

#[test]
fn ida_01_a_malleable_scalar_is_refused() {
    // The order of the base point, little-endian (RFC 8032, section 5.1).
    let order = unhex32("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let good = *secret().sign(SigningDomain::Record, b"message").as_bytes();
    let mut forged = good;
    let mut carry = 0u16;
    for (byte, add) in forged[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert_ne!(forged, good);
    let refused = check(secret().public().as_bytes(), &Signature::new(forged));
    assert_eq!(refused, Err(CryptoError::BadSignature));
}

#[test]
fn ida_01_zeros_and_keys_off_the_curve_are_refused() {
    let key = *secret().public().as_bytes();
    assert_eq!(check(&key, &Signature::new([0; 64])), Err(CryptoError::BadSignature));
    assert_eq!(check(&key, &Signature::new([0xff; 64])), Err(CryptoError::BadSignature));
    // y = 2 is on no point of the curve.
    let mut off = [0; 32];
    off[0] = 2;
    assert_eq!(check(&off, &Signature::new([0; 64])), Err(CryptoError::BadKey));
}

#[test]
fn ida_01_a_key_not_spelt_canonically_is_refused() {
    // y = p + 3: the same point as y = 3, which is on the curve and not of small order.
    let plain = unhex32("0300000000000000000000000000000000000000000000000000000000000000");
    let other = unhex32("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    assert_eq!(check(&plain, &Signature::new([0; 64])), Err(CryptoError::BadSignature));
    assert_eq!(check(&other, &Signature::new([0; 64])), Err(CryptoError::BadKey));
}

#[test]
fn ida_02_another_key_does_not_fit() {
    let signature = secret().sign(SigningDomain::Record, b"message");
    let other = DeviceSecret::from_seed(&Secret::copy_of(&[2; 32])).public();
    assert_eq!(check(other.as_bytes(), &signature), Err(CryptoError::BadSignature));
}

#[test]
fn a_signature_counts_in_its_domain_only() {
    for made in SigningDomain::ALL {
        let signature = secret().sign(made, b"message");
        for asked in SigningDomain::ALL {
            let result = verify(asked, secret().public().as_bytes(), b"message", &signature);
            assert_eq!(result.is_ok(), made == asked, "{made:?} as {asked:?}");
        }
    }
}

#[test]
fn domain_strings_are_different_and_hold_no_zero() {
    let mut strings: Vec<_> = SigningDomain::ALL.iter().map(|domain| domain.as_str()).collect();
    assert!(strings.iter().all(|text| text.starts_with("starling/1/sign/") && !text.contains('\0')));
    strings.sort_unstable();
    strings.dedup();
    assert_eq!(strings.len(), SigningDomain::ALL.len());
}

proptest! {
    #[test]
    fn ida_01_one_flipped_bit_is_refused(bit in 0usize..512) {
        let mut bytes = *secret().sign(SigningDomain::Record, b"message").as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = check(secret().public().as_bytes(), &Signature::new(bytes));
        prop_assert_eq!(refused, Err(CryptoError::BadSignature));
    }

    #[test]
    fn ida_01_random_signatures_are_refused(key: [u8; 32], head: [u8; 32], tail: [u8; 32]) {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&head);
        bytes[32..].copy_from_slice(&tail);
        prop_assert!(check(&key, &Signature::new(bytes)).is_err());
    }
}
