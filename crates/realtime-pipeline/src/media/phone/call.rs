//! Who calls: [`PhoneCall`].

use realtime_protocol::audio::AudioFormat;
use realtime_telephony::carrier::CallStart;
use realtime_telephony::{CarrierKind, Started};

/// A phone call as its carrier tells it when the stream starts. `Debug` shows the ids, and neither phone
/// numbers nor parameters' values.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PhoneCall {
    /// The carrier.
    pub carrier: CarrierKind,
    /// Its ids, numbers and parameters. What the carrier does not say is empty.
    pub start: CallStart,
    /// The format of the caller's audio.
    pub input: AudioFormat,
    /// The format in which the carrier is sent ours.
    pub output: AudioFormat,
}

impl PhoneCall {
    pub(super) fn new(carrier: CarrierKind, started: Started) -> Self {
        Self { carrier, start: started.call, input: started.input, output: started.output }
    }

    /// The id by which requests to the carrier name the call.
    pub fn id(&self) -> Option<&str> {
        self.start.call_id.as_deref()
    }

    /// The caller's number. Twilio, Plivo, Vonage and SignalWire do not say it on the stream: give it as a
    /// parameter.
    pub fn from(&self) -> Option<&str> {
        self.start.from.as_deref()
    }

    /// The number that was called; see [`from`](Self::from).
    pub fn to(&self) -> Option<&str> {
        self.start.to.as_deref()
    }

    /// A parameter that the answer to the call, or the flow, gave to the stream.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.start.parameters.get(name).map(String::as_str)
    }
}
