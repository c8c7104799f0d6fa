//! [`Dial`]: how a call comes to its connections. The client's own ways are here: over the network, and over
//! streams that the application opens.

use std::io;
use std::pin::Pin;

use super::deadline::{Attempt, Phase};
use super::endpoint::Endpoint;
use super::error::ConnectError;
use crate::connect;
use crate::wire::Wire;
use crate::wire::stream::ByteStream;

/// An attempt to connect.
pub type Dialing = Pin<Box<dyn Future<Output = Result<Box<dyn Wire>, ConnectError>> + Send>>;

/// Makes the connections of a call, one for each attempt. Give it to
/// [`Client::dial_with`](crate::Client::dial_with).
///
/// A closure from number and endpoint to a future of a wire is a `Dial`, too.
pub trait Dial: Send {
    /// Begins an attempt to connect to the endpoint. `number`: its place among the call's endpoints; 0 is the
    /// first, and [fallbacks](crate::ClientOptions::fallbacks) follow from 1 on.
    ///
    /// The attempt is given up at the endpoint's [deadline](Endpoint::connect_deadline). An error is treated
    /// as the client's own: by [`ConnectError::is_retryable`] the call tries again or ends.
    fn dial(&mut self, number: u32, endpoint: &Endpoint) -> Dialing;
}

impl<F, Fut> Dial for F
where
    F: FnMut(u32, &Endpoint) -> Fut + Send,
    Fut: Future<Output = Result<Box<dyn Wire>, ConnectError>> + Send + 'static,
{
    fn dial(&mut self, number: u32, endpoint: &Endpoint) -> Dialing {
        Box::pin(self(number, endpoint))
    }
}

/// Over the network: TCP, TLS and a WebSocket.
#[derive(Default)]
pub(crate) struct Network {
    has_dialed: bool,
}

impl Dial for Network {
    fn dial(&mut self, _number: u32, endpoint: &Endpoint) -> Dialing {
        let (endpoint, is_new) = (endpoint.clone(), !self.has_dialed);
        self.has_dialed = true;
        Box::pin(async move { connect::open(&endpoint, is_new).await })
    }
}

/// A WebSocket over the application's streams to the first endpoint, and over the network to others.
pub(crate) struct Streams<F>(pub(crate) F);

impl<S, F, Fut> Dial for Streams<F>
where
    S: ByteStream + 'static,
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
{
    fn dial(&mut self, number: u32, endpoint: &Endpoint) -> Dialing {
        if number > 0 {
            return Network::default().dial(number, endpoint);
        }
        let (stream, endpoint) = ((self.0)(), endpoint.clone());
        Box::pin(async move {
            let unreachable = |source| ConnectError::Unreachable { address: endpoint.address(), source };
            let stream = async { stream.await.map_err(unreachable) };
            let stream = Attempt::new(&endpoint).during(Phase::Tcp, stream).await?;
            connect::over(&endpoint, Box::new(stream)).await
        })
    }
}

/// An application's own dial, with the endpoint's deadline.
pub(crate) struct Bounded<D>(pub(crate) D);

impl<D: Dial> Dial for Bounded<D> {
    fn dial(&mut self, number: u32, endpoint: &Endpoint) -> Dialing {
        let (dialing, endpoint) = (self.0.dial(number, endpoint), endpoint.clone());
        Box::pin(async move { Attempt::new(&endpoint).during(Phase::Dial, dialing).await })
    }
}
