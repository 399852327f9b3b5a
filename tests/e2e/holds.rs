//! What holds a deletion, and what ends the hold.

use serde_json::json;
use zenlayer_simulator::{Answer, ChargeType, PortStatus, PortUser, Rule};

use crate::world::{SECRET, given, recycled, run, running, spec, until};

/// The API server takes the deletion of a protected object: the operator's own gate is what is left.
const NO_POLICY: &str = "deletion.admissionPolicy=false";

/// Ports that are merely held are read every second, and not every 30.
const RESYNC: &str = "polling.resyncInterval=10s";

#[test]
fn deletion_protection_holds_until_the_printed_command_takes_it_off() {
    run(async {
        let world = given([recycled("port-1")]).value(NO_POLICY).start().await?;
        let spec =
            json!({ "portId": "port-1", "deletionProtection": true, "credentialsRef": { "name": SECRET } });
        world.create("edge", spec).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "DeletionProtected").await?;
        world.assert_only_destroyed(&[]);
        world.type_command_of(&message).await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn a_prepaid_port_is_held_as_prepaid_port() {
    run(async {
        let world = given([running("port-1").charge_type(ChargeType::Prepaid)]).start().await?;
        world.own_until("edge", "port-1", "TerminateAndDestroy", "Running").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "PrepaidPort").await?;
        assert_eq!(world.sent("TerminatePort"), 0, "{}", world.log());
        world.type_command_of(&message).await?;
        world.until_gone("edge").await
    });
}

#[test]
fn an_unknown_status_is_held_and_nothing_is_called() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start_with_edge().await?;
        world.simulator.set_status("port-1", PortStatus::Other("FROZEN".into()));
        world.until_reason("edge", "UnknownPortStatus").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "UnknownPortStatus").await?;
        world.type_command_of(&message).await?;
        world.until_gone_with("edge", &[]).await
    });
}

#[test]
fn a_port_that_somebody_restored_is_held_as_restored_elsewhere() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).value(NO_POLICY).start().await?;
        let spec = json!({
            "portId": "port-1", "deletionPolicy": "TerminateAndDestroy", "deletionProtection": true,
            "credentialsRef": { "name": SECRET },
        });
        world.create("edge", spec).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "DeletionProtected").await?;
        world.simulator.set_status("port-1", PortStatus::Running);
        let message = world.until_reason("edge", "RestoredElsewhere").await?;
        world.patch("edge", r#"{"spec":{"deletionProtection":false}}"#).await?;
        world.until_reason("edge", "RestoredElsewhere").await?;
        world.assert_not_terminated("port-1");
        world.type_command_of(&message).await?;
        world.until_gone("edge").await?;
        world.assert_terminated("port-1");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn an_id_that_names_another_port_by_now_is_held_as_identity_changed() {
    run(async {
        let first = recycled("port-1").created("2026-01-01T00:00:00Z".parse()?);
        let world = given([first]).value(RESYNC).start_with_edge().await?;
        world.simulator.seed(recycled("port-1").created("2026-02-02T00:00:00Z".parse()?));
        world.until_reason("edge", "IdentityChanged").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "IdentityChanged").await?;
        world.assert_only_destroyed(&[]);
        world.type_command_of(&message).await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn of_two_objects_on_one_port_the_first_to_go_is_held_as_port_claimed_until_the_other_goes_too() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.own_until("older", "port-1", "Destroy", "PortRecycled").await?;
        world.own_until("younger", "port-1", "Destroy", "PortClaimed").await?;
        world.delete("older").await?;
        let message = world.until_reason("older", "PortClaimed").await?;
        assert!(message.contains("younger"), "the message names the other object: {message}");
        world.assert_only_destroyed(&[]);
        world.delete("younger").await?;
        world.until_gone("older").await?;
        world.until_gone("younger").await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_claimed_port_is_left_to_the_other_object_by_the_printed_command() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.own_until("older", "port-1", "Destroy", "PortRecycled").await?;
        world.own("younger", "port-1", "Destroy").await?;
        let message = world.until_reason("younger", "PortClaimed").await?;
        // Nobody has deleted it: the command does that too.
        world.type_command_of(&message).await?;
        world.until_gone("younger").await?;
        world.until_alive("older", "PortRecycled").await?;
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}

#[test]
fn foreign_finalizers_are_waited_for() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let others = json!(["example.com/backup"]);
        world.create_with_finalizers("edge", spec("port-1", "Destroy"), &others).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "WaitingForFinalizers").await?;
        assert!(message.contains("example.com/backup"), "{message}");
        world.assert_only_destroyed(&[]);
        let patch = r#"{"metadata":{"finalizers":["sdn.zenlayer.com/destroy-port"]}}"#;
        world.patch("edge", patch).await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn an_object_that_another_finalizer_keeps_shows_that_the_operator_has_removed_its_own() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let others = json!(["example.com/backup"]);
        world.create_with_finalizers("edge", spec("port-1", "Destroy"), &others).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "WaitingForFinalizers").await?;
        world.type_command_of(&message).await?;
        let message = world.until_reason("edge", "PortRetained").await?;
        assert!(message.contains("example.com/backup"), "{message}");
        until("the operator's finalizer is off", async || {
            let finalizers = world.objects().await?.get("edge").await?.metadata.finalizers;
            Ok((finalizers == Some(vec!["example.com/backup".to_owned()])).then_some(()))
        })
        .await?;
        let reason = world.until_reason("edge", "PortRetained").await;
        world.strip_finalizers("edge").await?;
        world.until_gone_with("edge", &[]).await?;
        reason.map(drop)
    });
}

