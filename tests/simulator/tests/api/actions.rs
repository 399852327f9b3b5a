//! What the actions do.

use serde_json::{Value, json};
use zenlayer_simulator::{ChargeType, Port, PortStatus, Simulator, Times};

use crate::client::{Answered, Call, call, simulator};

async fn on_port(simulator: &Simulator, action: &'static str, port_id: &str) -> Answered {
    call(simulator, action, &json!({ "portId": port_id })).send().await
}

async fn list(simulator: &Simulator, query: Value) -> Answered {
    call(simulator, "DescribePorts", &query).send().await
}

fn seed_many(simulator: &Simulator, number: usize) -> Vec<String> {
    let ids: Vec<String> = (1..=number).map(|n| format!("port-{n:03}")).collect();
    for id in &ids {
        simulator.seed(Port::new(id));
    }
    ids
}

#[tokio::test]
async fn without_a_page_size_only_twenty_ports_are_listed() {
    let simulator = simulator();
    let ids = seed_many(&simulator, 21);
    let cut = list(&simulator, json!({ "portIds": ids })).await;
    assert_eq!((cut.port_ids().len(), cut.total_count()), (20, 21), "the trap");
    let whole = list(&simulator, json!({ "portIds": ids, "pageSize": 100 })).await;
    assert_eq!(whole.port_ids(), ids);
    let rest = list(&simulator, json!({ "portIds": ids, "pageNum": 2 })).await;
    assert_eq!((rest.port_ids(), rest.total_count()), (vec!["port-021"], 21));
}

#[tokio::test]
async fn no_or_empty_ids_list_the_whole_account() {
    let simulator = simulator();
    seed_many(&simulator, 3);
    for query in [json!({}), json!({ "portIds": [] }), json!({ "portIds": null })] {
        assert_eq!(list(&simulator, query.clone()).await.total_count(), 3, "{query}");
    }
}

#[tokio::test]
async fn ports_can_be_filtered_by_name_and_data_center() {
    let simulator = simulator();
    simulator.seed(Port::new("port-1").name("Edge A").data_center("HKG2"));
    simulator.seed(Port::new("port-2").name("Core").data_center("HKG2"));
    assert_eq!(list(&simulator, json!({ "portName": "edge" })).await.port_ids(), ["port-1"]);
    assert_eq!(list(&simulator, json!({ "dcId": "SIN1" })).await.total_count(), 0);
}

#[tokio::test]
async fn too_many_ids_and_pages_out_of_range_are_refused() {
    let simulator = simulator();
    let ids: Vec<String> = (0..101).map(|n| format!("port-{n}")).collect();
    for (query, code) in [
        (json!({ "portIds": ids }), "INVALID_PARAMETER_EXCEED_LENGTH"),
        (json!({ "pageSize": 1001 }), "INVALID_PARAMETER_EXCEED_MAXIMUM"),
        (json!({ "pageNum": 0 }), "INVALID_PARAMETER_LESS_MINIMUM"),
        (json!({ "portIds": "port-1" }), "INVALID_PARAMETER_TYPE"),
    ] {
        let answered = list(&simulator, query).await;
        assert_eq!((answered.status, answered.code()), (400, code), "{answered:?}");
    }
}

#[tokio::test]
async fn a_port_shows_the_fields_of_the_version_asked() {
    let simulator = simulator();
    let created = "2025-03-01T12:00:00.75Z".parse().expect("a time");
    simulator.seed(Port::new("port-1").created(created).field("lag", Value::Null));
    let first = list(&simulator, json!({})).await.body["response"]["dataSet"][0].clone();
    assert_eq!(first["createdTime"], "2025-03-01T12:00:00Z");
    assert_eq!(first["portChargeType"], "POSTPAID");
    assert_eq!(first.get("lag"), Some(&Value::Null), "a field of the test's own");
    let newer = Call { version: "2026-04-01", ..call(&simulator, "DescribePorts", &json!({})) }.send().await;
    let newer = &newer.body["response"]["dataSet"][0];
    assert!(newer.get("portChargeType").is_none() && newer.get("tags").is_some(), "{newer}");
}

#[tokio::test]
async fn a_port_goes_by_the_recycle_bin_to_its_end() {
    let simulator = simulator();
    simulator.seed(Port::new("port-1"));
    assert_eq!(on_port(&simulator, "TerminatePort", "port-1").await.status, 200);
    assert_eq!(list(&simulator, json!({ "portIds": ["port-1"] })).await.first_status(), "RECYCLED");
    assert_eq!(on_port(&simulator, "DestroyPort", "port-1").await.status, 200);
    assert_eq!(list(&simulator, json!({ "portIds": ["port-1"] })).await.total_count(), 0);
    assert_eq!(simulator.port("port-1"), None);

    let journal = simulator.journal();
    let path: Vec<_> = journal
        .transitions_of("port-1")
        .map(|transition| transition.to.as_ref().map_or("gone", PortStatus::as_str))
        .collect();
    assert_eq!(path, ["RUNNING", "DELETING", "RECYCLED", "DESTROYING", "DESTROYED", "gone"]);
    assert_eq!((journal.committed_terminates("port-1"), journal.committed_destroys("port-1")), (1, 1));
    let again = on_port(&simulator, "DestroyPort", "port-1").await;
    assert_eq!((again.status, again.code()), (404, "SELF_SERVICE_PORT_NOT_FOUND"));
}

