//! Raw PCM over pipes: whole samples, back-pressure, and what to do when the other program has ended.

use std::future::poll_fn;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::chain::{AudioSource, OutputAudio};

async fn next(source: &mut RawSource<DuplexStream>) -> Option<FrameKind> {
    poll_fn(|cx| source.poll_next(cx)).await
}

/// All samples up to the end, and what else came.
async fn drain(source: &mut RawSource<DuplexStream>) -> (Vec<i16>, Vec<String>) {
    let (mut samples, mut others) = (Vec::new(), Vec::new());
    while let Some(frame) = next(source).await {
        match frame {
            FrameKind::InputAudio(audio) => samples.extend(audio.pcm().unwrap().as_slice()),
            FrameKind::Fault(fault) => others.push(fault.to_string()),
            frame => others.push(frame.name().to_owned()),
        }
    }
    (samples, others)
}

#[tokio::test]
async fn a_reader_gives_audio_as_it_comes_and_its_end_is_the_end_of_the_input() {
    let (mut far, near) = duplex(10_000);
    let mut source = RawSource::new(near, 16_000);
    far.write_all(&[1, 0, 2, 0, 3]).await.unwrap();
    let Some(FrameKind::InputAudio(Audio::Coded(coded))) = next(&mut source).await else { panic!("audio") };
    assert_eq!((coded.format, &coded.bytes[..]), (AudioFormat::Pcm16 { rate: 16_000 }, &[1, 0, 2, 0][..]));
    far.write_all(&[0, 4, 0, 5]).await.unwrap();
    drop(far);
    assert_eq!(drain(&mut source).await, (vec![3, 4], vec!["input_finished".to_owned()]));
    assert!(next(&mut source).await.is_none());
}

#[tokio::test]
async fn a_frame_is_at_most_twenty_milliseconds() {
    let (mut far, near) = duplex(100_000);
    let mut source = RawSource::with_channels(near, 8_000, 2);
    far.write_all(&[1; 2_000]).await.unwrap();
    let Some(FrameKind::InputAudio(audio)) = next(&mut source).await else { panic!("audio") };
    let samples = audio.pcm().unwrap();
    assert_eq!((samples.frames(), samples.channels(), samples.rate()), (160, 2, 8_000));
}

/// Fails when it is read or written.
struct Broken(ErrorKind);

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Err(self.0.into()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(self.0.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_reader_that_fails_is_a_fault_and_the_end() {
    let mut source = RawSource::new(Broken(ErrorKind::ConnectionReset), 8_000);
    let Some(FrameKind::Fault(fault)) = poll_fn(|cx| source.poll_next(cx)).await else { panic!("a fault") };
    assert_eq!(fault.to_string(), "raw_source: the microphone can't be read");
    assert!(fault.cause.is_some());
    assert!(poll_fn(|cx| source.poll_next(cx)).await.is_none());
}

fn played(rate: u32, samples: Vec<i16>) -> FrameKind {
    let source = AudioSource::Clip("hello".into());
    let audio = Audio::mono(rate, samples);
    FrameKind::PlayedAudio(OutputAudio { response_id: None, source, start: 0, mark: None, audio })
}

async fn ready<W: AsyncWrite + Send + Unpin>(sink: &mut RawSink<W>) -> Result<(), EdgeError> {
    poll_fn(|cx| sink.poll_ready(cx)).await
}

#[tokio::test]
async fn what_is_played_is_written_on_every_channel() {
    let (near, mut far) = duplex(10_000);
    let mut sink = RawSink::with_channels(near, 8_000, 2);
    sink.send(&played(8_000, vec![1, -2])).unwrap();
    ready(&mut sink).await.unwrap();
    let mut bytes = [0; 8];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, [1, 0, 1, 0, 0xfe, 0xff, 0xfe, 0xff]);
}

#[tokio::test]
async fn a_sink_has_its_own_rate_and_closing_writes_the_rest() {
    let (near, mut far) = duplex(100_000);
    let mut sink = RawSink::new(near, 8_000);
    for _ in 0..5 {
        sink.send(&played(24_000, vec![1_000; 2_400])).unwrap();
        ready(&mut sink).await.unwrap();
    }
    poll_fn(|cx| sink.poll_close(cx)).await.unwrap();
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 2 * 4_000);
}

#[tokio::test]
async fn a_slow_writer_makes_the_sink_wait_until_it_has_room_again() {
    let (near, mut far) = duplex(160);
    let mut sink = RawSink::new(near, 8_000);
    // 160 bytes are written, 1,600 may wait.
    for _ in 0..6 {
        ready(&mut sink).await.unwrap();
        sink.send(&played(8_000, vec![7; 160])).unwrap();
    }
    let call = tokio::spawn(async move { ready(&mut sink).await.map(|()| sink) });
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    let mut bytes = [0; 320];
    far.read_exact(&mut bytes).await.unwrap();
    let mut sink = call.await.unwrap().unwrap();
    sink.clear(ClearId(4));
    let report = poll_fn(|cx| sink.poll_report(cx)).await;
    assert_eq!(report, SinkReport::Cleared { id: ClearId(4), at: None });
    let closed = tokio::spawn(async move { poll_fn(|cx| sink.poll_close(cx)).await });
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await.unwrap();
    closed.await.unwrap().unwrap();
    assert!(rest.len() <= 160, "{} bytes were in the pipe already", rest.len());
}

#[tokio::test]
async fn a_writer_that_takes_nothing_is_an_error_and_memory_is_bounded() {
    let (near, _far) = duplex(16);
    let mut sink = RawSink::new(near, 8_000);
    let sent = (0..1_000).take_while(|_| sink.send(&played(8_000, vec![7; 160])).is_ok()).count();
    assert_eq!(sent, 501);
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_says_what_to_do() {
    let mut sink = RawSink::new(Broken(ErrorKind::BrokenPipe), 8_000);
    sink.send(&played(8_000, vec![7; 160])).unwrap();
    let error = ready(&mut sink).await.unwrap_err();
    let want = "raw_sink: nobody reads the output any more: check the program behind the pipe, it has ended";
    assert_eq!(error.to_string(), want);
    assert!(sink.send(&played(8_000, vec![7; 160])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn samples_are_whole_however_the_bytes_are_cut(
        samples in prop::collection::vec(any::<i16>(), 0..600),
        cut in 1_usize..40,
        channels in 1_u16..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (heard, others) = runtime.block_on(async {
            let (mut far, near) = duplex(7);
            let bytes = pcm::to_bytes(&samples);
            let write = async move {
                for piece in bytes.chunks(cut) {
                    far.write_all(piece).await.unwrap();
                }
            };
            let mut source = RawSource::with_channels(near, 8_000, channels);
            tokio::join!(drain(&mut source), write).0
        });
        let whole = samples.len() - samples.len() % usize::from(channels);
        prop_assert_eq!(heard, &samples[..whole]);
        prop_assert_eq!(others, vec!["input_finished"]);
    }
}
