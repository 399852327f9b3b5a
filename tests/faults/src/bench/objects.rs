//! Objects and their ports: made, deleted, changed and watched as people do it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use test_support::objects::{SECRET, list, manifest, ready};
use test_support::oracle::{Deletion, Expected, Seen, Subject, Wish};
use test_support::wait::until;
use tokio::time::Instant;
use zenlayer_port_operator::api::{DeletionPolicy, ZenlayerPort};
use zenlayer_simulator::{Port, PortStatus};

use super::{Bench, PATIENCE, Tenant};

/// How much later than a `get` the watch may show that an object is gone.
const WATCH_LAG: Duration = Duration::from_secs(2);

/// One of the bench's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object(pub(super) usize);

impl Bench {
    /// A port of the tenant in the recycle bin, with an object that destroys it; the object has seen it.
    pub async fn recycled(&mut self) -> Result<Object> {
        self.own(PortStatus::Recycled, DeletionPolicy::Destroy).await
    }

    /// A live port of the tenant, with an object that terminates and destroys it; the object has seen it.
    pub async fn running_port(&mut self) -> Result<Object> {
        self.own(PortStatus::Running, DeletionPolicy::TerminateAndDestroy).await
    }

    /// A port of the tenant and an object of this policy that has seen it.
    pub async fn own(&mut self, status: PortStatus, policy: DeletionPolicy) -> Result<Object> {
        let object = self.seed(status, policy).await?;
        self.until_seen(object).await?;
        Ok(object)
    }

    /// A port of the tenant and an object of this policy.
    pub async fn seed(&mut self, status: PortStatus, policy: DeletionPolicy) -> Result<Object> {
        let id = self.port_id();
        let tenant = self.tenant.clone();
        self.cloud.seed(Port::new(&id).account(tenant.account).status(status));
        self.create(&tenant, &id, policy).await
    }

    /// An id that no port has.
    pub fn port_id(&mut self) -> String {
        format!("port-{:08x}", self.chance.u32(..))
    }

    /// An object of this policy for a port, of which nothing needs to be known.
    pub async fn create(&mut self, tenant: &Tenant, port_id: &str, policy: DeletionPolicy) -> Result<Object> {
        let name = format!("edge-{:08x}", self.chance.u32(..));
        self.create_named(tenant, &name, port_id, policy).await
    }

    /// As [`Bench::create`], with a name that is given.
    pub async fn create_named(
        &mut self,
        tenant: &Tenant,
        name: &str,
        port_id: &str,
        policy: DeletionPolicy,
    ) -> Result<Object> {
        let object = self.subject(tenant, name, port_id, policy);
        self.cluster.apply(&self.manifest(object).to_string()).await?;
        Ok(object)
    }

    /// So many ports of the tenant with an object each, all at once.
    pub async fn many(
        &mut self,
        count: usize,
        status: PortStatus,
        policy: DeletionPolicy,
    ) -> Result<Vec<Object>> {
        let tenant = self.tenant.clone();
        let mut objects = Vec::with_capacity(count);
        for _ in 0..count {
            let (id, name) = (self.port_id(), format!("edge-{:08x}", self.chance.u32(..)));
            self.cloud.seed(Port::new(&id).account(tenant.account).status(status.clone()));
            objects.push(self.subject(&tenant, &name, &id, policy));
        }
        let items: Vec<Value> = objects.iter().map(|object| self.manifest(*object)).collect();
        self.cluster.apply(&list(&items).to_string()).await?;
        Ok(objects)
    }

    /// A restored etcd has brought the object back, as it was before anybody deleted it.
    pub fn resurrect(&mut self, object: Object) {
        let at_ms = self.now_ms();
        let subject = &mut self.subjects[object.0];
        let first = subject.wishes[0];
        subject.wishes.push(Wish { at_ms, ..first });
        subject.gone_at_ms = None;
        subject.expected = Expected::Alive;
    }

    /// Notes an object that is about to be created.
    pub fn subject(&mut self, tenant: &Tenant, name: &str, port_id: &str, policy: DeletionPolicy) -> Object {
        let object = (tenant.namespace.as_str(), name);
        let subject = Subject::created(object, port_id, tenant.account, (self.now_ms(), policy));
        self.subjects.push(subject);
        self.heard.push(self.witness.words(&tenant.namespace, name));
        Object(self.subjects.len() - 1)
    }

    /// The object as its creator writes it.
    pub fn manifest(&self, object: Object) -> Value {
        let Subject { name, namespace, port_id, wishes, .. } = &self.subjects[object.0];
        let policy = wishes.first().map(|wish| wish.policy);
        let spec =
            json!({ "portId": port_id, "deletionPolicy": policy, "credentialsRef": { "name": SECRET } });
        manifest(namespace, name, &spec)
    }

