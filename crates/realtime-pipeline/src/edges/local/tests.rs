//! Microphone and loudspeaker with the test as the device's thread.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use super::feed::Feed;
use super::hearing::{SoundReader, sound_log};
use super::loudspeaker::Loudspeaker;
use super::microphone::{Microphone, Voice};
use super::ring::{SampleWriter, ring};
use super::state::{Clock, DeviceState};
use crate::chain::{Audio, AudioSource, ClearId, FrameKind, OutputAudio, SinkPosition, SinkReport};
use crate::edges::{Sink, Source};

fn microphone(rate: u32) -> (SampleWriter, Arc<DeviceState>, Microphone) {
    let (writer, reader) = ring(rate as usize);
    let state = Arc::<DeviceState>::default();
    (writer, Arc::clone(&state), Microphone::new(None, state, reader, Voice::Plain(rate)))
}

fn loudspeaker(rate: u32) -> (Feed, Arc<DeviceState>, Loudspeaker, Clock) {
    let ((writer, reader), (log, sounds)): (_, (_, SoundReader)) = (ring(10 * rate as usize), sound_log());
    let (state, clock) = (Arc::<DeviceState>::default(), Clock::new());
    let feed = Feed::new(reader, log, None, Arc::clone(&state), rate);
    (feed, Arc::clone(&state), Loudspeaker::new(None, state, clock, rate, writer, sounds), clock)
}

async fn next(source: &mut Microphone) -> Option<FrameKind> {
    poll_fn(|cx| source.poll_next(cx)).await
}

async fn report(sink: &mut Loudspeaker) -> SinkReport {
    poll_fn(|cx| sink.poll_report(cx)).await
}

fn played(start: u64, rate: u32, samples: Vec<i16>) -> FrameKind {
    let (source, audio) = (AudioSource::Clip("hello".into()), Audio::mono(rate, samples));
    FrameKind::PlayedAudio(OutputAudio { response_id: None, source, start, mark: None, audio })
}

fn at(samples: u64) -> SinkPosition {
    SinkPosition { source: AudioSource::Clip("hello".into()), samples }
}

/// The device takes so many samples, which sound at once.
fn take(feed: &mut Feed, clock: Clock, frames: usize) -> Vec<i16> {
    let mut out = vec![9; frames];
    feed.fill(clock.micros(), &mut out);
    out
}

