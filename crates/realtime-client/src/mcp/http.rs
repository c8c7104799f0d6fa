//! Streamable HTTP to an MCP server. The crypto provider and the roots are those of this build's features,
//! never the process default.

use std::time::Duration;

use reqwest::redirect;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

#[cfg(feature = "_rustls")]
use crate::connect::tls::{add_roots, provider};
use crate::mcp::error::McpError;

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a server is.
pub(super) struct Http {
    url: String,
    pub(super) bearer: Option<String>,
}

impl Http {
    pub(super) const fn new(url: String) -> Self {
        Self { url, bearer: None }
    }

    pub(super) fn transport(
        &self,
        server: &str,
    ) -> Result<StreamableHttpClientTransport<reqwest::Client>, McpError> {
        let bad = |reason: String| McpError::BadAddress { server: server.to_owned(), reason };
        let is_secret = self.url.starts_with("https://");
        if !is_secret && !self.url.starts_with("http://") {
            return Err(bad("expected http:// or https://".into()));
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .no_proxy()
            // A token must not follow to another server.
            .redirect(redirect::Policy::none())
            // rmcp leaves connections behind that are not read to their end.
            .pool_max_idle_per_host(0);
        let client = with_tls(client, is_secret).map_err(bad)?;
        let client = client.build().map_err(|error| bad(error.without_url().to_string()))?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.url.clone());
        if let Some(token) = &self.bearer {
            config = config.auth_header(token.clone());
        }
        Ok(StreamableHttpClientTransport::with_client(client, config))
    }
}

/// Names the provider for plain HTTP, too: `reqwest` would look for the process default and panic.
#[cfg(feature = "_rustls")]
fn with_tls(client: reqwest::ClientBuilder, is_secret: bool) -> Result<reqwest::ClientBuilder, String> {
    let mut roots = rustls::RootCertStore::empty();
    if is_secret {
        add_roots(&mut roots);
    }
    if is_secret && roots.is_empty() {
        return Err("https:// needs one of the features `webpki-roots` and `platform-roots`".into());
    }
    let config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(client.tls_backend_preconfigured(config))
}

#[cfg(not(feature = "_rustls"))]
fn with_tls(client: reqwest::ClientBuilder, is_secret: bool) -> Result<reqwest::ClientBuilder, String> {
    if is_secret { Err("https:// needs the feature `tls`".into()) } else { Ok(client) }
}
