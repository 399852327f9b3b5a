//! Copies of credentials in the operator's own namespace, so that a Secret which is deleted together with its namespace, even
//! while no operator runs, can still release the namespace's ports.

use std::collections::BTreeMap;

use aws_lc_rs::digest::SHA256;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};

use super::Source;
use super::parts::Parts;
use super::setbacks::{Failure, brief};
use crate::kubernetes::says_not_found;

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "zenlayer-port-operator");
pub(super) const COMPONENT: (&str, &str) = ("app.kubernetes.io/component", "credentials-copy");
const OF_NAMESPACE: &str = "sdn.zenlayer.com/copy-of-namespace";
const OF_NAMESPACE_UID: &str = "sdn.zenlayer.com/copy-of-namespace-uid";
const OF_SECRET: &str = "sdn.zenlayer.com/copy-of-secret";

/// The names of all copies begin so.
pub(super) const PREFIX: &str = "zenlayer-credentials-";

/// Copies a page of the list; the API server gives no more than it is asked for.
const PAGE: u32 = 500;

pub(super) struct Copies {
    secrets: Api<Secret>,
    namespace: String,
}

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) proved: Parts,
    /// What the Secret held after that, and has not taken over for all objects.
    pub(super) next: Option<Parts>,
    /// `metadata.uid` of the namespace that it was made for, if that could be told.
    pub(super) namespace: Option<String>,
}

impl Copies {
    /// In the operator's own namespace.
    pub(super) fn new(kubernetes: kube::Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(kubernetes, namespace), namespace: namespace.to_owned() }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) async fn get(&self, namespace: &str, name: &str) -> Result<Option<Copy>, Failure> {
        match self.secrets.get(&name_of(namespace, name)).await {
            Ok(secret) => Ok(Some(copy(secret))),
            Err(error) if says_not_found(&error) => Ok(None),
            Err(error) => Err(self.failure("read", namespace, name, &error)),
        }
    }

    /// Writes the copy over the one that is there; makes it if there is none.
    pub(super) async fn put(&self, namespace: &str, name: &str, copy: &Copy) -> Result<(), Failure> {
        let secret = secret(namespace, name, copy);
        let how = PostParams::default();
        // A quota refuses to make one more, even if it is there already.
        let put = match self.secrets.replace(&name_of(namespace, name), &how, &secret).await {
            Err(error) if says_not_found(&error) => self.secrets.create(&how, &secret).await,
            replaced => replaced,
        };
        put.map(drop).map_err(|error| self.failure("write", namespace, name, &error))
    }

    pub(super) async fn delete(&self, namespace: &str, name: &str) -> Result<(), Failure> {
        match self.secrets.delete(&name_of(namespace, name), &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(error) if says_not_found(&error) => Ok(()),
            Err(error) => Err(self.failure("delete", namespace, name, &error)),
        }
    }

    /// All copies, by the Secrets that they are of.
    pub(super) async fn list(&self) -> Result<BTreeMap<Source, Copy>, Failure> {
        let selector = [MANAGED_BY, COMPONENT].map(|(key, value)| format!("{key}={value}")).join(",");
        let mut page = ListParams::default().labels(&selector).limit(PAGE);
        let mut copies = BTreeMap::new();
        loop {
            let listed = self.secrets.list(&page).await.map_err(|error| {
                let what = format!(
                    "The operator could not list its copies of Secrets in namespace {}",
                    self.namespace
                );
                Failure::new(&what, &error)
            })?;
            copies.extend(listed.items.into_iter().filter_map(|secret| {
                let annotation = |key| secret.metadata.annotations.as_ref()?.get(key).cloned();
                let source =
                    Source::Secret { namespace: annotation(OF_NAMESPACE)?, name: annotation(OF_SECRET)? };
                Some((source, copy(secret)))
            }));
            match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(copies),
            }
        }
    }

    fn failure(&self, verb: &str, namespace: &str, name: &str, error: &kube::Error) -> Failure {
        let own = &self.namespace;
        let what =
            format!("The operator could not {verb} its copy of Secret {namespace}/{name} in namespace {own}");
        match (Failure::new(&what, error), remedy(&brief(error))) {
            (Failure::Refused(why), Some(Remedy::Grant)) => Failure::Refused(format!(
                "{why} Grant the operator get, list, create, update and delete on secrets in namespace {own}."
            )),
            (Failure::Refused(why), Some(Remedy::RaiseQuota)) => Failure::Refused(format!(
                "{why} Raise that quota, or delete Secrets in namespace {own} that nobody uses."
            )),
            (failure, _) => failure,
        }
    }
}

