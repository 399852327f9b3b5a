//! C12, C15, C17, C18, C22: where ports are, and who else moves them.

use std::time::Duration;

use anyhow::ensure;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{Apply, Port, PortStatus, Rule};

use super::cases;
use crate::bench::LONG_GRACE;

cases! {
    "wrong-account" ["C12" "K13"] Shared
    "Someone replaces the key with a valid key of another account. Its empty list proves nothing, and the deletion continues when the right key is back." |bench| {
        bench.value(LONG_GRACE).start().await?;
        let object = bench.recycled().await?;
        bench.swap_tenants_secret().await?;
        bench.delete(object).await?;
        let message = bench.shows(object, "CredentialsUnavailable").await?;
        ensure!(message.contains("replaced"), "O5 truth: {message}");
        // Its grace begins later and is as long, so that of the object is over.
        bench.neighbour_goes_before(object).await?;
        bench.restore_tenants_secret().await?;
        bench.goes(object).await?;
    }

    "anothers-port" ["C12"] Shared
    "An object names a port of another account. The object disappears, and the operator does not change the port." |bench| {
        bench.start().await?;
        let id = bench.port_id();
        bench.cloud.seed(Port::new(&id).account(bench.neighbour.account).status(PortStatus::Recycled));
        let tenant = bench.tenant.clone();
        let object = bench.create(&tenant, &id, DeletionPolicy::TerminateAndDestroy).await?;
        bench.excuse(object, "the port was never visible to its credentials");
        bench.shows(object, "PortNotFound").await?;
        bench.delete(object).await?;
        bench.goes(object).await?;
        ensure!(bench.cloud.port(&id).is_some(), "O2 no wrong kill: another account's port is gone");
    }

    "stuck-destroying" ["C15"] Shared
    "A port stays DESTROYING. The object shows what it waits for, and the operator does not call again." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let port = bench.port_of(object).to_owned();
        bench.cloud.set_frozen(&port, true);
        bench.delete(object).await?;
        bench.shows(object, "Destroying").await?;
        bench.neighbour_goes_before(object).await?;
        bench.cloud.set_frozen(&port, false);
        bench.goes(object).await?;
    }

    "rolled-back-to-running" ["C15"] Shared
    "Zenlayer stops destroying a port, and the port runs again. The operator changes nothing until a person decides." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let port = bench.port_of(object).to_owned();
        bench.cloud.set_frozen(&port, true);
        bench.delete(object).await?;
        bench.shows(object, "Destroying").await?;
        bench.until_landed(object).await?;
        bench.cloud.set_status(&port, PortStatus::Running);
        bench.shows(object, "RestoredElsewhere").await?;
        bench.set_policy(object, DeletionPolicy::Retain).await?;
        bench.goes(object).await?;
        ensure!(bench.cloud.port(&port).is_some_and(|port| port.port_status == PortStatus::Running), "the port was touched");
    }

    "restored-while-waiting" ["C15"] Shared
    "A person restores a port from the recycle bin just before the operator destroys it. The operator does not terminate it." |bench| {
        bench.value("deletion.grace=60s");
        bench.start().await?;
        let object = bench.own(PortStatus::Recycled, DeletionPolicy::TerminateAndDestroy).await?;
        let port = bench.port_of(object).to_owned();
        bench.delete(object).await?;
        bench.shows(object, "GracePeriod").await?;
        bench.cloud.set_status(&port, PortStatus::Recovering);
        bench.holds(object, "RestoredElsewhere").await?;
        bench.neighbour_goes_before(object).await?;
        ensure!(bench.sent_for("TerminatePort", &port) == 0, "O2 no wrong kill");
    }

    "unknown-word" ["C15"] Shared
    "Zenlayer reports a status that the operator does not know. Only this object waits." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let port = bench.port_of(object).to_owned();
        bench.cloud.set_status(&port, PortStatus::Other("QUARANTINED\u{1b}[31m".into()));
        bench.delete(object).await?;
        bench.shows(object, "UnknownPortStatus").await?;
        bench.neighbour_goes_before(object).await?;
        bench.cloud.set_status(&port, PortStatus::Recycled);
        bench.goes(object).await?;
    }

    "already-there" ["C17"] Shared
    "A port is already in the recycle bin, being destroyed or destroyed, or never existed. The operator makes no unnecessary call." |bench| {
        bench.start().await?;
        let recycled = bench.own(PortStatus::Recycled, DeletionPolicy::TerminateAndDestroy).await?;
        let destroying = bench.own(PortStatus::Recycled, DeletionPolicy::Destroy).await?;
        let vanished = bench.own(PortStatus::Recycled, DeletionPolicy::Destroy).await?;
        let id = bench.port_id();
        let tenant = bench.tenant.clone();
        let never = bench.create(&tenant, &id, DeletionPolicy::Destroy).await?;
        bench.cloud.set_status(bench.port_of(destroying), PortStatus::Destroying);
        bench.cloud.remove_port(bench.port_of(vanished));
        bench.shows(vanished, "PortNotFound").await?;
        for object in [recycled, destroying, vanished, never] {
            bench.delete(object).await?;
        }
        bench.all_go(&[recycled, destroying, vanished, never]).await?;
        for object in [destroying, vanished, never] {
            let calls = bench.sent_for("DestroyPort", bench.port_of(object));
            ensure!(calls == 0, "O3 bounded: DestroyPort was called for {}", bench.port_of(object));
        }
        ensure!(bench.sent("TerminatePort") == 0, "O3 bounded: TerminatePort was called");
    }

    "id-used-again" ["C18"] Shared
    "Zenlayer has given the id to another port. The operator never changes that port." |bench| {
        bench.value(LONG_GRACE).start().await?;
        let id = bench.port_id();
        let tenant = bench.tenant.clone();
        let port = |created: &str| anyhow::Ok(
            Port::new(&id).account("tenant").status(PortStatus::Recycled).created(created.parse()?)
        );
        bench.cloud.seed(port("2026-01-01T00:00:00Z")?);
        let object = bench.create(&tenant, &id, DeletionPolicy::TerminateAndDestroy).await?;
        bench.shows(object, "PortRecycled").await?;
        bench.cloud.seed(port("2026-02-02T00:00:00Z")?);
        bench.delete(object).await?;
        bench.holds(object, "IdentityChanged").await?;
        // Its grace begins later and is as long, so that of the object is over.
        bench.neighbour_goes_before(object).await?;
        ensure!(bench.sent_for("DestroyPort", &id) == 0, "O2 no wrong kill");
    }

    "id-used-again-under-way" ["C18"] Shared
    "Zenlayer gives the id to another port right after the operator's call. The operator does not destroy that port." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let id = bench.port_of(object).to_owned();
        bench.cloud.set_frozen(&id, true);
        bench.delete(object).await?;
        bench.until_landed(object).await?;
        let created = "2027-02-02T00:00:00Z".parse()?;
        bench.cloud.seed(Port::new(&id).account("tenant").status(PortStatus::Recycled).created(created));
        bench.holds(object, "IdentityChanged").await?;
        bench.neighbour_goes_before(object).await?;
        ensure!(bench.cloud.port(&id).is_some(), "O2 no wrong kill: the new port is gone");
    }

    "destroyed-by-somebody-else" ["C22"] Shared
    "Someone destroys the port between the last status check and the call. The object still disappears." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let port = bench.port_of(object).to_owned();
        bench.fault(Rule::on("DestroyPort").apply(Apply::After(Duration::from_secs(2))));
        bench.delete(object).await?;
        bench.until("the call is under way", async |bench| {
            let sent = bench.sent_for("DestroyPort", &port);
            Ok((sent > 0).then_some(()))
        }).await?;
        bench.cloud.remove_port(&port);
        bench.goes(object).await?;
    }

    "mind-changed" ["K11"] Shared
    "Someone changes the policy during the deletion. After a change to Retain, the operator makes no more calls; after a change from Retain, it starts." |bench| {
        bench.start().await?;
        let saved = bench.recycled().await?;
        let released = bench.own(PortStatus::Running, DeletionPolicy::Destroy).await?;
        bench.delete(saved).await?;
        bench.delete(released).await?;
        bench.a_while(Duration::from_secs(3)).await;
        let recorded = if bench.get(saved).await?.is_some() {
            Some(bench.set_policy(saved, DeletionPolicy::Retain).await?)
        } else {
            None
        };
        bench.set_policy(released, DeletionPolicy::TerminateAndDestroy).await?;
        bench.all_go(&[saved, released]).await?;
        // A call that was on record by then may have been under way; no other may follow.
        let sent = bench.sent_for("DestroyPort", bench.port_of(saved));
        let most = recorded.map_or(1, |calls| usize::try_from(calls).unwrap_or_default());
        ensure!(sent <= most, "O2 no wrong kill: {sent} calls under Retain, and {most} were on record when it was set");
    }
}
