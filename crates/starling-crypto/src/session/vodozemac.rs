//! Olm by vodozemac, with full-length (version 2) authentication codes.

use alloc::vec::Vec;

use prost::Message as _;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use starling_proto::ids::{OlmKey, SessionId};
use vodozemac::olm::{
    Account, AccountPickle, DecryptionError, EncryptionError, Message, OlmMessage as Olm, PreKeyMessage,
    Session, SessionConfig, SessionCreationError, SessionKeys, SessionPickle,
};
use vodozemac::{Curve25519PublicKey, DecodeError};
use zeroize::Zeroizing;

use super::stored::StoredAccount;
use super::{FallbackKeys, OlmAccount, OlmMessage, OlmSession, Pickle, PrekeyHeader, SessionError};

/// The real Olm account. Draws its own randomness (see the [module](super)).
pub struct Vodozemac {
    account: Account,
    fallback: FallbackKeys,
}

/// The real Olm session. Draws its own randomness (see the [module](super)).
pub struct VodozemacSession(Session);

impl OlmAccount for Vodozemac {
    type Session = VodozemacSession;

    fn generate(_rng: &mut dyn CryptoRng) -> Self {
        Self { account: Account::new(), fallback: FallbackKeys::default() }
    }

    fn identity_key(&self) -> OlmKey {
        from_curve(self.account.curve25519_key())
    }

    fn rotate_fallback(&mut self, _rng: &mut dyn CryptoRng) {
        self.account.generate_fallback_key();
        // vodozemac lists the current key only until it is marked as published; we keep it beside the account.
        let made = self.account.fallback_key().into_values().next().map(from_curve);
        self.account.mark_keys_as_published();
        self.fallback = FallbackKeys { current: made, previous: self.fallback.current };
    }

    fn fallback_keys(&self) -> FallbackKeys {
        self.fallback
    }

    fn forget_previous_fallback(&mut self) -> bool {
        self.fallback.previous = None;
        self.account.forget_fallback_key()
    }

    fn generate_one_time_keys(&mut self, count: usize, _rng: &mut dyn CryptoRng) -> Vec<OlmKey> {
        let made = self.account.generate_one_time_keys(count);
        self.account.mark_keys_as_published();
        made.created.into_iter().map(from_curve).collect()
    }

    fn start(
        &self,
        identity: OlmKey,
        key: OlmKey,
        _rng: &mut dyn CryptoRng,
    ) -> Result<VodozemacSession, SessionError> {
        let session = self.account.create_outbound_session(
            SessionConfig::version_2(),
            to_curve(identity),
            to_curve(key),
        );
        session.map(VodozemacSession).map_err(|error| creation(&error))
    }

    fn inspect(message: &[u8]) -> Result<PrekeyHeader, SessionError> {
        let message = PreKeyMessage::from_bytes(message).map_err(|error| decoding(&error))?;
        Ok(PrekeyHeader {
            session: session_id(&message.session_keys()),
            sender: from_curve(message.identity_key()),
            key: from_curve(message.one_time_key()),
        })
    }

    fn accept(
        &mut self,
        sender: OlmKey,
        message: &[u8],
    ) -> Result<(VodozemacSession, Vec<u8>), SessionError> {
        let message = PreKeyMessage::from_bytes(message).map_err(|error| decoding(&error))?;
        let made = self
            .account
            .create_inbound_session(SessionConfig::version_2(), to_curve(sender), &message)
            .map_err(|error| creation(&error))?;
        Ok((VodozemacSession(made.session), made.plaintext))
    }

    fn pickle(&self) -> Result<Pickle, SessionError> {
        let json = serde_json::to_vec(&self.account.pickle()).map_err(|_| SessionError::BadPickle)?;
        let key = |key: Option<OlmKey>| key.map_or_else(Vec::new, |key| key.as_bytes().to_vec());
        let stored = StoredAccount {
            version: StoredAccount::VERSION,
            account: json,
            current_fallback: key(self.fallback.current),
            previous_fallback: key(self.fallback.previous),
        };
        Ok(Pickle::new(Zeroizing::new(stored).encode_to_vec()))
    }

    fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        let stored = Zeroizing::new(StoredAccount::decode(bytes).map_err(|_| SessionError::BadPickle)?);
        if stored.version != StoredAccount::VERSION {
            return Err(SessionError::BadPickle);
        }
        let pickle: AccountPickle =
            serde_json::from_slice(&stored.account).map_err(|_| SessionError::BadPickle)?;
        let key = |bytes: &[u8]| match bytes {
            [] => Ok(None),
            bytes => OlmKey::from_slice(bytes).map(Some).map_err(|_| SessionError::BadPickle),
        };
        let fallback = FallbackKeys {
            current: key(&stored.current_fallback)?,
            previous: key(&stored.previous_fallback)?,
        };
        Ok(Self { account: Account::from_pickle(pickle), fallback })
    }
}

