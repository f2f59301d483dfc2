//! What a mailbox's owner may do.

use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::limits as proto_limits;
use starling_proto::message::StoreOutcome::{HaveNewer, NotServing, Stored};
use starling_proto::message::{Operation, Proof, Prove, Records, Refusal, Response};

use crate::holder::Notice;
use crate::holder::testing::{DAY, Desk, Maker, group, mailbox};
use crate::storage::RecordStore as _;

#[test]
fn an_owner_lists_and_deletes_its_own_and_nothing_else() {
    let mut desk = Desk::new();
    let (mine, yours) = (Maker::mail(1, 1), Maker::mail(2, 1));
    desk.put(&mine);
    desk.put(&yours);
    let entry = Maker::directory(1);
    desk.put(&entry);
    assert_eq!(desk.owner(5, 1, Operation::List), Response::Listed(vec![mine.make().id()]));
    let ids = vec![mine.make().id(), yours.make().id(), entry.make().id()];
    assert_eq!(desk.owner(5, 1, Operation::Delete(ids)), Response::Deleted(1));
    assert!(!desk.has(&mine) && desk.has(&yours) && desk.has(&entry));
}

#[test]
fn an_owner_takes_what_it_names_and_nothing_of_others() {
    let mut desk = Desk::new();
    let (mine, gone, yours) = (Maker::mail(1, 1), Maker::mail(1, 2), Maker::mail(2, 1));
    desk.put(&mine);
    desk.put(&yours);
    let ids = [&yours, &gone, &mine].map(|maker| maker.make().id()).to_vec();
    let records = Records { records: vec![mine.make()], ..Records::default() };
    assert_eq!(desk.owner(5, 1, Operation::Take(ids)), Response::Records(records));
}

#[test]
fn what_does_not_fit_into_an_answer_is_counted() {
    let mut desk = Desk::new();
    let makers: Vec<Maker> = (0..5).map(|n| Maker::mail(1, n).sized(16 * 1024 + n as usize)).collect();
    let kept: Vec<_> = makers.iter().filter(|maker| desk.put(maker) == Stored).collect();
    let ids: Vec<_> = kept.iter().map(|maker| maker.make().id()).collect();
    let Response::Records(found) = desk.owner(5, 1, Operation::Take(ids)) else { panic!("no records") };
    assert_eq!((found.records.len(), found.left_out as usize), (2, kept.len() - 2));
    let expected: Vec<_> = kept[..2].iter().map(|maker| maker.make()).collect();
    assert_eq!(found.records, expected, "those named first");
}

#[test]
fn ida_02_a_request_is_worth_something_to_one_holder_on_one_connection() {
    let mut desk = Desk::new();
    desk.put(&Maker::mail(1, 1));
    let good = desk.owner_operation(1, Operation::List);
    let mut elsewhere = good.clone();
    elsewhere.holder = NodeKey::new([8; 32]);
    let mut other_connection = good.clone();
    other_connection.channel_binding = [4; proto_limits::CHANNEL_BINDING];
    let refused = Response::Refused(Refusal::NotAllowed);
    assert_eq!(desk.signed(5, &elsewhere, true), refused);
    assert_eq!(desk.signed(5, &other_connection, true), refused);
    assert_eq!(desk.signed(5, &good, false), refused);
    assert!(matches!(desk.signed(5, &good, true), Response::Listed(ids) if ids.len() == 1));
}

#[test]
fn what_is_deleted_does_not_come_back() {
    let mut desk = Desk::new();
    let (here, late) = (Maker::mail(1, 1), Maker::mail(1, 2));
    desk.put(&here);
    let ids = vec![here.make().id(), late.make().id()];
    assert_eq!(desk.owner(5, 1, Operation::Delete(ids)), Response::Deleted(1));
    assert_eq!((desk.put(&here), desk.put(&late)), (HaveNewer, HaveNewer));
    let prove = |record: RecordId| Prove { record, nonce: [0; proto_limits::NONCE] };
    let says = |desk: &mut Desk, record| desk.holder.prove(&desk.store, &prove(record)).unwrap();
    assert_eq!(says(&mut desk, here.make().id()), Proof::Deleted, "whoever left it need not leave it again");
    assert_eq!(says(&mut desk, Maker::mail(1, 3).make().id()), Proof::Missing);
    desk.restart();
    assert_eq!((desk.put(&here), desk.put(&late)), (HaveNewer, HaveNewer));
    desk.sweep(true);
    desk.pass(15 * DAY);
    assert_eq!(desk.sweep(false), 2);
    assert_eq!(desk.holder.usage().deletions, 0);
}

