//! What holds for a tenant in the whole fleet.

use std::time::Duration;

use realtime_fleet::drive;
use realtime_fleet::gateway::{NewCall, PlaceError};
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
