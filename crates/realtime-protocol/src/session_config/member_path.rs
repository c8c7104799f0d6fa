//! The place of a member in a configuration: [`MemberPath`], and [`Named`], the place as a server's error
//! spells it.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::ApiError;

/// The place of a member: the names and indices that lead to it from the configuration's root.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct MemberPath(Vec<Segment>);

/// One step of a [`MemberPath`].
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Segment {
    /// An element of a list, counted from 0.
    Index(usize),
    /// A member of an object.
    Member(String),
}

impl MemberPath {
    pub(crate) fn member(&mut self, name: &str) {
        self.0.push(Segment::Member(name.to_owned()));
    }

    pub(crate) fn index(&mut self, index: usize) {
        self.0.push(Segment::Index(index));
    }

    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// Returns whether a pattern matches this place: names joined by dots, where `[]` is any element, `*` any
    /// member, and `**` everything below.
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        let mut segments = self.0.iter();
        for step in pattern.split('.') {
            let is_met = match (step, segments.next()) {
                ("**", segment) => return segment.is_some(),
                ("[]", Some(Segment::Index(_))) | ("*", Some(Segment::Member(_))) => true,
                (step, Some(Segment::Member(name))) => step == name,
                _ => false,
            };
            if !is_met {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// Translates this place in shortened lists into the place in the original lists. `taken`: the original
    /// places of everything that was taken out.
    pub(crate) fn before(&self, taken: &[Self]) -> Self {
        let mut place = Self::default();
        for segment in &self.0 {
            match segment {
                Segment::Member(name) => place.member(name),
                Segment::Index(index) => {
                    let in_this_list = taken.iter().filter_map(|taken| match taken.0.split_last()? {
                        (Segment::Index(index), list) if list == place.0 => Some(*index),
                        _ => None,
                    });
                    let mut gone: Vec<usize> = in_this_list.collect();
                    gone.sort_unstable();
                    let index = gone.iter().fold(*index, |index, gone| index + usize::from(*gone <= index));
                    place.index(index);
                }
            }
        }
        place
    }
}

impl fmt::Display for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Member(name) if name.contains(ends_a_name) => write!(f, "[\"{name}\"]")?,
                Segment::Member(name) if step == 0 => f.write_str(name)?,
                Segment::Member(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// A member as an error's `param` names it. Servers spell it in many ways: `session.tools[2].meta`,
/// `tools.2.meta`, `/session/tools/2`, in quotes, or with more text after it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Named<'a> {
    /// Names and indices, as text: whether a number is an index depends on the value around it.
    steps: Vec<&'a str>,
    /// Whether the name says that it is a member of the session.
    is_of_session: bool,
}

impl<'a> Named<'a> {
    /// Reads a `param`. `None`: the text names nothing.
    pub(crate) fn read(param: &'a str) -> Option<Self> {
        let text = param.trim_start().trim_start_matches(is_quote).trim_start();
        let mut steps = steps(text);
        if steps.first() == Some(&"$") {
            steps.remove(0);
        }
        let is_of_session = steps.first() == Some(&"session");
        if is_of_session {
            steps.remove(0);
        }
        (!steps.is_empty()).then_some(Self { steps, is_of_session })
    }

    /// What an error names: by its `param`, or, where it has none, by a quoted member of the session in its
    /// text.
    pub(crate) fn of(error: &'a ApiError) -> Option<Self> {
        let in_text = || {
            let quoted = error.message_str().split(is_quote).skip(1);
            quoted.filter_map(Self::read).find(Self::is_of_session)
        };
        error.param.value().and_then(|param| Self::read(param)).or_else(in_text)
    }

    pub(crate) fn steps(&self) -> &[&'a str] {
        &self.steps
    }

    /// The path as this crate writes it, where numbers are indices.
    pub(crate) fn path(&self) -> MemberPath {
        let segment = |step: &&str| match step.parse() {
            Ok(index) => Segment::Index(index),
            Err(_) => Segment::Member((*step).to_owned()),
        };
        MemberPath(self.steps.iter().map(segment).collect())
    }

    pub(crate) const fn is_of_session(&self) -> bool {
        self.is_of_session
    }
}

fn steps(text: &str) -> Vec<&str> {
    let is_pointer = text.starts_with('/');
    let ends = |c: char| if is_pointer { c == '/' || c.is_whitespace() } else { ends_a_name(c) };
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('[').filter(|_| !is_pointer) {
            let (step, after) = bracketed(inner);
            steps.extend(Some(step).filter(|step| !step.is_empty()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix(if is_pointer { '/' } else { '.' }) {
            rest = after;
        } else {
            let (step, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
            if step.is_empty() {
                return steps; // the end, or text that is no name any more
            }
            steps.push(step);
            rest = after;
        }
    }
}

/// The text between brackets, with or without quotes, and what follows.
fn bracketed(inner: &str) -> (&str, &str) {
    let name = inner.trim_start_matches(is_quote);
    if name.len() < inner.len()
        && let Some((end, _)) = name.match_indices(']').find(|(end, _)| name[..*end].ends_with(is_quote))
    {
        return (name[..end].trim_end_matches(is_quote), &name[end + 1..]);
    }
    let (step, after) = inner.split_once(']').unwrap_or((inner, ""));
    (step.trim(), after)
}

const fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`')
}

fn ends_a_name(c: char) -> bool {
    is_quote(c) || c.is_whitespace() || matches!(c, '.' | '[' | ']' | ',' | ';' | ':' | '(' | ')' | '=')
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::field::Field;

    fn read(param: &str) -> Option<(Vec<&str>, bool)> {
        Named::read(param).map(|named| (named.steps, named.is_of_session))
    }

    #[test]
    fn every_spelling_of_a_member_is_read() {
        for (param, steps, is_of_session) in [
            ("session.tools[2].meta", &["tools", "2", "meta"][..], true),
            ("tools[2].meta", &["tools", "2", "meta"], false),
            ("tools.2.meta", &["tools", "2", "meta"], false),
            ("session.tools.2", &["tools", "2"], true),
            ("'session.tools[2].meta'", &["tools", "2", "meta"], true),
            ("`session.voice` is not supported", &["voice"], true),
            (" session.reasoning: unknown", &["reasoning"], true),
            ("\"session\".\"voice\"", &[], true),
            ("session['tools'][2][\"a.b\"]", &["tools", "2", "a.b"], true),
            ("$.session.tools[0]", &["tools", "0"], true),
            ("/session/tools/2/meta", &["tools", "2", "meta"], true),
            ("session..tools[ 2 ].", &["tools", "2"], true),
            ("session.tools[2", &["tools", "2"], true),
        ] {
            let expected = (!steps.is_empty()).then(|| (steps.to_vec(), is_of_session));
            assert_eq!(read(param), expected, "{param}");
        }
        for nothing in ["", " ", "session", "'session'", ".", "$", "[", "]", "''", ": voice", "/"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_error_without_a_param_may_name_the_member_in_its_text() {
        let of = |param: Option<&str>, message: &str| {
            let error = ApiError::default().message(message);
            let error = ApiError { param: param.map_or(Field::Null, Field::from), ..error };
            Named::of(&error).map(|named| named.path().to_string())
        };
        let text = "Unknown parameter: 'session.tools[0].meta'.";
        assert_eq!(of(None, text).as_deref(), Some("tools[0].meta"));
        assert_eq!(of(Some(""), text).as_deref(), Some("tools[0].meta"));
        assert_eq!(of(Some("session.voice"), text).as_deref(), Some("voice"));
        assert_eq!(of(None, "`voice` and \"session.speed\" are not known").as_deref(), Some("speed"));
        for none in ["", "no such member", "session.voice is not known", "'voice'", "'session'", "'"] {
            assert_eq!(of(None, none), None, "{none}");
        }
    }

    #[test]
    fn a_place_is_written_as_it_is_read() {
        let mut place = MemberPath::default();
        place.member("tools");
        place.index(2);
        place.member("a.b");
        place.member("meta");
        let text = place.to_string();
        assert_eq!(text, "tools[2][\"a.b\"].meta");
        assert_eq!(read(&text), Some((alloc::vec!["tools", "2", "a.b", "meta"], false)));
    }

    fn tool(index: usize) -> MemberPath {
        MemberPath(alloc::vec![Segment::Member("tools".into()), Segment::Index(index)])
    }

    #[test]
    fn an_element_keeps_the_number_that_it_was_given() {
        let mut taken = Vec::new();
        // Always the first that is left: they were the first, the second and the third.
        for number in 0..3 {
            let place = tool(0).before(&taken);
            assert_eq!(place, tool(number));
            taken.push(place);
        }
        assert_eq!(tool(1).before(&[tool(3), tool(0)]), tool(2));
        assert_eq!(tool(2).before(&[tool(3), tool(0)]), tool(4));
    }

    #[test]
    fn patterns_tell_elements_members_and_all_that_is_within() {
        let mut place = tool(7);
        place.member("parameters");
        assert!(place.matches("tools.[].parameters"));
        assert!(place.matches("tools.[].*"));
        assert!(!place.matches("tools.*.parameters"));
        assert!(!place.matches("tools.[].parameters.**"));
        place.member("type");
        assert!(place.matches("tools.[].parameters.**"));
        assert!(!place.matches("tools.[].parameters"));
    }
}
