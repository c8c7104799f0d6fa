//! The answer to a WebRTC offer: it looks right, but nothing listens there.

/// An answer that accepts every offered medium and carries none. `None`: it is not an offer.
pub(super) fn answer(offer: &str) -> Option<String> {
    if !offer.starts_with("v=0") {
        return None;
    }
    let mut text = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n");
    let (mut mids, mut media) = (Vec::new(), String::new());
    for section in offer.split("\nm=").skip(1) {
        let mut lines = section.lines().map(str::trim_end);
        let mut medium = lines.next()?.split(' ');
        let (kind, _port) = (medium.next()?, medium.next()?);
        let rest: Vec<_> = medium.collect();
        media.push_str(&format!("m={kind} 9 {}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n", rest.join(" ")));
        for line in lines {
            if let Some(mid) = line.strip_prefix("a=mid:") {
                mids.push(mid);
            }
            if ["a=mid:", "a=rtpmap:", "a=sctp-port:"].iter().any(|kept| line.starts_with(kept)) {
                media.push_str(line);
                media.push_str("\r\n");
            }
        }
        media.push_str("a=ice-ufrag:emul\r\na=ice-pwd:emulatoremulatoremulator\r\na=setup:passive\r\n");
        media.push_str(&format!("a=fingerprint:sha-256 {}\r\n", ["00"; 32].join(":")));
        media.push_str("a=rtcp-mux\r\n");
    }
    if !mids.is_empty() {
        text.push_str(&format!("a=group:BUNDLE {}\r\n", mids.join(" ")));
    }
    text.push_str(&media);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_medium_of_the_offer_is_answered() {
        let offer = "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
            a=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=sendrecv\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\na=sctp-port:5000\r\n";
        let answer = answer(offer).unwrap();
        assert_eq!(answer.matches("\r\nm=").count(), 2);
        assert!(
            answer.contains("a=group:BUNDLE 0 1\r\n")
                && answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n")
        );
        assert!(super::answer("{}").is_none());
    }
}
