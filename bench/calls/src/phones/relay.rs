//! A bare relay: each frame of a phone becomes an append, and each delta of the model a frame for the phone.

use std::borrow::Cow;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::select;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::hold::Ended;
use crate::phones::load::STREAM;
use crate::phones::small;

#[derive(Deserialize)]
struct FromPhone<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
struct FromModel<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
}

pub(super) async fn relay(mut phone: WebSocketStream<TcpStream>, address: &str) -> Ended {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{address}/v1/realtime?model=phone");
    let (mut model, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(small())).await?;
    model.send(Message::text(r#"{"type":"session.update","session":{"type":"realtime"}}"#)).await?;
    loop {
        select! {
            message = phone.next() => {
                let message = message.ok_or("the phone has gone")??;
                let Message::Text(text) = &message else { continue };
                let from: FromPhone<'_> = serde_json::from_str(text)?;
                if let ("media", Some(media)) = (&*from.event, from.media) {
                    let append = format!(r#"{{"type":"input_audio_buffer.append","audio":"{}"}}"#, media.payload);
                    model.send(Message::text(append)).await?;
                }
            }
            message = model.next() => {
                let message = message.ok_or("the model has gone")??;
                let Message::Text(text) = &message else { continue };
                let from: FromModel<'_> = serde_json::from_str(text)?;
                if let ("response.output_audio.delta", Some(delta)) = (&*from.r#type, from.delta) {
                    let media = format!(
                        r#"{{"event":"media","streamSid":"{STREAM}","media":{{"payload":"{delta}"}}}}"#
                    );
                    phone.send(Message::text(media)).await?;
                }
            }
        }
    }
}
