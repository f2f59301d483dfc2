//! Where a candidate is said to be, and by whom.

use starling_proto::addr::Peer;

/// Sources remembered for each candidate: enough that a liar among them does not decide.
const SOURCES: usize = 3;

/// Somebody who told of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SourceId(pub(super) u16);

impl SourceId {
    /// Our own table: never under suspicion.
    pub(super) const OURSELVES: Self = Self(0);
}

/// The addresses that sources named for one peer, to be dialled at once.
#[derive(Debug, Clone)]
pub(super) struct Hearsay {
    peer: Peer,
    /// So many of the addresses were the first that some source named: they stand before all others.
    firsts: usize,
    sources: [Option<SourceId>; SOURCES],
}

impl Hearsay {
    pub(super) fn new(peer: Peer, source: SourceId) -> Self {
        // What we know ourselves makes way for nobody's word.
        let firsts = if source == SourceId::OURSELVES { peer.addresses().len() } else { 1 };
        let mut sources = [None; SOURCES];
        sources[0] = Some(source);
        Self { peer, firsts, sources }
    }

    /// The peer, at every address that was named and has room.
    pub(super) const fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.sources.iter().flatten().copied()
    }

    /// Takes in where `source` says that it is: the first address that each of the sources named before the second of
    /// any, so that one of them cannot take all the room. False if its first address found none.
    pub(super) fn merge(&mut self, named: &Peer, source: SourceId) -> bool {
        let Some(first) = named.addresses().first() else { return true };
        let known = self.peer.addresses();
        let (firsts, rest) = known.split_at(self.firsts.min(known.len()));
        let is_new = !firsts.contains(first);
        if !is_new && named.addresses().iter().all(|address| known.contains(address)) {
            self.named_by(source);
            return true;
        }
        let merged = firsts.iter().chain([first]).chain(rest).chain(named.addresses());
        let merged = self.peer.at(merged.copied());
        let taken = merged.addresses().contains(first);
        self.firsts = self.firsts.saturating_add(usize::from(is_new && taken));
        self.peer = merged;
        if taken {
            self.named_by(source);
        }
        taken
    }

    fn named_by(&mut self, source: SourceId) {
        if self.sources.contains(&Some(source)) {
            return;
        }
        if let Some(free) = self.sources.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::NodeKey;

    use super::*;

    fn at(ports: &[u16]) -> Peer {
        let address = |port: &u16| format!("8.8.8.8:{port}").parse().unwrap();
        Peer::new(NodeKey::new([1; 32]), ports.iter().map(address))
    }

    #[test]
    fn the_first_of_each_source_stands_before_the_second_of_any() {
        let mut hearsay = Hearsay::new(at(&[1, 2, 3, 4]), SourceId(1));
        assert!(hearsay.merge(&at(&[5, 6]), SourceId(2)));
        assert_eq!(*hearsay.peer(), at(&[1, 5, 2, 3]));
        assert!(hearsay.merge(&at(&[2]), SourceId(3)));
        assert!(hearsay.merge(&at(&[7]), SourceId(4)));
        assert_eq!(*hearsay.peer(), at(&[1, 5, 2, 7]));
        assert!(!hearsay.merge(&at(&[8]), SourceId(5)), "four sources have spoken");
        assert!(hearsay.merge(&at(&[7, 9]), SourceId(6)));
        assert_eq!(*hearsay.peer(), at(&[1, 5, 2, 7]));
    }

    #[test]
    fn what_we_know_ourselves_comes_first_and_stays() {
        let mut hearsay = Hearsay::new(at(&[1, 2]), SourceId::OURSELVES);
        for n in 3..9 {
            hearsay.merge(&at(&[n]), SourceId(n));
        }
        assert_eq!(*hearsay.peer(), at(&[1, 2, 3, 4]));
    }
}
