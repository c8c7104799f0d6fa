//! What holds at each step of a scenario, worked out from the scenario alone: a reference for the rules,
//! which shares no code with the session.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::floor::{Begins, Floor};
use super::scenario::{Scenario, Step, audio_bytes, delta_bytes};
use super::trace::Trace;
use super::turns::Turns;

/// How long a session waits for its configuration to be acknowledged (ms).
const READY_WAIT: u64 = 5000;

/// How long a cancelled response is waited for (ms).
const CANCEL_WAIT: u64 = 10_000;

/// What holds at one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    /// The clock at its end (ms).
    pub(super) at: u64,
    /// How many connections were opened by its end.
    pub(super) connection: usize,
    pub(super) created: bool,
    pub(super) ready: bool,
    /// What is to be cancelled: the response that runs, or the one that was asked for and has no id yet.
    pub(super) cancel: Option<Option<String>>,
    /// Someone other than the server says that the user interrupts.
    pub(super) interrupts: bool,
    /// Someone other than the server says that the user has spoken.
    pub(super) stops: bool,
    /// Of what was spoken there is too little to make an item.
    pub(super) too_short: bool,
    /// The session detects no turns.
    pub(super) manual: bool,
    /// The end of a turn that it detects makes it respond.
    pub(super) responds: bool,
    /// It detected none when the connection was opened, so that audio from before a turn is kept back.
    pub(super) pre_roll: bool,
    /// Bytes of input audio for a millisecond; 48 for PCM.
    pub(super) input_bytes: u64,
    /// The input frame.
    pub(super) audio: Option<Value>,
    /// The user interrupts: what the server must be told was heard, as item, part and milliseconds.
    pub(super) heard: Option<Vec<(String, u64, u64)>>,
    /// A response that comes so late that nobody waits for it any more.
    pub(super) late: Option<String>,
    /// The events that the server sends.
    pub(super) server: Vec<Value>,
    /// The other implementation hears the server no more, from this step on.
    pub(super) deaf: bool,
    /// It went deaf before it was ready.
    pub(super) never_ready: bool,
    /// Its pipeline was cancelled, in this step or before.
    pub(super) gone: bool,
    /// The context whose run is asked for.
    pub(super) context: Option<String>,
    /// The user interrupts, and something is to be heard or runs.
    pub(super) cuts: bool,
    /// The scenario ends the run.
    pub(super) ends: bool,
}

/// The moments of a scenario; the first is the start, before step 1.
pub(super) fn moments(scenario: &Scenario, seed: &Trace) -> Vec<Moment> {
    let mut world = World::new(scenario);
    let mut moments = Vec::new();
    for number in 0..=scenario.steps.len() + 1 {
        let mut moment = Moment::default();
        let heard = seed.sends(number, "input_audio_buffer.append");
        for (_, step) in scenario.numbered().filter(|(at, _)| *at == number) {
            world.take(step, heard, &mut moment);
        }
        world.note_connections(number, seed, &mut moment);
        if !moment.too_short {
            let asked = seed.of(number, "client").filter(|record| record.kind() == "response.create");
            for _ in asked {
                world.floor.request(world.at);
            }
        }
        world.floor.release(world.at);
        moment.at = world.at;
        moment.connection = world.connection;
        moment.created = world.created.is_some();
        moment.ready = world.ready;
        moment.manual = world.manual;
        moment.responds = world.speech_responds;
        moment.pre_roll = world.pre_roll;
        moment.input_bytes = world.input_bytes;
        moment.deaf = world.deaf;
        moment.never_ready = world.never_ready;
        moment.gone = world.gone;
        moments.push(moment);
    }
    moments
}

/// The server, the clock and the loudspeaker.
#[derive(Debug, Default)]
struct World {
    at: u64,
    plays: bool,
    connection: usize,
    created: Option<u64>,
    ready: bool,
    manual: bool,
    pre_roll: bool,
    speech_interrupts: bool,
    speech_responds: bool,
    input_bytes: u64,
    output_bytes: u64,
    floor: Floor,
    turns: Turns,
    /// The response that was asked for is not wanted any more.
    unwanted: bool,
    /// What was cancelled, and when.
    cancelled: Vec<(Option<String>, u64)>,
    running: Option<String>,
    interrupted: BTreeSet<String>,
    parts: Vec<Part>,
    deaf: bool,
    never_ready: bool,
    gone: bool,
    ended: bool,
}

