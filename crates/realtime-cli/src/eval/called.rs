//! Who is called: [`AgentFile`], the agent's file or a phone socket.

use std::path::PathBuf;

use realtime_telephony::CarrierKind;
use serde::Deserialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::http::Uri;

/// The agent: its file, or the phone socket of a server that has one.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum AgentFile {
    File(PathBuf),
    Phone(PhoneAgent),
}

impl TryFrom<Value> for AgentFile {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Value::String(path) = value {
            return Ok(Self::File(path.into()));
        }
        let Reached::Phone(phone) = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Ok(Self::Phone(phone))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reached {
    Phone(PhoneAgent),
}

/// A socket at which a carrier reaches the agent.
#[derive(Debug, Deserialize)]
#[serde(try_from = "PhoneFile")]
pub(super) struct PhoneAgent {
    pub(super) url: String,
    /// The host and the port of the URL.
    pub(super) address: String,
    pub(super) carrier: CarrierKind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneFile {
    url: String,
    #[serde(default)]
    carrier: Option<String>,
}

impl TryFrom<PhoneFile> for PhoneAgent {
    type Error = String;

    fn try_from(PhoneFile { url, carrier }: PhoneFile) -> Result<Self, String> {
        let uri: Option<Uri> = url.parse().ok();
        let uri = uri.filter(|uri| uri.scheme_str() == Some("ws"));
        let Some((uri, host)) = uri.as_ref().and_then(|uri| Some((uri, uri.host()?))) else {
            return Err(format!(
                "expected the `url` of a phone socket, such as ws://127.0.0.1:8080/twilio, got `{url}`"
            ));
        };
        let last = uri.path().rsplit('/').next().unwrap_or_default();
        let name = carrier.as_deref().unwrap_or(last);
        let Some(carrier) = CarrierKind::of_name(name) else {
            let known = CarrierKind::ALL.map(CarrierKind::name).join(", ");
            return Err(format!("expected a `carrier`, one of {known}, got `{name}`"));
        };
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Self { url, address, carrier })
    }
}
