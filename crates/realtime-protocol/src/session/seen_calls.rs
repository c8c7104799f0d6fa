//! The function calls of one response, gathered from all events that tell of them.
//!
//! The rule kept here: what arrives in pieces is merged member by member. A member that is missing, blank or
//! unreadable in a later event never erases the value from an earlier one.
//! A call that was told whole twice, and not the same each time, does not run.

use alloc::string::String;
use alloc::vec::Vec;

use crate::event::ResponseFunctionCallArgumentsDelta;
use crate::field::Field;
use crate::id::CallId;
use crate::item::FunctionCallItem;
use crate::session::seen_arguments::SeenArguments;

/// Function calls of a response, in the order of their first events.
#[derive(Debug, Default)]
pub(super) struct SeenCalls {
    calls: Vec<SeenCall>,
    /// The number of calls beyond [`MOST_CALLS`].
    left_out: usize,
}

/// The most calls of one response: no model makes as many.
const MOST_CALLS: usize = 128;

/// A function call, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SeenCall {
    pub(super) item: FunctionCallItem,
    /// Whether an event said that it is whole.
    pub(super) is_whole: bool,
    /// Whether the application was told of it.
    pub(super) is_told: bool,
    /// Its arguments, in place of the item's own.
    pub(super) arguments: SeenArguments,
}

/// How much an event tells of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// That it has begun.
    Begun,
    /// All of it.
    Whole,
}

impl SeenCalls {
    /// Notes what an event says about a call. Returns everything known about the call, or `None` if there are
    /// too many.
    pub(super) fn note(&mut self, item: &FunctionCallItem, told: Told) -> Option<&SeenCall> {
        let index = match self.calls.iter().position(|seen| seen.is(item)) {
            Some(index) => index,
            None if self.calls.len() == MOST_CALLS => {
                self.left_out += usize::from(told == Told::Whole);
                return None;
            }
            None => {
                self.calls.push(SeenCall::default());
                self.calls.len() - 1
            }
        };
        let seen = self.calls.get_mut(index)?;
        seen.merge(item, told);
        Some(seen)
    }

    /// Takes in a piece of a call's arguments.
    pub(super) fn note_piece(&mut self, event: ResponseFunctionCallArgumentsDelta) {
        let (id, call_id) = (Field::Value(event.item_id), event.call_id);
        let item = FunctionCallItem { id, call_id, ..FunctionCallItem::default() };
        self.note(&item, Told::Begun);
        if let Some(seen) = self.calls.iter_mut().find(|seen| seen.is(&item)) {
            seen.arguments.push(&event.delta);
        }
    }

    /// The application is told of a call before its response ends.
    pub(super) fn note_told(&mut self, call_id: &CallId) {
        let told = self.calls.iter_mut().filter(|seen| seen.call_id().as_ref() == Some(call_id));
        told.for_each(|seen| seen.is_told = true);
    }

    /// Returns whether there is no call.
    pub(super) const fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The number of calls that were left out.
    pub(super) const fn left_out(&self) -> usize {
        self.left_out
    }

    pub(super) fn into_calls(self) -> Vec<SeenCall> {
        self.calls
    }
}

impl SeenCall {
    /// The call's id. It may be written as a number.
    pub(super) fn call_id(&self) -> Option<CallId> {
        let number = || self.item.extra.get("call_id").map(|raw| raw.get()).filter(|raw| is_number(raw));
        self.item
            .call_id
            .value()
            .cloned()
            .or_else(|| number().map(CallId::from))
            .filter(|id| !id.as_str().is_empty())
    }

    /// The function's name.
    pub(super) fn name(&self) -> Option<&str> {
        self.item.name.value().map(String::as_str).filter(|name| !name.trim().is_empty())
    }

    /// The arguments' text: `{}` if there are none.
    ///
    /// # Errors
    /// The text for the model if the call must not run.
    pub(super) fn arguments(&self) -> Result<String, String> {
        self.arguments.read(self.is_whole)
    }

    /// Returns whether an item is the same call: by the call's id, or by the item's id if one of them has no
    /// call id yet.
    fn is(&self, item: &FunctionCallItem) -> bool {
        match (self.item.call_id.value(), item.call_id.value()) {
            (Some(one), Some(other)) => one == other,
            _ => self.item.id.value().is_some_and(|id| item.id.value() == Some(id)),
        }
    }

