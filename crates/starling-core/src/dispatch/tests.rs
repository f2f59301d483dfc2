//! The dispatcher by itself: what it asks of the shell, and when.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_crypto::session::Vodozemac;
use starling_proto::content::MessageText;
use starling_proto::identity::Name;
use starling_proto::time::UnixMillis;

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::*;
use crate::io::{Command, CommandOutput, ErrorCode};

use crate::meeting::Contact;
use crate::memory::MemoryStore;
use crate::storage::ContactStore as _;
use crate::view::ContactState;

fn now(ms: u64) -> Now {
    Now { tick: Tick::from_ms(ms), wall: UnixMillis::new(1_800_000_000_000 + ms) }
}

fn stamp_jobs(core: &mut Core<Vodozemac>) -> Vec<JobId> {
    let mut jobs = Vec::new();
    while let Some(output) = core.poll_output() {
        if let Output::Job { job, .. } = output {
            jobs.push(job);
        }
    }
    jobs
}

#[test]
fn a_cancelled_stamp_is_asked_for_again_after_a_while() {
    let (mut store, mut rng) = (MemoryStore::default(), ChaCha8Rng::seed_from_u64(1));
    let profile = Profile::new(Name::new("Ada").unwrap());
    Identity::create::<Vodozemac>(&mut store, &profile, now(0), &mut rng).unwrap();
    let config = Config::of(&"test".parse().unwrap());
    let mut core = Core::<Vodozemac>::load(config, now(0), &mut rng, &mut store).unwrap();
    core.handle(now(0), &mut rng, &mut store, Input::Timer).unwrap();
    let job = stamp_jobs(&mut core)[0];

    let cancelled = Input::JobDone { job, result: JobResult::Cancelled };
    core.handle(now(10), &mut rng, &mut store, cancelled).unwrap();
    core.handle(now(11), &mut rng, &mut store, Input::Timer).unwrap();
    assert!(stamp_jobs(&mut core).is_empty(), "not at once");
    assert!(core.next_timeout().is_some_and(|at| at <= now(5_010).tick), "the time to ask again is known");
    core.handle(now(5_010), &mut rng, &mut store, Input::Timer).unwrap();
    assert_eq!(stamp_jobs(&mut core).len(), 1);
}

#[test]
fn dsk_01_with_a_full_disk_nothing_is_written_and_the_user_is_told() {
    let (mut store, mut rng) = (MemoryStore::default(), ChaCha8Rng::seed_from_u64(1));
    let profile = Profile::new(Name::new("Ada").unwrap());
    Identity::create::<Vodozemac>(&mut store, &profile, now(0), &mut rng).unwrap();
    let config = Config::of(&"test".parse().unwrap());
    // What is written once for ever: the keys of inbox and locator.
    drop(Core::<Vodozemac>::load(config.clone(), now(0), &mut rng, &mut store).unwrap());

    let before = format!("{store:?}");
    let mut core = Core::<Vodozemac>::load(config, now(0), &mut rng, &mut store).unwrap();
    core.set_disk_full(true);
    let inputs = [
        Command::SetListed(true),
        Command::Contacts,
        Command::Status,
        Command::Invite { life: Span::from_days(1), addresses: Vec::new() },
        Command::SignOff,
    ];
    let mut refused = Vec::new();
    for (number, command) in (0..).zip(inputs) {
        let input = Input::Command { id: CommandId(number), command };
        core.handle(now(number), &mut rng, &mut store, input).unwrap();
        core.handle(now(number), &mut rng, &mut store, Input::Timer).unwrap();
        while let Some(output) = core.poll_output() {
            if let Output::Result { id, result: Err(error) } = output {
                assert_eq!(error.code, ErrorCode::Storage);
                refused.push(id.0);
            }
        }
    }
    assert_eq!(refused, [0, 3], "what writes is refused, what reads is answered");
    assert_eq!(format!("{store:?}"), before);
    assert!(core.next_timeout().is_none_or(|at| at > now(5).tick), "nothing spins");

    core.set_disk_full(false);
    core.handle(now(10), &mut rng, &mut store, Input::Timer).unwrap();
    assert!(!stamp_jobs(&mut core).is_empty(), "it goes on where it was");
}

/// A script that starts its peer writes as soon as the peer answers, before its core has done anything.
#[test]
fn the_first_input_may_be_a_text_to_a_contact() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut store_of = |name: &str| {
        let mut store = MemoryStore::default();
        let profile = Profile::new(Name::new(name).unwrap());
        Identity::create::<Vodozemac>(&mut store, &profile, now(0), &mut rng).unwrap();
        store
    };
    let (mut store, bob) = (store_of("Ada"), Identity::load(&store_of("Bob")).unwrap());
    let mut contact = Contact::new(bob.account(), ContactState::Accepted, now(0).seconds());
    contact.list = Some(bob.list().clone());
    store.write_contact(&contact.to_row()).unwrap();

    let config = Config::of(&"test".parse().unwrap());
    let mut core = Core::<Vodozemac>::load(config, now(0), &mut rng, &mut store).unwrap();
    let (who, text) = (bob.account().to_string(), MessageText::new("back again").unwrap().into());
    let command = Command::Send { who, text, request: None };
    let input = Input::Command { id: CommandId(1), command };
    core.handle(now(0), &mut rng, &mut store, input).unwrap();
    let mut outputs = core::iter::from_fn(|| core.poll_output());
    let answer = outputs.find_map(|output| match output {
        Output::Result { result, .. } => Some(result),
        _ => None,
    });
    assert!(matches!(answer, Some(Ok(CommandOutput::Sent(_)))), "{answer:?}");
}
