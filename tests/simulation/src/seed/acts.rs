//! What people do.
//!
//! Each kind of act takes part in half of the plans, or in one of eight of those in which people do little.

use zenlayer_port_operator::api::DeletionPolicy;

use super::{Cast, HOUR, MINUTE, SECOND, SELDOM, USUAL};
use crate::chance::Dice;
use crate::plan::{Act, HOME, Name, Plan, Port, Timed};

impl Cast {
    pub(super) fn act(&mut self, plan: &mut Plan) {
        let mut dice = Dice::new(self.seed, "deletions");
        let at_once = dice.percent(40).then(|| dice.between(MINUTE, plan.busy_ms * 3 / 4));
        for object in &self.names {
            if dice.percent(85) {
                let spread = dice.between(MINUTE, plan.busy_ms * 3 / 4);
                let at_ms = at_once.map_or(spread, |at| at + dice.between(0, 20 * SECOND));
                plan.acts.push(Timed { at_ms, act: Act::Delete { object: object.clone() } });
            }
        }
        let share = *Dice::new(self.seed, "share").pick(&[USUAL, USUAL, USUAL, SELDOM]);
        for kind in KINDS {
            let mut dice = Dice::new(self.seed, format!("act {}", kind.0));
            if !dice.percent(share) {
                continue;
            }
            let times = dice.between(1, kind.1 * (1 + plan.busy_ms / (3 * HOUR)));
            for _ in 0..times {
                let together = self.acts(kind.0, &mut dice, plan.config.replicas);
                let together = together.or_else(|| self.scene(kind.0, &mut dice, plan)).unwrap_or_default();
                // People act until the end of what they began, if there is the time.
                let lasts = together.iter().map(|(after_ms, _)| *after_ms).max().unwrap_or_default();
                let latest = (plan.busy_ms - 1).saturating_sub(lasts).max(MINUTE);
                let at_ms = dice.between(MINUTE, latest);
                for (after_ms, act) in together {
                    plan.acts.push(Timed { at_ms: (at_ms + after_ms).min(plan.busy_ms - 1), act });
                }
            }
        }
    }

    /// What belongs together, and how long after the first.
    fn acts(&self, kind: &str, dice: &mut Dice, replicas: u8) -> Option<Vec<(u64, Act)>> {
        let object = dice.pick(&self.names).clone();
        let port = dice.pick(&self.ports).clone();
        let namespace = dice.pick(&self.namespaces).clone();
        let later = dice.between(SECOND, 10 * MINUTE);
        let replica = u8::try_from(dice.between(0, u64::from(replicas) - 1)).unwrap_or_default();
        let down_ms = *dice.pick(&[500, 500, 3 * SECOND, 40 * SECOND, 12 * MINUTE]);
        Some(match kind {
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
            "stall" => vec![(0, Act::Stall { ms: *dice.pick(&[3, 8, 20, 40]) * SECOND })],
            "suspend" => vec![(0, Act::Suspend { port: port.clone() }), (later, Act::Resume { port })],
            "hold" => vec![
                (0, Act::Hold { object: object.clone(), on: true }),
                (later, Act::Hold { object, on: false }),
            ],
            "deny" => vec![(0, Act::Deny { statuses: dice.percent(50) }), (later, Act::Allow)],
            _ => return None,
        })
    }

