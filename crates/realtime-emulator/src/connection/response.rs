//! One running response: sends the events of its schedule, item by item.
//!
//! However it ends, every part and item that was opened is closed in the usual order before `response.done`.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::event::*;
use realtime_protocol::field::Field;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::{Item, ItemStatus};
use realtime_protocol::response::{Response, ResponseError, ResponseStatus, StatusDetails, StatusReason};
use realtime_protocol::session_config::MaxOutputTokens;
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::brain::Ending;
use crate::connection::conversation::{Conversation, Entry};
use crate::connection::open_item::OpenItem;
use crate::connection::outbox::{Outbox, send};
use crate::connection::plan::{Beat, Kind, Schedule};
use crate::connection::usage::{Tokens, spoken_tokens, text_tokens, usage};

/// A response that is not done.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: ResponseId,
    /// Whether it writes to the conversation; otherwise it is out of band.
    pub(crate) in_conversation: bool,
    /// The response as `response.created` shows it.
    pub(crate) shown: Response,
    pub(crate) schedule: Schedule,
    pub(crate) format: AudioFormat,
    /// What it read.
    pub(crate) input: Tokens,
    /// What of that was in the cache.
    pub(crate) cached: Tokens,
    /// Whether its audio goes over a call, not over this connection.
    pub(crate) sideband: bool,
    pub(crate) output: Vec<Item>,
    pub(crate) made: Made,
    pub(crate) open: Option<OpenItem>,
}

/// What a response made so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    text_tokens: u64,
    audio_bytes: u64,
}

