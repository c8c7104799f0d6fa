//! What is chosen for a service: [`RealtimeService`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
#[cfg(feature = "webrtc")]
use realtime_client::WebRtc;
use realtime_client::{ActiveCall, Client, ClientOptions, ConnectError, Endpoint};
use realtime_context::{Conversation, Toolbox};
use realtime_protocol::call::Reconnect;
use realtime_protocol::item::Item;
use realtime_protocol::session_config::{Modality, SessionConfig};

use crate::chain::Samples;
use crate::service::Core;
use crate::service::ask::Asking;
use crate::service::core::OnItem;
use crate::service::hear::Hearing;
use crate::service::measure::Stopwatch;

/// A call that is being connected.
pub(crate) type Connecting = BoxFuture<'static, Result<ActiveCall, ConnectError>>;

type Connect = Box<dyn FnOnce(Endpoint, ClientOptions) -> Connecting + Send>;

pub(super) type Clips = BTreeMap<Arc<str>, Samples>;

/// A speech-to-speech model, and what a call to it begins with.
///
/// [`core`](Self::core) is its stage. The task that is given the service connects to the model when the run
/// starts, and makes another connection with the same conversation when one is lost.
#[doc(alias("OpenAIRealtimeLLMService", "OpenAIRealtimeBetaLLMService"))]
pub struct RealtimeService {
    endpoint: Endpoint,
    client: ClientOptions,
    connect: Option<Connect>,
    conversation: Conversation,
    toolbox: Toolbox,
    paused: bool,
    transcripts: bool,
    clips: Clips,
    on_item: OnItem,
}

impl RealtimeService {
    /// A service at this endpoint, with the defaults: a new conversation, no tools, and reconnection.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            client: ClientOptions::default().reconnect(Reconnect::default()),
            connect: None,
            conversation: Conversation::new(),
            toolbox: Toolbox::new(),
            paused: false,
            transcripts: true,
            clips: Clips::new(),
            on_item: OnItem::default(),
        }
    }

    /// Replaces the client's options: deadlines, log, listeners, agents, guards, whether it reconnects. Give
    /// the conversation and the tools by [`conversation`](Self::conversation) and
    /// [`toolbox`](Self::toolbox); those in the options are taken as if given so.
    #[must_use]
    pub fn client(mut self, mut options: ClientOptions) -> Self {
        if let Some(conversation) = options.conversation.take() {
            self.conversation = conversation;
        }
        if let Some(toolbox) = options.toolbox.take() {
            self.toolbox = toolbox;
        }
        self.client = options;
        self
    }

    /// Connects in another way than over the network: over the application's streams or wires.
    ///
    /// ```
    /// use realtime_pipeline::client::{Client, Endpoint};
    /// use realtime_pipeline::service::RealtimeService;
    ///
    /// # fn service() -> Result<RealtimeService, Box<dyn std::error::Error>> {
    /// let endpoint = Endpoint::new("ws://in-memory", "gpt-realtime")?;
    /// let service = RealtimeService::new(endpoint).connect_with(|endpoint, options| {
    ///     Client::over_streams(|| async { Ok(tokio::io::duplex(1 << 16).0) }, endpoint, options)
    /// });
    /// # Ok(service)
    /// # }
    /// ```
    #[must_use]
    pub fn connect_with<F>(
        mut self,
        connect: impl FnOnce(Endpoint, ClientOptions) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<ActiveCall, ConnectError>> + Send + 'static,
    {
        self.connect = Some(Box::new(move |endpoint, options| connect(endpoint, options).boxed()));
        self
    }

    /// Connects by WebRTC, also when reconnecting. The model's speech comes at the pace at which it is to be
    /// heard, and the server knows what was heard: an interruption drops what waits here and truncates
    /// nothing.
    #[cfg(feature = "webrtc")]
    #[must_use]
    pub fn webrtc(self, webrtc: WebRtc) -> Self {
        self.connect_with(move |endpoint, options| Client::over_webrtc(webrtc, endpoint, options))
    }

    /// The session's configuration.
    #[doc(alias = "session_properties")]
    #[must_use]
    pub fn session(mut self, config: SessionConfig) -> Self {
        self.client.session.config = config;
        self
    }

    /// The conversation that the call continues.
    #[doc(alias = "create_context_aggregator")]
    #[must_use]
    pub fn conversation(mut self, conversation: Conversation) -> Self {
        self.conversation = conversation;
        self
    }

    /// The functions that the model may call.
    #[doc(alias = "register_function")]
    #[must_use]
    pub fn toolbox(mut self, toolbox: Toolbox) -> Self {
        self.toolbox = toolbox;
        self
    }

    /// Whether the user's audio is kept from the session until an intent
    /// [`PauseInput(false)`](crate::chain::Intent::PauseInput). Default: no.
    #[doc(alias = "start_audio_paused")]
    #[must_use]
    pub const fn input_paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Whether the user's transcripts are told as frames. Default: yes. The conversation has them anyway.
    #[doc(alias = "send_transcription_frames")]
    #[must_use]
    pub const fn transcripts(mut self, told: bool) -> Self {
        self.transcripts = told;
        self
    }

    /// A clip that can be played by its name, such as the filler of a slow function.
    #[must_use]
    pub fn clip(mut self, name: impl Into<Arc<str>>, audio: Samples) -> Self {
        self.clips.insert(name.into(), audio);
        self
    }

    /// Calls `hook` with each item that gets its place in the conversation.
    #[doc(alias = "on_conversation_item_created")]
    #[must_use]
    pub fn on_item_created(mut self, hook: impl FnMut(&Item) + Send + 'static) -> Self {
        self.on_item.created = Some(Box::new(hook));
        self
    }

    /// Calls `hook` with each item that is final.
    #[doc(alias = "on_conversation_item_updated")]
    #[must_use]
    pub fn on_item_updated(mut self, hook: impl FnMut(&Item) + Send + 'static) -> Self {
        self.on_item.updated = Some(Box::new(hook));
        self
    }

    /// The service's stage, for one chain. Hooks go with the first one.
    pub fn core(&mut self) -> Core {
        let config = &self.client.session.config;
        let modalities = config.output_modalities.value();
        let speaks = modalities.is_none_or(|all| all.contains(&Modality::Audio));
        Core {
            hearing: Hearing::new(config, self.paused),
            asking: Asking::new(self.conversation.clone(), self.toolbox.clone()),
            stopwatch: Stopwatch::default(),
            clips: self.clips.clone(),
            speaks,
            transcripts: self.transcripts,
            on_item: std::mem::take(&mut self.on_item),
            running_responses: 0,
            stopping: 0,
        }
    }

    /// The conversation of the call.
    pub const fn its_conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Where the model is, and the client's options with the conversation and the tools, for a driver of
    /// one's own. Take the stage by [`core`](Self::core) first.
    pub fn into_client(self) -> (Endpoint, ClientOptions) {
        (self.endpoint, self.client.conversation(self.conversation).toolbox(self.toolbox))
    }

    /// Connects. The task polls the call.
    pub(crate) fn connect(mut self) -> Connecting {
        let connect = self.connect.take();
        let (endpoint, options) = self.into_client();
        let options = options.polled();
        match connect {
            Some(connect) => connect(endpoint, options),
            None => Client::connect(endpoint, options).boxed(),
        }
    }
}

impl fmt::Debug for RealtimeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealtimeService")
            .field("endpoint", &self.endpoint)
            .field("client", &self.client)
            .field("input_paused", &self.paused)
            .field("transcripts", &self.transcripts)
            .finish_non_exhaustive()
    }
}