    pub fn name(&self, object: Object) -> &str {
        &self.subjects[object.0].name
    }

    pub fn port_of(&self, object: Object) -> &str {
        &self.subjects[object.0].port_id
    }

    fn api(&self, object: Object) -> Api<ZenlayerPort> {
        Api::namespaced(self.client.clone(), &self.subjects[object.0].namespace)
    }

    /// The object as it is now; none: it is gone.
    pub async fn get(&self, object: Object) -> Result<Option<ZenlayerPort>> {
        Ok(self.api(object).get_opt(&self.subjects[object.0].name).await?)
    }

    /// The operator has put its finalizer on each: only from then on does it promise anything about their ports.
    pub async fn until_owned(&self, objects: &[Object]) -> Result<()> {
        for object in objects {
            let owned = self.until("the object has the finalizer", async |bench| {
                let found = bench.get(*object).await?;
                Ok(found.filter(ZenlayerPort::has_finalizer).map(drop))
            });
            owned.await.with_context(|| self.tail())?;
        }
        Ok(())
    }

    async fn until_seen(&self, object: Object) -> Result<()> {
        let seen = self.until("the object shows its port", async |bench| {
            let found = bench.get(object).await?;
            Ok(found.filter(|it| it.status.as_ref().is_some_and(|status| status.port.is_some())))
        });
        seen.await.map(drop).with_context(|| self.tail())
    }

    /// `kubectl delete`, without waiting for the end: the object is to go.
    pub async fn delete(&mut self, object: Object) -> Result<()> {
        self.delete_with(object, &[]).await
    }

    /// As [`Bench::delete`], with more options.
    pub async fn delete_with(&mut self, object: Object, options: &[&str]) -> Result<()> {
        self.ask_for_deletion(object);
        let Subject { name, namespace, .. } = &self.subjects[object.0];
        let delete = ["delete", "zenlayerport", name, "-n", namespace, "--wait=false"];
        self.cluster.kubectl(&[&delete[..], options].concat()).await.map(drop)
    }

    /// Notes that the object's deletion is being asked for, in whatever way.
    pub fn ask_for_deletion(&mut self, object: Object) {
        let at_ms = self.now_ms();
        self.subjects[object.0].ask_for_deletion(at_ms);
    }

    /// Changes the policy, as a person does it; returns how many calls were on record when it changed.
    pub async fn set_policy(&mut self, object: Object, policy: DeletionPolicy) -> Result<i64> {
        let at_ms = self.now_ms();
        self.subjects[object.0].ask_for_policy(at_ms, policy);
        let patched = self.patch(object, &json!({ "spec": { "deletionPolicy": policy } })).await?;
        Ok(patched.release().and_then(|release| release.call.as_ref()).map_or(0, |call| call.attempt))
    }

