//! Figures for those who draw curves: strict text, and nothing that says who.

use std::collections::{BTreeMap, BTreeSet};

use crate::played::{ADA, GRACE};
use crate::support::{Answer, Door};

const PATH: &str = "/api/v1/metrics";

async fn scraped() -> (Door, Answer) {
    let door = Door::open().await;
    let answer = door.send(&door.request("GET", PATH, "")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (door, answer)
}

#[tokio::test]
async fn prometheus_can_read_it() {
    let (_door, answer) = scraped().await;
    assert!(
        answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        answer.head
    );
    let page = Page::parse(&answer.body).unwrap();
    assert!(page.samples.len() > 50, "{}", answer.body);
    insta::assert_snapshot!("metrics", answer.body.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[tokio::test]
async fn it_says_what_status_says() {
    let (door, answer) = scraped().await;
    let page = Page::parse(&answer.body).unwrap();
    let status = door.client().status().await.unwrap();
    for (sample, value) in [
        ("starling_peers", status.peers),
        ("starling_held_records", status.held.records),
        ("starling_held_bytes{pool=\"welcome\"}", status.held.welcome_bytes),
        ("starling_held_bytes{pool=\"open\"}", status.held.open_bytes),
        ("starling_held_limit_bytes{pool=\"open\"}", status.held.pool_bytes),
        ("starling_held_evicted_total{pool=\"welcome\"}", status.held.evicted_welcome),
        ("starling_queued", status.queued),
        ("starling_uptime_seconds", status.uptime_s),
        ("starling_database_bytes", status.database_bytes.unwrap()),
    ] {
        assert_eq!(page.samples.get(sample), Some(&value), "{sample}");
    }
    let told = |outcome: &str| {
        let of_outcome = page.samples.iter().filter(|(sample, _)| {
            sample.starts_with("starling_requests_total{")
                && sample.contains(&format!("outcome=\"{outcome}\""))
        });
        of_outcome.map(|(_, value)| value).sum::<u64>()
    };
    let served = status.served;
    assert_eq!(
        (told("answered"), told("rate_limited"), told("refused")),
        (served.answered, served.rate_limited, served.refused)
    );
    assert!(
        served.answered > 0 && served.rate_limited > 0 && served.refused > 0,
        "the played node has served"
    );
}

#[tokio::test]
async fn a_refusal_is_json_as_everywhere() {
    let door = Door::open().await;
    let answer = door.send(&door.request("GET", PATH, "").without("Authorization")).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"));
    assert!(!answer.body.contains("starling_"), "{}", answer.body);
}

/// Everything that the played node knows of people, keys and places stays out; and a label has one of few values.
#[tokio::test]
async fn nothing_says_who_or_where() {
    let (door, answer) = scraped().await;
    let status = door.client().status().await.unwrap();
    let mut secrets =
        vec![ADA.to_string(), GRACE.to_string(), "Ada".to_owned(), "Grace".to_owned(), "sails".to_owned()];
    secrets.extend(status.addrs.iter().chain(&status.observed).map(|address| address.ip().to_string()));
    assert!(secrets.len() > 5, "the played node has addresses");
    for secret in secrets {
        assert!(!answer.body.contains(&secret), "{secret}");
    }
    let allowed = BTreeSet::from(["version", "pool", "kind", "outcome", "state"]);
    for (name, value) in Page::parse(&answer.body).unwrap().labels {
        assert!(allowed.contains(name.as_str()), "{name}");
        let plain = value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!((plain && value.len() <= 16) || value == env!("CARGO_PKG_VERSION"), "{name}={value}");
    }
}

/// The text format 0.0.4, stricter than Prometheus itself: each family has its help and its type before its samples, all
/// of which stand together, once; counts are named so; values are whole numbers.
#[derive(Debug, Default)]
struct Page {
    samples: BTreeMap<String, u64>,
    labels: Vec<(String, String)>,
}

impl Page {
    fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self::default();
        let (mut families, mut family) = (BTreeSet::new(), String::new());
        if !text.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let bad = || format!("not understood: {line:?}");
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').ok_or_else(bad)?;
                let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
                let counts = match kind {
                    Some("counter") => true,
                    Some("gauge") => false,
                    other => return Err(format!("{name}: no type but {other:?}")),
                };
                let fits = is_name(name) && counts == name.ends_with("_total") && !help.contains('\\');
                if !fits || help.is_empty() || !families.insert(name.to_owned()) {
                    return Err(bad());
                }
                family = name.to_owned();
            } else {
                let (sample, value) = line.rsplit_once(' ').ok_or_else(bad)?;
                let (name, labels) =
                    sample.split_once('{').map_or((sample, None), |(name, labels)| (name, Some(labels)));
                if name != family {
                    return Err(bad());
                }
                page.labels.extend(labels.map(parse_labels).transpose()?.unwrap_or_default());
                let value = value.parse().map_err(|_| bad())?;
                if page.samples.insert(sample.to_owned(), value).is_some() {
                    return Err(format!("twice: {sample}"));
                }
            }
        }
        match families.iter().find(|name| !page.samples.keys().any(|sample| sample.starts_with(*name))) {
            Some(empty) => Err(format!("{empty} has no sample")),
            None => Ok(page),
        }
    }
}

/// `a="b",c="d"}`.
fn parse_labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let bad = || format!("no labels: {text:?}");
    let pairs = text.strip_suffix('}').ok_or_else(bad)?.split(',');
    let labels: Result<Vec<_>, String> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(bad)?;
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).ok_or_else(bad)?;
            let plain = is_name(name) && !name.contains(':') && !value.contains(['"', '\\', '\n']);
            if plain { Ok((name.to_owned(), value.to_owned())) } else { Err(bad()) }
        })
        .collect();
    let labels = labels?;
    let names: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
    if names.len() == labels.len() { Ok(labels) } else { Err(bad()) }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[test]
fn the_parser_is_strict() {
    let good = "# HELP a_total b c\n# TYPE a_total counter\na_total{x=\"y\",z=\"1\"} 3\na_total 4\n";
    assert!(Page::parse(good).is_ok());
    for (from, to) in [
        ("counter", "gauge"),
        ("counter", "histogram"),
        ("# TYPE a_total counter\n", ""),
        ("b c", ""),
        ("3", "3.5"),
        ("3", "-3"),
        ("3", "3 1"),
        ("a_total 4", "b_total 4"),
        ("a_total 4", "a_total{x=\"y\",z=\"1\"} 4"),
        ("a_total 4\n", "a_total 4"),
        ("a_total 4\n", "a_total 4\n\n"),
        ("z=\"1\"", "x=\"1\""),
        ("z=\"1\"", "z=1"),
        ("z=\"1\"", "z=\"\"1\""),
        ("z=\"1\"}", "z=\"1\""),
        ("z=\"1\"", "1=\"1\""),
    ] {
        assert!(Page::parse(&good.replacen(from, to, 1)).is_err(), "{from:?} to {to:?}");
    }
}
