//! `docs/pace.md`: what calls and time cost each other.

use std::fmt::Write as _;
use std::fs;

use super::account::Reads;
use super::releases::{Outcome, Scenario, Takes, play};
use super::*;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pace.md");

const HEAD: &str = "\
# How often a port is checked while it is destroyed

`cargo test --lib mirror::tests::curve -- --ignored` writes this document. Do not edit it.

The operator learns how long the ports of an account take to be destroyed ([how](architecture.md#checking-ports)). This document shows
what that costs and what it brings. The numbers come from the operator's own code (`src/mirror`) in simulated time, so every run gives
the same numbers. A simple limiter, a simple reconcile (0.2 s) and a simple cloud stand around that code.
[Benchmarks](benchmarks.md) measures the whole operator. There, a constant interval of 10 s took 10.9 s and 1.145 calls. Here it takes
10.5 s and 1.10 calls, because deletions and reconciles take longer on a real machine.

- *Calls* are `DestroyPort` and `DescribePorts` requests for each port.
- *Gone after DESTROYED* is the time from the destruction in the cloud to the end of the object: median and 99th percentile.
- *First* is the first release after the start of the operator: it has learnt nothing. *Later* is the next one in the same account.
";

const CURVE: &str = "
## Calls against time

1,000 ports are deleted at once, and the account allows 40 requests a second. The only parameter is the price of a call (`worth` in
`src/mirror/settings.rs`). The operator makes one more call when the ports that it would check have been gone for that long, all
together and as far as the operator can foresee it. The operator uses 5 min.
";

const LIMIT: &str = "
**The limit.** The second check comes 5 s after the first and can wait 0.25 s more for others, and two reconciles follow. So about
5.7 s is the least, for any number of calls. On top of that comes half of the time between two checks. The operator makes at most four
checks in 10 s, which gives 6.6 s. Each check of a port costs one hundredth of a call.

- If all ports take the same time, the operator checks often only around that time. Then 7.2 s cost less than 10.5 s did with a constant
  interval. In the first release, it checks every port every 10 s until the first port is gone. If many ports are being destroyed, it checks the
  ports that it saw first up to four times as often, with one call for all of them, from the age of 30 s on.
- If the times differ much, nobody can know which port is next. Then a shorter time needs more checks of every port: 7.7 s cost about
  0.04 calls more for each port. With the price of 5 min, the operator uses mainly the room that requests have anyway.
";

const OTHERS: &str = "
## Other numbers of ports, other times

*Constant* is the same operator with a constant interval of 10 s.
";

/// The prices of a call.
const PRICES: [(&str, Duration); 8] = [
    ("10 s", Duration::from_secs(10)),
    ("30 s", Duration::from_secs(30)),
    ("1 min", Duration::from_mins(1)),
    ("2 min", Duration::from_mins(2)),
    ("**5 min**", Duration::from_mins(5)),
    ("10 min", Duration::from_mins(10)),
    ("20 min", Duration::from_mins(20)),
    ("none is worth it", Duration::MAX),
];

fn spread(outcome: &Outcome) -> String {
    format!("{:.3} | {:.1} / {:.1} s", outcome.calls_per_port, outcome.median, outcome.p99)
}

fn curve(text: &mut String) {
    let about = |takes| Scenario::new(1000, 40, takes);
    for (title, scenario) in [
        ("60 s to destroy each", about(Takes::Seconds(60))),
        ("about 60 s (log-normal)", about(Takes::About(60))),
    ] {
        let _ = write!(
            text,
            "\n{title}:\n\n| price of a call | first: calls | gone after DESTROYED | later: calls | gone after DESTROYED |\n\
            |---|---|---|---|---|\n"
        );
        let constant = play(MirrorSettings::default(), Reads::ByConstantTick, &[scenario; 2]);
        let _ = writeln!(text, "| constant interval | {} | {} |", spread(&constant[0]), spread(&constant[1]));
        for (name, worth) in PRICES.iter().rev() {
            let settings = MirrorSettings { worth: *worth, ..MirrorSettings::default() };
            let outcomes = play(settings, Reads::AsShipped, &[scenario; 2]);
            let _ = writeln!(text, "| {name} | {} | {} |", spread(&outcomes[0]), spread(&outcomes[1]));
        }
    }
}

fn others(text: &mut String) {
    text.push_str(
        "\n| ports | requests/s | time to destroy | constant: calls | gone after DESTROYED | first: calls | gone after DESTROYED \
        | later: calls | gone after DESTROYED |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let minute = Takes::Seconds(60);
    for (ports, per_second, takes, name) in [
        (1, 40, minute, "60 s"),
        (10, 40, minute, "60 s"),
        (100, 40, minute, "60 s"),
        (1000, 40, minute, "60 s"),
        (1000, 200, minute, "60 s"),
        (1000, 10, minute, "60 s"),
        (10, 40, Takes::About(60), "about 60 s"),
        (100, 40, Takes::About(60), "about 60 s"),
        (1000, 40, Takes::About(20), "about 20 s"),
        (1000, 40, Takes::Seconds(10), "10 s"),
        (1000, 40, Takes::Either(20, 300), "20 s or 300 s"),
        (100, 40, Takes::Seconds(3600), "1 h"),
        (100, 40, Takes::About(3600), "about 1 h"),
    ] {
        let scenario = Scenario::new(ports, per_second, takes);
        let constant = play(MirrorSettings::default(), Reads::ByConstantTick, &[scenario])[0];
        let shipped = play(MirrorSettings::default(), Reads::AsShipped, &[scenario; 2]);
        let _ = writeln!(
            text,
            "| {ports} | {per_second} | {name} | {} | {} | {} |",
            spread(&constant),
            spread(&shipped[0]),
            spread(&shipped[1])
        );
    }
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(CURVE);
    curve(&mut text);
    text.push_str(LIMIT);
    text.push_str(OTHERS);
    others(&mut text);
    text
}

#[test]
fn the_document_shows_what_the_operator_does() {
    let scenario = Scenario::new(1000, 40, Takes::Seconds(60));
    let outcomes = play(MirrorSettings::default(), Reads::AsShipped, &[scenario; 2]);
    let row = format!("| **5 min** | {} | {} |", spread(&outcomes[0]), spread(&outcomes[1]));
    let document = fs::read_to_string(DOCUMENT).expect("docs/pace.md can be read");
    assert!(
        document.contains(&row),
        "docs/pace.md is old; its first line says how to write it. It lacks: {row}"
    );
}

#[test]
#[ignore = "writes docs/pace.md"]
fn write_the_document() {
    fs::write(DOCUMENT, document()).expect("docs/pace.md can be written");
}
