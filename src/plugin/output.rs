//! Where the answers go: data to stdout, and a closed pipe ends quietly.

use std::io::{self, ErrorKind, Write};

use anyhow::Result;
use serde::Serialize;

use super::cli::Format;
use super::screen::{Page, RED};

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

/// Tells of an error, on stderr: a sentence, and the commands that help.
pub fn tell(error: &anyhow::Error) {
    let mut page = Page::new(columns(terminal_size::terminal_size_of(io::stderr())));
    let told = format!("{error:#}");
    let (what, commands) = told.split_once('\n').unwrap_or((&told, ""));
    page.paragraph(0, &format!("{RED}error{RED:#}: {what}"));
    commands.lines().for_each(|line| page.line(line));
    anstream::eprint!("{}", page.into_text());
}

/// How many columns the terminal has; none if there is no terminal.
pub fn width() -> Option<usize> {
    columns(terminal_size::terminal_size_of(io::stdout()))
}

fn columns(terminal: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(|| terminal.map(|(width, _)| usize::from(width.0)))
}
