//! The custom resource definition as an API server would take it, and the table of reasons.

use std::collections::BTreeSet;

use kube::core::cel::{ValidationErrors, Validator};
use serde_json::{Value, json};

use super::DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
use super::*;
use crate::answer::{NotSentCause, Refusal, RefusalKind};

fn crd() -> Value {
    serde_json::to_value(custom_resource_definition()).expect("JSON")
}

fn version() -> Value {
    crd()["spec"]["versions"][0].take()
}

fn schema() -> Value {
    version()["schema"]["openAPIV3Schema"].take()
}

/// Every schema of a value: the whole, its properties and its items, each with its path.
fn values(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        values(&format!("{path}.{name}"), property, visit);
    }
    if schema.get("items").is_some() {
        values(&format!("{path}[]"), &schema["items"], visit);
    }
}

fn all_values() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    values("", &schema(), &mut |path, schema| found.push((path.to_owned(), schema.clone())));
    found
}

// Validation

fn validate(spec: &Value, old: Option<&Value>) -> Result<(), ValidationErrors> {
    let object = |spec: &Value| json!({ "spec": spec });
    Validator::new().validate(&schema(), &object(spec), old.map(object).as_ref())
}

#[test]
fn a_port_id_is_made_of_letters_digits_dashes_and_underscores() {
    for id in ["4087dc41-0c6c-4e4b-8f0a-3a1ed2c1e5d5", "port_1", "0", "-"] {
        assert!(validate(&json!({ "portId": id }), None).is_ok(), "{id:?} is refused");
    }
    for id in ["", "a b", "a/b", "a.b", "port-1\n", "pört", "a\"b", "*"] {
        let refused = validate(&json!({ "portId": id }), None).expect_err(id).to_string();
        assert!(refused.contains("1 to 64 letters, digits, '-' or '_'"), "{refused}");
    }
}

#[test]
fn a_port_id_has_at_least_one_and_at_most_64_characters() {
    let (_, port_id) =
        all_values().into_iter().find(|(path, _)| path == ".spec.portId").expect("spec.portId");
    assert_eq!((&port_id["minLength"], &port_id["maxLength"]), (&json!(1), &json!(64)));
}

#[test]
fn a_port_id_cannot_be_changed_and_everything_else_can() {
    let old = json!({ "portId": "port-1" });
    let refused = validate(&json!({ "portId": "port-2" }), Some(&old)).expect_err("another port").to_string();
    assert!(refused.contains("create another ZenlayerPort"), "{refused}");
    let changed = json!({
        "portId": "port-1",
        "deletionPolicy": "Retain",
        "deletionProtection": true,
        "credentialsRef": { "name": "keys" }
    });
    assert!(validate(&changed, Some(&old)).is_ok() && validate(&old, Some(&changed)).is_ok());
}

#[test]
fn a_policy_is_one_of_four_and_destroy_if_unset() {
    let (_, policy) =
        all_values().into_iter().find(|(path, _)| path == ".spec.deletionPolicy").expect("the policy");
    assert_eq!(policy["enum"], json!(["Destroy", "TerminateAndDestroy", "Terminate", "Retain"]));
    let spec: ZenlayerPortSpec = serde_json::from_value(json!({ "portId": "port-1" })).expect("a spec");
    assert_eq!(
        (policy["default"].as_str(), spec.deletion_policy),
        (Some("Destroy"), DeletionPolicy::Destroy)
    );
}

// The definition

#[test]
fn there_is_one_version_and_its_status_is_a_subresource() {
    let versions = crd()["spec"]["versions"].take();
    assert_eq!(versions.as_array().map(Vec::len), Some(1));
    let version = &versions[0];
    assert_eq!(
        (&version["name"], &version["served"], &version["storage"]),
        (&json!("v1alpha1"), &json!(true), &json!(true))
    );
    assert_eq!(version["subresources"], json!({ "status": {} }));
}

#[test]
fn it_is_found_by_the_names_that_users_type() {
    let spec = crd()["spec"].take();
    assert_eq!((&spec["group"], &spec["scope"]), (&json!("sdn.zenlayer.com"), &json!("Namespaced")));
    let names = &spec["names"];
    assert_eq!((&names["kind"], &names["plural"]), (&json!("ZenlayerPort"), &json!("zenlayerports")));
    assert_eq!((&names["shortNames"], &names["categories"]), (&json!(["zlp"]), &json!(["zenlayer"])));
}

