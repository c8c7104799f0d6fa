//! What of a talk is shown while it goes on, and what is counted: [`Screen`], an observer of its chain.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_pipeline::chain::{Direction, Fault, FrameKind, Hop, Metric, Observer, UserSpeech};
use realtime_protocol::call::{ConnectionEvent, Event, FunctionEnd, Interruption};
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::Item;
use realtime_protocol::time::Timestamp;

use crate::talk::terminal::Writer;

/// The most responses beside the conversation that are remembered.
const MOST_BESIDE: usize = 64;
/// The most latencies that are kept.
const MOST_LATENCIES: usize = 1_000;

/// Writes what is said, done and interrupted.
#[derive(Debug)]
pub(super) struct Screen {
    writer: Writer,
    tally: Tally,
    /// The agent's item whose words stand in the last line, which is not ended.
    open: Option<ItemId>,
    /// The last responses beside the conversation: their words are not for the user.
    beside: VecDeque<ResponseId>,
}

/// What is counted of a talk. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    user_turns: u64,
    interruptions: u64,
    tool_calls: u64,
    /// From the end of the user's turn to the agent's voice.
    latencies: VecDeque<Duration>,
}

impl Screen {
    pub(super) const fn new(writer: Writer, tally: Tally) -> Self {
        Self { writer, tally, open: None, beside: VecDeque::new() }
    }

    fn on_event(&mut self, event: &Event) {
        match event {
            Event::ResponseStarted { response_id, out_of_band: true, .. } => {
                if self.beside.len() == MOST_BESIDE {
                    self.beside.pop_front();
                }
                self.beside.push_back(response_id.clone());
            }
            Event::Text { response_id, item_id, delta, .. } if !self.beside.contains(response_id) => {
                self.say(item_id, delta);
            }
            Event::ItemDone { item } => {
                if let Item::Message(message) = &**item
                    && message.id.value() == self.open.as_ref()
                {
                    self.end_line();
                }
            }
            Event::Interrupted(interruption) => self.interrupted(interruption),
            Event::UserTranscript { transcript, .. } => self.line("you", transcript.trim()),
            Event::UserTranscriptFailed { .. } => self.line("you", "(that could not be understood)"),
            Event::FunctionCalls { calls, out_of_band: false, .. } => {
                self.tally.counts().tool_calls += calls.len() as u64;
                calls.iter().for_each(|call| self.line("tool", &format!("{} …", call.name)));
            }
            Event::FunctionEnded { call, end } => {
                let how = if matches!(end, FunctionEnd::Result(_)) { "is done" } else { "has failed" };
                self.line("tool", &format!("{} {how}", call.name));
            }
            Event::ServerError { error, .. } => {
                let message = error.message.value().map_or("an error", String::as_str);
                self.line("note", &format!("the model's server reports: {message}"));
            }
            Event::Connection(ConnectionEvent::Lost { .. }) => {
                self.line("note", "the connection to the model is lost, and is made again");
            }
            Event::Connection(ConnectionEvent::Resumed { .. }) => {
                self.line("note", "the connection to the model is there again");
            }
            _ => {}
        }
    }

    fn interrupted(&mut self, interruption: &Interruption) {
        self.tally.counts().interruptions += 1;
        for part in &interruption.parts {
            let seconds = part.heard_time().as_duration().as_secs_f64();
            let heard = part.heard_text.trim();
            self.line("", &format!("— you interrupted after {seconds:.1} s; heard: “{heard}”"));
        }
    }

    /// Adds the agent's words to its line, or begins one.
    fn say(&mut self, item: &ItemId, words: &str) {
        let mut text = String::new();
        if self.open.as_ref() != Some(item) {
            self.end_line();
            self.open = Some(item.clone());
            text.push_str(&label("agent"));
        }
        text.push_str(&shown(words));
        self.writer.write(text);
    }

    fn line(&mut self, who: &str, text: &str) {
        self.end_line();
        self.writer.write(format!("{}{}\n", label(who), shown(text)));
    }

    fn end_line(&mut self) {
        if self.open.take().is_some() {
            self.writer.write("\n".to_owned());
        }
    }
}

impl Observer for Screen {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        // A frame is seen on every hop: what counts is the hop from where it was made.
        match (&**hop.from, hop.direction, hop.frame.kind()) {
            ("realtime", Direction::Downstream, FrameKind::Event(event)) => self.on_event(event),
            ("realtime", Direction::Downstream, FrameKind::User(UserSpeech::Started { .. })) => {
                self.tally.counts().user_turns += 1;
            }
            ("realtime", Direction::Downstream, FrameKind::Metric(Metric::VoiceToVoice { after })) => {
                let latencies = &mut self.tally.counts().latencies;
                if latencies.len() == MOST_LATENCIES {
                    latencies.pop_front();
                }
                latencies.push_back(*after);
            }
            ("source" | "sink", _, FrameKind::Fault(fault)) => self.line("note", &fault.to_string()),
            _ => {}
        }
    }

    fn on_fault(&mut self, _at: Timestamp, fault: &Fault) {
        self.line("note", &fault.to_string());
    }
}

