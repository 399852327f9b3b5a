//! Which cluster is meant: the kubeconfig, read as kubectl reads it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::cli::{Connection, quoted};
use super::report::with_flags;
use super::target::Target;
use super::trouble::Trouble;
use crate::text::sanitized;

/// What is to be read.
#[derive(Debug, PartialEq, Eq)]
enum Files {
    /// By `--kubeconfig`.
    Flag(PathBuf),
    /// By the variable KUBECONFIG.
    Variable(Vec<PathBuf>),
    /// Where kubectl looks otherwise.
    Usual(PathBuf),
}

impl Files {
    fn of(flag: Option<&Path>, variable: Option<&OsStr>, home: Option<PathBuf>) -> Self {
        if let Some(file) = flag {
            return Self::Flag(file.to_owned());
        }
        let named: Vec<PathBuf> = variable
            .map(|variable| {
                std::env::split_paths(variable).filter(|file| !file.as_os_str().is_empty()).collect()
            })
            .unwrap_or_default();
        if named.is_empty() {
            Self::Usual(home.unwrap_or_default().join(".kube").join("config"))
        } else {
            Self::Variable(named)
        }
    }

    fn all(&self) -> &[PathBuf] {
        match self {
            Self::Flag(file) | Self::Usual(file) => std::slice::from_ref(file),
            Self::Variable(files) => files,
        }
    }

    /// What the files hold that exist; none if none exists. kubectl passes over those of the variable that do not.
    fn read(&self) -> Result<Option<Kubeconfig>, Trouble> {
        let mut merged = None;
        for file in self.all().iter().filter(|file| file.exists()) {
            let read = Kubeconfig::read_from(file).map_err(|error| unreadable(&error, file))?;
            let whole = match merged {
                None => Ok(read),
                Some(before) => Kubeconfig::merge(before, read),
            };
            merged = Some(whole.map_err(|error| unreadable(&error, file))?);
        }
        Ok(merged)
    }

    fn missing(&self) -> Trouble {
        let files = self.to_string();
        match self {
            Self::Flag(_) => Trouble::new(format!("the kubeconfig {files} does not exist. Check the path after --kubeconfig."))
                .remedy(
                    "Without --kubeconfig, the plugin uses the file that kubectl uses. To see its contexts",
                    "kubectl config get-contexts",
                ),
            Self::Variable(_) => {
                Trouble::new(format!("the variable KUBECONFIG names {files}, which does not exist."))
                    .remedy("To use ~/.kube/config instead", "unset KUBECONFIG")
            }
            Self::Usual(_) => Trouble::new(format!(
                "there is no kubeconfig: {files} does not exist, and KUBECONFIG is not set. Whoever runs the cluster can give you \
                 a kubeconfig."
            ))
            .remedy("To use a file that is elsewhere", "export KUBECONFIG=FILE"),
        }
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.all().iter().map(|file| sanitized(&file.to_string_lossy())).collect();
        f.write_str(&names.join(" and "))
    }
}

/// How to reach the cluster that was asked for.
pub async fn load(connection: &Connection) -> Result<(Config, Target), Trouble> {
    let files = files(connection);
    let Some(kubeconfig) = files.read()? else { return in_pod(connection, &files) };
    let file_flag = connection.file_flag();
    let name = connection.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    let contexts: Vec<String> = kubeconfig.contexts.iter().map(|it| sanitized(&it.name)).collect();
    let options = KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
    let unusable = |error| unusable(&error, &name, &contexts, &files, &file_flag);
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)?;
    let target = Target {
        server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
        origin: Some(format!("context {}, kubeconfig {files}", sanitized(&name))),
        flags: connection.flags(),
        file_flag,
    };
    Ok((config, target))
}

/// The contexts to choose from; none if they cannot be read.
pub fn contexts(connection: &Connection) -> Vec<String> {
    let read = files(connection).read().ok().flatten();
    read.map(|it| it.contexts.into_iter().map(|context| context.name).collect()).unwrap_or_default()
}

fn files(connection: &Connection) -> Files {
    let variable = std::env::var_os("KUBECONFIG");
    Files::of(connection.kubeconfig.as_deref(), variable.as_deref(), std::env::home_dir())
}

/// Without any file, as in a Pod.
fn in_pod(connection: &Connection, files: &Files) -> Result<(Config, Target), Trouble> {
    let config = match files {
        Files::Usual(_) if connection.context.is_none() => {
            Config::incluster().map_err(|_| files.missing())?
        }
        _ => return Err(files.missing()),
    };
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    Ok((config, Target { server, flags: connection.flags(), ..Target::default() }))
}

fn unreadable(error: &KubeconfigError, file: &Path) -> Trouble {
    let name = sanitized(&file.to_string_lossy());
    let why = match error {
        KubeconfigError::ReadConfig(why, _) => sanitized(&why.to_string()),
        error => sanitized(&error.to_string()),
    };
    Trouble::new(format!("the kubeconfig {name} cannot be read: {why}.")).remedy(
        "To see what kubectl makes of it",
        format!("kubectl config view --kubeconfig {}", quoted(&file.to_string_lossy())),
    )
}

