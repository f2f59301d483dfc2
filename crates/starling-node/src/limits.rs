//! Every bound of the shell, each with its reason. What happens at a bound stands in the last sentence.
//!
//! The bounds that tests and small machines lower are fields of [`Limits`]; the rest are constants.

use std::time::Duration;

use starling_overlay::seats::SeatLimits;

/// Incoming connections of one node key: one in use and one that its owner has just lost. The oldest is closed.
pub const INCOMING_PER_KEY: usize = 2;
/// Incoming handshakes under way: each costs a signature and about 30 KiB before we know who it is. More are ignored;
/// an honest peer's first packet is repeated within a second.
pub const HANDSHAKES: usize = 64;
/// Handshakes under way above which an address must first prove that it receives what we send (a QUIC retry), so that
/// forged addresses cannot use up [`HANDSHAKES`].
pub const HANDSHAKES_UNPROVEN: usize = 16;
/// Dials under way: a wide lookup asks 8 at a time, and several run at once. More wait, within their own deadlines.
pub const DIALS: usize = 64;
/// Requests of ours under way. A lookup has at most 8, so this is more than a hundred lookups. More fail at once as
/// overloaded.
pub const CALLS: usize = 1024;
/// Requests of peers that wait for the core or for their answer's way out. Each holds at most one frame each way,
/// 24 and 36 KiB, so all stay under 31 MiB. More are refused as busy.
pub const INBOUND: usize = 512;
/// Streams that one peer may have open at once; the transport makes it wait with more.
pub const STREAMS_PER_CONNECTION: u32 = 128;
/// Bytes of request bodies that are being read, over all connections: what slow senders can make us hold. A request
/// that does not fit is refused as busy.
pub const READING: usize = 16 * 1024 * 1024;
/// Commands that wait for their result. More are refused with a message.
pub const COMMANDS: usize = 256;
/// Inputs of one transaction: enough that a burst costs one fsync, few enough that a commit stays under 100 ms on slow
/// disks. More wait for the next.
pub const BATCH: usize = 256;
/// Events kept for those who come back: an hour of a busy group. Older ones are gone, and who asks for them is told to
/// read everything anew.
pub const EVENTS: usize = 4096;
/// Jobs that wait for the one that runs. More end at once as cancelled.
pub const JOBS: usize = 16;

/// Bytes that a peer may have sent on one stream before we read them: the longest frame (36 KiB) and room to spare.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes that a peer may have sent on one connection before we read them: four full streams. 2.5 MB/s at 100 ms.
pub const RECEIVE_WINDOW: u32 = 256 * 1024;
/// Bytes that wait to be sent on one connection before writers wait.
pub const SEND_WINDOW: u64 = 512 * 1024;

/// From an incoming connection's first packet to its greeting. Two round trips and the proof of an address over the
/// slowest usable link.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// For dialling all addresses of a peer and greeting it. The callers' own deadlines are mostly shorter; the dial goes
/// on for those who come after.
pub const DIAL_TIME: Duration = Duration::from_secs(5);
/// For reading one request, header to end: 24 KiB at 5 KB/s. A sender that is slower is cut off.
pub const READ_TIME: Duration = Duration::from_secs(5);
/// For writing one answer. A peer that does not take it is cut off.
pub const WRITE_TIME: Duration = Duration::from_secs(10);
/// For the core's answer to a peer: no asker's deadline is longer, so the answer would find nobody.
pub const REPLY_TIME: Duration = Duration::from_secs(30);
/// A connection without a request for this long is closed by the side that dialled. Overlay peers are asked again
/// within seconds or not for minutes; a handshake costs less than 90 s of keep-alives.
pub const IDLE: Duration = Duration::from_secs(90);
/// The other side closes later, so that the two do not cross a last request.
pub const IDLE_ACCEPTED: Duration = Duration::from_secs(105);
/// How often idle connections are looked for.
pub const IDLE_SWEEP: Duration = Duration::from_secs(10);
/// After a commit has failed, the first pause before work goes on; it doubles up to [`PAUSE_MAX`], so that a full disk
/// does not make us rebuild the core for each packet.
pub const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(5);
/// While the disk is full, the first wait before it is tried whether there is room again; it doubles up to
/// [`TRIAL_MAX`]. A trial writes 1 MiB where there is room, and tells everything that waits to go on.
pub const TRIAL_MIN: Duration = Duration::from_secs(1);
/// The longest wait: as long as people will look on after they have made room.
pub const TRIAL_MAX: Duration = Duration::from_secs(30);
/// Connections with one peer, the newest, of which a core that is built anew is told.
pub const CONNECTIONS_OF_PEER: usize = 4;

/// Tries to rebuild the core from the database before the node gives up. Those that fail for a full disk do not count.
pub const REBUILDS: u32 = 5;
/// For the goodbyes to leave when the node ends.
pub const GOODBYE_TIME: Duration = Duration::from_secs(2);
/// For everything else at the end: transport, core thread, jobs.
pub const CLOSE_TIME: Duration = Duration::from_secs(3);

/// The bounds that a test or a small machine may lower. The default is the constant of the same name; how many
/// connections there may be stands in [`SeatLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described at its constant")]
pub struct Limits {
    pub seats: SeatLimits,
    pub incoming_per_key: usize,
    pub handshakes: usize,
    pub handshake_time: Duration,
    pub calls: usize,
    pub inbound: usize,
    pub commands: usize,
    pub read_time: Duration,
    pub idle: Duration,
    pub idle_accepted: Duration,
    pub idle_sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            seats: SeatLimits::default(),
            incoming_per_key: INCOMING_PER_KEY,
            handshakes: HANDSHAKES,
            handshake_time: HANDSHAKE_TIME,
            calls: CALLS,
            inbound: INBOUND,
            commands: COMMANDS,
            read_time: READ_TIME,
            idle: IDLE,
            idle_accepted: IDLE_ACCEPTED,
            idle_sweep: IDLE_SWEEP,
        }
    }
}
