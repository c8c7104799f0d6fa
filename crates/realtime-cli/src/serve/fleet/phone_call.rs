//! One phone call of a worker, whose carrier's socket a leg has: the agent speaks over it, goes on where
//! another worker was, and lets go of it when it is another worker's.

use futures_util::future::BoxFuture;
use realtime_fleet::drive::ServedCall;
use realtime_fleet::{LegToken, Why};
use realtime_pipeline::carrier_client::CarrierClient;
use realtime_pipeline::media::phone::{HttpReply, NoReply, Requests, SendRequest};
use realtime_pipeline::sockets::MediaSocket;
use realtime_telephony::CarrierKind;
use realtime_telephony::rest::HttpRequest;

use crate::accounts::Accounts;
use crate::agent::Reach;
use crate::one_line;
use crate::serve::fleet::call::{begin_with, follow};
use crate::serve::fleet::leg_socket::{Ended, LegSocket, Way};
use crate::serve::host::Host;
use crate::serve::phone::{options, spoken};

/// A phone call as it was placed.
#[derive(Clone, Copy)]
pub(super) struct PhoneLeg<'a> {
    pub(super) carrier: &'a str,
    pub(super) call_id: Option<&'a str>,
    pub(super) url: &'a str,
    pub(super) token: &'a LegToken,
}

/// Speaks. Returns why the call is over; `None`: it is another worker's.
pub(super) async fn converse(
    host: &Host,
    accounts: &Accounts,
    served: &ServedCall,
    leg: PhoneLeg<'_>,
) -> Option<String> {
    let placed = served.placed();
    let way = Way {
        url: leg.url.to_owned(),
        token: leg.token.clone(),
        epoch: placed.epoch,
        is_next: placed.why == Why::Moved,
    };
    let ended = Ended::default();
    let why = speak(host, accounts, served, leg, &way, ended.clone()).await?;
    super::call::may_end(served).await?;
    way.end(&ended).await;
    Some(why)
}

async fn speak(
    host: &Host,
    accounts: &Accounts,
    served: &ServedCall,
    leg: PhoneLeg<'_>,
    way: &Way,
    ended: Ended,
) -> Option<String> {
    let Some(kind) = CarrierKind::of_name(leg.carrier) else {
        return Some(format!("expected a carrier that this worker knows, got `{}`", leg.carrier));
    };
    let place = match host.place(kind.name()) {
        Ok(place) => place,
        Err(why) => return Some(why.to_string()),
    };
    let (call, budget) = host.begin(kind.name(), place);
    served.pay_by(&budget);
    call.known_as(leg.call_id.map(str::to_owned));
    let metadata = &served.placed().placing.metadata.0;
    let said = |name: &str| metadata[name].as_str().map(str::to_owned);
    call.between(said("from"), said("to"));

    // A mark that an owner before asked for is not this one's.
    let options = options(kind).mark_prefix(format!("{}:", way.epoch));
    let fenced = accounts.get(&kind).map(|requests| {
        Requests::new(
            requests.account().clone(),
            Fenced { call: served.clone(), client: CarrierClient::new() },
        )
    });
    let dial = async {
        let socket = LegSocket::dial(way.clone(), served, ended).await.map_err(|error| one_line(&error))?;
        let mut socket = MediaSocket::new(socket, spoken(kind, options, fenced.as_ref()));
        socket.ready().await.map_err(|error| one_line(&error))?;
        Ok::<_, String>(socket)
    };
    let joined = tokio::select! {
        () = served.stopped() => return None,
        joined = dial => joined,
    };
    let joined = joined.and_then(|socket| {
        let conversation = served.conversation().map_err(|error| one_line(&error))?;
        let endpoint = host.model.endpoint().map_err(|error| one_line(&*error))?;
        Ok((socket, conversation, endpoint))
    });
    let (socket, conversation, endpoint) = match joined {
        Ok(joined) => joined,
        Err(why) => {
            call.failed(&why);
            return Some(why);
        }
    };
    let agent = host
        .agent(Reach::Phone)
        .change_library(|library| served.tools(library))
        .conversation(conversation.clone())
        // A server that is away for a moment is tried again.
        .client(|client| served.media_client(client.fallback(endpoint.clone()), &conversation));
    follow(host, served, call, budget, endpoint, begin_with(host, served, agent), socket).await
}

/// Requests to a carrier, as long as the call is this worker's: another one's call is not hung up.
struct Fenced {
    call: ServedCall,
    client: CarrierClient,
}

impl SendRequest for Fenced {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpReply, NoReply>> {
        match self.call.may_act() {
            true => self.client.send(request),
            false => Box::pin(async { Err("the call may not be acted for".into()) }),
        }
    }
}
