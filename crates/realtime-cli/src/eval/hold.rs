//! Holds the call of a scenario, in virtual time or in real time: [`hold`].

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_client::{Client, Endpoint, FileLog};
use realtime_context::{Conversation, Function};
use realtime_emulator::brain::{Brain, Parrot, Reply, Script, Speech, Turn};
use realtime_emulator::disaster::Disaster;
use realtime_emulator::voice::VoiceKind;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::chain::Ended;
use realtime_pipeline::edges::Discard;
use realtime_pipeline::task::{Finished, TaskError};
use realtime_pipeline::testing::{CallWatch, HeldCall, Mismatch};
use realtime_protocol::item::McpListedTool;
use realtime_protocol::time::UnixTime;
use realtime_protocol::tool::McpTool;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::agent::{LoadedAgent, Reach};
use crate::eval::caller::{Act, Caller, Gone};
use crate::eval::case::Place;
use crate::eval::ear::Ear;
use crate::eval::line::{Inside, Said};
use crate::eval::mouth::Mouth;
use crate::eval::scenario::{Ending, Time};
use crate::eval::voices::Sound;
use crate::{Error, one_line};

/// The time of day in virtual time: the same in every run, so that logs are the same too.
const VIRTUAL_NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// What a call is held with.
pub(super) struct Scene<'a> {
    pub(super) agent: &'a LoadedAgent,
    /// Functions that answer in place of the agent's own.
    pub(super) tools: Vec<Function>,
    pub(super) server: Server,
    pub(super) time: Time,
    pub(super) limit: Duration,
    pub(super) log: Option<PathBuf>,
    /// Changes when somebody wants all calls to end.
    pub(super) stop: watch::Receiver<bool>,
}

/// The model's server.
pub(super) enum Server {
    /// The emulator in this process, over streams in memory.
    Emulator(Box<EmulatorScene>),
    /// Another one.
    At(Box<Endpoint>),
}

/// What the emulator does.
pub(super) struct EmulatorScene {
    /// `None`: it says back what it hears.
    pub(super) script: Option<Script>,
    /// What goes wrong, once.
    pub(super) disasters: Vec<Disaster>,
    /// Its other options: what goes wrong on each connection.
    pub(super) options: Options,
}

/// A call that was held.
pub(super) struct Held {
    pub(super) call: HeldCall,
    /// What is known by its sound, at a phone.
    pub(super) sound: Option<Sound>,
    /// What the server did against the carrier's rules, at a phone, and how often.
    pub(super) violations: Vec<(String, usize)>,
    pub(super) ending: Ending,
    /// Why it ended, in words.
    pub(super) reason: String,
    pub(super) lasted: Duration,
    /// In the currency of the agent's prices.
    pub(super) cost: f64,
    /// What kept the caller from going on.
    pub(super) caller: Result<(), (Place, Mismatch)>,
}

/// Holds the call, to its end.
///
/// # Errors
/// It could not begin, or somebody wants all calls to end.
pub(super) async fn hold(mut scene: Scene<'_>, acts: Vec<Act>) -> Result<Held, Error> {
    let (watch, ear, mouth, said) = (CallWatch::new(), Ear::default(), Mouth::default(), Said::default());
    let (budget, conversation) = (scene.agent.budget(None), Conversation::new());
    let mut agent = scene
        .agent
        .agent(Reach::Phone, None)
        .conversation(conversation.clone())
        .observe(watch.clone())
        .observe(ear.clone());
    agent = std::mem::take(&mut scene.tools).into_iter().fold(agent, realtime_pipeline::Agent::function);
    let log = scene.log.as_ref().map(|path| match scene.time {
        Time::Virtual => FileLog::direct(path),
        Time::Real => FileLog::create(path),
    });
    let log = log.transpose().map_err(|error| format!("cannot write the session log: {error}"))?;
    let (spent, time) = (budget.clone(), scene.time);
    agent = agent.client(move |mut options| {
        options = options.listener(spent);
        if let Some(log) = log {
            options = options.log(log);
        }
        if time == Time::Virtual {
            options.session = options.session.entropy(1);
            options = options.wall(|| VIRTUAL_NOW);
        }
        options
    });
    let endpoint = match scene.server {
        Server::At(endpoint) => *endpoint,
        Server::Emulator(emulator) => {
            let mut open = emulator.streams(said.clone(), time);
            agent = agent.service(move |service| {
                service.connect_with(move |endpoint, client| {
                    Client::over_streams(move || std::future::ready(Ok(open())), endpoint, client)
                })
            });
            Endpoint::new("ws://emulator", scene.agent.model().unwrap_or("gpt-realtime"))?
        }
    };

    let began = Instant::now();
    let (task, _) = agent.task(endpoint, (mouth.source(), Discard::new()))?;
    let handle = task.handle().clone();
    let missed: Vec<Option<Place>> = acts.iter().map(Act::missed).collect();
    let (caller, done) = (Caller(Inside { ear, mouth, said, call: handle.clone() }), Cell::new(0));
    let (mut gone, mut stopped, mut is_late) = (None, false, false);
    let finished = {
        let (run, steps, limit) = (task.run(), caller.follow(acts, &done), sleep(scene.limit));
        tokio::pin!(run, steps, limit);
        loop {
            tokio::select! {
                biased;
                finished = &mut run => break finished,
                way = &mut steps, if gone.is_none() => gone = Some(way),
                () = &mut limit, if !is_late => {
                    is_late = true;
                    let _ = handle.cancel("the limit was reached");
                }
                // Who would ask for the end may have gone: then nobody does.
                Ok(_) = scene.stop.wait_for(|stop| *stop), if !stopped => {
                    stopped = true;
                    let _ = handle.cancel("interrupted");
                }
            }
        }
    };
    if stopped {
        return Err("interrupted before the call was over".into());
    }
    let hung_up = matches!(gone, Some(Ok(Gone::HungUp) | Err(_)));
    let (ending, reason) = ending(finished, is_late, hung_up);
    let caller = unfinished(gone, missed, done.get(), &reason);
    let (call, cost, lasted) = (watch.held(&conversation), budget.spent().total(), began.elapsed());
    Ok(Held { call, sound: None, violations: Vec::new(), ending, reason, lasted, cost, caller })
}

