//! Who may use what: origins of pages, tokens of pages, and the token of whoever runs the server.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use realtime_protocol::time::UnixTime;
use realtime_telephony::Secret;
use sha2::Sha256;

use crate::environment::Environment;
use crate::serve::address::Address;

/// The token that pages need.
pub(super) const PAGE_TOKEN: &str = "REALTIME_PAGE_TOKEN";
/// The token that lists calls.
pub(super) const ADMIN_TOKEN: &str = "REALTIME_ADMIN_TOKEN";

/// How long a short-lived token is good for a call to begin (s).
const LIFETIME: u64 = 600;

/// How long after that a page may come back with it to a call that runs (s): no call is longer.
const COMES_BACK: u64 = 24 * 3600;

/// The shortest token that nobody guesses (bytes).
const SHORTEST: usize = 16;

/// Who may use what.
#[derive(Debug)]
pub(super) struct Access {
    page: Option<Secret>,
    admin: Option<Secret>,
    origins: Vec<String>,
    is_open: bool,
}

/// What a request carries of who it is from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caller<'a> {
    /// The page that a browser asks from.
    pub(super) origin: Option<&'a str>,
    /// The name under which the server was reached.
    pub(super) host: Option<&'a str>,
    /// The token, of the query or of `Authorization`.
    pub(super) token: Option<&'a str>,
}

/// What a page may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admitted {
    /// Begin a call, or go on with one.
    Begin,
    /// Go on with a call. Its token has expired since, and a page connects to the same address again.
    Return,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Denied {
    #[error("pages of this origin are not allowed here: the server names those that are by --allow-origin")]
    Origin,
    #[error("expected a token, got none")]
    NoToken,
    #[error("expected the right token, got another one, or one that has expired")]
    WrongToken,
    #[error("the server takes no pages, since no token for them is set: {PAGE_TOKEN}")]
    NoPages,
    #[error("the server tells nobody, since no token for that is set: {ADMIN_TOKEN}")]
    NoAdmin,
}

impl Access {
    /// The rules of a server at this address, for pages of these origins besides its own.
    ///
    /// # Errors
    /// Others reach the server, and there is no token for pages; or a token is too short.
    pub(super) fn new(
        environment: &Environment,
        address: &Address,
        allowed: &[String],
        listens_openly: bool,
    ) -> Result<Self, crate::Error> {
        let token = |name: &str| match environment.get(name) {
            Some(token) if token.len() < SHORTEST => {
                Err(format!("expected at least {SHORTEST} characters in {name}, got {}", token.len()))
            }
            token => Ok(token.map(Secret::new)),
        };
        let (page, admin) = (token(PAGE_TOKEN)?, token(ADMIN_TOKEN)?);
        if listens_openly && page.is_none() {
            return Err(format!(
                "other machines reach this address, so pages need a token: set {PAGE_TOKEN}, or listen on 127.0.0.1"
            )
            .into());
        }
        let mut origins = address.origins().to_vec();
        for origin in allowed {
            let origin = origin.trim_end_matches('/').to_ascii_lowercase();
            if origin != "*" && !origin.contains("://") {
                return Err(format!(
                    "expected an origin such as https://app.example.com in --allow-origin, got `{origin}`"
                )
                .into());
            }
            origins.push(origin);
        }
        Ok(Self { page, admin, origins, is_open: address.is_open() })
    }

    /// Returns whether pages need a token.
    pub(super) const fn needs_token(&self) -> bool {
        self.page.is_some()
    }

    /// Returns whether pages can be used at all.
    pub(super) const fn takes_pages(&self) -> bool {
        self.page.is_some() || !self.is_open
    }

    /// What a page may do now.
    ///
    /// # Errors
    /// [`Denied`].
    pub(super) fn page(&self, caller: Caller<'_>, now: UnixTime) -> Result<Admitted, Denied> {
        self.origin(caller)?;
        match (&self.page, caller.token) {
            (None, _) if self.is_open => Err(Denied::NoPages),
            (None, _) => Ok(Admitted::Begin),
            (Some(_), None) => Err(Denied::NoToken),
            (Some(page), Some(token)) if page.is(token) => Ok(Admitted::Begin),
            (Some(page), Some(token)) => match seconds(now).checked_sub(expiry(page, token)?) {
                None => Ok(Admitted::Begin),
                Some(since) if since < COMES_BACK => Ok(Admitted::Return),
                Some(_) => Err(Denied::WrongToken),
            },
        }
    }

