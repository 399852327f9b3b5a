//! The findings as Markdown, and their plots.

mod costs;
mod rest;
mod table;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use self::table::Table;
use crate::deletion::Deletion;
use crate::fleet::{DestroyTime, Layout};
use crate::machine::Machine;
use crate::plan::Findings;
use crate::plots::{Series, plot};
use crate::proc::Memory;
use crate::stats::small;

/// The document, and the plots by their names in the folder `benchmarks` beside it.
pub struct Document {
    pub markdown: String,
    pub plots: Vec<(&'static str, String)>,
}

impl Document {
    /// `decision`: what `cargo bench --bench decide` printed.
    pub fn of(findings: &Findings, machine: &Machine, decision: &str) -> Result<Self> {
        let mut text = head(machine);
        text.push_str(&body(findings));
        let _ = writeln!(text, "\n## One decision\n\n{DECISION}\n\n```text\n{}\n```", decision.trim());
        Ok(Self { markdown: text, plots: plots(findings)? })
    }
}

/// All tables that there are findings for.
pub fn body(findings: &Findings) -> String {
    let sections = [
        costs::table(findings),
        numbers(findings),
        loops(findings),
        rates(findings),
        isolation(findings),
        findings.rest.as_ref().map(rest::section).unwrap_or_default(),
        simulator(findings),
    ];
    sections.concat()
}

const DECISION: &str =
    "`cargo bench --bench decide`: the pure function that looks at one object, with its allocations.";

fn head(machine: &Machine) -> String {
    let Machine { processor, cores, memory_gib, kubernetes, rustc } = machine;
    format!(
        "# Benchmarks\n\n\
        Written by `cargo xtask bench` (about 45 minutes). `cargo xtask bench --scenario NAME` measures one part of it anew.\n\n\
        | | |\n|---|---|\n\
        | processor | {processor}, {cores} cores |\n\
        | memory | {memory_gib} GiB |\n\
        | Kubernetes | {kubernetes}: kube-apiserver, etcd (without fsync) and kube-controller-manager |\n\
        | compiler | {rustc}, release profile |\n\n\
        Everything runs on this one machine: the API server, etcd, the operator (the chart's Deployment, release build), the \
        simulated Zenlayer (release build) and the bench, each a process of its own. No time is scaled. The chart's values are \
        the defaults, but for `deletion.massDeletionThreshold=0`, as nobody is there to approve, and \
        `zenlayer.requestsPerSecond`, which is what the simulator allows each account. `deletion.grace` is 10 s and counts \
        towards *took*, not towards *gone after DESTROYED*.\n\n\
        - *Calls* are those in the simulator's journal from the first deletion on, refused ones included. Every run also checks \
        that each port was destroyed by exactly one call that took effect, and that all objects are gone.\n\
        - *Gone after DESTROYED*: from when the cloud has destroyed the port, by the journal, to when a watch shows that the \
        object is gone; both by one clock. The poll interval is 10 s and a second reading, 5 s later, proves the absence, so that \
        5 to 16 s are what is to be expected, whatever the number.\n\
        - *Writes, Events and reads per object* are deltas of the API server's `apiserver_request_total`: while ports are \
        deleted only the operator writes and patches ZenlayerPorts, sends Events, and reads Secrets, the CRD and namespaces. The \
        bench's own DELETE and WATCH are left out.\n\
        - *Memory* is `VmRSS` at the end and `VmHWM`, the peak, of the operator's process; *CPU* is its user and system time.\n"
    )
}

fn numbers(findings: &Findings) -> String {
    if findings.numbers.is_empty() {
        return String::new();
    }
    format!(
        "\n## Ports deleted at once\n\n\
        Recycled ports, destroyed by the cloud in {}; {} requests a second and account. Rows up to 100 ports were measured at \
        the same time, each with its own operator and account, so that the API server's counts are not theirs alone.\n\n{}\n\
        ![Calls per port](benchmarks/calls.svg)\n\n![Latency](benchmarks/latency.svg)\n\n![Memory](benchmarks/memory.svg)\n",
        destroy(findings.numbers[0].layout.destroy),
        findings.numbers[0].layout.rate,
        deletions(&findings.numbers),
    )
}

fn rates(findings: &Findings) -> String {
    if findings.rates.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "requests/s allowed",
        "time to destroy",
        "calls per port",
        "429 answers",
        "took",
        "gone after DESTROYED: median / p99 / max",
    ]);
    for deletion in &findings.rates {
        let Layout { rate, destroy: time, .. } = deletion.layout;
        table.row([
            rate.to_string(),
            destroy(time),
            format!("{:.3}", deletion.calls_per_port()),
            deletion.calls.throttled.to_string(),
            seconds(deletion.took),
            spread(&deletion.lag),
        ]);
    }
    format!(
        "\n## Rates and times to destroy\n\n\
        {} ports in one account each; all rows at the same time, each with its own operator.\n\n{table}",
        findings.rates[0].layout.ports,
    )
}

