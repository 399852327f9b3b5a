use serde_json::json;

use super::*;
use crate::answer::Refusal;
use crate::api;

fn established() -> CustomResourceDefinition {
    let mut definition = api::custom_resource_definition();
    let status = json!({ "conditions": [{ "type": "Established", "status": "True" }], "acceptedNames": { "kind": "", "plural": "" } });
    definition.status = Some(serde_json::from_value(status).expect("a status"));
    definition
}

fn needs() -> Needs {
    Needs {
        watch_namespaces: vec!["team-a".to_owned()],
        home: "system".to_owned(),
        lease: "zpo".to_owned(),
        keeps_copies: true,
    }
}

/// Everything is as it should be.
fn good() -> Facts {
    let allowed = |permission| (permission, Answer::Yes);
    Facts {
        definition: Definition::Found(Box::new(established())),
        permissions: needs().permissions().into_iter().map(allowed).collect(),
        own_key: None,
        zenlayer: refused(RefusalKind::Unauthorized),
    }
}

fn refused(kind: RefusalKind) -> Result<(), Unreadable> {
    let refusal =
        Refusal { kind, code: "CODE".to_owned(), message: "its words".to_owned(), request_id: None };
    Err(Unreadable::Refused(refusal))
}

/// The names of what is not good, and their texts.
fn complaints(facts: &Facts) -> Vec<(&'static str, Level, String)> {
    let bad = judge(facts).into_iter().filter(|finding| finding.level != Level::Good);
    bad.map(|finding| (finding.name, finding.level, finding.text)).collect()
}

fn only_complaint(facts: &Facts) -> (&'static str, Level, String) {
    let mut complaints = complaints(facts);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    complaints.remove(0)
}

/// The definition of a cluster, after a change.
fn with_definition(change: impl FnOnce(&mut serde_json::Value)) -> Facts {
    let mut definition = serde_json::to_value(established()).expect("JSON");
    change(&mut definition);
    let definition = serde_json::from_value(definition).expect("a definition");
    Facts { definition: Definition::Found(Box::new(definition)), ..good() }
}

const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";

#[test]
fn where_all_is_well_each_question_has_its_line() {
    let names: Vec<_> = judge(&good()).into_iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["CRD", "Permissions", "Zenlayer"]);
    assert_eq!(complaints(&good()), []);
}

#[test]
fn a_definition_without_a_field_that_the_operator_writes_is_too_old() {
    let facts = with_definition(|definition| {
        let fields = definition.pointer_mut(STATUS).and_then(|fields| fields.as_object_mut());
        fields.expect("fields").remove("release").expect("the field");
    });
    let (name, level, text) = only_complaint(&facts);
    assert_eq!((name, level), ("CRDTooOld", Level::Error));
    assert!(text.contains("status.release, ") && text.contains("more fields. Run `helm upgrade`"), "{text}");
}

#[test]
fn a_definition_with_more_fields_is_newer_which_a_rollback_leaves_behind() {
    let facts = with_definition(|definition| {
        let fields = definition.pointer_mut(STATUS).expect("fields");
        fields["later"] = json!({ "type": "string" });
    });
    let (name, level, text) = only_complaint(&facts);
    assert_eq!((name, level), ("CRDNewer", Level::Warning));
    assert!(text.contains("does not know status.later."), "{text}");
}

#[test]
fn a_definition_that_serves_nothing_or_goes_or_is_missing_is_an_error() {
    let set = |pointer: &'static str, value: serde_json::Value| {
        with_definition(move |definition| *definition.pointer_mut(pointer).expect("a field") = value)
    };
    let goes = with_definition(|definition| {
        definition["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    for (facts, expected) in [
        (set("/spec/versions/0/served", json!(false)), "CRDNotServed"),
        (set("/spec/versions/0/name", json!("v1")), "CRDNotServed"),
        (set("/status/conditions/0/status", json!("False")), "CRDNotEstablished"),
        (goes, "CRDTerminating"),
        (Facts { definition: Definition::Missing, ..good() }, "CRDMissing"),
    ] {
        let (name, level, _) = only_complaint(&facts);
        assert_eq!((name, level), (expected, Level::Error));
    }
    let unread = Facts { definition: Definition::Unread("forbidden".to_owned()), ..good() };
    let (name, level, text) = only_complaint(&unread);
    assert_eq!((name, level), ("CRDUnreadable", Level::Warning));
    assert!(text.ends_with(": forbidden."), "{text}");
}

#[test]
fn what_the_operator_may_not_do_is_named_once_for_each_resource() {
    let mut facts = good();
    for (permission, answer) in &mut facts.permissions {
        if permission.target.resource == "secrets" && permission.verb != "get"
            || permission.target.resource == "zenlayerports/status" && permission.verb == "patch"
        {
            *answer = Answer::No;
        }
    }
    let texts: Vec<_> = complaints(&facts)
        .into_iter()
        .map(|(name, level, text)| {
            assert_eq!((name, level), ("PermissionMissing", Level::Error));
            text
        })
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("may not patch zenlayerports.sdn.zenlayer.com/status in the whole cluster."),
        "{texts:?}"
    );
    assert!(
        texts[1].contains("may not list, create, update, delete secrets in namespace system."),
        "{texts:?}"
    );
    assert!(texts[1].contains("needs this to keep copies of keys."), "{texts:?}");
}

#[test]
fn an_api_server_that_does_not_answer_about_permissions_is_an_error() {
    let mut facts = good();
    facts.permissions[0].1 = Answer::Unknown("timeout".to_owned());
    let (name, level, text) = only_complaint(&facts);
    assert_eq!((name, level), ("PermissionsUnknown", Level::Error));
    assert!(text.contains("timeout"), "{text}");
}

#[test]
fn without_an_answer_from_zenlayer_the_operator_waits_and_the_check_warns() {
    let why = "no connection to Zenlayer: refused".to_owned();
    let facts = Facts { zenlayer: Err(Unreadable::Unavailable(why)), ..good() };
    let (name, level, text) = only_complaint(&facts);
    assert_eq!((name, level), ("ZenlayerUnreachable", Level::Warning));
    assert!(text.contains("no connection to Zenlayer: refused") && text.contains("zenlayer.proxy"), "{text}");
}

#[test]
fn the_operators_own_key_is_tried_if_it_has_one() {
    let with_key = |zenlayer| Facts { own_key: Some(Ok(())), zenlayer, ..good() };
    for (answer, expected) in [
        (refused(RefusalKind::Unauthorized), "OwnKeyRefused"),
        (refused(RefusalKind::PermissionDenied), "OwnKeyRefused"),
        (refused(RefusalKind::ClockSkew), "ClockSkew"),
    ] {
        let (name, level, text) = only_complaint(&with_key(answer));
        assert_eq!((name, level), (expected, Level::Warning));
        assert!(text.contains("CODE: its words"), "{text}");
    }
    assert_eq!(complaints(&with_key(Ok(()))), []);
    assert_eq!(complaints(&with_key(refused(RefusalKind::NotFound))), [], "there is no such port");
    let missing = Facts { own_key: Some(Err("There is no key.".to_owned())), ..good() };
    let (name, level, text) = only_complaint(&missing);
    assert_eq!((name, level), ("OwnKeyMissing", Level::Warning));
    assert!(text.starts_with("There is no key. ZenlayerPorts without spec.credentialsRef wait"), "{text}");
}
