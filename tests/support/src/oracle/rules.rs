//! The oracles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::PortStatus;

use super::{
    Change, ChangeRequest, Chronicle, Deletion, Evidence, Expected, Limits, Move, Mover, Oracle, Seen,
    Subject, Violation, Wish,
};

/// A call may leave so long after the record that justified it (`docs/architecture.md`, the record), in milliseconds.
const CALL_LEAVES_WITHIN_MS: u64 = 10_000;

/// All that does not hold; empty if all is well.
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    let Evidence { chronicle, subjects, texts, secrets, limits } = evidence;
    let say = |oracle, whats: Vec<String>| whats.into_iter().map(move |what| Violation { oracle, what });
    let each = |look: &dyn Fn(&Subject) -> Option<String>| subjects.iter().filter_map(look).collect();
    let moves = Moves::of(chronicle);
    let found = [
        (Oracle::NoLeak, each(&|subject| leak(subject, &moves))),
        (Oracle::NoWrongKill, wrong_kills(chronicle, subjects)),
        (Oracle::Bounded, unbounded(chronicle, &moves, *limits)),
        (Oracle::Liveness, each(&wrong_end)),
        (Oracle::Truth, subjects.iter().flat_map(untold).collect()),
        (Oracle::Isolation, each(&held_up)),
        (Oracle::NoSecret, told_secrets(texts, secrets)),
    ];
    found.into_iter().flat_map(|(oracle, whats)| say(oracle, whats)).collect()
}

/// Those of each port, in the order of time.
struct Moves<'a>(HashMap<&'a str, Vec<&'a Move>>);

impl<'a> Moves<'a> {
    fn of(chronicle: &'a Chronicle) -> Self {
        let mut moves = HashMap::<&str, Vec<&Move>>::new();
        for step in &chronicle.moves {
            moves.entry(&step.port_id).or_default().push(step);
        }
        Self(moves)
    }

    fn of_port(&self, port_id: &str) -> &[&'a Move] {
        self.0.get(port_id).map_or(&[], Vec::as_slice)
    }

    fn status_at(&self, port_id: &str, at_ms: u64) -> Option<&'a PortStatus> {
        let before = self.of_port(port_id).iter().rev().find(|step| step.at_ms <= at_ms);
        before?.to.as_ref()
    }

    /// The most times that DestroyPort took effect between two births of a port.
    fn destroys_in_one_life(&self, port_id: &str) -> usize {
        let steps = self.of_port(port_id).iter();
        let (most, last) = steps.fold((0, 0), |(most, count): (usize, usize), step| match step {
            Move { from: None, .. } => (most.max(count), 0),
            Move { to: Some(PortStatus::Destroying), by: Mover::Request, .. } => (most, count + 1),
            Move { .. } => (most, count),
        });
        most.max(last)
    }
}

fn leak(subject: &Subject, moves: &Moves<'_>) -> Option<String> {
    let gone_at = subject.gone_at_ms.filter(|_| subject.excused.is_none())?;
    let wish = subject.wishes.iter().rev().find(|wish| wish.at_ms <= gone_at)?;
    if wish.deletion == Deletion::NotAsked {
        return Some(format!("{subject} is gone, and nobody deleted it"));
    }
    let left = moves.status_at(&subject.port_id, gone_at);
    let released = match (wish.policy, left) {
        (DeletionPolicy::Retain, _) | (_, None | Some(PortStatus::Destroyed)) => true,
        (DeletionPolicy::Terminate, Some(status)) => {
            matches!(status, PortStatus::Recycled | PortStatus::Destroying)
        }
        (DeletionPolicy::Destroy | DeletionPolicy::TerminateAndDestroy, Some(_)) => false,
    };
    (!released).then(|| format!("{subject} went under {:?} while its port was {left:?}", wish.policy))
}

fn wrong_kills(chronicle: &Chronicle, subjects: &[Subject]) -> Vec<String> {
    let mut owners = HashMap::<&str, Vec<&Subject>>::new();
    for subject in subjects {
        owners.entry(&subject.port_id).or_default().push(subject);
    }
    let asked = |request: &ChangeRequest<'_>| {
        owners.get(request.port_id).is_some_and(|owners| owners.iter().any(|owner| owner.asks_for(request)))
    };
    let unasked = chronicle.changes().filter(|request| request.committed && !asked(request));
    unasked.map(|request| format!("{request} took effect, and no deleted object asked for it")).collect()
}

