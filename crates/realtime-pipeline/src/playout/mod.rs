//! Playout: audio that comes in bursts is heard in real time, and every sample is accounted for.
//!
//! [`Playout`] is the stage between the service and the sink. Parts of the model's and clips of the
//! application's own play in the order in which they came. They leave as [`PlayedAudio`], in chunks, each at
//! its due time, counted in samples from the beginning of playback. Upstream it tells what was heard of the
//! model's parts, at the first sample of each, every 100 ms, and at its end.
//!
//! ```
//! use std::time::Duration;
//!
//! use realtime_pipeline::playout::Playout;
//!
//! let loudspeaker = Playout::new();
//! let carrier = Playout::new().lead(Duration::from_secs(1)).reports(true).pad(true);
//! # let _ = (loudspeaker, carrier);
//! ```
//!
//! # What counts as heard
//! | `lead` | `reports` | heard is |
//! |---|---|---|
//! | none | no | what was handed out |
//! | some | no | what was due: an estimate by the clock. A sample is heard when it begins to sound |
//! | any | yes | what the sink says by [`SinkReport::Heard`]. If it says nothing until 2 s after the end of audio, that is given up and never reported |
//!
//! In the first case a stop and a pause take effect between two chunks, after a fade of at most 5 ms. The
//! samples of the fade are handed out once, fall to silence, and count as heard. After a pause, playback goes
//! on at the next sample, which rises from silence within 5 ms. In the other cases the sink is emptied by
//! [`ClearSink`], without a fade. Its answer decides what was heard; without one, after 180 ms, the clock
//! does. After a pause everything that was not heard is handed out again.
//!
//! # What happens to frames
//! | frame | what |
//! |---|---|
//! | [`OutputAudio`] | waits for its turn and leaves as [`PlayedAudio`]. Dropped and [counted](crate::chain::Losses) if its response or clip was stopped, or if ten minutes wait |
//! | [`OutputFinished`] | ends its part or clip at once, and leaves in the order of hearing |
//! | [`OutputDtmf`] | becomes [tones](Playout::tones), or leaves in the order of hearing |
//! | [`PhoneRequest`] | leaves in the order of hearing, also of what the model's server plays by itself; keys become [tones](Playout::tones), if that was chosen. An interruption calls it off, but for keys, and answers it |
//! | [`Message`], not urgent | leaves in the order of hearing |
//! | [`Custom`] | leaves in the order of hearing, unless it [passes a hold](crate::chain::CustomFrame::passes_hold) |
//! | [`Interruption`] | stops all that came so far, but tones. Answered by `Stopped`, or told by `Played` if it has no id. Frames that wait leave at once, or are dropped if they do not survive |
//! | [`Event`] | passes at once, words ahead of their sound: the reports tell what was heard |
//! | `Event(HoldPlayback)` | pauses. Answered by `Held` |
//! | `Event(ResumePlayback)` | ends this pause |
//! | `Event(ResponseFinished)` | the response's parts are whole |
//! | `Event(Connection(Lost))`, `Event(Closed)` | all parts are whole |
//! | `User(VoiceStarted)`, `User(VoiceStopped)` | pauses, goes on: only with [`hold_on_voice`](Playout::hold_on_voice) |
//! | [`Sink`] | ends here. `Full` stops the clock until `Ready`; longer than 2 s is a fault. `Away` stops it until `Back`; what was not heard by then is handed out again, and a stop meanwhile is answered with what was told before |
//! | `End` | leaves when all has been heard. Nothing is paused any longer, and no part waits for more |
//! | any other | passes at once |
//!
//! In the order of hearing: when all audio has sounded that came before the frame. At most 1,024 frames wait.
//!
//! It tells [`BotSpeech`] both ways: `Started` with the first audio, `Speaking` each 200 ms, `Stopped` when
//! all has been heard, at a stop, and after 3 s of silence within what is not whole. The background does not
//! count.
//!
//! # What it does not do
//! It converts no rates or formats, except the background's: the sink's edge does. It decides nothing about
//! the protocol: the session decides when to stop and what to truncate.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `stage`, `frames`, `play`, `cut`, `hold` | the stage: its options, what frames mean, how chunks leave, stops and pauses |
//! | `ledger`, `heard`, `track` | the accounts: what waits, what was heard, of each part and clip |
//! | `server_playback` | what the model's server plays by itself |
//! | `order`, `speech`, `stopped` | frames that wait for audio, what is told of speech, what is not heard any more |
//! | `clock`, `form`, `fade`, `background`, `tones` | times, and what is done to audio |
//!
//! [`PlayedAudio`]: crate::chain::FrameKind::PlayedAudio
//! [`SinkReport::Heard`]: crate::chain::SinkReport::Heard
//! [`ClearSink`]: crate::chain::FrameKind::ClearSink
//! [`OutputAudio`]: crate::chain::FrameKind::OutputAudio
//! [`OutputFinished`]: crate::chain::FrameKind::OutputFinished
//! [`OutputDtmf`]: crate::chain::FrameKind::OutputDtmf
//! [`PhoneRequest`]: crate::chain::FrameKind::PhoneRequest
//! [`Message`]: crate::chain::FrameKind::Message
//! [`Custom`]: crate::chain::FrameKind::Custom
//! [`Interruption`]: crate::chain::FrameKind::Interruption
//! [`Event`]: crate::chain::FrameKind::Event
//! [`Sink`]: crate::chain::FrameKind::Sink
//! [`BotSpeech`]: crate::chain::BotSpeech

mod background;
mod clock;
mod cut;
mod delay;
mod fade;
mod form;
mod frames;
mod heard;
mod hold;
mod ledger;
mod order;
mod play;
mod server_playback;
mod speech;
mod stage;
mod stopped;
#[cfg(test)]
mod tests;
mod tones;
mod track;

pub use delay::PlaybackDelay;
pub use stage::Playout;
