//! Bytes as numbers, texts and JSON, and back. Reading never fails: what is missing is zero, or empty.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads from the front of some bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next byte, if there is one.
    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// A number of up to 63 bits, seven to a byte; the last byte is below 128.
    pub(super) fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        number
    }

    /// Some tenths of a second.
    pub(super) fn wait(&mut self) -> Duration {
        Duration::from_millis(100 * u64::from(self.byte()))
    }

    /// A text after its length (bytes). What is no UTF-8 in it is replaced.
    pub(super) fn text(&mut self) -> String {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX).min(self.rest.len());
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// What a text says as JSON, if it is that.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_str(&self.text()).ok()
    }
}

/// Writes what [`Reader`] reads.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        for _ in 0..8 {
            if number < 128 {
                break;
            }
            self.bytes.push(number as u8 | 128);
            number >>= 7;
        }
        self.bytes.push(number as u8 & 127);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn json(&mut self, value: &impl Serialize) {
        self.text(&serde_json::to_string(value).expect("what is logged is JSON"));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same() {
        let mut writer = Writer::default();
        let numbers = [0, 1, 127, 128, 40_000, (1 << 62) | 7, (1 << 63) - 1];
        numbers.iter().for_each(|number| writer.number(*number));
        writer.text("wörds");
        writer.json(&[1, 2]);
        writer.byte(9);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(numbers.map(|_| reader.number()), numbers);
        assert_eq!(reader.text(), "wörds");
        assert_eq!(reader.json(), Some([1, 2]));
        assert_eq!(
            (reader.next(), reader.next(), reader.number(), reader.text().len()),
            (Some(9), None, 0, 0)
        );
    }
}
