//! Reports of the laboratory: HTML pages that need nothing from outside.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use starling_api::types::Code;

use crate::failure::Failure;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>starling lab</title>\n\
<style>body{font:15px/1.5 sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;display:block;overflow-x:auto}\
td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}\
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
    pub(super) fn write(mut self, page: &str) -> Result<(), Failure> {
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

/// The beginning of a page: what it shows, and the command that made it.
pub(super) fn begin(title: &str, command: &str) -> String {
    format!("{HEAD}<h1>{title}</h1>\n<p><code>{command}</code></p>\n")
}

/// The end of a page.
pub(super) const END: &str = "</body>\n</html>\n";

/// A table, its head first.
pub(super) fn table(rows: Vec<Vec<String>>) -> Result<String, std::fmt::Error> {
    let mut table = String::from("<table>\n");
    for (number, row) in rows.into_iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        table.push_str("<tr>");
        for cell in row {
            write!(table, "<{tag}>{cell}</{tag}>")?;
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</table>\n");
    Ok(table)
}
