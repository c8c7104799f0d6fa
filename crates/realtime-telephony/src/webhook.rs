//! What a carrier's webhook says of a call: who calls whom, and what becomes of it.
//!
//! ```
//! use realtime_telephony::CarrierKind;
//! use realtime_telephony::verify::Request;
//! use realtime_telephony::webhook::{AnsweredBy, Progress, Webhook};
//!
//! let headers = [("Content-Type", "application/x-www-form-urlencoded")];
//! let body = b"CallSid=CA1&From=%2B15550100001&To=%2B15550100002&CallStatus=in-progress&AnsweredBy=human";
//! let request = Request::post("https://voice.example.com/twilio/status", &headers, body);
//! let webhook = Webhook::read(CarrierKind::Twilio, &request);
//! assert_eq!(webhook.from.as_deref(), Some("+15550100001"));
//! assert_eq!(webhook.progress, Some(Progress::Answered));
//! assert_eq!(webhook.answered_by, Some(AnsweredBy::Human));
//! ```
//!
//! [Verify](crate::verify) a request before it is read: anybody can send one.

use std::fmt;

use crate::json::Object;
use crate::kind::CarrierKind;
use crate::verify::Request;

/// What a webhook says. What it does not say is empty.
///
/// `Debug` shows no phone numbers.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Webhook {
    /// The id of the call, which requests to the carrier name.
    pub call_id: Option<String>,
    /// The caller's number.
    pub from: Option<String>,
    /// The number that is called.
    pub to: Option<String>,
    /// How far the call is.
    pub progress: Option<Progress>,
    /// Who answered it, if the carrier listened for that.
    pub answered_by: Option<AnsweredBy>,
    /// The carrier's word for how far the call is, or for why it ended.
    pub word: Option<String>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// The carrier is about to call, or calls.
    Dialling,
    /// The phone rings.
    Ringing,
    /// Somebody, or something, has answered.
    Answered,
    /// It was answered, and is over.
    Completed,
    /// It was not answered: the line is busy.
    Busy,
    /// It was not answered in time.
    NoAnswer,
    /// It was turned away.
    Declined,
    /// The caller has given up before it was answered.
    Cancelled,
    /// It could not be made: the number is wrong, for example.
    Failed,
}

/// Who answered a call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AnsweredBy {
    /// A person.
    Human,
    /// An answering machine.
    Machine,
    /// A fax.
    Fax,
    /// The carrier can't tell.
    Unknown,
}

impl Progress {
    /// Returns whether the call is over.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Dialling | Self::Ringing | Self::Answered)
    }

    /// What a carrier's word for the state of a call means, or for the reason of its end. `None`: it is not
    /// known here.
    fn of_word(kind: CarrierKind, word: &str) -> Option<Self> {
        let progress = match word.to_ascii_lowercase().replace(['_', ' '], "-").as_str() {
            "queued" | "initiated" | "started" | "trying" | "call.initiated" => Self::Dialling,
            "ringing" | "early-media" | "call.ringing" => Self::Ringing,
            "in-progress" | "answered" | "call.answered" => Self::Answered,
            "completed" | "normal-clearing" | "time-limit" | "disconnected" => Self::Completed,
            "busy" | "user-busy" => Self::Busy,
            // Plivo's word for a call that its own carriers could not connect.
            "timeout" if kind == CarrierKind::Plivo => Self::Failed,
            "no-answer" | "unanswered" | "timeout" => Self::NoAnswer,
            "rejected" | "call-rejected" | "declined" => Self::Declined,
            "canceled" | "cancelled" | "cancel" | "originator-cancel" => Self::Cancelled,
            "failed" | "not-found" | "unspecified" => Self::Failed,
            _ => return None,
        };
        Some(progress)
    }
}

impl AnsweredBy {
    fn of_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "human" | "human_residence" | "human_business" | "false" => Some(Self::Human),
            "true" => Some(Self::Machine),
            "unknown" | "not_sure" => Some(Self::Unknown),
            _ if word.starts_with("machine") => Some(Self::Machine),
            _ if word.starts_with("fax") => Some(Self::Fax),
            _ => None,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dialling => "dialling",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no answer",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for AnsweredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Human => "a person",
            Self::Machine => "an answering machine",
            Self::Fax => "a fax",
            Self::Unknown => "somebody or something",
        })
    }
}

