//! What fits the operator into a cluster: nodes, drains, networks, names.

use serde_json::{Value, json};

use crate::{find, render, template};

fn labels_select(selector: &Value, pod: &Value) -> bool {
    let labels = selector.as_object().expect("labels");
    !labels.is_empty() && labels.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value)
}

#[tokio::test]
async fn two_replicas_spread_over_nodes_and_zones_if_possible_and_one_does_not() {
    let objects = render(&["replicas=2"]).await;
    let pod = template(&objects, "Deployment");
    let constraints = pod["spec"]["topologySpreadConstraints"].as_array().expect("constraints");
    let keys: Vec<_> = constraints.iter().map(|constraint| &constraint["topologyKey"]).collect();
    assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    for constraint in constraints {
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
        // Else the old Pods of an update count too.
        assert_eq!(constraint["matchLabelKeys"], json!(["pod-template-hash"]));
        assert!(labels_select(&constraint["labelSelector"]["matchLabels"], pod), "{constraint}");
    }
    let one = render(&[]).await;
    assert!(template(&one, "Deployment")["spec"]["topologySpreadConstraints"].is_null());
}

#[tokio::test]
async fn a_constraint_of_the_user_replaces_the_default_and_gets_the_selector_that_it_lacks() {
    let own = "topologySpreadConstraints[0].topologyKey=rack";
    let objects = render(&["replicas=2", own]).await;
    let pod = template(&objects, "Deployment");
    let constraints = pod["spec"]["topologySpreadConstraints"].as_array().expect("constraints");
    assert_eq!(constraints.len(), 1, "{constraints:?}");
    assert!(labels_select(&constraints[0]["labelSelector"]["matchLabels"], pod), "{constraints:?}");
    let selector = "topologySpreadConstraints[0].labelSelector.matchLabels.app=mine";
    let objects = render(&[own, selector]).await;
    let constraint = &template(&objects, "Deployment")["spec"]["topologySpreadConstraints"][0];
    assert_eq!(constraint["labelSelector"]["matchLabels"]["app"], "mine");
}

#[tokio::test]
async fn a_drain_is_limited_only_where_another_pod_can_take_over() {
    let objects = render(&["replicas=2"]).await;
    let budget = &find(&objects, "PodDisruptionBudget").expect("a budget")["spec"];
    // With minAvailable, or with Pods that are not ready, a drain could wait for ever.
    assert_eq!(budget["maxUnavailable"], 1);
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    let selector = &budget["selector"]["matchLabels"];
    assert!(labels_select(selector, template(&objects, "Deployment")));
    assert!(!labels_select(selector, template(&objects, "Job")), "the check is not the operator");
    for without in ["replicas=1", "replicas=2,podDisruptionBudget.enabled=false"] {
        assert!(find(&render(&[without]).await, "PodDisruptionBudget").is_none(), "with {without}");
    }
}

async fn network_policy(values: &[&str]) -> Value {
    let objects = render(&[&["networkPolicy.enabled=true"], values].concat()).await;
    let policy = find(&objects, "NetworkPolicy").expect("a NetworkPolicy")["spec"].clone();
    for pod in ["Deployment", "Job", "Pod"].map(|kind| template(&objects, kind)) {
        assert!(labels_select(&policy["podSelector"]["matchLabels"], pod), "it is for {pod}");
    }
    policy
}

fn ports(rule: &Value) -> Vec<i64> {
    let ports = rule["ports"].as_array().expect("ports");
    ports.iter().map(|port| port["port"].as_i64().expect("a port")).collect()
}

