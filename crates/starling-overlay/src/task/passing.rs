//! Having others do something in our place: one go-between after another, until one has done it.
//!
//! What a go-between says of a placement is its word alone: it may have dropped the record and say that forty keep it. So
//! others are asked to have holders show it, with nonces to which nobody knows the answer who has not the record: two of
//! them, since those who drop it together give it to one another. If one does not see it shown, somebody else places it
//! again. What comes back empty is asked for once more as well: whoever drops answers like somebody who has found nothing.

use alloc::collections::BTreeSet;

use rand_core::CryptoRng;
use starling_proto::frame::FrameKind;
use starling_proto::ids::{NodeKey, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Fetch, PassOn, Passed, Placed, Proof, Query};
use starling_proto::record::RecordKind;

use crate::config::PassingConfig;
use crate::io::{Favour, NotPassed};
use crate::sampling::Question;

/// Holders that show a record, of a hundred that were asked, are enough: as for a placement of our own.
const ENOUGH_PERCENT: usize = 60;

/// What came of asking a go-between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PassingInput {
    /// It has said what came of a placement, or what holders have shown.
    Said(Passed),
    /// It has found something, or nothing; it stands elsewhere.
    Found(bool),
    /// It has too much to do.
    Busy,
    /// It has not answered, or not what was asked.
    Failed,
    /// There is nobody to be asked.
    Nobody,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PassingOutput {
    /// Ask a go-between that was not asked before.
    Ask(PassOn),
    /// A record is placed, as far as it can be known.
    Placed(Placed),
    /// Whatever was to be found has been.
    Found,
    /// It was not done.
    NotPassed(NotPassed),
}

/// What a go-between has said of a placement, and how far that has been checked.
#[derive(Debug, Clone, Copy)]
struct Check {
    said: Placed,
    /// The question that is under way.
    question: Option<Question>,
    /// Go-betweens that have seen it shown.
    shown: usize,
    /// Those that did not answer.
    silent: usize,
    /// How many keep it, by the least that any of them has seen.
    stored: u8,
}

/// One wish that others are to fulfil in our place.
#[derive(Debug)]
pub(crate) struct Passing {
    favour: Favour,
    config: PassingConfig,
    /// Those that were asked, whatever for: nobody is asked twice, and nobody about its own word.
    pub(crate) asked: BTreeSet<NodeKey>,
    waits: bool,
    /// What the go-between that is being asked may answer.
    expected: Option<FrameKind>,
    tries: usize,
    refusals: usize,
    /// The placement that is being checked.
    check: Option<Check>,
    /// The placement of which most is known.
    placed: Option<Placed>,
    /// Whether anybody has answered.
    heard: bool,
    /// Whether anybody says that it is placed, be it true or not.
    claimed: bool,
    nobody: bool,
    ended: bool,
    /// What it has cost us.
    pub(crate) requests: u32,
}

impl Passing {
    pub(crate) const fn new(favour: Favour, config: PassingConfig) -> Self {
        Self {
            favour,
            config,
            asked: BTreeSet::new(),
            waits: false,
            expected: None,
            tries: 0,
            refusals: 0,
            check: None,
            placed: None,
            heard: false,
            claimed: false,
            nobody: false,
            ended: false,
            requests: 0,
        }
    }

    pub(crate) const fn favour(&self) -> &Favour {
        &self.favour
    }

    /// What to do next; worth calling until it gives nothing.
    pub(crate) fn poll(&mut self, rng: &mut dyn CryptoRng) -> Option<PassingOutput> {
        if self.ended || self.waits {
            return None;
        }
        let spent = self.refusals >= self.config.refusals || self.nobody;
        let check = self.check.take().filter(|check| check.silent < self.config.tries && !spent);
        if let (Some(check), Favour::Store(record)) = (check, &self.favour) {
            let question = Question::about(record, rng);
            let (key, prove) = (record.body().key, question.prove(record.id()));
            self.check = Some(Check { question: Some(question), ..check });
            return Some(self.ask(PassOn::Prove { key, prove }));
        }
        if self.tries < self.config.tries && !spent {
            return Some(self.ask(self.request()));
        }
        self.ended = true;
        Some(self.result())
    }

    /// A go-between has been asked.
    pub(crate) fn sent(&mut self, to: NodeKey) {
        self.asked.insert(to);
        self.requests = self.requests.saturating_add(1);
    }

    /// Whether this is an answer to what was asked last. What is not must end nothing and begin nothing.
    pub(crate) fn expects(&self, passed: &Passed) -> bool {
        self.expected.is_some_and(|asked| passed.kind().answers(asked))
    }

