//! Data of Secrets and `ConfigMaps`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::{Api, Client};

/// By key.
pub(super) type Data = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug)]
pub(super) enum Origin {
    Secret(String),
    ConfigMap(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "Secret {name}"),
            Self::ConfigMap(name) => write!(f, "ConfigMap {name}"),
        }
    }
}

/// The objects of one namespace, as the API server has them now.
pub(super) struct Values {
    client: Client,
    namespace: String,
}

impl Values {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `None` if there is no such object but it is optional.
    pub(super) async fn data(&self, origin: &Origin, optional: Option<bool>) -> Result<Option<Data>> {
        let data = match origin {
            Origin::Secret(name) => {
                let secret =
                    Api::<Secret>::namespaced(self.client.clone(), &self.namespace).get_opt(name).await?;
                secret.map(|secret| bytes(secret.data))
            }
            Origin::ConfigMap(name) => {
                let map =
                    Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace).get_opt(name).await?;
                map.map(|map| {
                    let text = map.data.into_iter().flatten().map(|(key, text)| (key, text.into_bytes()));
                    text.chain(bytes(map.binary_data)).collect()
                })
            }
        };
        if data.is_none() && optional != Some(true) {
            bail!("there is no {origin} in namespace {}", self.namespace);
        }
        Ok(data)
    }

    /// One key as text. `None` if there is no such object or key but it is optional.
    pub(super) async fn text(
        &self,
        origin: &Origin,
        key: &str,
        optional: Option<bool>,
    ) -> Result<Option<String>> {
        match self.data(origin, optional).await?.and_then(|mut data| data.remove(key)) {
            Some(bytes) => Ok(Some(String::from_utf8(bytes).ok().with_context(|| {
                format!("{origin}: {key} is not UTF-8, so it cannot be the value of a variable")
            })?)),
            None if optional == Some(true) => Ok(None),
            None => bail!("{origin} has no key {key}"),
        }
    }

    pub(super) async fn service_account(&self, name: &str) -> Result<ServiceAccount> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        accounts.get(name).await.with_context(|| format!("ServiceAccount {name}"))
    }
}

fn bytes(data: Option<BTreeMap<String, k8s_openapi::ByteString>>) -> Data {
    data.into_iter().flatten().map(|(key, bytes)| (key, bytes.0)).collect()
}