/// What a person can do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Grant,
    RaiseQuota,
}

/// By the words of the API server: RBAC, quotas and admission all answer 403.
fn remedy(message: &str) -> Option<Remedy> {
    if message.contains("exceeded quota") {
        Some(Remedy::RaiseQuota)
    } else if message.contains(" cannot ") && message.contains(" resource ") {
        Some(Remedy::Grant)
    } else {
        None
    }
}

fn secret(namespace: &str, name: &str, copy: &Copy) -> Secret {
    let mut annotations = BTreeMap::from([
        (OF_NAMESPACE.to_owned(), namespace.to_owned()),
        (OF_SECRET.to_owned(), name.to_owned()),
    ]);
    annotations.extend(copy.namespace.clone().map(|uid| (OF_NAMESPACE_UID.to_owned(), uid)));
    let mut data = copy.proved.to_secret();
    data.extend(copy.next.iter().flat_map(Parts::to_secret_as_next));
    Secret {
        metadata: ObjectMeta {
            name: Some(name_of(namespace, name)),
            labels: Some([MANAGED_BY, COMPONENT].map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    }
}

fn copy(secret: Secret) -> Copy {
    let data = secret.data.unwrap_or_default();
    Copy {
        proved: Parts::of_secret(&data),
        next: Some(Parts::next_of_secret(&data)).filter(|next| !next.is_empty()),
        namespace: secret.metadata.annotations.and_then(|mut all| all.remove(OF_NAMESPACE_UID)),
    }
}

/// The name of the copy: the same in each process, and no other Secret's.
fn name_of(namespace: &str, name: &str) -> String {
    // Neither can hold a slash.
    let digest = aws_lc_rs::digest::digest(&SHA256, format!("{namespace}/{name}").as_bytes());
    let mut head = [0; 16];
    head.copy_from_slice(&digest.as_ref()[..16]);
    format!("{PREFIX}{:032x}", u128::from_be_bytes(head))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn parts(id: &str) -> Parts {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let data = [("accessKeyId", id), ("accessKeyPassword", "hunter2")];
        Parts::of_secret(&data.into_iter().map(|(key, value)| (key.to_owned(), bytes(value))).collect())
    }

    fn of(proved: &str, next: Option<&str>, namespace: Option<&str>) -> Copy {
        Copy { proved: parts(proved), next: next.map(parts), namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn a_copy_is_named_after_its_source_alone() {
        // printf team-a/zenlayer | sha256sum
        assert_eq!(name_of("team-a", "zenlayer"), "zenlayer-credentials-0959b49ac3233acf5eb5b449650536e1");
        assert_ne!(name_of("team", "a"), name_of("team", "b"));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for written in [of("A", None, None), of("A", Some("B"), Some("uid-1"))] {
            assert_eq!(copy(secret("team-a", "zenlayer", &written)), written);
        }
    }

    #[test]
    fn each_refusal_has_the_advice_that_fits_it() {
        let quota = "secrets \"zenlayer-credentials-1\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: \
                     count/secrets=3, limited: count/secrets=3";
        let rbac = "secrets is forbidden: User \"system:serviceaccount:a:b\" cannot create resource \"secrets\" in API group \
                    \"\" in the namespace \"a\"";
        let webhook = "admission webhook \"policy.example.com\" denied the request: no Secrets here";
        assert_eq!(remedy(quota), Some(Remedy::RaiseQuota));
        assert_eq!(remedy(rbac), Some(Remedy::Grant));
        assert_eq!(remedy(webhook), None);
    }
}
