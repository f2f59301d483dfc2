//! Two ways to a network that stands: everybody joins, or everybody is told whom to know.

use starling_overlay::io::{Command, Input};
use starling_proto::time::Span;

use super::crowd::Crowd;
use super::{OverlayIndex, Overlays, below};

/// In each of these the network doubles.
const WAVE: Span = Span::from_secs(30);

/// Peers that are better known to some than chance would have it.
#[derive(Debug, Clone, Copy)]
pub struct Favoured<'a> {
    /// They.
    pub crowd: &'a Crowd<OverlayIndex>,
    /// So much of each bucket, in percent, as far as there are as many for it.
    pub percent: usize,
}

impl Overlays {
    /// Doubles, within half a minute, to at most `most` overlays; each newcomer joins through a random one that is there.
    pub fn double(&mut self, most: usize) {
        if self.is_empty() {
            self.add();
        }
        let there = self.len();
        let coming = there.min(most.saturating_sub(there));
        for _ in 0..coming {
            let door = OverlayIndex(below(&mut self.dice, there));
            let newcomer = self.add();
            self.join(newcomer, door);
            self.run_for(Span::from_ms(WAVE.as_ms() / coming as u64));
        }
    }

    /// Enters the network through `door`.
    pub fn join(&mut self, newcomer: OverlayIndex, door: OverlayIndex) {
        let door = self.member(door).peer();
        self.command(newcomer, Command::Join(vec![door]));
    }

    /// Has one overlay meet peers of every bucket, as if it had dialled them and they had answered; then one of them dials
    /// it, so that it serves.
    pub fn fill(&mut self, index: OverlayIndex, crowd: &Crowd<OverlayIndex>, favoured: Option<Favoured<'_>>) {
        let contacts = self.contacts(index, crowd, favoured);
        let Some(last) = contacts.last().copied() else { return };
        for other in contacts {
            let met = self.met(other, index, true);
            self.hand_over(index, met);
            let key = self.member(other).key;
            self.hand_over(index, Input::PeerDown(key));
        }
        let dialled = self.met(last, index, false);
        self.hand_over(index, dialled);
        let key = self.member(last).key;
        self.hand_over(index, Input::PeerDown(key));
    }

    /// Whom to know.
    fn contacts(
        &mut self,
        index: OverlayIndex,
        crowd: &Crowd<OverlayIndex>,
        favoured: Option<Favoured<'_>>,
    ) -> Vec<OverlayIndex> {
        let me = self.member(index).key.node_id();
        let most = self.terrain.config.table.bucket;
        let mut contacts = Vec::new();
        let mut bits = 0;
        while crowd.sharing(&me, bits) > 1 {
            let mut bucket = Vec::new();
            if let Some(Favoured { crowd, percent }) = favoured {
                self.draw(crowd.bucket(&me, bits), most * percent / 100, &mut bucket);
            }
            self.draw(crowd.bucket(&me, bits), most, &mut bucket);
            contacts.extend(bucket);
            bits += 1;
        }
        contacts
    }

    /// Adds some of `from` at random until there are `most`.
    fn draw(
        &mut self,
        from: &[(starling_proto::ids::NodeId, OverlayIndex)],
        most: usize,
        drawn: &mut Vec<OverlayIndex>,
    ) {
        let mut left: Vec<OverlayIndex> = Vec::new();
        // Where there are many, a few tries find enough of them; else all are shuffled.
        if from.len() > most * 4 {
            while drawn.len() < most {
                let one = from.get(below(&mut self.dice, from.len())).map(|(_, one)| *one);
                drawn.extend(one.filter(|one| !drawn.contains(one)));
            }
            return;
        }
        left.extend(from.iter().map(|(_, one)| *one).filter(|one| !drawn.contains(one)));
        while drawn.len() < most && !left.is_empty() {
            let at = below(&mut self.dice, left.len());
            drawn.push(left.swap_remove(at));
        }
    }

    /// What `to` hears of `from`, who serves.
    fn met(&self, from: OverlayIndex, to: OverlayIndex, dialled: bool) -> Input {
        let mut input = self.greeting(from, to, dialled);
        if let Input::PeerUp { hello, .. } = &mut input {
            hello.mode = starling_proto::message::Mode::Server;
        }
        input
    }
}
