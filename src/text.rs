//! Words from outside, made fit for a status, a log and a terminal.

use std::error::Error;

/// The most characters of one text that are passed on.
const LONGEST: usize = 200;

/// `text` in one line of at most 200 characters. Characters that steer a terminal or change how others are shown are
/// escaped, not dropped: what looks like a known word is that word.
pub fn sanitized(text: &str) -> String {
    sanitized_up_to(text, LONGEST)
}

/// The same, of at most so many characters.
pub fn sanitized_up_to(text: &str, longest: usize) -> String {
    // Nearly all texts are.
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.len() <= longest && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut safe = String::new();
    let mut left = longest;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let shown = shown(c);
        let length = shown.chars().count();
        // The last place is for the mark that something was cut off.
        if length > left || (length == left && !rest.as_str().is_empty()) {
            safe.push('…');
            break;
        }
        safe.push_str(&shown);
        left -= length;
    }
    safe
}

/// The innermost error: the outer ones often say little more than that there is one, and name the URL.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    sanitized(&cause.to_string())
}

fn shown(c: char) -> String {
    if c.is_control() {
        c.escape_default().collect()
    } else if is_invisible(c) {
        c.escape_unicode().collect()
    } else {
        c.into()
    }
}

/// Characters that are not seen, end a line, or change the direction of others.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_or_turns_the_text_around_is_escaped_and_the_rest_is_kept() {
        for (text, expected) in [
            ("sin1-edge \"a\\b\" é 香港 ท่า", "sin1-edge \"a\\b\" é 香港 ท่า"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("two\r\nlines\tand\u{2028}three", "two\\r\\nlines\\tand\\u{2028}three"),
            ("RUNNING\u{202e}", "RUNNING\\u{202e}"),
            (" RUNNING ", " RUNNING "),
            ("\u{9b}31m\0", "\\u{9b}31m\\u{0}"),
        ] {
            assert_eq!(sanitized(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_marked() {
        assert_eq!(sanitized(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(sanitized(&"é".repeat(201)), format!("{}…", "é".repeat(199)));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_short_line_without_control_characters(text in any::<String>(), again in 0..30_usize) {
            let safe = sanitized(&text.repeat(again));
            prop_assert!(safe.chars().count() <= LONGEST, "{safe:?}");
            prop_assert!(!safe.contains(|c: char| c.is_control() || is_invisible(c)), "{safe:?}");
            prop_assert_eq!(sanitized(&safe), safe);
        }
    }
}
