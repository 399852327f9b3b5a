//! Building the binaries from the Go modules under `tools/`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest;
use tokio::process::Command;
use tokio::time;

use super::{Binary, Set, progress};
use crate::folder::{Folder, Keeper};

/// Kept apart because Helm wants a newer client-go than the version of Kubernetes that is pinned.
struct Module {
    name: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// Of the programs that are our own.
    source: &'static str,
}

macro_rules! module {
    ($name:literal) => {
        Module {
            name: $name,
            go_mod: include_str!(concat!("../../tools/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../../tools/", $name, "/go.sum")),
            source: "",
        }
    };
}

static K8S: Module = module!("k8s");
static ETCD: Module = module!("etcd");
static HELM: Module = module!("helm");
static PROMETHEUS: Module = module!("prometheus");
static RELEASE: Module = module!("release");
static KREW: Module = module!("krew");
static LINT: Module = module!("lint");
/// No program, but the source of the oldest Kubernetes that the chart is for.
static OLDEST_K8S: Module = module!("oldest-k8s");
static GITOPS: Module = Module { source: include_str!("../../tools/gitops/main.go"), ..module!("gitops") };

impl Module {
    /// The word after `name` in go.mod: the version of a module, or of Go itself.
    fn version_of(&self, name: &str) -> &'static str {
        let mut words = self.go_mod.split_whitespace();
        words.find(|word| *word == name);
        words.next().expect("go.mod pins what is built from it")
    }
}

/// One `go build`.
struct Step {
    module: &'static Module,
    binaries: &'static [Binary],
    packages: &'static [&'static str],
    /// Joined to the folder: ending in `/`, Go takes the file names from the packages.
    output: &'static str,
    tags: &'static str,
    /// Variables set in the binaries, as in `-ldflags -X`.
    stamps: Vec<String>,
    /// Its part of the time that the whole set takes, in percent.
    share: u32,
}

impl Step {
    fn ldflags(&self) -> String {
        self.stamps.iter().fold("-s -w".to_owned(), |flags, stamp| flags + " -X " + stamp)
    }
}

const GOFLAGS: &str = "-mod=readonly -trimpath -buildvcs=false";

/// In the folder of the linters.
pub(super) const OPENAPI_FOLDER: &str = "openapi";

fn steps(set: Set) -> Vec<Step> {
    match set {
        Set::Cluster => steps_of_cluster().into(),
        Set::Prometheus => vec![Step {
            module: &PROMETHEUS,
            binaries: &[Binary::Prometheus, Binary::Promtool],
            packages: &["tool"],
            output: "",
            // The tests name their targets; most of the build would be the service discovery of all clouds.
            tags: "remove_all_sd",
            stamps: vec![],
            share: 100,
        }],
        Set::Release => steps_of_release().into(),
        Set::Lint => vec![Step {
            module: &LINT,
            binaries: &[Binary::Kubeconform, Binary::KubeScore],
            packages: &["tool"],
            output: "",
            tags: "",
            stamps: vec![],
            share: 100,
        }],
        Set::GitOps => vec![Step {
            module: &GITOPS,
            binaries: &[Binary::GitopsHealth],
            packages: &["."],
            output: Binary::GitopsHealth.file_name(),
            tags: "",
            stamps: vec![],
            share: 100,
        }],
    }
}

