//! What the operator and the checks of a release ask the API server for: no more than the chart grants, and all of it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use test_cluster::Access;

use crate::invalid::{LATER_POLICY, set_policy, until_unparsed};
use crate::world::{Permissions, World, given, recycled, run, until};
use crate::{check, uninstall, witness};

thread_local! {
    /// What operators asked for without a permission, in the worlds that ended on this thread.
    static NOT_PERMITTED: RefCell<Vec<Access>> = const { RefCell::new(Vec::new()) };
}

/// Every test ends with this.
pub fn assert_that_none_was_missing() {
    let missing = NOT_PERMITTED.take();
    assert!(missing.is_empty(), "the chart does not grant this, and the operator asked for it: {missing:#?}");
}

impl Drop for World {
    fn drop(&mut self) {
        witness::judge_the_end_of(self);
        if self.permissions == Permissions::Lost {
            return;
        }
        let accesses = self.accesses().expect("the audit log can be read");
        let missing = accesses.into_iter().filter(|access| !access.permitted);
        NOT_PERMITTED.with_borrow_mut(|all| all.extend(missing));
    }
}

impl World {
    /// What the operator's ServiceAccount, which the checks use too, has asked for.
    fn accesses(&self) -> Result<BTreeSet<Access>> {
        self.cluster.accesses_since(self.audited_since, self.release(), &self.deployment())
    }
}

/// One verb of a rule.
#[derive(Debug)]
struct Grant {
    /// None: in the whole cluster.
    namespace: Option<String>,
    verb: String,
    group: String,
    resource: String,
    /// Empty: of any name.
    names: Vec<String>,
}

impl Grant {
    fn covers(&self, access: &Access) -> bool {
        let Access { verb, group, resource, namespace, name, .. } = access;
        (verb, group, resource) == (&self.verb, &self.group, &self.resource)
            && (self.namespace.is_none() || self.namespace == *namespace)
            && (self.names.is_empty() || name.as_ref().is_some_and(|name| self.names.contains(name)))
    }
}

/// What the roles of the release grant.
async fn granted(world: &World) -> Result<Vec<Grant>> {
    let selector = format!("--selector=app.kubernetes.io/instance={}", world.release());
    let roles = ["get", "clusterroles,roles", "--all-namespaces", &selector, "--output=json"];
    let roles: Value = serde_json::from_str(&world.cluster.kubectl(&roles).await?)?;
    let texts = |list: &Value| {
        let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut grants = Vec::new();
    for role in roles["items"].as_array().context("a list of roles")? {
        let metadata = &role["metadata"];
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    grants.extend(texts(&rule["verbs"]).into_iter().map(|verb| Grant {
                        namespace: metadata["namespace"].as_str().map(str::to_owned),
                        verb,
                        group: group.clone(),
                        resource: resource.clone(),
                        names: texts(&rule["resourceNames"]),
                    }));
                }
            }
        }
    }
    Ok(grants)
}

/// Kubernetes itself lets every account ask what it may do, as `helm test` does.
fn everybody_may(access: &Access) -> bool {
    (access.verb.as_str(), access.resource.as_str()) == ("create", "selfsubjectaccessreviews")
}

/// The API server asks for it in the operator's name, when a Pod takes over the Lease of another (`tests/e2e/replicas.rs`).
fn is_asked_by_admission(grant: &Grant) -> bool {
    (grant.verb.as_str(), grant.resource.as_str()) == ("delete", "leases") && !grant.names.is_empty()
}

/// Somebody changes the object again and again, until a write of the operator has met one of these changes.
async fn until_writes_conflict(world: &World, name: &str) -> Result<()> {
    let objects = world.objects().await?;
    let change = async |policy: &str| {
        let patch = json!({ "spec": { "deletionPolicy": policy } });
        objects.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    };
    until("the operator reads the object again", async || {
        try_join_all(["Retain", "Terminate", "Retain", "Destroy"].map(change)).await?;
        let reads = |access: &Access| access.verb == "get" && access.resource == "zenlayerports";
        Ok(world.accesses()?.iter().any(reads).then_some(()))
    })
    .await
}

#[test]
fn the_operator_and_the_checks_use_every_permission_that_the_chart_grants_and_no_other() {
    run(async {
        let ports = [recycled("port-1"), recycled("port-2")];
        let world = given(ports).with_later_words().start().await?;
        let granted = granted(&world).await?;
        assert!(granted.len() > 15, "{granted:#?}");

        world.own("odd", "port-2", LATER_POLICY).await?;
        until_unparsed(&world, "odd").await?;
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        until_writes_conflict(&world, "edge").await?;
        let (passes, said) = check::check(&world, &[], None).await?;
        assert!(passes, "{said}");
        for name in ["odd", "edge"] {
            set_policy(&world, name, "Destroy").await?;
            world.until_alive(name, "PortRecycled").await?;
            world.delete(name).await?;
            world.until_gone(name).await?;
        }
        uninstall::check(&world, None).await?;

        let unused = || {
            let accesses = world.accesses()?;
            let is_used = |grant: &&Grant| accesses.iter().any(|access| grant.covers(access));
            let unused = granted.iter().filter(|grant| !is_used(grant) && !is_asked_by_admission(grant));
            anyhow::Ok(unused.collect::<Vec<_>>())
        };
        // The copy of the Secret goes a little later than the objects.
        let all = until("every permission is used", async || Ok(unused()?.is_empty().then_some(())));
        all.await.with_context(|| format!("granted, and not used: {:#?}", unused()))?;
        let mut used = world.accesses()?;
        used.retain(|access| !everybody_may(access) && !granted.iter().any(|grant| grant.covers(access)));
        assert!(used.is_empty(), "used, and not granted by the chart: {used:#?}");
        Ok(())
    });
}
