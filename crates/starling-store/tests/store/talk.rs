//! What every store of conversations is held to: one suite for the one in memory and the one on disk.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::common::{contact, message, outbox_row, step};
use crate::conformance::OnDisk;
use proptest::prelude::*;
use starling_core::memory::MemoryStore;
use starling_core::storage::{
    ChainPlace, ChangeOf, ContactRow, ContactState, ContactStore as _, Mailed, MessageKind, MessageRow,
    MessageState, MessageStatus, MessageStore as _, OutboxStore as _, SeenStore as _, SessionStore as _,
    TalkStore, TraceStore as _,
};
use starling_crypto::session::Tombstone;
use starling_overlay::conformance::Harness;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, OlmKey, SessionId};
use starling_proto::limits;
use starling_proto::time::{Span, UnixMillis, UnixSeconds};

/// A store in memory, which nothing closes.
#[derive(Default)]
struct InMemory(MemoryStore);

impl Harness for InMemory {
    type Store = MemoryStore;

    fn store(&mut self) -> &mut MemoryStore {
        &mut self.0
    }

    fn reopen(&mut self) {}
}

#[test]
fn conversations_in_memory() {
    check(InMemory::default);
}

#[test]
fn conversations_on_disk() {
    check(OnDisk::fresh);
}

/// Runs every check, each on a fresh, empty store.
fn check<H: Harness<Store: TalkStore>>(mut fresh: impl FnMut() -> H) {
    an_empty_store_is_empty(&mut fresh());
    contacts_come_back_whole_and_by_account(&mut fresh());
    sessions_are_kept_by_device_and_id(&mut fresh());
    tombstones_are_kept_by_device_and_session(&mut fresh());
    messages_come_back_whole(&mut fresh());
    a_conversation_is_paged_by_position(&mut fresh());
    what_is_said_about_a_message_is_no_message(&mut fresh());
    texts_end_in_the_order_of_their_ends(&mut fresh());
    words_are_found_wherever_they_lie(&mut fresh());
    messages_at_one_position_stand_by_id(&mut fresh());
    the_heads_are_the_newest_of_each_chain(&mut fresh());
    a_chain_is_looked_through_from_a_place(&mut fresh());
    a_message_gets_further_alone(&mut fresh());
    the_outbox_keeps_the_order_of_its_numbers(&mut fresh());
    steps_stay_in_their_order(&mut fresh());
    an_id_is_new_once_until_it_is_forgotten(&mut fresh());
    words_in_a_row_are_found(&mut fresh());
    what_is_searched_is_never_syntax(&mut fresh());
    another_text_is_found_by_its_own_words(&mut fresh());
}

fn an_empty_store_is_empty<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let (device, session, id) = (DeviceKey::new([1; 32]), SessionId::new([1; 32]), MessageId::new([1; 16]));
    for _ in 0..2 {
        let store = harness.store();
        assert_eq!(store.contacts().unwrap(), []);
        assert_eq!(store.sessions(&device).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(store.tombstones(&device).unwrap(), []);
        assert_eq!(store.message(&id).unwrap(), None);
        assert_eq!(store.messages(&CONVERSATION, None, 9, None).unwrap(), []);
        assert_eq!(store.messages(&CONVERSATION, None, 9, Some("word")).unwrap(), []);
        assert_eq!(store.chain_heads(&CONVERSATION).unwrap(), []);
        assert_eq!(store.outbox().unwrap(), []);
        assert_eq!(store.trace(&id).unwrap(), []);
        store.remove_contact(&CONVERSATION).unwrap();
        store.remove_session(&device, &session).unwrap();
        store.remove_tombstone(&device, &session).unwrap();
        store.remove_outbox(1).unwrap();
        store.forget_seen(UnixSeconds::new(u64::MAX)).unwrap();
        harness.reopen();
    }
}

