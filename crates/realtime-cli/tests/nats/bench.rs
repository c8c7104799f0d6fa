//! The bench of a fleet, on the same servers.

mod tests {
    use serde_json::Value;

    use crate::fleet::Fleet;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_bench_loses_no_call_and_leaves_nothing_behind() {
        let fleet = Fleet::start().await;
        let error = fleet.command(&["bench", "--workers", "2", "--kills", "2"]).await.unwrap_err();
        assert!(error.contains("expected fewer --kills than --workers (2), got 2"), "{error}");

        let words = ["bench", "--calls", "20", "--workers", "2", "--seconds", "10", "--lease", "2", "--json"];
        let told = fleet.command(&words).await.unwrap();
        let report: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
        assert_eq!((number("calls"), number("lost"), number("doubled")), (20, 0, 0), "{report}");
        assert!(number("takeovers") > 0 && number("takeover_p99_ms") > 1000, "{report}");
        assert!(number("functions") >= 20 && number("messages_per_call_minute") > 0, "{report}");
        assert!(!told.contains("could not be removed"), "{told}");
        assert_eq!(fleet.status().await["workers"], Value::Array(Vec::new()), "this fleet saw nothing of it");
    }
}
