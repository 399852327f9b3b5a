//! The command line. Every flag is also an environment variable.

use std::env;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::http::Uri;
use clap::{ArgAction, Args, Parser, Subcommand};
use futures::future::{Either, select};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::check;
use crate::controller::{Clients, Settings, run};
use crate::credentials::{CredentialCopies, OwnCredentials};
use crate::decision::{GateSettings, Timing};
use crate::lease::{Announced, LeaseSettings, LeaseTiming, PodIdentity};
use crate::server::{self, LogFormat, Traces};
use crate::uninstall;
use crate::zenlayer::{self, ApiVersion, Endpoint, InsecureEndpoint, Proxy, Rate, Timeouts, Transport};

/// Destroys a Zenlayer SDN port when its ZenlayerPort object is deleted.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the operator (the default).
    Run,
    /// Print the CustomResourceDefinition.
    Crd,
    /// Check whether the operator can do its work in this cluster: the CustomResourceDefinition, its permissions, its own key,
    /// and whether Zenlayer answers. Takes the same flags as `run`, and changes nothing. `helm test` runs it.
    ///
    /// Exit status: 0 if the operator can do its work, also with warnings; 1 if it cannot, or if the check itself failed; 2 if a
    /// flag is wrong.
    Check,
    /// List the ZenlayerPorts that have the operator's finalizer; exit with an error if there are any. Looks in
    /// --watch-namespaces, or in all namespaces. If there are none, delete the operator's copies of credentials.
    CheckUninstall {
        /// The command that repairs the Helm release after a refusal.
        #[arg(long, hide = true, value_name = "COMMAND")]
        repair_command: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Run {
    /// URL of Zenlayer's API.
    #[arg(long, env, global = true, default_value = "https://console.zenlayer.com")]
    zenlayer_endpoint: String,

    /// The HTTP proxy to Zenlayer, such as http://proxy.example.com:3128. Without it, HTTPS_PROXY and NO_PROXY are used.
    #[arg(long, env, global = true, hide_env_values = true, value_name = "URL")]
    zenlayer_proxy: Option<String>,

    /// Version of Zenlayer's API, sent as X-ZC-Version.
    #[arg(long, env, global = true, default_value = "2023-08-30")]
    zenlayer_api_version: ApiVersion,

    /// The most requests per second to Zenlayer, for each key.
    #[arg(long, env, global = true, default_value = "10")]
    requests_per_second: Rate,

    /// Allow plain HTTP to an endpoint that is not localhost.
    #[arg(long, env, global = true, action = ArgAction::SetTrue)]
    allow_insecure_endpoint: bool,

    /// The operator's own key: a directory with the files accessKeyId and accessKeyPassword, or token.
    #[arg(long, env, global = true, requires = "credentials_namespaces")]
    credentials_dir: Option<PathBuf>,

    /// The namespaces whose ZenlayerPorts may use the operator's own key, separated by commas.
    #[arg(long, env, global = true, value_delimiter = ',', value_name = "NAMESPACE")]
    credentials_namespaces: Vec<String>,

    /// The Secret in the operator's own namespace that holds these files. No object may name it.
    #[arg(long, env, global = true, value_name = "NAME")]
    credentials_secret: Option<String>,

    /// Keep a copy of each Secret in use in the operator's own namespace. With the copy, the operator can destroy the ports
    /// of a namespace that is deleted together with its Secrets.
    #[arg(long, env, global = true, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    credentials_keep_copies: bool,

    /// The namespaces to watch, separated by commas. Empty: all.
    #[arg(long, env, global = true, value_delimiter = ',', value_name = "NAMESPACE")]
    watch_namespaces: Vec<String>,

    /// How often to check the status of a port whose object is being deleted, such as 10s. While ports are being destroyed, the
    /// operator checks up to four times as often, or once a minute, as it has learnt from the ports of the same key.
    #[arg(long, env, global = true, default_value = "10s", value_parser = interval)]
    poll_interval: Duration,

    /// How often to check the status of every other port, such as 5m.
    #[arg(long, env, global = true, default_value = "5m", value_parser = interval)]
    resync_interval: Duration,

    /// How long to wait after the deletion of an object before the first call that changes its port, such as 10s.
    #[arg(long, env, global = true, default_value = "10s", value_parser = duration)]
    deletion_grace: Duration,

    /// If more objects with the same key than this are being deleted, pause all of them until a person approves each one.
    /// Deletions of the last ten minutes count too. 0: never.
    #[arg(long, env, global = true, default_value = "20")]
    mass_deletion_threshold: u32,

    /// Change no port before a person has approved it.
    #[arg(long, env, global = true, action = ArgAction::SetTrue)]
    require_approval: bool,

    /// The address that serves /livez, /readyz and /metrics. The default is IPv6 and IPv4.
    #[arg(long, env, global = true, default_value = "[::]:8080")]
    listen: SocketAddr,

    /// The format of the log.
    #[arg(long, env, global = true, value_enum, default_value = "json")]
    log_format: LogFormat,

    /// What to log: error, warn, info, debug or trace, or a list of module=level.
    #[arg(long, env, global = true, default_value = "info")]
    log_level: String,

    /// Send traces of deletions to this OpenTelemetry collector, by OTLP over HTTP: its URL without /v1/traces, such as
    /// http://collector.observability.svc:4318. Empty: send none.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        global = true,
        hide_env_values = true,
        value_name = "URL"
    )]
    otlp_endpoint: Option<String>,

    /// Multiplies every fixed duration. For tests; works only with an endpoint on localhost.
    #[arg(long, env, global = true, hide = true, default_value_t = 1.0)]
    time_scale: f64,

    /// The Lease that decides which replica works.
    #[arg(long, env, global = true, hide = true, default_value = "zenlayer-port-operator")]
    lease_name: String,

    /// The name of the Pod, for Events and the Lease.
    #[arg(long, env, global = true, hide = true)]
    pod_name: Option<String>,

    /// The uid of the Pod. While this replica leads, the Pod owns the Lease.
    #[arg(long, env, global = true, hide = true, requires = "pod_name")]
    pod_uid: Option<String>,

    /// The namespace of the Pod, for the Lease and the copies of Secrets.
    #[arg(long, env, global = true, hide = true)]
    pod_namespace: Option<String>,
}

