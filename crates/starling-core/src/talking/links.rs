//! Which of our contacts' devices are connected to us and have proven it: one small state for each device.
//!
//! A link comes up in steps (locate, dial, prove), each a question with an answer. What fails is tried again, ever more
//! slowly; what was cut off is tried again soon.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_overlay::io::ChannelBinding;
use starling_proto::addr::Peer;
use starling_proto::ids::{DeviceKey, NodeKey};
use starling_proto::time::{Span, Tick};

use super::presence::KEEP_ALIVE;

/// The first wait after a failure; doubles.
const FIRST_RETRY: Span = Span::from_secs(5);
/// The longest wait: a contact who comes back finds us by then, or sooner, since that side dials too.
const LONGEST_RETRY: Span = Span::from_secs(15 * 60);
/// Links that are being built at the same time: each may cost a wide fetch of some eighty requests.
const AT_ONCE: usize = 8;
/// How long the side that answered a proof waits before it speaks: streams overtake each other, and a delivery that
/// arrives before the answer would be refused.
pub const GRACE: Span = Span::from_ms(250);
/// Connections that have proven to be one device's, for all devices together.
const PROVEN: usize = 1024;
/// Of these, one device's: as many as there are connections with one peer.
const PROVEN_OF_ONE: usize = 4;

/// How far a link is. The numbers are those of the questions under way: answers to others are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is under way. `None`: nothing is to be tried before somebody wants it.
    Down {
        /// When it is tried again.
        retry: Option<Tick>,
    },
    /// Its locator is being fetched.
    Locating {
        /// Which question.
        question: u64,
        /// Which of the places.
        place: usize,
    },
    /// It is being dialled.
    Dialling {
        /// Which question.
        question: u64,
        /// Whether the addresses are fresh from its locator.
        located: bool,
    },
    /// Our proof is with the peer.
    Proving {
        /// Which question.
        question: u64,
        /// The peer.
        node: NodeKey,
        /// The connection.
        binding: ChannelBinding,
    },
    /// Both sides know whom they speak with.
    Up(Up),
}

/// A link that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Up {
    /// The peer.
    pub node: NodeKey,
    /// The connection.
    pub binding: ChannelBinding,
    /// From when on we may speak.
    pub from: Tick,
    /// Whether the device has opened anything of ours on this link.
    pub trusted: bool,
    /// When we last said that we are there.
    pub greeted: Option<Tick>,
}

#[derive(Debug)]
struct Link {
    state: State,
    /// Where the device was last.
    peer: Option<Peer>,
    wait: Span,
}

/// See the module's text. Bounded by the devices of contacts.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<DeviceKey, Link>,
    proven: BTreeMap<ChannelBinding, (NodeKey, DeviceKey)>,
}

impl Links {
    /// Keeps links with these devices and no others; new ones are tried at once. Gives those that are gone.
    pub fn keep(&mut self, devices: &[DeviceKey], now: Tick) -> Vec<DeviceKey> {
        for device in devices {
            let fresh = || Link { state: State::Down { retry: Some(now) }, peer: None, wait: FIRST_RETRY };
            self.links.entry(*device).or_insert_with(fresh);
        }
        let gone = self.links.keys().filter(|device| !devices.contains(device)).copied().collect::<Vec<_>>();
        for device in &gone {
            self.links.remove(device);
            self.proven.retain(|_, (_, proven)| proven != device);
        }
        gone
    }

    /// How far a link is.
    #[must_use]
    pub fn state(&self, device: &DeviceKey) -> Option<State> {
        self.links.get(device).map(|link| link.state)
    }

    /// A link that stands.
    #[must_use]
    pub fn up(&self, device: &DeviceKey) -> Option<Up> {
        match self.state(device)? {
            State::Up(up) => Some(up),
            _ => None,
        }
    }

    /// Every link that stands.
    pub fn all_up(&self) -> impl Iterator<Item = (DeviceKey, Up)> {
        self.links.iter().filter_map(|(device, link)| match link.state {
            State::Up(up) => Some((*device, up)),
            _ => None,
        })
    }

    /// Where a device was last.
    #[must_use]
    pub fn peer(&self, device: &DeviceKey) -> Option<&Peer> {
        self.links.get(device)?.peer.as_ref()
    }

    /// Where a device is.
    pub fn located(&mut self, device: &DeviceKey, peer: Peer) {
        if let Some(link) = self.links.get_mut(device) {
            link.peer = Some(peer);
        }
    }

    /// The next step of a link has begun.
    pub fn set(&mut self, device: &DeviceKey, state: State) {
        if let Some(link) = self.links.get_mut(device) {
            link.state = state;
        }
    }

    /// Somebody has something to say: a link that rests is tried now.
    pub fn hurry(&mut self, device: &DeviceKey, now: Tick) {
        if let Some(link) = self.links.get_mut(device)
            && matches!(link.state, State::Down { .. })
        {
            link.state = State::Down { retry: Some(now) };
            link.wait = FIRST_RETRY;
        }
    }

