//! A worker is killed or told to end in the middle of a real call, and another one finishes it.

use realtime_emulator::voice;
use serde_json::json;

use crate::calls::Stage;

/// Of a call that no worker leaves.
async fn unbroken(questions: &[&str]) -> String {
    let mut stage = Stage::begin(json!({})).await;
    for question in questions {
        stage.ask(question).await;
        stage.hears_the_end().await;
    }
    stage.hang_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_worker_is_killed_in_mid_speech_is_known_whole_afterwards() {
    let mut stage = Stage::begin(json!({})).await;
    stage.ask("Tell me a story.").await;
    stage.hears_speech().await;
    stage.kill_owner();
    stage.fleet.wait_for_lines("attached", 2).await;
    stage.hears_the_end().await;
    assert_eq!(stage.hang_up().await, unbroken(&["Tell me a story."]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_function_whose_worker_is_killed_the_model_is_told_that_nobody_knows() {
    let mut stage = Stage::begin(json!({ "slow": true })).await;
    stage.ask("Please book a seat.").await;
    stage.fleet.wait_for_lines("effects", 1).await;
    stage.kill_owner();
    stage.hears_the_end().await;
    assert_eq!(stage.fleet.texts("effects").len(), 1, "it ran once");
    let (said, unbroken) = (stage.hang_up().await, unbroken(&["Please book a seat."]).await);
    let other: Vec<(&str, &str)> = said.lines().zip(unbroken.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(said.lines().count(), unbroken.lines().count(), "{said}");
    assert!(
        matches!(other[..], [(now, "tool: book({\"row\":7}) -> {\"seat\":4}")] if now.contains("not known")),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_may_run_again_does_and_the_call_is_as_if_nothing_had_happened() {
    let mut stage = Stage::begin(json!({ "slow": true, "on_takeover": "again" })).await;
    stage.ask("Please book a seat.").await;
    stage.fleet.wait_for_lines("effects", 1).await;
    stage.kill_owner();
    stage.hears_the_end().await;
    let effects = stage.fleet.texts("effects");
    assert_eq!((effects.len(), &effects[0]), (2, &effects[1]), "the same key");
    assert_eq!(stage.hang_up().await, unbroken(&["Please book a seat."]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_worker_is_killed_in_the_answer_about_a_function_is_known_whole_afterwards() {
    let mut stage = Stage::begin(json!({})).await;
    stage.ask("Please book a seat.").await;
    stage.hears_speech().await;
    stage.kill_owner();
    stage.fleet.wait_for_lines("attached", 2).await;
    stage.hears_the_end().await;
    assert_eq!(stage.fleet.texts("effects").len(), 1, "it ran once");
    assert_eq!(stage.hang_up().await, unbroken(&["Please book a seat."]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_call_that_nobody_heard_is_made_again() {
    let mut stage = Stage::begin(json!({})).await;
    stage.kill_owner();
    stage.ask("Please book a seat.").await;
    stage.hears_the_end().await;
    assert_eq!(stage.fleet.texts("effects").len(), 1, "it ran once");
    let said = stage.hang_up().await;
    assert_eq!(said.matches("book").count(), 2, "{said}");
    assert!(said.contains("nothing was done") && said.contains("Once upon a time"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_told_to_end_gives_its_call_away_between_two_turns() {
    let mut stage = Stage::begin(json!({})).await;
    stage.ask("Tell me a story.").await;
    stage.hears_speech().await;
    let owner = stage.owner();
    stage.fleet.signal(owner, "-TERM");
    stage.hears_the_end().await;
    assert_eq!(stage.fleet.texts("attached").len(), 1, "it speaks to the end");
    stage.fleet.wait_for_end(owner).await;
    assert!(stage.fleet.texts("begun")[1].ends_with("2 Moved"), "{:?}", stage.fleet.texts("begun"));
    let (attached, let_go) = (stage.fleet.times("attached"), stage.fleet.times("let_go"));
    assert!(attached[1] <= let_go[0], "the next owner is attached before the last one lets go");

    stage.ask("Please book a seat.").await;
    stage.hears_the_end().await;
    assert_eq!(stage.fleet.texts("effects").len(), 1, "it ran once");
    let said = stage.hang_up().await;
    assert_eq!(said, unbroken(&["Tell me a story.", "Please book a seat."]).await);
}

/// What a caller hears of a story: from the first to the last sound, in milliseconds, and the longest pause
/// in between.
async fn heard_by_a_caller(worker_is_killed: bool) -> (usize, usize) {
    let (mut stage, caller) = Stage::begin_with_caller().await;
    caller.say(&voice::speak("Tell me a story, please.").samples);
    stage.hears_speech().await;
    if worker_is_killed {
        stage.kill_owner();
        stage.fleet.wait_for_lines("attached", 2).await;
    }
    stage.hears_the_end().await;
    // What was sent last sounds.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let heard = caller.hang_up().await.heard;
    let loud: Vec<usize> = (0..heard.len()).filter(|at| heard[*at].unsigned_abs() > 1_000).collect();
    let pause = loud.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    ((loud[loud.len() - 1] - loud[0]) / 24, pause / 24)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_hears_a_story_without_a_gap_although_the_worker_is_killed() {
    let (unbroken, broken) = tokio::join!(heard_by_a_caller(false), heard_by_a_caller(true));
    println!(
        "a story of {} ms, longest pause {} ms; with a kill {} ms, {} ms",
        unbroken.0, unbroken.1, broken.0, broken.1
    );
    // A lease is 3,000 ms: so long nobody would speak if the media passed the worker.
    assert!(unbroken.0.abs_diff(broken.0) < 1_500, "{unbroken:?} {broken:?}");
    assert!(broken.1 < 1_500, "{unbroken:?} {broken:?}");
}
