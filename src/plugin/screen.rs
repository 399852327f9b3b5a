//! Text for a terminal: columns, wrapping, ages, and the words that are marked. Colour is always written; `anstream` takes
//! it out where nobody can see it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::SignedDuration;
use textwrap::core::display_width;

/// The widest screen that is used, however wide the terminal is.
const WIDEST: usize = 100;
const NARROWEST: usize = 40;

pub const BOLD: Style = Style::new().bold();
pub const RED: Style = AnsiColor::Red.on_default().bold();
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub const GREEN: Style = AnsiColor::Green.on_default().bold();

/// A page that grows line by line.
#[derive(Clone, Debug, Default)]
pub struct Page {
    text: String,
    /// None: not a terminal; nothing is wrapped.
    width: Option<usize>,
}

impl Page {
    pub fn new(width: Option<usize>) -> Self {
        Self { text: String::new(), width: width.map(|width| width.clamp(NARROWEST, WIDEST)) }
    }

    /// `text` as a paragraph, each line of it after `indent` spaces.
    pub fn paragraph(&mut self, indent: usize, text: &str) {
        self.after(indent, &" ".repeat(indent), text);
    }

    /// `text` after a label, in a column of its own.
    pub fn field(&mut self, label: &str, text: &str) {
        const COLUMN: usize = 15;
        self.after(COLUMN, &format!("  {}", padded(label, COLUMN - 2)), text);
    }

    fn after(&mut self, indent: usize, first: &str, text: &str) {
        let rest = " ".repeat(indent);
        match self.width {
            // A word that is longer than the line stays whole: it may be a part of a command.
            Some(width) => {
                let options = textwrap::Options::new(width)
                    .initial_indent(first)
                    .subsequent_indent(&rest)
                    .break_words(false)
                    .word_splitter(textwrap::WordSplitter::NoHyphenation);
                for line in textwrap::wrap(text, options) {
                    self.line(&line);
                }
            }
            None => self.line(&format!("{first}{text}")),
        }
    }

    /// A line that is never wrapped, such as a command.
    pub fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// What a command is for, and the command in a line of its own.
    pub fn command(&mut self, indent: usize, purpose: &str, command: &str) {
        self.paragraph(indent, &format!("{purpose}:"));
        self.line(&format!("{}{command}", " ".repeat(indent + 2)));
    }

    pub fn marked(&mut self, style: Style, mark: &str, rest: &str) {
        let _ = writeln!(self.text, "{style}{mark}{style:#}{rest}");
    }

    /// `rows` in columns, after `indent` spaces. The last column is not padded, and is wrapped where there is room for it.
    pub fn table(&mut self, indent: usize, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| display_width(cell)).max().unwrap_or_default()
            })
            .collect();
        let last = columns.saturating_sub(1);
        let at: usize = indent + widths[..last].iter().map(|width| width + 2).sum::<usize>();
        let fits = self.width.is_none_or(|width| at + widths.get(last).copied().unwrap_or_default() <= width);
        let has_room = self.width.is_some_and(|width| width >= at + 30);
        for row in rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths).take(last) {
                line.push_str(&padded(cell, width + 2));
            }
            match row.get(last) {
                Some(cell) if fits => self.line(&format!("{line}{cell}")),
                Some(cell) if has_room => self.after(at, &line, cell),
                Some(cell) => {
                    self.line(&line);
                    self.paragraph(indent + 4, cell);
                }
                None => self.line(&line),
            }
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(display_width(text))))
}

/// `12s`, `4m`, `3h`, `2d`: the largest unit that fits, as kubectl shows an age.
pub fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `1 port`, `2 ports`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The first few of these names, and how many there are beside.
pub fn first_of(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let (shown, more) = names.split_at(names.len().min(SHOWN));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_largest_unit_that_says_enough() {
        for (seconds, expected) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_800, "2d")]
        {
            assert_eq!(age(SignedDuration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_paragraph_is_wrapped_and_a_command_is_not() {
        let command =
            "kubectl patch zenlayerport edge -n team-a --type=merge -p '{\"spec\":{}}' --and --more";
        let mut page = Page::new(Some(40));
        page.paragraph(4, "Some words that do not fit into one line of forty columns.");
        page.line(command);
        let text = page.into_text();
        assert!(text.lines().all(|line| display_width(line) <= 40 || line == command), "{text}");
        assert!(text.contains(command), "{text}");
    }

    #[test]
    fn columns_are_as_wide_as_what_they_hold_also_where_that_is_wide_itself() {
        let mut page = Page::new(None);
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        page.table(2, &[row(["香港", "a", "x"]), row(["hk", "bcd", "y"])]);
        assert_eq!(page.into_text(), "  香港  a    x\n  hk    bcd  y\n");
    }
}
