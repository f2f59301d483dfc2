//! The attacks that there are.

use super::{GroundSetup, Protocol, Scenario, Stand, Task};
use crate::adversary::Conduct;
use crate::faults::churn::Coming;

/// Shares of attackers, in percent.
const SHARES: [usize; 4] = [10, 20, 30, 50];

/// Every scenario, in the order in which a report shows them.
#[must_use]
pub fn catalogue() -> Vec<Scenario> {
    let starling = Protocol::starling();
    let plain = [Protocol::kademlia("kademlia-20-3", 20, 3), Protocol::kademlia("kademlia-10-5", 10, 5)];
    let mut all = vec![Scenario { target: Some((1.0, 1.0)), ..simple("honest", "", starling) }];
    all.extend(droppers(starling));
    all.extend(colluders(starling));
    for (protocol, name) in plain.into_iter().zip(["plain20", "plain10"]) {
        all.push(simple(&format!("{name}-honest"), "", protocol));
        all.extend(colluders(protocol).map(|scenario| Scenario {
            id: format!("{name}-{}", scenario.id),
            target: None,
            ..scenario
        }));
    }
    all.extend(vanishing(starling));
    all.extend(churning(starling));
    all.extend(ground(starling));
    let [kademlia, _] = plain;
    let simplest = |scenario: &Scenario| {
        scenario.crowd.is_none() && scenario.ground.is_some_and(|ground| ground.stand == Stand::Closest)
    };
    all.extend(ground(kademlia).filter(simplest).map(|scenario| Scenario {
        id: format!("plain20-{}", scenario.id),
        target: None,
        ..scenario
    }));
    all.extend(liars(starling));
    all.extend(tables(starling));
    all.extend(floods(starling));
    all.extend(passed(starling));
    all
}

fn simple(id: &str, fault: &'static str, protocol: Protocol) -> Scenario {
    Scenario {
        id: id.to_owned(),
        fault,
        protocol,
        crowd: None,
        ground: None,
        vanish: 0,
        coming: Coming::Steady,
        task: Task::Fetch,
        target: None,
    }
}

fn droppers(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let kinds = [(Conduct::Silent, "silent"), (Conduct::Empty, "empty")];
    kinds.into_iter().flat_map(move |(conduct, name)| {
        SHARES.into_iter().map(move |share| Scenario {
            crowd: Some((conduct, share)),
            target: Some((0.999, 0.999)),
            ..simple(&format!("{name}-{share}"), "BYZ-01", protocol)
        })
    })
}

fn colluders(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let targets = [(0.999, 0.999), (0.999, 0.999), (0.999, 0.995), (0.99, 0.99)];
    SHARES.into_iter().zip(targets).map(move |(share, target)| Scenario {
        crowd: Some((Conduct::Colluding, share)),
        target: Some(target),
        ..simple(&format!("colluders-{share}"), "BYZ-02", protocol)
    })
}

/// Many go at once, alone and while others collude.
fn vanishing(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let alone =
        Scenario { vanish: 60, target: Some((0.9999, 0.9999)), ..simple("vanish-60", "CHN-04", protocol) };
    let both = [10, 20, 40, 60].map(move |vanish| Scenario {
        vanish,
        crowd: Some((Conduct::Colluding, 20)),
        target: Some((0.99, 0.99)),
        ..simple(&format!("colluders-20-vanish-{vanish}"), "BYZ-02 CHN-04", protocol)
    });
    std::iter::once(alone).chain(both)
}

/// The honest come and go, alone and while others who stay collude.
fn churning(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let models = [
        (Coming::Kad, Some(0.999)),
        (Coming::Hours, None),
        (Coming::Quarters, Some(0.99)),
        (Coming::Minutes, Some(0.95)),
    ];
    let alone = models.map(move |(coming, target)| Scenario {
        coming,
        target: target.map(|target| (target, target)),
        ..simple(&format!("churn-{}", coming.name()), "CHN-01", protocol)
    });
    let both = models.map(move |(coming, _)| Scenario {
        coming,
        crowd: Some((Conduct::Colluding, 20)),
        ..simple(&format!("colluders-20-churn-{}", coming.name()), "BYZ-02 CHN-01", protocol)
    });
    alone.into_iter().chain(both).chain(churning_among_others(protocol))
}

/// The same with an hour on and an hour off while others do anything else.
fn churning_among_others(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let hours = |scenario: Scenario| Scenario {
        id: format!("{}-churn-{}", scenario.id, Coming::Hours.name()),
        coming: Coming::Hours,
        target: None,
        ..scenario
    };
    let kinds =
        ["silent-30", "inventors-30", "foreign-30", "cut-30", "ground-20", "ground-40", "ground-20-search"];
    let all = droppers(protocol).chain(liars(protocol)).chain(ground(protocol));
    all.filter(move |scenario| kinds.contains(&scenario.id.as_str())).map(hours)
}

