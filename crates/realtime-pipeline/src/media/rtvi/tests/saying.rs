//! Sentences of the model, and how far they were heard.

use serde_json::json;

use super::*;

/// A client that hears all audio when it comes.
fn heard_at_once() -> Bench {
    Bench::open(|options| options.lead(Duration::ZERO))
}

/// Of each `bot-output`: its segment, text, status and what was heard.
fn outputs(bench: &mut Bench) -> Vec<String> {
    let said = std::mem::take(&mut bench.said).into_iter().filter(|said| said["type"] == "bot-output");
    said.map(|said| {
        let data = &said["data"];
        assert_eq!([&data["output_type"], &data["text_type"], &data["aggregated_by"]], ["sentence"; 3]);
        let heard = data["spoken_progress"]["accumulated_text"].as_str().unwrap_or("-");
        format!(
            "{} {} | {heard} | {}",
            data["segment_id"],
            data["spoken_status"].as_str().unwrap(),
            data["text"]
        )
    })
    .collect()
}

/// The words of each `bot-tts-text`.
fn heard_words(bench: &mut Bench) -> Vec<String> {
    let said = std::mem::take(&mut bench.said).into_iter().filter(|said| said["type"] == "bot-tts-text");
    said.map(|said| said["data"]["text"].as_str().unwrap().to_owned()).collect()
}

fn audio_done(bench: &mut Bench, item: &str, ms: u64) {
    bench.event(Event::AudioDone {
        response_id: "r".into(),
        item_id: item.into(),
        content_index: 0,
        total: ms * 24,
    });
}

fn item_done(bench: &mut Bench, item: &str) {
    let item = json!({ "id": item, "type": "message", "role": "assistant", "content": [] });
    bench.event(Event::ItemDone { item: serde_json::from_value(item).unwrap() });
}

