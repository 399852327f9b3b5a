//! A `ZenlayerPort` as it comes from the API server. Users may fill labels, annotations and owner references with
//! megabytes; only what the operator reads is kept, and the rest is skipped while the answer is parsed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::{FINALIZER, ReadAnnotation, ZenlayerPort, ZenlayerPortSpec, ZenlayerPortStatus};
use crate::text::sanitized_up_to;

/// Characters that are shown of what a parser or the API server complains of; it may quote what users wrote.
pub const LONGEST_COMPLAINT: usize = 300;

/// Bytes that are kept of the annotation with a person's consents.
const LONGEST_CONSENTS: usize = 4096;

/// Finalizers of others that are kept: a write of them must repeat them all.
const MOST_FINALIZERS: usize = 16;

/// An object that cannot be parsed.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// What could be understood of it; in all else it asks for nothing.
    pub salvaged: Arc<ZenlayerPort>,
    /// What is wrong with it, in one line.
    pub complaint: String,
}

/// What the operator reads of an object, or why it cannot be parsed.
#[derive(Clone, Debug)]
pub struct Received(pub Result<Box<ZenlayerPort>, Invalid>);

impl Received {
    /// The object, or what could be understood of it.
    pub fn object(&self) -> &ZenlayerPort {
        match &self.0 {
            Ok(object) => object,
            Err(invalid) => &invalid.salvaged,
        }
    }
}

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        Ok(Self(parse(metadata, spec.as_deref(), status.as_deref())))
    }
}

#[derive(Deserialize)]
struct Wire {
    metadata: WireMetadata,
    /// As they came: nearly all of them can be parsed at once.
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
}

/// The fields of `metadata` that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(default)]
    finalizers: Option<Vec<String>>,
    #[serde(default)]
    annotations: Option<WireAnnotations>,
}

/// Those that are read, each no longer than it may be.
struct WireAnnotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for WireAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Annotations)
    }
}

struct Annotations;

impl<'de> Visitor<'de> for Annotations {
    type Value = WireAnnotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireAnnotations, A::Error> {
        let mut read = BTreeMap::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match ReadAnnotation::ALL.iter().find(|annotation| annotation.name() == name) {
                Some(annotation) => {
                    read.insert(name.into_owned(), bounded(*annotation, map.next_value()?));
                }
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(WireAnnotations(read))
    }
}

/// A value that is cut must not become one that counts.
fn bounded(annotation: ReadAnnotation, value: String) -> String {
    match annotation {
        ReadAnnotation::Approve => bounded_consents(value),
    }
}

fn parse(
    metadata: WireMetadata,
    spec: Option<&RawValue>,
    status: Option<&RawValue>,
) -> Result<Box<ZenlayerPort>, Invalid> {
    let (metadata, too_many) = kept(metadata);
    let parsed = match too_many {
        Some(complaint) => Err(("metadata", complaint)),
        None => part::<ZenlayerPortSpec>("spec", spec)
            .and_then(|spec| Ok((spec, part::<Option<ZenlayerPortStatus>>("status", status)?))),
    };
    match parsed {
        Ok((spec, status)) => Ok(Box::new(ZenlayerPort { metadata, spec, status })),
        Err((part, error)) => {
            let salvaged = ZenlayerPort::salvaged(metadata, &any(spec), &any(status));
            Err(Invalid {
                salvaged: Arc::new(salvaged),
                complaint: format!("{part}: {}", sanitized_up_to(&error, LONGEST_COMPLAINT)),
            })
        }
    }
}

/// A part of an object; a part that is not there is null. Else what is wrong with it.
fn part<T: DeserializeOwned>(
    name: &'static str,
    data: Option<&RawValue>,
) -> Result<T, (&'static str, String)> {
    match serde_json::from_str(data.map_or("null", RawValue::get)) {
        Ok(part) => Ok(part),
        // In words that do not tell where in a line that nobody sees.
        Err(_) => T::deserialize(any(data)).map_err(|error| (name, error.to_string())),
    }
}

fn any(data: Option<&RawValue>) -> Value {
    data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default()
}

/// The metadata that is kept, and what is wrong if that is not all that a write needs.
fn kept(wire: WireMetadata) -> (ObjectMeta, Option<String>) {
    let mut finalizers = wire.finalizers;
    let is_owned = finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
    let number = finalizers.as_ref().map_or(0, Vec::len) - usize::from(is_owned);
    if let Some(finalizers) = finalizers.as_mut().filter(|_| number > MOST_FINALIZERS) {
        finalizers.truncate(MOST_FINALIZERS);
        finalizers.shrink_to_fit();
    }
    let annotations = wire.annotations.map(|WireAnnotations(read)| read).filter(|read| !read.is_empty());
    let metadata = ObjectMeta {
        name: wire.name,
        namespace: wire.namespace,
        uid: wire.uid,
        resource_version: wire.resource_version,
        generation: wire.generation,
        creation_timestamp: wire.creation_timestamp,
        deletion_timestamp: wire.deletion_timestamp,
        finalizers,
        annotations,
        ..ObjectMeta::default()
    };
    let too_many = number > MOST_FINALIZERS;
    (
        metadata,
        too_many.then(|| {
            format!("it has {number} finalizers, and the operator supports at most {MOST_FINALIZERS}")
        }),
    )
}

/// Whole consents only: a part of one must not read as another.
fn bounded_consents(mut consents: String) -> String {
    if consents.len() > LONGEST_CONSENTS {
        consents.truncate(consents.floor_char_boundary(LONGEST_CONSENTS));
        consents.truncate(consents.rfind(',').unwrap_or(0));
        consents.shrink_to_fit();
    }
    consents
}

impl Resource for Received {
    type DynamicType = ();
    type Scope = <ZenlayerPort as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        ZenlayerPort::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        ZenlayerPort::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        ZenlayerPort::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        ZenlayerPort::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.object().metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => &mut object.metadata,
            Err(invalid) => &mut Arc::make_mut(&mut invalid.salvaged).metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{APPROVE_ANNOTATION, DeletionPolicy};
    use crate::port::PortId;

