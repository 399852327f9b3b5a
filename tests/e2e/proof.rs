//! When a port that is not listed is taken to be gone.

use serde_json::json;
use zenlayer_port_operator::api::FINALIZER;
use zenlayer_simulator::{Account, ListFault, Rule};

use crate::world::{SECRET, given, recycled, run, running, spec};

#[test]
fn an_object_of_a_wrong_port_id_says_so_and_goes_without_a_call() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.own_until("typo", "port-x", "TerminateAndDestroy", "PortNotFound").await?;
        world.delete("typo").await?;
        world.until_gone("typo").await?;
        let events = world.event_reasons().await?;
        assert!(events.iter().any(|reason| reason == "PortNeverFound"), "{events:?}");
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn what_is_deleted_before_any_operator_saw_it_is_released_only_if_its_manifest_has_the_finalizer() {
    run(async {
        let world = given([recycled("port-1"), recycled("port-2")]).start().await?;
        world.operator().kill()?;
        world.own("unseen", "port-1", "Destroy").await?;
        let mut manifest = world.manifest("edge", &spec("port-2", "Destroy"));
        manifest["metadata"]["finalizers"] = json!([FINALIZER]);
        world.apply(&manifest).await?;
        world.delete("unseen").await?;
        world.delete("edge").await?;
        world.until_gone("unseen").await?;
        let world = world.restarted().await?;
        world.until_gone_with("edge", &["port-2"]).await
    });
}

#[test]
fn a_port_that_somebody_else_destroyed_is_gone_after_enough_readings() {
    run(async {
        let world = given([recycled("port-1")]).value("polling.resyncInterval=10s").start_with_edge().await?;
        world.simulator.remove_port("port-1");
        world.until_alive("edge", "PortNotFound").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        let events = world.event_reasons().await?;
        assert!(events.iter().any(|reason| reason == "PortGone"), "{events:?}");
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn the_absence_that_another_accounts_key_reports_releases_nothing() {
    run(async {
        let world = given([running("port-1")]).value("deletion.admissionPolicy=false").start().await?;
        let spec = json!({
            "portId": "port-1", "deletionPolicy": "TerminateAndDestroy", "deletionProtection": true,
            "credentialsRef": { "name": SECRET },
        });
        world.create("edge", spec).await?;
        world.until_alive("edge", "Running").await?;
        // Else the former key would go on reading.
        world.simulator.put_account(Account::new("default"));
        world.put_secret("ANOTHER", "PASSWORD").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "AbsenceUnproven").await?;
        assert!(world.simulator.port("port-1").is_some());
        world.type_command_of(&message).await?;
        world.until_gone("edge").await?;
        world.assert_not_terminated("port-1");
        Ok(())
    });
}

#[test]
fn one_reading_that_misses_the_port_is_not_believed() {
    run(async {
        let world = given([recycled("port-1")]).start_with_edge().await?;
        world.simulator.fault(Rule::on("DescribePorts").once().list([ListFault::Empty]));
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        assert!(world.simulator.port("port-1").is_none(), "the object went before its port\n{}", world.log());
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}