fn contacts_come_back_whole_and_by_account<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let mut rows: Vec<ContactRow> =
        (0..6).map(|number| contact(number, usize::from(number) * 3000)).collect();
    rows[2].petname = None;
    rows[3] = ContactRow { petname: None, name: String::new(), ..rows[3].clone() };
    rows[4].last_seen = Some(UnixSeconds::new(u64::MAX));
    for row in rows.iter().rev() {
        harness.store().write_contact(row).unwrap();
    }
    harness.reopen();
    assert_eq!(harness.store().contacts().unwrap(), rows);

    rows[5] = ContactRow { state: ContactState::Blocked, petname: None, body: vec![], ..rows[5].clone() };
    harness.store().write_contact(&rows[5]).unwrap();
    harness.store().remove_contact(&rows.remove(0).account).unwrap();
    harness.reopen();
    assert_eq!(harness.store().contacts().unwrap(), rows);
}

fn sessions_are_kept_by_device_and_id<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let (device, other) = (DeviceKey::new([1; 32]), DeviceKey::new([2; 32]));
    let id = |byte| SessionId::new([byte; 32]);
    let store = harness.store();
    store.write_session(&device, &id(9), &[9; 20_000]).unwrap();
    store.write_session(&device, &id(3), b"before").unwrap();
    store.write_session(&device, &id(3), &[3; 5000]).unwrap();
    store.write_session(&other, &id(3), b"").unwrap();
    harness.reopen();
    assert_eq!(harness.store().sessions(&device).unwrap(), [vec![3; 5000], vec![9; 20_000]]);
    assert_eq!(harness.store().sessions(&other).unwrap(), [b""]);
    harness.store().remove_session(&device, &id(3)).unwrap();
    harness.reopen();
    assert_eq!(harness.store().sessions(&device).unwrap(), [vec![9; 20_000]]);
    assert_eq!(harness.store().sessions(&other).unwrap(), [b""]);
}

fn tombstones_are_kept_by_device_and_session<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let (device, other) = (DeviceKey::new([1; 32]), DeviceKey::new([2; 32]));
    let tombstone =
        |session, key| Tombstone { session: SessionId::new([session; 32]), key: OlmKey::new([key; 32]) };
    let store = harness.store();
    for written in [tombstone(9, 1), tombstone(3, 1), tombstone(3, 2)] {
        store.write_tombstone(&device, &written).unwrap();
    }
    store.write_tombstone(&other, &tombstone(3, 4)).unwrap();
    harness.reopen();
    assert_eq!(harness.store().tombstones(&device).unwrap(), [tombstone(3, 2), tombstone(9, 1)]);
    harness.store().remove_tombstone(&device, &tombstone(3, 0).session).unwrap();
    harness.reopen();
    assert_eq!(harness.store().tombstones(&device).unwrap(), [tombstone(9, 1)]);
    assert_eq!(harness.store().tombstones(&other).unwrap(), [tombstone(3, 4)]);
}

fn messages_come_back_whole<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let longest = "wörter ".repeat(limits::TEXT / 8);
    let texts = ["", "zero \0 byte", "\u{1f642} ' \" ; --", &longest];
    let mut rows: Vec<MessageRow> = (0..5).zip(texts).map(|(at, text)| message(2, at, text)).collect();
    for row in &rows {
        harness.store().write_message(row).unwrap();
    }
    rows[3] =
        MessageRow { state: MessageState::Read, position: u64::MAX, sequence: u64::MAX, ..rows[3].clone() };
    harness.store().write_message(&rows[3]).unwrap();
    for _ in 0..2 {
        for row in &rows {
            assert_eq!(harness.store().message(&row.id).unwrap().as_ref(), Some(row));
        }
        assert_eq!(harness.store().messages(&CONVERSATION, None, 9, None).unwrap(), rows);
        harness.reopen();
    }
}

