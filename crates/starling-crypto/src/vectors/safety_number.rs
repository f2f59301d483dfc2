//! `safety-number.json`: 60 digits of pairs of accounts, and their tags.

use serde_json::{Value, json};
use starling_proto::ids::AccountKey;

use super::check;
use crate::fixture::{hex, phrase};
use crate::safety::{KeyTag, SafetyNumber};

fn made() -> Value {
    let accounts = [1u8, 2, 3].map(|seed| phrase(seed).account().public());
    let pair = |one: &AccountKey, other: &AccountKey| {
        json!({
            "one": hex(one.as_bytes()),
            "other": hex(other.as_bytes()),
            "digits": SafetyNumber::of(one, other).digits(),
        })
    };
    let tag = |account: &AccountKey| {
        json!({
            "account": hex(account.as_bytes()),
            "text": account.to_string(),
            "tag": KeyTag::of(account).to_string(),
        })
    };
    let [a, b, c] = &accounts;
    json!({
        "pairs": [pair(a, b), pair(b, a), pair(a, c), pair(b, c)],
        "tags": accounts.each_ref().map(tag),
    })
}

#[test]
fn safety_number_vectors_stand() {
    check("safety-number.json", &made());
}
