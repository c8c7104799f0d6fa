//! Input audio and the user's turns.

use serde_json::{Value, json};

use super::Pair;
use crate::oracle::facts::{Moment, Turns};
use crate::oracle::scenario::audio_bytes;
use crate::oracle::trace::{Record, Trace, audio_digest};

pub(super) fn nothing_before_ready(pair: &mut Pair<'_>) -> bool {
    const HELD_BYTES: usize = 2000 * 48;

    let moments = &pair.moments;
    let early = |record: &Record| {
        let moment = &moments[record.step];
        // What is kept back for a turn waits for that turn.
        let waits = record.kind() != "session.update" && !(is_append(record) && moment.pre_roll);
        record.channel == "client" && waits && moment.connection > 0 && !moment.ready
    };
    let (early, rest): (Vec<Record>, Vec<Record>) = pair.seed.records.drain(..).partition(early);
    pair.seed.records = rest;
    let last = moments.iter().map(|moment| moment.connection).max().unwrap_or_default();
    for connection in 1..=last {
        let mine = early.iter().filter(|record| moments[record.step].connection == connection);
        let (mut audio, others): (Vec<&Record>, Vec<&Record>) =
            mine.partition(|record| record.kind() == "input_audio_buffer.append");
        let ready = moments.iter().position(|moment| moment.connection == connection && moment.ready);
        let Some(ready) = ready else { continue };
        // The oldest goes first when there is too much.
        let length = |record: &Record| usize::try_from(audio_len(record)).unwrap_or_default();
        let mut surplus = audio.iter().map(|record| length(record)).sum::<usize>().saturating_sub(HELD_BYTES);
        while surplus > 0 && !audio.is_empty() && length(audio[0]) <= surplus {
            surplus -= length(audio.remove(0));
        }
        let mut events: Vec<Value> =
            audio.into_iter().chain(others).map(|record| record.event().clone()).collect();
        let first = early.iter().find(|record| moments[record.step].connection == connection);
        if let Some(cut) = events.first_mut().filter(|_| surplus > 0)
            && let Some(bytes) = first.and_then(|record| input_bytes(&moments[record.step]))
            && let Some(rest) = bytes.get(surplus.next_multiple_of(2)..)
        {
            cut["audio"] = audio_digest(rest);
        }
        pair.seed.insert_client(ready, true, events);
    }
    !early.is_empty()
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
            // Playback is asked first where it stands, so truncations may come behind the audio.
            if pair.scenario.header.plays() {
                pair.seed.move_back(step, "conversation.item.truncate");
                pair.ours.move_back(step, "conversation.item.truncate");
            }
        }
        if pair.seed.sends(step, "input_audio_buffer.append")
            && let Some(bytes) = input_bytes(&moment)
            && turns.audio(&moment, bytes)
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
    let (mut buffered, mut refused) = (0, Vec::new());
    for record in pair.seed.records.iter().filter(|record| record.channel == "client") {
        let moment = &pair.moments[record.step];
        match record.kind() {
            "input_audio_buffer.append" => buffered += audio_len(record),
            "input_audio_buffer.commit" if moment.stops && moment.manual && buffered < 100 * 48 => {
                refused.push(record.step);
            }
            "input_audio_buffer.commit" => buffered = 0,
            _ => {}
        }
    }
    let kinds = ["input_audio_buffer.commit", "response.create"];
    pair.seed.drop_client(|record| refused.contains(&record.step) && kinds.contains(&record.kind()))
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
