//! Variables of the environment in an agent's file: `${NAME}`.

use crate::environment::Environment;

/// The text with the variables put in. `$$` stands for `$`.
///
/// # Errors
/// A variable is not set, or a `$` stands alone.
pub(super) fn fill(text: &str, environment: &Environment) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
            continue;
        }
        let (name, after) = after
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'))
            .ok_or("expected `${NAME}` or `$$` where a `$` stands: correct it")?;
        let value = environment
            .get(name)
            .ok_or_else(|| format!("expected the variable `{name}`, which is not set: set it"))?;
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_what_is_missing_is_named() {
        let environment = Environment::of([("KEY", "k"), ("A_1", "${KEY}")]);
        let fill = |text: &str| fill(text, &environment);
        assert_eq!(fill("Bearer ${KEY}, ${A_1}, 5 $$").as_deref(), Ok("Bearer k, ${KEY}, 5 $"));
        assert_eq!(fill("plain").as_deref(), Ok("plain"));
        assert_eq!(fill("${NO}").unwrap_err(), "expected the variable `NO`, which is not set: set it");
        for odd in ["$", "$KEY", "${KEY", "a$"] {
            assert!(fill(odd).unwrap_err().starts_with("expected `${NAME}`"), "{odd}");
        }
    }
}
