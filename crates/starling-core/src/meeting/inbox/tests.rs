use starling_crypto::secret::Secret;
use starling_overlay::io::CallError;
use starling_proto::message::Records;
use starling_proto::time::UnixMillis;

use super::*;
use crate::meeting::Output;

const US: NodeKey = NodeKey::new([99; 32]);
const TELLER: NodeKey = NodeKey::new([3; 32]);

fn owner(n: u8) -> MailboxSecret {
    MailboxSecret::from_seed(&Secret::copy_of(&[n; 32]))
}

fn inbox(mailboxes: &[u8]) -> Inbox {
    let mut inbox = Inbox::new(US);
    inbox.set(mailboxes.iter().map(|n| (owner(*n), Pace::Told)), Tick::ZERO);
    inbox
}

fn secs(s: u64) -> Tick {
    Tick::ZERO.after(Span::from_secs(s))
}

fn at(tick: Tick) -> Now {
    Now { tick, wall: UnixMillis::new(1_767_225_600_000 + tick.as_ms()) }
}

fn peer(n: u8) -> Peer {
    Peer::new(NodeKey::new([n; 32]), [format!("9.1.{n}.1:1").parse().unwrap()])
}

fn told(inbox: &mut Inbox, address: &MailboxAddress) {
    inbox.peer_up(TELLER, [7; 32]);
    let what = (TELLER, *address, Operation::Subscribe);
    inbox.owned(at(Tick::ZERO), &mut Errands::default(), what, ([7; 32], Response::Subscribed));
}

/// A reading that has ended, in which as many holders answered.
fn of(answered: usize) -> Finished {
    Finished { full: true, answered, ..Finished::default() }
}

/// Ends the reading that is under way.
fn end(inbox: &mut Inbox, address: &MailboxAddress, finished: &Finished, now: Tick) -> bool {
    inbox.mailboxes.get_mut(address).unwrap().reading = None;
    inbox.read(address, finished, now, u32::MAX / 2)
}

/// What is wanted, as the requests of it.
fn requests(errands: &mut Errands) -> Vec<(NodeKey, Request)> {
    let mut requests = Vec::new();
    while let Some(output) = errands.poll() {
        if let Output::Wish(Wish::Call { to, request, .. }) = output {
            requests.push((to.key(), request));
        }
    }
    requests
}

/// The owner's operations among requests, and whom they are for.
fn operations(errands: &mut Errands) -> Vec<(NodeKey, Operation)> {
    let owned = |(to, request): (NodeKey, Request)| match request {
        Request::Owner(request) => Some((to, request.body().operation.clone())),
        _ => None,
    };
    requests(errands).into_iter().filter_map(owned).collect()
}

impl Inbox {
    /// Whatever is due at some time is due now.
    pub(in crate::meeting) fn hurry(&mut self, now: Tick) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.due = now;
            mailbox.tell = mailbox.tell.map(|_| now);
        }
    }

    /// Holders are told now what can go.
    pub(in crate::meeting) fn hurry_deletions(&mut self, now: Tick) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.tell = mailbox.tell.map(|_| now);
        }
    }
}

#[test]
fn who_tells_us_is_of_different_groups_if_there_are_any() {
    let mut mailbox = Mailbox::new(owner(1), Pace::Told, Tick::ZERO);
    let peer = |n: u8, address: &str| Peer::new(NodeKey::new([n; 32]), [address.parse().unwrap()]);
    mailbox.holders =
        vec![peer(1, "9.1.1.1:1"), peer(2, "9.1.1.2:1"), peer(3, "9.1.2.1:1"), peer(4, "9.1.3.1:1")];
    let order: Vec<u8> = tellers(&mailbox).map(|peer| peer.key().as_bytes()[0]).collect();
    assert_eq!(order, [1, 3, 4, 2]);
    mailbox.tellers.insert(TELLER, [0; 32]);
    assert_eq!(tellers(&mailbox).count(), 3, "who tells us already is not asked again");
}