impl Webhook {
    /// Reads a webhook of this carrier, about a call that comes in or one that was dialled. Whatever cannot
    /// be read is empty.
    pub fn read(kind: CarrierKind, request: &Request<'_>) -> Self {
        let fields = Fields::of(request);
        // Telnyx's own webhooks name the event; TeXML's are Twilio's.
        let status = fields.any(&["CallStatus", "call_status", "status", "Status", "event_type"]);
        let hang_up = status.as_deref() == Some("call.hangup");
        let cause = fields.any(&["hangup_cause"]).filter(|_| hang_up);
        let machine = fields.any(&["AnsweredBy", "answered_by", "Machine", "result"]);
        // Vonage tells who answered by the state itself.
        let machine =
            machine.or_else(|| status.clone().filter(|word| matches!(word.as_str(), "human" | "machine")));
        let word = cause.or(status);
        let progress = match word.as_deref().and_then(|word| Progress::of_word(kind, word)) {
            None if hang_up => Some(Progress::Failed),
            progress => progress,
        };
        Self {
            call_id: fields.any(&["CallSid", "call_control_id", "CallUUID", "call_sid", "uuid"]),
            from: fields.any(&["From", "from", "CallFrom"]),
            to: fields.any(&["To", "to", "CallTo"]),
            answered_by: machine.as_deref().and_then(AnsweredBy::of_word),
            progress,
            word,
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("call_id", &self.call_id)
            .field("progress", &self.progress)
            .field("answered_by", &self.answered_by)
            .finish_non_exhaustive()
    }
}

/// The parameters of a webhook, wherever they stand: in a form, in JSON, or in the address.
struct Fields(Vec<(String, String)>);

/// The most parameters that are read.
const MOST: usize = 256;

impl Fields {
    fn of(request: &Request<'_>) -> Self {
        let is_json = request.header("content-type").is_some_and(|kind| kind.contains("json"));
        let mut fields = Vec::new();
        if is_json && let Some(object) = std::str::from_utf8(request.body).ok().and_then(Object::read) {
            let data = object.object(&["data"]);
            let payload = data.as_ref().and_then(|data| data.object(&["payload"]));
            for object in [payload, data, Some(object)].into_iter().flatten() {
                let members = object.members();
                fields.extend(members.filter_map(|(name, value)| {
                    Some((name.to_owned(), crate::json::text(value)?.into_owned()))
                }));
            }
        } else {
            fields = request.form();
        }
        fields.extend(request.query());
        fields.truncate(MOST);
        Self(fields)
    }

