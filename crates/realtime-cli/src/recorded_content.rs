//! How much of a call its session log holds, as command lines name it: [`RecordedContent`].

use clap::ValueEnum;
use realtime_protocol::log::LogContent;

/// How much of a call its log holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[non_exhaustive]
pub enum RecordedContent {
    /// Everything, audio within its lines
    Full,
    /// Everything, audio in a file beside it
    AudioAside,
    /// Everything but audio, which is replaced by sizes and digests
    AudioDigest,
    /// What happened and when, but nothing that was said
    Metadata,
}

impl From<RecordedContent> for LogContent {
    fn from(content: RecordedContent) -> Self {
        match content {
            RecordedContent::Full => Self::Full,
            RecordedContent::AudioAside => Self::AudioAside,
            RecordedContent::AudioDigest => Self::AudioDigest,
            RecordedContent::Metadata => Self::Metadata,
        }
    }
}
