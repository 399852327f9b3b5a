//! The costs that the operator is to hold, and what they came to.

use std::time::Duration;

use super::mebibytes;
use super::table::Table;
use crate::deletion::Deletion;
use crate::fleet::DestroyTime;
use crate::plan::Findings;
use crate::stats::small;

/// Only what was measured.
pub fn table(findings: &Findings) -> String {
    let minute = |it: &&Deletion| it.layout.destroy == DestroyTime::Fixed(Duration::from_mins(1));
    let mut rows = Rows(Vec::new());
    let rated = findings.rates.iter().filter(minute).find(|it| (it.layout.rate - 40.0).abs() < f64::EPSILON);
    if let Some(it) = rated {
        rows.add(
            "Zenlayer calls per port, 1,000 ports, 60 s to destroy, 40 requests/s",
            1.15,
            it.calls_per_port(),
            "",
        );
        rows.add("from DESTROYED to gone, median, in the same run", 8.0, it.lag.median.as_secs_f64(), " s");
        rows.add("the same, the longest", 16.0, it.lag.max.as_secs_f64(), " s");
    }
    if let Some(it) = findings.numbers.iter().filter(minute).find(|it| it.layout.ports == 1) {
        rows.add("Zenlayer calls for one port alone", 10.0, small(it.calls.total()), "");
    }
    let counted = findings.numbers.iter().filter_map(|it| Some((it, it.requests.as_ref()?)));
    if let Some((it, requests)) = counted.max_by_key(|(it, _)| it.layout.ports) {
        let ports = small(it.layout.ports);
        rows.add("object writes per deletion, 10,000 ports", 5.0, requests.object_writes() / ports, "");
        rows.add("Events per deletion, 10,000 ports", 2.0, requests.events() / ports, "");
    }
    if let Some(memory) = findings.empty {
        rows.add("resident memory without objects", 25.0, mebibytes(memory.resident), " MiB");
    }
    if let Some(rest) = &findings.rest {
        let steady = rest.idle.samples.last().map_or(0, |(_, memory)| memory.resident);
        let peaks = [rest.fill_memory, rest.restart.memory, rest.storm.memory].map(|memory| memory.peak);
        let peak = peaks.into_iter().max().unwrap_or_default();
        rows.add("resident memory, 10,000 objects, steady", 80.0, mebibytes(steady), " MiB");
        rows.add("the same, the peak of fill, restart and deletion", 130.0, mebibytes(peak), " MiB");
    }
    rows.section()
}

struct Rows(Vec<[String; 4]>);

impl Rows {
    fn add(&mut self, what: &str, most: f64, measured: f64, unit: &str) {
        // As exact as it is shown: one repeated write among fifty thousand is no other cost.
        let verdict = if (measured * 100.0).round() <= (most * 100.0).round() { "held" } else { "missed" };
        self.0.push([
            what.to_owned(),
            format!("{most}{unit}"),
            format!("{measured:.2}{unit}"),
            verdict.to_owned(),
        ]);
    }

    fn section(self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["what", "at most", "measured", ""]);
        self.0.into_iter().for_each(|row| table.row(row));
        format!("\n## Costs to hold\n\n{table}")
    }
}
