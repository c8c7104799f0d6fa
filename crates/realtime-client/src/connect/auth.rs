//! Keys: how they are held, where they come from, and how they are sent. Nothing here ever shows one.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use memchr::memmem;
use realtime_protocol::http::ClientSecretResponse;
use realtime_protocol::time::UnixTime;

use crate::connect::error::{ConnectError, Source};

/// A secret that neither `Debug` nor `Display` shows.
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey {
    text: String,
    expires_at: Option<UnixTime>,
}

impl ApiKey {
    /// Takes the key, without blanks around it: files and shells often add some.
    pub fn new(key: impl Into<String>) -> Self {
        let key: String = key.into();
        Self { text: key.trim().to_owned(), expires_at: None }
    }

    /// Says when a short-lived key expires. A later attempt with it fails at once with
    /// [`ConnectError::KeyExpired`], without asking the server.
    #[must_use]
    pub const fn expires_at(mut self, at: UnixTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The short-lived key of an answer, with its time of expiry. `None`: the answer has no key.
    pub fn from_client_secret(secret: &ClientSecretResponse) -> Option<Self> {
        let key = Self::new(secret.value.value()?.0.as_str());
        Some(match secret.expires_at.value() {
            Some(at) => key.expires_at(UnixTime::from_secs(*at)),
            None => key,
        })
    }

    /// The key itself. Keep it out of logs.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Checks that the key has not expired.
    fn check(&self) -> Result<(), ConnectError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::from_secs(since.as_secs());
        match self.expires_at {
            Some(at) if at <= now => Err(ConnectError::KeyExpired { since: now.saturating_since(at) }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}

/// How a key is sent. If the caller also sets a header with the same name, attempts fail with
/// [`ConnectError::BadHeader`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// `Authorization: Bearer KEY`: OpenAI, and tokens of Microsoft Entra.
    Bearer,
    /// `api-key: KEY`: Azure.
    ApiKeyHeader,
    /// The WebSocket subprotocol `openai-insecure-api-key.KEY`, together with `realtime`. Browsers have no
    /// other way.
    Subprotocol,
}

type Provider = dyn Fn() -> BoxFuture<'static, Result<ApiKey, Source>> + Send + Sync;

/// Where keys come from.
#[derive(Clone, Default)]
pub(crate) enum KeySource {
    #[default]
    None,
    Fixed(ApiKey),
    Provider(Arc<Provider>),
}

impl KeySource {
    /// The key for one attempt.
    pub(crate) async fn key(&self) -> Result<Option<ApiKey>, ConnectError> {
        let key = match self {
            Self::None => return Ok(None),
            Self::Fixed(key) => key.clone(),
            Self::Provider(provider) => provider().await.map_err(|source| ConnectError::NoKey { source })?,
        };
        key.check()?;
        Ok(Some(key))
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Fixed(_) => "[redacted]",
            Self::Provider(_) => "provider",
        })
    }
}

/// The text in place of a secret.
const REDACTED: &str = "[redacted]";

/// The shortest secret (bytes).
const SHORTEST: usize = 4;

/// Words before a key that are no secret.
const SCHEMES: [&str; 5] = ["Bearer", "Basic", "Digest", "Negotiate", "Token"];

