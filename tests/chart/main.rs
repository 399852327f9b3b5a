//! The Helm chart as helm renders it, without a cluster.

mod alerts;
mod linters;
mod metadata;
mod monitoring;
mod renders;
mod surroundings;
mod values;

use std::collections::BTreeSet;
use std::process::Output;

use clap::Parser;
use serde_json::Value;
use test_cluster::{Assets, Binary};
use tokio::process::Command;
use zenlayer_port_operator::check::Needs;
use zenlayer_port_operator::cli::Cli;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");

async fn helm(args: &[&str]) -> Output {
    let helm = Assets::find_or_build().await.expect("helm").path(Binary::Helm);
    Command::new(helm).args(args).env_remove("KUBECONFIG").output().await.expect("helm runs")
}

/// All objects of a release `zpo` in `namespace`, each value as one would give it to `--set`.
async fn render_in(namespace: &str, values: &[&str]) -> Vec<Value> {
    render_chart(CHART, namespace, values).await
}

async fn render_chart(chart: &str, namespace: &str, values: &[&str]) -> Vec<Value> {
    let values = values.iter().flat_map(|value| ["--set", value]);
    let args: Vec<&str> =
        ["template", "zpo", chart, "--namespace", namespace].into_iter().chain(values).collect();
    let output = helm(&args).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&String::from_utf8_lossy(&output.stdout)).expect("YAML");
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

async fn render(values: &[&str]) -> Vec<Value> {
    render_in("system", values).await
}

fn find<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

/// The Pod template of the Deployment or of the Job, or the Pod of `helm test`.
fn template<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let object = find(objects, kind).unwrap_or_else(|| panic!("no {kind}"));
    if kind == "Pod" { object } else { &object["spec"]["template"] }
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|one| one.as_str().expect("a string")).collect()
}

fn args<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a str> {
    strings(&template(objects, kind)["spec"]["containers"][0]["args"])
}

/// The command line as the operator takes it, but for what only the chart knows.
fn command_line(args: &[&str]) -> String {
    let args = args.iter().filter(|arg| !arg.starts_with("--lease-name="));
    let cli = Cli::try_parse_from(["zenlayer-port-operator"].iter().chain(args));
    format!("{:?}", cli.unwrap_or_else(|error| panic!("{error}")))
}

#[tokio::test]
async fn helm_lint_finds_nothing() {
    for file in renders::value_files() {
        let file = file.display().to_string();
        let output = helm(&["lint", "--strict", CHART, "--values", &file]).await;
        let said = String::from_utf8_lossy(&output.stdout);
        let finds = ["[INFO]", "[WARNING]", "[ERROR]"].iter().any(|level| said.contains(level));
        assert!(output.status.success() && !finds, "{file}: {said}");
    }
}

#[tokio::test]
async fn the_charts_defaults_are_those_of_the_command_line() {
    assert_eq!(command_line(&args(&render(&[]).await, "Deployment")), command_line(&["run"]));
}

#[tokio::test]
async fn each_value_reaches_the_operator_as_its_flag() {
    for (value, flag) in [
        ("zenlayer.endpoint=https://zenlayer.example", "--zenlayer-endpoint=https://zenlayer.example"),
        ("zenlayer.proxy=http://proxy.example:3128", "--zenlayer-proxy=http://proxy.example:3128"),
        ("tracing.otlp.endpoint=http://collector:4318", "--otlp-endpoint=http://collector:4318"),
        ("zenlayer.apiVersion=2024-01-31", "--zenlayer-api-version=2024-01-31"),
        ("zenlayer.requestsPerSecond=5", "--requests-per-second=5"),
        ("zenlayer.allowInsecureEndpoint=true", "--allow-insecure-endpoint"),
        ("credentials.keepCopies=false", "--credentials-keep-copies=false"),
        ("watchNamespaces={a,b}", "--watch-namespaces=a,b"),
        ("polling.interval=20s", "--poll-interval=20s"),
        ("polling.resyncInterval=10m", "--resync-interval=10m"),
        ("deletion.grace=1m", "--deletion-grace=1m"),
        ("deletion.massDeletionThreshold=0", "--mass-deletion-threshold=0"),
        ("deletion.requireApproval=true", "--require-approval"),
        ("metrics.port=9090", "--listen=[::]:9090"),
        ("log.format=text", "--log-format=text"),
        ("log.level=debug", "--log-level=debug"),
        ("fullnameOverride=other", "--lease-name=other"),
        ("extraArgs={--time-scale=1}", "--time-scale=1"),
    ] {
        let objects = render(&[value]).await;
        let args = args(&objects, "Deployment");
        assert!(args.contains(&flag), "{value} does not become {flag}: {args:?}");
        command_line(&args);
    }
}

