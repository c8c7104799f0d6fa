//! What the model does besides speaking: its responses, and the functions that it calls.

use std::collections::BTreeMap;

use realtime_context::budget::Prices;
use realtime_protocol::usage::{TranscriptionUsage, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::members::{count, error, micros, shown, spoken, text, tokens, variant};
use super::model::{Function, Response, Totals};

/// The model's work so far.
#[derive(Debug, Default)]
pub(super) struct Work {
    prices: Option<Prices>,
    pub(super) responses: Vec<Response>,
    running: BTreeMap<String, usize>,
    pub(super) functions: Vec<Function>,
    /// Functions by the id of their call that have not ended.
    open: BTreeMap<String, usize>,
    pub(super) totals: Totals,
}

impl Work {
    pub(super) fn new(prices: Option<Prices>) -> Self {
        let totals = Totals { cost: prices.map(|_| 0.0), ..Totals::default() };
        Self { prices, totals, ..Self::default() }
    }

    /// A response runs.
    pub(super) fn started(&mut self, at: i64, event: &Value, line: usize) {
        let id = text(event, "response_id");
        self.running.insert(id.to_owned(), self.responses.len());
        self.responses.push(Response {
            id: id.to_owned(),
            created: at,
            origin: text(event, "origin").to_owned(),
            out_of_band: event["out_of_band"] == true,
            event: line,
            ..Response::default()
        });
    }

    /// A response ended. `origin`: the time of the log's first line, which its own times count from, too.
    pub(super) fn finished(&mut self, at: i64, report: &Value, origin: i64, line: usize) {
        let id = text(report, "response_id");
        let number = self.running.remove(id).unwrap_or_else(|| {
            self.responses.push(Response { id: id.to_owned(), created: at, ..Response::default() });
            self.responses.len() - 1
        });
        let timeline = &report["timeline"];
        let time = |name| micros(timeline, name).map(|time| time - origin);
        let response = &mut self.responses[number];
        response.requested = time("requested");
        response.speech_stopped = time("speech_stopped");
        response.created = time("created").unwrap_or(response.created);
        response.first_text = time("first_text");
        response.first_audio = time("first_audio");
        response.first_played = time("first_played");
        response.done = Some(at);
        response.dropped = count(report, "dropped_bytes").unwrap_or(0);
        response.event = line;
        let (end, members) = variant(&report["end"]);
        response.end = end.to_owned();
        response.reason = match end {
            "failed" => error(&members["error"]),
            _ => spoken(text(members, "reason")),
        };
        self.cost(number, &report["usage"]);
    }

    /// What a response used.
    pub(super) fn cost(&mut self, number: usize, usage: &Value) {
        let Some(tokens) = tokens(usage) else {
            self.totals.unreported += 1;
            return;
        };
        let response = &mut self.responses[number];
        response.usage = Some(tokens);
        self.totals.tokens.add(&tokens);
        if let Some(prices) = &self.prices
            && let Ok(usage) = Usage::deserialize(usage)
        {
            let cost = prices.cost(&usage).total();
            response.cost = Some(cost);
            *self.totals.cost.get_or_insert(0.0) += cost;
        }
    }

    /// What the transcript of the user's speech used.
    pub(super) fn transcribed(&mut self, usage: &Value) {
        self.totals.transcription_tokens += count(usage, "total_tokens").unwrap_or(0);
        let seconds = usage["seconds"].as_f64().unwrap_or(0.0).clamp(0.0, 1e9);
        self.totals.transcribed += (seconds * 1e6) as i64;
        if let Some(prices) = &self.prices
            && let Ok(usage) = TranscriptionUsage::deserialize(usage)
        {
            *self.totals.cost.get_or_insert(0.0) += prices.transcription_cost(&usage).transcription;
        }
    }

    /// The response that runs under this id, for logs without call events.
    pub(super) fn running(&mut self, id: &str) -> Option<(usize, &mut Response)> {
        let number = *self.running.get(id)?;
        self.responses.get_mut(number).map(|response| (number, response))
    }

    /// The model calls a function.
    pub(super) fn called(&mut self, at: i64, response: &str, call: &Value, hosted: bool, line: usize) {
        let id = text(call, "call_id");
        self.open.insert(id.to_owned(), self.functions.len());
        self.functions.push(Function {
            call: id.to_owned(),
            name: text(call, "name").to_owned(),
            arguments: text(call, "arguments").to_owned(),
            response: response.to_owned(),
            hosted,
            start: at,
            event: line,
            ..Function::default()
        });
    }

    /// This side answers. The end that follows says the same in newer logs.
    pub(super) fn answered(&mut self, call: &str, output: &Value) {
        if let Some(number) = self.open.get(call) {
            let (end, value) = variant(output);
            let function = &mut self.functions[*number];
            (function.end, function.output) = (end.to_owned(), shown(value));
        }
    }

    /// A function ended. One that could not run was never told.
    pub(super) fn ended(&mut self, at: i64, call: &Value, end: &Value, line: usize) {
        let id = text(call, "call_id");
        if !self.open.contains_key(id) {
            self.called(at, "", call, false, line);
        }
        let Some(number) = self.open.remove(id) else { return };
        let function = &mut self.functions[number];
        function.stop = Some(at);
        let (end, value) = variant(end);
        // `answered` is the word of old logs, whose command has the output.
        if end != "answered" {
            (function.end, function.output) = (end.to_owned(), shown(value));
        }
    }

    /// A tool that the service runs itself.
    pub(super) fn hosted(&mut self, at: i64, item: &Value, done: bool, line: usize) {
        let id = text(item, "id").to_owned();
        if !self.open.contains_key(&id) {
            let mut call = item.clone();
            call["call_id"] = id.as_str().into();
            self.called(at, "", &call, true, line);
        }
        if let Some(number) = self.open.get(&id).copied().filter(|_| done) {
            self.open.remove(&id);
            let failed = !item["error"].is_null();
            let function = &mut self.functions[number];
            text(item, "arguments").clone_into(&mut function.arguments);
            function.stop = Some(at);
            function.end = if failed { "error" } else { "result" }.to_owned();
            function.output = shown(if failed { &item["error"] } else { &item["output"] });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_response_has_its_times_its_tokens_and_its_cost() {
        let prices = Prices { input_text: 1e6, output_audio: 2e6, ..Prices::default() };
        let mut work = Work::new(Some(prices));
        work.started(20, &json!({"response_id": "r", "origin": "client"}), 1);
        let report = json!({"response_id": "r", "end": {"cancelled": {"reason": "turn_detected"}},
            "usage": {"input_tokens": 3, "output_tokens": 4, "input_token_details": {"text_tokens": 3},
                "output_token_details": {"audio_tokens": 4}},
            "timeline": {"requested": 110, "first_audio": 150}, "dropped_bytes": 7});
        work.finished(90, &report, 100, 2);
        let response = &work.responses[0];
        assert_eq!((response.requested, response.first_audio, response.done), (Some(10), Some(50), Some(90)));
        assert_eq!((&*response.end, &*response.reason, response.dropped), ("cancelled", "turn detected", 7));
        assert_eq!((response.cost, work.totals.cost), (Some(11.0), Some(11.0)));
        work.finished(95, &json!({"response_id": "other", "end": "lost", "usage": null}), 0, 3);
        assert_eq!((work.responses.len(), work.totals.unreported), (2, 1));
    }

    #[test]
    fn functions_end_in_the_words_of_every_version() {
        let mut work = Work::default();
        let call = |id: &str| json!({"call_id": id, "name": "look", "arguments": "{}"});
        work.called(1, "r", &call("a"), false, 1);
        work.called(1, "r", &call("b"), false, 1);
        work.ended(5, &call("a"), &json!({"result": {"sky": 1}}), 2);
        work.answered("b", &json!({"error": "no"}));
        work.ended(6, &json!({"call_id": "b"}), &json!("answered"), 3);
        work.ended(7, &call("c"), &json!({"bad_arguments": "{"}), 4);
        let ends: Vec<_> =
            work.functions.iter().map(|f| (f.stop, f.end.as_str(), f.output.as_str())).collect();
        assert_eq!(
            ends,
            [(Some(5), "result", "{\"sky\":1}"), (Some(6), "error", "no"), (Some(7), "bad_arguments", "{")]
        );
    }

    #[test]
    fn a_hosted_tool_is_a_function_of_the_service() {
        let mut work = Work::default();
        work.hosted(1, &json!({"id": "m", "type": "mcp_call", "name": "find", "arguments": ""}), false, 1);
        let done = json!({"id": "m", "name": "find", "arguments": "{}", "output": "3", "error": null});
        work.hosted(9, &done, true, 2);
        let function = &work.functions[0];
        assert!(function.hosted && work.functions.len() == 1);
        assert_eq!((function.stop, &*function.arguments, &*function.output), (Some(9), "{}", "3"));
    }
}
