//! All that happens in a run, line by line.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// One line for each request that arrives, each change that it makes, each act, and each line of the operator's log.
#[derive(Debug, Default)]
pub struct Journal {
    lines: Vec<String>,
    /// What an earlier run of the same plan wrote.
    expected: Option<Arc<Vec<String>>>,
    difference: Option<Difference>,
}

/// Where a run went another way than an earlier run of the same plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub line: usize,
    pub expected: Option<String>,
    pub found: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |line: &Option<String>| line.clone().unwrap_or_else(|| "nothing".to_owned());
        let (expected, found) = (shown(&self.expected), shown(&self.found));
        write!(f, "the runs differ at line {}\n  first:  {expected}\n  second: {found}", self.line)
    }
}

impl Journal {
    pub fn new(expected: Option<Arc<Vec<String>>>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Writes a line. Whether an earlier run wrote the same here.
    pub fn write(&mut self, at: Duration, what: &str) -> bool {
        let mut line = clock(at);
        let _ = write!(line, " {what}");
        let same = self.expected.as_ref().is_none_or(|lines| lines.get(self.lines.len()) == Some(&line));
        if !same && self.difference.is_none() {
            self.difference = Some(self.difference_to(Some(line.clone())));
        }
        self.lines.push(line);
        same
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The lines, and where they differ from the earlier run's.
    pub fn finish(mut self) -> (Vec<String>, Option<Difference>) {
        let is_short = self.expected.as_ref().is_some_and(|lines| lines.len() > self.lines.len());
        if is_short && self.difference.is_none() {
            self.difference = Some(self.difference_to(None));
        }
        (self.lines, self.difference)
    }

    fn difference_to(&self, found: Option<String>) -> Difference {
        let line = self.lines.len();
        let expected = self.expected.as_ref().and_then(|lines| lines.get(line).cloned());
        Difference { line, expected, found }
    }
}

/// `01:12:03.417`.
pub fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, at.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[&str], expected: Option<Vec<String>>) -> (Vec<String>, Option<Difference>) {
        let mut journal = Journal::new(expected.map(Arc::new));
        for line in lines {
            journal.write(Duration::from_millis(4_323_417), line);
        }
        journal.finish()
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        let (first, none) = written(&["a", "b", "c"], None);
        assert_eq!((first[0].as_str(), none), ("01:12:03.417 a", None));
        assert_eq!(written(&["a", "b", "c"], Some(first.clone())).1, None);
        for (lines, at, found) in [(&["a", "x", "y"][..], 1, Some("x")), (&["a", "b"], 2, None)] {
            let difference = written(lines, Some(first.clone())).1.expect("a difference");
            assert_eq!(difference.line, at);
            assert_eq!(difference.found, found.map(|found| format!("01:12:03.417 {found}")));
        }
        let long = written(&["a", "b", "c", "d"], Some(first)).1.expect("a difference");
        assert_eq!((long.line, long.expected), (3, None));
    }
}