#[tokio::test]
async fn the_operators_own_credentials_are_mounted_where_it_looks_for_them() {
    let objects = render(&["credentials.existingSecret=zenlayer", "credentials.namespaces={a,b}"]).await;
    let args = args(&objects, "Deployment");
    assert!(args.contains(&"--credentials-namespaces=a,b"), "{args:?}");
    let pod = &template(&objects, "Deployment")["spec"];
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "zenlayer");
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!((&mount["name"], &mount["readOnly"]), (&pod["volumes"][0]["name"], &Value::Bool(true)));
    let directory = format!("--credentials-dir={}", mount["mountPath"].as_str().expect("a path"));
    assert!(args.contains(&directory.as_str()), "{directory} is not in {args:?}");
    command_line(&args);
}

#[tokio::test]
async fn a_bad_value_is_refused_by_its_name() {
    for (value, named) in [
        ("watchNamespace={a}", "'watchNamespace'"),
        ("zenlayer.requestPerSecond=5", "'requestPerSecond'"),
        ("zenlayer.requestsPerSecond=many", "/zenlayer/requestsPerSecond"),
        ("zenlayer.requestsPerSecond=0", "/zenlayer/requestsPerSecond"),
        ("zenlayer.endpoint=console.zenlayer.com", "/zenlayer/endpoint"),
        ("zenlayer.endpoint=https://user@zenlayer.example", "/zenlayer/endpoint"),
        ("zenlayer.endpoint=http://zenlayer.example", "/zenlayer/allowInsecureEndpoint"),
        ("zenlayer.proxy=proxy.example:3128", "/zenlayer/proxy"),
        ("zenlayer.proxy=socks5://proxy.example:1080", "/zenlayer/proxy"),
        ("tracing.otlp.endpoint=collector:4318", "/tracing/otlp/endpoint"),
        ("tracing.otlp.endpoint=https://me:secret@collector", "/tracing/otlp/endpoint"),
        ("zenlayer.apiVersion=latest", "/zenlayer/apiVersion"),
        ("credentials.accessKeyId=AK", "'accessKeyId'"),
        ("credentials.existingSecret=My_Secret", "/credentials/existingSecret"),
        ("credentials.namespaces={a,a}", "/credentials/namespaces"),
        ("watchNamespaces=a", "/watchNamespaces"),
        ("watchNamespaces={kube system}", "/watchNamespaces/0"),
        ("polling.interval=0s", "/polling/interval"),
        ("polling.resyncInterval=5 minutes", "/polling/resyncInterval"),
        ("deletion.grace=10", "/deletion/grace"),
        ("deletion.grace=-1s", "/deletion/grace"),
        ("deletion.grace=null", "'grace'"),
        ("deletion.massDeletionThreshold=-1", "/deletion/massDeletionThreshold"),
        ("deletion.requireApproval=yes", "/deletion/requireApproval"),
        ("deletion.admissionPolicy=on", "/deletion/admissionPolicy"),
        ("deletion.protection=true", "'protection'"),
        ("deletion.restrictApproval=on", "/deletion/restrictApproval"),
        ("rbac.aggregateRoles=edit", "/rbac/aggregateRoles"),
        ("podDisruptionBudget.maxUnavailable=0", "/podDisruptionBudget/maxUnavailable"),
        ("podDisruptionBudget.maxUnavailable=0%", "/podDisruptionBudget/maxUnavailable"),
        ("podDisruptionBudget.minAvailable=1", "'minAvailable'"),
        ("networkPolicy.egress.flavor=calico", "/networkPolicy/egress/flavor"),
        ("networkPolicy.egress.flavor=custom", "/networkPolicy/egress/rules"),
        ("networkPolicy.egress.ports={}", "/networkPolicy/egress/ports"),
        ("service.ipFamilies={IPv5}", "/service/ipFamilies/0"),
        ("service.ipFamilyPolicy=DualStack", "/service/ipFamilyPolicy"),
        ("namespaceOverride=kube system", "/namespaceOverride"),
        ("dnsPolicy=default", "/dnsPolicy"),
        ("hostUsers=no", "/hostUsers"),
        ("topologySpreadConstraints=true", "/topologySpreadConstraints"),
        ("extraObjects.kind=ConfigMap", "/extraObjects"),
        ("revisionHistoryLimit=-1", "/revisionHistoryLimit"),
        ("admission.addFinalizer=on", "/admission/addFinalizer"),
        ("admission.addFinalizers=true", "'addFinalizers'"),
        ("test.enabled=never", "/test/enabled"),
        ("uninstall.check=never", "/uninstall/check"),
        ("replicas=-1", "/replicas"),
        ("metrics.port=80", "/metrics/port"),
        ("metrics.serviceMonitor.interval=0s", "/metrics/serviceMonitor/interval"),
        ("metrics.podMonitors.enabled=true", "'podMonitors'"),
        ("metrics.prometheusRule.overrides.ZenlayerPortInvalid.for=1", "/metrics/prometheusRule/overrides"),
        ("metrics.prometheusRule.runbookUrl=a#b", "/metrics/prometheusRule/runbookUrl"),
        ("metrics.grafanaDashboard.namespace=My_Space", "/metrics/grafanaDashboard/namespace"),
        ("log.level=verbose", "/log/level"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("image.pullPolicy=always", "/image/pullPolicy"),
        ("serviceAccount.annotations=none", "/serviceAccount/annotations"),
        ("resources.limit.memory=1Gi", "'limit'"),
        ("livenessProbe.periodSecond=5", "'periodSecond'"),
        ("terminationGracePeriodSeconds=10", "/terminationGracePeriodSeconds"),
        ("extraArgs=--log-level=debug", "/extraArgs"),
    ] {
        let output = helm(&["template", "zpo", CHART, "--set", value]).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{value} is taken");
        assert!(error.contains(named), "{value} is refused without a word about {named}: {error}");
    }
}

#[tokio::test]
async fn every_pod_is_as_pod_security_restricted_wants_it() {
    let objects = render(&[]).await;
    for kind in ["Deployment", "Job", "Pod"] {
        let pod = &template(&objects, kind)["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{kind}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{kind}");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false, "{kind}");
        assert_eq!(container["readOnlyRootFilesystem"], true, "{kind}");
        assert_eq!(strings(&container["capabilities"]["drop"]), ["ALL"], "{kind}");
    }
}

