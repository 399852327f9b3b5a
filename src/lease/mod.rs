//! Leader election by a Lease: of several replicas one works, the others stand by and cost Zenlayer no call.
//!
//! It is an economy. That no port is destroyed twice rests on the record ahead of each call, also where two replicas act.

mod announced;
mod election;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::future;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::announced::{Announced, LEASE_LABEL};
use self::election::{Election, Record, Standing, Step, Write};
pub use self::election::{LeaseTiming, Loss};
use crate::clock::{Clock, Monotonic};

/// How often, and for how long in all, releasing the Lease is tried; then it runs out by itself.
const MOST_RELEASES: u32 = 3;
const RELEASE_DEADLINE: Duration = Duration::from_secs(3);

/// Which Lease the replicas share.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// None: the namespace of the operator's own identity.
    pub namespace: Option<String>,
    pub name: String,
    pub timing: LeaseTiming,
    /// The Pod of this process. The Lease goes with its holder's Pod, also where it could not be released, as after
    /// `helm uninstall`, which takes the right to do so first.
    pub pod: Option<PodIdentity>,
    pub announced: Announced,
}

/// Names a Pod for Kubernetes' garbage collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    pub name: String,
    pub uid: String,
}

impl PodIdentity {
    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            ..OwnerReference::default()
        }
    }
}

/// One replica that wants to lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    timing: LeaseTiming,
    pod: Option<PodIdentity>,
    announced: Announced,
    election: Election,
    /// The Lease as it was last seen, for what others wrote into it.
    seen: Option<Lease>,
    clock: Clock,
    standing: watch::Sender<Standing>,
}

/// Whether this replica leads. Clones see the same.
#[derive(Clone)]
pub struct Leadership {
    standing: watch::Receiver<Standing>,
    clock: Clock,
}

impl Leadership {
    /// Whether this replica leads at this moment, by the monotonic clock: no other's term can be running.
    pub fn is_current(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Leading { until } if self.clock.monotonic() < until)
    }

    /// Returns once another replica is known to lead, or this one does.
    pub async fn decided(&mut self) {
        self.becomes(|standing| *standing != Standing::Unknown).await;
    }

    /// Returns once this replica leads.
    pub async fn won(&mut self) {
        self.becomes(|standing| matches!(standing, Standing::Leading { .. })).await;
    }

    /// A replica that leads until then, without a Lease.
    #[cfg(test)]
    pub(crate) fn until(end: Monotonic, clock: Clock) -> Self {
        Self { standing: watch::channel(Standing::Leading { until: end }).1, clock }
    }

    async fn becomes(&mut self, wanted: impl FnMut(&Standing) -> bool) {
        if self.standing.wait_for(wanted).await.is_err() {
            // The candidate has ended, and tells why itself.
            future::pending::<()>().await;
        }
    }
}

impl Candidate {
    /// `identity` is the holder's name. No other process may have it: it would take this one's Lease for its own.
    pub fn new(
        client: kube::Client,
        settings: LeaseSettings,
        identity: String,
        clock: Clock,
    ) -> (Self, Leadership) {
        let LeaseSettings { namespace, name, timing, pod, announced } = settings;
        let api = match namespace {
            Some(namespace) => Api::namespaced(client, &namespace),
            None => Api::default_namespaced(client),
        };
        let (standing, observed) = watch::channel(Standing::Unknown);
        let election = Election::new(identity, timing, clock.monotonic());
        let candidate = Self { api, name, timing, pod, announced, election, seen: None, clock, standing };
        (candidate, Leadership { standing: observed, clock })
    }