fn unbounded(chronicle: &Chronicle, moves: &Moves<'_>, limits: Limits) -> Vec<String> {
    let mut found = Vec::new();
    let mut sends = BTreeMap::<(&str, Change), Vec<u64>>::new();
    for request in chronicle.changes() {
        sends.entry((request.port_id, request.change)).or_default().push(request.at_ms);
    }
    for ((port, change), times) in &sends {
        if times.len() > limits.sends {
            found.push(format!("{change:?}Port of {port} was sent {} times, at {times:?} ms", times.len()));
        }
    }
    let ports: BTreeSet<&str> = sends.into_keys().map(|(port, _)| port).collect();
    for port in ports {
        let most = moves.destroys_in_one_life(port);
        if most > 1 {
            found.push(format!("port {port} was destroyed {most} times"));
        }
    }
    let reads = chronicle.count("DescribePorts");
    if reads > limits.reads {
        found.push(format!("{reads} readings, more than {}", limits.reads));
    }
    found
}

fn wrong_end(subject: &Subject) -> Option<String> {
    let shown = subject.reason.as_deref().unwrap_or("no reason");
    match (subject.expected, subject.gone_at_ms) {
        (Expected::Gone, Some(_)) | (Expected::Alive, None) | (Expected::Open, _) => None,
        (Expected::Gone, None) => Some(format!("{subject} does not go: {shown}")),
        (Expected::Held(reason), None) if shown == reason => None,
        (Expected::Held(reason), None) => Some(format!("{subject} is to be held as {reason} and is {shown}")),
        (Expected::Alive | Expected::Held(_), Some(_)) => Some(format!("{subject} is gone and was to stay")),
    }
}

fn untold(subject: &Subject) -> Vec<String> {
    let shown = subject.reason.as_deref().unwrap_or("nothing");
    let never = subject.told.iter().filter(|(_, seen)| *seen == Seen::Never);
    never
        .map(|(reason, _)| format!("{subject} never showed {reason}; in the end it showed {shown}"))
        .collect()
}

fn held_up(subject: &Subject) -> Option<String> {
    let until = subject.unaffected_until_ms?;
    let in_time = subject.gone_at_ms.is_some_and(|gone| gone <= until);
    (!in_time).then(|| format!("{subject} was held up by a fault that was not its own"))
}

/// So many characters of a password in a row are told by nobody by chance.
const TELLING: usize = 6;

fn told_secrets(texts: &[(String, String)], secrets: &[String]) -> Vec<String> {
    let parts = |secret: &String| {
        let characters: Vec<char> = secret.chars().collect();
        let parts = characters.windows(TELLING.min(characters.len())).map(|part| part.iter().collect());
        parts.collect::<Vec<String>>()
    };
    let parts: Vec<String> = secrets.iter().flat_map(parts).collect();
    let judged = texts.iter().filter_map(|(place, text)| {
        if text.trim().is_empty() {
            return Some(format!("{place} is empty, so it shows nothing"));
        }
        let told = parts.iter().any(|part| text.contains(part.as_str()));
        told.then(|| format!("{place} holds a part of a credential"))
    });
    judged.collect()
}

impl Subject {
    /// Whether this object justified a request that took effect.
    fn asks_for(&self, request: &ChangeRequest<'_>) -> bool {
        let ends = |index: usize| self.wishes.get(index + 1).map_or(u64::MAX, |next| next.at_ms);
        let in_force = |(index, wish): &(usize, &Wish)| {
            wish.at_ms <= request.at_ms && request.at_ms <= ends(*index).saturating_add(CALL_LEAVES_WITHIN_MS)
        };
        self.port_id == request.port_id
            && request.account == Some(self.account.as_str())
            && self.gone_at_ms.is_none_or(|gone| request.at_ms <= gone)
            && self.wishes.iter().enumerate().filter(in_force).any(|(_, wish)| wish.allows(request.change))
    }
}

impl Wish {
    fn allows(&self, change: Change) -> bool {
        self.deletion == Deletion::Asked
            && match self.policy {
                DeletionPolicy::Retain => false,
                DeletionPolicy::Destroy => change == Change::Destroy,
                DeletionPolicy::Terminate => change == Change::Terminate,
                DeletionPolicy::TerminateAndDestroy => true,
            }
    }
}
