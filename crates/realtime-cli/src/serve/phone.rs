//! The media stream of a carrier, over which a phone call is held.

use axum::extract::Request;
use axum::extract::ws::WebSocket;
use axum::response::Response;
use realtime_pipeline::media::Phone;
use realtime_pipeline::sockets::MediaSocket;
use realtime_protocol::audio::AudioFormat;
use realtime_telephony::{CarrierKind, StreamOptions};

use crate::agent::Reach;
use crate::one_line;
use crate::serve::answers;
use crate::serve::asking::Asking;
use crate::serve::hold::hold;
use crate::serve::places::Place;
use crate::serve::server::{Parts, Shared};
use crate::serve::upgrade::upgrade;
use crate::time::wall;

/// The longest message of a carrier (bytes).
const LONGEST: usize = 64 * 1024;

/// The parameter with the call's id, for carriers that do not say it on the stream.
pub(super) const CALL_ID: &str = "call_id";

/// A carrier opens a stream: verified, then given a place, and only then upgraded.
pub(super) async fn stream(server: Shared, kind: CarrierKind, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    let asking = Asking::of(&head, &server.address);
    if let Err(refused) = server.trust.stream(kind, &asking.with(b""), wall()) {
        return answers::refused(kind.name(), refused);
    }
    let place = match server.host.place(kind.name()) {
        Ok(place) => place,
        Err(why) => return answers::no_place(why),
    };
    let upgrade = match upgrade(&mut head, LONGEST).await {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused,
    };
    let upgrade = match kind.subprotocol() {
        Some(protocol) => upgrade.protocols([protocol]),
        None => upgrade,
    };
    upgrade.on_upgrade(move |socket| async move { talk(&server, kind, socket, place).await })
}

async fn talk(server: &Parts, kind: CarrierKind, socket: WebSocket, place: Place) {
    let (call, budget) = server.host.begin(kind.name(), place);
    let mut phone = Phone::new(kind, options(kind)).call_id_in(CALL_ID);
    if let Some(requests) = server.requests.get(&kind) {
        phone = phone.requests(requests.clone());
    }
    let mut socket = MediaSocket::new(socket, phone);
    if let Err(error) = socket.ready().await {
        return call.failed(one_line(&error));
    }
    if let Some(who) = socket.read(|phone| phone.call().cloned()) {
        let said = |said: Option<&str>, name| said.or_else(|| who.parameter(name)).map(str::to_owned);
        call.between(said(who.from(), "from"), said(who.to(), "to"));
        call.known_as(said(who.id(), CALL_ID));
    }
    hold(server, call, budget, Reach::Phone, socket).await;
}

/// What a carrier does not say by itself, as the answer to its webhook has it.
fn options(kind: CarrierKind) -> StreamOptions {
    let options = StreamOptions::default();
    match kind {
        // Its caller may be heard in another codec than the one in which it is sent ours.
        CarrierKind::Telnyx => options.output(AudioFormat::Pcmu),
        _ => options,
    }
}
