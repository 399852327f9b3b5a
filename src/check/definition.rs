//! Whether the CustomResourceDefinition in the cluster is the one that this version of the operator works with.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::Resource as _;

use super::Finding;
use crate::api::{self, ZenlayerPort};

/// Fields that a message names.
const MOST_NAMED: usize = 5;

pub(super) fn judge(served: &CustomResourceDefinition) -> Finding {
    if served.metadata.deletion_timestamp.is_some() {
        return Finding::error(
            "CRDTerminating",
            "The CustomResourceDefinition is being deleted, and with it all ZenlayerPorts. The operator changes no port \
             without your approval: see `A deleted CRD` in docs/operating.md.",
        );
    }
    let own = api::custom_resource_definition();
    let (Some(version), Some(own)) = (version(served), version(&own)) else {
        return Finding::error(
            "CRDNotServed",
            format!("The API server does not serve version {} of ZenlayerPorts. {UPGRADE}", version_name()),
        );
    };
    if !is_established(served) {
        return Finding::error(
            "CRDNotEstablished",
            "The API server does not serve ZenlayerPorts yet. Run the check again. If that does not help: kubectl describe \
             crd zenlayerports.sdn.zenlayer.com",
        );
    }
    let (served, own) = (fields(version), fields(own));
    let lacks: Vec<_> = own.difference(&served).collect();
    if !lacks.is_empty() {
        return Finding::error(
            "CRDTooOld",
            format!(
                "The CustomResourceDefinition is older than the operator, which then calls nothing at Zenlayer. It has no {}. \
                 {UPGRADE}",
                list(&lacks)
            ),
        );
    }
    let unknown: Vec<_> = served.difference(&own).collect();
    if !unknown.is_empty() {
        return Finding::warning(
            "CRDNewer",
            format!(
                "The CustomResourceDefinition is newer than the operator, which does not know {}. Upgrade the operator, if \
                 you did not roll it back.",
                list(&unknown)
            ),
        );
    }
    Finding::good("CRD", "The API server serves ZenlayerPorts, of this version.")
}

const UPGRADE: &str =
    "Run `helm upgrade` with crds.enabled=true, or apply the output of `zenlayer-port-operator crd`.";

fn version_name() -> std::borrow::Cow<'static, str> {
    ZenlayerPort::version(&())
}

fn version(definition: &CustomResourceDefinition) -> Option<&CustomResourceDefinitionVersion> {
    definition.spec.versions.iter().find(|version| version.name == version_name() && version.served)
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .filter(|condition| condition.type_ == "Established")
        .any(|condition| condition.status == "True")
}

/// The paths of all fields.
fn fields(version: &CustomResourceDefinitionVersion) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) {
        collect(schema, "", &mut found);
    }
    found
}

fn collect(schema: &JSONSchemaProps, path: &str, found: &mut BTreeSet<String>) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(field, &path, found);
        found.insert(path);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, path, found);
    }
}

fn list(fields: &[&String]) -> String {
    let named: Vec<_> = fields.iter().take(MOST_NAMED).map(|field| field.as_str()).collect();
    let more = fields.len() - named.len();
    let more = if more > 0 { format!(" and {more} more fields") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
