//! What the machines of meeting and talking want done: one enum for all of them, routed by the dispatcher.

use starling_crypto::stamp::StampSubject;
use starling_overlay::sampling::Sample;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, RecordKey};
use starling_proto::message::Request;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use crate::io::{Event, Way};

/// Which machine wanted something; the number is that machine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// [`crate::meeting`].
    Meet(u64),
    /// [`crate::talking`].
    Talk(u64),
}

/// Something to be done by the overlay, the transport or a worker. Whatever has a tag comes back once, with its result.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most wishes are calls, and few exist at a time")]
pub enum Wish {
    /// Find records.
    Fetch {
        /// Comes back with the records.
        tag: Tag,
        /// Where they are kept.
        key: RecordKey,
        /// Which kind.
        kind: RecordKind,
    },
    /// Place a record.
    Store {
        /// Comes back with the placement.
        tag: Tag,
        /// The record.
        record: Record,
    },
    /// Ask holders of a record whether they keep it.
    Sample {
        /// Comes back with what they have shown.
        tag: Tag,
        /// Whom to ask, and what.
        sample: Sample,
    },
    /// Find the peers closest to a place.
    Lookup {
        /// Comes back with the peers.
        tag: Tag,
        /// The place.
        target: NodeId,
        /// How many.
        width: usize,
    },
    /// Ask a peer.
    Call {
        /// Comes back with the answer.
        tag: Tag,
        /// Whom.
        to: Peer,
        /// On which connection.
        way: Way,
        /// What.
        request: Request,
        /// After this long without an answer it has failed, dialling included.
        deadline: Span,
    },
    /// Search a stamp.
    Stamp {
        /// Comes back with the stamp.
        tag: Tag,
        /// What it is for.
        subject: StampSubject,
    },
    /// Something that the faces may want to show.
    Event(Event),
}
