use core::net::SocketAddr;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

fn key(n: u32) -> NodeKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    NodeKey::new(bytes)
}

fn contact(n: u32, address: &str, at_ms: u64) -> Contact {
    Contact::new(key(n), address.parse().unwrap(), &[], Tick::from_ms(at_ms))
}

/// A public address of a group of its own.
fn lone_address(n: u32) -> String {
    format!("{}.{}.1.1:4040", 11 + n / 200 % 80, n % 200)
}

fn table_of(count: u32) -> Table {
    let mut table = Table::new(NodeId::new([0x55; 32]), TableConfig::default());
    for n in 0..count {
        table.offer(contact(n, &lone_address(n), 1));
    }
    table
}

#[test]
fn old_contacts_stay_against_a_flood_of_new_ones() {
    let mut table = table_of(500);
    let before: Vec<NodeKey> = table.contacts().map(Contact::key).collect();
    for n in 10_000..20_000 {
        table.offer(contact(n, &lone_address(n), 5));
    }
    for old in &before {
        assert!(table.get(old).is_some());
    }
    assert!(table.bucket_sizes().all(|size| size <= 20));
}

#[test]
fn a_silent_contact_gives_way_to_one_that_answers() {
    let mut table = table_of(1000);
    let first = table.contacts().next().unwrap().key();
    let full = table.bucket_sizes().next().unwrap();
    assert_eq!(full, 20);
    let now = Tick::from_ms(2);
    table.failed(&first, now);
    assert!(table.get(&first).is_some(), "one failure is forgiven");
    let change = table.failed(&first, now);
    assert_eq!(change.removed, Some(first), "a spare waits, so two are enough");
    assert!(change.added.is_some());
    assert_eq!(table.bucket_sizes().next().unwrap(), 20);
}

#[test]
fn nobody_is_dropped_while_we_are_offline() {
    let mut table = table_of(5);
    let all: Vec<NodeKey> = table.contacts().map(Contact::key).collect();
    let later = Tick::from_ms(3_600_000);
    for key in &all {
        for _ in 0..10 {
            table.failed(key, later);
        }
    }
    assert_eq!(table.len(), 5);
    assert_eq!(table.closest(&NodeId::new([0; 32]), 20).len(), 5, "better a doubtful contact than none");
    table.answered(&all[0], later);
    assert_eq!(table.closest(&NodeId::new([0; 32]), 20).len(), 1);
    assert_eq!(table.failed(&all[1], later).removed, Some(all[1]));
}

#[test]
fn one_operator_cannot_fill_a_bucket() {
    let mut table = table_of(60);
    for n in 1000..3000 {
        table.offer(contact(n, &format!("9.9.{}.{}:1", n % 3, n % 250), 2));
    }
    for bucket in &table.buckets {
        let ours =
            bucket.entries().iter().filter(|c| c.address().unwrap().to_string().starts_with("9.9.")).count();
        assert!(ours <= 4, "a /16 has {ours} of a bucket");
    }
}

#[test]
fn a_network_of_one_street_is_still_a_network() {
    let mut table = Table::new(NodeId::new([0x55; 32]), TableConfig::default());
    for n in 0..15 {
        table.offer(contact(n, &format!("9.9.9.{n}:1"), 1));
    }
    assert_eq!(table.len(), 15, "with fewer groups than a bucket has places the caps relax");
    for n in 100..2000 {
        table.offer(contact(n, &lone_address(n), 2));
    }
    let far = table.buckets[0].entries();
    let street = far.iter().filter(|c| c.address().unwrap().to_string().starts_with("9.9.9.")).count();
    assert_eq!((far.len(), street), (20, 2), "later peers of other groups take the places beyond the caps");
}

#[test]
fn a_contact_that_moves_into_a_full_group_loses_its_place() {
    let mut table = table_of(300);
    let bucket: Vec<NodeKey> = table.buckets[0].entries().iter().map(Contact::key).collect();
    for (n, mover) in bucket.iter().enumerate() {
        let address: SocketAddr = format!("9.9.9.{n}:1").parse().unwrap();
        table.offer(Contact::new(*mover, address, &[], Tick::from_ms(3)));
    }
    let there =
        table.buckets[0].entries().iter().filter(|c| c.address().unwrap().to_string().starts_with("9.9.9."));
    assert_eq!(there.count(), 2);
    assert_eq!(table.len(), table.contacts().count());
}

#[test]
fn we_are_not_our_own_contact() {
    let me = key(7);
    let mut table = Table::new(me.node_id(), TableConfig::default());
    assert_eq!(table.offer(contact(7, "9.9.9.9:1", 1)), Change::default());
    assert!(!table.would_take(&contact(7, "9.9.9.9:1", 1)));
    assert!(table.is_empty());
}

#[test]
fn only_a_port_at_the_proven_address_is_believed() {
    let claims: Vec<SocketAddr> =
        ["8.8.8.8:53", "9.9.9.9:4040"].iter().map(|text| text.parse().unwrap()).collect();
    let contact = Contact::new(key(1), "9.9.9.9:50000".parse().unwrap(), &claims, Tick::ZERO);
    let addresses: Vec<String> = contact.peer().addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["9.9.9.9:50000", "9.9.9.9:4040"]);
}

#[test]
fn a_table_is_small() {
    let table = table_of(10_000);
    let contacts = table.len() * size_of::<Contact>();
    assert!(size_of::<Contact>() <= 120, "{}", size_of::<Contact>());
    assert!(contacts < 32 * 1024, "{} contacts take {contacts} bytes", table.len());
}

proptest! {
    #[test]
    fn the_closest_are_those_of_a_plain_sort(count in 1u32..400, target: [u8; 32], n in 1usize..90) {
        let table = table_of(count);
        let target = NodeId::new(target);
        let mut plain: Vec<&Contact> = table.contacts().collect();
        plain.sort_by_key(|contact| contact.id().distance(&target));
        plain.truncate(n);
        prop_assert_eq!(table.closest(&target, n), plain);
    }

    #[test]
    fn a_place_in_a_bucket_is_in_that_bucket(index in 0usize..256, seed: u64) {
        let table = table_of(0);
        let place = table.place_in(index, &mut ChaCha20Rng::seed_from_u64(seed));
        prop_assert_eq!(table.index(&place), index);
    }

    #[test]
    fn the_length_is_the_number_of_contacts(steps in proptest::collection::vec((0u32..120, 0u8..4), 0..600)) {
        let mut table = Table::new(NodeId::new([0x55; 32]), TableConfig::default());
        for (n, step) in steps {
            match step {
                0 => drop(table.failed(&key(n), Tick::from_ms(2))),
                1 => drop(table.remove(&key(n))),
                2 => drop(table.offer(contact(n, "9.9.9.9:1", 1))),
                _ => drop(table.offer(contact(n, &lone_address(n), 1))),
            }
            prop_assert_eq!(table.len(), table.contacts().count());
            prop_assert!(!table.scattered || !table.groups_below(table.config.bucket));
        }
    }
}
