//! What `metrics` answers: the status as figures, in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Figures leave the machine for places that many people read. So they say how much and never who: a value is a whole
//! number, and a label one of the texts that stand here.

use core::fmt::Arguments;

use starling_node::{Answers, Counts};
use starling_proto::frame::FrameKind;

use crate::types::{Held, Mode, Status};

/// The content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every figure at this moment.
pub(crate) fn text(status: &Status, counts: &Counts) -> String {
    let mut page = Page::default();
    node(&mut page, status);
    network(&mut page, status);
    held(&mut page, &status.held);
    requests(&mut page, counts);
    messages(&mut page, status, counts);
    disk(&mut page, status, counts);
    page.0
}

fn node(page: &mut Page, status: &Status) {
    page.gauge("starling_build_info", "Always 1; the label is the program's version.");
    page.sample("starling_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one_gauge("starling_uptime_seconds", "For how long the node has been running.", status.uptime_s);
}

fn network(page: &mut Page, status: &Status) {
    let serves = u64::from(status.mode == Mode::Server);
    page.one_gauge("starling_server", "1 if others can dial this peer, so that it holds records.", serves);
    page.one_gauge("starling_peers", "Peers that are connected.", status.peers);
    let known = status.routing_table.peers;
    page.one_gauge("starling_routing_table_peers", "Peers in the routing table.", known);
    page.one_gauge("starling_operations_running", "Lookups, stores and queries under way.", status.running);
    page.one_gauge("starling_operations_waiting", "Commands that wait for one to end.", status.waiting);
    let entries = status.entries;
    page.one_gauge("starling_directory_entries_wanted", "Own directory entries.", entries.wanted);
    page.one_gauge("starling_directory_entries_placed", "Those that a holder has.", entries.placed);
}

fn held(page: &mut Page, held: &Held) {
    const WELCOME: &[Label] = &[("pool", "welcome")];
    const OPEN: &[Label] = &[("pool", "open")];
    page.one_gauge("starling_held_records", "Records held for others.", held.records);
    page.gauge("starling_held_bytes", "Their size: mail with its owner's leave, and everything else.");
    page.sample("starling_held_bytes", WELCOME, held.welcome_bytes);
    page.sample("starling_held_bytes", OPEN, held.open_bytes);
    page.gauge("starling_held_limit_bytes", "The bound on each of the two sizes.");
    page.sample("starling_held_limit_bytes", WELCOME, held.pool_bytes);
    page.sample("starling_held_limit_bytes", OPEN, held.pool_bytes);
    page.one_gauge("starling_held_damaged_records", "Rows that could not be read.", held.damaged);
    page.one_counter("starling_held_taken_total", "Records taken for others.", held.taken);
    page.one_counter("starling_held_taken_bytes_total", "Their size.", held.taken_bytes);
    page.one_counter(
        "starling_held_refused_total",
        "Records refused for want of room or share.",
        held.refused,
    );
    page.counter("starling_held_evicted_total", "Records that made way for others before their time.");
    page.sample("starling_held_evicted_total", WELCOME, held.evicted_welcome);
    let open = held.evicted.saturating_sub(held.evicted_welcome);
    page.sample("starling_held_evicted_total", OPEN, open);
}

fn requests(page: &mut Page, counts: &Counts) {
    page.counter("starling_requests_total", "Requests of peers, by kind and by what they were told.");
    for (kind, name) in FrameKind::all().filter_map(|kind| Some((kind, request_name(kind)?))) {
        let Answers { answered, rate_limited, refused } =
            counts.requests.get(&kind).copied().unwrap_or_default();
        for (outcome, value) in [("answered", answered), ("rate_limited", rate_limited), ("refused", refused)]
        {
            page.sample("starling_requests_total", &[("kind", name), ("outcome", outcome)], value);
        }
    }
}

fn messages(page: &mut Page, status: &Status, counts: &Counts) {
    let messages = counts.messages;
    page.one_gauge("starling_queued", "Messages, receipts and requests that wait.", status.queued);
    page.one_counter("starling_messages_received_total", "Messages that came.", messages.received);
    page.counter("starling_messages_total", "Own messages that came as far as this.");
    for (state, value) in [
        ("stored", messages.stored),
        ("delivered", messages.delivered),
        ("read", messages.read),
        ("failed", messages.failed),
    ] {
        page.sample("starling_messages_total", &[("state", state)], value);
    }
}

fn disk(page: &mut Page, status: &Status, counts: &Counts) {
    page.one_counter("starling_commits_total", "Transactions on disk.", counts.commits);
    page.one_counter("starling_failed_commits_total", "Transactions that failed.", counts.failed_commits);
    if let Some(bytes) = status.database_bytes {
        page.one_gauge("starling_database_bytes", "Size of the database and its log.", bytes);
    }
    let full = u64::from(status.disk_full);
    page.one_gauge("starling_disk_full", "1 if nothing can be written for want of room.", full);
}

/// A label's name and value. That they are texts of this program keeps everything else out.
type Label = (&'static str, &'static str);

/// The text so far.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a family of figures that go up and down.
    fn gauge(&mut self, name: &'static str, help: &'static str) {
        self.begin(name, "gauge", help);
    }

    /// Begins a family of counts.
    fn counter(&mut self, name: &'static str, help: &'static str) {
        self.begin(name, "counter", help);
    }

    fn one_gauge(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.gauge(name, help);
        self.sample(name, &[], value);
    }

    fn one_counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.counter(name, help);
        self.sample(name, &[], value);
    }

    fn begin(&mut self, name: &'static str, kind: &'static str, help: &'static str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &'static str, labels: &[Label], value: u64) {
        let labels: Vec<_> = labels.iter().map(|(label, text)| format!("{label}=\"{text}\"")).collect();
        match labels.join(",") {
            none if none.is_empty() => self.line(format_args!("{name} {value}")),
            some => self.line(format_args!("{name}{{{some}}} {value}")),
        }
    }

    fn line(&mut self, line: Arguments<'_>) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }
}

/// How a kind of request is called; `None` for what is no request.
const fn request_name(kind: FrameKind) -> Option<&'static str> {
    Some(match kind {
        FrameKind::Hello => "hello",
        FrameKind::Ping => "ping",
        FrameKind::FindNode => "find_node",
        FrameKind::Store => "store",
        FrameKind::Fetch => "fetch",
        FrameKind::Query => "query",
        FrameKind::Prove => "prove",
        FrameKind::Owner => "owner",
        FrameKind::Notify => "notify",
        FrameKind::DialBack => "dial_back",
        FrameKind::PassOn => "pass_on",
        FrameKind::DeviceProof => "device_proof",
        FrameKind::Deliver => "deliver",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_request_has_a_name() {
        for kind in FrameKind::all() {
            assert_eq!(request_name(kind).is_some(), kind.is_request(), "{kind:?}");
        }
    }
}