    /// Takes what came of it; worth a [`Self::poll`] afterwards.
    pub(crate) fn handle(&mut self, input: PassingInput) {
        if self.ended || !core::mem::take(&mut self.waits) {
            return;
        }
        let input = match input {
            PassingInput::Said(passed) if !self.expects(&passed) => PassingInput::Failed,
            input => input,
        };
        self.heard |= matches!(input, PassingInput::Said(_) | PassingInput::Found(_));
        match (input, &mut self.check) {
            (PassingInput::Busy, _) => self.refusals = self.refusals.saturating_add(1),
            (PassingInput::Nobody, _) => self.nobody = true,
            (PassingInput::Said(Passed::Proofs(proofs)), Some(_)) => self.shown(&proofs),
            (_, Some(check)) => check.silent = check.silent.saturating_add(1),
            (PassingInput::Found(true), None) => self.tries = self.config.tries,
            (input, None) => {
                self.tries = self.tries.saturating_add(1);
                if let PassingInput::Said(Passed::Placed(said)) = input {
                    self.said(said);
                }
            }
        }
    }

    /// A go-between says what came of the record. That nobody has it is believed: it is of no use to lie so. What others
    /// have is not, before it has been shown.
    fn said(&mut self, said: Placed) {
        if said.stored > 0 {
            self.claimed = true;
            self.check = Some(Check { said, question: None, shown: 0, silent: 0, stored: said.stored });
        }
        self.note(Placed { stored: 0, ..said });
    }

    /// Some holders have been asked to show the record.
    fn shown(&mut self, proofs: &[Proof]) {
        let Some(mut check) = self.check.take() else { return };
        let Some(question) = check.question.take() else { return };
        let kept = proofs.iter().filter(|proof| question.is_answered_by(proof)).count();
        check.stored = check.stored.min(estimate(check.said, kept, proofs.len()));
        check.shown = check.shown.saturating_add(1);
        if kept == 0 || kept.saturating_mul(100) < proofs.len().saturating_mul(ENOUGH_PERCENT) {
            // One of the two has dropped it: somebody else is to place it.
            self.note(Placed { stored: check.stored, ..check.said });
        } else if check.shown < self.config.checks {
            self.check = Some(check);
        } else {
            self.placed = Some(Placed { stored: check.stored, ..check.said });
            self.tries = self.config.tries;
        }
    }

    /// Of several placements that counts of which most is known.
    fn note(&mut self, placed: Placed) {
        if self.placed.is_none_or(|best| best.stored <= placed.stored) {
            self.placed = Some(placed);
        }
    }

    const fn ask(&mut self, request: PassOn) -> PassingOutput {
        self.waits = true;
        self.expected = Some(request.kind());
        PassingOutput::Ask(request)
    }

    fn result(&self) -> PassingOutput {
        let why = match (self.heard, self.nobody, self.refusals) {
            (true, ..) => None,
            (false, true, _) if self.asked.is_empty() => Some(NotPassed::Nobody),
            (false, _, refusals) if refusals > 0 && refusals == self.asked.len() => Some(NotPassed::Busy),
            _ => Some(NotPassed::Silence),
        };
        match (why, self.placed, &self.favour) {
            (Some(why), ..) => PassingOutput::NotPassed(why),
            // It may lie with forty holders all the same: a copy under another name would lie beside it.
            (None, Some(Placed { stored: 0, .. }), _) if self.claimed => {
                PassingOutput::NotPassed(NotPassed::Unproven)
            }
            (None, Some(placed), Favour::Store(_)) => PassingOutput::Placed(placed),
            (None, None, Favour::Store(_)) => PassingOutput::NotPassed(NotPassed::Silence),
            (None, _, Favour::Fetch { .. } | Favour::Query { .. }) => PassingOutput::Found,
        }
    }

    fn request(&self) -> PassOn {
        let count = u8::try_from(limits::ANSWER_RECORDS).unwrap_or(u8::MAX);
        match &self.favour {
            Favour::Store(record) => PassOn::Store(record.clone()),
            Favour::Fetch { key, kind } => PassOn::Fetch(Fetch { key: *key, kind: *kind, count, peers: 0 }),
            Favour::Query { key, words } => PassOn::Query(Query { key: *key, words: words.clone(), count }),
        }
    }

