//! When the user is not heard.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{Event, FunctionCall, FunctionEnd};
use realtime_protocol::id::{CallId, ResponseId};

use super::*;
use crate::chain::Keys;
use crate::turns::{Mute, MuteButton, Turns};

fn call(id: &str) -> Arc<FunctionCall> {
    Arc::new(FunctionCall {
        call_id: CallId::from(id),
        item_id: None,
        name: "book".to_owned(),
        arguments: "{}".to_owned(),
        key: String::new(),
    })
}

fn calls(out_of_band: bool, ids: &[&str]) -> FrameKind {
    let calls = ids.iter().copied().map(call).collect();
    FrameKind::Event(Arc::new(Event::FunctionCalls {
        response_id: ResponseId::from("r"),
        out_of_band,
        calls,
    }))
}

fn ended(id: &str) -> FrameKind {
    FrameKind::Event(Arc::new(Event::FunctionEnded { call: call(id), end: FunctionEnd::TimedOut }))
}

/// Whether audio that comes now is heard.
fn is_heard(run: &mut Run) -> bool {
    run.audio.clear();
    run.hear(true, FRAME);
    run.audio[0].pcm().unwrap().as_slice().contains(&9_000)
}

#[test]
fn a_request_mutes_until_another_one() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let sender = Arc::clone(&requests);
    let button = MuteButton::new(move |kind| sender.lock().unwrap().push(kind));
    let mut run = Run::new(Mute::new());
    assert!(is_heard(&mut run));
    for (is_muted, word) in [(true, "muted"), (false, "unmuted")] {
        // The second one changes nothing.
        for _ in 0..2 {
            if is_muted { button.mute() } else { button.unmute() }
        }
        for kind in std::mem::take(&mut *requests.lock().unwrap()) {
            run.down(kind);
        }
        assert_eq!(run.turns(), [word]);
        assert_eq!(is_heard(&mut run), !is_muted);
    }
    let up: Vec<&str> = run.up.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(up, ["user muted", "user unmuted"]);
}

#[test]
fn a_user_who_is_muted_from_the_beginning_is_told_first() {
    let mut run = Run::new(Mute::new().until_asked());
    assert_eq!(run.down[0].1, "start");
    assert_eq!(run.turns(), ["muted"]);
    assert!(!is_heard(&mut run));
    run.ask(MuteRequest::Unmute);
    assert!(is_heard(&mut run));
}

#[test]
fn the_first_speech_is_heard_in_full() {
    let mut run = Run::new(Mute::new().until_first_speech());
    assert!(!is_heard(&mut run));
    run.up(bot(BotSpeech::Started));
    run.pass(60_000);
    assert!(!is_heard(&mut run));
    run.up(bot(BotSpeech::Stopped));
    assert!(is_heard(&mut run));
    run.up(bot(BotSpeech::Started));
    assert!(is_heard(&mut run));
}

#[test]
fn a_first_speech_that_never_comes_is_not_waited_for() {
    let mut run = Run::new(Mute::new().until_first_speech());
    run.pass(29_999);
    assert_eq!(run.turns(), ["muted"]);
    run.pass(1);
    assert_eq!(run.told(), list(&[(30_000, "unmuted")]));
    assert!(is_heard(&mut run));
}

#[test]
fn during_the_first_speech_alone() {
    let mut run = Run::new(Mute::new().during_first_speech());
    assert!(is_heard(&mut run));
    run.up(bot(BotSpeech::Started));
    assert!(!is_heard(&mut run));
    run.up(bot(BotSpeech::Stopped));
    run.up(bot(BotSpeech::Started));
    assert!(is_heard(&mut run));
}

