use std::collections::BTreeMap;

use proptest::prelude::*;
use starling_proto::time::Span;

use super::*;
use crate::leading::leading;

fn key(n: u32) -> NodeKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    NodeKey::new(bytes)
}

/// A peer with a public address that shares nothing with any other, for up to 20,000 of them.
fn peer(n: u32) -> Peer {
    Peer::new(key(n), [format!("{}.{}.1.1:4040", 11 + n / 250 % 80, n % 250).parse().unwrap()])
}

/// Peers beyond the caps: all of one /24.
fn neighbour(n: u32) -> Peer {
    Peer::new(key(n), [format!("9.9.9.1:{}", 1 + n % 60_000).parse().unwrap()])
}

/// Where a peer made by [`peer`] is, if that is among its addresses.
fn home(named: &Peer) -> Option<SocketAddr> {
    let n = u32::from_be_bytes(named.key().as_bytes()[..4].try_into().unwrap());
    peer(n).addresses().first().copied().filter(|at| named.addresses().contains(at))
}

/// The same peers at addresses where nobody is, all of one group if `group` is given.
fn misplaced(peers: &[Peer], group: Option<u8>) -> Vec<Peer> {
    let dead = |n: usize| match group {
        Some(group) => format!("66.6.{group}.{}:{}", 1 + n / 200, 1 + n % 200),
        None => format!("67.{n}.1.1:1"),
    };
    peers.iter().enumerate().map(|(n, p)| Peer::new(p.key(), [dead(n).parse().unwrap()])).collect()
}

/// Peers by their keys: they may be known at more addresses than their own.
fn keys<'a>(peers: impl IntoIterator<Item = &'a Peer>) -> Vec<NodeKey> {
    peers.into_iter().map(Peer::key).collect()
}

fn lookup(width: usize, known: Vec<Peer>) -> Lookup {
    let me = NodeKey::new([255; 32]);
    Lookup::new(me, NodeId::new([0x77; 32]), width, known, (LookupConfig::default(), Tick::ZERO))
}

fn sorted(mut peers: Vec<Peer>) -> Vec<Peer> {
    peers.sort_by_key(|p| p.key().node_id().distance(&NodeId::new([0x77; 32])));
    peers
}

/// Runs a lookup where asking takes 50 ms and `answer` says what comes back; `None` is silence.
fn run(mut lookup: Lookup, answer: impl Fn(&Peer) -> Option<Vec<Peer>>) -> (Found, Tick) {
    let mut now = Tick::ZERO;
    let mut due: BTreeMap<(Tick, NodeKey), LookupInput> = BTreeMap::new();
    loop {
        while let Some(output) = lookup.poll(now) {
            match output {
                LookupOutput::Done(found) => return (found, now),
                LookupOutput::Ask(peer) | LookupOutput::AskElsewhere(peer) => {
                    let from = peer.key();
                    let (at, input) = match answer(&peer) {
                        Some(peers) => {
                            let address = home(&peer).or(peer.addresses().first().copied());
                            (50, LookupInput::Answered { from, address, serves: true, peers })
                        }
                        None => (3500, LookupInput::Failed(from)),
                    };
                    due.insert((now.after(Span::from_ms(at)), from), input);
                }
            }
        }
        let event = due.keys().next().copied();
        let timeout = lookup.next_timeout().unwrap();
        match event {
            Some(event) if event.0 <= timeout => {
                now = event.0;
                let input = due.remove(&event).unwrap();
                lookup.handle(input);
            }
            _ => now = now.max(timeout),
        }
    }
}

#[test]
fn the_closest_are_found_and_no_more_asked_than_needed() {
    let world = sorted((1..=400).map(peer).collect());
    // Everybody knows the closest fifty: one answer tells it all.
    let (found, _) = run(lookup(20, world[300..320].to_vec()), |_| Some(world[..50].to_vec()));
    assert_eq!(found.peers.iter().map(|p| p.0.clone()).collect::<Vec<_>>(), world[..20]);
    assert!(found.requests <= 23, "{} requests", found.requests);
    assert!(!found.cut_short && !found.caps_relaxed);
}