#[test]
fn how_soon_it_is_read_again_depends_on_who_tells_us() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    let wait = |inbox: &mut Inbox, holders| {
        inbox.tick(at(inbox.next_timeout().unwrap()), &mut Errands::default());
        assert_eq!(inbox.mailboxes[&address].next(), None, "it is being read");
        end(inbox, &address, &of(holders), Tick::ZERO);
        inbox.mailboxes[&address].next().unwrap().since(Tick::ZERO).as_secs()
    };
    assert!((4..=5).contains(&wait(&mut inbox, 0)));
    assert!((59..=60).contains(&wait(&mut inbox, 3)));
    told(&mut inbox, &address);
    assert!((1790..=1800).contains(&wait(&mut inbox, 3)));
    inbox.peer_down(&TELLER, Tick::ZERO);
    assert_eq!(inbox.mailboxes[&address].next(), Some(secs(60)));
    let seldom = Inbox::new(US);
    let mut inbox = seldom;
    inbox.set([(owner(1), Pace::Seldom)].into_iter(), Tick::ZERO);
    assert!(wait(&mut inbox, 3) > 1700, "nobody is asked to tell us");
}

#[test]
fn whoever_told_us_on_a_connection_that_is_gone_tells_us_no_longer() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    inbox.tick(at(Tick::ZERO), &mut Errands::default());
    told(&mut inbox, &address);
    end(&mut inbox, &address, &of(5), Tick::ZERO);
    inbox.peer_up(TELLER, [8; 32]);
    inbox.closed(&TELLER, &[8; 32], secs(10));
    assert!(inbox.mailboxes[&address].next() > Some(secs(1700)), "it tells us on another");
    inbox.closed(&TELLER, &[7; 32], secs(10));
    assert_eq!(inbox.mailboxes[&address].next(), Some(secs(70)));
    assert!(!inbox.notified_by(&address, &TELLER, secs(11)));
}

#[test]
fn whoever_enters_the_network_reads_at_once() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    inbox.tick(at(Tick::ZERO), &mut Errands::default());
    end(&mut inbox, &address, &of(0), Tick::ZERO);
    assert!(inbox.mailboxes[&address].next().unwrap() > secs(3), "nobody is there");
    inbox.joined(secs(2));
    assert_eq!(inbox.mailboxes[&address].next(), Some(secs(2)));
    told(&mut inbox, &address);
    inbox.mailboxes.get_mut(&address).unwrap().due = secs(900);
    inbox.joined(secs(3));
    assert_eq!(inbox.mailboxes[&address].next(), Some(secs(900)), "it was read, and we are told");
}

#[test]
fn what_comes_while_we_read_is_read_after_that() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    inbox.tick(at(Tick::ZERO), &mut Errands::default());
    told(&mut inbox, &address);
    assert!(inbox.notified_by(&address, &TELLER, Tick::from_ms(100)));
    end(&mut inbox, &address, &of(5), Tick::from_ms(200));
    assert_eq!(inbox.mailboxes[&address].next(), Some(Tick::ZERO.after(APART)));
    inbox.kept_here(&RecordKey::for_mailbox(&owner(2).public()), secs(1));
    assert_eq!(inbox.mailboxes[&address].next(), Some(Tick::ZERO.after(APART)), "another's mailbox");
}

#[test]
fn however_often_something_comes_readings_are_apart() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    told(&mut inbox, &address);
    let (mut readings, last) = (0, secs(60));
    for step in 0..600 {
        let now = Tick::ZERO.after(Span::from_ms(100 * step));
        inbox.notified_by(&address, &TELLER, now);
        inbox.tick(at(now), &mut errands);
        readings += usize::from(inbox.mailboxes[&address].reading.is_some());
        end(&mut inbox, &address, &Finished { full: readings == 1, ..of(5) }, now);
        inbox.notified_by(&address, &TELLER, now);
    }
    assert!(inbox.next_timeout().is_some_and(|due| due <= last.after(APART)));
    assert_eq!(readings, 60, "one every second");
}