    /// The network has been entered: what was tried before could not be found, and is tried now.
    pub fn joined(&mut self, now: Tick) {
        for link in self.links.values_mut() {
            if let State::Down { retry: Some(_) } = link.state {
                link.state = State::Down { retry: Some(now) };
            }
            link.wait = FIRST_RETRY;
        }
    }

    /// A step failed. `random` is any uniform number.
    pub fn failed(&mut self, device: &DeviceKey, now: Tick, random: u32) {
        if let Some(link) = self.links.get_mut(device) {
            link.state = State::Down { retry: Some(now.after(link.wait.jittered(random))) };
            link.wait = link.wait.times(2).min(LONGEST_RETRY);
        }
    }

    /// Nothing is to be tried before somebody wants it.
    pub fn rest(&mut self, device: &DeviceKey) {
        self.set(device, State::Down { retry: None });
    }

    /// Both sides have proven themselves on a connection; we may speak from `from` on. Says whether the link was down
    /// before.
    pub fn came_up(
        &mut self,
        device: DeviceKey,
        (node, binding): (NodeKey, ChannelBinding),
        from: Tick,
    ) -> bool {
        self.remember(device, node, binding);
        let Some(link) = self.links.get_mut(&device) else { return false };
        if link.peer.as_ref().is_none_or(|peer| peer.key() != node) {
            link.peer = Some(Peer::new(node, []));
        }
        if let State::Up(up) = &mut link.state {
            // The newest connection counts: the peer may have lost the other one before we notice.
            let trusted = up.trusted && up.binding == binding;
            *up = Up { node, binding, from: up.from.max(from), trusted, ..*up };
            return false;
        }
        link.state = State::Up(Up { node, binding, from, trusted: false, greeted: None });
        true
    }

    /// Who is on a connection. One that connects again and again forgets its own older connections, nobody else's.
    fn remember(&mut self, device: DeviceKey, node: NodeKey, binding: ChannelBinding) {
        let own =
            self.proven.iter().filter(|(_, (_, proven))| *proven == device).map(|(binding, _)| *binding);
        let own: Vec<ChannelBinding> = own.collect();
        if let Some(older) = own.first().filter(|_| own.len() >= PROVEN_OF_ONE && !own.contains(&binding)) {
            self.proven.remove(older);
        }
        if self.proven.len() >= PROVEN {
            self.proven.pop_first();
        }
        self.proven.insert(binding, (node, device));
    }

    /// The device has opened something of ours: when this link breaks, the next is tried soon.
    pub fn trust(&mut self, device: &DeviceKey) {
        if let Some(link) = self.links.get_mut(device)
            && let State::Up(up) = &mut link.state
        {
            up.trusted = true;
            link.wait = FIRST_RETRY;
        }
    }

    /// We said that we are there, or (`None`) have something new to say.
    pub fn greeted(&mut self, device: &DeviceKey, at: Option<Tick>) {
        if let Some(Link { state: State::Up(up), .. }) = self.links.get_mut(device) {
            up.greeted = at;
        }
    }

    /// The device that has proven itself on a connection.
    #[must_use]
    pub fn device_on(&self, node: &NodeKey, binding: &ChannelBinding) -> Option<DeviceKey> {
        self.proven.get(binding).filter(|(proven, _)| proven == node).map(|(_, device)| *device)
    }

    /// One connection is gone.
    pub fn closed(&mut self, binding: &ChannelBinding) {
        self.proven.remove(binding);
    }

    /// Every connection with a peer is gone. Gives the devices whose links stood or were being proven on one.
    pub fn peer_down(&mut self, node: &NodeKey) -> Vec<DeviceKey> {
        self.proven.retain(|_, (proven, _)| proven != node);
        let on_node = |link: &Link| match link.state {
            State::Up(up) => up.node == *node,
            State::Proving { node: with, .. } => with == *node,
            _ => false,
        };
        self.links.iter().filter(|(_, link)| on_node(link)).map(|(device, _)| *device).collect()
    }

    /// Devices that were last at a peer and are not linked: it has just connected.
    pub fn expected_at(&self, node: &NodeKey) -> Vec<DeviceKey> {
        let here = |link: &Link| {
            matches!(link.state, State::Down { .. })
                && link.peer.as_ref().is_some_and(|peer| peer.key() == *node)
        };
        self.links.iter().filter(|(_, link)| here(link)).map(|(device, _)| *device).collect()
    }

    /// The next device that is to be tried.
    #[must_use]
    pub fn due(&self, now: Tick) -> Option<DeviceKey> {
        let is_due = |link: &Link| matches!(link.state, State::Down { retry: Some(at) } if at <= now);
        if self.building() >= AT_ONCE {
            return None;
        }
        let waiting = self.links.iter().filter(|(_, link)| is_due(link));
        // Who waits longest: with many contacts away, nobody is passed over for ever.
        let since = |link: &Link| match link.state {
            State::Down { retry } => retry,
            _ => None,
        };
        waiting.min_by_key(|(_, link)| since(link)).map(|(device, _)| *device)
    }

