//! What a terminal shows, as a picture: readable on a light and on a dark page.

use std::fmt::Write as _;

/// Characters in a line; longer lines are wrapped.
const COLUMNS: usize = 100;
/// In tenths of a pixel, of the font below.
const CHARACTER_WIDTH: usize = 81;
const LINE_HEIGHT: usize = 19;
const MARGIN: usize = 18;

const STYLE: &str = "\
rect { fill: #f6f8fa; stroke: #d0d7de }
text { font: 13.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #24292f; white-space: pre }
.typed { fill: #0550ae; font-weight: bold }
.note { fill: #57606a; font-style: italic }
@media (prefers-color-scheme: dark) {
rect { fill: #161b22; stroke: #30363d }
text { fill: #e6edf3 }
.typed { fill: #79c0ff }
.note { fill: #8b949e }
}";

/// The lines of a terminal. A line that begins with `$ ` was typed, one that begins with `# ` is a remark.
pub fn of_terminal(title: &str, text: &str) -> String {
    let lines: Vec<(&str, String)> = text.lines().flat_map(wrapped).collect();
    let width = (COLUMNS * CHARACTER_WIDTH).div_ceil(10) + 2 * MARGIN;
    let height = lines.len() * LINE_HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}\n</style>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        escaped(title),
        width - 1,
        height - 1,
    );
    for (number, (class, line)) in (1..).zip(&lines) {
        let y = MARGIN + number * LINE_HEIGHT - 5;
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{}</text>",
            escaped(line)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The pieces of a line, each with its class: broken at a space where there is one.
fn wrapped(line: &str) -> Vec<(&'static str, String)> {
    let class = match line.get(..2) {
        Some("$ ") => "typed",
        Some("# ") => "note",
        _ => "",
    };
    let mut pieces = Vec::new();
    let mut rest: Vec<char> = line.trim_end().chars().collect();
    while rest.len() > COLUMNS {
        let space = rest[..COLUMNS].iter().rposition(|&character| character == ' ');
        let at = space.filter(|&at| at > COLUMNS / 2).map_or(COLUMNS, |at| at + 1);
        let tail = rest.split_off(at);
        pieces.push((class, rest.iter().collect::<String>().trim_end().to_owned()));
        rest = "  ".chars().chain(tail).collect();
    }
    pieces.push((class, rest.into_iter().collect()));
    pieces
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_text_and_what_was_typed_is_marked() {
        let svg = of_terminal("a title", "$ kubectl get zlp\nNAME  PORT-ID\n# a remark");
        assert_eq!(svg.matches("<text").count(), 3, "{svg}");
        assert!(svg.contains("<text class=\"typed\""), "{svg}");
        assert!(svg.contains(">NAME  PORT-ID</text>"), "{svg}");
        assert!(svg.contains("<title>a title</title>"), "{svg}");
    }

    #[test]
    fn markup_in_the_output_is_text() {
        let svg = of_terminal("t", "<script>&</script>");
        assert!(svg.contains("&lt;script&gt;&amp;&lt;/script&gt;"), "{svg}");
    }

    #[test]
    fn a_long_line_is_wrapped_at_a_space_and_loses_no_word() {
        let long = "$ ".to_owned() + &"word ".repeat(50);
        let pieces = wrapped(&long);
        assert!(
            pieces.iter().all(|(class, line)| *class == "typed" && line.chars().count() <= COLUMNS),
            "{pieces:?}"
        );
        let words: usize = pieces.iter().map(|(_, line)| line.matches("word").count()).sum();
        assert_eq!(words, 50, "{pieces:?}");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_is_cut() {
        assert_eq!(wrapped(&"x".repeat(250)).len(), 3);
    }
}
