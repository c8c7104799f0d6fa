//! The lines of a call's journal: [`Line`], and [`Entry`], a line with its author.
//!
//! The rule kept here: a line says what is so from now on. Lines that allow something (an owner, a claim, a
//! result) are written before it happens.

use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::FunctionCall;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::content::Content;
use crate::id::{CallId, Tenant, WorkerId};
use crate::ledger::{Claim, OnTakeover};
use crate::token::LegToken;

/// Where a call's media runs, and so what is left of it when its worker is lost.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Leg {
    /// Between the caller and the model, by SIP or WebRTC: a worker attaches by the call's id at the model's
    /// server, and another may do so after it.
    Sideband {
        /// The call's id there: `rtc_…`.
        call_id: String,
    },
    /// Through the worker itself: its connection is lost with it.
    Direct {},
    /// Through a process that has a carrier's socket and nothing else: the owner dials it, and the next owner
    /// does so after it.
    Phone {
        /// The carrier's name: `twilio`.
        carrier: String,
        /// The call's id at the carrier, where it says one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call_id: Option<String>,
        /// Where it is dialled: `ws://10.0.0.7:9000/calls/…`.
        url: String,
        /// What is shown there.
        #[serde(default, skip_serializing_if = "LegToken::is_empty")]
        token: LegToken,
    },
}

impl Leg {
    /// The same for lists of calls: without what lets somebody in.
    #[must_use]
    pub fn shown(self) -> Self {
        match self {
            Self::Phone { carrier, call_id, url, .. } => {
                Self::Phone { carrier, call_id, url, token: LegToken::default() }
            }
            Self::Sideband { .. } | Self::Direct {} => self,
        }
    }
}

/// A call as the gateway placed it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Placing {
    /// Who pays.
    pub tenant: Tenant,
    /// Where its media runs.
    pub leg: Leg,
    /// What the application needs to begin: numbers, languages, keys of its own records.
    #[serde(default)]
    pub metadata: Content,
}

/// Why a worker owns a call.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// It was placed there.
    Placed,
    /// Its owner's lease has ended, or nobody took it.
    Lost,
    /// Its owner gave it away.
    Moved,
    /// Its owner could not renew its lease for a while and has a new one. Nobody had taken the call.
    Back,
}

/// A line of a call's journal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line {
    /// The call exists, and this worker is its first owner. The first line.
    Placed {
        /// Who.
        worker: WorkerId,
        /// Which gateway announced it.
        gateway: WorkerId,
        /// What the gateway says of the call.
        placing: Box<Placing>,
    },
    /// This worker owns the call now: from here on, nobody else's line is taken.
    Owner {
        /// Who.
        worker: WorkerId,
        /// 2 for the second owner, and one more for each next one.
        epoch: u64,
        /// Why.
        why: Why,
    },
    /// A function is about to run.
    Claim {
        /// The function call's key: the same for the same function call, whoever runs it.
        key: String,
        /// The function's name.
        name: String,
        /// What the next owner does if there is no result.
        on_takeover: OnTakeover,
        /// The function call, so that the next owner can answer it. None where its author has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Arc<FunctionCall>>,
    },
    /// A function has run.
    Result {
        /// Its key.
        key: String,
        /// What it returned.
        output: Content,
    },
    /// The model has the output.
    Delivered {
        /// The function's key.
        key: String,
    },
    /// What the next owner goes on with. It replaces all claims, results and snapshots before it.
    Snap {
        /// The snapshot's version.
        v: u32,
        /// A [`Snapshot`](crate::Snapshot) of that version.
        body: Body,
        /// The functions so far: their claims stand on no other line any more.
        claims: Vec<Claim>,
    },
    /// The next owner is to be this worker.
    Handover {
        /// Who.
        to: WorkerId,
    },
    /// The call is over. The last line.
    Ended {
        /// Why, for people.
        why: String,
    },
}

/// A snapshot as text: JSON that holds what people said. Clones are the same text, and its `Debug` shows none
/// of it.
#[derive(Clone)]
pub struct Body(Arc<RawValue>);

