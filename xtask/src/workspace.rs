use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::invocation::Invocation;

/// The checkout that the chores work on.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The root is the folder above this crate, which cargo names when it starts us.
    pub(crate) fn find() -> Result<Self, Error> {
        let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = here.as_deref().and_then(Path::parent).ok_or(Error::NoRoot)?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Packages and the resolved graph, as cargo sees them.
    pub(crate) fn metadata(&self) -> Result<Metadata, Error> {
        let json =
            Invocation::cargo(&["metadata", "--format-version", "1", "--locked"]).capture(&self.root)?;
        Ok(serde_json::from_str(&json)?)
    }
}

/// The part of `cargo metadata` that the chores read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    /// Every package of the graph, ours and foreign ones.
    pub(crate) packages: Vec<Package>,
    /// Ids of our own packages.
    pub(crate) workspace_members: Vec<String>,
    /// Who really depends on whom.
    pub(crate) resolve: Resolve,
    /// Absolute path, to make others relative.
    pub(crate) workspace_root: String,
}

impl Metadata {
    /// Our own packages, by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members: Vec<&Package> =
            self.packages.iter().filter(|package| self.workspace_members.contains(&package.id)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    pub(crate) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }

    /// The folder of a member, from the root and with forward slashes.
    pub(crate) fn folder(&self, package: &Package) -> String {
        let folder = Path::new(&package.manifest_path).parent().unwrap_or(Path::new(""));
        let relative = folder.strip_prefix(&self.workspace_root).unwrap_or(folder);
        relative.to_string_lossy().replace('\\', "/")
    }
}

/// One package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) manifest_path: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// One line under `[dependencies]` or its sisters.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// One thing that cargo builds from a package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

/// The resolved graph.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

impl Resolve {
    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

/// One package of the resolved graph.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) features: Vec<String>,
    pub(crate) deps: Vec<Edge>,
}

/// One resolved dependency of a [`Node`].
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Edge {
    /// The package depended on.
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<EdgeKind>,
}

impl Edge {
    /// Whether the product links it (a test or a build script alone does not count).
    pub(crate) fn is_linked(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

/// Why an [`Edge`] is there: `None` for an ordinary dependency, else `dev` or `build`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EdgeKind {
    pub(crate) kind: Option<String>,
}
