//! What every implementation of [`OlmAccount`](super::OlmAccount) does, and what a
//! [`SessionBook`](super::SessionBook) does over it: the behaviour measured on vodozemac 0.11.1, as tests.
//!
//! Other crates switch the feature `conformance` on in their tests and write
//! `starling_crypto::session_conformance!(TheirAccount, their_rng());`. It expands to one test for each check.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test suite, compiled outside tests only for other crates' tests"
)]

mod people;
pub mod protocol;
pub mod ratchet;

/// Expands to one test for each check, for the account type `$account`; `$rng` is any expression that gives a
/// generator of random numbers.
#[macro_export]
macro_rules! session_conformance {
    ($account:ty, $rng:expr) => {
        $crate::session_conformance! { @ratchet $account, $rng,
            a_prekey_message_on_a_fallback_key_is_accepted_again
            a_known_session_does_not_open_its_prekey_message_again
            a_one_time_key_serves_once
            two_fallback_keys_are_kept
            of_a_hundred_backwards_forty_one_open
            a_gap_of_two_thousand_is_the_largest
            keys_of_others_are_refused
            weak_keys_are_refused
            an_altered_message_changes_nothing
            what_is_no_message_is_refused
            state_survives_being_written_down
            lengths_are_those_measured
        }
        $crate::session_conformance! { @protocol $account, $rng,
            both_sides_talk
            a_replayed_start_is_refused
            a_buried_session_stays_buried
            a_second_use_of_a_one_time_key_is_reported
            a_hundred_backwards_in_one_batch_all_open
            beyond_forty_missing_is_held_back_and_reported
            a_gap_of_two_thousand_is_held_back
            what_is_given_up_is_no_longer_waited_for
            crossed_starts_end_on_one_session
            a_start_that_the_peer_cannot_read_wins_once_only
            at_most_four_sessions_are_kept
            ida_05_an_own_message_sent_back_is_refused
            ida_05_a_message_sent_on_to_a_third_is_refused
            ida_02_a_start_by_somebody_else_is_refused
            the_place_beside_the_message_must_be_the_one_within
            a_text_for_somebody_else_opens_no_session
            rows_bring_a_book_back
            prv_01_sizes_are_buckets_and_nothing_else
        }
    };
    (@$part:ident $account:ty, $rng:expr, $($check:ident)+) => {
        $(
            #[test]
            fn $check() {
                $crate::session::conformance::$part::$check::<$account>(&mut $rng);
            }
        )+
    };
}
