//! The ways in which the operator could be wrong that the simulation must notice. Each is a mistake that this operator, or a
//! design of it, once had, put into the mechanism of today.

use crate::mutation::Mutant;

const APPROVAL: &str = "src/api/approval.rs";
const CASE: &str = "src/decision/case.rs";
const CREDENTIALS: &str = "src/credentials/mod.rs";
const CUSTODY: &str = "src/credentials/custody.rs";
const DELETION: &str = "src/decision/deletion.rs";
const DELETIONS: &str = "src/index/deletions.rs";
const FACTS: &str = "src/decision/facts.rs";
const GATHER: &str = "src/controller/gather.rs";
const INDEX: &str = "src/index/mod.rs";
const INDEXED_CLAIMS: &str = "src/index/claims.rs";
const KEEPING: &str = "src/credentials/keeping.rs";
const LATCH: &str = "src/decision/latch.rs";
const POLLER: &str = "src/mirror/poller.rs";
const PROOF: &str = "src/decision/proof.rs";
const RECONCILE: &str = "src/controller/reconcile.rs";

/// Changes that have one name are one mistake; they stand together.
pub(super) const MUTANTS: &[Mutant] = &[
    // A port is destroyed or terminated that should stay.
    Mutant {
        name: "a deletion that has waited for ten minutes counts no longer as one of many",
        file: DELETIONS,
        search: "return known.due(reference, uid, groups, self.enough);",
        replacement: "let too_many = known.due(reference.clone(), uid, groups.clone(), self.enough); if let \
                      Some(number) = known.deletions.get(&reference).map(|deletion| deletion.number) { \
                      known.ended.push_back(Ended { until, number, groups }); } return too_many;",
    },
    Mutant {
        name: "what is learnt while a call waits for its turn is lost",
        file: "src/decision/mod.rs",
        search: "Plan { facts: Facts::if_new(known), ..plan }",
        replacement: "{ let waits = plan.row == Some(23); Plan { facts: Facts::if_new(known).filter(|_| !waits), \
                      ..plan } }",
    },
    Mutant {
        name: "a status check from before the deletion is good enough for a call",
        file: CASE,
        search: "reading.at >= not_before",
        replacement: "not_before <= self.monotonic()",
    },
    Mutant {
        name: "a kind that was deleted and made again holds nothing",
        file: LATCH,
        search: "release.crd_deleted |= goes_with_its_crd(input);",
        replacement: "release.crd_deleted = goes_with_its_crd(input);",
    },
    Mutant {
        name: "a kind that was deleted and made again holds nothing",
        file: LATCH,
        search: "deletion.0 <= *created",
        replacement: "false",
    },
    Mutant {
        name: "a TerminatePort that was accepted and shows no effect is called again",
        file: FACTS,
        search: "call.without_effect = true;\n            release.restorations += 1;",
        replacement: "call.without_effect = true;",
    },
    Mutant {
        name: "one approval covers all later restorations",
        file: APPROVAL,
        search: "Some(format!(\"{reason_of_object}-{}\", release.restorations))",
        replacement: "Some(format!(\"{reason_of_object}-{}\", release.restorations.min(1)))",
    },
    Mutant {
        name: "one approval covers all later ports with the id",
        file: APPROVAL,
        search: "Some(format!(\"{reason_of_object}-{}\", short_digest(created_time)))",
        replacement: "Some(format!(\"{reason_of_object}-{}\", short_digest(&created_time[..0])))",
    },
    Mutant {
        name: "an object that has not looked at its port yet claims nothing",
        file: INDEXED_CLAIMS,
        search: "ClaimBasis::NotKnown { until: *since + self.patience }",
        replacement: "ClaimBasis::NotKnown { until: *since }",
    },
    Mutant {
        name: "a status check counts from when its answer comes, not from when it leaves",
        file: POLLER,
        search: "sent.get().copied().unwrap_or(batch.taken)",
        replacement: "sent.get().map_or(batch.taken, |_| self.clock.monotonic())",
    },
    Mutant {
        name: "a status check counts from when it is due, not from when it leaves",
        file: POLLER,
        search: "sent.get().copied().unwrap_or(batch.taken)",
        replacement: "sent.get().map_or(batch.taken, |_| batch.taken)",
    },
    // An object goes too early, or never.
    Mutant {
        name: "a key of the account that never saw a port tells that it is gone",
        file: PROOF,
        search: "is_of_the_account && is_leaving(status)",
        replacement: "is_of_the_account",
    },
    Mutant {
        name: "a copy stays bound to the namespace that it was first made for",
        file: CUSTODY,
        search: "kept.namespace.as_deref() == Some(uid)",
        replacement: "kept.namespace.is_some()",
    },
    Mutant {
        name: "a copy that was made once is not compared with the Secret again",
        file: KEEPING,
        search: "snapshot.is_none() && (is_known || !cached.keeping.is_due(now, self.valid_for))",
        replacement: "is_known || cached.copy.is_some() || !cached.keeping.is_due(now, self.valid_for)",
    },
    Mutant {
        name: "what was read is forgotten before the finalizer is off",
        file: GATHER,
        search: "(plan.want, &plan.action)",
        replacement: "(plan.want, &Action::None)",
    },
    Mutant {
        name: "what lies in the recycle bin keeps a port in use for ever",
        file: "src/zenlayer/attachments.rs",
        search: "!matches!(status, Some(\"RECYCLED\" | \"DESTROYING\" | \"DESTROYED\"))",
        replacement: "!matches!(status, Some(\"DESTROYED\"))",
    },
    Mutant {
        name: "what lies in the recycle bin keeps a port in use for ever",
        file: DELETION,
        search: "known_since + case.input.timing.refused_max",
        replacement: "known_since + case.input.timing.refused_max * 1000",
    },
    Mutant {
        name: "a Secret that is deleted together with its object stops the deletion",
        file: CUSTODY,
        search: "user.credentials_seen || shortly_before",
        replacement: "false",
    },
    Mutant {
        name: "the age of an object is counted by the operator's own clock",
        file: PROOF,
        search: "lived.saturating_add(known_since.map_or(Duration::ZERO, |since| input.now.monotonic.since(since)))",
        replacement: "{ let age = metadata.creation_timestamp.as_ref().map(|creation| \
                      input.now.wall.duration_since(creation.0)); age.and_then(|age| \
                      Duration::try_from(age).ok()).unwrap_or_default() }",
    },
    // One tenant against another, or against the operator.
    Mutant {
        name: "accounts are told apart by their key id alone",
        file: "src/zenlayer/credential.rs",
        search: "sha256(&[b\"key\\0\", id.as_bytes(), b\"\\0\", password.expose_secret().as_bytes()])",
        replacement: "sha256(&[b\"key\\0\", id.as_bytes()])",
    },
    Mutant {
        name: "deletions count together if their Secrets have one name in two namespaces",
        file: DELETIONS,
        search: "source.cloned().map(Group::Source)",
        replacement: "source.cloned().map(|source| match source { Source::Secret { name, .. } => \
                      Group::Source(Source::Secret { namespace: String::new(), name }), own => Group::Source(own) })",
    },
    Mutant {
        name: "a deletion that is over counts for ever",
        file: DELETIONS,
        search: "ended.until <= now",
        replacement: "false",
    },
    Mutant {
        name: "one account may have all calls that there may be",
        file: "src/dispatch/turns.rs",
        search: "Semaphore::new(MOST_CALLS_OF_ONE)",
        replacement: "Semaphore::new(usize::from(MOST_CALLS))",
    },
    Mutant {
        name: "those who share a port tell of it to each other again and again",
        file: "src/decision/claims.rs",
        search: "claims.min_by(|one, other| one.age().cmp(&other.age()))",
        replacement: "{ let mut claims = claims; claims.next() }",
    },
    Mutant {
        name: "those who share a port tell of it to each other again and again",
        file: INDEXED_CLAIMS,
        search: "contents.of_port(&object.spec.port_id)",
        replacement: "{ let mut others = contents.of_port(&object.spec.port_id); let version = |other: &Reference| \
                      contents.objects.get(other)?.known.object().metadata.resource_version.as_ref()?.parse::<u64>().ok(); \
                      others.sort_by_key(|other| std::cmp::Reverse(version(other))); others }",
    },
    Mutant {
        name: "those who share a port tell of it to each other again and again",
        file: INDEX,
        search: "claims_the_same(former.known.object(), &object)",
        replacement: "false",
    },
    Mutant {
        name: "what a late reconcile registers stays",
        file: RECONCILE,
        search: "self.registrations.after_reconcile(&object);",
        replacement: "",
    },
    Mutant {
        name: "what a late reconcile registers stays",
        file: "src/controller/run.rs",
        search: "registrations.sweep();",
        replacement: "",
    },
    Mutant {
        name: "a copy outlives the last object that uses it",
        file: KEEPING,
        search: "may_be_used(source)",
        replacement: "true",
    },
    Mutant {
        name: "an object may use the operator's copy of another tenant's Secret",
        file: "src/credentials/source.rs",
        search: "name.starts_with(PREFIX)",
        replacement: "false",
    },
    Mutant {
        name: "an object may use the operator's copy of another tenant's Secret",
        file: "src/credentials/reading.rs",
        search: "is_copy(&secret)",
        replacement: "false",
    },
    // What is shown is not true, or nothing is shown.
    Mutant {
        name: "a cache that lags behind counts as the newest",
        file: INDEX,
        search: "&entry.written",
        replacement: "entry.written.as_ref().filter(|_| false)",
    },
    Mutant {
        name: "a write that is refused counts as one that came too late",
        file: "src/controller/writes.rs",
        search: "now.resource_version() == object.resource_version()",
        replacement: "false",
    },
    Mutant {
        name: "an object whose Secret cannot be copied shows nothing",
        file: "src/decision/upkeep.rs",
        search: "Some(Outcome { want: None, ..outcome })",
        replacement: "Some(Outcome { want: None, shown: super::outcome::Shown::AsBefore, ..outcome })",
    },
    Mutant {
        name: "a call that a pause kept back is shown as CloudUnavailable",
        file: DELETION,
        search: "not_sent(cause)",
        replacement: "match not_sent(cause) { Throttled => Reason::CloudUnavailable, other => other }",
    },
    Mutant {
        name: "a status check that a pause kept back is shown as CloudUnavailable",
        file: CASE,
        search: "self.wait(reason, Message::CannotCheck(why), Cadence::Release)",
        replacement: "self.wait(if matches!(why, Unreadable::NotAsked(_)) { Reason::CloudUnavailable } else { reason \
                      }, Message::CannotCheck(why), Cadence::Release)",
    },
    Mutant {
        name: "a call that waits for the end of a pause is shown as one that waits for others",
        file: RECONCILE,
        search: "pause.map_or(Turn::BehindOthers, |pause| Turn::Paused(pause.to_string()))",
        replacement: "Turn::BehindOthers",
    },
    Mutant {
        name: "a 429 with an unknown code is an ordinary refusal",
        file: "src/zenlayer/answer.rs",
        search: "(RefusalKind::of_code(code), status)",
        replacement: "(RefusalKind::of_code(code), if status == StatusCode::TOO_MANY_REQUESTS { \
                      StatusCode::BAD_REQUEST } else { status })",
    },
    Mutant {
        name: "a Secret that could not be read for a moment is shown as missing",
        file: CREDENTIALS,
        search: "lack.unwrap_or(Lack::Known(why))",
        replacement: "Lack::Known(why)",
    },
    Mutant {
        name: "control characters are passed on",
        file: "src/text.rs",
        search: "c.escape_default().collect()",
        replacement: "String::from(c)",
    },
    Mutant {
        name: "the command that approves one object acts on all of its namespace",
        file: APPROVAL,
        search: "format!(\n            \"kubectl annotate zenlayerport {name} -n {namespace} --overwrite \
                 {APPROVE_ANNOTATION}={approval}\"\n        )",
        replacement: "format!(\"kubectl annotate zenlayerport --all -n {namespace} --overwrite \
                      {APPROVE_ANNOTATION}={approval}\")",
    },
    Mutant {
        name: "nothing names the request that destroyed a port once its object is gone",
        file: "src/api/receipt.rs",
        search: "write!(f, \": Zenlayer accepted {last_call} (requestId {request_id}).\")",
        replacement: "write!(f, \": Zenlayer accepted {last_call}.\")",
    },
    Mutant {
        name: "a refused call is worth no Event",
        file: "src/decision/outcome.rs",
        search: "reason.event()",
        replacement: "reason.event().filter(|_| reason != Reason::Refused)",
    },
    Mutant {
        name: "a refused status check is shown as a refused call",
        file: CASE,
        search: "cause(kind).unwrap_or(Reason::DescribeRefused)",
        replacement: "cause(kind).unwrap_or(Reason::Refused)",
    },
    Mutant {
        name: "the end of a port is told before the finalizer is off",
        file: RECONCILE,
        search: "self.span.around(write).await?",
        replacement: "{ if let FinalizerWrite::Removal { reason, why } = what && let Some(event_type) = \
                      reason.event() { let event = decision::Announcement { row, reason: *reason, event_type, message: \
                      why.clone() }; self.by.writer.events.send(&self.object, &event).await; } \
                      self.span.around(write).await? }",
    },
    Mutant {
        name: "an unclear answer does not say what came instead",
        file: "src/zenlayer/answer.rs",
        search: "Self::Doubtful(format!(\"{status} with {}\", reply.what_came_instead()))",
        replacement: "Self::Doubtful(\"something else\".to_owned())",
    },
];