fn deletions(deletions: &[Deletion]) -> Table {
    let mut table = Table::new(&[
        "ports",
        "accounts",
        "DestroyPort",
        "DescribePorts",
        "calls per port",
        "429 answers",
        "took",
        "gone after DESTROYED: median / p99 / max",
        "reconciles per object",
        "writes, Events, reads per object",
        "memory: end / peak",
        "CPU per 1,000",
    ]);
    for deletion in deletions {
        let Layout { ports, accounts, .. } = deletion.layout;
        let each = |count: f64| format!("{:.2}", count / small(ports));
        let requests = deletion.requests.as_ref().map_or_else(
            || "–".to_owned(),
            |it| format!("{}, {}, {}", each(it.object_writes()), each(it.events()), each(it.reads())),
        );
        table.row([
            thousands(ports),
            accounts.to_string(),
            thousands(deletion.calls.count("DestroyPort")),
            thousands(deletion.calls.count("DescribePorts")),
            format!("{:.3}", deletion.calls_per_port()),
            deletion.calls.throttled.to_string(),
            seconds(deletion.took),
            spread(&deletion.lag),
            each(deletion.reconciles),
            requests,
            memory(deletion.memory),
            format!("{:.2} s", deletion.cpu.as_secs_f64() * 1000.0 / small(ports)),
        ]);
    }
    table
}

fn loops(findings: &Findings) -> String {
    if findings.loops.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "loop",
        "ports",
        "DestroyPort",
        "DescribePorts",
        "calls per port",
        "times the operator's",
        "429 answers",
        "took",
        "seen gone after DESTROYED: median / p99 / max",
    ]);
    for run in &findings.loops {
        let ours = findings.numbers.iter().find(|it| {
            it.layout.ports == run.layout.ports
                && it.layout.accounts == 1
                && it.layout.destroy == run.layout.destroy
        });
        let ratio = ours.map(|ours| run.calls_per_port() / ours.calls_per_port());
        table.row([
            run.name.as_str().to_owned(),
            thousands(run.layout.ports),
            thousands(run.calls.count("DestroyPort")),
            thousands(run.calls.count("DescribePorts")),
            format!("{:.2}", run.calls_per_port()),
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}")),
            thousands(run.calls.throttled),
            seconds(run.took),
            spread(&run.lag),
        ]);
    }
    format!(
        "\n## The loop that most operators run\n\n\
        A reconcile per object that describes its own port, destroys it, and comes again after a pause, written as a client of \
        the same simulator with the operator's own signing client: the same {} requests a second, the same pauses after a 429. \
        There is no Kubernetes in these runs, so no grace, no record of a call and no second reading that proves an absence. \
        The pauses are those of openstack-resource-controller (`resource_actions.go:40`), cluster-api-provider-aws \
        (`awsmachine_controller.go:372`) and Crossplane (`managed/reconciler.go:1240`, which deletes in each reconcile while the \
        resource is there). All rows at the same time, each in its own account. A loop that wants more than is allowed is \
        slowed down by the limiter, which lowers its calls and raises its latency.\n\n{table}\n\
        Terraform's `zenlayercloud_sdn_port` is not a part of this run: its provider is not at hand offline, and reports the \
        end without a reading that confirms it.\n",
        findings.loops[0].layout.rate,
    )
}

