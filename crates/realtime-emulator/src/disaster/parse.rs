//! Reads disasters from JSON, strictly: an unknown member is refused, so that a mistake does not pass as a
//! run without disasters.

use std::time::Duration;

use realtime_protocol::audio::AudioFormat;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::disaster::pointer::Pointer;
use crate::disaster::{Action, Disaster, Edit, FromClient, IdPlace, Repeat, Which};

/// A disaster that cannot be read: which member, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {reason}")]
#[non_exhaustive]
pub struct DisasterError {
    /// The member at fault, such as `disasters[2].nth`.
    pub path: String,
    /// What was expected and what came.
    pub reason: String,
}

impl Disaster {
    /// Reads one disaster.
    ///
    /// # Errors
    /// [`DisasterError`] names the member at fault; its path begins with `path`.
    pub fn parse(value: &Value, path: &str) -> Result<Self, DisasterError> {
        let Some(object) = value.as_object() else {
            return Err(DisasterError { path: path.into(), reason: "expected an object".into() });
        };
        let mut members = Members { left: object.clone(), path };
        let action: String = members.required("do")?;
        let (action, usual) = members.action(&action)?;
        let at: Option<String> = members.take("at")?;
        let after: Option<u64> = members.take("after_ms")?;
        let which = members.which()?;
        let from = members.client_event()?;
        members.end()?;
        if from.is_some() {
            let is_both = at.is_some().then_some("only one of `at` and `from` can be given");
            let means_server = !action.concerns_client();
            if let Some(reason) =
                is_both.or_else(|| means_server.then_some("this does not happen to what a client sends"))
            {
                return Err(members.fault("from", reason));
            }
            let after = Duration::from_millis(after.unwrap_or(0));
            return Ok(Self { at, from, which, after, action });
        }
        if matches!(action, Action::Refuse { .. }) {
            return Err(members.fault("from", "missing: it refuses what a client sends"));
        }
        // If only a time is given, it happens then; otherwise at the events that it concerns.
        let at = at.or_else(|| usual.map(String::from));
        if at.is_none() && after.is_none() {
            let reason = "expected `at`, `from` or `after_ms`".into();
            return Err(DisasterError { path: path.into(), reason });
        }
        if at.is_none() && !action.needs_no_event() {
            return Err(DisasterError {
                path: format!("{path}.at"),
                reason: "missing: it needs an event".into(),
            });
        }
        Ok(Self { at, from, which, after: Duration::from_millis(after.unwrap_or(0)), action })
    }
}

impl Action {
    /// Returns whether it can happen at a client event.
    const fn concerns_client(&self) -> bool {
        self.needs_no_event() || matches!(self, Self::Drop | Self::Refuse { .. })
    }

    /// Returns whether it can happen by itself, at a time.
    pub(super) const fn needs_no_event(&self) -> bool {
        matches!(
            self,
            Self::Delay { .. }
                | Self::Stall
                | Self::Cut { .. }
                | Self::Break
                | Self::UnknownEvent(_)
                | Self::Malformed(Some(_))
                | Self::Error { .. }
                | Self::Expire
                | Self::Key(_)
                | Self::SlowReader(_)
        )
    }
}

struct Members<'a> {
    left: Map<String, Value>,
    path: &'a str,
}

