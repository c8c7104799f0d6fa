//! Messages of the client become frames of the chain.

use std::sync::Arc;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::id::CallId;
use serde::Deserialize;

use crate::chain::{Audio, FrameKind, Message, Peer, Respond, Samples, UserInput};
use crate::media::ToolAnswer;
use crate::media::rtvi::asked::{
    Asked, ClientReady, Dtmf, FileSource, FunctionResult, Id, RawAudio, SendFile, SendOptions, SendText,
};
use crate::media::rtvi::machine::{Phase, Rtvi};
use crate::media::rtvi::message::CLIENT_MESSAGE;
use crate::media::rtvi::said::Said;
use crate::media::rtvi::version::Version;
use crate::media::rtvi::wire::WireFrame;
use crate::pcm;
use crate::resample::RATES;

/// The most channels of audio.
const MOST_CHANNELS: u32 = 8;
/// What a client is told of its mistakes that name no message. After so many it is told no more of them.
const MOST_COMPLAINTS: u32 = 32;

/// What to answer to a message that can't be done.
type Refused = Result<(), String>;

impl Rtvi {
    /// A binary message has come.
    pub(super) fn receive(&mut self, bytes: &Bytes) {
        match WireFrame::read(bytes) {
            Err(error) => self.complain(&error.to_string()),
            Ok(WireFrame::Message(text)) => self.receive_message(text.as_str()),
            Ok(_) if self.phase != Phase::Open => {}
            Ok(WireFrame::Audio { audio, rate, channels }) => {
                if let Err(wrong) = self.hear(audio, rate, channels) {
                    self.complain(&wrong);
                }
            }
            Ok(WireFrame::Text(text)) => self.type_in(text.as_str(), Respond::Yes, ""),
            Ok(WireFrame::Interruption) => self.out.input(FrameKind::UserInput(UserInput::Stop)),
            // What the user says is for the model to find out.
            Ok(WireFrame::Transcription(_)) => {}
        }
    }

    /// Tells the client of a mistake that belongs to no message.
    pub(super) fn complain(&mut self, error: &str) {
        self.complaints += 1;
        match self.complaints {
            ..MOST_COMPLAINTS => self.out.say(&Said::Error { error, fatal: false }),
            MOST_COMPLAINTS => {
                let error = &format!("{error}: more of such mistakes are not told");
                self.out.say(&Said::Error { error, fatal: false });
            }
            _ => {}
        }
    }

    fn receive_message(&mut self, text: &str) {
        let asked = match Asked::read(text) {
            Ok(asked) => asked,
            Err(error) => return self.complain(&error.to_string()),
        };
        let done = match (&*asked.kind, self.phase) {
            ("client-ready", _) => self.client_ready(&asked),
            (_, Phase::Open) => self.act(&asked),
            (kind, _) => Err(format!("expected client-ready first, got {kind}")),
        };
        if let Err(error) = done {
            self.refuse(&asked.id, &error);
        }
    }

    fn act(&mut self, asked: &Asked<'_>) -> Refused {
        match &*asked.kind {
            "disconnect-bot" => {
                let reason = "the client has asked for the end".into();
                self.out.input(FrameKind::End { reason });
                Ok(())
            }
            CLIENT_MESSAGE => self.client_message(asked),
            // They are the application's, if it knows of them.
            "ui-event" | "ui-snapshot" | "ui-cancel-job-group" => self.hand_on(asked),
            "send-text" => {
                let SendText { content, options } = data(asked)?;
                if content.is_empty() {
                    return Err("expected words in content, got none".to_owned());
                }
                self.type_in(&content, respond(options.unwrap_or_default()), asked.id.as_str());
                Ok(())
            }
            "send-file" => self.show(data(asked)?),
            "dtmf" => {
                let keys = data::<Dtmf>(asked)?.keys();
                let keys = keys.ok_or("expected buttons of a phone: 0 to 9, *, #")?;
                self.out.input(FrameKind::InputDtmf(keys));
                Ok(())
            }
            "llm-function-call-result" => self.function_result(data(asked)?),
            "raw-audio" | "raw-audio-batch" => self.raw_audio(&data(asked)?),
            "append-to-context" => Err("append-to-context is not served: use send-text".to_owned()),
            other => Err(format!("Unsupported type {other}")),
        }
    }

    fn client_ready(&mut self, asked: &Asked<'_>) -> Refused {
        let ready: ClientReady = data(asked).unwrap_or_default();
        let (version, wrong) = Version::of(&ready.version);
        self.out.version = version;
        if let Some(wrong) = wrong {
            self.refuse(&asked.id, &wrong);
        }
        self.about = ready.about;
        self.ready_id = asked.id.clone();
        if self.phase == Phase::Open {
            // It asks again.
            self.bot_ready();
        } else {
            self.phase = Phase::Open;
            self.out.input(FrameKind::Peer(Peer::Connected));
        }
        Ok(())
    }

