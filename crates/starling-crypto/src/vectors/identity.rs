//! `identity.json`: phrase, keys, certificates, device lists and their succession.

use serde_json::{Value, json};
use starling_proto::identity::{DeviceCert, DeviceList};
use starling_proto::ids::AccountKey;
use starling_proto::time::Span;

use super::check;
use crate::fixture::{NOW, account, account_key, cert, device, first_list, hex, phrase, unhex};
use crate::identity::{Authority, ListChange, ListConflict, VerifiedDeviceList, verify_chain};
use crate::safety::KeyTag;
use crate::sign::SigningDomain;

/// First list, a second device, that device revoked, and a recovery with device 3.
fn lists() -> [(&'static str, VerifiedDeviceList); 4] {
    let (first_device, account) = (device(1), account());
    let by_first = Authority::Device(&first_device);
    let day = |days| NOW.after(Span::from_days(days));
    let first = first_list();
    let second = first.add(cert(2, by_first), by_first, day(1)).unwrap();
    let third = second.revoke(&device(2).public(), by_first, day(2)).unwrap();
    let fresh = cert(3, Authority::Account(&account));
    let recovered = VerifiedDeviceList::found(&account, vec![fresh], Some(&third), day(3)).unwrap();
    [
        ("first list, signed by the account key", first),
        ("device 2 added by device 1", second),
        ("device 2 revoked by device 1", third),
        ("recovery: the account key begins anew with device 3", recovered),
    ]
}

fn list_vector(title: &str, list: &VerifiedDeviceList) -> Value {
    json!({
        "title": title,
        "encoded": hex(&list.list().encode()),
        "signed": hex(list.list().signed()),
        "version": list.list().body().version,
        "hash": hex(list.hash().as_bytes()),
        "active": list.devices().map(|device| hex(device.key().as_bytes())).collect::<Vec<_>>(),
    })
}

fn made() -> Value {
    let first_device = device(1);
    let chain = [cert(2, Authority::Device(&first_device)), cert(1, Authority::Account(&account()))];
    let lists = lists();
    let devices = [1u8, 2, 3].map(|seed| {
        json!({
            "seed": hex(&[seed; 32]),
            "key": hex(device(seed).public().as_bytes()),
            "olm_identity": hex(&[seed; 32]),
        })
    });
    json!({
        "phrase": {
            "entropy": hex(&[1; 32]),
            "words": *phrase(1).to_text(),
            "account_seed": hex(account().to_seed().expose()),
            "account_key": hex(account_key().as_bytes()),
            "account_text": account_key().to_string(),
            "key_tag": KeyTag::of(&account_key()).to_string(),
        },
        "domains": SigningDomain::ALL.map(SigningDomain::as_str),
        "devices": devices,
        "chain": {
            "title": "device 2, certified by device 1, certified by the account key",
            "encoded": chain.each_ref().map(|cert| hex(&cert.encode())),
        },
        "lists": lists.iter().map(|(title, list)| list_vector(title, list)).collect::<Vec<_>>(),
        "succession": succession(&lists),
    })
}

/// What each list is to somebody who has seen each other one.
fn succession(lists: &[(&str, VerifiedDeviceList)]) -> Vec<Value> {
    let pairs = lists.iter().enumerate().flat_map(|(seen, (_, before))| {
        lists.iter().enumerate().map(move |(newer, (_, after))| {
            json!({ "seen": seen, "newer": newer, "result": named(before.compare(after)) })
        })
    });
    pairs.collect()
}

fn named(result: Result<ListChange, ListConflict>) -> String {
    match result {
        Ok(ListChange::Same) => "same".to_owned(),
        Ok(ListChange::Extended { missed: false }) => "extended".to_owned(),
        Ok(ListChange::Extended { missed: true }) => "extended, lists between not seen".to_owned(),
        Ok(ListChange::Reset) => "reset".to_owned(),
        Err(conflict) => format!("refused: {conflict}"),
    }
}

#[test]
fn identity_vectors_stand() {
    check("identity.json", &made());
}

#[test]
fn identity_vectors_are_read_and_believed() {
    let made = made();
    let account = AccountKey::from_slice(&unhex(made["phrase"]["account_key"].as_str().unwrap())).unwrap();
    for list in made["lists"].as_array().unwrap() {
        let list = DeviceList::decode(&unhex(list["encoded"].as_str().unwrap())).unwrap();
        assert!(VerifiedDeviceList::verify(list, &account).is_ok());
    }
    let chain: Vec<_> = made["chain"]["encoded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cert| unhex(cert.as_str().unwrap()))
        .collect();
    let chain: Vec<_> = chain.iter().map(|cert| DeviceCert::decode(cert).unwrap()).collect();
    assert_eq!(verify_chain(&account, &chain).unwrap().key(), device(2).public());
}
