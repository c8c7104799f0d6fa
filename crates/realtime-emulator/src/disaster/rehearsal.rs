//! Servers met in the field, each rehearsed by one word.

use std::time::Duration;

use serde_json::Value;

use crate::disaster::Disaster;
use crate::disaster::reported::REPORTED;

/// A server met in the field: a set of disasters with one name.
///
/// Start it by [`Options::rehearse`](crate::Options::rehearse), by `cargo xtask emulator --rehearse NAME`,
/// or, if the server allows it, from the client: `{"type": "emulator.disaster", "rehearse": "NAME"}`. Several
/// can be rehearsed at once. Places in events are GA's.
///
/// | name | what was reported | what the server does |
/// |---|---|---|
/// | `arguments_object` | a tool ran without the arguments it was given | a call's `arguments` are a JSON object, not text |
/// | `arguments_missing_later` | a repeated item erased the arguments of a call | items that are done, and the response, have no `arguments` |
/// | `arguments_blank_later` | a repeated item erased the arguments of a call | items that are done, and the response, have empty `arguments` |
/// | `arguments_empty` | a tool without parameters was called with no JSON at all | `arguments` are empty everywhere, and no deltas of them come |
/// | `name_in_added_only` | a call vanished without a word | a call's name is in `response.output_item.added` alone; the item is never done, and the response has no output |
/// | `name_object` | a tool was called under an empty name | a call's `name` is an object |
/// | `call_id_number` | a call was lost | `call_id` is a number |
/// | `half_emoji` | a delta, a transcript or arguments were lost for half an emoji | words and arguments end in a lone surrogate (`\ud83d`) |
/// | `not_a_number` | numbers that JSON does not have cost a transcript and a response | log probabilities are `-Infinity`, and a response's tokens `NaN` |
/// | `binary_events` | a proxy sent events as binary messages, and the client waited | every event is a binary message |
/// | `null_text` | a text that is no object stopped a client | `null` comes in place of `rate_limits.updated` |
/// | `floats` | integers that were written as floats were taken for nothing | every integer is written as `7.0` |
/// | `numbers_as_text` | numbers and booleans in quotes were taken for nothing | every number and boolean is text |
/// | `status_object` | a response that had failed counted as completed | a response's `status` is an object when it is done |
/// | `transcript_object` | what the user said was told as nothing | a completed `transcript` is an object |
/// | `refuses_tool_meta` | one member of one tool cost all tools | `session.tools[n].meta` is refused as unknown |
/// | `refuses_tool_description` | one member of one tool cost all tools | `session.tools[n].description` is refused as unknown |
/// | `refuses_turn_detection` | a kind of turn detection that a server did not have ended the session | `turn_detection.type` is refused, whatever it is |
/// | `refuses_semantic_vad` | a kind of turn detection that a server did not have ended the session | `turn_detection.type` is refused where it is `semantic_vad` |
/// | `refuses_formats` | audio went on in a format that the server had refused | the `format.type` of input and of output is refused |
/// | `refuses_transcription` | a second refusal ended the session | `transcription.model` is refused as invalid |
/// | `refuses_one_by_one` | two members that a server did not have ended the session | an update is refused for one member at a time: tools' descriptions, noise reduction, transcription, turn detection, formats, speed, voice |
/// | `refuses_outputs` | a function's output was refused, and the answer went on without it | an item with a `call_id` is refused: `invalid_tool_call_id` |
/// | `unrelated_error` | an error that was about something else ended an update | an error without an id comes before each `session.updated` |
/// | `echoes_nothing` | a client waited for echoes that a server never sent | no `session.updated`, and nothing of the conversation's items |
/// | `deletion_without_id` | a deletion was never acknowledged | `conversation.item.deleted` has an empty `item_id` |
/// | `previous_null` | items lost their order | every `previous_item_id` is `null` |
/// | `no_speech_stopped` | the user spoke for ever after a mute or a clear | `input_audio_buffer.speech_stopped` never comes |
/// | `late_response` | an answer spoke over a user who had begun to speak | responses begin 2 s late |
/// | `closes_1009` | one text that was too large was sent again in every connection | a text of more than 64 KiB closes the connection with 1009 |
/// | `closes_1007` | one text that a server did not take was sent again in every connection | a text of more than 64 KiB closes the connection with 1007 |
/// | `closes_1003` | one text that a server did not take was sent again in every connection | a text of more than 64 KiB closes the connection with 1003 |
/// | `same_response_id` | the second answer under an id was swallowed | all responses have the id of the first |
/// | `same_item_id` | two items under one id were taken for one | all items of responses have the id of the first |
/// | `never_done` | a response that never ended kept all others waiting | `response.done` never comes |
/// | `error_without_done` | an error in mid-response left the caller hanging | after a response has begun, an error names its `response.create`, and `response.done` never comes |
/// | `bare_server_error` | a response failed with an error that said nothing | a response is done as `failed`, with an error that has a type alone |
/// | `endless_responses` | responses without end cost a client more and more | after `response.created` it comes again every 10 ms, each time with a new id |
/// | `says_key_back` | a key was in errors and logs | the first response brings an error and a close reason that say the client's key |
/// | `foreign_transcription` | a server that only transcribes never acknowledged a session, and had events of its own | no `session.updated`; `transcription.delta` and `transcription.done` in place of the transcription's events |
/// | `mcp_fails` | nobody learned that an MCP server could not be asked | `mcp_list_tools.failed` comes in place of `mcp_list_tools.completed` |
/// | `dtmf` | keys that a caller pressed reached nobody | someone in the call presses 5 after a second; a session that is no call knows nothing of it |
/// | `unknown_call` | a side channel was refused with 404 for a fresh call | for 2 s after a call was made, nobody can join it |
#[derive(Debug)]
pub struct Rehearsal {
    pub(super) name: &'static str,
    pub(super) report: &'static str,
    pub(super) what: &'static str,
    /// A JSON array.
    pub(super) disasters: &'static str,
}

