//! Asking holders whether they keep what they said they keep.
//!
//! Whoever places a record need not keep it to ask for it later: it keeps questions, each a nonce with the answer that
//! only somebody who has the record can give. A question is asked once. [`Samples`] is what remains of a placement,
//! [`Sample`] one check of some of its holders, [`crate::io::Command::Sample`] carries it out.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::limits;
use starling_proto::message::{Proof, Prove};
use starling_proto::record::{Record, RecordKind};

use crate::holder::chance;

/// Holders that one check asks, at most. Of 40 holders half of whom drop, 8 show in 65 of 100 checks that fewer than 24
/// keep it; of 40 of whom a tenth does, in fewer than 1 of 1,000.
pub const HOLDERS: usize = 8;

/// Bytes of a proof that are remembered. Whoever has not the record guesses one of 2^64, once; and a letter has 112
/// questions.
const PROOF_KEPT: usize = 8;

/// A nonce, and what only somebody who has the record can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    nonce: [u8; limits::NONCE],
    /// How the answer begins.
    proof: [u8; PROOF_KEPT],
}

/// What can be asked about one placement: whom, and what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Samples {
    /// The peers that said that they keep it, those that failed left out.
    holders: Vec<Peer>,
    questions: Vec<Question>,
}

/// One check: some of the holders, each with a question of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The record.
    pub record: RecordId,
    /// Whom to ask, and what. Each peer once.
    pub questions: Vec<(Peer, Question)>,
}

/// What a holder has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It keeps the record.
    Kept,
    /// It says that the record's owner has deleted it.
    Deleted,
    /// Nothing: it did not answer, or not with the proof.
    Nothing,
}

impl Question {
    /// A new one about `record`.
    pub(crate) fn about(record: &Record, rng: &mut dyn CryptoRng) -> Self {
        let mut nonce = [0; limits::NONCE];
        rng.fill_bytes(&mut nonce);
        let mut proof = [0; PROOF_KEPT];
        proof.copy_from_slice(&record.proof(&nonce)[..PROOF_KEPT]);
        Self { nonce, proof }
    }

    /// As it is asked.
    pub(crate) const fn prove(&self, record: RecordId) -> Prove {
        Prove { record, nonce: self.nonce }
    }

    /// Whether this answers it.
    pub(crate) fn is_answered_by(&self, proof: &Proof) -> bool {
        matches!(proof, Proof::Held(proof) if proof.starts_with(&self.proof))
    }
}

impl Samples {
    /// Draws the questions for all checks in the life of `record`, which `holders` said they keep. Costs a hash of the
    /// record for each question.
    pub fn new(record: &Record, holders: Vec<Peer>, rng: &mut dyn CryptoRng) -> Self {
        let count = holders.len().min(HOLDERS).saturating_mul(checks(record));
        Self { questions: (0..count).map(|_| Question::about(record, rng)).collect(), holders }
    }

    /// How many holders still count; ourselves are never among them.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.holders.len()
    }

    /// The next check of some holders, drawn at random; `None` if nobody is left to be asked, or nothing to ask.
    pub fn draw(&mut self, record: RecordId, rng: &mut dyn CryptoRng) -> Option<Sample> {
        chance::draw(rng, &mut self.holders, HOLDERS);
        let count = self.holders.len().min(HOLDERS).min(self.questions.len());
        let questions = self.questions.split_off(self.questions.len().saturating_sub(count));
        let questions: Vec<_> = self.holders.iter().cloned().zip(questions).collect();
        (!questions.is_empty()).then_some(Sample { record, questions })
    }

    /// Takes what a check has shown: who failed does not count any more. Gives how many of the holders keep the record,
    /// as far as those that were asked speak for all. Whoever says that it was deleted is passed over if that is
    /// `believed`, and has failed if not.
    pub fn judge(&mut self, shown: &[(NodeKey, Shown)], believed: bool) -> usize {
        let passed_over = |shown: Shown| shown == Shown::Deleted && believed;
        let asked = shown.iter().filter(|(_, shown)| !passed_over(*shown)).count();
        let kept = shown.iter().filter(|(_, shown)| *shown == Shown::Kept).count();
        let of = self.holders.len();
        let failed = |holder: &Peer| {
            let said = shown.iter().find(|(key, _)| *key == holder.key());
            said.is_some_and(|(_, shown)| *shown != Shown::Kept && !passed_over(*shown))
        };
        self.holders.retain(|holder| !failed(holder));
        of.saturating_mul(kept).checked_div(asked).unwrap_or(of)
    }
}

