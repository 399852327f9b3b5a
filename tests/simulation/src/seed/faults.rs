//! What goes wrong.

use std::time::Duration;

use zenlayer_simulator::{Answer, Apply, ListFault, Rule};

use super::{MINUTE, SECOND, SELDOM, USUAL};
use crate::chance::Dice;
use crate::plan::{Act, Fault, On, Plan, Trouble};

/// So many plans in a hundred are without faults.
const CALM: u64 = 12;
/// So many are that, or have one kind of fault.
const ALONE: u64 = 35;
/// So many are one of these, or have few kinds.
const FEW: u64 = 60;

/// What can go wrong, and where.
fn troubles() -> Vec<Kind> {
    [troubles_of_api(), troubles_of_zenlayer()].concat()
}

/// Its name, and of where and what one each is picked.
type Kind = (&'static str, Vec<On>, Vec<Trouble>);

fn troubles_of_api() -> Vec<Kind> {
    let api = |what: &str| On::Api(what.to_owned());
    let watch = || vec![On::Watch("zenlayerports".to_owned())];
    let anywhere = vec![
        api(""),
        api("PUT zenlayerports"),
        api("PATCH zenlayerports"),
        api("GET zenlayerports"),
        api("GET secrets"),
        api("POST secrets"),
        api("GET customresourcedefinitions"),
        api("PUT leases"),
    ];
    vec![
        ("api lost", anywhere.clone(), vec![Trouble::LostBefore, Trouble::LostAfter]),
        (
            "api silent",
            anywhere.clone(),
            vec![Trouble::Silence { carried_out: false }, Trouble::Silence { carried_out: true }],
        ),
        (
            "api refuses",
            anywhere.clone(),
            [500, 503, 504, 429].map(|status| Trouble::Refused { status }).to_vec(),
        ),
        ("api fails", anywhere.clone(), [500, 504].map(|status| Trouble::FailedAfter { status }).to_vec()),
        (
            "api late",
            anywhere.clone(),
            vec![Trouble::Late { ms: 3000 }, Trouble::Late { ms: 18_000 }, Trouble::Slow { ms: 9000 }],
        ),
        ("api twice", anywhere, vec![Trouble::Twice { after_ms: 20 }, Trouble::Twice { after_ms: 2000 }]),
        ("watch ends", watch(), vec![Trouble::Ends, Trouble::Breaks]),
        ("watch late", watch(), [2000, 20_000, 60_000].map(|ms| Trouble::Slow { ms }).to_vec()),
        ("watch silent", watch(), vec![Trouble::Silence { carried_out: true }]),
    ]
}

fn troubles_of_zenlayer() -> Vec<Kind> {
    let zenlayer = |what: &str| On::Zenlayer(what.to_owned());
    let calls =
        vec![zenlayer(""), zenlayer("DescribePorts"), zenlayer("TerminatePort"), zenlayer("DestroyPort")];
    let changes = vec![zenlayer("TerminatePort"), zenlayer("DestroyPort")];
    let rule = |rule: Rule| Trouble::Rule(Box::new(rule));
    let seconds = Duration::from_secs;
    vec![
        ("calls lost", calls.clone(), vec![Trouble::LostBefore, Trouble::LostAfter]),
        (
            "calls silent",
            calls.clone(),
            vec![Trouble::Silence { carried_out: false }, Trouble::Silence { carried_out: true }],
        ),
        (
            "calls late",
            calls.clone(),
            vec![Trouble::Late { ms: 5000 }, Trouble::Late { ms: 19_000 }, Trouble::Slow { ms: 15_000 }],
        ),
        (
            "status checks late",
            vec![zenlayer("DescribePorts")],
            [4000, 9000, 15_000].map(|ms| Trouble::Slow { ms }).to_vec(),
        ),
        (
            "calls twice",
            changes.clone(),
            vec![Trouble::Twice { after_ms: 50 }, Trouble::Twice { after_ms: 3000 }],
        ),
        (
            "throttled",
            calls.clone(),
            vec![
                rule(Rule::any().throttle(None)),
                rule(Rule::any().throttle(Some("7"))),
                rule(Rule::any().refuse(429, "SOMETHING_LIKE_TOO_MANY_REQUESTS")),
            ],
        ),
        (
            "paused",
            calls.clone(),
            ["20", "60", "240"].map(|seconds| rule(Rule::any().throttle(Some(seconds)))).to_vec(),
        ),
        (
            "refused",
            calls.clone(),
            vec![
                rule(Rule::any().refuse(500, "INTERNAL_ERROR")),
                rule(Rule::any().refuse(400, "OPERATION_DENIED_SOMETHING")),
                rule(Rule::any().refuse(401, "AUTHFAILURE_SIGNATURE_FAILURE")),
            ],
        ),
        (
            "spoiled",
            calls,
            vec![
                rule(Rule::any().answer(Answer::html(502))),
                rule(Rule::any().answer(Answer::empty())),
                rule(Rule::any().answer(Answer::Truncated)),
                rule(Rule::any().answer(Answer::redirect("https://example.com/login"))),
                rule(Rule::any().answer(Answer::Huge(50_000_000))),
            ],
        ),
        ("dropped", changes.clone(), vec![rule(Rule::any().apply(Apply::Never))]),
        (
            "carried out later",
            changes,
            vec![
                rule(Rule::any().apply(Apply::Late(seconds(8)))),
                rule(Rule::any().apply(Apply::Late(seconds(30)))),
            ],
        ),
    ]
}

/// What Zenlayer lists falsely.
fn lies() -> Vec<ListFault> {
    vec![
        ListFault::Empty,
        ListFault::Twice,
        ListFault::TotalCount(0),
        ListFault::TotalCount(7),
        ListFault::IgnoreIds,
    ]
}

pub(super) fn faults(seed: u64, plan: &mut Plan) {
    let kinds = troubles();
    let deletions: Vec<u64> = plan
        .acts
        .iter()
        .filter(|timed| matches!(timed.act, Act::Delete { .. }))
        .map(|timed| timed.at_ms)
        .collect();
    // In some plans nothing goes wrong, in some one thing, in some a few, and in most each of them may.
    let mut mood = Dice::new(seed, "mood");
    let (mood, alone) = (mood.between(0, 99), mood.between(0, kinds.len() as u64 - 1));
    for (number, (name, places, troubles)) in (0..).zip(kinds) {
        let mut dice = Dice::new(seed, format!("fault {name}"));
        let takes_part = dice.percent(if mood < FEW { SELDOM } else { USUAL });
        if mood < CALM || (mood < ALONE && number != alone) || (mood >= ALONE && !takes_part) {
            continue;
        }
        let (on, trouble) = (dice.pick(&places).clone(), dice.pick(&troubles).clone());
        let replica = (plan.config.replicas > 1 && dice.percent(30)).then_some(0);
        for window in windows(&mut dice, plan.busy_ms, &deletions) {
            add(plan, &window, replica, &on, trouble.clone());
        }
    }
    let mut dice = Dice::new(seed, "fault lies");
    if dice.percent(USUAL) && mood >= FEW {
        let on = On::Zenlayer("DescribePorts".to_owned());
        for window in windows_of_lies(&mut dice, plan.busy_ms) {
            let trouble = Trouble::Rule(Box::new(Rule::any().list([dice.pick(&lies()).clone()])));
            add(plan, &window, None, &on, trouble);
        }
    }
}

/// When a fault is on, and that it meets one of so many requests.
struct Window {
    from_ms: u64,
    until_ms: u64,
    one_in: u64,
}

fn add(plan: &mut Plan, window: &Window, replica: Option<u8>, on: &On, trouble: Trouble) {
    let id = plan.faults.len() as u64 + 1;
    let Window { from_ms, until_ms, one_in } = *window;
    plan.faults.push(Fault { id, from_ms, until_ms, replica, on: on.clone(), trouble, one_in });
}

/// Over the whole time, in short bursts, or all at once for a while. Some bursts come when something is deleted.
fn windows(dice: &mut Dice, busy_ms: u64, deletions: &[u64]) -> Vec<Window> {
    match dice.between(0, 2) {
        0 => vec![Window { from_ms: 0, until_ms: busy_ms, one_in: dice.between(3, 40) }],
        1 => (0..dice.between(1, 4))
            .map(|_| {
                let any = dice.between(0, busy_ms - 4 * MINUTE);
                let from_ms = match deletions {
                    [] => any,
                    _ if dice.percent(50) => any,
                    _ => (dice.pick(deletions) + dice.between(0, 20 * SECOND)).min(busy_ms - 4 * MINUTE),
                };
                let until_ms = from_ms + dice.between(20 * SECOND, 3 * MINUTE);
                Window { from_ms, until_ms, one_in: 2 }
            })
            .collect(),
        _ => {
            let from_ms = dice.between(0, busy_ms - 14 * MINUTE);
            let until_ms = from_ms + dice.between(3 * MINUTE, 13 * MINUTE);
            vec![Window { from_ms, until_ms, one_in: 1 }]
        }
    }
}

fn windows_of_lies(dice: &mut Dice, busy_ms: u64) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut from_ms = dice.between(0, 20 * MINUTE);
    while from_ms + LIE_MS < busy_ms {
        windows.push(Window { from_ms, until_ms: from_ms + LIE_MS, one_in: 1 });
        from_ms += LIE_MS + dice.between(BETWEEN_LIES_MS, 4 * BETWEEN_LIES_MS);
    }
    windows
}

/// Zenlayer lists falsely for so short a time that one status check of a port sees it, and then not again for so long.
pub(crate) const LIE_MS: u64 = 4 * SECOND;
pub(crate) const BETWEEN_LIES_MS: u64 = 11 * MINUTE;