/// The secrets of one attempt, to be removed from the server's texts.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn add(&mut self, secret: &str) {
        // A shorter one is not a secret, and removing it would damage words.
        if secret.len() >= SHORTEST {
            // The longest first, so that no part of a longer one remains.
            let at = self.0.partition_point(|other| other.len() >= secret.len());
            self.0.insert(at, secret.to_owned());
        }
    }

    /// Adds a header's value, and each word of it: a server that refuses a token names it without its scheme.
    pub(crate) fn add_header(&mut self, value: &str) {
        self.add(value);
        let is_scheme = |word: &str| SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word));
        for word in value.split_whitespace().filter(|word| !is_scheme(word)) {
            self.add(word);
        }
    }

    /// Removes these secrets from a wire text. `None`: it has none.
    pub(crate) fn redact_wire(&self, text: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let holds = |secret: &String| memmem::find(text.as_bytes(), secret.as_bytes()).is_some();
        let is_escaped = || self.replace_escaped(text).is_some();
        (self.0.iter().any(holds) || is_escaped()).then(|| self.replace(text))
    }

    fn replace(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED));
        self.replace_escaped(&text).unwrap_or(text)
    }

    /// Takes out secrets of which a JSON text escapes letters, as any writer may; `None`: there is none in
    /// it.
    fn replace_escaped(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        memchr::memchr(b'\\', bytes)?;
        let (mut redacted, mut kept, mut at) = (String::new(), 0, 0);
        while at < bytes.len() {
            match self.0.iter().find_map(|secret| end_of_escaped(bytes, at, secret.as_bytes())) {
                Some(end) => {
                    redacted.push_str(&text[kept..at]);
                    redacted.push_str(REDACTED);
                    (kept, at) = (end, end);
                }
                // What follows a backslash is of the same letter.
                None => at += if bytes[at] == b'\\' { 2 } else { 1 },
            }
        }
        (kept > 0).then(|| {
            redacted.push_str(&text[kept..]);
            redacted
        })
    }

    /// Removes these secrets, and anything that looks like a key, from a text. If the text was cut off within
    /// a secret, the rest of the secret is removed too.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = self.replace(text);
        let begun = |secret: &String| {
            let ends = secret.char_indices().map(|(end, _)| end).filter(|end| *end >= SHORTEST).rev();
            ends.into_iter().find(|end| text.ends_with(&secret[..*end]))
        };
        if let Some(cut) = self.0.iter().filter_map(begun).max() {
            text.truncate(text.len() - cut);
            text.push_str(REDACTED);
        }
        let word = |word: &str| {
            let bare = word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let key = ["sk-", "ek_", "sess-"].iter().any(|prefix| bare.starts_with(prefix));
            if key { REDACTED.to_owned() } else { word.to_owned() }
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

/// Where a secret that begins here ends, in JSON text that may escape its letters.
fn end_of_escaped(text: &[u8], mut at: usize, secret: &[u8]) -> Option<usize> {
    let mut rest = secret;
    while !rest.is_empty() {
        let mut letter = [0; 4];
        let (letter, len): (&[u8], usize) = match text.get(at..)? {
            [b'\\', b'u', ..] => {
                let digits = std::str::from_utf8(text.get(at + 2..at + 6)?).ok()?;
                let letter_of = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                (letter_of.encode_utf8(&mut letter).as_bytes(), 6)
            }
            [b'\\', plain @ (b'/' | b'"' | b'\\'), ..] => (std::slice::from_ref(plain), 2),
            [b'\\', ..] | [] => return None,
            [plain, ..] => (std::slice::from_ref(plain), 1),
        };
        rest = rest.strip_prefix(letter)?;
        at += len;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_whole_and_where_it_was_cut_off() {
        let mut secrets = Secrets::default();
        secrets.add_header("Bearer abcdef123456");
        assert_eq!(secrets.redact("bad key abcdef123456 given"), "bad key [redacted] given");
        assert_eq!(secrets.redact("bad key abcdef12"), "bad key [redacted]");
        assert_eq!(secrets.redact("an abc"), "an abc", "three letters are none");
        assert_eq!(secrets.redact_wire(r#"{"a":"abcdef123456"}"#).as_deref(), Some(r#"{"a":"[redacted]"}"#));
        assert_eq!(secrets.redact_wire(r#"{"a":"abc"}"#), None);
    }

    #[test]
    fn a_secret_whose_letters_are_escaped_is_taken_out_and_the_text_stays_json() {
        let mut secrets = Secrets::default();
        secrets.add("sk-a/b-1234");
        for escaped in [
            r"\u0073k-a\/b-1234",
            r"sk-a/b-123\u0034",
            r"\u0073\u006B\u002d\u0061\u002F\u0062\u002D\u0031\u0032\u0033\u0034",
        ] {
            let text = format!(r#"{{"m":"é \\ {escaped}, again {escaped}","n":"\u00e9"}}"#);
            let redacted = secrets.redact_wire(&text).unwrap();
            assert_eq!(redacted, r#"{"m":"é \\ [redacted], again [redacted]","n":"\u00e9"}"#);
        }
        for other in [r#"{"m":"\\u0073k-a/b-1234"}"#, r#"{"m":"\u0073k-a\/b"}"#, r"\u", r"\u00", r"\/\"] {
            assert_eq!(secrets.redact_wire(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_key_that_has_ended_is_told_before_it_is_used() {
        let source = KeySource::Fixed(ApiKey::new("ek_1").expires_at(UnixTime::from_secs(1_000)));
        let error = source.key().await.unwrap_err();
        assert!(matches!(error, ConnectError::KeyExpired { .. }) && !error.is_retryable(), "{error}");
        let later = ApiKey::new("ek_1").expires_at(UnixTime::from_secs(u64::MAX / 1_000_000));
        assert_eq!(KeySource::Fixed(later).key().await.unwrap().unwrap().expose(), "ek_1");
    }

    #[test]
    fn secrets_do_not_show() {
        let key = ApiKey::new("canary\n");
        assert_eq!(key.expose(), "canary");
        assert!(!format!("{key:?} {key} {:?}", KeySource::Fixed(key.clone())).contains("canary"));
        let mut secrets = Secrets::default();
        secrets.add("canary");
        let text = "Incorrect API key provided: 'sk-can***ary'. Also canary.";
        assert_eq!(secrets.redact(text), "Incorrect API key provided: [redacted] Also [redacted].");
        secrets.add("canary-and-more");
        assert_eq!(secrets.redact("no canary-and-more"), "no [redacted]");
    }
}
