//! The allowed dependencies, as tables, and the check of `cargo metadata` against them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::layering::PURE;

/// Which crates of the workspace a crate may depend on, for its library or its build script.
const LAYERS: &[(&str, &[Edge])] = &[
    ("realtime-protocol", &[]),
    ("realtime-context", &[Edge::To("realtime-protocol")]),
    (
        "realtime-client",
        &[
            Edge::To("realtime-protocol"),
            Edge::Behind("realtime-context", "tools"),
            Edge::Behind("realtime-webrtc", "webrtc"),
        ],
    ),
    (
        "realtime-fleet",
        &[
            Edge::To("realtime-protocol"),
            Edge::Behind("realtime-context", "nats"),
            Edge::Behind("realtime-client", "nats"),
        ],
    ),
    ("realtime-emulator", &[Edge::To("realtime-protocol"), Edge::Behind("realtime-webrtc", "webrtc")]),
    (
        "realtime-pipeline",
        &[
            Edge::To("realtime-protocol"),
            Edge::To("realtime-context"),
            Edge::To("realtime-client"),
            Edge::Behind("realtime-telephony", "telephony"),
        ],
    ),
    ("realtime-telephony", &[Edge::To("realtime-protocol")]),
    (
        "realtime-cli",
        &[
            Edge::To("realtime-protocol"),
            Edge::To("realtime-context"),
            Edge::To("realtime-client"),
            Edge::To("realtime-pipeline"),
            Edge::To("realtime-emulator"),
            Edge::Behind("realtime-fleet", "fleet"),
            Edge::Behind("realtime-telephony", "telephony"),
        ],
    ),
    ("realtime-webrtc", &[]),
];

/// Unpublished crates on top of everything: they may depend on any crate and on each other, and no other
/// crate on them.
const TOP: &[&str] = &["realtime-bench", "realtime-embedding", "realtime-oracle", "realtime-tests", "xtask"];

