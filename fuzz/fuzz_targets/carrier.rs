//! No messages of a carrier make a stream panic, whatever is asked of it in between; and what it tells keeps
//! its order.
//!
//! The first byte names the carrier. Each line is a text, or a binary message after `=`, or a command after
//! `!`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_protocol::time::Timestamp;
use realtime_telephony::carrier::{HangUp, Outgoing};
use realtime_telephony::{CarrierKind, Event, MediaStream, Output, StreamOptions};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let kind = CarrierKind::ALL[usize::from(*first) % CarrierKind::ALL.len()];
    let mut now = Timestamp::ZERO;
    let mut stream = MediaStream::new(now, kind, StreamOptions::default());
    let mut told = Told::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        match line {
            [b'!', command, rest @ ..] => {
                let length = usize::from(rest.first().copied().unwrap_or_default()) * 16;
                match command % 8 {
                    0 => drop(stream.play(now, vec![0; length].into())),
                    1 => drop(stream.mark(now, length as u64)),
                    2 => drop(stream.flush(now)),
                    3 => drop(stream.finish(now)),
                    4 => drop(stream.send_digits(now, &String::from_utf8_lossy(rest))),
                    5 => drop(stream.hang_up(now, &HangUp::default())),
                    6 => drop(stream.pause(now).and_then(|()| stream.resume(now))),
                    _ => {
                        now = now + std::time::Duration::from_millis(length as u64);
                        stream.handle_timeout(now);
                    }
                }
            }
            [b'=', audio @ ..] => stream.handle_binary(now, audio.to_vec().into()),
            text => stream.handle_text(now, &String::from_utf8_lossy(text)),
        }
        told.check(&mut stream);
        let position = stream.position(now);
        assert!(position.is_none_or(|position| position.samples <= stream.given()));
    }
    stream.handle_closed(now);
    told.check(&mut stream);
    let _ = format!("{stream:?}");
});

#[derive(Default)]
struct Told {
    is_started: bool,
    is_ended: bool,
    is_closed: bool,
    audio_end: u64,
    played: (u64, u64),
}

impl Told {
    fn check(&mut self, stream: &mut MediaStream) {
        while let Some(output) = stream.poll_output() {
            assert!(!self.is_closed);
            match output {
                Output::Send(message) => self.is_closed = message == Outgoing::Close,
                Output::Event(event) => {
                    assert!(!self.is_ended);
                    self.event(&event, stream);
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Event, stream: &MediaStream) {
        match event {
            Event::Started(_) => {
                assert!(!self.is_started);
                self.is_started = true;
            }
            Event::Audio(audio) => {
                assert_eq!(audio.start, self.audio_end);
                let format = stream.formats().map(|(input, _)| input);
                self.audio_end += format.map_or(0, |format| format.samples(audio.audio.len() as u64));
            }
            Event::Played { generation, samples, .. } => {
                assert!((*generation, *samples) >= self.played);
                self.played = (*generation, *samples);
            }
            Event::Ended(_) => self.is_ended = true,
            _ => {}
        }
    }
}
