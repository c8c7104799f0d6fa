//! What a machine has asked of the engine and is not answered yet: [`Requests`].

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::engine::nats::Nats;
use crate::engine::{Answer, Offer, Request, RequestId};
use crate::id::WorkerId;

/// Requests under way. Offers to one worker that are asked in one step go as one message: where many calls
/// come, or many are lost, messages are what costs.
pub(crate) struct Requests {
    nats: Nats,
    offers: BTreeMap<WorkerId, Vec<(RequestId, Offer)>>,
    under_way: FuturesUnordered<BoxFuture<'static, Vec<(RequestId, Answer)>>>,
}

impl Requests {
    pub(crate) fn new(nats: Nats) -> Self {
        Self { nats, offers: BTreeMap::new(), under_way: FuturesUnordered::new() }
    }

    /// Asks. Offers wait until [`send_offers`](Self::send_offers).
    pub(crate) fn ask(&mut self, id: RequestId, request: Request) {
        if let Request::Offer { to, offer } = request {
            self.offers.entry(to).or_default().push((id, offer));
            return;
        }
        let nats = self.nats.clone();
        self.under_way.push(async move { vec![(id, nats.handle(request).await)] }.boxed());
    }

    /// Makes the offers of this step.
    pub(crate) fn send_offers(&mut self) {
        while let Some((to, offers)) = self.offers.pop_first() {
            let nats = self.nats.clone();
            let (ids, offers): (Vec<RequestId>, Vec<Offer>) = offers.into_iter().unzip();
            let answers = async move { ids.into_iter().zip(nats.offer(&to, &offers).await).collect() };
            self.under_way.push(answers.boxed());
        }
    }

    /// Waits for the next answers. `None`: nothing is under way.
    pub(crate) async fn next(&mut self) -> Option<Vec<(RequestId, Answer)>> {
        self.under_way.next().await
    }
}
