//! A voice agent in a few lines: [`Agent`].
//!
//! ```no_run
//! use realtime_pipeline::{Agent, Endpoint, WavSink, WavSource};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = (WavSource::open("question.wav")?, WavSink::create("answer.wav")?);
//! let agent = Agent::new("You are a friendly host.").greeting("Greet the user.");
//! let call = agent.run(Endpoint::openai_from_env("gpt-realtime")?, transport).await?;
//! eprintln!("{}", call.transcript());
//! # Ok(())
//! # }
//! ```
//!
//! It is a [`Task`] that is put together as most agents need it: what the user
//! says goes to the [service](crate::service), its answer to the [playout](crate::playout), and the run ends
//! once the conversation is over. Every part can be replaced: see the methods.

pub mod demo;

mod phone_tools;

use std::fmt;
use std::time::Duration;

use realtime_client::{ClientOptions, Endpoint};
use realtime_context::{AgentSpec, Agents, Conversation, Function, Guard, Handler, Toolbox, Transcript};
use realtime_protocol::audio::WireFormat;
use realtime_protocol::call::Reconnect;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{SessionConfig, Transcription};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::chain::{Intent, Observer, Processor, Stages};
use crate::edges::{Sink, Transport};
use crate::playout::{PlaybackDelay, Playout};
use crate::service::RealtimeService;
use crate::task::{Finished, HangUp, Task, TaskError};
use crate::turns::FirstWord;

pub use phone_tools::PhoneTools;

/// A voice agent: what the model is told to be, its tools, and what stands in its chain.
///
/// From the microphone to the loudspeaker: [`HangUp`], the stages of [`listen`](Self::listen), the service,
/// the playout, the stages of [`speak`](Self::speak).
#[must_use = "it does nothing until it runs"]
pub struct Agent {
    spec: AgentSpec,
    others: Vec<AgentSpec>,
    /// The one that speaks first, where that is not this one.
    first: Option<String>,
    library: Toolbox,
    service: RealtimeServiceOptions,
    listen: Vec<Box<dyn Processor>>,
    speak: Vec<Box<dyn Processor>>,
    delay: Duration,
    playout: Option<Playout>,
    hang_up: Option<HangUp>,
    phone: Option<PhoneTools>,
    first_word: Option<FirstWord>,
    observers: Vec<Box<dyn Observer>>,
}

/// What the service is made of, once its endpoint is known.
struct RealtimeServiceOptions {
    client: ClientOptions,
    conversation: Conversation,
    change: Option<Change>,
}

/// What transcribes the user, unless the application says otherwise.
const TRANSCRIBER: &str = "gpt-4o-mini-transcribe";

type Change = Box<dyn FnOnce(RealtimeService) -> RealtimeService + Send>;

/// How an agent's call ended, and what was said in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentCall {
    /// How the run ended.
    pub finished: Finished,
    /// What was said.
    pub conversation: Conversation,
}

impl AgentCall {
    /// What was said, as a person reads it: of the agent, what was heard.
    pub fn transcript(&self) -> Transcript {
        self.conversation.transcript()
    }
}

impl Agent {
    /// An agent that is told to be this.
    pub fn new(instructions: impl Into<String>) -> Self {
        Self::from_spec(AgentSpec::new("agent", instructions).tools(["*"]))
    }

    /// The agent of a description, such as one that was read from a file. Its tools are those that are given
    /// here by their names.
    pub fn from_spec(spec: AgentSpec) -> Self {
        let mut config = SessionConfig::realtime();
        config.input_mut().transcription = Transcription::default().model(TRANSCRIBER).into();
        let session = SessionOptions::default().config(config);
        let client = ClientOptions::new(session).reconnect(Reconnect::default());
        Self {
            spec,
            others: Vec::new(),
            first: None,
            library: Toolbox::new(),
            service: RealtimeServiceOptions { client, conversation: Conversation::new(), change: None },
            listen: Vec::new(),
            speak: Vec::new(),
            delay: Duration::ZERO,
            playout: None,
            hang_up: Some(HangUp::new()),
            phone: None,
            first_word: None,
            observers: Vec::new(),
        }
    }

