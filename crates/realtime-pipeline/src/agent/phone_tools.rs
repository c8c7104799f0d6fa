//! Tools by which the model acts on its phone call: [`PhoneTools`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use realtime_context::{Function, ToolError, ToolPolicy};
use serde_json::{Value, json};

use crate::chain::{Answer, Intent, Keys, PhoneAction};
use crate::task::TaskHandle;

/// Tools by which the model hangs up, transfers its call, and presses keys. Each waits until what was said
/// before has been heard, and is called off if the user speaks first.
///
/// ```
/// use realtime_pipeline::Agent;
/// use realtime_pipeline::agent::PhoneTools;
///
/// let tools = PhoneTools::new().hang_up().transfer_to("sales", "+15550100001").send_digits();
/// let agent = Agent::new("You are a friendly host on the phone.").phone_tools(tools);
/// ```
///
/// The model chooses among the names that it is given, and never sees a number.
#[derive(Clone, Default)]
pub struct PhoneTools {
    hangs_up: bool,
    sends_digits: bool,
    places: BTreeMap<String, Arc<str>>,
    run: Run,
}

/// The run on which they act, once there is one.
type Run = Arc<OnceLock<TaskHandle>>;

/// Speech before them may take a while.
const LONGEST: Duration = Duration::from_secs(120);

impl PhoneTools {
    /// No tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tool `hang_up`, which ends the call.
    #[must_use]
    pub const fn hang_up(mut self) -> Self {
        self.hangs_up = true;
        self
    }

    /// The tool `transfer_call`, which gives the call to this place among others: a number such as
    /// `+15550100001`, or the address of a document that tells the carrier where.
    #[must_use]
    pub fn transfer_to(mut self, name: impl Into<String>, to: impl Into<Arc<str>>) -> Self {
        self.places.insert(name.into(), to.into());
        self
    }

    /// The tool `send_digits`, which presses keys at the other end, such as in the menu of a company.
    #[must_use]
    pub const fn send_digits(mut self) -> Self {
        self.sends_digits = true;
        self
    }

    /// The tools, for a [`Toolbox`](realtime_context::Toolbox). An [`Agent`](crate::Agent) takes them by
    /// itself.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        if self.hangs_up {
            let description = "Ends the phone call. Say goodbye before you call it.";
            functions.push(self.function("hang_up", description, json!({}), |_| Ok(PhoneAction::HangUp)));
        }
        if !self.places.is_empty() {
            let names: Vec<&String> = self.places.keys().collect();
            let to = json!({ "type": "string", "enum": names, "description": "Who takes the call." });
            let places = self.places.clone();
            let transfer = move |arguments: &Value| {
                let name = arguments["to"].as_str().unwrap_or_default();
                let to = places.get(name).cloned();
                to.map(|to| PhoneAction::Transfer { to }).ok_or("expected one of the names in `to`")
            };
            let description =
                "Transfers the phone call, and ends it here. Tell the caller before you call it.";
            functions.push(self.function("transfer_call", description, json!({ "to": to }), transfer));
        }
        if self.sends_digits {
            let description = "Presses keys of the phone, such as in the menu of a company.";
            let digits = json!({ "type": "string", "pattern": "^[0-9*#A-D]+$", "description": "The keys." });
            let send = |arguments: &Value| {
                let keys = arguments["digits"].as_str().filter(|keys| !keys.is_empty()).and_then(Keys::new);
                keys.map(PhoneAction::SendKeys)
                    .ok_or("expected keys of a phone in `digits`: 0 to 9, *, #, A to D")
            };
            functions.push(self.function("send_digits", description, json!({ "digits": digits }), send));
        }
        functions
    }

    /// Acts on this run from now on. The first one counts.
    pub fn act_on(&self, run: &TaskHandle) {
        let _ = self.run.set(run.clone());
    }

    fn function(
        &self,
        name: &str,
        description: &str,
        properties: Value,
        action: impl Fn(&Value) -> Result<PhoneAction, &'static str> + Send + Sync + 'static,
    ) -> Function {
        let required: Vec<&String> =
            properties.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let schema = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        let run = Arc::clone(&self.run);
        let handler = move |arguments: Value| {
            let (run, action) = (Arc::clone(&run), action(&arguments));
            async move {
                let action = action?;
                let run = run.get().ok_or("there is no call")?;
                match run.ask(Intent::Phone(action)).await {
                    Ok(answer) if answer.is_ok() => Ok::<_, ToolError>("done"),
                    Ok(Answer::Refused(why)) => Err(ToolError::new(why)),
                    Ok(_) | Err(_) => Err("the call is over".into()),
                }
            }
        };
        Function::raw(name, description, schema, handler).policy(ToolPolicy::new().timeout(LONGEST))
    }
}

impl fmt::Debug for PhoneTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoneTools")
            .field("hangs_up", &self.hangs_up)
            .field("sends_digits", &self.sends_digits)
            .field("places", &self.places.keys())
            .finish_non_exhaustive()
    }
}
