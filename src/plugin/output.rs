//! Where the answers go: data to stdout, and a closed pipe ends quietly.

use std::io::{self, ErrorKind, Write};

use anyhow::Result;
use serde::Serialize;

use super::cli::Format;

/// Prints `report` for a program, or what `render` makes of it for people.
pub fn show<R: Serialize>(
    format: Format,
    report: &R,
    render: impl FnOnce(Option<usize>) -> String,
) -> Result<()> {
    match format {
        Format::Table => print(&render(width())),
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(report)?)),
        // By way of JSON, so that both hold the same.
        Format::Yaml => print(&serde_saphyr::to_string(&serde_json::to_value(report)?)?),
    }
}

pub fn print(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// How many columns the terminal has; none if there is no terminal.
pub fn width() -> Option<usize> {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(|| terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)))
}
