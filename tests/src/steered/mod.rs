//! Calls and sessions that bytes steer: what a fuzzer, or a proptest, finds is an order of inputs.
//!
//! [`Plan::read`] takes any bytes as options and steps, and [`Plan::write`] writes a plan as the bytes that
//! read as it, so that a golden session is where a fuzzer begins. [`session::run`] and [`call::run`] carry a
//! plan out, and panic where something that must hold does not.
//!
//! A step begins with a byte: the lower half says what happens, and the upper half over which connection. See
//! `Kind`.

mod bytes;
pub mod call;
mod checks;
mod commands;
mod names;
pub mod session;
mod settings;
mod texts;

use std::collections::BTreeSet;

use realtime_protocol::call::{CallOptions, CommandId, ConnectFailure, ConnectionId, DisconnectReason, Seed};
use realtime_protocol::flow::Shortfall;
use realtime_protocol::item::Item;
use realtime_protocol::log::Input;
use realtime_protocol::session::Begin;
use realtime_protocol::time::UnixTime;

use crate::golden::Golden;
use crate::steered::bytes::{Reader, Writer};
use crate::world::DAWN;

/// The most steps of a plan.
const MOST_STEPS: usize = 512;

/// Inputs between two looks at the size of the state.
const STATE_EVERY: usize = 64;

/// Timeouts in a row at one time, without an end, that a driver would never get out of.
const MOST_TIMEOUTS: usize = 100;

/// The connection that was asked for last, wherever a step names this one, or one of those before it.
const LATEST: u32 = u32::MAX;

/// Set in the ids of commands that a listener asks for.
const OF_A_LISTENER: u64 = 1 << 62;

/// Options, and what happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The options. A session alone has those of its sessions.
    pub options: CallOptions,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// This much time passes (µs), and everything due by then happens.
    Wait(u64),
    /// This much time passes (µs), and nothing that is due is handled.
    Oversleep(u64),
    /// The next input is as much older than those before it (µs).
    Back(u64),
    /// Something goes in.
    Input(Input),
    /// The call goes on in another process, in a new session or in the same one.
    Move(Begin),
}

/// What the lower half of a step's first byte says.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Kind {
    /// Some milliseconds pass: a byte.
    WaitMillis,
    /// Some half seconds pass: a byte. From 128 on, the upper half makes the driver oversleep.
    WaitLong,
    /// Some microseconds pass: a number.
    WaitMicros,
    /// A timeout that nobody asked for.
    Timer,
    /// The clock goes back by some tenths of a second: a byte.
    Back,
    /// A text that a server may send.
    Text,
    /// Such a text with something wrong in it.
    Spoiled,
    /// A text as it follows.
    Raw,
    /// A command.
    Command,
    /// A command as JSON, after its id.
    ExactCommand,
    /// Media.
    Media,
    /// Media as JSON.
    ExactMedia,
    /// The connection is open; the time of day follows.
    Connected,
    /// The connection has ended.
    Disconnected,
    /// A seed, a shortfall, or a move.
    Other,
    /// Several inputs that belong together.
    Several,
}

const KINDS: [Kind; 16] = [
    Kind::WaitMillis,
    Kind::WaitLong,
    Kind::WaitMicros,
    Kind::Timer,
    Kind::Back,
    Kind::Text,
    Kind::Spoiled,
    Kind::Raw,
    Kind::Command,
    Kind::ExactCommand,
    Kind::Media,
    Kind::ExactMedia,
    Kind::Connected,
    Kind::Disconnected,
    Kind::Other,
    Kind::Several,
];

/// How many of the upper halves count back from the latest connection; the others count from the first one.
const FROM_THE_LATEST: u8 = 4;