/// How many checks there are before the record is placed anew: one after an hour, then one a day. Nobody samples contact
/// requests: they are left anew in times of their own until they are answered.
fn checks(record: &Record) -> usize {
    match record.body().kind {
        RecordKind::Deposit if record.capability().is_some() => 14,
        RecordKind::Deposit => 0,
        RecordKind::Directory => 7,
        _ => 1,
    }
}

/// A check that is under way: everybody is asked at once.
#[derive(Debug, Clone)]
pub(crate) struct Sampling {
    under_way: BTreeMap<NodeKey, Question>,
    shown: Vec<(NodeKey, Shown)>,
    /// Whether anybody has answered, be it as it may.
    heard: bool,
}

impl Sampling {
    /// Begins a check; the requests are to be sent now.
    pub(crate) fn new(sample: Sample) -> (Self, Vec<(Peer, Prove)>) {
        let Sample { record, questions } = sample;
        let under_way = questions.iter().map(|(peer, question)| (peer.key(), *question)).collect();
        let ask = |(peer, question): (Peer, Question)| (peer, question.prove(record));
        let requests = questions.into_iter().map(ask).collect();
        (Self { under_way, shown: Vec::new(), heard: false }, requests)
    }

    /// Notes what a holder has answered; `None` if it has not.
    pub(crate) fn answered(&mut self, from: NodeKey, answer: Option<Proof>) {
        let Some(question) = self.under_way.remove(&from) else { return };
        self.heard |= answer.is_some();
        let shown = match answer {
            Some(proof) if question.is_answered_by(&proof) => Shown::Kept,
            Some(Proof::Deleted) => Shown::Deleted,
            _ => Shown::Nothing,
        };
        self.shown.push((from, shown));
    }

    pub(crate) fn is_done(&self) -> bool {
        self.under_way.is_empty()
    }

    /// What came of it. Nothing if nobody has answered and `alone` says that nobody can be: then we are cut off.
    pub(crate) fn finish(&mut self, alone: bool) -> Vec<(NodeKey, Shown)> {
        let shown = core::mem::take(&mut self.shown);
        if alone && !self.heard { Vec::new() } else { shown }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use starling_proto::ids::{MailboxAddress, PublisherKey, RecordKey, Signature};
    use starling_proto::record::{Capability, CapabilityBody, RecordBody};
    use starling_proto::time::UnixSeconds;

    use super::*;

    fn record(kind: RecordKind, text: u8, welcome: bool) -> Record {
        let body = RecordBody {
            key: RecordKey::new([1; 32]),
            kind,
            publisher: PublisherKey::new([2; 32]),
            sequence: 1,
            issued: UnixSeconds::new(1),
            expires: UnixSeconds::new(2),
            payload: vec![text],
            tombstone: false,
        };
        let leave = CapabilityBody {
            address: MailboxAddress::new([3; 32]),
            depositor: body.publisher,
            expires: UnixSeconds::new(3),
            quota_kib: 1,
        };
        let leave = Capability::new(leave.encode(), Signature::new([5; 64])).unwrap();
        Record::new(body.encode(), Signature::new([4; 64]), None, welcome.then_some(leave)).unwrap()
    }

    fn mail(text: u8) -> Record {
        record(RecordKind::Deposit, text, true)
    }

    fn key(n: u8) -> NodeKey {
        NodeKey::new([n; 32])
    }

    fn samples(record: &Record, holders: u8) -> (Samples, ChaCha8Rng) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let holders = (1..=holders).map(|n| Peer::new(key(n), [])).collect();
        (Samples::new(record, holders, &mut rng), rng)
    }

    /// Runs a check in which `answer` says what each holder does with its nonce.
    fn check(
        samples: &mut Samples,
        record: &Record,
        rng: &mut ChaCha8Rng,
        answer: impl Fn(NodeKey, &Prove) -> Option<Proof>,
    ) -> Vec<(NodeKey, Shown)> {
        let (mut sampling, requests) = Sampling::new(samples.draw(record.id(), rng).unwrap());
        for (to, prove) in requests {
            assert!(!sampling.is_done());
            sampling.answered(to.key(), answer(to.key(), &prove));
            sampling.answered(to.key(), Some(Proof::Deleted));
        }
        assert!(sampling.is_done());
        sampling.finish(false)
    }