impl Body {
    /// Of a snapshot, of whatever version.
    ///
    /// # Errors
    /// It can't be written as JSON.
    pub fn of(snapshot: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self(Arc::from(serde_json::value::to_raw_value(snapshot)?)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.as_str().len())
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    /// By way of a value: within a line with its kind, the text itself is not to be had.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Line {
    /// Returns whether the line changes whose the call is. The others may be replaced by a later snapshot.
    pub const fn is_about_owners(&self) -> bool {
        match self {
            Self::Placed { .. } | Self::Owner { .. } | Self::Handover { .. } | Self::Ended { .. } => true,
            Self::Claim { .. } | Self::Result { .. } | Self::Delivered { .. } | Self::Snap { .. } => false,
        }
    }
}

/// A line, and who wrote it. The author finds its own lines again by that: an answer may be lost on the way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Who wrote it.
    pub by: WorkerId,
    /// A number that this author gave no other line of the call.
    pub n: u64,
    /// What it says.
    #[serde(flatten)]
    pub line: Line,
}

/// A call in a list of those that are not over.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Listed {
    /// Which call.
    pub call: CallId,
    /// Whose it is.
    pub whose: Whose,
}

/// Whose a call is, as a list of calls says it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Whose {
    /// This worker's, as its last owner.
    Worker(WorkerId),
    /// Nobody's yet: a gateway has announced it, and its journal is empty.
    Nobody {
        /// Which gateway.
        gateway: WorkerId,
        /// What it says of the call.
        placing: Placing,
    },
}

impl Listed {
    /// A call, and whose it is.
    pub const fn new(call: CallId, whose: Whose) -> Self {
        Self { call, whose }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_one_flat_object() {
        let (key, name) = ("k".to_owned(), "book".to_owned());
        let claim = Line::Claim { key, name, on_takeover: OnTakeover::Unknown, call: None };
        let entry = Entry { by: WorkerId::new("w1").unwrap(), n: 3, line: claim };
        let text =
            json!({ "by": "w1", "n": 3, "t": "claim", "key": "k", "name": "book", "on_takeover": "unknown" });
        assert_eq!(serde_json::to_value(&entry).unwrap(), text);
        assert_eq!(serde_json::from_value::<Entry>(text).unwrap(), entry);
    }

    #[test]
    fn a_snapshot_stands_in_its_line_as_json_and_is_read_back() {
        let body = Body::of(&json!({ "app": { "n": 1.5, "said": "\"so\"" } })).unwrap();
        let entry = Entry {
            by: WorkerId::new("w1").unwrap(),
            n: 3,
            line: Line::Snap { v: 1, body, claims: Vec::new() },
        };
        let text = serde_json::to_string(&entry).unwrap();
        let snap = r#""body":{"app":{"n":1.5,"said":"\"so\""}}"#;
        assert!(text.contains(snap), "{text}");
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        assert!(!format!("{entry:?}").contains("so"), "{entry:?}");
    }

    #[test]
    fn what_lets_an_owner_in_stands_in_the_journal_and_shows_nowhere_else() {
        let leg = Leg::Phone {
            carrier: "twilio".into(),
            call_id: Some("CA1".into()),
            url: "ws://h:1/calls/2".into(),
            token: LegToken::new("canary"),
        };
        let text = json!(leg);
        assert_eq!(text["phone"]["token"], "canary");
        assert_eq!(serde_json::from_value::<Leg>(text).unwrap(), leg);
        assert!(!format!("{leg:?}").contains("canary"));
        let expected =
            json!({ "phone": { "carrier": "twilio", "call_id": "CA1", "url": "ws://h:1/calls/2" } });
        assert_eq!(json!(leg.shown()), expected);
    }

    #[test]
    fn no_words_show() {
        let leg = Leg::Sideband { call_id: "rtc_1".into() };
        let metadata = Content(json!("+15550100"));
        let placing = Placing { tenant: Tenant::unnamed(), leg, metadata };
        let worker = WorkerId::new("w1").unwrap();
        let placed = Line::Placed { worker: worker.clone(), gateway: worker, placing: Box::new(placing) };
        let result = Line::Result { key: "k".into(), output: Content(json!("secret")) };
        let shown = format!("{placed:?} {result:?}");
        assert!(!shown.contains("+1555") && !shown.contains("secret"), "{shown}");
    }
}