#[test]
fn while_functions_run() {
    let mut run = Run::new(Mute::new().during_functions());
    run.up(calls(true, &["beside"]));
    assert!(is_heard(&mut run), "calls out of band never end");
    run.up(calls(false, &["one", "two"]));
    // The same, on its way down.
    run.down(calls(false, &["one", "two"]));
    assert!(!is_heard(&mut run));
    run.up(ended("one"));
    assert!(!is_heard(&mut run));
    run.up(ended("two"));
    assert!(is_heard(&mut run));
}

#[test]
fn rules_and_requests_combine() {
    let mut run = Run::new(Mute::new().while_bot_speaks().during_functions());
    run.up(bot(BotSpeech::Started));
    run.up(calls(false, &["one"]));
    run.up(bot(BotSpeech::Stopped));
    run.ask(MuteRequest::Mute);
    run.up(ended("one"));
    assert!(!is_heard(&mut run));
    run.ask(MuteRequest::Unmute);
    assert!(is_heard(&mut run));
    assert_eq!(run.turns(), ["muted", "unmuted"]);
}

#[test]
fn silence_is_as_long_as_the_audio_in_its_place_and_in_its_format() {
    let mut run = Run::new(Mute::new().until_asked());
    let stereo = Audio::Pcm(crate::chain::Samples::new(48_000, 2, vec![7; 960]));
    let formats = [(AudioFormat::Pcmu, 0xff), (AudioFormat::Pcma, 0xd5), (AudioFormat::PCM16_24K, 0)];
    let coded = formats.map(|(format, _)| Audio::coded(format, Bytes::from_static(&[0x21; 160])));
    run.play([stereo.clone()].into_iter().chain(coded));
    let [first, others @ ..] = &run.audio[..] else { panic!("nothing came") };
    assert_eq!((first.frames(), first.rate()), (stereo.frames(), 48_000));
    assert!(first.pcm().unwrap().as_slice().iter().all(|sample| *sample == 0));
    for (audio, (format, byte)) in others.iter().zip(formats) {
        assert_eq!(*audio, Audio::coded(format, vec![byte; 160].into()));
    }
}

#[test]
fn audio_can_be_dropped_and_keys_too() {
    let mut run = Run::new(Mute::new().until_asked().dropping().with_keys());
    run.hear(true, 100);
    assert!(run.audio.is_empty());
    run.down(FrameKind::InputDtmf(Keys::new("1").unwrap()));
    run.key(Key::Pressed);
    run.key(Key::Released);
    let words: Vec<&str> = run.down.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["start", "user muted", "key_released"]);

    let mut run = Run::new(Mute::new().until_asked());
    run.down(FrameKind::InputDtmf(Keys::new("1").unwrap()));
    run.key(Key::Pressed);
    assert_eq!(run.down.len(), 4);
}

#[test]
fn muting_ends_an_open_turn_and_none_begins_meanwhile() {
    let mut run = Run::with(Stages::new().then(Mute::new()).then(Turns::by_voice(Script)));
    run.hear(true, 500);
    run.ask(MuteRequest::Mute);
    run.hear(true, 1_000);
    run.ask(MuteRequest::Unmute);
    run.hear(true, 500);
    let told = [
        (200, "voice started"),
        (200, "started"),
        (500, "voice stopped"),
        (500, "stopped"),
        (500, "muted"),
        (1_500, "unmuted"),
        (1_700, "voice started"),
        (1_700, "started"),
    ];
    assert_eq!(run.told(), list(&told));
}

#[test]
fn a_key_that_is_held_through_a_mute_begins_another_turn() {
    let mut run = Run::with(Stages::new().then(Mute::new()).then(Turns::push_to_talk()));
    run.key(Key::Pressed);
    run.hear(false, 500);
    run.ask(MuteRequest::Mute);
    run.hear(false, 500);
    run.ask(MuteRequest::Unmute);
    run.key(Key::Released);
    run.ask(MuteRequest::Mute);
    run.key(Key::Pressed);
    run.key(Key::Released);
    assert_eq!(run.turns(), ["started", "stopped", "muted", "unmuted", "started", "stopped", "muted"]);
}
