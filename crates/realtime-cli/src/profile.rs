//! The servers that the emulator imitates, as command lines name them.

use clap::builder::PossibleValuesParser;
use realtime_emulator::Profile;

/// Reads a profile's name.
pub(crate) fn profile() -> PossibleValuesParser {
    PossibleValuesParser::new(Profile::ALL.iter().map(|profile| profile.name()))
}

/// The profile of a name that was read.
pub(crate) fn profile_of(name: &str) -> Profile {
    Profile::named(name).unwrap_or_default()
}
