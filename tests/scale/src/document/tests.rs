use super::*;
use crate::deletion::Calls;
use crate::stats::Spread;

fn deletion(ports: usize, rate: f64) -> Deletion {
    let second = Duration::from_secs(1);
    Deletion {
        layout: Layout { ports, accounts: 1, rate, destroy: DestroyTime::Fixed(60 * second) },
        filled: second,
        took: 80 * second,
        calls: Calls {
            by_action: [("DestroyPort".to_owned(), ports), ("DescribePorts".to_owned(), ports / 10)].into(),
            throttled: 0,
        },
        lag: Spread { median: 7 * second, p99: 15 * second, max: 17 * second },
        reconciles: small(ports * 4),
        cpu: second,
        memory: Memory { resident: 20 * 1024, peak: 30 * 1024 },
        requests: None,
    }
}

#[test]
fn what_was_not_measured_is_not_told() {
    assert_eq!(body(&Findings::default()), "");
}

#[test]
fn a_cost_beyond_its_bound_is_told_as_missed() {
    let findings = Findings { rates: vec![deletion(1000, 40.0)], ..Findings::default() };
    let text = body(&findings);
    for row in ["| 1.15 | 1.10 | held |", "| 8 s | 7.00 s | held |", "| 16 s | 17.00 s | missed |"] {
        assert!(text.contains(row), "{row} is missing from\n{text}");
    }
}

#[test]
fn a_cost_that_is_shown_as_its_bound_is_held() {
    let mut at_the_bound = deletion(1000, 40.0);
    at_the_bound.calls.by_action.insert("DescribePorts".to_owned(), 150);
    let text = body(&Findings { rates: vec![at_the_bound], ..Findings::default() });
    assert!(text.contains("| 1.15 | 1.15 | held |"), "{text}");
}

#[test]
fn the_document_shows_each_plot_once_and_names_no_place() {
    let machine = Machine {
        processor: "Abacus".to_owned(),
        cores: 2,
        memory_gib: 8,
        kubernetes: "v1.2.3".to_owned(),
        rustc: "rustc 1.95".to_owned(),
        commit: "0123456789".to_owned(),
    };
    let findings = Findings { numbers: vec![deletion(1, 200.0), deletion(10, 200.0)], ..Findings::default() };
    let document = Document::of(&findings, &machine, "decide  1 µs").expect("it can be drawn");
    for (file, _) in &document.plots {
        assert_eq!(document.markdown.matches(file).count(), 1, "{file} in\n{}", document.markdown);
    }
    assert!(!document.markdown.contains(env!("CARGO_MANIFEST_DIR")), "{}", document.markdown);
}

#[test]
fn numbers_are_grouped_by_thousands() {
    assert_eq!([7, 1000, 12_345_678].map(thousands), ["7", "1,000", "12,345,678"]);
}
