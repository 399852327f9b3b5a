//! A plan from a seed.
//!
//! Each kind of act and of fault takes part in half of the plans, and those that do are rare, come in bursts, or make a storm.
//! So there are plans in which only one thing is wrong, and it can last.

use std::time::Duration;

use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{Answer, Apply, ListFault, PortStatus, Rule};

use crate::chance::Dice;
use crate::plan::{Act, Config, Fault, Name, On, Plan, Port, Timed, Trouble, Writer};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How much there is in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 45 minutes.
    Short,
    /// 26 hours.
    Long,
    /// Hundreds of objects.
    Crowd,
}

impl Size {
    pub fn of(seed: u64) -> Self {
        match seed % 20 {
            3 => Self::Long,
            13 => Self::Crowd,
            _ => Self::Short,
        }
    }

    fn busy_ms(self) -> u64 {
        match self {
            Self::Short => 45 * MINUTE,
            Self::Long => 26 * HOUR,
            Self::Crowd => 30 * MINUTE,
        }
    }
}

impl Plan {
    pub fn from_seed(seed: u64) -> Self {
        Self::of_size(seed, Size::of(seed))
    }

    pub fn of_size(seed: u64, size: Size) -> Self {
        let mut plan = Self {
            busy_ms: size.busy_ms(),
            quiet_ms: 3 * HOUR,
            settled_ms: 2 * MINUTE,
            ..Self::new(seed, config(seed))
        };
        let objects = Cast::of(seed, size, &mut plan);
        objects.act(&mut plan);
        faults(seed, &mut plan);
        if Dice::new(seed, "writers").percent(30) {
            let mut dice = Dice::new(seed, "writer");
            let object = dice.pick(&objects.names).clone();
            plan.writers.push(Writer { object, every_ms: dice.between(1, 5) * SECOND });
        }
        plan.acts.sort_by_key(|timed| timed.at_ms);
        plan
    }
}

fn config(seed: u64) -> Config {
    let mut dice = Dice::new(seed, "config");
    let poll_s = *dice.pick(&[5, 10, 10, 30]);
    Config {
        replicas: *dice.pick(&[1, 2, 2]),
        grace_s: *dice.pick(&[0, 10, 10, 60]),
        poll_s,
        resync_s: *dice.pick(&[60, 300, 300]),
        mass_deletion_threshold: *dice.pick(&[0, 3, 20, 20]),
        require_approval: dice.percent(10),
        keep_copies: dice.percent(80),
        requests_per_second: *dice.pick(&[0.5, 2.0, 10.0, 10.0]),
        watch_namespaces: Vec::new(),
        latency_ms: *dice.pick(&[5, 40, 400]),
        clock_ahead_s: vec![*dice.pick(&[0, 0, 45, -90]), *dice.pick(&[0, 0, -30, 120])],
        terminate_s: *dice.pick(&[2, 5, 40]),
        destroy_s: *dice.pick(&[10, 60, 60, 600]),
        destroyed_listed_s: *dice.pick(&[0, 30, 600]),
    }
}

/// Who is there.
struct Cast {
    seed: u64,
    namespaces: Vec<String>,
    names: Vec<Name>,
    ports: Vec<String>,
}

impl Cast {
    fn of(seed: u64, size: Size, plan: &mut Plan) -> Self {
        let mut dice = Dice::new(seed, "objects");
        let (tenants, most) = match size {
            Size::Short | Size::Long => (dice.between(1, 3), 6),
            Size::Crowd => (dice.between(4, 12), 40),
        };
        let mut cast = Self { seed, namespaces: Vec::new(), names: Vec::new(), ports: Vec::new() };
        for tenant in 0..tenants {
            let namespace = format!("team-{}", char::from(b'a' + u8::try_from(tenant).unwrap_or_default()));
            for number in 0..dice.between(1, most) {
                cast.object(&mut dice, &namespace, number, plan);
            }
            cast.namespaces.push(namespace);
        }
        cast
    }

    fn object(&mut self, dice: &mut Dice, namespace: &str, number: u64, plan: &mut Plan) {
        let twin = self.ports.last().filter(|port| port.contains(namespace) && dice.percent(7)).cloned();
        let is_new = twin.is_none();
        let port = twin.unwrap_or_else(|| format!("port-{namespace}-{number}"));
        let status = dice.pick(&[PortStatus::Running, PortStatus::Recycled]).clone();
        let (prepaid, in_use, exists) = (dice.percent(5), dice.percent(5), !dice.percent(5));
        if is_new && exists {
            let account = namespace.to_owned();
            plan.ports.push(Port { id: port.clone(), account, status, prepaid, in_use });
        }
        let policy = *dice.pick(&DeletionPolicy::ALL);
        let object = Name::new(namespace, format!("edge-{number}"));
        let at_ms = if dice.percent(70) { 0 } else { dice.between(0, plan.busy_ms / 4) };
        plan.acts
            .push(Timed { at_ms, act: Act::Create { object: object.clone(), port: port.clone(), policy } });
        self.names.push(object);
        self.ports.push(port);
    }

