//! Three utterances, frame by frame.

use super::*;
use crate::turns::Turns;

#[test]
fn three_utterances_are_three_turns_at_these_times() {
    // "Yes." – "I want to book a table … for four." – somebody clicks – "Thank you."
    let sound = Sound::new(24_000)
        .room(1_000)
        .speech(500)
        .room(1_500)
        .speech(1_500)
        .room(400)
        .speech(800)
        .room(1_500)
        .add(10, |_, noise| 0.8 * noise)
        .room(990)
        .speech(750)
        .room(1_050);
    let mut run = Run::new(Turns::by_voice(EnergyVad::new()));
    run.play(sound.frames());
    run.down(FrameKind::InputFinished);
    run.down(FrameKind::End { reason: "the file is over".into() });

    let (mut story, mut audio, mut speaking) = (Vec::new(), 0, 0);
    for (at, word) in &run.down {
        match word.as_str() {
            "input_audio" => audio += 1,
            "user speaking" => speaking += 1,
            word => story.push(format!("{at} ms, after {audio} of audio: {word}")),
        }
    }
    let want = [
        "0 ms, after 0 of audio: start",
        "1200 ms, after 59 of audio: user voice started",
        "1200 ms, after 59 of audio: user started",
        "1800 ms, after 90 of audio: user voice stopped",
        "2200 ms, after 110 of audio: user stopped",
        "3200 ms, after 159 of audio: user voice started",
        "3200 ms, after 159 of audio: user started",
        "4800 ms, after 240 of audio: user voice stopped",
        "5100 ms, after 254 of audio: user voice started",
        "6000 ms, after 300 of audio: user voice stopped",
        "6400 ms, after 320 of audio: user stopped",
        "8400 ms, after 419 of audio: user voice started",
        "8400 ms, after 419 of audio: user started",
        "9260 ms, after 463 of audio: user voice stopped",
        "9660 ms, after 483 of audio: user stopped",
        "10000 ms, after 500 of audio: input_finished",
        "10000 ms, after 500 of audio: end",
    ];
    assert_eq!(story, want);
    // 1,000 + 3,200 + 1,260 ms of turns.
    assert_eq!((audio, speaking), (500, 5 + 16 + 6));
}