#[test]
fn the_columns_are_in_order_and_those_of_the_wide_output_last() {
    let columns = version()["additionalPrinterColumns"].take();
    let named: Vec<_> = columns
        .as_array()
        .into_iter()
        .flatten()
        .map(|column| {
            (column["name"].as_str().unwrap_or_default(), column["priority"].as_i64().unwrap_or_default())
        })
        .collect();
    let plain = ["Port-ID", "Port-Name", "Status", "Ready", "Reason", "Age"].map(|name| (name, 0));
    let wide = ["Policy", "Type", "Datacenter", "Message"].map(|name| (name, 1));
    assert_eq!(named, [plain.as_slice(), wide.as_slice()].concat());
}

#[test]
fn each_column_shows_a_field_that_exists() {
    let fields: BTreeSet<String> = all_values().into_iter().map(|(path, _)| path).collect();
    for column in version()["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let path = column["jsonPath"].as_str().expect("a path").replace("[?(@.type==\"Ready\")]", "[]");
        assert!(path == ".metadata.creationTimestamp" || fields.contains(&path), "{path} is no field");
    }
}

#[test]
fn conditions_are_a_list_map_by_type() {
    let schema = schema();
    let conditions = &schema["properties"]["status"]["properties"]["conditions"];
    assert_eq!(conditions["x-kubernetes-list-type"], "map");
    assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
    assert_eq!(
        conditions["items"]["required"],
        json!(["lastTransitionTime", "message", "reason", "status", "type"])
    );
}

/// A schema that an API server calls structural: the type of every value is said, and said outside of the logical
/// junctors, which only forbid.
#[test]
fn the_schema_is_structural() {
    for (path, schema) in all_values() {
        assert!(schema["type"].is_string(), "{path} has no type");
        for keyword in ["$ref", "definitions", "$defs", "const", "if", "patternProperties", "propertyNames"] {
            assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
        }
        assert_ne!(schema["additionalProperties"], json!(false), "{path} forbids additional properties");
        let junctors =
            ["allOf", "anyOf", "oneOf"].iter().filter_map(|junctor| schema[junctor].as_array()).flatten();
        for branch in junctors.chain(schema.get("not")) {
            for keyword in ["type", "description", "default", "nullable", "additionalProperties", "title"] {
                assert!(branch.get(keyword).is_none(), "{path} has {keyword} within a junctor");
            }
            for name in branch["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
                assert!(
                    schema["properties"].get(name).is_some(),
                    "{path} says of {name} only within a junctor"
                );
            }
        }
    }
}

#[test]
fn numbers_have_formats_that_an_api_server_knows() {
    for (path, schema) in all_values() {
        if let Some(format) = schema["format"].as_str() {
            assert!(["int32", "int64", "date-time"].contains(&format), "{path} has the format {format}");
        }
    }
}

#[test]
fn kubectl_explain_says_something_of_every_field() {
    let silent: Vec<_> = all_values()
        .into_iter()
        .filter(|(path, schema)| {
            !path.ends_with("[]") && schema["description"].as_str().is_none_or(str::is_empty)
        })
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "no description: {silent:#?}");
}

// Values

#[test]
fn the_outcome_of_a_call_is_an_object_with_one_field_and_comes_back_as_it_was() {
    let (code, message, request_id) = ("CODE".to_owned(), "words".to_owned(), Some("T1".to_owned()));
    for (outcome, written) in [
        (CallOutcome::Pending {}, json!({ "pending": {} })),
        (
            CallOutcome::Accepted { request_id: request_id.clone() },
            json!({ "accepted": { "requestId": "T1" } }),
        ),
        (CallOutcome::Accepted { request_id: None }, json!({ "accepted": {} })),
        (
            CallOutcome::Refused(Refusal { kind: RefusalKind::Other, code, message, request_id }),
            json!({ "refused": { "kind": "Other", "code": "CODE", "message": "words", "requestId": "T1" } }),
        ),
        (
            CallOutcome::NotSent { cause: NotSentCause::NoConnection, why: "no route".to_owned() },
            json!({ "notSent": { "cause": "NoConnection", "why": "no route" } }),
        ),
        (CallOutcome::Unclear { why: "reset".to_owned() }, json!({ "unclear": { "why": "reset" } })),
    ] {
        assert_eq!(serde_json::to_value(&outcome).expect("JSON"), written);
        assert_eq!(serde_json::from_value::<CallOutcome>(written).expect("an outcome"), outcome);
    }
}

