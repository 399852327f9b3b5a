//! The metrics that every Prometheus client has of its process, out of `/proc`.

use std::fs;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::clock::Clock;

#[derive(Debug)]
pub(super) struct Process {
    started: Timestamp,
}

/// What `/proc/self/stat` says.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Process {
    pub(super) fn started() -> Self {
        Self { started: Clock::System.wall() }
    }
}

impl Stat {
    /// The second field is the name of the program, in parentheses, which may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // As proc_pid_stat(5) numbers them: the first of these is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
impl Collector for Process {
    /// What cannot be read is left out.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let started = self.started.as_millisecond() as f64 / 1000.0;
        gauge("start_time_seconds", "When the process started, in seconds since 1970", started)?;
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            // One is that of the folder itself.
            let open = fds.count().saturating_sub(1);
            gauge("open_fds", "Open file descriptors", open as f64)?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            gauge("max_fds", "The most file descriptors that may be open", most as f64)?;
        }
        let Some(stat) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text))
        else {
            return Ok(());
        };
        gauge("virtual_memory_bytes", "Size of the virtual memory", stat.virtual_bytes as f64)?;
        let resident = stat.resident_pages as f64 * page_size() as f64;
        gauge("resident_memory_bytes", "Size of the memory that is in RAM", resident)?;
        let cpu = ConstCounter::new(stat.cpu_ticks as f64 / clock_ticks_per_second() as f64);
        let help = "CPU time that the process has used, for itself and in the kernel";
        cpu.encode(encoder.encode_descriptor("cpu_seconds", help, None, cpu.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194304 2217 0 0 0 31 12 0 0 20 0 5 0 1234 52428800 600 18446744073709551615";
        let stat = Stat { cpu_ticks: 43, virtual_bytes: 52_428_800, resident_pages: 600 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }
}