    fn merge(&mut self, later: &FunctionCallItem, told: Told) {
        fn take<T: Clone>(into: &mut Field<T>, later: &Field<T>, says: impl Fn(&T) -> bool) {
            if later.value().is_some_and(says) {
                into.clone_from(later);
            }
        }
        let both_whole = self.is_whole && told == Told::Whole;
        let renamed = self.name().zip(later.name.value()).is_some_and(|(name, later)| name != later);
        if both_whole && renamed && later.name.value().is_some_and(|name| !name.trim().is_empty()) {
            self.arguments.dispute();
        }
        take(&mut self.item.id, &later.id, |id| !id.as_str().is_empty());
        take(&mut self.item.call_id, &later.call_id, |id| !id.as_str().is_empty());
        take(&mut self.item.name, &later.name, |name| !name.trim().is_empty());
        take(&mut self.item.status, &later.status, |_| true);
        for (name, value) in later.extra.iter() {
            self.item.extra.insert(name, value.clone());
        }
        if let Some(raw) = later.extra.get("arguments") {
            self.arguments.merge_other_shape(raw.get(), both_whole);
        }
        if let Some(text) = later.arguments.value() {
            self.arguments.merge(text, both_whole);
        }
        self.is_whole |= told == Told::Whole;
    }
}

