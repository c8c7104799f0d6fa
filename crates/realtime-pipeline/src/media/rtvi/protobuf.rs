//! Protocol buffers, as far as five flat messages need them: fields of a message one by one, in and out.
//!
//! The rule kept here: whatever the bytes are, they are read to their end once, or are an error. Nothing is
//! nested, allocated or skipped without its length being there.

/// Why bytes are no protobuf message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum ProtobufError {
    /// They end in the middle of a field.
    #[error("expected a whole protobuf message, got one that ends within a field")]
    Short,
    /// A number of more than 64 bits.
    #[error("expected a protobuf number of at most 10 bytes, got a longer one")]
    Long,
    /// Field 0, or above what there is.
    #[error("expected protobuf fields of numbers from 1 to 536,870,911, got another one")]
    Number,
    /// A wire type that proto3 does not have.
    #[error("expected protobuf wire types 0, 1, 2 and 5, got {0}")]
    WireType(u8),
}

/// The value of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Value<'a> {
    /// A number, or part of one of a fixed length.
    Number(u64),
    /// Bytes, text or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order. After an error there are no more.
#[derive(Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), ProtobufError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| ProtobufError::Number)?;
        if number == 0 || number > MOST_NUMBER {
            return Err(ProtobufError::Number);
        }
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(self.fixed(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Short)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Number(self.fixed(4)?),
            other => return Err(ProtobufError::WireType(other as u8)),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if place == 9 && bits > 1 {
                return Err(ProtobufError::Long);
            }
            number |= bits << (7 * place);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ProtobufError::Long)
    }

    fn fixed(&mut self, bytes: usize) -> Result<u64, ProtobufError> {
        let bytes = self.take(bytes)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(ProtobufError::Short)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// The largest number that a field may have.
const MOST_NUMBER: u32 = (1 << 29) - 1;

/// Writes a field of bytes, text or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_head(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes what precedes the bytes of such a field.
pub(super) fn put_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, length as u64);
}

/// Writes a field that is a number.
pub(super) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// How many bytes a number takes.
pub(super) const fn varint_len(value: u64) -> usize {
    // Seven bits a byte, and one byte for 0.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, ProtobufError> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn what_can_not_be_read_says_what_was_expected() {
        for (bytes, error) in [
            (&[0x0a][..], ProtobufError::Short),
            (&[0x0a, 2, 1], ProtobufError::Short),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], ProtobufError::Short),
            (&[0x0d, 1, 2, 3], ProtobufError::Short),
            (&[0xff; 11], ProtobufError::Long),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], ProtobufError::Long),
            (&[0x00, 0], ProtobufError::Number),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], ProtobufError::Number),
            (&[0x0b], ProtobufError::WireType(3)),
            (&[0x0f], ProtobufError::WireType(7)),
        ] {
            assert_eq!(fields(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_of_every_kind_are_read() {
        let bytes = [0x08, 0xac, 0x02, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1d, 2, 1, 0, 0, 0x22, 1, 7];
        let expected = [
            (1, Value::Number(300)),
            (2, Value::Number(1)),
            (3, Value::Number(258)),
            (4, Value::Bytes(&[7])),
        ];
        assert_eq!(fields(&bytes).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1..=MOST_NUMBER, value: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_number(&mut out, number, value);
            put_bytes(&mut out, number, &bytes);
            let expected = vec![(number, Value::Number(value)), (number, Value::Bytes(&bytes))];
            prop_assert_eq!(fields(&out), Ok(expected));
            let mut alone = Vec::new();
            put_varint(&mut alone, value);
            prop_assert_eq!(alone.len(), varint_len(value));
        }

        #[test]
        fn any_bytes_are_read_to_their_end_or_are_an_error(bytes: Vec<u8>) {
            let read = Fields::new(&bytes).count();
            prop_assert!(read <= bytes.len());
        }
    }
}
