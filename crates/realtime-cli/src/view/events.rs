//! The table of a log's lines: columns of numbers, and JSON in two halves. A shape is JSON without its
//! values, and most lines of a log have one of a few dozen shapes; the pool has the values, each on a line of
//! its own.
//!
//! Lines of audio are folded: fifty each second would hide all others.

use std::collections::BTreeMap;

use super::escape;
use super::model::Events;

/// The numbers of a line: its time in two halves, its number in the log, its place in the pool, its kind, and
/// its size.
pub(crate) const COLUMNS: usize = 6;
/// Stands for a value in a shape. JSON that the table writes has no such character.
const HOLE: char = '\t';
/// More bytes of JSON than this are left out.
const MOST_POOL: usize = 48 * 1024 * 1024;
/// More shapes than this are not told apart.
const MOST_SHAPES: usize = 4096;
/// Objects and long arrays are taken apart to this depth.
const DEEPEST: usize = 12;
/// An array that is longer than this is taken apart (bytes).
const LONG: usize = 300;
/// A longer text is cut (bytes): it is audio, or an image.
const LONGEST_TEXT: usize = 16 * 1024;
/// Lines of audio that are further apart than this are not folded (us).
const PAUSE: i64 = 1_000_000;
/// The longest time that one line stands for (us).
const LONGEST_FOLD: i64 = 10_000_000;

/// Lines of which many stand in a row.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Flow {
    Append,
    Sent,
    Delta,
    Audio,
    Report,
}

/// Collects lines.
#[derive(Debug, Default)]
pub(super) struct Table {
    events: Events,
    kinds: BTreeMap<(String, String), u32>,
    shapes: BTreeMap<String, u32>,
    /// The fold that is open: its event, and when it began.
    folds: BTreeMap<Flow, (usize, i64)>,
    /// Lines whose JSON is left out.
    left_out: usize,
}

/// A line to be added.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) at: i64,
    pub(super) line: usize,
    pub(super) from: &'a str,
    pub(super) name: &'a str,
    pub(super) class: &'static str,
    pub(super) json: &'a str,
    /// The line's length in the log (bytes).
    pub(super) size: usize,
}

impl Table {
    /// Adds a line and returns its number.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> usize {
        let kind = self.kind(entry);
        let offset = self.events.pool.len();
        self.push_json(entry.json);
        let at = entry.at.max(0);
        let row: [u32; COLUMNS] =
            [at as u32, (at >> 32) as u32, entry.line as u32, offset as u32, kind, entry.size as u32];
        self.events.columns.extend(row.iter().flat_map(|number| number.to_le_bytes()));
        self.events.count += 1;
        self.events.count - 1
    }

    /// Adds a line of audio, unless it continues one that stands there. `json` is only made if it does not.
    pub(super) fn flow(
        &mut self,
        flow: Flow,
        entry: &Entry<'_>,
        bytes: u64,
        json: impl FnOnce() -> String,
    ) -> usize {
        if let Some((event, began)) = self.folds.get(&flow)
            && let Some((count, last, size)) = self.events.folds.get_mut(event)
            && entry.at - *last <= PAUSE
            && entry.at - began <= LONGEST_FOLD
        {
            *count += 1;
            *last = entry.at;
            *size += bytes;
            return *event;
        }
        let json = json();
        let event = self.add(&Entry { json: &json, ..*entry });
        self.folds.insert(flow, (event, entry.at));
        self.events.folds.insert(event, (1, entry.at, bytes));
        event
    }

    /// The table, and how many lines have no JSON.
    pub(super) fn finish(mut self) -> (Events, usize) {
        self.events.folds.retain(|_, (count, ..)| *count > 1);
        (self.events, self.left_out)
    }

    fn kind(&mut self, entry: &Entry<'_>) -> u32 {
        let key = (entry.from.to_owned(), entry.name.to_owned());
        if let Some(kind) = self.kinds.get(&key) {
            return *kind;
        }
        let kind = self.events.kinds.len() as u32;
        self.events.kinds.push((key.0.clone(), key.1.clone(), entry.class.to_owned()));
        self.kinds.insert(key, kind);
        kind
    }

    fn push_json(&mut self, json: &str) {
        if self.events.pool.len() > MOST_POOL {
            self.left_out += 1;
            self.events.pool.push('\n');
            return;
        }
        let mut parts = Parts { json, at: 0, shape: String::new(), values: Vec::new() };
        if parts.value(0).is_none() {
            parts = Parts { json, at: 0, shape: HOLE.into(), values: vec![json] };
        }
        let full = self.shapes.len() >= MOST_SHAPES;
        let shape = match self.shapes.get(&parts.shape) {
            Some(shape) => *shape,
            None if full => {
                parts = Parts { json, at: 0, shape: HOLE.into(), values: vec![json] };
                self.shape(&parts.shape)
            }
            None => self.shape(&parts.shape),
        };
        self.events.pool.push_str(&shape.to_string());
        self.events.pool.push('\n');
        for value in parts.values {
            match shortened(value) {
                Some(short) => escape::ascii(&short, &mut self.events.pool),
                None => escape::ascii(value, &mut self.events.pool),
            }
            self.events.pool.push('\n');
        }
    }

    fn shape(&mut self, shape: &str) -> u32 {
        if let Some(number) = self.shapes.get(shape) {
            return *number;
        }
        let number = self.events.shapes.len() as u32;
        self.events.shapes.push(shape.to_owned());
        self.shapes.insert(shape.to_owned(), number);
        number
    }
}

/// A text that is too long, as a shorter one that says so.
fn shortened(value: &str) -> Option<String> {
    if value.len() <= LONGEST_TEXT || !value.starts_with('"') {
        return None;
    }
    let text: String = serde_json::from_str(value).ok()?;
    let start: String = text.chars().take(60).collect();
    serde_json::to_string(&format!("{start}… ({} bytes, not in this page)", text.len())).ok()
}

