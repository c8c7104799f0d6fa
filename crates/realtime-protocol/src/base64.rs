//! Standard base64, by SIMD if the processor has it: the text of audio on the wire.
//!
//! Only canonical text is read: for each content there is one text.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use base64::Engine;

/// Up to this length (bytes), the text is written in place and checked as UTF-8 together with the text before
/// it: cheaper than a copy if both are short.
const SHORT: usize = 2048;

/// A longer text is written in pieces of this many bytes, by way of the stack: whole SIMD steps, and nine
/// bytes for the scalar loop.
const PIECE: usize = 40 * 24 + 9;

/// The bytes of a text, with one allocation of their exact size. `None`: the text is not canonical, for
/// example without padding, with stray bits or with white space.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let len = text.len() / 4 * 3 - padding;
    let mut bytes = Vec::with_capacity(len);
    // Safe code clears a buffer before it writes. Piece by piece the compiler uses vector stores, which is
    // faster for a delta's size.
    while bytes.len() < len {
        bytes.resize(len.min(bytes.len() + 2040), 0);
    }
    let written = engine().decode_slice(text, &mut bytes).ok()?;
    (written == len).then_some(bytes)
}

/// The bytes of a text as loose readers take it: without padding, with white space or stray bits, in the
/// alphabet of URLs.
pub(crate) fn decode_loosely(text: &str) -> Option<Vec<u8>> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

    const LOOSE: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
    LOOSE.decode(text).ok()
}

/// Appends the text of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    let len = text_len(bytes.len());
    if out.len() + len <= SHORT {
        let mut text = mem::take(out).into_bytes();
        let start = text.len();
        text.resize(start + len, 0);
        engine().encode_slice(bytes, &mut text[start..]).expect("the room is that of the text");
        *out = String::from_utf8(text).expect("base64 was appended to text");
        return;
    }
    out.reserve(len);
    let mut room = [0; text_len(PIECE)];
    for piece in bytes.chunks(PIECE) {
        let written = engine().encode_slice(piece, &mut room).expect("the room is that of a piece");
        out.push_str(core::str::from_utf8(&room[..written]).expect("base64 is ASCII"));
    }
}

/// The length of the text of this many bytes (characters).
pub(crate) const fn text_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// The engine for this processor, chosen at first use. All engines give the same output.
#[cfg(all(
    feature = "std",
    any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))
))]
fn engine() -> &'static base64::engine::Simd {
    use std::sync::LazyLock;

    use base64::engine::{Simd, general_purpose::PAD};

    static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::standard(PAD));
    &ENGINE
}

/// Without the standard library the processor's features are unknown, and on other processors there is no
/// other engine.
#[cfg(not(all(
    feature = "std",
    any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))
)))]
fn engine() -> &'static base64::engine::GeneralPurpose {
    &base64::engine::general_purpose::STANDARD
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_loose_reader_takes_what_can_only_mean_one_thing() {
        for text in ["+/8=", "+/8", "-_8", "+/9=", " +/\r\n8=\n"] {
            assert_eq!(decode_loosely(text), Some(alloc::vec![0xfb, 0xff]), "{text}");
        }
        for text in ["!!!", "A", "+/8=8", "AAAAA"] {
            assert_eq!(decode_loosely(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_engine_reads_and_writes_what_the_scalar_one_does(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            place in any::<proptest::sample::Index>(),
            other in any::<char>(),
        ) {
            let mut text = String::from("before ü ");
            let start = text.len();
            encode(&bytes, &mut text);
            prop_assert_eq!(&text[start..], STANDARD.encode(&bytes));
            prop_assert_eq!(decode(&text[start..]), Some(bytes));

            // One character changed: read as the other does, or not at all.
            let mut text = text.split_off(start);
            if !text.is_empty() {
                let at = place.index(text.len());
                let mut buffer = [0; 4];
                text.replace_range(at..=at, other.encode_utf8(&mut buffer));
                prop_assert_eq!(decode(&text), STANDARD.decode(&text).ok());
            }
        }
    }
}
