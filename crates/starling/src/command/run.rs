//! `starling run`: a peer in the foreground.

mod join;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::ValueEnum;
use starling_api::server::Listen;
use starling_api::types::{Code, EventBody, Ready};
use starling_proto::addr::JoinAddr;
use starling_proto::version::NetworkName;
use starling_store::{DataKey, Database, Home};
use tokio::runtime::Builder;

use self::join::JoinTarget;
use crate::context::{Context, runtime};
use crate::failure::Failure;
use crate::harden::harden;
use crate::hold::HoldCap;
use crate::output::{Form, Output, Page, Report, bold, dim, good, plain};
use crate::peer::{Peer, PeerConfig};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  starling run
  starling run --listen 0.0.0.0:4040
  starling run --join NODEID@192.0.2.7:4040    the `join` line that another peer prints
  starling run --hold-at-most 1GiB             holds more mail and profiles for others
  starling run --network village --json        prints one line of JSON when it is ready

Ctrl-C says goodbye to the peers and ends; a second one ends at once.";

/// Run a peer in the foreground, until interrupted.
///
/// Without --join it tries the peers it knows from before; a peer that knows nobody waits until somebody joins it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The network to be on. Peers of different networks do not see each other.
    #[arg(long, value_name = "NAME", default_value = "main")]
    network: NetworkName,

    /// Listen for peers there; repeat it for the other address family [default: any port, all interfaces].
    #[arg(long, value_name = "IP:PORT")]
    listen: Vec<SocketAddr>,

    /// Enter the network through this peer: NODEID@IP:PORT, as its own `starling run` prints it, or an invite. Repeat it
    /// for several.
    #[arg(long, value_name = "ADDR|INVITE")]
    join: Vec<JoinTarget>,

    /// Hold so much for others at most: a whole number and MiB or GiB, 8MiB to 4GiB. Where more is held already, nothing is
    /// thrown away, and nothing new taken until there is room.
    #[arg(long, value_name = "SIZE", default_value_t = HoldCap::DEFAULT)]
    hold_at_most: HoldCap,

    /// Look for peers on the local network. Only `off` is built yet.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    lan: Switch,

    /// Listen there for commands of the same user: an address of this machine, or `unix` for a socket in the home.
    #[arg(long, value_name = "IP:PORT|unix", default_value = "127.0.0.1:0")]
    api: Listen,

    /// Allow --api an address that other machines can reach. What they send and get is not encrypted.
    #[arg(long)]
    api_remote: bool,

    /// Let others' relays pass on traffic. Only `off` is built yet.
    #[arg(long, value_enum, default_value_t = Relay::Off)]
    relay: Relay,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// When to use relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Relay {
    Auto,
    On,
    Off,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let (config, peers) = args.understood()?;
    let home = Home::open(&context.home()?)?;
    let has_passphrase = home.needs_passphrase()?;
    // First the lock: who cannot run is told before a passphrase is asked for.
    let lock = home.lock()?;
    let key = unlock(&home, has_passphrase, context)?;
    let database = Database::open(&lock, &key)?;
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    let served = runtime.block_on(serve(&home, database, config, peers, context.output));
    // Who interrupts twice does not wait for what is still under way.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

impl Args {
    /// What the words mean, or why they cannot be followed.
    fn understood(self) -> Result<(PeerConfig, Vec<JoinAddr>), Failure> {
        if self.lan != Switch::Off {
            return Err(not_built("--lan on", "--lan off"));
        }
        match self.relay {
            Relay::Off => {}
            Relay::On => return Err(not_built("--relay on", "--relay off")),
            Relay::Auto => return Err(not_built("--relay auto", "--relay off")),
        }
        let mut peers = Vec::new();
        for target in &self.join {
            peers.extend(target.peers(&self.network)?);
        }
        let Self { network, listen, api, api_remote, hold_at_most, .. } = self;
        Ok((PeerConfig { network, listen, api, api_remote, hold_at_most }, peers))
    }
}

fn unlock(home: &Home, has_passphrase: bool, context: &Context<'_>) -> Result<DataKey, Failure> {
    let passphrase = if has_passphrase { Some(context.passphrase().existing()?) } else { None };
    Ok(home.unlock(passphrase.as_ref())?)
}

