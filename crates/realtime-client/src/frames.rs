//! WebSocket frames (RFC 6455, section 5), a client's side of them: bytes in, messages out, and the other way. No
//! I/O, and nothing of it is logged, for frames hold what was said.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// What the far side sent, whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Message {
    Text(Utf8Bytes),
    /// So many bytes that are no text.
    Binary(usize),
    Ping(Bytes),
    Pong,
    /// A goodbye; without a code it comes as `None`.
    Close {
        code: Option<u16>,
        reason: String,
    },
}

/// What the far side must not do. Nothing can be read after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Violation {
    /// The code that a goodbye tells it by.
    pub(crate) code: u16,
    what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

/// Makes messages of bytes.
pub(crate) struct Reader {
    /// Append what was read here.
    pub(crate) buffer: BytesMut,
    /// The begun message, where it comes in fragments.
    begun: Option<Begun>,
    most: usize,
}

struct Begun {
    is_text: bool,
    bytes: BytesMut,
}

impl Reader {
    /// Reads messages of up to `most` bytes, beginning with bytes that are there already.
    pub(crate) fn new(read: &[u8], most: usize) -> Self {
        Self { buffer: BytesMut::from(read), begun: None, most }
    }

    /// The next message; `None` where more must be read first.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, Violation> {
        while let Some(Frame { is_final, opcode, payload }) = self.frame()? {
            match opcode {
                OpCode::Ping => return Ok(Some(Message::Ping(payload))),
                OpCode::Pong => return Ok(Some(Message::Pong)),
                OpCode::Close => return close(payload).map(Some),
                OpCode::Text | OpCode::Binary if self.begun.is_some() => {
                    return Err(protocol("a message begins within another"));
                }
                OpCode::Text if is_final => return text(payload).map(Some),
                OpCode::Binary if is_final => return Ok(Some(Message::Binary(payload.len()))),
                OpCode::Text | OpCode::Binary => {
                    let bytes = BytesMut::from(payload);
                    self.begun = Some(Begun { is_text: opcode == OpCode::Text, bytes });
                }
                OpCode::Continuation => {
                    let Some(begun) = &mut self.begun else {
                        return Err(protocol("a message goes on that has not begun"));
                    };
                    begun.bytes.extend_from_slice(&payload);
                    if let Some(Begun { is_text, bytes }) = self.begun.take_if(|_| is_final) {
                        return match is_text {
                            true => text(bytes.freeze()).map(Some),
                            false => Ok(Some(Message::Binary(bytes.len()))),
                        };
                    }
                }
            }
        }
        Ok(None)
    }

    fn frame(&mut self) -> Result<Option<Frame>, Violation> {
        let [first, second, after @ ..] = &self.buffer[..] else { return Ok(None) };
        let (is_final, reserved, is_masked) = (first & 0x80 != 0, first & 0x70, second & 0x80 != 0);
        if reserved != 0 {
            return Err(protocol("a frame has bits of an extension that was not agreed on"));
        }
        if is_masked {
            return Err(protocol("a server must not mask its frames"));
        }
        let opcode = OpCode::of(first & 0x0f).ok_or(protocol("a frame is of an unknown kind"))?;
        let (header, length) = match second & 0x7f {
            126 => match after.first_chunk() {
                Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            127 => match after.first_chunk() {
                Some(length) => (10, u64::from_be_bytes(*length)),
                None => return Ok(None),
            },
            length => (2, u64::from(length)),
        };
        let is_control = matches!(opcode, OpCode::Ping | OpCode::Pong | OpCode::Close);
        if is_control && (length > MAX_CONTROL || !is_final) {
            return Err(protocol("a control frame is too long or in fragments"));
        }
        let room = self.most - self.begun.as_ref().map_or(0, |begun| begun.bytes.len());
        let length = usize::try_from(length).ok().filter(|length| is_control || *length <= room);
        let length =
            length.ok_or(Violation { code: 1009, what: "a message is longer than this side takes" })?;
        if self.buffer.len() - header < length {
            return Ok(None);
        }
        self.buffer.advance(header);
        let payload = self.buffer.split_to(length).freeze();
        if length > KEPT {
            // A large message must not cost its memory for the rest of the call.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(Frame { is_final, opcode, payload }))
    }
}

struct Frame {
    is_final: bool,
    opcode: OpCode,
    payload: Bytes,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OpCode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl OpCode {
    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// Makes bytes of messages. What is not written yet is at [`unsent`](Self::unsent).
pub(crate) struct Writer {
    out: Vec<u8>,
    sent: usize,
    /// Masks must not be foreseen: these are of a hash with a random key, over a count.
    masks: RandomState,
    count: u64,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { out: Vec::new(), sent: 0, masks: RandomState::new(), count: 0 }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.frame(OpCode::Text, &[text.as_bytes()]);
    }

    pub(crate) fn ping(&mut self) {
        self.frame(OpCode::Ping, &[]);
    }

    /// At most 125 bytes of a ping's payload come back.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        self.frame(OpCode::Pong, &[payload]);
    }

    /// A goodbye; `reason` has at most 123 bytes.
    pub(crate) fn close(&mut self, code: Option<u16>, reason: &str) {
        match code {
            Some(code) => self.frame(OpCode::Close, &[&code.to_be_bytes(), reason.as_bytes()]),
            None => self.frame(OpCode::Close, &[]),
        }
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// The first bytes of the unsent are written.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.out.len() {
            self.sent = 0;
            self.out.clear();
            self.out.shrink_to(KEPT);
        }
    }

    fn frame(&mut self, opcode: OpCode, parts: &[&[u8]]) {
        if self.sent > KEPT {
            self.out.drain(..std::mem::take(&mut self.sent));
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.out.reserve(length + MAX_HEADER);
        self.out.push(0x80 | opcode as u8);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ ..=125), _) => self.out.push(0x80 | length),
            (_, Ok(length)) => {
                self.out.push(0x80 | 126);
                self.out.extend(length.to_be_bytes());
            }
            _ => {
                self.out.push(0x80 | 127);
                self.out.extend((length as u64).to_be_bytes());
            }
        }
        let [a, b, c, d, ..] = self.masks.hash_one(self.count).to_ne_bytes();
        self.count += 1;
        self.out.extend([a, b, c, d]);
        let begin = self.out.len();
        for part in parts {
            self.out.extend_from_slice(part);
        }
        apply_mask(&mut self.out[begin..], [a, b, c, d]);
    }
}