/// Takes JSON apart into its shape and its values. It reads what is known to be JSON, and gives up on
/// anything else.
struct Parts<'a> {
    json: &'a str,
    at: usize,
    shape: String,
    values: Vec<&'a str>,
}

impl Parts<'_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        self.space();
        let start = self.at;
        let open = *self.json.as_bytes().get(start)?;
        let end = self.end()?;
        let apart = match open {
            b'{' => depth < DEEPEST,
            b'[' => depth < DEEPEST && end - start > LONG,
            _ => false,
        };
        if !apart {
            self.at = end;
            self.shape.push(HOLE);
            self.values.push(&self.json[start..end]);
            return Some(());
        }
        let close = if open == b'{' { b'}' } else { b']' };
        self.at += 1;
        self.shape.push(char::from(open));
        loop {
            self.space();
            match *self.json.as_bytes().get(self.at)? {
                byte if byte == close => {
                    self.at += 1;
                    self.shape.push(char::from(close));
                    return Some(());
                }
                b',' => {
                    self.at += 1;
                    self.shape.push(',');
                }
                _ if open == b'[' => self.value(depth + 1)?,
                b'"' => {
                    let name = self.at;
                    self.at = self.end()?;
                    self.shape.push_str(&self.json[name..self.at]);
                    self.space();
                    if self.json.as_bytes().get(self.at) != Some(&b':') {
                        return None;
                    }
                    self.at += 1;
                    self.shape.push(':');
                    self.value(depth + 1)?;
                }
                _ => return None,
            }
        }
    }

    fn space(&mut self) {
        let rest = &self.json.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    /// The end of the value that begins here.
    fn end(&self) -> Option<usize> {
        let bytes = self.json.as_bytes();
        let (mut depth, mut quoted, mut at) = (0_usize, false, self.at);
        loop {
            let byte = *bytes.get(at)?;
            at += 1;
            match byte {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            let ends = matches!(bytes.get(at), None | Some(b',' | b'}' | b']' | b':'))
                || bytes.get(at).is_some_and(u8::is_ascii_whitespace);
            if !quoted && depth == 0 && ends {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The JSON of an event as the page puts it together.
    fn joined(events: &Events, event: usize) -> String {
        let rows: Vec<u32> =
            events.columns.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let mut lines = events.pool[rows[event * COLUMNS + 3] as usize..].lines();
        let shape: usize = lines.next().unwrap().parse().unwrap();
        let pieces: Vec<&str> = events.shapes[shape].split(HOLE).collect();
        let mut json = pieces[0].to_owned();
        for piece in &pieces[1..] {
            json.push_str(lines.next().unwrap());
            json.push_str(piece);
        }
        json
    }

    fn entry(at: i64, json: &str) -> Entry<'_> {
        Entry { at, line: at as usize, from: "server", name: "x", class: "talk", json, size: json.len() }
    }

    #[test]
    fn json_is_taken_apart_and_comes_back_as_it_was() {
        let mut table = Table::default();
        let lines = [
            r#"{"at_us":1,"event":{"type":"a","n":-1.5e3,"text":"says \"{[,:]}\" \\"}}"#,
            r#"{"at_us":2,"event":{"type":"b","n":null,"text":""}}"#,
            r#"{"a":[],"b":{},"c":[1,{"d":[true]}],"e":"<\/script>"}"#,
            r#""alone""#,
            "[1,2]",
        ];
        for (number, line) in lines.iter().enumerate() {
            table.add(&entry(number as i64, line));
        }
        let long = format!(r#"{{"content":[{{"text":"{}"}},{{"text":"b"}}]}}"#, "a".repeat(400));
        table.add(&entry(9, &long));
        let (events, left_out) = table.finish();
        for (number, line) in lines.iter().chain([&long.as_str()]).enumerate() {
            assert_eq!(
                joined(&events, number),
                line.replace('<', "\\u003c").replace('>', "\\u003e"),
                "{:?}",
                events.shapes
            );
        }
        assert_eq!((events.count, events.shapes.len(), left_out), (6, 4, 0));
        assert_eq!(events.shapes[3], "{\"content\":[{\"text\":\t},{\"text\":\t}]}");
    }

    #[test]
    fn white_space_goes_and_what_is_no_json_stays_whole() {
        let mut table = Table::default();
        for json in ["{ \"a\" : 1 ,\n \"b\":[ 2 ] }", "{\"a\":", "}{", ""] {
            table.add(&entry(0, json));
        }
        let (events, _) = table.finish();
        let found: Vec<String> = (0..4).map(|event| joined(&events, event)).collect();
        assert_eq!(found, ["{\"a\":1,\"b\":[ 2 ]}", "{\"a\":", "}{", ""]);
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let mut table = Table::default();
        table.add(&entry(0, &format!("{{\"image\":\"{}\"}}", "A".repeat(20_000))));
        let (events, _) = table.finish();
        assert!(events.pool.len() < 200 && events.pool.contains("(20000 bytes, not in this page)"));
    }

    #[test]
    fn lines_of_audio_are_folded_until_there_is_a_pause() {
        let mut table = Table::default();
        for at in [0, 20_000, 40_000, 3_000_000, 3_020_000] {
            table.flow(Flow::Append, &entry(at, ""), 160, || "{\"audio\":1}".into());
        }
        table.add(&entry(3_030_000, "{}"));
        let (events, _) = table.finish();
        assert_eq!(events.count, 3);
        let folds: Vec<_> = events.folds.into_iter().collect();
        assert_eq!(folds, [(0, (3, 40_000, 480)), (1, (2, 3_020_000, 320))]);
    }
}
