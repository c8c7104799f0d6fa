//! The agents listen to their call: for the tools that hand over, and for what decides about the voice.

use realtime_protocol::call::{Command, ConnectionEvent, Event, FunctionEnd, Listener, Out};
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};

use crate::agent::{Agents, Stage, greet, lock};

impl Listener for Agents {
    fn on_event(&mut self, _now: Timestamp, _wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        match event {
            Event::Created { .. } => self.state().spoken = false,
            Event::Ready { .. } => {
                let before = std::mem::replace(&mut self.state().stage, Stage::Serving);
                if before != Stage::Serving
                    && let Some(greeting) = greet(&self.spec(), false)
                {
                    out.ask(greeting);
                }
            }
            Event::Connection(ConnectionEvent::Resumed { .. } | ConnectionEvent::Rotated { .. }) => {
                let voice = self.spec().voice;
                let mut state = self.state();
                state.stage = Stage::Serving; // one that goes on from another process is never told `Ready`
                if !state.spoken
                    && std::mem::take(&mut state.keeps_voice)
                    && let Some(voice) = voice
                {
                    let mut config = SessionConfig::default();
                    config.output_mut().voice = voice.as_str().into();
                    out.ask(Command::UpdateConfig { config: Box::new(config) });
                }
            }
            Event::Audio(_) => self.state().spoken = true,
            Event::ResponseStarted { out_of_band: false, .. } => *lock(&self.shared.handing) = None,
            Event::FunctionEnded { call, end: FunctionEnd::Result(_) } => {
                let spec = self.spec();
                let to = spec
                    .handoffs
                    .iter()
                    .find(|name| self.get(name).is_some_and(|agent| agent.handoff_tool() == call.name));
                if let Some(to) = to {
                    // It is one of the agents.
                    let _ = self.switch_to(to);
                }
            }
            Event::FunctionEnded { call, .. } => {
                // It did not hand over.
                lock(&self.shared.handing).take_if(|(call_id, _)| *call_id == call.call_id);
            }
            _ => {}
        }
        self.tell(out);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        (!self.state().notices.is_empty()).then_some(Timestamp::ZERO)
    }

    fn handle_timeout(&mut self, _now: Timestamp, out: &mut Out<'_>) {
        self.tell(out);
    }
}

impl Agents {
    fn tell(&self, out: &mut Out<'_>) {
        let notices = std::mem::take(&mut self.state().notices);
        notices.into_iter().for_each(|notice| out.tell(notice));
    }
}
