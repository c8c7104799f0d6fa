//! One scenario, from its file to its [`Outcome`]: the call is held, and what is expected is looked for.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use realtime_context::Function;
use realtime_emulator::Options;
use realtime_emulator::brain::Script;
use realtime_emulator::voice::VoiceKind;
use realtime_pipeline::testing::{Mismatch, Speaker};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::agent::LoadedAgent;
use crate::environment::Environment;
use crate::eval::caller::prepare;
use crate::eval::case::Case;
use crate::eval::hold::{EmulatorScene, Held, Scene, Server, hold};
use crate::eval::judge::Judge;
use crate::eval::outcome::{CallReport, Failure, Outcome};
use crate::eval::phone::{self, PhoneScene};
use crate::eval::scenario::{Ending, Expectation, JudgeFile, ScriptFile, Time, Trouble, Voice};
use crate::model::Model;
use crate::view::{self, Sight};
use crate::{Error, one_line};

/// What all scenarios have in common.
pub(super) struct Setup<'a> {
    pub(super) environment: &'a Environment,
    /// A server in place of each scenario's own.
    pub(super) url: Option<String>,
    pub(super) model: Option<String>,
    pub(super) judge: JudgeFile,
    /// Where all logs are kept.
    pub(super) logs: Option<PathBuf>,
    /// Where the pages of failed calls go.
    pub(super) pages: Option<PathBuf>,
    /// The best voice of this machine, once somebody has looked for it.
    pub(super) voice: OnceLock<VoiceKind>,
}

/// Holds the call and looks at it. `None`: somebody wants all calls to end.
pub(super) fn run(case: &Case, setup: &Setup<'_>, stop: &watch::Receiver<bool>) -> Option<Outcome> {
    let began = Instant::now();
    let mut outcome = Outcome::new(&case.scenario.name, &case.file);
    let is_phone = case.scenario.phone().is_some();
    // Of a call at a phone there is the sound alone, and no page is made of it.
    let log = match is_phone {
        true => setup.logs.as_ref().map(|folder| file(folder, case, "wav")),
        false => setup.logs.as_ref().or(setup.pages.as_ref()).map(|folder| file(folder, case, "jsonl")),
    };
    match attempt(case, setup, log.clone(), stop) {
        Err(_) if *stop.borrow() => return None,
        Err(error) => outcome.error = Some(one_line(&*error)),
        Ok((failures, report)) => (outcome.failures, outcome.call) = (failures, Some(report)),
    }
    if let Some(log) = log.filter(|log| log.exists()) {
        if let Some(pages) = setup.pages.as_ref().filter(|_| !is_phone && !outcome.is_passed()) {
            let page = file(pages, case, "html");
            match view::make(std::slice::from_ref(&log), &page, &Sight::default()) {
                Ok(_) => outcome.page = Some(page),
                Err(error) => outcome.note = Some(one_line(&*error)),
            }
        }
        if setup.logs.is_some() || outcome.page.is_some() {
            outcome.log = Some(log);
        } else if let Err(error) = std::fs::remove_file(&log) {
            outcome.note = Some(format!("cannot remove {}: {error}", log.display()));
        }
    }
    outcome.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Some(outcome)
}

fn file(folder: &Path, case: &Case, ending: &str) -> PathBuf {
    folder.join(format!("{}.{ending}", case.stem))
}

