//! SignalWire: Twilio's messages with more codecs. It also takes digits.

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts::{Habits, Texts, UnsaidOrder};
use super::twilio;
use crate::carrier::{Carrier, Incoming, Odd, Outgoing, Read};
use crate::chunk::ChunkRules;
use crate::json;
use crate::kind::CarrierKind;
use crate::options::StreamOptions;

/// The messages of a SignalWire call.
#[derive(Debug)]
pub struct SignalWire(Texts);

impl SignalWire {
    /// For a new call.
    pub fn new(options: &StreamOptions) -> Self {
        let order = UnsaidOrder { chosen: options.sample_order, is_usually_big: false };
        Self(Texts::new(Habits { format: AudioFormat::Pcmu, has_clock: true, order: Some(order) }))
    }
}

impl Carrier for SignalWire {
    fn kind(&self) -> CarrierKind {
        CarrierKind::SignalWire
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        self.0.read(message, reads)
    }

    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        ChunkRules::any(output)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        twilio::media("streamSid", self.0.id(), &audio)
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        Some(twilio::mark("streamSid", self.0.id(), name))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        Some(Outgoing::Text(format!(r#"{{"event":"clear","streamSid":{}}}"#, self.0.id())))
    }

    fn digits(&mut self, digits: &str) -> Option<Outgoing> {
        let (id, digits) = (self.0.id(), json::quoted(digits));
        Some(Outgoing::Text(format!(r#"{{"event":"dtmf","streamSid":{id},"dtmf":{{"digit":{digits}}}}}"#)))
    }
}