#[test]
fn an_outcome_of_an_earlier_version_is_understood() {
    let understood = |written| serde_json::from_value::<CallOutcome>(written).expect("an outcome");
    let refused = understood(json!({ "refused": { "code": "AUTHFAILURE_X" } }));
    let refusal = Refusal {
        kind: RefusalKind::Unauthorized,
        code: "AUTHFAILURE_X".to_owned(),
        message: String::new(),
        request_id: None,
    };
    assert_eq!(refused, CallOutcome::Refused(refusal));
    let not_sent = understood(json!({ "notSent": { "why": "late" } }));
    assert_eq!(not_sent, CallOutcome::NotSent { cause: NotSentCause::Unknown, why: "late".to_owned() });
}

#[test]
fn the_schema_allows_exactly_the_outcomes_that_there_are() {
    let (_, outcome) =
        all_values().into_iter().find(|(path, _)| path.ends_with(".call.outcome")).expect("the outcome");
    let required: Vec<_> =
        outcome["oneOf"].as_array().into_iter().flatten().map(|it| &it["required"][0]).collect();
    assert_eq!(required, ["pending", "accepted", "refused", "notSent", "unclear"]);
}

#[test]
fn an_unknown_policy_is_an_error_and_not_a_default() {
    let spec = json!({ "portId": "port-1", "deletionPolicy": "Detach" });
    assert!(serde_json::from_value::<ZenlayerPortSpec>(spec).is_err());
}

pub(super) const UID: &str = "5f0c9a3e-0000-4000-8000-000000000001";

pub(super) fn object(uid: Option<&str>) -> ZenlayerPort {
    serde_json::from_value(json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1",
        "kind": "ZenlayerPort",
        "metadata": { "namespace": "team-a", "name": "edge-1", "uid": uid },
        "spec": { "portId": "port-1" },
        "status": { "release": { "uid": "one" } }
    }))
    .expect("an object")
}

/// A status after so many restorations, with another port under the id.
pub(super) fn occurrences(restorations: i64) -> ZenlayerPortStatus {
    serde_json::from_value(json!({
        "port": { "status": "RUNNING", "createdTime": "2025-12-24T18:00:00Z" },
        "release": { "uid": UID, "restorations": restorations },
    }))
    .expect("a status")
}

#[test]
fn a_record_belongs_to_the_object_of_its_uid_alone() {
    assert!(object(Some("one")).release().is_some());
    assert!(object(Some("two")).release().is_none());
    assert!(object(None).release().is_none());
}

// Reasons

#[test]
fn each_reason_has_a_name_of_its_own_that_conditions_may_carry() {
    let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let name = reason.as_str();
        assert!(name.starts_with(|first: char| first.is_ascii_uppercase()), "{name}");
        assert!(name.chars().all(|one| one.is_ascii_alphanumeric()), "{name}");
        assert_eq!(Reason::parse(name), Some(*reason));
    }
    assert_eq!(Reason::parse("running"), None);
}

#[test]
fn a_person_who_must_act_is_told_what_to_do() {
    for reason in Reason::ALL.iter().filter(|reason| reason.actor() == Actor::Person) {
        assert!(!reason.advice().is_empty(), "{reason:?} has no advice");
        assert_ne!(reason.readiness(), Readiness::True, "{reason:?} needs a person and calls itself ready");
        assert!(reason.event().is_some(), "{reason:?} calls for a person without an event");
    }
}

const RETAINS: &str =
    r#"kubectl patch zenlayerport edge-1 -n team-a --type=merge -p '{"spec":{"deletionPolicy":"Retain"}}'"#;
const DELETES: &str = "kubectl delete zenlayerport edge-1 -n team-a";

fn living(policy: DeletionPolicy) -> ZenlayerPort {
    let mut object = object(Some(UID));
    object.spec.deletion_policy = policy;
    object
}

fn deleting(policy: DeletionPolicy) -> ZenlayerPort {
    let mut object = living(policy);
    object.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time"));
    object
}

/// What an advice asks to be typed: from a colon to the end, or to the semicolon that begins another choice.
fn typed(advice: &str) -> Vec<&str> {
    let after_colon = advice.split(": kubectl ").skip(1);
    after_colon.map(|rest| rest.split_once("; to ").map_or(rest, |(command, _)| command)).collect()
}

