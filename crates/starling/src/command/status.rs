//! `starling status`: what is going on in the running node.

use std::net::SocketAddr;
use std::process::ExitCode;

use starling_api::types::{ContactCounts, Entries, Held, Mode, Served, Status};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Piece, Report, bold, dim, good, plain, warn};

const EXAMPLES: &str = "\
Examples:
  starling status
  starling status --json | jq .peers    the number of connected peers";

/// Show peers, routing table, addresses, people, queue and storage of the running node.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(super) fn run(_: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let status = Context::block_on(async { Ok(client::connect(&home)?.status().await?) })?;
    context.output.show(&status)?;
    Ok(ExitCode::SUCCESS)
}

impl Report for Status {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let mut rows = vec![
            vec![dim("peers"), peers(self)],
            vec![dim("routing table"), plain(routing_table(self))],
            vec![dim("mode"), plain(mode(self.mode))],
            vec![dim("listening at"), plain(list(&self.addrs))],
            vec![dim("seen at"), plain(list(&self.observed))],
        ];
        if let Some(join) = &self.join {
            rows.push(vec![dim("join"), plain(join.to_string())]);
        }
        rows.push(vec![dim("holding"), holding(&self.held)]);
        rows.push(vec![dim("taken"), turnover(&self.held)]);
        rows.push(vec![dim("served"), plain(served(self.served))]);
        rows.push(vec![dim("entries"), entries(self.entries)]);
        rows.push(vec![dim("people"), people(self.contacts)]);
        rows.push(vec![dim("queue"), plain(queue(self.queued))]);
        rows.push(vec![dim("at work on"), plain(format!("{}, {} waiting", self.running, self.waiting))]);
        let database = self.database_bytes.map_or_else(|| "unknown".to_owned(), size);
        rows.push(vec![dim("database"), plain(database)]);
        if self.disk_full {
            rows.push(vec![dim("disk"), warn("full: nothing is written until there is room")]);
        }
        rows.push(vec![dim("running for"), plain(uptime(self.uptime_s))]);
        rows.push(vec![dim("version"), plain(&self.version)]);
        page.line([bold("node is running")]);
        page.table(2, rows);
    }
}

fn peers(status: &Status) -> Piece<'static> {
    match status.peers {
        0 => warn("none connected; join one with `starling run --join`"),
        1 => good("1 connected"),
        many => good(format!("{many} connected")),
    }
}

fn routing_table(status: &Status) -> String {
    let table = &status.routing_table;
    let buckets = table.buckets.iter().map(|bucket| format!("{}:{}", bucket.shared_bits, bucket.peers));
    let buckets = buckets.collect::<Vec<_>>().join(" ");
    if buckets.is_empty() {
        "empty".to_owned()
    } else {
        format!("{} peers, by shared bits: {buckets}", table.peers)
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Client => "client: others cannot dial this peer yet, it holds nothing for them",
        Mode::Server => "server: others can dial this peer, it holds records for them",
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return "unknown".to_owned();
    }
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// How full the two halves are.
fn holding(held: &Held) -> Piece<'static> {
    let (mail, other) = (size(held.welcome_bytes), size(held.open_bytes));
    let bound = size(held.pool_bytes);
    let mut said = format!("{} records of others: mail {mail}, other {other}, of {bound} each", held.records);
    if held.damaged > 0 {
        said.push_str(&format!(", {} damaged and to be removed", held.damaged));
    }
    let lowered = held.welcome_bytes.max(held.open_bytes) > held.pool_bytes;
    match (lowered, held.full) {
        (true, _) => warn(format!("{said}; above the bound: nothing new is taken there until there is room")),
        (false, true) => warn(format!("{said}; full: what comes is refused, or others make way")),
        (false, false) => plain(said),
    }
}

/// What came since the node started, and what had to go.
fn turnover(held: &Held) -> Piece<'static> {
    let mut said = format!(
        "{} records, {}; {} refused for want of room",
        held.taken,
        size(held.taken_bytes),
        held.refused
    );
    if held.evicted == 0 {
        return plain(said);
    }
    said.push_str(&format!("; {} made way for others", held.evicted));
    match held.evicted_welcome {
        0 => plain(said),
        mail => warn(format!("{said}, {mail} of them mail")),
    }
}

/// What peers were told.
fn served(served: Served) -> String {
    let Served { answered, rate_limited, refused } = served;
    format!("{answered} requests of peers; {rate_limited} refused for their rate, {refused} for other causes")
}

/// Seconds as people say them, in the two largest units.
fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) =
        (seconds.div_euclid(60), seconds.div_euclid(3600), seconds.div_euclid(86_400));
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes.rem_euclid(60)),
        (days, hours, _) => format!("{days} d {} h", hours.rem_euclid(24)),
    }
}

/// The user's own entries in the directory.
fn entries(entries: Entries) -> Piece<'static> {
    match entries {
        Entries { wanted: 0, .. } => plain("not in the directory"),
        Entries { wanted, placed } if placed < wanted => {
            warn(format!("{placed} of {wanted} in the directory so far"))
        }
        Entries { wanted, .. } => good(format!("all {wanted} in the directory")),
    }
}

