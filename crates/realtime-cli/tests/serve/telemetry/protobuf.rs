//! Reads protocol buffers without knowing their types, independently of what wrote them.

/// The fields of a message that have bytes: texts and messages. Numbers are passed over.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(u64, Vec<u8>)>);

impl Fields {
    pub(super) fn of(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let length = match tag & 7 {
                0 => {
                    varint(&mut bytes);
                    continue;
                }
                1 => 8,
                2 => usize::try_from(varint(&mut bytes)).unwrap(),
                5 => 4,
                other => panic!("expected a wire type of protocol buffers, got {other}"),
            };
            let (value, rest) = bytes.split_at(length);
            if tag & 7 == 2 {
                fields.push((tag >> 3, value.to_vec()));
            }
            bytes = rest;
        }
        Self(fields)
    }

    pub(super) fn bytes(&self, field: u64) -> Vec<u8> {
        self.all(field).next().unwrap_or_default()
    }

    pub(super) fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field)).unwrap()
    }

    pub(super) fn message(&self, field: u64) -> Self {
        Self::of(&self.bytes(field))
    }

    pub(super) fn messages(&self, field: u64) -> impl Iterator<Item = Self> + use<> {
        self.all(field).map(|bytes| Self::of(&bytes)).collect::<Vec<_>>().into_iter()
    }

    fn all(&self, field: u64) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().filter(move |(number, _)| *number == field).map(|(_, bytes)| bytes.clone())
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("expected a number of at most 64 bits");
}
