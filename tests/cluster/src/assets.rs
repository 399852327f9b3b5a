//! The binaries of the control plane: found, or built once.

mod build;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// A program that the cluster, its tests or the demo need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Etcd,
    Etcdctl,
    Etcdutl,
    KubeApiserver,
    KubeControllerManager,
    Kubectl,
    Helm,
    Promtool,
    Prometheus,
    GitopsHealth,
    Crane,
    Krew,
    Cosign,
    Kubeconform,
    KubeScore,
}

/// Programs that are found, or built, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Cluster,
    /// Only a few tests need it, and the task that records screens.
    Prometheus,
    /// Only one test needs it.
    GitOps,
    /// Only one test needs it.
    Release,
    /// What looks at manifests, with the OpenAPI documents that it needs.
    Lint,
}

impl Set {
    fn binaries(self) -> &'static [Binary] {
        match self {
            Self::Cluster => &Binary::OF_CLUSTER,
            Self::Prometheus => &[Binary::Prometheus, Binary::Promtool],
            Self::GitOps => &[Binary::GitopsHealth],
            Self::Release => &[Binary::Crane, Binary::Krew, Binary::Cosign],
            Self::Lint => &[Binary::Kubeconform, Binary::KubeScore],
        }
    }

    fn names(self) -> Vec<&'static str> {
        self.binaries().iter().map(|binary| binary.file_name()).collect()
    }

    fn missing_from(self, folder: &Path) -> Vec<&'static str> {
        let documents = (self == Self::Lint).then_some(build::OPENAPI_FOLDER);
        self.names().into_iter().chain(documents).filter(|name| !folder.join(name).exists()).collect()
    }

    /// What a build takes that finds nothing in Go's own caches.
    fn time_to_build(self) -> Duration {
        Duration::from_mins(match self {
            Self::Cluster => 7,
            Self::Prometheus => 5,
            Self::GitOps | Self::Lint => 1,
            Self::Release => 4,
        })
    }
}

impl Binary {
    const OF_CLUSTER: [Self; 7] = [
        Self::Etcd,
        Self::Etcdctl,
        Self::Etcdutl,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::Kubectl,
        Self::Helm,
    ];

    /// The name of its file, as in `KUBEBUILDER_ASSETS`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Etcdctl => "etcdctl",
            Self::Etcdutl => "etcdutl",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Promtool => "promtool",
            Self::Prometheus => "prometheus",
            Self::GitopsHealth => "gitops-health",
            Self::Crane => "crane",
            Self::Krew => "krew",
            Self::Cosign => "cosign",
            Self::Kubeconform => "kubeconform",
            Self::KubeScore => "kube-score",
        }
    }
}

/// A folder that holds every [`Binary`] of the cluster.
///
/// It is the first of these that is complete:
/// 1. `$KUBEBUILDER_ASSETS`;
/// 2. the cache, in `$ZENLAYER_TEST_CLUSTER_CACHE`, else `$XDG_CACHE_HOME/zenlayer-port-operator`, else
///    `~/.cache/zenlayer-port-operator`: one folder (about 390 MB) for each state of the Go modules under
///    `tools/`, which may be deleted at any time that no cluster runs;
/// 3. the cache again, filled by the `go` found on `PATH`: about 7 min and 6 GB of Go's own caches once,
///    seconds if those are warm. Of several processes one builds and the others wait.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// Finds the binaries or builds them, with progress on stderr. Fails if there is no Go to build them with,
    /// or if the build fails.
    pub async fn find_or_build() -> Result<Self> {
        Ok(Self { folder: find_or_build(Set::Cluster).await? })
    }

    pub fn path(&self, binary: Binary) -> PathBuf {
        self.folder.join(binary.file_name())
    }
}

/// The path of promtool. It is found or built as the [`Assets`] are, in a folder of its own.
pub async fn promtool() -> Result<PathBuf> {
    Ok(prometheus().await?.path(Binary::Promtool))
}

/// A folder with Prometheus and promtool, found or built as the programs of the cluster are.
pub(crate) async fn prometheus() -> Result<Assets> {
    Ok(Assets { folder: find_or_build(Set::Prometheus).await? })
}

/// The path of the program that judges objects as GitOps tools do. It is found or built as the [`Assets`] are.
pub async fn gitops_health() -> Result<PathBuf> {
    Ok(find_or_build(Set::GitOps).await?.join(Binary::GitopsHealth.file_name()))
}

/// A folder with crane, Krew and cosign, found or built as the programs of the cluster are.
pub async fn release_tools() -> Result<Assets> {
    Ok(Assets { folder: find_or_build(Set::Release).await? })
}

/// Programs that look at manifests. They are found or built as the [`Assets`] are.
#[derive(Clone, Debug)]
pub struct Linters {
    folder: PathBuf,
}

impl Linters {
    pub async fn find_or_build() -> Result<Self> {
        Ok(Self { folder: find_or_build(Set::Lint).await? })
    }

    pub fn kubeconform(&self) -> PathBuf {
        self.folder.join(Binary::Kubeconform.file_name())
    }

    pub fn kube_score(&self) -> PathBuf {
        self.folder.join(Binary::KubeScore.file_name())
    }

    /// The OpenAPI document of a group and version (`apps/v1`, `v1`), as the oldest Kubernetes that the chart is for serves
    /// it; none, if that does not know them.
    pub fn openapi(&self, api_version: &str) -> Result<Option<String>> {
        let name = api_version.replace('/', "__");
        let name = if name == api_version { format!("api__{name}") } else { format!("apis__{name}") };
        let file = self.folder.join(build::OPENAPI_FOLDER).join(format!("{name}_openapi.json"));
        if !file.exists() {
            return Ok(None);
        }
        fs::read_to_string(&file).map(Some).with_context(|| file.display().to_string())
    }
}

