//! By what carriers prove themselves: [`Trust`], from the variables of the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use realtime_protocol::time::UnixTime;
use realtime_telephony::answer::StreamProof;
use realtime_telephony::verify::{Proof, Request, Untrusted};
use realtime_telephony::{CarrierKind, Secret};

use crate::Error;
use crate::environment::Environment;

/// By what each carrier proves itself.
#[derive(Debug)]
pub(super) struct Trust {
    carriers: BTreeMap<CarrierKind, Proofs>,
    unverified: BTreeSet<CarrierKind>,
    openai: Option<Proof>,
    /// Whether others than this machine reach the server.
    is_open: bool,
}

/// By what a carrier proves itself.
#[derive(Debug, Default)]
struct Proofs {
    /// Its webhooks.
    webhook: Option<Proof>,
    /// The request that opens a stream. Any of these is enough.
    stream: Vec<Proof>,
    /// What it is told to show there.
    told: StreamProof,
    /// What stands in the query of the stream's address.
    query: Option<Secret>,
    /// User and password in the stream's address.
    user: Option<(String, Secret)>,
}

/// Why a request is refused before anything is paid for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    /// No secret of this carrier is known.
    #[error("no secret of {0} is set, so that its requests can't be verified")]
    Closed(&'static str),
    /// It is not from the carrier.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

/// A request to this server, in both spellings of its address.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// `https://…`
    pub(super) http: &'a str,
    /// `wss://…`
    pub(super) ws: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// The name of the parameter that holds a token of a stream's address.
const TOKEN: &str = "token";

impl Trust {
    /// The secrets of the environment. Carriers of `unverified` are believed without any.
    ///
    /// # Errors
    /// A secret that nobody can have meant: an empty one is known to all.
    pub(super) fn new(
        environment: &Environment,
        unverified: &[CarrierKind],
        is_open: bool,
    ) -> Result<Self, Error> {
        let of = |kind| Some((kind, Proofs::of(kind, environment)?));
        let carriers = CarrierKind::ALL.into_iter().filter_map(of).collect();
        let openai = environment.get("OPENAI_WEBHOOK_SECRET").map(Secret::new);
        let openai = openai.map(|secret| Proof::StandardWebhook { secret });
        if openai.as_ref().is_some_and(|proof| proof.check().is_err()) {
            let expected =
                "OPENAI_WEBHOOK_SECRET: expected `whsec_` and a key in base64, as OpenAI shows it once";
            return Err(expected.into());
        }
        Ok(Self { carriers, unverified: unverified.iter().copied().collect(), openai, is_open })
    }

    /// Whether a webhook is from this carrier.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn webhook(&self, kind: CarrierKind, asked: &Asked<'_>, now: UnixTime) -> Result<(), Refused> {
        let proof = self.carriers.get(&kind).and_then(|proofs| proofs.webhook.as_ref());
        match proof {
            Some(proof) => Ok(proof.verify(&asked.at(asked.http), now)?),
            None => self.unproven(kind),
        }
    }

    /// Whether the request that opens a stream is from this carrier.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn stream(&self, kind: CarrierKind, asked: &Asked<'_>, now: UnixTime) -> Result<(), Refused> {
        let proofs = self.carriers.get(&kind).map_or(&[][..], |proofs| &proofs.stream);
        let mut refused = None;
        for proof in proofs {
            // Plivo does not say which spelling of the address it signs.
            let urls: &[&str] =
                if kind == CarrierKind::Plivo { &[asked.ws, asked.http] } else { &[asked.ws] };
            for url in urls {
                match proof.verify(&asked.at(url), now) {
                    Ok(()) => return Ok(()),
                    Err(untrusted) => refused = refused.or(Some(untrusted)),
                }
            }
        }
        match refused {
            Some(untrusted) => Err(untrusted.into()),
            None => self.unproven(kind),
        }
    }

    /// Whether a webhook is from OpenAI.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn openai(&self, asked: &Asked<'_>, now: UnixTime) -> Result<(), Refused> {
        match &self.openai {
            Some(proof) => Ok(proof.verify(&asked.at(asked.http), now)?),
            None if self.is_open => Err(Refused::Closed("openai")),
            None => Ok(()),
        }
    }

    /// What a carrier is told to show when it opens a stream.
    pub(super) fn told(&self, kind: CarrierKind) -> StreamProof {
        self.carriers.get(&kind).map(|proofs| proofs.told.clone()).unwrap_or_default()
    }

    /// The address of a stream, with what this carrier proves itself by in it.
    pub(super) fn address(&self, kind: CarrierKind, url: &str) -> String {
        let Some(proofs) = self.carriers.get(&kind) else { return url.to_owned() };
        let mut url = match (&proofs.user, url.split_once("://")) {
            (Some((user, password)), Some((scheme, rest))) => {
                format!("{scheme}://{}:{}@{rest}", encoded(user), encoded(password.expose()))
            }
            _ => url.to_owned(),
        };
        if let Some(token) = &proofs.query {
            url.push_str(&format!("?{TOKEN}={}", encoded(token.expose())));
        }
        url
    }

    /// The carriers whose calls are taken, and whether they are verified.
    pub(super) fn taken(&self) -> Vec<(CarrierKind, bool)> {
        let takes = |kind: CarrierKind| match self.carriers.get(&kind) {
            Some(_) => Some((kind, true)),
            None => self.unproven(kind).is_ok().then_some((kind, false)),
        };
        CarrierKind::ALL.into_iter().filter_map(takes).collect()
    }

    /// Returns whether webhooks of OpenAI are taken, and whether they are verified.
    pub(super) const fn takes_openai(&self) -> Option<bool> {
        match (&self.openai, self.is_open) {
            (Some(_), _) => Some(true),
            (None, false) => Some(false),
            (None, true) => None,
        }
    }

    /// A carrier without a secret: only this machine may say that it is one.
    fn unproven(&self, kind: CarrierKind) -> Result<(), Refused> {
        if !self.is_open || self.unverified.contains(&kind) {
            return Ok(());
        }
        Err(Refused::Closed(kind.name()))
    }
}