impl Rehearsal {
    /// All of them.
    pub const ALL: &[Self] = REPORTED;

    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        REPORTED.iter().find(|rehearsal| rehearsal.name == name)
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What was reported.
    pub const fn report(&self) -> &'static str {
        self.report
    }

    /// What the server does.
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// What goes wrong on each connection.
    pub fn disasters(&self) -> Vec<Disaster> {
        let all: Vec<Value> = serde_json::from_str(self.disasters).unwrap_or_default();
        all.iter().filter_map(|value| Disaster::parse(value, self.name).ok()).collect()
    }

    /// For how long nobody can join a fresh call.
    pub(crate) fn hides_calls_for(&self) -> Duration {
        if self.name == "unknown_call" { Duration::from_secs(2) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rehearsal_can_be_read_and_stands_in_the_table_of_the_docs() {
        let source = include_str!("rehearsal.rs");
        let rows: Vec<_> = source.lines().filter(|line| line.starts_with("/// | `")).collect();
        assert_eq!(rows.len(), Rehearsal::ALL.len());
        for (rehearsal, row) in Rehearsal::ALL.iter().zip(rows) {
            let Rehearsal { name, report, what, disasters } = rehearsal;
            assert_eq!(row, format!("/// | `{name}` | {report} | {what} |"));
            let all: Vec<Value> = serde_json::from_str(disasters).unwrap();
            all.iter().for_each(|value| drop(Disaster::parse(value, name).unwrap()));
            assert_eq!(all.is_empty(), !rehearsal.hides_calls_for().is_zero(), "{name} does something");
        }
        let names: BTreeSet<_> = Rehearsal::ALL.iter().map(Rehearsal::name).collect();
        assert_eq!(names.len(), Rehearsal::ALL.len());
    }
}
