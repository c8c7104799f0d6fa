//! What the servers of a connection's dialect send, beyond the names, which the protocol's own writer knows.

use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::field::Field;
use realtime_protocol::item::Item;

/// Gives an event what servers of the dialect send in it, and takes out what they do not.
pub(crate) fn adapt(event: &mut ServerEvent, dialect: Dialect) {
    if dialect == Dialect::Ga {
        return;
    }
    match event {
        ServerEvent::ConversationItemAdded(event) => name_object(&mut event.item),
        ServerEvent::ConversationItemDone(event) => name_object(&mut event.item),
        ServerEvent::ConversationItemRetrieved(event) => name_object(&mut event.item),
        ServerEvent::ResponseOutputItemAdded(event) => name_object(&mut event.item),
        ServerEvent::ResponseOutputItemDone(event) => name_object(&mut event.item),
        ServerEvent::ResponseDone(event) => {
            event.response.temperature = Field::Value(TEMPERATURE);
            event.response.output.value_mut().into_iter().flatten().for_each(name_object);
        }
        ServerEvent::ResponseCreated(event) => event.response.temperature = Field::Value(TEMPERATURE),
        ServerEvent::ResponseFunctionCallArgumentsDone(event) => event.name = Field::Absent,
        ServerEvent::InputAudioTranscriptionDelta(event) => event.obfuscation = Field::Absent,
        ServerEvent::ResponseOutputAudioTranscriptDelta(event) => event.obfuscation = Field::Absent,
        _ => {}
    }
}

fn name_object(item: &mut Item) {
    match item {
        Item::Message(item) => item.object = "realtime.item".into(),
        Item::FunctionCall(item) => item.object = "realtime.item".into(),
        Item::FunctionCallOutput(item) => item.object = "realtime.item".into(),
        _ => {}
    }
}

/// Beta's default.
pub(crate) const TEMPERATURE: f64 = 0.8;
