//! What the chart renders from the values of its tests, kept so that a change of the chart shows what it changes.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::root;
use crate::tool::Tool;

/// Folders with values.
const VALUES: [&str; 2] = ["tests/chart/values", "deploy/chart/examples"];
/// The one that the others are compared with.
const DEFAULTS: &str = "defaults.yaml";
const SNAPSHOTS: &str = "tests/chart/snapshots";

/// A snapshot for each file of values: a list of all objects, and those that differ from what the defaults render. The
/// CustomResourceDefinition and the dashboard have files of their own. Each is a path and what the file is to hold.
pub(crate) async fn snapshots(helm: &Tool, chart: &str) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for folder in VALUES {
        for entry in fs::read_dir(root().join(folder)).with_context(|| folder.to_owned())? {
            files.push(entry?.path());
        }
    }
    files.sort();
    let defaults = render(helm, chart, &root().join(VALUES[0]).join(DEFAULTS)).await?;
    let mut snapshots = Vec::new();
    for file in files {
        let name = file.file_name().context("a file without a name")?.to_string_lossy().into_owned();
        let known = if name == DEFAULTS { "" } else { &defaults };
        let content = snapshot(&render(helm, chart, &file).await?, known);
        snapshots.push((format!("{SNAPSHOTS}/{name}"), content));
    }
    Ok(snapshots)
}

async fn render(helm: &Tool, chart: &str, values: &Path) -> Result<String> {
    let values = values.display().to_string();
    let newest = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
    let options = ["--namespace", "system", "--values", &values, "--api-versions", newest];
    helm.run(
        &[
            &["template", "zpo", chart, "--set", "crds.enabled=false,metrics.grafanaDashboard.enabled=false"]
                [..],
            &options,
        ]
        .concat(),
    )
    .await
}

fn snapshot(rendered: &str, known: &str) -> String {
    let known: HashSet<&str> = documents(known).collect();
    let mut snapshot = String::from(
        "# Written by `cargo xtask generate`: what the chart renders from the values of this name.\n",
    );
    let list = documents(rendered).map(|document| {
        let line = |key: &str| document.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        let same = if known.contains(document) { " (as with the defaults)" } else { "" };
        format!("#   {} {}{same}\n", line("kind: "), line("  name: "))
    });
    snapshot.extend(list);
    for document in documents(rendered).filter(|document| !known.contains(document)) {
        snapshot.extend(["---\n", document, "\n"]);
    }
    snapshot
}

fn documents(rendered: &str) -> impl Iterator<Item = &str> {
    rendered.split("---\n").map(str::trim).filter(|document| !document.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_lists_all_objects_and_shows_those_that_the_defaults_do_not_render() {
        let same = "---\n# Source\nkind: Service\nmetadata:\n  name: a\n";
        let other = |replicas: u8| format!("---\nkind: Deployment\nmetadata:\n  name: b\nspec: {replicas}\n");
        let snapshot = snapshot(&format!("{same}{}", other(2)), &format!("{same}{}", other(1)));
        assert!(snapshot.contains("#   Service a (as with the defaults)\n#   Deployment b\n"), "{snapshot}");
        assert!(snapshot.ends_with("---\nkind: Deployment\nmetadata:\n  name: b\nspec: 2\n"), "{snapshot}");
        assert!(!snapshot.contains("# Source"), "{snapshot}");
    }
}