fn steps_of_cluster() -> [Step; 4] {
    let kubernetes = K8S.version_of("k8s.io/kubernetes");
    let mut numbers = kubernetes.trim_start_matches('v').split('.');
    let [major, minor] = [(); 2].map(|()| numbers.next().unwrap_or_default());
    // Not cosmetic: without it kubectl cannot parse the server's version, and Helm refuses a chart that has
    // a `kubeVersion`.
    let stamps = [
        format!("gitVersion={kubernetes}"),
        format!("gitMajor={major}"),
        format!("gitMinor={minor}"),
        "gitTreeState=clean".to_owned(),
        "buildDate=1970-01-01T00:00:00Z".to_owned(),
    ];
    [
        Step {
            module: &ETCD,
            binaries: &[Binary::Etcd],
            packages: &["go.etcd.io/etcd/server/v3"],
            output: "etcd", // by its package it would be "server"
            tags: "",
            stamps: vec![],
            share: 15,
        },
        Step {
            module: &ETCD,
            binaries: &[Binary::Etcdctl, Binary::Etcdutl],
            packages: &["go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3"],
            output: "",
            tags: "",
            stamps: vec![],
            share: 5,
        },
        Step {
            module: &HELM,
            binaries: &[Binary::Helm],
            packages: &["helm.sh/helm/v4/cmd/helm"],
            output: "",
            tags: "",
            stamps: vec![format!(
                "helm.sh/helm/v4/internal/version.version={}",
                HELM.version_of("helm.sh/helm/v4")
            )],
            share: 25,
        },
        Step {
            module: &K8S,
            binaries: &[Binary::KubeApiserver, Binary::KubeControllerManager, Binary::Kubectl],
            packages: &["tool"],
            output: "",
            tags: "",
            stamps: stamps.map(|stamp| format!("k8s.io/component-base/version.{stamp}")).into(),
            share: 55,
        },
    ]
}

fn steps_of_release() -> [Step; 2] {
    let step = |module, binaries, packages, share| Step {
        module,
        binaries,
        packages,
        output: "",
        tags: "",
        stamps: vec![],
        share,
    };
    [
        step(
            &RELEASE,
            &[Binary::Crane, Binary::Cosign],
            &["github.com/google/go-containerregistry/cmd/crane", "github.com/sigstore/cosign/v3/cmd/cosign"],
            85,
        ),
        step(&KREW, &[Binary::Krew], &["sigs.k8s.io/krew/cmd/krew"], 15),
    ]
}

/// The oldest Go that builds the modules.
pub(super) fn go_version() -> &'static str {
    K8S.version_of("go")
}

/// A folder name that changes with whatever changes the binaries.
pub(super) fn cache_key(set: Set) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(GOFLAGS.as_bytes());
    for step in steps(set) {
        for part in [
            step.module.go_mod,
            step.module.go_sum,
            &step.packages.join(" "),
            &step.ldflags(),
            step.tags,
            step.module.source,
        ] {
            hash.update(part.as_bytes());
        }
    }
    if set == Set::Lint {
        hash.update(OLDEST_K8S.go_sum.as_bytes());
    }
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let (name, version) = match set {
        Set::Cluster => ("kubernetes", K8S.version_of("k8s.io/kubernetes")),
        Set::Prometheus => ("prometheus", PROMETHEUS.version_of("github.com/prometheus/prometheus")),
        Set::Release => ("release", RELEASE.version_of("github.com/sigstore/cosign/v3")),
        Set::GitOps => ("gitops", GITOPS.version_of("sigs.k8s.io/cli-utils")),
        Set::Lint => ("lint", LINT.version_of("github.com/zegl/kube-score")),
    };
    let mut key = format!("{name}-{version}-{os}-{arch}-");
    for byte in &hash.finish().as_ref()[..6] {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Builds every binary beside `folder`, then renames; a build that is killed, or whose caller is, leaves
/// nothing. The caller holds the lock.
pub(super) async fn build(go: &Path, set: Set, folder: &Path) -> Result<()> {
    let cache = folder.parent().context("the cache has no parent folder")?;
    let (_keeper, work) = Keeper::with_new_folder(cache, "unfinished-")?;
    let bin = work.join("bin");
    fs::create_dir(&bin)?;
    progress(format_args!(
        "building {} programs from Go modules into {}: once, {} unless Go has them cached",
        set.binaries().len(),
        folder.display(),
        about(set.time_to_build()),
    ));
    let mut share_left = 100;
    for step in steps(set) {
        run(go, &step, set.time_to_build() * share_left / 100, &work, &bin).await?;
        share_left -= step.share;
    }
    if set == Set::Lint {
        copy_openapi(go, &work, &bin.join(OPENAPI_FOLDER)).await?;
    }
    let missing = set.missing_from(&bin);
    ensure!(missing.is_empty(), "go build succeeded but made no {}", missing.join(", "));
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(bin, folder).context("moving the finished binaries into the cache")
}

/// Go, in the folder of a module.
fn go_in(module: &Module, go: &Path, work: &Folder) -> Command {
    let mut command = Command::from(work.command(go));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(module.name))
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", GOFLAGS)
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        // The binaries are to run here.
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::null());
    command
}

