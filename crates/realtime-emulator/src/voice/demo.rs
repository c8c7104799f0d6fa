//! The recorded lines of [`Script::demo`](crate::brain::Script::demo): a voice that needs no program and is
//! the same everywhere. `demo/README.md` says how they were made.

use realtime_protocol::audio::AudioFormat;

use crate::voice::{Utterance, spread, wav};

/// The recording of a line, if this is one.
pub(super) fn speak(text: &str) -> Option<Utterance> {
    let (_, file) = LINES.iter().find(|(line, _)| *line == text)?;
    let samples = wav::read(file)?;
    let length = AudioFormat::PCM16_24K.duration(2 * samples.len() as u64);
    Some(Utterance { words: spread(text, length), samples })
}

const LINES: &[(&str, &[u8])] = &[
    (
        "Hello! I am your weather assistant. Which city are you curious about?",
        include_bytes!("demo/hello.wav"),
    ),
    (
        "In Paris it is sunny today, with 21 degrees and a light wind. That sounds like a good day for a \
         walk along the river, and perhaps for a coffee in the sun. If you stay out until the evening, take a \
         light jacket with you, because it cools down quickly after sunset.",
        include_bytes!("demo/weather.wav"),
    ),
    ("Tomorrow will be cloudy in the morning, with some sun later on.", include_bytes!("demo/tomorrow.wav")),
    ("You are welcome. Have a nice day!", include_bytes!("demo/welcome.wav")),
    ("Yes, I am still here. Ask me anything.", include_bytes!("demo/here.wav")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_script_is_recorded() {
        let script: serde_json::Value = serde_json::from_str(include_str!("../brain/demo.json")).unwrap();
        let weather = [("city", "Paris"), ("sky", "sunny"), ("celsius", "21"), ("wind", "light")];
        let mut lines = 0;
        for turn in script["turns"].as_array().unwrap() {
            for say in turn["reply"].as_array().unwrap().iter().filter_map(|step| step["say"].as_str()) {
                let fill = |text: String, (name, value)| text.replace(&format!("{{output.{name}}}"), value);
                let text = weather.into_iter().fold(say.to_owned(), fill);
                let spoken = speak(&text).unwrap_or_else(|| panic!("nobody says: {text}"));
                let rate = spoken.words.len() as f64 / spoken.duration().as_duration().as_secs_f64();
                assert!((2.0..4.0).contains(&rate), "{rate} words a second: {text}");
                let peak = spoken.samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
                assert!((9_000..20_000).contains(&peak), "{peak}: {text}");
                assert_eq!(spoken.words.iter().map(|word| &*word.text).collect::<String>(), text);
                lines += 1;
            }
        }
        assert_eq!(lines, LINES.len());
        assert_eq!(speak("Something else."), None);
    }
}