#[test]
fn nobody_deletes_in_advance_from_the_mailbox_of_another() {
    let mut desk = Desk::new();
    let mail = Maker::mail(1, 1);
    desk.owner(5, 2, Operation::Delete(vec![mail.make().id()]));
    assert_eq!(desk.put(&mail), Stored);
}

#[test]
fn a_list_is_one_answer_long_and_the_rest_comes_after_deleting() {
    let mut desk = Desk::new();
    for text in 0..300 {
        assert_eq!(desk.put(&Maker::mail(1, text)), Stored);
    }
    let Response::Listed(first) = desk.owner(5, 1, Operation::List) else { panic!("no list") };
    assert_eq!(first.len(), proto_limits::RECORD_IDS);
    assert!(Response::Listed(first.clone()).to_frame().is_ok());
    assert_eq!(desk.owner(5, 1, Operation::Delete(first)), Response::Deleted(256));
    assert!(matches!(desk.owner(5, 1, Operation::List), Response::Listed(rest) if rest.len() == 44));
}

#[test]
fn a_subscribed_owner_hears_of_new_deposits_until_it_goes() {
    let mut desk = Desk::new();
    assert_eq!(desk.owner(5, 1, Operation::Subscribe), Response::Subscribed);
    let notice = Notice { to: NodeKey::new([5; 32]), address: mailbox(1) };
    assert_eq!(desk.offer(Maker::mail(1, 1).make(), group(1)).notify, [notice]);
    assert_eq!(desk.offer(Maker::mail(1, 1).make(), group(1)).notify, [], "not for what is here already");
    assert_eq!(desk.offer(Maker::mail(2, 1).make(), group(1)).notify, []);
    assert_eq!(desk.offer(Maker::mail(1, 2).bad().make(), group(1)).notify, []);
    desk.holder.disconnected(&NodeKey::new([5; 32]));
    assert_eq!(desk.offer(Maker::mail(1, 3).make(), group(1)).notify, []);
}

#[test]
fn dsk_01_on_a_full_disk_nothing_is_taken_and_owners_still_delete() {
    let mut desk = Desk::new();
    let (mail, late) = (Maker::mail(1, 1), Maker::mail(1, 2));
    desk.put(&mail);
    desk.holder.set_full(true);
    assert_eq!((desk.put(&mail), desk.put(&late)), (Stored, NotServing), "what is here is here");
    assert_eq!(desk.put(&Maker::directory(1)), NotServing);
    let ids = vec![mail.make().id(), late.make().id()];
    assert_eq!(desk.owner(5, 1, Operation::Delete(ids)), Response::Deleted(1));
    assert_eq!(desk.store.deleted_records().unwrap(), [], "no row is written");
    assert_eq!((desk.put(&mail), desk.put(&late)), (HaveNewer, HaveNewer), "and yet it is remembered");
    desk.holder.set_full(false);
    assert_eq!((desk.put(&late), desk.put(&Maker::directory(1))), (HaveNewer, Stored));
}

#[test]
fn dsk_01_on_a_full_disk_what_is_over_goes() {
    let mut desk = Desk::new();
    desk.put(&Maker::mail(1, 1));
    desk.holder.set_full(true);
    desk.pass(20 * DAY);
    assert_eq!(desk.sweep(true), 1);
}

#[test]
fn what_a_deletion_costs_is_counted_by_its_ids() {
    let mut desk = Desk::new();
    desk.put(&Maker::mail(1, 1));
    let before = desk.holder.work();
    let ids: Vec<_> = (0..=255).map(|n| Maker::mail(1, n).make().id()).collect();
    desk.owner(5, 1, Operation::Delete(ids));
    assert_eq!(desk.holder.work().since(before).deleted, 256, "here or not, each is written");
    desk.put(&Maker::mail(1, 256));
    let before = desk.holder.work();
    desk.owner(5, 1, Operation::List);
    assert_eq!(desk.holder.work().since(before).rows, 1);
}
