//! What answering has cost, counted where the work is done: how much is held decides it, not the request alone.

/// Work done since the holder was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Rows of the index looked at to find what lies under a key.
    pub rows: u64,
    /// Directory entries read and compared with the words of a query.
    pub compared: u64,
    /// Deletions written for owners.
    pub deleted: u64,
}

impl Work {
    /// What was done since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(earlier.rows),
            compared: self.compared.saturating_sub(earlier.compared),
            deleted: self.deleted.saturating_sub(earlier.deleted),
        }
    }
}

/// Adds to a count of work.
pub(super) fn add(count: &mut u64, more: usize) {
    *count = count.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}
