//! The driver in virtual time: sides that stall, what is cut, garbage, times, and the end.

mod pipe;

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::time::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use crate::chain::{ClearId, Direction, Done, FrameKind, Message, Peer as PeerFrame, SinkReport, WorkValue};
use crate::edges::{EdgeError, Pace, Sink, Source, Transport};
use crate::media::{MediaOutput, MediaProtocol, MediaWork, SocketMessage};
use crate::sockets::line::{GOODBYE, MOST_WAITING, ROOM};
use crate::sockets::{MediaLine, MediaSocket};
use pipe::{Peer, pipe};

/// A protocol of few words: `hello` makes it ready, `gone` ends it, other texts become messages; `tick` is
/// answered a second later. It survives a lost socket.
#[derive(Default)]
struct Few {
    outputs: std::collections::VecDeque<MediaOutput>,
    is_ready: bool,
    is_over: bool,
    tick: Option<Timestamp>,
    /// What the end of the run waits for.
    bye: Option<Timestamp>,
}

impl Few {
    fn send(&mut self, text: &str) {
        self.outputs.push_back(MediaOutput::Send(SocketMessage::Text(text.to_owned())));
    }

    fn tell(&mut self, text: &str) {
        let body = std::sync::Arc::new(text.into());
        self.outputs.push_back(MediaOutput::Input(FrameKind::Message(Message { body, urgent: true })));
    }

    fn end(&mut self) {
        self.is_over = true;
        self.outputs.push_back(MediaOutput::Input(FrameKind::Peer(PeerFrame::Disconnected)));
        self.outputs.push_back(MediaOutput::Close);
    }
}