#[test]
fn byz_02_a_wide_lookup_asks_whom_it_knows_even_if_closer_ones_are_named() {
    // The closest hundred of every second peer collude and name only one another; of those we know, one is honest.
    let world = sorted((1..=1000).map(peer).collect());
    let gang: Vec<Peer> = world.iter().step_by(2).take(100).cloned().collect();
    let honest: Vec<Peer> = world.iter().skip(1).step_by(2).cloned().collect();
    let mut known = vec![honest[400].clone()];
    known.extend(gang[60..71].iter().cloned());
    let answer = |p: &Peer| {
        let turned = gang.iter().any(|member| member.key() == p.key());
        Some(if turned { gang[..80].to_vec() } else { honest[..80].to_vec() })
    };
    let honest_found = |width| {
        let (found, _) = run(lookup(width, known.clone()), answer);
        found.peers.iter().filter(|(p, _)| honest.iter().any(|one| one.key() == p.key())).count()
    };
    assert_eq!(honest_found(80), 40, "every second one of the eighty closest");
    assert_eq!(honest_found(20), 0, "a narrow one asks nobody who is farther");
}

/// Around a target stand twenty identities that were made to be the closest, and eighty more, the first outside of a quarter
/// of what is usual. They name one another alone. Of those that we know three are honest, and far.
#[test]
fn byz_03_a_crowd_in_two_parts_leaves_most_places_to_those_who_would_be_there_without_it() {
    let world = sorted((1..=4000).map(peer).collect());
    let (honest, others): (Vec<_>, Vec<_>) = world.into_iter().enumerate().partition(|(n, _)| n % 20 == 7);
    let bare = |peers: Vec<(usize, Peer)>| peers.into_iter().map(|(_, peer)| peer).collect::<Vec<Peer>>();
    let (honest, others) = (bare(honest), bare(others));
    let target = NodeId::new([0x77; 32]);
    let far = |peer: &Peer| leading(&peer.key().node_id(), &target);
    let usual = far(&honest[19]);
    let within = others.partition_point(|peer| far(peer) <= usual / 4);
    let made = [&others[..20], &others[within..within + 80]].concat();
    let within = honest.partition_point(|peer| far(peer) <= usual / 4);
    assert!((1..=10).contains(&within));
    let answer = |p: &Peer| {
        let is_made = made.iter().any(|member| member.key() == p.key());
        Some(if is_made { made[..80].to_vec() } else { [&made[..20], &honest[..60]].concat() })
    };
    let found = |salt: Option<u64>| {
        let mut lookup = lookup(80, made[..40].to_vec());
        if let Some(salt) = salt {
            lookup.look_in_rings(Rings { usual, salt }, honest[150..153].to_vec());
        }
        let (found, _) = run(lookup, answer);
        assert_eq!(found.crowded, salt.is_some());
        found.peers.into_iter().map(|(peer, _)| peer.key()).collect::<Vec<_>>()
    };
    assert_eq!(found(None), keys(&made[..80]), "who asks the closest never hears of anybody else");
    let mut close = keys(&honest[..within]);
    for salt in 0..40 {
        let found = found(Some(salt));
        assert_eq!(found.len(), 80);
        let honest = found.iter().filter(|key| honest.iter().any(|peer| peer.key() == **key)).count();
        assert!(honest >= 35, "{honest} of them are honest");
        close.retain(|key| !found.contains(key));
    }
    assert_eq!(close, [], "each of the closest is drawn at one time or another");
}

#[test]
fn byz_03_who_is_looked_for_itself_is_found_in_any_crowd() {
    let victim = peer(1);
    let target = victim.key().node_id();
    let mut crowd: Vec<Peer> = (1..=120).map(peer).collect();
    crowd.sort_by_key(|p| p.key().node_id().distance(&target));
    for salt in 0..40 {
        let begin = (LookupConfig::default(), Tick::ZERO);
        let mut lookup = Lookup::new(NodeKey::new([255; 32]), target, 80, crowd[1..41].to_vec(), begin);
        lookup.look_in_rings(Rings { usual: u64::MAX, salt }, Vec::new());
        let (found, _) = run(lookup, |_| Some(crowd[..80].to_vec()));
        assert_eq!(found.peers[0].0.key(), victim.key());
    }
}

