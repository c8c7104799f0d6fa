//! The server: it sends each event alone, at the pace of speech. It reads what comes and looks at none of it,
//! so that its own cost stays small.

use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::phones;
use crate::turn::{self, Delta, PACE, Said};
use crate::until_input_ends;

/// A burst: the number of deltas, and the size of each (bytes of PCM).
const BURST: (usize, usize) = (50, 19_200);

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    std::thread::spawn(|| {
        until_input_ends();
        std::process::exit(0);
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        for number in 0_u32.. {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A client that ends is not an error.
            tokio::task::spawn_local(async move { serve(stream, number).await.unwrap_or_default() });
        }
        Ok(())
    })
}

async fn serve(mut stream: TcpStream, number: u32) -> Result<(), Box<dyn Error>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    if let Some(key) = key {
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await?;
        if head.contains("model=phone") {
            return phones::serve(&head, stream, number).await;
        }
        stream.write_all(&frame(r#"{"type":"session.created","session":{"id":"sess_1"}}"#)).await?;
        // The first to come is the configuration.
        stream.read_u8().await?;
        stream.write_all(&frame(r#"{"type":"session.updated","session":{}}"#)).await?;
    }
    if key.is_none() && !head.starts_with("floor") {
        return phones::serve(&head, stream, number).await;
    }
    let (reader, mut writer) = stream.into_split();
    let mut reading = tokio::spawn(discard(reader));
    if head.contains("quiet") {
        return Ok(reading.await??);
    }
    if head.contains("burst") {
        for said in burst() {
            writer.write_all(&frame(&said.text())).await?;
        }
        return Ok(reading.await??);
    }
    // Calls do not hear in step.
    let begin = Instant::now() + PACE * (number % 64) / 64;
    let mut ticks = interval_at(begin, PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in (1..).map(turn::turn) {
        for said in turn {
            ticks.tick().await;
            if reading.is_finished() {
                return Ok((&mut reading).await??);
            }
            writer.write_all(&frame(&said.text())).await?;
        }
    }
    Ok(())
}

/// A response that comes as fast as it can be read, and does not end.
fn burst() -> impl Iterator<Item = Said> {
    let (deltas, bytes) = BURST;
    let begin = [
        r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress"}}"#,
        r#"{"type":"response.output_item.added","response_id":"resp_1","output_index":0,"item":{"id":"item_1","type":"message","role":"assistant","status":"in_progress","content":[]}}"#,
    ];
    let before = r#"{"type":"response.output_audio.delta","event_id":"event_123","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0,"delta":""#;
    let delta = move |_| Said::Audio(Delta::new(before.to_owned(), bytes));
    begin.into_iter().map(|text| Said::Text(text.to_owned())).chain((0..deltas).map(delta))
}

async fn discard(mut reader: OwnedReadHalf) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// One text as a server frames it.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()) {
        Ok(length @ ..126) => frame.push(length as u8),
        Ok(length) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((text.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}