impl Plan {
    /// Reads any bytes as a plan.
    pub fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader::new(bytes);
        let options = settings::read(&mut reader);
        let mut steps = Vec::new();
        let mut ids = BTreeSet::new();
        while let Some(first) = reader.next().filter(|_| steps.len() < MOST_STEPS) {
            read_step(first, &mut reader, &mut ids, &mut steps);
        }
        Self { options, steps }
    }

    /// Writes bytes that read as this plan, if all its steps can be written: those of a golden session can.
    pub fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        settings::write(&mut writer, &self.options);
        for step in &self.steps {
            write_step(&mut writer, step);
        }
        writer.into_bytes()
    }

    /// A golden session's options and inputs.
    pub fn of(golden: &Golden) -> Self {
        let mut steps = Vec::new();
        let mut now = 0;
        for (at, input) in &golden.inputs {
            let wait = at.as_micros().saturating_sub(now);
            now += wait;
            steps.extend((wait > 0).then_some(Step::Wait(wait)));
            steps.push(Step::Input(input.clone()));
        }
        Self { options: golden.header.options.clone().into(), steps }
    }
}

fn read_step(first: u8, reader: &mut Reader<'_>, ids: &mut BTreeSet<CommandId>, steps: &mut Vec<Step>) {
    let connection = match first >> 4 {
        back if back < FROM_THE_LATEST => ConnectionId(LATEST - u32::from(back)),
        number => ConnectionId(u32::from(number - FROM_THE_LATEST)),
    };
    let step = match KINDS[usize::from(first & 15)] {
        Kind::WaitMillis => Step::Wait(u64::from(reader.byte()) * 1_000),
        Kind::WaitLong => {
            let micros = u64::from(reader.byte()) * 500_000;
            if first >= 128 { Step::Oversleep(micros) } else { Step::Wait(micros) }
        }
        Kind::WaitMicros => Step::Wait(reader.number()),
        Kind::Timer => Step::Input(Input::Timer),
        Kind::Back => Step::Back(u64::from(reader.byte()) * 100_000),
        Kind::Text => Step::Input(Input::Text(connection, texts::read(reader))),
        Kind::Spoiled => Step::Input(Input::Text(connection, texts::spoiled(reader))),
        Kind::Raw => Step::Input(Input::Text(connection, reader.text())),
        Kind::Command => {
            let origin = if reader.byte() & 1 == 1 { OF_A_LISTENER } else { 0 };
            let command = commands::command(reader);
            Step::Input(Input::Command(new_id(origin, ids), command.into()))
        }
        Kind::ExactCommand => {
            let id = reader.number();
            let Some(command) = reader.json() else { return };
            let origin = id & OF_A_LISTENER;
            let id = CommandId(u64::from(id as u32) | origin);
            let id = if ids.insert(id) { id } else { new_id(origin, ids) };
            Step::Input(Input::Command(id, command))
        }
        Kind::Media => Step::Input(Input::Media(commands::media(reader))),
        Kind::ExactMedia => {
            let Some(media) = reader.json() else { return };
            Step::Input(Input::Media(media))
        }
        Kind::Connected => Step::Input(Input::Connected(connection, UnixTime::from_micros(reader.number()))),
        Kind::Disconnected => {
            let Some(reason) = disconnect_reason(reader) else { return };
            Step::Input(Input::Disconnected(connection, reason))
        }
        Kind::Other => other(connection, reader),
        Kind::Several => return several(connection, reader, steps),
    };
    steps.push(step);
}

fn write_step(writer: &mut Writer, step: &Step) {
    let first = |kind: Kind, ConnectionId(number): ConnectionId| {
        let number = u8::try_from(number).unwrap_or_default().min(u8::MAX >> 4);
        kind as u8 | (number + FROM_THE_LATEST) << 4
    };
    match step {
        Step::Wait(micros) => {
            writer.byte(Kind::WaitMicros as u8);
            writer.number(*micros);
        }
        Step::Input(Input::Text(connection, text)) => {
            writer.byte(first(Kind::Raw, *connection));
            writer.text(text);
        }
        Step::Input(Input::Command(id, command)) => {
            writer.byte(Kind::ExactCommand as u8);
            writer.number(id.0);
            writer.json(command);
        }
        Step::Input(Input::Media(media)) => {
            writer.byte(Kind::ExactMedia as u8);
            writer.json(media);
        }
        Step::Input(Input::Connected(connection, wall)) => {
            writer.byte(first(Kind::Connected, *connection));
            writer.number(wall.as_micros());
        }
        Step::Input(Input::Disconnected(connection, reason)) => {
            writer.byte(first(Kind::Disconnected, *connection));
            writer.byte(EXACT);
            writer.json(reason);
        }
        _ => writer.byte(Kind::Timer as u8),
    }
}

