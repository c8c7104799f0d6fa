//! Just enough of Rust's grammar to find the paths that a source file names: comments, strings and test items
//! are left out, and `use` trees are spelled out. It never fails; on text that is no Rust it finds what looks
//! like a path.

/// A path as it is written or imported: `std::time::Instant`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedPath<'a> {
    pub(super) line: usize,
    pub(super) segments: Vec<&'a str>,
}

/// Every path outside comments, strings and items under `#[cfg(test)]`; a single name is a path of one
/// segment.
pub(super) fn paths(source: &str) -> Vec<NamedPath<'_>> {
    let tokens = without_tests(tokens(source)).0;
    let mut rest = tokens.as_slice();
    let mut paths = Vec::new();
    while let [first, ..] = rest {
        // `use<'a>` in a type is no import.
        if first.kind == Kind::Name("use") && !rest.get(1).is_some_and(|token| token.is('<')) {
            rest = use_tree(&rest[1..], &[], &mut paths);
        } else if let Kind::Name(name) = first.kind {
            let mut segments = vec![name];
            rest = &rest[1..];
            while let [Token { kind: Kind::PathSeparator, .. }, Token { kind: Kind::Name(name), .. }, ..] =
                rest
            {
                segments.push(name);
                rest = &rest[2..];
            }
            paths.push(NamedPath { line: first.line, segments });
        } else {
            rest = &rest[1..];
        }
    }
    paths
}

/// The modules that lie in files of their own and are declared under `#[cfg(test)]`.
pub(super) fn test_modules(source: &str) -> Vec<&str> {
    without_tests(tokens(source)).1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    Name(&'a str),
    PathSeparator,
    Symbol(char),
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    line: usize,
    kind: Kind<'a>,
}

impl Token<'_> {
    fn is(&self, symbol: char) -> bool {
        self.kind == Kind::Symbol(symbol)
    }
}

/// Reads one `use` tree (after `use`, a brace or a comma) and adds its paths. Returns what follows it.
fn use_tree<'t, 'a>(
    mut rest: &'t [Token<'a>],
    prefix: &[&'a str],
    paths: &mut Vec<NamedPath<'a>>,
) -> &'t [Token<'a>] {
    let line = rest.first().map_or(0, |token| token.line);
    let mut segments = prefix.to_vec();
    loop {
        match rest {
            // The new name is not part of the path.
            [Token { kind: Kind::Name("as"), .. }, _, after @ ..] => rest = after,
            [Token { kind: Kind::Name(name), .. }, after @ ..] => {
                segments.push(name);
                rest = after;
            }
            [Token { kind: Kind::PathSeparator, .. }, after @ ..] => rest = after,
            [token, after @ ..] if token.is('*') => rest = after,
            [token, after @ ..] if token.is('{') => {
                rest = after;
                loop {
                    match rest {
                        [token, after @ ..] if token.is('}') => return after,
                        [token, after @ ..] if token.is(',') => rest = after,
                        [token, ..] if token.is(';') => return rest,
                        [] => return rest,
                        _ => {
                            let before = rest.len();
                            rest = use_tree(rest, &segments, paths);
                            if rest.len() == before {
                                return &rest[1..];
                            }
                        }
                    }
                }
            }
            _ => {
                paths.push(NamedPath { line, segments });
                return rest;
            }
        }
    }
}

/// The tokens without the items under `#[cfg(test)]`, and the names of those that are modules in other files.
fn without_tests(tokens: Vec<Token<'_>>) -> (Vec<Token<'_>>, Vec<&str>) {
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        match strip_test_attribute(rest) {
            Some(item) => {
                let (item, after) = split_item(item);
                if let [.., Token { kind: Kind::Name("mod"), .. }, Token { kind: Kind::Name(name), .. }, last] =
                    item
                    && last.is(';')
                {
                    modules.push(*name);
                }
                rest = after;
            }
            None => {
                kept.push(*first);
                rest = after;
            }
        }
    }
    (kept, modules)
}

/// What follows `#[cfg(test)]` or `#[cfg(all(test, …))]`, if the tokens start with it.
fn strip_test_attribute<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    use Kind::{Name as N, Symbol as S};

    let kinds: Vec<Kind<'_>> = tokens.iter().take(7).map(|token| token.kind).collect();
    let is_test = matches!(
        kinds.as_slice(),
        [S('#'), S('['), N("cfg"), S('('), N("test"), S(')'), ..]
            | [S('#'), S('['), N("cfg"), S('('), N("all"), S('('), N("test")]
    );
    is_test.then(|| after_group(&tokens[1..]))
}

/// Splits off one item, with its other attributes: up to its `;`, or up to the end of its braces.
fn split_item<'t, 'a>(tokens: &'t [Token<'a>]) -> (&'t [Token<'a>], &'t [Token<'a>]) {
    let mut rest = tokens;
    while let [first, after @ ..] = rest {
        match first.kind {
            Kind::Symbol(';') => {
                rest = after;
                break;
            }
            Kind::Symbol('{') => {
                rest = after_group(rest);
                break;
            }
            Kind::Symbol('(' | '[') => rest = after_group(rest),
            Kind::Symbol(_) | Kind::Name(_) | Kind::PathSeparator => rest = after,
        }
    }
    tokens.split_at(tokens.len() - rest.len())
}

/// What follows the group whose opening bracket comes first.
fn after_group<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Symbol('(' | '[' | '{') => depth += 1,
            Kind::Symbol(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Kind::Symbol(_) | Kind::Name(_) | Kind::PathSeparator => {}
        }
        if depth == 0 {
            return &tokens[index + 1..];
        }
    }
    &[]
}

/// The names and symbols of a source text; comments, literals and lifetimes are left out.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_length(rest)
        } else if let Some(length) = string_length(rest) {
            length
        } else if first == '\'' {
            quote_length(rest)
        } else if first == '_' || first.is_alphanumeric() {
            let length = name_length(rest);
            // A raw name is the name: `r#try`.
            match rest.get(length..).and_then(|after| after.strip_prefix('#')) {
                Some(after) if &rest[..length] == "r" && name_length(after) > 0 => length + 1,
                _ => {
                    if !first.is_ascii_digit() {
                        tokens.push(Token { line, kind: Kind::Name(&rest[..length]) });
                    }
                    length
                }
            }
        } else if rest.starts_with("::") {
            tokens.push(Token { line, kind: Kind::PathSeparator });
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(Token { line, kind: Kind::Symbol(first) });
            }
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

fn name_length(text: &str) -> usize {
    text.find(|char: char| char != '_' && !char.is_alphanumeric()).unwrap_or(text.len())
}

/// The length of the block comment at the start, with those nested in it.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string literal at the start, raw or not, with its prefix.
fn string_length(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix);
        after.is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = prefix.len() + hashes + 1;
        return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
    }
    let body = after.strip_prefix('"')?;
    let mut escaped = false;
    for (at, char) in body.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(prefix.len() + 1 + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of what a single quote starts: a character literal, or a lifetime.
fn quote_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // The escaped character may be a quote itself.
            chars.next();
            chars.find(|(_, char)| *char == '\'').map_or(text.len(), |(at, _)| at + 1)
        }
        Some((_, first)) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ if first == '_' || first.is_alphabetic() => 1 + name_length(&text[1..]),
            _ => 1,
        },
        None => 1,
    }
}
