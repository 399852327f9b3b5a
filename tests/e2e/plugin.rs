//! `kubectl zenlayerport`, typed by people with the operator at work.

use std::os::unix::fs::{PermissionsExt, symlink};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use zenlayer_port_operator::decision::DELETION;

use crate::world::{World, given, recycled, run, running};

const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-zenlayerport");

/// What was typed, and what came of it.
struct Typed {
    code: i32,
    out: String,
    err: String,
}

impl Typed {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON: {}{}", self.out, self.err))
    }
}

impl World {
    /// `kubectl zenlayerport`, in the objects' namespace.
    async fn plugin(&self, args: &[&str]) -> Result<Typed> {
        self.kubectl_with_plugin(&[&["zenlayerport"], args, &["--namespace", &self.namespace]].concat()).await
    }

    async fn kubectl_with_plugin(&self, args: &[&str]) -> Result<Typed> {
        let folder = plugin_folder()?;
        let mut kubectl = self.cluster.shell(&[folder.path()], "kubectl \"$@\"")?;
        let output = kubectl.arg("kubectl").args(args).env("HOME", folder.path()).output().await?;
        Ok(Typed {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }
}

/// A folder with the plugin and its completion, as a user has it in the PATH.
fn plugin_folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    symlink(PLUGIN, folder.path().join("kubectl-zenlayerport"))?;
    let printed = std::process::Command::new(PLUGIN).arg("completion").output()?;
    let script = folder.path().join("kubectl_complete-zenlayerport");
    std::fs::write(&script, printed.stdout)?;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

/// The value of one field for each port, by name.
fn field(report: &Value, field: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ports = report["ports"].as_array().into_iter().flatten();
    let mut found: Vec<_> = ports.map(|port| (text(&port["name"]), text(&port[field]))).collect();
    found.sort();
    found
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_plan_says_before_a_deletion_is_what_comes_of_it() {
    run(async {
        let ports =
            [recycled("port-1"), running("port-2"), running("port-3"), running("port-4"), running("port-5")];
        let world = given(ports).start().await?;
        for (name, port, policy, shown) in [
            ("bin", "port-1", "Destroy", "PortRecycled"),
            ("live", "port-2", "Destroy", "Running"),
            ("both", "port-3", "TerminateAndDestroy", "Running"),
            ("kept", "port-4", "Retain", "Running"),
            ("left", "port-5", "Terminate", "Running"),
            ("wrong", "port-9", "Destroy", "PortNotFound"),
        ] {
            world.own_until(name, port, policy, shown).await?;
        }
        let plan = world.plugin(&["plan", "-o", "json"]).await?.json()?;
        let ends = [
            ("bin", "destroyed"),
            ("both", "destroyed"),
            ("kept", "retained"),
            ("left", "leftInRecycleBin"),
            ("live", "paused"),
            ("wrong", "noPort"),
        ];
        assert_eq!(field(&plan, "end"), expected(&ends), "{plan:#}");
        world.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        world.until_held("live", "NotInRecycleBin").await?;
        for name in ["bin", "both", "kept", "left", "wrong"] {
            world.until_gone(name).await?;
        }
        world.assert_only_destroyed(&["port-1", "port-3"]);
        assert_eq!(world.sent("TerminatePort"), 2, "port-3 and port-5: {}", world.log());
        Ok(())
    });
}

#[test]
fn two_owners_of_one_port_are_planned_together_as_they_are_released_together() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        for name in ["one", "two"] {
            world.own(name, "port-1", "Destroy").await?;
        }
        for name in ["one", "two"] {
            world.until_alive(name, "PortClaimed").await?;
        }
        let ends = async |names: &[&str]| -> Result<Vec<(String, String)>> {
            Ok(field(&world.plugin(&[&["plan", "-o", "json"], names].concat()).await?.json()?, "end"))
        };
        assert_eq!(ends(&["one"]).await?, expected(&[("one", "paused")]));
        let both = ends(&["one", "two"]).await?.into_iter().map(|(_, end)| end).collect::<Vec<_>>();
        assert!(both.contains(&"destroyed".to_owned()), "the older one goes first: {both:?}");
        assert!(both.contains(&"goesOnLater".to_owned()), "and the other one follows: {both:?}");
        world.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        for name in ["one", "two"] {
            world.until_gone(name).await?;
        }
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn status_says_who_must_act_and_its_command_is_the_right_one() {
    run(async {
        let world = given([running("port-1"), running("port-2")]).start().await?;
        for (name, port) in [("edge", "port-1"), ("spare", "port-2")] {
            world.own_until(name, port, "Destroy", "Running").await?;
        }
        let calm = world.plugin(&["status", "--exit-code"]).await?;
        assert_eq!(calm.code, 0, "{}{}", calm.out, calm.err);
        assert!(calm.out.starts_with("No port needs you: 2 ports"), "{}", calm.out);
        world.delete("edge").await?;
        world.until_held("edge", "NotInRecycleBin").await?;
        let held = world.plugin(&["status", "--exit-code"]).await?;
        assert_eq!(held.code, 3, "{}{}", held.out, held.err);
        assert!(held.out.starts_with("1 of 2 ports needs you"), "{}", held.out);
        let report = world.plugin(&["status", "-o", "json"]).await?.json()?;
        assert_eq!(field(&report, "actor"), expected(&[("edge", "you"), ("spare", "nobody")]), "{report:#}");
        assert_eq!(report["operator"]["seen"], "running", "{report:#}");
        let command = report["ports"][0]["remedies"][1]["command"].as_str().context("a command")?.to_owned();
        assert!(held.out.contains(&command), "the screen shows the same command: {}", held.out);
        world.type_command_of(&format!("type: {command}")).await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn explain_names_the_row_the_call_and_what_comes_next() {
    run(async {
        let world =
            given([recycled("port-1")]).value("deletion.requireApproval=true").start_with_edge().await?;
        world.delete("edge").await?;
        world.until_held("edge", "ApprovalRequired").await?;
        let explained = world.plugin(&["explain", "edge"]).await?;
        let of_all_rows = format!(" of {}", DELETION.len());
        for words in [
            "ApprovalRequired",
            "who acts     You.",
            "if approved  destroys the port",
            "The decision is at row ",
            &of_all_rows,
            "Warning  ApprovalRequired",
            "sdn.zenlayer.com/approve=ApprovalRequired-",
        ] {
            assert!(
                explained.out.contains(words),
                "{words:?} is missing: {}{}",
                explained.out,
                explained.err
            );
        }
        let object = world.objects().await?.get("edge").await?;
        let uid = object.metadata.uid.context("a uid")?;
        assert!(explained.out.contains(&format!("  uid          {uid} (in the log")), "{}", explained.out);
        assert!(explained.out.lines().count() <= 40, "it fits a screen: {}", explained.out);
        let by_reference = format!("{}/edge", world.namespace);
        let elsewhere = world.kubectl_with_plugin(&["zenlayerport", "explain", &by_reference]).await?;
        assert!(elsewhere.out.starts_with(&by_reference), "{}{}", elsewhere.out, elsewhere.err);
        let unknown = world.plugin(&["explain", "edgy"]).await?;
        assert_eq!(unknown.code, 1, "{}", unknown.out);
        assert!(unknown.err.contains("there is no ZenlayerPort edgy"), "{}", unknown.err);
        Ok(())
    });
}

#[test]
fn approve_ends_the_pause_of_exactly_what_it_showed() {
    run(async {
        let ids: Vec<String> = (1..=4).map(|number| format!("port-{number}")).collect();
        let ports = ids.iter().map(|id| recycled(id));
        let world = given(ports).value("deletion.massDeletionThreshold=2").start().await?;
        world.hold_as_mass_deletion(&ids).await?;
        let asked = world.plugin(&["approve", "port-1"]).await?;
        assert_eq!(asked.code, 1, "without a terminal it approves nothing: {}", asked.out);
        assert!(asked.err.contains("--yes"), "{}", asked.err);
        let dry = world.plugin(&["approve", "--all", "--dry-run"]).await?;
        assert!(dry.out.starts_with("If you approve 4 deletions: 4 destroyed."), "{}{}", dry.out, dry.err);
        world.until_held("port-1", "MassDeletion").await?;
        world.assert_only_destroyed(&[]);
        world.simulator.seed(running("port-5"));
        world.own("alive", "port-5", "Retain").await?;
        let one = world.plugin(&["approve", "port-1", "alive", "--yes"]).await?;
        assert_eq!(
            one.code, 1,
            "a script must learn that one of two is not approved: {}{}",
            one.out, one.err
        );
        assert!(one.out.ends_with("Approved 1 deletion.\n"), "{}{}", one.out, one.err);
        assert!(one.err.contains("alive does not wait for this approval"), "{}", one.err);
        world.until_gone("port-1").await?;
        world.assert_only_destroyed(&["port-1"]);
        let rest = world.plugin(&["approve", "--all", "--reason", "MassDeletion", "--yes"]).await?;
        assert!(rest.out.ends_with("Approved 3 deletions.\n"), "{}{}", rest.out, rest.err);
        for id in &ids {
            world.until_gone(id).await?;
        }
        Ok(())
    });
}

#[test]
fn who_may_not_list_ports_or_names_no_cluster_is_told_so_and_not_that_there_are_none() {
    run(async {
        let world = given([]).start().await?;
        let refused = world.plugin(&["status", "--as", "stranger"]).await?;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
        let check = format!(
            "\n    kubectl auth can-i list zenlayerports.sdn.zenlayer.com -n {} --as stranger\n",
            world.namespace
        );
        assert!(refused.err.starts_with("error: you may not list ZenlayerPorts"), "{}", refused.err);
        assert!(refused.err.ends_with(&check), "{}", refused.err);
        let lost = world.plugin(&["status", "--context", "prd"]).await?;
        assert_eq!((lost.code, lost.out.as_str()), (1, ""), "{}", lost.err);
        assert!(lost.err.contains(" has no context \"prd\". It has: "), "{}", lost.err);
        Ok(())
    });
}

#[test]
fn kubectl_completes_commands_and_the_names_of_ports() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Destroy", "Running").await?;
        let completed = async |words: &[&str]| -> Result<String> {
            let typed = world.kubectl_with_plugin(&[&["__complete", "zenlayerport"], words].concat()).await?;
            ensure!(typed.code == 0, "{}", typed.err);
            Ok(typed.out)
        };
        let commands = completed(&["ex"]).await?;
        assert!(commands.starts_with("explain\t"), "{commands}");
        let namespaces = completed(&["status", "-n", &world.namespace]).await?;
        assert!(namespaces.starts_with(&format!("{}\t1 port\n", world.namespace)), "{namespaces}");
        let reasons = completed(&["status", "--reason", "Not"]).await?;
        assert!(reasons.starts_with("NotInRecycleBin\t"), "{reasons}");
        let names = completed(&["explain", "-n", &world.namespace, "e"]).await?;
        assert!(names.starts_with("edge\tRunning\n"), "{names}");
        let approvable = completed(&["approve", "-n", &world.namespace, ""]).await?;
        assert!(!approvable.contains("edge"), "only what waits for approval: {approvable}");
        Ok(())
    });
}
