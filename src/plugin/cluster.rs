//! What the plugin reads from the API server, and the one thing that it writes: approvals.

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Event;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Api, Client, Config, ResourceExt};
use serde_json::json;

use super::cli::{Connection, Selection};
use super::operator::Operator;
use crate::api::{APPROVE_ANNOTATION, ZenlayerPort, custom_resource_definition};
use crate::lease::LEASE_LABEL;

const FIELD_MANAGER: &str = "kubectl-zenlayerport";

/// How many objects are read at once.
const PAGE: u32 = 500;

/// The API server, as the person who types.
pub struct Cluster {
    client: Client,
    /// The namespace that was asked for, or that of the context.
    pub namespace: String,
}

impl Cluster {
    pub async fn connect(connection: &Connection) -> Result<Self> {
        let mut config = config(connection).await.context("cannot find out which cluster to use")?;
        config.connect_timeout = Some(connection.request_timeout);
        config.read_timeout = Some(connection.request_timeout);
        if connection.as_user.is_some() {
            config.auth_info.impersonate.clone_from(&connection.as_user);
            config.auth_info.impersonate_groups = Some(connection.as_group.clone());
        }
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).context("cannot use the kubeconfig")?;
        Ok(Self { client, namespace })
    }

    /// The ports that were asked for.
    pub async fn ports(&self, selection: &Selection) -> Result<Vec<ZenlayerPort>> {
        let namespace = (!selection.all_namespaces).then_some(self.namespace.as_str());
        self.list(namespace, selection.selector.as_deref()).await
    }

    /// The ports among which deletions are counted and owners of the same port are found: as many as this person may list.
    pub async fn known_ports(&self) -> Result<Known> {
        for (namespace, reach) in [(None, Reach::Cluster), (Some(self.namespace.as_str()), Reach::Namespace)]
        {
            match self.list(namespace, None).await {
                Ok(ports) => return Ok(Known { ports, reach }),
                Err(error) if error.downcast_ref::<Forbidden>().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Known { ports: Vec::new(), reach: Reach::Nothing })
    }

    pub async fn port(&self, name: &str) -> Result<ZenlayerPort> {
        let found = self.objects(Some(&self.namespace)).get_opt(name).await;
        let found = found.map_err(|error| explained(error, "get", &self.namespace))?;
        let object = found.ok_or_else(|| {
            anyhow!(
                "there is no ZenlayerPort {name} in namespace {}. All of them: kubectl get zenlayerports -A",
                self.namespace
            )
        })?;
        Ok(parsed(object))
    }

    async fn list(&self, namespace: Option<&str>, selector: Option<&str>) -> Result<Vec<ZenlayerPort>> {
        let api = self.objects(namespace);
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = selector.map(str::to_owned);
        let mut ports = Vec::new();
        loop {
            let page = api.list(&params).await.map_err(|error| {
                explained(error, "list", namespace.map_or("all namespaces", |namespace| namespace))
            })?;
            ports.extend(page.items.into_iter().map(parsed));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(ports),
            }
        }
    }

    /// Untyped: an object that this version cannot read is no reason to show nothing.
    fn objects(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        let kind = kube::api::ApiResource::erase::<ZenlayerPort>(&());
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        }
    }

    /// The operator that watches the namespace, by its Lease; never an error, as the ports are shown without it too.
    pub async fn operator(&self, selection: &Selection, now: Timestamp) -> Operator {
        let namespace = (!selection.all_namespaces).then_some(self.namespace.as_str());
        let (key, value) = LEASE_LABEL;
        let params = ListParams::default().labels(&format!("{key}={value}"));
        match Api::<Lease>::all(self.client.clone()).list(&params).await {
            Ok(leases) => Operator::of(&leases.items, namespace, now),
            Err(kube::Error::Api(answer)) if answer.is_forbidden() => {
                Operator::Unknown { why: "you may not list Leases in all namespaces.".to_owned() }
            }
            Err(error) => Operator::Unknown { why: error.to_string() },
        }
    }

    /// The Events of an object, the newest first.
    pub async fn events(&self, object: &ZenlayerPort) -> Result<Vec<Event>> {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let api = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(PAGE);
        Ok(api.list(&params).await?.items)
    }

    /// Sets the approval of the object as it was shown.
    pub async fn approve(&self, object: &ZenlayerPort, approval: &str, dry_run: bool) -> Result<()> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api = Api::<ZenlayerPort>::namespaced(self.client.clone(), &namespace);
        let patch = json!({ "metadata": {
            "annotations": { APPROVE_ANNOTATION: approval },
            "uid": object.metadata.uid,
            "resourceVersion": object.metadata.resource_version,
        } });
        let params =
            PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch_metadata(&name, &params, &Patch::Merge(&patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.is_conflict() => {
                bail!(
                    "{namespace}/{name} changed after it was shown; run the command again to see it as it is now"
                )
            }
            Err(error) => Err(explained(error, "patch", &namespace).context(format!("{namespace}/{name}"))),
        }
    }
}

/// What is known beside the ports that were asked for.
#[derive(Clone, Debug)]
pub struct Known {
    pub ports: Vec<ZenlayerPort>,
    pub reach: Reach,
}

/// Where ports could be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Cluster,
    Namespace,
    Nothing,
}

async fn config(connection: &Connection) -> Result<Config> {
    let options = KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
    Ok(match &connection.kubeconfig {
        Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?,
        None if connection.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await?,
    })
}

/// The person lacks a right.
#[derive(Debug, thiserror::Error)]
#[error("you may not {verb} ZenlayerPorts in {place}: {message}")]
pub struct Forbidden {
    verb: &'static str,
    place: String,
    message: String,
}

fn explained(error: kube::Error, verb: &'static str, place: &str) -> anyhow::Error {
    match error {
        kube::Error::Api(answer) if answer.is_forbidden() => {
            Forbidden { verb, place: place.to_owned(), message: answer.message.clone() }.into()
        }
        kube::Error::Api(answer) if is_not_served(&answer) => anyhow!(
            "this cluster does not know ZenlayerPorts: the CustomResourceDefinition {} is not installed. Install the \
             operator with its Helm chart",
            custom_resource_definition().name_any()
        ),
        error => anyhow!(error).context("the API server gave no answer that can be used"),
    }
}

/// A path that no kind serves is answered with 404, and without the name of an object.
fn is_not_served(answer: &Status) -> bool {
    answer.code == 404 && !answer.message.contains('"')
}

/// The object, or what can be understood of one that this version cannot read.
fn parsed(object: DynamicObject) -> ZenlayerPort {
    let DynamicObject { metadata, data, types: _ } = object;
    let parse = || {
        let spec = serde_json::from_value(data["spec"].clone())?;
        Ok::<_, serde_json::Error>((spec, serde_json::from_value(data["status"].clone())?))
    };
    match parse() {
        Ok((spec, status)) => ZenlayerPort { metadata, spec, status },
        Err(_) => ZenlayerPort::salvaged(metadata, &data["spec"], &data["status"]),
    }
}
