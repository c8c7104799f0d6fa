//! What an update changes, and the smallest update that changes it.

use alloc::string::String;

use serde::Serialize;

use crate::compare::first_difference;
use crate::event::scan;
use crate::field::{Extra, Field};
use crate::session_config::{AudioConfig, AudioInput, AudioOutput, SessionConfig};

/// Calls a macro with all members of [`SessionConfig`] that an update may change, but `audio`.
macro_rules! changeable {
    ($apply:ident!($($argument:expr),*)) => {
        $apply!($($argument),*; output_modalities, instructions, tools, tool_choice, parallel_tool_calls, reasoning,
            max_output_tokens, truncation, prompt, tracing, include, temperature)
    };
}

macro_rules! replace {
    ($target:expr, $update:expr; $($member:ident),*) => {
        $(if !$update.$member.is_absent() { $target.$member = $update.$member; })*
    };
}

macro_rules! give_way {
    ($target:expr, $later:expr; $($member:ident),*) => {
        $(if !$later.$member.is_absent() { $target.$member = Field::Absent; })*
    };
}

macro_rules! differ {
    ($into:expr, $desired:expr, $acknowledged:expr; $($member:ident),*) => {
        $(
            if !is_as_desired(&$desired.$member, &$acknowledged.$member) {
                $into.$member = $desired.$member.clone();
            }
        )*
    };
}

impl SessionConfig {
    /// Applies an update to this configuration, as the server does. What the update sets, `null` included,
    /// replaces the old value; what it leaves out stays. Only `audio` is merged member by member.
    pub fn merge(&mut self, update: Self) {
        replace!(self, update; kind, id, object, expires_at, model, client_secret);
        changeable!(replace!(self, update));
        merge_extra(&mut self.extra, &update.extra);
        match update.audio {
            Field::Value(audio) => {
                match audio.input {
                    Field::Value(input) => {
                        let target = self.input_mut();
                        replace!(target, input; format, transcription, noise_reduction, turn_detection);
                        merge_extra(&mut target.extra, &input.extra);
                    }
                    Field::Null => self.audio.get_or_insert_default().input = Field::Null,
                    Field::Absent => {}
                }
                match audio.output {
                    Field::Value(output) => {
                        let target = self.output_mut();
                        replace!(target, output; format, voice, speed, language);
                        merge_extra(&mut target.extra, &output.extra);
                    }
                    Field::Null => self.audio.get_or_insert_default().output = Field::Null,
                    Field::Absent => {}
                }
                if !audio.extra.is_empty() {
                    merge_extra(&mut self.audio.get_or_insert_default().extra, &audio.extra);
                }
            }
            Field::Null => self.audio = Field::Null,
            Field::Absent => {}
        }
    }

    /// Leaves out what a later update has set, so that this one can be sent after it.
    pub(crate) fn give_way(&mut self, later: &Self) {
        give_way!(self, later; model);
        changeable!(give_way!(self, later));
        give_way_extra(&mut self.extra, &later.extra);
        match (self.audio.value_mut(), &later.audio) {
            (Some(audio), Field::Value(later)) => {
                give_way_extra(&mut audio.extra, &later.extra);
                match (audio.input.value_mut(), &later.input) {
                    (Some(input), Field::Value(later)) => {
                        give_way!(input, later; format, transcription, noise_reduction, turn_detection);
                        give_way_extra(&mut input.extra, &later.extra);
                    }
                    (_, Field::Null) => audio.input = Field::Absent,
                    (_, Field::Value(_) | Field::Absent) => {}
                }
                match (audio.output.value_mut(), &later.output) {
                    (Some(output), Field::Value(later)) => {
                        give_way!(output, later; format, voice, speed, language);
                        give_way_extra(&mut output.extra, &later.extra);
                    }
                    (_, Field::Null) => audio.output = Field::Absent,
                    (_, Field::Value(_) | Field::Absent) => {}
                }
            }
            (_, Field::Null) => self.audio = Field::Absent,
            (_, Field::Value(_) | Field::Absent) => {}
        }
        self.prune();
    }

    /// Returns whether this update, applied to a configuration, has changed it.
    pub(crate) fn has_changed(&self, before: &Self, after: &Self) -> bool {
        let this = Self { kind: Field::Absent, ..self.clone() };
        this.diff(before) != this.diff(after)
    }

    /// Removes halves of `audio` that set nothing.
    pub(crate) fn prune(&mut self) {
        if let Some(audio) = self.audio.value_mut() {
            if audio.input.value().is_some_and(|input| *input == AudioInput::default()) {
                audio.input = Field::Absent;
            }
            if audio.output.value().is_some_and(|output| *output == AudioOutput::default()) {
                audio.output = Field::Absent;
            }
            if *audio == AudioConfig::default() {
                self.audio = Field::Absent;
            }
        }
    }

