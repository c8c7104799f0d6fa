//! The two dialects, as command lines name them.

use clap::ValueEnum;
use realtime_protocol::event::Dialect;

/// A dialect's name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DialectName {
    Ga,
    Beta,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Ga => Self::Ga,
            DialectName::Beta => Self::Beta,
        }
    }
}
