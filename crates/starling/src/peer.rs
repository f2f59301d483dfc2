//! A running peer as one thing: node, core, database and local door, put together.

mod work;

use std::net::SocketAddr;
use std::sync::Arc;

use starling_api::backend::Backend as _;
use starling_api::node::NodeBackend;
use starling_api::server::{ApiServer, Listen, ServerConfig, ServerError};
use starling_api::types::{Code, Ready};
use starling_core::Core;
use starling_core::config::Config;
use starling_core::identity::Identity;
use starling_core::io::{Command, CommandOutput};
use starling_crypto::session::Vodozemac;
use starling_node::{EndReason, Node, NodeConfig, NodeHandle, NodeSecret, StartError};
use starling_proto::addr::JoinAddr;
use starling_proto::version::NetworkName;
use starling_store::{Database, Home};

use crate::failure::Failure;
use crate::hold::HoldCap;

/// What a peer is started with.
#[derive(Debug, Clone)]
pub(crate) struct PeerConfig {
    /// Which network to be on.
    pub(crate) network: NetworkName,
    /// Where peers reach it: at most one address of each family; none means any port of all interfaces.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where the faces reach it.
    pub(crate) api: Listen,
    /// Whether the faces may be on other machines.
    pub(crate) api_remote: bool,
    /// How much it holds for others at most.
    pub(crate) hold_at_most: HoldCap,
}

/// A peer that runs. Dropping it ends it without a goodbye and leaves `api.json` behind; see [`Self::shutdown`].
pub(crate) struct Peer {
    node: NodeHandle,
    backend: Arc<NodeBackend>,
    api: ApiServer,
}

impl Peer {
    /// Starts a peer on `database`, which is that of `home`.
    ///
    /// # Errors
    /// The database holds no account, or an address cannot be listened at. Nothing is left running then.
    pub(crate) async fn start(home: &Home, database: Database, config: PeerConfig) -> Result<Self, Failure> {
        let identity = Identity::load(&database)?;
        let file = database.readers().path().to_owned();
        let core = Config { disk: config.hold_at_most.bytes(), ..Config::of(&config.network) };
        let secret = NodeSecret::new(*identity.node().seed().expose());
        let mut node = NodeConfig::new(config.network, secret);
        node.listen = config.listen;
        let node = Node::start::<Core<Vodozemac>, Database>(node, core, database, work::work()).await?;
        let backend = Arc::new(NodeBackend::new(node.clone(), identity.account(), file));
        let mut server = ServerConfig::new(home.path());
        server.listen = config.api;
        server.allow_remote = config.api_remote;
        match ApiServer::start(server, Arc::clone(&backend) as Arc<_>).await {
            Ok(api) => Ok(Self { node, backend, api }),
            Err(error) => {
                node.shutdown().await;
                Err(error.into())
            }
        }
    }

    /// Who runs and where.
    pub(crate) fn ready(&self) -> Ready {
        Ready::new(self.backend.info(), self.api.address().to_string())
    }

    /// Enters the network through `peers`, and those known from before; how many are known then.
    ///
    /// # Errors
    /// The core's own.
    pub(crate) async fn join(&self, peers: Vec<JoinAddr>) -> Result<usize, Failure> {
        match self.node.command(Command::Join(peers)).await {
            Ok(CommandOutput::Joined { peers }) => Ok(peers),
            Ok(other) => Err(Failure::internal(&format!("a join answered with {other:?}"))),
            Err(error) => Err(Failure::Refused(error.into())),
        }
    }

    /// The node beneath.
    pub(crate) const fn node(&self) -> &NodeHandle {
        &self.node
    }

    /// Resolves when the node has ended by itself.
    ///
    /// # Errors
    /// Why, unless it was shut down.
    pub(crate) async fn ended(&self) -> Result<(), Failure> {
        verdict(self.node.ended().await)
    }

    /// Says goodbye to the peers and ends; a few seconds at most.
    ///
    /// # Errors
    /// The node broke while it ended, or `api.json` could not be removed.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        let api = self.api.shutdown().await;
        verdict(self.node.shutdown().await)?;
        api.map_err(|error| {
            Failure::new(Code::Failed, error.to_string(), "remove api.json from the home by hand")
        })
    }
}

fn verdict(reason: EndReason) -> Result<(), Failure> {
    match reason {
        EndReason::ShutDown => Ok(()),
        EndReason::StorageFailed(error) => Err(Failure::new(
            Code::Storage,
            format!("the node has ended because its database failed: {error}"),
            "`starling doctor` looks for the cause",
        )),
        other => Err(Failure::internal(&format!("the node has ended: {other:?}"))),
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let (code, hint) = match &error {
            StartError::Bind(_) => (
                Code::Failed,
                "choose another address or port with --listen, or end what listens there; `starling doctor --listen IP:PORT` checks one",
            ),
            StartError::Load(_) => (Code::Storage, "`starling doctor` looks for the cause"),
            _ => (Code::Failed, "end other programs and try again"),
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let (code, hint) = match &error {
            ServerError::NotLoopback(_) => (
                Code::BadInput,
                "keep to 127.0.0.1, or add --api-remote if you know who else is on that network",
            ),
            ServerError::Bind { .. } => {
                (Code::Failed, "choose another port with --api, or leave it out for a free one")
            }
            ServerError::HomePath => (Code::BadInput, "use --api IP:PORT, or a home with a plain name"),
            ServerError::NoUnixSockets => (Code::BadInput, "use --api IP:PORT"),
            _ => (Code::Failed, "`starling doctor` looks for the cause"),
        };
        Self::new(code, error.to_string(), hint)
    }
}
