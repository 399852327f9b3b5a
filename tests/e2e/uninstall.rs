//! `helm uninstall`, and the check before it.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;
use test_support::objects::manifest;

use crate::world::{SECRET, World, given, recycled, run, spec, until};

const OPERATOR: &str = env!("CARGO_BIN_EXE_zenlayer-port-operator");

/// The release's hook; none if it has none.
async fn hook(world: &World) -> Result<Option<Job>> {
    let hooks =
        world.cluster.helm(&["get", "hooks", world.release(), "--namespace", world.release()]).await?;
    let hooks: Vec<serde_json::Value> = serde_saphyr::from_multiple(&hooks)?;
    let job = hooks.into_iter().find(|hook| hook["kind"] == "Job");
    Ok(job.map(serde_json::from_value).transpose()?)
}

/// Runs the container of the hook as its Job says, as `service_account`; none: as the Job's own. An error has what it says.
pub async fn check(world: &World, service_account: Option<&str>) -> Result<String> {
    let job = hook(world).await?.context("no hook")?;
    let pod = job.spec.context("no spec")?.template.spec.context("no Pod")?;
    let account = service_account.or(pod.service_account_name.as_deref()).context("no ServiceAccount")?;
    let kubeconfig = world.cluster.token_kubeconfig(world.release(), account).await?;
    let args = pod.containers[0].args.clone().unwrap_or_default();
    let run =
        tokio::process::Command::new(OPERATOR).args(args).env("KUBECONFIG", kubeconfig).output().await?;
    let said =
        String::from_utf8_lossy(if run.status.success() { &run.stdout } else { &run.stderr }).into_owned();
    ensure!(run.status.success(), "{}: {said}", run.status);
    Ok(said)
}

#[test]
fn the_check_names_what_is_left_and_passes_once_nothing_is() {
    run(async {
        let world = given([recycled("port-1")]).start_with_edge().await?;
        let refused = check(&world, None).await.expect_err("an object is left").to_string();
        let named = format!("{}/edge (port-1): PortRecycled", world.namespace);
        for word in ["exit status: 1", "still have it: 1", &named, "Retain", "--no-hooks"] {
            assert!(refused.contains(word), "{word:?} is missing: {refused}");
        }
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        let passed = check(&world, None).await?;
        assert!(passed.contains("You can uninstall the operator"), "{passed}");
        Ok(())
    });
}

/// An object that some operator looks after, in a namespace that ours does not watch.
async fn own_in(world: &World, namespace: &str) -> Result<()> {
    let mut object = manifest(namespace, "edge", &spec("port-1", "Destroy"));
    object["metadata"]["finalizers"] = json!(["sdn.zenlayer.com/destroy-port"]);
    world.apply(&object).await
}

#[test]
fn the_check_deletes_the_copies_of_credentials_that_no_object_needs() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Retain", "PortRecycled").await?;
        // The operator itself deletes them within a minute.
        world.operator().kill()?;
        world.strip_finalizers("edge").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        // An object in a namespace that this operator no longer watches still needs its copy.
        let elsewhere = world.cluster.create_namespace("elsewhere").await?;
        own_in(&world, &elsewhere).await?;
        let copy = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": "needed", "namespace": world.release(),
                "labels": {
                    "app.kubernetes.io/managed-by": "zenlayer-port-operator",
                    "app.kubernetes.io/component": "credentials-copy",
                },
                "annotations": {
                    "sdn.zenlayer.com/copy-of-namespace": elsewhere, "sdn.zenlayer.com/copy-of-secret": SECRET,
                },
            },
        });
        world.apply(&copy).await?;
        let passed = check(&world, None).await?;
        assert!(passed.contains("no object uses any more: 1."), "{passed}");
        let component = "--selector=app.kubernetes.io/component=credentials-copy";
        let left = ["get", "secrets", "--namespace", world.release(), component, "--output=name"];
        assert_eq!(world.cluster.kubectl(&left).await?.trim(), "secret/needed");
        Ok(())
    });
}

#[test]
fn objects_that_another_operator_looks_after_are_none_of_its_business() {
    run(async {
        let world = given([]).start().await?;
        own_in(&world, &world.cluster.create_namespace("elsewhere").await?).await?;
        check(&world, None).await.map(drop)
    });
}

#[test]
fn what_could_not_be_read_is_not_taken_for_nothing() {
    run(async {
        let world = given([]).start().await?;
        let refused = format!("{:#}", check(&world, Some("default")).await.expect_err("it has no rights"));
        assert!(refused.contains("cannot check") && refused.contains("forbidden"), "{refused}");
        Ok(())
    });
}

#[test]
fn without_its_hooks_a_release_is_uninstalled_and_its_objects_stay() {
    run(async {
        let world = given([recycled("port-1")]).loses_permissions().start_with_edge().await?;
        world
            .cluster
            .helm(&["uninstall", world.release(), "--namespace", world.release(), "--no-hooks"])
            .await?;
        until_uninstalled(&world).await?;
        assert!(world.objects().await?.get("edge").await?.has_finalizer());
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn with_the_check_turned_off_there_is_no_hook() {
    run(async {
        let world = given([]).value("uninstall.check=false").loses_permissions().start().await?;
        assert!(hook(&world).await?.is_none());
        world.cluster.helm(&["uninstall", world.release(), "--namespace", world.release()]).await?;
        until_uninstalled(&world).await
    });
}

/// Waits until nothing of the release is left, the cluster-wide objects included.
async fn until_uninstalled(world: &World) -> Result<()> {
    let kinds = "deployments,serviceaccounts,roles,clusterroles,clusterrolebindings,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    let selector = format!("--selector=app.kubernetes.io/instance={}", world.release());
    let left = ["get", kinds, "--all-namespaces", &selector, "--output=name"];
    until("nothing of the release is left", async || {
        Ok(world.cluster.kubectl(&left).await?.trim().is_empty().then_some(()))
    })
    .await
}