    /// The key and the kind of what is to be found.
    pub(crate) fn wanted(&self) -> (RecordKey, RecordKind) {
        match &self.favour {
            Favour::Store(record) => (record.body().key, record.body().kind),
            Favour::Fetch { key, kind } => (*key, *kind),
            Favour::Query { key, .. } => (*key, RecordKind::Directory),
        }
    }
}

/// How many keep a record, as far as those that were asked speak for all, and no more than was said.
fn estimate(placed: Placed, kept: usize, asked: usize) -> u8 {
    let of = usize::from(placed.wanted).saturating_mul(kept).checked_div(asked).unwrap_or(0);
    u8::try_from(of).unwrap_or(u8::MAX).min(placed.stored)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use starling_proto::ids::{PublisherKey, Signature};
    use starling_proto::record::{Record, RecordBody};
    use starling_proto::time::UnixSeconds;

    use super::*;

    fn record(text: u8) -> Record {
        let body = RecordBody {
            key: RecordKey::new([1; 32]),
            kind: RecordKind::Directory,
            publisher: PublisherKey::new([2; 32]),
            sequence: 1,
            issued: UnixSeconds::new(1),
            expires: UnixSeconds::new(2),
            payload: vec![text],
            tombstone: false,
        };
        Record::new(body.encode(), Signature::new([4; 64]), None, None).unwrap()
    }

    fn fetch() -> Favour {
        Favour::Fetch { key: RecordKey::new([1; 32]), kind: RecordKind::Account }
    }

    const SAID: Placed = Placed { wanted: 40, stored: 40, full: 0 };

    /// Runs a wish; `answer` says what the n-th go-between makes of what it is asked. Gives how it ended, and what each
    /// was asked: to do it, or to have it shown.
    fn run(favour: Favour, answer: impl Fn(usize, &PassOn) -> PassingInput) -> (PassingOutput, String) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut passing = Passing::new(favour, PassingConfig::default());
        let mut asked = String::new();
        loop {
            match passing.poll(&mut rng).expect("it waits for nobody") {
                PassingOutput::Ask(request) => {
                    assert!(passing.poll(&mut rng).is_none(), "one at a time");
                    let input = answer(asked.len(), &request);
                    if input != PassingInput::Nobody {
                        asked.push(if matches!(request, PassOn::Prove { .. }) { '?' } else { '!' });
                        passing.sent(NodeKey::new([asked.len() as u8; 32]));
                    }
                    passing.handle(input);
                }
                result => {
                    assert!(passing.poll(&mut rng).is_none(), "it has ended");
                    assert_eq!(passing.requests as usize, asked.len());
                    return (result, asked);
                }
            }
        }
    }

    fn said(stored: u8) -> PassingInput {
        PassingInput::Said(Passed::Placed(Placed { stored, ..SAID }))
    }

    /// What so many of eight holders show who have it.
    fn shown(kept: usize, request: &PassOn) -> PassingInput {
        let PassOn::Prove { prove, .. } = request else { return PassingInput::Failed };
        let proof = |n| if n < kept { Proof::Held(record(1).proof(&prove.nonce)) } else { Proof::Missing };
        PassingInput::Said(Passed::Proofs((0..8).map(proof).collect()))
    }

    fn store(answer: impl Fn(usize, &PassOn) -> PassingInput) -> (PassingOutput, String) {
        run(Favour::Store(record(1)), answer)
    }

    fn placed(stored: u8) -> PassingOutput {
        PassingOutput::Placed(Placed { stored, ..SAID })
    }

    #[test]
    fn a_placement_counts_when_holders_have_shown_it_to_two_others() {
        let honest = |n, request: &PassOn| if n == 0 { said(40) } else { shown(8, request) };
        assert_eq!(store(honest), (placed(40), "!??".into()));
        let most = |n, request: &PassOn| if n == 0 { said(40) } else { shown(4 + n, request) };
        assert_eq!(store(most), (placed(25), "!??".into()), "the least that any of them has seen");
        let few = |n, request: &PassOn| if n == 0 { said(3) } else { shown(8, request) };
        assert_eq!(store(few), (placed(3), "!??".into()), "not more than was said");
    }

    #[test]
    fn who_drops_and_says_otherwise_is_found_out_and_another_places_it() {
        let dropped = |n, request: &PassOn| match n {
            0 => said(40),
            1 => shown(0, request),
            2 => said(39),
            _ => shown(8, request),
        };
        assert_eq!(store(dropped), (placed(39), "!?!??".into()));
        let vouched = |n, request: &PassOn| match n {
            0 => said(40),
            1 => shown(8, request),
            2 => shown(0, request),
            3 => said(38),
            _ => shown(8, request),
        };
        assert_eq!(
            store(vouched),
            (placed(38), "!??!??".into()),
            "one who vouches for another is not enough"
        );
        let never = |n, request: &PassOn| if n % 2 == 0 { said(40) } else { shown(0, request) };
        let unproven = PassingOutput::NotPassed(NotPassed::Unproven);
        assert_eq!(store(never), (unproven, "!?!?!?".into()), "nothing counts that nobody has shown");
    }

    #[test]
    fn an_invented_proof_is_none_and_silence_is_no_proof_either() {
        let invented = |n, request: &PassOn| match n {
            0 => said(40),
            1 => PassingInput::Said(Passed::Proofs(vec![Proof::Held([7; 32]); 8])),
            2 => said(40),
            3 => PassingInput::Said(Passed::Proofs(Vec::new())),
            4 => said(1),
            _ => shown(8, request),
        };
        assert_eq!(store(invented), (placed(1), "!?!?!??".into()));
        let late = |n, request: &PassOn| match n {
            0 => said(40),
            1 | 2 => PassingInput::Failed,
            _ => shown(8, request),
        };
        assert_eq!(store(late), (placed(40), "!????".into()), "who does not answer says nothing of another");
        let silent = |n: usize, _: &PassOn| if n.is_multiple_of(4) { said(40) } else { PassingInput::Failed };
        let unproven = PassingOutput::NotPassed(NotPassed::Unproven);
        assert_eq!(store(silent), (unproven, "!???!???!???".into()));
    }

    #[test]
    fn silence_is_tried_thrice_and_then_said() {
        let silent = (PassingOutput::NotPassed(NotPassed::Silence), "!!!".to_owned());
        assert_eq!(store(|_, _| PassingInput::Failed), silent);
        assert_eq!(run(fetch(), |_, _| PassingInput::Failed), silent);
        let late = |n, _: &PassOn| if n < 2 { PassingInput::Failed } else { PassingInput::Found(true) };
        assert_eq!(run(fetch(), late), (PassingOutput::Found, "!!!".into()));
        let proofs = |_, _: &PassOn| PassingInput::Said(Passed::Proofs(Vec::new()));
        assert_eq!(store(proofs), silent, "that was not asked");
    }

    #[test]
    fn what_was_not_asked_ends_nothing() {
        let other = |n, _: &PassOn| if n == 0 { said(0) } else { PassingInput::Found(true) };
        assert_eq!(run(fetch(), other), (PassingOutput::Found, "!!".into()));
        let silent = (PassingOutput::NotPassed(NotPassed::Silence), "!!!".to_owned());
        assert_eq!(run(fetch(), |_, _| said(40)), silent);
        let again = |n, request: &PassOn| match n {
            0 => said(40),
            1 => said(0),
            _ => shown(8, request),
        };
        assert_eq!(store(again), (placed(40), "!???".into()), "it was to have it shown");
    }

    #[test]
    fn nothing_is_found_when_three_say_so() {
        assert_eq!(run(fetch(), |_, _| PassingInput::Found(false)), (PassingOutput::Found, "!!!".into()));
        assert_eq!(run(fetch(), |_, _| PassingInput::Found(true)), (PassingOutput::Found, "!".into()));
        assert_eq!(store(|_, _| said(0)), (placed(0), "!!!".into()));
    }

    #[test]
    fn who_is_busy_has_failed_nobody() {
        let busy = |n, _: &PassOn| if n < 7 { PassingInput::Busy } else { PassingInput::Found(true) };
        assert_eq!(run(fetch(), busy), (PassingOutput::Found, "!".repeat(8)));
        let (result, asked) = store(|_, _| PassingInput::Busy);
        assert_eq!((result, asked.len()), (PassingOutput::NotPassed(NotPassed::Busy), 8));
    }

    #[test]
    fn where_nobody_may_be_asked_nothing_is_done() {
        let nobody = PassingOutput::NotPassed(NotPassed::Nobody);
        assert_eq!(store(|_, _| PassingInput::Nobody), (nobody.clone(), String::new()));
        assert_eq!(run(fetch(), |_, _| PassingInput::Nobody), (nobody, String::new()));
        let one = |n, _: &PassOn| if n == 0 { said(40) } else { PassingInput::Nobody };
        let unproven = PassingOutput::NotPassed(NotPassed::Unproven);
        assert_eq!(store(one), (unproven, "!".into()), "nobody is left who could show it");
    }
}
