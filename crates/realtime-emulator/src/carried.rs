//! A call whose audio the server itself carries, as a phone call by SIP or one by WebRTC: [`Carried`].

use std::sync::Arc;

use realtime_protocol::event::Dialect;
use realtime_protocol::session_config::SessionKind;
use realtime_protocol::time::Timestamp;
use realtime_protocol::tool::Secret;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::call::SharedCall;
use crate::connection::Connection;
use crate::disaster::LineOptions;
use crate::drive::Seeing;
use crate::handshake::{Asked, AskedCall};
use crate::options::Options;
use crate::registry::CallState;

/// A call, and what its first channel needs.
pub(crate) struct Carried {
    pub(crate) shared: Arc<SharedCall>,
    pub(crate) line: LineOptions,
    /// Whether its work may wait for a program.
    pub(crate) waits: bool,
    pub(crate) seeing: Seeing,
    /// Tells of its end.
    pub(crate) ended: watch::Receiver<bool>,
}

impl Carried {
    /// Begins the conversation of a call that was taken. `None`: there is no such call, or it has ended.
    pub(crate) fn call(id: &str, options: &Options) -> Option<Self> {
        let Some(CallState::Running(session, _, ended)) = options.registry.call(id) else { return None };
        let mut asked = Asked {
            model: String::new(),
            kind: SessionKind::Realtime,
            dialect: Dialect::Ga,
            session: Box::default(),
            key: Secret::default(),
            call: Some(AskedCall { id: id.to_owned(), ended: ended.clone() }),
            selects_realtime: false,
        };
        asked.begin_with(session);
        if asked.model.is_empty() {
            asked.model = "gpt-realtime".to_owned();
        }
        let wall = (options.wall)();
        let (number, own) = options.for_connection(&mut asked);
        let mut seeing = Seeing::begin(options, number, &asked, &own, wall);
        let line = options.for_line(&own, Secret::default());
        let waits = own.voice.waits_for_a_program();
        let make = || Connection::new(own, (options.brain)(), Timestamp::ZERO, wall);
        let shared = options.registry.join(id, make)?;
        shared.carry_sound();
        seeing.origin = shared.origin;
        Some(Self { shared, line, waits, seeing, ended })
    }
}

/// The user is heard: samples at 24 kHz. That may lead to an answer.
pub(crate) async fn hear(shared: &Arc<SharedCall>, waits: bool, at: Timestamp, samples: Vec<i16>) {
    if !waits {
        return shared.handle_sound(at, &samples);
    }
    let shared = Arc::clone(shared);
    if let Err(error) = spawn_blocking(move || shared.handle_sound(at, &samples)).await {
        std::panic::resume_unwind(error.into_panic());
    }
}
