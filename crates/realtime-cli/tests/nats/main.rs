//! A fleet of the program's own processes on a real nats-server: a call comes by a webhook, or over a leg by
//! a carrier's socket; its worker is killed, the next one drains, and the call goes on.
//!
//! `cargo xtask ci fleet` installs the server and runs this. By hand:
//! `NATS_SERVER=…/nats-server cargo test -p realtime-cli --features fleet --test nats`.

// The modules are marked as tests so that their helpers may unwrap.
#[cfg(test)]
mod bench;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod model;
#[cfg(test)]
mod phone;

#[cfg(test)]
mod tests {
    use realtime_client::{Endpoint, Rest};
    use serde_json::json;

    use crate::fleet::Fleet;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_outlives_its_workers_and_the_caller_hears_of_none_of_it() {
        let mut fleet = Fleet::start().await;
        let error = fleet.command(&["drain", "w_nobody"]).await.unwrap_err();
        assert!(error.contains("there is no worker w_nobody: the fleet has none"), "{error}");
        let refused = fleet.webhook("rtc_0").await;
        assert_eq!(refused, 204);
        fleet.counts("realtime_fleet_calls_refused_total{reason=\"no_worker\"} 1").await;

        // Each has room for one call.
        fleet.start_worker(&["--room", "1", "--label", "zone=a"]).await;
        fleet.start_worker(&["--room", "1", "--label", "zone=b"]).await;
        fleet.workers(2).await;
        assert_eq!(fleet.webhook("rtc_1").await, 204);
        let mut caller = fleet.join("rtc_1").await;
        let first = fleet.owner_in_epoch(1).await;
        caller.ask("Please book a seat.").await;
        caller.hears("It is booked.").await;
        assert_eq!(fleet.bookings(), 1);
        caller.ask("Billing, please.").await;
        caller.hears("Billing speaks.").await;
        let status = fleet.status().await;
        let call = &status["calls"][0];
        assert_eq!((&call["tenant"], &call["why"]), (&json!("default"), &json!("placed")));
        assert_eq!(call["leg"], json!({ "sideband": { "call_id": "rtc_1" } }));
        let of_owner = |told: &serde_json::Value| told["worker"] == first.as_str();
        let owner = status["workers"].as_array().unwrap().iter().find(|told| of_owner(told)).unwrap();
        assert_eq!((&owner["calls"], &owner["room"]), (&json!(1), &json!(0)));
        assert!(owner["labels"]["zone"].is_string(), "{status}");

        // Its worker is killed: the other one knows who speaks, and what was done.
        fleet.kill(&first);
        let second = fleet.owner_in_epoch(2).await;
        assert_ne!(first, second);
        assert_eq!(fleet.greetings(), 1, "nobody greets again");
        caller.ask("Back to the desk.").await;
        caller.hears("The desk speaks.").await;
        caller.ask("Please book a seat.").await;
        caller.hears("It is booked.").await;
        assert_eq!(fleet.bookings(), 2);
        assert_eq!(fleet.greetings(), 2, "the desk greets when it has the call again, and never by itself");

        // All room is taken: the next call is rejected before it is accepted.
        assert_eq!(fleet.webhook("rtc_2").await, 204);
        fleet.counts("realtime_fleet_calls_refused_total{reason=\"busy\"} 1").await;

        // The worker drains: a third one is attached before it lets go, and its process ends.
        fleet.start_worker(&[]).await;
        fleet.workers(2).await;
        let error = fleet.command(&["drain", "w_nobody"]).await.unwrap_err();
        assert!(error.contains(&second), "it names the workers that there are: {error}");
        let told = fleet.command(&["drain", &second, "--timeout", "50", "--json"]).await.unwrap();
        assert!(told.lines().last().unwrap().contains("\"calls\":0"), "{told}");
        let third = fleet.owner_in_epoch(3).await;
        assert!(third != second && fleet.ends(&second).await);
        caller.ask("Please book a seat.").await;
        caller.hears("It is booked.").await;
        assert_eq!((fleet.bookings(), fleet.greetings()), (3, 2));

        // The agent hangs up, by whichever worker it is.
        caller.ask("Goodbye.").await;
        caller.hears_the_end().await;
        fleet.no_calls().await;
        let rest = Rest::new(Endpoint::new(fleet.emulator.url(), "gpt-realtime").unwrap());
        assert!(rest.hang_up_call("rtc_1").await.is_err(), "it is over at the model's server, too");
        fleet.counts("realtime_fleet_calls_placed_total 1").await;
        fleet.terminate(&third);
        assert!(fleet.ends(&third).await);
        fleet.workers(0).await;
    }
}
