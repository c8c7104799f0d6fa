//! Names: [`CallId`], [`Tenant`], [`WorkerId`], and the [`Sequence`] of a line or a lease.
//!
//! The rule kept here: a name is a token that an engine takes as part of a subject.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Bytes that a name may have.
const LONGEST: usize = 64;

/// In how many parts all calls fall, so that those who look for lost calls share the work.
pub const SHARDS: u8 = 16;

macro_rules! names {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => { $(
        $(#[doc = $doc])*
        ///
        /// One to 64 letters of `A-Z`, `a-z`, `0-9`, `_` and `-`.
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`NameError`] if it is empty, too long, or has another letter: use another name.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text).map(|()| Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    )* };
}

names! {
    /// A call's name in the fleet, the same for all its owners.
    CallId,
    /// Who pays for a call, and by whom calls are limited.
    Tenant,
    /// One life of a worker or a gateway. It is made of random bits and never used again, so a worker that
    /// counts as dead stays dead: a process that comes back too late has a new name.
    WorkerId,
}

impl CallId {
    /// A name of these random bits: `c_` and 32 digits.
    pub fn of_bits(bits: u128) -> Self {
        Self(format!("c_{bits:032x}").into())
    }

    /// Its part of all calls, below [`SHARDS`].
    pub fn shard(&self) -> u8 {
        (hash(self.as_str()) % u64::from(SHARDS)) as u8
    }
}

impl WorkerId {
    /// A name of these random bits, for this life of its process.
    pub fn of_bits(bits: u64, life: u32) -> Self {
        Self(format!("w_{bits:016x}_{life}").into())
    }

    /// How this worker ranks for a shard among others: the largest number comes first.
    pub(crate) fn weight(&self, shard: u8) -> u64 {
        mix(hash(self.as_str()) ^ mix(u64::from(shard) + 1))
    }
}

impl Tenant {
    /// The tenant of calls that name none: `default`.
    pub fn unnamed() -> Self {
        Self("default".into())
    }
}

/// The number of a line in a call's journal, or of a lease's last renewal. Larger is later; 0 is before all.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// A name that is no token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a name of 1 to 64 letters of A-Z, a-z, 0-9, _ and -, got {length} bytes{}", other(*letter))]
pub struct NameError {
    /// Its length.
    length: usize,
    /// The first letter that may not be there.
    letter: Option<char>,
}

fn other(letter: Option<char>) -> String {
    letter.map(|letter| format!(" with {letter:?}")).unwrap_or_default()
}

fn check(text: &str) -> Result<(), NameError> {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let letter = text.chars().find(|letter| !is_fine(*letter));
    match text.len() {
        1..=LONGEST if letter.is_none() => Ok(()),
        length => Err(NameError { length, letter }),
    }
}

/// FNV-1a: the same in every process and release, since subjects are made of it.
fn hash(text: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// The last step of SplitMix64: every bit of the input changes half of those of the output.
pub(crate) const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_token() {
        assert_eq!(CallId::new("c_1-A").unwrap().as_str(), "c_1-A");
        for (bad, letter) in [("", None), ("a.b", Some('.')), ("a b", Some(' ')), ("é", Some('é'))] {
            assert_eq!(Tenant::new(bad).unwrap_err().letter, letter, "{bad}");
        }
        assert!(WorkerId::new("a".repeat(65)).is_err());
        assert!(serde_json::from_str::<CallId>("\"a>b\"").is_err(), "nor is one from outside");
    }

    #[test]
    fn calls_spread_over_all_shards_and_stay_there() {
        let of = |n: u128| CallId::of_bits(n).shard();
        let mut seen = [0; SHARDS as usize];
        (0..1600).for_each(|n| seen[usize::from(of(n))] += 1);
        assert!(seen.iter().all(|count| (50..200).contains(count)), "{seen:?}");
        assert_eq!(
            CallId::new("c_1").unwrap().shard(),
            10,
            "a change would lose the calls of a running fleet"
        );
    }
}