#[tokio::test]
async fn nobody_connects_to_anything_but_the_port_of_metrics() {
    assert!(find(&render(&[]).await, "NetworkPolicy").is_none(), "unless asked for");
    let policy = network_policy(&["metrics.port=9090"]).await;
    assert_eq!(policy["policyTypes"], json!(["Ingress"]));
    let rules = policy["ingress"].as_array().expect("rules");
    assert_eq!((rules.len(), ports(&rules[0])), (1, vec![9090]));
    assert!(rules[0]["from"].is_null(), "from everywhere");
    let from = "networkPolicy.ingress.from[0].namespaceSelector.matchLabels.team=watch";
    let policy = network_policy(&[from]).await;
    assert_eq!(
        policy["ingress"][0]["from"],
        json!([{ "namespaceSelector": { "matchLabels": { "team": "watch" } } }])
    );
}

#[tokio::test]
async fn the_flavor_ports_allows_names_the_api_server_and_zenlayer_or_the_proxy() {
    let flavor = "networkPolicy.egress.flavor=ports";
    for (value, expected) in [
        ("replicas=1", vec![443, 6443]),
        ("zenlayer.endpoint=https://zenlayer.example:8443/", vec![443, 6443, 8443]),
        ("zenlayer.endpoint=http://127.0.0.1", vec![443, 6443, 80]),
        ("zenlayer.endpoint=http://[::1]:80", vec![443, 6443, 80]),
        ("zenlayer.proxy=http://user@proxy.example:3128", vec![443, 6443, 3128]),
        ("zenlayer.proxy=https://proxy.example", vec![443, 6443]),
        ("networkPolicy.egress.ports={16443}", vec![16443, 443]),
        ("tracing.otlp.endpoint=http://collector.observability.svc:4318", vec![443, 6443, 4318]),
        ("tracing.otlp.endpoint=https://collector.example/otlp", vec![443, 6443]),
    ] {
        let policy = network_policy(&[flavor, value]).await;
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]), "with {value}");
        let rules = policy["egress"].as_array().expect("rules");
        assert_eq!((rules.len(), ports(&rules[0])), (2, vec![53, 53, 5353, 5353]), "with {value}");
        assert_eq!(ports(&rules[1]), expected, "with {value}");
    }
}

#[tokio::test]
async fn the_flavor_cilium_allows_the_collector_of_traces() {
    for (endpoint, expected) in [
        (
            "http://collector.observability.svc:4318",
            json!({ "toEndpoints": [{ "matchLabels": { "io.kubernetes.pod.namespace": "observability" } }] }),
        ),
        (
            "https://collector.example/otlp",
            json!({
                "toFQDNs": [{ "matchName": "collector.example" }],
                "toPorts": [{ "ports": [{ "port": "443", "protocol": "TCP" }] }],
            }),
        ),
    ] {
        let endpoint = format!("tracing.otlp.endpoint={endpoint}");
        let values = ["networkPolicy.enabled=true", "networkPolicy.egress.flavor=cilium", &endpoint];
        let objects = render(&values).await;
        let policy = &find(&objects, "CiliumNetworkPolicy").expect("a CiliumNetworkPolicy")["spec"];
        assert_eq!(policy["egress"][3], expected, "with {endpoint}");
    }
}

#[tokio::test]
async fn the_flavor_custom_takes_the_rules_as_they_are() {
    let policy = network_policy(&[
        "networkPolicy.egress.flavor=custom",
        "networkPolicy.egress.rules[0].ports[0].port=1",
    ])
    .await;
    assert_eq!(policy["egress"], json!([{ "ports": [{ "port": 1 }] }]));
}

