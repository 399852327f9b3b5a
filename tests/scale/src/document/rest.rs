//! The section about 10,000 objects at rest.

use super::table::Table;
use super::{mebibytes, memory, seconds, thousands};
use crate::rest::{Idle, Rest, Restart, Storm};
use crate::stats::small;

pub fn section(rest: &Rest) -> String {
    let Rest { layout, filled, fill_memory, idle, restart, storm } = rest;
    format!(
        "\n## {} objects: filled, idle, restarted, deleted in a storm\n\n\
        The objects belong to {} accounts and have one operator. The steps follow each other.\n\n\
        - **Fill**: {} from the first object to the moment when all are up to date; memory {} at the end.\n{}{}{}\n{}",
        thousands(layout.ports),
        layout.accounts,
        seconds(*filled),
        memory(*fill_memory),
        idle_line(idle),
        restart_line(restart),
        storm_line(storm, layout.ports, layout.accounts),
        samples(idle),
    )
}

fn idle_line(idle: &Idle) -> String {
    format!(
        "- **Idle** for {}: {} Zenlayer calls, {} reconciles, {} writes of objects, {:.2} s of processor time ({:.2} % of a core).\n",
        seconds(idle.lasted),
        idle.calls.total(),
        idle.reconciles,
        idle.requests.object_writes(),
        idle.cpu.as_secs_f64(),
        100.0 * idle.cpu.as_secs_f64() / idle.lasted.as_secs_f64(),
    )
}

fn restart_line(restart: &Restart) -> String {
    format!(
        "- **Restart**: every port gets a new name meanwhile, so the operator writes every status again. {} from the start of the process \
        to the moment when all objects are up to date, {} Zenlayer calls, {:.2} s of processor time, memory {}.\n",
        seconds(restart.took),
        restart.calls.total(),
        restart.cpu.as_secs_f64(),
        memory(restart.memory),
    )
}

fn storm_line(storm: &Storm, ports: usize, accounts: usize) -> String {
    let per_second = small(storm.calls.total()) / small(accounts) / storm.lasted.as_secs_f64();
    format!(
        "- **Storm**: all objects are deleted while Zenlayer answers every request with 429 for {}. {} calls in that time \
        ({per_second:.2} a second and account), {:.2} reconciles and {:.2} writes per object. The last object is gone {} after the \
        end of the storm; memory {}.\n",
        seconds(storm.lasted),
        thousands(storm.calls.total()),
        storm.reconciles / small(ports),
        storm.requests.object_writes() / small(ports),
        seconds(storm.recovered),
        memory(storm.memory),
    )
}

/// Memory while nothing happens, every other minute.
fn samples(idle: &Idle) -> String {
    let mut table = Table::new(&["idle for", "VmRSS", "VmHWM"]);
    let last = idle.samples.len().saturating_sub(1);
    let shown = idle.samples.iter().enumerate().filter(|(at, _)| at.is_multiple_of(4) || *at == last);
    for (_, (after, memory)) in shown {
        table.row([
            seconds(*after),
            format!("{:.1} MiB", mebibytes(memory.resident)),
            format!("{:.1} MiB", mebibytes(memory.peak)),
        ]);
    }
    table.to_string()
}
