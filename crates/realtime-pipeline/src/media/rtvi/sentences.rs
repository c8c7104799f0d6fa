//! Text that comes in pieces, cut into sentences.

/// The longest sentence (bytes): what is longer is cut.
const LONGEST: usize = 2_000;

/// What ends a sentence before a blank.
const ENDS: [char; 5] = ['.', '!', '?', '…', '।'];
/// What ends one anyway.
const WIDE_ENDS: [char; 4] = ['。', '！', '？', '．'];
/// What may follow the end and belongs to the sentence.
const CLOSES: [char; 8] = ['"', '\'', ')', ']', '”', '’', '»', '」'];

/// Words before a dot that ends no sentence.
const SHORT_FORMS: [&str; 9] = ["Dr", "Fr", "Hr", "Mr", "Mrs", "Ms", "Prof", "St", "vs"];

/// The length of the first sentence, with the blanks after it (bytes). `None`: it may go on.
pub(super) fn first(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\n' && !text[..at].trim().is_empty() {
            return Some(behind_blanks(text, at));
        }
        if !ENDS.contains(&char) && !WIDE_ENDS.contains(&char) {
            continue;
        }
        let belongs = |next: &(usize, char)| {
            ENDS.contains(&next.1) || WIDE_ENDS.contains(&next.1) || CLOSES.contains(&next.1)
        };
        while chars.next_if(belongs).is_some() {}
        // More may come that belongs to it.
        let Some((end, next)) = chars.peek().copied() else { break };
        let is_end = WIDE_ENDS.contains(&char) || (next.is_whitespace() && !is_short_form(&text[..at], char));
        if is_end {
            return Some(behind_blanks(text, end));
        }
    }
    (text.len() > LONGEST).then(|| cut(text))
}

/// Returns whether a dot ends a short form such as `Mr.` or `U.S.`, and no sentence.
fn is_short_form(before: &str, end: char) -> bool {
    let word = before.rsplit(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    let is_initial = word.starts_with(char::is_uppercase) && word.chars().count() == 1;
    end == '.' && (is_initial || SHORT_FORMS.contains(&word))
}

fn behind_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}

/// Where to cut what has no end: behind the last blank, or else anywhere.
fn cut(text: &str) -> usize {
    let most = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text[..most].rfind(char::is_whitespace).map_or(most, |blank| behind_blanks(text, blank)).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sentences(mut text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        while let Some(at) = first(text) {
            found.push(text[..at].trim());
            text = &text[at..];
        }
        found.push(text);
        found
    }

    #[test]
    fn sentences_end_where_a_reader_thinks_they_do() {
        for (text, expected) in [
            ("It is 3.5 km. Is it? Yes!", &["It is 3.5 km.", "Is it?", "Yes!"][..]),
            ("Mr. Smith from the U.S. is here. ", &["Mr. Smith from the U.S. is here.", ""]),
            ("He said \"No.\" Then he left", &["He said \"No.\"", "Then he left"]),
            ("Well... Yes", &["Well...", "Yes"]),
            ("- one\n- two\n", &["- one", "- two", ""]),
            ("そうです。はい。", &["そうです。", "はい。"]),
            ("No end", &["No end"]),
            ("Maybe.", &["Maybe."]),
            ("\n\nHi. ", &["Hi.", ""]),
            ("", &[""]),
        ] {
            assert_eq!(sentences(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_sentence_without_end_is_cut() {
        let words = "word ".repeat(1_000);
        assert!(sentences(&words).iter().all(|sentence| sentence.len() <= LONGEST));
        let one = "ü".repeat(3_000);
        assert_eq!(sentences(&one).iter().map(|sentence| sentence.len()).sum::<usize>(), one.len());
    }

    proptest! {
        #[test]
        fn any_text_is_cut_within_it_and_between_characters(text in "[a-c .!?。\n\"ü]{0,80}") {
            if let Some(at) = first(&text) {
                prop_assert!(at > 0 && text.is_char_boundary(at));
            }
        }
    }
}