#[tokio::test]
async fn the_flavor_cilium_names_the_api_server_and_zenlayer_or_the_proxy() {
    let port = |port: &str| json!([{ "ports": [{ "port": port, "protocol": "TCP" }] }]);
    let pods_of = |namespace: &str| json!({ "toEndpoints": [{ "matchLabels": { "io.kubernetes.pod.namespace": namespace } }] });
    for (value, target, ports) in [
        ("replicas=1", json!({ "toFQDNs": [{ "matchName": "console.zenlayer.com" }] }), port("443")),
        (
            "zenlayer.proxy=http://user@proxy.example:3128",
            json!({ "toFQDNs": [{ "matchName": "proxy.example" }] }),
            port("3128"),
        ),
        ("zenlayer.endpoint=https://192.0.2.1:8443", json!({ "toCIDR": ["192.0.2.1/32"] }), port("8443")),
        ("zenlayer.endpoint=https://[2001:db8::1]", json!({ "toCIDR": ["2001:db8::1/128"] }), port("443")),
        // Services of the cluster. Their Pods may listen on another port.
        ("zenlayer.proxy=http://proxy:3128", pods_of("system"), Value::Null),
        ("zenlayer.proxy=http://proxy.egress.svc:3128", pods_of("egress"), Value::Null),
        ("zenlayer.proxy=http://proxy.egress.svc.cluster.local:3128", pods_of("egress"), Value::Null),
        (
            "zenlayer.proxy=http://proxy.svc.example:3128",
            json!({ "toFQDNs": [{ "matchName": "proxy.svc.example" }] }),
            port("3128"),
        ),
    ] {
        let values = ["networkPolicy.enabled=true", "networkPolicy.egress.flavor=cilium", value];
        let objects = render(&values).await;
        let plain = &find(&objects, "NetworkPolicy").expect("a NetworkPolicy")["spec"];
        assert_eq!(plain["policyTypes"], json!(["Ingress"]), "the other one is for egress");
        let policy = &find(&objects, "CiliumNetworkPolicy").expect("a CiliumNetworkPolicy")["spec"];
        assert!(labels_select(&policy["endpointSelector"]["matchLabels"], template(&objects, "Deployment")));
        assert_eq!(policy["egress"][0], json!({ "toEntities": ["kube-apiserver"] }));
        let mut found = policy["egress"][2].clone();
        assert_eq!(found["toPorts"].take(), ports, "with {value}");
        found.as_object_mut().expect("a rule").remove("toPorts");
        assert_eq!(found, target, "with {value}");
        assert!(policy["egress"][3].is_null(), "nothing else");
    }
}

#[tokio::test]
async fn with_another_namespace_nothing_stays_in_that_of_the_release() {
    let objects = render(&["namespaceOverride=elsewhere"]).await;
    for object in &objects {
        let text = object.to_string();
        // `helm rollback` is about the release.
        let text = text.replace("--namespace system", "");
        assert!(!text.contains("\"system\""), "{object}");
        let namespace = &object["metadata"]["namespace"];
        assert!(namespace.is_null() || namespace == "elsewhere", "{object}");
    }
    let command = template(&objects, "Job")["spec"]["containers"][0]["args"].to_string();
    assert!(command.contains("helm rollback zpo 1 --namespace system"), "{command}");
}

#[tokio::test]
async fn the_requests_about_the_lease_are_those_of_a_leader_election() {
    let objects = render(&[]).await;
    let schema = &find(&objects, "FlowSchema").expect("a FlowSchema")["spec"];
    assert_eq!(schema["priorityLevelConfiguration"]["name"], "leader-election");
    let rule = &schema["rules"][0];
    let account = &template(&objects, "Deployment")["spec"]["serviceAccountName"];
    assert_eq!(rule["subjects"][0]["serviceAccount"], json!({ "name": account, "namespace": "system" }));
    assert_eq!(rule["resourceRules"][0]["resources"], json!(["leases"]));
    assert_eq!(rule["resourceRules"][0]["namespaces"], json!(["system"]));
    assert!(find(&render(&["flowSchema.enabled=false"]).await, "FlowSchema").is_none());
}

#[tokio::test]
async fn the_checks_keep_sidecars_out_by_themselves() {
    let objects = render(&[]).await;
    for check in ["Job", "Pod"].map(|kind| &template(&objects, kind)["metadata"]) {
        assert_eq!(check["labels"]["sidecar.istio.io/inject"], "false");
        assert_eq!(check["annotations"]["linkerd.io/inject"], "disabled");
    }
    let operator = &template(&objects, "Deployment")["metadata"];
    assert!(operator["annotations"].is_null() && operator["labels"]["sidecar.istio.io/inject"].is_null());
}
