//! The program, tried from outside: real processes, homes of their own, nothing but words, streams and exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop; it computes small known numbers"
)]

mod completions;
mod demo;
mod doctor;
mod events;
mod every_json_error;
mod failures;
mod help;
mod init;
mod lab;
mod meeting;
mod network;
mod one_node_per_home;
mod passphrases;
mod person;
mod restore;
mod signals;
mod support;
mod talking;
mod without_a_node;
mod wrong_people;