/// The files hold no such context, or an incomplete one.
fn unusable(error: &KubeconfigError, name: &str, contexts: &[String], files: &Files, flag: &str) -> Trouble {
    let has = match contexts {
        [] => "It has no context.".to_owned(),
        contexts => format!("It has: {}.", contexts.join(", ")),
    };
    let name = sanitized(name);
    let get = with_flags("kubectl config get-contexts", flag);
    let choose = with_flags("kubectl config use-context NAME", flag);
    match error {
        KubeconfigError::CurrentContextNotSet => Trouble::new(format!(
            "the kubeconfig {files} has no current context. {has} Name one with --context."
        ))
        .remedy("To choose one for all commands", choose),
        KubeconfigError::LoadContext(_) => Trouble::new(format!(
            "the kubeconfig {files} has no context {name:?}. {has} Name one with --context."
        ))
        .remedy("To see the contexts and their clusters", get)
        .remedy("To choose one for all commands", choose),
        KubeconfigError::LoadClusterOfContext(cluster) => Trouble::new(format!(
            "the context {name:?} names the cluster {:?}, which the kubeconfig {files} does not have.",
            sanitized(cluster)
        ))
        .remedy("To see the contexts and their clusters", get),
        error => Trouble::new(format!(
            "the context {name:?} of the kubeconfig {files} cannot be used: {}.",
            sanitized(&error.to_string())
        ))
        .remedy("To see what the kubeconfig says", with_flags("kubectl config view", flag)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kubeconfig: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), kubeconfig).expect("written");
        let name = file.path().display().to_string();
        (file, name)
    }

    async fn trouble(file: &Path, context: Option<&str>) -> String {
        let context = context.map(str::to_owned);
        let connection = Connection { kubeconfig: Some(file.to_owned()), context, ..Connection::default() };
        load(&connection).await.expect_err("no cluster").to_string()
    }

    const TWO: &str = "current-context: gone\ncontexts: [{name: dev, context: {cluster: a}}, {name: prod, context: {cluster: b}}]\n\
                       clusters: [{name: a, cluster: {server: 'http://a'}}]";

    #[tokio::test]
    async fn a_wrong_context_is_told_with_those_that_there_are() {
        let (file, name) = written(TWO);
        for (context, asked) in [(Some("prd"), "prd"), (None, "gone")] {
            let trouble = trouble(file.path(), context).await;
            let said = format!(
                "the kubeconfig {name} has no context \"{asked}\". It has: dev, prod. Name one with --context."
            );
            assert!(trouble.starts_with(&said), "{trouble}");
            assert!(
                trouble.contains(&format!("\n    kubectl config get-contexts --kubeconfig {name}")),
                "{trouble}"
            );
        }
        let trouble = trouble(file.path(), Some("prod")).await;
        assert!(
            trouble.starts_with("the context \"prod\" names the cluster \"b\", which the kubeconfig"),
            "{trouble}"
        );
    }

    #[tokio::test]
    async fn a_file_that_does_not_exist_or_cannot_be_read_is_named() {
        let (file, name) = written("{ no: [yaml");
        let broken = trouble(file.path(), None).await;
        assert!(broken.starts_with(&format!("the kubeconfig {name} cannot be read: ")), "{broken}");
        let missing = trouble(Path::new("/no/such/file"), None).await;
        assert!(missing.starts_with("the kubeconfig /no/such/file does not exist."), "{missing}");
        let (empty, _) = written("");
        let empty = trouble(empty.path(), None).await;
        assert!(empty.contains("has no current context. It has no context."), "{empty}");
    }

    #[test]
    fn files_are_looked_for_as_kubectl_does() {
        let home = || Some(PathBuf::from("home"));
        let flag = Files::of(Some(Path::new("f")), Some(OsStr::new("a:b")), home());
        assert_eq!(flag, Files::Flag("f".into()));
        let variable = Files::of(None, Some(OsStr::new("/no/a::/no/b")), home());
        assert_eq!(variable, Files::Variable(vec!["/no/a".into(), "/no/b".into()]));
        assert!(
            variable.missing().what.contains("KUBECONFIG names /no/a and /no/b"),
            "{}",
            variable.missing()
        );
        let usual = Files::of(None, Some(OsStr::new("")), home());
        assert!(usual.missing().what.contains("home/.kube/config does not exist"), "{}", usual.missing());
        let (file, _) = written(TWO);
        let read = Files::Variable(vec!["/no/a".into(), file.path().into()]).read().expect("readable");
        assert_eq!(
            read.map(|it| it.contexts.len()),
            Some(2),
            "a file of the variable that is not there is passed over"
        );
    }
}
