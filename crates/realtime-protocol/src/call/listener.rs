//! Hooks that get every event before the application does, and may give commands: [`Listener`].
//!
//! A driver holds them in one ordered list, [`Listeners`]. All of them get an event before anything that one
//! of them asks for is handled, so no listener sees an effect before its cause.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::call::{Command, CommandError, CommandId, Event, Media, Notice};
use crate::time::{Timestamp, UnixTime};

/// Gets every event of a call, in order, before the application does. Use it for conversation state, tools,
/// metrics and guards.
///
/// ```
/// use realtime_protocol::call::{Command, Event, Listener, Out};
/// use realtime_protocol::time::{Timestamp, UnixTime};
///
/// /// Ends the call after this many responses.
/// struct AtMost(u32);
///
/// impl Listener for AtMost {
///     fn on_event(&mut self, _now: Timestamp, _wall: UnixTime, event: &Event, out: &mut Out<'_>) {
///         if matches!(event, Event::ResponseFinished(_)) {
///             self.0 = self.0.saturating_sub(1);
///             if self.0 == 0 {
///                 out.ask(Command::Close {});
///             }
///         }
///     }
/// }
/// ```
pub trait Listener: Send {
    /// Handles an event. `wall` is the time of day.
    fn on_event(&mut self, now: Timestamp, wall: UnixTime, event: &Event, out: &mut Out<'_>);

    /// A listener's command was refused at once: this listener's own, or another's. Default: does nothing.
    fn on_refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError, out: &mut Out<'_>) {
        let _ = (now, id, error, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due. Default: `None`.
    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Time has passed. Default: does nothing.
    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        let _ = (now, out);
    }
}

/// Collects what a listener asks for and what it tells the application.
#[derive(Debug)]
pub struct Out<'a>(&'a mut Wishes);

impl Out<'_> {
    /// Asks for something. The answer comes as [`Event::Settled`] with this id, or as
    /// [`on_refused`](Listener::on_refused).
    pub fn ask(&mut self, command: Command) -> CommandId {
        self.0.ids += 1;
        let id = CommandId(LISTENER_COMMANDS | self.0.ids);
        self.0.asked.push_back(Asked::Command(id, command));
        id
    }

    /// Gives audio, or a playback report. It keeps its order among the commands.
    pub fn media(&mut self, media: Media) {
        self.0.asked.push_back(Asked::Media(media));
    }

    /// Tells the application something, after the event that led to it.
    pub fn tell(&mut self, notice: Notice) {
        self.0.notices.push_back(notice);
    }
}

/// What a listener asked for: an input of the call, logged as `from: listener`.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum Asked {
    /// A command.
    Command(CommandId, Command),
    /// Media.
    Media(Media),
}

#[derive(Debug, Default)]
struct Wishes {
    ids: u64,
    asked: VecDeque<Asked>,
    notices: VecDeque<Notice>,
}

/// The listeners of a call, in order.
///
/// A driver hands each event to [`hear`](Self::hear) before the application gets it. After all outputs of an
/// input, it takes the requests from [`poll_asked`](Self::poll_asked), one at a time, each as an input of its
/// own. Before each input of another kind it calls [`begin`](Self::begin).
#[derive(Default)]
pub struct Listeners {
    list: Vec<Box<dyn Listener>>,
    wishes: Wishes,
    /// Requests taken in a row.
    taken: usize,
}

/// This bit is set in the ids of listeners' commands: no driver's counter gets there.
const LISTENER_COMMANDS: u64 = 1 << 62;

/// The most requests that listeners may make in a row. Two listeners that answer each other would never stop.
pub const MOST_ASKED: usize = 64;

impl Listeners {
    /// Adds a listener. It gets each event after the listeners that were added before it.
    pub fn add(&mut self, listener: Box<dyn Listener>) {
        self.list.push(listener);
    }

    /// Returns whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Call this before an input that no listener asked for. The count of requests in a row restarts.
    pub const fn begin(&mut self) {
        self.taken = 0;
    }