    /// Returns the smallest update that turns `acknowledged`, the configuration reported by a server, into
    /// what this configuration asks for. `None`: nothing has to change.
    ///
    /// Members that this configuration leaves out are not asked for. An object within it (turn detection, a
    /// format) is replaced as a whole, and a member left out there means the server's default:
    /// `{"type":"server_vad"}` equals the object that a server reports with all of its numbers. No update
    /// changes `model` or the members that only the server writes.
    ///
    /// ```
    /// use realtime_protocol::session_config::SessionConfig;
    ///
    /// let acknowledged = SessionConfig::realtime().instructions("Be brief.").max_output_tokens(MaxOutputTokens::Infinite);
    /// let desired = SessionConfig::realtime().instructions("Be brief.").max_output_tokens(MaxOutputTokens::Limit(200));
    /// let update = desired.diff(&acknowledged).unwrap();
    /// assert_eq!(update, SessionConfig::realtime().max_output_tokens(MaxOutputTokens::Limit(200)));
    /// assert_eq!(desired.diff(&desired), None);
    /// # use realtime_protocol::session_config::MaxOutputTokens;
    /// ```
    pub fn diff(&self, acknowledged: &Self) -> Option<Self> {
        let mut update = Self { extra: diff_extra(&self.extra, &acknowledged.extra), ..Self::default() };
        changeable!(differ!(update, self, acknowledged));
        update.audio = match &self.audio {
            Field::Value(audio) => diff_audio(audio, acknowledged.audio.value()),
            Field::Null if !acknowledged.audio.is_null() => Field::Null,
            Field::Null | Field::Absent => Field::Absent,
        };
        let is_same = update == Self::default() && is_as_desired(&self.kind, &acknowledged.kind);
        // GA refuses an update without the session's `type`.
        (!is_same).then(|| Self { kind: self.kind.clone(), ..update })
    }
}

fn diff_audio(desired: &AudioConfig, acknowledged: Option<&AudioConfig>) -> Field<AudioConfig> {
    let none = AudioConfig::default();
    let acknowledged = acknowledged.unwrap_or(&none);
    let mut update =
        AudioConfig { extra: diff_extra(&desired.extra, &acknowledged.extra), ..AudioConfig::default() };
    match &desired.input {
        Field::Value(input) => {
            let none = AudioInput::default();
            let acknowledged = acknowledged.input.value().unwrap_or(&none);
            let mut half =
                AudioInput { extra: diff_extra(&input.extra, &acknowledged.extra), ..AudioInput::default() };
            differ!(half, input, acknowledged; format, transcription, noise_reduction, turn_detection);
            if half != AudioInput::default() {
                update.input = half.into();
            }
        }
        Field::Null if !acknowledged.input.is_null() => update.input = Field::Null,
        Field::Null | Field::Absent => {}
    }
    match &desired.output {
        Field::Value(output) => {
            let none = AudioOutput::default();
            let acknowledged = acknowledged.output.value().unwrap_or(&none);
            let mut half = AudioOutput {
                extra: diff_extra(&output.extra, &acknowledged.extra),
                ..AudioOutput::default()
            };
            differ!(half, output, acknowledged; format, voice, speed, language);
            if half != AudioOutput::default() {
                update.output = half.into();
            }
        }
        Field::Null if !acknowledged.output.is_null() => update.output = Field::Null,
        Field::Null | Field::Absent => {}
    }
    if update == AudioConfig::default() { Field::Absent } else { update.into() }
}

fn merge_extra(extra: &mut Extra, update: &Extra) {
    for (name, value) in update.iter() {
        extra.insert(name, value.clone());
    }
}

fn give_way_extra(extra: &mut Extra, later: &Extra) {
    for (name, _) in later.iter() {
        extra.remove(name);
    }
}

fn diff_extra(desired: &Extra, acknowledged: &Extra) -> Extra {
    let mut update = Extra::default();
    for (name, value) in desired.iter() {
        let is_same =
            acknowledged.get(name).is_some_and(|other| first_difference(value.get(), other.get()).is_none());
        if !is_same {
            update.insert(name, value.clone());
        }
    }
    update
}

/// Returns whether nothing has to be sent for a member.
fn is_as_desired<T: PartialEq + Serialize>(desired: &Field<T>, acknowledged: &Field<T>) -> bool {
    match (desired, acknowledged) {
        (Field::Absent, _) | (Field::Null, Field::Null) => true,
        (Field::Value(desired), Field::Value(acknowledged)) => {
            desired == acknowledged || json(acknowledged).is_some_and(|told| covers(&told, &json(desired)))
        }
        (Field::Null | Field::Value(_), _) => false,
    }
}

fn json<T: Serialize>(value: &T) -> Option<serde_json::Value> {
    let mut text = String::new();
    scan::write(value, &mut text);
    serde_json::from_str(&text).ok()
}