    fn act(&self, plan: &mut Plan) {
        let mut dice = Dice::new(self.seed, "deletions");
        let at_once = dice.percent(30).then(|| dice.between(MINUTE, plan.busy_ms * 3 / 4));
        for object in &self.names {
            if dice.percent(85) {
                let spread = dice.between(MINUTE, plan.busy_ms * 3 / 4);
                let at_ms = at_once.map_or(spread, |at| at + dice.between(0, 20 * SECOND));
                plan.acts.push(Timed { at_ms, act: Act::Delete { object: object.clone() } });
            }
        }
        for kind in KINDS {
            let mut dice = Dice::new(self.seed, format!("act {}", kind.0));
            if !dice.percent(50) {
                continue;
            }
            let times = dice.between(1, kind.1 * (1 + plan.busy_ms / (3 * HOUR)));
            for _ in 0..times {
                let at_ms = dice.between(MINUTE, plan.busy_ms - 1);
                for (after_ms, act) in self.acts(kind.0, &mut dice, plan.config.replicas) {
                    plan.acts.push(Timed { at_ms: (at_ms + after_ms).min(plan.busy_ms - 1), act });
                }
            }
        }
    }

    /// What belongs together, and how long after the first.
    fn acts(&self, kind: &str, dice: &mut Dice, replicas: u8) -> Vec<(u64, Act)> {
        let object = dice.pick(&self.names).clone();
        let port = dice.pick(&self.ports).clone();
        let namespace = dice.pick(&self.namespaces).clone();
        let later = dice.between(SECOND, 10 * MINUTE);
        let replica = u8::try_from(dice.between(0, u64::from(replicas) - 1)).unwrap_or_default();
        let down_ms = *dice.pick(&[500, 500, 3 * SECOND, 40 * SECOND, 12 * MINUTE]);
        match kind {
            "policy" => vec![(0, Act::SetPolicy { object, policy: *dice.pick(&DeletionPolicy::ALL) })],
            "protect" => vec![
                (0, Act::Protect { object: object.clone(), on: true }),
                (later, Act::Protect { object, on: false }),
            ],
            "approve" => vec![(0, Act::Approve { object })],
            "approve all" => {
                self.names.iter().map(|object| (0, Act::Approve { object: object.clone() })).collect()
            }
            "touch" => vec![(0, Act::Touch { object, label: later })],
            "terminate" => vec![(0, Act::Terminate { port })],
            "restore" => vec![(0, Act::Restore { port })],
            "restore all" => self.ports.iter().map(|port| (0, Act::Restore { port: port.clone() })).collect(),
            "destroy" => vec![(0, Act::Destroy { port })],
            "reissue" => vec![(0, Act::Reissue { port })],
            "detach" => vec![(0, Act::Detach { port })],
            "rotate" => vec![(0, Act::Rotate { namespace })],
            "revoke" => vec![
                (0, Act::Rotate { namespace: namespace.clone() }),
                (later, Act::RevokeOldKeys { namespace }),
            ],
            "secret" => vec![
                (0, Act::DeleteSecret { namespace: namespace.clone() }),
                (later, Act::PutSecret { namespace }),
            ],
            "namespace" => vec![
                (0, Act::DeleteNamespace { namespace: namespace.clone() }),
                (later, Act::CreateNamespace { namespace }),
            ],
            "kind" => vec![
                (0, Act::DeleteDefinition),
                (later, Act::ForceDefinition),
                (later + 5 * SECOND, Act::ApplyDefinition),
            ],
            "crash" => vec![(0, Act::Crash { replica, down_ms })],
            "restart" => vec![(0, Act::Restart { replica, down_ms })],
            "history" => vec![(0, Act::ForgetHistory)],
            _ => Vec::new(),
        }
    }
}

/// The kinds of acts, and how many of each there are at most in three hours.
const KINDS: [(&str, u64); 19] = [
    ("policy", 4),
    ("protect", 3),
    ("approve", 8),
    ("approve all", 2),
    ("touch", 10),
    ("terminate", 4),
    ("restore", 5),
    ("restore all", 2),
    ("destroy", 2),
    ("reissue", 1),
    ("detach", 3),
    ("rotate", 3),
    ("revoke", 1),
    ("secret", 2),
    ("namespace", 1),
    ("kind", 1),
    ("crash", 6),
    ("restart", 3),
    ("history", 3),
];

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

fn faults(seed: u64, plan: &mut Plan) {
    let mut id = 0;
    for (name, places, troubles) in troubles() {
        let mut dice = Dice::new(seed, format!("fault {name}"));
        if !dice.percent(50) {
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
    if dice.percent(50) {
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
