//! The machines of a call in a bare loop: no task, channel or queue stands between them and the socket. It
//! is what a driver of one's own costs.

use std::future::poll_fn;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use realtime_protocol::call::{Call, ConnectionId, Event, Media, Output};
use realtime_protocol::flow::{Outbox, OutboxBounds};
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::{Instant, Interval, sleep_until};
use tokio_websockets::{Message, WebSocketStream};

use crate::bare;
use crate::hold::{APPEND, Ended, Latencies, heard};

const CONNECTION: ConnectionId = ConnectionId(0);

pub(crate) async fn machines(address: &str, mut ticks: Interval, latencies: &Latencies) -> Ended {
    let mut socket = bare::connect(address).await?;
    // Nobody plays this audio.
    let options = SessionOptions::default().playback(PlaybackSource::Estimated);
    let mut call = Call::new(options);
    let mut outbox = Outbox::new(OutboxBounds::default());
    let origin = Instant::now();
    let now = || Timestamp::ZERO + origin.elapsed();
    call.handle_connected(now(), CONNECTION, UnixTime::from_secs(1_790_000_000));
    let audio = Bytes::from(vec![7; APPEND]);
    let alarm = sleep_until(origin);
    tokio::pin!(alarm);
    let mut is_set = false;
    loop {
        drain(&mut call, &mut outbox, &mut socket, latencies).await?;
        // If the deadline moves away, the alarm stays: one needless turn costs less than moving it.
        let due = call.poll_timeout().map(|due| origin + due.saturating_since(Timestamp::ZERO));
        match due {
            Some(due) if due < alarm.deadline() || !is_set => {
                alarm.as_mut().reset(due);
                is_set = true;
            }
            _ => {}
        }
        select! {
            biased;
            _ = ticks.tick() => call.handle_media(now(), Media::Append(audio.clone()))?,
            message = socket.next() => {
                let message = message.ok_or("the server closed the connection")??;
                call.handle_text(now(), CONNECTION, message.as_text().unwrap_or_default());
            }
            () = &mut alarm, if is_set => {
                is_set = false;
                if due.is_some_and(|due| due <= Instant::now()) {
                    call.handle_timeout(now());
                }
            }
        }
    }
}

/// Does what the call wants done. What it sends leaves in one write.
async fn drain(
    call: &mut Call,
    outbox: &mut Outbox,
    socket: &mut WebSocketStream<TcpStream>,
    latencies: &Latencies,
) -> Ended {
    let mut sent = false;
    while let Some(output) = call.poll_output() {
        match output {
            Output::Send { event, .. } => {
                poll_fn(|cx| socket.poll_ready_unpin(cx)).await?;
                socket.start_send_unpin(Message::text(outbox.encode(&event)))?;
                sent = true;
            }
            Output::Event(Event::Audio(chunk)) => heard(latencies, &chunk.audio),
            Output::Event(Event::Closed { reason }) => return Err(reason.to_string().into()),
            Output::Event(_) | Output::Connect { .. } | Output::Seed { .. } | Output::Close(_) => {}
        }
    }
    if sent {
        socket.flush().await?;
    }
    Ok(())
}
