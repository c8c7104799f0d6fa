//! Texts and speech, both ways.

use std::future::poll_fn;

use realtime_webrtc::Rate;

use super::*;

#[tokio::test]
async fn texts_of_any_size_arrive_in_order() {
    let (near, mut far) = open().await;
    let large = "x".repeat(near.largest_text().min(250_000));
    near.send_text("first".to_owned());
    near.send_text(large.clone());
    near.send_text("last".to_owned());
    assert_eq!(text(&mut far).await, "first");
    assert_eq!(text(&mut far).await.len(), large.len());
    assert_eq!(text(&mut far).await, "last");
    poll_fn(|cx| near.poll_room(cx, 0, 0)).await;
    assert_eq!((near.waiting_text(), near.waiting_audio()), (0, 0));
}

#[tokio::test]
async fn speech_is_heard_as_it_was_said() {
    let (mut near, mut far) = open().await;
    assert!(near.say(tone(1000)));
    assert!(far.say(tone(1000)));
    for peer in [&mut near, &mut far] {
        let heard = heard(peer, 40).await;
        let middle = &heard[2400..heard.len() - 2400];
        assert!((430.0..450.0).contains(&pitch(middle)), "{}", pitch(middle));
        assert!((4500.0..6500.0).contains(&loudness(middle)), "{}", loudness(middle));
    }
}

#[tokio::test]
async fn speech_ends_in_silence_and_silence_is_filled_where_that_is_wanted() {
    let mut filling = options();
    filling.fills_silence = true;
    let (mut near, mut far) = call(options(), filling);
    opened(&mut near).await;
    opened(&mut far).await;
    near.say(tone(200));
    let mut frames = 0;
    let mut loud = 0;
    while frames < 60 {
        if let PeerEvent::Audio(heard) = next(&mut far).await {
            frames += 1;
            loud += usize::from(loudness(&heard.0) > 500.0);
        }
    }
    assert!((9..=13).contains(&loud), "{loud} frames are loud");
}

#[tokio::test]
async fn what_is_hushed_is_not_said() {
    let (near, mut far) = open().await;
    assert!(near.say(tone(5000)));
    heard(&mut far, 10).await;
    near.hush();
    near.send_text("hushed".to_owned());
    assert_eq!(text(&mut far).await, "hushed");
    // Some of it is on its way. Silence follows it, so that frames go on coming.
    let mut silent = 0;
    for _ in 0..100 {
        if let PeerEvent::Audio(heard) = next(&mut far).await {
            silent = if loudness(&heard.0) > 500.0 { 0 } else { silent + 1 };
        }
    }
    assert!(silent >= 50, "of 5 s, hardly anything was said: {silent}");
    assert_eq!(near.waiting_audio(), 0);
}

#[tokio::test]
async fn too_much_speech_is_refused() {
    let (near, _far) = open().await;
    assert!(near.say(vec![0; 24_000 * 10]));
    assert!(!near.say(vec![0; 24_000]));
}

#[tokio::test]
async fn a_side_may_speak_and_hear_in_another_rate() {
    let (near, mut far) = open().await;
    let narrow = Rate::new(8000).unwrap();
    near.set_rate(narrow, Rate::HZ_24000);
    near.say(tone(1000).into_iter().step_by(3).collect());
    let heard = heard(&mut far, 30).await;
    let middle = &heard[2400..heard.len() - 2400];
    assert!((430.0..450.0).contains(&pitch(middle)), "{}", pitch(middle));
}

#[tokio::test]
async fn an_end_is_told_to_both_sides() {
    let (mut near, mut far) = open().await;
    near.close();
    assert_eq!((end(&mut near).await, end(&mut far).await), (Ended::Closed, Ended::Closed));
    let (near, mut far) = open().await;
    drop(near);
    assert_eq!(end(&mut far).await, Ended::Closed);
}
