//! The features that the checks of the whole workspace turn on: all but the heavy ones.

use serde_json::Value;

use crate::Error;
use crate::ci::tools::{cargo_program, output};
use crate::workspace_root;

/// Features that need much time to build, a system's library, a server or a newer compiler. The checks
/// `webrtc`, `local-audio` and `fleet` have them.
const HEAVY: [&str; 5] = ["echo-cancellation", "local-audio", "nats", "talk", "webrtc"];

/// The features as cargo takes them: `realtime-client/mcp,realtime-client/tls`.
///
/// # Errors
/// Cargo can't read the workspace.
pub(super) fn light() -> Result<String, Error> {
    let mut cargo = std::process::Command::new(cargo_program());
    cargo.current_dir(workspace_root()).args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata = output(&mut cargo).ok_or("cargo metadata failed: is Cargo.toml sound?")?;
    Ok(light_of(&serde_json::from_str(&metadata)?))
}

fn light_of(metadata: &Value) -> String {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let names = packages.flat_map(|package| {
        let name = package["name"].as_str().unwrap_or_default();
        let features = package["features"].as_object().into_iter().flatten();
        let light = features.filter(|(feature, _)| !HEAVY.contains(&feature.as_str()));
        light.map(move |(feature, _)| format!("{name}/{feature}"))
    });
    names.collect::<Vec<_>>().join(",")
}

/// Those of one package.
pub(super) fn of(features: &str, package: &str) -> String {
    let own = features.split(',').filter(|feature| feature.split('/').next() == Some(package));
    own.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn heavy_features_are_left_out() {
        let features = json!({ "default": ["tls"], "tls": [], "webrtc": ["dep:str0m"] });
        let packages = json!([{ "name": "a", "features": features }, { "name": "b", "features": {} }]);
        assert_eq!(light_of(&json!({ "packages": packages })), "a/default,a/tls");
        assert_eq!(of("a/default,ab/tls,a/tls", "a"), "a/default,a/tls");
    }

    #[test]
    fn this_workspace_has_features() {
        assert!(light().unwrap().split(',').any(|feature| feature == "realtime-client/tls"));
    }
}
