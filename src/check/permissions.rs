//! What the operator must be allowed to do, and whether it is.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::core::CustomResourceExt as _;

use super::{Answer, Finding};
use crate::api::ZenlayerPort;

/// What the settings of the operator make it need.
pub struct Needs {
    /// None: all.
    pub watch_namespaces: Vec<String>,
    /// The operator's own namespace.
    pub home: String,
    pub lease: String,
    pub keeps_copies: bool,
}

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    pub target: Target,
    pub verb: &'static str,
}

/// A resource somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// None: in the whole cluster.
    pub namespace: Option<String>,
    pub group: &'static str,
    /// With its subresource, after a slash.
    pub resource: &'static str,
    /// None: each object.
    pub name: Option<String>,
    /// What the operator needs it for, as the end of a sentence.
    what_for: &'static str,
}

impl Needs {
    pub fn permissions(&self) -> Vec<Permission> {
        let anywhere =
            |group, resource, what_for| Target { namespace: None, group, resource, name: None, what_for };
        let at_home = |group, resource, what_for| Target {
            namespace: Some(self.home.clone()),
            ..anywhere(group, resource, what_for)
        };
        let ports = "to see the objects, and to add and remove its finalizer";
        let definition = anywhere(
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "to see whether all objects are being deleted with their definition",
        );
        let lease =
            |name| Target { name, ..at_home("coordination.k8s.io", "leases", "to agree on which Pod works") };
        let mut needs: Vec<(Target, &[&'static str])> = vec![
            (anywhere("sdn.zenlayer.com", "zenlayerports", ports), &["get", "list", "watch", "patch"]),
            (
                anywhere("sdn.zenlayer.com", "zenlayerports/status", "to record each call before it is sent"),
                &["update", "patch"],
            ),
            (Target { name: Some(ZenlayerPort::crd_name().to_owned()), ..definition }, &["get"]),
            (anywhere("", "namespaces", "to see whether a namespace is being deleted"), &["get"]),
            (lease(None), &["create"]),
            (lease(Some(self.lease.clone())), &["get", "update", "delete"]),
        ];
        let everywhere = [None];
        let watched: Vec<_> = self.watch_namespaces.iter().cloned().map(Some).collect();
        for namespace in if watched.is_empty() { &everywhere[..] } else { &watched } {
            let within = |resource| Target { namespace: namespace.clone(), ..resource };
            needs.push((within(anywhere("", "secrets", "to read the keys that objects name")), &["get"]));
            needs.push((within(anywhere("events.k8s.io", "events", "to report what it does")), &["create"]));
        }
        if self.keeps_copies {
            let copies = at_home("", "secrets", "to keep copies of keys");
            needs.push((copies, &["get", "list", "create", "update", "delete"]));
        }
        let each = |(resource, verbs): (Target, &[&'static str])| {
            verbs.iter().map(|verb| Permission { target: resource.clone(), verb }).collect::<Vec<_>>()
        };
        needs.into_iter().flat_map(each).collect()
    }
}

impl Permission {
    /// The question to the API server.
    pub(super) fn review(&self) -> SelfSubjectAccessReview {
        let Target { namespace, group, resource, name, .. } = &self.target;
        let (resource, subresource) =
            resource.split_once('/').map_or((*resource, None), |(resource, sub)| (resource, Some(sub)));
        let attributes = ResourceAttributes {
            verb: Some(self.verb.to_owned()),
            group: Some((*group).to_owned()),
            resource: Some(resource.to_owned()),
            subresource: subresource.map(str::to_owned),
            name: name.clone(),
            namespace: namespace.clone(),
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
            ..Default::default()
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        let slash = if subresource.is_empty() { "" } else { "/" };
        write!(f, "{resource}{dot}{}{slash}{subresource}", self.group)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}

/// One finding for each resource where something is missing.
pub(super) fn judge(answers: &[(Permission, Answer)]) -> Vec<Finding> {
    let mut missing = BTreeMap::<&Target, Vec<&str>>::new();
    let mut unknown = None;
    for (permission, answer) in answers {
        match answer {
            Answer::Yes => {}
            Answer::No => missing.entry(&permission.target).or_default().push(permission.verb),
            Answer::Unknown(why) => unknown = Some(why),
        }
    }
    let mut findings: Vec<_> = missing
        .into_iter()
        .map(|(resource, verbs)| {
            let text = format!(
                "The operator's ServiceAccount may not {} {resource}. The operator needs this {}. Run `helm upgrade` with \
                 rbac.create=true, or grant it yourself.",
                verbs.join(", "),
                resource.what_for
            );
            Finding::error("PermissionMissing", text)
        })
        .collect();
    if let Some(why) = unknown {
        let text = format!("The API server does not say what the operator may do: {why}.");
        findings.push(Finding::error("PermissionsUnknown", text));
    }
    if findings.is_empty() {
        findings.push(Finding::good("Permissions", "The operator may do everything that it does."));
    }
    findings
}