/// Returns whether `told` is `desired` with defaults filled in.
fn covers(told: &serde_json::Value, desired: &Option<serde_json::Value>) -> bool {
    use serde_json::Value;
    let Some(desired) = desired else { return false };
    match (told, desired) {
        (Value::Object(told), Value::Object(desired)) => {
            desired.iter().all(|(name, value)| told.get(name) == Some(value))
                && told.iter().all(|(name, value)| desired.contains_key(name) || is_default(name, value))
        }
        _ => told == desired,
    }
}

/// What servers report for members that were left out.
fn is_default(name: &str, value: &serde_json::Value) -> bool {
    match name {
        "create_response" | "interrupt_response" => *value == true,
        "eagerness" => *value == "auto",
        "prefix_padding_ms" => *value == 300,
        "rate" => *value == 24_000,
        // Documented as 500; the service itself reports 200.
        "silence_duration_ms" => *value == 500 || *value == 200,
        "threshold" => *value == 0.5,
        "language" | "prompt" => *value == "" || value.is_null(),
        _ => value.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::dialect::Dialect;
    use crate::session_config::{ServerVad, TurnDetection};

    fn config(value: &serde_json::Value) -> SessionConfig {
        use alloc::string::ToString;
        SessionConfig::decode(&value.to_string(), Dialect::Ga).unwrap()
    }

    /// A configuration in which each member is absent, `null`, or one of two values.
    fn any_config() -> impl Strategy<Value = SessionConfig> {
        let choice = || proptest::collection::vec(0..4_usize, 10);
        choice().prop_map(|choice| {
            let mut session = json!({"type": "realtime"});
            let mut set = |path: &[&str], choice: usize, values: [serde_json::Value; 2]| {
                let value = match choice {
                    0 => return,
                    1 => serde_json::Value::Null,
                    n => values[n - 2].clone(),
                };
                let mut place = &mut session;
                for name in path {
                    place = &mut place[*name];
                }
                *place = value;
            };
            set(&["instructions"], choice[0], [json!("a"), json!("")]);
            set(&["tools"], choice[1], [json!([]), json!([{"type": "function", "name": "f"}])]);
            set(&["truncation"], choice[2], [json!("auto"), json!({"type": "retention_ratio"})]);
            set(&["x_unknown"], choice[3], [json!(1), json!({"a": 1})]);
            set(
                &["audio", "input", "turn_detection"],
                choice[4],
                [json!({"type": "server_vad", "threshold": 0.9}), json!({"type": "semantic_vad"})],
            );
            set(
                &["audio", "input", "transcription"],
                choice[5],
                [json!({"model": "a"}), json!({"model": "b"})],
            );
            set(&["audio", "input", "format"], choice[6], [json!({"type": "audio/pcmu"}), json!("pcm16")]);
            set(&["audio", "output", "voice"], choice[7], [json!("marin"), json!({"id": "v"})]);
            set(&["audio", "output", "speed"], choice[8], [json!(1), json!(1.5)]);
            set(&["audio", "output", "x_unknown"], choice[9], [json!(1), json!([])]);
            config(&session)
        })
    }

    proptest! {
        #[test]
        fn the_difference_makes_of_what_is_what_is_wanted(is in any_config(), wanted in any_config()) {
            let mut all = is.clone();
            all.merge(wanted.clone());
            let mut only = is.clone();
            if let Some(update) = wanted.diff(&is) {
                // Everything in it was a change.
                prop_assert_eq!(update.diff(&is), Some(update.clone()));
                only.merge(update);
            }
            prop_assert_eq!(&only, &all);
            prop_assert_eq!(wanted.diff(&only), None);
        }
    }

    #[test]
    fn defaults_that_a_server_fills_in_are_no_difference() {
        let wanted = config(&json!({"type": "realtime", "tools": [{"type": "function", "name": "f",
            "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}],
            "audio": {"input": {"format": {"type": "audio/pcm"}, "turn_detection": {"type": "server_vad"},
            "transcription": {"model": "whisper-1"}}}}));
        let told = config(
            &json!({"type": "realtime", "id": "sess_1", "model": "m", "instructions": "x", "tools": [
            {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}, "type": "object"}, "type": "function"}],
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": {
            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
            "idle_timeout_ms": null, "create_response": true, "interrupt_response": true},
            "transcription": {"model": "whisper-1", "language": null, "prompt": ""}}}}),
        );
        assert_eq!(wanted.diff(&told), None);
        let mut told = told;
        told.input_mut().turn_detection = Field::Value(ServerVad::default().threshold(0.9).into());
        let update = wanted.diff(&told).unwrap();
        let members: Vec<_> = update.input().unwrap().turn_detection.value().into_iter().collect();
        assert!(matches!(members[..], [TurnDetection::ServerVad(_)]));
        assert!(update.tools.is_absent());
    }

    #[test]
    fn an_update_may_switch_off() {
        let wanted = config(&json!({"type": "realtime", "audio": {"input": {"turn_detection": null}}}));
        let told = config(&json!({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}));
        let update = wanted.diff(&told).unwrap();
        assert_eq!(update, wanted);
    }
}
