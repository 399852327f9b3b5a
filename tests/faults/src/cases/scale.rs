//! S3, S4, S7: many at once, and content that means harm.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{Port, PortStatus};

use super::cases;

cases! {
    "namespace-of-many" ["S3"] Shared
    "A namespace with many objects is deleted. Each port is destroyed once, with few requests, and the namespace disappears." |bench| {
        bench.value("deletion.massDeletionThreshold=0");
        bench.start().await?;
        let tenant = bench.tenant.clone();
        let objects = bench.many(100, PortStatus::Recycled, DeletionPolicy::Destroy).await?;
        for object in &objects {
            bench.shows(*object, "PortRecycled").await?;
        }
        for object in &objects {
            bench.ask_for_deletion(*object);
        }
        bench.cluster.kubectl(&["delete", "namespace", &tenant.namespace, "--wait=false"]).await?;
        bench.neighbour_goes().await?;
        bench.all_go(&objects).await?;
    }

    "many-at-once-are-held" ["S3"] Shared
    "Many objects are deleted at once, with the default settings. The operator pauses them until a person approves each one with the printed command." |bench| {
        bench.start().await?;
        let objects = bench.many(30, PortStatus::Recycled, DeletionPolicy::Destroy).await?;
        for object in &objects {
            bench.shows(*object, "PortRecycled").await?;
        }
        for object in &objects {
            bench.ask_for_deletion(*object);
        }
        bench.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        let mut messages = Vec::new();
        for object in &objects {
            messages.push(bench.shows(*object, "MassDeletion").await?);
        }
        ensure!(bench.sent("DestroyPort") == 0, "O2: called while held");
        for message in &messages {
            bench.type_command_of(message).await?;
        }
        bench.all_go(&objects).await?;
    }

    "flapping-annotations" ["S4"] Shared
    "Annotations change many times a second. This causes no calls and delays no other object." |bench| {
        bench.start().await?;
        let objects = bench.many(10, PortStatus::Recycled, DeletionPolicy::Destroy).await?;
        for object in &objects {
            bench.shows(*object, "PortRecycled").await?;
        }
        let before = bench.cloud.journal().requests().len();
        let churn = bench.churn(&objects, Duration::from_millis(1));
        bench.neighbour_goes().await?;
        let during = bench.cloud.journal().requests().len() - before;
        ensure!(during < 60, "O3 bounded: {during} requests while annotations flapped");
        for object in &objects {
            bench.delete(*object).await?;
        }
        bench.a_while(Duration::from_secs(5)).await;
        drop(churn);
        bench.all_go(&objects).await?;
    }

    "hostile-content" ["S7"] Shared
    "An object has huge annotations, and names with templates, escape codes and line breaks. They appear as text on one log line, and the operator destroys the port." |bench| {
        bench.start().await?;
        let tenant = bench.tenant.clone();
        let id = bench.port_id();
        let name = "{{7*7}} $(id) \u{1b}[2J\r\nINJECTED level=error %s\u{202e}";
        bench.cloud.seed(Port::new(&id).account(tenant.account).status(PortStatus::Recycled).name(name));
        let object = bench.create(&tenant, &id, DeletionPolicy::Destroy).await?;
        bench.shows(object, "PortRecycled").await?;
        let huge = "\u{1b}]0;x\u{7}\n".repeat(20_000);
        bench.patch(object, &json!({ "metadata": { "annotations": { "example.com/huge": huge } } })).await?;
        for id in ["../../etc/passwd", "port-1\nX-ZC-Action: DestroyPort", "{{.}}", ""] {
            let mut hostile = bench.manifest(object);
            hostile["metadata"]["name"] = json!("hostile");
            hostile["spec"]["portId"] = json!(id);
            ensure!(bench.cluster.apply(&hostile.to_string()).await.is_err(), "portId {id:?} was admitted");
        }
        bench.delete(object).await?;
        bench.goes(object).await?;
        let logs = bench.logs();
        ensure!(!logs.lines().any(|line| line.starts_with("INJECTED")), "a name of a port begins a line of the log");
    }
}