fn what_is_said_about_a_message_is_no_message<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let of = message(2, 1, "hello there").id;
    let said = |number, kind| MessageRow { kind, about: Some(of), ..message(2, number, "hello") };
    let answer = said(2, MessageKind::Text);
    let changes: Vec<MessageRow> = [3, 4, 5].map(|number| said(number, MessageKind::Edit)).into();
    let by_us = MessageRow { mine: true, ..said(9, MessageKind::Edit) };
    let of = |kind| ChangeOf { message: of, conversation: CONVERSATION, mine: false, kind };
    let elsewhere = MessageRow {
        kind: MessageKind::Reaction,
        about: Some(MessageId::new([7; 16])),
        edited_at: Some(UnixMillis::new(u64::MAX)),
        lives: Some(Span::from_secs(9)),
        ..message(2, 6, "hello")
    };
    for row in
        [&changes[2], &changes[0], &answer, &elsewhere, &changes[1], &by_us, &message(2, 1, "hello there")]
    {
        harness.store().write_message(row).unwrap();
    }
    let gone = MessageRow { kind: MessageKind::Ended, text: String::new(), ..message(2, 7, "") };
    let deleted = MessageRow { kind: MessageKind::Deleted, text: String::new(), ..message(2, 8, "") };
    harness.store().write_message(&message(2, 8, "hello again")).unwrap();
    for row in [&gone, &deleted] {
        harness.store().write_message(row).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(harness.store().message(&elsewhere.id).unwrap(), Some(elsewhere.clone()));
        let edits = harness.store().last_changes(&of(MessageKind::Edit)).unwrap();
        assert_eq!(edits, [changes[2].clone(), changes[1].clone()]);
        assert!(harness.store().last_changes(&of(MessageKind::Reaction)).unwrap().is_empty());
        let ours = ChangeOf { mine: true, ..of(MessageKind::Edit) };
        assert_eq!(harness.store().last_changes(&ours).unwrap(), std::slice::from_ref(&by_us));
        let mut positions = |text| -> Vec<u64> {
            let rows = harness.store().messages(&CONVERSATION, None, 99, text).unwrap();
            rows.into_iter().map(|row| row.position).collect()
        };
        assert_eq!(positions(None), [1, 2, 8]);
        assert_eq!(positions(Some("hello")), [1, 2], "and what is deleted is not found");
        assert_eq!(harness.store().chain_heads(&CONVERSATION).unwrap()[0].sequence, 9, "but in its chain");
        harness.reopen();
    }
}

fn texts_end_in_the_order_of_their_ends<H: Harness<Store: TalkStore>>(harness: &mut H) {
    assert_eq!(harness.store().next_end().unwrap(), None);
    let ending = |number, at| MessageRow { ends: Some(UnixSeconds::new(at)), ..message(2, number, "text") };
    let rows = [ending(4, 0), ending(2, 5), ending(3, 6), ending(1, u64::MAX)];
    for row in rows.iter().rev().chain([&message(2, 5, "for ever")]) {
        harness.store().write_message(row).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(harness.store().next_end().unwrap(), Some(UnixSeconds::new(0)));
        assert_eq!(harness.store().ended(UnixSeconds::new(5), 9).unwrap(), rows[..2]);
        assert_eq!(harness.store().ended(UnixSeconds::new(6), 1).unwrap(), rows[..1]);
        assert_eq!(harness.store().ended(UnixSeconds::new(u64::MAX), 9).unwrap(), rows);
        harness.reopen();
    }
    harness.store().write_message(&MessageRow { ends: None, ..rows[0].clone() }).unwrap();
    assert_eq!(harness.store().next_end().unwrap(), Some(UnixSeconds::new(5)));
}

fn a_conversation_is_paged_by_position<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let positions = [0, 1, 5, 1 << 62, 1 << 63, u64::MAX];
    for &position in positions.iter().rev() {
        harness.store().write_message(&message(2, position, "mine or theirs")).unwrap();
    }
    let elsewhere = MessageRow { conversation: AccountKey::new([9; 32]), ..message(3, 2, "mine") };
    harness.store().write_message(&elsewhere).unwrap();
    harness.reopen();
    // Another conversation has the same word at the same positions.
    for (text, more) in [(None, 0), (Some("MINE"), 0), (Some("MINE"), 9)] {
        for number in 0..more {
            let mut id = [100; 16];
            id[..8].copy_from_slice(&u64::to_le_bytes(number));
            let beside = MessageRow { id: MessageId::new(id), position: number, ..elsewhere.clone() };
            harness.store().write_message(&beside).unwrap();
        }
        let mut page = |before, limit| -> Vec<u64> {
            let rows = harness.store().messages(&CONVERSATION, before, limit, text).unwrap();
            rows.iter().map(|row| row.position).collect()
        };
        assert_eq!(page(None, usize::MAX), positions);
        assert_eq!(page(None, 2), positions[4..]);
        assert_eq!(page(Some(u64::MAX), 2), positions[3..5]);
        assert_eq!(page(Some(1 << 62), 2), positions[1..3]);
        assert_eq!(page(Some(6), 9), positions[..3]);
        assert_eq!(page(Some(0), 9), NOTHING);
        assert_eq!(page(None, 0), NOTHING);
    }
}