async fn serve(
    home: &Home,
    database: Database,
    config: PeerConfig,
    peers: Vec<JoinAddr>,
    output: &mut Output,
) -> Result<(), Failure> {
    // Before the node: a signal while it starts must end it properly as well.
    let mut signals = Signals::watch()?;
    if config.api_remote && matches!(config.api, Listen::Tcp(address) if !address.ip().is_loopback()) {
        output.warn("other machines can reach the API, and nothing on that way is encrypted")?;
    }
    let network = config.network.clone();
    let peer = Peer::start(home, database, config).await?;
    output.show(&Started { body: EventBody::Ready(peer.ready()), network })?;
    let ended = live(&peer, peers, &mut signals, output).await;
    if output.form() == Form::Text {
        output.complain("saying goodbye; interrupt again to end at once\n")?;
    }
    let node = peer.node().clone();
    let shut_down = tokio::select! {
        shut_down = peer.shutdown() => shut_down,
        () = signals.next() => {
            node.abort();
            Err(Failure::new(Code::Failed, "ended without a goodbye", "nothing that was stored is lost"))
        }
    };
    ended.and(shut_down)
}

/// Until a signal comes, or the node ends by itself.
async fn live(
    peer: &Peer,
    peers: Vec<JoinAddr>,
    signals: &mut Signals,
    output: &mut Output,
) -> Result<(), Failure> {
    let asked = !peers.is_empty();
    let joining = peer.join(peers);
    tokio::pin!(joining);
    let mut joined = false;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            ended = peer.ended() => return ended,
            result = &mut joining, if !joined => {
                joined = true;
                tell_joined(&result, asked, output)?;
            }
        }
    }
}

/// Failing to join is no reason to end: the peers may come later, and others may join us.
fn tell_joined(result: &Result<usize, Failure>, asked: bool, output: &mut Output) -> Result<(), Failure> {
    match result {
        Ok(0) if asked => output
            .warn("nobody answered at the addresses of --join: check that they are running and reachable"),
        Ok(_) => Ok(()),
        Err(failure) => output.warn(failure.message()),
    }
}

/// The first line: the node can be talked to.
#[derive(serde::Serialize)]
struct Started {
    #[serde(flatten)]
    body: EventBody,
    /// Others must name it too, unless it is the main one.
    #[serde(skip)]
    network: NetworkName,
}

impl Report for Started {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        if let EventBody::Ready(ready) = &self.body {
            describe(ready, &self.network, page);
        }
    }
}

fn describe<'a>(ready: &'a Ready, network: &NetworkName, page: &mut Page<'a>) {
    let addresses = ready.addrs.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    page.line([good("ready")]);
    page.table(
        2,
        [
            vec![dim("account"), plain(ready.account.to_string())],
            vec![dim("node"), plain(ready.node.to_string())],
            vec![dim("listening at"), plain(addresses)],
            vec![dim("commands at"), plain(&ready.api)],
        ],
    );
    if let Some(join) = &ready.join {
        page.line([plain("Others join through this peer with")]);
        let named = if network.is_main() { String::new() } else { format!(" --network {network}") };
        page.indented(2, [bold(format!("starling run{named} --join {join}"))]);
    }
}

fn not_built(asked: &str, instead: &str) -> Failure {
    Failure::new(Code::BadInput, format!("{asked} is not built yet"), format!("use {instead}, the default"))
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::{AccountKey, NodeKey};

    use super::*;

    #[test]
    fn ready_reads_well() {
        let node = NodeKey::new([2; 32]);
        let body = EventBody::Ready(Ready {
            account: AccountKey::new([1; 32]),
            node,
            addrs: vec!["192.0.2.1:4040".parse().unwrap(), "127.0.0.1:4040".parse().unwrap()],
            join: Some(JoinAddr { key: node, address: "192.0.2.1:4040".parse().unwrap() }),
            api: "127.0.0.1:5050".into(),
        });
        let started = Started { body, network: "village".parse().unwrap() };
        let mut page = Page::default();
        started.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false));
        insta::assert_snapshot!(serde_json::to_string(&started).unwrap());
    }
}
