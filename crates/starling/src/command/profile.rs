//! `starling profile`: what the user says about themselves, and whether it can be found.

use std::process::ExitCode;

use clap::Subcommand;
use starling_api::types::{Profile, ProfileRequest};
use starling_proto::DecodeError;
use starling_proto::identity::{About, Keyword, Name};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bold, dim, good, plain};

const EXAMPLES: &str = "\
Examples:
  starling profile set --name \"Alice Liddell\" --about \"rabbit holes and croquet\"
  starling profile set --keyword chess --keyword maths
  starling profile list      appear in the directory
  starling profile unlist    appear there no longer";

/// Show or change what you say about yourself, and whether others can find it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Change name, about text or keywords; what is not named stays.
    #[command(after_help = EXAMPLES)]
    Set(Changes),
    /// Show the profile.
    Show,
    /// Appear in the directory: anybody can find you by the words of your profile.
    List,
    /// Appear in the directory no longer. Copies that others made stay with them.
    Unlist,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// The name, at most 128 bytes.
    #[arg(long, value_parser = super::init::name)]
    name: Option<Name>,

    /// The about text, at most 512 bytes. Each of its words can be searched for.
    #[arg(long, value_name = "TEXT", value_parser = super::init::about)]
    about: Option<About>,

    /// A word to be found by; repeat it for several. They replace those that were there.
    #[arg(long = "keyword", value_name = "WORD", value_parser = keyword)]
    keywords: Vec<Keyword>,

    /// Remove all keywords.
    #[arg(long, conflicts_with = "keywords")]
    no_keywords: bool,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let profile = Context::block_on(async {
        let client = client::connect(&home)?;
        Ok(match args.action {
            Action::Set(changes) => client.set_profile(&changes.into()).await?,
            Action::Show => client.profile().await?,
            Action::List => client.set_listed(true).await?,
            Action::Unlist => client.set_listed(false).await?,
        })
    })?;
    context.output.show(&profile)?;
    Ok(ExitCode::SUCCESS)
}

impl From<Changes> for ProfileRequest {
    fn from(changes: Changes) -> Self {
        let keywords: Vec<String> = changes.keywords.iter().map(|word| word.as_str().to_owned()).collect();
        Self {
            name: changes.name.map(|name| name.as_str().to_owned()),
            about: changes.about.map(|about| about.as_str().to_owned()),
            keywords: (changes.no_keywords || !keywords.is_empty()).then_some(keywords),
        }
    }
}

impl Report for Profile {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([bold(&self.name)]);
        page.block(2, &self.about);
        if !self.keywords.is_empty() {
            page.indented(2, [dim("keywords: "), plain(self.keywords.join(", "))]);
        }
        page.line([if self.listed {
            good("listed: anybody can find this by its words")
        } else {
            dim("unlisted: nobody can search for this")
        }]);
    }
}

fn keyword(text: &str) -> Result<Keyword, String> {
    Keyword::new(text).map_err(|error| match error {
        DecodeError::BadText(_) => "a keyword is one word, without blanks".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(keywords: &[&str], no_keywords: bool) -> ProfileRequest {
        let keywords = keywords.iter().map(|word| keyword(word).unwrap()).collect();
        Changes { name: None, about: None, keywords, no_keywords }.into()
    }

    #[test]
    fn keywords_stay_are_replaced_or_go() {
        assert_eq!(request(&[], false).keywords, None);
        assert_eq!(request(&["chess"], false).keywords, Some(vec!["chess".to_owned()]));
        assert_eq!(request(&[], true).keywords, Some(vec![]));
    }

    #[test]
    fn a_profile_reads_well() {
        let profile = Profile {
            name: "Alice".into(),
            about: "croquet\nrabbit holes".into(),
            keywords: vec!["chess".into(), "maths".into()],
            listed: true,
        };
        let mut page = Page::default();
        profile.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false), @r"
        Alice
          croquet
          rabbit holes
          keywords: chess, maths
        listed: anybody can find this by its words
        ");
    }
}
