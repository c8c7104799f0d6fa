//! Those who hear everything before the application does, and may ask for something: [`Listener`].
//!
//! A driver holds them in one ordered list, [`Listeners`]. All hear an event before anything that one of them
//! asks for is handled, so that no listener sees half of a cause.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::call::{Command, CommandError, CommandId, Event, Media, Notice};
use crate::time::{Timestamp, UnixTime};

/// Hears every event of a call, in order, before the application does. A conversation, a tool desk, metrics
/// and guards are listeners.
///
/// ```
/// use realtime_protocol::call::{Command, Event, Listener, Out};
/// use realtime_protocol::time::{Timestamp, UnixTime};
///
/// /// Ends the call after so many responses.
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
    /// Hears an event. `wall` is the time of day.
    fn on_event(&mut self, now: Timestamp, wall: UnixTime, event: &Event, out: &mut Out<'_>);

    /// A command was refused at once: one of this listener's, or of another's. Default: nothing.
    fn on_refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError, out: &mut Out<'_>) {
        let _ = (now, id, error, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due. Default: `None`.
    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Time has passed. Default: nothing.
    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        let _ = (now, out);
    }
}

/// What a listener asks for and tells.
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

    /// Gives audio, or a report. It keeps its order among what is asked for.
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
/// input it takes what was asked for by [`poll_asked`](Self::poll_asked), one at a time, as an input of its
/// own. Before each input of another kind it calls [`begin`](Self::begin).
#[derive(Default)]
pub struct Listeners {
    list: Vec<Box<dyn Listener>>,
    wishes: Wishes,
    /// What was taken in a row.
    taken: usize,
}

/// Set in the ids of listeners' commands: no driver counts so far.
const LISTENER_COMMANDS: u64 = 1 << 62;

/// The most that listeners may ask for in a row: two that answer each other would go on for ever.
pub const MOST_ASKED: usize = 64;

impl Listeners {
    /// Adds one. It hears each event after those that were added before it.
    pub fn add(&mut self, listener: Box<dyn Listener>) {
        self.list.push(listener);
    }

    /// Returns whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// An input that no listener asked for comes: the count of what they ask for in a row begins anew.
    pub const fn begin(&mut self) {
        self.taken = 0;
    }

    /// All hear an event.
    pub fn hear(&mut self, now: Timestamp, wall: UnixTime, event: &Event) {
        for listener in &mut self.list {
            listener.on_event(now, wall, event, &mut Out(&mut self.wishes));
        }
    }

    /// A command that a listener asked for was refused at once: all hear of it, and the application is told.
    pub fn refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError) {
        for listener in &mut self.list {
            listener.on_refused(now, id, error, &mut Out(&mut self.wishes));
        }
        let (command, reason) = (error.command.name(), error.reason.clone());
        self.wishes.notices.push_back(Notice::Refused { command, reason });
    }

    /// When something of theirs is due.
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

    /// What was asked for next. Beyond [`MOST_ASKED`] in a row all that waits is dropped, and the application
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

    /// What the application is told next.
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
            hear(&mut listeners); // each leads to another event
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
