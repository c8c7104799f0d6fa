//! What the frequent events allocate: the audio of a delta, and nothing for an append.

#[path = "../benches/workloads/mod.rs"]
mod workloads;

use bytes::Bytes;
use realtime_protocol::event::{ClientEvent, Dialect, InputAudioBufferAppend, ServerEvent};

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
