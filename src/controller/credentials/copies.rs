//! Copies of credentials in the operator's own namespace, so that a Secret which is deleted together with its namespace, even
//! while no operator runs, can still release the namespace's ports.

use std::collections::BTreeMap;

use aws_lc_rs::digest::SHA256;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};

use super::parts::Parts;
use super::{Source, brief};

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "zenlayer-port-operator");
const COMPONENT: (&str, &str) = ("app.kubernetes.io/component", "credentials-copy");
const OF_NAMESPACE: &str = "sdn.zenlayer.com/copy-of-namespace";
const OF_NAMESPACE_UID: &str = "sdn.zenlayer.com/copy-of-namespace-uid";
const OF_SECRET: &str = "sdn.zenlayer.com/copy-of-secret";

/// Copies a page of the list; the API server gives no more than it is asked for.
const PAGE: u32 = 500;

pub(super) struct Copies {
    secrets: Api<Secret>,
    namespace: String,
}

/// What a copy holds.
pub(super) struct Copy {
    pub(super) parts: Parts,
    /// `metadata.uid` of the namespace that it was made for, if that could be told.
    pub(super) namespace: Option<String>,
}

impl Copies {
    /// Without a namespace, in that of the kubeconfig.
    pub(super) fn new(kubernetes: kube::Client, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or(kubernetes.default_namespace()).to_owned();
        Self { secrets: Api::namespaced(kubernetes, &namespace), namespace }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) async fn get(&self, namespace: &str, name: &str) -> Result<Option<Copy>, String> {
        let read = self.secrets.get_opt(&name_of(namespace, name)).await;
        let copy = read.map_err(|error| self.why("read", namespace, name, &error))?;
        Ok(copy.map(|copy| Copy {
            parts: Parts::of_secret(&copy.data.unwrap_or_default()),
            namespace: copy.metadata.annotations.and_then(|mut all| all.remove(OF_NAMESPACE_UID)),
        }))
    }

    /// Makes the copy, or replaces the one that is there.
    pub(super) async fn put(&self, namespace: &str, name: &str, copy: &Copy) -> Result<(), String> {
        let written = name_of(namespace, name);
        let mut annotations = BTreeMap::from([
            (OF_NAMESPACE.to_owned(), namespace.to_owned()),
            (OF_SECRET.to_owned(), name.to_owned()),
        ]);
        annotations.extend(copy.namespace.clone().map(|uid| (OF_NAMESPACE_UID.to_owned(), uid)));
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(written.clone()),
                labels: Some([MANAGED_BY, COMPONENT].map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            data: Some(copy.parts.to_secret()),
            ..Secret::default()
        };
        let how = PostParams::default();
        let put = match self.secrets.create(&how, &secret).await {
            Err(kube::Error::Api(answer)) if answer.is_already_exists() => {
                self.secrets.replace(&written, &how, &secret).await
            }
            created => created,
        };
        put.map(drop).map_err(|error| self.why("written", namespace, name, &error))
    }

    pub(super) async fn delete(&self, namespace: &str, name: &str) -> Result<(), String> {
        match self.secrets.delete(&name_of(namespace, name), &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
            Err(error) => Err(self.why("deleted", namespace, name, &error)),
        }
    }

    /// The Secrets that there are copies of.
    pub(super) async fn list(&self) -> Result<Vec<Source>, String> {
        let selector = [MANAGED_BY, COMPONENT].map(|(key, value)| format!("{key}={value}")).join(",");
        let mut page = ListParams::default().labels(&selector).limit(PAGE);
        let mut sources = Vec::new();
        loop {
            let listed = self.secrets.list_metadata(&page).await.map_err(|error| {
                format!(
                    "The copies of credentials in namespace {} could not be listed: {}.",
                    self.namespace,
                    brief(&error)
                )
            })?;
            sources.extend(listed.items.into_iter().filter_map(|copy| {
                let mut annotations = copy.metadata.annotations?;
                let (namespace, name) = (annotations.remove(OF_NAMESPACE)?, annotations.remove(OF_SECRET)?);
                Some(Source::Secret { namespace, name })
            }));
            match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(sources),
            }
        }
    }

    fn why(&self, verb: &str, namespace: &str, name: &str, error: &kube::Error) -> String {
        let own = &self.namespace;
        let what = format!("The copy of Secret {namespace}/{name} in namespace {own} could not be {verb}");
        match error {
            kube::Error::Api(answer) if answer.is_forbidden() => format!(
                "{what}: grant the operator get, list, create, update and delete on secrets there, or set \
                 credentials.keepCopies to false."
            ),
            error => format!("{what}: {}.", brief(error)),
        }
    }
}

/// The name of the copy: the same in each process, and no other Secret's.
fn name_of(namespace: &str, name: &str) -> String {
    // Neither can hold a slash.
    let digest = aws_lc_rs::digest::digest(&SHA256, format!("{namespace}/{name}").as_bytes());
    let mut head = [0; 16];
    head.copy_from_slice(&digest.as_ref()[..16]);
    format!("zenlayer-credentials-{:032x}", u128::from_be_bytes(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_after_its_source_alone() {
        // printf team-a/zenlayer | sha256sum
        assert_eq!(name_of("team-a", "zenlayer"), "zenlayer-credentials-0959b49ac3233acf5eb5b449650536e1");
        assert_ne!(name_of("team", "a"), name_of("team", "b"));
    }
}