/// An allowed dependency.
#[derive(Clone, Copy, Debug)]
enum Edge {
    To(&'static str),
    /// Optional, and turned on by this feature alone.
    Behind(&'static str, &'static str),
}

/// What a pure crate must not depend on, at any depth, and why.
const FORBIDDEN_CRATES: &[(&[&str], &str)] = &[
    (
        &["async-io", "async-std", "futures-executor", "mio", "polling", "smol", "tokio", "tokio-util"],
        "a pure crate runs on any runtime, so it brings none",
    ),
    (
        &["socket2", "tokio-tungstenite", "tokio-websockets", "tungstenite"],
        "a pure crate opens no socket: its driver hands it the text",
    ),
    (
        &["fastrand", "getrandom", "oorandom", "rand", "rand_core"],
        "a pure crate draws no random number: its entropy is an argument, so that a log replays exactly",
    ),
    (
        &["chrono", "instant", "jiff", "minstant", "quanta", "time", "web-time"],
        "a pure crate reads no clock: `now` is an argument, so that a log replays exactly",
    ),
];

/// The part of `cargo metadata`'s answer that the rules need.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

/// A dependency as the manifest declares it, for any platform.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
    /// `None` for a normal one, `dev`, or `build`.
    kind: Option<String>,
    optional: bool,
    /// Present for a crate of the workspace.
    path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Debug, Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Metadata {
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The chains of normal dependencies from a package to everything below it, nearest first, each once.
    fn chains_below<'a>(&'a self, package: &'a Package) -> Vec<Vec<&'a str>> {
        let names: BTreeMap<&str, &str> =
            self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();

        let mut chains = Vec::new();
        let mut seen = BTreeSet::from([package.id.as_str()]);
        let mut queue = VecDeque::from([(package.id.as_str(), vec![package.name.as_str()])]);
        while let Some((id, chain)) = queue.pop_front() {
            let Some(node) = nodes.get(id) else { continue };
            for dependency in &node.deps {
                let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if is_normal && seen.insert(&dependency.pkg) {
                    let name =
                        names.get(dependency.pkg.as_str()).unwrap_or(&dependency.pkg.as_str()).to_owned();
                    let chain: Vec<&str> = chain.iter().copied().chain([name]).collect();
                    queue.push_back((&dependency.pkg, chain.clone()));
                    chains.push(chain);
                }
            }
        }
        chains
    }
}

impl Package {
    pub(super) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// The features that turn an optional dependency on.
    fn features_enabling(&self, dependency: &Dependency) -> Vec<&str> {
        let key = dependency.rename.as_deref().unwrap_or(&dependency.name);
        let enables = |member: &String| {
            let member = member.strip_prefix("dep:").unwrap_or(member);
            member == key || member.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'))
        };
        let features = self.features.iter().filter(|(_, members)| members.iter().any(enables));
        features.map(|(name, _)| name.as_str()).collect()
    }
}

/// The rules about dependencies that the workspace breaks, as sentences.
pub(super) fn broken_rules(metadata: &Metadata) -> Vec<String> {
    let mut broken = Vec::new();
    for package in metadata.members() {
        broken.extend(broken_layers(package));
        if PURE.contains(&package.name.as_str()) {
            broken.extend(broken_purity(metadata, package));
        }
    }
    broken
}

fn broken_layers(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    if TOP.contains(&name) {
        return Vec::new();
    }
    let Some((_, edges)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        return vec![format!(
            "{name} has no layer: decide what it may depend on, in LAYERS of \
             xtask/src/layering/dependencies.rs"
        )];
    };

    let mut broken = Vec::new();
    let internal = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    for dependency in internal.filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
        let target = dependency.name.as_str();
        let edge = edges.iter().find(|edge| match edge {
            Edge::To(allowed) | Edge::Behind(allowed, _) => *allowed == target,
        });
        match edge {
            None => broken.push(format!("{name} depends on {target}, which is not a layer below it")),
            Some(Edge::To(_)) => {}
            Some(Edge::Behind(_, feature)) if !dependency.optional => {
                broken.push(format!(
                    "{name} always depends on {target}: make it optional, behind the feature `{feature}`"
                ));
            }
            Some(Edge::Behind(_, feature)) => {
                for other in package.features_enabling(dependency) {
                    if other != *feature {
                        broken.push(format!(
                            "{name}'s feature `{other}` turns on {target}: only `{feature}` may"
                        ));
                    }
                }
            }
        }
    }
    broken
}

/// Forbidden crates below a pure one. The resolved graph covers this platform, with the features that the
/// workspace as a whole turns on; what the manifest itself declares is checked for every platform.
fn broken_purity(metadata: &Metadata, package: &Package) -> Vec<String> {
    let declared = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
    let declared = declared.map(|dependency| vec![package.name.as_str(), dependency.name.as_str()]);

    let mut broken = BTreeSet::new();
    for chain in declared.chain(metadata.chains_below(package)) {
        let Some(last) = chain.last() else { continue };
        for (crates, reason) in FORBIDDEN_CRATES {
            if crates.contains(last) {
                broken.insert(format!("{} reaches {last} ({}): {reason}", package.name, chain.join(" → ")));
            }
        }
    }
    broken.into_iter().collect()
}

