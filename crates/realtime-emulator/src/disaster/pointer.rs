//! Places in an event's JSON: a pointer as in RFC 6901, with `*` for each member or element and `**` for any
//! depth.

use serde_json::Value;

/// Places in JSON, such as `/session/tools/*/meta` or `/**`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pointer(Vec<Segment>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    Name(String),
    /// Each member or element.
    Any,
    /// Any number of levels, none too.
    Deep,
}

impl Pointer {
    /// Reads a pointer to something within a value. `**` is allowed once, so that the cost stays linear.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("expected a JSON pointer such as `/item/arguments`, got `{text}`"));
        };
        let mut segments: Vec<_> = rest
            .split('/')
            .map(|segment| match segment {
                "*" => Segment::Any,
                "**" => Segment::Deep,
                name => Segment::Name(name.replace("~1", "/").replace("~0", "~")),
            })
            .collect();
        if segments.iter().filter(|segment| **segment == Segment::Deep).count() > 1 {
            return Err(format!("expected `**` once at most, got `{text}`"));
        }
        if segments.last() == Some(&Segment::Deep) {
            segments.push(Segment::Any);
        }
        Ok(Self(segments))
    }

    /// Calls `act` for each of its places, with the object or array, and the member's name or the element's
    /// index. The places need not exist.
    pub(super) fn for_each(&self, value: &mut Value, mut act: impl FnMut(&mut Value, &str)) {
        visit(value, &self.0, &mut act);
    }

    /// The first of its places that exists, with its path as errors write it: `session.tools[2].meta`.
    pub(super) fn find<'a>(&self, value: &'a Value) -> Option<(String, &'a Value)> {
        find(value, &self.0, "")
    }
}

fn visit(value: &mut Value, path: &[Segment], act: &mut dyn FnMut(&mut Value, &str)) {
    let [first, rest @ ..] = path else { return };
    match first {
        Segment::Deep => {
            for key in keys(value) {
                if let Some(child) = member_mut(value, &key) {
                    visit(child, path, act);
                }
            }
            visit(value, rest, act);
        }
        // From the last one, so that removing one does not move those still to come.
        Segment::Any if rest.is_empty() => keys(value).iter().rev().for_each(|key| act(value, key)),
        Segment::Name(key) if rest.is_empty() => act(value, key),
        Segment::Any => {
            for key in keys(value) {
                if let Some(child) = member_mut(value, &key) {
                    visit(child, rest, act);
                }
            }
        }
        Segment::Name(key) => {
            if let Some(child) = member_mut(value, key) {
                visit(child, rest, act);
            }
        }
    }
}

fn find<'a>(value: &'a Value, path: &[Segment], at: &str) -> Option<(String, &'a Value)> {
    let [first, rest @ ..] = path else { return Some((at.into(), value)) };
    match first {
        Segment::Name(key) => find(member(value, key)?, rest, &step(at, value, key)),
        Segment::Any => {
            keys(value).iter().find_map(|key| find(member(value, key)?, rest, &step(at, value, key)))
        }
        Segment::Deep => find(value, rest, at).or_else(|| {
            keys(value).iter().find_map(|key| find(member(value, key)?, path, &step(at, value, key)))
        }),
    }
}

fn step(at: &str, parent: &Value, key: &str) -> String {
    match (parent, at) {
        (Value::Array(_), _) => format!("{at}[{key}]"),
        (_, "") => key.into(),
        _ => format!("{at}.{key}"),
    }
}

fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(elements) => (0..elements.len()).map(|index| index.to_string()).collect(),
        _ => Vec::new(),
    }
}

fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(key),
        Value::Array(elements) => elements.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A member by its name, or an element by its index.
pub(super) fn member_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(members) => members.get_mut(key),
        Value::Array(elements) => elements.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_finds_places_by_name_by_star_and_at_any_depth() {
        let value = json!({"session": {"tools": [{"a": 1}, {"a": 2, "meta": {}}], "x/y": 3}});
        let find = |text: &str| {
            let found = Pointer::parse(text).unwrap().find(&value).map(|(path, value)| (path, value.clone()));
            found.map_or_else(String::new, |(path, value)| format!("{path} {value}"))
        };
        assert_eq!(find("/session/tools/*/meta"), "session.tools[1].meta {}");
        assert_eq!(find("/session/tools/1/a"), "session.tools[1].a 2");
        assert_eq!(find("/session/x~1y"), "session.x/y 3");
        assert_eq!(find("/**/meta"), "session.tools[1].meta {}");
        assert_eq!(find("/session/tools/7/a") + &find("/none"), "");
        let mut changed = value.clone();
        Pointer::parse("/**").unwrap().for_each(&mut changed, |parent, key| {
            if let Some(number) = member_mut(parent, key).filter(|member| member.is_number()) {
                *number = json!("n");
            }
        });
        assert_eq!(changed.to_string().matches("\"n\"").count(), 3);
        assert!(Pointer::parse("x").is_err() && Pointer::parse("/**/a/**").is_err());
    }
}
