//! Waiters, errors, deadlines and the end.

use super::*;
use crate::call::{MediaRefusal, Refusal};

#[test]
fn one_retrieval_is_in_flight_per_item_and_all_waiters_are_answered() {
    let mut bench = Bench::ready();
    let retrieve = |id: &str| Command::RetrieveItem { item_id: id.into() };
    assert_eq!(bench.app(retrieve("i1")), ["> conversation.item.retrieve"]);
    assert!(bench.app(retrieve("i1")).is_empty());
    assert_eq!(bench.app(retrieve("i2")), ["> conversation.item.retrieve"]);
    let item = json!({"type": "message", "id": "i1", "role": "user", "content": []});
    assert_eq!(
        bench.server(json!({"type": "conversation.item.retrieved", "item": item})),
        ["1 retrieved", "2 retrieved"]
    );
    let error = json!({"code": "item_retrieve_invalid_item_id", "event_id": "rci_i2"});
    assert_eq!(bench.server(json!({"type": "error", "error": error})), ["3 refused", "server_error"]);
    assert!(
        bench
            .server(json!({"type": "conversation.item.retrieved", "item": {"type": "message", "id": "x"}}))
            .is_empty()
    );
}

#[test]
fn the_end_answers_everyone_in_the_same_step() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.app(create());
    bench.app(Command::RetrieveItem { item_id: "i".into() });
    bench.app(Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: false });
    bench.session.handle_disconnected(bench.at(), DisconnectReason::Lost { reason: "gone".into() });
    assert_eq!(
        bench.drain(),
        ["response_finished", "1 responded", "2 closed", "3 closed", "4 closed", "closed"]
    );
    let error = bench.session.handle_command(bench.at(), CommandId(9), Command::Interrupt {}).unwrap_err();
    assert_eq!((error.reason, *error.command), (Refusal::Ended, Command::Interrupt {}));
    assert_eq!(bench.session.poll_timeout(), None);
}

#[test]
fn errors_end_what_they_name_and_nothing_else() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateItem { item: Item::user_text("a").into(), after: None, respond: false });
    bench.app(Command::CreateItem { item: Item::user_text("b").into(), after: None, respond: false });
    let error = json!({"type": "error", "error": {"code": "invalid_value", "event_id": "evt_0_3"}});
    assert_eq!(bench.server(error), ["2 refused", "server_error"]);
    assert_eq!(bench.server(json!({"type": "error", "error": "a bare string"})), ["warning", "server_error"]);
    let error = json!({"type": "error", "error": {"code": "session_expired"}});
    assert_eq!(bench.server(error), ["server_error", "> close"]);
    assert!(bench.server(created("r1")).is_empty(), "nothing counts after the end");
    bench.session.handle_disconnected(bench.at(), DisconnectReason::Closed { code: None, reason: "".into() });
    assert_eq!(bench.drain(), ["1 closed", "closed"]);
}

#[test]
fn a_state_at_rest_is_small() {
    assert!(size_of::<Session>() < 8 * 1024, "{}", size_of::<Session>());
}

#[test]
fn what_would_cost_the_connection_is_refused_here() {
    let mut bench = Bench::ready();
    let item = Item::user_text("x".repeat(16 * 1024 * 1024));
    let refused =
        bench.try_app(Command::CreateItem { item: item.into(), after: None, respond: false }).unwrap_err();
    assert!(refused.reason.to_string().starts_with("expected at most 16773120 bytes in one event, got 167"));
    let item = Item::user_text("x".repeat(16 * 1024 * 1024 - 8192));
    assert!(bench.try_app(Command::CreateItem { item: item.into(), after: None, respond: false }).is_ok());
}

#[test]
fn the_age_limit_is_announced_ahead() {
    let mut bench = Bench::new();
    // Whatever the server's clock says, no session lives for more than an hour.
    bench.server(json!({"type": "session.created", "session": {"expires_at": 1_000_000}}));
    bench.server(json!({"type": "session.updated", "session": {}}));
    assert!(bench.later(54 * 60_000).is_empty());
    assert_eq!(bench.later(60_000), ["expiring"]);
    assert!(bench.later(600_000).is_empty());
}

#[test]
fn an_answer_that_never_comes_asks_for_rotation_only_where_it_used_to_come() {
    let mut bench = Bench::ready();
    let rotate = |bench: &mut Bench, ms| {
        bench.now += ms;
        bench.session.handle_timeout(bench.at());
        core::iter::from_fn(|| bench.session.poll_output())
            .find_map(|output| match output {
                Output::Event(Event::Overdue { rotate, .. }) => Some(rotate),
                _ => None,
            })
            .unwrap()
    };
    let item = || Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: false };
    bench.app(item());
    assert!(!rotate(&mut bench, 10_000), "this server may never send it");
    bench.app(item());
    let id = format!("item_0_{}", bench.session.sent);
    bench.server(json!({"type": "conversation.item.added", "item": {"type": "message", "id": id}}));
    bench.app(item());
    assert!(rotate(&mut bench, 10_000), "it did before");
}

