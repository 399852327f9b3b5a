//! Completion of what is typed after `kubectl zenlayerport`. kubectl runs an executable `kubectl_complete-zenlayerport` with the
//! words, and reads lines of `value<TAB>help`, the last of which is a directive.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use clap::CommandFactory;

use super::approve::Pending;
use super::cli::{Cli, Connection, Selection};
use super::cluster::Cluster;
use crate::api::ZenlayerPort;

/// The executable that kubectl looks for.
pub const SCRIPT: &str = "#!/bin/sh\nexec kubectl zenlayerport __complete -- \"$@\"\n";

/// Whoever presses TAB does not wait for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The directive "these are all, and no names of files".
const NO_FILES: &str = ":4";

pub async fn complete(connection: &Connection, words: &[String]) -> String {
    let mut lines = String::new();
    let current = words.last().map(String::as_str).unwrap_or_default();
    let (command, connection) = before(words, connection);
    let names = match command.as_deref() {
        Some("explain" | "plan" | "approve") if !current.starts_with('-') => {
            let asked = names(&connection, command.as_deref() == Some("approve"));
            tokio::time::timeout(PATIENCE, asked).await.unwrap_or_default()
        }
        _ => static_candidates(words),
    };
    for (value, help) in names.into_iter().filter(|(value, _)| value.starts_with(current)) {
        let _ = writeln!(lines, "{value}\t{help}");
    }
    lines.push_str(NO_FILES);
    lines.push('\n');
    lines
}

/// The command that was typed, and which cluster and namespace.
fn before(words: &[String], connection: &Connection) -> (Option<String>, Connection) {
    let mut connection = connection.clone();
    let mut command = None;
    let mut words = words.iter().take(words.len().saturating_sub(1));
    while let Some(word) = words.next() {
        let value = |words: &mut dyn Iterator<Item = &String>| words.next().cloned();
        match word.as_str() {
            "-n" | "--namespace" => connection.namespace = value(&mut words),
            "--context" => connection.context = value(&mut words),
            "--kubeconfig" => connection.kubeconfig = value(&mut words).map(Into::into),
            flag if flag.starts_with('-') => {}
            _ if command.is_none() => command = Some(word.clone()),
            _ => {}
        }
    }
    (command, connection)
}

/// The names in the namespace; for `approve` only those that wait for it.
async fn names(connection: &Connection, only_pending: bool) -> Vec<(String, String)> {
    let Ok(cluster) = Cluster::connect(connection).await else { return Vec::new() };
    let ports: Vec<ZenlayerPort> = cluster.ports(&Selection::default()).await.unwrap_or_default();
    ports
        .iter()
        .filter(|port| !only_pending || Pending::of(port, None).is_ok())
        .map(|port| {
            let report = super::report::PortReport::of(port);
            (report.name, report.reason)
        })
        .collect()
}

/// Commands and flags, as clap knows them.
fn static_candidates(words: &[String]) -> Vec<(String, String)> {
    let mut args: Vec<OsString> = vec!["kubectl-zenlayerport".into()];
    args.extend(words.iter().map(OsString::from));
    let at = args.len().saturating_sub(1).max(1);
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