/// An id that no command of the plan has.
fn new_id(origin: u64, ids: &mut BTreeSet<CommandId>) -> CommandId {
    let mut id = CommandId(origin | ids.len() as u64);
    while !ids.insert(id) {
        id.0 += 1;
    }
    id
}

/// The byte after which something stands as JSON.
const EXACT: u8 = u8::MAX;

fn disconnect_reason(reader: &mut Reader<'_>) -> Option<DisconnectReason> {
    const CODES: [u16; 8] = [1000, 1001, 1006, 1007, 1009, 1011, 1013, 4000];
    let kind = reader.byte();
    if kind == EXACT {
        return reader.json();
    }
    Some(match kind % 12 {
        code @ 0..8 => DisconnectReason::Closed {
            code: Some(CODES[usize::from(code)]),
            reason: if kind & 128 == 0 { String::new() } else { "session_expired".into() },
        },
        8 => DisconnectReason::Closed { code: None, reason: "insufficient_quota".into() },
        9 => DisconnectReason::Refused {
            status: 429,
            reason: "later".into(),
            retry_after: Some(reader.wait()),
        },
        10 => DisconnectReason::NotConnected {
            failure: ConnectFailure::Key,
            may_pass: false,
            reason: "no key".into(),
        },
        _ => DisconnectReason::Lost { reason: "reset".into() },
    })
}

fn other(connection: ConnectionId, reader: &mut Reader<'_>) -> Step {
    let item = |reader: &mut Reader<'_>| {
        let mut item = Item::user_text("said before");
        item.set_id(format!("ctx_{}", reader.byte() % 4).into());
        item
    };
    match reader.byte() % 8 {
        0 => Step::Move(Begin::Configure),
        1 => Step::Move(Begin::Attach),
        2 => Step::Input(Input::Shortfall(Shortfall::Unsent { bytes: reader.byte().into() })),
        3 => Step::Input(Input::Shortfall(Shortfall::Unread {
            item_id: texts::item_id(reader.byte()).into(),
            content_index: 0,
            start: reader.byte().into(),
            lost: reader.byte().into(),
        })),
        4 => Step::Input(Input::Shortfall(Shortfall::TooSlow)),
        5 => Step::Input(Input::Seed(connection, Box::default())),
        6 => {
            let items = vec![item(reader), item(reader)];
            Step::Input(Input::Seed(connection, Seed { items, ..Seed::default() }.into()))
        }
        _ => {
            let item = item(reader);
            let replaces = item.id().map(|id| ("$item".into(), id)).into_iter().collect();
            let instructions = Some(format!("rule {}", reader.byte() % 2));
            let seed = Seed { instructions, items: vec![item], replaces, omitted: 1 };
            Step::Input(Input::Seed(connection, seed.into()))
        }
    }
}

/// Inputs that belong together, so that few bytes lead far.
fn several(connection: ConnectionId, reader: &mut Reader<'_>, steps: &mut Vec<Step>) {
    let kind = reader.byte();
    let names = reader.byte();
    let names_of_texts: &[&str] = match kind % 6 {
        0 => {
            steps.push(Step::Input(Input::Connected(connection, UnixTime::from_secs(DAWN))));
            &["session.created", "session.updated"]
        }
        1 => &["response.created", "item.added", "transcript.delta", "audio.delta"],
        2 => &["response.created", "response.done"],
        3 => &["response.created", "item.added", "audio.delta", "response.done"],
        4 => &["response.created", "response.done.calls"],
        _ => &["speech_started", "speech_stopped", "committed", "user.added"],
    };
    for name in names_of_texts {
        steps.push(Step::Input(Input::Text(connection, texts::named(name, names))));
    }
    if kind.is_multiple_of(6) {
        steps.push(Step::Input(Input::Seed(connection, Box::default())));
    }
}
