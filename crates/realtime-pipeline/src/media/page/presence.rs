//! How a page comes, is lost, comes back and goes.

use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::RATE;
use super::down::millis;
use super::link::{Link, SILENCE};
use super::machine::Page;
use super::up::{Hello, Odd, VERSION};
use super::words::{self, Words};
use crate::chain::{FrameKind, Peer, SinkReport};
use crate::media::{MediaOutput, SocketMessage};

impl Page {
    /// A page says hello, on a connection that is new.
    pub(super) fn greet(&mut self, now: Timestamp, hello: Hello) {
        let Link::Greeting { away, .. } = self.link else { return self.complain(now, &Odd::Hello) };
        if hello.version != VERSION {
            return self.refuse(words::VERSION);
        }
        let is_back = away.is_some();
        if is_back && !hello.token.as_deref().is_some_and(|token| self.options.is_token(token)) {
            return self.refuse(words::TOKEN);
        }
        self.rate = hello.rate;
        self.link = Link::Open { silent: now + SILENCE };
        let (texts, missed) = self.backlog.take();
        let mut ready = json!({
            "type": "ready", "version": VERSION, "rate": RATE, "resumed": is_back, "missed": missed,
        });
        if self.options.resumes() {
            ready["token"] = (&*self.options.token).into();
            ready["resume_within_ms"] = millis(self.options.resume_within).into();
        }
        self.say(&ready);
        for text in texts {
            self.output(MediaOutput::Send(SocketMessage::Text(text)));
        }
        if is_back {
            self.counts.resumed += 1;
            // It holds nothing of what was on its way.
            let at = hello.played.and_then(|place| self.sent.played(place, now));
            self.forget_sent();
            self.report(SinkReport::Back { at });
        } else {
            self.has_greeted = true;
            self.input(FrameKind::Peer(Peer::Connected));
        }
        self.mute(hello.muted);
    }

    /// This connection is of no use.
    pub(super) fn refuse(&mut self, words: Words) {
        let away = match self.link {
            Link::Greeting { away, .. } => away,
            _ => None,
        };
        self.output(MediaOutput::Send(SocketMessage::Text(ended(words).to_string())));
        self.output(MediaOutput::Close);
        if away.is_none() {
            self.why = Some(words.1);
        }
        self.link = away.map_or(Link::Over, |until| Link::Away { until });
    }

    /// The connection is lost.
    pub(super) fn lose(&mut self, now: Timestamp, why: &'static str) {
        self.answer_clear(now);
        match self.link {
            Link::Open { .. } if self.options.resumes() => {
                self.link = Link::Away { until: now + self.options.resume_within };
                self.report(SinkReport::Away);
            }
            Link::Open { .. } | Link::Greeting { away: None, .. } => self.leave(now, why),
            Link::Greeting { away: Some(until), .. } => self.link = Link::Away { until },
            Link::Away { .. } | Link::Over => {}
        }
    }

    /// The page is gone for good.
    pub(super) fn leave(&mut self, now: Timestamp, why: &'static str) {
        self.why.get_or_insert(why);
        self.answer_clear(now);
        if self.is_away() {
            // Nobody waits for it any longer.
            self.report(SinkReport::Back { at: None });
        }
        self.link = Link::Over;
        if self.has_greeted {
            self.input(FrameKind::Peer(Peer::Disconnected));
        }
    }

    /// Gives a page up that has been away for too long.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if matches!(self.link, Link::Away { until } if until <= now) {
            self.leave(now, "it was lost and did not come back");
        }
    }

    /// The run is over: says so, and closes the connection.
    pub(super) fn hang_up(&mut self, now: Timestamp) {
        self.answer_clear(now);
        if self.is_away() {
            self.report(SinkReport::Back { at: None });
        }
        if matches!(self.link, Link::Open { .. } | Link::Greeting { .. }) {
            let words = self.ended.unwrap_or(words::FINISHED);
            self.output(MediaOutput::Send(SocketMessage::Text(ended(words).to_string())));
            self.output(MediaOutput::Close);
        }
        self.link = Link::Over;
    }

    /// The run ends. The first reason is the one.
    pub(super) fn end_with(&mut self, words: Words) {
        self.ended.get_or_insert(words);
    }
}

fn ended((code, text): Words) -> Value {
    json!({ "type": "ended", "code": code, "text": text })
}
