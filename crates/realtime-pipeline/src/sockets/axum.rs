//! Messages of `axum`.

use axum::extract::ws::{CloseFrame, Message, close_code};

use crate::media::SocketMessage;
use crate::sockets::WebSocketMessage;

impl WebSocketMessage for Message {
    fn into_content(self) -> Option<SocketMessage> {
        match self {
            Self::Text(text) => Some(SocketMessage::Text(text.as_str().to_owned())),
            Self::Binary(bytes) => Some(SocketMessage::Binary(bytes)),
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) => None,
        }
    }

    fn from_content(content: SocketMessage) -> Self {
        match content {
            SocketMessage::Text(text) => Self::Text(text.into()),
            SocketMessage::Binary(bytes) => Self::Binary(bytes),
        }
    }

    fn goodbye() -> Option<Self> {
        Some(Self::Close(Some(CloseFrame { code: close_code::NORMAL, reason: "".into() })))
    }
}
