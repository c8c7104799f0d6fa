//! The media stream of a carrier, over which a phone call is held.

use axum::extract::ws::WebSocket;
use axum::extract::{Request, WebSocketUpgrade};
use axum::http::request::Parts as Head;
use axum::response::Response;
use realtime_pipeline::media::Phone;
use realtime_pipeline::media::phone::Requests;
use realtime_pipeline::sockets::MediaSocket;
use realtime_protocol::audio::AudioFormat;
use realtime_telephony::carrier::CallStart;
use realtime_telephony::{CarrierKind, StreamOptions};

use crate::agent::Reach;
use crate::one_line;
use crate::serve::address::Address;
use crate::serve::answers;
use crate::serve::asking::Asking;
use crate::serve::hold::hold;
use crate::serve::places::Place;
use crate::serve::server::{Parts, Shared};
use crate::serve::trust::{Refused, Trust};
use crate::serve::upgrade::upgrade;
use crate::time::wall;

/// The longest message of a carrier (bytes).
const LONGEST: usize = 64 * 1024;

/// The parameter with the call's id, for carriers that do not say it on the stream.
pub(super) const CALL_ID: &str = "call_id";

/// A carrier opens a stream: verified, then given a place, and only then upgraded.
pub(super) async fn stream(server: Shared, kind: CarrierKind, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    if let Err(refused) = verify(&server.address, &server.trust, kind, &head) {
        return answers::refused(kind.name(), refused);
    }
    let place = match server.host.place(kind.name()) {
        Ok(place) => place,
        Err(why) => return answers::no_place(why.code(), why),
    };
    match open(&mut head, kind).await {
        Ok(upgrade) => {
            upgrade.on_upgrade(move |socket| async move { talk(&server, kind, socket, place).await })
        }
        Err(refused) => refused,
    }
}

/// Whether the request that opens a stream is from this carrier.
///
/// # Errors
/// [`Refused`].
pub(super) fn verify(
    address: &Address,
    trust: &Trust,
    kind: CarrierKind,
    head: &Head,
) -> Result<(), Refused> {
    let asking = Asking::of(head, address);
    trust.stream(kind, &asking.with(b""), wall())
}

/// The WebSocket of a stream, as this carrier opens it.
///
/// # Errors
/// The request opens none: the answer says why.
pub(super) async fn open(head: &mut Head, kind: CarrierKind) -> Result<WebSocketUpgrade, Response> {
    let upgrade = upgrade(head, LONGEST).await?;
    Ok(match kind.subprotocol() {
        Some(protocol) => upgrade.protocols([protocol]),
        None => upgrade,
    })
}

/// What is spoken on a carrier's stream.
pub(super) fn spoken(kind: CarrierKind, options: StreamOptions, requests: Option<&Requests>) -> Phone {
    let phone = Phone::new(kind, options).call_id_in(CALL_ID);
    match requests {
        Some(requests) => phone.requests(requests.clone()),
        None => phone,
    }
}

/// Who calls whom, by which id, as the stream or its parameters say it: from, to, id.
pub(super) fn who(start: &CallStart) -> [Option<String>; 3] {
    let said = |said: &Option<String>, name| said.clone().or_else(|| start.parameters.get(name).cloned());
    [said(&start.from, "from"), said(&start.to, "to"), said(&start.call_id, CALL_ID)]
}

async fn talk(server: &Parts, kind: CarrierKind, socket: WebSocket, place: Place) {
    let (call, budget) = server.host.begin(kind.name(), place);
    let phone = spoken(kind, options(kind), server.requests.get(&kind));
    let mut socket = MediaSocket::new(socket, phone);
    if let Err(error) = socket.ready().await {
        return call.failed(one_line(&error));
    }
    if let Some([from, to, id]) = socket.read(|phone| phone.call().map(|call| who(&call.start))) {
        call.between(from, to);
        call.known_as(id);
    }
    hold(server, call, budget, Reach::Phone, socket).await;
}

/// What a carrier does not say by itself, as the answer to its webhook has it.
pub(super) fn options(kind: CarrierKind) -> StreamOptions {
    let options = StreamOptions::default();
    match kind {
        // Its caller may be heard in another codec than the one in which it is sent ours.
        CarrierKind::Telnyx => options.output(AudioFormat::Pcmu),
        _ => options,
    }
}
