//! How far long work is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

const LOOK: &str = "{prefix} [{wide_bar}] {msg}, {elapsed}, {eta} left";

/// A bar on standard error; nothing where that is no terminal. It vanishes with its owner.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// The bar of one piece of work.
    pub(crate) fn new(name: String) -> Self {
        let bar = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name);
        Self(bar)
    }

    /// Shows what it does, and how far it is with that.
    pub(crate) fn show(&self, doing: &'static str, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
        self.0.set_message(doing);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
