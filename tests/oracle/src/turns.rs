//! The user's turns if a processor detects them: what is kept back, what is sent, and whether it is enough.

use std::time::Duration;

/// How much audio from before a turn is sent with it, if the session detects no turns.
const PRE_ROLL: Duration = Duration::from_millis(500);

/// The user's audio and turns that go to the server, if a processor detects turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    in_turn: bool,
    buffered: u64,
    kept: Vec<Vec<u8>>,
}

impl Turns {
    /// Audio comes. Returns whether it is kept back.
    pub(super) fn audio(&mut self, pre_roll: bool, bytes: Vec<u8>) -> bool {
        if self.in_turn || !pre_roll {
            self.buffered += bytes.len() as u64;
            return false;
        }
        self.kept.push(bytes);
        let most = usize::try_from(PRE_ROLL.as_millis()).unwrap_or(usize::MAX) * 48;
        let mut surplus =
            self.kept.iter().map(Vec::len).sum::<usize>().saturating_sub(most).next_multiple_of(2);
        while surplus > 0 && !self.kept.is_empty() {
            let cut = surplus.min(self.kept[0].len());
            self.kept[0].drain(..cut);
            surplus -= cut;
            self.kept.retain(|audio| !audio.is_empty());
        }
        true
    }

    /// The user begins to speak: what goes along from before.
    pub(super) fn begin(&mut self) -> Vec<Vec<u8>> {
        self.in_turn = true;
        let kept = std::mem::take(&mut self.kept);
        self.buffered += kept.iter().map(|audio| audio.len() as u64).sum::<u64>();
        kept
    }

    /// The user has spoken. Returns whether there is enough for an item, 100 ms.
    pub(super) fn end(&mut self) -> bool {
        let enough = self.buffered >= 100 * 48;
        if enough {
            *self = Self { kept: std::mem::take(&mut self.kept), ..Self::default() };
        }
        enough
    }
}