impl Proofs {
    /// The proofs of a carrier. `None`: none of its secrets is set.
    fn of(kind: CarrierKind, environment: &Environment) -> Option<Self> {
        let secret = |name: &str| environment.get(name).map(Secret::new);
        let both =
            |proof: Proof| Self { webhook: Some(proof.clone()), stream: vec![proof], ..Self::default() };
        match kind {
            CarrierKind::Twilio => Some(both(Proof::Twilio { auth_token: secret("TWILIO_AUTH_TOKEN")? })),
            CarrierKind::Plivo => Some(both(Proof::Plivo { auth_token: secret("PLIVO_AUTH_TOKEN")? })),
            CarrierKind::Vonage => {
                let application_id = environment.get("VONAGE_APPLICATION_ID").map(str::to_owned);
                let signature_secret = secret("VONAGE_SIGNATURE_SECRET")?;
                let proof = Proof::Vonage { signature_secret, application_id };
                Some(Self { told: StreamProof::Signed, ..both(proof) })
            }
            CarrierKind::Genesys => {
                let proof = Proof::Genesys {
                    api_key: secret("GENESYS_API_KEY")?,
                    client_secret: secret("GENESYS_CLIENT_SECRET"),
                };
                Some(Self { stream: vec![proof], ..Self::default() })
            }
            CarrierKind::Exotel | CarrierKind::Jambonz => {
                let name = kind.name().to_ascii_uppercase();
                let user = environment.get(&format!("{name}_STREAM_USER"))?.to_owned();
                let password = secret(&format!("{name}_STREAM_PASSWORD"))?;
                let proof = Proof::Basic { user: user.clone(), password: password.clone() };
                Some(match kind {
                    CarrierKind::Jambonz => {
                        Self { told: StreamProof::Basic { user, password }, ..both(proof) }
                    }
                    _ => Self { user: Some((user, password)), ..both(proof) },
                })
            }
            CarrierKind::SignalWire => {
                let auth_token = secret("SIGNALWIRE_SIGNING_KEY")?;
                let token = secret("SIGNALWIRE_STREAM_TOKEN").unwrap_or_else(drawn);
                Some(Self {
                    webhook: Some(Proof::Twilio { auth_token }),
                    stream: vec![Proof::Bearer { token: token.clone() }],
                    told: StreamProof::Token(token),
                    ..Self::default()
                })
            }
            CarrierKind::Telnyx => {
                let public_key = environment.get("TELNYX_PUBLIC_KEY")?.to_owned();
                let token = secret("TELNYX_STREAM_TOKEN").unwrap_or_else(drawn);
                Some(Self {
                    webhook: Some(Proof::TelnyxWebhook { public_key }),
                    // TeXML has no place for a token but the address.
                    stream: vec![
                        Proof::Query { name: TOKEN.to_owned(), value: token.clone() },
                        Proof::TelnyxStream { token: token.clone() },
                    ],
                    query: Some(token),
                    ..Self::default()
                })
            }
            _ => None,
        }
    }
}