/// All whom we know near the target were made to be there, and name one another alone.
#[test]
fn byz_03_contacts_asked_besides_name_whom_a_crowd_does_not() {
    let world = sorted((1..=1000).map(peer).collect());
    let (made, honest): (Vec<_>, Vec<_>) =
        world[..80].iter().cloned().enumerate().partition(|(n, _)| n % 2 == 0);
    let bare = |peers: Vec<(usize, Peer)>| peers.into_iter().map(|(_, peer)| peer).collect::<Vec<Peer>>();
    let (made, honest) = (bare(made), bare(honest));
    let is_made = |key: &NodeKey| made.iter().any(|member| member.key() == *key);
    let answer = |p: &Peer| Some(if is_made(&p.key()) { made.clone() } else { world[..20].to_vec() });
    let found = |besides: Vec<Peer>| {
        let mut lookup = lookup(20, made[..20].to_vec());
        lookup.ask_besides(besides);
        run(lookup, answer).0.peers.into_iter().map(|(peer, _)| peer.key()).collect::<Vec<_>>()
    };
    assert_eq!(found(Vec::new()), keys(&made[..20]));
    assert_eq!(found(vec![honest[30].clone()]), keys(&world[..20]));
}

/// The closest hundred of every second peer collude, and among those that we know are no others near the target, but one whom we
/// have just met.
#[test]
fn byz_02_whom_we_have_just_met_is_asked_as_well() {
    let world = sorted((1..=1000).map(peer).collect());
    let gang: Vec<Peer> = world.iter().step_by(2).take(100).cloned().collect();
    let honest: Vec<Peer> = world.iter().skip(1).step_by(2).cloned().collect();
    let answer = |p: &Peer| {
        let turned = gang.iter().any(|member| member.key() == p.key());
        Some(if turned { gang[..80].to_vec() } else { honest[..80].to_vec() })
    };
    let honest_found = |width, met: bool, home: bool| {
        let mut lookup = lookup(width, gang[60..90].to_vec());
        if met {
            lookup.meet([honest[400].clone()].into());
        }
        if home {
            lookup.is_at_home();
        }
        let (found, _) = run(lookup, answer);
        found.peers.iter().filter(|(p, _)| honest.iter().any(|one| one.key() == p.key())).count()
    };
    assert_eq!((honest_found(80, false, false), honest_found(80, true, false)), (0, 40));
    assert_eq!((honest_found(20, false, true), honest_found(20, true, true)), (0, 10), "of our own place");
    assert_eq!(honest_found(20, true, false), 0, "any other narrow one goes on as it did");
}

/// In a network of short stays most of those that we know are gone: they are not among the twelve.
#[test]
fn chn_01_who_is_silent_is_no_entry() {
    let world = sorted((1..=1000).map(peer).collect());
    let gang: Vec<Peer> = world.iter().step_by(2).take(100).cloned().collect();
    let honest: Vec<Peer> = world.iter().skip(1).step_by(2).cloned().collect();
    let (dead, known) = (&honest[100..120], [&honest[100..120], &honest[400..401], &gang[90..93]].concat());
    let answer = |p: &Peer| {
        let is_in = |some: &[Peer]| some.iter().any(|one| one.key() == p.key());
        match () {
            () if is_in(dead) => None,
            () if is_in(&gang) => Some(gang[..80].to_vec()),
            () => Some(honest[..80].to_vec()),
        }
    };
    let (found, _) = run(lookup(80, known), answer);
    let honest_found = found.peers.iter().filter(|(p, _)| honest.iter().any(|one| one.key() == p.key()));
    assert_eq!(honest_found.count(), 40);
}

#[test]
fn a_lookup_in_an_empty_network_ends_at_once() {
    let (found, at) = run(lookup(20, Vec::new()), |_| None);
    assert_eq!((found, at), (Found::default(), Tick::ZERO));
}