impl Tally {
    /// All of it, in one line for a person.
    pub(super) fn summary(&self) -> String {
        let counts = self.counts();
        let mut sorted: Vec<Duration> = counts.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2);
        let median = median.map(|after| format!(", answers after {} ms", after.as_millis()));
        let parts = [
            (counts.user_turns, "turn of yours", "turns of yours"),
            (counts.interruptions, "interruption", "interruptions"),
            (counts.tool_calls, "tool call", "tool calls"),
        ];
        let parts = parts.map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }));
        format!("{}{}", parts.join(", "), median.unwrap_or_default())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn label(who: &str) -> String {
    let who = if who.is_empty() { String::new() } else { format!("{who}:") };
    format!("{who:<7}")
}

/// Without what would act on a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use realtime_protocol::audio::AudioFormat;
    use realtime_protocol::call::{Cut, HeardPart, Origin};
    use serde_json::json;

    use super::*;

    fn screen() -> (Screen, Receiver<Option<String>>) {
        let (writer, written) = Writer::pair();
        (Screen::new(writer, Tally::default()), written)
    }

    fn written(written: &Receiver<Option<String>>) -> String {
        written.try_iter().flatten().collect()
    }

    fn words(response: &str, item: &str, delta: &str) -> Event {
        let (response_id, item_id) = (response.into(), item.into());
        Event::Text { response_id, item_id, content_index: 0, delta: delta.into(), spoken: true }
    }

    fn you_said(transcript: &str) -> Event {
        Event::UserTranscript {
            item_id: "u".into(),
            content_index: 0,
            transcript: transcript.into(),
            languages: Vec::new(),
            logprobs: Vec::new(),
            usage: None,
        }
    }

    #[test]
    fn words_are_shown_as_they_come_each_speaker_on_a_line() {
        let (mut screen, shown) = screen();
        screen.on_event(&words("r", "a", "Hello, "));
        screen.on_event(&words("r", "a", "you."));
        let done = json!({ "type": "message", "id": "a", "role": "assistant" });
        screen.on_event(&Event::ItemDone { item: serde_json::from_value(done).unwrap() });
        screen.on_event(&you_said("Hi! "));
        screen.on_event(&words("s", "b", "How "));
        screen.on_event(&you_said("Well,"));
        screen.on_event(&words("s", "b", "are you?"));
        assert_eq!(
            written(&shown),
            "agent: Hello, you.\nyou:   Hi!\nagent: How \nyou:   Well,\nagent: are you?"
        );
    }

    #[test]
    fn an_interruption_says_what_was_heard_and_is_counted() {
        let (mut screen, shown) = screen();
        screen.on_event(&words("r", "a", "In Paris it is sunny."));
        let part = HeardPart {
            item_id: "a".into(),
            content_index: 0,
            format: AudioFormat::PCM16_24K,
            heard: 28_800,
            received: 48_000,
            heard_text: "In Paris".into(),
            estimated: false,
            cut: Cut::Truncated { audio_end_ms: 1_200 },
        };
        let interruption = Interruption { response_id: None, parts: vec![part] };
        screen.on_event(&Event::Interrupted(interruption));
        assert_eq!(
            written(&shown),
            "agent: In Paris it is sunny.\n       — you interrupted after 1.2 s; heard: “In Paris”\n"
        );
        assert_eq!(screen.tally.summary(), "0 turns of yours, 1 interruption, 0 tool calls");
    }

    #[test]
    fn words_beside_the_conversation_are_not_shown_and_none_acts_on_the_terminal() {
        let (mut screen, shown) = screen();
        screen.on_event(&Event::ResponseStarted {
            response_id: "beside".into(),
            origin: Origin::Client,
            out_of_band: true,
            metadata: Default::default(),
        });
        screen.on_event(&words("beside", "x", "a summary"));
        screen.on_event(&words("r", "a", "\u{1b}[2Jgone\n"));
        assert_eq!(written(&shown), "agent:  [2Jgone ");
    }

    #[test]
    fn the_summary_has_the_median_of_the_latencies() {
        let tally = Tally::default();
        tally.counts().latencies.extend([900, 500, 700].map(Duration::from_millis));
        assert_eq!(tally.summary(), "0 turns of yours, 0 interruptions, 0 tool calls, answers after 700 ms");
    }
}
