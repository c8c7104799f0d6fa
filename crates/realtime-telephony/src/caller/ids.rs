//! Ids of a call that is made up: [`Ids`].

/// Ids made of entropy: the same entropy gives the same ids.
#[derive(Debug)]
pub(super) struct Ids(u64);

impl Ids {
    pub(super) const fn new(entropy: u64) -> Self {
        Self(entropy)
    }

    /// 32 hexadecimal digits, after this.
    pub(super) fn hex(&mut self, before: &str) -> String {
        format!("{before}{:016x}{:016x}", self.next(), self.next())
    }

    /// A UUID of version 4.
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        let (d, e) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_shapes_and_differ() {
        let mut ids = Ids::new(7);
        let (one, other, uuid) = (ids.hex("CA"), ids.hex("CA"), ids.uuid());
        assert_eq!((one.len(), one == other), (34, false));
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        assert_eq!(Ids::new(7).hex("CA"), one);
    }
}