/// The audio of a content part; times in ms, with fractions.
#[derive(Debug)]
struct Part {
    response: String,
    item: String,
    index: u64,
    received: f64,
    whole: bool,
    /// When it begins to play, if nobody says how far it is.
    begins: f64,
    reported: f64,
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let mut world = Self {
            plays: scenario.header.plays(),
            speech_interrupts: true,
            speech_responds: true,
            input_bytes: 48,
            output_bytes: 48,
            ..Self::default()
        };
        world.learn(&scenario.header.service.session_properties);
        world
    }

    /// Takes over what a configuration says.
    fn learn(&mut self, config: &Map<String, Value>) {
        if let Some(detection) = config.get("turn_detection") {
            self.manual = matches!(detection, Value::Null | Value::Bool(false));
            self.speech_interrupts = detection["interrupt_response"] != false;
            self.speech_responds = detection["create_response"] != false;
        }
        let bytes = |format: &Value| if format == "pcm16" { 48 } else { 8 };
        for (name, target) in
            [("input_audio_format", &mut self.input_bytes), ("output_audio_format", &mut self.output_bytes)]
        {
            if let Some(format) = config.get(name).filter(|format| format.is_string()) {
                *target = bytes(format);
            }
        }
    }

    fn take(&mut self, step: &Step, heard: bool, moment: &mut Moment) {
        match step {
            Step::Server(events) => {
                for event in events {
                    self.server(event, moment);
                    moment.server.push(event.clone());
                }
            }
            Step::ServerRaw(_) => moment.server.push(Value::Null),
            Step::Clock(millis) => {
                self.at = self.at.max(*millis);
                self.ready |= self.created.is_some_and(|created| created + READY_WAIT <= self.at);
                self.floor.pass(self.at);
            }
            Step::Play(millis) => self.play(*millis),
            Step::Frame(frame) => self.frame(frame, heard, moment),
            Step::ContextFrame(name) => moment.context = Some(name.clone()),
            _ => {}
        }
    }

    fn frame(&mut self, frame: &Value, heard: bool, moment: &mut Moment) {
        match frame["type"].as_str().unwrap_or_default() {
            "InputAudioRawFrame" => {
                moment.audio = Some(frame.clone());
                if let Some(bytes) = audio_bytes(&frame["audio"]).filter(|_| heard) {
                    self.turns.audio(self.pre_roll, bytes);
                }
            }
            "StartInterruptionFrame" => {
                moment.interrupts = true;
                self.cancel(moment);
                self.interrupt(moment);
                if self.manual && self.ready {
                    self.turns.begin();
                }
            }
            "UserStoppedSpeakingFrame" => {
                moment.stops = true;
                moment.too_short = self.manual && !self.turns.end();
            }
            "BotStoppedSpeakingFrame" if !self.plays => {
                self.parts.iter_mut().for_each(|part| part.reported = part.received);
            }
            "LLMUpdateSettingsFrame" => {
                if let Some(settings) = frame["settings"].as_object() {
                    self.learn(settings);
                }
            }
            "EndFrame" | "CancelFrame" => {
                self.ended = true;
                moment.ends = true;
            }
            _ => {}
        }
    }

    fn server(&mut self, event: &Value, moment: &mut Moment) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let response = &event["response"];
        let begins = self.floor.server(event, self.at, self.speech_responds);
        match event["type"].as_str().unwrap_or_default() {
            "session.created" => {
                self.created = Some(self.at);
                event["session"].as_object().into_iter().for_each(|config| self.learn_formats(config));
            }
            "session.updated" => {
                self.ready = self.created.is_some();
                event["session"].as_object().into_iter().for_each(|config| self.learn(config));
            }
            "response.created" if begins.is_some() => {
                self.running = response["id"].as_str().map(str::to_owned);
                let unwanted = begins == Some(Begins::Asked) && std::mem::take(&mut self.unwanted);
                if begins == Some(Begins::TooLate) {
                    moment.late.clone_from(&self.running);
                    self.cancelled.push((self.running.clone(), self.at));
                }
                if unwanted || moment.late.is_some() {
                    self.interrupted.extend(self.running.clone());
                }
            }
            "response.done" => {
                let id = response["id"].as_str().unwrap_or_default();
                self.parts.iter_mut().filter(|part| part.response == id).for_each(|part| part.whole = true);
                self.cancelled.retain(|(what, _)| what.as_deref().is_some_and(|what| what != id));
                if self.running.as_deref() == Some(id) {
                    self.running = None;
                }
            }
            "response.audio.delta" if !self.interrupted.contains(&text("response_id")) => {
                if let Some(bytes) = delta_bytes(&event["delta"]) {
                    let index = event["content_index"].as_u64().unwrap_or(0);
                    self.receive(text("response_id"), text("item_id"), index, bytes);
                }
            }
            "response.audio.done" => {
                let item = text("item_id");
                self.parts.iter_mut().filter(|part| part.item == item).for_each(|part| part.whole = true);
            }
            "input_audio_buffer.speech_started" if self.speech_interrupts => self.interrupt(moment),
            _ => {}
        }
    }

    /// What the server begins with is its default, and says nothing of turns that were asked for.
    fn learn_formats(&mut self, config: &Map<String, Value>) {
        let mut config = config.clone();
        config.remove("turn_detection");
        self.learn(&config);
    }

    fn now(&self) -> f64 {
        self.at as f64
    }

    fn receive(&mut self, response: String, item: String, index: u64, bytes: u64) {
        let millis = (bytes / 2 * 2) as f64 / self.output_bytes as f64;
        let now = self.now();
        let found = self.parts.iter().position(|part| part.item == item && part.index == index);
        let at = found.unwrap_or_else(|| {
            let end = self.parts.last().map_or(now, |part| part.begins + part.received);
            let begins = end.max(now);
            self.parts.push(Part {
                response,
                item,
                index,
                received: 0.0,
                whole: false,
                begins,
                reported: 0.0,
            });
            self.parts.len() - 1
        });
        let part = &mut self.parts[at];
        part.begins = part.begins.max(now - part.received);
        part.received += millis;
    }

    /// Plays `millis` of the audio that came, in order.
    fn play(&mut self, millis: u64) {
        let mut left = millis as f64;
        for part in &mut self.parts {
            let played = (part.received - part.reported).min(left);
            part.reported += played;
            left -= played;
        }
    }

    fn played(&self, part: &Part) -> f64 {
        let elapsed = if self.plays { 0.0 } else { (self.now() - part.begins).max(0.0) };
        part.reported.max(elapsed).min(part.received)
    }

    /// What the assistant says, or is asked to say, is not wanted any more: it is cancelled, once.
    fn cancel(&mut self, moment: &mut Moment) {
        self.cancelled.retain(|(_, at)| self.at < at + CANCEL_WAIT);
        let requested = self.running.is_none() && self.floor.is_requested(self.at);
        if (requested || self.running.is_some())
            && !self.cancelled.iter().any(|(what, _)| *what == self.running)
        {
            self.cancelled.push((self.running.clone(), self.at));
            moment.cancel = Some(self.running.clone());
        }
        self.unwanted |= requested;
    }

    fn interrupt(&mut self, moment: &mut Moment) {
        let audible = self.parts.iter().any(|part| self.played(part) < part.received);
        let mut heard = Vec::new();
        moment.cuts |= audible || self.running.as_ref().is_some_and(|id| !self.interrupted.contains(id));
        if audible || self.running.is_some() {
            for part in &self.parts {
                let played = self.played(part);
                if part.received > 0.0 && !(part.whole && played >= part.received) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "whole milliseconds"
                    )]
                    heard.push((part.item.clone(), part.index, played as u64));
                }
            }
            self.parts.clear();
        }
        self.interrupted.extend(self.running.clone());
        moment.heard.get_or_insert_default().extend(heard);
    }

    /// What the other implementation's connections say of it.
    fn note_connections(&mut self, number: usize, seed: &Trace, moment: &mut Moment) {
        for record in seed.of(number, "conn") {
            match record.members["ev"].as_str().unwrap_or_default() {
                "open" => {
                    self.connection += 1;
                    (self.created, self.ready, self.running) = (None, false, None);
                    (self.floor, self.turns) = (Floor::default(), Turns::default());
                    self.unwanted = false;
                    self.cancelled.clear();
                    self.parts.clear();
                    self.pre_roll = self.manual;
                    (self.deaf, self.never_ready, self.gone) = (false, false, false);
                }
                "closed" => {
                    let by_client = record.members.get("by_client") == Some(&Value::Bool(true));
                    self.gone |=
                        by_client && !self.ended && moment.context.is_none() && !moment.server.is_empty();
                }
                "receive_loop" => {
                    self.never_ready |= !self.ready && !self.deaf;
                    self.deaf = true;
                }
                _ => {}
            }
        }
    }
}
