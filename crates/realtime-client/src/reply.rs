//! What the model said when it was asked: [`Reply`], and how the driver gathers it.

use std::fmt;
use std::iter;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{CommandError, CommandId, Event, Outcome, ResponseEnd, UsageTotals};
use realtime_protocol::id::ResponseId;
use realtime_protocol::usage::Usage;
use tokio::sync::oneshot;

use crate::error::Error;

/// What the model said to a question. If it called functions first, everything is here up to the answer that
/// it gave with their results.
#[derive(Clone, PartialEq)]
#[must_use = "a response that failed is told here alone: see `into_result`"]
#[non_exhaustive]
pub struct Reply {
    /// Its words, spoken or written.
    pub text: String,
    /// Its voice, in `format`. Empty: it wrote.
    pub audio: Bytes,
    /// How `audio` is to be read.
    pub format: AudioFormat,
    /// What it cost.
    pub usage: UsageTotals,
    /// How its last response ended.
    pub outcome: ResponseEnd,
    /// Its last response.
    pub response_id: ResponseId,
}

impl Reply {
    /// The reply, if it is whole.
    ///
    /// # Errors
    /// [`Error::NotCompleted`] for one that failed, was cancelled or cut off.
    pub fn into_result(self) -> Result<Self, Error> {
        match self.outcome {
            ResponseEnd::Completed => Ok(self),
            end => Err(Error::NotCompleted { response_id: self.response_id, end: Box::new(end) }),
        }
    }
}

/// Shows no words and no audio.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("text", &format_args!("{} bytes", self.text.len()))
            .field("audio", &format_args!("{} bytes", self.audio.len()))
            .field("outcome", &self.outcome)
            .field("response_id", &self.response_id)
            .finish_non_exhaustive()
    }
}

/// Where a reply goes, or the outcome if there is none.
pub(crate) type ReplyTo = oneshot::Sender<Result<Result<Reply, Outcome>, CommandError>>;

/// The questions that wait for their replies. While there is none, nothing is gathered.
#[derive(Default)]
pub(crate) struct Questions {
    open: Vec<Question>,
    /// Responses since the oldest of them was asked, oldest first.
    said: Vec<Said>,
}

struct Question {
    /// The command that asked.
    id: CommandId,
    to: ReplyTo,
    /// The response that served it, once that has ended.
    answer: Option<Answer>,
}

struct Answer {
    response_id: ResponseId,
    end: ResponseEnd,
}

/// What a response says.
struct Said {
    response_id: ResponseId,
    out_of_band: bool,
    text: String,
    audio: Vec<u8>,
    format: AudioFormat,
    usage: Option<Usage>,
    /// Whether it called functions, so that another response goes on with their outputs.
    calls: bool,
    end: Option<ResponseEnd>,
}

impl Questions {
    pub(crate) const fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn ask(&mut self, id: CommandId, to: ReplyTo) {
        self.open.push(Question { id, to, answer: None });
    }

    /// Gathers what an event brings. Returns whether it was the outcome of a question.
    pub(crate) fn hear(&mut self, event: &Event) -> bool {
        match event {
            Event::Settled { id, outcome } => return self.settled(*id, outcome),
            Event::ResponseStarted { response_id, out_of_band, .. } => self.said.push(Said {
                response_id: response_id.clone(),
                out_of_band: *out_of_band,
                text: String::new(),
                audio: Vec::new(),
                format: AudioFormat::PCM16_24K,
                usage: None,
                calls: false,
                end: None,
            }),
            Event::Text { response_id, delta, .. } => {
                if let Some(said) = self.said(response_id) {
                    said.text.push_str(delta);
                }
            }
            Event::Audio(chunk) => {
                if let Some(said) = self.said(&chunk.response_id) {
                    said.format = chunk.format;
                    said.audio.extend_from_slice(&chunk.audio);
                }
            }
            Event::FunctionCalls { response_id, .. } => {
                if let Some(said) = self.said(response_id) {
                    said.calls = true;
                }
            }
            Event::ResponseFinished(report) => {
                if let Some(said) = self.said(&report.response_id) {
                    said.usage = report.usage.clone();
                    said.end = Some(report.end.clone());
                }
            }
            _ => {}
        }
        false
    }