/// Whom we know, and who waits for an answer of the user.
fn people(counts: ContactCounts) -> Piece<'static> {
    let contacts = match counts.accepted {
        1 => "1 contact".to_owned(),
        many => format!("{many} contacts"),
    };
    let asked = match counts.requested {
        0 => String::new(),
        some => format!(", {some} asked without an answer yet"),
    };
    match counts.incoming {
        0 => plain(format!("{contacts}{asked}")),
        1 => warn(format!("{contacts}{asked}, 1 asks to be one: `starling contact list`")),
        some => warn(format!("{contacts}{asked}, {some} ask to be one: `starling contact list`")),
    }
}

fn queue(queued: u64) -> String {
    match queued {
        0 => "empty".to_owned(),
        some => format!("{some} messages, receipts and requests wait to be sent or confirmed"),
    }
}

/// Bytes as people say them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = bytes.saturating_mul(10);
    let mut unit = "bytes";
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = tenths.div_euclid(1024);
        unit = larger;
    }
    match unit {
        "bytes" => format!("{bytes} bytes"),
        _ => format!("{}.{} {unit}", tenths.div_euclid(10), tenths.rem_euclid(10)),
    }
}

#[cfg(test)]
mod tests {
    use starling_api::types::{Bucket, RoutingTable};

    use super::*;

    fn status() -> Status {
        Status {
            mode: Mode::Server,
            peers: 11,
            routing_table: RoutingTable { peers: 11, buckets: vec![Bucket { shared_bits: 0, peers: 11 }] },
            running: 2,
            waiting: 0,
            held: Held {
                records: 36,
                welcome_bytes: 16_384,
                open_bytes: 4096,
                pool_bytes: 1 << 30,
                full: false,
                deletions: 1,
                damaged: 0,
                taken: 40,
                taken_bytes: 81_920,
                refused: 2,
                evicted: 0,
                evicted_welcome: 0,
            },
            served: Served { answered: 1234, rate_limited: 5, refused: 1 },
            entries: Entries { wanted: 4, placed: 3 },
            contacts: ContactCounts { accepted: 1, incoming: 2, requested: 0 },
            queued: 3,
            addrs: vec!["127.0.0.1:4040".parse().unwrap()],
            observed: vec![],
            join: None,
            database_bytes: Some(118_784),
            disk_full: false,
            uptime_s: 93_784,
            version: "0.1.0".into(),
        }
    }

    #[test]
    fn status_reads_well() {
        let status = status();
        let mut page = Page::default();
        status.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false), @r"
        node is running
          peers          11 connected
          routing table  11 peers, by shared bits: 0:11
          mode           server: others can dial this peer, it holds records for them
          listening at   127.0.0.1:4040
          seen at        unknown
          holding        36 records of others: mail 16.0 KiB, other 4.0 KiB, of 1.0 GiB each
          taken          40 records, 80.0 KiB; 2 refused for want of room
          served         1234 requests of peers; 5 refused for their rate, 1 for other causes
          entries        3 of 4 in the directory so far
          people         1 contact, 2 ask to be one: `starling contact list`
          queue          3 messages, receipts and requests wait to be sent or confirmed
          at work on     2, 0 waiting
          database       116.0 KiB
          running for    1 d 2 h
          version        0.1.0
        ");
    }

    #[test]
    fn a_full_holder_says_so() {
        let said = |change: fn(&mut Held)| {
            let mut held = status().held;
            held.pool_bytes = 16_384;
            change(&mut held);
            let mut page = Page::default();
            page.line([holding(&held)]);
            page.line([turnover(&held)]);
            page.render(false).to_string()
        };
        insta::assert_snapshot!(said(|held| held.full = true), @r"
        36 records of others: mail 16.0 KiB, other 4.0 KiB, of 16.0 KiB each; full: what comes is refused, or others make way
        40 records, 80.0 KiB; 2 refused for want of room
        ");
        insta::assert_snapshot!(said(|held| held.welcome_bytes = 32_768), @r"
        36 records of others: mail 32.0 KiB, other 4.0 KiB, of 16.0 KiB each; above the bound: nothing new is taken there until there is room
        40 records, 80.0 KiB; 2 refused for want of room
        ");
        insta::assert_snapshot!(said(|held| (held.evicted, held.evicted_welcome) = (7, 2)), @r"
        36 records of others: mail 16.0 KiB, other 4.0 KiB, of 16.0 KiB each
        40 records, 80.0 KiB; 2 refused for want of room; 7 made way for others, 2 of them mail
        ");
    }

    #[test]
    fn times_are_readable() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3720, "1 h 2 min"),
            (86_400, "1 d 0 h"),
        ] {
            assert_eq!(uptime(seconds), text);
        }
    }

    #[test]
    fn sizes_are_readable() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "1638.3 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
