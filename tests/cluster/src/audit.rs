//! The audit log of the API server: what ServiceAccounts asked it for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::folder::Folder;

const LOG: &str = "audit.log";

/// Not of Kubernetes' own controllers. A watch is told of when it begins.
const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    userGroups: [system:serviceaccounts:kube-system]
  - level: Metadata
    userGroups: [system:serviceaccounts]
";

/// What a ServiceAccount asked for; the same request again is equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    pub verb: String,
    pub group: String,
    /// With its subresource, after a slash.
    pub resource: String,
    /// None: of all namespaces, or of the whole cluster.
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// Whether the account has the permission. (Something else may have refused the request.)
    pub permitted: bool,
}

/// An `audit.k8s.io/v1` Event, as far as it is of interest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    /// None: the request was not for a resource.
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    api_group: String,
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(default, rename = "authorization.k8s.io/decision")]
    decision: String,
}

impl Event {
    fn into_access(self) -> Option<Access> {
        let ObjectRef { api_group, resource, subresource, namespace, name } = self.object_ref?;
        let resource = subresource.iter().fold(resource, |resource, part| resource + "/" + part);
        let permitted = self.annotations.decision == "allow";
        Some(Access { verb: self.verb, group: api_group, resource, namespace, name, permitted })
    }
}

/// Writes the policy; returns the flags of the API server.
pub(crate) fn set_up(folder: &Folder) -> Result<Vec<String>> {
    let policy = folder.join("audit-policy.yaml");
    fs::write(&policy, POLICY)?;
    Ok(vec![
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", folder.join(LOG).display()),
        // MiB: never another file.
        "--audit-log-maxsize=1000000".to_owned(),
    ])
}

/// Of a cluster that keeps an audit log ([`Cluster::start_audited`]).
impl Cluster {
    /// Where the audit log ends now.
    pub fn end_of_audit_log(&self) -> Result<u64> {
        let log = fs::metadata(self.host().folder.join(LOG)).context("the cluster keeps no audit log")?;
        Ok(log.len())
    }

    /// What a ServiceAccount has asked for since the audit log ended there.
    pub fn accesses_since(&self, end: u64, namespace: &str, account: &str) -> Result<BTreeSet<Access>> {
        let mut log = File::open(self.host().folder.join(LOG)).context("the cluster keeps no audit log")?;
        log.seek(SeekFrom::Start(end))?;
        let mut text = String::new();
        log.read_to_string(&mut text)?;
        let user = format!("\"system:serviceaccount:{namespace}:{account}\"");
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let theirs = whole.lines().filter(|line| line.contains(&user));
        let events =
            theirs.map(|line| serde_json::from_str::<Event>(line).context("an event of the audit log"));
        events.filter_map(|event| event.map(Event::into_access).transpose()).collect()
    }
}