    /// The same for what needs ports, objects or namespaces of its own.
    fn scene(&mut self, kind: &str, dice: &mut Dice, plan: &mut Plan) -> Option<Vec<(u64, Act)>> {
        let which = dice.between(0, self.names.len() as u64 - 1);
        let which = usize::try_from(which).unwrap_or_default();
        let (object, port) = (self.names[which].clone(), self.ports[which].clone());
        let namespace = object.namespace.clone();
        let policy = *dice.pick(&DeletionPolicy::ALL);
        Some(match kind {
            // Something uses the port of an object that is deleted, and goes later.
            "users" if dice.percent(50) => {
                let (object, port) = Self::newcomer("used", &namespace, plan, dice);
                if let Some(made) = plan.ports.iter_mut().find(|it| it.id == port) {
                    made.in_use = true;
                }
                let deleted = dice.between(10 * SECOND, 3 * MINUTE);
                let free = deleted + dice.between(MINUTE, 12 * MINUTE);
                vec![
                    (0, Act::Create { object: object.clone(), port: port.clone(), policy }),
                    (deleted, Act::Delete { object }),
                    (free, Act::RecycleUsers { port }),
                ]
            }
            "users" | "detach" => {
                let used: Vec<&Port> = plan.ports.iter().filter(|port| port.in_use).collect();
                if used.is_empty() {
                    return None;
                }
                let port = dice.pick(&used).id.clone();
                vec![(0, if kind == "users" { Act::RecycleUsers { port } } else { Act::Detach { port } })]
            }
            // Another namespace with the same key takes the port over.
            "hand over" => {
                let guest = format!("guest-of-{namespace}");
                plan.guests.insert(guest.clone(), namespace.clone());
                let heir = Name::new(guest, object.name.clone());
                let soon = 5 * MINUTE + dice.between(100, 5 * SECOND);
                let mut acts = vec![
                    (5 * MINUTE, Act::Create { object: heir, port, policy }),
                    (soon, Act::Delete { object }),
                ];
                // Perhaps that one keeps the older of two keys.
                acts.extend(dice.percent(50).then_some((0, Act::Rotate { namespace })));
                acts
            }
            // Somebody knows another's key id, and names its ports.
            "hostile" => {
                let hostile = "team-x".to_owned();
                let mut acts =
                    vec![(0, Act::Forge { namespace: hostile.clone(), victim: namespace.clone() })];
                for number in 0..dice.between(1, 5) {
                    let object = Name::new(hostile.clone(), format!("edge-{number}"));
                    let port = dice.pick(&self.ports).clone();
                    let policy = DeletionPolicy::TerminateAndDestroy;
                    acts.push((SECOND, Act::Create { object: object.clone(), port, policy }));
                    acts.push((dice.between(20 * SECOND, 5 * MINUTE), Act::Delete { object }));
                }
                // Its namespace is made with an object at the beginning.
                let first =
                    Act::Create { object: Name::new(hostile, "first"), port, policy: DeletionPolicy::Retain };
                plan.acts.push(Timed { at_ms: 0, act: first });
                acts
            }
            "thief" => {
                let object = Name::new(HOME, format!("thief-{which}"));
                let later = dice.between(20 * SECOND, 5 * MINUTE);
                vec![(0, Act::Steal { object: object.clone(), port }), (later, Act::Delete { object })]
            }
            "limited" => {
                let own = self.names.iter().zip(&self.ports).filter(|(name, _)| name.namespace == namespace);
                let ports = own.map(|(_, port)| port.clone()).filter(|_| dice.percent(50)).collect();
                let later = dice.between(10 * SECOND, 5 * MINUTE);
                vec![
                    (0, Act::RotateLimited { namespace: namespace.clone(), ports }),
                    (later, Act::RevokeOldKeys { namespace }),
                ]
            }
            _ => return self.drama(kind, dice, plan, (object, port, policy)),
        })
    }

