//! Completion of what is typed after `kubectl zenlayerport`. kubectl runs an executable `kubectl_complete-zenlayerport` with the
//! words, and reads lines of `value<TAB>help`, the last of which is a directive.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::approve::Pending;
use super::cli::{Cli, Connection, Selection};
use super::cluster::Cluster;
use super::kubeconfig;
use super::screen::count;
use crate::api::ZenlayerPort;

/// The executable that kubectl looks for.
pub const SCRIPT: &str = "#!/bin/sh\nexec kubectl zenlayerport __complete -- \"$@\"\n";

/// Whoever presses TAB does not wait for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The directive "these are all, and no names of files".
const NO_FILES: &str = ":4\n";
/// The directive "names of files".
const FILES: &str = ":0\n";

/// A value to choose from, and what it is.
type Candidate = (String, String);

pub async fn complete(words: &[String]) -> String {
    let typed = Typed::of(words);
    let candidates = match typed.flag.as_deref() {
        Some("kubeconfig") => return FILES.to_owned(),
        Some("context") => {
            kubeconfig::contexts(&typed.connection).into_iter().map(|it| (it, String::new())).collect()
        }
        Some("namespace") => in_time(namespaces(&typed.connection)).await,
        None if typed.takes_names() => in_time(typed.names()).await,
        _ => typed.static_candidates(),
    };
    let mut lines = String::new();
    for (value, help) in candidates {
        if value.starts_with(&typed.current) && !value.contains(char::is_control) {
            let _ = writeln!(lines, "{value}\t{help}");
        }
    }
    lines + NO_FILES
}

async fn in_time(asked: impl Future<Output = Vec<Candidate>>) -> Vec<Candidate> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_default()
}

/// What stands in the line already.
struct Typed {
    before: Vec<String>,
    /// What is completed.
    current: String,
    /// The option whose value that is.
    flag: Option<String>,
    command: Option<String>,
    names: BTreeSet<String>,
    connection: Connection,
}

impl Typed {
    fn of(words: &[String]) -> Self {
        let (current, before) =
            words.split_last().map_or((String::new(), &[][..]), |(it, rest)| (it.clone(), rest));
        let mut before = before.to_vec();
        // The shell completes what follows the equals sign.
        let current = match current.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => {
                before.push(flag.to_owned());
                value.to_owned()
            }
            _ => current,
        };
        let mut cli = Cli::command().ignore_errors(true);
        cli.build();
        let flag = before.last().and_then(|word| option_of(&cli, &before, word));
        let complete = if flag.is_some() { &before[..before.len() - 1] } else { &before[..] };
        let line = ["kubectl-zenlayerport".to_owned()].into_iter().chain(complete.iter().cloned());
        let matches = cli.try_get_matches_from(line).unwrap_or_default();
        let (command, matches) =
            matches.subcommand().map_or((None, &matches), |(name, of_it)| (Some(name), of_it));
        Self {
            command: command.map(str::to_owned),
            names: names_in(matches),
            connection: Connection::from_arg_matches(matches).unwrap_or_default(),
            before,
            current,
            flag,
        }
    }

    fn takes_names(&self) -> bool {
        let takes = match self.command.as_deref() {
            Some("explain") => self.names.is_empty(),
            Some("plan" | "approve") => true,
            _ => false,
        };
        takes && !self.current.starts_with('-')
    }

    /// The names in the namespace, also as `NAMESPACE/NAME`; for `approve` only those that wait for it.
    async fn names(&self) -> Vec<Candidate> {
        let mut connection = self.connection.clone();
        let namespace = self.current.split_once('/').map(|(namespace, _)| namespace.to_owned());
        connection.namespace = namespace.clone().or(connection.namespace);
        let Ok(cluster) = Cluster::connect(&connection).await else { return Vec::new() };
        let ports: Vec<ZenlayerPort> = cluster.ports(&Selection::default()).await.unwrap_or_default();
        let only_pending = self.command.as_deref() == Some("approve");
        ports
            .iter()
            .filter(|port| !only_pending || Pending::of(port, None).is_ok())
            .map(|port| {
                let report = super::report::PortReport::of(port);
                let name = if namespace.is_some() { report.reference() } else { report.name };
                (name, report.reason)
            })
            .filter(|(name, _)| !self.names.contains(name))
            .collect()
    }

    /// Commands, options and their values, as clap knows them.
    fn static_candidates(&self) -> Vec<Candidate> {
        let words = ["kubectl-zenlayerport"].into_iter().chain(self.before.iter().map(String::as_str));
        let args: Vec<OsString> = words.chain([self.current.as_str()]).map(OsString::from).collect();
        let at = args.len() - 1;
        let found = clap_complete::engine::complete(&mut Cli::command(), args, at, None).unwrap_or_default();
        found
            .into_iter()
            .filter(|candidate| !candidate.is_hide_set())
            .map(|candidate| {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                (candidate.get_value().to_string_lossy().into_owned(), help)
            })
            .collect()
    }
}