    #[test]
    fn a_check_asks_eight_each_with_a_nonce_that_is_never_used_again() {
        let letter = mail(1);
        let (mut samples, mut rng) = samples(&letter, 40);
        let (mut nonces, mut asked) = (Vec::new(), Vec::new());
        while let Some(sample) = samples.draw(letter.id(), &mut rng) {
            let mut peers: Vec<NodeKey> = sample.questions.iter().map(|(peer, _)| peer.key()).collect();
            assert_eq!(peers.len(), HOLDERS);
            nonces.extend(sample.questions.iter().map(|(_, question)| question.nonce));
            peers.sort_unstable();
            peers.dedup();
            assert_eq!(peers.len(), HOLDERS, "each holder once");
            asked.extend(peers);
        }
        assert_eq!(nonces.len(), 14 * HOLDERS, "an hour after, and thirteen days");
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), 14 * HOLDERS);
        asked.sort_unstable();
        asked.dedup();
        assert!(asked.len() > 30, "others each time: {}", asked.len());
        let questions = |kind| self::samples(&record(kind, 1, false), 40).0.questions.len();
        assert_eq!([RecordKind::Directory, RecordKind::Locator].map(questions), [7 * HOLDERS, HOLDERS]);
        assert_eq!(questions(RecordKind::Deposit), 0, "a contact request");
    }

    #[test]
    fn only_the_right_proof_counts_and_who_fails_counts_no_more() {
        let record = mail(1);
        let other = mail(2);
        let (mut samples, mut rng) = samples(&record, 8);
        let shown = check(&mut samples, &record, &mut rng, |from, prove| match from.as_bytes()[0] {
            1..=4 => Some(Proof::Held(record.proof(&prove.nonce))),
            5 => Some(Proof::Held(other.proof(&prove.nonce))),
            6 => Some(Proof::Held(record.proof(&[0; limits::NONCE]))),
            7 => Some(Proof::Missing),
            _ => None,
        });
        let kept = shown.iter().filter(|(_, shown)| *shown == Shown::Kept);
        let mut kept: Vec<u8> = kept.map(|(key, _)| key.as_bytes()[0]).collect();
        kept.sort_unstable();
        assert_eq!(kept, [1, 2, 3, 4]);
        assert_eq!((samples.judge(&shown, true), samples.holders()), (4, 4));
    }

    #[test]
    fn those_that_were_asked_speak_for_all() {
        let record = mail(1);
        let (mut samples, mut rng) = samples(&record, 40);
        let shown =
            check(&mut samples, &record, &mut rng, |_, prove| Some(Proof::Held(record.proof(&prove.nonce))));
        assert_eq!((samples.judge(&shown, true), samples.holders()), (40, 40));
        let half: Vec<_> = shown
            .iter()
            .enumerate()
            .map(|(n, (key, _))| (*key, if n < 4 { Shown::Kept } else { Shown::Nothing }))
            .collect();
        assert_eq!((samples.judge(&half, true), samples.holders()), (20, 36));
    }

    #[test]
    fn a_deletion_is_passed_over_or_a_failure() {
        let record = mail(1);
        let (mut samples, mut rng) = samples(&record, 8);
        let shown = check(&mut samples, &record, &mut rng, |_, _| Some(Proof::Deleted));
        assert_eq!((samples.judge(&shown, true), samples.holders()), (8, 8));
        assert_eq!((samples.judge(&shown, false), samples.holders()), (0, 0));
        assert_eq!(samples.draw(record.id(), &mut rng), None);
    }

    #[test]
    fn who_is_cut_off_finds_out_nothing() {
        let record = mail(1);
        let finished = |alone, answer: Option<Proof>| {
            let (mut samples, mut rng) = samples(&record, 1);
            let (mut sampling, _) = Sampling::new(samples.draw(record.id(), &mut rng).unwrap());
            sampling.answered(key(1), answer);
            sampling.finish(alone)
        };
        assert_eq!(finished(true, None), []);
        assert_eq!(finished(false, None), [(key(1), Shown::Nothing)]);
        assert_eq!(finished(true, Some(Proof::Missing)), [(key(1), Shown::Nothing)]);
    }
}
