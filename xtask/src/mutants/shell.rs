//! The ways in which the shell around the decision could be wrong, each of which some test must notice.

use crate::mutation::Mutant;

const CLIENT: &str = "src/zenlayer/client.rs";
const CREDENTIALS: &str = "src/credentials/mod.rs";
const DELETIONS: &str = "src/index/deletions.rs";
const EVENTS: &str = "src/controller/events.rs";
const GATHER: &str = "src/controller/gather.rs";
const PROTOCOL: &str = "src/reconcile/mod.rs";
const RECONCILE: &str = "src/controller/reconcile.rs";
const RECORDED: &str = "src/reconcile/recorded.rs";
const CLAIMS: &str = "src/index/claims.rs";
const INDEX: &str = "src/index/mod.rs";
const STREAMS: &str = "src/controller/streams.rs";
const WRITES: &str = "src/controller/writes.rs";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "what was decided before an object waited for its turn is carried out after it",
        file: RECONCILE,
        search: "                Effect::TakeTurn(held) => self.take_turn(held),\n",
        replacement: "                Effect::TakeTurn(held) => {\n                    let mut turn = self.take_turn(held);\n                    \
                      while matches!(turn, Event::MustWait(_)) {\n                        \
                      tokio::time::sleep(Duration::from_millis(1)).await;\n                        \
                      let came = self.by.registrations.turns.take(&self.reference);\n                        \
                      turn = came.map_or(turn, Event::HasTurn);\n                    }\n                    \
                      turn\n                }\n",
    },
    Mutant {
        name: "another object of the same name is taken for the one that changed",
        file: WRITES,
        search: "Some(Received(Ok(now))) if now.uid() == object.uid() => {",
        replacement: "Some(Received(Ok(now))) if now.uid().is_some() => {",
    },
    Mutant {
        name: "whoever has a permit may send, whatever credential is on record",
        file: RECORDED,
        search: "} else if credential != self.warrant.credential() {",
        replacement: "} else if credential != self.warrant.credential() && false {",
    },
    Mutant {
        name: "a call may leave long after its record",
        file: RECORDED,
        search: "if since_decision > BEGIN_WITHIN {",
        replacement: "if since_decision > BEGIN_WITHIN * 1000 {",
    },
    Mutant {
        name: "a replica that leads no longer calls",
        file: RECONCILE,
        search: "what == StatusWrite::Record && !self.by.leadership.is_current()",
        replacement: "what == StatusWrite::Record && false",
    },
    Mutant {
        name: "an outcome is written onto the record of another call",
        file: PROTOCOL,
        search: "conflicts + 1 < MOST_OUTCOME_WRITES && call.warrant.is_newest_of(object)",
        replacement: "conflicts + 1 < MOST_OUTCOME_WRITES && object.release().is_some()",
    },
    Mutant {
        name: "a call follows a write that left no record",
        file: RECORDED,
        search: "warrant.is_recorded_in(written).then(",
        replacement: "(warrant.is_recorded_in(written) || true).then(",
    },
    Mutant {
        name: "an object that changes all the time is decided about for ever",
        file: PROTOCOL,
        search: "        self.decisions += 1;\n",
        replacement: "",
    },
    Mutant {
        name: "whoever is overtaken at the record of a call loses its turn",
        file: PROTOCOL,
        search: "            Write::Record { ticket, .. } => {\n                self.ticket = Some(ticket);\n",
        replacement: "            Write::Record { .. } => {\n",
    },
    Mutant {
        name: "the finalizer goes on before the credential is kept",
        file: "src/decision/upkeep.rs",
        search: "match case.input.context.not_copied.as_ref()? {",
        replacement: "match case.input.context.not_copied.as_ref().filter(|_| false)? {",
    },
    Mutant {
        name: "finalizers are patched onto whatever has the name",
        file: WRITES,
        search: "\"uid\": metadata.uid, \"resourceVersion\": metadata.resource_version, ",
        replacement: "",
    },
    Mutant {
        name: "whatever is answered 404 is gone",
        file: WRITES,
        search: "        Err(Error::Api(answer)) if is_final(&answer) => answer,",
        replacement: "        Err(Error::Api(answer)) if answer.code == 404 => return Ok(Written::Gone),\n        \
                      Err(Error::Api(answer)) if is_final(&answer) => answer,",
    },
    Mutant {
        name: "a kind that is not served has no object",
        file: "src/controller/objects.rs",
        search: "if answer.code == 404 && answer.reason == \"NotFound\" => Ok(None),",
        replacement: "if answer.code == 404 => Ok(None),",
    },
    Mutant {
        name: "what was read is forgotten before the finalizer is off",
        file: GATHER,
        search: "        (None, Action::RemoveFinalizer(_)) => {}\n",
        replacement: "        (None, Action::RemoveFinalizer(_)) if false => {}\n",
    },
    Mutant {
        name: "a cache that lags behind counts as the newest",
        file: INDEX,
        search: "        Some(match &entry.written {",
        replacement: "        Some(match &entry.written.as_ref().filter(|_| false) {",
    },
    Mutant {
        name: "what a late reconcile registers stays",
        file: RECONCILE,
        search: "        self.registrations.after_reconcile(&object);\n",
        replacement: "",
    },
    Mutant {
        name: "a page of a list may be of any length",
        file: "src/controller/watch.rs",
        search: "if self.0 > 1 { LARGEST_PAGE } else { LARGEST_OBJECT }",
        replacement: "LARGEST_OBJECT * 1000",
    },
    Mutant {
        name: "each change is sent twice",
        file: CLIENT,
        search: "        let (reply, span) = Box::pin(self.send(action, body)).await;",
        replacement: "        drop(Box::pin(self.send(action, body.clone())).await);\n        \
                      let (reply, span) = Box::pin(self.send(action, body)).await;",
    },
    Mutant {
        name: "each change takes two permits",
        file: CLIENT,
        search: "        self.limiter.acquire(Priority::Change).await\n",
        replacement: "        drop(self.limiter.acquire(Priority::Change).await);\n        \
                      self.limiter.acquire(Priority::Change).await\n",
    },
    Mutant {
        name: "a permit outlives the pause that Zenlayer asks for",
        file: CLIENT,
        search: "if let Some(pause) = self.paused() {",
        replacement: "if let Some(pause) = self.paused().filter(|_| false) {",
    },
    Mutant {
        name: "a newer call counts as known since the first",
        file: "src/index/memory.rs",
        search: "self.call.is_none_or(|(known, _)| known != attempt)",
        replacement: "self.call.is_none_or(|(known, _)| known > attempt)",
    },
    Mutant {
        name: "what is known of an object that is gone is kept",
        file: INDEX,
        search: "former.filter(|_| !is_other).unwrap_or_else(|| Entry::new(known.clone()))",
        replacement: "former.unwrap_or_else(|| Entry::new(known.clone()))",
    },
    Mutant {
        name: "the port of an object that is gone is read on",
        file: "src/controller/registrations.rs",
        search: "        if let Some(ended) = &change.ended {",
        replacement: "        if let Some(ended) = change.ended.as_ref().filter(|_| false) {",
    },
    Mutant {
        name: "a list does not show what is gone",
        file: STREAMS,
        search: "            self.registrations.follow(index.remove(&reference, now));",
        replacement: "            let _ = reference;",
    },
    Mutant {
        name: "a watch that fails is not counted",
        file: STREAMS,
        search: "                metrics.watch_errors.inc();\n",
        replacement: "",
    },
    Mutant {
        name: "an Event that is lost is not counted",
        file: EVENTS,
        search: "        self.metrics.events_lost.inc();\n",
        replacement: "",
    },
    Mutant {
        name: "an Event that is there already counts as lost",
        file: EVENTS,
        search: "            Ok(Err(kube::Error::Api(answer))) if answer.is_already_exists() => None,\n",
        replacement: "",
    },
    Mutant {
        name: "a copy serves another namespace of the same name",
        file: CREDENTIALS,
        search: "NamespaceState::There { uid, .. } if uid.as_deref() != made_for =>",
        replacement: "NamespaceState::There { uid, .. } if uid.as_deref() != made_for && uid.is_none() =>",
    },
    Mutant {
        name: "a copy is deleted though an object has come to use it meanwhile",
        file: "src/credentials/keeping.rs",
        search: "            if may_be_used(source) {",
        replacement: "            if may_be_used(source) && false {",
    },
    Mutant {
        name: "the first characters of a password are logged",
        file: "src/credentials/parts.rs",
        search: "            (Some(id), Some(password), None) => Ok(Credential::access_key(id, password)?),",
        replacement: "            (Some(id), Some(password), None) => {\n                \
                      tracing::debug!(begins = password.get(..5), \"a credential was read\");\n                \
                      Ok(Credential::access_key(id, password)?)\n            }",
    },
    Mutant {
        name: "a replica counts as leading though its term is over",
        file: "src/lease/mod.rs",
        search: "Standing::Leading { until } if self.clock.monotonic() < until",
        replacement: "Standing::Leading { until } if self.clock.monotonic() < until || true",
    },
    Mutant {
        name: "whoever has listed nothing is ready",
        file: "src/server/http.rs",
        search: "let answer = if readiness.is_ready() {",
        replacement: "let answer = if readiness.is_ready() || true {",
    },
    Mutant {
        name: "a key that Zenlayer rejects is not looked for again",
        file: "src/controller/observe.rs",
        search: "(failure.why.kind() == Some(RefusalKind::Unauthorized)).then_some(failure.at)",
        replacement: "(failure.why.kind() == Some(RefusalKind::NotFound)).then_some(failure.at)",
    },
    Mutant {
        name: "failed reconciles are counted on after one that succeeded",
        file: RECONCILE,
        search: "                self.observer.index.succeeded(object);\n",
        replacement: "",
    },
    Mutant {
        name: "whoever waits for its turn has not failed before",
        file: RECONCILE,
        search: "            End::Queued { again } => Ok(Some(again)),\n",
        replacement: "            End::Queued { again } => {\n                self.observer.index.succeeded(object);\n                \
                      Ok(Some(again))\n            }\n",
    },
    Mutant {
        name: "the pause after failed reconciles does not grow",
        file: RECONCILE,
        search: "decision::error_backoff(failures, hasher.finish())",
        replacement: "decision::error_backoff(failures.min(1), hasher.finish())",
    },
    Mutant {
        name: "who is woken during its reconcile is not looked at again",
        file: "src/dispatch/queue.rs",
        search: "        if was == Some(State::RunningAgain) {",
        replacement: "        if was == Some(State::RunningAgain) && false {",
    },
    Mutant {
        name: "whoever has a ticket goes before all others however many they are",
        file: "src/dispatch/queue.rs",
        search: "if (self.others_left == 0 || self.turns.is_empty())",
        replacement: "if (self.others_left == 0 || self.turns.is_empty() || true)",
    },
    Mutant {
        name: "an annotation that changes wakes nobody, so no approval is heard",
        file: INDEX,
        search: "        || before.annotations != now.annotations",
        replacement: "        || (before.annotations != now.annotations && false)",
    },
    Mutant {
        name: "an account that nobody waits for is read on",
        file: "src/mirror/mod.rs",
        search: "            poller.remove().stop();",
        replacement: "            poller.remove();",
    },
    Mutant {
        name: "who is woken is told only with the next",
        file: "src/wakes.rs",
        search: "        pending.waiters.extend(waiters);\n        if !pending.waiters.is_empty()",
        replacement: "        pending.waiters.extend(waiters);\n        if pending.waiters.len() > 1",
    },
    Mutant {
        name: "an account that is throttled is asked as often as before",
        file: "src/zenlayer/limiter.rs",
        search: "Pushback::Throttled(pause) => self.state().bucket.slow_down(now, wall, pause),",
        replacement: "Pushback::Throttled(pause) => self.state().bucket.pause(now, wall, pause.unwrap_or_default()),",
    },
    Mutant {
        name: "the Lease is written whatever version it is of by now",
        file: "src/lease/mod.rs",
        search: "            resource_version: write.version.clone(),\n",
        replacement: "            resource_version: None,\n",
    },
    Mutant {
        name: "the threshold of a mass deletion is not taken from the command line",
        file: "src/cli.rs",
        search: "mass_deletion_threshold: NonZeroU32::new(self.mass_deletion_threshold),",
        replacement: "mass_deletion_threshold: NonZeroU32::new(self.mass_deletion_threshold).filter(|_| false),",
    },
    Mutant {
        name: "a claim is compared by the name of its Secret alone",
        file: CLAIMS,
        search: "if same_account() || same_source() =>",
        replacement: "if (same_account() && false) || same_source() =>",
    },
    Mutant {
        name: "an object that has not looked yet claims nothing",
        file: CLAIMS,
        search: "ClaimBasis::NotKnown { until: *since + self.patience }",
        replacement: "ClaimBasis::NotKnown { until: *since }",
    },
    Mutant {
        name: "whoever makes objects again and again keeps another waiting",
        file: CLAIMS,
        search: "*until = (*until).min(since + self.patience);",
        replacement: "*until = (*until).max(since + self.patience);",
    },
    Mutant {
        name: "every change of an object wakes the others of its port",
        file: INDEX,
        search: "Some(former) if claims_the_same(former.known.object(), &object) => Vec::new(),",
        replacement: "Some(former) if claims_the_same(former.known.object(), &object) && false => Vec::new(),",
    },
    Mutant {
        name: "a deletion that has waited for long no longer counts",
        file: DELETIONS,
        search: "            DeletionProgress::Due => {\n",
        replacement: "            DeletionProgress::Due if uid.len() > 1 => {\n                \
                      let groups = known.groups_of(object, source);\n                \
                      known.called(&reference, uid, groups, until);\n            }\n            \
                      DeletionProgress::Due => {\n",
    },
    Mutant {
        name: "deletions of one Secret do not count together",
        file: DELETIONS,
        search: "source.cloned().map(Group::Source).into_iter()",
        replacement: "source.filter(|_| false).cloned().map(Group::Source).into_iter()",
    },
    Mutant {
        name: "a deletion whose object is gone no longer counts",
        file: DELETIONS,
        search: "        } else if was_seen {",
        replacement: "        } else if was_seen && false {",
    },
    Mutant {
        name: "a reading counts from when it was due, not from when it left",
        file: "src/mirror/poller.rs",
        search: "let sent = sent.get().copied().unwrap_or(batch.taken);",
        replacement: "let sent = sent.get().map_or(batch.taken, |_| batch.taken);",
    },
    Mutant {
        name: "a reading waits for the end of any pause",
        file: CLIENT,
        search: "if let Some(pause) = self.paused().filter(|pause| pause.left > SHORT_PAUSE) {",
        replacement: "if let Some(pause) = self.paused().filter(|pause| pause.left.is_zero()) {",
    },
    Mutant {
        name: "a call waits for the end of a pause without saying so",
        file: RECONCILE,
        search: "Event::MustWait(pause.map_or(Turn::BehindOthers, |pause| Turn::Paused(pause.to_string())))",
        replacement: "Event::MustWait(pause.map_or(Turn::BehindOthers, |_| Turn::BehindOthers))",
    },
    Mutant {
        name: "what an outcome is worth telling is told to nobody",
        file: PROTOCOL,
        search: "filter(|_| matches!(plan.action, Action::None))",
        replacement: "filter(|_| false)",
    },
    Mutant {
        name: "what uses a port wakes nobody when it is known",
        file: "src/mirror/usage.rs",
        search: "                    wakes.wake(woken);",
        replacement: "                    wakes.wake(woken.into_iter().take(0));",
    },
    Mutant {
        name: "what lies in the recycle bin uses a port",
        file: "src/zenlayer/attachments.rs",
        search: "!matches!(status, Some(\"RECYCLED\" | \"DESTROYING\" | \"DESTROYED\"))",
        replacement: "!matches!(status, Some(\"DESTROYED\"))",
    },
];