    /// The same for what takes several steps.
    fn drama(
        &self,
        kind: &str,
        dice: &mut Dice,
        plan: &mut Plan,
        (object, port, policy): (Name, String, DeletionPolicy),
    ) -> Option<Vec<(u64, Act)>> {
        let namespace = object.namespace.clone();
        Some(match kind {
            // `kubectl delete -f` with a Secret and objects in one file.
            "file" => {
                let (namespace, own) = if dice.percent(50) {
                    Self::file(plan, dice)
                } else {
                    let own =
                        self.names.iter().filter(|name| name.namespace == namespace && dice.percent(70));
                    (namespace.clone(), own.cloned().collect())
                };
                let deleted =
                    own.into_iter().map(|object| (dice.between(100, SECOND), Act::Delete { object }));
                let mut acts: Vec<_> = deleted.collect();
                let secret = *dice.pick(&[0, 200, 2 * SECOND, 5 * SECOND]);
                acts.push((secret, Act::DeleteSecret { namespace: namespace.clone() }));
                acts.extend(dice.percent(30).then_some((15 * MINUTE, Act::PutSecret { namespace })));
                acts
            }
            // A namespace is deleted, made again, used again, and perhaps deleted again.
            "again" => {
                let mut acts = vec![(0, Act::DeleteNamespace { namespace: namespace.clone() })];
                for minute in [1, 3, 6] {
                    acts.push((minute * MINUTE, Act::CreateNamespace { namespace: namespace.clone() }));
                }
                for number in 0..2 {
                    let port = Self::port(&namespace, plan, dice);
                    let object = Name::new(namespace.clone(), format!("late-{number}"));
                    acts.push((7 * MINUTE, Act::Create { object, port, policy }));
                }
                acts.extend(dice.percent(50).then_some((15 * MINUTE, Act::DeleteNamespace { namespace })));
                acts
            }
            // Somebody restores the port whenever it is in the bin, and somebody else approves that it goes there.
            "tug" => {
                let policy = DeletionPolicy::TerminateAndDestroy;
                let mut acts = vec![
                    (0, Act::SetPolicy { object: object.clone(), policy }),
                    (SECOND, Act::Delete { object: object.clone() }),
                ];
                let mut at = 10 * SECOND;
                for _ in 0..dice.between(2, 5) {
                    for _ in 0..20 {
                        at += dice.between(SECOND, 5 * SECOND);
                        acts.push((at, Act::Restore { port: port.clone() }));
                    }
                    acts.push((at, Act::Approve { object: object.clone() }));
                }
                acts
            }
            "reissue, delete" => {
                let soon = dice.between(SECOND, 25 * SECOND);
                vec![(0, Act::Reissue { port }), (soon, Act::Delete { object })]
            }
            "reissue twice" => {
                let (object, port) = Self::newcomer("reissued", &namespace, plan, dice);
                let policy = *dice.pick(&[DeletionPolicy::Destroy, DeletionPolicy::TerminateAndDestroy]);
                let again = 8 * MINUTE + dice.between(10 * SECOND, 2 * MINUTE);
                vec![
                    (0, Act::Create { object: object.clone(), port: port.clone(), policy }),
                    (2 * MINUTE, Act::Reissue { port: port.clone() }),
                    (8 * MINUTE, Act::Approve { object: object.clone() }),
                    (again, Act::Reissue { port }),
                    (again + dice.between(SECOND, 2 * MINUTE), Act::Delete { object }),
                ]
            }
            // An object is made by mistake, and deleted again at once.
            "mistake" => {
                let (object, port) = Self::newcomer("mistake", &namespace, plan, dice);
                let soon = dice.between(50, 4 * SECOND);
                vec![
                    (0, Act::Create { object: object.clone(), port, policy }),
                    (soon, Act::Delete { object }),
                ]
            }
            // All of a namespace is deleted, and somebody takes the ports out of the bin again.
            "regret" => {
                let of_it = |(name, _): &(&Name, &String)| name.namespace == namespace;
                let own: Vec<_> = self.names.iter().zip(&self.ports).filter(of_it).collect();
                let mut acts = Vec::new();
                for (object, _) in &own {
                    let object = (*object).clone();
                    acts.push((dice.between(0, SECOND), Act::Delete { object }));
                }
                for (_, port) in own {
                    for _ in 0..3 {
                        let at = dice.between(5 * SECOND, 90 * SECOND);
                        acts.push((at, Act::Restore { port: port.clone() }));
                    }
                }
                acts
            }
            // Nobody works for a while, and people go on.
            "down" => {
                let down_ms = *dice.pick(&[3 * MINUTE, 12 * MINUTE, 32 * MINUTE]);
                let stop = |replica| (0, Act::Restart { replica, down_ms });
                let own = self.names.iter().filter(|name| name.namespace == namespace);
                let deleted = own.map(|object| (MINUTE, Act::Delete { object: object.clone() }));
                (0..plan.config.replicas).map(stop).chain(deleted).collect()
            }
            _ => return None,
        })
    }
}

impl Cast {
    /// An object that is made later, with a port of its own.
    fn newcomer(what: &str, namespace: &str, plan: &mut Plan, dice: &mut Dice) -> (Name, String) {
        let port = Self::port(namespace, plan, dice);
        (Name::new(namespace, format!("{what}-{}", plan.ports.len())), port)
    }

    /// A namespace of its own, and what a file has made there at the beginning.
    fn file(plan: &mut Plan, dice: &mut Dice) -> (String, Vec<Name>) {
        let namespace = format!("file-{}", plan.ports.len());
        let mut objects = Vec::new();
        for number in 0..dice.between(1, 3) {
            let (object, policy) =
                (Name::new(namespace.clone(), format!("edge-{number}")), *dice.pick(&DeletionPolicy::ALL));
            let port = Self::port(&namespace, plan, dice);
            plan.acts.push(Timed { at_ms: 0, act: Act::Create { object: object.clone(), port, policy } });
            objects.push(object);
        }
        (namespace, objects)
    }
}

/// The kinds of acts, and how many of each there are at most in three hours.
const KINDS: [(&str, u64); 36] = [
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
    ("stall", 3),
    ("users", 2),
    ("suspend", 1),
    ("hold", 2),
    ("deny", 1),
    ("hand over", 2),
    ("hostile", 1),
    ("thief", 1),
    ("limited", 1),
    ("file", 1),
    ("again", 1),
    ("tug", 1),
    ("reissue, delete", 1),
    ("reissue twice", 1),
    ("regret", 2),
    ("mistake", 2),
    ("down", 1),
];
