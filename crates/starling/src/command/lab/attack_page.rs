//! The report of `starling lab attack`.

use std::error::Error;

use super::attack::{Attack, Summary};
use super::chart::{Line, draw_shares};
use super::report::{END, begin, table};

/// The page.
pub(super) fn page(summary: &Summary) -> Result<String, Box<dyn Error>> {
    let mut page = begin("What the network withstands", &summary.command);
    page.push_str(
        "<p>Simulated: the shipping overlay of every node, virtual time, one-way latency 10 to 80 ms. ",
    );
    page.push_str(
        "The interval is Wilson's. Bytes are frames alone. Everything follows from the seed.</p>\n",
    );
    page.push_str(&table(summary.rows())?);
    for svg in charts(summary)? {
        page.push_str(&svg);
    }
    page.push_str(END);
    Ok(page)
}

fn charts(summary: &Summary) -> Result<Vec<String>, Box<dyn Error>> {
    let by = |name, beginning: &'static str, over: &'static str| Line {
        name,
        points: points(&summary.scenarios, beginning, over),
        law: None,
    };
    let collude = [
        by("Starling", "colluders", "attackers_percent"),
        by("Kademlia, k = 20, 3 at once", "plain20-colluders", "attackers_percent"),
        by("Kademlia, k = 10, 5 at once", "plain10-colluders", "attackers_percent"),
    ];
    let drop = [
        by("answer nothing", "silent", "attackers_percent"),
        by("answer with nothing", "empty", "attackers_percent"),
    ];
    let vanish = [by("of the honest vanish, 20 % collude", "colluders-20-vanish", "vanished_percent")];
    let charts = [
        draw_shares("Records found while some collude", "% of all nodes collude", &collude)?,
        draw_shares("Records found while some drop", "% of all nodes drop", &drop)?,
        draw_shares("Records found after many vanish", "% of the honest vanish", &vanish)?,
    ];
    Ok(charts.into_iter().flatten().collect())
}

/// The success of attacks that differ in nothing but a number: those whose name is `beginning` and that number.
fn points(attacks: &[Attack], beginning: &str, over: &str) -> Vec<(f64, f64)> {
    let is_of = |attack: &&Attack| {
        let number = attack.id.strip_prefix(beginning).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let point = |attack: &Attack| Some((attack.number(over)?, attack.success * 100.0));
    attacks.iter().filter(is_of).filter_map(point).collect()
}
