//! Where credentials come from, what happens without, and how they are replaced and copied.

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use test_support::objects::key_secret;
use zenlayer_port_operator::api::FINALIZER;
use zenlayer_simulator::{Account, PortStatus, Rule, Simulator};

use crate::world::{SECRET, World, given, ready, recycled, run, running, spec, until};

/// Ports that are merely held or in sight are read every second, and not every 30.
const RESYNC: &str = "polling.resyncInterval=10s";

/// The credentials that Zenlayer accepts for the account of the ports.
fn accept(simulator: &Simulator, keys: &[&str]) {
    let none = Account::new("default");
    simulator.put_account(keys.iter().fold(none, |account, key| account.key(*key, "PASSWORD")));
}

/// The copies in the operator's own namespace.
pub async fn secrets_that_are_copies(world: &World) -> Result<Vec<Secret>> {
    let secrets = Api::<Secret>::namespaced(world.cluster.client().await?, world.release());
    let labelled = kube::api::ListParams::default().labels("app.kubernetes.io/component=credentials-copy");
    Ok(secrets.list(&labelled).await?.items)
}

/// The `accessKeyId` of each.
async fn copies(world: &World) -> Result<Vec<String>> {
    let ids = secrets_that_are_copies(world).await?.into_iter().filter_map(|copy| {
        let id = copy.data?.remove("accessKeyId")?;
        String::from_utf8(id.0).ok()
    });
    Ok(ids.collect())
}

async fn until_copies_are(world: &World, expected: &[&str]) -> Result<()> {
    let same =
        until("the copies are as expected", async || Ok((copies(world).await? == expected).then_some(())));
    same.await.map_err(|error| error.context(format!("expected copies of {expected:?}\n{}", world.log())))
}

/// The keys that DestroyPort calls were signed with, those aside that Zenlayer rejected.
fn signers(world: &World) -> Vec<String> {
    world.journal().calls("DestroyPort").filter_map(|call| Some(call.key.as_deref()?.to_owned())).collect()
}

#[test]
fn an_object_waits_for_its_secret_and_goes_on_once_it_is_there() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().start().await?;
        world.own("edge", "port-1", "Destroy").await?;
        let message = world.until_reason("edge", "CredentialsUnavailable").await?;
        assert!(message.contains(SECRET), "the message names the Secret: {message}");
        world.delete("edge").await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        world.put_secret("KEY", "PASSWORD").await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn a_wrong_key_is_shown_as_unauthorized_and_a_corrected_secret_is_taken_up() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().start().await?;
        world.put_secret("KEY", "WRONG-PASSWORD").await?;
        world.own("edge", "port-1", "Destroy").await?;
        let message = world.until_reason("edge", "Unauthorized").await?;
        assert!(!message.contains("WRONG-PASSWORD"), "{message}");
        world.delete("edge").await?;
        world.until_reason("edge", "Unauthorized").await?;
        world.assert_only_destroyed(&[]);
        world.put_secret("KEY", "PASSWORD").await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn the_operators_own_credentials_serve_the_namespaces_that_are_listed() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().own_credentials().start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn the_operators_own_credentials_are_replaced_without_a_restart() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().own_credentials().start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.secret_in(world.release(), "NEXT", "PASSWORD").await?;
        world.operator().refresh_volumes().await?;
        accept(&world.simulator, &["NEXT"]);
        world.delete("edge").await?;
        world.until_gone_with("edge", &["port-1"]).await?;
        // The old key may have been tried once, and refused, before the new one was read.
        assert_eq!(signers(&world).last().map(String::as_str), Some("NEXT"), "{}", world.log());
        assert_eq!(copies(&world).await?, Vec::<String>::new(), "the operator's own need no copy");
        Ok(())
    });
}

#[test]
fn the_operators_own_credentials_serve_no_namespace_that_is_not_listed() {
    run(async {
        let elsewhere = "credentials.namespaces={somewhere-else}";
        let world =
            given([recycled("port-1")]).without_secret().own_credentials().value(elsewhere).start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "CredentialsUnavailable").await?;
        assert!(message.contains("--credentials-namespaces"), "{message}");
        assert_eq!(world.journal().requests().len(), 0, "Zenlayer was asked\n{}", world.log());
        Ok(())
    });
}

#[test]
fn a_key_that_may_not_destroy_is_shown_as_permission_denied() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let denied = "AUTHFAILURE_UNAUTHORIZED_OPERATION";
        let rule = world.simulator.fault(Rule::on("DestroyPort").refuse(401, denied));
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "PermissionDenied").await?;
        world.simulator.clear_fault(rule);
        world.until_gone("edge").await?;
        assert_eq!(world.journal().committed_destroys("port-1"), 1, "{}", world.log());
        Ok(())
    });
}

