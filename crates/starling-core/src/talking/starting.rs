//! Starting sessions: on a key that the device reserved for us, else on its bundle's fallback key.

use starling_crypto::identity::VerifiedDevice;
use starling_crypto::session::OlmAccount;
use starling_proto::identity::Bundle;
use starling_proto::ids::{DeviceKey, OlmKey, RecordKey};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::{Span, Tick};

use super::machine::Errand;
use super::trace::Step;
use super::{Context, Notice, Talking};
use crate::storage::StorageError;
use crate::wish::Wish;

/// A session is started anew with a device at most this often, so that two that misunderstand each other do not burn
/// keys.
const RENEWAL: Span = Span::from_hours(1);
/// How soon a bundle is looked for again. Meanwhile the device may start a session with us.
const KEY_RETRY: Span = Span::from_secs(60);

impl<A: OlmAccount> Talking<A> {
    /// The device can open nothing of ours: a new session, at most once an hour.
    pub(super) fn renew_session(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
    ) -> Result<(), StorageError> {
        let now = context.now.tick;
        let lately = self.is_renewed(device, now);
        let peer = self.circle.device(device).map(|(_, peer)| peer);
        match peer.filter(|_| !lately) {
            Some(peer) => {
                if self.open_session(context, peer)? {
                    self.renewed.insert(*device, now);
                }
                Ok(())
            }
            None => self.failed(context, device, Step::NotOpened),
        }
    }

    /// Whether a session was started anew with a device within the last hour.
    pub(super) fn is_renewed(&self, device: &DeviceKey, now: Tick) -> bool {
        self.renewed.get(device).is_some_and(|at| now.since(*at) < RENEWAL)
    }

    /// Starts a session on a key that the device reserved for us, or asks for its bundle. Says whether it is there.
    pub(super) fn open_session(
        &mut self,
        context: &mut Context<'_>,
        peer: VerifiedDevice,
    ) -> Result<bool, StorageError> {
        let (account, device) = (peer.account(), peer.key());
        while let Some(key) = self.circle.take_one_time_key(&device) {
            self.notify(Notice::KeyUsed { account, device, key });
            if self.sessions.start(context.store, context.rng, peer, key)? {
                return Ok(true);
            }
        }
        let asked = |errand: &Errand| matches!(errand, Errand::Bundle(of) if *of == device);
        if !self.keyless.contains_key(&device) && !self.errands.values().any(asked) {
            let key = RecordKey::for_bundle(&device);
            self.ask(Errand::Bundle(device), |tag| Wish::Fetch { tag, key, kind: RecordKind::Bundle });
        }
        Ok(false)
    }

    /// A bundle was fetched, or not found.
    pub(super) fn bundle_came(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let Some((_, peer)) = self.circle.device(device) else { return Ok(()) };
        let key = fallback_key(records, device);
        let started = match key {
            Some(key) => self.sessions.start(context.store, context.rng, peer, key)?,
            None => false,
        };
        if started {
            self.renewed.insert(*device, context.now.tick);
        } else {
            self.keyless.insert(*device, context.now.tick.after(KEY_RETRY));
            self.explain(context, device, Step::NoSession)?;
        }
        Ok(())
    }
}

/// The fallback key of the device's newest bundle; the overlay has checked that the device published it.
fn fallback_key(records: &[Record], device: &DeviceKey) -> Option<OlmKey> {
    newest_bundle(records, device).map(|bundle| bundle.fallback_key)
}

/// The device's newest bundle; the overlay has checked that the device published it.
pub(super) fn newest_bundle(records: &[Record], device: &DeviceKey) -> Option<Bundle> {
    let of_device = |record: &&Record| {
        let body = record.body();
        body.kind == RecordKind::Bundle && body.publisher.as_bytes() == device.as_bytes() && !body.tombstone
    };
    let newest = records.iter().filter(of_device).max_by_key(|record| record.body().sequence)?;
    let bundle = Bundle::decode(&newest.body().payload).ok()?;
    (bundle.device == *device).then_some(bundle)
}
