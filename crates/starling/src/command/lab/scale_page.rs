//! The report of `starling lab scale`.

use std::error::Error;
use std::fmt::Write as _;

use super::chart::{Line, draw};
use super::report::{END, begin, table};
use super::scale::{Run, Summary};

/// The page.
pub(super) fn page(summary: &Summary) -> Result<String, Box<dyn Error>> {
    let mut page = begin("How costs grow with the network", &command(summary));
    page.push_str("<p>Simulated: the shipping core, virtual time, one-way latency 10 to 80 ms. ");
    page.push_str("Times and memory are this machine's, everything else follows from the seed.</p>\n");
    page.push_str(&table(summary.rows())?);
    page.push_str(&traces(summary)?);
    if let Some(law) = &summary.fits.requests_per_lookup {
        writeln!(page, "<p>Requests of a lookup: <b>{}</b> (least squares).</p>", law.formula())?;
    }
    for svg in charts(summary)? {
        page.push_str(&svg);
    }
    page.push_str(END);
    Ok(page)
}

fn command(summary: &Summary) -> String {
    let sizes: Vec<String> = summary.runs.iter().map(|run| run.nodes.to_string()).collect();
    let seed = summary.runs.first().map_or(0, |run| run.seed);
    format!("starling lab scale --nodes {} --seed {seed}", sizes.join(","))
}

fn traces(summary: &Summary) -> Result<String, std::fmt::Error> {
    let mut traces = String::from("<p>Traces: ");
    for run in &summary.runs {
        write!(traces, "<code>{}: {}</code> ", run.nodes, run.trace)?;
    }
    traces.push_str("</p>\n");
    Ok(traces)
}

fn charts(summary: &Summary) -> Result<Vec<String>, Box<dyn Error>> {
    let line = |name, measure: fn(&Run) -> f64| {
        let points = summary.runs.iter().map(|run| (run.nodes as f64, measure(run))).collect();
        Line { name, points, law: None }
    };
    let law =
        |law: Option<super::law::Law>| law.map(|law| Box::new(move |n| law.at(n)) as Box<dyn Fn(f64) -> f64>);
    let mut lookups = line("a lookup of the 20 closest", |run| run.requests_per_lookup);
    lookups.law = law(summary.fits.requests_per_lookup);
    let mut joins = line("a join", |run| run.requests_per_join);
    joins.law = law(summary.fits.requests_per_join);
    let hour = line("a quiet node", |run| run.bytes_per_node_hour);
    let lookup_cpu = line("a lookup", |run| run.lookup_cpu_ms);
    let join_cpu = line("a join and what follows", |run| run.join_cpu_s * 1000.0 / run.nodes as f64);
    let memory = line("a node", |run| run.memory_per_node_bytes.unwrap_or(0) as f64);
    let charts = [
        draw("Requests", "requests", &[lookups, joins])?,
        draw("Traffic of an hour in which nobody does anything", "bytes sent", &[hour])?,
        draw("Processor time, of all nodes together", "ms", &[lookup_cpu, join_cpu])?,
        draw("Memory, disk included", "bytes", &[memory])?,
    ];
    Ok(charts.into_iter().flatten().collect())
}