/// Identities ground onto keys.
fn ground(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let stand = |identities, stand| Some(GroundSetup { identities, streets: None, stand });
    let own = |identities| stand(identities, Stand::Closest);
    let street = GroundSetup { identities: 200, streets: Some(1), stand: Stand::Closest };
    let one = |id: &str, ground, share: usize, task| Scenario {
        ground,
        crowd: (share > 0).then_some((Conduct::Colluding, share)),
        task,
        target: Some((0.99, 0.99)),
        ..simple(id, "BYZ-03", protocol)
    };
    [
        one("ground-20", own(20), 0, Task::Fetch),
        one("ground-40", own(40), 0, Task::Fetch),
        one("ground-200", own(200), 0, Task::Fetch),
        one("ground-200-street", Some(street), 0, Task::Fetch),
        one("ground-20-colluders-20", own(20), 20, Task::Fetch),
        one("ground-40-colluders-20", own(40), 20, Task::Fetch),
        one("ground-40-colluders-50", own(40), 50, Task::Fetch),
        one("ground-200-colluders-50", own(200), 50, Task::Fetch),
        one("ground-40-outside", stand(40, Stand::Outside), 0, Task::Fetch),
        one("ground-40-outside-colluders-20", stand(40, Stand::Outside), 20, Task::Fetch),
        one("ground-40-outside-colluders-50", stand(40, Stand::Outside), 50, Task::Fetch),
        one("ground-40-outside-search", stand(40, Stand::Outside), 0, Task::Search),
        one("ground-100-outside", stand(100, Stand::Outside), 0, Task::Fetch),
        one("ground-100-outside-colluders-20", stand(100, Stand::Outside), 20, Task::Fetch),
        one("ground-100-twofold", stand(100, Stand::Twofold), 0, Task::Fetch),
        one("ground-100-twofold-colluders-20", stand(100, Stand::Twofold), 20, Task::Fetch),
        one("ground-100-spread", stand(100, Stand::Spread), 0, Task::Fetch),
        one("ground-100-spread-colluders-20", stand(100, Stand::Spread), 20, Task::Fetch),
        Scenario { target: None, ..one("ground-200-spread", stand(200, Stand::Spread), 0, Task::Fetch) },
        one("ground-20-frozen", own(20), 0, Task::FetchNewest),
        one("ground-40-outside-frozen", stand(40, Stand::Outside), 0, Task::FetchNewest),
        one("ground-100-twofold-frozen", stand(100, Stand::Twofold), 0, Task::FetchNewest),
        one("ground-100-spread-frozen", stand(100, Stand::Spread), 0, Task::FetchNewest),
        one("ground-20-search", own(20), 0, Task::Search),
        one("ground-40-search", own(40), 0, Task::Search),
        one("ground-100-twofold-search", stand(100, Stand::Twofold), 0, Task::Search),
        one("ground-100-spread-search", stand(100, Stand::Spread), 0, Task::Search),
        one("ground-20-mailbox", own(20), 0, Task::Collect),
        one("ground-40-mailbox", own(40), 0, Task::Collect),
        one("ground-100-twofold-mailbox", stand(100, Stand::Twofold), 0, Task::Collect),
        one("ground-100-spread-mailbox", stand(100, Stand::Spread), 0, Task::Collect),
    ]
    .into_iter()
}

/// Invented contacts, and records that are old, foreign or cut.
fn liars(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let one = |id: &str, fault, conduct, task, target| Scenario {
        crowd: Some((conduct, 30)),
        task,
        target: Some((target, target)),
        ..simple(id, fault, protocol)
    };
    [
        one("inventors-30", "BYZ-04", Conduct::Inventing, Task::Fetch, 0.99),
        one("foreign-30", "BYZ-07", Conduct::Foreign, Task::Fetch, 0.999),
        one("cut-30", "BYZ-07", Conduct::Cutting, Task::Fetch, 0.999),
        one("frozen-30", "BYZ-07", Conduct::Freezing, Task::FetchNewest, 0.99),
        one("colluders-30-search", "BYZ-02", Conduct::Colluding, Task::Search, 0.99),
    ]
    .into_iter()
}

/// Tables that are hostile at the beginning, and peers that are surrounded.
fn tables(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let hostile = [50, 80, 90].map(move |percent| Scenario {
        crowd: Some((Conduct::Colluding, 20)),
        task: Task::Recover(percent),
        target: Some((0.99, 0.99)),
        ..simple(&format!("hostile-table-{percent}"), "BYZ-05", protocol)
    });
    let eclipse = Scenario {
        ground: Some(GroundSetup { identities: 40, streets: None, stand: Stand::Closest }),
        task: Task::Surrounded,
        target: Some((0.99, 0.99)),
        ..simple("eclipse-40", "BYZ-03", protocol)
    };
    hostile.into_iter().chain([eclipse])
}

/// Records go through go-betweens, some of whom do nothing; and straight, for comparison.
fn passed(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let crowds = [("", Conduct::Colluding), ("silent-", Conduct::Silent)];
    let shares = crowds.into_iter().flat_map(|(name, conduct)| {
        SHARES.into_iter().map(move |share| (format!("{name}{share}"), Some((conduct, share))))
    });
    let rows: Vec<_> = std::iter::once(("honest".to_owned(), None)).chain(shares).collect();
    [("pass", true), ("straight", false)].into_iter().flat_map(move |(way, through)| {
        rows.clone().into_iter().map(move |(name, crowd)| Scenario {
            crowd,
            task: Task::Passed(through),
            ..simple(&format!("{way}-{name}"), "PRV-07", protocol)
        })
    })
}

fn floods(protocol: Protocol) -> impl Iterator<Item = Scenario> {
    let one =
        |id: &str, fault, task| Scenario { task, target: Some((0.99, 0.99)), ..simple(id, fault, protocol) };
    [
        one("alice-from-1", "BYZ-13", Task::Crowded(1)),
        one("alice-from-300", "BYZ-13", Task::Crowded(300)),
        one("flood-from-1", "SPM-06", Task::Flooded(1)),
        one("flood-from-100", "SPM-06", Task::Flooded(100)),
    ]
    .into_iter()
}
