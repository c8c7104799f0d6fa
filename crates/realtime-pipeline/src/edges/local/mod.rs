//! The microphone and the loudspeaker of this machine (feature `local-audio`): [`LocalAudio`].
//!
//! ```no_run
//! use realtime_pipeline::edges::local::LocalAudio;
//! use realtime_pipeline::{Agent, Endpoint};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let agent = Agent::new("You are a friendly host.").greeting("Greet the user.");
//! let transport = LocalAudio::new().open()?;
//! agent.run(Endpoint::openai_from_env("gpt-realtime")?, transport).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Devices are reached by `cpal`: ALSA on Linux (Debian's `libasound2-dev` is needed to build), CoreAudio,
//! WASAPI and others elsewhere. Any rate and any number of channels will do. The system's threads only touch
//! rings of atomics; the call's task looks at them every 10 ms.
//!
//! With the feature `echo-cancellation` what the loudspeaker plays is taken out of what the microphone hears
//! (`LocalAudio::echo_cancellation`). Without it, wear headphones: the model would hear and interrupt itself.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `devices` | which devices there are, and in which format one is opened |
//! | `microphone`, `loudspeaker` | the source and the sink |
//! | `streams`, `feed` | the callbacks |
//! | `ring` | samples from thread to thread, without locks |
//! | `hearing`, `spans` | pure: what sounds when, and where that lies in what was handed out |
//! | `state`, `tick` | what callbacks tell, and when the task looks |

mod devices;
mod feed;
mod hearing;
mod loudspeaker;
mod microphone;
mod ring;
mod spans;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod tick;

use std::sync::Arc;

#[cfg(feature = "echo-cancellation")]
use crate::echo::{EchoCanceller, EchoOptions};
use crate::edges::{Sink, Source, Transport};

use self::feed::Feed;
use self::hearing::sound_log;
use self::microphone::Voice;
use self::ring::ring;
use self::state::Clock;

pub use devices::{LocalAudioError, LocalDevice, Side, devices};
pub use loudspeaker::Loudspeaker;
pub use microphone::Microphone;
pub use state::LocalCounts;

/// Opens a microphone and a loudspeaker of this machine.
#[doc(alias = "LocalAudioTransport")]
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing until it is opened"]
pub struct LocalAudio {
    input: Option<String>,
    output: Option<String>,
    #[cfg(feature = "echo-cancellation")]
    echo: Option<EchoOptions>,
}

/// A microphone and a loudspeaker that are open. They begin with the call.
#[derive(Debug)]
pub struct LocalTransport {
    /// Where the call's input comes from.
    pub microphone: Microphone,
    /// Where the call's output goes.
    pub loudspeaker: Loudspeaker,
    counts: LocalCounts,
}

impl LocalAudio {
    /// The devices that the system has chosen, without echo cancellation.
    pub fn new() -> Self {
        Self::default()
    }

    /// The microphone with this id or name, or the only one that has it in its id or name: see
    /// [`devices()`]. Default: the system's choice.
    pub fn input(mut self, name: impl Into<String>) -> Self {
        self.input = Some(name.into());
        self
    }

    /// The loudspeaker with this id or name, or the only one that has it in its id or name: see
    /// [`devices()`]. Default: the system's choice.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.output = Some(name.into());
        self
    }

    /// Takes what the loudspeaker plays out of what the microphone hears, and noise too. It costs two percent
    /// of a core. Default: no.
    #[cfg(feature = "echo-cancellation")]
    pub fn echo_cancellation(mut self, options: EchoOptions) -> Self {
        self.echo = Some(options);
        self
    }

    /// Opens both devices. This may take a moment: do it before the call.
    ///
    /// # Errors
    /// [`LocalAudioError`] if a device is not there or can't be opened. It says what to do.
    pub fn open(self) -> Result<LocalTransport, LocalAudioError> {
        let (clock, counts) = (Clock::new(), LocalCounts::default());
        let input = devices::find(Side::Input, self.input.as_deref())?;
        let output = devices::find(Side::Output, self.output.as_deref())?;
        let (input_rate, rate) = (input.config.sample_rate, output.config.sample_rate);

        let (voice, reference) = self.voice(input_rate, rate);
        let (writer, reader) = ring(input_rate as usize);
        let stream = streams::open_input(&input, writer, &counts.input)?;
        let microphone = Microphone::new(Some(stream), Arc::clone(&counts.input), reader, voice);

        let room = usize::try_from(loudspeaker::MOST.as_secs()).unwrap_or_default() * rate as usize;
        let ((writer, reader), (log, sounds)) = (ring(room), sound_log());
        let feed = Feed::new(reader, log, reference, Arc::clone(&counts.output), rate);
        let stream = streams::open_output(&output, feed, clock, &counts.output)?;
        let loudspeaker =
            Loudspeaker::new(Some(stream), Arc::clone(&counts.output), clock, rate, writer, sounds);
        tracing::debug!(
            input = %input.id, input_rate, output = %output.id, output_rate = rate, "local audio is open"
        );
        Ok(LocalTransport { microphone, loudspeaker, counts })
    }

    /// What is made of the microphone's samples, and where the loudspeaker tells what it plays.
    #[cfg(feature = "echo-cancellation")]
    fn voice(&self, input_rate: u32, rate: u32) -> (Voice, Option<ring::SampleWriter>) {
        let canceller = self.echo.as_ref().and_then(|options| {
            // Both rates have been checked when the formats were chosen.
            EchoCanceller::new(*options, input_rate, rate).ok()
        });
        let Some(canceller) = canceller else { return (Voice::Plain(input_rate), None) };
        let (writer, reference) = ring(rate as usize / 2);
        let canceller = Box::new(canceller);
        (Voice::Cleaned { canceller, reference, rate: input_rate }, Some(writer))
    }

    #[cfg(not(feature = "echo-cancellation"))]
    fn voice(&self, input_rate: u32, _: u32) -> (Voice, Option<ring::SampleWriter>) {
        (Voice::Plain(input_rate), None)
    }
}

impl LocalTransport {
    /// What is lost between the call and its devices. It may be read during the call and after it.
    pub const fn counts(&self) -> &LocalCounts {
        &self.counts
    }
}

impl Transport for LocalTransport {
    fn split(self) -> (Box<dyn Source>, Box<dyn Sink>) {
        (self.microphone, self.loudspeaker).split()
    }
}