#[test]
fn a_sentence_is_new_when_it_is_whole_and_completed_when_it_was_heard() {
    let mut bench = heard_at_once();
    bench.words("one", "Hello th", true);
    assert_eq!(outputs(&mut bench), [""; 0]);
    bench.words("one", "ere. How are ", true);
    assert_eq!(outputs(&mut bench), [r#"1 new |  | "Hello there.""#]);
    bench.words("one", "you?", true);
    item_done(&mut bench, "one");
    assert_eq!(outputs(&mut bench), [r#"2 new |  | "How are you?""#]);
    // 25 bytes of text in 2,500 ms.
    audio_done(&mut bench, "one", 2_500);
    bench.play("one", 0, 500);
    assert_eq!(outputs(&mut bench), [""; 0], "no word is whole");
    bench.play("one", 500, 300);
    assert_eq!(outputs(&mut bench), [r#"1 in-progress | Hello | "Hello there.""#]);
    bench.play("one", 800, 400);
    assert_eq!(outputs(&mut bench), [r#"1 completed | Hello there. | "Hello there.""#]);
    bench.play("one", 1_200, 500);
    assert_eq!(outputs(&mut bench), [r#"2 in-progress | How | "How are you?""#]);
    bench.play("one", 1_700, 800);
    bench.finished("one");
    assert_eq!(outputs(&mut bench), [r#"2 completed | How are you? | "How are you?""#]);
}

#[test]
fn what_the_client_has_before_its_time_is_not_heard_yet() {
    let mut bench = Bench::open(|options| options);
    bench.words("one", "These are thirty bytes of text. ", true);
    bench.play("one", 0, 550);
    assert_eq!(heard_words(&mut bench), [""; 0]);
    bench.play("one", 550, 100);
    assert_eq!(heard_words(&mut bench), ["These"], "450 ms of it are heard");
}

#[test]
fn words_are_told_once_and_in_their_order_as_they_are_heard() {
    let mut bench = heard_at_once();
    bench.words("one", "It is sunny in Paris today. Take a hat with you.", true);
    item_done(&mut bench, "one");
    audio_done(&mut bench, "one", 4_800);
    let mut words = Vec::new();
    for at in (0..4_800).step_by(20) {
        bench.play("one", at, 20);
        words.extend(heard_words(&mut bench));
    }
    bench.finished("one");
    words.extend(heard_words(&mut bench));
    let expected = ["It", "is", "sunny", "in", "Paris", "today.", "Take", "a", "hat", "with", "you."];
    assert_eq!(words, expected);
}

#[test]
fn one_word_is_told_whole_and_a_writing_without_blanks_character_by_character() {
    for (text, expected) in [("Hello! ", vec!["Hello!"]), ("はい。そ", vec!["は", "い", "。"])] {
        let mut bench = heard_at_once();
        bench.words("one", text, true);
        let mut words = Vec::new();
        for at in (0..600).step_by(20) {
            bench.play("one", at, 20);
            words.extend(heard_words(&mut bench));
        }
        assert_eq!(words, expected);
    }
}

#[test]
fn what_is_cut_off_is_never_completed() {
    let mut bench = heard_at_once();
    bench.words("one", "One two three. Four five six. ", true);
    audio_done(&mut bench, "one", 3_000);
    bench.play("one", 0, 500);
    bench.news();
    bench.down(FrameKind::Interruption { response_id: None, stop: None });
    bench.finished("one");
    assert_eq!(outputs(&mut bench), [""; 0]);
}

#[test]
fn until_the_length_is_known_words_go_at_the_pace_of_speech() {
    let mut bench = heard_at_once();
    bench.words("one", "These are thirty bytes of text. And more", true);
    bench.play("one", 0, 1_000);
    let heard = outputs(&mut bench).pop().unwrap();
    assert!(heard.starts_with("1 in-progress | These are |"), "{heard}");
    bench.finished("one");
    let rest = outputs(&mut bench);
    assert_eq!(rest.len(), 3, "the end is a sentence, too: {rest:?}");
    assert!(rest[1].starts_with("1 completed") && rest[2].starts_with("2 completed"), "{rest:?}");
}

#[test]
fn what_is_written_is_told_once() {
    let mut bench = heard_at_once();
    bench.words("one", "Written. Not spoken.", false);
    item_done(&mut bench, "one");
    let said: Vec<Value> = bench.said.iter().filter(|said| said["type"] == "bot-output").cloned().collect();
    assert_eq!(said.len(), 2);
    for output in said {
        assert_eq!(
            (&output["data"]["will_be_spoken"], &output["data"]["spoken_status"]),
            (&json!(false), &json!("new"))
        );
        assert_eq!(output["data"].get("spoken_progress"), None);
    }
}

#[test]
fn a_client_of_version_1_gets_what_it_knows() {
    let mut bench = Bench::new(|options| options.lead(Duration::ZERO));
    bench.ask("client-ready", "1", json!({ "version": "1.4.0" }));
    bench.words("one", "Hello there. ", true);
    bench.play("one", 0, 600);
    bench.finished("one");
    let outputs: Vec<Value> = std::mem::take(&mut bench.said)
        .into_iter()
        .filter(|said| said["type"] == "bot-output")
        .map(|said| said["data"].clone())
        .collect();
    assert_eq!(outputs.len(), 2, "no progress");
    for (output, spoken) in outputs.iter().zip([false, true]) {
        assert_eq!((&output["spoken"], &output["text"]), (&json!(spoken), &json!("Hello there.")));
        assert_eq!(output.get("spoken_status"), None);
    }
}

#[test]
fn parts_without_end_leave_nothing_behind() {
    let mut bench = heard_at_once();
    for item in 0..1_000 {
        bench.words(&item.to_string(), "Never heard. Never done", true);
    }
    bench.words("long", &"Word. ".repeat(10_000), true);
    let shown = format!("{:?}", bench.rtvi.speech);
    assert_eq!(shown.matches("item_id").count(), 32);
    assert!(shown.contains("sentences: 512") && !shown.contains("Never"), "{shown}");
}
