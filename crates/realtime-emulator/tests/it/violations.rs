//! What a WebSocket client may not send: it is told by a close frame with the right code before the
//! connection ends.

use realtime_emulator::disaster::{Action, Disaster};
use realtime_emulator::{Options, serve_stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A connection after its handshake.
async fn connect(options: Options) -> DuplexStream {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    drop(tokio::spawn(serve_stream(far, options)));
    let request = "GET /v1/realtime?model=m HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    near.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.unwrap());
    }
    assert!(String::from_utf8(head).unwrap().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    near
}

/// A frame of at most 125 bytes, masked by zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    [&[first, length, 0, 0, 0, 0], payload].concat()
}

/// The code and the reason of the server's close, and that the connection ends after it.
async fn close(mut near: DuplexStream) -> (u16, String) {
    loop {
        let (first, length) = (near.read_u8().await.unwrap(), near.read_u8().await.unwrap());
        let length = match length {
            126 => near.read_u16().await.unwrap().into(),
            127 => near.read_u64().await.unwrap(),
            length => length.into(),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        near.read_exact(&mut payload).await.unwrap();
        if first == 0x88 {
            assert!(payload.len() <= 125, "{} bytes in a control frame", payload.len());
            near.shutdown().await.unwrap();
            assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return (code, String::from_utf8(payload[2..].to_vec()).unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_violation_is_answered_by_a_close_frame_with_its_code() {
    let two = |a: Vec<u8>, b: Vec<u8>| [a, b].concat();
    for (what, bytes, code) in [
        ("an unmasked frame", vec![0x81, 2, b'{', b'}'], 1002),
        ("rsv1", frame(0xc1, b"{}"), 1002),
        ("rsv2", frame(0xa1, b"{}"), 1002),
        ("rsv3", frame(0x91, b"{}"), 1002),
        ("opcode 3", frame(0x83, b"x"), 1002),
        ("opcode 11", frame(0x8b, b"x"), 1002),
        ("a ping in fragments", frame(0x09, b"x"), 1002),
        ("a ping of 126 bytes", [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat(), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("a text within a text", two(frame(0x01, b"x"), frame(0x81, b"x")), 1002),
        ("text that is not UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        ("text that is not UTF-8 in fragments", two(frame(0x01, b"\xe2"), frame(0x80, b"\x28\xa1")), 1007),
        ("half a close code", frame(0x88, b"\x03"), 1002),
        ("a close code that may not be sent", frame(0x88, &1005_u16.to_be_bytes()), 1002),
        ("a close reason that is not UTF-8", frame(0x88, b"\x03\xe8\xff"), 1007),
        ("a length of 2^63", [&[0x81, 0xff, 0x80][..], &[0; 11]].concat(), 1009),
    ] {
        let mut near = connect(Options::default()).await;
        near.write_all(&bytes).await.unwrap();
        let (got, reason) = close(near).await;
        assert_eq!(got, code, "{what}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_reason_of_a_disaster_fits_into_its_frame() {
    let cut = Action::Cut { code: Some(1011), reason: "é".repeat(500) };
    let near = connect(Options::default().disasters([Disaster::at("session.created", cut)])).await;
    assert_eq!(close(near).await, (1011, "é".repeat(61)));
}
