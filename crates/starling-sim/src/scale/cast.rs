//! People with names and trades, as many as wanted.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;
use starling_core::config::Config;
use starling_core::profile::Profile;
use starling_crypto::stamp::StampPolicy;
use starling_proto::identity::{About, Name};
use starling_proto::version::NetworkName;

use crate::network::Nat;
use crate::node::NodeSetup;

const CONSONANTS: &str = "bdfghjklmnprstvz";
const VOWELS: &str = "aeiou";
/// Syllables of a name: 80 each, so that a quarter of a million names begin with different letters within six.
const SYLLABLES: usize = 3;
/// People of one trade: so few that one answer takes them all. How crowded words fare is another question than how a
/// network grows.
const PEOPLE_PER_TRADE: usize = 10;

/// What somebody says about themselves, a word each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) words: [String; 3],
}

impl Person {
    /// One of `count` people.
    pub(super) fn random(count: usize, dice: &mut ChaCha8Rng) -> Self {
        let trade = below(dice, count.div_ceil(PEOPLE_PER_TRADE)) as u64;
        Self { words: [word(dice.next_u64()), word(dice.next_u64()), format!("{}ist", word(trade))] }
    }

    /// A node of this person, who is in the directory or not.
    pub(super) fn setup(&self, listed: bool) -> NodeSetup {
        let [given, family, trade] = &self.words;
        let name = Name::new(format!("{given} {family}")).expect("a short name");
        let mut profile = Profile::new(name);
        profile.about = About::new(trade.as_str()).expect("a short text");
        profile.listed = listed;
        NodeSetup { profile, config: config(), nat: Nat::None }
    }
}

/// The numbers of the main network, but for the price of stamps: what a search for one costs is known, and no part of
/// what grows with the network.
fn config() -> Config {
    let network: NetworkName = "lab".parse().expect("a name");
    let stamps = StampPolicy::for_network(&network, 0).expect("a network of its own");
    Config { stamps, ..Config::of(&network) }
}

fn word(mut number: u64) -> String {
    let mut word = String::new();
    for _ in 0..SYLLABLES {
        word.extend(letter(CONSONANTS, number));
        word.extend(letter(VOWELS, number / CONSONANTS.len() as u64));
        number /= (CONSONANTS.len() * VOWELS.len()) as u64;
    }
    word
}

/// A letter by its number, counted around.
fn letter(alphabet: &str, number: u64) -> Option<char> {
    let place = number.checked_rem(alphabet.len() as u64)?;
    alphabet.chars().nth(usize::try_from(place).ok()?)
}

/// A number below `bound`, or 0 if there is none.
pub(super) fn below(dice: &mut ChaCha8Rng, bound: usize) -> usize {
    let number = dice.next_u64().checked_rem(bound as u64);
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}
