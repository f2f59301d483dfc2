//! What lay at a mailbox: requests of strangers go on to be checked, mail of contacts to the machine of talking.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_crypto::envelope::open_request;
use starling_crypto::session::OlmAccount;
use starling_proto::identity::Envelope;
use starling_proto::ids::{AccountKey, DeviceKey, MailboxAddress, PublisherKey, RecordId, RecordKey};
use starling_proto::message::Deliver;
use starling_proto::record::{Record, RecordKind};

use super::arrivals::{self, Arrival};
use super::reading::Finished;
use super::{Context, Meeting, Output};
use crate::storage::{ContactState, StorageError};

/// Mail of one device, as it lay at one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Where it lay.
    pub mailbox: MailboxAddress,
    /// Whose leave it was deposited with; the sessions inside prove who wrote it.
    pub device: DeviceKey,
    /// What each deposit held.
    pub batches: Vec<(RecordId, Deliver)>,
    /// Whether all holders were asked: what is missing then will not be found beside it any more.
    pub complete: bool,
}

/// What a deposit of a stranger turned out to be.
enum Opened {
    /// A request, to be checked.
    Request(Box<Arrival>),
    /// A request whose date will not do: or our clock is wrong.
    Untimely,
    /// None that is for us.
    Worthless,
}

impl<A: OlmAccount> Meeting<A> {
    /// Opens what lay at a mailbox: what can be opened goes on, the rest can go.
    pub(super) fn mailbox_read(
        &mut self,
        context: &mut Context<'_>,
        mailbox: MailboxAddress,
        finished: &Finished,
    ) -> Result<(), StorageError> {
        let random = context.rng.next_u32();
        let complete = self.inbox.read(&mailbox, finished, context.now.tick, random);
        let deposits: Vec<&Record> = deposits(&mailbox, &finished.records).collect();
        if !deposits.is_empty() {
            match self.depositors(context, &mailbox) {
                Some(depositors) => {
                    let whole = finished.full && !finished.more && !finished.missed;
                    self.sort_mail(context, mailbox, &depositors, (&deposits, whole));
                }
                None => self.sort_requests(context, &mailbox, &deposits),
            }
        }
        if complete {
            self.secrets.fetched(context.clock(), context.rng);
            self.secrets.save(context.store)?;
        }
        Ok(())
    }

    /// Who may deposit at a mailbox of ours; `None` if it is none that contacts know.
    fn depositors(
        &self,
        context: &Context<'_>,
        mailbox: &MailboxAddress,
    ) -> Option<BTreeMap<PublisherKey, DeviceKey>> {
        let talked_with = |state| matches!(state, ContactState::Accepted | ContactState::Requested);
        let contacts = self.contacts.everybody().filter(|contact| talked_with(contact.state));
        let devices = contacts.flat_map(|contact| {
            let account: AccountKey = contact.account;
            contact.devices.keys().map(move |device| (account, *device))
        });
        Some(self.secrets.boxes.depositors(mailbox, devices, context.now.seconds())?.into_iter().collect())
    }

    /// Hands mail on, sorted by the device that left it. What no contact left can go.
    fn sort_mail(
        &mut self,
        context: &Context<'_>,
        mailbox: MailboxAddress,
        depositors: &BTreeMap<PublisherKey, DeviceKey>,
        (deposits, complete): (&[&Record], bool),
    ) {
        let us = context.me.identity.device();
        let mut worthless = Vec::new();
        let mut sorted: BTreeMap<DeviceKey, Vec<(RecordId, Deliver)>> = BTreeMap::new();
        for record in deposits {
            let device = depositors.get(&record.body().publisher);
            let opened = device.zip(Envelope::decode(&record.body().payload).ok());
            let opened = opened.and_then(|(device, envelope)| {
                let plaintext = self.secrets.keys.open(&us, &mailbox, &envelope).ok()?;
                Some((*device, Deliver::decode(&plaintext).ok()?))
            });
            match opened {
                Some((device, deliver)) => sorted.entry(device).or_default().push((record.id(), deliver)),
                None => worthless.push(record.id()),
            }
        }
        self.inbox.delete(context.now, &mut self.errands, &mailbox, &worthless);
        for (device, batches) in sorted {
            self.errands.say(Output::Mail(Mail { mailbox, device, batches, complete }));
        }
    }

    /// Mail has been taken, as far as it ever will be: it can go. `again`: some of it was held back for what is missing.
    pub fn mail_taken(
        &mut self,
        context: &Context<'_>,
        mailbox: &MailboxAddress,
        taken: &[RecordId],
        again: bool,
    ) {
        self.inbox.delete(context.now, &mut self.errands, mailbox, taken);
        if again {
            self.inbox.read_in_full(mailbox, context.now.tick);
        }
    }

    fn sort_requests(&mut self, context: &mut Context<'_>, mailbox: &MailboxAddress, deposits: &[&Record]) {
        let (mut arrivals, mut worthless) = (Vec::new(), Vec::new());
        for record in deposits {
            match self.open(context, mailbox, record) {
                Opened::Request(arrival) => arrivals.push(*arrival),
                Opened::Untimely if !context.clock_confirmed => {}
                Opened::Untimely | Opened::Worthless => worthless.push(record.id()),
            }
        }
        let request_inbox = self.secrets.request_inbox();
        self.arrivals.take_in(arrivals, &request_inbox, context.now.tick, &mut self.errands);
        self.inbox.delete(context.now, &mut self.errands, mailbox, &worthless);
    }

    fn open(&self, context: &Context<'_>, mailbox: &MailboxAddress, record: &Record) -> Opened {
        let me = context.me.identity;
        let opened = Envelope::decode(&record.body().payload)
            .ok()
            .and_then(|envelope| open_request(&self.secrets.keys, &me.device(), mailbox, &envelope).ok());
        let Some(request) = opened.filter(|request| request.device().key() != me.device()) else {
            return Opened::Worthless;
        };
        if !arrivals::is_timely(&request, context.now.seconds()) {
            return Opened::Untimely;
        }
        let bits = record.stamp().map_or(0, |stamp| stamp.bits);
        Opened::Request(Box::new(Arrival::new(request, bits, *mailbox, record.id())))
    }
}

/// Deposits among records that were taken from a mailbox.
fn deposits<'a>(mailbox: &MailboxAddress, records: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let key = RecordKey::for_mailbox(mailbox);
    records.iter().filter(move |record| {
        let body = record.body();
        body.kind == RecordKind::Deposit && body.key == key
    })
}
