use std::collections::{BTreeMap, VecDeque};

use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;
use crate::workspace::{Metadata, Package};

/// The pure crates cannot reach the world because nothing beneath them can.
pub(super) const RULE: Rule = Rule {
    name: "pure-dependencies",
    about: "The pure crates depend on what PURE allows, and on no crate of the network, the disk or the clock beneath it.",
    exceptions: &[],
    check,
};

/// The pure crates with all that they may name under `[dependencies]`. Add to it only what does no input or output.
pub(super) const PURE: &[(&str, &[&str])] = &[
    ("starling-proto", &["bech32", "blake3", "prost", "thiserror"]),
    (
        "starling-crypto",
        &[
            "starling-proto",
            "argon2",
            "bip39",
            "blake3",
            "chacha20poly1305",
            "ed25519-dalek",
            "hkdf",
            "hpke",
            "prost",
            "rand_core",
            "serde_json",
            "sha2",
            "subtle",
            "thiserror",
            "vodozemac",
            "zeroize",
        ],
    ),
    ("starling-overlay", &["starling-proto", "blake3", "prost", "rand_core", "thiserror"]),
    (
        "starling-core",
        &[
            "starling-proto",
            "starling-crypto",
            "starling-overlay",
            "blake3",
            "caseless",
            "prost",
            "rand_core",
            "thiserror",
            "unicode-normalization",
            "unicode-security",
            "unicode-segmentation",
            "zeroize",
        ],
    ),
];

/// Crates that touch the world; none may be linked beneath a pure crate.
const FORBIDDEN: &[&str] = &["tokio", "iroh", "rusqlite", "socket2", "mio"];

/// Features by which a direct dependency would draw on the operating system.
const FORBIDDEN_FEATURES: &[(&str, &str)] = &[("hpke", "getrandom")];

fn check(tree: &Tree) -> Vec<Finding> {
    let metadata = tree.metadata();
    let mut findings = vec![];
    for &(name, allowed) in PURE {
        let package = metadata.members().into_iter().find(|package| package.name == name);
        if let Some(package) = package {
            let manifest = format!("{}/Cargo.toml", metadata.folder(package));
            let problems =
                [direct(package, allowed), features(metadata, package), beneath(metadata, package)];
            findings.extend(
                problems.concat().into_iter().map(|problem| Finding::new(manifest.as_str(), problem)),
            );
        }
    }
    findings
}

fn direct(package: &Package, allowed: &[&str]) -> Vec<String> {
    let ordinary = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
    let strange = ordinary.filter(|dependency| !allowed.contains(&dependency.name.as_str()));
    strange
        .map(|dependency| format!("depends on {}, which is not on the list of this rule", dependency.name))
        .collect()
}

fn features(metadata: &Metadata, package: &Package) -> Vec<String> {
    let mut problems = vec![];
    for id in linked(metadata, &package.id) {
        let name = metadata.package(id).map(|package| package.name.as_str());
        let node = metadata.resolve.node(id);
        for &(dependency, feature) in FORBIDDEN_FEATURES {
            if name == Some(dependency) && node.is_some_and(|node| node.features.iter().any(|f| f == feature))
            {
                problems.push(format!("builds {dependency} with the feature {feature}"));
            }
        }
    }
    problems
}

/// Walks all that is linked beneath the package, and names the way to each forbidden crate.
fn beneath(metadata: &Metadata, package: &Package) -> Vec<String> {
    let mut above: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([package.id.as_str()]);
    let mut problems = vec![];
    while let Some(id) = queue.pop_front() {
        if metadata.package(id).is_some_and(|package| FORBIDDEN.contains(&package.name.as_str())) {
            problems.push(format!("links {}", way(metadata, &above, id)));
            continue;
        }
        for below in linked(metadata, id) {
            if below != package.id && !above.contains_key(below) {
                above.insert(below, id);
                queue.push_back(below);
            }
        }
    }
    problems
}

/// What a package links directly; tests and build scripts do not count.
fn linked<'m>(metadata: &'m Metadata, id: &str) -> Vec<&'m str> {
    let edges = metadata.resolve.node(id).map(|node| node.deps.as_slice()).unwrap_or_default();
    edges.iter().filter(|edge| edge.is_linked()).map(|edge| edge.pkg.as_str()).collect()
}

/// `a > b > c`, from the top to the package.
fn way(metadata: &Metadata, above: &BTreeMap<&str, &str>, id: &str) -> String {
    let chain = std::iter::successors(Some(id), |id| above.get(id).copied());
    let mut names: Vec<&str> =
        chain.filter_map(|id| metadata.package(id)).map(|package| package.name.as_str()).collect();
    names.reverse();
    names.join(" > ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples;
    use crate::workspace::{Dependency, Edge, EdgeKind, Node};

    /// A workspace whose member starling-crypto has these edges beneath it: (from, to, kind).
    fn tree(edges: &[(&str, &str, Option<&str>)], hpke_features: &[&str]) -> Tree {
        let mut metadata =
            samples::members(&[("starling-crypto", "x"), ("hpke", "x"), ("tokio", "x"), ("middle", "x")]);
        metadata.workspace_members.truncate(1);
        for name in ["starling-crypto", "hpke", "tokio", "middle"] {
            let below = edges.iter().filter(|edge| edge.0 == name);
            let deps = below.map(|&(_, pkg, kind)| Edge {
                pkg: pkg.to_owned(),
                dep_kinds: vec![EdgeKind { kind: kind.map(str::to_owned) }],
            });
            let features = if name == "hpke" { hpke_features } else { &[] };
            let features = features.iter().map(|&feature| feature.to_owned()).collect();
            metadata.resolve.nodes.push(Node { id: name.to_owned(), features, deps: deps.collect() });
        }
        let direct = edges.iter().filter(|edge| edge.0 == "starling-crypto");
        metadata.packages[0].dependencies = direct
            .map(|&(_, name, kind)| Dependency { name: name.to_owned(), kind: kind.map(str::to_owned) })
            .collect();
        Tree::with_metadata(&[], metadata)
    }

    #[test]
    fn allowed_dependencies_pass_and_tests_may_use_any() {
        let edges = [("starling-crypto", "hpke", None), ("starling-crypto", "tokio", Some("dev"))];
        assert!(samples::findings(&RULE, &tree(&edges, &["alloc"])).is_empty());
    }

    #[test]
    fn dependency_that_is_not_on_the_list_is_found() {
        let found = samples::findings(&RULE, &tree(&[("starling-crypto", "middle", None)], &[]));
        let message = "depends on middle, which is not on the list of this rule";
        assert_eq!(found, [format!("crates/starling-crypto/Cargo.toml: {message}")]);
    }

    #[test]
    fn forbidden_crate_beneath_is_found_with_the_way_to_it() {
        let edges = [("starling-crypto", "hpke", None), ("hpke", "middle", None), ("middle", "tokio", None)];
        let found = samples::findings(&RULE, &tree(&edges, &[]));
        assert_eq!(
            found,
            ["crates/starling-crypto/Cargo.toml: links starling-crypto > hpke > middle > tokio"]
        );
    }

    #[test]
    fn hpke_with_randomness_of_its_own_is_found() {
        let found =
            samples::findings(&RULE, &tree(&[("starling-crypto", "hpke", None)], &["alloc", "getrandom"]));
        assert_eq!(found, ["crates/starling-crypto/Cargo.toml: builds hpke with the feature getrandom"]);
    }
}
