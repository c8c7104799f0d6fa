//! Which events may overtake which: the protocol's order, as far as it promises one.

use realtime_protocol::event::ServerEvent;
use realtime_protocol::field::Field;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::Item;

/// What an event is about, and so what it must stay in order with.
#[derive(Debug, Eq, PartialEq)]
enum Strand<'a> {
    /// The session, or what is not known: nothing overtakes it.
    Session,
    /// No promise at all: errors, rate limits.
    Free,
    /// The user's words: any time after their item.
    Transcript(&'a ItemId),
    /// An item of the conversation, or the audio that becomes one.
    Item(Option<ItemId>),
    /// A response; `part` for the deltas of one of its parts.
    Response { id: Option<&'a ResponseId>, part: Option<Part<'a>> },
}

/// One of the two things that are sent of an audio part side by side.
#[derive(Debug, Eq, PartialEq)]
struct Part<'a> {
    item: &'a ItemId,
    is_audio: bool,
}

/// Returns whether two events may come in either order.
pub(super) fn may_swap(a: &ServerEvent, b: &ServerEvent) -> bool {
    use Strand::{Free, Item, Response, Session, Transcript};
    match (strand(a), strand(b)) {
        (Session, _) | (_, Session) => false,
        (Free, _) | (_, Free) => true,
        (Transcript(a), Transcript(b)) => a != b,
        (Transcript(a), Item(b)) | (Item(b), Transcript(a)) => b.is_some_and(|b| *a != b),
        (Transcript(_), Response { .. }) | (Response { .. }, Transcript(_)) => true,
        (Item(_), Item(_)) => false,
        (Item(item), Response { part, .. }) | (Response { part, .. }, Item(item)) => {
            part.is_some_and(|part| item.is_some_and(|item| *part.item != item))
        }
        (Response { id: a, part: x }, Response { id: b, part: y }) => {
            a != b
                || match (x, y) {
                    (Some(x), Some(y)) => x.item == y.item && x.is_audio != y.is_audio,
                    _ => false,
                }
        }
    }
}

fn strand(event: &ServerEvent) -> Strand<'_> {
    let part = |id: &'static str, response, item| Strand::Response {
        id: Field::value(response),
        part: Some(Part { item, is_audio: id == "audio" }),
    };
    match event {
        ServerEvent::ErrorEvent(_) | ServerEvent::RateLimitsUpdated(_) => Strand::Free,
        ServerEvent::InputAudioTranscriptionDelta(e) => Strand::Transcript(&e.item_id),
        ServerEvent::InputAudioTranscriptionCompleted(e) => Strand::Transcript(&e.item_id),
        ServerEvent::InputAudioTranscriptionSegment(e) => Strand::Transcript(&e.item_id),
        ServerEvent::InputAudioTranscriptionFailed(e) => Strand::Transcript(&e.item_id),
        ServerEvent::InputAudioBufferCommitted(e) => Strand::Item(Some(e.item_id.clone())),
        ServerEvent::InputAudioBufferSpeechStarted(e) => Strand::Item(e.item_id.value().cloned()),
        ServerEvent::InputAudioBufferSpeechStopped(e) => Strand::Item(e.item_id.value().cloned()),
        ServerEvent::InputAudioBufferTimeoutTriggered(e) => Strand::Item(e.item_id.value().cloned()),
        ServerEvent::ConversationItemAdded(e) => item(&e.item),
        ServerEvent::ConversationItemDone(e) => item(&e.item),
        ServerEvent::ConversationItemRetrieved(e) => item(&e.item),
        ServerEvent::ConversationItemTruncated(e) => Strand::Item(Some(e.item_id.clone())),
        ServerEvent::ConversationItemDeleted(e) => Strand::Item(Some(e.item_id.clone())),
        ServerEvent::ResponseOutputAudioDelta(e) => part("audio", &e.response_id, &e.item_id),
        ServerEvent::ResponseOutputAudioDone(e) => part("audio", &e.response_id, &e.item_id),
        ServerEvent::ResponseOutputAudioTranscriptDelta(e) => part("words", &e.response_id, &e.item_id),
        ServerEvent::ResponseOutputAudioTranscriptDone(e) => part("words", &e.response_id, &e.item_id),
        ServerEvent::ResponseOutputTextDelta(e) => part("words", &e.response_id, &e.item_id),
        ServerEvent::ResponseOutputTextDone(e) => part("words", &e.response_id, &e.item_id),
        ServerEvent::ResponseFunctionCallArgumentsDelta(e) => part("words", &e.response_id, &e.item_id),
        ServerEvent::ResponseFunctionCallArgumentsDone(e) => part("words", &e.response_id, &e.item_id),
        ServerEvent::ResponseCreated(e) => response(&e.response.id),
        ServerEvent::ResponseDone(e) => response(&e.response.id),
        ServerEvent::ResponseOutputItemAdded(e) => response(&e.response_id),
        ServerEvent::ResponseOutputItemDone(e) => response(&e.response_id),
        ServerEvent::ResponseContentPartAdded(e) => response(&e.response_id),
        ServerEvent::ResponseContentPartDone(e) => response(&e.response_id),
        _ => Strand::Session,
    }
}

fn item(item: &Item) -> Strand<'_> {
    Strand::Item(item.id())
}

fn response(id: &Field<ResponseId>) -> Strand<'_> {
    Strand::Response { id: id.value(), part: None }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::event::Dialect;

    use super::*;

    fn check(a: &str, b: &str) -> bool {
        let read = |text: &str| ServerEvent::decode(text, Dialect::Ga);
        let (a, b) = (read(a), read(b));
        assert_eq!(may_swap(&a, &b), may_swap(&b, &a));
        may_swap(&a, &b)
    }

    #[test]
    fn audio_and_its_words_may_come_in_either_order_but_within_their_part() {
        let audio = r#"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":""}"#;
        let words =
            r#"{"type":"response.output_audio_transcript.delta","response_id":"r","item_id":"i","delta":""}"#;
        let part = r#"{"type":"response.content_part.done","response_id":"r","item_id":"i"}"#;
        let other = r#"{"type":"response.output_audio.delta","response_id":"s","item_id":"j","delta":""}"#;
        assert!(check(audio, words) && check(audio, other));
        assert!(!check(audio, audio) && !check(audio, part) && !check(words, part));
    }

    #[test]
    fn the_users_words_may_come_whenever_their_item_is_there() {
        let words = r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"u","transcript":""}"#;
        let own = r#"{"type":"conversation.item.done","item":{"type":"message","id":"u","role":"user","content":[]}}"#;
        let done = r#"{"type":"response.done","response":{"id":"r"}}"#;
        let limits = r#"{"type":"rate_limits.updated","rate_limits":[]}"#;
        let session = r#"{"type":"session.updated","session":{}}"#;
        assert!(check(words, done) && check(limits, done) && check(limits, words));
        assert!(!check(words, own) && !check(words, session) && !check(limits, session));
    }
}
