//! Clients that speak RTVI, such as pipecat's.

use axum::extract::ws::WebSocket;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Json, Response};
use realtime_pipeline::media::rtvi::{FunctionReport, Rtvi, RtviOptions};
use realtime_pipeline::sockets::MediaSocket;
use serde_json::json;

use crate::agent::Reach;
use crate::one_line;
use crate::serve::access::{Admitted, Denied};
use crate::serve::answers;
use crate::serve::asking::caller;
use crate::serve::hold::hold;
use crate::serve::page::shared_with;
use crate::serve::places::Place;
use crate::serve::server::{Parts, Shared};
use crate::serve::upgrade::upgrade;
use crate::time::wall;

/// The longest message of a client (bytes): its transport sends none that is longer.
const LONGEST: usize = 1024 * 1024;

/// A client connects.
pub(super) async fn socket(State(server): State<Shared>, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    match server.access.page(caller(&head), wall()) {
        Ok(Admitted::Begin) => {}
        // These clients do not come back to a call.
        Ok(Admitted::Return) => return answers::denied(Denied::WrongToken),
        Err(denied) => return answers::denied(denied),
    }
    let place = match server.host.place("rtvi") {
        Ok(place) => place,
        Err(why) => return answers::no_place(why.code(), why),
    };
    match upgrade(&mut head, LONGEST).await {
        Ok(upgrade) => upgrade.on_upgrade(move |socket| async move { talk(&server, socket, place).await }),
        Err(refused) => refused,
    }
}

async fn talk(server: &Parts, socket: WebSocket, place: Place) {
    let (call, budget) = server.host.begin("rtvi", place);
    let functions = if server.shows_arguments { FunctionReport::Full } else { FunctionReport::Name };
    let mut socket = MediaSocket::new(socket, Rtvi::new(RtviOptions::new(wall()).functions(functions)));
    match socket.ready().await {
        Ok(()) => hold(server, call, budget, Reach::Other, socket).await,
        Err(error) => call.failed(one_line(&error)),
    }
}

/// A client asks where to connect: `startBotAndConnect`. Whoever has the token of pages gets a short-lived
/// one for the client.
pub(super) async fn start(State(server): State<Shared>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let ws_url = server.address.ws("/rtvi");
    // The client takes no other members.
    let response = match server.access.short_lived(caller(&head), wall()) {
        Ok(Some((token, _))) => Json(json!({ "ws_url": ws_url, "token": token })).into_response(),
        Ok(None) => Json(json!({ "ws_url": ws_url })).into_response(),
        Err(denied) => answers::denied(denied),
    };
    shared_with(&server, &head, response)
}
