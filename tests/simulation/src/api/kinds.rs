//! The kinds that the server knows: those that the operator and its people use, and what definitions add.

use std::sync::Arc;

use serde_json::Value;

use super::schema::Schema;

/// A kind, as one version of one group serves it.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the API's own words")]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) namespaced: bool,
    pub(super) rules: Rules,
}

/// What is particular about a kind.
#[derive(Clone, Debug)]
pub(super) enum Rules {
    Namespace,
    Secret,
    Lease,
    /// Events, as `events.k8s.io` or as the core group writes them. They are stored as the former.
    Event {
        core: bool,
    },
    Definition,
    Quota,
    Policy,
    Binding,
    /// A question that is answered and not stored.
    Review,
    Custom {
        schema: Arc<Schema>,
        /// Its definition is being deleted.
        terminating: bool,
    },
}

impl Kind {
    fn new(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool, rules: Rules) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            namespaced,
            rules,
        }
    }

    /// The kinds that are there without a definition.
    pub(super) fn built_in() -> Vec<Arc<Self>> {
        let admission = "admissionregistration.k8s.io";
        let (policies, bindings) = ("validatingadmissionpolicies", "validatingadmissionpolicybindings");
        [
            Self::new("", "v1", "namespaces", "Namespace", false, Rules::Namespace),
            Self::new("", "v1", "secrets", "Secret", true, Rules::Secret),
            Self::new("", "v1", "events", "Event", true, Rules::Event { core: true }),
            Self::new("", "v1", "resourcequotas", "ResourceQuota", true, Rules::Quota),
            Self::new("events.k8s.io", "v1", "events", "Event", true, Rules::Event { core: false }),
            Self::new("coordination.k8s.io", "v1", "leases", "Lease", true, Rules::Lease),
            Self::new(
                "apiextensions.k8s.io",
                "v1",
                "customresourcedefinitions",
                "CustomResourceDefinition",
                false,
                Rules::Definition,
            ),
            Self::new(admission, "v1", policies, "ValidatingAdmissionPolicy", false, Rules::Policy),
            Self::new(admission, "v1", bindings, "ValidatingAdmissionPolicyBinding", false, Rules::Binding),
            Self::new(
                "authorization.k8s.io",
                "v1",
                "selfsubjectaccessreviews",
                "SelfSubjectAccessReview",
                false,
                Rules::Review,
            ),
        ]
        .into_iter()
        .map(Arc::new)
        .collect()
    }

    /// The kinds of a definition, one for each version that is served.
    pub(super) fn defined(definition: &Value) -> Vec<Arc<Self>> {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let versions = spec["versions"].as_array().into_iter().flatten();
        let versions = versions.filter(|version| version["served"] == Value::Bool(true));
        versions
            .map(|version| {
                Arc::new(Self {
                    group: text(&spec["group"]),
                    version: text(&version["name"]),
                    plural: text(&spec["names"]["plural"]),
                    kind: text(&spec["names"]["kind"]),
                    list_kind: text(&spec["names"]["listKind"]),
                    namespaced: spec["scope"] == "Namespaced",
                    rules: Rules::Custom {
                        schema: Arc::new(Schema::new(version)),
                        terminating: !definition["metadata"]["deletionTimestamp"].is_null(),
                    },
                })
            })
            .collect()
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `leases.coordination.k8s.io`.
    pub(super) fn resource(&self) -> String {
        self.in_group(&self.plural)
    }

    /// The group that a refusal names. Events are of the core group within.
    pub(super) fn error_group(&self) -> &str {
        if matches!(self.rules, Rules::Event { .. }) { "" } else { &self.group }
    }

    pub(super) fn in_group(&self, word: &str) -> String {
        if self.group.is_empty() { word.to_owned() } else { format!("{word}.{}", self.group) }
    }

    /// Where its objects are stored. Both kinds of Events are one.
    pub(super) fn place(&self) -> String {
        if matches!(self.rules, Rules::Event { .. }) { "events".to_owned() } else { self.resource() }
    }

    /// How the real server's store calls the object.
    pub(super) fn storage_key(&self, path: &str) -> String {
        match &self.rules {
            Rules::Custom { .. } | Rules::Definition => {
                format!("/registry/{}/{}/{path}", self.group, self.plural)
            }
            Rules::Policy | Rules::Binding => format!("/registry/{}/{path}", self.plural),
            _ => format!("/registry/{}/{path}", self.plural),
        }
    }

    /// Whether a PUT may come without a version, and then overwrites what is there.
    pub(super) fn updates_unconditionally(&self) -> bool {
        matches!(self.rules, Rules::Namespace | Rules::Secret | Rules::Event { .. } | Rules::Quota)
    }

    /// Whether a PUT makes an object that is not there.
    pub(super) fn creates_on_update(&self) -> bool {
        matches!(self.rules, Rules::Lease | Rules::Event { .. })
    }

    pub(super) fn has_status(&self) -> bool {
        match &self.rules {
            Rules::Custom { schema, .. } => schema.has_status,
            Rules::Namespace | Rules::Definition | Rules::Quota | Rules::Policy => true,
            _ => false,
        }
    }

    pub(super) fn has_generation(&self) -> bool {
        matches!(self.rules, Rules::Custom { .. } | Rules::Definition | Rules::Policy | Rules::Binding)
    }
}
