//! How far a simulation is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use starling_sim::scale::{Plan, Progress};

const LOOK: &str = "{prefix} [{wide_bar}] {msg}, {elapsed}, {eta} left";

/// A bar on standard error; nothing where that is no terminal. It vanishes with its owner.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// The bar of one run.
    pub(super) fn new(plan: Plan) -> Self {
        let bar = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(format!("{} nodes", plan.nodes));
        Self(bar)
    }

    /// Shows how far it is: by virtual time, which passes more slowly where more happens in it.
    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.all.as_ms());
        self.0.set_position(progress.passed.as_ms());
        self.0.set_message(progress.doing);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