/// The newest of a conversation are read, and the older ones looked for by the index: where they meet none is lost and none
/// found twice, whatever the order in which they came.
fn words_are_found_wherever_they_lie<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let write = |store: &mut H::Store, conversation, number: u64, position: u64, text: &str| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let row = MessageRow { id: MessageId::new(id), conversation, position, ..message(2, 1, text) };
        store.write_message(&row).unwrap();
    };
    const LIMITS: [usize; 8] = [1, 2, 3, 40, 51, 52, 53, 400];
    let elsewhere = AccountKey::new([9; 32]);
    // Common: in every row elsewhere, in every 40th here, and in the oldest hundred here. Rare: in the odd ones of those.
    for number in 0..3000 {
        write(harness.store(), elsewhere, number, number, "common");
    }
    let text = |position: u64| match position {
        0..100 if position.is_multiple_of(2) => "common and early",
        0..100 => "common and rare",
        _ if position.is_multiple_of(40) => "a common word",
        _ => "another",
    };
    // The newest but the last come first, as when a pile of mail is read backwards; two rows share each position.
    for position in (0..2400).rev().chain(2400..2500) {
        for twin in [0, 1 << 32] {
            write(harness.store(), CONVERSATION, 1 << 33 | twin | position, position, text(position));
        }
    }
    harness.reopen();
    for (word, limit) in ["common", "rare"].into_iter().flat_map(|word| LIMITS.map(|limit| (word, limit))) {
        for before in [None, Some(2441), Some(1000), Some(101), Some(1)] {
            let rows = harness.store().messages(&CONVERSATION, before, limit, Some(word)).unwrap();
            let found: Vec<u64> = rows.iter().map(|row| row.position).collect();
            let holding = (0..before.unwrap_or(2500)).filter(|&position| text(position).contains(word));
            let twins: Vec<u64> = holding.flat_map(|position| [position, position]).collect();
            assert_eq!(
                found,
                twins[twins.len().saturating_sub(limit)..],
                "{word}, {limit} before {before:?}"
            );
            let ids: BTreeSet<MessageId> = rows.iter().map(|row| row.id).collect();
            assert_eq!(ids.len(), rows.len(), "none twice");
        }
    }
}

fn messages_at_one_position_stand_by_id<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let at_five = |author| MessageRow { position: 5, ..message(author, 1, "crowd") };
    for author in [3, 1, 2] {
        harness.store().write_message(&at_five(author)).unwrap();
    }
    harness.reopen();
    let mut page = |limit| harness.store().messages(&CONVERSATION, None, limit, None).unwrap();
    assert_eq!(page(9), [at_five(1), at_five(2), at_five(3)]);
    assert_eq!(page(2), [at_five(2), at_five(3)]);
}

fn the_heads_are_the_newest_of_each_chain<H: Harness<Store: TalkStore>>(harness: &mut H) {
    for (author, numbers) in [(9, [1, 1 << 63, 3]), (4, [u64::MAX, 2, 0]), (200, [7, 6, 5])] {
        for number in numbers {
            harness.store().write_message(&backwards(author, number)).unwrap();
        }
    }
    let mut second = message(200, 7, "the same place twice");
    second.id = MessageId::new([201; 16]);
    harness.store().write_message(&second).unwrap();
    let elsewhere = MessageRow { conversation: AccountKey::new([9; 32]), ..message(5, 2, "elsewhere") };
    harness.store().write_message(&elsewhere).unwrap();
    harness.reopen();
    let heads = harness.store().chain_heads(&CONVERSATION).unwrap();
    let newest = [(4, u64::MAX), (9, 1 << 63), (200, 7)];
    assert_eq!(heads, newest.map(|(author, number)| shown_backwards(author, number)));
    assert_eq!(harness.store().chain_heads(&elsewhere.conversation).unwrap(), [(&elsewhere).into()]);
}

/// Shown in the other order: a chain goes by its sequence.
fn backwards(author: u8, number: u64) -> MessageRow {
    MessageRow { position: u64::MAX - number, ..message(author, number, "text") }
}