impl Running {
    /// When its next piece is due.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.schedule.front().map(|(at, _)| *at)
    }

    /// Sends the next piece. Returns whether the response is done.
    pub(crate) fn step(&mut self, out: &mut Outbox, conversation: &mut Conversation) -> bool {
        match self.schedule.pop_front() {
            Some((_, Beat::End(ending))) => {
                self.end(ending, out, conversation);
                return true;
            }
            Some((_, Beat::Cancel(reason))) => {
                self.cancel(reason, out, conversation);
                return true;
            }
            None => {
                self.end(Ending::Completed, out, conversation);
                return true;
            }
            Some(_) if self.is_over_limit() => {
                self.end(Ending::Incomplete(StatusReason::MaxOutputTokens), out, conversation);
                return true;
            }
            Some((_, Beat::Open(kind))) => self.open(kind, out, conversation),
            Some((_, Beat::Words(words))) => self.words(words, out),
            Some((_, Beat::Sound(bytes))) => {
                let Some((id, output_index)) = self.place() else { return false };
                self.made.audio_bytes += bytes.len() as u64;
                if self.in_conversation {
                    conversation.add_audio(&id, &bytes);
                }
                if self.sideband {
                    return false;
                }
                send!(
                    out,
                    ResponseOutputAudioDelta {
                        response_id: self.id.clone(),
                        item_id: id,
                        output_index: output_index,
                        content_index: 0_u32,
                        delta: bytes,
                    }
                );
            }
            Some((_, Beat::Arguments(delta))) => {
                let Some((id, output_index)) = self.place() else { return false };
                let Some(open) = &mut self.open else { return false };
                open.words.push_str(&delta);
                self.made.text_tokens += text_tokens(&delta);
                if matches!(open.kind, Kind::Mcp { .. }) {
                    let response_id = self.id.clone();
                    send!(
                        out,
                        ResponseMcpCallArgumentsDelta {
                            response_id: response_id,
                            item_id: id,
                            output_index: output_index,
                            delta: delta,
                            obfuscation: Field::Null,
                        }
                    );
                    return false;
                }
                send!(
                    out,
                    ResponseFunctionCallArgumentsDelta {
                        response_id: self.id.clone(),
                        item_id: id,
                        output_index: output_index,
                        call_id: open.call_id.clone(),
                        delta: delta,
                    }
                );
            }
            Some((_, Beat::Run)) => self.run(out),
            Some((_, Beat::Close)) => self.close(ItemStatus::Completed, out, conversation),
        }
        false
    }

    /// Keeps the pieces that are sent by then, and cancels it after that.
    pub(crate) fn cancel_at(&mut self, at: Timestamp, reason: StatusReason) {
        self.schedule.retain(|(due, beat)| *due < at && !matches!(beat, Beat::End(_)));
        self.schedule.push_back((at, Beat::Cancel(reason)));
    }

    /// Its id, and that of the item that it is making.
    pub(crate) fn open_item(&self) -> Option<(ResponseId, ItemId)> {
        self.open.as_ref().map(|open| (self.id.clone(), open.id.clone()))
    }

    /// Returns whether it is being cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.schedule.back(), Some((_, Beat::Cancel(_))))
    }

    /// How much audio it made.
    pub(crate) fn sounded(&self) -> MediaTime {
        self.format.duration(self.made.audio_bytes)
    }

    /// Ends it before its time.
    pub(crate) fn cancel(&mut self, reason: StatusReason, out: &mut Outbox, conversation: &mut Conversation) {
        self.close(ItemStatus::Incomplete, out, conversation);
        let details = StatusDetails::default().kind(ResponseStatus::Cancelled).reason(reason);
        self.done(ResponseStatus::Cancelled, Field::Value(details), out);
    }

    fn open(&mut self, kind: Kind, out: &mut Outbox, conversation: &mut Conversation) {
        let open = OpenItem { id: out.ids.item(), call_id: out.ids.call(), kind, words: String::new() };
        let item = open.item(ItemStatus::InProgress, false);
        let (id, part) = (open.id.clone(), open.part());
        let index = self.output.len() as u32;
        send!(
            out,
            ResponseOutputItemAdded { response_id: self.id.clone(), output_index: index, item: item.clone() }
        );
        if self.in_conversation {
            send!(out, ConversationItemAdded { previous_item_id: conversation.last(), item: item });
            // The entry has its part from the start, so that it can be truncated while it is made.
            let mut entry = Entry::new(id.clone(), open.item(ItemStatus::InProgress, true));
            if open.kind == Kind::Audio {
                entry = entry.with_audio(self.format, Vec::new());
            }
            entry.is_new = false;
            conversation.push(entry);
        }
        if let Some(part) = part {
            send!(
                out,
                ResponseContentPartAdded {
                    response_id: self.id.clone(),
                    item_id: id,
                    output_index: index,
                    content_index: 0_u32,
                    part: part,
                }
            );
        }
        self.open = Some(open);
    }

    fn words(&mut self, words: String, out: &mut Outbox) {
        let Some((id, output_index)) = self.place() else { return };
        let Some(open) = &mut self.open else { return };
        open.words.push_str(&words);
        self.made.text_tokens += text_tokens(&words);
        let response_id = self.id.clone();
        if open.kind == Kind::Audio {
            let obfuscation = out.ids.obfuscation(&words);
            send!(
                out,
                ResponseOutputAudioTranscriptDelta {
                    response_id: response_id,
                    item_id: id,
                    output_index: output_index,
                    content_index: 0_u32,
                    delta: words,
                    obfuscation: obfuscation,
                }
            );
        } else {
            send!(
                out,
                ResponseOutputTextDelta {
                    response_id: response_id,
                    item_id: id,
                    output_index: output_index,
                    content_index: 0_u32,
                    delta: words,
                }
            );
        }
    }

    /// Closes the item that is being made, if there is one.
    fn close(&mut self, status: ItemStatus, out: &mut Outbox, conversation: &mut Conversation) {
        let Some((id, output_index)) = self.place() else { return };
        let Some(open) = self.open.take() else { return };
        let response_id = self.id.clone();
        match &open.kind {
            Kind::Audio => {
                send!(
                    out,
                    ResponseOutputAudioDone {
                        response_id: response_id.clone(),
                        item_id: id.clone(),
                        output_index: output_index,
                        content_index: 0_u32,
                    }
                );
                send!(
                    out,
                    ResponseOutputAudioTranscriptDone {
                        response_id: response_id.clone(),
                        item_id: id.clone(),
                        output_index: output_index,
                        content_index: 0_u32,
                        transcript: open.words.clone(),
                    }
                );
            }
            Kind::Text => send!(
                out,
                ResponseOutputTextDone {
                    response_id: response_id.clone(),
                    item_id: id.clone(),
                    output_index: output_index,
                    content_index: 0_u32,
                    text: open.words.clone(),
                }
            ),
            Kind::Mcp { .. } | Kind::Approval(_) => self.end_mcp(&open, &id, output_index, &status, out),
            Kind::Call { name } => send!(
                out,
                ResponseFunctionCallArgumentsDone {
                    response_id: response_id.clone(),
                    item_id: id.clone(),
                    output_index: output_index,
                    call_id: open.call_id.clone(),
                    name: name.clone(),
                    arguments: open.words.clone(),
                }
            ),
        }
        if let Some(part) = open.part() {
            send!(
                out,
                ResponseContentPartDone {
                    response_id: response_id.clone(),
                    item_id: id.clone(),
                    output_index: output_index,
                    content_index: 0_u32,
                    part: part,
                }
            );
        }
        let item = open.item(status, true);
        send!(
            out,
            ResponseOutputItemDone {
                response_id: response_id,
                output_index: output_index,
                item: item.clone(),
            }
        );
        if self.in_conversation {
            send!(
                out,
                ConversationItemDone { previous_item_id: conversation.before(&id), item: item.clone() }
            );
            conversation.finish(&id, item.clone());
        }
        self.output.push(item);
    }

    fn end(&mut self, ending: Ending, out: &mut Outbox, conversation: &mut Conversation) {
        let (status, item_status) = match &ending {
            Ending::Completed => (ResponseStatus::Completed, ItemStatus::Completed),
            Ending::Incomplete(_) => (ResponseStatus::Incomplete, ItemStatus::Incomplete),
            Ending::Failed { .. } => (ResponseStatus::Failed, ItemStatus::Incomplete),
        };
        self.close(item_status, out, conversation);
        let details = StatusDetails::default().kind(status.clone());
        let details = match ending {
            Ending::Completed => Field::Null,
            Ending::Incomplete(reason) => Field::Value(details.reason(reason)),
            Ending::Failed { code, message } => {
                let error =
                    ResponseError::default().kind("invalid_request_error").code(code).message(message);
                Field::Value(details.error(error))
            }
        };
        self.done(status, details, out);
    }

    fn done(&mut self, status: ResponseStatus, details: Field<StatusDetails>, out: &mut Outbox) {
        let mut response = std::mem::take(&mut self.shown);
        response.status = status.into();
        response.status_details = details;
        response.output = std::mem::take(&mut self.output).into();
        response.usage = Field::Value(Box::new(usage(self.input, self.cached, self.made(self.format))));
        send!(out, ResponseDone { response: response });
    }

    /// The item that is being made, and its place in the response.
    pub(super) fn place(&self) -> Option<(ItemId, u32)> {
        self.open.as_ref().map(|open| (open.id.clone(), self.output.len() as u32))
    }

    fn made(&self, format: AudioFormat) -> Tokens {
        let audio = spoken_tokens(format.duration(self.made.audio_bytes));
        Tokens { text: self.made.text_tokens, audio, image: 0 }
    }

    fn is_over_limit(&self) -> bool {
        match self.shown.max_output_tokens.value() {
            Some(MaxOutputTokens::Limit(limit)) => self.made(self.format).total() >= u64::from(*limit),
            _ => false,
        }
    }
}
