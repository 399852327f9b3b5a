//! What the dashboard shows, from the answers of a real Prometheus.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::dashboard::{self, Unit};

/// What Prometheus answered to the queries of a panel.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answered {
    pub(crate) title: String,
    pub(crate) series: Vec<Series>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Series {
    pub(crate) legend: String,
    /// None: there is nothing to divide by.
    pub(crate) value: Option<f64>,
}

const HEAD: &str = "## What the dashboard shows

A Prometheus scraped the operator of `cargo xtask record-screens`, and answered the query of each panel while the objects above waited.
Rates and counts are those of the last 5 minutes; Prometheus estimates them, so that 18 deletions can be 18.1. A dash means that
nothing happened in these minutes. All durations of the operator were a fifth of the real ones.

";

/// The section of the document.
pub(super) fn section(text: &mut String, answered: &[Answered]) -> Result<()> {
    text.push_str(HEAD);
    for row in dashboard::rows() {
        // Writing to a String does not fail.
        let _ = write!(text, "### {}\n\n```text\n", row.title);
        for panel in row.panels {
            let answered = answered.iter().find(|it| it.title == panel.title);
            let answered = answered.with_context(|| {
                format!("no answer is recorded for the panel {:?}: cargo xtask record-screens", panel.title)
            })?;
            panel_lines(text, answered, panel.unit);
        }
        text.push_str("```\n\n");
    }
    Ok(())
}

/// One line for a single number, else a line for each series below the title.
fn panel_lines(text: &mut String, Answered { title, series }: &Answered, unit: Unit) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("{name:<36}{value}").trim_end());
    };
    match &series[..] {
        [] => line(title, "no data"),
        [Series { legend, value }] if legend.is_empty() => line(title, &in_words(*value, unit)),
        _ => {
            line(title, "");
            for Series { legend, value } in series {
                line(&format!("  {legend}"), &in_words(*value, unit));
            }
        }
    }
}

fn in_words(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match unit {
        Unit::Count => number(value),
        Unit::Seconds if value >= 60.0 => format!("{} min", number(value / 60.0)),
        Unit::Seconds if value >= 1.0 || value == 0.0 => format!("{} s", number(value)),
        Unit::Seconds => format!("{} ms", number(value * 1000.0)),
        Unit::RequestsPerSecond | Unit::PerSecond => format!("{}/s", number(value)),
        Unit::Bytes => format!("{} MiB", number(value / f64::from(1 << 20))),
    }
}

/// About three digits.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_of_one_number_is_a_line_and_one_of_several_series_is_a_list() {
        let series = |legend: &str, value| Series { legend: legend.to_owned(), value };
        let mut text = String::new();
        for (title, series, unit) in [
            ("A person", vec![series("", Some(8.0))], Unit::Count),
            ("Durations", vec![series("Destroy", Some(0.0154)), series("Retain", None)], Unit::Seconds),
            ("Failed", vec![], Unit::RequestsPerSecond),
        ] {
            panel_lines(&mut text, &Answered { title: title.to_owned(), series }, unit);
        }
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected: [&[&str]; 5] = [
            &["A", "person", "8"],
            &["Durations"],
            &["Destroy", "15.4", "ms"],
            &["Retain", "–"],
            &["Failed", "no", "data"],
        ];
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn numbers_have_three_digits_and_their_unit() {
        for (value, unit, expected) in [
            (0.0, Unit::Seconds, "0 s"),
            (90.0, Unit::Seconds, "1.5 min"),
            (1234.0, Unit::Count, "1234"),
            (12.34, Unit::Count, "12.3"),
            (0.0333, Unit::RequestsPerSecond, "0.033/s"),
            (100.0, Unit::PerSecond, "100/s"),
            (31_457_280.0, Unit::Bytes, "30 MiB"),
        ] {
            assert_eq!(in_words(Some(value), unit), expected);
        }
    }
}