#[test]
fn a_command_in_an_advice_is_whole_and_made_for_the_object() {
    let status = occurrences(2);
    for policy in [Destroy, TerminateAndDestroy, Terminate, Retain] {
        for (object, reason) in
            Reason::ALL.iter().flat_map(|it| [(living(policy), it), (deleting(policy), it)])
        {
            let advice = reason.advice_for(&object, &status);
            let has_holes = advice.replace("{\"", "").contains('{') || advice.contains("  ");
            assert!(!has_holes, "{reason:?}: {advice}");
            assert_eq!(advice, advice.trim(), "{reason:?}");
            assert_eq!(advice.contains("kubectl"), !typed(&advice).is_empty(), "{reason:?}: {advice}");
            for command in typed(&advice).iter().flat_map(|typed| typed.split(" && kubectl ")) {
                is_made_for_the_object(*reason, command);
            }
        }
    }
}

#[test]
fn an_advice_taken_apart_has_each_command_with_its_purpose_and_loses_no_sentence() {
    for reason in Reason::ALL {
        for object in [living(Terminate), deleting(Destroy)] {
            let text = reason.advice_for(&object, &occurrences(2));
            let Advice { hint, remedies } = Advice::parse(&text);
            let commands: Vec<_> = remedies.iter().map(|it| it.command.as_str()).collect();
            let expected: Vec<_> = typed(&text).iter().map(|typed| format!("kubectl {typed}")).collect();
            assert_eq!(commands, expected, "{reason:?}: {text}");
            let letters = |text: &str| {
                let mut letters: Vec<_> =
                    text.to_lowercase().chars().filter(|it| it.is_alphanumeric()).collect();
                letters.sort_unstable();
                letters
            };
            let purposes = remedies.iter().map(|it| format!("{} {}", it.purpose, it.command));
            let together = purposes.chain([hint.clone()]).collect::<String>();
            assert_eq!(letters(&together), letters(&text), "{reason:?}: {text}");
            for Remedy { purpose, .. } in &remedies {
                assert!(!purpose.is_empty() && !purpose.contains("kubectl"), "{reason:?}: {purpose:?}");
            }
            assert!(hint.is_empty() || hint.ends_with('.'), "{reason:?}: {hint:?}");
        }
    }
}

fn is_made_for_the_object(reason: Reason, command: &str) {
    if let Some((_, patch)) = command.split_once("patch zenlayerport edge-1 -n team-a --type=merge -p '") {
        let patch = patch.strip_suffix('\'').expect("a closing quote");
        changes_the_spec(&serde_json::from_str(patch).expect("JSON"));
    } else if command.starts_with("annotate") {
        let approves_this_one = format!(
            "annotate zenlayerport edge-1 -n team-a --overwrite sdn.zenlayer.com/approve={}-5f0c9a3e",
            reason.as_str()
        );
        let occurrence = command.strip_prefix(&approves_this_one);
        let is_word = |it: &str| it.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
        assert!(occurrence.is_some_and(is_word), "{reason:?}: {command}");
    } else {
        let known = ["delete", "edit"].map(|verb| format!("{verb} zenlayerport edge-1 -n team-a"));
        let is_known = known.iter().any(|known| known == command);
        assert!(is_known, "{reason:?}: {command:?} is none of {known:?}, no approval and no patch");
    }
}

#[test]
fn an_object_that_is_not_deleted_yet_is_removed_by_a_delete_that_follows_the_policy_retain() {
    let removes = format!("{RETAINS} && {DELETES}");
    for reason in [Reason::UnknownPortStatus, Reason::PortClaimed, Reason::IdentityChanged] {
        let advice = reason.advice_for(&living(Destroy), &occurrences(2));
        assert!(advice.contains(&removes), "{reason:?}: {advice}");
        let advice = reason.advice_for(&deleting(Destroy), &occurrences(2));
        assert!(advice.contains(RETAINS) && !advice.contains(DELETES), "{reason:?}: {advice}");
    }
}

#[test]
fn every_pause_of_a_deletion_prints_the_command_that_keeps_the_port() {
    // Of a living object, or of one that the operator cannot read or change.
    let others = [
        Reason::PortNotFound,
        Reason::PortRecycled,
        Reason::CredentialsNotCopied,
        Reason::InvalidSpec,
        Reason::UpdateRefused,
    ];
    for reason in Reason::ALL.iter().filter(|it| it.actor() == Actor::Person && !others.contains(it)) {
        let advice = reason.advice_for(&deleting(Destroy), &occurrences(2));
        assert!(advice.contains(&format!(": {RETAINS}")), "{reason:?}: {advice}");
    }
}