#[tokio::test]
async fn a_recycled_port_can_be_restored() {
    let simulator = simulator();
    simulator.seed(Port::new("port-1").status(PortStatus::Recycled));
    assert_eq!(on_port(&simulator, "RenewPort", "port-1").await.status, 200);
    assert_eq!(list(&simulator, json!({})).await.first_status(), "RUNNING");
}

#[tokio::test]
async fn a_created_port_becomes_running() {
    let simulator = simulator();
    let wanted =
        json!({ "dcId": "SIN1", "portName": "new", "portType": "10G", "businessEntityName": "Example" });
    let created = call(&simulator, "CreatePort", &wanted).send().await;
    let port_id = created.body["response"]["portId"].as_str().expect("a port id");
    assert_eq!(list(&simulator, json!({ "portIds": [port_id] })).await.first_status(), "RUNNING");
    let incomplete = call(&simulator, "CreatePort", &json!({ "dcId": "SIN1" })).send().await;
    assert_eq!((incomplete.status, incomplete.code()), (400, "MISSING_PARAMETER"));
}

#[tokio::test]
async fn changes_in_a_wrong_state_are_refused() {
    use PortStatus::{Creating, Deleting, Destroyed, Destroying, Recovering, Recycled, Running};
    let simulator = simulator();
    for (status, action, http, code) in [
        (Recycled, "TerminatePort", 403, "OPERATION_DENIED_INSTANCE_RECYCLED"),
        (Creating, "TerminatePort", 400, "INVALID_PORT_STATUS"),
        (Destroying, "TerminatePort", 403, "OPERATION_FAILED_FOR_RECYCLE_RESOURCE"),
        (Running, "DestroyPort", 400, "INVALID_PORT_STATUS"),
        (Deleting, "DestroyPort", 400, "INVALID_PORT_STATUS"),
        (Recovering, "DestroyPort", 400, "INVALID_PORT_STATUS"),
        (Destroying, "DestroyPort", 403, "OPERATION_FAILED_FOR_RECYCLE_RESOURCE"),
        (Destroyed, "DestroyPort", 404, "SELF_SERVICE_PORT_NOT_FOUND"),
        (Running, "RenewPort", 400, "INVALID_PORT_STATUS"),
    ] {
        simulator.seed(Port::new("port-1").status(status.clone()).frozen());
        let answered = on_port(&simulator, action, "port-1").await;
        assert_eq!((answered.status, answered.code()), (http, code), "{action} while {status:?}");
        assert_eq!(simulator.port("port-1").map(|port| port.port_status), Some(status), "nothing changed");
    }
}

#[tokio::test]
async fn a_prepaid_port_cannot_be_terminated() {
    let simulator = simulator();
    simulator.seed(Port::new("port-1").charge_type(ChargeType::Prepaid));
    let answered = on_port(&simulator, "TerminatePort", "port-1").await;
    assert_eq!((answered.status, answered.code()), (400, "OPERATION_DENIED_PREPAID_PORT"));
}

#[tokio::test]
async fn a_frozen_port_stays_until_it_is_moved() {
    let simulator = simulator();
    simulator.seed(Port::new("port-1").status(PortStatus::Recycled).frozen());
    assert_eq!(on_port(&simulator, "DestroyPort", "port-1").await.status, 200);
    assert_eq!(list(&simulator, json!({})).await.first_status(), "DESTROYING", "stuck");
    assert!(simulator.set_status("port-1", PortStatus::Other("PAUSED".into())));
    assert_eq!(list(&simulator, json!({})).await.first_status(), "PAUSED", "a word nobody knows");
    simulator.set_status("port-1", PortStatus::Destroying);
    assert!(simulator.set_frozen("port-1", false));
    assert_eq!(list(&simulator, json!({})).await.total_count(), 0, "time moves on again");
}

#[tokio::test]
async fn a_destroyed_port_is_listed_for_a_while_if_wanted() {
    let simulator = simulator();
    let day = std::time::Duration::from_hours(24);
    let times = Times { destroyed_listed_for: day, ..Times::INSTANT };
    simulator.seed(Port::new("port-1").status(PortStatus::Recycled).times(times));
    on_port(&simulator, "DestroyPort", "port-1").await;
    assert_eq!(list(&simulator, json!({})).await.first_status(), "DESTROYED");
}
