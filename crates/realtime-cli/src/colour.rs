//! Colours for a person: only where a terminal shows them, and as NO_COLOR, CLICOLOR and CLICOLOR_FORCE say.

use std::fmt;
use std::io;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};

/// What failed.
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Words about what failed, for standard output.
#[cfg(feature = "light")]
pub(crate) fn bad(words: &str) -> impl fmt::Display {
    Styled { style: style(&io::stdout()), words }
}

/// The same for standard error.
pub(crate) fn bad_on_stderr(words: &str) -> impl fmt::Display {
    Styled { style: style(&io::stderr()), words }
}

fn style(stream: &impl RawStream) -> Style {
    match AutoStream::choice(stream) {
        ColorChoice::Never => Style::new(),
        _ => BAD,
    }
}

struct Styled<'a> {
    style: Style,
    words: &'a str,
}

impl fmt::Display for Styled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.words, self.style)
    }
}
