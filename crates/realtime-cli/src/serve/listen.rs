//! Connections to the server: accepted, bounded, with TLS if there is a certificate, and served by `hyper`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::serve::tls::Acceptor;

/// How long a connection may take for the head of a request, and for TLS.
const HEAD: Duration = Duration::from_secs(10);

/// Connections besides those of calls.
const BESIDES: usize = 512;

/// Accepts connections until this is dropped. `most_calls`: each keeps a connection.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Acceptor>,
    router: Router,
    most_calls: usize,
) -> io::Error {
    let free = Arc::new(Semaphore::new(most_calls.saturating_add(BESIDES).min(Semaphore::MAX_PERMITS)));
    loop {
        // It is never closed.
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return io::Error::other("no connection can be accepted any more");
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The connection is gone already, or the process has too many files: wait for some to close.
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            // Small messages must not wait for others.
            let _ = stream.set_nodelay(true);
            handle(stream, tls, router).await;
            drop(permit);
        });
    }
}

async fn handle(stream: TcpStream, tls: Option<Acceptor>, router: Router) {
    match tls {
        None => answer(stream, router).await,
        Some(Acceptor(tls)) => match timeout(HEAD, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, router).await,
            Ok(Err(error)) => tracing::debug!("no TLS with a peer: {error}"),
            Err(_) => tracing::debug!("no TLS with a peer in time"),
        },
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!("a connection has ended: {error}");
    }
}
