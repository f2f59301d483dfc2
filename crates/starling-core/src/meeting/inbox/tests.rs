use starling_crypto::secret::Secret;

use super::*;
use crate::meeting::Output;

fn owner(n: u8) -> MailboxSecret {
    MailboxSecret::from_seed(&Secret::copy_of(&[n; 32]))
}

fn inbox(mailboxes: &[u8]) -> Inbox {
    let mut inbox = Inbox::default();
    inbox.set(mailboxes.iter().map(|n| owner(*n)), Tick::ZERO);
    inbox
}

fn secs(s: u64) -> Tick {
    Tick::ZERO.after(Span::from_secs(s))
}

#[test]
fn who_tells_us_is_of_different_groups_if_there_are_any() {
    let mut mailbox = Mailbox::new(owner(1), Tick::ZERO);
    let peer = |n: u8, address: &str| Peer::new(NodeKey::new([n; 32]), [address.parse().unwrap()]);
    mailbox.holders =
        vec![peer(1, "9.1.1.1:1"), peer(2, "9.1.1.2:1"), peer(3, "9.1.2.1:1"), peer(4, "9.1.3.1:1")];
    let order: Vec<u8> = tellers(&mailbox).map(|peer| peer.key().as_bytes()[0]).collect();
    assert_eq!(order, [1, 3, 4, 2]);
    mailbox.tellers.insert(NodeKey::new([3; 32]), [0; 32]);
    assert_eq!(tellers(&mailbox).count(), 3, "who tells us already is not asked again");
}

#[test]
fn how_soon_it_is_read_again_depends_on_who_tells_us() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    let wait = |inbox: &mut Inbox, holders| {
        inbox.tick(inbox.next_reading().unwrap(), &mut Errands::default());
        assert_eq!(inbox.next_reading(), None, "it is being read");
        inbox.read(&address, holders, Tick::ZERO, u32::MAX / 2);
        inbox.next_reading().unwrap().since(Tick::ZERO).as_secs()
    };
    assert!((4..=5).contains(&wait(&mut inbox, 0)));
    assert!((59..=60).contains(&wait(&mut inbox, 3)));
    inbox.peer_up(NodeKey::new([3; 32]), [7; 32]);
    inbox.owned(NodeKey::new([3; 32]), &address, &Response::Subscribed);
    assert!((599..=600).contains(&wait(&mut inbox, 3)));
    inbox.peer_down(&NodeKey::new([3; 32]), Tick::ZERO);
    assert_eq!(inbox.next_reading(), Some(secs(60)));
}

#[test]
fn what_comes_while_we_read_is_read_after_that() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    inbox.tick(Tick::ZERO, &mut Errands::default());
    assert!(inbox.notified(&address, Tick::from_ms(100)));
    inbox.read(&address, 5, Tick::from_ms(200), 0);
    assert_eq!(inbox.next_timeout(), Some(Tick::ZERO.after(APART)));
    inbox.kept_here(&RecordKey::for_mailbox(&owner(2).public()), secs(1));
    assert_eq!(inbox.next_timeout(), Some(Tick::ZERO.after(APART)), "another's mailbox");
}

#[test]
fn however_often_something_comes_readings_are_apart() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    let (mut readings, end) = (0, secs(60));
    for step in 0..600 {
        let now = Tick::ZERO.after(Span::from_ms(100 * step));
        inbox.notified(&address, now);
        inbox.tick(now, &mut errands);
        while errands.poll().is_some() {
            readings += 1;
        }
        inbox.read(&address, 5, now, 0);
        inbox.notified(&address, now);
    }
    assert!(inbox.next_timeout().is_some_and(|due| due <= end.after(APART)));
    assert_eq!(readings, 2 * 60, "a lookup and a fetch every second");
}

#[test]
fn only_a_holder_that_was_asked_to_tell_us_makes_us_read() {
    let (mut inbox, address) = (inbox(&[1]), owner(1).public());
    let (teller, other) = (NodeKey::new([3; 32]), NodeKey::new([4; 32]));
    inbox.tick(Tick::ZERO, &mut Errands::default());
    inbox.peer_up(teller, [7; 32]);
    inbox.owned(teller, &address, &Response::Subscribed);
    inbox.read(&address, 5, secs(1), 0);
    let due = inbox.next_timeout();
    assert!(!inbox.notified_by(&address, &other, secs(20)));
    assert_eq!(inbox.next_timeout(), due);
    assert!(!inbox.notified_by(&owner(2).public(), &teller, secs(20)), "another's mailbox");
    assert!(inbox.notified_by(&address, &teller, secs(20)));
    assert_eq!(inbox.next_timeout(), Some(secs(20)));
}

#[test]
fn all_is_read_only_when_every_mailbox_was() {
    let mut inbox = inbox(&[1, 2]);
    assert!(!inbox.read(&owner(1).public(), 5, Tick::ZERO, 0));
    assert!(!inbox.read(&owner(2).public(), 0, Tick::ZERO, 0));
    assert!(inbox.read(&owner(2).public(), 5, Tick::ZERO, 0));
    assert!(!inbox.read(&owner(2).public(), 5, Tick::ZERO, 0));
}

#[test]
fn a_mailbox_that_is_no_longer_ours_is_soon_forgotten() {
    let mut inbox = inbox(&[1, 2]);
    inbox.set([owner(1)].into_iter(), secs(1));
    assert_eq!(inbox.mailboxes.len(), 2, "its holders are being told what can go");
    inbox.set([owner(1)].into_iter(), secs(61));
    assert_eq!(inbox.mailboxes.len(), 1);
}

#[test]
fn those_who_tell_us_are_kept_connected_with_a_ping_a_minute() {
    let (mut inbox, mut errands, address) = (inbox(&[1]), Errands::default(), owner(1).public());
    inbox.tick(Tick::ZERO, &mut errands);
    inbox.read(&address, 5, secs(1), 0);
    inbox.peer_up(NodeKey::new([3; 32]), [7; 32]);
    inbox.owned(NodeKey::new([3; 32]), &address, &Response::Subscribed);
    let mut pings = 0;
    for second in 1..=600 {
        inbox.tick(secs(second), &mut errands);
        while let Some(output) = errands.poll() {
            let ping = |output: &Output| {
                matches!(
                    output,
                    Output::Wish(Wish::Call { way: Way::Only([7, ..]), request: Request::Ping, .. })
                )
            };
            pings += usize::from(ping(&output));
        }
    }
    assert_eq!(pings, 10);
    assert!(inbox.next_timeout().is_some_and(|due| due > secs(600)), "nothing spins");
}