/// The name of the option that `word` is, if a value follows it.
fn option_of(cli: &clap::Command, before: &[String], word: &str) -> Option<String> {
    let command = before.iter().find_map(|word| cli.find_subcommand(word)).unwrap_or(cli);
    let is_it = |arg: &&clap::Arg| {
        let long = word.strip_prefix("--").is_some_and(|long| arg.get_long() == Some(long));
        let short = word
            .strip_prefix('-')
            .is_some_and(|it| arg.get_short().is_some_and(|short| it == short.to_string()));
        (long || short) && arg.get_action().takes_values()
    };
    command.get_arguments().find(is_it).map(|arg| arg.get_id().to_string())
}

fn names_in(matches: &ArgMatches) -> BTreeSet<String> {
    let of = |id| matches.try_get_many::<String>(id).ok().flatten().into_iter().flatten().cloned();
    of("names").chain(of("name")).collect()
}

/// Those that have ports; if that cannot be told, all.
async fn namespaces(connection: &Connection) -> Vec<Candidate> {
    let Ok(cluster) = Cluster::connect(connection).await else { return Vec::new() };
    let everywhere = Selection { all_namespaces: true, ..Selection::default() };
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for port in cluster.ports(&everywhere).await.unwrap_or_default() {
        *found.entry(port.metadata.namespace.unwrap_or_default()).or_default() += 1;
    }
    if found.is_empty() {
        let all = cluster.namespaces().await.unwrap_or_default();
        return all.into_iter().map(|name| (name, String::new())).collect();
    }
    found.into_iter().map(|(name, ports)| (name, count(ports, "port"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn completed(line: &str) -> String {
        complete(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).await
    }

    #[tokio::test]
    async fn options_and_their_values_are_completed() {
        for (line, expected) in [
            ("sta", "status\tShow which ports need you"),
            ("status --rea", "--reason\t"),
            ("status --reason Not", "NotInRecycleBin\tThe port is running. The policy Destroy"),
            ("status --reason=Not", "NotInRecycleBin\t"),
            ("approve --all --reason ", "MassDeletion\t"),
            ("status -A -o ", "json\t"),
            ("status --output=y", "yaml\t"),
            ("explain edge -o ", "yaml\t"),
            ("plan -o j", "json\t"),
            ("status --actor ", "you\t"),
            ("--color n", "never\t"),
        ] {
            let lines = completed(line).await;
            assert!(lines.lines().any(|it| it.starts_with(expected)), "{line:?}: {lines}");
            assert!(lines.ends_with(":4\n"), "{line:?}: {lines}");
        }
        let approvable = completed("approve --all --reason ").await;
        assert!(!approvable.contains("NotInRecycleBin"), "only what can be approved: {approvable}");
        let values = completed("status --reason ").await;
        assert!(
            !values.lines().any(|line| line.starts_with('-')),
            "no options where a value is due: {values}"
        );
        assert_eq!(completed("status --kubeconfig ").await, ":0\n", "the shell completes names of files");
    }

    #[tokio::test]
    async fn contexts_are_those_of_the_kubeconfig_in_the_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(
            file.path(),
            "contexts: [{name: prod, context: {cluster: a}}, {name: dev, context: {cluster: a}}]",
        )
        .expect("written");
        let line = format!("status --kubeconfig {} --context ", file.path().display());
        assert_eq!(completed(&line).await, "prod\t\ndev\t\n:4\n");
        assert_eq!(completed(&(line + "d")).await, "dev\t\n:4\n");
    }

    #[test]
    fn what_was_typed_before_is_understood() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let typed = Typed::of(&words("approve one --namespace=team-a --as o'neil two -n"));
        assert_eq!(typed.connection.namespace.as_deref(), Some("team-a"));
        assert_eq!(typed.connection.as_user.as_deref(), Some("o'neil"));
        assert_eq!(typed.names, ["one", "two"].map(str::to_owned).into());
        assert!(typed.flag.is_none() && !typed.takes_names(), "-n is being typed");
        let typed = Typed::of(&words("plan -n team-a "));
        assert!(typed.takes_names() && typed.connection.namespace.as_deref() == Some("team-a"));
        assert!(!Typed::of(&words("explain edge ")).takes_names(), "one name is enough");
        assert_eq!(Typed::of(&words("explain -n ")).flag.as_deref(), Some("namespace"));
    }
}
