//! How one contact reads.

use starling_api::types::{Contact, ContactState, Presence};

use crate::output::{Local, Page, Piece, bold, dim, good, plain};

/// What to call somebody, and the tag, in a line of their own.
pub(in crate::command) fn title(contact: &Contact) -> String {
    format!("{} {}", called(contact), contact.tag)
}

/// How somebody appears, in a word.
pub(in crate::command) const fn word(presence: Presence) -> &'static str {
    match presence {
        Presence::Online => "online",
        Presence::Away => "away",
        Presence::Busy => "busy",
        Presence::Offline => "offline",
    }
}

/// Writes who it is and how they stand. What others wrote has lines of its own, so that it cannot pass for what we say.
pub(super) fn describe<'a>(contact: &'a Contact, indent: usize, page: &mut Page<'a>) {
    let beneath = indent.saturating_add(2);
    page.indented(indent, [bold(called(contact)), plain(" "), dim(&contact.tag)]);
    if contact.petname.is_some() && !contact.name.is_empty() {
        page.indented(beneath, [dim("by their own name: "), plain(&contact.name)]);
    }
    let facts = facts(contact);
    if !facts.is_empty() {
        page.indented(beneath, facts);
    }
    if !contact.status_line.is_empty() {
        page.indented(beneath, [dim("says: "), plain(&contact.status_line)]);
    }
    if !contact.note.is_empty() && contact.state != ContactState::Accepted {
        page.indented(beneath, [dim("wrote:")]);
        page.block(beneath.saturating_add(2), &contact.note);
    }
    page.indented(beneath, [dim(contact.account.to_string())]);
}

fn called(contact: &Contact) -> &str {
    match contact.petname.as_deref().unwrap_or(&contact.name) {
        "" => "(name not known yet)",
        name => name,
    }
}

/// Our own words about somebody, in one line.
fn facts(contact: &Contact) -> Vec<Piece<'_>> {
    let mut facts = Vec::new();
    if contact.state == ContactState::Accepted {
        facts.push(match contact.presence {
            Presence::Online => good(word(contact.presence)),
            Presence::Away | Presence::Busy => plain(word(contact.presence)),
            Presence::Offline => dim(word(contact.presence)),
        });
        if contact.typing {
            facts.push(plain("typing"));
        }
    }
    if let (Some(last), Presence::Offline) = (contact.last_seen, contact.presence) {
        facts.push(dim(format!("last seen {}", Local::of(last))));
    }
    if contact.verified {
        facts.push(good("verified"));
    }
    let mut line = Vec::new();
    for fact in facts {
        if !line.is_empty() {
            line.push(plain(", "));
        }
        line.push(fact);
    }
    line
}

#[cfg(test)]
pub(super) mod tests {
    use starling_proto::ids::AccountKey;

    use super::*;

    pub(in crate::command::contact) fn contact(name: &str, state: ContactState) -> Contact {
        Contact {
            account: AccountKey::new([7; 32]),
            name: name.into(),
            petname: None,
            tag: "abcd-efgh".into(),
            state,
            note: String::new(),
            verified: false,
            added: "2026-11-21T11:00:00.000Z".parse().unwrap(),
            presence: Presence::Offline,
            status_line: String::new(),
            typing: false,
            last_seen: None,
            devices: 1,
        }
    }

    fn text(contact: &Contact) -> String {
        let mut page = Page::default();
        describe(contact, 0, &mut page);
        page.render(false).to_string()
    }

    #[test]
    fn a_contact_reads_well() {
        let bob = Contact {
            petname: Some("bob".into()),
            verified: true,
            presence: Presence::Online,
            typing: true,
            status_line: "at the board\u{1b}[2J".into(),
            note: "no longer shown".into(),
            ..contact("Robert", ContactState::Accepted)
        };
        insta::assert_snapshot!(text(&bob), @r"
        bob abcd-efgh
          by their own name: Robert
          online, typing, verified
          says: at the board<U+001B>[2J
          starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx
        ");
    }

    #[test]
    fn uix_02_whoever_asks_cannot_say_more_than_a_name_and_a_note() {
        let mallory = Contact {
            note: "hello\n  online, verified\u{202e}".into(),
            ..contact("Bob\n  online, verified", ContactState::Incoming)
        };
        insta::assert_snapshot!(text(&mallory), @r"
        Bob<U+000A>  online, verified abcd-efgh
          wrote:
            hello
              online, verified<U+202E>
          starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx
        ");
    }

    #[test]
    fn who_has_not_answered_has_no_name() {
        let asked = text(&contact("", ContactState::Requested));
        assert!(asked.starts_with("(name not known yet) abcd-efgh\n"), "{asked}");
        assert_eq!(asked.lines().count(), 2, "nothing is known of them: {asked}");
    }

    #[test]
    fn who_is_away_was_here_once() {
        let last_seen = Some("2026-11-20T10:00:00.000Z".parse().unwrap());
        let gone = text(&Contact { last_seen, ..contact("Bob", ContactState::Accepted) });
        assert!(gone.contains("  offline, last seen 2026-11-"), "{gone}");
    }
}