#[test]
fn a_silent_peer_costs_no_more_than_its_time() {
    let world = sorted((1..=60).map(peer).collect());
    let silent = world[3].key();
    let (found, at) = run(lookup(20, world[..40].to_vec()), |p| (p.key() != silent).then(Vec::new));
    assert!(!found.peers.iter().any(|p| p.0.key() == silent));
    assert_eq!(found.peers.len(), 20);
    assert!(at < Tick::from_ms(3000), "{at:?}");
}

#[test]
fn an_answer_that_comes_late_still_counts() {
    let world = sorted((1..=3).map(peer).collect());
    let mut lookup = lookup(20, world.clone());
    while lookup.poll(Tick::ZERO).is_some() {}
    let late = Tick::from_ms(2000);
    assert_eq!(lookup.poll(late), None, "with fewer peers than wanted the slow ones matter");
    for peer in &world {
        lookup.handle(LookupInput::Answered { from: peer.key(), address: None, serves: true, peers: vec![] });
    }
    let Some(LookupOutput::Done(found)) = lookup.poll(late) else { panic!("not done") };
    assert_eq!(found.peers.len(), 3);
}

#[test]
fn byz_04_invented_contacts_cost_a_bounded_number_of_requests() {
    let world = sorted((1..=1000).map(peer).collect());
    let liar = |p: &Peer| p.key().as_bytes()[3].is_multiple_of(3);
    // A third of the network answers with twenty peers that do not exist, all closer than any that do.
    let mut invented: Vec<Peer> = (1_000_000..1_200_000).map(peer).collect();
    invented = sorted(invented);
    let (found, at) = run(lookup(20, world[500..520].to_vec()), |p| {
        let mine = u32::from(p.key().as_bytes()[3]) as usize;
        if !world.contains(p) {
            None
        } else if liar(p) {
            Some(invented[mine..mine + 20].to_vec())
        } else {
            Some(world[..40].to_vec())
        }
    });
    assert_eq!(found.peers.iter().map(|p| p.0.clone()).collect::<Vec<_>>(), world[..20]);
    assert!(found.requests <= 80, "{} requests", found.requests);
    assert!(at < Tick::from_ms(15_000), "{at:?}");
}

#[test]
fn byz_04_real_peers_named_at_dead_addresses_are_found_all_the_same() {
    let world = sorted((1..=400).map(peer).collect());
    for group in [None, Some(6)] {
        // The first to answer names the closest where nobody is; those who answer next name them where they are.
        let known = &world[300..320];
        let liar = known[..3].iter().min_by_key(|p| p.key()).unwrap();
        let lies = misplaced(&world[..20], group);
        let (found, at) = run(lookup(20, known.to_vec()), |p| {
            home(p).map(|_| if p.key() == liar.key() { lies.clone() } else { world[..40].to_vec() })
        });
        assert_eq!(keys(found.peers.iter().map(|p| &p.0)), keys(&world[..20]));
        assert!(found.requests <= 60, "{} requests", found.requests);
        assert!(at <= Tick::from_ms(5000), "{at:?}");
    }
}

#[test]
fn who_was_asked_at_a_dead_address_is_asked_once_more_at_the_right_one() {
    let (wrong, right) = (misplaced(&[peer(7)], None).remove(0), peer(7));
    let mut lookup = lookup(20, vec![peer(1), peer(2)]);
    while lookup.poll(Tick::ZERO).is_some() {}
    let tells = |n, named: &Peer| {
        let peers = vec![named.clone()];
        LookupInput::Answered { from: key(n), address: None, serves: true, peers }
    };
    lookup.handle(tells(1, &wrong));
    assert_eq!(lookup.poll(Tick::ZERO), Some(LookupOutput::Ask(wrong)));
    lookup.handle(tells(2, &right));
    assert_eq!(lookup.poll(Tick::from_ms(1000)), None, "it may answer yet");
    let slow = Tick::from_ms(1500);
    assert_eq!(lookup.poll(slow), Some(LookupOutput::AskElsewhere(right)));
    lookup.handle(LookupInput::Failed(key(7)));
    assert_eq!(lookup.poll(slow), None, "that was the first request, the second is under way");
    lookup.handle(LookupInput::Answered { from: key(7), address: None, serves: true, peers: vec![] });
    let Some(LookupOutput::Done(found)) = lookup.poll(slow) else { panic!("not done") };
    assert_eq!(found.peers.len(), 3);
}

