//! Which features the checks turn on: all that this machine can build, and for the oldest compiler those that
//! it builds.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::Error;
use crate::ci::tools::{cargo_program, output};
use crate::workspace_root;

/// Features that need the system's audio and a newer compiler than the manifest's.
const LOCAL_AUDIO: [&str; 3] = ["echo-cancellation", "local-audio", "talk"];

/// Features whose dependencies may need a newer compiler than the manifest's.
const NEWER: [&str; 6] = ["echo-cancellation", "fleet", "local-audio", "nats", "talk", "webrtc"];

/// The oldest compiler that builds the echo cancellation: 1.91.
const OLDEST_FOR_LOCAL_AUDIO: u32 = 91;

/// A feature, and what it turns on.
type Feature = (String, Vec<String>);

/// What cargo says about the workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    /// Each package, with its features.
    packages: Vec<(String, Vec<Feature>)>,
    /// Where cargo builds.
    pub(super) target: PathBuf,
    /// What the features of the machine's audio need and is not here.
    pub(super) no_local_audio: Option<String>,
}

impl Workspace {
    /// # Errors
    /// Cargo can't read the workspace.
    pub(super) fn read() -> Result<Self, Error> {
        let mut cargo = Command::new(cargo_program());
        cargo.current_dir(workspace_root()).args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = output(&mut cargo).ok_or("cargo metadata failed: is Cargo.toml sound?")?;
        Ok(Self { no_local_audio: no_local_audio(), ..Self::of(&serde_json::from_str(&metadata)?) })
    }

    fn of(metadata: &Value) -> Self {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let packages = packages.map(|package| {
            let features = package["features"].as_object().into_iter().flatten();
            let name = package["name"].as_str().unwrap_or_default();
            let list = |on: &Value| {
                on.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            (name.to_owned(), features.map(|(feature, on)| (feature.clone(), list(on))).collect())
        });
        let target = metadata["target_directory"].as_str().unwrap_or("target").into();
        Self { packages: packages.collect(), target, no_local_audio: None }
    }

    /// All that can be built here, as cargo takes them: `realtime-client/mcp,realtime-client/tls`.
    pub(super) fn all(&self) -> String {
        self.without(self.missing())
    }

    /// The features that can't be built here.
    const fn missing(&self) -> &'static [&'static str] {
        if self.no_local_audio.is_some() { &LOCAL_AUDIO } else { &[] }
    }

    /// What the oldest compiler builds.
    pub(super) fn oldest(&self) -> String {
        self.without(&NEWER)
    }

    fn without(&self, left_out: &[&str]) -> String {
        let all = self.packages.iter().flat_map(|(package, features)| {
            let kept = features.iter().filter(|(feature, _)| !left_out.contains(&feature.as_str()));
            kept.map(move |(feature, _)| format!("{package}/{feature}"))
        });
        all.collect::<Vec<_>>().join(",")
    }

    /// The features of a package, each of which is a build of its own: not other names of one.
    pub(super) fn features_of(&self, package: &str) -> Vec<&str> {
        let own: Vec<_> = self
            .packages
            .iter()
            .filter(|(name, _)| name == package)
            .flat_map(|(_, features)| features)
            .collect();
        let is_alias = |on: &[String]| matches!(on, [one] if own.iter().any(|(feature, _)| feature == one));
        own.iter()
            .filter(|(_, on)| !is_alias(on))
            .map(|(feature, _)| feature.as_str())
            .filter(|feature| {
                *feature != "default" && !feature.starts_with('_') && !self.missing().contains(feature)
            })
            .collect()
    }
}

/// What the microphone and the loudspeaker need and is not here.
fn no_local_audio() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("--version")).unwrap_or_default();
    if minor(&version).is_none_or(|minor| minor < OLDEST_FOR_LOCAL_AUDIO) {
        return Some(format!("the compiler is older than 1.{OLDEST_FOR_LOCAL_AUDIO}"));
    }
    let has_alsa = || output(Command::new("pkg-config").args(["--exists", "alsa"])).is_some();
    (cfg!(target_os = "linux") && !has_alsa())
        .then(|| "ALSA's headers or pkg-config are not installed (Debian's libasound2-dev)".to_owned())
}

/// The second number of `rustc 1.95.0 (… 2026-04-14)`.
fn minor(version: &str) -> Option<u32> {
    version.split_whitespace().nth(1)?.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_t_be_built_is_left_out() {
        let features = json!({
            "_tls": [], "default": ["tls"], "talk": [], "tls": [], "voice": ["talk"], "webrtc": ["dep:str0m"],
        });
        let packages = json!([{ "name": "a", "features": features }, { "name": "b", "features": {} }]);
        let mut workspace = Workspace::of(&json!({ "packages": packages, "target_directory": "/t" }));
        assert_eq!(workspace.all(), "a/_tls,a/default,a/talk,a/tls,a/voice,a/webrtc");
        assert_eq!(workspace.oldest(), "a/_tls,a/default,a/tls,a/voice");
        assert_eq!(workspace.features_of("a"), ["talk", "tls", "webrtc"]);
        workspace.no_local_audio = Some("no ALSA".to_owned());
        assert_eq!(workspace.all(), "a/_tls,a/default,a/tls,a/voice,a/webrtc");
        assert_eq!(workspace.features_of("a"), ["tls", "webrtc"]);
    }

    #[test]
    fn this_workspace_has_features() {
        let workspace = Workspace::read().unwrap();
        assert!(workspace.all().split(',').any(|feature| feature == "realtime-client/tls"));
        assert!(workspace.target.is_absolute());
    }

    #[test]
    fn the_compiler_s_version_is_read() {
        assert_eq!(minor("rustc 1.95.0 (59807616e 2026-04-14)"), Some(95));
        assert_eq!(minor("rustc 1.97.0-nightly (59807616e 2026-04-14)"), Some(97));
        assert_eq!(minor(""), None);
    }
}