fn is_number(raw: &str) -> bool {
    raw.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An item as an event brings it: unreadable members are put aside.
    fn item(json: &str) -> FunctionCallItem {
        use crate::event::{Dialect, ServerEvent};
        let item = json.replacen('{', r#"{"type":"function_call","#, 1);
        let text = alloc::format!(r#"{{"type":"response.output_item.done","item":{item}}}"#);
        let ServerEvent::ResponseOutputItemDone(done) = ServerEvent::decode(&text, Dialect::Ga) else {
            panic!("{text}");
        };
        let crate::item::Item::FunctionCall(call) = *done.item else { panic!("{text}") };
        call
    }

    fn told(events: &[(&str, Told)]) -> SeenCall {
        let mut calls = SeenCalls::default();
        for (json, told) in events {
            calls.note(&item(json), *told);
        }
        let calls = calls.into_calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.into_iter().next().unwrap()
    }

    const FULL: &str = r#"{"id":"i","call_id":"c","name":"cancel","arguments":"{\"order\":\"A-17\"}"}"#;

    #[test]
    fn an_emptier_later_event_erases_nothing() {
        for later in [
            r#"{"id":"i","call_id":"c"}"#,
            r#"{"id":"i","call_id":"c","name":"","arguments":""}"#,
            r#"{"id":"i","call_id":"c","name":null,"arguments":null}"#,
            r#"{"id":"i","call_id":"c","name":"cancel","arguments":"  "}"#,
            r#"{"id":"i","arguments":7}"#,
            r#"{"id":"i","call_id":"c","arguments":"{}"}"#,
            r#"{"id":"i","call_id":"c","arguments":{}}"#,
            r#"{"id":"i","call_id":"c","arguments":"{\"order\":"}"#,
        ] {
            for events in
                [[(FULL, Told::Whole), (later, Told::Whole)], [(later, Told::Begun), (FULL, Told::Whole)]]
            {
                let call = told(&events);
                assert_eq!(call.name(), Some("cancel"), "{later}");
                assert_eq!(call.arguments().as_deref(), Ok(r#"{"order":"A-17"}"#), "{later}");
            }
        }
    }

    #[test]
    fn an_object_in_place_of_text_is_its_own_text() {
        let call = told(&[(r#"{"call_id":"c","name":"f","arguments":{"order": "A-17"}}"#, Told::Whole)]);
        assert_eq!(call.arguments().as_deref(), Ok(r#"{"order": "A-17"}"#));
        let blank_later = told(&[
            (r#"{"call_id":"c","name":"f","arguments":{"order": "A-17"}}"#, Told::Whole),
            (r#"{"call_id":"c","name":"f","arguments":""}"#, Told::Whole),
        ]);
        assert_eq!(blank_later.arguments().as_deref(), Ok(r#"{"order": "A-17"}"#));
    }

    #[test]
    fn arguments_that_cannot_be_read_are_not_none() {
        for (arguments, kind) in [("[1]", "an array"), ("7", "a number"), ("true", "a boolean")] {
            let json = alloc::format!(r#"{{"call_id":"c","name":"f","arguments":{arguments}}}"#);
            let refused = told(&[(&json, Told::Whole)]).arguments().unwrap_err();
            assert!(refused.ends_with(kind), "{refused}");
        }
        let begun = told(&[(r#"{"call_id":"c","name":"f"}"#, Told::Begun)]);
        assert_eq!(begun.arguments().unwrap_err(), "expected the arguments, and they never came");
        for none in [
            r#"{"call_id":"c"}"#,
            r#"{"call_id":"c","arguments":null}"#,
            r#"{"call_id":"c","arguments":" "}"#,
        ] {
            assert_eq!(told(&[(none, Told::Whole)]).arguments().as_deref(), Ok("{}"), "{none}");
        }
    }

    #[test]
    fn arguments_of_another_shape_count_though_the_call_began_without_any() {
        const BEGUN: &str = r#"{"id":"i","call_id":"c","name":"f","arguments":""}"#;
        let object = r#"{"id":"i","arguments":{"order":"A-17"}}"#;
        let call = told(&[(BEGUN, Told::Begun), (object, Told::Whole), (BEGUN, Told::Whole)]);
        assert_eq!(call.arguments().as_deref(), Ok(r#"{"order":"A-17"}"#));
        for arguments in ["[1]", "7", "true"] {
            let json = alloc::format!(r#"{{"id":"i","arguments":{arguments}}}"#);
            let call = told(&[(BEGUN, Told::Begun), (&json, Told::Whole), (BEGUN, Told::Whole)]);
            assert!(call.arguments().is_err(), "{arguments}");
        }
    }

    #[test]
    fn deltas_are_the_arguments_that_no_event_brings_whole() {
        let told = |pieces: &[&str], whole: Option<&str>| {
            let mut calls = SeenCalls::default();
            calls.note(&item(r#"{"id":"i","call_id":"c","name":"f","arguments":""}"#), Told::Begun);
            for piece in pieces {
                let event = ResponseFunctionCallArgumentsDelta {
                    item_id: "i".into(),
                    delta: (*piece).into(),
                    ..ResponseFunctionCallArgumentsDelta::default()
                };
                calls.note_piece(event);
            }
            whole.map(|json| calls.note(&item(json), Told::Whole).is_some());
            calls.into_calls().pop().unwrap().arguments().unwrap()
        };
        let (pieces, blank) = ([r#"{"a""#, ":1}"], r#"{"id":"i","arguments":""}"#);
        assert_eq!(told(&pieces, None), r#"{"a":1}"#);
        assert_eq!(told(&pieces, Some(blank)), r#"{"a":1}"#);
        assert_eq!(told(&pieces[..1], Some(blank)), r#"{"a""#, "no object, so it does not run");
        assert_eq!(told(&pieces, Some(r#"{"id":"i","arguments":"{\"a\":2}"}"#)), r#"{"a":2}"#);
        assert_eq!(told(&[], Some(blank)), "{}");
    }

    #[test]
    fn a_call_told_in_two_versions_does_not_run() {
        for other in [
            r#"{"id":"i","call_id":"c","name":"cancel","arguments":"{\"order\":\"B-2\"}"}"#,
            r#"{"id":"i","call_id":"c","name":"cancel","arguments":{"order":"B-2"}}"#,
            r#"{"id":"j","call_id":"c","name":"cancel","arguments":"{\"order\":\"B-2\"}"}"#,
            r#"{"id":"i","call_id":"c","name":"renew","arguments":"{\"order\":\"A-17\"}"}"#,
        ] {
            assert!(told(&[(FULL, Told::Whole), (other, Told::Whole)]).arguments().is_err(), "{other}");
        }
    }

    #[test]
    fn a_call_named_when_it_began_is_that_of_its_arguments() {
        let call = told(&[
            (r#"{"id":"i","name":"f","arguments":""}"#, Told::Begun),
            (r#"{"id":"i","call_id":"c","arguments":"{\"a\":1}"}"#, Told::Whole),
        ]);
        assert_eq!((call.name(), call.call_id()), (Some("f"), Some("c".into())));
        assert_eq!(told(&[(r#"{"id":"i","call_id":7}"#, Told::Whole)]).call_id(), Some("7".into()));
    }
}
