//! Chains: one hash for each message, one chain for each turn of the conversation.

use std::collections::VecDeque;

use starling_crypto::session::SessionError;
use starling_proto::ids::OlmKey;

use super::keys::Material;
use super::message::Message;

/// Messages that may be missing before one that is opened.
const MAX_GAP: u64 = 2000;
/// Keys of skipped messages that are kept for each chain.
const MAX_SKIPPED: usize = 40;

/// A chain and how far it has got.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) key: Material,
    pub(super) index: u64,
}

impl Chain {
    pub(super) const fn new(key: Material) -> Self {
        Self { key, index: 0 }
    }

    /// The key of the message at [`Self::index`]; steps past it.
    pub(super) fn next(&mut self) -> Material {
        let key = self.key.derive("message");
        self.skip();
        key
    }

    fn skip(&mut self) {
        self.key = self.key.derive("next");
        self.index += 1;
    }
}

/// What the other side has sent under one ratchet key.
#[derive(Debug, Clone)]
pub(super) struct ReceivingChain {
    pub(super) ratchet_key: OlmKey,
    pub(super) chain: Chain,
    /// Keys of messages that were passed over, oldest first.
    pub(super) skipped: VecDeque<(u64, Material)>,
}

impl ReceivingChain {
    pub(super) const fn new(ratchet_key: OlmKey, key: Material) -> Self {
        Self { ratchet_key, chain: Chain::new(key), skipped: VecDeque::new() }
    }

    /// Opens a message; changes nothing if that fails.
    pub(super) fn open(&mut self, message: &Message) -> Result<Vec<u8>, SessionError> {
        check_gap(self.chain.index, message.index)?;
        if message.index < self.chain.index { self.open_skipped(message) } else { self.open_ahead(message) }
    }

    fn open_skipped(&mut self, message: &Message) -> Result<Vec<u8>, SessionError> {
        let place = self.skipped.iter().position(|(index, _)| *index == message.index);
        let place = place.ok_or(SessionError::MissingMessageKey)?;
        let (_, key) = self.skipped.get(place).ok_or(SessionError::MissingMessageKey)?;
        let text = message.open(key)?;
        self.skipped.remove(place);
        Ok(text)
    }

    fn open_ahead(&mut self, message: &Message) -> Result<Vec<u8>, SessionError> {
        let mut chain = self.chain.clone();
        let mut passed = Vec::new();
        while chain.index < message.index {
            if message.index - chain.index > MAX_SKIPPED as u64 {
                chain.skip();
            } else {
                passed.push((chain.index, chain.next()));
            }
        }
        let text = message.open(&chain.next())?;
        self.chain = chain;
        self.skipped.extend(passed);
        let excess = self.skipped.len().saturating_sub(MAX_SKIPPED);
        self.skipped.drain(..excess);
        Ok(text)
    }
}

/// Refuses to step from `from` to `to` if that is too far.
pub(super) const fn check_gap(from: u64, to: u64) -> Result<(), SessionError> {
    let gap = to.saturating_sub(from);
    if gap > MAX_GAP { Err(SessionError::TooBigGap { gap, limit: MAX_GAP }) } else { Ok(()) }
}
