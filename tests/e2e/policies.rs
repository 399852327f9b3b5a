//! What each policy does to the port.

use std::time::Duration;

use crate::world::{given, recycled, run, running, until};

#[test]
fn a_recycled_port_is_destroyed_and_its_object_goes_only_after_the_port_is_gone() {
    run(async {
        let world = given([recycled("port-1"), recycled("port-2")]).start_with_edge().await?;
        world.delete("edge").await?;
        world.until_reason("edge", "Destroying").await?;
        world.until_gone("edge").await?;
        assert!(world.simulator.port("port-1").is_none(), "the object went before its port\n{}", world.log());
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_port_that_is_listed_as_destroyed_for_a_while_is_gone() {
    run(async {
        let setup =
            given([recycled("port-1")]).times(|times| times.destroyed_listed_for = Duration::from_mins(10));
        let world = setup.start_with_edge().await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        let status = world.simulator.port("port-1").map(|port| format!("{:?}", port.port_status));
        assert_eq!(status.as_deref(), Some("Destroyed"), "the port is still listed");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_running_port_waits_as_not_in_recycle_bin_and_goes_on_by_the_patch_that_its_message_prints() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Destroy", "Running").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "NotInRecycleBin").await?;
        assert_eq!(world.sent("TerminatePort"), 0, "{}", world.log());
        world.type_command_of(&message).await?;
        world.until_gone("edge").await?;
        world.assert_terminated("port-1");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_running_port_that_a_person_recycles_is_destroyed_by_the_policy_destroy() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Destroy", "Running").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "NotInRecycleBin").await?;
        world.simulator.set_status("port-1", zenlayer_simulator::PortStatus::Recycled);
        world.until_gone("edge").await?;
        world.assert_not_terminated("port-1");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn terminate_and_destroy_takes_a_running_port_all_the_way_by_one_call_each() {
    run(async {
        let world = given([running("port-1"), running("port-2")]).start().await?;
        world.own_until("edge", "port-1", "TerminateAndDestroy", "Running").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        world.assert_terminated("port-1");
        world.assert_not_terminated("port-2");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn terminate_moves_a_running_port_to_the_recycle_bin_and_removes_the_finalizer() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Terminate", "Running").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        world.assert_terminated("port-1");
        let status = world.simulator.port("port-1").map(|port| format!("{:?}", port.port_status));
        assert_eq!(status.as_deref(), Some("Recycled"));
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn retain_removes_the_finalizer_and_calls_nothing() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Retain", "Running").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        let events = world.event_reasons().await?;
        assert!(events.iter().any(|reason| reason == "PortRetained"), "{events:?}");
        world.assert_not_terminated("port-1");
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn a_port_that_the_policy_would_leave_in_the_bin_is_destroyed_by_the_printed_command() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.own("edge", "port-1", "Terminate").await?;
        let message = world.until_reason("edge", "PortRecycled").await?;
        world.type_command_of(&message).await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn within_the_grace_period_one_can_change_ones_mind() {
    run(async {
        let world = given([recycled("port-1")]).value("deletion.grace=1h").start_with_edge().await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "GracePeriod").await?;
        world.type_command_of(&message).await?;
        world.until_gone_with("edge", &[]).await
    });
}

#[test]
fn a_hundred_and_fifty_ports_of_one_account_are_destroyed_once_each() {
    run(async {
        let ids: Vec<String> = (0..150).map(|number| format!("port-{number}")).collect();
        let all = given(ids.iter().map(|id| recycled(id)));
        let world = all.value("deletion.massDeletionThreshold=0").start().await?;
        let objects = ids.iter().map(|id| world.manifest(id, &crate::world::spec(id, "Destroy")));
        let list =
            serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects.collect::<Vec<_>>() });
        world.apply(&list).await?;
        for id in &ids {
            world.until_alive(id, "PortRecycled").await?;
        }
        world.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        let api = world.objects().await?;
        until("all objects are gone", async || {
            Ok(api.list(&kube::api::ListParams::default()).await?.items.is_empty().then_some(()))
        })
        .await?;
        world.assert_only_destroyed(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(())
    });
}
