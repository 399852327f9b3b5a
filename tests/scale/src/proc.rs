//! What Linux says of a process under `/proc` (`man proc_pid_status`, `man proc_pid_stat`).

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// `VmRSS`: now.
    pub resident: u64,
    /// `VmHWM`: the most there has ever been.
    pub peak: u64,
}

impl Memory {
    pub fn of(pid: u32) -> Result<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/status"))?)
            .with_context(|| format!("process {pid} has no resident memory"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim_end_matches("kB").trim().parse().ok()
        };
        Some(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

/// Processor time of all threads so far, in user mode and in the kernel.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat cannot be read"))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

fn ticks(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses, which may hold anything; utime and stime are the 14th and 15th.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_kib() {
        let status = "Name:\toperator\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(Memory::parse(status), Some(Memory { resident: 10240, peak: 20480 }));
        assert_eq!(Memory::parse("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn processor_time_is_that_of_both_modes() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 1 0 12345";
        assert_eq!(ticks(stat), Some(200));
    }
}
