//! Whether a tenant may have one more call, by the limits of its money and of its calls.

use realtime_protocol::time::Timestamp;

use crate::gateway::{Asking, Gateway, GatewayOutput, NewCall, PlaceError};
use crate::id::{CallId, Tenant};
use crate::quota::Waiter;

impl Gateway {
    /// Looks whether the tenant may have the call: its money first, and then its slots.
    pub(super) fn admit(&mut self, now: Timestamp, who: Waiter, new: NewCall) {
        match new.money {
            Some(limit) => {
                let tenant = new.placing.tenant.clone();
                self.purse.take(now, &tenant, limit, (who, new));
            }
            None => self.admit_paid(now, who, new),
        }
        self.advance_quota(now);
    }

    fn admit_paid(&mut self, now: Timestamp, who: Waiter, new: NewCall) {
        let Some(limit) = new.tenant_limit else { return self.decide(now, who, Some(new), Ok(())) };
        let tenant = new.placing.tenant.clone();
        if let Waiter::Place(call) = &who {
            self.waiting.insert(call.clone(), new);
        }
        self.quota.take(now, &tenant, limit, who);
    }

    pub(super) fn decide(
        &mut self,
        now: Timestamp,
        who: Waiter,
        new: Option<NewCall>,
        result: Result<(), PlaceError>,
    ) {
        match (who, new, result) {
            (Waiter::Check { id, .. }, _, result) => {
                self.outputs.push_back(GatewayOutput::Checked { id, result });
            }
            (Waiter::Place(call), Some(new), Ok(())) => self.begin(now, &call, new),
            (Waiter::Place(call), _, Err(error)) => self.finish(&call, Err(error)),
            (Waiter::Place(_), None, Ok(())) => {}
        }
    }

    /// Carries on what has to do with slots of tenants.
    pub(super) fn advance_quota(&mut self, now: Timestamp) {
        loop {
            if let Some((tenant, request)) = self.purse.poll(now) {
                self.ask(Asking::Purse(tenant), request);
            } else if let Some(((who, new), result)) = self.purse.poll_decided() {
                match result {
                    Ok(()) => self.admit_paid(now, who, new),
                    Err(error) => self.decide(now, who, None, Err(error)),
                }
            } else if let Some((asked, life, request)) = self.quota.poll(now) {
                self.ask(Asking::Quota(asked, life), request);
            } else if let Some((who, result)) = self.quota.poll_decided() {
                let new = match &who {
                    Waiter::Place(call) => self.waiting.remove(call),
                    Waiter::Check { .. } => None,
                };
                self.decide(now, who, new, result);
            } else {
                return;
            }
        }
    }

    /// The call is over: this gateway wrote its last line.
    pub(super) fn release(&mut self, now: Timestamp, tenant: &Tenant, call: &CallId) {
        self.quota.release(tenant, call);
        self.advance_quota(now);
    }
}