/// Reads reports until the last sample is heard.
async fn heard_to(sink: &mut Loudspeaker, end: u64) {
    loop {
        match report(sink).await {
            SinkReport::Heard(position) if position == at(end) => return,
            SinkReport::Heard(position) => assert!(position.samples < end, "{position:?}"),
            report => panic!("{report:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_microphone_gives_frames_of_twenty_milliseconds_as_the_device_gives_samples() {
    let (mut device, _, mut source) = microphone(8_000);
    device.push(0..170);
    let Some(FrameKind::InputAudio(audio)) = next(&mut source).await else { panic!("audio") };
    let samples = audio.pcm().unwrap();
    assert_eq!((samples.rate(), samples.as_slice()), (8_000, &(0..160).collect::<Vec<_>>()[..]));
    device.push(170..320);
    let Some(FrameKind::InputAudio(audio)) = next(&mut source).await else { panic!("audio") };
    assert_eq!(audio.pcm().unwrap().as_slice()[..2], [160, 161]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_keep_up_loses_the_oldest_audio_is_told_once_and_counts_on() {
    let (mut device, state, mut source) = microphone(8_000);
    let mut faults = Vec::new();
    for _ in 0..2 {
        device.push((0..20_000).map(|n| (n / 20) as i16));
        let mut last = 0;
        while last < 990 {
            match next(&mut source).await {
                Some(FrameKind::InputAudio(audio)) => last = *audio.pcm().unwrap().as_slice().last().unwrap(),
                Some(FrameKind::Fault(fault)) => faults.push(fault.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("microphone: dropped the oldest "), "{faults:?}");
    assert!(!state.add_dropped(Duration::ZERO), "it is counted");
}

#[tokio::test(start_paused = true)]
async fn a_microphone_that_is_lost_is_a_fault_and_the_end_of_the_users_audio() {
    let (mut device, state, mut source) = microphone(8_000);
    device.push([1; 160]);
    state.on_error(&cpal::Error::with_message(cpal::ErrorKind::DeviceNotAvailable, "it was unplugged"));
    assert!(matches!(next(&mut source).await, Some(FrameKind::InputAudio(_))), "what it gave before comes");
    let Some(FrameKind::Fault(fault)) = next(&mut source).await else { panic!("a fault") };
    let expected =
        "microphone: the microphone is lost: it was unplugged; nothing is heard of the user any more";
    assert_eq!(fault.to_string(), expected);
    assert!(matches!(next(&mut source).await, Some(FrameKind::InputFinished)));
    assert!(next(&mut source).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_the_device_took_is_heard_at_the_rate_of_what_was_handed_out() {
    let (mut feed, _, mut sink, clock) = loudspeaker(48_000);
    sink.send(&played(0, 24_000, vec![1_000; 2_400])).unwrap();
    sink.send(&played(2_400, 24_000, vec![1_000; 17])).unwrap();
    // What the filter holds comes once nothing more does.
    let mut taken = 0;
    while taken < 2 * 2_417 {
        let told = poll_fn(|cx| Poll::Ready(sink.poll_report(cx))).await;
        assert!(matches!(told, Poll::Pending | Poll::Ready(SinkReport::Heard(_))), "{told:?}");
        taken += take(&mut feed, clock, 960).iter().filter(|sample| **sample != 0).count();
        sleep(Duration::from_millis(10)).await;
    }
    heard_to(&mut sink, 2_417).await;
    poll_fn(|cx| sink.poll_close(cx)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_answered_with_what_the_device_had_taken_and_fades() {
    let (mut feed, _, mut sink, clock) = loudspeaker(8_000);
    sink.send(&played(100, 8_000, vec![1_000; 1_600])).unwrap();
    take(&mut feed, clock, 160);
    sink.clear(ClearId(3));
    let out = take(&mut feed, clock, 160);
    assert_eq!((out[0], out[39] < 50, out[40]), (1_000, true, 0));
    let SinkReport::Cleared { id, at: heard } = report(&mut sink).await else { panic!("an answer") };
    assert_eq!((id, heard), (ClearId(3), Some(at(100 + 160 + 40))));
    sink.clear(ClearId(4));
    take(&mut feed, clock, 160);
    assert_eq!(report(&mut sink).await, SinkReport::Cleared { id: ClearId(4), at: None });
    // It goes on, and what was dropped keeps nobody waiting.
    sink.send(&played(300, 8_000, vec![1; 80])).unwrap();
    take(&mut feed, clock, 160);
    heard_to(&mut sink, 380).await;
    poll_fn(|cx| sink.poll_close(cx)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_loudspeaker_waits_for_its_device_and_a_dry_one_within_an_answer_is_counted() {
    let (mut feed, state, mut sink, clock) = loudspeaker(8_000);
    sink.send(&played(0, 8_000, vec![1; 2_500])).unwrap();
    assert!(poll_fn(|cx| Poll::Ready(sink.poll_ready(cx))).await.is_pending());
    take(&mut feed, clock, 200);
    poll_fn(|cx| sink.poll_ready(cx)).await.unwrap();
    take(&mut feed, clock, 2_500);
    sink.send(&played(2_500, 8_000, vec![1; 160])).unwrap();
    sink.send(&played(2_660, 8_000, vec![1; 160])).unwrap();
    assert!(!state.add_gap(), "one gap is known, between the first and the second");
    let full = sink.send(&played(2_820, 8_000, vec![1; 90_000])).unwrap_err();
    assert_eq!(full.to_string(), "loudspeaker: dropped audio: 10 s wait for the device");
}

#[tokio::test(start_paused = true)]
async fn a_loudspeaker_that_is_lost_takes_nothing_and_says_what_to_do() {
    let (_feed, state, mut sink, _) = loudspeaker(8_000);
    sink.send(&played(0, 8_000, vec![1; 160])).unwrap();
    state.on_error(&cpal::Error::with_message(cpal::ErrorKind::DeviceNotAvailable, "it was unplugged"));
    let error = poll_fn(|cx| sink.poll_ready(cx)).await.unwrap_err();
    let expected = "loudspeaker: the loudspeaker is lost: it was unplugged; connect it, and call again";
    assert_eq!(error.to_string(), expected);
    assert!(sink.send(&played(160, 8_000, vec![1; 160])).is_err());
    poll_fn(|cx| sink.poll_close(cx)).await.unwrap();
}
