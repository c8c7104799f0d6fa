//! The story that a log tells, whatever it holds: from the model of its call, not from machines.

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::story::{Moment, happened, heard_of, joined};
use crate::view::model::{Model, Part, TurnKind};
use crate::view::trouble::Told;

/// Runs that follow each other within this time are one stretch of speech (us).
const BREATH: i64 = 50_000;

/// All moments, in their order.
pub(crate) fn told_by(model: &Model) -> Vec<(Timestamp, Moment)> {
    let mut told = Teller { moments: Vec::new() };
    for link in model.connections.iter().take(1) {
        if let Some(ready) = link.ready {
            told.at(ready, link.event, Moment::Ready { model: model.model.clone() });
        }
    }
    told.turns(model);
    told.agent(model);
    told.words(model);
    for call in &model.functions {
        let called = Moment::Called { name: call.name.clone(), arguments: call.arguments.clone() };
        told.at(call.start, call.event, called);
        if let Some(stop) = call.stop {
            let (name, end, output) = (call.name.clone(), call.end.clone(), call.output.clone());
            told.at(stop, call.event + 1, Moment::Answered { name, end, output });
        }
    }
    for interruption in &model.interruptions {
        let parts = interruption.parts.iter().filter_map(|part| cut(&model.output.spans[*part]));
        let text = joined(parts.collect());
        told.at(interruption.at, interruption.event, Moment::Interrupted { text });
    }
    for mark in &model.marks {
        let (title, text) = (mark.title.clone(), mark.text.clone());
        told.at(mark.at, mark.event, happened(Told { level: mark.level, title, text }));
    }
    told.moments.sort_by_key(|(at, event, _)| (*at, *event));
    let timed = |(at, _, moment): (i64, usize, Moment)| (Timestamp::from_micros(at.max(0) as u64), moment);
    told.moments.into_iter().map(timed).collect()
}

/// Collects moments with their times (us) and the events that order those of the same time.
struct Teller {
    moments: Vec<(i64, usize, Moment)>,
}

impl Teller {
    fn at(&mut self, at: i64, event: usize, moment: Moment) {
        self.moments.push((at, event, moment));
    }

    fn turns(&mut self, model: &Model) {
        for turn in &model.turns {
            let text = turn.text.clone().unwrap_or_else(|| kept_back(turn.hidden));
            if turn.kind == TurnKind::Written {
                self.at(turn.start, turn.event, Moment::Wrote { role: turn.role.clone(), text });
                continue;
            }
            self.at(turn.start, turn.event, Moment::UserStarts);
            if let Some(stop) = turn.stop {
                self.at(stop, turn.event, Moment::UserStops);
            }
            if let Some(said) = turn.said
                && turn.failed.is_none()
            {
                self.at(said, turn.event + 1, Moment::UserSaid { text });
            }
        }
    }

    /// When the agent begins to speak, and falls silent.
    fn agent(&mut self, model: &Model) {
        let mut runs: Vec<(i64, i64, usize)> = Vec::new();
        for (number, part) in model.output.spans.iter().enumerate() {
            for (at, from, to) in &part.runs {
                let length = (to - from).saturating_mul(1_000_000) / u64::from(part.rate.max(1));
                runs.push((*at, at.saturating_add(length as i64), number));
            }
        }
        runs.sort_unstable();
        let mut runs = runs.into_iter().peekable();
        while let Some((start, mut end, number)) = runs.next() {
            while let Some((_, later, _)) = runs.next_if(|(start, ..)| *start - end < BREATH) {
                end = end.max(later);
            }
            let wait = model.latencies.iter().find(|wait| wait.part == number && wait.to == start);
            let after = wait.map(|wait| Duration::from_micros((wait.to - wait.from).max(0) as u64));
            self.at(start, usize::MAX, Moment::AgentStarts { after });
            // What stops playback comes before what tells of the cut.
            let stopped = model.interruptions.iter().find(|i| (i.start - end).abs() < 2 * BREATH);
            let (at, event) = stopped.map_or((end, usize::MAX), |i| (i.start, i.event.saturating_sub(1)));
            self.at(at, event, Moment::AgentStops);
        }
    }

    /// What the agent said, response by response.
    fn words(&mut self, model: &Model) {
        for response in &model.responses {
            let parts = model.output.spans.iter().filter(|part| part.response == response.id);
            let (text, hidden) = parts
                .fold((String::new(), 0), |(text, hidden), part| (text + &part.text, hidden + part.hidden));
            let end = match (response.end.as_str(), response.reason.as_str()) {
                ("completed", _) => String::new(),
                ("failed", reason) => format!("failed: {reason}"),
                (end, _) => end.to_owned(),
            };
            let Some(done) = response.done else { continue };
            if !text.is_empty() || hidden > 0 || !end.is_empty() {
                let text = if text.is_empty() { kept_back(hidden) } else { text };
                self.at(done, response.event, Moment::AgentSaid { text, end });
            }
        }
    }
}

/// What stands for words that a log does not have.
fn kept_back(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!("[{bytes} bytes]") }
}

fn cut(part: &Part) -> Option<String> {
    let cut = part.cut.as_ref()?;
    let units = cut.text.unwrap_or(0);
    let heard: Vec<u16> = part.text.encode_utf16().take(units).collect();
    let words = String::from_utf16_lossy(&heard);
    let ms = |us: i64| us.max(0) as u64 / 1000;
    Some(heard_of(ms(cut.heard), ms(cut.received), cut.estimated, &cut.told, &words))
}