    fn client_message(&mut self, asked: &Asked<'_>) -> Refused {
        #[derive(Deserialize)]
        struct HasType {
            #[serde(rename = "t")]
            _kind: String,
        }
        let HasType { .. } = data(asked)?;
        if let Some(limit) = self.options.answer_within
            && !self.waiting.add(asked.id.as_str(), self.now + limit)
        {
            return Err("too many messages wait for an answer already".to_owned());
        }
        self.hand_on(asked)
    }

    /// Gives the application a message as it came.
    fn hand_on(&mut self, asked: &Asked<'_>) -> Refused {
        let body = Arc::new(asked.to_value().map_err(|error| error.to_string())?);
        self.out.input(FrameKind::InputMessage(Message { body, urgent: true }));
        Ok(())
    }

    fn type_in(&mut self, text: &str, respond: Respond, id: &str) {
        let timestamp = &*self.timestamp();
        let user_id = &*self.options.user_id;
        let msg_id = Some(id).filter(|id| !id.is_empty());
        let input_type = "chat";
        self.out.say(&Said::UserInput { text, input_type, timestamp, is_final: true, user_id, msg_id });
        self.out.input(FrameKind::UserInput(UserInput::Text { text: text.into(), respond }));
    }

    fn show(&mut self, SendFile { content, file, options }: SendFile) -> Refused {
        if !file.format.starts_with("image/") {
            return Err(format!("expected a file of a format image/…, got {}", file.format));
        }
        let url = match file.source {
            FileSource::Url { url } if url.starts_with("https://") || url.starts_with("http://") => url,
            FileSource::Url { .. } => return Err("expected a url that begins with https://".to_owned()),
            FileSource::Bytes { bytes } if bytes.starts_with("data:") => bytes,
            FileSource::Bytes { bytes } => format!("data:{};base64,{bytes}", file.format),
        };
        let text = Some(content.as_str().into()).filter(|text: &Arc<str>| !text.is_empty());
        let respond = respond(options.unwrap_or_default());
        self.out.input(FrameKind::UserInput(UserInput::Image { url: url.into(), text, respond }));
        Ok(())
    }

    fn function_result(&mut self, FunctionResult { tool_call_id, result }: FunctionResult) -> Refused {
        let call_id = CallId::from(tool_call_id);
        if !self.told.functions.contains(&call_id) {
            return Err("no function of this tool_call_id runs".to_owned());
        }
        self.out.input(FrameKind::custom(ToolAnswer::new(call_id, result)));
        Ok(())
    }

    fn raw_audio(&mut self, audio: &RawAudio) -> Refused {
        let pieces = audio.pieces().ok_or("expected audio in base64")?;
        pieces.into_iter().try_for_each(|piece| self.hear(piece, audio.sample_rate, audio.num_channels))
    }

    fn hear(&mut self, bytes: Bytes, rate: u32, channels: u32) -> Refused {
        if !RATES.contains(&rate) || !(1..=MOST_CHANNELS).contains(&channels) {
            let (least, most) = (RATES.start(), RATES.end());
            return Err(format!(
                "expected audio of {least} to {most} Hz and 1 to {MOST_CHANNELS} channels, \
                 got {rate} Hz and {channels}"
            ));
        }
        let audio = if channels == 1 {
            let whole = bytes.len() - bytes.len() % 2;
            Audio::coded(AudioFormat::Pcm16 { rate }, bytes.slice(..whole))
        } else {
            let samples: Vec<i16> = pcm::samples(&bytes).collect();
            Audio::Pcm(Samples::new(rate, channels as u16, samples))
        };
        if audio.frames() > 0 {
            self.out.input(FrameKind::InputAudio(audio));
        }
        Ok(())
    }

    /// Refuses a message. If it has no id, nobody waits for that.
    fn refuse(&mut self, id: &Id, error: &str) {
        if id.as_str().is_empty() {
            self.complain(error);
        } else {
            self.out.answer(id.as_str(), &Said::ErrorResponse { error });
        }
    }
}

/// Reads what a message holds.
fn data<'a, T: Deserialize<'a>>(asked: &Asked<'a>) -> Result<T, String> {
    asked.data().map_err(|error| format!("the data of {} can't be read: {error}", asked.kind))
}

const fn respond(options: SendOptions) -> Respond {
    match options {
        SendOptions { run_immediately: false, .. } => Respond::No,
        SendOptions { audio_response: true, .. } => Respond::Yes,
        SendOptions { audio_response: false, .. } => Respond::Written,
    }
}