impl Run {
    pub async fn run(self) -> anyhow::Result<()> {
        server::install_telemetry(self.log_format, &self.log_level)?;
        let endpoint = self.endpoint()?;
        let settings = self.settings(&endpoint)?;
        let proxy = self.proxy(&endpoint)?;
        let shown_proxy = proxy.as_ref().map_or("none".to_owned(), ToString::to_string);
        let transport = self.transport(endpoint, proxy)?;
        let listener = server::bind(self.listen)?;
        let clients = clients().await?;
        let traces = self.traces();

        let shutdown = CancellationToken::new();
        let signal = pin!(cancel_on_signal(shutdown.clone())?);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            endpoint = self.zenlayer_endpoint,
            proxy = shown_proxy,
            watched = if self.watch_namespaces.is_empty() {
                "all namespaces".to_owned()
            } else {
                self.watch_namespaces.join(", ")
            },
            "zenlayer-port-operator starts",
        );
        match select(pin!(run(settings, clients, transport, listener, shutdown)), signal).await {
            Either::Left((ended, _)) => ended?,
            Either::Right(((), running)) => running.await?,
        }
        // After a failure, the process ends at once.
        traces.flush().await;
        tracing::info!("zenlayer-port-operator has stopped");
        Ok(())
    }

    pub async fn check(self) -> anyhow::Result<()> {
        let endpoint = self.endpoint()?;
        let settings = self.settings(&endpoint)?;
        let proxy = self.proxy(&endpoint)?;
        let transport = self.transport(endpoint, proxy)?;
        let client = clients().await?.request;
        let needs = check::Needs {
            watch_namespaces: settings.watch_namespaces,
            home: settings.lease.namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            lease: settings.lease.name,
            keeps_copies: settings.credential_copies == CredentialCopies::Keep,
        };
        let subject = check::Subject { needs, own_credentials: settings.own_credentials, transport };
        check::run(&client, &subject).await
    }

    pub async fn check_uninstall(self, repair_command: Option<&str>) -> anyhow::Result<()> {
        let client = clients().await?.request;
        uninstall::check(&client, &self.watch_namespaces, repair_command).await?;
        if self.credentials_keep_copies {
            uninstall::delete_copies(&client, self.pod_namespace.as_deref()).await;
        }
        Ok(())
    }

    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let insecure =
            if self.allow_insecure_endpoint { InsecureEndpoint::Allow } else { InsecureEndpoint::Refuse };
        Endpoint::parse(&self.zenlayer_endpoint, insecure).context("--zenlayer-endpoint")
    }

    fn proxy(&self, endpoint: &Endpoint) -> anyhow::Result<Option<Proxy>> {
        let proxy = match self.zenlayer_proxy.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => Some(Proxy::parse(url).context("--zenlayer-proxy")?),
            None => Proxy::from_environment(|name| env::var(name).ok())?,
        };
        let serves = endpoint.is_encrypted();
        ensure!(serves || self.zenlayer_proxy.is_none(), "--zenlayer-proxy needs an https:// endpoint");
        Ok(proxy.filter(|_| serves))
    }

    fn traces(&self) -> Traces {
        let pod = [
            ("k8s.pod.name", &self.pod_name),
            ("k8s.pod.uid", &self.pod_uid),
            ("k8s.namespace.name", &self.pod_namespace),
        ];
        let pod: Vec<_> = pod.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect();
        Traces::start(self.otlp_endpoint.as_deref(), &pod, |name| env::var(name).ok())
    }

    fn transport(&self, endpoint: Endpoint, proxy: Option<Proxy>) -> anyhow::Result<Transport> {
        let settings = zenlayer::Settings {
            endpoint,
            proxy,
            api_version: self.zenlayer_api_version.clone(),
            requests_per_second: self.requests_per_second,
            timeouts: Timeouts::default(),
        };
        Ok(Transport::new(settings)?)
    }

    fn settings(&self, endpoint: &Endpoint) -> anyhow::Result<Settings> {
        let own_credentials = match &self.credentials_dir {
            None => None,
            Some(directory) => {
                let namespaces = self.credentials_namespaces.iter().cloned();
                Some(OwnCredentials::new(directory.clone(), namespaces, self.credentials_secret.clone())?)
            }
        };
        ensure!(
            self.resync_interval >= self.poll_interval,
            "--resync-interval ({:?}) must not be shorter than --poll-interval ({:?})",
            self.resync_interval,
            self.poll_interval
        );
        Ok(Settings {
            watch_namespaces: self.watch_namespaces.clone(),
            own_credentials,
            credential_copies: if self.credentials_keep_copies {
                CredentialCopies::Keep
            } else {
                CredentialCopies::None
            },
            timing: self.timing(endpoint)?,
            gates: GateSettings {
                mass_deletion_threshold: NonZeroU32::new(self.mass_deletion_threshold),
                require_approval: self.require_approval,
            },
            lease: LeaseSettings {
                namespace: self.pod_namespace.clone(),
                name: self.lease_name.clone(),
                timing: LeaseTiming::default().scaled(self.time_scale),
                pod: self
                    .pod_name
                    .clone()
                    .zip(self.pod_uid.clone())
                    .map(|(name, uid)| PodIdentity { name, uid }),
                announced: Announced {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    mass_deletion_threshold: self.mass_deletion_threshold,
                    require_approval: self.require_approval,
                    watch_namespaces: self.watch_namespaces.clone(),
                },
            },
            instance: self.pod_name.clone(),
        })
    }

    fn timing(&self, endpoint: &Endpoint) -> anyhow::Result<Timing> {
        let timing = Timing {
            release_interval: self.poll_interval,
            held_interval: Timing::default().held_interval.clamp(self.poll_interval, self.resync_interval),
            slow_interval: self.resync_interval,
            grace: self.deletion_grace,
            ..Timing::default()
        };
        if (self.time_scale - 1.0).abs() < f64::EPSILON {
            return Ok(timing);
        }
        if !endpoint.is_loopback() {
            bail!("--time-scale is for tests; it works only with an endpoint on localhost (loopback)");
        }
        ensure!((0.001..=1.0).contains(&self.time_scale), "--time-scale must be from 0.001 to 1");
        Ok(timing.scaled(self.time_scale))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let malformed = |_| format!("{text:?} is not a duration; write it like 10s, 5m or 1h");
    let parsed: SignedDuration = text.parse().map_err(malformed)?;
    let duration = Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())?;
    if duration <= Duration::from_hours(24) { Ok(duration) } else { Err("at most 24h".to_owned()) }
}

