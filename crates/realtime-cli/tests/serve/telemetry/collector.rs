//! A collector of OpenTelemetry, which keeps what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use tokio::net::TcpListener;

use super::protobuf::Fields;

/// A collector that listens.
pub(super) struct Collector {
    at: String,
    requests: Arc<Mutex<Vec<Asked>>>,
}

/// A request: its path, the header `x-tenant`, and its body.
struct Asked {
    path: String,
    tenant: String,
    body: Vec<u8>,
}

/// A span, as far as the tests look at it.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) service: String,
    pub(super) trace: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) parent: Vec<u8>,
    pub(super) name: String,
    attributes: BTreeMap<String, String>,
}

impl Span {
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub(super) async fn start() -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let keep = async move |request: Request<Body>| {
            let (head, body) = request.into_parts();
            let header = |name: &str| head.headers.get(name).map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(header("content-type").as_deref(), Some("application/x-protobuf"));
            let (path, tenant) = (head.uri.path().to_owned(), header("x-tenant").unwrap_or_default());
            let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
            kept.lock().unwrap().push(Asked { path, tenant, body });
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(keep)).await });
        Self { at, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// All spans (`opentelemetry/proto/trace/v1/trace.proto`).
    pub(super) fn spans(&self) -> Vec<Span> {
        let mut found = Vec::new();
        for resource in self.bodies("/v1/traces").iter().flat_map(|body| Fields::of(body).messages(1)) {
            let service = attributes(&resource.message(1), 1).remove("service.name").unwrap_or_default();
            for span in resource.messages(2).flat_map(|scope| scope.messages(2).collect::<Vec<_>>()) {
                found.push(Span {
                    service: service.clone(),
                    trace: span.bytes(1),
                    id: span.bytes(2),
                    parent: span.bytes(4),
                    name: span.text(5),
                    attributes: attributes(&span, 9),
                });
            }
        }
        found
    }

    /// The names of all metrics (`opentelemetry/proto/metrics/v1/metrics.proto`).
    pub(super) fn metrics(&self) -> BTreeSet<String> {
        let bodies = self.bodies("/v1/metrics");
        let resources = bodies.iter().flat_map(|body| Fields::of(body).messages(1));
        let scopes = resources.flat_map(|resource| resource.messages(2).collect::<Vec<_>>());
        scopes.flat_map(|scope| scope.messages(2).map(|metric| metric.text(1)).collect::<Vec<_>>()).collect()
    }

    /// All that was sent, as text: what is no text is replaced.
    pub(super) fn bytes(&self) -> String {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect()
    }

    /// The header of all requests.
    pub(super) fn tenants(&self) -> Vec<String> {
        let tenants: Vec<String> =
            self.requests.lock().unwrap().iter().map(|asked| asked.tenant.clone()).collect();
        assert!(!tenants.is_empty(), "nothing was sent");
        tenants
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|asked| asked.path == path).map(|asked| asked.body.clone()).collect()
    }
}

/// Attributes whose values are texts.
fn attributes(of: &Fields, field: u64) -> BTreeMap<String, String> {
    of.messages(field).map(|pair| (pair.text(1), pair.message(2).text(1))).collect()
}
