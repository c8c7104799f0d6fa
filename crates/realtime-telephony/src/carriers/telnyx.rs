//! Telnyx: the caller's codec and ours are two settings, and messages to Telnyx name no stream.

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts::{Habits, Texts, UnsaidOrder};
use crate::carrier::{Carrier, Incoming, Odd, Outgoing, Read};
use crate::chunk::ChunkRules;
use crate::json;
use crate::kind::CarrierKind;
use crate::options::StreamOptions;

/// The messages of a Telnyx call.
#[derive(Debug)]
pub struct Telnyx(Texts);

impl Telnyx {
    /// For a new call.
    pub fn new(options: &StreamOptions) -> Self {
        // RFC 2586: L16 in RTP is in network order.
        let order = UnsaidOrder { chosen: options.sample_order, is_usually_big: true };
        Self(Texts::new(Habits { format: AudioFormat::Pcmu, has_clock: true, order: Some(order) }))
    }
}

impl Carrier for Telnyx {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Telnyx
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        self.0.read(message, reads)
    }

    /// 20 ms to 30 s; whoever sends a second at most is well within.
    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        ChunkRules::at_least_ms(output, 20)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        let mut text = String::with_capacity(audio.len().div_ceil(3) * 4 + 48);
        text.push_str(r#"{"event":"media","media":{"payload":""#);
        json::push_base64(&audio, &mut text);
        text.push_str("\"}}");
        Outgoing::Text(text)
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        let name = json::quoted(name);
        Some(Outgoing::Text(format!(r#"{{"event":"mark","mark":{{"name":{name}}}}}"#)))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        Some(Outgoing::Text(r#"{"event":"clear"}"#.to_owned()))
    }
}