#[test]
fn to_keep_a_port_that_lies_in_the_recycle_bin_it_must_be_restored_before_its_object_goes() {
    let (live, mut in_bin) = (occurrences(2), occurrences(2));
    in_bin.port.as_mut().expect("a port").status = "RECYCLED".to_owned();
    let restores = format!("To keep the port, first restore it in the Zenlayer console, and then: {RETAINS}");
    let mut seen = 0;
    for reason in Reason::ALL {
        let object = deleting(Destroy);
        if reason.advice_for(&object, &live).contains("To keep the port: ") {
            let advice = reason.advice_for(&object, &in_bin);
            assert!(advice.contains(&restores), "{reason:?}: {advice}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen} reasons say how to keep the port");
}

#[test]
fn credentials_that_fail_are_no_cause_to_remove_an_object_that_is_not_deleted() {
    for reason in
        [Reason::CredentialsUnavailable, Reason::Unauthorized, Reason::PermissionDenied, Reason::ClockSkew]
    {
        let advice = reason.advice_for(&living(Destroy), &occurrences(0));
        assert!(!advice.contains("kubectl"), "{reason:?}: {advice}");
    }
}

#[test]
fn a_port_in_the_bin_is_destroyed_now_by_what_the_policy_needs() {
    let advice = |policy| Reason::PortRecycled.advice_for(&living(policy), &occurrences(0));
    for policy in [Destroy, TerminateAndDestroy] {
        assert!(advice(policy).ends_with(&format!("To destroy it now: {DELETES}")), "{}", advice(policy));
    }
    let destroys = format!("{} && {DELETES}", RETAINS.replace("Retain", "Destroy"));
    for (policy, name) in [(Terminate, "Terminate"), (Retain, "Retain")] {
        let advice = advice(policy);
        let says = format!(
            "If you delete the object, the operator removes its finalizer and leaves the port in the bin, because \
             spec.deletionPolicy is {name}. To destroy the port now: {destroys}"
        );
        assert!(advice.ends_with(&says), "{advice}");
    }
}

#[test]
fn a_setting_is_named_as_flag_and_as_helm_value() {
    for reason in Reason::ALL {
        let text = format!("{} {}", reason.meaning(), reason.advice_in_general().replace("--type=merge", ""));
        assert_eq!(text.contains(" --"), text.contains("in the Helm values: "), "{reason:?}: {text}");
    }
}

/// Each field is one that there is, of a value that it may have.
fn changes_the_spec(patch: &Value) {
    let fields = patch["spec"].as_object().expect("a patch of the spec");
    let known: BTreeSet<String> = all_values().into_iter().map(|(path, _)| path).collect();
    assert!(fields.keys().all(|field| known.contains(&format!(".spec.{field}"))), "{patch}");
    let mut spec = json!({ "portId": "port-1" });
    spec.as_object_mut().expect("an object").extend(fields.clone());
    assert!(serde_json::from_value::<ZenlayerPortSpec>(spec).is_ok(), "{patch}");
}

#[test]
fn what_the_operator_or_zenlayer_must_move_on_stalls_one_day() {
    for reason in Reason::ALL {
        let awaited = reason.actor().moves_on();
        // The grace ends by itself, after seconds.
        let stalls = awaited && *reason != Reason::GracePeriod;
        assert_eq!(reason.stalls_after().is_some(), stalls, "{reason:?}: {:?}", reason.stalls_after());
    }
}

#[test]
fn only_a_live_port_is_ready() {
    let ready: Vec<_> = Reason::ALL.iter().filter(|reason| reason.readiness() == Readiness::True).collect();
    assert_eq!(ready, [&Reason::Running]);
}

#[test]
fn a_name_that_would_lead_elsewhere_is_no_name_of_a_secret() {
    for name in ["zenlayer", "a", "zenlayer-key.v1", "0"] {
        assert!(CredentialsRef { name: name.to_owned() }.is_well_formed(), "{name}");
    }
    let long = "a".repeat(254);
    for name in [
        "",
        ".",
        "..",
        "../../other/secrets/key",
        "key?watch=1",
        "key#",
        "key/status",
        "Key",
        "a b",
        "-a",
        "a.",
        &long,
    ] {
        assert!(!CredentialsRef { name: name.to_owned() }.is_well_formed(), "{name}");
    }
}
