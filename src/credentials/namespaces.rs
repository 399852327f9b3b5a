//! Whether a namespace is being deleted: the copy of a Secret that is gone may sign then, and only then.

use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::setbacks::brief;
use crate::kubernetes::says_not_found;

/// What is known of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamespaceState {
    There {
        uid: Option<String>,
        terminating: bool,
    },
    /// RBAC does not grant it: taken for one that stays.
    NotGranted,
    /// It could not be read: why.
    Unknown(String),
}

pub(super) struct Namespaces {
    api: Api<Namespace>,
    told: AtomicBool,
}

impl Namespaces {
    pub(super) fn new(kubernetes: kube::Client) -> Self {
        Self { api: Api::all(kubernetes), told: AtomicBool::new(false) }
    }

    pub(super) async fn look(&self, name: &str) -> NamespaceState {
        match self.api.get_metadata(name).await {
            Ok(namespace) => NamespaceState::There {
                terminating: namespace.metadata.deletion_timestamp.is_some(),
                uid: namespace.metadata.uid,
            },
            Err(error) if says_not_found(&error) => {
                NamespaceState::Unknown(format!("namespace {name} does not exist"))
            }
            Err(kube::Error::Api(answer)) if answer.is_forbidden() => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the operator may not read Namespaces. If someone deletes a namespace together with its \
                         Secrets, the operator cannot destroy its ports, and their objects stay until someone sets \
                         their policy to Retain. Grant the operator `get` on namespaces"
                    );
                }
                NamespaceState::NotGranted
            }
            Err(error) => NamespaceState::Unknown(brief(&error)),
        }
    }
}