impl<'a> Asked<'a> {
    pub(super) fn at(&self, url: &'a str) -> Request<'a> {
        Request { method: self.method, url, headers: self.headers, body: self.body }
    }
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A token that nobody guesses, as long as this process runs.
fn drawn() -> Secret {
    let bytes: [u8; 24] = rand::random();
    Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn asked<'a>(headers: &'a [(&'a str, &'a str)], ws: &'a str) -> Asked<'a> {
        Asked { method: "GET", http: "https://v.example/x", ws, headers, body: b"" }
    }

    #[test]
    fn without_secrets_only_this_machine_is_believed() {
        let asked = asked(&[], "wss://v.example/x");
        let local = Trust::new(&Environment::default(), &[], false).unwrap();
        let open = Trust::new(&Environment::default(), &[CarrierKind::Plivo], true).unwrap();
        for kind in CarrierKind::ALL {
            assert_eq!(local.stream(kind, &asked, NOW), Ok(()), "{kind}");
            let expected =
                if kind == CarrierKind::Plivo { Ok(()) } else { Err(Refused::Closed(kind.name())) };
            assert_eq!(open.stream(kind, &asked, NOW), expected, "{kind}");
            assert_eq!(open.webhook(kind, &asked, NOW), expected, "{kind}");
        }
        assert_eq!(
            (local.openai(&asked, NOW), open.openai(&asked, NOW)),
            (Ok(()), Err(Refused::Closed("openai")))
        );
        assert_eq!(open.taken(), [(CarrierKind::Plivo, false)]);
    }

    #[test]
    fn a_secret_counts_on_this_machine_too_and_never_shows() {
        let environment = Environment::of([
            ("TWILIO_AUTH_TOKEN", "canary"),
            ("PLIVO_AUTH_TOKEN", "canary"),
            ("VONAGE_SIGNATURE_SECRET", "canary"),
            ("GENESYS_API_KEY", "canary"),
            ("EXOTEL_STREAM_USER", "us"),
            ("EXOTEL_STREAM_PASSWORD", "canary/1"),
            ("JAMBONZ_STREAM_USER", "us"),
            ("JAMBONZ_STREAM_PASSWORD", "canary"),
            ("SIGNALWIRE_SIGNING_KEY", "canary"),
            ("TELNYX_PUBLIC_KEY", "WmaJnLFOwrJy2BPOjaFMysQL1bEzd6T+zYyEkUb3d20="),
            ("TELNYX_STREAM_TOKEN", "canary 2"),
            ("OPENAI_WEBHOOK_SECRET", "canary-openai"),
        ]);
        let trust = Trust::new(&environment, &[], false).unwrap();
        for kind in CarrierKind::ALL {
            let asked = asked(&[], "wss://v.example/x");
            assert!(matches!(trust.stream(kind, &asked, NOW), Err(Refused::Untrusted(_))), "{kind}");
        }
        assert!(matches!(trust.openai(&asked(&[], ""), NOW), Err(Refused::Untrusted(_))));
        assert!(!format!("{trust:?}").contains("canary"));

        let url = trust.address(CarrierKind::Telnyx, "wss://v.example/telnyx");
        assert_eq!(url, "wss://v.example/telnyx?token=canary%202");
        assert_eq!(trust.stream(CarrierKind::Telnyx, &asked(&[], &url), NOW), Ok(()));
        let url = trust.address(CarrierKind::Exotel, "wss://v.example/exotel");
        assert_eq!(url, "wss://us:canary%2F1@v.example/exotel");
        assert_eq!(trust.address(CarrierKind::Twilio, "wss://v.example/t"), "wss://v.example/t");
        let basic = [("authorization", "Basic dXM6Y2FuYXJ5")];
        assert_eq!(trust.stream(CarrierKind::Jambonz, &asked(&basic, "wss://v.example/x"), NOW), Ok(()));
        assert!(trust.taken().iter().all(|(_, verified)| *verified));
    }

    #[test]
    fn a_secret_of_a_webhook_that_has_no_key_in_it_is_refused_at_the_start() {
        for (secret, is_good) in [("canary-openai", true), ("whsec_", false), ("whsec_!!!", false)] {
            let environment = Environment::of([("OPENAI_WEBHOOK_SECRET", secret)]);
            assert_eq!(Trust::new(&environment, &[], false).is_ok(), is_good, "{secret}");
        }
    }
}
