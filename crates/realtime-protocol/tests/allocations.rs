//! What the frequent events allocate: the audio of a delta, and nothing for an append.

#[path = "../benches/workloads/mod.rs"]
mod workloads;

use bytes::Bytes;
use realtime_protocol::call::{Event, Media, PlaybackReport};
use realtime_protocol::event::{ClientEvent, Dialect, InputAudioBufferAppend, ServerEvent};
use realtime_protocol::session::{Output, Session};
use realtime_protocol::time::Timestamp;

#[test]
fn an_audio_delta_allocates_its_audio_alone() {
    for (dialect, text) in [
        (Dialect::Ga, workloads::audio_delta(9_600)),
        (Dialect::Beta, workloads::audio_delta(9_600).replace("output_audio", "audio")),
        (Dialect::Ga, workloads::audio_delta(9_601)),
        (Dialect::Ga, workloads::audio_delta(9_602)),
    ] {
        let mut event = None;
        let allocated = allocation_counter::measure(|| event = Some(ServerEvent::decode(&text, dialect)));
        let Some(ServerEvent::ResponseOutputAudioDelta(delta)) = event else { panic!("{event:?}") };
        let len = delta.delta.bytes().unwrap().len() as u64;
        assert_eq!((allocated.count_total, allocated.bytes_max), (1, len), "{dialect:?}");
    }
}

#[test]
fn a_session_allocates_for_an_audio_delta_its_audio_alone() {
    let text = workloads::audio_delta(9_600);
    let mut session = workloads::responding();
    let mut deltas = 0_u64;
    let mut delta = |session: &mut Session| {
        deltas += 1;
        let now = Timestamp::from_millis(200 * deltas);
        let mut chunk = None;
        let allocated = allocation_counter::measure(|| {
            session.handle_text(now, &text);
            while let Some(output) = session.poll_output() {
                let Output::Event(Event::Audio(audio)) = output else { continue };
                chunk = Some(audio);
            }
        });
        let chunk = chunk.expect("one chunk comes out");
        let report = PlaybackReport::Mark(chunk.mark);
        session.handle_media(now, Media::Report(report)).unwrap();
        (allocated.count_total, allocated.bytes_total)
    };
    delta(&mut session); // it makes the part's entry in the ledger
    for _ in 0..100 {
        assert_eq!(delta(&mut session), (1, 9_600));
    }
}

#[test]
fn a_session_at_rest_takes_less_than_8_kib() {
    let mut session = None;
    let made = allocation_counter::measure(|| session = Some(workloads::responding()));
    let mut session = session.expect("it was made");
    let turns = allocation_counter::measure(|| {
        for turn in 0..100 {
            let response_id = format!("resp_{turn}");
            let created = r#"{"type":"response.created","response":{"id":"ID","conversation_id":"conv_1"}}"#;
            let delta = workloads::audio_delta(9_600)
                .replace("resp_C9G8p7IH2WxLbkgPNouYL", "ID")
                .replace("item_C9G8pZjM3NYZCNNTxvJTc", "item_CCXHwGjjDUfOXbiySlK7i");
            let done = workloads::RESPONSE_DONE.replace("resp_CCXHw0UJld10EzIUXQCNh", "ID");
            for text in [created, &delta, &done] {
                let now = Timestamp::from_millis(1000 * turn);
                session.handle_text(now, &text.replace("ID", &response_id));
                while let Some(output) = session.poll_output() {
                    let Output::Event(Event::Audio(chunk)) = output else { continue };
                    let report = PlaybackReport::Mark(chunk.mark);
                    session.handle_media(now, Media::Report(report)).unwrap();
                }
            }
        }
    });
    let at_rest = size_of::<Session>() as i64 + made.bytes_current + turns.bytes_current;
    assert!(at_rest < 8 * 1024, "{at_rest} bytes, {} of them in the struct", size_of::<Session>());
}

#[test]
fn twice_as_many_events_allocate_at_most_twice_as_much() {
    let floods: [fn(u64) -> String; 4] = [
        |n| format!(r#"{{"type":"response.created","response":{{"id":"r{n}"}}}}"#),
        |n| {
            format!(
                r#"{{"type":"response.output_audio.delta","response_id":"r","item_id":"i{n}","delta":"AAAAAAAA"}}"#
            )
        },
        |n| {
            let item =
                format!(r#"{{"type":"function_call","call_id":"c{n}","name":"f","arguments":"{{}}"}}"#);
            format!(r#"{{"type":"response.output_item.done","response_id":"r","item":{item}}}"#)
        },
        |n| {
            let item =
                format!(r#"{{"type":"function_call","call_id":"c{n}","name":"f","arguments":"{{}}"}}"#);
            format!(
                r#"{{"type":"response.done","response":{{"id":"r{n}","status":"completed","output":[{item}]}}}}"#
            )
        },
    ];
    for (index, flood) in floods.into_iter().enumerate() {
        let cost = |events| {
            let mut session = workloads::responding();
            let allocated = allocation_counter::measure(|| {
                for n in 0..events {
                    session.handle_text(Timestamp::from_millis(100 * n), &flood(n));
                    while session.poll_output().is_some() {}
                }
            });
            (allocated.count_total, allocated.bytes_total)
        };
        // Once the tables are full, each event costs the same.
        let (once, twice) = (cost(3_000), cost(6_000));
        assert!(twice.0 <= 2 * once.0 + once.0 / 10, "flood {index}: {once:?}, {twice:?}");
        assert!(twice.1 <= 2 * once.1 + once.1 / 10, "flood {index}: {once:?}, {twice:?}");
    }
}

#[test]
fn a_transcript_delta_allocates_its_words_alone() {
    let allocated = allocation_counter::measure(|| {
        ServerEvent::decode(workloads::TRANSCRIPT_DELTA, Dialect::Ga);
    });
    assert_eq!(allocated.count_total, 1);
}

#[test]
fn an_append_into_a_used_buffer_allocates_nothing() {
    let pcm = Bytes::from(workloads::pcm(4_800));
    let event: ClientEvent = InputAudioBufferAppend { audio: pcm.into(), ..Default::default() }.into();
    for dialect in [Dialect::Ga, Dialect::Beta] {
        let mut text = event.encode(dialect);
        text.clear();
        let allocated = allocation_counter::measure(|| event.encode_into(dialect, &mut text));
        assert_eq!(allocated.count_total, 0, "{dialect:?}");
    }
}

#[test]
fn a_response_allocates_in_proportion_to_its_members() {
    let allocated = allocation_counter::measure(|| {
        ServerEvent::decode(workloads::RESPONSE_DONE, Dialect::Ga);
    });
    assert!(allocated.count_total <= 24, "{allocated:?}");
    assert!(allocated.bytes_max <= 4 * workloads::RESPONSE_DONE.len() as u64, "{allocated:?}");
}
