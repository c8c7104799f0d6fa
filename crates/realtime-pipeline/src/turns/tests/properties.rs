//! Whatever comes, what is told is balanced, and the audio is whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use realtime_protocol::audio::AudioFormat;

use super::*;
use crate::turns::{Mute, Start, Stop, Turns, Verdict};

#[derive(Clone, Debug)]
enum Step {
    /// Audio: rate, channels, samples of a channel, loudness.
    Audio(u32, u16, usize, i16),
    Coded(AudioFormat, usize, u8),
    Pass(u64),
    Key(Key),
    Mute(MuteRequest),
    Bot(BotSpeech),
    User(UserSpeech),
    Work,
    Finished,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rates = prop_oneof![Just(8_000), Just(16_000), Just(24_000), Just(44_100), Just(48_000), Just(1)];
    let loud = prop_oneof![Just(0), Just(20), Just(9_000), Just(i16::MIN)];
    let formats = prop_oneof![Just(AudioFormat::Pcmu), Just(AudioFormat::Pcma), Just(AudioFormat::PCM16_24K)];
    let step = prop_oneof![
        20 => loud.clone().prop_map(|loud| Step::Audio(16_000, 1, 3_200, loud)),
        5 => (rates, 0..3_u16, 0..4_000_usize, loud).prop_map(|(r, c, n, l)| Step::Audio(r, c, n, l)),
        3 => (formats, 0..4_000_usize, any::<u8>()).prop_map(|(f, n, b)| Step::Coded(f, n, b)),
        5 => (0..1_500_u64).prop_map(Step::Pass),
        2 => prop_oneof![Just(Key::Pressed), Just(Key::Released)].prop_map(Step::Key),
        1 => prop_oneof![Just(MuteRequest::Mute), Just(MuteRequest::Unmute)].prop_map(Step::Mute),
        1 => prop_oneof![Just(BotSpeech::Started), Just(BotSpeech::Stopped)].prop_map(Step::Bot),
        2 => prop_oneof![
            Just(UserSpeech::Started { item_id: None }),
            Just(UserSpeech::Stopped { item_id: None }),
            Just(UserSpeech::VoiceStarted),
            Just(UserSpeech::VoiceStopped),
            Just(UserSpeech::Speaking),
        ].prop_map(Step::User),
        2 => Just(Step::Work),
        1 => Just(Step::Finished),
    ];
    proptest::collection::vec(step, 0..80)
}

fn turns(kind: u8) -> Turns {
    let all_starts = [Start::VoiceFor(ms(300)), Start::Key, Start::External];
    let all_stops = [Stop::Silence(ms(700)), Stop::Key, Stop::External, Stop::Longest(ms(1_900))];
    match kind {
        0 => Turns::by_voice(EnergyVad::new()),
        1 => Turns::push_to_talk(),
        2 => Turns::external(),
        3 => Turns::hints(EnergyVad::new()),
        4 => Turns::by_voice(Script).stop_by([Stop::judge(|_: &_| Verdict::Ended)]),
        _ => Turns::by_voice(Script).start_by(all_starts).stop_by(all_stops),
    }
}

fn carry_out(run: &mut Run, step: &Step, given: &mut Vec<Audio>) {
    let mut give = |audio: Audio, run: &mut Run| {
        given.push(audio.clone());
        run.down(FrameKind::InputAudio(audio));
    };
    match step {
        Step::Audio(rate, channels, samples, loud) => {
            let data = vec![*loud; samples * usize::from((*channels).max(1))];
            give(Audio::Pcm(crate::chain::Samples::new(*rate, *channels, data)), run);
        }
        Step::Coded(format, bytes, byte) => give(Audio::coded(*format, vec![*byte; *bytes].into()), run),
        Step::Pass(ms) => run.pass(*ms),
        Step::Key(key) => run.key(*key),
        Step::Mute(request) => run.ask(*request),
        Step::Bot(speech) => run.up(bot(*speech)),
        Step::User(speech) => run.down(FrameKind::User(speech.clone())),
        Step::Work if run.blocking.is_empty() => {}
        Step::Work => run.work_ends(),
        Step::Finished => run.down(FrameKind::InputFinished),
    }
}

