//! The configuration that a server reports: its differences from the one asked for, and how it changes the
//! acknowledged configuration. A member that can't be read changes nothing.
//!
//! Members that decide how a session behaves, and what an unreadable one must not do:
//!
//! | member | would else |
//! |---|---|
//! | `turn_detection` | switch turn detection on, although it is off |
//! | `turn_detection.create_response` | wait for responses that nobody makes, or make two |
//! | `turn_detection.interrupt_response` | stop playback although speech must not |
//! | `format`, `format.rate` | read the bytes of one format as those of another |

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use crate::audio::WireFormat;
use crate::field::Field;
use crate::session_config::{AudioInput, AudioOutput, SessionConfig, TurnDetection};

macro_rules! keep {
    ($echo:expr, $held:expr; $($member:ident),*) => {
        $(if $echo.extra.remove(stringify!($member)).is_some() && $echo.$member.is_absent() {
            $echo.$member = $held.$member.clone();
        })*
    };
}

impl SessionConfig {
    /// Applies what a server reports to this configuration.
    pub(crate) fn merge_echo(&mut self, mut echo: Self) {
        if let Some(audio) = echo.audio.value_mut() {
            if let Some(echo) = audio.input.value_mut() {
                let none = AudioInput::default();
                keep_input(echo, self.input().unwrap_or(&none));
            }
            if let Some(echo) = audio.output.value_mut() {
                let none = AudioOutput::default();
                keep_format(&mut echo.format, &self.output().unwrap_or(&none).format);
            }
        }
        self.merge(echo);
    }
}

fn keep_input(echo: &mut AudioInput, held: &AudioInput) {
    keep_format(&mut echo.format, &held.format);
    let is_readable = match &mut echo.turn_detection {
        Field::Value(TurnDetection::Unknown(raw)) => raw.get().starts_with('{'),
        _ => true,
    };
    if !is_readable {
        echo.turn_detection.clone_from(&held.turn_detection);
        return;
    }
    let (Field::Value(echo), Field::Value(held)) = (&mut echo.turn_detection, &held.turn_detection) else {
        return;
    };
    match (echo, held) {
        (TurnDetection::ServerVad(echo), TurnDetection::ServerVad(held)) => {
            keep!(echo, held; threshold, prefix_padding_ms, silence_duration_ms, create_response,
                interrupt_response, idle_timeout_ms);
        }
        (TurnDetection::SemanticVad(echo), TurnDetection::SemanticVad(held)) => {
            keep!(echo, held; eagerness, create_response, interrupt_response);
        }
        (TurnDetection::ServerVad(echo), TurnDetection::SemanticVad(held)) => {
            keep!(echo, held; create_response, interrupt_response);
        }
        (TurnDetection::SemanticVad(echo), TurnDetection::ServerVad(held)) => {
            keep!(echo, held; create_response, interrupt_response);
        }
        (TurnDetection::Unknown(_), _) | (_, TurnDetection::Unknown(_)) => {}
    }
}

fn keep_format(echo: &mut Field<WireFormat>, held: &Field<WireFormat>) {
    match (&mut *echo, held) {
        (Field::Value(format), held) if format.format().is_none() => echo.clone_from(held),
        (Field::Value(WireFormat::Pcm(echo)), Field::Value(WireFormat::Pcm(held))) => keep!(echo, held; rate),
        _ => {}
    }
}

/// Members that were asked for and that the server reports with another value. A member that is not reported
/// does not count.
pub(crate) fn differences(wanted: &SessionConfig, echo: &SessionConfig) -> Vec<String> {
    let mut paths = Vec::new();
    let (Ok(wanted), Ok(echo)) = (serde_json::to_value(wanted), serde_json::to_value(echo)) else {
        return paths;
    };
    compare(&wanted, &echo, "", &mut paths);
    paths
}