#[test]
fn an_item_of_an_unknown_type_has_its_place_and_can_be_retrieved() {
    let mut bench = Bench::ready();
    let item = json!({"type": "brand_new", "id": "n1"});
    assert_eq!(bench.server(json!({"type": "conversation.item.added", "item": item})), ["item_placed"]);
    bench.app(Command::RetrieveItem { item_id: "n1".into() });
    assert_eq!(bench.server(json!({"type": "conversation.item.retrieved", "item": item})), ["1 retrieved"]);
}

#[test]
fn reports_of_playback_are_taken_until_the_connection_is_closed() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(speech_started());
    assert_eq!(bench.app(Command::Close {}), ["> close"]);
    assert!(bench.stopped(Some(position("i1", 100))).is_empty());
    bench.lose();
    assert!(bench.app(played("i1", 200)).is_empty(), "nobody needs it, and it is no fault");
    let late = bench.session.handle_media(bench.at(), append(20)).unwrap_err();
    assert_eq!(late.reason, MediaRefusal::Ended);
}

#[test]
fn whatever_answer_does_not_come_is_named_at_its_deadline() {
    let item = || Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: false };
    let delete = || Command::DeleteItem { item_id: "x".into() };
    let retrieve = || Command::RetrieveItem { item_id: "x".into() };
    let update = || Command::UpdateConfig { config: SessionConfig::default().instructions("x").into() };
    let cancel = || Command::CancelResponse { response_id: None };
    let commit = || Command::CommitAudio { respond: false };
    let mutes = [
        (Answer::Committed, commit(), 10_000),
        (Answer::Cleared, Command::ClearAudio {}, 10_000),
        (Answer::ResponseCreated, create(), 10_000),
        (Answer::SessionUpdated, update(), 10_000),
        (Answer::ItemAdded, item(), 10_000),
        (Answer::ItemDeleted, delete(), 10_000),
        (Answer::ItemRetrieved, retrieve(), 10_000),
        (Answer::ResponseDone, cancel(), 10_000),
    ];
    let overdue = |bench: &Bench| {
        let named = bench.told().filter_map(|event| match event {
            Event::Overdue { answer, rotate } => Some((*answer, *rotate)),
            _ => None,
        });
        named.collect::<Vec<_>>()
    };
    for (answer, command, after) in mutes {
        let mut bench = Bench::ready_with(manual());
        if answer == Answer::ResponseDone {
            bench.server(created("r1"));
            bench.server(audio_delta("r1", "i1", 20)); // it is not silent
        }
        bench.app(append(200));
        bench.app(command);
        bench.later(after - 1);
        assert_eq!(overdue(&bench), [], "{answer:?}");
        bench.later(1);
        assert_eq!(overdue(&bench), [(answer, false)], "{answer:?}");
    }
    // What follows what the server does by itself.
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.later(29_999);
    assert_eq!(overdue(&bench), []);
    bench.later(1);
    assert_eq!(overdue(&bench), [(Answer::FirstOutput, false)]);
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(speech_started());
    bench.stopped(Some(position("i1", 100)));
    bench.server(done("r1", "cancelled"));
    bench.later(10_000);
    assert_eq!(overdue(&bench), [(Answer::ItemTruncated, false)]);
}

#[test]
fn nothing_is_told_after_the_end() {
    let mut bench = Bench::ready();
    bench.lose();
    let inputs: [fn(&mut Session, Timestamp); 10] = [
        |session, at| session.handle_connected(at, UnixTime::from_secs(2)),
        |session, at| session.handle_text(at, &created("r1").to_string()),
        |session, at| session.handle_disconnected(at, DisconnectReason::Lost { reason: "again".into() }),
        |session, at| session.handle_timeout(at + Duration::from_secs(600)),
        |session, at| session.handle_shortfall(at, Shortfall::Unsent { bytes: 960 }),
        |session, at| session.handle_shortfall(at, Shortfall::TooSlow),
        |session, at| {
            let unread = Shortfall::Unread { item_id: "i1".into(), content_index: 0, start: 0, lost: 480 };
            session.handle_shortfall(at, unread);
        },
        |session, at| assert!(session.handle_command(at, CommandId(9), create()).is_err()),
        |session, at| assert!(session.handle_media(at, append(20)).is_err()),
        |session, at| assert!(session.handle_media(at, played("i1", 20)).is_ok()),
    ];
    for (index, input) in inputs.into_iter().enumerate() {
        let at = bench.at();
        input(&mut bench.session, at);
        assert!(bench.drain().is_empty(), "input {index}");
        assert_eq!(bench.session.poll_timeout(), None, "input {index}");
    }
}