/// Whether beginnings and ends take turns, and none is left open.
fn is_balanced(words: &[String], begin: &str, end: &str) -> bool {
    let edges: Vec<&String> = words.iter().filter(|word| *word == begin || *word == end).collect();
    edges.len().is_multiple_of(2) && edges.chunks(2).all(|pair| pair[0] == begin && pair[1] == end)
}

proptest! {
    #[test]
    fn what_is_told_is_balanced_and_audio_is_whole(
        steps in steps(),
        kind in 0..6_u8,
        mutes in any::<bool>(),
        cancels in any::<bool>(),
    ) {
        let stages = Stages::new();
        let stages = if mutes { stages.then(Mute::new().while_bot_speaks()) } else { stages };
        let mut run = Run::with(stages.then(turns(kind)));
        let mut given = Vec::new();
        for step in &steps {
            carry_out(&mut run, step, &mut given);
        }
        while !run.blocking.is_empty() {
            run.work_ends();
        }
        let reason = "enough".into();
        run.down(if cancels { FrameKind::Cancel { reason } } else { FrameKind::End { reason } });
        prop_assert!(run.ended);

        let words: Vec<String> = run.down.iter().map(|(_, word)| word.clone()).collect();
        prop_assert!(is_balanced(&words, "user started", "user stopped"), "{words:?}");
        prop_assert!(is_balanced(&words, "user voice started", "user voice stopped"), "{words:?}");
        let speaks_outside = words.split(|word| word == "user stopped").any(|turn| {
            let begin = turn.iter().position(|word| word == "user started").unwrap_or(turn.len());
            turn[..begin].iter().any(|word| word == "user speaking")
        });
        prop_assert!(!speaks_outside, "{words:?}");

        if mutes {
            let shape = |audio: &Audio| (audio.rate(), audio.frames());
            prop_assert_eq!(
                run.audio.iter().map(shape).collect::<Vec<_>>(),
                given.iter().map(shape).collect::<Vec<_>>()
            );
        } else {
            prop_assert_eq!(run.audio, given);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_pieces_of_the_audio_do_not_change_what_is_heard(
        sizes in proptest::collection::vec(1..3_000_usize, 1..20),
    ) {
        let sound = Sound::new(16_000).room(600).speech(700).room(900).speech(500).room(700);
        let heard = |sizes: &[usize]| {
            let mut run = Run::new(Turns::by_voice(EnergyVad::new()));
            let (mut rest, mut sizes) = (&sound.samples[..], sizes.iter().cycle());
            while !rest.is_empty() {
                let piece;
                (piece, rest) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                run.down(FrameKind::InputAudio(Audio::mono(16_000, piece)));
            }
            run.told()
        };
        prop_assert_eq!(heard(&sizes), heard(&[320]));
    }
}

#[test]
fn each_sample_is_heard_once_whatever_the_pieces() {
    /// Counts the samples that it hears.
    struct Counter(Arc<AtomicUsize>);

    impl Vad for Counter {
        fn begin(&mut self, rate: u32) -> Window {
            Window { rate, samples: 512 }
        }

        fn handle_window(&mut self, window: &[i16]) -> f32 {
            self.0.fetch_add(window.len(), Ordering::Relaxed);
            0.0
        }

        fn reset(&mut self) {}
    }

    let samples = vec![0; 16_000 * 60];
    for size in [7, 320, 16_000, samples.len()] {
        let heard = Arc::new(AtomicUsize::new(0));
        let mut run = Run::new(Turns::hints(Counter(Arc::clone(&heard))));
        for piece in samples.chunks(size) {
            run.down(FrameKind::InputAudio(Audio::mono(16_000, piece)));
        }
        assert_eq!(heard.load(Ordering::Relaxed), samples.len(), "pieces of {size}");
    }
}
