//! The five messages of the wire, as its schema says, from the client's side.

/// A frame that the server sends.
#[derive(Debug)]
pub(crate) enum Frame {
    Message(String),
    /// 16-bit samples, little-endian.
    Audio(Vec<u8>),
}

pub(crate) fn message(json: &str) -> Vec<u8> {
    field(4, &field(1, json.as_bytes()))
}

pub(crate) fn audio(samples: &[i16], rate: u32) -> Vec<u8> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut body = field(3, &bytes);
    for (number, value) in [(4, u64::from(rate)), (5, 1)] {
        body.extend(varint(number << 3));
        body.extend(varint(value));
    }
    field(2, &body)
}

/// Reads one, as the client does: it knows no other ones.
pub(crate) fn read(frame: &[u8]) -> Frame {
    let [(number, body)] = &fields(frame)[..] else { panic!("expected one frame") };
    let bytes = |wanted: u64| {
        let fields = fields(body);
        fields.into_iter().find(|(number, _)| *number == wanted).expect("its field").1
    };
    match number {
        2 => Frame::Audio(bytes(3)),
        4 => Frame::Message(String::from_utf8(bytes(1)).unwrap()),
        other => panic!("unknown frame kind {other}"),
    }
}

/// The fields of a message, in their order. Numbers are left out.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes);
        let value = take_varint(&mut bytes);
        if key & 7 == 2 {
            let (body, rest) = bytes.split_at(usize::try_from(value).unwrap());
            fields.push((key >> 3, body.to_vec()));
            bytes = rest;
        }
    }
    fields
}

fn field(number: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = varint(number << 3 | 2);
    bytes.extend(varint(body.len() as u64));
    bytes.extend(body);
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let last = value < 0x80;
        bytes.push(u8::try_from(value & 0x7f).unwrap() | if last { 0 } else { 0x80 });
        value >>= 7;
        if last {
            return bytes;
        }
    }
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return value;
        }
    }
}