fn shown_backwards(author: u8, number: u64) -> ChainPlace {
    (&backwards(author, number)).into()
}

fn a_chain_is_looked_through_from_a_place<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let (author, other) = (DeviceKey::new([4; 32]), DeviceKey::new([5; 32]));
    for number in [9, 2, 1 << 63, u64::MAX] {
        harness.store().write_message(&backwards(4, number)).unwrap();
    }
    let same_place = MessageRow { id: MessageId::new([9; 16]), position: 1, ..backwards(4, 9) };
    harness.store().write_message(&same_place).unwrap();
    harness.store().write_message(&backwards(6, 5)).unwrap();
    harness.reopen();
    let store = harness.store();
    for (place, until, beyond) in [
        (0, None, Some(2)),
        (2, Some(2), Some(9)),
        (8, Some(2), Some(9)),
        (9, Some(9), Some(1 << 63)),
        (u64::MAX - 1, Some(1 << 63), Some(u64::MAX)),
        (u64::MAX, Some(u64::MAX), None),
    ] {
        let shown = |number: Option<u64>| number.map(|number| shown_backwards(4, number));
        assert_eq!(store.chain_until(&CONVERSATION, &author, place).unwrap(), shown(until), "{place}");
        assert_eq!(store.chain_beyond(&CONVERSATION, &author, place).unwrap(), shown(beyond), "{place}");
        assert_eq!(store.chain_until(&CONVERSATION, &other, place).unwrap(), None);
        assert_eq!(store.chain_beyond(&AccountKey::new([9; 32]), &author, place).unwrap(), None);
    }
    assert!(store.is_taken(&CONVERSATION, u64::MAX - 2).unwrap());
    assert!(!store.is_taken(&CONVERSATION, 2).unwrap());
    assert!(!store.is_taken(&AccountKey::new([9; 32]), u64::MAX - 2).unwrap());
}

fn a_message_gets_further_alone<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let (row, other) = (message(1, 5, "how far"), message(2, 5, "another"));
    harness.store().write_message(&row).unwrap();
    harness.store().write_message(&other).unwrap();
    harness.store().set_message_state(&row.id, MessageState::Read).unwrap();
    harness.store().set_message_state(&message(1, 6, "").id, MessageState::Read).unwrap();
    harness.reopen();
    let read = MessageRow { state: MessageState::Read, ..row };
    let status = MessageStatus { conversation: CONVERSATION, mine: true, state: MessageState::Read };
    assert_eq!(harness.store().message_status(&read.id).unwrap(), Some(status));
    assert_eq!(harness.store().messages(&CONVERSATION, None, 9, Some("how")).unwrap(), [read]);
    assert_eq!(harness.store().message(&other.id).unwrap(), Some(other));
    assert_eq!(harness.store().message_status(&message(1, 6, "").id).unwrap(), None);
}

fn the_outbox_keeps_the_order_of_its_numbers<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let numbers = [0, 1, 2, 1 << 62, 1 << 63, u64::MAX];
    for number in numbers.into_iter().rev() {
        harness.store().write_outbox(&outbox_row(number, 16 * 1024)).unwrap();
    }
    harness.store().write_outbox(&outbox_row(2, 0)).unwrap();
    harness.store().remove_outbox(1).unwrap();
    let mailed = Some(Mailed { at: UnixSeconds::new(u64::MAX), holders: u32::MAX });
    harness.store().set_mailed(1, mailed).unwrap();
    for (number, mailed) in [(0, mailed), (2, mailed), (2, None)] {
        harness.store().set_mailed(number, mailed).unwrap();
    }
    harness.reopen();
    let left = [(0, 16 * 1024), (2, 0), (1 << 62, 16 * 1024), (1 << 63, 16 * 1024), (u64::MAX, 16 * 1024)];
    let mut rows = left.map(|(number, content)| outbox_row(number, content));
    rows[0].mailed = mailed;
    assert_eq!(harness.store().outbox().unwrap(), rows);
    harness.store().write_outbox(&rows[0]).unwrap();
    harness.reopen();
    assert_eq!(harness.store().outbox().unwrap(), rows, "and with the row");
}

