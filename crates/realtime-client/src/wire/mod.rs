//! What carries wire texts: a WebSocket.

pub(crate) mod websockets;
