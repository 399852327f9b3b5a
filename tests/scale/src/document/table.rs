//! A table in Markdown.

use std::fmt::{self, Write as _};

pub struct Table {
    columns: usize,
    text: String,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        let rule = "|---".repeat(head.len());
        Self { columns: head.len(), text: format!("| {} |\n{rule}|\n", head.join(" | ")) }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns, "{cells:?}");
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
