//! The server is told to leave interruptions to this side. If it does not, the session falls back to the
//! server's decisions.

use alloc::vec::Vec;

use crate::call::{Event, Warning};
use crate::field::Field;
use crate::session::Session;
use crate::session::interruption::By;
use crate::session::interruption_policy::InterruptionPolicy;
use crate::session::policy::Policy;
use crate::session::updates::Update;
use crate::session_config::{ServerVad, SessionConfig, TurnDetection};
use crate::time::Timestamp;

impl Policy {
    /// Returns whether this side decides what interrupts.
    pub(super) fn is_in_force(&self) -> bool {
        let detects = match &self.wish {
            // An unknown turn detection cannot be told to leave interruptions to this side.
            Field::Value(TurnDetection::Unknown(_)) | Field::Null => false,
            Field::Value(vad) => vad.interrupts_response(),
            Field::Absent => true, // the server's default
        };
        self.rule != InterruptionPolicy::AtOnce && !self.fell_back && detects
    }

    /// Notes the turn detection that the application wants, and replaces it by the one that the server is
    /// told.
    pub(super) fn take_wish(&mut self, config: &mut SessionConfig) {
        let Some(input) = config.audio.value_mut().and_then(|audio| audio.input.value_mut()) else { return };
        if input.turn_detection.is_absent() {
            return;
        }
        self.wish = input.turn_detection.clone();
        if self.is_in_force()
            && let Field::Value(vad) = &mut input.turn_detection
        {
            leave_to_this_side(vad);
        }
    }
}

impl Session {
    /// Completes the first configuration. The policy needs a turn detection to modify: the server's default
    /// if the application sets none.
    pub(super) fn complete_wish(&mut self) {
        if self.policy.rule == InterruptionPolicy::AtOnce || self.policy.fell_back {
            return;
        }
        let is_told = !self.policy.wish.is_absent();
        if !is_told {
            self.policy.wish = match self.config.turn_detection() {
                Field::Absent => Field::Value(ServerVad::default().into()),
                told => told.clone(),
            };
        }
        if matches!(self.policy.wish, Field::Value(TurnDetection::Unknown(_))) {
            return self.drop_policy();
        }
        if let Field::Value(mut vad) = self.policy.wish.clone()
            && !is_told
            && self.policy.is_in_force()
        {
            leave_to_this_side(&mut vad);
            self.options.config.input_mut().turn_detection = vad.into();
        }
    }

    /// Returns whether the server's report of speech interrupts.
    pub(super) fn server_interrupts(&self) -> bool {
        let wish = if self.policy.fell_back { &self.policy.wish } else { self.config.turn_detection() };
        !self.policy.is_in_force() && wish.value().is_none_or(TurnDetection::interrupts_response)
    }

    /// Until when the server may respond by itself to the user's turn. `None`: it does not.
    pub(super) fn own_response_due(&self) -> Option<Timestamp> {
        let vad = self.config.turn_detection();
        let wish = if self.policy.fell_back { &self.policy.wish } else { vad };
        let responds = !vad.is_null() && wish.value().is_none_or(TurnDetection::creates_response);
        (responds && !self.policy.is_in_force()).then(|| self.now + self.options.turn_response_deadline)
    }

    /// An update is sent, for the first time or again without its refused members.
    pub(super) fn note_update(&mut self, update: &mut Update) {
        if !self.policy.is_in_force() {
            return;
        }
        let tells = update.config.turn_detection().value().is_some_and(is_left_to_this_side);
        if !tells && update.refused.iter().any(|member| member.path.contains("turn_detection")) {
            if let Field::Value(mut vad) = self.policy.wish.clone() {
                let [creates, _] = members(&vad).map(Clone::clone);
                set_members(&mut vad, creates, Field::Absent);
                update.config.input_mut().turn_detection = vad.into();
            }
            self.drop_policy();
        }
        self.policy.told |= tells;
    }

    /// The server reports its configuration.
    pub(super) fn check_policy(&mut self) {
        if !self.policy.is_in_force() || !self.policy.told {
            return;
        }
        let Some(vad) = self.config.turn_detection().value() else { return };
        let [creates, interrupts] = members(vad);
        if creates.value() == Some(&true) || interrupts.value() == Some(&true) {
            self.drop_policy();
            self.restore_wish();
        }
    }

    /// A response begins that was not requested. Right after the user's turn, it is the server's answer to
    /// the turn.
    pub(super) fn on_unasked_response(&mut self) {
        let patience = self.options.turn_response_deadline;
        if self.policy.is_in_force()
            && self.policy.stopped.is_some_and(|stopped| self.now < stopped + patience)
        {
            self.drop_policy();
            self.restore_wish();
        }
    }

    /// The server refused a request to answer the user's turn, because it answers the turn itself.
    pub(super) fn on_answered_twice(&mut self) {
        if self.policy.is_in_force() {
            self.drop_policy();
            self.restore_wish();
        }
    }

    /// The server decides itself what interrupts. From here on, speech interrupts at once.
    fn drop_policy(&mut self) {
        self.tell(Event::Warning(Warning::InterruptionPolicyDropped));
        self.policy.fell_back = true;
        let speech = core::mem::take(&mut self.policy.speech);
        if speech.is_open() && speech.is_going_on() && !self.is_protected() {
            self.interrupt(None, By::Policy);
        }
        self.resume();
    }

    /// Sends the server the turn detection that the application wanted, unless it is in force already.
    fn restore_wish(&mut self) {
        let Field::Value(mut vad) = self.policy.wish.clone() else { return };
        let told = self.config.turn_detection().value();
        let is_so = told.is_some_and(|told| {
            told.interrupts_response() && told.creates_response() == self.policy.responds()
        });
        if !is_so {
            set_members(&mut vad, self.policy.responds().into(), true.into());
            let mut config = SessionConfig::default();
            config.input_mut().turn_detection = vad.into();
            // GA refuses an update without the session's `type`.
            config.kind.clone_from(&self.updates.kind);
            self.send_update(None, Update::new(config, Vec::new()).put_in(self.options.dialect));
        }
    }
}

/// `create_response` and `interrupt_response`.
fn members(vad: &TurnDetection) -> [&Field<bool>; 2] {
    const ABSENT: &Field<bool> = &Field::Absent;
    match vad {
        TurnDetection::ServerVad(vad) => [&vad.create_response, &vad.interrupt_response],
        TurnDetection::SemanticVad(vad) => [&vad.create_response, &vad.interrupt_response],
        TurnDetection::Unknown(_) => [ABSENT, ABSENT],
    }
}

fn set_members(vad: &mut TurnDetection, creates: Field<bool>, interrupts: Field<bool>) {
    let (create_response, interrupt_response) = match vad {
        TurnDetection::ServerVad(vad) => (&mut vad.create_response, &mut vad.interrupt_response),
        TurnDetection::SemanticVad(vad) => (&mut vad.create_response, &mut vad.interrupt_response),
        TurnDetection::Unknown(_) => return,
    };
    (*create_response, *interrupt_response) = (creates, interrupts);
}

fn leave_to_this_side(vad: &mut TurnDetection) {
    set_members(vad, false.into(), false.into());
}

fn is_left_to_this_side(vad: &TurnDetection) -> bool {
    members(vad).iter().all(|member| member.value() == Some(&false))
}
