//! Sound in both directions at once, a stop, and names.

use std::future::poll_fn;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use realtime_pipeline::chain::{
    Audio, AudioSource, ClearId, FrameKind, OutputAudio, SinkPosition, SinkReport,
};
use realtime_pipeline::edges::local::{LocalAudio, Microphone, devices};
use realtime_pipeline::edges::{Sink, Source};
use realtime_tests::alsa::{AlsaDevices, RATE};
use tokio::time::timeout;

/// ALSA reads its configuration once in a process: the test runs itself again, with another one.
const CONFIG: &str = "ALSA_CONFIG_PATH";
/// Set in that other process.
const INSIDE: &str = "REALTIME_TEST_INSIDE";

#[test]
fn sound_goes_both_ways_a_stop_is_answered_and_devices_are_found_by_name() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(inside());
    }
    let alsa = AlsaDevices::new().unwrap();
    alsa.begin().unwrap();
    // The user says one thing all the time, which is louder than silence.
    alsa.say(std::iter::repeat_n(7_000, 60 * RATE as usize));
    let name = "both_ways::sound_goes_both_ways_a_stop_is_answered_and_devices_are_found_by_name";
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside.args(["--exact", name, "--nocapture"]).env(CONFIG, alsa.config()).env(INSIDE, "1");
    assert!(inside.status().unwrap().success());
    // A second, and what sounded of the next one before it was stopped. Some of it is still in the pipe. A
    // tone is quiet where it changes its sign.
    let (least, begun) = (RATE as usize * 9 / 10, Instant::now());
    while loud(&alsa) < least && begun.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(20));
    }
    let loud = loud(&alsa);
    assert!((least..2 * RATE as usize).contains(&loud), "{loud} samples were loud");
}

/// How much of what was played is no silence (samples).
fn loud(alsa: &AlsaDevices) -> usize {
    alsa.heard().iter().filter(|sample| sample.unsigned_abs() > 2_000).count()
}

async fn inside() {
    let all = devices().unwrap();
    let ids: Vec<&str> = all.iter().map(|device| device.id.as_str()).collect();
    assert!(ids.contains(&"test_microphone") && ids.contains(&"test_loudspeaker"), "{ids:?}");
    let unknown = LocalAudio::new().input("no such thing").open().unwrap_err().to_string();
    assert!(unknown.contains("`test_microphone`"), "{unknown}");

    let transport = LocalAudio::new().input("test_microphone").output("a test: test_loud").open().unwrap();
    let (counts, rate) = (transport.counts().clone(), transport.microphone.rate());
    let (mut source, mut sink) = (transport.microphone, transport.loudspeaker);
    assert_eq!((rate, sink.rate(), sink.pace().reports), (RATE, RATE, true));

    // A second of sound in chunks, as the playout hands it out, while the microphone is heard.
    let speaking = async {
        for n in 0..50 {
            poll_fn(|cx| sink.poll_ready(cx)).await.unwrap();
            sink.send(&played("hello", n * 480)).unwrap();
        }
        until_heard(&mut sink, "hello", 24_000).await;
        for n in 0..15 {
            sink.send(&played("again", n * 480)).unwrap();
        }
        let first = until_heard(&mut sink, "again", 1).await;
        sink.clear(ClearId(1));
        loop {
            match report(&mut sink).await {
                SinkReport::Cleared { id, at } => {
                    assert_eq!(id, ClearId(1));
                    let at = at.unwrap();
                    assert_eq!(at.source, AudioSource::Clip("again".into()));
                    assert!((first..=7_200).contains(&at.samples), "{at:?}");
                    break;
                }
                SinkReport::Heard(at) => assert!(at.samples <= 7_200, "{at:?}"),
                other => panic!("{other:?}"),
            }
        }
        sink
    };
    let (mut sink, loud) =
        timeout(Duration::from_secs(60), async { tokio::join!(speaking, hear(&mut source)) })
            .await
            .expect("devices keep their pace");
    assert!(loud >= RATE as usize / 2, "{loud} samples of the user were heard");
    timeout(Duration::from_secs(10), poll_fn(|cx| sink.poll_close(cx))).await.unwrap().unwrap();
    assert!(counts.dropped_input() < Duration::from_secs(30), "{counts:?}");
}

/// Listens until half a second of the user was heard.
async fn hear(source: &mut Microphone) -> usize {
    let mut loud = 0;
    while loud < RATE as usize / 2 {
        if let Some(FrameKind::InputAudio(audio)) = poll_fn(|cx| source.poll_next(cx)).await {
            let samples = audio.pcm().unwrap();
            loud += samples.as_slice().iter().filter(|sample| **sample == 7_000).count();
        }
    }
    loud
}

async fn report(sink: &mut impl Sink) -> SinkReport {
    poll_fn(|cx| sink.poll_report(cx)).await
}

/// Waits until at least so much of a clip was heard. Returns how much it was.
async fn until_heard(sink: &mut impl Sink, clip: &str, samples: u64) -> u64 {
    loop {
        match report(sink).await {
            SinkReport::Heard(SinkPosition { source: AudioSource::Clip(name), samples: heard })
                if *name == *clip && heard >= samples =>
            {
                return heard;
            }
            SinkReport::Heard(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// 20 ms of a clip at 24,000 Hz: a tone.
fn played(clip: &str, start: u64) -> FrameKind {
    let tone = |n: u64| if (n / 24).is_multiple_of(2) { 9_000 } else { -9_000 };
    let audio = Audio::mono(24_000, (start..start + 480).map(tone).collect::<Vec<i16>>());
    let source = AudioSource::Clip(clip.into());
    FrameKind::PlayedAudio(OutputAudio { response_id: None, source, start, mark: None, audio })
}