/// The operator's own roles.
fn roles(objects: &[Value]) -> impl Iterator<Item = &Value> {
    let is_of_users = |role: &Value| role["metadata"]["labels"]["app.kubernetes.io/component"] == "user-role";
    objects.iter().filter(move |object| object["rules"].is_array() && !is_of_users(object))
}

/// Each right as `role: resources verbs`, cluster-wide roles as `*` and others by their namespace.
fn rights(objects: &[Value]) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for role in roles(objects) {
        let place = role["metadata"]["namespace"].as_str().unwrap_or("*");
        for rule in role["rules"].as_array().into_iter().flatten() {
            let names = strings(&rule["resourceNames"]).join(",");
            let names = if names.is_empty() { names } else { format!(" {names}") };
            let (resources, verbs) =
                (strings(&rule["resources"]).join(","), strings(&rule["verbs"]).join(","));
            rights.insert(format!("{place}: {resources}{names}: {verbs}"));
        }
    }
    rights
}

const OWN_KIND: [&str; 4] = [
    "*: zenlayerports: get,list,watch,patch",
    "*: zenlayerports/status: update,patch",
    "*: customresourcedefinitions zenlayerports.sdn.zenlayer.com: get",
    "*: namespaces: get",
];
const OWN_NAMESPACE: [&str; 2] =
    ["system: leases: create", "system: leases zpo-zenlayer-port-operator: get,update,delete"];
const COPIES: &str = "system: secrets: get,list,create,update,delete";

