//! State written down: versioned protobuf, like the real rows.

use prost::Message as _;
use starling_crypto::session::{FallbackKeys, Pickle, SessionError};
use starling_proto::ids::OlmKey;

use super::account::InsecureAccount;
use super::chain::{Chain, ReceivingChain};
use super::keys::{Material, SessionKeys};
use super::ratchet::{InsecureSession, Sending};

const VERSION: u32 = 1;

/// An account.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredAccount {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    identity: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "3")]
    current_fallback: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    previous_fallback: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    one_time: Vec<Vec<u8>>,
}

/// A session.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredSession {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    base: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    one_time: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    root: Vec<u8>,
    /// Ours if there is a chain under it, theirs if not.
    #[prost(bytes = "vec", tag = "6")]
    ratchet_key: Vec<u8>,
    #[prost(message, optional, tag = "7")]
    sending: Option<StoredChain>,
    #[prost(message, repeated, tag = "8")]
    receiving: Vec<StoredReceiving>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredReceiving {
    #[prost(bytes = "vec", tag = "1")]
    ratchet_key: Vec<u8>,
    #[prost(message, required, tag = "2")]
    chain: StoredChain,
    #[prost(message, repeated, tag = "3")]
    skipped: Vec<StoredChain>,
}

/// A chain, or the key of one message.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredChain {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
}

impl StoredAccount {
    pub(super) fn to_pickle(&self) -> Pickle {
        Pickle::new(self.encode_to_vec())
    }

    pub(super) fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        let stored = Self::decode(bytes).map_err(|_| SessionError::BadPickle)?;
        if stored.version == VERSION { Ok(stored) } else { Err(SessionError::BadPickle) }
    }
}

impl From<&InsecureAccount> for StoredAccount {
    fn from(account: &InsecureAccount) -> Self {
        Self {
            version: VERSION,
            identity: written(account.identity),
            current_fallback: account.fallback.current.map(written),
            previous_fallback: account.fallback.previous.map(written),
            one_time: account.one_time.iter().copied().map(written).collect(),
        }
    }
}

impl TryFrom<StoredAccount> for InsecureAccount {
    type Error = SessionError;

    fn try_from(stored: StoredAccount) -> Result<Self, SessionError> {
        let optional = |key: Option<Vec<u8>>| key.map(|key| read_key(&key)).transpose();
        let fallback = FallbackKeys {
            current: optional(stored.current_fallback)?,
            previous: optional(stored.previous_fallback)?,
        };
        let one_time = stored.one_time.iter().map(|key| read_key(key)).collect::<Result<_, _>>()?;
        Ok(Self { identity: read_key(&stored.identity)?, fallback, one_time })
    }
}

impl StoredSession {
    pub(super) fn to_pickle(&self) -> Pickle {
        Pickle::new(self.encode_to_vec())
    }

    pub(super) fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        let stored = Self::decode(bytes).map_err(|_| SessionError::BadPickle)?;
        if stored.version == VERSION { Ok(stored) } else { Err(SessionError::BadPickle) }
    }
}

impl From<&InsecureSession> for StoredSession {
    fn from(session: &InsecureSession) -> Self {
        let (ratchet_key, sending) = match &session.sending {
            Sending::Ours { ratchet_key, chain } => (*ratchet_key, Some(StoredChain::from(chain))),
            Sending::Theirs { ratchet_key } => (*ratchet_key, None),
        };
        Self {
            version: VERSION,
            identity: written(session.keys.identity),
            base: written(session.keys.base),
            one_time: written(session.keys.one_time),
            root: session.root.as_bytes().to_vec(),
            ratchet_key: written(ratchet_key),
            sending,
            receiving: session.receiving.iter().map(StoredReceiving::from).collect(),
        }
    }
}

impl TryFrom<StoredSession> for InsecureSession {
    type Error = SessionError;

    fn try_from(stored: StoredSession) -> Result<Self, SessionError> {
        let ratchet_key = read_key(&stored.ratchet_key)?;
        let sending = match stored.sending {
            Some(chain) => Sending::Ours { ratchet_key, chain: chain.try_into()? },
            None => Sending::Theirs { ratchet_key },
        };
        let keys = SessionKeys {
            identity: read_key(&stored.identity)?,
            base: read_key(&stored.base)?,
            one_time: read_key(&stored.one_time)?,
        };
        let receiving = stored.receiving.into_iter().map(ReceivingChain::try_from);
        Ok(Self {
            keys,
            root: material(&stored.root)?,
            sending,
            receiving: receiving.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ReceivingChain> for StoredReceiving {
    fn from(receiving: &ReceivingChain) -> Self {
        let skipped = receiving.skipped.iter();
        Self {
            ratchet_key: written(receiving.ratchet_key),
            chain: StoredChain::from(&receiving.chain),
            skipped: skipped
                .map(|(index, key)| StoredChain { index: *index, key: key.as_bytes().to_vec() })
                .collect(),
        }
    }
}

impl TryFrom<StoredReceiving> for ReceivingChain {
    type Error = SessionError;

    fn try_from(stored: StoredReceiving) -> Result<Self, SessionError> {
        let skipped = stored.skipped.into_iter().map(|skipped| Ok((skipped.index, material(&skipped.key)?)));
        Ok(Self {
            ratchet_key: read_key(&stored.ratchet_key)?,
            chain: stored.chain.try_into()?,
            skipped: skipped.collect::<Result<_, SessionError>>()?,
        })
    }
}

impl From<&Chain> for StoredChain {
    fn from(chain: &Chain) -> Self {
        Self { index: chain.index, key: chain.key.as_bytes().to_vec() }
    }
}

impl TryFrom<StoredChain> for Chain {
    type Error = SessionError;

    fn try_from(stored: StoredChain) -> Result<Self, SessionError> {
        Ok(Self { key: material(&stored.key)?, index: stored.index })
    }
}

fn written(key: OlmKey) -> Vec<u8> {
    key.as_bytes().to_vec()
}

fn read_key(bytes: &[u8]) -> Result<OlmKey, SessionError> {
    OlmKey::from_slice(bytes).map_err(|_| SessionError::BadPickle)
}

fn material(bytes: &[u8]) -> Result<Material, SessionError> {
    bytes.try_into().map(Material::new).map_err(|_| SessionError::BadPickle)
}
