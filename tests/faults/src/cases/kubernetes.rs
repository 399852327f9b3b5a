//! K3, K5–K19: what happens to objects, Secrets, rights and namespaces.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use test_support::proxy::Line;
use test_support::release::serve_the_kind;
use zenlayer_port_operator::api::{DeletionPolicy, FINALIZER, ZenlayerPort};
use zenlayer_simulator::{Account, Port, PortStatus, Rule};

use super::cases;
use crate::bench::{LONG_GRACE, Spoilt};

cases! {
    "watch-cut" ["K3"] Shared
    "Connections to the API server break or fall silent while objects are deleted. The operator misses no deletion." |bench| {
        let line = bench.start_behind_proxy().await?;
        let (first, second) = (bench.recycled().await?, bench.running_port().await?);
        line.cut();
        bench.delete(first).await?;
        bench.a_while(Duration::from_secs(2)).await;
        line.set(Line::Shut);
        bench.delete(second).await?;
        bench.a_while(Duration::from_secs(4)).await;
        line.set(Line::Silent);
        bench.a_while(Duration::from_secs(2)).await;
        line.set(Line::Open);
        bench.all_go(&[first, second]).await?;
    }

    "conflict-storm" ["K5"] Shared
    "Someone writes to the objects all the time. The operator decides again after each conflict and repeats no call." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        let pause = Duration::from_millis(bench.chance.u64(1..30));
        let churn = bench.churn(&[live, recycled], pause);
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        bench.a_while(Duration::from_secs(12)).await;
        bench.neighbour_goes().await?;
        drop(churn);
        bench.all_go(&[live, recycled]).await?;
    }

    "no-right-to-status" ["K6"] Shared
    "The operator may not write the record of a call. It makes no call." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let rights = bench.revoke("zenlayerports/status", &["update", "patch"]).await?;
        bench.delete(object).await?;
        bench.until_a_reconcile_fails().await?;
        bench.a_while(Duration::from_secs(6)).await;
        ensure!(bench.sent("DestroyPort") == 0, "O2: called without a record");
        bench.grant_again(rights).await?;
        bench.goes(object).await?;
    }

    "no-right-to-status-mid-way" ["K6"] Shared
    "The operator loses the permission to write the result of a call during the call. It does not repeat the call." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DestroyPort").once().delay_answer(Duration::from_secs(2)));
        bench.delete(object).await?;
        bench.until("a call was sent", async |bench| {
            Ok((bench.sent("DestroyPort") > 0).then_some(()))
        }).await?;
        let rights = bench.revoke("zenlayerports/status", &["update", "patch"]).await?;
        bench.until_a_reconcile_fails().await?;
        bench.a_while(Duration::from_secs(8)).await;
        bench.grant_again(rights).await?;
        bench.goes(object).await?;
    }

    "no-right-to-events" ["K6" "K17"] Shared
    "The operator may not send Events. Everything else works." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        let rights = bench.revoke("events", &["create"]).await?;
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        bench.all_go(&[live, recycled]).await?;
        bench.grant_again(rights).await?;
    }

    "no-right-to-secrets" ["K6"] Shared
    "The operator may not read the Secret. The object shows this, and objects of another tenant continue." |bench| {
        bench.value("credentials.keepCopies=false");
        bench.start().await?;
        let rights = bench.revoke_from_tenant("secrets", &["get"]).await?;
        let object = bench.seed(PortStatus::Recycled, DeletionPolicy::Destroy).await?;
        bench.shows_because(object, "CredentialsUnavailable", "RBAC").await?;
        bench.until_owned(&[object]).await?;
        bench.delete(object).await?;
        bench.neighbour_goes_before(object).await?;
        bench.grant_again(rights).await?;
        bench.goes(object).await?;
    }

    "no-right-to-finalizer" ["K6" "K16"] Shared
    "The operator may not remove the finalizer. The object stays, and the operator does not destroy the port again." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let rights = bench.revoke("zenlayerports", &["patch"]).await?;
        bench.delete(object).await?;
        let port = bench.port_of(object).to_owned();
        bench.until("the port is gone", async |bench| Ok(bench.cloud.port(&port).is_none().then_some(()))).await?;
        bench.until_a_reconcile_fails().await?;
        bench.a_while(Duration::from_secs(4)).await;
        bench.grant_again(rights).await?;
        bench.goes(object).await?;
    }

    "namespace-deleted" ["K7" "K13"] Shared
    "A namespace is deleted with its objects, its Secret and its Roles. The operator destroys every port, and the namespace disappears." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        bench.ask_for_deletion(live);
        bench.ask_for_deletion(recycled);
        let namespace = bench.tenant.namespace.clone();
        bench.cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]).await?;
        bench.all_go(&[live, recycled]).await?;
        bench.until("the namespace is gone", async |bench| {
            Ok((!bench.namespaces().await?.contains(&namespace)).then_some(()))
        }).await?;
    }

    "kind-deleted" ["K8"] Own
    "The CustomResourceDefinition is deleted. The operator destroys no port until a person runs the printed command." |bench| {
        bench.start().await?;
        let (kept, released) = (bench.recycled().await?, bench.running_port().await?);
        let kind = "zenlayerports.sdn.zenlayer.com";
        bench.cluster.kubectl(&["delete", "customresourcedefinition", kind, "--wait=false"]).await?;
        bench.shows(kept, "CRDDeleted").await?;
        let message = bench.shows(released, "CRDDeleted").await?;
        let calls = bench.cloud.journal();
        ensure!(calls.calls("DestroyPort").chain(calls.calls("TerminatePort")).count() == 0, "O2 no wrong kill");
        bench.ask_for_deletion(released);
        bench.type_command_of(&message).await?;
        bench.goes(released).await?;
        bench.ask_for_deletion(kept);
        bench.set_policy(kept, DeletionPolicy::Retain).await?;
        bench.goes(kept).await?;
    }

    "kind-applied-again" ["K8"] Own
    "The CustomResourceDefinition is deleted, a person removes its finalizer, and it is created again. The operator destroys no port until a person runs the printed command." |bench| {
        bench.start().await?;
        let (kept, released) = (bench.recycled().await?, bench.recycled().await?);
        let kind = ["customresourcedefinition", "zenlayerports.sdn.zenlayer.com"];
        bench.cluster.kubectl(&["delete", kind[0], kind[1], "--wait=false"]).await?;
        let seen_going = bench.chance.bool();
        if seen_going {
            bench.shows(kept, "CRDDeleted").await?;
        }
        for object in [kept, released] {
            bench.until("the object is being deleted", async |bench| {
                let found = bench.get(object).await?.context("its finalizer holds it")?;
                Ok(found.metadata.deletion_timestamp.map(drop))
            }).await?;
        }
        let cleared = r#"{"metadata":{"finalizers":null}}"#;
        bench.cluster.kubectl(&["patch", kind[0], kind[1], "--type=merge", "-p", cleared]).await?;
        bench.until("the kind is gone", async |bench| {
            let found = bench.cluster.kubectl(&["get", kind[0], kind[1], "--ignore-not-found", "-o", "name"]).await?;
            Ok(found.trim().is_empty().then_some(()))
        }).await?;
        serve_the_kind(&bench.cluster).await?;
        if !seen_going {
            bench.shows(kept, "CRDDeleted").await?;
        }
        let message = bench.shows(released, "CRDDeleted").await?;
        bench.neighbour_goes().await?;
        let calls = bench.cloud.journal();
        for object in [kept, released] {
            let called = calls.calls_for("DestroyPort", bench.port_of(object)).count();
            ensure!(called == 0, "O2 no wrong kill: DestroyPort was called for {}", bench.port_of(object));
        }
        bench.ask_for_deletion(released);
        bench.type_command_of(&message).await?;
        bench.goes(released).await?;
        bench.ask_for_deletion(kept);
        bench.set_policy(kept, DeletionPolicy::Retain).await?;
        bench.goes(kept).await?;
    }

    "foreign-finalizers" ["K9"] Shared
    "The object has other finalizers, or a foreground deletion. The operator waits for them before it makes a call." |bench| {
        bench.start().await?;
        let (first, second) = (bench.recycled().await?, bench.recycled().await?);
        let finalizers = |all: &[&str]| json!({ "metadata": { "finalizers": all } });
        bench.patch(first, &finalizers(&[FINALIZER, "example.com/backup"])).await?;
        bench.delete(first).await?;
        bench.delete_with(second, &["--cascade=foreground"]).await?;
        let message = bench.shows(first, "WaitingForFinalizers").await?;
        ensure!(message.contains("example.com/backup"), "O5 truth: {message}");
        bench.goes(second).await?;
        ensure!(bench.cloud.port(bench.port_of(first)).is_some(), "O2: destroyed while another finalizer was there");
        bench.patch(first, &finalizers(&[FINALIZER])).await?;
        bench.goes(first).await?;
    }

    "orphaned-and-collected" ["K9"] Shared
    "The owner of objects is deleted. The operator destroys the ports of the objects that the garbage collector deletes, and not those of orphaned objects." |bench| {
        bench.start().await?;
        let orphan = bench.recycled().await?;
        bench.delete_with(orphan, &["--cascade=orphan"]).await?;
        bench.goes(orphan).await?;
        let child = bench.recycled().await?;
        let owner = bench.kubectl(&["create", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]).await?;
        let reference = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner }]);
        bench.patch(child, &json!({ "metadata": { "ownerReferences": reference } })).await?;
        bench.ask_for_deletion(child);
        bench.kubectl(&["delete", "configmap", "owner"]).await?;
        bench.goes(child).await?;
    }

    "name-used-again" ["K10"] Shared
    "An object is created again under the same name as soon as the old one is gone. The new object keeps its own port." |bench| {
        bench.start().await?;
        let tenant = bench.tenant.clone();
        let old = bench.recycled().await?;
        let name = bench.name(old).to_owned();
        let id = bench.port_id();
        bench.cloud.seed(Port::new(&id).account(tenant.account).status(PortStatus::Recycled));
        bench.delete(old).await?;
        bench.goes(old).await?;
        let new = bench.create_named(&tenant, &name, &id, DeletionPolicy::Destroy).await?;
        bench.shows(new, "PortRecycled").await?;
        ensure!(bench.sent_for("DestroyPort", &id) == 0, "O2 no wrong kill");
    }

    "finalizer-stripped" ["K11"] Shared
    "A person removes the finalizer during a deletion. After that, the operator makes no call for the object." |bench| {
        bench.start().await?;
        let (deleted, living) = (bench.running_port().await?, bench.running_port().await?);
        bench.delete(deleted).await?;
        bench.a_while(Duration::from_secs(3)).await;
        bench.strip_finalizers(deleted).await?;
        bench.goes(deleted).await?;
        bench.patch(living, &json!({ "metadata": { "finalizers": null } })).await?;
        bench.until("the finalizer is back", async |bench| {
            Ok(bench.get(living).await?.filter(ZenlayerPort::has_finalizer).map(drop))
        }).await?;
        bench.delete(living).await?;
        bench.goes(living).await?;
    }

    "two-on-one-port" ["K12"] Shared
    "Two objects in one namespace name the same port and are deleted in any order. The port is destroyed once, after both deletions." |bench| {
        bench.start().await?;
        let first = bench.recycled().await?;
        let (tenant, id) = (bench.tenant.clone(), bench.port_of(first).to_owned());
        let second = bench.create(&tenant, &id, DeletionPolicy::Destroy).await?;
        bench.shows(second, "PortClaimed").await?;
        let mut order = [first, second];
        bench.chance.shuffle(&mut order);
        bench.delete(order[0]).await?;
        bench.shows(order[0], "PortClaimed").await?;
        ensure!(bench.sent("DestroyPort") == 0, "O2: destroyed while the other stays");
        bench.delete(order[1]).await?;
        bench.all_go(&order).await?;
    }

    "secret-lost" ["K13"] Shared
    "The Secret is deleted, empty, misspelt or huge. The object shows which, keeps its finalizer, and continues with a good Secret." |bench| {
        bench.value("credentials.keepCopies=false").value(LONG_GRACE).start().await?;
        let object = bench.recycled().await?;
        let mut ways = [Spoilt::Deleted, Spoilt::Emptied, Spoilt::Misnamed, Spoilt::Huge];
        bench.chance.shuffle(&mut ways);
        bench.spoil_secret(ways[0]).await?;
        bench.delete(object).await?;
        let mut shown = "";
        for way in ways {
            bench.spoil_secret(way).await?;
            // Two ways have one complaint, which is not written again.
            if shown != way.complaint() {
                shown = way.complaint();
                bench.shows_because(object, "CredentialsUnavailable", shown).await?;
            }
            bench.a_while(Duration::from_secs(3)).await;
        }
        bench.neighbour_goes_before(object).await?;
        bench.restore_tenants_secret().await?;
        bench.goes(object).await?;
    }

    "secret-rotated-mid-call" ["K13"] Shared
    "The key is replaced during calls by other keys of the same account. The operator makes each call once." |bench| {
        bench.start().await?;
        let object = bench.running_port().await?;
        for action in ["TerminatePort", "DestroyPort"] {
            bench.fault(Rule::on(action).once().delay_answer(Duration::from_secs(1)));
        }
        bench.delete(object).await?;
        let mut keys = Vec::new();
        for action in ["TerminatePort", "DestroyPort"] {
            bench.until("a call was sent", async |bench| {
                Ok((bench.sent(action) > 0).then_some(()))
            }).await?;
            let password: String = (0..24).map(|_| bench.chance.alphanumeric()).collect();
            keys.push((format!("AFTER-{action}"), password.clone()));
            // The first key has died. The second has not: once the port is gone nobody else could tell that it was there.
            let account = keys.iter().fold(Account::new("tenant"), |account, (id, password)| account.key(id, password));
            bench.cloud.put_account(account);
            bench.put_tenants_secret(&keys[keys.len() - 1].0, &password).await?;
            bench.keep_secret(password);
        }
        bench.goes(object).await?;
        for action in ["TerminatePort", "DestroyPort"] {
            let sent = bench.sent(action);
            ensure!(sent == 1, "O3 bounded: {action} was sent {sent} times");
        }
    }

    "restored-from-backup" ["K14"] Shared
    "A backup brings back an object with its old status. Its port is destroyed. The object shows PortNotFound, and disappears when it is deleted again." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let backup = bench.get(object).await?.context("it was just made")?;
        bench.delete(object).await?;
        bench.goes(object).await?;
        let (tenant, name, id) = (bench.tenant.clone(), bench.name(object).to_owned(), bench.port_of(object).to_owned());
        let again = bench.create_named(&tenant, &name, &id, DeletionPolicy::Destroy).await?;
        let status = json!({ "status": backup.status }).to_string();
        bench.kubectl(&["patch", "zenlayerport", &name, "--subresource=status", "--type=merge", "-p", &status]).await?;
        bench.shows(again, "PortNotFound").await?;
        bench.delete(again).await?;
        bench.goes(again).await?;
    }

    "lease-lost" ["K15"] Shared
    "The Lease is deleted, or given to a replica that does not exist, during a deletion. The operators make one call in total." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        let (namespace, name) = bench.lease()?;
        bench.a_while(Duration::from_secs(2)).await;
        let first = bench.lease_holder().await?;
        bench.cluster.kubectl(&["delete", "lease", &name, "-n", &namespace]).await?;
        bench.a_while(Duration::from_secs(2)).await;
        let stolen = r#"{"spec":{"holderIdentity":"nobody"}}"#;
        bench.until("the Lease is stolen", async |bench| {
            // It may not be there at this moment.
            let theft = ["patch", "lease", &name, "-n", &namespace, "--type=merge", "-p", stolen];
            Ok(bench.cluster.kubectl(&theft).await.ok().map(drop))
        }).await?;
        bench.until("the Lease is taken back", async |bench| {
            let holder = bench.lease_holder().await?;
            Ok((holder != "nobody" && holder != first && !holder.is_empty()).then_some(()))
        }).await?;
        bench.all_go(&[live, recycled]).await?;
    }

    "rejected-by-policy" ["K18"] Shared
    "An admission policy refuses the record of a call. The operator makes no call, and continues when the policy is gone." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let name = format!("no-records-in-{}", bench.tenant.namespace);
        bench.refuse_status_writes(&name).await?;
        bench.delete(object).await?;
        bench.until_a_reconcile_fails().await?;
        bench.a_while(Duration::from_secs(6)).await;
        ensure!(bench.sent("DestroyPort") == 0, "O2: called without a record");
        let policy = ["validatingadmissionpolicy,validatingadmissionpolicybinding", name.as_str()];
        bench.cluster.kubectl(&["delete", policy[0], policy[1]]).await?;
        bench.goes(object).await?;
    }

    "uninstalled" ["K19"] Shared
    "The release is removed during a deletion. The object stays, and a new release finishes the deletion." |bench| {
        bench.value("uninstall.check=false");
        bench.start().await?;
        let object = bench.own(PortStatus::Running, DeletionPolicy::Destroy).await?;
        bench.delete(object).await?;
        bench.shows(object, "NotInRecycleBin").await?;
        bench.uninstall().await?;
        ensure!(bench.get(object).await?.is_some(), "O1 no leak: the object went with the release");
        bench.cloud.set_status(bench.port_of(object), PortStatus::Recycled);
        bench.start().await?;
        bench.goes(object).await?;
    }
}
