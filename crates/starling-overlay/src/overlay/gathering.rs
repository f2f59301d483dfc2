//! Records that come in from several holders, ourselves among them.

use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::ids::RecordKey;
use starling_proto::limits;
use starling_proto::message::Query;
use starling_proto::record::{Record, RecordKind};

use super::{Context, Overlay};
use crate::holder::Wanted;
use crate::storage::StorageError;
use crate::task::asking::Asking;
use crate::task::harvest::{Conduct, Harvest};

/// Records that come in from several holders.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) key: RecordKey,
    pub(super) kind: RecordKind,
    pub(super) words: Vec<String>,
    pub(super) harvest: Harvest,
    pub(super) holders: usize,
}

impl Gathering {
    pub(super) fn new(key: RecordKey, kind: RecordKind, words: Vec<String>, most: usize) -> Self {
        Self { key, kind, words, harvest: Harvest::new(key, kind, most), holders: 0 }
    }

    pub(super) fn take(&mut self, records: Vec<Record>, context: &Context<'_>) -> Conduct {
        let conduct = self.harvest.take(records, context.verify, context.now.seconds());
        if conduct == Conduct::Honest {
            self.holders = self.holders.saturating_add(1);
        }
        conduct
    }

    /// The same for a query: entries that match none of the words are left out.
    pub(super) fn take_matching(&mut self, mut records: Vec<Record>, context: &Context<'_>) -> Conduct {
        records.retain(|record| context.verify.matched_words(record, &self.words) > 0);
        self.take(records, context)
    }
}

impl Overlay {
    /// What we hold ourselves counts like any holder's.
    pub(super) fn gather_own(
        &mut self,
        context: &mut Context<'_>,
        gathering: &mut Gathering,
    ) -> Result<(), StorageError> {
        let wanted =
            Wanted { key: gathering.key, kind: gathering.kind, count: limits::ANSWER_RECORDS, reserved: 0 };
        let own = self.holder.fetch(context.now, context.store, wanted)?;
        if !own.records.is_empty() {
            gathering.take(own.records, context);
        }
        Ok(())
    }

    pub(super) fn query_own(
        &mut self,
        context: &mut Context<'_>,
        gathering: &mut Gathering,
        asking: &mut Asking,
    ) -> Result<(), StorageError> {
        let count = u8::try_from(limits::ANSWER_RECORDS).unwrap_or(u8::MAX);
        let query = Query { key: gathering.key, words: gathering.words.clone(), count };
        let own = self.holder.query(context.now, &mut context.tools(), &query)?;
        if !own.records.is_empty() {
            gathering.take_matching(own.records, context);
            asking.counts_ourselves(self.me, own.left_out);
        }
        Ok(())
    }
}
