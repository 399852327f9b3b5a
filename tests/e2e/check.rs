//! `helm test`: the check of a release.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use tokio::process::Command;

use crate::world::{World, given, run};

const OPERATOR: &str = env!("CARGO_BIN_EXE_zenlayer-port-operator");

/// Runs the container of the release's test as its Pod says, with more flags, as `account`; none: as the Pod's own. Returns
/// whether it passes, and what it says.
pub async fn check(world: &World, flags: &[&str], account: Option<&str>) -> Result<(bool, String)> {
    let release = world.release();
    let hooks = world.cluster.helm(&["get", "hooks", release, "--namespace", release]).await?;
    let hooks: Vec<serde_json::Value> = serde_saphyr::from_multiple(&hooks)?;
    let pod = hooks.into_iter().find(|hook| hook["kind"] == "Pod").context("no Pod")?;
    let spec = serde_json::from_value::<Pod>(pod)?.spec.context("no spec")?;
    let account = account.or(spec.service_account_name.as_deref()).context("no ServiceAccount")?;
    let kubeconfig = world.cluster.token_kubeconfig(release, account).await?;
    let mut command = Command::new(OPERATOR);
    command.args(spec.containers[0].args.iter().flatten()).args(flags);
    command.env("KUBECONFIG", kubeconfig).env("POD_NAMESPACE", release);
    let output = command.output().await?;
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    let code = output.status.code();
    ensure!(matches!(code, Some(0 | 1)), "{code:?}: {said}");
    Ok((code == Some(0), said))
}

#[test]
fn a_release_passes_its_test_with_the_permissions_that_the_chart_grants() {
    run(async {
        let world = given([]).start().await?;
        let (passes, said) = check(&world, &[], None).await?;
        assert!(passes && said.contains("The operator can do its work here."), "{said}");
        let good = said.lines().filter(|line| line.starts_with("ok ")).count();
        assert_eq!(good, 3, "{said}");
        assert!(world.journal().calls("DestroyPort").next().is_none());
        Ok(())
    });
}

#[test]
fn an_account_without_permissions_is_told_which_ones_it_lacks() {
    run(async {
        let world = given([]).start().await?;
        let (passes, said) = check(&world, &[], Some("default")).await?;
        assert!(!passes && said.contains("cannot do its work here"), "{said}");
        let namespace = format!("may not get secrets in namespace {}.", world.namespace);
        for words in
            ["CRDUnreadable", "may not get, list, watch, patch zenlayerports.sdn.zenlayer.com", &namespace]
        {
            assert!(said.contains(words), "{words:?} is missing: {said}");
        }
        Ok(())
    });
}

#[test]
fn an_api_of_zenlayer_out_of_reach_is_a_warning_with_a_name() {
    run(async {
        let world = given([]).start().await?;
        // Nobody listens there.
        let (passes, said) = check(&world, &["--zenlayer-endpoint=http://127.0.0.1:9"], None).await?;
        assert!(passes, "the operator waits for Zenlayer by itself: {said}");
        assert!(said.contains("warning  ZenlayerUnreachable"), "{said}");
        Ok(())
    });
}

#[test]
fn the_operators_own_key_is_tried() {
    run(async {
        let world = given([]).start().await?;
        let folder = tempfile::tempdir()?;
        let directory = format!("--credentials-dir={}", folder.path().display());
        let flags = [&directory, "--credentials-namespaces=any"];
        for (password, expected) in [("PASSWORD", "ok       Zenlayer"), ("WRONG", "warning  OwnKeyRefused")] {
            std::fs::write(folder.path().join("accessKeyId"), "KEY")?;
            std::fs::write(folder.path().join("accessKeyPassword"), password)?;
            let (passes, said) = check(&world, &flags, None).await?;
            assert!(passes && said.contains(expected), "{said}");
            assert!(!said.contains(password), "it shows the key: {said}");
        }
        Ok(())
    });
}
