//! What a deletion waits for when nobody needs to act, and what its status says meanwhile.

use std::time::Duration;

use futures::future::try_join_all;
use kube::api::ListParams;
use zenlayer_simulator::{Answer, Apply, PortStatus, Rule};

use crate::world::{given, ready, recycled, run, running};

/// Longer than a reading counts: what is called then rests on a reading from after the deletion.
const LONG_GRACE: &str = "deletion.grace=60s";

#[test]
fn a_throttled_account_is_shown_as_throttled_and_goes_on_by_itself() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let rule = world.simulator.fault(Rule::on("DescribePorts").throttle(None));
        world.own("edge", "port-1", "Destroy").await?;
        world.until_reason("edge", "Throttled").await?;
        world.delete("edge").await?;
        world.until_held("edge", "Throttled").await?;
        world.simulator.clear_fault(rule);
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn a_call_that_takes_its_turn_behind_others_is_shown_as_queued() {
    run(async {
        let ids: Vec<String> = (0..20).map(|number| format!("port-{number}")).collect();
        let all = given(ids.iter().map(|id| recycled(id)));
        let world = all.value("deletion.massDeletionThreshold=3").start().await?;
        world.simulator.fault(Rule::on("DestroyPort").delay_answer(Duration::from_secs(2)));
        let messages = world.hold_as_mass_deletion(&ids).await?;
        try_join_all(messages.iter().map(|message| world.type_command_of(message))).await?;
        let objects = world.objects().await?;
        world
            .until("one of them is queued", async || {
                let listed = objects.list(&ListParams::default()).await?;
                let queued = |object| ready(object).is_some_and(|(reason, _)| reason == "Queued");
                Ok(listed.iter().any(queued).then_some(()))
            })
            .await?;
        for id in &ids {
            world.until_gone(id).await?;
        }
        world.assert_only_destroyed(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn a_port_whose_first_reading_takes_its_time_is_shown_as_observing() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let slow = Rule::on("DescribePorts").once().delay_answer(Duration::from_secs(2));
        world.simulator.fault(slow);
        world.own("edge", "port-1", "Destroy").await?;
        world.until_reason("edge", "Observing").await?;
        world.until_alive("edge", "PortRecycled").await
    });
}

#[test]
fn a_clock_that_is_off_is_shown_as_clock_skew() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let expired = Rule::on("DescribePorts").refuse(401, "AUTHFAILURE_SIGNATURE_EXPIRED");
        let rule = world.simulator.fault(expired);
        world.own_until("edge", "port-1", "Destroy", "ClockSkew").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "ClockSkew").await?;
        world.simulator.clear_fault(rule);
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn a_port_that_zenlayer_works_on_is_shown_as_port_busy_until_it_is_done() {
    run(async {
        let world = given([recycled("port-1")]).value(LONG_GRACE).start_with_edge().await?;
        world.delete("edge").await?;
        world.simulator.set_status("port-1", PortStatus::Updating);
        world.until_reason("edge", "PortBusy").await?;
        world.assert_only_destroyed(&[]);
        world.simulator.set_status("port-1", PortStatus::Recycled);
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn a_terminated_port_is_shown_as_terminating_until_it_lies_in_the_bin() {
    run(async {
        let slow = given([running("port-1")]).times(|times| times.terminate = Duration::from_secs(3));
        let world = slow.start().await?;
        world.own_until("edge", "port-1", "TerminateAndDestroy", "Running").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "Terminating").await?;
        world.until_gone("edge").await?;
        world.assert_terminated("port-1");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_call_that_was_lost_before_it_was_carried_out_is_shown_as_confirming_and_repeated_once_it_is_settled() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.simulator.fault(Rule::on("DestroyPort").once().apply(Apply::Never).answer(Answer::Lost));
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "Confirming").await?;
        assert!(message.contains("got no clear answer"), "{message}");
        assert_eq!(world.sent("DestroyPort"), 1, "{}", world.log());
        world.until_gone("edge").await?;
        world.assert_only_destroyed_by(2, &["port-1"]);
        Ok(())
    });
}

#[test]
fn a_port_that_vanishes_is_shown_as_confirming_absence_until_it_is_proven() {
    run(async {
        let world = given([running("port-1")]).value(LONG_GRACE).start().await?;
        world.own_until("edge", "port-1", "TerminateAndDestroy", "Running").await?;
        world.simulator.remove_port("port-1");
        world.delete("edge").await?;
        world.until_reason("edge", "ConfirmingAbsence").await?;
        world.until_gone("edge").await?;
        world.assert_not_terminated("port-1");
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}