    /// What the model is told to say when the call begins. The user can't interrupt it by speaking.
    pub fn greeting(mut self, greeting: impl Into<String>) -> Self {
        self.spec.greeting = Some(greeting.into());
        self
    }

    /// When an agent that calls somebody greets: not at once, but after the other one's first word and a
    /// pause, or after some silence. So it does not talk into the announcement of an answering machine.
    pub fn greets_after(mut self, first_word: FirstWord) -> Self {
        self.first_word = Some(first_word);
        self
    }

    /// Adds tools by which the model acts on its phone call. They replace those that were added before.
    pub fn phone_tools(mut self, tools: PhoneTools) -> Self {
        let functions = tools.functions();
        self.phone = Some(tools);
        functions.into_iter().fold(self, Self::function)
    }

    /// The voice.
    pub fn voice(mut self, voice: impl Into<String>) -> Self {
        self.spec.voice = Some(voice.into());
        self
    }

    /// Adds a tool: a function with typed arguments. See [`Function::new`].
    pub fn tool<A, Takes>(
        self,
        name: impl Into<String>,
        description: impl Into<String>,
        handler: impl Handler<A, Takes>,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
    {
        self.function(Function::new(name, description, handler))
    }

    /// Adds a tool, with a policy of its own if it has one.
    pub fn function(mut self, function: Function) -> Self {
        let name = function.name();
        if !self.spec.tools.iter().any(|known| known == name || known == "*") {
            self.spec.tools.push(name.to_owned());
        }
        self.library = std::mem::take(&mut self.library).with(function);
        self
    }

    /// The tools of this agent and of those that it may hand over to. They are used by name:
    /// [`AgentSpec::tools`].
    pub fn library(mut self, library: Toolbox) -> Self {
        self.library = library;
        self
    }

    /// Changes the tools that were given so far, phone tools among them: such as to have each run written
    /// down first.
    pub fn change_library(mut self, change: impl FnOnce(&Toolbox) -> Toolbox) -> Self {
        self.library = change(&self.library);
        self
    }

    /// Adds an agent that this one may hand over to. It uses tools of the [`library`](Self::library).
    pub fn hands_over_to(mut self, other: AgentSpec) -> Self {
        self.spec.handoffs.push(other.name.clone());
        self.others.push(other);
        self
    }

    /// Which of the agents speaks first, where that is not this one: in a call that goes on after it was
    /// handed over.
    pub fn begins_with(mut self, name: impl Into<String>) -> Self {
        self.first = Some(name.into());
        self
    }

    /// The conversation that the call continues. Its own instructions do not hold.
    pub fn conversation(mut self, conversation: Conversation) -> Self {
        self.service.conversation = conversation;
        self
    }

    /// The session's configuration, besides instructions, tools and voice. Default: the server's own, and
    /// what the user says is transcribed by `gpt-4o-mini-transcribe`, for the conversation.
    ///
    /// A format of audio that it leaves open is the one that the transport needs not convert, such as G.711
    /// on the phone.
    pub fn session(mut self, config: SessionConfig) -> Self {
        self.service.client.session.config = config;
        self
    }

    /// Adds a guard: it looks at what the agent says, and may stop it and have something else said.
    pub fn guard(mut self, guard: impl Guard + 'static) -> Self {
        self.service.client = self.service.client.guard(guard);
        self
    }

    /// Changes the options of the client: its log, deadlines, reconnection, budget.
    pub fn client(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.service.client = change(self.service.client);
        self
    }

    /// Changes the service: clips, hooks, how it is reached.
    pub fn service(
        mut self,
        change: impl FnOnce(RealtimeService) -> RealtimeService + Send + 'static,
    ) -> Self {
        self.service.change = Some(Box::new(change));
        self
    }

    /// Adds a stage between the source and the service, such as one that detects turns.
    pub fn listen(mut self, stage: impl Processor) -> Self {
        self.listen.push(Box::new(stage));
        self
    }

    /// Adds a stage between the playout and the sink, such as a recorder.
    pub fn speak(mut self, stage: impl Processor) -> Self {
        self.speak.push(Box::new(stage));
        self
    }

    /// Keeps the beginning of each answer back for so long, so that what a [`guard`](Self::guard) stops
    /// within that time is not heard at all. Default: nothing is kept back.
    pub const fn playback_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Replaces the playout. Default: one that suits the sink.
    pub fn playout(mut self, playout: Playout) -> Self {
        self.playout = Some(playout);
        self
    }

    /// When the run ends by itself. `None`: it does not. Default: [`HangUp::new`].
    pub fn hang_up(mut self, hang_up: impl Into<Option<HangUp>>) -> Self {
        self.hang_up = hang_up.into();
        self
    }

    /// Adds an observer: it sees every frame on every hop.
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// The agent as a task, and its conversation: for a [`Runner`](crate::task::Runner), or to act on the run
    /// from outside.
    ///
    /// # Errors
    /// [`TaskError`] for names that don't fit, and for stages that can't work together.
    pub fn task(
        self,
        endpoint: Endpoint,
        transport: impl Transport,
    ) -> Result<(Task, Conversation), TaskError> {
        let Self { mut spec, others, library, service, listen, speak, delay, playout, hang_up, .. } = self;
        let Self { phone, first, first_word, observers, .. } = self;
        let first_word = first_word.map(|first_word| {
            let params = spec.greeting_params().map(Box::new);
            spec.greeting = None;
            first_word.then(Intent::Run { params, protected: true })
        });
        let (source, sink) = transport.split();
        let agents = Agents::new(std::iter::once(spec).chain(others))?;
        if let Some(first) = first {
            agents.switch_to(&first)?;
        }
        let RealtimeServiceOptions { mut client, conversation, change } = service;
        let config = &mut client.session.config;
        if let Some(format) =
            source.format().filter(|_| config.input().is_none_or(|input| input.format.is_absent()))
        {
            config.input_mut().format = WireFormat::from(format).into();
        }
        if let Some(format) =
            sink.pace().format.filter(|_| config.output().is_none_or(|output| output.format.is_absent()))
        {
            config.output_mut().format = WireFormat::from(format).into();
        }
        let mut service = RealtimeService::new(endpoint)
            .client(client.agents(agents))
            .conversation(conversation.clone())
            .toolbox(library);
        if let Some(change) = change {
            service = change(service);
        }
        let playout = playout.unwrap_or_else(|| suited_to(&*sink));
        let mut stages = Stages::new();
        if let Some(hang_up) = hang_up {
            stages = stages.then(hang_up);
        }
        let stages = listen.into_iter().fold(stages, Stages::then);
        let stages = first_word.into_iter().fold(stages, Stages::then);
        let stages = stages.then(service.core());
        let stages = if delay.is_zero() { stages } else { stages.then(PlaybackDelay::new(delay)) };
        let stages = speak.into_iter().fold(stages.then(playout), Stages::then);
        let mut task = Task::new(stages)?.service(service).source(source).sink(sink);
        if let Some(phone) = phone {
            phone.act_on(task.handle());
        }
        for observer in observers {
            task = task.observe(observer);
        }
        Ok((task, conversation))
    }

    /// Holds a call, to its end.
    ///
    /// # Errors
    /// [`TaskError`]: the call did not begin, a stage has failed, or the session ended before the
    /// conversation did. What was said until then is in the [`conversation`](Self::conversation), if it was
    /// given.
    pub async fn run(self, endpoint: Endpoint, transport: impl Transport) -> Result<AgentCall, TaskError> {
        let (task, conversation) = self.task(endpoint, transport)?;
        let finished = task.run().await?.into_result()?;
        Ok(AgentCall { finished, conversation })
    }
}

/// The playout that feeds a sink as it wants.
fn suited_to(sink: &dyn Sink) -> Playout {
    let pace = sink.pace();
    Playout::new().lead(pace.lead).reports(pace.reports).pad(pace.whole_chunks)
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.spec.name)
            .field("tools", &self.spec.tools)
            .field("hands_over_to", &self.spec.handoffs)
            .finish_non_exhaustive()
    }
}
