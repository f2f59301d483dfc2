//! The report of `starling lab scale`: one HTML page that needs nothing from outside.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use starling_api::types::Code;

use super::chart::{Line, draw};
use super::scale::{Run, Summary};
use crate::failure::Failure;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>starling lab scale</title>\n\
<style>body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
svg{max-width:100%;height:auto;margin:1rem 0}code{background:#f2f2f2;padding:.1rem .3rem}</style>\n</head>\n<body>\n";

/// Where a report will be written: a file that could be opened for writing before there is anything to write.
pub(super) struct Place {
    path: PathBuf,
    file: File,
    /// Whether it was not there before, and goes again if nothing is written.
    is_new: bool,
    written: bool,
}

impl Place {
    /// Opens `path`; what is there stays until there is a report.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        let is_new = !path.exists();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|error| cannot_write(&path, &error))?;
        Ok(Self { path, file, is_new, written: false })
    }

    /// Writes the report, in place of what was there.
    pub(super) fn write(mut self, summary: &Summary) -> Result<(), Failure> {
        let page = page(summary).map_err(|error| Failure::internal(&error))?;
        let replaced = self.file.rewind().and_then(|()| self.file.set_len(0));
        let written = replaced.and_then(|()| self.file.write_all(page.as_bytes()));
        written.map_err(|error| cannot_write(&self.path, &error))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_new && !self.written {
            // An empty file that stays is a nuisance and no more.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the report {} cannot be written: {error}", path.display());
    Failure::new(Code::BadInput, message, "name a file with --html in a directory where you may write")
}

fn page(summary: &Summary) -> Result<String, Box<dyn Error>> {
    let mut page = String::from(HEAD);
    write!(page, "<h1>How costs grow with the network</h1>\n<p><code>{}</code></p>\n", command(summary))?;
    page.push_str("<p>Simulated: the shipping core, virtual time, one-way latency 10 to 80 ms. ");
    page.push_str("Times and memory are this machine's, everything else follows from the seed.</p>\n");
    page.push_str(&table(summary)?);
    if let Some(law) = &summary.fits.requests_per_lookup {
        writeln!(page, "<p>Requests of a lookup: <b>{}</b> (least squares).</p>", law.formula())?;
    }
    for svg in charts(summary)? {
        page.push_str(&svg);
    }
    page.push_str("</body>\n</html>\n");
    Ok(page)
}

fn command(summary: &Summary) -> String {
    let sizes: Vec<String> = summary.runs.iter().map(|run| run.nodes.to_string()).collect();
    let seed = summary.runs.first().map_or(0, |run| run.seed);
    format!("starling lab scale --nodes {} --seed {seed}", sizes.join(","))
}

fn table(summary: &Summary) -> Result<String, std::fmt::Error> {
    let mut table = String::from("<table>\n");
    for (number, row) in summary.rows().into_iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        table.push_str("<tr>");
        for cell in row {
            write!(table, "<{tag}>{cell}</{tag}>")?;
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</table>\n<p>Traces: ");
    for run in &summary.runs {
        write!(table, "<code>{}: {}</code> ", run.nodes, run.trace)?;
    }
    table.push_str("</p>\n");
    Ok(table)
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
