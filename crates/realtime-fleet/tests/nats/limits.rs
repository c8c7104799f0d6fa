//! What holds for a tenant in the whole fleet.

use std::time::Duration;

use realtime_context::budget::{Budget, Prices, SpendLimits};
use realtime_fleet::drive::{self, ServedCall};
use realtime_fleet::gateway::{NewCall, PlaceError};
use realtime_fleet::{CallId, MoneyLimit, Tenant};
use realtime_protocol::call::{Event, Listeners, ResponseEnd, ResponseReport, Timeline};
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::json;

use crate::fleet::Fleet;
use crate::process::{self, placing};

/// Calls that a tenant may have.
const LIMIT: u32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_at_several_gateways_never_pass_a_tenants_limit_and_the_slots_come_back() {
    let mut fleet = Fleet::start(2).await;
    let mut gateways = vec![fleet.gateway.clone()];
    for _ in 0..2 {
        gateways.push(drive::gateway(process::nats(&fleet.urls())).await.unwrap());
    }
    for gateway in &gateways {
        while gateway.workers().await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let new = |turns: u64| NewCall::new(placing(json!({ "turns": turns }))).tenant_limit(LIMIT);
    let burst = async |gateways: &[drive::GatewayHandle], turns: u64| {
        let calls = (0..90).map(|n| gateways[n % 3].place(new(turns)));
        futures_util::future::join_all(calls).await
    };
    let count = |placed: &[Result<drive::Placed, PlaceError>]| {
        let refused = placed.iter().filter_map(|placed| placed.as_ref().err());
        refused.for_each(|error| assert_eq!(*error, PlaceError::TenantFull));
        placed.iter().filter(|placed| placed.is_ok()).count()
    };

    let first = burst(&gateways, 3).await;
    assert_eq!(fleet.known_calls().await, count(&first));
    assert!((LIMIT as usize - 6..=LIMIT as usize).contains(&count(&first)), "{}", count(&first));
    for gateway in &gateways {
        assert_eq!(gateway.check(&new(1), LIMIT as usize).await, Err(PlaceError::TenantFull));
    }
    // They never have more, while some end and others come.
    for _ in 0..20 {
        burst(&gateways, 2).await;
        let open = fleet.known_calls().await;
        assert!(open <= LIMIT as usize, "{open}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // A gateway is gone, and its slots are not.
    fleet.all_end().await;
    drop(gateways.split_off(1));
    let mut placed = 0;
    while placed < LIMIT as usize {
        match gateways[0].place(new(40)).await {
            Ok(_) => placed += 1,
            Err(error) => assert_eq!(error, PlaceError::TenantFull),
        }
        assert!(fleet.runs_in_time());
    }
    assert_eq!(gateways[0].place(new(1)).await.unwrap_err(), PlaceError::TenantFull);
    assert_eq!(fleet.known_calls().await, LIMIT as usize);
    fleet.kill(0);
    fleet.kill(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_a_lost_gateway_announced_keeps_its_slot_until_it_is_over() {
    let fleet = Fleet::start(1).await;
    let gone = async_nats::connect(fleet.urls()).await.unwrap();
    let write = async |subject: &str, value: serde_json::Value| {
        let answer = gone.request(format!("rt.voice.{subject}"), value.to_string().into()).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer.payload).contains("error"));
    };
    write("kept.slots.default", json!({ "limit": 1, "slots": { "g_gone": 1 } })).await;
    write("new.g_gone", json!([[CallId::of_bits(7), placing(json!({ "turns": 30 }))]])).await;

    // Nobody has it for some seconds, and then a worker.
    let new = || NewCall::new(placing(json!({ "turns": 1 }))).tenant_limit(1);
    assert_eq!(fleet.gateway.place(new()).await.unwrap_err(), PlaceError::TenantFull);
    let owner = async || {
        let calls = fleet.gateway.nats().open_calls().await.unwrap();
        calls.into_iter().next().and_then(|call| call.owner)
    };
    while owner().await.is_none() {
        assert_eq!(fleet.gateway.place(new()).await.unwrap_err(), PlaceError::TenantFull);
    }
    while let Err(error) = fleet.gateway.place(new()).await {
        assert_eq!(error, PlaceError::TenantFull);
        assert!(fleet.runs_in_time());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let over = fleet.gateway.nats().record(&CallId::of_bits(7)).await.unwrap();
    assert!(over.is_over());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_its_limit_of_money_a_tenant_gets_no_new_call_and_at_the_next_one_those_that_run_end() {
    let fleet = Fleet::start(0).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let serve = move |call: ServedCall| {
        let tell = tell.clone();
        async move {
            // Each token costs 1.
            let prices = Prices { output_text: 1e6, ..Prices::default() };
            let budget = Budget::new(prices, SpendLimits::default());
            call.pay_by(&budget);
            tell.send(budget).unwrap();
            call.stopped().await;
        }
    };
    let mut workers = Vec::new();
    for _ in 0..2 {
        let nats = process::nats(&fleet.urls());
        workers.push(drive::serve(nats, process::options(), serve.clone()).await.unwrap());
    }
    fleet.wait_for_workers(2).await;
    let limit = MoneyLimit::new(10_000_000).end(20_000_000);
    let new = || NewCall::new(placing(json!({}))).money(limit);
    let mut budgets = Vec::new();
    for _ in 0..4 {
        fleet.gateway.place(new()).await.unwrap();
        budgets.push(told.recv().await.unwrap());
    }
    budgets.iter().for_each(|budget| spend(budget, 3));
    while fleet.gateway.check(&new(), 0).await != Err(PlaceError::BudgetSpent) {
        assert!(fleet.runs_in_time());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(fleet.gateway.place(new()).await.unwrap_err(), PlaceError::BudgetSpent);
    assert!(budgets.iter().all(|budget| !budget.is_spent()), "calls that run go on");

    // Whoever goes on spending when even those that run may not ends.
    budgets.iter().for_each(|budget| spend(budget, 2));
    while !budgets.iter().all(Budget::is_spent) {
        assert!(fleet.runs_in_time());
        tokio::time::sleep(Duration::from_millis(100)).await;
        budgets.iter().filter(|budget| !budget.is_spent()).for_each(|budget| spend(budget, 1));
    }
    let nats = fleet.gateway.nats();
    let calls = nats.open_calls().await.unwrap();
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let tenants = nats.tenants(UnixTime::from_secs(wall.as_secs()), &calls).await.unwrap();
    let shown = (&tenants[0].tenant, tenants[0].calls, tenants[0].money);
    assert_eq!(shown, (&Tenant::unnamed(), 4, Some(limit)));
    assert!(tenants[0].spent >= 20_000_000, "{}", tenants[0].spent);
}

/// A response of so many tokens has ended.
fn spend(budget: &Budget, tokens: u64) {
    let mut listeners = Listeners::default();
    listeners.add(Box::new(budget.clone()));
    let report = ResponseReport {
        response_id: "r".into(),
        end: ResponseEnd::Completed,
        usage: serde_json::from_value(json!({ "output_tokens": tokens })).unwrap(),
        timeline: Timeline::default(),
        dropped_bytes: 0,
        totals: Default::default(),
    };
    listeners.hear(Timestamp::ZERO, UnixTime::default(), &Event::ResponseFinished(Box::new(report)));
}
