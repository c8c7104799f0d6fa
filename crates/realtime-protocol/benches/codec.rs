//! Time per event of the codec: `cargo bench -p realtime-protocol`. Instructions, which a busy machine does
//! not change, are counted by `cargo xtask bench`.

mod workloads;

use bytes::Bytes;
use divan::{Bencher, black_box};
use realtime_protocol::event::{ClientEvent, Dialect, InputAudioBufferAppend, ServerEvent};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [9_600, 19_200])]
fn decode_audio_delta(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = workloads::audio_delta(bytes);
    bencher
        .counter(divan::counter::BytesCount::new(bytes))
        .bench(|| ServerEvent::decode(black_box(&text), Dialect::Ga));
}

#[divan::bench]
fn decode_transcript_delta() -> ServerEvent {
    ServerEvent::decode(black_box(workloads::TRANSCRIPT_DELTA), Dialect::Ga)
}

#[divan::bench]
fn decode_response_done() -> ServerEvent {
    ServerEvent::decode(black_box(workloads::RESPONSE_DONE), Dialect::Ga)
}

#[divan::bench(args = [960, 4_800])]
fn encode_append(bencher: Bencher<'_, '_>, bytes: usize) {
    let pcm = Bytes::from(workloads::pcm(bytes));
    let mut text = String::with_capacity(2 * bytes);
    bencher.counter(divan::counter::BytesCount::new(bytes)).bench_local(|| {
        text.clear();
        let event: ClientEvent =
            InputAudioBufferAppend { audio: black_box(&pcm).clone().into(), ..Default::default() }.into();
        event.encode_into(Dialect::Ga, &mut text);
        black_box(text.len())
    });
}