#[test]
fn a_refused_call_is_shown_as_refused_and_tried_again() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.simulator.fault(Rule::on("DestroyPort").once().refuse(400, "INVALID_PORT_STATUS"));
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "Refused").await?;
        let said = "Zenlayer refused DestroyPort for port port-1 with INVALID_PORT_STATUS: ";
        assert!(message.starts_with(said) && message.contains(" (request "), "{message}");
        let told = async || Ok(world.event_reasons().await?.contains(&"Refused".to_owned()).then_some(()));
        world.until("an Event tells of the refusal", told).await?;
        world.until_gone("edge").await?;
        assert_eq!(world.journal().committed_destroys("port-1"), 1, "{}", world.log());
        Ok(())
    });
}

#[test]
fn a_call_whose_answer_is_lost_is_confirmed_by_readings_and_not_repeated() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.simulator.fault(Rule::on("DestroyPort").once().answer(Answer::Lost));
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        assert_eq!(world.sent("DestroyPort"), 1, "{}", world.log());
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_cloud_that_cannot_be_read_is_shown_as_cloud_unavailable_and_never_taken_for_absence() {
    run(async {
        let world = given([recycled("port-1")]).value(RESYNC).start_with_edge().await?;
        world.simulator.fault(Rule::on("DescribePorts").answer(Answer::html(502)));
        world.until_reason("edge", "CloudUnavailable").await?;
        world.delete("edge").await?;
        world.until_held("edge", "CloudUnavailable").await?;
        world.assert_only_destroyed(&[]);
        world.simulator.clear_faults();
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn each_of_more_deletions_than_the_threshold_is_held_until_a_command_that_it_prints_approves_it_alone_or_keeps_its_port()
 {
    run(async {
        let ids: Vec<String> = (0..5).map(|number| format!("port-{number}")).collect();
        let all = given(ids.iter().map(|id| recycled(id)));
        let world = all.value("deletion.massDeletionThreshold=3").start().await?;
        let messages = world.hold_as_mass_deletion(&ids).await?;
        world.assert_only_destroyed(&[]);
        let world = world.killed_and_restarted().await?;
        for id in &ids {
            world.until_reason(id, "MassDeletion").await?;
        }
        world.type_command_of(&messages[0]).await?;
        world.until_gone(&ids[0]).await?;
        for id in &ids[1..] {
            world.until_reason(id, "MassDeletion").await?;
        }
        world.assert_only_destroyed(&[ids[0].as_str()]);
        world.type_command_after("restore it in the Zenlayer console, and then: ", &messages[4]).await?;
        world.until_gone(&ids[4]).await?;
        for (id, message) in ids.iter().zip(&messages).take(4).skip(1) {
            world.type_command_of(message).await?;
            world.until_gone(id).await?;
        }
        world.assert_only_destroyed(&ids[..4].iter().map(String::as_str).collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn with_require_approval_each_release_waits_for_the_printed_command() {
    run(async {
        let setup = given([recycled("port-1"), recycled("port-2")]).value("deletion.requireApproval=true");
        let world = setup.start().await?;
        for (name, port) in [("edge", "port-1"), ("other", "port-2")] {
            world.own_until(name, port, "Destroy", "PortRecycled").await?;
            world.delete(name).await?;
        }
        let message = world.until_reason("edge", "ApprovalRequired").await?;
        world.until_reason("other", "ApprovalRequired").await?;
        world.assert_only_destroyed(&[]);
        world.type_command_of(&message).await?;
        world.until_gone("edge").await?;
        world.until_reason("other", "ApprovalRequired").await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_port_in_use_is_held_and_what_uses_it_is_named() {
    run(async {
        let used = recycled("port-1").used_by(PortUser::PrivateConnect("connect-1".to_owned()));
        let used = used.used_by(PortUser::CloudRouter("router-1".to_owned()));
        let world = given([used]).start_with_edge().await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "InUse").await?;
        assert!(message.contains("private connect connect-1, cloud router router-1"), "{message}");
        assert_eq!(world.sent("DestroyPort"), 1, "it is not called again\n{}", world.log());
        world.simulator.detach("port-1");
        world.until_gone("edge").await?;
        assert_eq!(world.journal().committed_destroys("port-1"), 1, "{}", world.log());
        Ok(())
    });
}
