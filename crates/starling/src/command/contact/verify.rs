//! `starling contact verify`.

use std::process::ExitCode;

use starling_api::client::Client;
use starling_api::types::{ChangeContactRequest, ContactChange, SafetyNumber};

use super::person;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::output::{Page, Report, bold, dim, good, plain, warn};

/// Groups of digits in a row.
const GROUPS_IN_ROW: usize = 4;

pub(super) const EXAMPLES: &str = "\
Examples:
  starling contact verify bob          shows the digits and asks
  starling contact verify bob --yes    they were the same: he is shown as verified from now on
  starling contact verify bob --no     they were not, or you are not sure any more

Compare them over another way, by telephone or face to face: whoever stands between you could change them here.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A petname, an account id, or 8 letters or more of its beginning.
    who: String,

    /// Note that the digits were the same on both sides.
    #[arg(long, conflicts_with = "no")]
    yes: bool,

    /// Note that they were not, or take back that they were.
    #[arg(long)]
    no: bool,
}

pub(super) fn run(args: &Args, client: &Client, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let mut number = Context::block_on(async { Ok(client.safety_number(&args.who).await?) })?;
    let noted = match (args.yes, args.no) {
        (true, _) => Some(ContactChange::Verify),
        (_, true) => Some(ContactChange::Unverify),
        _ => None,
    };
    if let Some(change) = noted {
        note(&mut number, change, client)?;
        context.output.show(&number)?;
        return Ok(ExitCode::SUCCESS);
    }
    context.output.show(&number)?;
    let question = "Are the same digits on the other side? [y/n, Enter to leave it as it is] ";
    let answer = input::ask(context.output, question, "use --yes or --no")?.unwrap_or_default();
    if input::is_yes(&answer) {
        note(&mut number, ContactChange::Verify, client)?;
    } else if input::is_no(&answer) {
        note(&mut number, ContactChange::Unverify, client)?;
        context.output.warn(
            "then this may not be whom you think, or somebody stands between you: ask them for their account id \
             over another way and compare it with the one above",
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Notes it for the account whose digits were shown, whoever `WHO` has become in the meantime.
fn note(number: &mut SafetyNumber, change: ContactChange, client: &Client) -> Result<(), Failure> {
    let request = ChangeContactRequest { who: number.contact.account.to_string(), change, petname: None };
    number.contact = Context::block_on(async { Ok(client.change_contact(&request).await?) })?;
    Ok(())
}

impl Report for SafetyNumber {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        person::describe(&self.contact, 0, page);
        page.blank();
        let groups: Vec<&str> = self.digits.split_whitespace().collect();
        for row in groups.chunks(GROUPS_IN_ROW) {
            page.indented(4, [bold(row.join("  "))]);
        }
        page.blank();
        page.line([plain(
            "They see the same digits if nobody stands between you. Read them out to each other,",
        )]);
        page.line([plain("by telephone or face to face.")]);
        page.line([if self.contact.verified {
            good("Noted: they were the same.")
        } else {
            warn("Not compared yet.")
        }]);
        if !self.contact.verified {
            page.line([dim("`--yes` notes that they are the same.")]);
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_api::types::{Contact, ContactState};

    use super::*;

    #[test]
    fn sixty_digits_stand_in_twelve_groups() {
        let digits = "42308 20106 01392 53829 33985 98553 55422 35300 61239 12928 04063 88767".to_owned();
        let contact = person::tests::contact("Bob", ContactState::Accepted);
        let number = SafetyNumber { contact: Contact { verified: true, ..contact }, digits };
        let mut page = Page::default();
        number.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false), @r"
        Bob abcd-efgh
          offline, verified
          starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx

            42308  20106  01392  53829
            33985  98553  55422  35300
            61239  12928  04063  88767

        They see the same digits if nobody stands between you. Read them out to each other,
        by telephone or face to face.
        Noted: they were the same.
        ");
    }
}