fn steps_stay_in_their_order<H: Harness<Store: TalkStore>>(harness: &mut H) {
    for author in [1, 2] {
        harness.store().write_message(&message(author, 1, "traced")).unwrap();
    }
    // What repeats the last step of the same copy is passed over; odd steps are of one copy, even ones of another.
    for number in [9, 2, 9, 3, 3, u32::MAX, 2, 0] {
        harness.store().append_trace(&step(1, number), usize::MAX).unwrap();
        harness.store().append_trace(&step(2, number), 2).unwrap();
        harness.store().append_trace(&step(3, number), usize::MAX).unwrap();
        harness.reopen();
    }
    let mut steps = |author| harness.store().trace(&step(author, 0).message).unwrap();
    assert_eq!(steps(1), [9, 2, 3, u32::MAX, 0].map(|number| step(1, number)));
    assert_eq!(steps(2), [9, 2, 3, 0].map(|number| step(2, number)));
    assert_eq!(steps(3), [], "no such message");
}

fn an_id_is_new_once_until_it_is_forgotten<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let mut note = |id: u8, until| {
        let new = harness.store().note_seen(&[id; 32], UnixSeconds::new(until)).unwrap();
        harness.reopen();
        new
    };
    for (id, until) in [(1, 5), (2, 6), (3, u64::MAX), (4, 5)] {
        assert!(note(id, until));
        assert!(!note(id, until));
    }
    // The last date counts.
    assert!(!note(4, 9));
    harness.store().forget_seen(UnixSeconds::new(5)).unwrap();
    harness.reopen();
    let mut new = |id: u8| harness.store().note_seen(&[id; 32], UnixSeconds::new(8)).unwrap();
    assert_eq!([1, 2, 3, 4].map(&mut new), [true, false, false, false]);
}

fn words_in_a_row_are_found<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let texts = [
        "Hello, brave new world",
        "Straße 7, don't panic",
        "北京 ist schön",
        "hello there",
        "3.14 snake_case",
    ];
    for (at, text) in (0..).zip(texts) {
        harness.store().write_message(&message(2, at, text)).unwrap();
    }
    for _ in 0..2 {
        for (text, expected) in [
            ("hello", vec![0, 3]),
            ("HEL", vec![0, 3]),
            ("ello", vec![]),
            ("brave new", vec![0]),
            ("brave ne", vec![0]),
            ("brav new", vec![]),
            ("new brave", vec![]),
            ("hello brave", vec![0]),
            ("STRASSE", vec![1]),
            ("DON'T", vec![1]),
            ("京", vec![2]),
            ("SCHO\u{308}N", vec![2]),
            ("3.1", vec![4]),
            ("case", vec![4]),
        ] {
            assert_eq!(found(harness.store(), text), expected, "{text}");
        }
        harness.reopen();
    }
}

fn what_is_searched_is_never_syntax<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let store = harness.store();
    store.write_message(&message(2, 0, "NEAR and OR, not far: words AND more")).unwrap();
    store.write_message(&message(2, 1, "\"*\" - ^ ( \u{1f642}")).unwrap();
    store.write_message(&message(2, 2, "")).unwrap();
    for none in ["", " ", "\"", "\"\"", "*", "-", "--", "^", "(", "{", ":", "'", "%", "\0", "\u{1f642}"] {
        assert_eq!(found(store, none), NOTHING, "{none:?}");
    }
    for first in [
        "NEAR",
        "NEAR(",
        "near(and",
        "\"near",
        "near\"",
        "near*",
        "*near",
        "-near",
        "^near",
        "or not",
        "words AND",
        "AND mo*",
        "not\" far",
        "'near",
    ] {
        assert_eq!(found(store, first), [0], "{first:?}");
    }
    for none in ["words:near", "near OR far", "near NOT far", "message_words", "rowid:0", "near + far"] {
        assert_eq!(found(store, none), NOTHING, "{none:?}");
    }
    let long = "near ".repeat(100_000);
    assert_eq!(found(store, &long), NOTHING);
}

fn another_text_is_found_by_its_own_words<H: Harness<Store: TalkStore>>(harness: &mut H) {
    let mut row = message(2, 0, "before");
    harness.store().write_message(&row).unwrap();
    harness.reopen();
    row.text = "after".into();
    harness.store().write_message(&row).unwrap();
    for _ in 0..2 {
        assert_eq!(found(harness.store(), "before"), NOTHING);
        assert_eq!(found(harness.store(), "after"), [0]);
        harness.reopen();
    }
}

