//! The configuration: what was asked for, what the server made of it, and what it no longer lets change.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use crate::call::{CloseReason, CommandId, Event, Outcome, Warning};
use crate::error::ApiError;
use crate::event::SessionUpdate;
use crate::field::Field;
use crate::id::EventId;
use crate::session::Session;
use crate::session::answers::{Await, Awaited};
use crate::session::sequencer::turn;
use crate::session_config::SessionConfig;

/// Updates that were sent and not acknowledged, oldest first.
#[derive(Debug, Default)]
pub(super) struct Updates(VecDeque<Update>);

#[derive(Debug)]
struct Update {
    event_id: EventId,
    config: Box<SessionConfig>,
    /// Whether a member was left out already because the server refused it.
    retried: bool,
}

impl Updates {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out the one that was sent with this id.
    fn take(&mut self, event_id: &EventId) -> Option<Update> {
        let index = self.0.iter().position(|update| update.event_id == *event_id)?;
        self.0.remove(index)
    }
}

impl Session {
    /// Changes the configuration, as far as the server still lets it change.
    pub(super) fn update_config(&mut self, id: CommandId, mut config: SessionConfig) {
        self.policy.take_wish(&mut config);
        if self.is_unconfigured() {
            self.options.config.merge(config);
            self.config = self.options.config.clone();
            self.settle(id, Outcome::Done);
            return;
        }
        for path in self.take_locked(&mut config) {
            self.tell(Event::Warning(Warning::ConfigMemberLocked { path: path.into() }));
        }
        config.kind = Field::Absent;
        if config == SessionConfig::default() {
            self.settle(id, Outcome::Done);
            return;
        }
        self.send_update(Some(id), config, false);
    }

    pub(super) fn send_update(&mut self, id: Option<CommandId>, mut config: SessionConfig, retried: bool) {
        // GA refuses an update that does not say what kind of session it is for.
        config.kind.clone_from(&self.options.config.kind);
        self.note_update(&mut config, retried);
        let event_id = self.next_event_id();
        self.expect(id, event_id.clone(), Await::Updated);
        let config = Box::new(config);
        self.updates.0.push_back(Update { event_id: event_id.clone(), config: config.clone(), retried });
        self.send(SessionUpdate { event_id: event_id.into(), session: config, ..SessionUpdate::default() });
    }

    /// Takes out members that the server does not let change any more, and names those that were to change.
    fn take_locked(&self, config: &mut SessionConfig) -> Vec<&'static str> {
        let mut locked = Vec::new();
        if let Field::Value(model) = core::mem::take(&mut config.model)
            && self.config.model.value() != Some(&model)
        {
            locked.push("model");
        }
        let current = self.config.output().and_then(|output| output.voice.value());
        if self.voice_locked
            && let Some(output) = config.audio.value_mut().and_then(|audio| audio.output.value_mut())
            && let Field::Value(voice) = core::mem::take(&mut output.voice)
            && current != Some(&voice)
        {
            locked.push("audio.output.voice");
        }
        config.prune();
        locked
    }

    /// The server reports its configuration. Takes over the update that it acknowledges, and says where it differs.
    pub(super) fn adopt(&mut self, acknowledged: Option<&Awaited>, echo: SessionConfig) {
        if let Some(update) = acknowledged.and_then(|awaited| self.updates.take(&awaited.event_id)) {
            let paths = differences(&update.config, &echo);
            if !paths.is_empty() {
                self.tell(Event::Warning(Warning::ConfigDiffers { paths }));
            }
            self.config.merge(*update.config);
        }
        self.config.merge(echo);
        if self.config.turn_detection().is_null() {
            self.step_turn(turn::Step::Undetected, None);
            self.drop_speech();
        }
        self.check_policy();
    }

    /// The server does not acknowledge the configuration: it counts as taken over.
    pub(super) fn assume_config(&mut self) {
        self.updates = Updates::default();
        self.config.merge(self.options.config.clone());
    }

    /// An answer did not come: if it was to an update, that is let go as well.
    pub(super) fn forget_update(&mut self, awaited: &Awaited) {
        if awaited.what == Await::Updated {
            self.updates.take(&awaited.event_id);
        }
    }

    /// The server refused an update. One bad member refuses it whole: if the error names it, the rest is sent again,
    /// once. Returns whether that is told by something else than the error.
    pub(super) fn update_refused(
        &mut self,
        id: Option<CommandId>,
        event_id: &EventId,
        error: &ApiError,
    ) -> bool {
        let without = self.updates.take(event_id).filter(|update| !update.retried).and_then(|update| {
            let param = error.param.value()?;
            Some((param.clone(), update.config.without(param)?))
        });
        if let Some((param, config)) = without {
            let message = error.message_str().into();
            if !self.state.is_ready()
                && let Some(intent) = self.options.config.without(&param)
            {
                self.options.config = intent;
            }
            self.tell(Event::Warning(Warning::ConfigMemberRefused { param, message }));
            self.send_update(id, config, true);
            return true;
        }
        if let Some(id) = id {
            self.settle(id, Outcome::Refused { error: Box::new(error.clone()) });
        } else if !self.state.is_ready() {
            self.close(CloseReason::ConfigRefused { message: error.message_str().into() });
        }
        id.is_some()
    }
}

/// Members that were asked for and that the server reports with another value. One that it does not report at all
/// says nothing.
fn differences(wanted: &SessionConfig, echo: &SessionConfig) -> Vec<String> {
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
    use super::*;

    fn config(json: &str) -> SessionConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_members_that_are_reported_otherwise_differ() {
        let wanted = config(
            r#"{"instructions":"a","audio":{"output":{"speed":1,"voice":"marin"}},"tools":[{"type":"function","name":"f"}]}"#,
        );
        let echo = config(
            r#"{"audio":{"output":{"speed":1.0,"voice":"cedar"}},"tools":[{"type":"function","name":"f","strict":true}]}"#,
        );
        assert_eq!(differences(&wanted, &echo), ["audio.output.voice"]);
    }
}
