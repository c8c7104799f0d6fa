//! A configuration without what a server refused: takes out the smallest unit that leaves a valid
//! configuration, by a table of members that their objects need.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::dialect::ga_path;
use crate::event::scan;
use crate::session_config::SessionConfig;
use crate::session_config::member_path::{MemberPath, Named};
use crate::wire::Wire;
use crate::wire::object::{Object, array, elements};

/// Members that the object around them needs: if one of them is refused, the object goes.
///
/// Without a member of the first kind, every server refuses the object. Without one of the second kind, the
/// object would allow more than was asked for: a tool without the limits that were declared is not the tool
/// that was declared.
const NEEDED: &[&str] = &[
    "audio.input.format.type",
    "audio.input.noise_reduction.type",
    "audio.input.transcription.model",
    "audio.input.turn_detection.type",
    "audio.output.format.type",
    "audio.output.voice.id",
    "prompt.id",
    "prompt.variables.*.*",
    "tool_choice.name",
    "tool_choice.server_label",
    "tool_choice.type",
    "tools.[].connector_id",
    "tools.[].name",
    "tools.[].server_label",
    "tools.[].server_url",
    "tools.[].tunnel_id",
    "tools.[].type",
    "truncation.retention_ratio",
    "truncation.type",
    // What limits.
    "tools.[].allowed_callers",
    "tools.[].allowed_tools",
    "tools.[].allowed_tools.*",
    "tools.[].authorization",
    "tools.[].headers",
    "tools.[].headers.**",
    "tools.[].parameters",
    "tools.[].parameters.**",
    "tools.[].require_approval.**",
];

impl SessionConfig {
    /// This configuration without one member, named as the server's errors name it: `session.tools[2].meta`,
    /// in any spelling of either dialect. `None`: it has no such member.
    ///
    /// Takes out the smallest possible unit: the member, or the whole object if it needs the member, or one
    /// element of a list. A list or an object that becomes empty goes as well, because an empty one means
    /// something else.
    ///
    /// ```
    /// use realtime_protocol::session_config::SessionConfig;
    ///
    /// let text = r#"{"tools":[{"type":"function","name":"f","meta":1},{"type":"function","name":"g"}]}"#;
    /// let config: SessionConfig = serde_json::from_str(text)?;
    /// let left = |param| serde_json::to_string(&config.without(param).unwrap());
    /// assert_eq!(left("session.tools[0].meta")?, r#"{"tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]}"#);
    /// assert_eq!(left("session.tools[0].name")?, r#"{"tools":[{"type":"function","name":"g"}]}"#);
    /// assert_eq!(config.without("session.voice"), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn without(&self, param: &str) -> Option<Self> {
        Some(self.take_out(&Named::read(param)?)?.0)
    }

    /// The configuration without a member, and the place of the unit that was taken out.
    pub(crate) fn take_out(&self, named: &Named<'_>) -> Option<(Self, MemberPath)> {
        let mut text = String::new();
        scan::write(self, &mut text);
        let (first, rest) = named.steps().split_first()?;
        let is_literal = Object::read(&text)?.get(first).is_some();
        let beta = if is_literal { first } else { ga_path(first) };
        let steps: Vec<&str> = if is_literal { Vec::from([*first]) } else { beta.split('.').collect() };
        let steps: Vec<&str> = steps.into_iter().chain(rest.iter().copied()).collect();
        let mut unit = Unit::default();
        let text = match unit.take(&text, &steps)? {
            Left::Some(text) => text,
            Left::Nothing => "{}".into(),
            Left::Whole => return None, // no member of the root is needed
        };
        let raw: &RawValue = serde_json::from_str(&text).ok()?;
        Some((Self::from_raw(raw).ok()?, unit.place))
    }

    /// Returns whether it sets nothing, besides the kind of session that it is for.
    pub(crate) fn sets_nothing(&self) -> bool {
        *self == Self { kind: self.kind.clone(), ..Self::default() }
    }
}

/// What is left of a value from which something was taken out.
enum Left {
    /// This.
    Some(String),
    /// Nothing: it is empty now.
    Nothing,
    /// Nothing: it is the named value itself, or needs the named value, so all of it goes.
    Whole,
}

/// The unit that is taken out.
#[derive(Default)]
struct Unit {
    /// The current place of the search.
    at: MemberPath,
    /// What was taken out.
    place: MemberPath,
}

impl Unit {
    /// Takes out what the steps lead to. `None`: they lead nowhere.
    fn take(&mut self, text: &str, steps: &[&str]) -> Option<Left> {
        // A name may be longer than the path of the value: it means the value.
        let Some((step, rest)) = steps.split_first() else { return Some(Left::Whole) };
        match text.as_bytes().first() {
            Some(b'{') => self.take_member(&mut Object::read(text)?, step, rest),
            Some(b'[') => self.take_element(&mut elements(text)?, step.parse().ok()?, rest),
            _ => Some(Left::Whole),
        }
    }

    fn take_member(&mut self, object: &mut Object, name: &str, rest: &[&str]) -> Option<Left> {
        self.at.member(name);
        let left = match object.get(name) {
            Some(value) => self.take(value, rest)?,
            // A server may ask for what is missing.
            None if rest.is_empty() && self.is_needed() => Left::Whole,
            None => return None,
        };
        if let Left::Some(value) = left {
            object.set(name, value);
        } else if self.goes(&left) {
            object.take(name);
        } else {
            self.at.leave();
            return Some(Left::Whole);
        }
        self.at.leave();
        Some(if object.is_empty() { Left::Nothing } else { Left::Some(object.write()) })
    }

    fn take_element(&mut self, all: &mut Vec<String>, index: usize, rest: &[&str]) -> Option<Left> {
        let element = all.get(index)?;
        self.at.index(index);
        let left = self.take(element, rest)?;
        if let Left::Some(element) = left {
            all[index] = element;
        } else if self.goes(&left) {
            all.remove(index);
        } else {
            self.at.leave();
            return Some(Left::Whole);
        }
        self.at.leave();
        Some(if all.is_empty() { Left::Nothing } else { Left::Some(array(all)) })
    }

    /// Returns whether the value at this place goes, because it is named itself or is empty now. Otherwise
    /// the value around it must go.
    fn goes(&mut self, left: &Left) -> bool {
        let goes = !self.is_needed();
        if goes && matches!(left, Left::Whole) {
            self.place = self.at.clone();
        }
        goes
    }

    fn is_needed(&self) -> bool {
        NEEDED.iter().any(|pattern| self.at.matches(pattern))
    }
}

#[cfg(test)]
mod tests;