fn interval(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration >= Duration::from_secs(1) { Ok(duration) } else { Err("at least 1s".to_owned()) }
}

async fn clients() -> anyhow::Result<Clients> {
    let mut config =
        kube::Config::infer().await.context("cannot find out which Kubernetes API server to use")?;
    // kube takes up HTTPS_PROXY outside of a cluster. It is for Zenlayer only.
    config.proxy_url = config.proxy_url.filter(|url| !is_proxy_of_environment(url));
    Ok(Clients::new(config)?)
}

/// Whether kube has this proxy from the environment, not from the kubeconfig.
fn is_proxy_of_environment(url: &Uri) -> bool {
    let variables = ["HTTPS_PROXY", "https_proxy"].into_iter().filter_map(|name| env::var(name).ok());
    variables.filter_map(|value| value.parse::<Uri>().ok()).any(|proxy| proxy == *url)
}

/// Cancels `shutdown` on SIGTERM or Ctrl-C.
fn cancel_on_signal(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(
            "shutting down: the operator starts nothing new and waits for the answers to the requests that it has \
             sent"
        );
        shutdown.cancel();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(args: &[&str]) -> anyhow::Result<Timing> {
        let cli = Cli::try_parse_from([&["zenlayer-port-operator"], args].concat())?;
        Ok(cli.run.settings(&cli.run.endpoint()?)?.timing)
    }

    #[test]
    fn the_time_scale_is_refused_beyond_loopback() {
        let scaled =
            timing(&["--time-scale=0.1", "--zenlayer-endpoint=http://127.0.0.1:1"]).expect("loopback");
        assert_eq!(scaled.settle, Duration::from_secs(6));
        let refused = timing(&["--time-scale=0.1"]).expect_err("the real endpoint");
        assert!(refused.to_string().contains("loopback"), "{refused}");
    }

    #[test]
    fn plain_http_beyond_loopback_must_be_asked_for() {
        let endpoint = "--zenlayer-endpoint=http://zenlayer.example";
        timing(&[endpoint]).expect_err("plain HTTP");
        timing(&[endpoint, "--allow-insecure-endpoint"]).expect("asked for");
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("1h"), Ok(Duration::from_hours(1)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["", "10", "-1s", "1y", "25h", "soon"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert!(interval("0s").is_err());
    }

    #[test]
    fn own_credentials_need_the_namespaces_that_they_serve() {
        timing(&["--credentials-dir=/etc/zenlayer"]).expect_err("no namespaces");
        timing(&["--credentials-dir=/etc/zenlayer", "--credentials-namespaces=a,b"]).expect("both");
    }

    #[test]
    fn many_deletions_at_once_are_held_unless_the_threshold_is_zero() {
        let threshold = |args: &[&str]| {
            let cli = Cli::try_parse_from([&["zenlayer-port-operator"], args].concat()).expect("valid flags");
            let settings = cli.run.settings(&cli.run.endpoint().expect("an endpoint")).expect("settings");
            settings.gates.mass_deletion_threshold.map(NonZeroU32::get)
        };
        assert_eq!(threshold(&[]), Some(20));
        assert_eq!(threshold(&["--mass-deletion-threshold=3"]), Some(3));
        assert_eq!(threshold(&["--mass-deletion-threshold=0"]), None);
    }

    #[test]
    fn a_later_flag_overrides_an_earlier_one() {
        let grace = timing(&["run", "--deletion-grace=10s", "--deletion-grace=1m"]).expect("twice").grace;
        assert_eq!(grace, Duration::from_mins(1));
    }
}