#[test]
fn whoever_names_anothers_key_id_with_a_wrong_password_reaches_nothing() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start().await?;
        world.own_until("owner", "port-1", "Destroy", "PortRecycled").await?;
        world.apply(&key_secret(&world.namespace, "guessed", ("KEY", "GUESSED"))).await?;
        world.create("thief", json!({ "portId": "port-1", "credentialsRef": { "name": "guessed" } })).await?;
        world.until_reason("thief", "Unauthorized").await?;
        world.delete("thief").await?;
        world.until_held("thief", "Unauthorized").await?;
        let thief = world.objects().await?.get("thief").await?.status.unwrap_or_default();
        assert_eq!((thief.port, thief.identity), (None, None), "{}", world.log());
        let owner = world.objects().await?.get("owner").await?;
        assert_eq!(
            ready(&owner).map(|(reason, _)| reason).as_deref(),
            Some("PortRecycled"),
            "{}",
            world.log()
        );
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn a_key_that_is_rotated_within_its_account_takes_over_in_the_middle_of_a_release() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start().await?;
        accept(&world.simulator, &["KEY", "NEXT"]);
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.simulator.set_frozen("port-1", true);
        world.delete("edge").await?;
        world.until_reason("edge", "Destroying").await?;
        world.put_secret("NEXT", "PASSWORD").await?;
        until_copies_are(&world, &["NEXT"]).await?;
        accept(&world.simulator, &["NEXT"]);
        world.simulator.set_frozen("port-1", false);
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn a_new_key_takes_over_at_once_when_zenlayer_rejects_the_old_one() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start_with_edge().await?;
        accept(&world.simulator, &["NEXT"]);
        world.until_reason("edge", "Unauthorized").await?;
        world.put_secret("NEXT", "PASSWORD").await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_gone_with("edge", &["port-1"]).await?;
        assert_eq!(signers(&world), ["NEXT"], "{}", world.log());
        Ok(())
    });
}

#[test]
fn another_accounts_key_holds_a_release_until_the_right_one_is_back() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start().await?;
        let protected =
            json!({ "portId": "port-1", "deletionProtection": true, "credentialsRef": { "name": SECRET } });
        world.create("edge", protected).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.put_secret("ANOTHER", "PASSWORD").await?;
        until("the message says that the new key does not see the port", async || {
            let said = ready(&world.objects().await?.get("edge").await?);
            Ok(said.filter(|(reason, message)| reason == "PortRecycled" && message.contains("no such port")))
        })
        .await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "DeletionProtected").await?;
        world.type_command_of(&message).await?;
        let message = world.until_reason("edge", "CredentialsUnavailable").await?;
        assert!(message.contains("has not returned port port-1 for the new ones"), "{message}");
        assert_eq!(copies(&world).await?, ["KEY"], "the key that has proved itself stays");
        world.assert_only_destroyed(&[]);
        world.put_secret("KEY", "PASSWORD").await?;
        world.until_gone_with("edge", &["port-1"]).await?;
        assert_eq!(signers(&world), ["KEY"], "{}", world.log());
        Ok(())
    });
}

#[test]
fn a_secret_that_somebody_deletes_is_a_brake_on_changes_and_not_on_the_status() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start_with_edge().await?;
        world.kubectl(&["delete", "secret", SECRET]).await?;
        until("the message says that the Secret is gone", async || {
            let said = ready(&world.objects().await?.get("edge").await?);
            Ok(said.filter(|(_, message)| message.contains("does not exist")))
        })
        .await?;
        world.simulator.set_status("port-1", PortStatus::Running);
        world.until_alive("edge", "Running").await?;
        world.simulator.set_status("port-1", PortStatus::Recycled);
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "CredentialsUnavailable").await?;
        assert!(message.contains(SECRET) && message.contains("until the Secret exists again"), "{message}");
        let world = world.killed_and_restarted().await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        world.assert_only_destroyed(&[]);
        world.put_secret("KEY", "PASSWORD").await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

/// Waits until what the object says of itself holds this.
async fn until_it_says(world: &World, name: &str, words: &str) -> Result<()> {
    let saying = until("the message has these words", async || {
        let said = ready(&world.objects().await?.get(name).await?);
        Ok(said.filter(|(_, message)| message.contains(words)).map(drop))
    });
    saying.await.map_err(|error| error.context(format!("{name} was to say {words:?}\n{}", world.log())))
}

