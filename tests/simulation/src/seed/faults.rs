//! What goes wrong.

use std::time::Duration;

use zenlayer_simulator::{Answer, Apply, ListFault, Rule};

use super::{MINUTE, SECOND};
use crate::chance::Dice;
use crate::plan::{Fault, On, Plan, Trouble};

/// So many plans in a hundred are without faults.
const CALM: u64 = 12;
/// So many are that, or have one kind of fault.
const ALONE: u64 = 40;

/// What can go wrong, and where.
fn troubles() -> Vec<(&'static str, Vec<On>, Vec<Trouble>)> {
    let api = |what: &str| On::Api(what.to_owned());
    let watch = || vec![On::Watch("zenlayerports".to_owned())];
    let zenlayer = |what: &str| On::Zenlayer(what.to_owned());
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
    let calls =
        vec![zenlayer(""), zenlayer("DescribePorts"), zenlayer("TerminatePort"), zenlayer("DestroyPort")];
    let changes = vec![zenlayer("TerminatePort"), zenlayer("DestroyPort")];
    let rule = |rule: Rule| Trouble::Rule(Box::new(rule));
    let seconds = Duration::from_secs;
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
        ("watch late", watch(), vec![Trouble::Slow { ms: 2000 }, Trouble::Slow { ms: 20_000 }]),
        ("watch silent", watch(), vec![Trouble::Silence { carried_out: true }]),
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
                rule(Rule::any().throttle(Some("240"))),
            ],
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
    let mut id = 0;
    let kinds = troubles();
    // In some plans nothing goes wrong, in some one thing, and in most each of them may.
    let mut mood = Dice::new(seed, "mood");
    let (mood, alone) = (mood.between(0, 99), mood.between(0, kinds.len() as u64 - 1));
    for (number, (name, places, troubles)) in (0..).zip(kinds) {
        let mut dice = Dice::new(seed, format!("fault {name}"));
        let takes_part = dice.percent(50);
        if mood < CALM || (mood < ALONE && number != alone) || (mood >= ALONE && !takes_part) {
            continue;
        }
        let (on, trouble) = (dice.pick(&places).clone(), dice.pick(&troubles).clone());
        let replica = (plan.config.replicas > 1 && dice.percent(30)).then_some(0);
        // Over the whole time, in short bursts, or all at once for a while.
        let windows: Vec<(u64, u64, u64)> = match dice.between(0, 2) {
            0 => vec![(0, plan.busy_ms, dice.between(10, 40))],
            1 => (0..dice.between(1, 4))
                .map(|_| {
                    let from = dice.between(0, plan.busy_ms - 4 * MINUTE);
                    (from, from + dice.between(20 * SECOND, 3 * MINUTE), 2)
                })
                .collect(),
            _ => {
                let from = dice.between(0, plan.busy_ms - 14 * MINUTE);
                vec![(from, from + dice.between(3 * MINUTE, 13 * MINUTE), 1)]
            }
        };
        for (from_ms, until_ms, one_in) in windows {
            id += 1;
            plan.faults.push(Fault {
                id,
                from_ms,
                until_ms,
                replica,
                on: on.clone(),
                trouble: trouble.clone(),
                one_in,
            });
        }
    }
    let mut dice = Dice::new(seed, "fault lies");
    if dice.percent(50) && mood >= ALONE {
        let mut from_ms = dice.between(0, 20 * MINUTE);
        while from_ms + LIE_MS < plan.busy_ms {
            id += 1;
            let trouble = Trouble::Rule(Box::new(Rule::any().list([dice.pick(&lies()).clone()])));
            let on = On::Zenlayer("DescribePorts".to_owned());
            plan.faults.push(Fault {
                id,
                from_ms,
                until_ms: from_ms + LIE_MS,
                replica: None,
                on,
                trouble,
                one_in: 1,
            });
            from_ms += LIE_MS + dice.between(BETWEEN_LIES_MS, 4 * BETWEEN_LIES_MS);
        }
    }
}

/// Zenlayer lists falsely for so short a time that one status check of a port sees it, and then not again for so long.
pub(crate) const LIE_MS: u64 = 4 * SECOND;
pub(crate) const BETWEEN_LIES_MS: u64 = 11 * MINUTE;
