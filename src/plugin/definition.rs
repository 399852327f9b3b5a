//! The CustomResourceDefinition: with it, Kubernetes deletes all `ZenlayerPort` objects.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde::Serialize;

use super::report::with_flags;
use super::screen::{Page, RED, age};
use crate::api::{ZenlayerPort, custom_resource_definition};

/// What is known of the CustomResourceDefinition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "seen")]
pub enum Definition {
    Stays,
    /// Someone deleted it, and it goes when the last object is gone.
    BeingDeleted {
        since: Timestamp,
    },
    /// It cannot be read, but the operator has seen that it was deleted with so many of these objects.
    DeletedWith {
        objects: usize,
    },
    /// It cannot be read: few people may.
    #[default]
    Unknown,
}

impl Definition {
    pub fn of(metadata: &ObjectMeta) -> Self {
        match &metadata.deletion_timestamp {
            Some(since) => Self::BeingDeleted { since: since.0 },
            None => Self::Stays,
        }
    }

    /// The same with what the objects tell, where it cannot be read.
    #[must_use]
    pub fn or_as_told_by(self, objects: &[ZenlayerPort]) -> Self {
        let is_marked = |object: &&ZenlayerPort| object.release().is_some_and(|release| release.crd_deleted);
        match (self, objects.iter().filter(is_marked).count()) {
            (Self::Unknown, objects @ 1..) => Self::DeletedWith { objects },
            (seen, _) => seen,
        }
    }

    /// Says that it is being deleted, and what you can type; nothing if it stays. `flags` choose the cluster.
    pub fn render(self, page: &mut Page, now: Timestamp, flags: &str) {
        let name = custom_resource_definition().name_any();
        match self {
            Self::Stays | Self::Unknown => {}
            Self::BeingDeleted { since } => {
                let ago = age(now.duration_since(since).max(SignedDuration::ZERO));
                page.marked(RED, "THE CUSTOMRESOURCEDEFINITION IS BEING DELETED", &format!("  {ago}"));
                page.paragraph(
                    2,
                    &format!(
                        "Someone deleted {name}. Kubernetes deletes every ZenlayerPort with it, and nobody can stop that. The \
                         operator changes no port of these objects before you decide about each (CRDDeleted)."
                    ),
                );
                let get = with_flags("kubectl get zenlayerports -A", flags);
                page.command(2, "First save the objects", &format!("{get} -o yaml > ports-backup.yaml"));
                page.command(2, "To keep the ports of all objects", &keep_all(flags));
                page.line("");
            }
            Self::DeletedWith { objects } => {
                page.marked(RED, "THE CUSTOMRESOURCEDEFINITION WAS DELETED", "");
                page.paragraph(
                    2,
                    &format!(
                        "Someone deleted {name}, and with it {objects} of the objects below. The operator changes no port of \
                         these before you decide about each (CRDDeleted)."
                    ),
                );
                page.line("");
            }
        }
    }
}

/// Sets the policy `Retain` everywhere.
fn keep_all(flags: &str) -> String {
    let get = with_flags("kubectl get zenlayerports -A", flags);
    let patch = with_flags("kubectl patch zenlayerport \"$name\" -n \"$namespace\"", flags);
    format!(
        "{get} --no-headers | while read -r namespace name _; do {patch} --type=merge -p \
         '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'; done"
    )
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn screen(definition: Definition) -> String {
        let mut page = Page::new(Some(100));
        definition.render(&mut page, NOW + SignedDuration::from_secs(300), "--context prod");
        anstream::adapter::strip_str(&page.into_text()).to_string()
    }

    #[test]
    fn a_definition_that_is_being_deleted_is_told_with_the_commands_that_keep_the_ports() {
        let metadata = |deleted| ObjectMeta { deletion_timestamp: deleted, ..ObjectMeta::default() };
        assert_eq!(screen(Definition::of(&metadata(None))), "");
        let told = screen(Definition::of(&metadata(Some(Time(NOW)))));
        assert!(told.starts_with("THE CUSTOMRESOURCEDEFINITION IS BEING DELETED  5m\n"), "{told}");
        for command in [
            "\n    kubectl get zenlayerports -A --context prod -o yaml > ports-backup.yaml\n",
            "\n    kubectl get zenlayerports -A --context prod --no-headers | while read -r namespace name _; do \
             kubectl patch zenlayerport \"$name\" -n \"$namespace\" --context prod --type=merge -p \
             '{\"spec\":{\"deletionPolicy\":\"Retain\"}}'; done\n",
        ] {
            assert!(told.contains(command), "{told}");
        }
    }

    #[test]
    fn who_may_not_read_the_definition_is_told_by_the_objects() {
        let object = |marked: bool| -> ZenlayerPort {
            let value = json!({ "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
                "metadata": { "name": "edge", "namespace": "team-a", "uid": "u" }, "spec": { "portId": "port-1" },
                "status": { "release": { "uid": "u", "crdDeleted": marked } } });
            serde_json::from_value(value).expect("a ZenlayerPort")
        };
        let objects = [object(true), object(false), object(true)];
        let told = screen(Definition::Unknown.or_as_told_by(&objects));
        assert!(told.contains("and with it 2 of the objects below."), "{told}");
        assert_eq!(Definition::Unknown.or_as_told_by(&objects[1..2]), Definition::Unknown);
        assert_eq!(
            Definition::Stays.or_as_told_by(&objects),
            Definition::Stays,
            "who may read it knows better"
        );
    }
}