    fn received(metadata: &Value, spec: &Value, status: &Value) -> Received {
        let object = json!({ "metadata": metadata, "spec": spec, "status": status });
        serde_json::from_value(object).expect("an object")
    }

    fn named() -> Value {
        json!({ "name": "edge", "namespace": "network", "uid": "1" })
    }

    fn invalid(spec: &Value, status: &Value) -> Invalid {
        received(&named(), spec, status).0.expect_err("it cannot be parsed")
    }

    #[test]
    fn of_metadata_only_what_the_operator_reads_is_kept() {
        let fat = "x".repeat(1000);
        let read = json!({
            "name": "edge", "namespace": "network", "uid": "1", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "finalizers": ["a/b"],
            "annotations": ReadAnnotation::ALL.iter().map(|it| (it.name(), "A-12345678")).collect::<BTreeMap<_, _>>(),
        });
        let mut whole = read.clone();
        whole["labels"] = json!({ "fat": fat });
        whole["annotations"]["fat"] = json!(fat);
        whole["generateName"] = json!(fat);
        whole["ownerReferences"] = json!([{ "apiVersion": "v1", "kind": fat, "name": fat, "uid": fat }]);
        whole["managedFields"] = json!([{ "manager": fat, "fieldsV1": { "f:spec": { "f:portId": {} } } }]);
        whole["selfLink"] = json!(fat);
        let spec = json!({ "portId": "port-1", "unknown": fat });
        let object = received(&whole, &spec, &json!(null)).0.expect("it can be parsed");
        assert_eq!(serde_json::to_value(&object.metadata).expect("JSON"), read);
        assert!(!format!("{object:?}").contains(&fat), "something fat is kept of {object:?}");
    }

    #[test]
    fn too_long_a_list_of_consents_keeps_whole_ones_only() {
        let one = "ApprovalRequired-12345678";
        let consents = vec![one; 1000].join(",");
        let metadata = json!({ "name": "edge", "annotations": { APPROVE_ANNOTATION: consents } });
        let object = received(&metadata, &json!({ "portId": "port-1" }), &json!(null)).0.expect("parsed");
        let kept = &object.metadata.annotations.expect("annotations")[APPROVE_ANNOTATION];
        assert!(kept.len() <= LONGEST_CONSENTS, "{} bytes", kept.len());
        assert!(kept.split(',').all(|consent| consent == one), "{kept}");
    }

