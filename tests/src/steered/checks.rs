//! What must hold of every steered run, of a session as of a call: what it costs, and what is sent.

use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::log::Input;

/// What went in, and what may come out of it: never more than in proportion.
#[derive(Debug)]
pub(super) struct Budget {
    inputs: usize,
    /// Bytes of all inputs and of the options.
    taken: usize,
    outputs: usize,
}

/// What an input counts besides its own bytes: audio is told by its size, and an id may be made.
const INPUT_BYTES: usize = 100;

impl Budget {
    /// For options of this many bytes.
    pub(super) const fn new(options: usize) -> Self {
        Self { inputs: 0, taken: options, outputs: 0 }
    }

    /// Something goes in.
    pub(super) fn input(&mut self, input: &Input) {
        self.inputs += 1;
        self.taken += INPUT_BYTES
            + match input {
                Input::Text(_, text) => text.len(),
                Input::Command(_, command) => command.size(),
                Input::Media(media) => media.size(),
                Input::Seed(_, seed) => serde_json::to_string(seed).map_or(0, |seed| seed.len()),
                Input::Disconnected(_, reason) => format!("{reason:?}").len(),
                _ => 0,
            };
    }

    /// An input led to this many outputs, with this many bytes.
    ///
    /// # Panics
    /// When that is out of all proportion: what waited may end all at once, and a configuration is told whole
    /// wherever it changes.
    pub(super) fn output(&mut self, count: usize, bytes: usize) {
        self.outputs += count;
        let most = 100 + 16 * self.inputs + self.taken / 2;
        assert!(self.outputs <= most, "{} outputs, expected at most {most}", self.outputs);
        let most = 10_000 + 16 * self.taken;
        assert!(bytes <= most, "{bytes} bytes of one input, expected at most {most}");
    }

    /// The size of the state (characters of its `Debug`).
    ///
    /// # Panics
    /// When that is out of all proportion.
    pub(super) fn state(&self, size: usize) {
        let most = 200_000 + 16 * self.taken;
        assert!(size <= most, "the state takes {size} characters, expected at most {most}");
    }
}

/// Looks at a client event that the machines made.
///
/// # Panics
/// When its text does not read as the same event.
pub(super) fn sent(event: &ClientEvent, dialect: Dialect) {
    let text = event.encode(dialect);
    let again = ClientEvent::decode(&text, dialect);
    let is_known = !matches!(again, ClientEvent::Unknown(_) | ClientEvent::Malformed(_));
    assert!(is_known, "{text} is read as {again:?}");
    assert_eq!(again.encode(dialect), text);
}