#[test]
fn a_secret_that_is_deleted_together_with_its_object_does_not_stop_the_release_half_way() {
    run(async {
        let world = given([running("port-1"), recycled("port-2")]).value(RESYNC).start().await?;
        world.own("edge", "port-1", "TerminateAndDestroy").await?;
        // It stays, and tells when the operator knows that the Secret is gone.
        world.own("other", "port-2", "Destroy").await?;
        world.until_alive("edge", "Running").await?;
        world.until_alive("other", "PortRecycled").await?;
        world.simulator.set_frozen("port-1", true);
        world.kubectl(&["delete", &format!("secret/{SECRET}"), "zenlayerport/edge", "--wait=false"]).await?;
        world.until_reason("edge", "Terminating").await?;
        until_it_says(&world, "other", "does not exist").await?;
        let world = world.killed_and_restarted().await?;
        world.simulator.set_frozen("port-1", false);
        world.until_gone_with("edge", &["port-1"]).await?;
        // For this one the Secret was gone long before.
        world.delete("other").await?;
        world.until_reason("other", "CredentialsUnavailable").await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_finalizer_in_the_manifest_a_secret_made_later_and_another_secret_named_each_get_their_copy() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().value(RESYNC).start().await?;
        world.create_with_finalizers("edge", spec("port-1", "Destroy"), &json!([FINALIZER])).await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        assert_eq!(copies(&world).await?, Vec::<String>::new());
        world.put_secret("KEY", "PASSWORD").await?;
        until_copies_are(&world, &["KEY"]).await?;

        accept(&world.simulator, &["KEY", "NEXT"]);
        world.apply(&key_secret(&world.namespace, "another", ("NEXT", "PASSWORD"))).await?;
        let edit = r#"{"spec":{"credentialsRef":{"name":"another"}}}"#;
        world.patch("edge", edit).await?;
        until_copies_are(&world, &["NEXT"]).await?;
        // One that somebody deletes is made again.
        let component = "--selector=app.kubernetes.io/component=credentials-copy";
        world.cluster.kubectl(&["delete", "secrets", "--namespace", world.release(), component]).await?;
        until_copies_are(&world, &["NEXT"]).await
    });
}

#[test]
fn a_copy_that_a_quota_forbids_is_told_by_the_object_before_it_has_the_finalizer() {
    run(async {
        let world = given([running("port-1")]).without_secret().start().await?;
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few", "namespace": world.release() },
            "spec": { "hard": { "count/secrets": "0" } },
        });
        world.apply(&quota).await?;
        until("the quota is counted", async || {
            let used = [
                "get",
                "resourcequota",
                "few",
                "--namespace",
                world.release(),
                "-o",
                "jsonpath={.status.used}",
            ];
            Ok(world.cluster.kubectl(&used).await?.contains("count/secrets").then_some(()))
        })
        .await?;
        world.put_secret("KEY", "PASSWORD").await?;
        world.own("edge", "port-1", "Destroy").await?;
        let message = world.until_reason("edge", "CredentialsNotCopied").await?;
        assert!(message.contains("exceeded quota: few") && message.contains("Raise that quota"), "{message}");
        let edge = world.objects().await?.get("edge").await?;
        assert_eq!(edge.metadata.finalizers, None, "{}", world.log());
        world.cluster.kubectl(&["delete", "resourcequota", "few", "--namespace", world.release()]).await?;
        world.until_alive("edge", "Running").await?;
        assert_eq!(copies(&world).await?, ["KEY"]);
        Ok(())
    });
}

#[test]
fn a_copy_is_there_before_the_finalizer_and_goes_with_the_last_object() {
    run(async {
        let world = given([recycled("port-1"), recycled("port-2")]).loses_permissions().start().await?;
        let binding = format!("{}-copies", world.deployment());
        let home = ["--namespace", world.release()];
        world.cluster.kubectl(&[&["delete", "rolebinding", &binding], &home[..]].concat()).await?;
        world.own("one", "port-1", "Destroy").await?;
        let message = world.until_reason("one", "CredentialsNotCopied").await?;
        assert!(
            message.contains("cannot get resource") && message.contains("Grant the operator"),
            "{message}"
        );
        let one = world.objects().await?.get("one").await?;
        assert_eq!((one.metadata.finalizers, copies(&world).await?), (None, vec![]), "{}", world.log());

        let role = format!("--role={binding}");
        let account = format!("--serviceaccount={}:{}", world.release(), world.deployment());
        world
            .cluster
            .kubectl(&[&["create", "rolebinding", &binding, &role, &account], &home[..]].concat())
            .await?;
        world.until_alive("one", "PortRecycled").await?;
        assert_eq!(copies(&world).await?, ["KEY"], "{}", world.log());

        world.own_until("two", "port-2", "Destroy", "PortRecycled").await?;
        world.delete("one").await?;
        world.until_gone("one").await?;
        let world = world.killed_and_restarted().await?;
        world.delete("two").await?;
        world.until_gone("two").await?;
        until_copies_are(&world, &[]).await
    });
}

#[test]
fn a_copy_that_nobody_needs_any_more_is_deleted_by_the_next_operator() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Retain", "PortRecycled").await?;
        world.operator().kill()?;
        world.strip_finalizers("edge").await?;
        world.delete("edge").await?;
        assert_eq!(copies(&world).await?, ["KEY"]);
        let world = world.restarted().await?;
        until_copies_are(&world, &[]).await
    });
}

#[test]
fn without_copies_a_secret_that_is_gone_serves_nothing() {
    run(async {
        let none = "credentials.keepCopies=false";
        let world = given([recycled("port-1")]).value(RESYNC).value(none).start_with_edge().await?;
        assert_eq!(copies(&world).await?, Vec::<String>::new());
        world.kubectl(&["delete", "secret", SECRET]).await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        Ok(())
    });
}