    #[test]
    fn an_object_with_too_many_finalizers_is_held_as_invalid() {
        let with = |number: usize| {
            let finalizers: Vec<String> = (0..number).map(|at| format!("example.com/{at}")).collect();
            let metadata = json!({ "name": "edge", "finalizers": finalizers });
            received(&metadata, &json!({ "portId": "port-1" }), &json!(null)).0
        };
        assert!(with(MOST_FINALIZERS).is_ok());
        let mut finalizers = vec!["example.com/other"; MOST_FINALIZERS];
        finalizers.push(FINALIZER);
        let metadata = json!({ "name": "edge", "finalizers": finalizers });
        let owned = received(&metadata, &json!({ "portId": "port-1" }), &json!(null)).0;
        assert!(owned.is_ok_and(|owned| owned.has_finalizer()), "the operator's own makes no object invalid");
        let invalid = with(10_000).expect_err("too many");
        assert_eq!(
            invalid.complaint,
            "metadata: it has 10000 finalizers, and the operator supports at most 16"
        );
        assert_eq!(invalid.salvaged.metadata.finalizers.as_ref().map(Vec::len), Some(MOST_FINALIZERS));
    }

    #[test]
    fn an_object_is_parsed_with_or_without_a_status() {
        let spec = json!({ "portId": "port-1", "deletionPolicy": "Terminate" });
        for status in [json!(null), json!({ "observedGeneration": 3 })] {
            let parsed = received(&named(), &spec, &status).0.expect("it can be parsed");
            assert_eq!(parsed.spec.deletion_policy, DeletionPolicy::Terminate);
            assert_eq!(
                parsed.status.and_then(|status| status.observed_generation),
                status["observedGeneration"].as_i64()
            );
        }
    }

    #[test]
    fn the_complaint_names_the_part_and_what_is_wrong_with_it() {
        let spec = json!({ "portId": "port-1" });
        let unknown = invalid(&json!({ "portId": "port-1", "deletionPolicy": "Obliterate" }), &json!(null));
        let complaint = unknown.complaint;
        assert!(
            complaint.starts_with("spec: unknown variant `Obliterate`, expected one of `Destroy`"),
            "{complaint}"
        );
        assert!(invalid(&json!(null), &json!(null)).complaint.starts_with("spec: "), "no spec at all");
        let complaint = invalid(&spec, &json!({ "release": { "uid": 7 } })).complaint;
        assert!(complaint.starts_with("status: invalid type: integer `7`"), "{complaint}");
    }

    #[test]
    fn the_complaint_is_one_short_line_whatever_it_quotes() {
        let quoted = format!("a\n{}", "é".repeat(1000));
        let spec = json!({ "portId": "port-1", "deletionPolicy": quoted });
        let complaint = invalid(&spec, &json!(null)).complaint;
        assert!(!complaint.contains('\n'), "{complaint}");
        assert!(complaint.chars().count() < 320, "{} characters", complaint.chars().count());
    }

    #[test]
    fn what_is_salvaged_claims_the_port_and_asks_for_nothing() {
        let spec = json!({ "portId": "port-1", "deletionPolicy": "Obliterate", "credentialsRef": { "name": "zenlayer" } });
        let condition = json!({ "type": "Ready", "status": "True", "reason": "Running", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({
            "identity": { "seenBy": ["abc"] }, "conditions": [condition, { "type": 1 }], "release": { "uid": 7 },
        });
        let salvaged = invalid(&spec, &status).salvaged;
        assert_eq!(salvaged.spec.port_id, PortId::new("port-1"));
        assert_eq!(salvaged.spec.deletion_policy, DeletionPolicy::Retain);
        assert!(salvaged.spec.deletion_protection);
        assert_eq!(
            salvaged.spec.credentials_ref.as_ref().map(|secret| secret.name.as_str()),
            Some("zenlayer")
        );
        let status = salvaged.status.as_ref().expect("a status");
        assert_eq!(status.identity.as_ref().map(|identity| identity.seen_by.len()), Some(1));
        assert_eq!(status.conditions.len(), 1, "what a condition cannot be is left out");
    }
}