#[tokio::test]
async fn the_operator_may_do_what_it_does_and_nothing_else() {
    let everywhere = ["*: secrets: get", "*: events: create"];
    let watched = ["a: secrets: get", "a: events: create", "b: secrets: get", "b: events: create"];
    let set = |parts: &[&[&str]]| parts.concat().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(rights(&render(&[]).await), set(&[&OWN_KIND, &OWN_NAMESPACE, &[COPIES], &everywhere]));
    let rendered = render(&["watchNamespaces={a,b}", "credentials.keepCopies=false"]).await;
    assert_eq!(rights(&rendered), set(&[&OWN_KIND, &OWN_NAMESPACE, &watched]));
    assert_eq!(rights(&render(&["rbac.create=false"]).await), BTreeSet::new());
}

#[tokio::test]
async fn every_role_is_bound_to_the_operators_account_and_to_nobody_else() {
    let objects = render(&["watchNamespaces={a}"]).await;
    let name = |object: &Value| (object["metadata"]["namespace"].clone(), object["metadata"]["name"].clone());
    let roles: Vec<_> = roles(&objects).collect();
    for role in &roles {
        let bindings = objects.iter().filter(|object| {
            object["roleRef"]["kind"] == role["kind"]
                && (object["metadata"]["namespace"].clone(), object["roleRef"]["name"].clone()) == name(role)
        });
        let subjects: Vec<_> =
            bindings.flat_map(|binding| binding["subjects"].as_array().expect("subjects")).collect();
        assert_eq!(subjects.len(), 1, "of {}", role["metadata"]["name"]);
        let account = template(&objects, "Deployment")["spec"]["serviceAccountName"].clone();
        assert_eq!((&subjects[0]["name"], &subjects[0]["namespace"]), (&account, &Value::from("system")));
    }
    let bindings = objects.iter().filter(|object| object["roleRef"].is_object()).count();
    assert_eq!(bindings, roles.len(), "as many bindings as roles");
}

#[tokio::test]
async fn the_admission_policy_is_in_force_where_the_operator_looks_and_can_be_left_out() {
    let objects = render(&["watchNamespaces={a,b}"]).await;
    let policy = find(&objects, "ValidatingAdmissionPolicy").expect("a policy");
    assert_eq!(policy["metadata"]["name"], "zpo-zenlayer-port-operator.system");
    let rules = &policy["spec"]["matchConstraints"]["resourceRules"];
    assert_eq!(rules.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (strings(&rules[0]["resources"]), strings(&rules[0]["operations"])),
        (vec!["zenlayerports"], vec!["DELETE"])
    );
    let binding = find(&objects, "ValidatingAdmissionPolicyBinding").expect("a binding");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    let selector = &binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(
        (&selector["key"], strings(&selector["values"])),
        (&"kubernetes.io/metadata.name".into(), vec!["a", "b"])
    );

    let everywhere = render(&[]).await;
    let binding = find(&everywhere, "ValidatingAdmissionPolicyBinding").expect("a binding");
    assert!(binding["spec"]["matchResources"].is_null(), "it is in force in all namespaces");
    let without = render(&["deletion.admissionPolicy=false,deletion.restrictApproval=false"]).await;
    assert!(
        find(&without, "ValidatingAdmissionPolicy")
            .or(find(&without, "ValidatingAdmissionPolicyBinding"))
            .is_none()
    );
}

#[tokio::test]
async fn the_check_before_an_uninstall_is_of_the_operators_image_and_account() {
    let objects = render(&["watchNamespaces={a,b}", "image.repository=registry.example/zpo"]).await;
    let (operator, check) = (template(&objects, "Deployment"), template(&objects, "Job"));
    assert_eq!(check["spec"]["containers"][0]["image"], operator["spec"]["containers"][0]["image"]);
    assert_eq!(check["spec"]["serviceAccountName"], operator["spec"]["serviceAccountName"]);
    let args = args(&objects, "Job");
    let repair = "--repair-command=helm rollback zpo 1 --namespace system";
    let copies = "--credentials-keep-copies=true";
    assert_eq!(args, ["check-uninstall", copies, repair, "--watch-namespaces=a,b"]);
    command_line(&args);
    assert_eq!(
        find(&objects, "Job").expect("a Job")["metadata"]["annotations"]["helm.sh/hook"],
        "pre-delete"
    );
    assert!(find(&render(&["uninstall.check=false"]).await, "Job").is_none());
}

