//! What the leader writes on the Lease for people and for `kubectl zenlayerport`.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use serde::{Deserialize, Serialize};

/// The label by which the Lease is found, whatever its name and namespace.
pub const LEASE_LABEL: (&str, &str) = ("app.kubernetes.io/name", "zenlayer-port-operator");

const ANNOTATION: &str = "sdn.zenlayer.com/operator";

/// The version of the operator, and the settings by which a person can tell what a deletion will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announced {
    pub version: String,
    /// 0: never.
    pub mass_deletion_threshold: u32,
    pub require_approval: bool,
    /// The namespaces that it watches; none: all.
    #[serde(default)]
    pub watch_namespaces: Vec<String>,
}

impl Announced {
    pub fn in_lease(lease: &Lease) -> Option<Self> {
        serde_json::from_str(lease.metadata.annotations.as_ref()?.get(ANNOTATION)?).ok()
    }

    /// Whether it watches this namespace; none: whether it watches all.
    pub fn watches(&self, namespace: Option<&str>) -> bool {
        self.watch_namespaces.is_empty()
            || namespace.is_some_and(|namespace| self.watch_namespaces.iter().any(|it| it == namespace))
    }

    pub(super) fn put_into(&self, lease: &mut Lease) {
        let (key, value) = LEASE_LABEL;
        let entry = |map: &mut Option<BTreeMap<String, String>>, key: &str, value: String| {
            map.get_or_insert_default().insert(key.to_owned(), value);
        };
        entry(&mut lease.metadata.labels, key, value.to_owned());
        if let Ok(text) = serde_json::to_string(self) {
            entry(&mut lease.metadata.annotations, ANNOTATION, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_leader_announces_is_found_in_its_lease() {
        let announced = Announced {
            version: "1.2.3".to_owned(),
            mass_deletion_threshold: 7,
            require_approval: true,
            watch_namespaces: vec!["team-a".to_owned()],
        };
        assert!(announced.watches(Some("team-a")) && !announced.watches(Some("team-b")));
        let mut lease = Lease::default();
        assert_eq!(Announced::in_lease(&lease), None, "an older operator announces nothing");
        announced.put_into(&mut lease);
        assert_eq!(Announced::in_lease(&lease), Some(announced));
        assert_eq!(
            lease.metadata.labels.and_then(|mut it| it.remove(LEASE_LABEL.0)).as_deref(),
            Some(LEASE_LABEL.1)
        );
    }
}
