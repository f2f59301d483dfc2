//! Every bound of the local door, each with its reason.

use core::time::Duration;

/// Connections at once. Faces hold two or three each; the rest waits in the kernel's queue.
pub const CONNECTIONS: usize = 128;
/// Bytes of a request's head. The longest honest one, with the token and a browser's headers, is below 2 KiB.
pub const HEAD_BYTES: usize = 16 * 1024;
/// Header lines of a request. Browsers send about 20.
pub const HEADERS: usize = 64;
/// Bytes of a request's body: the longest text (8 KiB), each byte escaped as `\u00XX`, and room beside it.
pub const BODY_BYTES: usize = 64 * 1024;
/// Time for a request's head, and for the next request on an idle connection.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a request's body: it comes from the same machine.
pub const BODY_TIME: Duration = Duration::from_secs(10);
/// Time for an answer's head: above the longest wait that a command offers.
pub const ANSWER_TIME: Duration = Duration::from_secs(120);
/// Time without progress after which an answer that the client does not read is given up.
pub const STALL_TIME: Duration = Duration::from_secs(60);
/// Silence on the event stream after which an empty line is sent, so that both ends notice a dead connection.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Time that a shutdown gives to requests under way.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);
/// Client request ids that are remembered: an hour of one message every three seconds.
pub const REQUEST_IDS: usize = 1024;
/// Bytes of a client request id: a UUID has 36.
pub const REQUEST_ID_BYTES: usize = 64;
/// Bytes of an answer that is remembered for its request id. Answers to commands that change something are short; a
/// longer one is an answer to a question, which may be asked twice.
pub const REMEMBERED_BYTES: usize = 8 * 1024;
/// Bytes of an answer that the client takes: whatever listens at the address, its memory stays bounded. The longest honest
/// one has 500 messages of 8 KiB, each byte of a hostile one escaped as `\u00XX`: 25 MB.
pub const ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of one line of the event stream that the client takes.
pub const EVENT_BYTES: usize = 256 * 1024;
/// Bytes of `api.json`.
pub const API_FILE_BYTES: u64 = 4096;
