//! What is chosen for a page: [`PageOptions`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is chosen for a [`Page`](crate::media::Page).
#[derive(Clone)]
#[non_exhaustive]
pub struct PageOptions {
    /// By this the page comes back after its connection was lost. Whoever knows it can take the call over:
    /// draw at least 128 random bits for each call, and log it nowhere. Empty: a page can't come back.
    pub token: Arc<str>,
    /// How long a page may be away before the call counts as left. Zero: not at all. Default: 15 s.
    pub resume_within: Duration,
    /// How long before its due time audio is sent, limited to 2 s: what a page has in stock against a
    /// stalling network. An interruption drops it. Default: 250 ms.
    pub lead: Duration,
    /// Whether the page is told what both sides say. Default: yes.
    pub transcripts: bool,
    /// Whether the page is told which tools run. Default: yes.
    pub tools: bool,
    /// Whether the page is told what tools are given, too. It may be nothing for the eyes of a user. Default:
    /// no.
    pub arguments: bool,
    /// Whether the page is told how long answers take. Default: yes.
    pub latencies: bool,
}

/// The longest lead.
const LONGEST_LEAD: Duration = Duration::from_secs(2);

impl PageOptions {
    /// The defaults, and the token by which the page comes back.
    pub fn new(token: impl Into<Arc<str>>) -> Self {
        Self {
            token: token.into(),
            resume_within: Duration::from_secs(15),
            lead: Duration::from_millis(250),
            transcripts: true,
            tools: true,
            arguments: false,
            latencies: true,
        }
    }

    /// Sets [`resume_within`](Self::resume_within).
    #[must_use]
    pub const fn resume_within(mut self, time: Duration) -> Self {
        self.resume_within = time;
        self
    }

    /// Sets [`lead`](Self::lead).
    #[must_use]
    pub fn lead(mut self, lead: Duration) -> Self {
        self.lead = lead.min(LONGEST_LEAD);
        self
    }

    /// Sets [`transcripts`](Self::transcripts).
    #[must_use]
    pub const fn transcripts(mut self, told: bool) -> Self {
        self.transcripts = told;
        self
    }

    /// Sets [`tools`](Self::tools).
    #[must_use]
    pub const fn tools(mut self, told: bool) -> Self {
        self.tools = told;
        self
    }

    /// Sets [`arguments`](Self::arguments).
    #[must_use]
    pub const fn arguments(mut self, told: bool) -> Self {
        self.arguments = told;
        self
    }

    /// Sets [`latencies`](Self::latencies).
    #[must_use]
    pub const fn latencies(mut self, told: bool) -> Self {
        self.latencies = told;
        self
    }

    /// Returns whether a page may come back.
    pub(super) fn resumes(&self) -> bool {
        !self.token.is_empty() && !self.resume_within.is_zero()
    }

    /// Returns whether this is the token. The time that it takes tells nothing about the token.
    pub(super) fn is_token(&self, token: &str) -> bool {
        let (ours, theirs) = (self.token.as_bytes(), token.as_bytes());
        let differs = ours.iter().zip(theirs).fold(0, |differs, (a, b)| differs | (a ^ b));
        ours.len() == theirs.len() && !ours.is_empty() && std::hint::black_box(differs) == 0
    }
}

impl fmt::Debug for PageOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageOptions")
            .field("token", &"…")
            .field("resume_within", &self.resume_within)
            .field("lead", &self.lead)
            .field("transcripts", &self.transcripts)
            .field("tools", &self.tools)
            .field("arguments", &self.arguments)
            .field("latencies", &self.latencies)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_it_and_it_does_not_show() {
        let options = PageOptions::new("s3cret");
        assert!(options.is_token("s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3cret"] {
            assert!(!options.is_token(wrong), "{wrong}");
        }
        assert!(!PageOptions::new("").is_token(""));
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