    /// Answers what can be answered after an input. `goes_on`: whether the model goes on by itself.
    pub(crate) fn rest(&mut self, goes_on: bool) {
        // Nobody waits: nothing is kept for it, however long its functions take.
        self.open.retain(|question| !question.to.is_closed());
        let mut index = 0;
        while let Some(question) = self.open.get(index) {
            let reply = question.answer.as_ref().and_then(|answer| self.reply(answer, goes_on));
            match reply {
                Some(reply) => drop(self.open.remove(index).to.send(Ok(Ok(reply)))),
                None => index += 1,
            }
        }
        // What no question can need any more.
        let first = self.first_answer();
        let is_needed = |said: &Said| said.end.is_none() || first == Some(&said.response_id);
        let needed = self.said.iter().position(is_needed).filter(|_| !self.open.is_empty());
        self.said.drain(..needed.unwrap_or(self.said.len()));
    }

    fn settled(&mut self, id: CommandId, outcome: &Outcome) -> bool {
        let Some(question) = self.open.iter_mut().find(|question| question.id == id) else { return false };
        match outcome {
            Outcome::Responded { response_id, end } | Outcome::Superseded { response_id, end } => {
                question.answer = Some(Answer { response_id: response_id.clone(), end: end.clone() });
            }
            outcome => {
                if let Some(question) = self.take(id) {
                    let _ = question.to.send(Ok(Err(outcome.clone())));
                }
            }
        }
        true
    }

    /// The reply that begins with this response, if nothing of it is missing.
    fn reply(&self, answer: &Answer, goes_on: bool) -> Option<Reply> {
        let Some(begins) = self.said.iter().rposition(|said| said.response_id == answer.response_id) else {
            return Some(answer.reply(&[])); // it was said before the question was asked
        };
        let (first, later) = self.said.get(begins..)?.split_first()?;
        let mut parts = Vec::new();
        for said in iter::once(first).chain(later.iter().filter(|said| !said.out_of_band)) {
            said.end.as_ref()?;
            parts.push(said);
            if !said.calls {
                return Some(answer.reply(&parts));
            }
        }
        (!goes_on).then(|| answer.reply(&parts))
    }

    /// The oldest response that serves a question.
    fn first_answer(&self) -> Option<&ResponseId> {
        let answers = |said: &ResponseId| {
            self.open
                .iter()
                .filter_map(|question| question.answer.as_ref())
                .any(|answer| answer.response_id == *said)
        };
        self.said.iter().map(|said| &said.response_id).find(|id| answers(id))
    }

    fn said(&mut self, response_id: &ResponseId) -> Option<&mut Said> {
        self.said.iter_mut().rfind(|said| said.response_id == *response_id)
    }

    fn take(&mut self, id: CommandId) -> Option<Question> {
        let index = self.open.iter().position(|question| question.id == id)?;
        Some(self.open.remove(index))
    }
}

impl Answer {
    /// The reply that these responses make.
    fn reply(&self, parts: &[&Said]) -> Reply {
        let mut usage = UsageTotals::default();
        parts.iter().for_each(|said| usage.add(said.usage.as_ref()));
        let last = parts.last();
        Reply {
            text: parts.iter().map(|said| said.text.as_str()).collect(),
            audio: parts.iter().map(|said| &*said.audio).collect::<Vec<_>>().concat().into(),
            format: last.map_or(AudioFormat::PCM16_24K, |said| said.format),
            usage,
            outcome: last.and_then(|said| said.end.clone()).unwrap_or_else(|| self.end.clone()),
            response_id: last.map_or_else(|| self.response_id.clone(), |said| said.response_id.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_gathered_for_a_question_whose_future_was_dropped() {
        let (to, answer) = oneshot::channel();
        let mut questions = Questions::default();
        questions.ask(CommandId(1), to);
        let response_id: ResponseId = "r".into();
        let (end, calls) = (ResponseEnd::Completed, Vec::new());
        questions.hear(&Event::ResponseStarted {
            response_id: response_id.clone(),
            origin: realtime_protocol::call::Origin::Client,
            out_of_band: false,
            metadata: Default::default(),
        });
        questions.hear(&Event::FunctionCalls { response_id: response_id.clone(), out_of_band: false, calls });
        questions
            .hear(&Event::Settled { id: CommandId(1), outcome: Outcome::Responded { response_id, end } });
        questions.rest(true);
        assert_eq!((questions.open.len(), questions.said.len()), (1, 1));
        drop(answer);
        questions.rest(true);
        assert!(questions.is_empty() && questions.said.is_empty());
    }
}