    /// The first of these names that has a value.
    fn any(&self, names: &[&str]) -> Option<String> {
        let of = |name: &&str| self.0.iter().find(|(other, value)| other == name && !value.is_empty());
        names.iter().find_map(of).map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8");
    const JSON: (&str, &str) = ("content-type", "application/json");

    fn read(kind: CarrierKind, header: (&str, &str), body: &str) -> Webhook {
        Webhook::read(kind, &Request::post("https://h/c?x=1", &[header], body.as_bytes()))
    }

    #[test]
    fn each_carrier_s_words_for_a_call_are_read() {
        use CarrierKind::{Exotel, Jambonz, Plivo, SignalWire, Telnyx, Twilio, Vonage};
        let telnyx = |event: &str, more: &str| {
            format!(
                r#"{{"data":{{"event_type":"{event}","id":"evt","payload":{{"call_control_id":"c1","from":"+1","to":"+2"{more}}}}}}}"#
            )
        };
        let cases = [
            (Twilio, FORM, "CallSid=c1&From=%2B1&To=%2B2&CallStatus=ringing".into(), Some(Progress::Ringing)),
            (
                SignalWire,
                FORM,
                "CallSid=c1&From=%2B1&To=%2B2&CallStatus=no-answer".into(),
                Some(Progress::NoAnswer),
            ),
            (
                Telnyx,
                FORM,
                "CallSid=c1&From=%2B1&To=%2B2&CallStatus=canceled".into(),
                Some(Progress::Cancelled),
            ),
            (Telnyx, JSON, telnyx("call.initiated", ""), Some(Progress::Dialling)),
            (Telnyx, JSON, telnyx("call.answered", ""), Some(Progress::Answered)),
            (Telnyx, JSON, telnyx("call.hangup", r#","hangup_cause":"user_busy""#), Some(Progress::Busy)),
            (
                Telnyx,
                JSON,
                telnyx("call.hangup", r#","hangup_cause":"normal_clearing""#),
                Some(Progress::Completed),
            ),
            (Telnyx, JSON, telnyx("call.hangup", r#","hangup_cause":"other""#), Some(Progress::Failed)),
            (Telnyx, JSON, telnyx("streaming.started", ""), None),
            (Plivo, FORM, "CallUUID=c1&From=%2B1&To=%2B2&CallStatus=timeout".into(), Some(Progress::Failed)),
            (
                Plivo,
                FORM,
                "CallUUID=c1&From=%2B1&To=%2B2&CallStatus=in-progress".into(),
                Some(Progress::Answered),
            ),
            (
                Vonage,
                JSON,
                r#"{"uuid":"c1","from":"+1","to":"+2","status":"timeout"}"#.into(),
                Some(Progress::NoAnswer),
            ),
            (
                Vonage,
                JSON,
                r#"{"uuid":"c1","from":"+1","to":"+2","status":"rejected"}"#.into(),
                Some(Progress::Declined),
            ),
            (
                Jambonz,
                JSON,
                r#"{"call_sid":"c1","from":"+1","to":"+2","call_status":"early-media","sip_status":183}"#
                    .into(),
                Some(Progress::Ringing),
            ),
            (Exotel, FORM, "CallSid=c1&From=%2B1&To=%2B2&Status=busy".into(), Some(Progress::Busy)),
        ];
        for (kind, header, body, progress) in cases {
            let webhook = read(kind, header, &body);
            assert_eq!(webhook.progress, progress, "{kind}: {body}");
            let who = [webhook.call_id, webhook.from, webhook.to].map(Option::unwrap_or_default);
            assert_eq!(who, ["c1", "+1", "+2"], "{kind}: {body}");
        }
    }

    #[test]
    fn who_answered_is_told_in_many_ways() {
        for (kind, header, body, expected) in [
            (CarrierKind::Twilio, FORM, "AnsweredBy=machine_start", Some(AnsweredBy::Machine)),
            (CarrierKind::Twilio, FORM, "AnsweredBy=fax", Some(AnsweredBy::Fax)),
            (CarrierKind::Twilio, FORM, "CallStatus=in-progress", None),
            (CarrierKind::Plivo, FORM, "Machine=true", Some(AnsweredBy::Machine)),
            (CarrierKind::Vonage, JSON, r#"{"status":"human"}"#, Some(AnsweredBy::Human)),
            (
                CarrierKind::Telnyx,
                JSON,
                r#"{"data":{"event_type":"call.machine.detection.ended","payload":{"result":"not_sure"}}}"#,
                Some(AnsweredBy::Unknown),
            ),
        ] {
            assert_eq!(read(kind, header, body).answered_by, expected, "{kind}: {body}");
        }
    }

    #[test]
    fn what_stands_in_the_address_counts_where_the_body_is_silent() {
        let url = "https://h/vonage?to=442079460000&from=447700900000&uuid=u";
        let request = Request { method: "GET", url, headers: &[], body: &[] };
        let webhook = Webhook::read(CarrierKind::Vonage, &request);
        assert_eq!(webhook.from.as_deref(), Some("447700900000"));
        assert_eq!((webhook.call_id.as_deref(), webhook.progress), (Some("u"), None));
    }

    #[test]
    fn numbers_do_not_show() {
        let webhook = read(CarrierKind::Twilio, FORM, "CallSid=CA1&From=%2B15550100001&CallStatus=ringing");
        let shown = format!("{webhook:?}");
        assert!(shown.contains("CA1") && !shown.contains("15550100001"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(body in proptest::collection::vec(any::<u8>(), 0..200), url in "\\PC{0,40}") {
            for header in [FORM, JSON, ("x", "y")] {
                for kind in CarrierKind::ALL {
                    let request = Request::post(&url, std::slice::from_ref(&header), &body);
                    let _ = Webhook::read(kind, &request);
                }
            }
        }
    }
}
