//! What an RTVI client is told, and when it is given up: [`RtviOptions`].

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::time::UnixTime;

/// What an RTVI client is told, and when it is given up.
#[derive(Clone, Debug)]
pub struct RtviOptions {
    pub(super) wall: UnixTime,
    pub(super) user_id: String,
    pub(super) lead: Duration,
    pub(super) ready_within: Duration,
    pub(super) answer_within: Option<Duration>,
    pub(super) metrics: bool,
    pub(super) functions: FunctionReport,
    pub(super) function: BTreeMap<String, FunctionReport>,
}

/// What the client is told of a function that the model calls. Whoever holds the page can read it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[doc(alias = "RTVIFunctionCallReportLevel")]
#[non_exhaustive]
pub enum FunctionReport {
    /// Nothing.
    Nothing,
    /// That one runs and has ended, not which.
    #[default]
    Anonymous,
    /// Its name, too.
    Name,
    /// Its name and arguments.
    Arguments,
    /// Its name, arguments and result.
    Full,
}

/// Audio that the client has and has not played. It can't be told to drop what it has, so that all of it is
/// heard after an interruption.
const MOST_LEAD: Duration = Duration::from_millis(200);

impl RtviOptions {
    /// The defaults, for a client that is connected at this wall time: it is told when something was said.
    pub const fn new(wall: UnixTime) -> Self {
        Self {
            wall,
            user_id: String::new(),
            lead: MOST_LEAD,
            ready_within: Duration::from_secs(30),
            answer_within: Some(Duration::from_secs(10)),
            metrics: true,
            functions: FunctionReport::Anonymous,
            function: BTreeMap::new(),
        }
    }

    /// The user's id in transcripts. Default: empty.
    #[must_use]
    pub fn user_id(self, user_id: impl Into<String>) -> Self {
        Self { user_id: user_id.into(), ..self }
    }

    /// How much audio the client has before its time, limited to 200 ms. The client drops audio that comes in
    /// the moment in which it has run out of it, so more is safer over bad networks. All of it is heard after
    /// an interruption, since the client can't be told to drop it. Default: 200 ms.
    #[must_use]
    pub fn lead(self, lead: Duration) -> Self {
        Self { lead: lead.min(MOST_LEAD), ..self }
    }

    /// How long the client may take to say that it is ready, before it is given up: the user may have to
    /// allow the microphone. Default: 30 s.
    #[must_use]
    pub fn ready_within(self, limit: Duration) -> Self {
        Self { ready_within: limit, ..self }
    }

    /// How long the application may take to answer a [`ClientMessage`](super::ClientMessage), before the
    /// client is told that nobody answers. `None`: it is not told. A client does not say whether it waits for
    /// an answer, and is told so too if it does not. Default: 10 s, as long as the client of pipecat waits.
    #[must_use]
    pub fn answer_within(self, limit: impl Into<Option<Duration>>) -> Self {
        Self { answer_within: limit.into(), ..self }
    }

    /// Whether the client is told what responses take and cost. Default: yes.
    #[must_use]
    pub fn metrics(self, metrics: bool) -> Self {
        Self { metrics, ..self }
    }

    /// What the client is told of functions. Default: [`FunctionReport::Anonymous`].
    #[must_use]
    pub fn functions(self, report: FunctionReport) -> Self {
        Self { functions: report, ..self }
    }

    /// What the client is told of this function.
    #[must_use]
    pub fn function(mut self, name: impl Into<String>, report: FunctionReport) -> Self {
        self.function.insert(name.into(), report);
        self
    }

    pub(super) fn report_of(&self, function: &str) -> FunctionReport {
        self.function.get(function).copied().unwrap_or(self.functions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_told_of_as_its_name_says_or_as_all_are() {
        let options = RtviOptions::new(UnixTime::from_secs(0)).function("look", FunctionReport::Full);
        assert_eq!(options.report_of("look"), FunctionReport::Full);
        assert_eq!(options.report_of("open_door"), FunctionReport::Anonymous);
        assert_eq!(options.functions(FunctionReport::Nothing).report_of("x"), FunctionReport::Nothing);
    }

    #[test]
    fn no_more_is_sent_ahead_than_may_be_heard_too_much() {
        let options = RtviOptions::new(UnixTime::from_secs(0)).lead(Duration::from_secs(1));
        assert_eq!(options.lead, MOST_LEAD);
    }
}