#[test]
fn when_everything_is_invented_the_budget_ends_it() {
    let invented: Vec<Peer> = (1..20_000).map(peer).collect();
    let honest = peer(500_000);
    let (found, at) = run(lookup(20, vec![honest.clone()]), |p| {
        (*p == honest).then(|| sorted(invented.clone())[..20].to_vec())
    });
    assert_eq!(found.peers.len(), 1);
    assert!(found.requests <= 120 && at <= Tick::from_ms(20_000), "{} requests until {at:?}", found.requests);
}

#[test]
fn one_operator_gets_two_places_of_twenty() {
    let world: Vec<Peer> = sorted((1..=60).map(peer).collect());
    let sybils: Vec<Peer> = sorted((100_000..110_000).map(neighbour).collect())[..40].to_vec();
    let (found, _) = run(lookup(20, world), |_| Some(sybils[..20].to_vec()));
    let theirs = found.peers.iter().filter(|p| p.1 == AddressGroup::V4([9, 9, 9])).count();
    assert_eq!((found.peers.len(), theirs), (20, 2));
    assert!(!found.caps_relaxed);
}

#[test]
fn where_all_are_neighbours_the_caps_relax() {
    let world: Vec<Peer> = (1..=12).map(neighbour).collect();
    let (found, _) = run(lookup(20, world[..2].to_vec()), |_| Some(world.clone()));
    assert_eq!(found.peers.len(), 12);
    assert!(found.caps_relaxed);
}

#[test]
fn a_client_is_heard_but_does_not_count() {
    let world = sorted((1..=10).map(peer).collect());
    let mut lookup = lookup(20, vec![peer(500)]);
    assert!(lookup.poll(Tick::ZERO).is_some());
    let peers = world[..2].to_vec();
    lookup.handle(LookupInput::Answered { from: key(500), address: None, serves: false, peers });
    for wanted in &world[..2] {
        assert_eq!(lookup.poll(Tick::ZERO), Some(LookupOutput::Ask(wanted.clone())));
        let from = wanted.key();
        lookup.handle(LookupInput::Answered { from, address: None, serves: true, peers: vec![] });
    }
    let Some(LookupOutput::Done(found)) = lookup.poll(Tick::ZERO) else { panic!("not done") };
    assert_eq!(found.peers.iter().map(|p| p.0.clone()).collect::<Vec<_>>(), world[..2]);
}

#[test]
fn an_answer_nobody_asked_for_is_ignored() {
    let mut lookup = lookup(20, vec![peer(1)]);
    lookup.handle(LookupInput::Answered { from: key(1), address: None, serves: true, peers: vec![peer(2)] });
    assert_eq!(lookup.poll(Tick::ZERO), Some(LookupOutput::Ask(peer(1))));
    assert_eq!(lookup.poll(Tick::ZERO), None);
}

proptest! {
    /// Whatever comes back, a lookup ends within its budgets and never reports a peer that did not answer.
    #[test]
    fn every_lookup_ends(seed: [u8; 8], known in 0u32..30, width in 1usize..90) {
        let answer = |p: &Peer| {
            let n = u32::from_be_bytes(p.key().as_bytes()[..4].try_into().unwrap());
            let roll = seed[n as usize % 8].wrapping_mul(n as u8).wrapping_add(n as u8);
            (roll > 80).then(|| (0..u32::from(roll) % 40).map(|i| peer(n.wrapping_mul(7 + i) % 5000)).collect())
        };
        let (found, at) = run(lookup(width, (0..known).map(peer).collect()), answer);
        prop_assert!(at <= Tick::from_ms(20_000));
        prop_assert!(found.requests as usize <= 3 * width + 60);
        prop_assert!(found.peers.len() <= width);
        for (peer, _) in &found.peers {
            prop_assert!(answer(peer).is_some());
        }
    }
}
