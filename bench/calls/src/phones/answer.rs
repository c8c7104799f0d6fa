//! A phone call that an agent answers.

use realtime_pipeline::media::Phone;
use realtime_pipeline::sockets::MediaSocket;
use realtime_pipeline::telephony::{CarrierKind, StreamOptions};
use realtime_pipeline::{Agent, Endpoint};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;

use crate::hold::Ended;

pub(super) async fn answer(socket: WebSocketStream<TcpStream>, address: &str) -> Ended {
    let mut phone = MediaSocket::new(socket, Phone::new(CarrierKind::Twilio, StreamOptions::default()));
    phone.ready().await?;
    let endpoint = Endpoint::new(&format!("ws://{address}"), "phone")?;
    let call = Agent::new("Be brief.").hang_up(None).run(endpoint, phone).await?;
    Err(format!("the run ended: {:?}", call.finished.ended).into())
}
