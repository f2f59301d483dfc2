//! `starling contact list`.

use std::process::ExitCode;

use starling_api::client::Client;
use starling_api::types::{ContactState, Contacts};

use super::person;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, dim};

/// The sections, in the order of what the user may want to do something about.
const SECTIONS: [(ContactState, &str); 5] = [
    (ContactState::Incoming, "asking to be your contact: `starling contact accept` or `decline`"),
    (ContactState::Accepted, "contacts"),
    (ContactState::Requested, "asked by you, no answer yet"),
    (ContactState::Declined, "declined, by them or by you"),
    (ContactState::Blocked, "blocked"),
];

pub(super) fn run(client: &Client, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let contacts = Context::block_on(async { Ok(client.contacts().await?) })?;
    context.output.show(&contacts)?;
    Ok(ExitCode::SUCCESS)
}

impl Report for Contacts {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        if self.contacts.is_empty() {
            page.line([dim(
                "nobody yet: `starling search` finds people, `starling invite` makes a link for one",
            )]);
        }
        for (state, heading) in SECTIONS {
            let mut people = self.contacts.iter().filter(|contact| contact.state == state).peekable();
            if people.peek().is_some() {
                page.line([dim(heading)]);
            }
            for contact in people {
                person::describe(contact, 2, page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(contacts: &Contacts) -> String {
        let mut page = Page::default();
        contacts.describe(&mut page);
        page.render(false).to_string()
    }

    #[test]
    fn who_asks_stands_first() {
        let states = [
            ContactState::Requested,
            ContactState::Incoming,
            ContactState::Accepted,
            ContactState::Declined,
            ContactState::Blocked,
        ];
        let contacts = states.map(|state| person::tests::contact(&format!("{state:?}"), state)).into();
        let shown = text(&Contacts { contacts });
        let names = shown.lines().filter_map(|line| line.strip_suffix(" abcd-efgh")).map(str::trim);
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["Incoming", "Accepted", "Requested", "Declined", "Blocked"],
            "each state has its section"
        );
        assert_eq!(shown.lines().filter(|line| !line.starts_with(' ')).count(), 5, "{shown}");
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert!(text(&Contacts::default()).contains("starling search"));
    }
}