/// What kept the caller from going on: where its steps ended, or that the call was over before the next one
/// that it lacks.
pub(super) fn unfinished(
    gone: Option<Result<Gone, (Place, Mismatch)>>,
    missed: Vec<Option<Place>>,
    done: usize,
    reason: &str,
) -> Result<(), (Place, Mismatch)> {
    if let Some(way) = gone {
        return way.map(drop);
    }
    match missed.into_iter().skip(done).flatten().next() {
        Some(place) => {
            let got = format!("its end: {reason}");
            Err((place, Mismatch::new("the call to go on until this step is done", got)))
        }
        None => Ok(()),
    }
}

/// Who or what ended the call, and why, in words.
fn ending(finished: Result<Finished, TaskError>, is_late: bool, hung_up: bool) -> (Ending, String) {
    match finished.and_then(Finished::into_result) {
        _ if is_late => (Ending::Limit, "the limit of its time was reached".to_owned()),
        Err(error) => (Ending::Failure, one_line(&error)),
        Ok(_) if hung_up => (Ending::Caller, "the caller hung up".to_owned()),
        Ok(Finished { ended: Ended::Ended { reason }, .. }) if &*reason == "the agent hung up" => {
            (Ending::Agent, reason.to_string())
        }
        Ok(Finished { ended: Ended::Ended { reason } | Ended::Cancelled { reason }, .. }) => {
            (Ending::Silence, reason.to_string())
        }
        Ok(_) => (Ending::Silence, "the run is over".to_owned()),
    }
}

impl EmulatorScene {
    /// Opens a stream to the emulator, one for each connection of a call. The script goes on where it was.
    fn streams(self, said: Said, time: Time) -> impl FnMut() -> tokio::io::DuplexStream + Send + 'static {
        let mut options = self.options.voice(VoiceKind::demo(VoiceKind::Tones));
        if time == Time::Virtual {
            options = options.wall_clock(|| VIRTUAL_NOW);
        }
        let mut disasters = self.disasters;
        let brain: Box<dyn Brain> = match self.script {
            Some(script) => {
                disasters.extend_from_slice(script.disasters());
                Box::new(script)
            }
            None => Box::new(Parrot::new()),
        };
        let brain = KnowsWords { brain: Arc::new(Mutex::new(brain)), said };
        let options = options.brain(move || brain.clone());
        let mut first = Some(options.clone().disasters(disasters));
        move || {
            let (near, far) = tokio::io::duplex(1 << 20);
            tokio::spawn(serve_stream(far, first.take().unwrap_or_else(|| options.clone())));
            near
        }
    }
}

/// A brain that hears the caller's own words. Clones are the same.
#[derive(Clone)]
struct KnowsWords {
    brain: Arc<Mutex<Box<dyn Brain>>>,
    said: Said,
}

impl KnowsWords {
    fn with<T>(&self, f: impl FnOnce(&mut dyn Brain) -> T) -> T {
        f(&mut **self.brain.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Brain for KnowsWords {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        self.with(|brain| brain.reply(turn))
    }

    fn transcript(&mut self, speech: &Speech<'_>) -> Option<String> {
        // A script has to know that somebody spoke, whatever it expects to hear.
        let scripted = self.with(|brain| brain.transcript(speech));
        self.said.take().or(scripted)
    }

    fn is_finished(&mut self, speech: &Speech<'_>) -> bool {
        self.with(|brain| brain.is_finished(speech))
    }

    fn mcp_tools(&mut self, server: &McpTool) -> Result<Vec<McpListedTool>, String> {
        self.with(|brain| brain.mcp_tools(server))
    }
}
