//! The control plane: start, readiness, identities, end.

use std::fmt::Debug;
use std::mem;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::assets::{Assets, Binary};
use crate::audit;
use crate::client::{Endpoint, client_for};
use crate::folder::{Folder, Keeper};
use crate::host::Host;
use crate::keys;
use crate::pod::DeploymentRun;
use crate::ports::free_port;
use crate::process::Process;
use crate::tool::Tool;

/// What a slow machine under load may take; the usual times are 0.1 to 2.5 s.
pub(crate) const START_LIMIT: Duration = Duration::from_mins(2);

/// Not all, which would double the time to start.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
    root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,deployment-controller,\
    replicaset-controller,job-controller,resourcequota-controller,validatingadmissionpolicy-status-controller";

/// A running control plane. Dropping it stops the processes in order and removes its folder.
#[derive(Debug)]
pub struct Cluster {
    assets: Assets,
    host: Host,
    url: String,
    ca_pem: String,
    controller_manager: Process,
    apiserver: Process,
    etcd: Process,
    /// Last, as it removes the folder when dropped.
    keeper: Keeper,
}

impl Cluster {
    /// Starts a control plane with its own ports and data, in about 4 s, and waits until it is ready. The first
    /// time on a machine this may build the binaries (see [`Assets`]).
    pub async fn start() -> Result<Self> {
        Self::begin(|_| Ok(Vec::new())).await
    }

    /// As [`Cluster::start`]. The API server also writes down what ServiceAccounts ask for: see
    /// [`Cluster::accesses_since`].
    pub async fn start_audited() -> Result<Self> {
        Self::begin(audit::set_up).await
    }

    /// `flags`: more of them for the API server.
    async fn begin(flags: fn(&Folder) -> Result<Vec<String>>) -> Result<Self> {
        let assets = Assets::find_or_build().await?;
        let (keeper, folder) = Host::new_folder()?;
        let keys = keys::generate(&folder)?;
        let etcd = start_etcd(&assets, &folder).await?;
        let (apiserver, url) = start_apiserver(&assets, &folder, &keys, &flags(&folder)?).await?;
        let ca_pem = keys.ca_pem;
        let endpoint = Endpoint::new(&url, &ca_pem);
        endpoint.write_kubeconfig(&folder.kubeconfig(), "default", &json!({ "token": keys.admin_token }))?;
        let controller_manager = start_controller_manager(&assets, &folder).await?;
        let host = Host { folder, endpoint };
        Ok(Self { assets, host, url, ca_pem, controller_manager, apiserver, etcd, keeper })
    }

    /// Waits until the API server is ready and reads from etcd: after a restart of either.
    pub async fn wait_ready(&self, within: Duration) -> Result<()> {
        wait_for_apiserver(&self.apiserver, &self.url, &self.ca_pem, within).await?;
        let namespaces = Api::<Namespace>::all(self.client().await?);
        self.apiserver.ready(within, async || Ok(namespaces.get("default").await.map(drop)?)).await
    }

    /// Leaves everything running after this process; returns the folder. See [`Cluster::stop_command`].
    pub fn keep(mut self) -> Result<PathBuf> {
        self.keeper.dismiss()?;
        let folder = self.host.folder.path().to_owned();
        mem::forget(self);
        Ok(folder)
    }

    /// The shell command that ends the cluster, for one that is kept.
    pub fn stop_command(&self) -> String {
        self.keeper.stop_command()
    }

    /// The administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.host.kubeconfig()
    }

    /// A new client for the administrator; see [`client_for`].
    pub async fn client(&self) -> Result<Client> {
        client_for(&self.kubeconfig()).await
    }

    /// `https://127.0.0.1:PORT`, the same for the cluster's whole life.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority of the API server.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The file of a program of this cluster's versions.
    pub fn binary(&self, binary: Binary) -> PathBuf {
        self.assets.path(binary)
    }

    /// Runs kubectl as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_as(&self.kubeconfig()).run(args).await
    }

    /// `kubectl apply -f -` as the administrator.
    pub async fn apply(&self, manifest: &str) -> Result<String> {
        self.kubectl_as(&self.kubeconfig()).run_with_input(&["apply", "-f", "-"], manifest).await
    }

    /// Applies the file of a `CustomResourceDefinition`, and waits until its kind is served: a moment after it is established.
    pub async fn install_kind<K>(&self, file: &str) -> Result<()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.kubectl(&["apply", "-f", file]).await?;
        let objects = Api::<K>::all(self.client().await?);
        self.apiserver
            .ready(START_LIMIT, async || Ok(objects.list(&ListParams::default()).await.map(drop)?))
            .await
            .with_context(|| format!("objects of the kind {}", K::kind(&())))
    }

    /// kubectl with the identity of another kubeconfig.
    pub fn kubectl_as(&self, kubeconfig: &Path) -> Tool {
        Tool::new(Binary::Kubectl, &self.assets, kubeconfig, &self.host.folder)
    }

    /// Runs helm as the administrator.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        Tool::new(Binary::Helm, &self.assets, &self.kubeconfig(), &self.host.folder).run(args).await
    }

    /// One of other programs, run as the administrator.
    pub fn tool(&self, assets: &Assets, binary: Binary) -> Tool {
        Tool::new(binary, assets, &self.kubeconfig(), &self.host.folder)
    }

    pub fn etcd(&self) -> &Process {
        &self.etcd
    }

    pub fn apiserver(&self) -> &Process {
        &self.apiserver
    }

    pub fn controller_manager(&self) -> &Process {
        &self.controller_manager
    }

    /// Makes a namespace with a name that nobody has, `prefix-xxxxx`, and waits for its default `ServiceAccount`.
    pub async fn create_namespace(&self, prefix: &str) -> Result<String> {
        let client = self.client().await?;
        let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespace = Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        let name = namespace.metadata.name.context("the API server made a namespace without a name")?;
        let accounts = Api::<ServiceAccount>::namespaced(client, &name);
        self.controller_manager
            .ready(START_LIMIT, async || Ok(accounts.get("default").await.map(drop)?))
            .await
            .with_context(|| format!("the default ServiceAccount of namespace {name}"))?;
        Ok(name)
    }

    /// A kubeconfig file with a token of a `ServiceAccount`, good for a day, and no other identity in it.
    pub async fn token_kubeconfig(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let token = self.host.token(namespace, service_account).await?;
        let path = self.host.folder.join("kubeconfigs").join(format!("{namespace}.{service_account}"));
        self.host.endpoint.write_kubeconfig(&path, namespace, &json!({ "token": token }))?;
        Ok(path)
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

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in [&self.controller_manager, &self.apiserver, &self.etcd] {
            // What does not end is left to the keeper.
            let _ = process.shut_down(Duration::from_secs(5));
        }
    }
}

