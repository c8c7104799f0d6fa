//! Loss, delay and silence of the network.

use std::sync::atomic::Ordering;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use super::relay::{address, call_through, moved};
use super::*;

#[tokio::test]
async fn loss_and_overtaking_cost_little_sound_and_no_text() {
    let (mut near, mut far, relay) = call_through(options(), options()).await;
    opened(&mut near).await;
    opened(&mut far).await;
    relay.is_poor.store(true, Ordering::Relaxed);
    near.say(tone(2000));
    for number in 0..20 {
        near.send_text(format!("text {number}"));
    }
    let (mut texts, mut loud, mut samples) = (Vec::new(), 0, 0);
    while loud < 80 || texts.len() < 20 {
        match next(&mut far).await {
            PeerEvent::Text(text) => texts.push(text.to_string()),
            PeerEvent::Audio(heard) => {
                let is_loud = loudness(&heard.0) > 500.0;
                loud += usize::from(is_loud);
                samples += if is_loud { heard.0.len() } else { 0 };
            }
            PeerEvent::Quiet => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(texts, (0..20).map(|number| format!("text {number}")).collect::<Vec<_>>());
    assert_eq!(samples, loud * 480);
}

#[tokio::test]
async fn a_side_that_answers_on_no_address_is_given_up_in_time() {
    let mut hurried = options();
    hurried.route_deadline = Duration::from_millis(700);
    let offer = Offer::new(hurried).unwrap();
    let (answer, _far) = Peer::answer(options(), offer.sdp()).unwrap();
    // Somebody is there, and says nothing.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let answer = moved(&answer, address(&answer), silent.local_addr().unwrap());
    let began = Instant::now();
    let mut near = offer.accept(&answer).unwrap();
    drop(_far);
    assert_eq!(end(&mut near).await, Ended::NoRoute);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_side_that_does_not_agree_on_keys_is_given_up_in_time() {
    let mut hurried = options();
    hurried.channel_deadline = Duration::from_millis(700);
    let offer = Offer::new(hurried).unwrap();
    // It is told of another certificate than the one that this side has.
    let own = offer.sdp().lines().find(|line| line.starts_with("a=fingerprint:")).unwrap();
    let other = format!("a=fingerprint:sha-256 {}", ["AB"; 32].join(":"));
    let (answer, mut far) = Peer::answer(options(), &offer.sdp().replace(own, &other)).unwrap();
    let mut near = offer.accept(&answer).unwrap();
    let ended = end(&mut near).await;
    assert!(matches!(ended, Ended::NoChannel | Ended::Closed | Ended::Lost(_)), "{ended:?}");
    let ended = end(&mut far).await;
    assert!(!matches!(ended, Ended::NoRoute), "{ended:?}");
}

#[tokio::test]
async fn a_network_that_comes_back_soon_is_borne_and_another_is_not() {
    let (mut near, mut far, relay) = call_through(options(), options()).await;
    opened(&mut near).await;
    opened(&mut far).await;
    relay.is_cut.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(4)).await;
    near.send_text("are you there?".to_owned());
    relay.is_cut.store(false, Ordering::Relaxed);
    assert_eq!(text(&mut far).await, "are you there?");
    far.send_text("I am".to_owned());
    assert_eq!(text(&mut near).await, "I am");

    let began = Instant::now();
    relay.is_cut.store(true, Ordering::Relaxed);
    let ended = end(&mut near).await;
    assert!(
        matches!(&ended, Ended::Lost(reason) if reason.contains("nothing has come by UDP for")),
        "{ended:?}"
    );
    let took = began.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(10), "{took:?}");
}
