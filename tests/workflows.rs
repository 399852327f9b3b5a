//! The workflows run only what is pinned, with no more rights than they say.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn workflows() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.clone(), fs::read_to_string(path).expect("a workflow"))).collect()
}

#[test]
fn every_action_is_pinned_to_a_commit_and_names_its_version() {
    let mut loose = Vec::new();
    let mut seen = 0;
    for (path, text) in workflows() {
        for line in text.lines() {
            let Some(used) = line.trim_start_matches([' ', '-']).strip_prefix("uses: ") else { continue };
            seen += 1;
            if !used.starts_with("./") && !is_pinned(used) {
                loose.push(format!("{}: {used}", path.display()));
            }
        }
    }
    assert!(seen > 0, "no action is used at all");
    assert!(loose.is_empty(), "{}", loose.join("\n"));
}

fn is_pinned(used: &str) -> bool {
    let Some((_, pin)) = used.split_once('@') else { return false };
    let Some((commit, version)) = pin.split_once(" # v") else { return false };
    let is_commit = commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
    is_commit && version.starts_with(|digit: char| digit.is_ascii_digit())
}

#[test]
fn a_tag_or_a_branch_is_no_pin() {
    let commit = "8e8c483db84b4bee98b60c0593521ed34d9990e8";
    assert!(is_pinned(&format!("actions/checkout@{commit} # v6.0.1")));
    for loose in ["actions/checkout@v6", "actions/checkout@main # v6", "actions/checkout"] {
        assert!(!is_pinned(loose), "{loose}");
    }
    assert!(!is_pinned(&format!("actions/checkout@{commit}")), "which version is it?");
}

#[test]
fn the_workflows_use_the_version_of_helm_that_the_tests_use() {
    let tested = include_str!("cluster/tools/helm/go.mod");
    let tested = tested.lines().find_map(|line| line.trim().strip_prefix("helm.sh/helm/v4 ")).expect("Helm");
    let tested = tested.split(' ').next().unwrap_or_default();
    let mut seen = 0;
    for (path, text) in workflows() {
        let workflow: Value = serde_saphyr::from_str(&text).expect("YAML");
        for (name, job) in workflow["jobs"].as_object().expect("jobs") {
            for step in job["steps"].as_array().into_iter().flatten() {
                if step["uses"].as_str().is_some_and(|used| used.starts_with("azure/setup-helm@")) {
                    seen += 1;
                    assert_eq!(step["with"]["version"], tested, "{}: {name}", path.display());
                }
            }
        }
    }
    assert!(seen > 0, "no job uses Helm");
}

#[test]
fn every_job_says_which_rights_it_needs_and_how_long_it_may_take() {
    for (path, text) in workflows() {
        let workflow: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(workflow["permissions"], Value::Object(serde_json::Map::new()), "{}", path.display());
        for (name, job) in workflow["jobs"].as_object().expect("jobs") {
            let said = |key: &str| !job[key].is_null();
            assert!(said("permissions"), "{}: {name} has no permissions", path.display());
            assert!(said("uses") || said("timeout-minutes"), "{}: {name} has no end", path.display());
        }
    }
}

#[test]
fn no_expression_of_github_stands_in_a_script() {
    for (path, text) in workflows() {
        let workflow: Value = serde_saphyr::from_str(&text).expect("YAML");
        for (name, job) in workflow["jobs"].as_object().expect("jobs") {
            for step in job["steps"].as_array().into_iter().flatten() {
                let script = step["run"].as_str().unwrap_or_default();
                assert!(
                    !script.contains("${{"),
                    "{}: {name} lets others write its script: {script}",
                    path.display()
                );
            }
        }
    }
}
