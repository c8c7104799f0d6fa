//! What begins a turn, and what ends one.

use std::sync::{Arc, Mutex};

use super::*;
use crate::turns::{PushToTalk, Start, Stop, Turns, Utterance, Verdict};

fn by_voice() -> Turns {
    Turns::by_voice(Script)
}

#[test]
fn a_turn_begins_with_a_voice_before_its_audio_and_ends_after_silence_and_its_audio() {
    let mut run = Run::new(by_voice());
    run.hear(false, 100);
    run.hear(true, 400);
    run.hear(false, 1_000);
    let told = [(300, "voice started"), (300, "started"), (700, "voice stopped"), (1_100, "stopped")];
    let words: Vec<String> = run.down.iter().map(|(_, word)| word.clone()).collect();
    let is_audio = |index: usize| words[index] == "input_audio";
    let position = |word: &str| words.iter().position(|other| other == word).unwrap();
    assert!(is_audio(position("user started") + 1), "{words:?}");
    assert!(is_audio(position("user stopped") - 1), "{words:?}");
    // The audio of 300 ms is the fifteenth, that of 1,100 ms the fifty-fifth.
    let audio_before = |word| (0..position(word)).filter(|index| is_audio(*index)).count();
    assert_eq!((audio_before("user started"), audio_before("user stopped")), (14, 55));
    assert_eq!(run.told(), list(&told));
}

#[test]
fn everything_is_told_upstream_too() {
    let mut run = Run::new(by_voice());
    run.hear(true, 400);
    run.hear(false, 1_000);
    let up: Vec<(u64, String)> = std::mem::take(&mut run.up);
    let down = run.down.iter().filter(|(_, word)| word.starts_with("user")).cloned().collect::<Vec<_>>();
    assert_eq!(up, down);
    assert!(up.len() > 4);
}

#[test]
fn it_is_told_every_200_ms_that_the_user_speaks() {
    let mut run = Run::new(Turns::push_to_talk());
    run.key(Key::Pressed);
    run.hear(false, 1_000);
    run.key(Key::Released);
    run.hear(false, 1_000);
    let speaking: Vec<u64> =
        run.down.iter().filter(|(_, word)| word == "user speaking").map(|(at, _)| *at).collect();
    assert_eq!(speaking, [200, 400, 600, 800, 1_000]);
}

#[test]
fn a_turn_that_begins_after_some_voice_is_not_begun_by_a_cough() {
    let mut run = Run::new(by_voice().start_by([Start::VoiceFor(ms(500))]));
    run.hear(true, 400);
    run.hear(false, 1_000);
    assert_eq!(run.told(), list(&[(200, "voice started"), (600, "voice stopped")]));
    run.hear(true, 1_000);
    run.hear(false, 1_000);
    let told = [(1_600, "voice started"), (1_900, "started"), (2_600, "voice stopped"), (3_000, "stopped")];
    assert_eq!(run.told(), list(&told));
}

#[test]
fn a_short_pause_is_part_of_the_turn_and_a_click_does_not_make_it_longer() {
    let mut run = Run::new(by_voice());
    run.hear(true, 400);
    run.hear(false, 500);
    run.hear(true, 400);
    run.hear(false, 580);
    run.hear(true, 100);
    assert_eq!(run.turns(), ["started"]);
    // A voice may be beginning until here.
    run.hear(false, 20);
    assert_eq!(run.turns(), ["stopped"]);
}

#[test]
fn a_key_begins_and_ends_a_turn_at_once() {
    let mut run = Run::new(Turns::push_to_talk());
    run.hear(true, 500);
    run.key(Key::Pressed);
    run.key(Key::Pressed);
    run.hear(false, 2_000);
    run.key(Key::Released);
    run.key(Key::Released);
    run.hear(false, 500);
    assert_eq!(run.told(), list(&[(500, "started"), (2_500, "stopped")]));
}

#[test]
fn a_key_can_be_pressed_from_anywhere() {
    let queue = Arc::new(Mutex::new(Vec::new()));
    let sender = Arc::clone(&queue);
    let key = PushToTalk::new(move |kind| sender.lock().unwrap().push(kind));
    key.clone().press();
    key.release();
    let mut run = Run::new(Turns::push_to_talk());
    let frames = std::mem::take(&mut *queue.lock().unwrap());
    for kind in frames {
        run.down(kind);
    }
    // Far below 100 ms: the turn is told all the same.
    assert_eq!(run.told(), list(&[(0, "started"), (0, "stopped")]));
}

#[test]
fn a_key_can_begin_a_turn_that_silence_ends() {
    let mut run = Run::new(by_voice().start_by([Start::Key]));
    run.hear(true, 500);
    assert_eq!(run.turns(), Vec::<String>::new());
    run.hear(false, 1_000);
    run.key(Key::Pressed);
    run.key(Key::Released);
    run.hear(false, 500);
    run.hear(true, 500);
    run.hear(false, 580);
    assert_eq!(run.turns(), ["started"]);
    run.hear(false, 20);
    assert_eq!(run.turns(), ["stopped"]);
    // Nothing is said: the silence counts from the beginning.
    run.key(Key::Pressed);
    run.hear(false, 600);
    assert_eq!(run.turns(), ["started", "stopped"]);
}

