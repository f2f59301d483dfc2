//! The double ratchet: a chain turns whenever the conversation does.

use std::collections::VecDeque;

use rand_core::CryptoRng;
use starling_crypto::session::{OlmMessage, OlmSession, Pickle, SessionError};
use starling_proto::ids::{OlmKey, SessionId};

use super::chain::{Chain, ReceivingChain, check_gap};
use super::keys::{Material, SessionKeys, is_weak, random_key, turn};
use super::message::{Message, Prekey};
use super::seals;
use super::stored::StoredSession;

/// Chains of the other side that are kept.
const MAX_CHAINS: usize = 5;

/// The double's session. Protects nothing: see the [module](super).
pub(crate) struct InsecureSession {
    pub(super) keys: SessionKeys,
    pub(super) root: Material,
    pub(super) sending: Sending,
    /// Oldest first.
    pub(super) receiving: VecDeque<ReceivingChain>,
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) enum Sending {
    /// We are talking, under a ratchet key of ours.
    Ours { ratchet_key: OlmKey, chain: Chain },
    /// The other side has turned the ratchet; our next message turns it back.
    Theirs { ratchet_key: OlmKey },
}

impl InsecureSession {
    /// The starting side; `accepting` is the other side's identity key.
    pub(super) fn start(
        keys: SessionKeys,
        accepting: OlmKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, SessionError> {
        let (root, chain) = keys.agree(accepting)?;
        let sending = Sending::Ours { ratchet_key: random_key(rng), chain: Chain::new(chain) };
        Ok(Self { keys, root, sending, receiving: VecDeque::new() })
    }

    /// The accepting side, whose identity key is `accepting`, and the text of the message.
    pub(super) fn accept(prekey: &Prekey, accepting: OlmKey) -> Result<(Self, Vec<u8>), SessionError> {
        let (root, chain) = prekey.keys.agree(accepting)?;
        let ratchet_key = prekey.message.ratchet_key;
        let mut receiving = ReceivingChain::new(ratchet_key, chain);
        let text = receiving.open(&prekey.message)?;
        let sending = Sending::Theirs { ratchet_key };
        Ok((Self { keys: prekey.keys, root, sending, receiving: VecDeque::from([receiving]) }, text))
    }

    /// A new ratchet key of ours in answer to theirs, and the chain under it.
    fn turn_back(
        &mut self,
        theirs: OlmKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<(OlmKey, Chain), SessionError> {
        let own = random_key(rng);
        let (root, chain) = turn(&self.root, own, theirs)?;
        self.root = root;
        Ok((own, Chain::new(chain)))
    }

    /// Opens the first message under a new ratchet key of the other side.
    fn open_turned(&mut self, message: &Message) -> Result<Vec<u8>, SessionError> {
        let Sending::Ours { ratchet_key: own, .. } = self.sending else {
            return Err(refuse_unasked(message));
        };
        let (root, chain) = turn(&self.root, own, message.ratchet_key)?;
        let mut receiving = ReceivingChain::new(message.ratchet_key, chain);
        let text = receiving.open(message)?;
        self.root = root;
        self.sending = Sending::Theirs { ratchet_key: message.ratchet_key };
        if self.receiving.len() >= MAX_CHAINS {
            self.receiving.pop_front();
        }
        self.receiving.push_back(receiving);
        Ok(text)
    }
}

/// The other side cannot turn the ratchet twice in a row. Olm tries all the same, with a key of its own that nobody
/// has seen, and fails with the first of these.
fn refuse_unasked(message: &Message) -> SessionError {
    if is_weak(message.ratchet_key) {
        return SessionError::WeakKey;
    }
    check_gap(0, message.index).err().unwrap_or(SessionError::BadMac)
}

impl OlmSession for InsecureSession {
    fn id(&self) -> SessionId {
        self.keys.id()
    }

    fn has_received_message(&self) -> bool {
        !self.receiving.is_empty()
    }

    fn encrypt(&mut self, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Result<OlmMessage, SessionError> {
        let (ratchet_key, mut chain) = match &self.sending {
            Sending::Ours { ratchet_key, chain } => (*ratchet_key, chain.clone()),
            Sending::Theirs { ratchet_key } => self.turn_back(*ratchet_key, rng)?,
        };
        let index = chain.index;
        let key = chain.next();
        let bytes = Message::seal(&key, ratchet_key, index, plaintext);
        seals::note(&key, &bytes);
        self.sending = Sending::Ours { ratchet_key, chain };
        let prekey = !self.has_received_message();
        let bytes = if prekey { Prekey::wrap(&self.keys, bytes) } else { bytes };
        Ok(OlmMessage { prekey, bytes })
    }

    fn decrypt(&mut self, message: &OlmMessage) -> Result<Vec<u8>, SessionError> {
        let message = Message::within(message)?;
        match self.receiving.iter_mut().find(|chain| chain.ratchet_key == message.ratchet_key) {
            Some(chain) => chain.open(&message),
            None => self.open_turned(&message),
        }
    }

    fn pickle(&self) -> Result<Pickle, SessionError> {
        Ok(StoredSession::from(self).to_pickle())
    }

    fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        StoredSession::from_pickle(bytes)?.try_into()
    }
}