    /// Hands an event to all listeners.
    pub fn hear(&mut self, now: Timestamp, wall: UnixTime, event: &Event) {
        for listener in &mut self.list {
            listener.on_event(now, wall, event, &mut Out(&mut self.wishes));
        }
    }

    /// A listener's command was refused at once: tells all listeners, and the application.
    pub fn refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError) {
        for listener in &mut self.list {
            listener.on_refused(now, id, error, &mut Out(&mut self.wishes));
        }
        let (command, reason) = (error.command.name(), error.reason.clone());
        self.wishes.notices.push_back(Notice::Refused { command, reason });
    }

    /// When the next listener's timeout is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.list.iter().filter_map(|listener| listener.poll_timeout()).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for listener in &mut self.list {
            if listener.poll_timeout().is_some_and(|due| due <= now) {
                listener.handle_timeout(now, &mut Out(&mut self.wishes));
            }
        }
    }

    /// The next request. After [`MOST_ASKED`] in a row all waiting requests are dropped, and the application
    /// is told.
    pub fn poll_asked(&mut self) -> Option<Asked> {
        let waiting = self.wishes.asked.len();
        if waiting > 0 && self.taken >= MOST_ASKED {
            self.wishes.asked.clear();
            self.wishes.notices.push_back(Notice::ListenersStopped { dropped: waiting });
            return None;
        }
        let asked = self.wishes.asked.pop_front()?;
        self.taken += 1;
        Some(asked)
    }

    /// The next notice for the application.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.wishes.notices.pop_front()
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("count", &self.list.len()).field("wishes", &self.wishes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Refusal;

    /// Asks for something at each event.
    struct Asks(Vec<Command>);

    impl Listener for Asks {
        fn on_event(&mut self, _: Timestamp, _: UnixTime, _: &Event, out: &mut Out<'_>) {
            for command in &self.0 {
                out.ask(command.clone());
            }
        }
    }

    fn event() -> Event {
        Event::Created { session_id: None }
    }

    fn hear(listeners: &mut Listeners) {
        listeners.hear(Timestamp::ZERO, UnixTime::from_secs(1), &event());
    }

    #[test]
    fn all_hear_an_event_before_what_one_asks_for_is_handled_and_in_their_order() {
        let mut listeners = Listeners::default();
        listeners.add(Box::new(Asks(alloc::vec![Command::Interrupt {}, Command::ClearAudio {}])));
        listeners.add(Box::new(Asks(alloc::vec![Command::Close {}])));
        hear(&mut listeners);
        let asked: Vec<_> = core::iter::from_fn(|| listeners.poll_asked()).collect();
        let commands: Vec<_> = asked
            .iter()
            .map(|asked| match asked {
                Asked::Command(id, command) => (id.0 & !LISTENER_COMMANDS, command.name()),
                Asked::Media(media) => (0, media.name()),
            })
            .collect();
        assert_eq!(commands, [(1, "interrupt"), (2, "clear_audio"), (3, "close")]);
    }

    #[test]
    fn listeners_that_answer_each_other_are_stopped_and_that_is_told() {
        let mut listeners = Listeners::default();
        listeners.add(Box::new(Asks(alloc::vec![Command::Interrupt {}])));
        hear(&mut listeners);
        let mut taken = 0;
        while listeners.poll_asked().is_some() {
            taken += 1;
            hear(&mut listeners); // each request leads to another event
        }
        assert_eq!(taken, MOST_ASKED);
        assert_eq!(listeners.poll_notice(), Some(Notice::ListenersStopped { dropped: 1 }));
        listeners.begin();
        hear(&mut listeners);
        assert!(listeners.poll_asked().is_some(), "another input, another row");
    }

    #[test]
    fn a_refusal_is_told() {
        let mut listeners = Listeners::default();
        let error = CommandError { command: Box::new(Command::Close {}), reason: Refusal::Ended };
        listeners.refused(Timestamp::ZERO, CommandId(1), &error);
        let notice = Notice::Refused { command: "close", reason: Refusal::Ended };
        assert_eq!(listeners.poll_notice(), Some(notice));
    }
}