#[test]
fn turns_from_outside_pass_in_pairs() {
    let mut run = Run::new(Turns::external());
    run.down(stopped());
    run.down(started());
    run.down(started());
    run.hear(false, 500);
    run.down(stopped());
    run.down(stopped());
    assert_eq!(run.told(), list(&[(0, "started"), (500, "stopped")]));
    assert!(run.faults.is_empty());
    assert!(run.up.iter().all(|(_, word)| word == "user speaking"), "upstream knows already: {:?}", run.up);
}

#[test]
fn a_turn_from_outside_that_nobody_expects_is_a_fault() {
    let mut run = Run::new(by_voice());
    run.down(started());
    run.down(stopped());
    assert_eq!(run.told(), []);
    assert_eq!(run.faults, ["expected no turns from upstream: add Start::External and Stop::External"]);
}

#[test]
fn the_longest_turn_ends_and_what_the_same_voice_says_is_no_new_one() {
    let stops = [Stop::Silence(ms(600)), Stop::Longest(ms(2_000))];
    let mut run = Run::new(by_voice().stop_by(stops));
    run.hear(true, 4_000);
    assert_eq!(run.told(), list(&[(200, "voice started"), (200, "started"), (2_200, "stopped")]));
    run.hear(false, 300);
    run.hear(true, 300);
    assert_eq!(run.turns(), ["started"]);
}

#[test]
fn a_key_that_stays_down_after_the_longest_turn_begins_no_other() {
    let mut run = Run::new(Turns::push_to_talk().stop_by([Stop::Key, Stop::Longest(ms(1_000))]));
    run.key(Key::Pressed);
    run.hear(false, 3_000);
    assert_eq!(run.told(), list(&[(0, "started"), (1_000, "stopped")]));
    run.key(Key::Released);
    run.key(Key::Pressed);
    assert_eq!(run.turns(), ["started"]);
}

#[test]
fn without_audio_for_a_second_the_turn_is_over() {
    let mut run = Run::new(by_voice());
    run.hear(true, 500);
    run.pass(5_000);
    let told = [(200, "voice started"), (200, "started"), (1_500, "voice stopped"), (1_500, "stopped")];
    assert_eq!(run.told(), list(&told));
    assert_eq!(run.chain.poll_timeout(), None);
}

#[test]
fn a_held_key_begins_another_turn_when_audio_comes_back() {
    let mut run = Run::new(Turns::push_to_talk());
    run.key(Key::Pressed);
    run.pass(2_000);
    run.hear(false, 100);
    run.key(Key::Released);
    let told = [(0, "started"), (1_000, "stopped"), (2_020, "started"), (2_100, "stopped")];
    assert_eq!(run.told(), list(&told));
}

#[test]
fn a_key_that_is_held_beyond_the_end_of_the_audio_begins_no_turn_of_silence() {
    let mut run = Run::new(Turns::push_to_talk());
    run.key(Key::Pressed);
    run.hear(true, 500);
    run.down(FrameKind::InputFinished);
    run.hear(false, 500);
    run.key(Key::Released);
    run.hear(false, 500);
    assert_eq!(run.turns(), ["started", "stopped"]);
}

#[test]
fn audio_that_takes_another_way_does_not_end_a_turn() {
    let mut run = Run::new(Turns::external().no_audio(None));
    run.down(started());
    run.pass(60_000);
    assert_eq!(run.turns(), ["started"]);
}

#[test]
fn the_end_of_the_audio_and_of_the_run_end_the_turn() {
    let ends = [
        FrameKind::InputFinished,
        FrameKind::End { reason: "enough".into() },
        FrameKind::Cancel { reason: "now".into() },
    ];
    for end in ends {
        let mut run = Run::new(by_voice());
        run.hear(true, 500);
        let is_cancel = matches!(end, FrameKind::Cancel { .. });
        run.down(end.clone());
        let words: Vec<&str> = run.down.iter().rev().take(3).map(|(_, word)| word.as_str()).collect();
        if is_cancel {
            assert_eq!(words, ["user stopped", "user voice stopped", "cancel"]);
        } else {
            assert_eq!(words, [end.name(), "user stopped", "user voice stopped"]);
        }
    }
}

#[test]
fn with_turns_of_the_server_nothing_is_pushed() {
    let mut run = Run::new(Turns::server());
    run.hear(true, 1_000);
    run.key(Key::Pressed);
    run.down(started());
    run.hear(false, 2_000);
    assert_eq!(run.turns(), ["started"], "what comes from elsewhere passes");
    assert!(run.up.is_empty());
}

#[test]
fn a_voice_without_a_detector_is_a_fault() {
    let run = Run::new(Turns::push_to_talk().start_by([Start::Voice]));
    assert_eq!(run.faults, ["expected a detector for turns that a voice begins: use by_voice"]);
}