impl MediaProtocol for Few {
    fn name(&self) -> &str {
        "few"
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    fn is_ready(&self) -> bool {
        self.is_ready
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn why_over(&self) -> Option<std::sync::Arc<str>> {
        self.is_over.then(|| "it said so".into())
    }

    fn handle_opened(&mut self, _: Timestamp) {
        self.send("welcome");
    }

    fn handle_closed(&mut self, _: Timestamp) {
        if !self.is_over {
            self.tell("lost");
        }
    }

    fn handle_text(&mut self, now: Timestamp, text: &str) {
        match text {
            "hello" => {
                self.is_ready = true;
                self.send("hello, you");
            }
            "gone" => self.end(),
            "tick" => self.tick = Some(now + Duration::from_secs(1)),
            "noise" => {}
            "work" | "panic" => {
                let (id, is_bug) = (7, text == "panic");
                let future = Box::pin(async move {
                    sleep(Duration::from_secs(2)).await;
                    assert!(!is_bug, "oh");
                    Box::new("done") as WorkValue
                });
                self.outputs.push_back(MediaOutput::Work(MediaWork { id, future }));
            }
            other => self.tell(other),
        }
    }

    fn handle_binary(&mut self, _: Timestamp, _: Bytes) {}

    fn handle_frame(&mut self, _: Timestamp, _: Direction, frame: &FrameKind) -> Result<(), EdgeError> {
        if let FrameKind::Message(message) = frame {
            self.send(message.body.as_str().unwrap_or_default());
        }
        Ok(())
    }

    fn clear(&mut self, _: Timestamp, id: ClearId) {
        self.outputs.push_back(MediaOutput::Report(SinkReport::Cleared { id, at: None }));
    }

    fn finish(&mut self, now: Timestamp) {
        self.send("bye?");
        self.bye = Some(now + Duration::from_secs(3));
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        if self.tick.take_if(|at| *at <= now).is_some() {
            self.tell("tock");
        }
        if self.bye.take_if(|at| *at <= now).is_some() {
            self.end();
        }
    }

    fn handle_work(&mut self, _: Timestamp, id: u64, done: Done) {
        let word = done.map(|value| *value.downcast::<&str>().unwrap());
        self.tell(&format!("{id} {}", word.map_or_else(|failed| failed.to_string(), str::to_owned)));
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        [self.tick, self.bye].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<MediaOutput> {
        self.outputs.pop_front()
    }
}

/// A call's edges over a pipe, after `hello`.
struct Bench {
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    line: MediaLine<Few>,
    peer: Peer,
}

impl Bench {
    async fn new() -> Self {
        let (socket, peer) = pipe();
        let mut socket = MediaSocket::new(socket, Few::default());
        peer.say("hello");
        socket.ready().await.unwrap();
        let line = socket.line();
        let (source, sink) = socket.split();
        assert_eq!(peer.heard(), ["welcome", "hello, you"]);
        Self { source, sink, line, peer }
    }

    /// The next frame, as a word. `None`: nothing comes for a minute, or nothing follows.
    async fn next(&mut self) -> Option<String> {
        let next = timeout(Duration::from_secs(60), poll_fn(|cx| self.source.poll_next(cx))).await.ok()??;
        Some(match next {
            FrameKind::Message(message) => message.body.as_str().unwrap().to_owned(),
            other => format!("{other:?}"),
        })
    }

    fn send(&mut self, text: &str) -> Result<(), EdgeError> {
        let message = Message { body: std::sync::Arc::new(text.into()), urgent: true };
        self.sink.send(&FrameKind::Message(message))
    }

    /// Whether the sink takes more, now.
    async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| std::task::Poll::Ready(self.sink.poll_ready(cx).is_ready())).await
    }

    /// Lets it write what it can.
    async fn write(&mut self) {
        let report = timeout(Duration::from_millis(1), poll_fn(|cx| self.sink.poll_report(cx))).await;
        assert!(report.is_err(), "{report:?}");
    }

    async fn close(&mut self) -> Duration {
        let begun = Instant::now();
        poll_fn(|cx| self.sink.poll_close(cx)).await.unwrap();
        begun.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_ready_once_it_said_so_and_an_end_before_says_why() {
    let (socket, peer) = pipe();
    let mut socket = MediaSocket::new(socket, Few::default());
    assert!(timeout(Duration::from_secs(60), socket.ready()).await.is_err());
    assert_eq!(peer.heard(), ["welcome"], "it is written while it waits");
    peer.say("gone");
    let error = socket.ready();
    let peer_goes = async {
        while !peer.is_told_to_go() {
            sleep(Duration::from_millis(1)).await;
        }
        peer.close();
    };
    let (error, ()) = tokio::join!(error, peer_goes);
    let expected = "few: expected a call, and the other end has gone before it began: it said so";
    assert_eq!(error.unwrap_err().to_string(), expected);
    assert!(peer.is_alone());
}

#[tokio::test(start_paused = true)]
async fn an_end_before_the_call_does_not_wait_for_who_reads_nothing() {
    let (socket, peer) = pipe();
    peer.stall(true);
    peer.say("gone");
    let mut socket = MediaSocket::new(socket, Few::default());
    let begun = Instant::now();
    assert!(socket.ready().await.is_err());
    assert_eq!(begun.elapsed(), GOODBYE);
    assert!(peer.is_alone());
}

#[tokio::test(start_paused = true)]
async fn messages_and_times_come_as_they_are_due() {
    let mut bench = Bench::new().await;
    bench.peer.say("one");
    bench.peer.say("tick");
    bench.peer.say("two");
    let begun = Instant::now();
    for (word, at_ms) in [("one", 0), ("two", 0), ("tock", 1_000)] {
        assert_eq!(bench.next().await.as_deref(), Some(word));
        assert_eq!(begun.elapsed(), Duration::from_millis(at_ms), "{word}");
    }
    // A time that is set from outside wakes who keeps it.
    let set = async {
        sleep(Duration::from_secs(5)).await;
        bench.line.tell(|few, now| few.tick = Some(now + Duration::from_millis(10)));
    };
    let next = poll_fn(|cx| bench.source.poll_next(cx));
    let ((), next) = tokio::join!(set, next);
    assert!(matches!(next, Some(FrameKind::Message(message)) if *message.body == "tock"));
    assert_eq!(begun.elapsed(), Duration::from_millis(6_010));

    // One that moves away, as it does with each frame that is played, is not kept too early.
    bench.peer.say("tick");
    let begun = Instant::now();
    let set = async {
        for ms in [900, 1_500] {
            sleep(Duration::from_millis(ms) - begun.elapsed()).await;
            bench.line.tell(|few, now| few.tick = Some(now + Duration::from_secs(1)));
        }
    };
    let next = poll_fn(|cx| bench.source.poll_next(cx));
    let ((), next) = tokio::join!(set, next);
    assert!(matches!(next, Some(FrameKind::Message(message)) if *message.body == "tock"));
    assert_eq!(begun.elapsed(), Duration::from_millis(2_500));
}

#[tokio::test(start_paused = true)]
async fn work_runs_beside_the_line_and_its_end_is_told_also_if_it_panics() {
    let mut bench = Bench::new().await;
    bench.peer.say("work");
    bench.peer.say("panic");
    bench.peer.say("meanwhile");
    let begun = Instant::now();
    assert_eq!(bench.next().await.as_deref(), Some("meanwhile"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let mut ends = [bench.next().await.unwrap(), bench.next().await.unwrap()];
    ends.sort();
    assert_eq!(ends, ["7 done", "7 the work panicked: oh"]);
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_gets_everything_and_stops_the_playout_meanwhile() {
    let mut bench = Bench::new().await;
    bench.peer.stall(true);
    let text = "x".repeat(1_000);
    let mut sent = 0;
    while bench.is_ready().await {
        bench.send(&text).unwrap();
        sent += 1;
    }
    assert!((ROOM / 1_000..=ROOM / 1_000 + 1).contains(&sent), "{sent}");
    bench.send("what had left the playout before").unwrap();
    assert!(bench.peer.heard().is_empty());
    bench.peer.stall(false);
    assert!(bench.is_ready().await);
    let heard = bench.peer.heard();
    assert_eq!(heard.len(), sent + 1);
    assert_eq!(heard.last().unwrap(), "what had left the playout before");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_gone_and_costs_a_bounded_queue() {
    let mut bench = Bench::new().await;
    bench.peer.stall(true);
    let text = "x".repeat(100_000);
    for _ in 0..=MOST_WAITING / text.len() {
        bench.send(&text).unwrap();
    }
    assert!(bench.peer.is_alone());
    assert_eq!(bench.next().await.as_deref(), Some("lost"));
    assert!(bench.is_ready().await, "what comes goes nowhere");
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_says_nothing_lets_others_have_their_turns() {
    let mut bench = Bench::new().await;
    for _ in 0..10_000 {
        bench.peer.say("noise");
        bench.peer.say_bytes(vec![1, 2, 3]);
    }
    bench.peer.say("at last");
    let polls = std::cell::Cell::new(0);
    let next = poll_fn(|cx| {
        polls.set(polls.get() + 1);
        bench.source.poll_next(cx)
    });
    let next = timeout(Duration::from_secs(1), next).await.unwrap();
    assert!(matches!(next, Some(FrameKind::Message(message)) if *message.body == "at last"));
    assert!((300..400).contains(&polls.get()), "{}", polls.get());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_leaves_messages_with_the_socket() {
    let bench = Bench::new().await;
    for _ in 0..1_000 {
        bench.peer.say("one");
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.peer.unread(), 1_000, "they wait where the other end sees it");
}

#[tokio::test(start_paused = true)]
async fn a_lost_call_goes_on_over_another_socket_and_not_after_its_end() {
    let mut bench = Bench::new().await;
    bench.peer.cut();
    assert_eq!(bench.next().await.as_deref(), Some("lost"));
    bench.send("nobody hears this").unwrap();
    let (socket, peer) = pipe();
    assert!(bench.line.attach(socket).is_ok());
    peer.say("again");
    assert_eq!(bench.next().await.as_deref(), Some("again"));
    bench.write().await;
    assert_eq!(peer.heard(), ["welcome"]);

    // One that takes the place of another.
    let (socket, newest) = pipe();
    assert!(bench.line.attach(socket).is_ok());
    assert!(peer.is_alone());
    assert_eq!(bench.next().await.as_deref(), Some("lost"));
    newest.say("gone");
    assert_eq!(bench.next().await.as_deref(), Some("Peer(Disconnected)"));
    assert_eq!(bench.next().await, None);
    let (socket, _) = pipe();
    assert!(bench.line.attach(socket).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_to_drop_audio_is_answered_once() {
    let mut bench = Bench::new().await;
    bench.sink.clear(ClearId(3));
    let report = poll_fn(|cx| bench.sink.poll_report(cx)).await;
    assert_eq!(report, SinkReport::Cleared { id: ClearId(3), at: None });
    bench.write().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_goodbyes_within_their_limits() {
    // The other end goes when it is told to, and what it still says is read.
    let mut bench = Bench::new().await;
    let peer = bench.peer.clone();
    let goodbyes = async {
        sleep(Duration::from_millis(700)).await;
        assert_eq!(peer.heard(), ["bye?"]);
        for _ in 0..100 {
            peer.say("and another thing");
        }
        peer.say("gone");
        sleep(Duration::from_millis(100)).await;
        assert!(peer.is_told_to_go() && !peer.is_alone());
        peer.say("wait");
        peer.close();
    };
    let (took, ()) = tokio::join!(bench.close(), goodbyes);
    assert_eq!(took, Duration::from_millis(800));
    assert!(bench.peer.is_alone());

    // It says nothing.
    let mut bench = Bench::new().await;
    assert_eq!(bench.close().await, Duration::from_secs(3) + GOODBYE);
    assert!(bench.peer.is_told_to_go() && bench.peer.is_alone());

    // It reads nothing.
    let mut bench = Bench::new().await;
    bench.peer.stall(true);
    assert_eq!(bench.close().await, Duration::from_secs(3) + GOODBYE);
    assert!(!bench.peer.is_told_to_go() && bench.peer.is_alone());

    // It was gone before.
    let mut bench = Bench::new().await;
    bench.peer.cut();
    assert_eq!(bench.next().await.as_deref(), Some("lost"));
    assert_eq!(bench.close().await, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_other_end_may_go_first() {
    let mut bench = Bench::new().await;
    bench.peer.say("gone");
    bench.peer.close();
    assert_eq!(bench.next().await.as_deref(), Some("Peer(Disconnected)"));
    assert_eq!(bench.next().await, None);
    assert_eq!(bench.close().await, Duration::ZERO);
    assert!(bench.send("too late").is_ok());
}
