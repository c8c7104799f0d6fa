//! The right-hand side of a rule, and how it is read.

use crate::grammar::fact::{EVENTS, OTHER, index};
use crate::grammar::rules::Named;

/// The right-hand side of a rule.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Event(Named),
    Part(String),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    /// The least number of times (0 or 1), and whether there is no upper bound (else once).
    Times(Box<Self>, usize, bool),
}

/// Reads the right-hand side of a rule.
pub(super) fn read(text: &str) -> Result<Expression, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let is_word = |char: char| char == '_' || char.is_alphanumeric();
        let word = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        let length = if word > 0 { word } else { first.len_utf8() };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    let mut tokens = tokens.as_slice();
    let read = either(&mut tokens)?;
    if tokens.is_empty() { Ok(read) } else { Err(format!("`{text}`: `{}` has no place", tokens[0])) }
}

fn either(tokens: &mut &[&str]) -> Result<Expression, String> {
    let mut of = vec![sequence(tokens)?];
    while let ["|", rest @ ..] = tokens {
        *tokens = rest;
        of.push(sequence(tokens)?);
    }
    Ok(Expression::Either(of))
}

fn sequence(tokens: &mut &[&str]) -> Result<Expression, String> {
    let mut of = Vec::new();
    while let [first, rest @ ..] = *tokens
        && !matches!(*first, "|" | ")")
    {
        *tokens = rest;
        let mut read = match *first {
            "(" => {
                let read = either(tokens)?;
                let [")", rest @ ..] = *tokens else { return Err("a bracket is not closed".into()) };
                *tokens = rest;
                read
            }
            name => named(name, tokens)?,
        };
        while let [times @ ("*" | "+" | "?"), rest @ ..] = *tokens {
            *tokens = rest;
            read = Expression::Times(read.into(), usize::from(*times == "+"), *times != "?");
        }
        of.push(read);
    }
    if of.is_empty() { Err("something is missing".into()) } else { Ok(Expression::Sequence(of)) }
}

fn named(name: &str, tokens: &mut &[&str]) -> Result<Expression, String> {
    if name == "…" {
        return Ok(Expression::Event(Named { event: OTHER, word: None }));
    }
    if name.starts_with(char::is_lowercase) {
        return Ok(Expression::Part(name.into()));
    }
    let event = index(name).ok_or_else(|| format!("`{name}` is no event"))?;
    let word = match *tokens {
        ["[", word, "]", rest @ ..] => {
            *tokens = rest;
            let known = EVENTS[event].1.iter().find(|known| *known == word);
            Some(*known.ok_or_else(|| format!("`{name}` is never `{word}`"))?)
        }
        _ => None,
    };
    Ok(Expression::Event(Named { event, word }))
}
