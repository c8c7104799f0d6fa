//! What the energy detector takes for a voice, and what it does not.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use realtime_protocol::audio::{AudioFormat, g711};

use super::*;
use crate::chain::Samples;
use crate::turns::Turns;

/// The edges that the detector tells of this sound (ms).
fn edges(sound: &Sound) -> Vec<(u64, String)> {
    let mut run = Run::new(Turns::hints(EnergyVad::new()));
    run.play(sound.frames());
    assert!(run.faults.is_empty(), "{:?}", run.faults);
    run.told()
}

#[test]
fn speech_in_a_quiet_room_is_a_voice_at_every_rate() {
    for rate in [8_000, 22_050, 16_000, 24_000, 44_100, 48_000] {
        let told = edges(&Sound::new(rate).room(1_000).speech(1_500).room(1_000));
        let words: Vec<&str> = told.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["voice started", "voice stopped"], "{rate} Hz");
        assert!((1_180..=1_300).contains(&told[0].0), "{rate} Hz: {told:?}");
        assert!((2_680..=2_900).contains(&told[1].0), "{rate} Hz: {told:?}");
    }
}

#[test]
fn mains_hum_is_no_voice_even_if_it_starts_suddenly() {
    let hum = |t: f64, noise: f64| 0.2 * (TAU * 50.0 * t).sin() + 0.003 * noise;
    assert_eq!(edges(&Sound::new(16_000).room(1_000).add(5_000, hum).room(1_000)), []);
}

#[test]
fn noise_that_rises_slowly_is_no_voice() {
    // From -56 dB to -20 dB in 18 s.
    let rising = |t: f64, noise: f64| 0.003 * 10.0_f64.powf(t / 10.0) * noise;
    assert_eq!(edges(&Sound::new(16_000).add(18_000, rising)), []);
}

#[test]
fn steady_noise_counts_for_two_seconds_at_most() {
    let told = edges(&Sound::new(16_000).room(1_000).add(10_000, |_, noise| 0.2 * noise));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].0 < 3_300, "{told:?}");
}

#[test]
fn a_click_is_no_voice() {
    let mut sound = Sound::new(16_000).room(1_000);
    for _ in 0..10 {
        sound = sound.add(10, |_, noise| 0.8 * noise).room(290);
    }
    assert_eq!(edges(&sound), []);
}

#[test]
fn speech_over_noise_is_a_voice() {
    let noisy = |sound: Sound, ms| sound.add(ms, |_, noise| 0.02 * noise);
    let sound = noisy(noisy(Sound::new(16_000), 2_000).speech(1_500), 1_500);
    let told = edges(&sound);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!((2_180..=2_300).contains(&told[0].0), "{told:?}");
}

#[test]
fn a_telephones_audio_and_stereo_are_heard_as_they_are() {
    let sound = Sound::new(8_000).room(1_000).speech(1_000).room(1_000);
    let wanted = edges(&sound);
    let coded = sound.frames().into_iter().map(|audio| {
        let bytes: Vec<u8> = audio.pcm().unwrap().as_slice().iter().map(|s| g711::to_mu_law(*s)).collect();
        Audio::coded(AudioFormat::Pcmu, bytes.into())
    });
    let stereo = sound.frames().into_iter().map(|audio| {
        let both: Vec<i16> = audio.pcm().unwrap().as_slice().iter().flat_map(|s| [*s, *s]).collect();
        Audio::Pcm(Samples::new(8_000, 2, both))
    });
    for frames in [coded.collect::<Vec<_>>(), stereo.collect()] {
        let mut run = Run::new(Turns::hints(EnergyVad::new()));
        run.play(frames.clone());
        assert_eq!(run.told(), wanted);
        assert_eq!(run.audio, frames, "the audio itself is not touched");
    }
}

#[test]
fn audio_that_cannot_be_heard_counts_as_silence_and_is_told_once() {
    let mut run = Run::new(Turns::by_voice(Script));
    run.hear(true, 400);
    assert_eq!(run.turns(), ["started"]);
    run.play((0..100).map(|_| Audio::mono(500, vec![9_000; 10])));
    assert_eq!(run.turns(), ["stopped"]);
    assert_eq!(run.faults, ["it can't hear this audio, and takes it for silence"]);
    run.hear(true, 400);
    assert_eq!(run.turns(), ["started"]);
}

#[test]
fn audio_is_converted_to_the_rate_that_the_detector_wants() {
    /// Wants 8,000 Hz, and tells how much it gets.
    struct Phone(Arc<AtomicU64>);

    impl Vad for Phone {
        fn begin(&mut self, _: u32) -> Window {
            Window { rate: 8_000, samples: 80 }
        }

        fn handle_window(&mut self, window: &[i16]) -> f32 {
            assert_eq!(window.len(), 80);
            self.0.fetch_add(1, Ordering::Relaxed);
            Script.handle_window(window)
        }

        fn reset(&mut self) {}
    }

    let windows = Arc::new(AtomicU64::new(0));
    let mut run = Run::new(Turns::hints(Phone(Arc::clone(&windows))));
    run.play(Sound::new(48_000).room(500).add(500, |t, _| 0.9 * (TAU * 300.0 * t).sin()).frames());
    assert_eq!(run.told().len(), 1);
    // The filter of the conversion still holds some.
    assert!((98..=100).contains(&windows.load(Ordering::Relaxed)));
}

#[cfg(feature = "vad")]
#[test]
fn the_neural_network_runs_on_any_audio_and_hears_no_voice_in_noise_and_hum() {
    use crate::turns::Earshot;

    let hum = |t: f64, noise: f64| 0.2 * (TAU * 50.0 * t).sin() + 0.01 * noise;
    let sound = Sound::new(24_000).room(1_000).add(2_000, hum).add(2_000, |_, noise| 0.1 * noise);
    let mut run = Run::new(Turns::by_voice(Earshot::new()));
    run.play(sound.frames());
    assert_eq!(run.told(), []);
    assert!(run.faults.is_empty());
}
