use realtime_protocol::call::StopId;
use std::sync::{Arc, Mutex};

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::MediaTime;

use super::*;
use crate::old::payload::{AudioFrame, OutputAudio};
use crate::old::task::{Finished, PipelineHandle};
use crate::old::{Observed, Observer, Pipeline};

const FORMAT: AudioFormat = AudioFormat::PCM16_24K;

/// What left the playout, with the time in milliseconds.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<(u64, String)>>>);

impl Observer for Trace {
    fn on_frame(&mut self, seen: &Observed) {
        if &*seen.source != "playout" {
            return;
        }
        let told = match (&seen.frame.kind, seen.direction) {
            (FrameKind::PlayedAudio(chunk), _) => {
                format!("{} +{}", chunk.item_id, chunk.audio.duration().as_millis())
            }
            (FrameKind::Playback(PlaybackReport::Played(at)), _) => {
                format!("played {} {}", at.item_id, at.played / 24)
            }
            (FrameKind::Playback(PlaybackReport::Stopped { at, .. }), _) => match at {
                Some(at) => format!("stopped {} {}", at.item_id, at.played / 24),
                None => "stopped nowhere".to_owned(),
            },
            (FrameKind::BotStartedSpeaking, Direction::Downstream) => "started".to_owned(),
            (FrameKind::BotStoppedSpeaking, Direction::Downstream) => "fell silent".to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push((seen.at.as_millis() as u64, told));
    }
}

/// Runs a playout, lets `script` drive it, ends it, and gives what left it.
async fn check<F: Future<Output = ()>>(script: impl FnOnce(PipelineHandle) -> F) -> Vec<(u64, String)> {
    let trace = Trace::default();
    let mut task = Pipeline::new().then(Playout::new()).into_task();
    task.observe(trace.clone());
    let handle = task.handle();
    let script = async {
        script(handle.clone()).await;
        handle.end();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended);
    trace.0.lock().unwrap().clone()
}

async fn send(handle: &PipelineHandle, item: &str, from_ms: u64, millis: u64) {
    let bytes = FORMAT.bytes(MediaTime::from_millis(millis)) as usize;
    let audio = AudioFrame { format: FORMAT, data: vec![1; bytes].into() };
    let start = 24 * from_ms;
    handle
        .push(FrameKind::OutputAudio(OutputAudio { item_id: item.into(), content_index: 0, start, audio }))
        .await;
}

async fn done(handle: &PipelineHandle, item: &str) {
    let total = 0;
    handle.push(FrameKind::OutputAudioDone { item_id: item.into(), content_index: 0, total }).await;
}

async fn wait(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn told(trace: &[(u64, String)], what: &str) -> Vec<(u64, String)> {
    trace.iter().filter(|(_, told)| told.starts_with(what)).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_played_at_the_speed_of_sound() {
    let trace = check(|handle| async move {
        send(&handle, "one", 0, 1_000).await;
        done(&handle, "one").await;
    })
    .await;
    let chunks = told(&trace, "one +20");
    assert_eq!(chunks.len(), 50);
    for (index, (at, _)) in chunks.iter().enumerate() {
        assert_eq!(*at, index as u64 * 20);
    }
    assert_eq!(told(&trace, "started"), [(0, "started".to_owned())]);
    // Silence begins when the last chunk has sounded, not when it was handed over.
    assert_eq!(told(&trace, "fell silent"), [(1_000, "fell silent".to_owned())]);
    let reports = told(&trace, "played one");
    assert_eq!(reports.len(), 11);
    assert_eq!(reports[0], (0, "played one 20".to_owned()));
    assert_eq!(reports[10], (980, "played one 1000".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn odd_deltas_leave_no_gap_and_do_not_drift() {
    let trace = check(|handle| async move {
        // 70 s, in pieces of 7 ms.
        for piece in 0..10_000 {
            send(&handle, "one", piece * 7, 7).await;
        }
        done(&handle, "one").await;
        wait(71_000).await;
    })
    .await;
    let silent = told(&trace, "fell silent");
    assert_eq!(silent, [(70_000, "fell silent".to_owned())]);
    // The first chunk is what there was of it.
    let chunks = told(&trace, "one +");
    assert_eq!((&*chunks[0].1, &*chunks[3_500].1), ("one +7", "one +13"));
    assert_eq!(told(&trace, "one +20").len(), 3_499);
}

#[tokio::test(start_paused = true)]
async fn stopped_in_the_second_of_three_items_it_tells_where() {
    let trace = check(|handle| async move {
        for item in ["one", "two", "three"] {
            send(&handle, item, 0, 200).await;
            done(&handle, item).await;
        }
        wait(290).await;
        handle.interrupt();
        handle.push(FrameKind::StopPlayback { id: Some(StopId(1)) }).await;
        wait(10).await;
    })
    .await;
    // Chunks were handed over at 0, 20, … 280 ms.
    assert_eq!(told(&trace, "stopped"), [(290, "stopped two 100".to_owned())]);
    assert_eq!(told(&trace, "fell silent"), [(290, "fell silent".to_owned())]);
    assert!(told(&trace, "three").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_interruption_is_played_at_once() {
    let trace = check(|handle| async move {
        send(&handle, "old", 0, 500).await;
        wait(30).await;
        handle.interrupt();
        handle.push(FrameKind::StopPlayback { id: Some(StopId(1)) }).await;
        wait(15).await;
        send(&handle, "new", 0, 40).await;
        done(&handle, "new").await;
    })
    .await;
    assert_eq!(told(&trace, "stopped"), [(30, "stopped old 40".to_owned())]);
    assert_eq!(told(&trace, "new +20"), [(45, "new +20".to_owned()), (65, "new +20".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_stall_within_a_part_is_a_pause_and_no_end_of_speech() {
    let trace = check(|handle| async move {
        send(&handle, "one", 0, 20).await;
        wait(1_000).await;
        send(&handle, "one", 20, 20).await;
        done(&handle, "one").await;
    })
    .await;
    assert_eq!(told(&trace, "one"), [(0, "one +20".to_owned()), (1_000, "one +20".to_owned())]);
    assert_eq!(told(&trace, "started").len(), 1);
    assert_eq!(told(&trace, "fell silent"), [(1_020, "fell silent".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_never_ends_is_silent_after_three_seconds() {
    let trace = check(|handle| async move {
        send(&handle, "one", 0, 20).await;
        wait(5_000).await;
    })
    .await;
    assert_eq!(told(&trace, "fell silent"), [(3_020, "fell silent".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn nothing_plays_when_playback_is_stopped_in_silence() {
    let trace = check(|handle| async move {
        handle.push(FrameKind::StopPlayback { id: Some(StopId(1)) }).await;
        wait(1).await;
    })
    .await;
    assert_eq!(trace, [(0, "stopped nowhere".to_owned())]);
}
