//! What the server says in a turn of four seconds: 100 events of twenty kinds. Three in four are deltas, as
//! in a real call; no two of them come in one packet.

use std::time::Duration;

use realtime_protocol::audio::Audio;

use crate::gauge::now_us;

/// The time between two events.
pub(crate) const PACE: Duration = Duration::from_millis(40);
/// 75 ms of PCM at 24 kHz (bytes). A turn's audio is played before the user speaks again.
const DELTA: usize = 3600;
/// Bytes of audio that hold the time: a whole number of base64's groups.
const STAMP: usize = 12;
/// Audio deltas and transcript deltas in a turn.
const SPOKEN: (usize, usize) = (40, 37);
/// Deltas of what the user said.
const HEARD: usize = 6;

/// One event of the server.
pub(crate) enum Said {
    Text(String),
    Audio(Delta),
}

impl Said {
    /// The wire text. An audio delta says when it was made.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Audio(delta) => delta.text(),
        }
    }
}

/// The events of a turn, with ids of its own.
pub(crate) fn turn(number: u64) -> Vec<Said> {
    let (user, answer, response) =
        (format!("item_user_{number}"), format!("item_answer_{number}"), format!("resp_{number}"));
    let place =
        format!(r#""response_id":"{response}","item_id":"{answer}","output_index":0,"content_index":0"#);
    let user_item = |status: &str| {
        format!(
            r#"{{"id":"{user}","object":"realtime.item","type":"message","status":"{status}","role":"user","content":[{{"type":"input_audio","transcript":null}}]}}"#
        )
    };
    let item = |status: &str, content: &str| {
        format!(
            r#"{{"id":"{answer}","object":"realtime.item","type":"message","status":"{status}","role":"assistant","content":[{content}]}}"#
        )
    };
    let words = " word".repeat(SPOKEN.1);
    let part = format!(r#"{{"type":"output_audio","transcript":"{words}"}}"#);
    let done = item("completed", &part);

    let mut texts = Texts::new(number);
    texts.say(
        "input_audio_buffer.speech_started",
        &format!(r#""audio_start_ms":{},"item_id":"{user}""#, number * 4000),
    );
    texts.say(
        "input_audio_buffer.speech_stopped",
        &format!(r#""audio_end_ms":{},"item_id":"{user}""#, number * 4000 + 900),
    );
    texts.say("input_audio_buffer.committed", &format!(r#""previous_item_id":null,"item_id":"{user}""#));
    for kind in ["conversation.item.added", "conversation.item.done"] {
        texts.say(kind, &format!(r#""previous_item_id":null,"item":{}"#, user_item("completed")));
    }
    let heard = format!(r#""item_id":"{user}","content_index":0"#);
    for _ in 0..HEARD {
        texts
            .say("conversation.item.input_audio_transcription.delta", &format!(r#"{heard},"delta":" word""#));
    }
    texts.say(
        "conversation.item.input_audio_transcription.completed",
        &format!(r#"{heard},"transcript":"{}""#, " word".repeat(HEARD)),
    );
    texts.say(
        "response.created",
        &format!(r#""response":{{"object":"realtime.response","id":"{response}","status":"in_progress","output":[],"usage":null}}"#),
    );
    let added = item("in_progress", "");
    texts.say(
        "response.output_item.added",
        &format!(r#""response_id":"{response}","output_index":0,"item":{added}"#),
    );
    texts.say("conversation.item.added", &format!(r#""previous_item_id":"{user}","item":{added}"#));
    texts.say(
        "response.content_part.added",
        &format!(r#"{place},"part":{{"type":"output_audio","transcript":""}}"#),
    );
    let (deltas, spoken) = SPOKEN;
    for index in 0..deltas {
        texts.audio(&place);
        if index < spoken {
            texts.say("response.output_audio_transcript.delta", &format!(r#"{place},"delta":" word""#));
        }
    }
    texts.say("response.output_audio.done", &place);
    texts.say("response.output_audio_transcript.done", &format!(r#"{place},"transcript":"{words}""#));
    texts.say("response.content_part.done", &format!(r#"{place},"part":{part}"#));
    texts.say(
        "response.output_item.done",
        &format!(r#""response_id":"{response}","output_index":0,"item":{done}"#),
    );
    texts.say("conversation.item.done", &format!(r#""previous_item_id":"{user}","item":{done}"#));
    texts.say(
        "response.done",
        &format!(
            r#""response":{{"object":"realtime.response","id":"{response}","status":"completed","status_details":null,"output":[{done}],"usage":{{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{{"text_tokens":119,"audio_tokens":13,"cached_tokens":64,"cached_tokens_details":{{"text_tokens":64,"audio_tokens":0}}}},"output_token_details":{{"text_tokens":30,"audio_tokens":91}}}}}}"#
        ),
    );
    texts.say(
        "rate_limits.updated",
        r#""rate_limits":[{"name":"requests","limit":1000,"remaining":999,"reset_seconds":0.06},{"name":"tokens","limit":50000,"remaining":49950,"reset_seconds":0.06}]"#,
    );
    texts.said
}

/// Numbers the events, and puts them down.
struct Texts {
    turn: u64,
    said: Vec<Said>,
}

impl Texts {
    const fn new(turn: u64) -> Self {
        Self { turn, said: Vec::new() }
    }

    fn begin(&self, kind: &str) -> String {
        format!(r#"{{"type":"{kind}","event_id":"event_{}_{}""#, self.turn, self.said.len())
    }

    fn say(&mut self, kind: &str, members: &str) {
        let text = format!("{},{members}}}", self.begin(kind));
        self.said.push(Said::Text(text));
    }

    fn audio(&mut self, place: &str) {
        let before = format!(r#"{},{place},"delta":""#, self.begin("response.output_audio.delta"));
        self.said.push(Said::Audio(Delta::new(before, DELTA)));
    }
}

/// An audio delta whose first bytes say when it was written.
pub(crate) struct Delta {
    before: String,
    after: String,
}

impl Delta {
    /// `bytes` of audio after what the text begins with.
    pub(crate) fn new(before: String, bytes: usize) -> Self {
        let mut after = String::new();
        Audio::from(vec![7; bytes - STAMP]).encode_into(&mut after);
        after.push_str("\"}");
        Self { before, after }
    }

    fn text(&self) -> String {
        let mut stamp = vec![0; STAMP];
        stamp[..8].copy_from_slice(&now_us().to_le_bytes());
        let mut text = self.before.clone();
        Audio::from(stamp).encode_into(&mut text);
        text.push_str(&self.after);
        text
    }
}