/// # Errors
/// The scenario can't be held, for another reason than the agent.
fn attempt(
    case: &Case,
    setup: &Setup<'_>,
    log: Option<PathBuf>,
    stop: &watch::Receiver<bool>,
) -> Result<(Vec<Failure>, CallReport), Error> {
    let scenario = &case.scenario;
    let real = Builder::new_current_thread().enable_all().build()?;
    let limit = Duration::from_secs(scenario.limit_s.into());
    let (held, judge, knows_prices) = match scenario.phone() {
        Some(agent) => {
            let acts = prepare(case, &voice(case, setup)?)?;
            let scene = PhoneScene { agent, limit, tape: log, stop: stop.clone() };
            (real.block_on(phone::hold(scene, acts))?, None, false)
        }
        None => {
            let agent = scenario.agent_file().map(|path| case.path(path));
            let agent = real.block_on(LoadedAgent::load(agent.as_deref(), setup.environment))?;
            let judge = needs(case, setup, &agent)?;
            let tools = stand_ins(case, &agent)?;
            let (server, time) = server(case, setup, &agent)?;
            let acts = prepare(case, &voice(case, setup)?)?;
            let scene = Scene { agent: &agent, tools, server, time, limit, log, stop: stop.clone() };
            let held = match time {
                Time::Virtual => Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()?
                    .block_on(hold(scene, acts)),
                Time::Real => real.block_on(hold(scene, acts)),
            }?;
            (held, judge, agent.knows_prices())
        }
    };

    let mut failures = Vec::new();
    if let Err((place, mismatch)) = &held.caller {
        failures.push(Failure::new(place, mismatch.clone()));
    }
    if let Some(agent) = scenario.phone() {
        let expected = format!("a server that keeps {}'s rules", agent.carrier);
        failures.extend(held.violations.iter().map(|(breach, times)| {
            let got = match times {
                1 => format!("a breach: {breach}"),
                _ => format!("a breach, {times} times: {breach}"),
            };
            Failure::new(case.file.display(), Mismatch::new(&*expected, got))
        }));
    }
    let expects_end = scenario.expect.iter().any(|one| matches!(one.value, Expectation::Ends(_)));
    if !expects_end && matches!(held.ending, Ending::Limit | Ending::Failure) {
        let mismatch = Mismatch::new("the call to end well", &*held.reason);
        failures.push(Failure::new(case.file.display(), mismatch));
    }
    for expectation in &scenario.expect {
        let checked = match (&expectation.value, &judge) {
            (Expectation::Judge(question), Some(judge)) => real.block_on(judge.ask(question, &held.call)),
            (expectation, _) => check(expectation, &held),
        };
        failures.extend(checked.err().map(|mismatch| Failure::new(case.place(expectation), mismatch)));
    }
    let cost = knows_prices.then_some(held.cost);
    let Held { call, sound, ending, reason, lasted, .. } = held;
    let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
    Ok((failures, CallReport { ended: ending, reason, lasted_ms, cost, call, sound }))
}

/// What expectations need: told before the call.
fn needs(case: &Case, setup: &Setup<'_>, agent: &LoadedAgent) -> Result<Option<Judge>, Error> {
    let mut judge = None;
    for expectation in &case.scenario.expect {
        let place = case.place(expectation);
        match &expectation.value {
            Expectation::CostAtMost(cost) if cost.price.is_some() && !agent.knows_prices() => {
                return Err(format!("{place}: `price` needs the member `prices` in the agent's file").into());
            }
            Expectation::Judge(_) => {
                let named = Judge::new(&setup.judge, &case.scenario.judge, setup.environment);
                judge = Some(named.map_err(|reason| format!("{place}: {reason}"))?);
            }
            _ => {}
        }
    }
    Ok(judge)
}

/// Functions that give the scenario's answers.
fn stand_ins(case: &Case, agent: &LoadedAgent) -> Result<Vec<Function>, Error> {
    let functions = case.scenario.tools.iter().map(|(name, answer)| {
        agent.stand_in(name, answer.clone()).ok_or_else(|| {
            let known = agent.tools().join(", ");
            format!("{}: tools: expected a tool of the agent ({known}), got `{name}`", case.file.display())
        })
    });
    Ok(functions.collect::<Result<_, _>>()?)
}

