//! `realtime call`: a server that dials out, and tells what becomes of the call.

use std::time::Duration;

use realtime_pipeline::media::phone::{HttpReply, RequestFailed, Requests};
use realtime_pipeline::task::StopSignals;
use realtime_telephony::CarrierKind;
use realtime_telephony::rest::Dial;
use realtime_telephony::webhook::{AnsweredBy, Progress, Webhook};
use tokio::runtime::Builder;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval, sleep_until};

use crate::accounts::requests;
use crate::environment::Environment;
use crate::serve::options::carrier;
use crate::serve::server::{Server, Shared};
use crate::serve::webhook::stream_answer;
use crate::telemetry::Telemetry;
use crate::{Error, logging, one_line, say};

/// How long a carrier may take, beyond the ringing, to tell what becomes of a call.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the carrier's word is waited for once the stream is over.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Who is called, and by whom.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "call")]
pub(crate) struct Args {
    /// The number to call, such as +15550100001
    #[arg(value_parser = number)]
    number: String,
    /// The carrier
    #[arg(long, value_name = "CARRIER", value_parser = carrier)]
    via: CarrierKind,
    /// Your number with the carrier
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    from: String,
    /// How long it may ring (s)
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=300))]
    ring_for: u64,
    /// Has the carrier listen for an answering machine. It may cost more
    #[arg(long)]
    detect_machines: bool,
    #[command(flatten)]
    serve: crate::serve::Args,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
The carrier reaches this process at --public-url for the call's audio and for what becomes of the call, so it
must lead here, as by a tunnel. The command ends with the call: successfully if it was answered.

Example:
  TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=… realtime call +15550100001 --via twilio --from +15550100002 \\
    --public-url https://voice.example.com --agent hotel.toml --url https://api.openai.com/v1

Variables, besides those of `realtime serve`:
  twilio      TWILIO_ACCOUNT_SID, and TWILIO_AUTH_TOKEN or TWILIO_API_KEY with TWILIO_API_SECRET
  telnyx      TELNYX_API_KEY, TELNYX_CONNECTION_ID
  plivo       PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN
  vonage      VONAGE_TOKEN (the application's JWT)
  signalwire  SIGNALWIRE_SPACE, SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN
  jambonz     JAMBONZ_ACCOUNT_SID, JAMBONZ_API_KEY
  exotel      EXOTEL_ACCOUNT_SID, EXOTEL_API_KEY, EXOTEL_API_TOKEN, EXOTEL_FLOW_URL (the flow with the
              Voicebot applet)
TWILIO_API_URL and the like name another address of a carrier, as for its regions.";

/// `realtime call`.
pub(crate) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    let telemetry = Telemetry::begin(&args.serve.telemetry, environment)?;
    logging::begin(&args.serve.log, &telemetry)?;
    if args.serve.reached.public_url.is_none() {
        return Err("expected --public-url: the carrier must reach this process for the call's audio".into());
    }
    let requests = requests(args.via, environment)?;
    let held = Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let server = Server::bind_for(&args.serve, environment, true, telemetry.meters()).await?;
        let (stopper, parts) = (server.stopper(), server.parts().clone());
        let mut signals = StopSignals::new()?;
        let serving = tokio::spawn(server.serve());
        let flow = environment.get("EXOTEL_FLOW_URL");
        let ended = tokio::select! {
            ended = place(args, &requests, flow, &parts, say) => ended,
            () = signals.next() => Err("interrupted before the call was over".into()),
        };
        stopper.stop();
        tokio::select! {
            served = serving => served??,
            () = signals.next() => {}
        }
        ended
    });
    telemetry.end();
    held
}

