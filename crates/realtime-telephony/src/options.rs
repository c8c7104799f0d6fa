//! What is decided before a call: limits, and what a carrier does not say on the wire.

use std::time::Duration;

use realtime_protocol::audio::AudioFormat;

use crate::format::SampleOrder;

/// Options of a [`MediaStream`](crate::MediaStream).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// The format in which the carrier wants its audio, where it does not say so itself: Telnyx
    /// (`stream_bidirectional_codec`) and jambonz (`bidirectionalAudio.sampleRate`). Default: the format of
    /// the caller's audio.
    pub output: Option<AudioFormat>,
    /// In which order the two bytes of an L16 sample come from and go to Telnyx and SignalWire, whose
    /// documents do not say it. Default: [`SampleOrder::Detect`].
    pub sample_order: SampleOrder,
    /// Whether jambonz plays binary audio as it comes (`bidirectionalAudio.streaming`). Without it there are
    /// no marks, and audio goes in `playAudio` texts. Default: it does.
    pub jambonz_streams: bool,
    /// How long to wait for the message that starts the stream. Default: 10 s.
    pub start_within: Duration,
    /// How long a started stream may bring no audio, unless it is paused. `None`: for ever. Default: 10 s.
    pub audio_within: Option<Duration>,
    /// How long the carrier may take to end the call after it was asked to. Then the socket is closed.
    /// Default: 10 s.
    pub end_within: Duration,
    /// The most silence that fills one gap in the caller's audio. The rest is counted. Default: 10 s.
    pub longest_gap: Duration,
    /// The longest message that is read (bytes). Longer ones are counted and dropped. Default: 65,536.
    pub longest_message: usize,
    /// What the names of our marks begin with. Where one stream after another speaks on a carrier's socket,
    /// each has its own, so that a mark of the one before counts for nothing. Default: nothing.
    pub mark_prefix: String,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            output: None,
            sample_order: SampleOrder::Detect,
            jambonz_streams: true,
            start_within: Duration::from_secs(10),
            audio_within: Some(Duration::from_secs(10)),
            end_within: Duration::from_secs(10),
            longest_gap: Duration::from_secs(10),
            longest_message: 65_536,
            mark_prefix: String::new(),
        }
    }
}

impl StreamOptions {
    /// Sets [`output`](Self::output).
    pub fn output(mut self, output: AudioFormat) -> Self {
        self.output = Some(output);
        self
    }

    /// Sets [`sample_order`](Self::sample_order).
    pub fn sample_order(mut self, order: SampleOrder) -> Self {
        self.sample_order = order;
        self
    }

    /// Sets [`jambonz_streams`](Self::jambonz_streams).
    pub fn jambonz_streams(mut self, streams: bool) -> Self {
        self.jambonz_streams = streams;
        self
    }

    /// Sets [`start_within`](Self::start_within).
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = limit;
        self
    }

    /// Sets [`audio_within`](Self::audio_within).
    pub fn audio_within(mut self, limit: Option<Duration>) -> Self {
        self.audio_within = limit;
        self
    }

    /// Sets [`end_within`](Self::end_within).
    pub fn end_within(mut self, limit: Duration) -> Self {
        self.end_within = limit;
        self
    }

    /// Sets [`longest_gap`](Self::longest_gap).
    pub fn longest_gap(mut self, limit: Duration) -> Self {
        self.longest_gap = limit;
        self
    }

    /// Sets [`longest_message`](Self::longest_message).
    pub fn longest_message(mut self, bytes: usize) -> Self {
        self.longest_message = bytes;
        self
    }

    /// Sets [`mark_prefix`](Self::mark_prefix).
    pub fn mark_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.mark_prefix = prefix.into();
        self
    }
}