impl Members<'_> {
    /// The action, and the events that it concerns if that is clear.
    fn action(&mut self, name: &str) -> Result<(Action, Option<&'static str>), DisasterError> {
        const AUDIO: Option<&str> = Some("response.output_audio.delta");
        const DONE: Option<&str> = Some("response.done");
        const HEARD: Option<&str> = Some("conversation.item.input_audio_transcription.completed");
        Ok(match name {
            "delay" => {
                (Action::Delay { time: self.millis("ms", 0)?, jitter: self.millis("jitter_ms", 0)? }, None)
            }
            "stall" => (Action::Stall, None),
            "cut" => {
                let code: Option<u16> = self.take("code")?;
                if code.is_some_and(|code| !(1000..5000).contains(&code)) {
                    return Err(self.fault("code", "expected a close code from 1000 to 4999"));
                }
                (Action::Cut { code, reason: self.take("reason")?.unwrap_or_default() }, None)
            }
            "break" => (Action::Break, None),
            "drop" => (Action::Drop, None),
            "duplicate" => (Action::Duplicate(self.count("times", 1)?), None),
            "reorder" => (Action::Reorder(self.count("by", 1)?), None),
            "hold" => (Action::Hold { until: self.take("until")?, time: self.millis("ms", 60_000)? }, None),
            "unknown_event" => {
                (Action::UnknownEvent(self.take("type")?.unwrap_or_else(|| "emulator.unknown".into())), None)
            }
            "unknown_members" => (Action::UnknownMembers, None),
            "malformed" => (Action::Malformed(self.take("text")?), None),
            "bad_base64" => (Action::BadBase64, AUDIO),
            "odd_audio" => (Action::OddAudio, AUDIO),
            "format" => {
                let format: String = self.required("format")?;
                let format = match format.as_str() {
                    "audio/pcm" => AudioFormat::PCM16_24K,
                    "audio/pcmu" => AudioFormat::Pcmu,
                    "audio/pcma" => AudioFormat::Pcma,
                    _ => {
                        return Err(
                            self.fault("format", "expected `audio/pcm`, `audio/pcmu` or `audio/pcma`")
                        );
                    }
                };
                (Action::Format(format), AUDIO)
            }
            "error" => {
                let (code, message, param) =
                    (self.required("code")?, self.take("message")?, self.take("param")?);
                (Action::Error { code, message, param, names: self.take("names")? }, None)
            }
            "refuse" => {
                (Action::Refuse { code: self.required("code")?, message: self.take("message")? }, None)
            }
            "edit" => (Action::Edit(Edit::take(&mut self.left, self.path)?), None),
            "binary" => (Action::Binary, None),
            "repeat" => {
                let interval = self.millis("ms", 1)?.max(Duration::from_millis(1));
                let times = self.take("times")?.unwrap_or(u64::MAX);
                let fresh: Vec<String> = self.take("fresh")?.unwrap_or_default();
                let fresh = fresh.iter().map(|text| Pointer::parse(text)).collect::<Result<_, _>>();
                let fresh = fresh.map_err(|reason| self.fault("fresh", reason))?;
                (Action::Repeat(Repeat { interval, times, fresh }), None)
            }
            "same_id" => {
                let of: String = self.required("of")?;
                let place = Pointer::parse(&of).map_err(|reason| self.fault("of", reason))?;
                (Action::SameId(IdPlace(place)), None)
            }
            "usage_null" => (Action::UsageNull, DONE),
            "late_deltas" => (Action::LateDeltas(self.count("count", 3)?), DONE),
            "fail_transcription" => {
                let code = self.take("code")?.unwrap_or_else(|| "transcription_failed".into());
                (Action::FailTranscription(code), HEARD)
            }
            "expire" => (Action::Expire, None),
            "dtmf" => {
                let key: char = self.required("event")?;
                if !"0123456789*#ABCD".contains(key) {
                    return Err(self.fault("event", "expected a key: 0 to 9, *, # or A to D"));
                }
                (Action::Key(key), None)
            }
            "slow_reader" => {
                let rate = self.take("bytes_per_second")?.unwrap_or(8000);
                if rate == 0 {
                    return Err(self.fault("bytes_per_second", "expected at least 1"));
                }
                (Action::SlowReader(rate), None)
            }
            _ => return Err(self.fault("do", format_args!("nothing here is called `{name}`"))),
        })
    }

    fn which(&mut self) -> Result<Which, DisasterError> {
        let nth = self.take::<u64>("nth")?.map(Which::Nth);
        let every = self.take::<u64>("every")?.map(Which::Every);
        let chance = self.take::<f64>("chance")?.map(Which::Chance);
        if nth == Some(Which::Nth(0)) || every == Some(Which::Every(0)) {
            return Err(self.fault(if nth.is_some() { "nth" } else { "every" }, "counting begins at 1"));
        }
        // JSON has no infinite numbers, but 1e400 may be read as one.
        if let Some(Which::Chance(chance)) = chance.filter(|which| !matches!(which, Which::Chance(0.0..=1.0)))
        {
            return Err(self.fault("chance", format_args!("expected a number from 0 to 1, got {chance}")));
        }
        match (nth, every, chance) {
            (None, None, None) => Ok(Which::Nth(1)),
            (Some(which), None, None) | (None, Some(which), None) | (None, None, Some(which)) => Ok(which),
            _ => Err(self.fault("nth", "only one of `nth`, `every` and `chance` can be given")),
        }
    }

    /// Which of the client's events.
    fn client_event(&mut self) -> Result<Option<FromClient>, DisasterError> {
        let Some(kind) = self.take::<String>("from")? else { return Ok(None) };
        let member: Option<String> = self.take("member")?;
        let member = member.map(|text| Pointer::parse(&text)).transpose();
        let member = member.map_err(|reason| self.fault("member", reason))?;
        let value = self.left.remove("value");
        if value.is_some() && member.is_none() {
            return Err(self.fault("value", "means nothing without `member`"));
        }
        Ok(Some(FromClient { kind, member, value, over_bytes: self.take("over_bytes")?.unwrap_or(0) }))
    }

    fn count(&mut self, name: &str, default: u32) -> Result<u32, DisasterError> {
        match self.take(name)?.unwrap_or(default) {
            count @ 1..=1000 => Ok(count),
            _ => Err(self.fault(name, "expected 1 to 1000")),
        }
    }

    fn millis(&mut self, name: &str, default: u64) -> Result<Duration, DisasterError> {
        Ok(Duration::from_millis(self.take(name)?.unwrap_or(default)))
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, DisasterError> {
        self.take(name)?.ok_or_else(|| self.fault(name, "missing"))
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, DisasterError> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(value) => serde_json::from_value(value).map_err(|error| self.fault(name, error)),
        }
    }

    fn end(&self) -> Result<(), DisasterError> {
        match self.left.keys().next() {
            Some(name) => Err(self.fault(name, "means nothing here")),
            None => Ok(()),
        }
    }

    fn fault(&self, name: &str, reason: impl std::fmt::Display) -> DisasterError {
        DisasterError { path: format!("{}.{name}", self.path), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_disaster_says_when_and_what() {
        let check = |value: Value, expected: Disaster| assert_eq!(Disaster::parse(&value, "d"), Ok(expected));
        check(
            json!({"at": "response.created", "do": "drop"}),
            Disaster::at("response.created", Action::Drop),
        );
        check(
            json!({"do": "odd_audio", "every": 2}),
            Disaster::at("response.output_audio.delta", Action::OddAudio).which(Which::Every(2)),
        );
        check(
            json!({"after_ms": 5, "do": "cut", "code": 4000}),
            Disaster::after(
                Duration::from_millis(5),
                Action::Cut { code: Some(4000), reason: String::new() },
            ),
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |value: Value, expected: &str| {
            let error = Disaster::parse(&value, "d").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(json!(7), "d: expected an object");
        check(json!({"at": "*"}), "d.do: missing");
        check(json!({"at": "*", "do": "explode"}), "d.do: nothing here is called `explode`");
        check(json!({"do": "stall"}), "d: expected `at`, `from` or `after_ms`");
        check(json!({"do": "drop", "after_ms": 1}), "d.at: missing: it needs an event");
        check(json!({"at": "*", "from": "*", "do": "drop"}), "d.from: only one of `at` and `from`");
        check(
            json!({"from": "*", "do": "bad_base64"}),
            "d.from: this does not happen to what a client sends",
        );
        check(json!({"at": "*", "do": "refuse", "code": "c"}), "d.from: missing");
        check(json!({"from": "*", "do": "drop", "value": 1}), "d.value: means nothing without `member`");
        check(json!({"from": "*", "do": "drop", "member": "x"}), "d.member: expected a JSON pointer");
        check(json!({"at": "*", "do": "drop", "over_bytes": 1}), "d.over_bytes: means nothing here");
        check(json!({"at": "*", "do": "same_id", "of": "x"}), "d.of: expected a JSON pointer");
        check(json!({"at": "*", "do": "repeat", "fresh": ["x"]}), "d.fresh: expected a JSON pointer");
        check(json!({"at": "*", "do": "drop", "ms": 1}), "d.ms: means nothing here");
        check(json!({"after_ms": 1, "do": "dtmf", "event": "E"}), "d.event: expected a key");
        check(json!({"at": "*", "do": "cut", "code": 7}), "d.code: expected a close code");
        check(json!({"at": "*", "do": "drop", "nth": 0}), "d.nth: counting begins at 1");
        check(json!({"at": "*", "do": "drop", "nth": 1, "chance": 0.5}), "d.nth: only one of");
        check(json!({"at": "*", "do": "drop", "nth": "x"}), "d.nth: invalid type");
        for chance in [json!(-1), json!(1.5), json!(1e300), json!(-0.001)] {
            check(
                json!({"at": "*", "do": "drop", "chance": chance}),
                "d.chance: expected a number from 0 to 1",
            );
        }
        for chance in [json!(0), json!(1), json!(0.5)] {
            assert!(Disaster::parse(&json!({"at": "*", "do": "drop", "chance": chance}), "d").is_ok());
        }
    }
}