/// Dials, and tells what becomes of the call, to its end.
///
/// # Errors
/// The carrier does not dial, or nobody answered.
async fn place(
    args: &Args,
    requests: &Requests,
    flow: Option<&str>,
    parts: &Shared,
    say: impl Fn(String),
) -> Result<(), Error> {
    let kind = args.via;
    // Whatever comes from here on is heard.
    let mut progress = parts.progress.subscribe();
    let call_id = dial(args, requests, flow, parts).await?;
    say(format!("dialling {} by {kind}", args.number));

    let mut far = Far::default();
    let mut look = interval(Duration::from_millis(200));
    let mut deadline = Instant::now() + Duration::from_secs(args.ring_for) + SILENCE;
    let mut stream_is_over = false;
    let ended = loop {
        tokio::select! {
            told = progress.recv() => match told {
                Ok((other, webhook)) if other == kind && is_about(&webhook, call_id.as_deref()) => {
                    far.learn(&webhook).into_iter().for_each(&say);
                    if let Some(progress) = far.progress.filter(|progress| progress.is_over()) {
                        break progress;
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break far.without_a_word(),
            },
            _ = look.tick() => match parts.host.calls.count() {
                (0, 0) => {}
                // It talks: however long that takes.
                (1.., _) => {
                    far.talks(&say);
                    deadline = Instant::now() + SILENCE;
                }
                (0, _) if !stream_is_over => {
                    stream_is_over = true;
                    deadline = Instant::now() + LAST_WORD;
                }
                _ => {}
            },
            () = sleep_until(deadline) => break far.without_a_word(),
        }
    };
    if let Some(summary) = parts.host.calls.summary() {
        say(summary);
    }
    match ended {
        Progress::Completed => {
            say("the call is over".to_owned());
            Ok(())
        }
        Progress::Busy => Err("the line is busy".into()),
        Progress::NoAnswer => Err("nobody answered".into()),
        Progress::Declined => Err("the call was turned away".into()),
        other => Err(format!("the call was not answered: {other}").into()),
    }
}

/// Has the carrier dial. Returns the id of the call.
async fn dial(
    args: &Args,
    requests: &Requests,
    flow: Option<&str>,
    parts: &Shared,
) -> Result<Option<String>, Error> {
    let kind = args.via;
    let mut who = Webhook::default();
    (who.from, who.to) = (Some(args.from.clone()), Some(args.number.clone()));
    let mut dial =
        Dial::new(&args.number, &args.from, stream_answer(&parts.address, &parts.trust, kind, &who))
            .status_url(parts.address.http(&format!("/{kind}/status")))
            .ring_for(Duration::from_secs(args.ring_for))
            .detects_machines(args.detect_machines);
    match (kind, flow) {
        (CarrierKind::Exotel, Some(flow)) => dial = dial.answer_url(flow),
        (CarrierKind::Plivo | CarrierKind::SignalWire | CarrierKind::Jambonz, _) => {
            dial = dial.answer_url(parts.address.http(&format!("/{kind}")));
        }
        _ => {}
    }
    requests.dial(&dial).await.map_err(|error| match &error {
        RequestFailed::Refused(HttpReply { status, body }) => {
            let text: String = body.split_whitespace().collect::<Vec<_>>().join(" ");
            let text: String = text.chars().take(300).collect();
            format!("{kind} does not dial: it answered with status {status}: {text}").into()
        }
        _ => format!("{kind} does not dial: {}", one_line(&error)).into(),
    })
}

/// Returns whether a webhook is about the call. Plivo tells calls by other ids than it answers with.
fn is_about(webhook: &Webhook, call_id: Option<&str>) -> bool {
    match (&webhook.call_id, call_id) {
        (Some(told), Some(ours)) => told == ours || told.len() != ours.len(),
        _ => true,
    }
}

/// What is known of the other end.
#[derive(Debug, Default)]
struct Far {
    progress: Option<Progress>,
    answered_by: Option<AnsweredBy>,
    was_answered: bool,
}

impl Far {
    /// Learns from the carrier's word. Returns what is new, for a person.
    fn learn(&mut self, webhook: &Webhook) -> Vec<String> {
        let mut news = Vec::new();
        if let Some(progress) = webhook.progress.filter(|progress| Some(*progress) != self.progress) {
            let is_news = match progress {
                Progress::Dialling | Progress::Completed => false,
                Progress::Answered => !self.was_answered,
                _ => true,
            };
            self.was_answered |= progress == Progress::Answered;
            // Words may come late: an end is an end.
            if !self.progress.is_some_and(Progress::is_over) {
                self.progress = Some(progress);
            }
            if is_news {
                news.push(progress.to_string());
            }
        }
        if let Some(who) = webhook.answered_by.filter(|who| Some(*who) != self.answered_by) {
            self.answered_by = Some(who);
            news.push(format!("answered by {who}"));
        }
        news
    }

    /// The stream is there, so somebody has answered.
    fn talks(&mut self, say: &impl Fn(String)) {
        if !self.was_answered {
            self.was_answered = true;
            say(Progress::Answered.to_string());
        }
    }

    /// How it ended, if the carrier does not say it.
    const fn without_a_word(&self) -> Progress {
        if self.was_answered { Progress::Completed } else { Progress::NoAnswer }
    }
}

/// Reads a phone number.
fn number(text: &str) -> Result<String, String> {
    let number: String =
        text.chars().filter(|letter| !matches!(letter, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    if (3..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        Ok(number)
    } else {
        Err("expected a number such as +15550100001".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(progress: Option<Progress>, answered_by: Option<AnsweredBy>) -> Webhook {
        let mut webhook = Webhook::default();
        (webhook.progress, webhook.answered_by) = (progress, answered_by);
        webhook
    }

    #[test]
    fn each_step_is_told_once_and_an_end_is_an_end() {
        let mut far = Far::default();
        let mut news = Vec::new();
        for webhook in [
            told(Some(Progress::Dialling), None),
            told(Some(Progress::Ringing), None),
            told(Some(Progress::Ringing), None),
            told(Some(Progress::Answered), None),
            told(None, Some(AnsweredBy::Human)),
            told(Some(Progress::Answered), Some(AnsweredBy::Human)),
            told(Some(Progress::Completed), None),
            told(Some(Progress::Ringing), None),
        ] {
            news.extend(far.learn(&webhook));
        }
        assert_eq!(news[..3], ["ringing", "answered", "answered by a person"]);
        assert_eq!(far.progress, Some(Progress::Completed));
    }

    #[test]
    fn a_stream_says_that_somebody_has_answered() {
        let mut far = Far::default();
        assert_eq!(far.without_a_word(), Progress::NoAnswer);
        far.talks(&|text| assert_eq!(text, "answered"));
        far.talks(&|_| panic!("it is told once"));
        assert_eq!(far.learn(&told(Some(Progress::Answered), None)), [""; 0]);
        assert_eq!(far.without_a_word(), Progress::Completed);
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(number("+1 (555) 010-0001").as_deref(), Ok("+15550100001"));
        for wrong in ["", "+", "12", "+1555010000x", "+12345678901234567", "sip:a@b"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
