//! Where Pods run as local processes: this machine, for one cluster.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use kube::{Api, Client};

use crate::client::{Endpoint, client_for};
use crate::folder::{Folder, Keeper, temp_dir, write_private};
use crate::pod::DeploymentRun;

/// A folder for the processes, and the way to the API server. The kubeconfig of the administrator is in the folder.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) folder: Folder,
    pub(crate) endpoint: Endpoint,
}

impl Host {
    /// Makes the folder, and a keeper that watches over it.
    pub(crate) fn new_folder() -> Result<(Keeper, Folder)> {
        let (keeper, folder) = Keeper::with_new_folder(&temp_dir(), "test-cluster-")?;
        for name in ["logs", "pods", "kubeconfigs", "home"] {
            fs::create_dir(folder.join(name))?;
        }
        Ok((keeper, folder))
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.kubeconfig()
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        client_for(&self.kubeconfig()).await
    }

    /// A token of a `ServiceAccount`, good for a day.
    pub(crate) async fn token(&self, namespace: &str, service_account: &str) -> Result<String> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client().await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(24 * 60 * 60), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(service_account, &PostParams::default(), &request).await;
        let answer =
            answer.with_context(|| format!("a token for ServiceAccount {namespace}/{service_account}"))?;
        Ok(answer.status.context("the API server granted no token")?.token)
    }
}

/// A cluster that exists already. Its Deployments can run here as local processes, which end when it is dropped.
#[derive(Debug)]
pub struct ExistingCluster {
    host: Host,
    /// Last, as it removes the folder when dropped.
    _keeper: Keeper,
}

impl ExistingCluster {
    /// The cluster of a context of the user's kubeconfig.
    pub fn of_context(name: &str) -> Result<Self> {
        Self::of_kubeconfig(Kubeconfig::read().context("reading the kubeconfig")?, name)
    }

    /// The cluster of a context of this kubeconfig.
    pub fn of_kubeconfig(mut kubeconfig: Kubeconfig, name: &str) -> Result<Self> {
        kubeconfig.contexts.retain(|context| context.name == name);
        let context = kubeconfig.contexts.first().and_then(|context| context.context.clone());
        let context = context.with_context(|| {
            format!("the kubeconfig has no context {name:?}; to list them: kubectl config get-contexts")
        })?;
        kubeconfig.auth_infos.retain(|user| Some(&user.name) == context.user.as_ref());
        kubeconfig.clusters.retain(|cluster| cluster.name == context.cluster);
        let cluster = kubeconfig.clusters.first().and_then(|cluster| cluster.cluster.as_ref());
        let cluster =
            cluster.with_context(|| format!("the kubeconfig has no cluster {:?}", context.cluster))?;
        let endpoint = Endpoint::of(cluster)?;
        kubeconfig.current_context = Some(name.to_owned());

        let (keeper, folder) = Host::new_folder()?;
        write_private(&folder.kubeconfig(), serde_json::to_vec(&kubeconfig)?)?;
        Ok(Self { host: Host { folder, endpoint }, _keeper: keeper })
    }

    /// Runs `binary` as the one container of a Deployment; see [`DeploymentRun`].
    pub fn run_deployment<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        binary: &'a Path,
    ) -> DeploymentRun<'a> {
        DeploymentRun::new(&self.host, namespace, name, binary)
    }
}
