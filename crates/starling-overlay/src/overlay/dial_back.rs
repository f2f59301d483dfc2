//! Dialling for each other, so that everybody learns whether it can be reached.
//!
//! Who asks itself is dialled at the address it is seen at and nowhere else. Who passes a request on must be a server that
//! we know, and is believed as to the address: it can point us at one machine outside, ten times a minute at most.

use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::limits;
use starling_proto::message::{DialBack, Refusal, Request, Response};

use super::calls::Purpose;
use super::{Context, Overlay};
use crate::group::AddressGroup;
use crate::holder::chance;
use crate::io::{InboundId, Remote};
use crate::table::Contact;

impl Overlay {
    /// Asks a random server to have us dialled, one of another group than our own if there is one.
    pub(super) fn ask_dial_back(&mut self, context: &mut Context<'_>) {
        let own = &self.observed;
        let mut contacts: Vec<&Contact> = self.table.contacts().collect();
        let elsewhere = |contact: &&Contact| !own.is_own_group(&contact.group());
        if contacts.iter().any(elsewhere) {
            contacts.retain(elsewhere);
        }
        let pick = chance::below(context.rng, contacts.len());
        let Some(peer) = contacts.get(pick).map(|contact| contact.peer()) else { return };
        let addresses = self.observed.announced().to_vec();
        let request = DialBack { subject: self.me, addresses, relayed: false };
        self.call(peer, Request::DialBack(request), Purpose::AskDialBack);
    }

    pub(super) fn serve_dial_back(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        inbound: InboundId,
        request: &DialBack,
    ) {
        // Only a server that we know may send us to somebody else.
        let allowed = if request.relayed {
            self.table.get(&remote.key).is_some() && request.subject != self.me
        } else {
            request.subject == remote.key
        };
        if !allowed {
            return self.reply(inbound, Response::Refused(Refusal::NotAllowed), true);
        }
        let group = AddressGroup::of(&remote.address);
        if !self.dials.take(group, context.now.tick, self.config.service.dial_backs) {
            return self.reply(inbound, Response::Refused(Refusal::Busy), true);
        }
        if request.relayed {
            self.dial_for(&Peer::new(request.subject, one_machine(remote.address, &request.addresses)));
            return self.reply(inbound, Response::DialBack(true), true);
        }
        let addresses = addresses_at(remote.address, &request.addresses);
        match self.somebody_else(context, remote) {
            Some(other) => {
                let request = DialBack { subject: remote.key, addresses, relayed: true };
                self.call(other, Request::DialBack(request), Purpose::PassDialBack(inbound));
            }
            None => {
                // We know nobody else: our own dial is worth less, and better than none.
                self.dial_for(&Peer::new(remote.key, addresses));
                self.reply(inbound, Response::DialBack(true), true);
            }
        }
    }

    /// Dials on a connection of its own; that it stands is all there is to it.
    fn dial_for(&mut self, peer: &Peer) {
        if !peer.addresses().is_empty() {
            self.call(peer.clone(), Request::Ping, Purpose::DialFor);
        }
    }

    /// A random server of another group than the asker's.
    fn somebody_else(&self, context: &mut Context<'_>, asker: &Remote) -> Option<Peer> {
        let group = AddressGroup::of(&asker.address);
        let others: Vec<&Contact> = self
            .table
            .contacts()
            .filter(|contact| {
                contact.key() != asker.key && contact.group() != group && contact.failures() == 0
            })
            .collect();
        others.get(chance::below(context.rng, others.len())).map(|contact| contact.peer())
    }
}

/// The addresses that a peer at `teller` may tell us of, on the machine of the first of them: a server that passes a
/// request on cannot have us knock at doors of our own network, nor at many.
fn one_machine(teller: SocketAddr, named: &[SocketAddr]) -> Vec<SocketAddr> {
    let teller = AddressGroup::of(&teller);
    let mut tellable =
        named.iter().copied().filter(|address| AddressGroup::of(address).may_be_told_to(&teller)).peekable();
    let machine = tellable.peek().map(SocketAddr::ip);
    tellable.filter(|address| Some(address.ip()) == machine).take(limits::PEER_ADDRESSES / 2).collect()
}

/// The address a peer is seen at, and those it names on the same machine.
fn addresses_at(seen: SocketAddr, named: &[SocketAddr]) -> Vec<SocketAddr> {
    let same = named.iter().copied().filter(|other| other.ip() == seen.ip() && *other != seen);
    core::iter::once(seen).chain(same).take(limits::PEER_ADDRESSES / 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_server_cannot_send_us_into_our_own_network_nor_to_many() {
        let teller = "8.8.8.8:1".parse().unwrap();
        let named = addresses(&[
            "127.0.0.1:22",
            "192.168.0.1:80",
            "9.9.9.9:1",
            "9.9.9.9:2",
            "9.9.9.9:3",
            "7.7.7.7:1",
        ]);
        assert_eq!(one_machine(teller, &named), addresses(&["9.9.9.9:1", "9.9.9.9:2"]));
        assert_eq!(one_machine(teller, &named[..2]), Vec::new());
    }
}