/// External dependencies of any crate that CONTRIBUTING.md does not name.
pub(super) fn unnamed_dependencies(metadata: &Metadata, contributing: &str) -> Vec<String> {
    let external = metadata.members().flat_map(|package| &package.dependencies);
    let names: BTreeSet<&str> = external
        .filter(|dependency| dependency.path.is_none())
        .map(|dependency| dependency.name.as_str())
        .collect();
    let missing = names.into_iter().filter(|name| !contributing.contains(&format!("| `{name}` |")));
    missing.map(|name| format!("CONTRIBUTING.md does not say what the dependency `{name}` is for")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_workspace_that_keeps_the_rules_has_none_broken() {
        assert_eq!(check(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_crate_must_not_depend_upwards() {
        let broken = check(&[depends("realtime-protocol", "realtime-client", json!({"kind": null}))]);
        assert_eq!(broken, ["realtime-protocol depends on realtime-client, which is not a layer below it"]);
    }

    #[test]
    fn a_build_dependency_counts_and_a_dev_dependency_does_not() {
        let build = depends("realtime-emulator", "realtime-context", json!({"kind": "build"}));
        let dev = depends("realtime-emulator", "realtime-client", json!({"kind": "dev"}));
        let broken = check(&[build, dev]);
        assert_eq!(broken, ["realtime-emulator depends on realtime-context, which is not a layer below it"]);
    }

    #[test]
    fn nothing_depends_on_the_unpublished_crates() {
        let broken = check(&[depends("realtime-pipeline", "xtask", json!({"kind": null}))]);
        assert_eq!(broken, ["realtime-pipeline depends on xtask, which is not a layer below it"]);
    }

    #[test]
    fn the_client_depends_on_the_context_only_behind_its_feature() {
        let always = depends("realtime-client", "realtime-context", json!({"kind": null}));
        assert_eq!(
            check(&[always]),
            [
                "realtime-client always depends on realtime-context: make it optional, behind the feature `tools`"
            ]
        );

        let optional =
            || depends("realtime-client", "realtime-context", json!({"kind": null, "optional": true}));
        let feature = |name: &'static str, member: &'static str| {
            move |metadata: &mut Value| {
                package(metadata, "realtime-client")["features"][name] = json!([member])
            }
        };
        assert_eq!(check(&[optional(), Box::new(feature("tools", "dep:realtime-context"))]), [""; 0]);
        // A weak member turns nothing on.
        assert_eq!(check(&[optional(), Box::new(feature("std", "realtime-context?/std"))]), [""; 0]);
        for member in ["dep:realtime-context", "realtime-context", "realtime-context/std"] {
            assert_eq!(
                check(&[optional(), Box::new(feature("default", member))]),
                ["realtime-client's feature `default` turns on realtime-context: only `tools` may"],
                "{member}"
            );
        }
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        let broken = check(&[Box::new(|metadata: &mut Value| add_package(metadata, "realtime-extra", true))]);
        assert_eq!(
            broken,
            ["realtime-extra has no layer: decide what it may depend on, in LAYERS of \
              xtask/src/layering/dependencies.rs"]
        );
    }

    #[test]
    fn a_pure_crate_must_not_reach_a_runtime_at_any_depth() {
        let broken = check(&[
            resolves("realtime-context", "schemars", None),
            resolves("schemars", "helper", None),
            resolves("helper", "tokio", None),
            resolves("helper", "rand", Some("dev")),
            resolves("helper", "time", Some("build")),
        ]);
        assert_eq!(
            broken,
            ["realtime-context reaches tokio (realtime-context → schemars → helper → tokio): \
              a pure crate runs on any runtime, so it brings none"]
        );
    }

    #[test]
    fn what_the_protocol_reaches_is_reported_for_the_context_too() {
        let broken = check(&[resolves("realtime-protocol", "getrandom", None)]);
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(broken[0].starts_with("realtime-protocol reaches getrandom (realtime-protocol → getrandom)"));
        assert!(
            broken[1].starts_with("realtime-context reaches getrandom (realtime-context → realtime-protocol")
        );
    }

    #[test]
    fn a_forbidden_dependency_of_another_platform_is_found_by_its_declaration() {
        let declared = |metadata: &mut Value| {
            let dependency = json!({"name": "chrono", "rename": null, "kind": null, "optional": true});
            push(&mut package(metadata, "realtime-protocol")["dependencies"], dependency);
        };
        let broken = check(&[Box::new(declared)]);
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].starts_with("realtime-protocol reaches chrono (realtime-protocol → chrono): "));
    }

    #[test]
    fn a_dependency_must_be_named_in_the_contributing_table() {
        let mut metadata = workspace();
        let dependency = json!({"name": "serde", "rename": null, "kind": "dev", "optional": false});
        push(&mut package(&mut metadata, "realtime-tests")["dependencies"], dependency);
        let metadata = serde_json::from_value(metadata).unwrap();
        assert_eq!(unnamed_dependencies(&metadata, "| `serde` | the structs |"), [""; 0]);
        assert_eq!(
            unnamed_dependencies(&metadata, "We use `serde_json`."),
            ["CONTRIBUTING.md does not say what the dependency `serde` is for"]
        );
    }

    /// A change to the metadata of a workspace that keeps the rules.
    type Change = Box<dyn Fn(&mut Value)>;

    fn check(changes: &[Change]) -> Vec<String> {
        let mut metadata = workspace();
        for change in changes {
            change(&mut metadata);
        }
        broken_rules(&serde_json::from_value(metadata).unwrap())
    }

    /// `cargo metadata` of the workspace as it should be, in the members that are read.
    fn workspace() -> Value {
        let mut metadata = json!({"packages": [], "workspace_members": [], "resolve": {"nodes": []}});
        let names = LAYERS.iter().map(|(name, _)| *name).chain(TOP.iter().copied());
        for name in names {
            add_package(&mut metadata, name, true);
        }
        for name in ["schemars", "helper", "tokio", "rand", "time", "getrandom"] {
            add_package(&mut metadata, name, false);
        }
        depends("realtime-context", "realtime-protocol", json!({"kind": null}))(&mut metadata);
        resolves("realtime-context", "realtime-protocol", None)(&mut metadata);
        depends("realtime-pipeline", "realtime-client", json!({"kind": null}))(&mut metadata);
        resolves("realtime-pipeline", "tokio", None)(&mut metadata);
        depends("xtask", "realtime-pipeline", json!({"kind": null}))(&mut metadata);
        metadata
    }

    fn add_package(metadata: &mut Value, name: &str, is_member: bool) {
        let manifest_path = format!("/{name}/Cargo.toml");
        let package = json!({
            "id": name, "name": name, "manifest_path": manifest_path, "dependencies": [], "features": {},
        });
        push(&mut metadata["packages"], package);
        push(&mut metadata["resolve"]["nodes"], json!({"id": name, "deps": []}));
        if is_member {
            push(&mut metadata["workspace_members"], json!(name));
        }
    }

    /// Declares a dependency on a crate of the workspace; `more` overrides members of the declaration.
    fn depends(from: &'static str, to: &'static str, more: Value) -> Change {
        Box::new(move |metadata| {
            let path = format!("/{to}");
            let mut dependency = json!({"name": to, "rename": null, "optional": false, "path": path});
            for (key, value) in more.as_object().unwrap() {
                dependency[key] = value.clone();
            }
            push(&mut package(metadata, from)["dependencies"], dependency);
        })
    }

    /// Adds an edge to the resolved graph.
    fn resolves(from: &'static str, to: &'static str, kind: Option<&'static str>) -> Change {
        Box::new(move |metadata| {
            let nodes = metadata["resolve"]["nodes"].as_array_mut().unwrap();
            let node = nodes.iter_mut().find(|node| node["id"] == from).unwrap();
            push(&mut node["deps"], json!({"name": to, "pkg": to, "dep_kinds": [{"kind": kind}]}));
        })
    }

    fn package<'a>(metadata: &'a mut Value, name: &str) -> &'a mut Value {
        let packages = metadata["packages"].as_array_mut().unwrap();
        packages.iter_mut().find(|package| package["name"] == name).unwrap()
    }

    fn push(array: &mut Value, value: Value) {
        array.as_array_mut().unwrap().push(value);
    }
}
