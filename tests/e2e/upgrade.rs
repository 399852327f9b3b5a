//! `helm upgrade` from the chart of the release before, and `helm rollback`, while objects are being deleted.

use std::time::Duration;

use anyhow::Result;

use crate::world::{PREVIOUS_CHART, World, given, recycled, run, running};

/// What is on its way while the operator is replaced: a port that is being destroyed, one that is being terminated, and one
/// that waits for a person. The names begin so.
async fn on_their_way(world: &World, moment: &str) -> Result<()> {
    for (what, policy, reason) in [
        ("destroyed", "Destroy", "Destroying"),
        ("terminated", "TerminateAndDestroy", "Terminating"),
        ("held", "Destroy", "NotInRecycleBin"),
    ] {
        let name = format!("{moment}-{what}");
        world.own(&name, &name, policy).await?;
        let alive = if what == "destroyed" { "PortRecycled" } else { "Running" };
        world.until_alive(&name, alive).await?;
        world.delete(&name).await?;
        world.until_reason(&name, reason).await?;
    }
    Ok(())
}

/// Waits until they are gone, after a person has decided about the one that was held.
async fn arrived(world: &World, moment: &str) -> Result<()> {
    for what in ["destroyed", "terminated"] {
        world.until_gone(&format!("{moment}-{what}")).await?;
    }
    let held = format!("{moment}-held");
    world.until_reason(&held, "NotInRecycleBin").await?;
    let policy = r#"{"spec":{"deletionPolicy":"TerminateAndDestroy"}}"#;
    world.patch(&held, policy).await?;
    world.until_gone(&held).await
}

#[test]
fn an_upgrade_from_the_previous_chart_and_a_rollback_repeat_no_call() {
    run(async {
        let moments = ["upgrade", "rollback"];
        let ports = moments.iter().flat_map(|moment| {
            let id = |what: &str| format!("{moment}-{what}");
            [recycled(&id("destroyed")), running(&id("terminated")), running(&id("held"))]
        });
        // Longer than it takes to replace the operator.
        let slow = Duration::from_secs(6);
        let setup = given(ports).times(|times| (times.destroy, times.terminate) = (slow, slow));
        let world = setup.chart(PREVIOUS_CHART).start().await?;

        on_their_way(&world, "upgrade").await?;
        let world = world.upgraded().await?;
        arrived(&world, "upgrade").await?;

        on_their_way(&world, "rollback").await?;
        let world = world.rolled_back().await?;
        arrived(&world, "rollback").await?;

        let ids = |what: &str| moments.map(|moment| format!("{moment}-{what}"));
        let all = [ids("destroyed"), ids("terminated"), ids("held")].concat();
        world.assert_only_destroyed(&all.iter().map(String::as_str).collect::<Vec<_>>());
        for id in [ids("terminated"), ids("held")].concat() {
            world.assert_terminated(&id);
        }
        Ok(())
    });
}