    /// A short-lived token for a page, and how long it lives (s). `None`: pages need none.
    ///
    /// # Errors
    /// [`Denied`]: whoever asks must have the token of pages itself.
    pub(super) fn short_lived(
        &self,
        caller: Caller<'_>,
        now: UnixTime,
    ) -> Result<Option<(String, u64)>, Denied> {
        self.page(caller, now)?;
        let Some(page) = &self.page else { return Ok(None) };
        if !caller.token.is_some_and(|token| page.is(token)) {
            return Err(Denied::WrongToken);
        }
        let expires = seconds(now) + LIFETIME;
        let token = format!("{expires}.{}", URL_SAFE_NO_PAD.encode(signature(page, expires)));
        Ok(Some((token, LIFETIME)))
    }

    /// Whether somebody may see and end calls.
    ///
    /// # Errors
    /// [`Denied`].
    pub(super) fn admin(&self, caller: Caller<'_>) -> Result<(), Denied> {
        self.origin(caller)?;
        match (&self.admin, caller.token) {
            (None, _) if self.is_open => Err(Denied::NoAdmin),
            // A page of another name may stand for this machine's address.
            (None, _) if caller.host.is_some_and(|host| !self.is_own_host(host)) => Err(Denied::Origin),
            (None, _) => Ok(()),
            (Some(_), None) => Err(Denied::NoToken),
            (Some(admin), Some(token)) if admin.is(token) => Ok(()),
            (Some(_), Some(_)) => Err(Denied::WrongToken),
        }
    }

    /// Whether a browser may ask from this page. Other programs say no origin.
    ///
    /// # Errors
    /// [`Denied::Origin`].
    pub(super) fn origin(&self, caller: Caller<'_>) -> Result<(), Denied> {
        let Some(origin) = caller.origin else { return Ok(()) };
        let origin = origin.to_ascii_lowercase();
        let is_listed = self.origins.iter().any(|known| *known == origin || known == "*");
        // With a token, a page may be of any name that leads here. Without one, it must be a known name.
        let is_own = self.page.is_some()
            && origin.split_once("://").is_some_and(|(_, host)| caller.host.is_some_and(|own| own == host));
        if is_listed || is_own { Ok(()) } else { Err(Denied::Origin) }
    }

    fn is_own_host(&self, host: &str) -> bool {
        self.origins.iter().filter_map(|origin| origin.split_once("://")).any(|(_, own)| own == host)
    }
}

/// When a short-lived token of ours expires (s since 1970).
fn expiry(page: &Secret, token: &str) -> Result<u64, Denied> {
    let read = || {
        let (expires, tag) = token.split_once('.')?;
        let (expires, tag) = (expires.parse().ok()?, URL_SAFE_NO_PAD.decode(tag).ok()?);
        mac(page, expires)?.verify_slice(&tag).ok().map(|()| expires)
    };
    read().ok_or(Denied::WrongToken)
}

fn signature(page: &Secret, expires: u64) -> Vec<u8> {
    mac(page, expires).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
}

/// A key of any length makes one.
fn mac(page: &Secret, expires: u64) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(page.expose().as_bytes()).ok()?;
    mac.update(format!("page until {expires}").as_bytes());
    Some(mac)
}

