//! The realtime service: a processor around a client. All decisions are in the [adapter](crate::old::adapter).

use std::collections::VecDeque;
use std::sync::Arc;

use realtime_client::{Events, Handle, SendError};
use realtime_context::{Change, Conversation};
use realtime_protocol::call::Event;

use crate::old::adapter::{Adapter, Asked, NAME, Route};
use crate::old::cx::Cx;
use crate::old::error::{Error, Fault, Severity};
use crate::old::frame::{Direction, Frame, FrameKind};
use crate::old::processor::Processor;

/// A speech-to-speech model in a pipeline.
///
/// It stands between the user's audio and the [playout](crate::old::Playout). Input audio is converted to the
/// session's rate and appended, and also passed on, for a recorder; playback reports and
/// [commands](FrameKind::Command) end here. What the session tells becomes frames. When it tells to stop
/// playback, a new generation begins.
///
/// The client is connected outside and handed in. When the run stops, the session is closed; when the session
/// ends first, so does the run: with an error unless the close was asked for. The playout cannot hold: a run
/// whose session's [policy](realtime_protocol::session::InterruptionPolicy) holds playback fails when it
/// starts.
#[derive(Debug)]
pub struct RealtimeService {
    handle: Handle,
    events: Events,
    adapter: Adapter,
    conversation: Option<Conversation>,
    /// Events that came and are not handled yet: `ready` adds, `work` takes.
    arrived: VecDeque<Option<Event>>,
    life: Life,
    /// The last reported problem with input, so that each is reported once.
    complained: Option<String>,
}

/// The state of the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Life {
    Open,
    /// Its `Closed` event came.
    Closed,
    /// Its event stream has ended.
    Over,
}

impl RealtimeService {
    /// A service over a connected client.
    pub fn new(handle: Handle, events: Events) -> Self {
        Self {
            handle,
            events,
            adapter: Adapter::default(),
            conversation: None,
            arrived: VecDeque::new(),
            life: Life::Open,
            complained: None,
        }
    }

    /// Updates this conversation with what is said and heard, unless the client does so already: then only
    /// its changes become frames.
    #[must_use]
    pub fn conversation(mut self, conversation: Conversation) -> Self {
        self.conversation = Some(conversation);
        self
    }

    async fn tell(&mut self, event: Event, cx: &Cx) {
        // A processor that reads the conversation because of a frame must find it up to date.
        let changes = self.learn_from(&event);
        if matches!(event, Event::Closed { .. }) {
            self.life = Life::Closed;
        }
        for (kind, route) in self.adapter.frames(&Arc::new(event)) {
            if matches!(kind, FrameKind::StopPlayback { .. }) {
                let generation = cx.interrupt();
                tracing::debug!(
                    generation = generation.count(),
                    "playback stops: a new generation of frames"
                );
            }
            match route {
                Route::Downstream => cx.push(kind, Direction::Downstream).await,
                Route::Upstream => cx.push(kind, Direction::Upstream).await,
                Route::Both => cx.broadcast(kind).await,
            }
        }
        if !changes.is_empty() {
            cx.push(FrameKind::ContextUpdated(changes.into()), Direction::Downstream).await;
        }
    }

    fn give(&self, asked: Asked) -> Result<(), SendError> {
        match asked {
            Asked::Media(media) => self.handle.media(media),
            // The answers are dropped: those that matter come as events.
            Asked::Command(command) => self.handle.send(command).map(drop),
        }
    }

    /// Reports a problem, but not the same one repeatedly: input comes fifty times a second.
    async fn complain(&mut self, message: String, cx: &Cx) {
        if self.complained.as_ref() != Some(&message) {
            cx.push(FrameKind::fault(NAME, message.as_str()), Direction::Upstream).await;
            self.complained = Some(message);
        }
    }
}

impl Processor for RealtimeService {
    fn name(&self) -> &str {
        NAME
    }

    async fn start(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        if self.handle.interruption().holds() {
            return Err(Error::new(
                "expected an interruption policy that does not hold playback, since the playout cannot hold",
            ));
        }
        Ok(())
    }

    async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        match self.adapter.commands(&frame.kind, direction) {
            Ok(commands) => {
                for command in commands {
                    match self.give(command) {
                        // The end is told by an event, once.
                        Ok(()) | Err(SendError::Closed { .. }) => {}
                        Err(error) => self.complain(error.to_string(), cx).await,
                    }
                }
            }
            Err(error) => self.complain(error.to_string(), cx).await,
        }
        let ends_here = matches!(frame.kind, FrameKind::Playback(_) | FrameKind::Command(_));
        if !ends_here {
            cx.forward(frame, direction).await;
        }
        Ok(())
    }

    async fn ready(&mut self) {
        if !self.arrived.is_empty() {
            return;
        }
        if self.life == Life::Over {
            std::future::pending::<()>().await;
        }
        let event = self.events.next().await;
        self.arrived.push_back(event);
    }

    async fn work(&mut self, cx: &mut Cx) -> Result<(), Error> {
        match self.arrived.pop_front() {
            Some(Some(event)) => self.tell(event, cx).await,
            Some(None) => {
                if self.life == Life::Open {
                    let message = "the client's task ended without telling why".into();
                    let fault = Fault { processor: NAME.into(), message, severity: Severity::Fatal };
                    cx.push(FrameKind::Error(fault), Direction::Upstream).await;
                }
                self.life = Life::Over;
            }
            None => {}
        }
        Ok(())
    }

    /// End waits for a running response to end, up to the drain limit.
    fn is_idle(&self) -> bool {
        self.life != Life::Open || !self.adapter.has_running_response()
    }

    async fn stop(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        // It may have ended before, which is fine.
        drop(self.handle.close().await);
        // Events that came in the meantime still belong to the conversation, and the stream must be read to
        // its end for a clean close.
        while self.life != Life::Over {
            match self.arrived.pop_front() {
                Some(event) => self.learn(event),
                None => {
                    let event = self.events.next().await;
                    self.learn(event);
                }
            }
        }
        Ok(())
    }
}

impl RealtimeService {
    fn learn(&mut self, event: Option<Event>) {
        match event {
            None => self.life = Life::Over,
            Some(event) => drop(self.learn_from(&event)),
        }
    }

    fn learn_from(&self, event: &Event) -> Vec<Change> {
        match &self.conversation {
            Some(conversation) if conversation.is_listening() => conversation.take_changes(),
            Some(conversation) => conversation.observe(event),
            None => Vec::new(),
        }
    }
}