    /// A merge patch by a person; returns the object that it has made.
    pub async fn patch(&self, object: Object, patch: &Value) -> Result<ZenlayerPort> {
        // Not by kubectl, whose command line ends at 128 KiB.
        let name = &self.subjects[object.0].name;
        Ok(self.api(object).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// A person strips all finalizers: from now on nobody promises anything about the port.
    pub async fn strip_finalizers(&mut self, object: Object) -> Result<()> {
        self.subjects[object.0].excused = Some("a person stripped the finalizer");
        self.patch(object, &json!({ "metadata": { "finalizers": null } })).await.map(drop)
    }

    /// The object may go without its port, which it never owned.
    pub fn excuse(&mut self, object: Object, why: &'static str) {
        self.subjects[object.0].excused = Some(why);
    }

    /// The object shows this reason, now or soon, or has since it was last asked; returns the message. What it has shown once
    /// does not count again.
    pub async fn shows(&mut self, object: Object, reason: &str) -> Result<String> {
        self.shows_because(object, reason, "").await
    }

    /// As [`Bench::shows`], with a message that names this cause.
    pub async fn shows_because(&mut self, object: Object, reason: &str, cause: &str) -> Result<String> {
        let heard = self.heard[object.0];
        let what = if cause.is_empty() {
            format!("{reason} is shown")
        } else {
            format!("{reason} is shown with {cause:?}")
        };
        let meant = |(said, message): &(String, String)| said == reason && message.contains(cause);
        let shown = self.until(what, async |bench| {
            let Subject { namespace, name, .. } = &bench.subjects[object.0];
            if let Some((place, message)) = bench.witness.find(namespace, name, heard, meant) {
                return Ok(Some((place + 1, message)));
            }
            // The watch may have missed it.
            let last = heard.checked_sub(1).and_then(|place| bench.witness.word(namespace, name, place));
            let now = bench.get(object).await?.and_then(|object| ready(&object));
            let now = now.filter(|now| meant(now) && last.as_ref() != Some(now));
            Ok(now.map(|(_, message)| (heard, message)))
        });
        let shown = shown.await;
        let seen = if shown.is_ok() { Seen::Yes } else { Seen::Never };
        self.subjects[object.0].told.push((reason.to_owned(), seen));
        let (place, message) = match shown {
            Ok(found) => found,
            Err(error) => {
                let last = self.get(object).await.ok().flatten().and_then(|object| ready(&object));
                return Err(error.context(format!(
                    "{} shows {last:?}\n{}",
                    self.subjects[object.0],
                    self.tail()
                )));
            }
        };
        self.heard[object.0] = place;
        Ok(message)
    }

    /// Waits until the newest call for the object was seen to take effect.
    pub async fn until_landed(&self, object: Object) -> Result<()> {
        let landed = self.until("the call is seen to take effect", async |bench| {
            let found = bench.get(object).await?;
            let call =
                found.as_ref().and_then(|found| found.release()).and_then(|release| release.call.as_ref());
            Ok(call.filter(|call| call.landed).map(drop))
        });
        landed.await.with_context(|| self.tail())
    }

    /// The object shows this reason and is to keep it to the end.
    pub async fn holds(&mut self, object: Object, reason: &'static str) -> Result<String> {
        self.subjects[object.0].expected = Expected::Held(reason);
        self.shows(object, reason).await
    }

    /// The object goes, now or soon.
    pub async fn goes(&mut self, object: Object) -> Result<()> {
        let gone = self
            .until("the object is gone", async |bench| Ok(bench.get(object).await?.is_none().then_some(())));
        match gone.await {
            Ok(()) => {
                self.note_gone(object).await;
                Ok(())
            }
            Err(error) => {
                let shown = self.get(object).await.ok().flatten().and_then(|object| ready(&object));
                bail!(
                    "O4 liveness: {} does not go, it shows {shown:?}: {error:#}\n{}",
                    self.subjects[object.0],
                    self.tail()
                )
            }
        }
    }

    /// Several objects go.
    pub async fn all_go(&mut self, objects: &[Object]) -> Result<()> {
        for object in objects {
            self.goes(*object).await?;
        }
        Ok(())
    }

    /// Notes when the object went: as the watch has seen it, or now, if the watch was cut at that moment. To notice it later
    /// than it happened is to miss that it went before its port.
    async fn note_gone(&mut self, object: Object) {
        let Subject { namespace, name, wishes, gone_at_ms, .. } = &self.subjects[object.0];
        if gone_at_ms.is_some() {
            return;
        }
        let lives_since = wishes.iter().rev().find(|wish| wish.deletion == Deletion::NotAsked);
        let after = self.began + Duration::from_millis(lives_since.map_or(0, |wish| wish.at_ms));
        let noticed = Instant::now();
        let seen =
            until(WATCH_LAG, "the watch shows it", async || Ok(self.witness.gone(namespace, name, after)));
        let gone = seen.await.ok();
        let gone = gone.unwrap_or(noticed).min(noticed).duration_since(self.began);
        self.subjects[object.0].gone_at_ms = Some(u64::try_from(gone.as_millis()).unwrap_or(u64::MAX));
    }

    /// A port of the neighbour is released while the fault lasts that holds up `object`.
    pub async fn neighbour_goes_before(&mut self, object: Object) -> Result<()> {
        self.neighbour_goes().await?;
        let held_up = self.get(object).await?.is_some();
        ensure!(
            held_up,
            "O6 isolation is not shown: the fault held up {} no longer",
            self.subjects[object.0]
        );
        Ok(())
    }

    /// A port of the neighbour is released from beginning to end.
    pub async fn neighbour_goes(&mut self) -> Result<()> {
        let id = self.port_id();
        let neighbour = self.neighbour.clone();
        self.cloud.seed(Port::new(&id).account(neighbour.account).status(PortStatus::Recycled));
        let object = self.create(&neighbour, &id, DeletionPolicy::Destroy).await?;
        self.until_seen(object).await?;
        self.delete(object).await?;
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        self.subjects[object.0].unaffected_until_ms = Some(self.now_ms() + patience);
        self.goes(object).await.context("O6 isolation")
    }

    /// Reads how each object has ended.
    pub(super) async fn settle_accounts(&mut self) -> Result<()> {
        for index in 0..self.subjects.len() {
            let found =
                self.until("the API server answers", async |bench| Ok(Some(bench.get(Object(index)).await?)));
            match found.await? {
                None => self.note_gone(Object(index)).await,
                Some(object) => self.subjects[index].reason = ready(&object).map(|(reason, _)| reason),
            }
        }
        Ok(())
    }
}
