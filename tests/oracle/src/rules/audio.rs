//! Input audio and the user's turns.

use serde_json::json;

use super::Pair;
use crate::facts::Moment;
use crate::scenario::audio_bytes;
use crate::trace::{Record, Trace, audio_digest};
use crate::turns::Turns;

pub(super) fn nothing_before_ready(pair: &mut Pair<'_>) -> bool {
    const HELD_BYTES: u64 = 2000 * 48;

    let moments = &pair.moments;
    let early = |record: &Record| {
        let moment = &moments[record.step];
        // What is kept back for a turn waits for that turn.
        let waits = record.kind() != "session.update" && !(is_append(record) && moment.pre_roll);
        record.channel == "client" && waits && moment.connection > 0 && !moment.ready
    };
    let (mut early, rest): (Vec<Record>, Vec<Record>) = pair.seed.records.drain(..).partition(early);
    pair.seed.records = rest;
    let changed = !early.is_empty();
    let last = moments.iter().map(|moment| moment.connection).max().unwrap_or_default();
    for connection in 1..=last {
        let in_connection = |step: usize| moments[step].connection == connection;
        let Some(ready) = (0..moments.len()).find(|step| in_connection(*step) && moments[*step].ready) else {
            continue;
        };
        let mut mine: Vec<Record> = early.extract_if(.., |record| in_connection(record.step)).collect();
        if mine.is_empty() {
            continue;
        }
        // The oldest audio goes first when there is too much.
        let held: u64 = mine.iter().map(audio_len).sum();
        let mut surplus = held.saturating_sub(HELD_BYTES).next_multiple_of(2);
        mine.retain_mut(|record| {
            let cut = surplus.min(audio_len(record));
            surplus -= cut;
            let rest = usize::try_from(cut).ok().filter(|cut| *cut > 0);
            let bytes = input_bytes(&moments[record.step]);
            if let (Some(cut), Some(bytes), Some(event)) = (rest, bytes, record.event_mut()) {
                event.insert("audio".into(), audio_digest(&bytes[cut..]));
            }
            cut == 0 || audio_len(record) > 0
        });
        let events = mine.iter().map(|record| record.event().clone()).collect();
        pair.seed.insert_client(ready, true, events);
    }
    changed
}

fn audio_len(record: &Record) -> u64 {
    record.event()["audio"]["$audio"]["len"].as_u64().unwrap_or_default()
}

fn input_bytes(moment: &Moment) -> Option<Vec<u8>> {
    audio_bytes(&moment.audio.as_ref()?["audio"])
}

fn is_append(record: &Record) -> bool {
    record.channel == "client" && record.kind() == "input_audio_buffer.append"
}

pub(super) fn input_format(pair: &mut Pair<'_>) -> bool {
    /// What the filter of a conversion may hold back.
    const SLACK_BYTES: u64 = 10 * 48;

    let (mut due, mut came, mut changed) = (0, 0, false);
    for (step, moment) in pair.moments.iter().enumerate() {
        let Some(frame) = &moment.audio else { continue };
        let here = |record: &Record| is_append(record) && record.step == step;
        let (rate, channels) = (frame["sample_rate"].as_u64(), frame["num_channels"].as_u64().unwrap_or(1));
        if moment.input_bytes != 48 || frame["audio"]["bytes"] == 0 {
            changed |= pair.seed.drop_client(here);
        } else if rate.is_some_and(|rate| rate != 24_000) || channels != 1 {
            let bytes = |trace: &Trace| trace.records.iter().filter(|r| here(r)).map(audio_len).sum::<u64>();
            due += bytes(&pair.seed) * 24_000 / rate.unwrap_or(24_000) / channels;
            came += bytes(&pair.ours);
            if came <= due && due - came <= SLACK_BYTES {
                // What the filter makes of it is its own affair; that it is one event is not.
                if !pair.ours.records.iter().any(here) {
                    pair.seed.drop_client(here);
                }
                for record in pair.seed.records.iter_mut().chain(&mut pair.ours.records).filter(|r| here(r)) {
                    record.event_mut().map(|event| event.insert("audio".into(), "resampled".into()));
                }
                changed = true;
            }
        }
    }
    changed
}

pub(super) fn no_clear(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    pair.seed.drop_client(|record| {
        let moment = &moments[record.step];
        record.kind() == "input_audio_buffer.clear" && moment.interrupts && moment.manual
    })
}

pub(super) fn pre_roll(pair: &mut Pair<'_>) -> bool {
    let (mut turns, mut connection, mut changed) = (Turns::default(), 0, false);
    for step in 0..pair.moments.len() {
        let moment = pair.moments[step].clone();
        if std::mem::replace(&mut connection, moment.connection) != moment.connection {
            turns = Turns::default();
        }
        if moment.interrupts && moment.manual && moment.ready {
            let append = |audio: Vec<u8>| json!({ "type": "input_audio_buffer.append", "audio": audio_digest(&audio) });
            pair.seed.insert_client(step, false, turns.begin().into_iter().map(append).collect());
            // Playback is asked for its position first, so truncations may come after the audio.
            if pair.scenario.header.plays() {
                pair.seed.move_back(step, "conversation.item.truncate");
                pair.ours.move_back(step, "conversation.item.truncate");
            }
        }
        if pair.seed.sends(step, "input_audio_buffer.append")
            && let Some(bytes) = input_bytes(&moment)
            && turns.audio(moment.pre_roll, bytes)
        {
            changed |= pair.seed.drop_client(|record| is_append(record) && record.step == step);
        }
        if moment.stops {
            turns.end();
        }
    }
    changed
}

pub(super) fn too_short(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    let kinds = ["input_audio_buffer.commit", "response.create"];
    pair.seed.drop_client(|record| moments[record.step].too_short && kinds.contains(&record.kind()))
}

pub(super) fn as_the_server_says(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    let turns =
        ["input_audio_buffer.clear", "response.cancel", "input_audio_buffer.commit", "response.create"];
    pair.seed.drop_client(|record| {
        let moment = &moments[record.step];
        (moment.interrupts || moment.stops) && !moment.manual && turns.contains(&record.kind())
    })
}
