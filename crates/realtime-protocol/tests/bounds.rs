//! What a text may cost: memory in proportion to its bytes, plus a bound for its elements.

use realtime_protocol::event::{Dialect, ServerEvent};

/// A little less than the most elements that a text may have.
const ELEMENTS: usize = 131_000;

/// Reads a text, and gives the most memory that this took (bytes).
fn cost(text: &str, dialect: Dialect) -> u64 {
    let mut is_malformed = true;
    let allocated = allocation_counter::measure(|| {
        let event = ServerEvent::decode(text, dialect);
        is_malformed = matches!(event, ServerEvent::Malformed(_)) || event.mismatches().len() > 65;
    });
    assert!(!is_malformed, "{dialect:?}");
    allocated.bytes_max
}

#[test]
fn elements_take_no_more_than_400_bytes_each_and_text_eight_times_itself() {
    for (element, count) in [
        ("0,", ELEMENTS),
        (r#"{"a":1},"#, ELEMENTS / 2),
        (r#"{"type":"message"},"#, ELEMENTS / 2),
        (r#"{"type":"message","status":7},"#, ELEMENTS / 3),
        (r#"{"type":"message","content":[0,{"type":"output_text","text":7}]},"#, ELEMENTS / 7),
    ] {
        let output = element.repeat(count);
        let text = format!(r#"{{"type":"response.done","response":{{"id":"r","output":[{output}0]}}}}"#);
        for dialect in [Dialect::Ga, Dialect::Beta] {
            let (cost, most) = (cost(&text, dialect), 8 * text.len() + 400 * ELEMENTS);
            assert!(cost < most as u64, "{element} {dialect:?}: {cost} bytes for {}", text.len());
        }
    }
}

#[test]
fn one_long_string_is_read_whatever_its_length() {
    // The dearer way is taken with less, for its cost is in proportion.
    for (dialect, mebibytes) in [(Dialect::Ga, 60), (Dialect::Beta, 7)] {
        let audio = "A".repeat(mebibytes << 20);
        let content = format!(r#"[{{"type":"input_audio","audio":"{audio}"}}]"#);
        let item = format!(r#"{{"id":"i","type":"message","role":"user","content":{content}}}"#);
        let text = format!(r#"{{"type":"conversation.item.retrieved","item":{item}}}"#);
        let cost = cost(&text, dialect);
        assert!(cost < 8 * text.len() as u64, "{dialect:?}: {cost} bytes for {}", text.len());
    }
}