fn compare(wanted: &Value, echo: &Value, path: &str, paths: &mut Vec<String>) {
    match (wanted, echo) {
        (Value::Object(wanted), Value::Object(echo)) => {
            for (name, wanted) in wanted {
                if let Some(echo) = echo.get(name) {
                    let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                    compare(wanted, echo, &path, paths);
                }
            }
        }
        (Value::Array(wanted), Value::Array(echo)) if wanted.len() == echo.len() => {
            for (index, (wanted, echo)) in wanted.iter().zip(echo).enumerate() {
                compare(wanted, echo, &format!("{path}[{index}]"), paths);
            }
        }
        (Value::Number(wanted), Value::Number(echo)) if wanted.as_f64() == echo.as_f64() => {}
        (wanted, echo) if wanted == echo => {}
        _ => paths.push(path.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audio::AudioFormat;

    fn read(config: &Value) -> SessionConfig {
        SessionConfig::decode(&config.to_string(), crate::dialect::Dialect::Ga).unwrap()
    }

    fn input(held: &Value, echo: &Value) -> SessionConfig {
        let mut config = read(&json!({"audio": {"input": held}}));
        config.merge_echo(read(&json!({"audio": {"input": echo}})));
        config
    }

    #[test]
    fn an_unreadable_member_does_not_flip_what_was_acknowledged() {
        for kind in ["server_vad", "semantic_vad"] {
            let held = json!({"turn_detection": {"type": kind, "create_response": false, "interrupt_response": false}});
            for told in ["server_vad", "semantic_vad"] {
                for odd in [json!("no"), json!(0), json!({}), json!([false])] {
                    let echo = json!({"type": told, "create_response": odd, "interrupt_response": odd});
                    let config = input(&held, &json!({"turn_detection": echo}));
                    let detection = config.turn_detection().value().unwrap();
                    assert_eq!(detection.kind(), told);
                    assert!(!detection.creates_response() && !detection.interrupts_response(), "{echo}");
                }
            }
            for odd in [json!("none"), json!(false), json!([]), json!(7)] {
                let config = input(&held, &json!({"turn_detection": odd}));
                assert!(!config.turn_detection().value().unwrap().creates_response(), "{odd}");
                let config = input(&json!({"turn_detection": null}), &json!({"turn_detection": odd}));
                assert!(config.turn_detection().is_null(), "{odd}");
            }
        }
    }

    #[test]
    fn a_readable_member_is_believed() {
        let held = json!({"turn_detection": {"type": "server_vad", "interrupt_response": false}});
        let echo = json!({"turn_detection": {"type": "server_vad", "interrupt_response": true}});
        assert!(input(&held, &echo).turn_detection().value().unwrap().interrupts_response());
        assert!(input(&held, &json!({"turn_detection": null})).turn_detection().is_null());
    }

    #[test]
    fn a_kind_of_turn_detection_that_is_not_known_says_whether_it_interrupts() {
        let echo = json!({"turn_detection": {"type": "azure_semantic_vad", "interrupt_response": false}});
        let config = input(&json!({}), &echo);
        let detection = config.turn_detection().value().unwrap();
        assert!(detection.creates_response() && !detection.interrupts_response());
    }

    #[test]
    fn a_format_that_cannot_be_read_leaves_the_one_that_was_acknowledged() {
        let format = |held: Value, echo: Value| {
            let mut config = read(&json!({"audio": {"output": {"format": held}, "input": {"format": held}}}));
            config
                .merge_echo(read(&json!({"audio": {"output": {"format": echo}, "input": {"format": echo}}})));
            assert_eq!(config.input_format(), config.output_format());
            config.output_format()
        };
        for odd in [json!(7), json!("mu-law"), json!({"type": "audio/new"}), json!({})] {
            assert_eq!(format(json!({"type": "audio/pcmu"}), odd.clone()), AudioFormat::Pcmu, "{odd}");
        }
        let slow = json!({"type": "audio/pcm", "rate": 16_000});
        let odd = json!({"type": "audio/pcm", "rate": "fast"});
        assert_eq!(format(slow.clone(), odd), AudioFormat::Pcm16 { rate: 16_000 });
        assert_eq!(format(slow, json!("g711_alaw")), AudioFormat::Pcma);
    }

    fn parsed(json: &str) -> SessionConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_members_that_are_reported_otherwise_differ() {
        let wanted = parsed(
            r#"{"instructions":"a","audio":{"output":{"speed":1,"voice":"marin"}},"tools":[{"type":"function","name":"f"}]}"#,
        );
        let echo = parsed(
            r#"{"audio":{"output":{"speed":1.0,"voice":"cedar"}},"tools":[{"type":"function","name":"f","strict":true}]}"#,
        );
        assert_eq!(differences(&wanted, &echo), ["audio.output.voice"]);
    }
}
