//! Puts models into the template. Everything that a log says is in blocks of data, which the page's script
//! writes with `textContent`; the page's policy lets no other script run and nothing load.

use std::io::{self, Write};

use realtime_protocol::audio::Audio;
use sha2::{Digest, Sha256};

use super::escape;
use super::model::Model;

const TEMPLATE: &str = include_str!("page/view.html");
const STYLE: &str = include_str!("page/view.css");
/// The scripts, in the order in which they need each other.
const SCRIPTS: [&str; 10] = [
    include_str!("page/base.js"),
    include_str!("page/data.js"),
    include_str!("page/clock.js"),
    include_str!("page/sound.js"),
    include_str!("page/lanes.js"),
    include_str!("page/words.js"),
    include_str!("page/stage.js"),
    include_str!("page/lists.js"),
    include_str!("page/detail.js"),
    include_str!("page/main.js"),
];

/// Writes the page.
pub(super) fn write(models: &[Model], out: &mut impl Write) -> io::Result<()> {
    let script = format!("\"use strict\";\n(() => {{\n{}\n}})();\n", SCRIPTS.join("\n"));
    let mut pieces = TEMPLATE.split("{{");
    out.write_all(pieces.next().unwrap_or_default().as_bytes())?;
    for piece in pieces {
        let (mark, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        match mark {
            "SCRIPT_HASH" => out.write_all(hash(&script).as_bytes())?,
            "STYLE_HASH" => out.write_all(hash(STYLE).as_bytes())?,
            "STYLE" => out.write_all(STYLE.as_bytes())?,
            "SCRIPT" => out.write_all(script.as_bytes())?,
            _ => models.iter().enumerate().try_for_each(|(number, model)| data(number, model, out))?,
        }
        out.write_all(rest.as_bytes())?;
    }
    Ok(())
}

/// The blocks of one log.
fn data(number: usize, model: &Model, out: &mut impl Write) -> io::Result<()> {
    let mut json = String::new();
    escape::ascii(&serde_json::to_string(model)?, &mut json);
    block("application/json", "model", number, &json, out)?;
    block("text/plain", "pool", number, &model.events.pool, out)?;
    for (name, bytes) in [
        ("columns", &model.events.columns),
        ("input-peaks", &model.input.peaks),
        ("output-peaks", &model.output.peaks),
        ("input-audio", &model.input.audio),
        ("output-audio", &model.output.audio),
    ] {
        let mut text = String::new();
        Audio::from(bytes.clone()).encode_into(&mut text);
        block("text/plain", name, number, &text, out)?;
    }
    Ok(())
}

fn block(kind: &str, name: &str, number: usize, text: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "<script type=\"{kind}\" id=\"{name}-{number}\">{text}</script>")
}

/// What a policy calls a script or a style by.
fn hash(text: &str) -> String {
    let mut name = String::from("sha256-");
    Audio::from(Sha256::digest(text.as_bytes()).to_vec()).encode_into(&mut name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_browsers_compute() {
        assert_eq!(hash("alert(1)"), "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=");
    }

    #[test]
    fn the_template_has_each_mark_once_and_its_parts_end_no_element() {
        for mark in ["{{STYLE_HASH}}", "{{SCRIPT_HASH}}", "{{STYLE}}", "{{DATA}}", "{{SCRIPT}}"] {
            assert_eq!(TEMPLATE.matches(mark).count(), 1, "{mark}");
        }
        for part in SCRIPTS.iter().chain([&STYLE]) {
            assert!(!part.contains("</") && !part.contains("<!--"));
        }
        for forbidden in ["innerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(SCRIPTS.iter().all(|script| !script.contains(forbidden)), "{forbidden}");
        }
        for loads in ["http:", "https:", "src=", "url(", "@import", "fetch(", "XMLHttpRequest"] {
            let all = SCRIPTS.iter().chain([&STYLE, &TEMPLATE]);
            assert!(all.clone().all(|part| !part.contains(loads)), "{loads}");
        }
    }
}
