//! **This protects nothing.** A double of Olm without curves or secrets, for simulations and for nothing else.
//!
//! Why it exists: vodozemac draws its own randomness, so that two runs of one seed differ with it, and thousands of
//! real sessions cost more time than everything else in a simulation. This double takes every byte of randomness from
//! the generator that it is handed, and hashes where Olm multiplies points.
//!
//! What it keeps of Olm: whatever a program can see of it. Who can open what and how often, which error comes when,
//! how state survives, and how long each message is, so that simulations count true bytes. The conformance suite of
//! [`starling_crypto::session`] holds it to that.
//!
//! What it gives up: a public key is its own secret, so that whoever sees a session's first message can read it all.
//! It is private to this crate, and no node that a program runs is made of this crate's.

mod account;
mod chain;
mod keys;
mod message;
mod ratchet;
pub(crate) mod seals;
mod stored;

pub(crate) use account::InsecureAccount;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use starling_crypto::session::{OlmAccount, OlmSession as _, SessionError, Vodozemac};
    use starling_proto::ids::OlmKey;

    use super::InsecureAccount;

    starling_crypto::session_conformance!(InsecureAccount, rng(1));

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    /// Everything that two devices make and say, from one seed.
    fn talk(seed: u64) -> Vec<Vec<u8>> {
        let rng = &mut rng(seed);
        let (alice, mut bob) = (InsecureAccount::generate(rng), InsecureAccount::generate(rng));
        bob.rotate_fallback(rng);
        let key = bob.fallback_keys().current.unwrap();
        let mut ours = alice.start(bob.identity_key(), key, rng).unwrap();
        let first = ours.encrypt(b"hello", rng).unwrap();
        let (mut theirs, _) = bob.accept(alice.identity_key(), &first.bytes).unwrap();
        let answer = theirs.encrypt(b"hello yourself", rng).unwrap();
        let states = [alice.pickle(), bob.pickle(), ours.pickle(), theirs.pickle()];
        let states = states.map(|state| state.unwrap().expose().to_vec());
        states.into_iter().chain([first.bytes, answer.bytes]).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        assert_eq!(talk(1), talk(1));
        let (one, other) = (talk(1), talk(2));
        assert!(one.iter().zip(&other).all(|(one, other)| one != other));
    }

    /// What two devices get to see while a random script talks, loses, delays, repeats and damages: for each step the
    /// outcome, and how long each message was.
    fn outcomes<A: OlmAccount>(script: u64) -> Vec<(usize, Result<Vec<u8>, SessionError>)> {
        let (dice, rng) = (&mut rng(script), &mut rng(0));
        let (alice, mut bob) = (A::generate(rng), A::generate(rng));
        let key = bob.generate_one_time_keys(1, rng)[0];
        let mut ours = alice.start(bob.identity_key(), key, rng).unwrap();
        let first = ours.encrypt(b"first", rng).unwrap();
        let (mut theirs, _) = bob.accept(alice.identity_key(), &first.bytes).unwrap();
        let mut sent = [vec![first], vec![]];
        let mut seen = Vec::new();
        for step in 0..400u32 {
            let ends = [&mut ours, &mut theirs];
            let [from, to] = if dice.next_u32() % 2 == 0 { [0, 1] } else { [1, 0] };
            if dice.next_u32() % 8 < 5 {
                // Now and then a run, so that more keys are skipped than are kept.
                let run = if dice.next_u32() % 32 == 0 { 60 } else { 1 };
                sent[from].extend((0..run).map(|_| ends[from].encrypt(&step.to_be_bytes(), rng).unwrap()));
            } else if let Some(last) = sent[from].len().checked_sub(1) {
                let back = dice.next_u32() as usize % 100;
                let mut message = sent[from][last.saturating_sub(back)].clone();
                if dice.next_u32() % 8 == 0 {
                    // In the code, the ciphertext or the ratchet key; elsewhere the outcome is a matter of chance.
                    let from_end = [1, 40, 60][dice.next_u32() as usize % 3];
                    let at = message.bytes.len() - from_end;
                    message.bytes[at] ^= 1;
                }
                seen.push((message.bytes.len(), ends[to].decrypt(&message)));
            }
        }
        seen
    }

    #[test]
    fn whatever_is_done_the_outcome_is_that_of_olm() {
        for script in 0..64 {
            assert_eq!(outcomes::<InsecureAccount>(script), outcomes::<Vodozemac>(script), "script {script}");
        }
    }

    #[test]
    fn lengths_along_a_chain_are_those_of_olm() {
        fn lengths<A: OlmAccount>() -> Vec<usize> {
            let rng = &mut rng(3);
            let (alice, mut bob) = (A::generate(rng), A::generate(rng));
            let key = bob.generate_one_time_keys(1, rng)[0];
            let mut ours = alice.start(bob.identity_key(), key, rng).unwrap();
            // Texts of every remainder by the block, and indices of one byte and of two.
            let sizes = (0..200).map(|n| ours.encrypt(&vec![7; n], rng).unwrap().bytes.len());
            sizes.collect()
        }
        assert_eq!(lengths::<InsecureAccount>(), lengths::<Vodozemac>());
    }

    #[test]
    fn of_too_many_one_time_keys_the_oldest_go() {
        let rng = &mut rng(4);
        let (alice, mut bob) = (InsecureAccount::generate(rng), InsecureAccount::generate(rng));
        let keys = bob.generate_one_time_keys(5_001, rng);
        let mut opens = |key: OlmKey| {
            let first = alice.start(bob.identity_key(), key, rng).unwrap().encrypt(b"x", rng).unwrap();
            bob.accept(alice.identity_key(), &first.bytes).map(|(_, text)| text)
        };
        assert_eq!(opens(keys[0]), Err(SessionError::MissingOneTimeKey));
        assert_eq!(opens(keys[1]), Ok(b"x".to_vec()));
    }

    #[test]
    fn a_weak_ratchet_key_is_refused_as_by_olm() {
        let rng = &mut rng(5);
        let (alice, mut bob) = (InsecureAccount::generate(rng), InsecureAccount::generate(rng));
        let key = bob.generate_one_time_keys(1, rng)[0];
        let mut ours = alice.start(bob.identity_key(), key, rng).unwrap();
        let first = ours.encrypt(b"x", rng).unwrap();
        let (mut theirs, _) = bob.accept(alice.identity_key(), &first.bytes).unwrap();
        let mut answer = theirs.encrypt(b"y", rng).unwrap();
        // Version, then tag and length of the ratchet key.
        answer.bytes[3..35].fill(0);
        assert_eq!(ours.decrypt(&answer), Err(SessionError::WeakKey));
    }
}
