//! G.711: samples of 16 bits in one byte each, by mu-law (North America, Japan) or A-law (elsewhere).
//!
//! Telephone networks and carriers speak it at 8,000 Hz. Both laws keep few bits of loud samples and more of
//! quiet ones. Each direction is a table, made when the crate is compiled: 25 KiB in all.
//!
//! ```
//! use realtime_protocol::audio::g711;
//!
//! let samples = [0, 1000, -1000, i16::MAX];
//! let coded: Vec<u8> = samples.iter().map(|sample| g711::to_mu_law(*sample)).collect();
//! let back: Vec<i16> = coded.iter().map(|byte| g711::from_mu_law(*byte)).collect();
//! assert_eq!(back, [0, 988, -988, 32124]);
//! ```
//!
//! The source is ITU-T G.711, with the rounding of Sun's widely used implementation: a negative sample is cut
//! to 14 bits (mu-law) or 13 bits (A-law) towards minus infinity before its sign is taken off.

/// The byte of a sample by mu-law. Louder samples than 32,635 are clipped.
pub const fn to_mu_law(sample: i16) -> u8 {
    MU_LAW_OF[((sample >> 2) as u16 & 0x3fff) as usize]
}

/// The sample of a byte by mu-law.
pub const fn from_mu_law(byte: u8) -> i16 {
    OF_MU_LAW[byte as usize]
}

/// The byte of a sample by A-law.
pub const fn to_a_law(sample: i16) -> u8 {
    A_LAW_OF[((sample >> 3) as u16 & 0x1fff) as usize]
}

/// The sample of a byte by A-law.
pub const fn from_a_law(byte: u8) -> i16 {
    OF_A_LAW[byte as usize]
}

static MU_LAW_OF: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        table[index] = mu_law_of(signed(index as u16, 14));
        index += 1;
    }
    table
};

static A_LAW_OF: [u8; 1 << 13] = {
    let mut table = [0; 1 << 13];
    let mut index = 0;
    while index < table.len() {
        table[index] = a_law_of(signed(index as u16, 13));
        index += 1;
    }
    table
};

static OF_MU_LAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let code = !(byte as u8);
        let magnitude = (((((code & 15) as i16) << 3) + 132) << ((code >> 4) & 7)) - 132;
        table[byte] = if code & 0x80 == 0 { magnitude } else { -magnitude };
        byte += 1;
    }
    table
};

static OF_A_LAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let code = byte as u8 ^ EVEN_BITS;
        let mantissa = ((code & 15) as i16) << 4;
        let magnitude = match (code >> 4) & 7 {
            0 => mantissa + 8,
            segment => (mantissa + 0x108) << (segment - 1),
        };
        table[byte] = if code & 0x80 == 0 { -magnitude } else { magnitude };
        byte += 1;
    }
    table
};

/// A-law inverts every other bit, so that silence is not a row of zeros.
const EVEN_BITS: u8 = 0x55;

/// The number that the lowest `bits` bits stand for.
const fn signed(index: u16, bits: u32) -> i16 {
    let unused = u16::BITS - bits;
    ((index << unused) as i16) >> unused
}

/// The code of a sample of 14 bits: sign, segment, and the four bits behind the leading one.
const fn mu_law_of(sample: i16) -> u8 {
    /// So that the leading bit of the quietest sample is that of the first segment.
    const BIAS: u16 = 33;
    const LOUDEST: u16 = 8159;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs();
    let biased = if magnitude > LOUDEST { LOUDEST } else { magnitude } + BIAS;
    let segment = 10 - biased.leading_zeros() as u16;
    // 8,159 and the bias are one more than the last segment holds.
    let code = if segment > 7 { 0x7f } else { (segment << 4) | ((biased >> (segment + 1)) & 15) };
    !(sign | code as u8)
}

/// The code of a sample of 13 bits.
const fn a_law_of(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = if sample < 0 { !sample } else { sample } as u16;
    let segment = 11_u16.saturating_sub(magnitude.leading_zeros() as u16);
    let step = if segment < 2 { 1 } else { segment };
    let code = (segment << 4) | ((magnitude >> step) & 15);
    (sign | code as u8) ^ EVEN_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of each segment, and what it holds, as the standard's tables list them: found by search.
    fn searched(magnitude: i32, first_end: i32) -> i32 {
        (0..8).find(|segment| magnitude < (first_end + 1) << segment).unwrap_or(8)
    }

    fn mu_law_by_the_standard(sample: i16) -> u8 {
        let cut = i32::from(sample) >> 2;
        let mask = if cut < 0 { 0x7f } else { 0xff };
        let magnitude = cut.abs().min(8159) + 33;
        match searched(magnitude, 0x3f) {
            8 => 0x7f ^ mask,
            segment => ((segment << 4) as u8 | ((magnitude >> (segment + 1)) & 15) as u8) ^ mask,
        }
    }

    fn a_law_by_the_standard(sample: i16) -> u8 {
        let cut = i32::from(sample) >> 3;
        let (mask, magnitude) = if cut < 0 { (0x55, -cut - 1) } else { (0xd5, cut) };
        match searched(magnitude, 0x1f) {
            8 => 0x7f ^ mask,
            segment => ((segment << 4) as u8 | ((magnitude >> segment.max(1)) & 15) as u8) ^ mask,
        }
    }

    /// FNV-1a.
    fn digest(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn every_sample_has_the_code_of_the_standard() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(to_mu_law(sample), mu_law_by_the_standard(sample), "mu-law {sample}");
            assert_eq!(to_a_law(sample), a_law_by_the_standard(sample), "A-law {sample}");
        }
        // Of all 65,536 values in their order, as Sun's code gives them.
        assert_eq!(digest((i16::MIN..=i16::MAX).map(to_mu_law)), 0xd5ee_23f7_d0ff_ae91);
        assert_eq!(digest((i16::MIN..=i16::MAX).map(to_a_law)), 0xf030_666e_b780_cf25);
    }

    #[test]
    fn every_code_is_read_as_a_sample_that_has_this_code() {
        for byte in 0..=255 {
            // Mu-law has two zeros; the negative one reads as the positive.
            if byte != 0x7f {
                assert_eq!(to_mu_law(from_mu_law(byte)), byte, "mu-law {byte:#x}");
            }
            assert_eq!(to_a_law(from_a_law(byte)), byte, "A-law {byte:#x}");
        }
        assert_eq!([0x00, 0x80, 0xff].map(from_mu_law), [-32_124, 32_124, 0]);
        assert_eq!([0x2a, 0xaa, 0xd5].map(from_a_law), [-32_256, 32_256, 8]);
    }
}
