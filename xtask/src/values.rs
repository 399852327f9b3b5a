//! The table of the chart's values, from the comments in values.yaml.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Where the table stands in a document.
const BEGIN: &str = "<!-- values: written by cargo xtask generate from values.yaml -->\n";
const END: &str = "<!-- end of values -->\n";

/// `document` with the table of these values in its place.
pub fn with_table(document: &str, values: &str) -> Result<String> {
    let (head, rest) = document.split_once(BEGIN).context("the line before the table is gone")?;
    let (_, tail) = rest.split_once(END).context("the line after the table is gone")?;
    Ok(format!("{head}{BEGIN}\n{}\n{END}{tail}", table(values)?))
}

/// A row for each key that has a comment. What is below a key without one is part of its default.
fn table(text: &str) -> Result<String> {
    let values: Value = serde_saphyr::from_str(text)?;
    let keys = keys(text);
    let mut table = String::from("| value | what it does | default |\n|---|---|---|\n");
    for key in &keys {
        let Key { path, comment } = key;
        if comment.is_empty() {
            let is_part = keys.iter().any(|outer| outer.is_around(path) && outer.is_one_row(&keys));
            let is_group = keys.iter().any(|inner| key.is_around(&inner.path));
            ensure!(is_part || is_group, "values.yaml says nothing about {path}");
            continue;
        }
        let value = values.pointer(&format!("/{}", path.replace('.', "/")));
        let value = value.with_context(|| format!("values.yaml has no {path}"))?;
        let default = if key.is_one_row(&keys) { format!("`{value}`") } else { String::new() };
        let comment = comment.join(" ").replace('|', "\\|");
        writeln!(table, "| `{path}` | {comment} | {default} |")?;
    }
    Ok(table)
}

/// A key of values.yaml, and the comment right above it.
struct Key {
    /// Joined by points.
    path: String,
    comment: Vec<String>,
}

impl Key {
    fn is_around(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Its comment is about all that is below it.
    fn is_one_row(&self, keys: &[Self]) -> bool {
        !self.comment.is_empty()
            && !keys.iter().any(|inner| self.is_around(&inner.path) && !inner.comment.is_empty())
    }
}

fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut comment = Vec::new();
    // The keys around the current line, with their indentations.
    let mut around: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(words) = content.strip_prefix('#') {
            comment.push(words.trim().to_owned());
            continue;
        }
        let Some((name, _)) = content.split_once(':').filter(|_| !content.starts_with('-')) else {
            comment.clear();
            continue;
        };
        around.retain(|(outer, _)| *outer < indent);
        around.push((indent, name.to_owned()));
        let path: Vec<&str> = around.iter().map(|(_, name)| name.as_str()).collect();
        keys.push(Key { path: path.join("."), comment: std::mem::take(&mut comment) });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "\
# About the file.

# Where it is.
place:
  # A name | a path,
  # or both.
  name: \"\"
  # A port.
  port: 80

resources:
  # The least.
  requests:
    cpu: 1
    memory: 2
";

    #[test]
    fn each_comment_is_a_row_with_the_default_of_what_it_is_about() {
        let rows = [
            "| `place` | Where it is. |  |",
            "| `place.name` | A name \\| a path, or both. | `\"\"` |",
            "| `place.port` | A port. | `80` |",
            "| `resources.requests` | The least. | `{\"cpu\":1,\"memory\":2}` |",
        ];
        let table = table(VALUES).expect("a table");
        assert_eq!(table.lines().skip(2).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_value_without_a_comment_is_refused() {
        for (values, silent) in
            [("a:\n  # One.\n  b: 1\nc: 2\n", "c"), ("# A.\na:\n  # One.\n  b: 1\n  c: 2\n", "a.c")]
        {
            let refused = table(values).expect_err(silent).to_string();
            assert!(refused.ends_with(&format!("says nothing about {silent}")), "{refused}");
        }
    }

    #[test]
    fn the_table_replaces_the_old_one_and_nothing_else() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let with_table = with_table(&document, "# One.\na: 1\n").expect("a document");
        assert!(with_table.starts_with("before\n") && with_table.ends_with("after\n"), "{with_table}");
        assert!(with_table.contains("| `a` | One. | `1` |") && !with_table.contains("old"), "{with_table}");
        super::with_table("no marks", "a: 1\n").expect_err("nowhere to put it");
    }
}
