//! A whole talk, and what devices are there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use realtime_emulator::voice::VoiceKind;
use realtime_tests::alsa::{AlsaDevices, RATE};

/// How long the next line may take. A busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// `realtime talk`, and the lines that it writes.
struct Talk {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Talk {
    fn begin(alsa: &AlsaDevices, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_realtime"));
        command.arg("talk").args(options).env("ALSA_CONFIG_PATH", alsa.config());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (out, (told, lines)) = (child.stdout.take().unwrap(), channel());
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| told.send(line))
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Reads lines until one has this in it.
    fn until(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with `{part}` after {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// As Ctrl-C does.
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Says a line as a person would, and half a second of silence.
fn say(alsa: &AlsaDevices, text: &str) {
    let spoken = VoiceKind::demo(VoiceKind::Tones).speak(text).samples;
    // The voice has 24,000 Hz.
    alsa.say(spoken.into_iter().flat_map(|sample| [sample; RATE as usize / 24_000]));
    alsa.say(std::iter::repeat_n(0, RATE as usize / 2));
}

#[test]
fn a_person_talks_is_answered_interrupts_and_ends_with_ctrl_c() {
    let alsa = AlsaDevices::new().unwrap();
    let mut talk = Talk::begin(&alsa, &["--input", "test_microphone", "--output", "test_loudspeaker"]);
    talk.until("talking (end with Ctrl-C)");
    assert!(talk.until("microphone").contains("test_microphone (48000 Hz)"));
    alsa.begin().unwrap();

    talk.until("agent: Hello! I am your weather assistant.");
    // The words come ahead of the sound, and the greeting can't be interrupted.
    let greeting = Instant::now();
    while loud(&alsa) < 2 * RATE as usize && greeting.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(3));
    say(&alsa, "You are welcome. Have a nice day!");
    talk.until("tool:  get_weather …");
    talk.until("tool:  get_weather is done");
    // The answer takes twenty seconds. After some of them, the user has heard enough.
    let before = loud(&alsa);
    while loud(&alsa) < before + RATE as usize / 2 {
        assert!(greeting.elapsed() < 3 * PATIENCE, "no answer sounds after {:#?}", talk.seen);
        thread::sleep(Duration::from_millis(50));
    }
    say(&alsa, "Yes, I am still here. Ask me anything.");
    let interrupted = talk.until("you interrupted after ");
    let seconds = interrupted.split("after ").nth(1).and_then(|rest| rest.split(' ').next());
    let seconds: f64 = seconds.unwrap().parse().unwrap();
    assert!(seconds > 0.3, "{interrupted}");
    talk.until("agent: Tomorrow will be cloudy");

    talk.interrupt();
    talk.until("ended: you ended the talk");
    let summary = talk.until(" turns of yours");
    assert!(summary.contains("2 turns of yours, 1 interruption, 1 tool call, answers after"), "{summary}");
    assert!(talk.child.wait().unwrap().success());
    assert!(talk.seen.iter().any(|line| line.starts_with("you:   speech, ")), "{:#?}", talk.seen);
}

/// How much of what was played is no silence (samples).
fn loud(alsa: &AlsaDevices) -> usize {
    alsa.heard().iter().filter(|sample| sample.unsigned_abs() > 500).count()
}

#[test]
fn devices_are_listed_and_one_that_is_not_there_is_told_with_those_that_are() {
    let alsa = AlsaDevices::new().unwrap();
    let mut talk = Talk::begin(&alsa, &["--list-devices"]);
    talk.until("test_microphone  (A device of a test: test_microphone)");
    assert!(talk.child.wait().unwrap().success());

    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime"));
    command.args(["talk", "--input", "headset"]).env("ALSA_CONFIG_PATH", alsa.config());
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("expected a microphone with the id or name `headset`, got `test_"), "{error}");
}
