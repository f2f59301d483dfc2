//! `starling search`: finding people by words.

use std::process::ExitCode;

use starling_api::types::{SearchHit, SearchReply, SearchRequest};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bold, dim, good, plain, warn};

const EXAMPLES: &str = "\
Examples:
  starling search chess              people with a word that begins with \"chess\"
  starling search alex math berlin   those who match most words come first
  starling search --limit 5 rust";

/// Find people by words, or beginnings of words, of their name, keywords and about text.
///
/// Only people who chose to be listed are found. A word of fewer than three letters is found whole, not as a beginning.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Words or beginnings of words.
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,

    /// Show at most N people.
    #[arg(long, value_name = "N", default_value_t = SearchRequest::DEFAULT_LIMIT)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    let request = SearchRequest { words: args.words, limit: args.limit };
    let found = Context::block_on(async { Ok(client::connect(&home)?.search(&request).await?) })?;
    context.output.show(&found)?;
    Ok(ExitCode::SUCCESS)
}

impl Report for SearchReply {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        for hit in &self.results {
            describe_hit(hit, page);
        }
        page.line([dim(summary(self))]);
    }
}

/// The end of the answer, in words.
fn summary(reply: &SearchReply) -> String {
    let people = match reply.results.len() {
        0 => "nobody found".to_owned(),
        1 => "1 person".to_owned(),
        many => format!("{many} people"),
    };
    let more =
        if reply.truncated { format!(", at least {} more left out", reply.left_out) } else { String::new() };
    let holders = match reply.asked_holders {
        1 => "1 holder".to_owned(),
        many => format!("{many} holders"),
    };
    format!("{people}{more}; {holders} answered in {} ms", reply.took_ms)
}

fn describe_hit<'a>(hit: &'a SearchHit, page: &mut Page<'a>) {
    let mut line = vec![bold(&hit.name), plain(" "), dim(&hit.tag)];
    if hit.total_words > 1 {
        line.push(dim(format!("  {} of {} words", hit.matched, hit.total_words)));
    }
    if hit.contact {
        line.push(good("  your contact"));
    }
    if hit.look_alike {
        line.push(warn("  looks like one of your contacts and is somebody else"));
    }
    page.line(line);
    page.block(2, &hit.about);
    page.indented(2, [dim(hit.account.to_string())]);
    page.blank();
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::AccountKey;

    use super::*;

    fn hit(name: &str, about: &str) -> SearchHit {
        SearchHit {
            account: AccountKey::new([7; 32]),
            name: name.into(),
            about: about.into(),
            matched: 1,
            total_words: 2,
            tag: "abcd-efgh".into(),
            contact: false,
            look_alike: false,
        }
    }

    fn text(results: Vec<SearchHit>, left_out: u32) -> String {
        let reply =
            SearchReply { results, truncated: left_out > 0, left_out, asked_holders: 20, took_ms: 31 };
        let mut page = Page::default();
        reply.describe(&mut page);
        page.render(false).to_string()
    }

    #[test]
    fn people_are_shown_with_their_tags() {
        let known = SearchHit { contact: true, total_words: 1, ..hit("Bob", "") };
        let fake = SearchHit { look_alike: true, ..hit("B\u{202e}ob\n", "one\ntwo\u{1b}[2J") };
        insta::assert_snapshot!(text(vec![known, fake], 3), @r"
        Bob abcd-efgh  your contact
          starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx

        B<U+202E>ob<U+000A> abcd-efgh  1 of 2 words  looks like one of your contacts and is somebody else
          one
          two<U+001B>[2J
          starling1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursfz3ftx

        2 people, at least 3 more left out; 20 holders answered in 31 ms
        ");
    }

    #[test]
    fn nobody_is_said() {
        insta::assert_snapshot!(text(vec![], 0), @"nobody found; 20 holders answered in 31 ms");
        let one =
            SearchReply { results: Vec::new(), truncated: false, left_out: 0, asked_holders: 1, took_ms: 5 };
        assert_eq!(summary(&one), "nobody found; 1 holder answered in 5 ms");
    }
}
