//! The write-ahead log, before SQLite sees it.
//!
//! SQLite reads its log up to the first frame whose checksum is wrong and ignores the rest: after a power cut that is
//! right, since what follows was never acknowledged. A damaged bit in the middle looks the same to it, and committed
//! transactions would vanish without a word. The two differ in what comes after. With `synchronous = FULL` each
//! transaction is on the disk before the next begins, so a bad frame with a *later transaction* behind it is damage.
//! A bad frame in the last transaction cannot be told from a torn write, and is read as one; so is the wreck of a
//! transaction's last frame, of which nothing can be recognised, if only one transaction follows.
//!
//! A disk writes whole sectors, in any order, and what it has not written may hold a frame of an earlier round. Where a
//! frame's header lies across two sectors, its mark of a commit may be such a remnant while the salts behind it are new:
//! in a bad frame it is not believed.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::connection::PAGE;

/// Bytes of the log's header.
const HEADER: usize = 32;
/// Bytes of the header before each page.
const FRAME_HEADER: usize = 24;
/// Bytes of a page.
const PAGE_LEN: usize = 4096;
/// Bytes of a frame.
const FRAME: usize = FRAME_HEADER + PAGE_LEN;
/// First word of a log whose checksums take words with the low byte first; one more if it is the high byte.
const MAGIC: u32 = 0x377f_0682;
/// Bytes that a disk writes whole, at the least.
const SECTOR: usize = 512;
/// Bytes of a frame's header before the salts: the page's number and the mark of a commit.
const BEFORE_SALTS: usize = 8;
const _: () = assert!(PAGE_LEN as u64 == PAGE, "one page size");

/// The log that belongs to the database at `path`.
pub(crate) fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// Refuses a log in which something committed can no longer be read. A missing or empty one is sound. No connection may
/// be writing to it.
pub(crate) fn check(database: &Path) -> Result<(), StoreError> {
    let path = path(database);
    let sound = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.and_then(|file| is_sound(BufReader::with_capacity(FRAME, file))),
    };
    match sound.map_err(StoreError::io("read", &path))? {
        true => Ok(()),
        false => Err(StoreError::Corrupt("the write-ahead log")),
    }
}

fn is_sound(mut log: impl Read) -> io::Result<bool> {
    let (mut header, mut frame) = ([0; HEADER], [0; FRAME]);
    if !fill(&mut log, &mut header)? || !fill(&mut log, &mut frame)? {
        return Ok(true);
    }
    // The header is synced before the first frame is written, so it is never torn when there is one.
    let Some(mut sums) = Sums::of_header(&header) else { return Ok(false) };
    let salts = long(&header, 16);
    let (mut stage, mut at) = (Stage::Reading, HEADER);
    loop {
        // Frames of an earlier round, all copied back, have wholly other salts. One bit less is a damaged frame of ours.
        let wrong_bits = (long(&frame, 8) ^ salts).count_ones();
        let (whole, ours) = (wrong_bits == 0, wrong_bits <= 1);
        let is_split = at.saturating_add(BEFORE_SALTS).is_multiple_of(SECTOR);
        let commits = !is_split && word(&frame, 4) != Some(0);
        stage = match stage {
            Stage::Reading if whole && sums.take_frame(&frame) => Stage::Reading,
            Stage::Reading | Stage::Torn if ours && commits => Stage::Ended,
            Stage::Reading | Stage::Torn => Stage::Torn,
            Stage::Ended if ours => return Ok(false),
            Stage::Ended => Stage::Ended,
        };
        if !fill(&mut log, &mut frame)? {
            return Ok(true);
        }
        at = at.saturating_add(FRAME);
    }
}

/// How far the reading of frames has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Every frame was good.
    Reading,
    /// Within the transaction that holds the first bad frame.
    Torn,
    /// That transaction's last frame has passed: one more of this round can only be of a later one.
    Ended,
}

/// The running checksum over header and frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sums {
    one: u32,
    two: u32,
    big_endian: bool,
}

impl Sums {
    /// The sums after the header; `None` if its own checksum is wrong.
    fn of_header(header: &[u8; HEADER]) -> Option<Self> {
        let big_endian = match word(header, 0)?.checked_sub(MAGIC)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut sums = Self { one: 0, two: 0, big_endian };
        let (summed, claimed) = header.split_at(24);
        sums.add(summed);
        let page = word(header, 8)? as usize;
        (page == PAGE_LEN && sums.are(claimed)).then_some(sums)
    }

    /// Goes on over a frame and says whether its checksum fits.
    fn take_frame(&mut self, frame: &[u8; FRAME]) -> bool {
        let (header, page) = frame.split_at(FRAME_HEADER);
        let (summed, rest) = header.split_at(8);
        self.add(summed);
        self.add(page);
        rest.get(8..).is_some_and(|claimed| self.are(claimed))
    }

    fn add(&mut self, bytes: &[u8]) {
        let (pairs, _) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in pairs {
            let read =
                |bytes| if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
            let (first, second) = (read([a, b, c, d]), read([e, f, g, h]));
            self.one = self.one.wrapping_add(first).wrapping_add(self.two);
            self.two = self.two.wrapping_add(second).wrapping_add(self.one);
        }
    }

    fn are(&self, claimed: &[u8]) -> bool {
        word(claimed, 0) == Some(self.one) && word(claimed, 4) == Some(self.two)
    }
}

/// The big-endian word at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// The two words at `at`, as one number; 0 past the end, where no caller asks.
fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |words| u64::from_be_bytes(*words))
}

/// Fills the buffer; `false` if the file ends before.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
