//! What holds whatever a page, a chain and a network do, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Raw(String),
    Binary(Vec<u8>),
    Hello { token: bool, version: u32, played: Option<(u32, u64)> },
    Played(u32, u64),
    Stopped(u64, Option<(u32, u64)>),
    Play { item: u8, is_clip: bool, ahead: u64, rate: u32, samples: u64 },
    Done(u8),
    Clear,
    Open,
    Close,
    Pass(u64),
    Bye,
    Finish,
}

fn place() -> impl Strategy<Value = (u32, u64)> {
    (0_u32..8, prop_oneof![0_u64..6_000, Just(u64::MAX)])
}

fn text() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "hello", "played", "stopped", "text", "stop", "keys", "message", "mute", "ping", "dance",
    ]);
    let member = prop::sample::select(vec![
        "item", "samples", "id", "text", "keys", "body", "on", "at", "version", "rate", "played", "muted",
    ]);
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-z0-9#]{0,5}".prop_map(|word| format!("{word:?}")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(r#"{"item":1,"samples":5}"#.to_owned()),
    ];
    let object = (kind, prop::collection::vec((member, value), 0..4)).prop_map(|(kind, members)| {
        let members: String = members.iter().map(|(name, value)| format!(",{name:?}:{value}")).collect();
        format!(r#"{{"type":"{kind}"{members}}}"#)
    });
    prop_oneof![3 => object, 1 => ".{0,40}"]
}

fn step() -> impl Strategy<Value = Step> {
    let rate = prop::sample::select(vec![24_000_u32, 24_000, 24_000, 8_000]);
    prop_oneof![
        3 => text().prop_map(Step::Raw),
        1 => prop::collection::vec(any::<u8>(), 0..2_000).prop_map(Step::Binary),
        3 => (prop::bool::weighted(0.8), 1_u32..3, prop::option::of(place()))
            .prop_map(|(token, version, played)| Step::Hello { token, version, played }),
        5 => place().prop_map(|(item, samples)| Step::Played(item, samples)),
        3 => (0_u64..6, prop::option::of(place())).prop_map(|(id, at)| Step::Stopped(id, at)),
        12 => (0_u8..3, any::<bool>(), 0_u64..2, rate, 0_u64..2_400).prop_map(
            |(item, is_clip, ahead, rate, samples)| Step::Play { item, is_clip, ahead, rate, samples }),
        2 => (0_u8..3).prop_map(Step::Done),
        3 => Just(Step::Clear),
        2 => Just(Step::Open),
        2 => Just(Step::Close),
        4 => (0_u64..5_000).prop_map(Step::Pass),
        1 => prop_oneof![9 => Just(Step::Pass(1)), 1 => Just(Step::Bye), 1 => Just(Step::Finish)],
    ]
}

/// What the chain knows.
#[derive(Default)]
struct Known {
    /// How far each source was handed out.
    sent: BTreeMap<AudioSource, u64>,
    cleared: Vec<ClearId>,
    last_clear: u64,
    is_away: bool,
    gone: usize,
}

impl Known {
    fn check(&mut self, bench: &mut Bench) {
        for report in bench.reports() {
            let at = match report {
                SinkReport::Heard(at) => Some(at),
                SinkReport::Cleared { id, at } => {
                    self.cleared.push(id);
                    at
                }
                SinkReport::Back { at } => {
                    assert!(std::mem::take(&mut self.is_away), "back without being away");
                    at
                }
                SinkReport::Away => {
                    assert!(!std::mem::replace(&mut self.is_away, true), "away twice");
                    None
                }
                other => panic!("expected no {other:?}"),
            };
            if let Some(at) = at {
                let sent = self.sent.get(&at.source).copied().unwrap_or(0);
                assert!(at.samples <= sent, "heard {} of {sent}", at.samples);
            }
        }
        for input in std::mem::take(&mut bench.inputs) {
            self.gone += usize::from(matches!(input, FrameKind::Peer(Peer::Disconnected)));
        }
        for text in bench.news() {
            assert!(text.to_string().len() <= 64 * 1024 && text["type"].is_string());
        }
    }
}

fn run(steps: Vec<Step>) {
    let mut bench = Bench::silent(PageOptions::new(TOKEN));
    let mut known = Known::default();
    for step in steps {
        match step {
            Step::Raw(text) => bench.raw(&text),
            Step::Binary(bytes) => bench.binary(bytes),
            Step::Hello { token, version, played } => {
                let mut hello = json!({ "type": "hello", "version": version });
                if token {
                    hello["token"] = TOKEN.into();
                }
                if let Some((item, samples)) = played {
                    hello["played"] = json!({ "item": item, "samples": samples });
                }
                bench.text(hello);
            }
            Step::Played(item, samples) => {
                bench.text(json!({ "type": "played", "item": item, "samples": samples }));
            }
            Step::Stopped(id, None) => bench.text(json!({ "type": "stopped", "id": id })),
            Step::Stopped(id, Some((item, samples))) => {
                bench.text(json!({ "type": "stopped", "id": id, "item": item, "samples": samples }));
            }
            Step::Play { item, is_clip, ahead, rate, samples } => {
                let name = item.to_string();
                let source = if is_clip { clip(&name) } else { part(&name) };
                let start = known.sent.get(&source).copied().unwrap_or(0) * u64::from(item != 2) + ahead * 99;
                let end = start + samples;
                let sent = known.sent.entry(source.clone()).or_default();
                *sent = (*sent).max(end);
                let audio = OutputAudio {
                    audio: Audio::mono(rate, vec![5; samples as usize]),
                    ..audio(source, start, 0)
                };
                bench.frame(FrameKind::PlayedAudio(audio));
            }
            Step::Done(item) => {
                bench.event(audio_done(&item.to_string(), 60));
                let source = part(&item.to_string());
                bench.frame(FrameKind::OutputFinished { source, total: 0 });
            }
            Step::Clear => {
                known.last_clear += 1;
                bench.clear(known.last_clear);
            }
            Step::Open => bench.open(),
            Step::Close => bench.close(),
            Step::Pass(ms) => bench.pass(bench.now.as_micros() / 1_000 + ms),
            Step::Bye => bench.text(json!({ "type": "bye" })),
            Step::Finish => bench.act(|page, now| page.finish(now)),
        }
        known.check(&mut bench);
        if bench.page.is_over() {
            assert!(bench.page.poll_timeout().is_none_or(|due| due > bench.now), "nothing is due");
        }
    }
    bench.pass(bench.now.as_micros() / 1_000 + 60_000);
    known.check(&mut bench);
    assert!(bench.page.is_over(), "a page that says nothing is gone in the end");
    let asked: Vec<ClearId> = (1..=known.last_clear).map(ClearId).collect();
    assert_eq!(known.cleared, asked, "each is answered once");
    assert!(!known.is_away && known.gone <= 1);
    assert!(bench.audio.iter().all(|(_, _, samples)| samples * 2 + 8 <= 64 * 1024));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_page_may_say_anything_at_any_time(steps in prop::collection::vec(step(), 0..60)) {
        run(steps);
    }
}
