//! What a page is told besides audio.

use std::time::Duration;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{Cut, FunctionCall, FunctionEnd, HeardPart, Interruption, Origin};
use realtime_protocol::content::OutputAudio as SpokenPart;
use realtime_protocol::item::{Item, MessageItem, Role};

use super::*;
use crate::chain::{BotSpeech, Metric, UserSpeech};

fn words(response: &str, item: &str, delta: &str) -> Event {
    Event::Text {
        response_id: response.into(),
        item_id: item.into(),
        content_index: 0,
        delta: delta.into(),
        spoken: true,
    }
}

fn item_done(item: &str, text: &str) -> Event {
    let part = SpokenPart::default().transcript(text.to_owned());
    let message = MessageItem::default()
        .id(realtime_protocol::id::ItemId::from(item))
        .role(Role::Assistant)
        .content(vec![part.into()]);
    Event::ItemDone { item: Box::new(Item::from(message)) }
}

fn interrupted(item: &str, ms: u64, text: &str) -> Event {
    let part = HeardPart {
        item_id: item.into(),
        content_index: 0,
        format: AudioFormat::PCM16_24K,
        heard: ms * 24,
        received: 99_999,
        heard_text: text.into(),
        estimated: false,
        cut: Cut::Truncated { audio_end_ms: ms },
    };
    Event::Interrupted(Interruption { response_id: None, parts: vec![part] })
}

fn call() -> Arc<FunctionCall> {
    let text = r#"{"call_id":"c","item_id":null,"name":"look","arguments":"{\"pin\":4711}","key":"k"}"#;
    Arc::new(serde_json::from_str(text).unwrap())
}

#[test]
fn both_sides_words_are_told_as_they_come_and_whole() {
    let mut bench = Bench::new();
    bench.event(words("r", "a", "Hello "));
    bench.event(words("r", "a", "there."));
    bench.event(item_done("a", "Hello there."));
    bench.event(item_done("a", "Hello there."));
    bench.event(Event::UserTranscriptDelta { item_id: "u".into(), content_index: 0, delta: "Hi".into() });
    bench.event(Event::UserTranscript {
        item_id: "u".into(),
        content_index: 0,
        transcript: "Hi!".into(),
        languages: vec![],
        logprobs: vec![],
        usage: None,
    });
    let text = |kind, who, item, text| json!({ "type": kind, "who": who, "item": item, "text": text });
    assert_eq!(
        bench.news(),
        [
            text("delta", "agent", "a", "Hello "),
            text("delta", "agent", "a", "there."),
            text("transcript", "agent", "a", "Hello there."),
            text("delta", "user", "u", "Hi"),
            text("transcript", "user", "u", "Hi!"),
        ]
    );
}

#[test]
fn of_what_was_cut_off_the_page_is_told_what_was_heard_and_nothing_after() {
    let mut bench = Bench::new();
    bench.event(words("r", "a", "Hello there."));
    bench.news();
    bench.event(interrupted("a", 420, "Hello"));
    bench.event(item_done("a", "Hello there."));
    let text = json!({ "type": "interrupted", "item": "a", "part": 0, "ms": 420, "estimated": false,
        "text": "Hello" });
    assert_eq!(bench.news(), [text]);
}

#[test]
fn words_beside_the_conversation_are_not_for_the_user() {
    let mut bench = Bench::new();
    bench.event(Event::ResponseStarted {
        response_id: "summary".into(),
        origin: Origin::Client,
        out_of_band: true,
        metadata: Default::default(),
    });
    bench.event(words("summary", "s", "The user is upset."));
    bench.event(item_done("s", "The user is upset."));
    assert!(bench.news().is_empty());
}

#[test]
fn tools_are_told_by_name_and_with_arguments_only_if_that_is_wanted() {
    for shows in [false, true] {
        let mut bench = Bench::silent(PageOptions::new(TOKEN).arguments(shows));
        bench.text(json!({ "type": "hello", "version": 1 }));
        bench.news();
        let (response_id, calls) = ("r".into(), vec![call()]);
        bench.event(Event::FunctionCalls { response_id, out_of_band: false, calls });
        bench.event(Event::FunctionEnded { call: call(), end: FunctionEnd::Result(4711.into()) });
        bench.event(Event::FunctionEnded { call: call(), end: FunctionEnd::TimedOut });
        let news = bench.news();
        let states: Vec<_> = news.iter().map(|text| (text["state"].as_str(), text["ok"].as_bool())).collect();
        assert_eq!(
            states,
            [(Some("called"), None), (Some("ended"), Some(true)), (Some("ended"), Some(false))]
        );
        assert_eq!(json!(news).to_string().contains("4711"), shows);
    }
}

#[test]
fn who_speaks_and_how_long_it_took_are_told() {
    let mut bench = Bench::new();
    bench.frame(FrameKind::User(UserSpeech::Started { item_id: None }));
    bench.frame(FrameKind::User(UserSpeech::Speaking));
    bench.frame(FrameKind::User(UserSpeech::Stopped { item_id: None }));
    bench.frame(FrameKind::User(UserSpeech::Muted));
    bench.frame(FrameKind::Bot(BotSpeech::Started));
    bench.frame(FrameKind::Bot(BotSpeech::Speaking));
    bench.frame(FrameKind::Metric(Metric::VoiceToVoice { after: Duration::from_millis(640) }));
    bench
        .act(|page, now| page.handle_frame(now, Direction::Upstream, &FrameKind::Bot(BotSpeech::Stopped)))
        .unwrap();
    let speaking = |who, on| json!({ "type": "speaking", "who": who, "on": on });
    assert_eq!(
        bench.news(),
        [
            speaking("user", true),
            speaking("user", false),
            json!({ "type": "muted", "on": true }),
            speaking("agent", true),
            json!({ "type": "latency", "name": "voice_to_voice", "ms": 640 }),
        ]
    );
}

#[test]
fn what_is_not_wanted_is_not_told_and_what_is_too_long_is_told_as_such() {
    let options = PageOptions::new(TOKEN).transcripts(false).tools(false).latencies(false);
    let mut bench = Bench::silent(options);
    bench.text(json!({ "type": "hello", "version": 1 }));
    bench.news();
    bench.event(words("r", "a", "Hello."));
    bench.event(Event::FunctionEnded { call: call(), end: FunctionEnd::TimedOut });
    bench.frame(FrameKind::Metric(Metric::VoiceToVoice { after: Duration::ZERO }));
    assert!(bench.news().is_empty());
    bench.event(interrupted("a", 1, "Hel"));
    assert_eq!(bench.news()[0].get("text"), None);
    let body = Arc::new(json!("x".repeat(70_000)));
    bench.frame(FrameKind::Message(crate::chain::Message { body, urgent: true }));
    assert_eq!(bench.news()[0]["code"], "too_long");
    assert_eq!(bench.page.counts().dropped_texts, 1);
}