/// Turns whose pauses are judged, and what the judge was given.
fn judged(verdict: Verdict) -> (Turns, Arc<Mutex<Vec<Utterance>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let judge = {
        let seen = Arc::clone(&seen);
        move |utterance: &Utterance| {
            seen.lock().unwrap().push(utterance.clone());
            verdict
        }
    };
    (by_voice().stop_by([Stop::judge(judge)]), seen)
}

#[test]
fn a_judge_ends_a_turn_at_a_pause() {
    let (turns, seen) = judged(Verdict::Ended);
    let mut run = Run::new(turns);
    run.hear(false, 2_000);
    run.hear(true, 1_000);
    run.hear(false, 300);
    assert_eq!(run.turns(), ["started"]);
    run.work_ends();
    assert_eq!(run.turns(), ["stopped"]);
    let seen = seen.lock().unwrap();
    assert_eq!((seen.len(), seen[0].lasted), (1, ms(1_000)));
    // From 500 ms before the beginning of the turn to the end of the pause.
    assert_eq!((seen[0].audio.rate(), seen[0].audio.frames()), (16_000, 16 * 1_500));
    assert_eq!(seen[0].audio.as_slice()[16 * 299], 0);
    assert_eq!(seen[0].audio.as_slice()[16 * 300], 9_000);
}

#[test]
fn a_judge_gets_the_last_eight_seconds() {
    let (turns, seen) = judged(Verdict::Wait);
    let mut run = Run::new(turns);
    run.hear(true, 20_000);
    run.hear(false, 300);
    run.work_ends();
    assert_eq!(seen.lock().unwrap()[0].audio.frames(), 16_000 * 8);
}

#[test]
fn a_turn_that_the_judge_lets_wait_ends_when_patience_is_over() {
    let (turns, _) = judged(Verdict::Wait);
    let mut run = Run::new(turns);
    run.hear(true, 1_000);
    run.hear(false, 300);
    run.work_ends();
    run.hear(false, 2_680);
    assert_eq!(run.turns(), ["started"]);
    run.hear(false, 20);
    assert_eq!(run.turns(), ["stopped"]);
}

#[test]
fn a_verdict_does_not_count_if_the_user_has_gone_on() {
    let (turns, seen) = judged(Verdict::Ended);
    let mut run = Run::new(turns);
    run.hear(true, 1_000);
    run.hear(false, 300);
    run.hear(true, 500);
    run.work_ends();
    assert_eq!(run.turns(), ["started"]);
    // The next pause is judged, too.
    run.hear(false, 300);
    run.work_ends();
    assert_eq!(run.turns(), ["stopped"]);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[test]
fn a_verdict_waits_while_a_voice_may_be_beginning() {
    for goes_on in [false, true] {
        let (turns, _) = judged(Verdict::Ended);
        let mut run = Run::new(turns);
        run.hear(true, 1_000);
        run.hear(false, 300);
        run.hear(true, 100);
        run.work_ends();
        assert_eq!(run.turns(), ["started"]);
        run.hear(goes_on, 200);
        assert_eq!(run.turns().is_empty(), goes_on);
    }
}

#[test]
fn a_judge_that_panics_is_a_fault_and_patience_ends_the_turn() {
    let mut run = Run::new(by_voice().stop_by([Stop::judge(|_: &Utterance| panic!("the judge fell"))]));
    run.hear(true, 1_000);
    run.hear(false, 300);
    run.work_ends();
    assert_eq!(run.faults, ["the judge of pauses failed"]);
    run.hear(false, 3_000);
    assert_eq!(run.turns(), ["started", "stopped"]);
}

#[test]
fn the_end_of_the_run_waits_for_no_judge() {
    let (turns, _) = judged(Verdict::Ended);
    let mut run = Run::new(turns);
    run.hear(true, 1_000);
    run.hear(false, 300);
    run.down(FrameKind::End { reason: "enough".into() });
    assert!(run.ended);
    assert_eq!(run.turns(), ["started", "stopped"]);
}

#[test]
fn a_verdict_about_an_earlier_turn_does_not_count() {
    let (turns, _) = judged(Verdict::Ended);
    let mut run = Run::new(turns);
    run.hear(true, 1_000);
    run.hear(false, 3_000);
    assert_eq!(run.turns(), ["started", "stopped"]);
    run.hear(true, 500);
    run.work_ends();
    run.hear(true, 500);
    assert_eq!(run.turns(), ["started"]);
}

#[test]
fn times_and_threshold_of_a_voice_can_be_chosen() {
    let turns = Turns::hints(Script).voice_start(ms(60)).voice_stop(ms(400)).threshold(0.9);
    let mut run = Run::new(turns);
    // Half of the samples are loud: not enough to begin.
    run.play((0..50).map(|_| Audio::mono(16_000, [9_000, 0].repeat(160))));
    run.hear(true, 500);
    run.hear(false, 1_000);
    assert_eq!(run.told(), list(&[(1_060, "voice started"), (1_900, "voice stopped")]));
}