#[test]
fn only_a_holder_that_was_asked_to_tell_us_makes_us_read_and_it_alone_is_read() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    inbox.tick(at(Tick::ZERO), &mut errands);
    told(&mut inbox, &address);
    end(&mut inbox, &address, &of(5), secs(1));
    let due = inbox.mailboxes[&address].next();
    assert!(!inbox.notified_by(&address, &NodeKey::new([4; 32]), secs(20)));
    assert_eq!(inbox.mailboxes[&address].next(), due);
    assert!(!inbox.notified_by(&owner(2).public(), &TELLER, secs(20)), "another's mailbox");
    assert!(inbox.notified_by(&address, &TELLER, secs(20)));
    assert_eq!(inbox.mailboxes[&address].next(), Some(secs(20)));
    requests(&mut errands);
    inbox.tick(at(secs(20)), &mut errands);
    assert_eq!(operations(&mut errands), [(TELLER, Operation::List)]);
}

#[test]
fn a_full_reading_lists_takes_and_ends() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    let now = at(Tick::ZERO);
    let (ann, ben) = (peer(1), peer(2));
    inbox.peer_up(ann.key(), [1; 32]);
    inbox.tick(now, &mut errands);
    requests(&mut errands);
    inbox.holders(now, &mut errands, &address, vec![ann.clone(), ben.clone()]);
    let asked = requests(&mut errands);
    let pings: Vec<_> = asked.iter().filter(|(_, request)| *request == Request::Ping).collect();
    assert_eq!(pings.len(), 2, "to be told, and for a list, over a new connection");
    let id = RecordId::new([5; 32]);
    let list = |holder: &Peer| (holder.key(), address, Operation::List);
    inbox.owned(now, &mut errands, list(&ann), ([1; 32], Response::Listed(vec![id])));
    inbox.owned(now, &mut errands, (US, address, Operation::List), (OWN_BINDING, Response::Listed(vec![])));
    assert_eq!(operations(&mut errands), [(ann.key(), Operation::Take(vec![id]))]);
    inbox.failed(now, &mut errands, &list(&ben));
    assert_eq!(inbox.poll_finished(), None, "a body is on its way");
    let take = (ann.key(), address, Operation::Take(vec![id]));
    inbox.owned(now, &mut errands, take, ([1; 32], Response::Records(Records::default())));
    let (of, finished) = inbox.poll_finished().unwrap();
    assert_eq!((of, finished.answered, finished.full), (address, 1, true));
}

#[test]
fn a_reading_ends_whatever_becomes_of_its_questions() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    let now = at(Tick::ZERO);
    inbox.peer_up(NodeKey::new([1; 32]), [1; 32]);
    inbox.tick(now, &mut errands);
    inbox.holders(now, &mut errands, &address, vec![peer(1), peer(2)]);
    inbox.failed(now, &mut errands, &(US, address, Operation::List));
    let first = (NodeKey::new([1; 32]), address, Operation::List);
    inbox.connection_gone(now, &mut errands, &first, &[1; 32]);
    assert_eq!(inbox.binding(&NodeKey::new([1; 32])), None);
    inbox.connected(now, &mut errands, (NodeKey::new([2; 32]), address, Operation::List));
    assert_eq!(inbox.poll_finished().map(|(_, finished)| finished.answered), Some(0));
    let gone: Result<Response, CallError> = Err(CallError::Closed);
    assert!(gone.is_err(), "no connection was left to ask on");
}

