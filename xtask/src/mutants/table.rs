//! The ways in which the decision could be wrong, each of which some test must notice.

use crate::mutation::Mutant;

const DELETION: &str = "src/decision/deletion.rs";
const CASE: &str = "src/decision/case.rs";
const LATCH: &str = "src/decision/latch.rs";
const GATES: &str = "src/decision/gates.rs";
const FACTS: &str = "src/decision/facts.rs";
const PROOF: &str = "src/decision/proof.rs";
const RECORD: &str = "src/decision/record.rs";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "no settling: a call of unknown fate is repeated at once",
        file: RECORD,
        search: "let settled = known + input.timing.settle;",
        replacement: "let settled = known;",
    },
    Mutant {
        name: "a call settles by time alone, without a reading from after it",
        file: RECORD,
        search: "if reading.at >= settled {",
        replacement: "if now >= settled {",
    },
    Mutant {
        name: "a second call while the record of one is pending",
        file: RECORD,
        search: "_ if call.landed && reading.at >= known => Standing::Free,",
        replacement: "_ if call.landed || call.outcome == (CallOutcome::Pending {}) => Standing::Free,",
    },
    Mutant {
        name: "what was read before a call that has landed since counts",
        file: RECORD,
        search: "_ if call.landed && reading.at >= known => Standing::Free,",
        replacement: "_ if call.landed => Standing::Free,",
    },
    Mutant {
        name: "an accepted call is not awaited",
        file: RECORD,
        search: "let given_up = known + input.timing.land;",
        replacement: "let given_up = known;",
    },
    Mutant {
        name: "a failed call is repeated without a reading from after it",
        file: RECORD,
        search: "if now >= until && reading.at >= known {",
        replacement: "if now >= until {",
    },
    Mutant {
        name: "the attempt is not counted",
        file: RECORD,
        search: ".map_or(0, |call| call.attempt).saturating_add(1)",
        replacement: ".map_or(1, |call| call.attempt)",
    },
    Mutant {
        name: "the record of a call is not pending when it is written",
        file: RECORD,
        search: "        outcome: CallOutcome::Pending {},\n    };",
        replacement: "        outcome: CallOutcome::NotSent { cause: NotSentCause::Unknown, why: String::new() },\n    };",
    },
    Mutant {
        name: "a bare 404 counts as an absence",
        file: "src/zenlayer/answer.rs",
        search: "            _ => Unreadable::Unavailable(why),",
        replacement: "            StatusCode::NOT_FOUND => bare(RefusalKind::NotFound),\n            \
                      _ => Unreadable::Unavailable(why),",
    },
    Mutant {
        name: "the budget of absences is 1",
        file: PROOF,
        search: "if absences.count >= demand.readings && spanned {",
        replacement: "if absences.count >= 1 || spanned {",
    },
    Mutant {
        name: "an absence by a key that never saw the port proves its end",
        file: PROOF,
        search: "if saw_it || (is_of_the_account && is_leaving(status)) {",
        replacement: "if saw_it || true {",
    },
    Mutant {
        name: "an absence by any key of the account proves the end of a port that was not on its way out",
        file: PROOF,
        search: "(is_of_the_account && is_leaving(status))",
        replacement: "is_of_the_account",
    },
    Mutant {
        name: "PortNeverFound of a port that was seen",
        file: PROOF,
        search: "let Some(identity) = &status.identity else {",
        replacement: "let Some(identity) = status.identity.as_ref().filter(|_| false) else {",
    },
    Mutant {
        name: "createdTime is not looked at",
        file: FACTS,
        search: ".is_some_and(|(first, now)| !same_instant(first, now))",
        replacement: ".is_some_and(|(first, now)| !same_instant(first, now) && false)",
    },
    Mutant {
        name: "whoever saw the port before counts as a witness of the one that took its id",
        file: FACTS,
        search: "status.identity.as_ref().filter(|_| !is_another(status, port))",
        replacement: "status.identity.as_ref()",
    },
    Mutant {
        name: "a reading from before a call shows that it has landed",
        file: FACTS,
        search: ".is_some_and(|known| good.at >= known);",
        replacement: ".is_some_and(|known| good.at >= known || true);",
    },
    Mutant {
        name: "one reading without the port shows that a call has landed",
        file: FACTS,
        search: "            (CallAction::TerminatePort | CallAction::DestroyPort, _) => false,",
        replacement: "            (CallAction::TerminatePort | CallAction::DestroyPort, seen) => seen.is_none(),",
    },
    Mutant {
        name: "that the port lay in the bin is forgotten",
        file: FACTS,
        search: "        release.seen_recycled = true;",
        replacement: "        release.seen_recycled = false;",
    },
    Mutant {
        name: "one reading of a live port counts as its restoration",
        file: FACTS,
        search: "is_live(good) && good.at.since(good.since) >= input.timing.restored_apart",
        replacement: "is_live(good) && (good.at.since(good.since) >= input.timing.restored_apart || true)",
    },
    Mutant {
        name: "TerminateAndDestroy outweighs a restoration",
        file: DELETION,
        search: "if release.restorations > 0 && ",
        replacement: "if release.restorations > 0 && case.policy() != DeletionPolicy::TerminateAndDestroy && ",
    },
    Mutant {
        name: "the finalizer goes on DESTROYING",
        file: DELETION,
        search: "Presence::Seen(port) if port.port_status == PortStatus::Destroyed => {",
        replacement: "Presence::Seen(port) if matches!(port.port_status, PortStatus::Destroyed | PortStatus::Destroying) => {",
    },
    Mutant {
        name: "the age of a reading does not count",
        file: CASE,
        search: "self.monotonic().since(reading.at) <= self.input.timing.reading_valid && reading.at >= not_before",
        replacement: "reading.at >= not_before",
    },
    Mutant {
        name: "a call on a reading from before the end of the grace",
        file: CASE,
        search: "self.monotonic().since(reading.at) <= self.input.timing.reading_valid && reading.at >= not_before",
        replacement: "self.monotonic().since(reading.at) <= self.input.timing.reading_valid && not_before == not_before",
    },
    Mutant {
        name: "a call that waits for its turn drops what was learnt",
        file: "src/decision/mod.rs",
        search: "Plan { facts: Facts::if_new(known), ..plan }",
        replacement: "{ let waits = plan.row == Some(23); Plan { facts: Facts::if_new(known).filter(|_| !waits), ..plan } }",
    },
    Mutant {
        name: "what was learnt and is not written yet is lost",
        file: FACTS,
        search: "Facts::of(&status).with(learnt).put_into(status.to_mut());",
        replacement: "Facts::of(&status).with(&Facts::default()).put_into(status.to_mut()); let _ = learnt;",
    },
    Mutant {
        name: "an accepted TerminatePort without an effect is repeated",
        file: FACTS,
        search: "            call.without_effect = true;\n            release.restorations += 1;",
        replacement: "            call.without_effect = true;",
    },
    Mutant {
        name: "a restoration shows that the last call has landed, whenever the port lay in the bin",
        file: FACTS,
        search: "Some(call) if is_accepted(call) => call.without_effect = true,",
        replacement: "Some(call) if is_accepted(call) => call.landed = true,",
    },
    Mutant {
        name: "a TerminatePort without a clear answer is repeated although nobody looked for a long time",
        file: FACTS,
        search: "<= land.try_into().unwrap_or(SignedDuration::MAX) && good.at <= known + land",
        replacement: "<= land.try_into().unwrap_or(SignedDuration::MAX) || good.at <= known + land",
    },
    Mutant {
        name: "one consent covers all later restorations",
        file: "src/api/approval.rs",
        search: "release.restorations))",
        replacement: "release.restorations.min(1)))",
    },
    Mutant {
        name: "one consent covers all later ports under the id",
        file: "src/api/approval.rs",
        search: "short_digest(created_time)))",
        replacement: "short_digest(&created_time[..0])))",
    },
    Mutant {
        name: "a key signs that has not seen what it acts on",
        file: DELETION,
        search: "is_some_and(|evidence| evidence.by == *key);",
        replacement: "is_some_and(|evidence| evidence.by == *key || true);",
    },
    Mutant {
        name: "InUse is ignored",
        file: DELETION,
        search: "holds.then(|| case.hold(InUse,",
        replacement: "(holds && false).then(|| case.hold(InUse,",
    },
    Mutant {
        name: "InUse never ends while something is listed",
        file: DELETION,
        search: "record::was_refused_as_is(call) && case.monotonic() < again",
        replacement: "record::was_refused_as_is(call)",
    },
    Mutant {
        name: "any refusal is taken to be about the port",
        file: RECORD,
        search: "CallOutcome::Refused(refusal) if refusal.kind == RefusalKind::Other)",
        replacement: "CallOutcome::Refused(refusal) if refusal.kind != RefusalKind::Throttled)",
    },
    Mutant {
        name: "a 429 with an unknown code is an ordinary refusal",
        file: "src/zenlayer/answer.rs",
        search: "(_, StatusCode::TOO_MANY_REQUESTS) => RefusalKind::Throttled,",
        replacement: "(RefusalKind::Throttled, StatusCode::TOO_MANY_REQUESTS) => RefusalKind::Throttled,",
    },
    Mutant {
        name: "a call that a pause kept back is shown as CloudUnavailable",
        file: DELETION,
        search: "NotSentCause::Throttled => Throttled,",
        replacement: "NotSentCause::Throttled => Reason::CloudUnavailable,",
    },
    Mutant {
        name: "a throttled request is shown as refused",
        file: CASE,
        search: "RefusalKind::Throttled => Some(Reason::Throttled),",
        replacement: "RefusalKind::Throttled => None,",
    },
    Mutant {
        name: "a status word that only looks like a known one is taken for it",
        file: "src/text.rs",
        search: "} else if is_invisible(c) {",
        replacement: "} else if is_invisible(c) && c != '\\u{202e}' {",
    },
    Mutant {
        name: "an object that stays has no claim",
        file: "src/decision/claims.rs",
        search: "!claim.terminating || claim.age() < age(object);",
        replacement: "claim.terminating && claim.age() < age(object);",
    },
    Mutant {
        name: "a claim that is not known yet is taken for none",
        file: "src/decision/claims.rs",
        search: "ClaimBasis::NotKnown { until } if until > now => Some(until),",
        replacement: "ClaimBasis::NotKnown { until } if until > now && false => Some(until),",
    },
    Mutant {
        name: "of several owners of a port the one that is named depends on the order in which they are known",
        file: "src/decision/claims.rs",
        search: "claims.min_by(|one, other| one.age().cmp(&other.age()))",
        replacement: "claims.take(1).next()",
    },
    Mutant {
        name: "no grace",
        file: GATES,
        search: "known_since.unwrap_or(now) + timing.grace",
        replacement: "known_since.unwrap_or(now) + timing.grace * 0",
    },
    Mutant {
        name: "the latch of a mass deletion is forgotten",
        file: LATCH,
        search: "release.latched |= is_one_of_too_many(input, release);",
        replacement: "release.latched = is_one_of_too_many(input, release);",
    },
    Mutant {
        name: "deletionProtection is ignored",
        file: GATES,
        search: "protected.then(|| case.hold(",
        replacement: "(protected && false).then(|| case.hold(",
    },
    Mutant {
        name: "the end of the CRD is ignored",
        file: LATCH,
        search: "        CrdState::Terminating => true,",
        replacement: "        CrdState::Terminating => false,",
    },
    Mutant {
        name: "the end of the CRD is forgotten once it is there again",
        file: LATCH,
        search: "release.crd_deleted |= goes_with_its_crd(input);",
        replacement: "release.crd_deleted = goes_with_its_crd(input);",
    },
    Mutant {
        name: "a CRD that is younger than the deletion is taken for the one that was there then",
        file: LATCH,
        search: "deletion.0 <= *created)",
        replacement: "deletion.0 <= *created && false)",
    },
    Mutant {
        name: "a call is made before all objects are listed",
        file: GATES,
        search: "        .or_else(|| listing(case))",
        replacement: "        .or_else(|| listing(case).filter(|_| false))",
    },
    Mutant {
        name: "consent to anything counts as consent to all",
        file: "src/api/approval.rs",
        search: "consents.any(|given| consent.as_deref() == Some(given))",
        replacement: "consents.any(|given| consent.is_some() && !given.is_empty())",
    },
];
