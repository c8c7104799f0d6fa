//! Audio on its way to the client: [`Downlink`] makes frames of 40 ms of it.

use std::time::Duration;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;

use crate::chain::{OutputAudio, SinkPosition};
use crate::convert::{ConvertError, Converter};
use crate::media::rtvi::outbox::Outbox;

/// What the client plays, whatever a frame says of its rate.
pub(super) const FORMAT: AudioFormat = AudioFormat::PCM16_24K;
/// Its rate (Hz).
const RATE: u32 = FORMAT.sample_rate();
/// 40 ms of it (bytes).
const FRAME: usize = RATE as usize / 25 * 2;
/// What is too short for a frame is sent after this time.
const PATIENCE: Duration = Duration::from_millis(40);

/// Audio on its way.
#[derive(Debug)]
pub(super) struct Downlink {
    converter: Converter,
    /// Too short for a frame, and since when.
    waiting: Vec<u8>,
    since: Option<Timestamp>,
    /// What was last handed over, to its end, and its rate (Hz).
    last: Option<(SinkPosition, u32)>,
    /// When the client was last sent audio.
    sent_at: Option<Timestamp>,
}

impl Downlink {
    pub(super) fn new() -> Self {
        let converter = Converter::new(FORMAT);
        Self { converter, waiting: Vec::new(), since: None, last: None, sent_at: None }
    }

    /// Sends what makes whole frames.
    pub(super) fn push(
        &mut self,
        now: Timestamp,
        played: &OutputAudio,
        out: &mut Outbox,
    ) -> Result<(), ConvertError> {
        let bytes = self.converter.convert(&played.audio)?;
        let samples = played.start + played.audio.frames();
        self.last = Some((SinkPosition { source: played.source.clone(), samples }, played.audio.rate()));
        self.waiting.extend_from_slice(&bytes);
        while self.waiting.len() >= FRAME {
            out.play(&self.waiting[..FRAME], RATE);
            self.waiting.drain(..FRAME);
            (self.since, self.sent_at) = (None, Some(now));
        }
        // The converter may hold some of it, too.
        if !self.waiting.is_empty() || played.audio.rate() != RATE {
            self.since.get_or_insert(now);
        }
        Ok(())
    }

    /// Sends the rest.
    pub(super) fn flush(&mut self, now: Timestamp, out: &mut Outbox) {
        self.since = None;
        self.waiting.extend_from_slice(&self.converter.flush());
        if !self.waiting.is_empty() {
            out.play(&self.waiting, RATE);
            self.waiting.clear();
            self.sent_at = Some(now);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.flush(now, out);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.since.map(|since| since + PATIENCE)
    }

    /// Drops what was not sent. Returns up to where the client will play: what it was sent it does not drop.
    pub(super) fn clear(&mut self) -> Option<SinkPosition> {
        let waiting = (self.waiting.len() / 2) as u64;
        (self.since, self.waiting) = (None, Vec::new());
        self.converter.reset();
        let (at, rate) = self.last.as_ref()?;
        let dropped = waiting * u64::from(*rate) / u64::from(RATE);
        Some(SinkPosition { source: at.source.clone(), samples: at.samples.saturating_sub(dropped) })
    }

    /// When the client has played all, if that is later than now.
    pub(super) fn played_at(&self, lead: Duration) -> Option<Timestamp> {
        self.sent_at.map(|at| at + lead + SLACK)
    }
}

/// On the network, and in the client, before it sounds.
const SLACK: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Audio, AudioSource};
    use crate::media::rtvi::wire::WireFrame;
    use crate::media::{MediaOutput, SocketMessage};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn played(rate: u32, start: u64, samples: usize) -> OutputAudio {
        let source = AudioSource::Clip("clip".into());
        let audio = Audio::mono(rate, vec![1000; samples]);
        OutputAudio { response_id: None, source, start, mark: None, audio }
    }

    /// The bytes of each frame.
    fn sent(out: &mut Outbox) -> Vec<usize> {
        std::iter::from_fn(|| out.poll())
            .map(|output| {
                let MediaOutput::Send(SocketMessage::Binary(bytes)) = output else { panic!("{output:?}") };
                let Ok(WireFrame::Audio { audio, rate: 24_000, channels: 1 }) = WireFrame::read(&bytes)
                else {
                    panic!("expected audio")
                };
                audio.len()
            })
            .collect()
    }

    #[test]
    fn two_chunks_make_a_frame_and_a_rest_waits_a_little() {
        let (mut down, mut out) = (Downlink::new(), Outbox::new());
        for chunk in 0..3 {
            down.push(at(20 * chunk), &played(24_000, chunk * 480, 480), &mut out).unwrap();
        }
        assert_eq!(sent(&mut out), [1_920]);
        assert_eq!(down.poll_timeout(), Some(at(80)));
        down.handle_timeout(at(79), &mut out);
        assert_eq!(sent(&mut out), [0_usize; 0]);
        down.handle_timeout(at(80), &mut out);
        assert_eq!((sent(&mut out), down.poll_timeout()), (vec![960], None));
    }

    #[test]
    fn other_rates_are_converted_and_nothing_is_lost() {
        let (mut down, mut out) = (Downlink::new(), Outbox::new());
        for chunk in 0..50 {
            down.push(at(20 * chunk), &played(8_000, chunk * 160, 160), &mut out).unwrap();
        }
        down.handle_timeout(at(2_000), &mut out);
        assert_eq!(sent(&mut out).iter().sum::<usize>(), 48_000);
    }

    #[test]
    fn what_was_not_sent_is_dropped_and_what_was_is_heard() {
        let (mut down, mut out) = (Downlink::new(), Outbox::new());
        assert_eq!(down.clear(), None);
        for chunk in 0..3 {
            down.push(at(0), &played(24_000, chunk * 480, 480), &mut out).unwrap();
        }
        assert_eq!(down.clear().map(|at| at.samples), Some(960));
        assert_eq!(sent(&mut out), [1_920]);
        down.handle_timeout(at(1_000), &mut out);
        assert_eq!(sent(&mut out), [0_usize; 0]);
    }
}
