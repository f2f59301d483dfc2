//! `starling invite`: a link for one person.

use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::{Code, InviteReply, InviteRequest};
use starling_core::meeting::LONGEST_INVITE_LIFE;
use starling_proto::time::Span;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Form, Local, Page, Qr, Report, bold, dim, plain, warn};
use crate::span;

const EXAMPLES: &str = "\
Examples:
  starling invite
  starling invite --expires 1h --qr           show it to somebody who stands beside you
  starling invite --json | jq -r .invite      the link alone

Whoever is invited types:
  starling run --join INVITE         if their peer is on no network yet
  starling contact add INVITE        then you are contacts";

/// Make a link for one person, by which they join the network and become your contact.
///
/// The first who answers it is your contact, without asking: give it to nobody else. It names peers by which one enters
/// the network.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long it is good: a whole number and s, m, h or d. 30 days at most.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = life)]
    expires: Span,

    /// Show it as a QR code as well.
    #[arg(long)]
    qr: bool,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let home = context.home()?;
    if args.qr && context.output.form() == Form::Json {
        return Err(Failure::new(
            Code::BadInput,
            "--qr draws for people, and --json is for programs",
            "leave out one of them; the text of `invite` in capitals is what the code holds",
        ));
    }
    let request = InviteRequest { life_s: Some(args.expires.as_secs()) };
    let reply = Context::block_on(async { Ok(client::connect(&home)?.invite(&request).await?) })?;
    let qr = args.qr.then(|| Qr::of(&reply.invite.to_string())).transpose()?;
    context.output.show(&Invitation { reply, qr })?;
    Ok(ExitCode::SUCCESS)
}

fn life(text: &str) -> Result<Span, String> {
    match span::parse(text)? {
        life if life > LONGEST_INVITE_LIFE => {
            Err(format!("an invite is good for {} at most", span::text(LONGEST_INVITE_LIFE)))
        }
        life => Ok(life),
    }
}

/// An invite, and how it is drawn.
#[derive(Serialize)]
struct Invitation {
    #[serde(flatten)]
    reply: InviteReply,
    #[serde(skip)]
    qr: Option<Qr>,
}

impl Report for Invitation {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let invite = &self.reply.invite;
        page.line([bold(invite.to_string())]);
        if let Some(qr) = &self.qr {
            page.blank();
            qr.draw(page);
            page.line([dim(format!(
                "If the code looks torn, make the window {} columns wide.",
                qr.columns()
            ))]);
        }
        page.blank();
        page.line([plain("For one person, until "), plain(Local::of(self.reply.expires).to_string())]);
        page.line([plain("Whoever answers it first becomes your contact: give it to nobody else.")]);
        if !invite.network.is_main() {
            page.line([plain(format!(
                "It is for the network {}: they use `starling run --network {0}`.",
                invite.network
            ))]);
        }
        if invite.peers().is_empty() {
            page.line([warn(
                "It names no way into the network, since this peer knows none that others can reach:",
            )]);
            page.line([plain("whoever is invited must be on the network already.")]);
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::addr::Peer;
    use starling_proto::ids::{AccountKey, DeviceKey, NodeKey, OlmKey};
    use starling_proto::invite::{Invite, InviteSecret};
    use starling_proto::time::UnixSeconds;

    use super::*;

    fn invitation(network: &str, peers: Vec<Peer>, qr: bool) -> Invitation {
        let expires = UnixSeconds::new(2_000_000_000);
        let (account, device, key) =
            (AccountKey::new([1; 32]), DeviceKey::new([2; 32]), OlmKey::new([3; 32]));
        let secret = InviteSecret::new([4; 16]);
        let invite = Invite::new(account, device, key, secret, expires, network.parse().unwrap());
        let invite = invite.with_peers(peers);
        let qr = qr.then(|| Qr::of(&invite.to_string()).unwrap());
        Invitation { reply: InviteReply { invite, expires: expires.into() }, qr }
    }

    fn text(invitation: &Invitation) -> String {
        let mut page = Page::default();
        invitation.describe(&mut page);
        page.render(false).to_string()
    }

    fn peer() -> Peer {
        Peer::new(NodeKey::new([9; 32]), ["192.0.2.7:4040".parse().unwrap()])
    }

    #[test]
    fn the_link_stands_alone_on_the_first_line() {
        let invitation = invitation("main", vec![peer()], false);
        let text = text(&invitation);
        assert_eq!(text.lines().next().unwrap().parse(), Ok(invitation.reply.invite));
        assert!(text.contains("give it to nobody else") && !text.contains("--network"), "{text}");
        assert!(!text.contains("no way into the network"), "{text}");
    }

    #[test]
    fn what_the_invited_must_know_is_said() {
        let text = text(&invitation("village", vec![], false));
        assert!(text.contains("`starling run --network village`"), "{text}");
        assert!(text.contains("no way into the network"), "{text}");
    }

    #[test]
    fn a_code_is_drawn_with_its_width() {
        let text = text(&invitation("main", vec![peer()], true));
        assert!(text.contains('▀') && text.contains("61 columns wide"), "{text}");
    }

    #[test]
    fn programs_get_the_contract() {
        let json = serde_json::to_value(invitation("main", vec![], true)).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["expires", "invite"]);
    }

    #[test]
    fn no_invite_is_good_for_ever() {
        assert_eq!(life("30d"), Ok(LONGEST_INVITE_LIFE));
        assert_eq!(life("31d").unwrap_err(), "an invite is good for 30d at most");
    }
}
