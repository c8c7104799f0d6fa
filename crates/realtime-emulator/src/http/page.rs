//! The page of the port, put together from its parts. It holds nothing of a session, and asks for the rest.

use crate::http::Answer;

/// The page. It may talk to this server only.
pub(super) fn answer() -> Answer {
    let parts = [
        include_str!("page/head.html"),
        "<style>\n",
        include_str!("page/style.css"),
        "</style>\n",
        include_str!("page/body.html"),
        // Its text becomes a module of the sound thread.
        "<script type=\"text/worklet\" id=\"worklet\">\n",
        include_str!("page/worklet.js"),
        "</script>\n<script type=\"module\">\n",
        include_str!("page/shown.js"),
        include_str!("page/sessions.js"),
        include_str!("page/talk.js"),
        "</script>\n</html>\n",
    ];
    Answer::text(200, "text/html; charset=utf-8", parts.concat())
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-store")
}

/// The sound thread's module comes from a blob. Older browsers do not count WebSockets as `'self'`.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; \
    connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use crate::http::{Request, answer as answer_to};
    use crate::options::Options;

    #[test]
    fn the_page_is_for_everyone_and_needs_nothing_else() {
        let options = Options::default().api_key("sk-1");
        let shown = answer_to(&Request::test("GET", "/", &[]), &options);
        assert_eq!(shown.status, 200);
        let page = shown.body();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        for outside in ["http://", "https://", "src=", "@import", "url(", "import(", " from \"", "innerHTML"]
        {
            assert!(!page.contains(outside), "{outside}");
        }
        // Each part of the page that a script looks for is there.
        for id in page.split("byId(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert_eq!(answer_to(&Request::test("POST", "/", &[]), &options).status, 405);
        let head = String::from_utf8(shown.bytes(None)).unwrap();
        assert!(head.contains("Content-Security-Policy: default-src 'none'; script-src"), "{head}");
        assert!(head.len() < 64 << 10, "{} bytes", head.len());
    }

    #[test]
    fn the_scripts_are_cut_by_no_end_tag() {
        for script in [
            include_str!("page/worklet.js"),
            include_str!("page/shown.js"),
            include_str!("page/sessions.js"),
            include_str!("page/talk.js"),
        ] {
            assert!(!script.contains("</script") && !script.contains("<!--"));
        }
    }
}
