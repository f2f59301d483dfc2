//! Everybody we know, and how the user names them.

use alloc::collections::BTreeMap;
use alloc::string::String;

use starling_proto::identity::Name;
use starling_proto::ids::{AccountKey, IdPrefix};

use super::ContactError;
use super::contact::Contact;
use crate::display;
use crate::storage::{ContactState, ContactStore, StorageError, TalkStore};

/// Contacts of all states. A person knows hundreds; the bound is for scripts.
pub const CONTACTS: usize = 4096;
/// Requests that wait for the user's answer: more than anybody reads.
pub const INCOMING: usize = 32;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Contacts {
    rows: BTreeMap<AccountKey, Contact>,
    own: Option<AccountKey>,
}

impl Contacts {
    /// Reads all rows. `own` is our own account: our other devices have a row there that no user sees.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub(super) fn load<S: ContactStore + ?Sized>(store: &S, own: AccountKey) -> Result<Self, StorageError> {
        let read = |row| Contact::from_row(row).map(|contact| (contact.account, contact));
        let rows = store.contacts()?.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { rows, own: Some(own) })
    }

    /// All of them, by account.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.everybody().filter(|contact| !self.is_own(&contact.account))
    }

    /// All of them, and the row of our other devices.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Contact> {
        self.rows.values()
    }

    /// Whether an account is our own.
    pub(super) fn is_own(&self, account: &AccountKey) -> bool {
        self.own.as_ref() == Some(account)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, account: &AccountKey) -> Option<&Contact> {
        self.rows.get(account)
    }

    /// Accepted contacts and what they are called: those whom nobody else may pass for.
    #[must_use]
    pub fn accepted_names(&self) -> BTreeMap<AccountKey, String> {
        let accepted = self.iter().filter(|contact| contact.state == ContactState::Accepted);
        accepted.map(|contact| (contact.account, contact.display_name().into())).collect()
    }

    /// Whom the user means: by petname, by account id, or by an unambiguous beginning of a contact's id.
    ///
    /// The account of somebody who is no contact is given too: whether that will do is for the caller to say.
    ///
    /// # Errors
    /// [`ContactError::Unknown`] or [`ContactError::Ambiguous`].
    pub fn resolve(&self, who: &str) -> Result<AccountKey, ContactError> {
        let by_petname = self.rows.values().find(|contact| contact.petname.as_deref() == Some(who));
        if let Some(contact) = by_petname {
            return Ok(contact.account);
        }
        if let Ok(account) = who.parse() {
            return Ok(account);
        }
        let prefix = IdPrefix::parse(who).ok_or_else(|| ContactError::Unknown(who.into()))?;
        let mut matching =
            self.iter().map(|contact| &contact.account).filter(|account| prefix.matches(account));
        match (matching.next(), matching.next()) {
            (Some(account), None) => Ok(*account),
            (None, _) => Err(ContactError::Unknown(who.into())),
            (Some(_), Some(_)) => Err(ContactError::Ambiguous(who.into())),
        }
    }

    /// The contact that the user means.
    ///
    /// # Errors
    /// As for [`Self::resolve`]; [`ContactError::Unknown`] for one who is no contact.
    pub fn find(&self, who: &str) -> Result<&Contact, ContactError> {
        let account = self.resolve(who)?;
        let contact = self.get(&account).filter(|_| !self.is_own(&account));
        contact.ok_or_else(|| ContactError::Unknown(who.into()))
    }

    /// Whether there is room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= CONTACTS
    }

    /// Writes a contact down.
    pub(super) fn put(&mut self, store: &mut dyn TalkStore, contact: Contact) -> Result<(), StorageError> {
        store.write_contact(&contact.to_row())?;
        self.rows.insert(contact.account, contact);
        Ok(())
    }

    /// Forgets a contact.
    pub(super) fn remove(
        &mut self,
        store: &mut dyn TalkStore,
        account: &AccountKey,
    ) -> Result<Option<Contact>, StorageError> {
        store.remove_contact(account)?;
        Ok(self.rows.remove(account))
    }

    /// Checks a petname: a name as others have, that is nobody else's, cannot be mistaken for anybody else's, and
    /// reads as no account id.
    pub(super) fn check_petname(&self, account: &AccountKey, petname: &str) -> Result<(), ContactError> {
        Name::new(petname).map_err(|_| ContactError::BadPetname)?;
        if petname.to_ascii_lowercase().starts_with("starling1") {
            return Err(ContactError::BadPetname);
        }
        let taken = |contact: &Contact| {
            contact.account != *account
                && contact.petname.as_deref().is_some_and(|other| display::looks_like(petname, other))
        };
        if self.rows.values().any(taken) { Err(ContactError::PetnameTaken(petname.into())) } else { Ok(()) }
    }

    /// Whether one more request, behind which there is `bits` of work, is to wait for the user.
    pub(super) fn has_room(&self, bits: u8) -> bool {
        self.least_work().is_none_or(|least| least.is_some_and(|contact| contact.work_bits < bits))
    }

    /// Makes room for one more request: of [`INCOMING`] the one with the least work goes.
    pub(super) fn make_room(&mut self, store: &mut dyn TalkStore) -> Result<(), StorageError> {
        match self.least_work().flatten().cloned() {
            // Whoever can find us is remembered, or blocking them would leave them able to.
            Some(least) if least.can_find_us => {
                self.put(store, Contact { state: ContactState::Declined, ..least })
            }
            Some(least) => self.remove(store, &least.account).map(|_| ()),
            None => Ok(()),
        }
    }

    /// `None` while there is room; else the request with the least work, if any waits.
    fn least_work(&self) -> Option<Option<&Contact>> {
        let waiting = || self.rows.values().filter(|contact| contact.state == ContactState::Incoming);
        let full = self.is_full() || waiting().count() >= INCOMING;
        full.then(|| waiting().min_by_key(|contact| contact.work_bits))
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::time::UnixSeconds;

    use super::*;
    use crate::memory::MemoryStore;

    fn contact(n: u8, state: ContactState, petname: Option<&str>) -> Contact {
        let mut contact = Contact::new(AccountKey::new([n; 32]), state, UnixSeconds::new(1));
        contact.petname = petname.map(Into::into);
        contact
    }

    fn contacts(rows: impl IntoIterator<Item = Contact>) -> (Contacts, MemoryStore) {
        let (mut contacts, mut store) = (Contacts::default(), MemoryStore::default());
        for row in rows {
            contacts.put(&mut store, row).unwrap();
        }
        (contacts, store)
    }

    #[test]
    fn who_is_a_petname_an_id_or_its_beginning() {
        let ada = contact(1, ContactState::Accepted, Some("Ada"));
        let id = ada.account.to_string();
        let (contacts, store) = contacts([ada.clone(), contact(2, ContactState::Incoming, None)]);
        assert_eq!(contacts.resolve("Ada"), Ok(ada.account));
        assert_eq!(contacts.resolve(&id), Ok(ada.account));
        assert_eq!(contacts.resolve(id.get(..9 + 8).unwrap()), Ok(ada.account), "with the human prefix");
        assert_eq!(contacts.resolve(id.get(9..9 + 8).unwrap()), Ok(ada.account));
        assert!(matches!(contacts.resolve(id.get(9..9 + 7).unwrap()), Err(ContactError::Unknown(_))));
        assert!(matches!(contacts.resolve("Bob"), Err(ContactError::Unknown(_))));
        assert_eq!(Contacts::load(&store, AccountKey::new([9; 32])).unwrap().rows, contacts.rows);
    }

    #[test]
    fn an_ambiguous_beginning_is_refused() {
        let mut almost = [1; 32];
        almost[31] = 9;
        let twin = Contact::new(AccountKey::new(almost), ContactState::Accepted, UnixSeconds::new(1));
        let id = twin.account.to_string();
        let (contacts, _) = contacts([contact(1, ContactState::Accepted, None), twin]);
        assert!(matches!(contacts.resolve(id.get(..9 + 8).unwrap()), Err(ContactError::Ambiguous(_))));
    }

    #[test]
    fn somebody_unknown_is_resolved_and_not_found() {
        let (contacts, _) = contacts([]);
        let account = AccountKey::new([7; 32]);
        assert_eq!(contacts.resolve(&account.to_string()), Ok(account));
        assert!(matches!(contacts.find(&account.to_string()), Err(ContactError::Unknown(_))));
    }

    #[test]
    fn petnames_cannot_be_mistaken_for_one_another() {
        let (contacts, _) = contacts([contact(1, ContactState::Accepted, Some("Ada"))]);
        let (ada, bob) = (AccountKey::new([1; 32]), AccountKey::new([2; 32]));
        assert_eq!(contacts.check_petname(&ada, "Ada"), Ok(()));
        assert_eq!(contacts.check_petname(&bob, "Bob"), Ok(()));
        assert_eq!(contacts.check_petname(&bob, "ada"), Err(ContactError::PetnameTaken("ada".into())));
        assert_eq!(contacts.check_petname(&bob, "starling1qqq"), Err(ContactError::BadPetname));
        assert_eq!(contacts.check_petname(&bob, " "), Err(ContactError::BadPetname));
    }

    #[test]
    fn of_many_requests_the_one_with_the_least_work_goes() {
        let many = (0..INCOMING as u8).map(|n| {
            let mut waiting = contact(n, ContactState::Incoming, None);
            waiting.work_bits = 10 + n;
            waiting
        });
        let (mut contacts, mut store) = contacts(many);
        assert!(!contacts.has_room(10) && contacts.has_room(11));
        contacts.make_room(&mut store).unwrap();
        assert!(contacts.has_room(0));
        assert_eq!(contacts.get(&AccountKey::new([0; 32])), None);
        assert_eq!(store.contacts().unwrap().len(), INCOMING - 1);
    }
}