    /// When something is due next, as far as time alone decides.
    #[must_use]
    pub fn next_timeout(&self, now: Tick) -> Option<Tick> {
        let full = self.building() >= AT_ONCE;
        let due = |link: &Link| match link.state {
            State::Down { retry } => retry.filter(|_| !full),
            State::Up(up) if up.from > now => Some(up.from),
            State::Up(up) => up.greeted.map(|at| at.after(KEEP_ALIVE)),
            _ => None,
        };
        self.links.values().filter_map(due).min()
    }

    fn building(&self) -> usize {
        let under_way = |link: &&Link| !matches!(link.state, State::Down { .. } | State::Up(_));
        self.links.values().filter(under_way).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: DeviceKey = DeviceKey::new([1; 32]);
    const NODE: NodeKey = NodeKey::new([2; 32]);

    fn links() -> Links {
        let mut links = Links::default();
        assert!(links.keep(&[PHONE], Tick::ZERO).is_empty());
        links
    }

    #[test]
    fn failures_are_tried_again_ever_more_slowly() {
        let (mut links, mut at, mut waits) = (links(), Tick::ZERO, Vec::new());
        for _ in 0..12 {
            assert_eq!(links.due(at), Some(PHONE));
            links.failed(&PHONE, at, u32::MAX / 2);
            let next = links.next_timeout(at).unwrap();
            waits.push(next.since(at).as_secs());
            at = next;
        }
        assert_eq!((waits[0], waits[11]), (4, 899));
        links.hurry(&PHONE, at);
        assert_eq!(links.due(at), Some(PHONE));
    }

    #[test]
    fn whoever_enters_the_network_looks_for_everybody_at_once() {
        let mut links = links();
        for _ in 0..8 {
            links.failed(&PHONE, Tick::ZERO, 0);
        }
        assert_eq!(links.due(Tick::from_ms(100)), None);
        links.joined(Tick::from_ms(100));
        assert_eq!(links.due(Tick::from_ms(100)), Some(PHONE));
        links.rest(&PHONE);
        links.joined(Tick::from_ms(200));
        assert_eq!(links.due(Tick::from_ms(200)), None, "nobody wants it");
    }

    #[test]
    fn a_proof_counts_on_its_connection_and_ends_with_it() {
        let mut links = links();
        assert!(links.came_up(PHONE, (NODE, [7; 32]), Tick::ZERO));
        assert!(!links.came_up(PHONE, (NODE, [8; 32]), Tick::ZERO), "a second connection");
        assert_eq!(links.device_on(&NODE, &[8; 32]), Some(PHONE));
        assert_eq!(links.device_on(&NodeKey::new([9; 32]), &[8; 32]), None);
        assert_eq!(links.peer_down(&NODE), [PHONE]);
        assert_eq!(links.device_on(&NODE, &[7; 32]), None);
        links.failed(&PHONE, Tick::ZERO, 0);
        assert_eq!(links.expected_at(&NODE), [PHONE]);
    }

    #[test]
    fn few_are_built_at_once() {
        let devices: Vec<DeviceKey> = (0..20).map(|n| DeviceKey::new([n; 32])).collect();
        let mut links = Links::default();
        links.keep(&devices, Tick::ZERO);
        let mut started = 0;
        while let Some(device) = links.due(Tick::ZERO) {
            links.set(&device, State::Dialling { question: started, located: false });
            started += 1;
        }
        assert_eq!((started, links.next_timeout(Tick::ZERO)), (AT_ONCE as u64, None));
        assert_eq!(links.keep(&devices[..2], Tick::ZERO).len(), 18);
    }

    #[test]
    fn who_waits_longest_is_tried_first() {
        let mut links = Links::default();
        let (early, late) = (DeviceKey::new([9; 32]), DeviceKey::new([1; 32]));
        links.keep(&[early], Tick::ZERO);
        links.keep(&[early, late], Tick::from_ms(1));
        assert_eq!(links.due(Tick::from_ms(5)), Some(early), "not who has the smaller key");
    }

    #[test]
    fn who_connects_again_and_again_pushes_out_nobody_else() {
        let mut links = Links::default();
        let (friend, noisy, node) = (DeviceKey::new([1; 32]), DeviceKey::new([2; 32]), NodeKey::new([3; 32]));
        links.came_up(friend, (node, [0; 32]), Tick::ZERO);
        for n in 0..2 * PROVEN {
            let mut binding = [1; 32];
            binding[..8].copy_from_slice(&(n as u64).to_be_bytes());
            links.came_up(noisy, (node, binding), Tick::ZERO);
        }
        assert_eq!(links.device_on(&node, &[0; 32]), Some(friend));
        assert_eq!(links.proven.len(), 1 + PROVEN_OF_ONE);
    }
}