#[test]
fn a_holder_whose_connection_ends_is_asked_on_another() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    let (now, ann) = (at(Tick::ZERO), peer(1));
    for binding in [1, 2] {
        inbox.peer_up(ann.key(), [binding; 32]);
    }
    inbox.tick(now, &mut errands);
    inbox.holders(now, &mut errands, &address, vec![ann.clone()]);
    requests(&mut errands);
    let id = RecordId::new([5; 32]);
    let list = (ann.key(), address, Operation::List);
    inbox.owned(now, &mut errands, list, ([2; 32], Response::Listed(vec![id])));
    let take = (ann.key(), address, Operation::Take(vec![id]));
    assert_eq!(operations(&mut errands), [(ann.key(), take.2.clone())]);
    inbox.connection_gone(now, &mut errands, &take, &[2; 32]);
    assert_eq!(operations(&mut errands), [(ann.key(), take.2.clone())], "over the one that stands");
    inbox.connection_gone(now, &mut errands, &take, &[1; 32]);
    inbox.failed(now, &mut errands, &(US, address, Operation::List));
    let (_, finished) = inbox.poll_finished().unwrap();
    assert!(finished.missed && !end(&mut inbox, &address, &finished, Tick::ZERO));
    assert!(inbox.mailboxes[&address].next().is_some_and(|at| at <= secs(7)), "and again soon");
}

#[test]
fn all_is_read_only_when_every_mailbox_was() {
    let mut inbox = inbox(&[1, 2]);
    let mut read = |n: u8, finished: Finished| end(&mut inbox, &owner(n).public(), &finished, Tick::ZERO);
    assert!(!read(1, of(5)));
    assert!(!read(2, of(0)), "nobody answered");
    assert!(!read(2, Finished { full: false, ..of(5) }), "one holder alone");
    assert!(!read(2, Finished { more: true, ..of(5) }), "there is more");
    assert!(read(2, of(5)));
    assert!(!read(2, of(5)));
}

#[test]
fn what_can_go_is_said_once_to_all() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    inbox.mailboxes.get_mut(&address).unwrap().holders = vec![peer(1), peer(2)];
    inbox.mailboxes.get_mut(&address).unwrap().due = secs(600);
    for n in 1..=2 {
        inbox.peer_up(NodeKey::new([n; 32]), [n; 32]);
    }
    let ids: Vec<RecordId> = (0..3).map(|n| RecordId::new([n; 32])).collect();
    for id in &ids {
        inbox.delete(at(secs(1)), &mut errands, &address, &[*id]);
        assert_eq!(operations(&mut errands), [(US, Operation::Delete(vec![*id]))], "our own holder at once");
    }
    assert_eq!(inbox.next_timeout(), Some(secs(1).after(COLLECTED)));
    inbox.tick(at(secs(1).after(COLLECTED)), &mut errands);
    let all = Operation::Delete(ids);
    let to = |n| (NodeKey::new([n; 32]), all.clone());
    assert_eq!(operations(&mut errands), [to(1), to(2)]);
}

#[test]
fn a_mailbox_that_is_no_longer_ours_is_soon_forgotten() {
    let mut inbox = inbox(&[1, 2]);
    let one = || [(owner(1), Pace::Told)].into_iter();
    inbox.set(one(), secs(1));
    inbox.tick(at(secs(60)), &mut Errands::default());
    assert_eq!(inbox.mailboxes.len(), 2, "its holders are being told what can go");
    assert!(inbox.next_timeout().is_some_and(|at| at <= secs(61)));
    inbox.tick(at(secs(61)), &mut Errands::default());
    assert_eq!(inbox.mailboxes.len(), 1);
}

#[test]
fn those_who_tell_us_are_kept_connected_with_a_ping_a_minute() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    inbox.tick(at(Tick::ZERO), &mut errands);
    end(&mut inbox, &address, &of(5), secs(1));
    told(&mut inbox, &address);
    requests(&mut errands);
    let mut pings = 0;
    for second in 1..=600 {
        inbox.tick(at(secs(second)), &mut errands);
        let kept = |(to, request): &(NodeKey, Request)| *to == TELLER && *request == Request::Ping;
        pings += requests(&mut errands).iter().filter(|request| kept(request)).count();
    }
    assert_eq!(pings, 10);
    assert!(inbox.next_timeout().is_some_and(|due| due > secs(600)), "nothing spins");
}