/// Copies the OpenAPI documents that are in the source of Kubernetes.
async fn copy_openapi(go: &Path, work: &Folder, target: &Path) -> Result<()> {
    let mut command = go_in(&OLDEST_K8S, go, work);
    let downloaded = command.args(["mod", "download", "-json", "k8s.io/kubernetes"]).output().await?;
    ensure!(downloaded.status.success(), "go mod download: {}", String::from_utf8_lossy(&downloaded.stderr));
    let downloaded: serde_json::Value = serde_json::from_slice(&downloaded.stdout)?;
    let source = downloaded["Dir"].as_str().context("go mod download names no folder")?;
    fs::create_dir(target)?;
    for document in fs::read_dir(Path::new(source).join("api/openapi-spec/v3"))? {
        let document = document?;
        fs::copy(document.path(), target.join(document.file_name()))?;
    }
    Ok(())
}

/// Whole minutes, as one says how long something takes.
pub(super) fn about(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        0 | 1 => "about a minute".to_owned(),
        minutes => format!("about {minutes} minutes"),
    }
}

/// `left`: what the builds that are left take, this one included.
async fn run(go: &Path, step: &Step, left: Duration, work: &Folder, bin: &Path) -> Result<()> {
    let names: Vec<_> = step.binaries.iter().map(|binary| binary.file_name()).collect();
    let names = names.join(", ");
    progress(format_args!("building {names}; {} left …", about(left)));
    let start = Instant::now();
    let mut child = go_in(step.module, go, work)
        .arg("build")
        .arg("-o")
        .arg(bin.join(step.output))
        .args(["-ldflags", &step.ldflags(), "-tags", step.tags])
        .args(step.packages)
        .spawn()
        .with_context(|| format!("starting {}", go.display()))?;
    let pid = child.id();
    let status = loop {
        if let Ok(status) = time::timeout(Duration::from_secs(30), child.wait()).await {
            break status?;
        }
        let elapsed = start.elapsed();
        let left = about(left.saturating_sub(elapsed));
        progress(format_args!("building {names}: {} s so far; {left} left", elapsed.as_secs()));
    };
    if let Some(pid) = pid {
        work.unregister(pid);
    }
    ensure!(
        status.success(),
        "building {names} from tests/cluster/tools/{}: go build ended with {status}; its reason is above. \
         (The modules need Go {} or later, and a module proxy within reach the first time.)",
        step.module.name,
        go_version()
    );
    progress(format_args!("built {names} in {} s", start.elapsed().as_secs()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_each_set_are_the_whole() {
        for set in [Set::Cluster, Set::Prometheus, Set::GitOps, Set::Lint, Set::Release] {
            let whole: u32 = steps(set).iter().map(|step| step.share).sum();
            assert_eq!(whole, 100, "{set:?}");
        }
    }

    #[test]
    fn a_time_is_told_in_whole_minutes() {
        let told = [0, 59, 61, 420].map(|seconds| about(Duration::from_secs(seconds)));
        assert_eq!(told, ["about a minute", "about a minute", "about 2 minutes", "about 7 minutes"]);
    }
}
