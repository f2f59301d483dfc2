//! The report of `starling lab mail`.

use std::error::Error;

use super::chart::{Line, draw_days};
use super::mail::{Moment, Run, Summary};
use super::report::{END, begin, table};

/// The page.
pub(super) fn page(summary: &Summary) -> Result<String, Box<dyn Error>> {
    let mut page = begin("How long mail lives", &summary.command);
    for part in [
        "<p>Simulated: the shipping core of every node, virtual time, one-way latency 10 to 80 ms. ",
        "The writers have left for good; the recipients come back at the end, elsewhere. What is kept is ",
        "read from the disks. Mailboxes: those whose owner read all that was stored, of those for whom something ",
        "was, with the 95 % interval of their share. Bytes are frames alone. Everything follows from the seed.</p>\n",
    ] {
        page.push_str(part);
    }
    page.push_str(&table(summary.rows())?);
    for svg in charts(summary)? {
        page.push_str(&svg);
    }
    page.push_str(END);
    Ok(page)
}

fn charts(summary: &Summary) -> Result<Vec<String>, Box<dyn Error>> {
    let lines = |measure: fn(&Moment) -> f64| -> Vec<Line<'_>> {
        let points = |run: &Run| run.samples.iter().map(|moment| (moment.day, measure(moment))).collect();
        summary.runs.iter().map(|run| Line { name: &run.label, points: points(run), law: None }).collect()
    };
    let charts = [
        draw_days("Letters that some disk has", "%", &lines(|moment| moment.kept_percent))?,
        draw_days("Letters that a running node has", "%", &lines(|moment| moment.within_reach_percent))?,
        draw_days("Running nodes that have a letter", "nodes", &lines(|moment| moment.copies_mean))?,
        draw_days(
            "Letters on the disk of a node",
            "KiB",
            &lines(|moment| moment.letter_bytes_per_node / 1024.0),
        )?,
    ];
    Ok(charts.into_iter().flatten().collect())
}
