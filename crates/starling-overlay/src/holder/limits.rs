//! Every bound of the holder, with its reason. What happens at a bound stands in docs/protocol/holding.md.

use starling_proto::time::Span;

/// Bytes of disk for the records of others, unless configured: a twentieth of what a small phone has free, and room
/// for the share of one node when 10,000 people are listed and write one another daily.
pub const DISK: u64 = 256 * 1024 * 1024;
/// Bytes of disk that a user must give at least: with so much, honest records outlive the simulator's floods, and one
/// mailbox still has room for 256 short messages.
pub const DISK_MIN: u64 = 8 * 1024 * 1024;
/// Bytes of disk that a user may give at most: the index of so much takes up to 1 GiB of memory, and each sweep looks at
/// two million rows.
pub const DISK_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// What a record counts at least, in bytes: its index entry takes some 500 bytes of memory, so that the index of a
/// full disk stays below 64 MiB.
pub const LEAST_CHARGE: u64 = 2 * 1024;
/// Bytes that one publisher may have here without an owner's leave. In a network smaller than the replica set one
/// holder keeps all that a listed account publishes: a device list, a bundle and 72 directory entries, 170 KiB.
pub const PUBLISHER: u64 = 256 * 1024;
/// The part of the disk that deposits with leave at one mailbox may take: 16 MiB of 256, ten thousand short messages.
pub const MAILBOX_PART: u64 = 16;
/// Contact requests that wait at one inbox: what a person will look through. The least work goes first.
pub const REQUESTS: usize = 32;
/// Directory entries under one index key: beyond that, people add a word to their search.
pub const DIRECTORY: usize = 4096;
/// Entries that one query reads. More are drawn at random: a query costs 15 ms of processor at most, and twenty holders
/// that draw independently still show nearly all of a full key.
pub const QUERY_SCAN: usize = 1024;
/// The part of a pool that is freed at once when it is full, so that the search for victims is paid once for many.
pub const BATCH_PART: u64 = 256;
/// Deletions that are remembered: what a node holds of two weeks' mail in a network of 10,000, three times over.
pub const DELETIONS: usize = 16 * 1024;
/// Deletions that are forgotten at once when there are too many.
pub const DELETION_BATCH: usize = 64;
/// Owners told of one mailbox: one device owns it, a second place is for the connection that replaces the first.
pub const MAILBOX_SUBSCRIBERS: usize = 2;
/// Mailboxes that one peer subscribes to: three epochs and a request inbox, for several devices behind one node.
pub const PEER_SUBSCRIPTIONS: usize = 32;
/// Subscriptions in all: every connection that a node holds with some mailboxes each, in under 1 MiB.
pub const SUBSCRIPTIONS: usize = 4096;
/// Rows that one sweep removes: a transaction that stays below 50 ms.
pub const SWEEP: usize = 4096;
/// Rows that one step of a hand-over looks at.
pub const HANDOVER_SCAN: usize = 4096;
/// How far wall time may stray from running time before it is no longer believed.
pub const CLOCK_DRIFT: Span = Span::from_hours(1);
