//! Forms with several parts, as WebRTC clients send their offer and their session.

use crate::http::Request;

/// The value of a part of a `multipart/form-data` body.
pub(super) fn part<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let kind = request.header("content-type")?;
    let (_, boundary) = kind.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let separator = format!("--{boundary}");
    for part in request.text().split(separator.as_str()).skip(1) {
        let (head, value) = part.split_once("\r\n\r\n")?;
        let disposition =
            head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition"));
        let named = [format!("name=\"{name}\""), format!("name={name}")];
        if disposition.is_some_and(|line| line.split(';').any(|part| named.iter().any(|n| part.trim() == n)))
        {
            return Some(value.strip_suffix("\r\n").unwrap_or(value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_name() {
        let mut request =
            Request::test("POST", "/", &[("Content-Type", "multipart/form-data; boundary=xyz")]);
        request.body = b"--xyz\r\nContent-Disposition: form-data; name=\"sdp\"\r\n\r\nv=0\r\no=x\r\n\r\n\
            --xyz\r\ncontent-disposition: form-data; name=\"session\"; filename=\"s\"\r\n\
            Content-Type: application/json\r\n\r\n{}\r\n--xyz--\r\n"
            .to_vec();
        assert_eq!(part(&request, "sdp"), Some("v=0\r\no=x\r\n"));
        assert_eq!(part(&request, "session"), Some("{}"));
        assert_eq!(part(&request, "other"), None);
    }
}