    /// Takes the Lease when it is free, and keeps it. Returns once `resign` is cancelled and the Lease is free again, or with
    /// how it was lost: others may lead then.
    pub async fn run(mut self, resign: CancellationToken) -> Result<(), Loss> {
        while !resign.is_cancelled() {
            match self.election.step(self.clock.monotonic()) {
                Step::Look => self.look().await,
                Step::Write(write) => {
                    self.write(write).await;
                }
                Step::Wait(pause) => {
                    resign.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
                Step::Lost(loss) => {
                    self.standing.send_replace(Standing::Unknown);
                    return Err(loss);
                }
            }
            self.tell();
        }
        self.standing.send_replace(Standing::Unknown);
        if tokio::time::timeout(RELEASE_DEADLINE, self.release()).await.is_err() {
            tracing::warn!(lease = self.name, "cannot release the Lease; it expires by itself");
        }
        Ok(())
    }

    async fn look(&mut self) {
        let sent = self.clock.monotonic();
        let answer = self.in_time(sent, self.api.get_opt(&self.name)).await;
        let now = self.clock.monotonic();
        match answer {
            Ok(seen) => {
                self.election.looked(seen.as_ref().map(record), now);
                self.seen = seen;
            }
            Err(why) => self.failed("get", &why, sent),
        }
    }

    /// Whether it succeeded.
    async fn write(&mut self, write: Write) -> bool {
        let mut lease =
            lease(&self.name, &write, self.seen.as_ref(), self.timing, self.pod.as_ref(), self.clock.wall());
        self.announced.put_into(&mut lease);
        let options = PostParams::default();
        let sent = self.clock.monotonic();
        let (verb, answer) = match write.version {
            None => ("create", self.in_time(sent, self.api.create(&options, &lease)).await),
            Some(_) => ("update", self.in_time(sent, self.api.replace(&self.name, &options, &lease)).await),
        };
        match answer {
            Ok(written) => {
                self.election.wrote(record(&written), sent, self.clock.monotonic());
                self.seen = Some(written);
                true
            }
            Err(why) => {
                self.failed(verb, &why, sent);
                false
            }
        }
    }

    /// Frees the Lease, so that a successor need not wait for its end.
    async fn release(&mut self) {
        for _ in 0..MOST_RELEASES {
            let Some(write) = self.election.resign() else { return };
            if self.write(write).await {
                tracing::info!(lease = self.name, "released the Lease");
                return;
            }
            self.look().await;
        }
    }

    async fn in_time<T>(
        &self,
        now: Monotonic,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, RequestError> {
        let patience = self.election.patience(now);
        tokio::time::timeout(patience, request)
            .await
            .map_err(|_| RequestError::NoAnswer(patience))?
            .map_err(Into::into)
    }

    fn failed(&mut self, verb: &'static str, why: &RequestError, sent: Monotonic) {
        self.election.failed(sent, self.clock.monotonic());
        match why {
            RequestError::Changed => {
                tracing::debug!(lease = self.name, verb, "the Lease changed after this replica read it");
            }
            why => tracing::warn!(
                lease = self.name, verb, error = %why,
                "cannot use the Lease that decides which replica works; the operator tries again",
            ),
        }
    }

    /// Publishes where this replica stands, and logs when that changed.
    fn tell(&self) {
        let standing = self.election.standing();
        match (&*self.standing.borrow(), &standing) {
            (Standing::Leading { .. }, Standing::Leading { .. }) => {}
            (_, Standing::Leading { .. }) => tracing::info!(lease = self.name, "this replica leads"),
            (before, Standing::Waiting { holder }) if *before != standing => {
                tracing::info!(lease = self.name, holder, "another replica leads; this one waits");
            }
            (_, Standing::Waiting { .. } | Standing::Unknown) => {}
        }
        self.standing.send_replace(standing);
    }
}

#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("it changed after this replica read it")]
    Changed,
    #[error(
        "the operator lacks a permission: grant its ServiceAccount get, create, update and delete of leases.coordination.k8s.io in \
         its own namespace ({0})"
    )]
    Forbidden(String),
    #[error("no answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    #[error(transparent)]
    Kubernetes(kube::Error),
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            // A creation of what exists is a conflict too.
            kube::Error::Api(answer) if answer.is_conflict() => Self::Changed,
            kube::Error::Api(answer) if answer.is_forbidden() => Self::Forbidden(answer.message),
            error => Self::Kubernetes(error),
        }
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
    }
}

/// The Lease to write. Its times are for people: no replica reads them.
fn lease(
    name: &str,
    write: &Write,
    before: Option<&Lease>,
    timing: LeaseTiming,
    pod: Option<&PodIdentity>,
    now: Timestamp,
) -> Lease {
    let spec = before.and_then(|before| before.spec.clone()).unwrap_or_default();
    let is_renewal = spec.holder_identity == write.holder;
    let changes_hands = before.is_some() && write.holder.is_some() && !is_renewal;
    let now = MicroTime(now);
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let metadata =
        before.filter(|_| write.version.is_some()).map_or(metadata, |before| before.metadata.clone());
    Lease {
        metadata: ObjectMeta {
            resource_version: write.version.clone(),
            owner_references: pod.map(|pod| vec![pod.owner()]),
            ..metadata
        },
        spec: Some(LeaseSpec {
            acquire_time: spec.acquire_time.filter(|_| is_renewal).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            holder_identity: Some(write.holder.clone().unwrap_or_default()),
            lease_duration_seconds: i32::try_from(timing.duration.as_millis().div_ceil(1000)).ok(),
            lease_transitions: Some(
                spec.lease_transitions.unwrap_or_default().saturating_add(changes_hands.into()),
            ),
            ..LeaseSpec::default()
        }),
    }
}