async fn find_or_build(set: Set) -> Result<PathBuf> {
    match locate(set, |name| env::var_os(name))? {
        Source::Complete(folder) => Ok(folder),
        Source::ToBuild { folder, go } => {
            let _lock = lock(&folder).await?;
            if !set.missing_from(&folder).is_empty() {
                build::build(&go, set, &folder).await?;
            }
            Ok(folder)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Complete(PathBuf),
    ToBuild { folder: PathBuf, go: PathBuf },
}

/// Decides by the environment variables that `var` gives, and by what is in the folders they name.
fn locate(set: Set, var: impl Fn(&str) -> Option<OsString>) -> Result<Source> {
    let var = |name: &str| var(name).filter(|value| !value.is_empty());
    let folder_var = |name: &str| var(name).map(path::absolute).transpose();
    let mut assets = "is not set".to_owned();
    if let Some(folder) = folder_var("KUBEBUILDER_ASSETS")? {
        let missing = set.missing_from(&folder);
        if missing.is_empty() {
            return Ok(Source::Complete(folder));
        }
        assets = format!("is {}, which lacks {}", folder.display(), missing.join(", "));
    }

    let cache = match folder_var("ZENLAYER_TEST_CLUSTER_CACHE")? {
        Some(cache) => Some(cache),
        None => folder_var("XDG_CACHE_HOME")?
            .or(folder_var("HOME")?.map(|home| home.join(".cache")))
            .map(|base| base.join("zenlayer-port-operator")),
    };
    let folder = cache
        .context("no place for a cache: set ZENLAYER_TEST_CLUSTER_CACHE, XDG_CACHE_HOME or HOME")?
        .join(build::cache_key(set));
    if set.missing_from(&folder).is_empty() {
        return Ok(Source::Complete(folder));
    }

    let path = var("PATH").unwrap_or_default();
    if let Some(go) = env::split_paths(&path).map(|dir| dir.join("go")).find(|go| go.is_file()) {
        return Ok(Source::ToBuild { folder, go });
    }
    bail!(
        "The tests need {all}, and have no way to them: KUBEBUILDER_ASSETS {assets}, and there is no `go` \
         on PATH to build them. Do one of these:\n\
         - install Go {go} or later (https://go.dev/dl): the next run builds them into {cache}, \
         once, in {time};\n\
         - set KUBEBUILDER_ASSETS to a folder that holds all of them.",
        all = set.names().join(", "),
        time = build::about(set.time_to_build()),
        go = build::go_version(),
        cache = folder.display(),
    );
}

/// Keeps other processes from building into the cache that `folder` is in, until the file returned is closed.
async fn lock(folder: &Path) -> Result<File> {
    let cache = folder.parent().context("the cache has no parent folder")?;
    let file = fs::create_dir_all(cache)
        .and_then(|()| File::create(cache.join("lock")))
        .with_context(|| format!("the cache of the test cluster's binaries, {}", cache.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(error).context("locking the cache"),
        Err(TryLockError::WouldBlock) => {
            progress(format_args!("another process is building the binaries: waiting for it"));
            tokio::task::spawn_blocking(move || file.lock().map(|()| file))
                .await?
                .context("locking the cache")
        }
    }
}

/// Tells the user at once: unlike `eprintln!`, this is not kept back by the test harness.
fn progress(message: fmt::Arguments<'_>) {
    // With stderr closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "test-cluster: {message}");
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tempfile::TempDir;

    use super::*;

    fn locate_with(vars: &[(&str, &Path)]) -> Result<Source> {
        let vars: HashMap<&str, &Path> = vars.iter().copied().collect();
        locate(Set::Cluster, |name| vars.get(name).map(|path| path.as_os_str().to_owned()))
    }

    fn folder_with(names: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            File::create(folder.path().join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn complete_assets_are_used_as_they_are() {
        let assets = folder_with(&Set::Cluster.names());
        let found = locate_with(&[("KUBEBUILDER_ASSETS", assets.path())]).unwrap();
        assert_eq!(found, Source::Complete(assets.path().to_owned()));
    }

    #[test]
    fn incomplete_assets_are_passed_over_for_a_build() {
        let (assets, cache, bin) = (folder_with(&["etcd"]), folder_with(&[]), folder_with(&["go"]));
        let found = locate_with(&[
            ("KUBEBUILDER_ASSETS", assets.path()),
            ("ZENLAYER_TEST_CLUSTER_CACHE", cache.path()),
            ("PATH", bin.path()),
        ]);
        let folder = cache.path().join(build::cache_key(Set::Cluster));
        assert_eq!(found.unwrap(), Source::ToBuild { folder, go: bin.path().join("go") });
    }

    #[test]
    fn a_filled_cache_needs_no_go() {
        let home = folder_with(&[]);
        let folder = home.path().join(".cache/zenlayer-port-operator").join(build::cache_key(Set::Cluster));
        fs::create_dir_all(&folder).unwrap();
        for binary in Binary::OF_CLUSTER {
            File::create(folder.join(binary.file_name())).unwrap();
        }
        assert_eq!(locate_with(&[("HOME", home.path())]).unwrap(), Source::Complete(folder));
    }

    #[test]
    fn without_assets_and_go_the_error_names_both_ways() {
        let assets = folder_with(&["etcd", "kubectl", "kube-apiserver"]);
        let error =
            locate_with(&[("KUBEBUILDER_ASSETS", assets.path()), ("HOME", assets.path())]).unwrap_err();
        let error = error.to_string();
        for part in ["install Go 1.", "set KUBEBUILDER_ASSETS", "lacks etcdctl, etcdutl", ".cache/"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }
}
