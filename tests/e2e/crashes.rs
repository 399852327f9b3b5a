//! The operator is killed between any two steps of a deletion, and started again.

use anyhow::Result;
use zenlayer_port_operator::api::{Call, CallOutcome};

use crate::world::{World, given, recycled, run};

/// Deletes an object with an operator that kills itself at `point`, and waits until it has.
async fn killed(point: &str) -> Result<World> {
    let world = given([recycled("port-1")]).crash_at(point).start_with_edge().await?;
    world.delete("edge").await?;
    world.until_killed().await?;
    Ok(world)
}

async fn recorded(world: &World) -> Result<Option<Call>> {
    let object = world.objects().await?.get("edge").await?;
    Ok(object.release().and_then(|release| release.call.clone()))
}

async fn goes_by_one_destroy(world: World) -> Result<()> {
    let world = world.restarted().await?;
    world.until_gone("edge").await?;
    assert!(world.simulator.port("port-1").is_none(), "the object went before its port\n{}", world.log());
    world.assert_only_destroyed(&["port-1"]);
    Ok(())
}

#[test]
fn killed_before_the_record_the_operator_has_called_nothing_and_goes_on() {
    run(async {
        let world = killed("before-record").await?;
        assert_eq!((recorded(&world).await?, world.sent("DestroyPort")), (None, 0), "{}", world.log());
        goes_by_one_destroy(world).await
    });
}

#[test]
fn killed_after_the_record_the_operator_waits_until_it_is_settled_before_it_calls() {
    run(async {
        let world = killed("after-record").await?;
        let outcome = recorded(&world).await?.map(|call| call.outcome);
        assert_eq!(
            (outcome, world.sent("DestroyPort")),
            (Some(CallOutcome::Pending {}), 0),
            "{}",
            world.log()
        );
        goes_by_one_destroy(world).await
    });
}

#[test]
fn killed_after_the_call_the_operator_does_not_repeat_it() {
    run(async {
        let world = killed("after-call").await?;
        let outcome = recorded(&world).await?.map(|call| call.outcome);
        assert_eq!(
            (outcome, world.sent("DestroyPort")),
            (Some(CallOutcome::Pending {}), 1),
            "{}",
            world.log()
        );
        goes_by_one_destroy(world).await
    });
}

#[test]
fn killed_before_the_outcome_is_written_the_operator_does_not_repeat_the_call() {
    run(async {
        let world = killed("before-outcome").await?;
        let outcome = recorded(&world).await?.map(|call| call.outcome);
        assert_eq!(
            (outcome, world.sent("DestroyPort")),
            (Some(CallOutcome::Pending {}), 1),
            "{}",
            world.log()
        );
        goes_by_one_destroy(world).await
    });
}

#[test]
fn killed_before_the_finalizer_goes_the_operator_calls_nothing_again() {
    run(async {
        let world = killed("before-finalizer-removal").await?;
        assert!(world.simulator.port("port-1").is_none(), "{}", world.log());
        assert!(world.objects().await?.get("edge").await?.has_finalizer(), "{}", world.log());
        goes_by_one_destroy(world).await
    });
}