impl OlmSession for VodozemacSession {
    fn id(&self) -> SessionId {
        session_id(&self.0.session_keys())
    }

    fn has_received_message(&self) -> bool {
        self.0.has_received_message()
    }

    fn encrypt(&mut self, plaintext: &[u8], _rng: &mut dyn CryptoRng) -> Result<OlmMessage, SessionError> {
        match self.0.encrypt(plaintext) {
            Ok(Olm::Normal(message)) => Ok(OlmMessage { prekey: false, bytes: message.to_bytes() }),
            Ok(Olm::PreKey(message)) => Ok(OlmMessage { prekey: true, bytes: message.to_bytes() }),
            Err(EncryptionError::NonContributoryKey) => Err(SessionError::WeakKey),
        }
    }

    fn decrypt(&mut self, message: &OlmMessage) -> Result<Vec<u8>, SessionError> {
        let message = if message.prekey {
            PreKeyMessage::from_bytes(&message.bytes).map(Olm::PreKey)
        } else {
            Message::from_bytes(&message.bytes).map(Olm::Normal)
        };
        let message = message.map_err(|error| decoding(&error))?;
        self.0.decrypt(&message).map_err(|error| decryption(&error))
    }

    fn pickle(&self) -> Result<Pickle, SessionError> {
        serde_json::to_vec(&self.0.pickle()).map(Pickle::new).map_err(|_| SessionError::BadPickle)
    }

    fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        let pickle: SessionPickle = serde_json::from_slice(bytes).map_err(|_| SessionError::BadPickle)?;
        Ok(Self(Session::from_pickle(pickle)))
    }
}

fn from_curve(key: Curve25519PublicKey) -> OlmKey {
    OlmKey::new(key.to_bytes())
}

fn to_curve(key: OlmKey) -> Curve25519PublicKey {
    Curve25519PublicKey::from_bytes(*key.as_bytes())
}

/// vodozemac gives this hash in Base64 only (tested to be the same).
fn session_id(keys: &SessionKeys) -> SessionId {
    let hash = Sha256::new()
        .chain_update(keys.identity_key.as_bytes())
        .chain_update(keys.base_key.as_bytes())
        .chain_update(keys.one_time_key.as_bytes())
        .finalize();
    SessionId::new(hash.into())
}

fn decoding(error: &DecodeError) -> SessionError {
    match error {
        DecodeError::InvalidVersion(..) | DecodeError::InvalidMacLength(..) => SessionError::WrongVersion,
        _ => SessionError::Malformed,
    }
}

fn creation(error: &SessionCreationError) -> SessionError {
    match error {
        SessionCreationError::MissingOneTimeKey(_) => SessionError::MissingOneTimeKey,
        SessionCreationError::MismatchedIdentityKey(..) => SessionError::WrongKeys,
        SessionCreationError::MismatchedSessionConfig { .. } => SessionError::WrongVersion,
        SessionCreationError::Decryption(error) => decryption(error),
        SessionCreationError::NonContributoryKey => SessionError::WeakKey,
    }
}

fn decryption(error: &DecryptionError) -> SessionError {
    match error {
        DecryptionError::InvalidMAC(_) | DecryptionError::InvalidPadding(_) => SessionError::BadMac,
        DecryptionError::InvalidMACLength(..) => SessionError::WrongVersion,
        DecryptionError::NonContributoryKey => SessionError::WeakKey,
        DecryptionError::MissingMessageKey(_) => SessionError::MissingMessageKey,
        DecryptionError::TooBigMessageGap(gap, limit) => SessionError::TooBigGap { gap: *gap, limit: *limit },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::rng;

    crate::session_conformance!(Vodozemac, rng());

    #[test]
    fn the_session_id_is_vodozemacs() {
        let (alice, mut bob) = (Vodozemac::generate(&mut rng()), Vodozemac::generate(&mut rng()));
        let key = bob.generate_one_time_keys(1, &mut rng())[0];
        let session = alice.start(bob.identity_key(), key, &mut rng()).unwrap();
        let theirs = vodozemac::base64_decode(session.0.session_id()).unwrap();
        assert_eq!(theirs, session.id().as_bytes());
    }

    #[test]
    fn olm_version_1_is_refused() {
        let (alice, mut bob) = (Account::new(), Vodozemac::generate(&mut rng()));
        let key = bob.generate_one_time_keys(1, &mut rng())[0];
        let config = SessionConfig::version_1();
        let mut old =
            alice.create_outbound_session(config, to_curve(bob.identity_key()), to_curve(key)).unwrap();
        let (_, message) = old.encrypt("truncated codes").unwrap().to_parts();
        let refused = bob.accept(from_curve(alice.curve25519_key()), &message);
        assert_eq!(refused.err(), Some(SessionError::WrongVersion));
    }
}