fn server(case: &Case, setup: &Setup<'_>, agent: &LoadedAgent) -> Result<(Server, Time), Error> {
    let (scenario, file) = (&case.scenario, case.file.display());
    let model = setup.model.as_deref().or(scenario.model.as_deref()).or_else(|| agent.model());
    if let Some(url) = setup.url.as_ref().or(scenario.url.as_ref()) {
        if setup.url.is_none() && scenario.time == Some(Time::Virtual) {
            return Err(format!("{file}: `time: virtual` needs the emulator: remove it, or `url`").into());
        }
        let endpoint = Model::at(url, model, setup.environment)?.endpoint()?;
        return Ok((Server::At(Box::new(endpoint)), Time::Real));
    }
    // What is asked over a network answers in real time alone.
    let far: Vec<String> =
        agent.far_tools().into_iter().filter(|name| !scenario.tools.contains_key(name)).collect();
    let time = match scenario.time {
        Some(Time::Virtual) if !far.is_empty() => {
            let far = far.join(", ");
            return Err(format!("{file}: `time: virtual` needs answers under `tools` for {far}").into());
        }
        Some(time) => time,
        None if far.is_empty() => Time::Virtual,
        None => Time::Real,
    };
    let script = match &scenario.script {
        Some(ScriptFile::Inline(script)) => Some(script.clone()),
        Some(ScriptFile::File(path)) => Some(read_script(&case.path(path))?),
        None => agent.is_demo().then(Script::demo),
    };
    let (mut disasters, mut options) = (Vec::new(), Options::default());
    for trouble in &scenario.disasters {
        match trouble {
            Trouble::Disaster(disaster) => disasters.push((**disaster).clone()),
            Trouble::Rehearsal(rehearsal) => options = options.rehearse(rehearsal),
        }
    }
    Ok((Server::Emulator(Box::new(EmulatorScene { script, disasters, options })), time))
}

fn read_script(path: &Path) -> Result<Script, Error> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    Ok(Script::parse(&text).map_err(|error| format!("{name}: {error}"))?)
}

fn voice(case: &Case, setup: &Setup<'_>) -> Result<VoiceKind, Error> {
    let best = || setup.voice.get_or_init(VoiceKind::best).clone();
    match (case.scenario.voice, best) {
        (Voice::Tones, _) => Ok(VoiceKind::Tones),
        (Voice::Auto, best) => Ok(best()),
        (Voice::Espeak, best) => match best() {
            VoiceKind::Tones => Err("cannot run `espeak-ng`: install it, or choose another `voice`".into()),
            voice => Ok(voice),
        },
    }
}

fn check(expectation: &Expectation, held: &Held) -> Result<(), Mismatch> {
    let call = &held.call;
    match expectation {
        Expectation::Calls(wanted) => {
            call.called(wanted.iter().map(|call| (call.name.as_str(), &call.arguments)))
        }
        Expectation::NeverCalls(names) => names.iter().try_for_each(|name| call.never_called(name)),
        Expectation::AgentSays(words) => call.said(Speaker::Agent, &words.phrase()),
        Expectation::AgentNeverSays(words) => call.never_said(Speaker::Agent, &words.phrase()),
        Expectation::UserSays(words) => call.said(Speaker::User, &words.phrase()),
        Expectation::UserNeverSays(words) => call.never_said(Speaker::User, &words.phrase()),
        Expectation::HeardAtCut(words) => call.heard_at_cut(&words.phrase()),
        Expectation::Turns(order) => call.took_turns(order),
        Expectation::WithinMs(ms) => call.answered_within(Duration::from_millis((*ms).into())),
        Expectation::Interruptions(times) => call.interrupted(*times),
        Expectation::HeardMs(ms) => held.sound.as_ref().map_or(Ok(()), |sound| sound.heard((*ms).into())),
        Expectation::CutWithinMs(ms) => {
            held.sound.as_ref().map_or(Ok(()), |sound| sound.cut_within((*ms).into()))
        }
        Expectation::CostAtMost(cost) => {
            call.took_at_most(cost.limits())?;
            match cost.price.filter(|price| held.cost > *price) {
                Some(price) => {
                    Err(Mismatch::new(format!("a cost of at most {price}"), format!("{:.6}", held.cost)))
                }
                None => Ok(()),
            }
        }
        Expectation::Ends(ending) if *ending == held.ending => Ok(()),
        Expectation::Ends(ending) => {
            let got = format!("{} ({})", held.ending.name(), held.reason);
            Err(Mismatch::new(format!("the call to end by {}", ending.name()), got))
        }
        // A question is for the judge alone.
        Expectation::Judge(_) => Ok(()),
    }
}