const fn seconds(now: UnixTime) -> u64 {
    now.as_micros() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "canary-page-token-0123456789";
    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn access(public: Option<&str>, variables: &[(&str, &str)], origins: &[&str]) -> Access {
        let address = Address::new(public, "127.0.0.1:8080".parse().unwrap(), false).unwrap();
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Access::new(&Environment::of(variables.iter().copied()), &address, &origins, false).unwrap()
    }

    fn from<'a>(origin: &'a str, token: Option<&'a str>) -> Caller<'a> {
        Caller { origin: (!origin.is_empty()).then_some(origin), host: Some("127.0.0.1:8080"), token }
    }

    #[test]
    fn on_this_machine_its_own_pages_need_no_token_and_others_are_refused() {
        let access = access(None, &[], &["https://app.example.com/"]);
        for (origin, expected) in [
            ("", Ok(())),
            ("http://127.0.0.1:8080", Ok(())),
            ("http://localhost:8080", Ok(())),
            ("https://App.example.com", Ok(())),
            ("http://localhost:3000", Err(Denied::Origin)),
            ("https://evil.example", Err(Denied::Origin)),
            ("null", Err(Denied::Origin)),
        ] {
            let admitted = expected.map(|()| Admitted::Begin);
            assert_eq!(access.page(from(origin, None), NOW), admitted, "{origin}");
            assert_eq!(access.admin(from(origin, None)), expected, "{origin}");
        }
        // A name that was made to lead to this machine.
        let rebound =
            Caller { origin: Some("http://evil.example:8080"), host: Some("evil.example:8080"), token: None };
        assert_eq!(access.page(rebound, NOW), Err(Denied::Origin));
        assert_eq!(access.admin(Caller { origin: None, ..rebound }), Err(Denied::Origin));
    }

    #[test]
    fn where_others_reach_it_nobody_gets_in_without_a_token() {
        let closed = access(Some("https://v.example"), &[], &[]);
        assert_eq!(closed.page(from("https://v.example", Some("x")), NOW), Err(Denied::NoPages));
        assert_eq!(closed.admin(from("", Some("x"))), Err(Denied::NoAdmin));
        let open = access(
            Some("https://v.example"),
            &[(PAGE_TOKEN, TOKEN), (ADMIN_TOKEN, "canary-admin-token")],
            &[],
        );
        assert_eq!(open.page(from("https://v.example", None), NOW), Err(Denied::NoToken));
        assert_eq!(open.page(from("https://v.example", Some("x")), NOW), Err(Denied::WrongToken));
        assert_eq!(open.page(from("https://v.example", Some(TOKEN)), NOW), Ok(Admitted::Begin));
        assert_eq!(open.page(from("https://evil.example", Some(TOKEN)), NOW), Err(Denied::Origin));
        assert_eq!(open.admin(from("", Some(TOKEN))), Err(Denied::WrongToken));
        assert_eq!(open.admin(from("", Some("canary-admin-token"))), Ok(()));
        assert!(!format!("{open:?}").contains("canary"));
    }

    #[test]
    fn a_short_lived_token_is_made_by_the_long_one_alone_and_expires() {
        let access = access(None, &[(PAGE_TOKEN, TOKEN)], &[]);
        assert_eq!(access.short_lived(from("", None), NOW), Err(Denied::NoToken));
        let (token, lives) = access.short_lived(from("", Some(TOKEN)), NOW).unwrap().unwrap();
        let later = |seconds| UnixTime::from_secs(1_790_000_000 + seconds);
        assert_eq!(access.page(from("", Some(&token)), later(lives - 1)), Ok(Admitted::Begin));
        // A page comes back to its call with the token by which it began.
        for seconds in [lives, lives + COMES_BACK - 1] {
            assert_eq!(access.page(from("", Some(&token)), later(seconds)), Ok(Admitted::Return));
        }
        assert_eq!(access.page(from("", Some(&token)), later(lives + COMES_BACK)), Err(Denied::WrongToken));
        assert_eq!(access.short_lived(from("", Some(&token)), NOW), Err(Denied::WrongToken));
        let longer = token.replacen("179", "189", 1);
        assert_eq!(access.page(from("", Some(&longer)), NOW), Err(Denied::WrongToken));
        for odd in ["", ".", "1790000600.", "1790000600.AAAA", "x.y"] {
            assert_eq!(access.page(from("", Some(odd)), NOW), Err(Denied::WrongToken), "{odd}");
        }
    }

    #[test]
    fn a_server_that_others_reach_does_not_begin_without_a_token() {
        let address = Address::new(None, "0.0.0.0:80".parse().unwrap(), false).unwrap();
        let error = Access::new(&Environment::default(), &address, &[], true).unwrap_err().to_string();
        assert!(error.contains("set REALTIME_PAGE_TOKEN, or listen on 127.0.0.1"), "{error}");
        let short = Environment::of([(PAGE_TOKEN, "short")]);
        let error = Access::new(&short, &address, &[], true).unwrap_err().to_string();
        assert_eq!(error, "expected at least 16 characters in REALTIME_PAGE_TOKEN, got 5");
        let error = Access::new(&Environment::default(), &address, &["app".into()], false).unwrap_err();
        assert!(error.to_string().contains("--allow-origin, got `app`"), "{error}");
    }
}