fn isolation(findings: &Findings) -> String {
    let Some(calm) = findings.isolation.first() else { return String::new() };
    let mut table =
        Table::new(&["trouble of one account", "the others: median / p99 / max", "p99 against none", "took"]);
    for run in &findings.isolation {
        let ratio = run.lag.p99.as_secs_f64() / calm.lag.p99.as_secs_f64().max(0.001);
        table.row([
            run.trouble.as_str().to_owned(),
            spread(&run.lag),
            format!("{:+.1} %", (ratio - 1.0) * 100.0),
            seconds(run.took),
        ]);
    }
    format!(
        "\n## Tenants\n\n\
        1,000 ports over 20 accounts are deleted at once and destroyed by the cloud in 20 s (log-normal, so that no run owes its \
        figures to where its ports fall between two ticks), and one account is in trouble from before the first deletion until \
        the others are done; then it must come to its end too. *Gone after DESTROYED* of the other 19 accounts:\n\n{table}"
    )
}

fn simulator(findings: &Findings) -> String {
    findings.throughput.map_or_else(String::new, |it| {
        format!(
            "\n## The simulator\n\n\
            With {} ports it answers {:.0} signed readings of one port a second, while the client that asks uses the other core; \
            {:.0} per second of its own processor time, on its one thread. No figure above comes near that.\n",
            thousands(it.ports),
            it.per_second,
            it.per_core_second,
        )
    })
}

fn plots(findings: &Findings) -> Result<Vec<(&'static str, String)>> {
    if findings.numbers.is_empty() {
        return Ok(Vec::new());
    }
    let line = |name: &str, accounts: usize, y: &dyn Fn(&Deletion) -> f64| Series {
        name: name.to_owned(),
        points: findings
            .numbers
            .iter()
            .filter(|it| it.layout.accounts == accounts)
            .map(|it| (small(it.layout.ports), y(it)))
            .collect(),
    };
    let calls = |it: &Deletion| it.calls_per_port();
    let calls = [line("one account", 1, &calls), line("20 accounts", 20, &calls)];
    let latency = [
        line("median", 1, &|it| it.lag.median.as_secs_f64()),
        line("99th percentile", 1, &|it| it.lag.p99.as_secs_f64()),
        line("maximum", 1, &|it| it.lag.max.as_secs_f64()),
    ];
    let memory = [
        line("at the end", 1, &|it| mebibytes(it.memory.resident)),
        line("peak", 1, &|it| mebibytes(it.memory.peak)),
    ];
    Ok(vec![
        ("calls.svg", plot("Zenlayer calls", "calls per port", &calls)?),
        ("latency.svg", plot("From DESTROYED to gone, one account", "seconds", &latency)?),
        ("memory.svg", plot("Resident memory of the operator, one account", "MiB", &memory)?),
    ])
}

fn destroy(time: DestroyTime) -> String {
    match time {
        DestroyTime::Fixed(time) => format!("{} s", time.as_secs()),
        DestroyTime::LogNormal(median) => {
            format!("log-normal, median {} s, at most {}", median.as_secs(), seconds(time.longest()))
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn spread(spread: &crate::stats::Spread) -> String {
    let [median, p99, max] = [spread.median, spread.p99, spread.max].map(|it| it.as_secs_f64());
    format!("{median:.1} / {p99:.1} / {max:.1} s")
}

fn memory(memory: Memory) -> String {
    format!("{:.1} / {:.1} MiB", mebibytes(memory.resident), mebibytes(memory.peak))
}

fn mebibytes(kib: u64) -> f64 {
    Duration::from_millis(kib).as_secs_f64() * 1000.0 / 1024.0
}

/// With a comma between each three digits.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
