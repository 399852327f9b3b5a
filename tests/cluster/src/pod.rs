//! A stand-in for the kubelet: runs the container of a Deployment as a local process.

mod job;
mod rewrite;
mod template;
mod values;
mod volumes;

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::ops::Deref;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use reqwest::redirect::Policy;
use serde_json::json;

pub use self::job::FinishedJob;
use self::rewrite::Rewrite;
use self::template::{Health, Template};
use self::values::Values;
use self::volumes::Volumes;
use crate::client::client_for;
use crate::cluster::START_LIMIT;
use crate::folder::write_private;
use crate::host::Host;
use crate::ports::free_port;
use crate::process::Process;

/// A Deployment that is about to run; see [`DeploymentRun::start`].
#[derive(Debug)]
pub struct DeploymentRun<'a> {
    host: &'a Host,
    namespace: &'a str,
    name: &'a str,
    binary: &'a Path,
    overrides: Vec<(String, String)>,
}

impl<'a> DeploymentRun<'a> {
    pub(crate) fn new(host: &'a Host, namespace: &'a str, name: &'a str, binary: &'a Path) -> Self {
        Self { host, namespace, name, binary, overrides: Vec::new() }
    }

    /// Sets a variable of the process, whatever the template says. The value is taken as it is.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.overrides.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads the Deployment from the API server and runs the binary as its container would run:
    /// - `command` (but its first word, which is the binary), `args` and `env` as the template says;
    /// - secret, configMap and emptyDir volumes as files in a folder of its own, which stands for the
    ///   `mountPath` wherever that occurs in an argument or a variable;
    /// - each container port as a free port on 127.0.0.1, replaced in the same places;
    /// - the `ServiceAccount` as a kubeconfig with a token file, named by `KUBECONFIG`, as the place of the
    ///   in-cluster files is fixed and not ours to write.
    ///
    /// Of this process's environment it sees `PATH` alone. What a template asks for beyond this is an error.
    pub async fn start(self) -> Result<RunningPod> {
        let what = format!("running Deployment {}/{}", self.namespace, self.name);
        Box::pin(self.try_start()).await.context(what)
    }

    async fn try_start(self) -> Result<RunningPod> {
        let Self { host, namespace, name, binary, overrides } = self;
        let deployment = Api::<Deployment>::namespaced(host.client().await?, namespace).get(name).await?;
        let template = Template::of(deployment.spec.context("it has no spec")?.template)?;

        let pods = host.folder.join("pods");
        let home =
            tempfile::Builder::new().prefix(&format!("{name}-")).rand_bytes(5).tempdir_in(pods)?.keep();
        let Container { process, volumes, ports } =
            Container::prepare(host, namespace, &template, &home, binary, overrides).await?;
        process.start()?;
        let health = template.health(&ports)?;
        Ok(RunningPod { namespace: namespace.to_owned(), admin: host.kubeconfig(), process, volumes, health })
    }
}

/// The folder of a Pod that has a name already.
fn make_home(host: &Host, pod: &str) -> Result<PathBuf> {
    let home = host.folder.join("pods").join(pod);
    fs::create_dir(&home).with_context(|| format!("making {}", home.display()))?;
    Ok(home)
}

/// A container as a local process that does not run yet.
struct Container {
    process: Process,
    volumes: Volumes,
    /// By `containerPort`.
    ports: BTreeMap<u16, u16>,
}

impl Container {
    /// The Pod is named like the folder `home`.
    async fn prepare(
        host: &Host,
        namespace: &str,
        template: &Template,
        home: &Path,
        binary: &Path,
        overrides: Vec<(String, String)>,
    ) -> Result<Self> {
        let pod = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let volumes = Volumes::new(template, home)?;
        let values = Values::new(host.client().await?, namespace);
        volumes.write(&values).await?;
        let ports = template.ports().map(|port| Ok((port, free_port()?))).collect::<Result<_>>()?;
        let rewrite = Rewrite { mounts: volumes.mounts(), ports };

        let mut env = template.env(&values, &pod).await?;
        let args: Vec<String> = template.args(&env).iter().map(|arg| rewrite.apply(arg)).collect();
        for value in env.values_mut() {
            *value = rewrite.apply(value);
        }
        env.insert("HOME".to_owned(), home.display().to_string());
        if template.mounts_token(&values).await? {
            let kubeconfig = write_identity(host, namespace, template.service_account(), home).await?;
            env.insert("KUBECONFIG".to_owned(), kubeconfig.display().to_string());
        }
        env.extend(overrides);

        let process = Process::new(&host.folder, &pod, &path::absolute(binary)?, args, env)?;
        Ok(Self { process, volumes, ports: rewrite.ports })
    }
}

/// A kubeconfig of the `ServiceAccount`, its token in a file beside it, as the kubelet mounts one.
async fn write_identity(host: &Host, namespace: &str, account: &str, home: &Path) -> Result<PathBuf> {
    let (token, kubeconfig) = (home.join("token"), home.join("kubeconfig"));
    write_private(&token, host.token(namespace, account).await?)?;
    host.endpoint.write_kubeconfig(&kubeconfig, namespace, &json!({ "tokenFile": token }))?;
    Ok(kubeconfig)
}

/// The container of a Deployment as a local process. Dropping it kills it, as does the end of the cluster.
#[derive(Debug)]
pub struct RunningPod {
    namespace: String,
    admin: PathBuf,
    process: Process,
    volumes: Volumes,
    health: Option<Health>,
}

impl RunningPod {
    /// The pod's name, as `metadata.name` gives it to the container.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `http://127.0.0.1:PORT`, where the template's readiness probe asks.
    pub fn url(&self) -> Result<&str> {
        Ok(&self.health()?.url)
    }

    /// Waits until the path of the readiness probe answers 200 to 399; an error if the process ends, or after
    /// `within`.
    pub async fn wait_ready(&self, within: Duration) -> Result<()> {
        let Health { url, path } = self.health()?;
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build()?;
        let probe = async || {
            let status = http.get(format!("{url}{path}")).send().await?.status();
            ensure!(status.is_success() || status.is_redirection(), "{path} says {status}");
            Ok(())
        };
        self.process.ready(within, probe).await
    }

    /// Brings the files of secret and configMap volumes up to date, all at once, as the kubelet does within
    /// about a minute.
    pub async fn refresh_volumes(&self) -> Result<()> {
        let client = client_for(&self.admin).await?;
        self.volumes.write(&Values::new(client, &self.namespace)).await
    }

    /// Leaves it running when dropped; it ends with the cluster. For a cluster that is kept.
    pub fn keep(self) {
        mem::forget(self);
    }

    fn health(&self) -> Result<&Health> {
        self.health.as_ref().context("the Deployment has no readinessProbe with httpGet")
    }
}

/// To kill it, restart it, send it signals and read its logs.
impl Deref for RunningPod {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