/// Why the simulation does not notice some of them.
pub(super) const WHY_NOT: &[(&str, &str)] = &[
    (
        "a copy stays bound to the namespace that it was first made for",
        "it needs a namespace that is made again with its Secret, and an object there that lives to the end: the plans seldom have \
         both. `a_copy_is_of_the_namespace_that_its_secret_is_in_now` (`src/credentials/custody/tests.rs`) notices it",
    ),
    (
        "what was read is forgotten before the finalizer is off",
        "it needs others that write an object in the moment of its end; the plans have few who write so often. \
         `what_was_read_of_a_port_is_kept_until_the_finalizer_is_off` (`src/controller/tests/writes.rs`) notices it",
    ),
    (
        "what is learnt while a call waits for its turn is lost",
        "a second rule holds the port: a TerminatePort that was accepted is not called again without a person. \
         A property of `src/decision/tests/properties.rs` notices it",
    ),
    (
        "a call that a pause kept back is shown as CloudUnavailable",
        "it needs a pause that begins between the permit for a call and the call, which are a moment apart. \
         `a_call_that_was_not_sent_is_shown_with_its_cause` (`src/decision/tests/record.rs`) notices it",
    ),
    (
        "one account may have all calls that there may be",
        "it needs more than eight calls of one key that take longer than the pause between two permits. \
         `those_beyond_eight_are_woken_in_the_order_in_which_they_asked` (`src/dispatch/turns/tests.rs`) notices it",
    ),
    (
        "what a late reconcile registers stays",
        "it needs an object that goes within a reconcile of its own, and no other object of its port. \
         A property of `src/controller/tests/registrations.rs` notices it",
    ),
    (
        "an object that has not looked at its port yet claims nothing",
        "it needs an object that is made, and another that is deleted, within the grace and before the first status check of the \
         one. `a_claim_is_waited_for_until_the_other_object_has_looked` (`src/index/claims/tests.rs`) notices it",
    ),
    (
        "a status check counts from when it is due, not from when it leaves",
        "such a check counts as older than it is, so it delays a call and justifies none; a later check ends the delay. \
         `a_reading_counts_from_when_its_request_leaves_and_not_from_when_it_was_due` (`src/mirror/tests/pace.rs`) notices it",
    ),
    (
        "a status check counts from when its answer comes, not from when it leaves",
        "it needs a port that changes between the request and the end of the grace, in the 20 s that a request may last. \
         `a_reading_counts_from_when_its_request_leaves_and_not_from_when_it_was_due` (`src/mirror/tests/pace.rs`) notices it",
    ),
    (
        "a call that waits for the end of a pause is shown as one that waits for others",
        "during a pause of more than 10 s a status check is not made, so what waits for longer than the last one is valid \
         shows `Throttled` by row 22; left are calls that become due in these 30 s. \
         `a_call_that_waits_for_the_end_of_a_pause_is_shown_as_throttled_and_until_when` \
         (`src/controller/tests/refusals.rs`) notices it",
    ),
];

/// Mistakes that nothing in the simulation could show.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "a list of fat objects fills the memory",
        "the simulation does not measure memory; `src/controller/watch/tests.rs` holds how much a page may be",
    ),
    (
        "a connection that is half open is noticed late",
        "the simulation replaces the connection and its timeouts",
    ),
    (
        "copies stay after `helm uninstall`, and `helm uninstall` is refused when the kind is gone",
        "the hook of the chart is a process of its own, which the simulation does not run",
    ),
];
