//! What comes in place of a description.

use realtime_webrtc::PeerError;

use super::*;

/// As OpenAI's server answers: its addresses are public, one of them by TCP.
const ANSWER: &str = "v=0\r\no=- 3969013125 1760024325 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
    a=fingerprint:sha-256 8B:6F:3E:0D:6D:24:4B:62:0C:8E:55:B9:5C:6E:1A:5B:8B:6F:3E:0D:6D:24:4B:62:0C:8E:55:B9:5C:6E:1A:5B\r\n\
    a=group:BUNDLE {AUDIO} {CHANNEL}\r\na=extmap-allow-mixed\r\na=msid-semantic:WMS *\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=setup:active\r\na=mid:{AUDIO}\r\n\
    a=ice-ufrag:QWERtyui\r\na=ice-pwd:abcdefghijklmnopqrstuvwxyzabcdef\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 transport-cc\r\n\
    a=ssrc:2472058213 cname:realtimeapi\r\na=ssrc:2472058213 msid:realtimeapi audio\r\n\
    a=msid:realtimeapi audio\r\na=sendrecv\r\n\
    a=candidate:1 1 udp 2130706431 192.0.2.10 3478 typ host ufrag QWERtyui\r\n\
    a=candidate:2 1 tcp 1671430143 192.0.2.10 443 typ host tcptype passive ufrag QWERtyui\r\n\
    a=end-of-candidates\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=setup:active\r\n\
    a=mid:{CHANNEL}\r\na=sendrecv\r\na=sctp-port:5000\r\na=max-message-size:1073741823\r\n\
    a=ice-ufrag:QWERtyui\r\na=ice-pwd:abcdefghijklmnopqrstuvwxyzabcdef\r\n";

/// The answer, with the names that the offer gave to its tracks.
fn answer(offer: &str) -> String {
    let mids: Vec<&str> = offer.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect();
    ANSWER.replace("{AUDIO}", mids[0].trim()).replace("{CHANNEL}", mids[1].trim())
}

#[tokio::test]
async fn an_answer_with_public_addresses_and_one_by_tcp_is_taken() {
    let offer = Offer::new(options()).unwrap();
    let answer = answer(offer.sdp());
    let near = offer.accept(&answer).unwrap();
    assert_eq!(near.largest_text(), 1024 * 1024);
}

#[tokio::test]
async fn whatever_comes_in_place_of_a_description_is_refused_or_taken_without_a_panic() {
    let (mut taken, mut refused) = (0, 0);
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |most: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        usize::try_from(chance % most as u64).unwrap()
    };
    for round in 0..600 {
        let offer = Offer::new(options()).unwrap();
        let mut text = if round % 2 == 0 { answer(offer.sdp()) } else { offer.sdp().to_owned() };
        for _ in 0..1 + below(4) {
            let mut lines: Vec<&str> = text.split_inclusive("\r\n").collect();
            if lines.is_empty() {
                break;
            }
            let line = below(lines.len());
            match below(4) {
                0 => drop(lines.remove(line)),
                1 => lines.insert(below(lines.len()), lines[line]),
                2 => lines.truncate(line + 1),
                _ => {
                    let mut bytes = text.clone().into_bytes();
                    let at = below(bytes.len());
                    bytes[at] = u8::try_from(32 + below(95)).unwrap();
                    text = String::from_utf8(bytes).unwrap();
                    continue;
                }
            }
            text = lines.concat();
        }
        let is_taken =
            if round % 2 == 0 { offer.accept(&text).is_ok() } else { Peer::answer(options(), &text).is_ok() };
        *(if is_taken { &mut taken } else { &mut refused }) += 1;
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

#[tokio::test]
async fn what_cannot_be_a_description_is_refused_with_the_reason() {
    for (text, reason) in [
        ("{\"error\":{}}", "cannot use the answer"),
        ("v=0\r\ns=ü\r\n", "expected ASCII"),
        (&"v=0\r\n".repeat(20_000), "expected at most 65536 bytes"),
    ] {
        let error = Offer::new(options()).unwrap().accept(text).unwrap_err();
        assert!(matches!(error, PeerError::BadSdp { what: "answer", .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_this_machine_does_not_have_is_told() {
    let mut elsewhere = options();
    elsewhere.local = Some([192, 0, 2, 1].into());
    let error = Offer::new(elsewhere).unwrap_err();
    assert!(error.to_string().contains("at 192.0.2.1"), "{error}");
}