/// Eight bytes at a time, which the compiler makes more of.
fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= mask;
    }
}

fn text(payload: Bytes) -> Result<Message, Violation> {
    let text = Utf8Bytes::try_from(payload);
    text.map(Message::Text).map_err(|_| Violation { code: 1007, what: "a text is no UTF-8" })
}

fn close(payload: Bytes) -> Result<Message, Violation> {
    Ok(match &payload[..] {
        [] => Message::Close { code: None, reason: String::new() },
        [_] => return Err(protocol("a goodbye has half a code")),
        [high, low, reason @ ..] => Message::Close {
            code: Some(u16::from_be_bytes([*high, *low])),
            // It is for people.
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
    })
}

const fn protocol(what: &'static str) -> Violation {
    Violation { code: 1002, what }
}

/// The most bytes of a control frame's payload.
const MAX_CONTROL: u64 = 125;
/// The most bytes before a payload.
const MAX_HEADER: usize = 14;
/// The most memory that a buffer keeps once it has done its work (bytes).
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Message>, Violation> {
        let mut reader = Reader::new(bytes, 100_000);
        let whole = std::iter::from_fn(|| reader.next().transpose()).collect();
        // The same, byte by byte.
        let mut reader = Reader::new(&[], 100_000);
        let mut messages = Vec::new();
        let slow = bytes.iter().try_for_each(|byte| {
            reader.buffer.extend_from_slice(&[*byte]);
            reader.next().map(|message| messages.extend(message))
        });
        assert_eq!(whole, slow.map(|()| messages));
        whole
    }

    /// A server's frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = match payload.len() {
            length @ ..126 => vec![length as u8],
            length @ 126..65_536 => [&[126][..], &(length as u16).to_be_bytes()].concat(),
            length => [&[127][..], &(length as u64).to_be_bytes()].concat(),
        };
        [&[first], &length[..], payload].concat()
    }

    #[test]
    fn messages_of_any_length_come_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            let text = "x".repeat(length);
            let two = [frame(0x81, text.as_bytes()), frame(0x82, text.as_bytes())].concat();
            let expected = [Message::Text(text.into()), Message::Binary(length)];
            assert_eq!(read(&two).unwrap(), expected, "{length}");
        }
    }

    #[test]
    fn fragments_come_together_around_control_frames() {
        let bytes = [
            frame(0x01, "ä".as_bytes().get(..1).unwrap()),
            frame(0x89, b"p"),
            frame(0x00, b""),
            frame(0x80, "ä".as_bytes().get(1..).unwrap()),
            frame(0x02, b"12"),
            frame(0x8a, b""),
            frame(0x80, b"3"),
            frame(0x88, b"\x03\xe8bye"),
            frame(0x88, b""),
        ];
        let expected = [
            Message::Ping(Bytes::from_static(b"p")),
            Message::Text("ä".into()),
            Message::Pong,
            Message::Binary(3),
            Message::Close { code: Some(1000), reason: "bye".to_owned() },
            Message::Close { code: None, reason: String::new() },
        ];
        assert_eq!(read(&bytes.concat()).unwrap(), expected);
    }

    #[test]
    fn what_must_not_be_is_told() {
        let long = [frame(0x01, &[b'x'; 60_000]), frame(0x80, &[b'x'; 60_000])].concat();
        for (bytes, code, what) in [
            (frame(0xc1, b""), 1002, "an extension"),
            (frame(0x83, b""), 1002, "an unknown kind"),
            (vec![0x81, 0x80, 0, 0, 0, 0], 1002, "must not mask"),
            (frame(0x09, b""), 1002, "in fragments"),
            (frame(0x89, &[0; 126]), 1002, "too long"),
            (frame(0x80, b""), 1002, "has not begun"),
            ([frame(0x01, b""), frame(0x81, b"")].concat(), 1002, "begins within another"),
            (frame(0x88, b"\x03"), 1002, "half a code"),
            (frame(0x81, b"\xff"), 1007, "no UTF-8"),
            (frame(0x81, &[b'x'; 100_001]), 1009, "longer than"),
            ([&[0x81, 127][..], &u64::MAX.to_be_bytes()].concat(), 1009, "longer than"),
            (long, 1009, "longer than"),
        ] {
            let violation = read(&bytes).unwrap_err();
            assert_eq!(violation.code, code, "{violation}");
            assert!(violation.to_string().contains(what), "{violation}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same_and_every_mask_is_another() {
        let mut writer = Writer::new();
        let mut masks = std::collections::BTreeSet::new();
        for length in [0, 5, 125, 126, 65_535, 65_536, 200_000] {
            let text = "abcdefghi".repeat(length / 9 + 1)[..length].to_owned();
            writer.text(&text);
            let mut sent = writer.unsent().to_vec();
            writer.advance(1);
            writer.advance(sent.len() - 1);
            assert_eq!(writer.unsent(), b"");
            // A server takes the mask off.
            assert_eq!(sent[1] & 0x80, 0x80);
            sent[1] &= 0x7f;
            let begin = sent.len() - length;
            let mask: [u8; 4] = sent.drain(begin - 4..begin).collect::<Vec<_>>().try_into().unwrap();
            apply_mask(&mut sent[begin - 4..], mask);
            assert_eq!(Reader::new(&sent, 200_000).next(), Ok(Some(Message::Text(text.into()))));
            masks.insert(mask);
        }
        assert_eq!(masks.len(), 7);
        writer.close(Some(1000), "");
        assert_eq!((writer.unsent()[0], writer.unsent()[1], writer.unsent().len()), (0x88, 0x82, 8));
        assert!(writer.out.capacity() <= KEPT);
    }

    #[test]
    fn no_bytes_are_too_strange() {
        // A linear congruential generator, so that every run has the same bytes.
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let mut outcomes = [0, 0];
        for _ in 0..5_000 {
            let mut bytes: Vec<u8> = (0..random() % 32).map(|_| random()).collect();
            // Mostly without what is refused at once.
            if let [first, second, ..] = &mut bytes[..] {
                (*first, *second) = (*first & 0x8f, *second & 0x7f);
            }
            outcomes[usize::from(read(&bytes).is_ok())] += 1;
        }
        assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
    }

    #[test]
    fn a_large_message_costs_its_memory_no_longer_than_it_lasts() {
        let mut reader = Reader::new(&frame(0x81, &[b'x'; 1_000_000]), 2_000_000);
        assert!(reader.next().unwrap().is_some());
        assert!(reader.buffer.capacity() <= KEPT);
    }
}