/// The positions of what a search finds.
fn found(store: &impl TalkStore, text: &str) -> Vec<u64> {
    let rows = store.messages(&CONVERSATION, None, usize::MAX, Some(text)).unwrap();
    rows.iter().map(|row| row.position).collect()
}

#[test]
fn a_search_on_disk_finds_what_one_in_memory_finds() {
    // Few letters, so that words meet; among them some that fold, compose, or mean something to a query.
    let text =
        || proptest::string::string_regex("[abAß京ﬁe\u{301}\u{94d}क_'.\"*:() \u{1f642}-]{0,12}").unwrap();
    let stores = RefCell::new((OnDisk::fresh(), MemoryStore::default(), 0));
    proptest!(ProptestConfig::with_cases(300), |(texts in prop::collection::vec(text(), 1..4), query in text())| {
        let (disk, memory, next) = &mut *stores.borrow_mut();
        for text in &texts {
            let row = message(2, *next, text);
            disk.store().write_message(&row).unwrap();
            memory.write_message(&row).unwrap();
            *next += 1;
        }
        for query in texts.iter().chain([&query]) {
            prop_assert_eq!(found(disk.store(), query), found(memory, query), "{}", query);
        }
    });
}

/// Two that begin alike, and another.
const CROWDED: [AccountKey; 3] = [CONVERSATION, AccountKey::new([9; 32]), {
    let mut alike = [1; 32];
    alike[31] = 2;
    AccountKey::new(alike)
}];

/// One of a few messages, at one of a few positions, so that they are changed, moved, hidden and share positions.
fn crowded() -> impl Strategy<Value = MessageRow> {
    let kind = prop::sample::select(vec![MessageKind::Text, MessageKind::Text, MessageKind::Deleted]);
    let lives = prop::sample::select(vec![None, None, Some(Span::from_secs(9))]);
    let text = prop::sample::select(vec!["", "one two", "two one two", "on", "two", "three on two"]);
    let conversation = prop::sample::select(CROWDED.to_vec());
    (0..8_u64, 0..4_u64, kind, lives, text, conversation).prop_map(
        |(number, position, kind, lives, text, conversation)| MessageRow {
            kind,
            lives,
            conversation,
            position,
            ..message(2, number, if kind == MessageKind::Deleted { "" } else { text })
        },
    )
}

/// Below the newest, which a search reads, so that it asks the index.
#[test]
fn crowded_positions_are_searched_on_disk_as_in_memory() {
    let (mut disk, mut memory) = (OnDisk::fresh(), MemoryStore::default());
    for (conversation, number) in CROWDED.into_iter().flat_map(|with| (100..400).map(move |at| (with, at))) {
        let author = conversation.as_bytes()[31];
        let row = MessageRow { conversation, ..message(author, number, "read first") };
        disk.store().write_message(&row).unwrap();
        memory.write_message(&row).unwrap();
    }
    let stores = RefCell::new((disk, memory));
    proptest!(ProptestConfig::with_cases(60), |(rows in prop::collection::vec(crowded(), 1..12))| {
        let (disk, memory) = &mut *stores.borrow_mut();
        for row in &rows {
            disk.store().write_message(row).unwrap();
            memory.write_message(row).unwrap();
        }
        let queries = ["on", "one", "two", "two on", "one two", "three", "two two", "first"];
        for (query, conversation) in queries.iter().flat_map(|query| CROWDED.map(|with| (query, with))) {
            for limit in [2, usize::MAX] {
                let page = |store: &dyn TalkStore, before| store.messages(&conversation, before, limit, Some(query));
                prop_assert_eq!(page(disk.store(), None).unwrap(), page(memory, None).unwrap());
                prop_assert_eq!(page(disk.store(), Some(3)).unwrap(), page(memory, Some(3)).unwrap());
            }
        }
    });
}

/// With whom every conversation here is.
const CONVERSATION: AccountKey = AccountKey::new([1; 32]);

/// What a search without a hit finds.
const NOTHING: [u64; 0] = [];