#[tokio::test]
async fn the_test_of_a_release_checks_what_its_operator_runs_with() {
    let values = [
        "watchNamespaces={a,b}",
        "credentials.existingSecret=zenlayer",
        "credentials.namespaces={a}",
        "zenlayer.proxy=http://proxy.example:3128",
        "extraEnv[0].name=NO_PROXY",
    ];
    let objects = render(&values).await;
    let (operator, test) = (template(&objects, "Deployment"), template(&objects, "Pod"));
    assert_eq!(test["metadata"]["annotations"]["helm.sh/hook"], "test");
    let (runs, checks) = (args(&objects, "Deployment"), args(&objects, "Pod"));
    assert_eq!((runs[0], checks[0], &runs[1..]), ("run", "check", &checks[1..]));
    command_line(&checks);
    let container = |pod: &Value, field: &str| pod["spec"]["containers"][0][field].clone();
    for field in ["image", "env", "volumeMounts"] {
        assert_eq!(container(test, field), container(operator, field), "{field}");
    }
    for field in ["serviceAccountName", "volumes", "securityContext"] {
        assert_eq!(test["spec"][field], operator["spec"][field], "{field}");
    }
    assert!(find(&render(&["test.enabled=false"]).await, "Pod").is_none());
}

/// What the chart grants, one verb at a time, as [`Needs`] names it.
fn granted(objects: &[Value]) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for role in roles(objects) {
        let place = role["metadata"]["namespace"].as_str().unwrap_or("*");
        for rule in role["rules"].as_array().into_iter().flatten() {
            for verb in strings(&rule["verbs"]) {
                let (group, resource) = (strings(&rule["apiGroups"]), strings(&rule["resources"]));
                let names = strings(&rule["resourceNames"]);
                granted.insert(format!("{place}: {verb} {group:?} {resource:?} {names:?}"));
            }
        }
    }
    granted
}

#[tokio::test]
async fn the_check_asks_for_the_permissions_that_the_chart_grants() {
    for (values, watch_namespaces, keeps_copies) in [
        ("credentials.keepCopies=true", vec![], true),
        ("credentials.keepCopies=false,watchNamespaces={a,b}", vec!["a".to_owned(), "b".to_owned()], false),
    ] {
        let lease = "zpo-zenlayer-port-operator".to_owned();
        let needs = Needs { watch_namespaces, home: "system".to_owned(), lease, keeps_copies };
        let asked = needs.permissions().into_iter().map(|permission| {
            let target = permission.target;
            let place = target.namespace.unwrap_or_else(|| "*".to_owned());
            let names: Vec<_> = target.name.into_iter().collect();
            format!("{place}: {} {:?} {:?} {names:?}", permission.verb, [target.group], [target.resource])
        });
        assert_eq!(asked.collect::<BTreeSet<_>>(), granted(&render(&[values]).await), "with {values}");
    }
}

#[tokio::test]
async fn the_service_reaches_the_operator_and_not_the_check() {
    let objects = render(&[]).await;
    let selector =
        find(&objects, "Service").expect("a Service")["spec"]["selector"].as_object().expect("labels");
    let selects = |kind| {
        selector.iter().all(|(key, value)| template(&objects, kind)["metadata"]["labels"][key] == *value)
    };
    assert!(selects("Deployment") && !selects("Job") && !selects("Pod"), "{selector:?}");
}

#[tokio::test]
async fn releases_of_one_name_in_two_namespaces_do_not_get_into_each_others_way() {
    let names = async |namespace: &str| -> BTreeSet<String> {
        let objects = render_in(namespace, &["crds.enabled=false"]).await;
        let wide = objects.iter().filter(|object| object["metadata"]["namespace"].is_null());
        wide.map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect()
    };
    let (one, other) = (names("one").await, names("other").await);
    assert_eq!(one.len(), 10, "{one:?}");
    assert!(one.is_disjoint(&other), "{one:?} and {other:?}");
}

#[tokio::test]
async fn the_custom_resource_definition_is_kept_unless_said_otherwise() {
    let policy = async |values: &[&str]| {
        let objects = render(values).await;
        let definition = find(&objects, "CustomResourceDefinition");
        definition.map(|definition| definition["metadata"]["annotations"]["helm.sh/resource-policy"].clone())
    };
    assert_eq!(policy(&[]).await, Some("keep".into()));
    assert_eq!(policy(&["crds.keep=false"]).await, Some(Value::Null));
    assert_eq!(policy(&["crds.enabled=false"]).await, None);
}
