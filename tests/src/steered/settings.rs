//! The options of a steered call: a choice of those that change what happens most, or any as JSON.

use std::time::Duration;

use realtime_protocol::call::{CallOptions, Reconnect};
use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::session::{
    Begin, Deadline, Deadlines, FollowUp, InterruptionPolicy, OverduePolicy, PlaybackSource, SessionOptions,
    Unheard,
};

use crate::steered::bytes::{Reader, Writer};

/// The first byte of options that stand as JSON.
const EXACT: u8 = u8::MAX;

/// Reads options.
pub(super) fn read(reader: &mut Reader<'_>) -> CallOptions {
    let first = reader.byte();
    if first == EXACT {
        return reader.json().unwrap_or_default();
    }
    let (second, third) = (reader.byte(), reader.byte());
    let mut session = SessionOptions::default()
        .dialect(if first & 1 == 1 { Dialect::Beta } else { Dialect::Ga })
        .begin(if first & 6 == 6 { Begin::Attach } else { Begin::Configure })
        .raw_text(first & 8 == 8)
        .unheard(if first & 16 == 16 { Unheard::Delete } else { Unheard::Truncate })
        .deadlines(if first & 32 == 32 { SHORT } else { Deadlines::default() })
        .playback(match second & 3 {
            0 | 1 => PlaybackSource::Reported,
            2 => PlaybackSource::Estimated,
            _ => PlaybackSource::Server,
        })
        .interruption(policy(second >> 2 & 7))
        .follow_up(match second >> 5 & 3 {
            0 | 1 => FollowUp::default(),
            2 => FollowUp::IfSilent,
            _ => FollowUp::Never,
        });
    if third & 1 == 1 {
        session.early_functions.insert("f".into());
    }
    if third & 2 == 2 {
        session.pre_roll = Some(Duration::from_millis(300));
    }
    if third & 4 == 4 {
        session.config.input_mut().turn_detection = Field::Null;
    }
    if third & 8 == 8 {
        session.config.instructions = Field::Value("Be brief.".into());
    }
    if third & 16 == 16 {
        (session.max_rounds, session.largest_response) = (1, 4_000);
    }
    let reconnect = match third >> 5 {
        0 | 1 => Reconnect::none(),
        2 => Reconnect::default().attempts(2),
        3 => Reconnect::default().rotate_before(Duration::from_secs(3500)),
        endpoints => {
            let dialects = [session.dialect, Dialect::Ga, Dialect::Beta];
            let endpoints = dialects.into_iter().cycle().take(usize::from(endpoints) - 2).collect();
            Reconnect::default().attempts(20).endpoints(endpoints)
        }
    };
    CallOptions::default().session(session).reconnect(reconnect)
}

/// Writes options as JSON.
pub(super) fn write(writer: &mut Writer, options: &CallOptions) {
    writer.byte(EXACT);
    writer.json(options);
}

fn policy(choice: u8) -> InterruptionPolicy {
    let second = Duration::from_secs(1);
    match choice {
        0..=3 => InterruptionPolicy::AtOnce,
        4 => InterruptionPolicy::after(second),
        5 => InterruptionPolicy::after(Duration::ZERO).holding(),
        6 => InterruptionPolicy::after_words(2, second),
        _ => InterruptionPolicy::after_words(2, second).holding(),
    }
}

/// Deadlines that many runs reach.
const SHORT: Deadlines = Deadlines::all(Deadline::new(Duration::from_millis(500), OverduePolicy::Rotate));