async fn start_etcd(assets: &Assets, folder: &Folder) -> Result<Process> {
    let socket = folder.join("etcd.sock");
    let nobody = "http://127.0.0.1:1"; // a unix socket cannot be advertised, and nobody asks
    let listen = format!("unix://{}", socket.display());
    let args = [
        format!("--data-dir={}", folder.join("etcd").display()),
        "--unsafe-no-fsync".to_owned(),
        // Some tests write a lot, and what was overwritten stays until it is compacted.
        format!("--quota-backend-bytes={}", 8_u64 << 30),
        "--log-level=warn".to_owned(),
        "--heartbeat-interval=10".to_owned(),
        "--election-timeout=100".to_owned(),
        format!("--listen-client-urls={listen}"),
        format!("--advertise-client-urls={nobody}"),
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        format!("--initial-advertise-peer-urls={nobody}"),
        format!("--initial-cluster=default={nobody}"),
    ];
    let etcd = launch(assets, folder, Binary::Etcd, &args)?;
    etcd.ready(START_LIMIT, async || Ok(UnixStream::connect(&socket).map(drop)?)).await?;
    Ok(etcd)
}

/// Returns the server and its URL, on a port that was free.
async fn start_apiserver(
    assets: &Assets,
    folder: &Folder,
    keys: &keys::Keys,
    flags: &[String],
) -> Result<(Process, String)> {
    for _ in 0..5 {
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let args = [&apiserver_args(folder, port)[..], flags].concat();
        let apiserver = launch(assets, folder, Binary::KubeApiserver, &args)?;
        match wait_for_apiserver(&apiserver, &url, &keys.ca_pem, START_LIMIT).await {
            Ok(()) => return Ok((apiserver, url)),
            Err(_) if apiserver.logs().contains("address already in use") => {}
            Err(error) => return Err(error),
        }
    }
    bail!("kube-apiserver found its port taken five times in a row")
}

fn apiserver_args(folder: &Folder, port: u16) -> Vec<String> {
    let file = |name| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=unix://{}", file("etcd.sock")),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", file(keys::SERVER_CERT)),
        format!("--tls-private-key-file={}", file(keys::SERVER_KEY)),
        format!("--token-auth-file={}", file(keys::TOKENS)),
        "--authorization-mode=RBAC".to_owned(),
        // As OpenShift has it: whoever changes the owners of an object needs the permission to delete it.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", file(keys::SERVICE_ACCOUNT_KEY)),
        format!("--service-account-key-file={}", file(keys::SERVICE_ACCOUNT_PUBLIC_KEY)),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // Else SIGTERM takes 60 s while a watch is open.
        "--shutdown-watch-termination-grace-period=1s".to_owned(),
    ]
}

async fn wait_for_apiserver(apiserver: &Process, url: &str, ca_pem: &str, within: Duration) -> Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(ca_pem.as_bytes())?])
        .build()?;
    let probe = async || {
        let answer = http.get(format!("{url}/readyz")).send().await?;
        ensure!(answer.status().is_success(), "/readyz says {}: {}", answer.status(), answer.text().await?);
        Ok(())
    };
    apiserver.ready(within, probe).await
}

async fn start_controller_manager(assets: &Assets, folder: &Folder) -> Result<Process> {
    let args = [
        format!("--kubeconfig={}", folder.kubeconfig().display()),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        // As in a real cluster, so that policies see the controllers by their names.
        "--use-service-account-credentials".to_owned(),
        format!("--root-ca-file={}", folder.join(keys::CA_CERT).display()),
        format!("--service-account-private-key-file={}", folder.join(keys::SERVICE_ACCOUNT_KEY).display()),
        format!("--controllers={CONTROLLERS}"),
    ];
    let controller_manager = launch(assets, folder, Binary::KubeControllerManager, &args)?;
    let client = client_for(&folder.kubeconfig()).await?;
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    let config_maps = Api::<ConfigMap>::namespaced(client, "default");
    let probe = async || {
        accounts.get("default").await?;
        config_maps.get("kube-root-ca.crt").await?;
        Ok(())
    };
    controller_manager.ready(START_LIMIT, probe).await?;
    Ok(controller_manager)
}

fn launch(assets: &Assets, folder: &Folder, binary: Binary, args: &[String]) -> Result<Process> {
    let process = Process::new(folder, binary.file_name(), &assets.path(binary), args, [("", ""); 0])?;
    process.start()?;
    Ok(process)
}
