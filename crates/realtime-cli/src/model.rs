//! Where the model is: a server, or the emulator inside this process. [`Model`] knows both.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use realtime_client::{Endpoint, Rest};
use realtime_emulator::brain::{Parrot, Script};
use realtime_emulator::voice::VoiceKind;
use realtime_emulator::{Emulator, Options};
use tokio::sync::oneshot;

use crate::Error;
use crate::agent::LoadedAgent;
use crate::environment::Environment;

/// The model, unless a file or the command line names another.
const USUAL: &str = "gpt-realtime";

/// The variable that holds the key.
const KEY: &str = "OPENAI_API_KEY";

/// The server of the model.
#[derive(Clone)]
pub struct Model {
    url: String,
    name: String,
    key: Option<realtime_client::ApiKey>,
    is_emulator: bool,
}

impl Model {
    /// The model that the command line and the agent ask for, and the emulator inside without an address.
    ///
    /// # Errors
    /// As [`at`](Self::at) and [`emulator`](Self::emulator).
    pub async fn chosen(
        url: Option<&str>,
        name: Option<&str>,
        agent: &LoadedAgent,
        environment: &Environment,
    ) -> Result<Self, Error> {
        match url {
            Some(url) => Self::at(url, name.or_else(|| agent.model()), environment),
            None => Self::emulator(agent.is_demo()).await,
        }
    }

    /// The model at this address, with the key of the environment.
    ///
    /// # Errors
    /// The address cannot be used, or OpenAI's own is given without a key.
    pub fn at(url: &str, name: Option<&str>, environment: &Environment) -> Result<Self, Error> {
        let name = name.unwrap_or(USUAL).to_owned();
        let key = environment.get(KEY).map(realtime_client::ApiKey::new);
        let model = Self { url: url.to_owned(), name, key, is_emulator: false };
        drop(model.checked()?);
        if model.key.is_none() && url.contains("api.openai.com") {
            environment.require(KEY, "a key for this address")?;
        }
        Ok(model)
    }

    /// An emulator, in real time, on a thread of its own. It speaks by `espeak-ng` if that is installed. If
    /// `knows_demo`, it answers as the demo's server does, and otherwise it says back what it hears.
    ///
    /// # Errors
    /// There is no thread, or no port of this machine is free.
    pub async fn emulator(knows_demo: bool) -> Result<Self, Error> {
        let options = Options::default().voice(VoiceKind::demo(VoiceKind::best()));
        let options = if knows_demo {
            options.brain(|| Script::demo().without_transcripts())
        } else {
            options.brain(Parrot::new)
        };
        let (told, url) = oneshot::channel();
        std::thread::Builder::new().name("emulator".to_owned()).spawn(move || serve(options, told))?;
        let url = url.await.map_err(|_| "cannot start the emulator: its thread has ended")??;
        Ok(Self { url, name: USUAL.to_owned(), key: None, is_emulator: true })
    }

    /// Returns whether it is the emulator inside.
    pub const fn is_emulator(&self) -> bool {
        self.is_emulator
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which model it is and where, for a person.
    pub fn introduction(&self) -> String {
        match self.is_emulator {
            true => "the emulator inside; give --url for a real one".to_owned(),
            false => format!("{} at {}", self.name, self.shown()),
        }
    }

    /// The address without its query, which may hold a key.
    pub fn shown(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }

    /// Where a session begins.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        self.checked()
    }

    /// Where a session of a call by SIP is joined.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn side_channel(&self, call_id: &str) -> Result<Endpoint, Error> {
        Ok(self.with_key(Endpoint::new(&self.url, "")?.query("call_id", call_id)))
    }

    /// The server's HTTP calls.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn rest(&self) -> Result<Rest, Error> {
        Ok(Rest::new(self.checked()?))
    }

    fn checked(&self) -> Result<Endpoint, Error> {
        Ok(self.with_key(Endpoint::new(&self.url, &self.name)?))
    }

    fn with_key(&self, endpoint: Endpoint) -> Endpoint {
        match &self.key {
            Some(key) => endpoint.key(key.clone()),
            None => endpoint,
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("url", &self.shown()).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Serves to the end of the process.
fn serve(options: Options, told: oneshot::Sender<Result<String, std::io::Error>>) {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let emulator = runtime.block_on(Emulator::bind(here, options))?;
        Ok((runtime, emulator))
    };
    match run() {
        Ok((runtime, emulator)) => {
            // Who asked may have gone.
            let _ = told.send(Ok(emulator.url()));
            runtime.block_on(emulator.serve(std::future::pending::<()>()));
        }
        Err(error) => drop(told.send(Err(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_model_wants_its_key_and_never_shows_it() {
        let none = Environment::default();
        let error = Model::at("https://api.openai.com/v1", None, &none).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a key for this address in the variable OPENAI_API_KEY: set it"
        );
        let error = Model::at("api.openai.com", None, &none).unwrap_err();
        assert!(error.to_string().contains("no scheme"), "{error}");
        let environment = Environment::of([(KEY, "sk-canary")]);
        let model = Model::at("wss://h/v1/realtime?code=canary", Some("m"), &environment).unwrap();
        assert_eq!((model.shown(), model.name()), ("wss://h/v1/realtime", "m"));
        let side = model.side_channel("rtc_1").unwrap();
        assert!(side.url().ends_with("/v1/realtime?code=canary&call_id=rtc_1"), "{}", side.url());
        assert!(!format!("{model:?}").contains("canary"));
    }
}
