//! What Chart.yaml tells Artifact Hub about the changes of its version: the section of CHANGELOG.md, in Artifact Hub's own form.

use anyhow::{Context as _, Result, bail, ensure};
use release_steps::changelog;

const ANNOTATION: &str = "  artifacthub.io/changes: |\n";

/// Chart.yaml with the annotation as it should be. It has one already.
pub fn with_changes(chart: &str, log: &str, version: &str) -> Result<String> {
    let (before, after) = chart.split_once(ANNOTATION).context("Chart.yaml has no artifacthub.io/changes")?;
    let is_old = |line: &&str| line.starts_with("    ");
    let rest: String = after.split_inclusive('\n').skip_while(is_old).collect();
    let changes: String = changes(&changelog::notes(log, version)?)?.iter().map(Change::yaml).collect();
    Ok(format!("{before}{ANNOTATION}{changes}{rest}"))
}

#[derive(Debug, PartialEq, Eq)]
struct Change {
    kind: String,
    description: String,
}

impl Change {
    fn yaml(&self) -> String {
        // JSON is YAML.
        let description = serde_json::Value::from(self.description.as_str());
        format!("    - kind: {}\n      description: {description}\n", self.kind)
    }
}

/// Each item of a section; a text without a heading is new.
fn changes(section: &str) -> Result<Vec<Change>> {
    let mut kind = "added".to_owned();
    let mut changes: Vec<Change> = Vec::new();
    let mut is_open = false;
    for line in section.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            kind = heading.trim().to_lowercase();
            let known = ["added", "changed", "deprecated", "removed", "fixed", "security"];
            ensure!(known.contains(&kind.as_str()), "Artifact Hub knows no changes of the kind {heading:?}");
            is_open = false;
        } else if let Some(item) = line.strip_prefix("- ") {
            changes.push(Change { kind: kind.clone(), description: item.to_owned() });
            is_open = true;
        } else if line.trim().is_empty() {
            is_open = false;
        } else if is_open {
            let last = changes.last_mut().context("an item is open")?;
            last.description += " ";
            last.description += line.trim();
        } else {
            changes.push(Change { kind: kind.clone(), description: line.to_owned() });
            is_open = true;
        }
    }
    if changes.is_empty() {
        bail!("the section of CHANGELOG.md tells of no change");
    }
    for change in &mut changes {
        change.description = without_links(&change.description);
    }
    Ok(changes)
}

/// `[text](target)` as its text: Artifact Hub shows no links here.
fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let (before, name) = shown.rsplit_once('[').unwrap_or(("", &shown));
        let rest = part.split_once(')').map_or("", |(_, rest)| rest);
        format!("{before}{name}{rest}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "## Unreleased\n\n- later\n\n## 0.2.0\n\n### Added\n\n- The [big\n  plan](docs/faq.md): of\n  a \"port\".\n- Another.\n\n### Fixed\n\n- A fault.\n\n## 0.1.0\n\nThe first version,\nin two lines.\n";

    #[test]
    fn the_annotation_has_each_item_of_the_version_once_and_the_rest_of_the_file_stays() {
        let chart = "a: b\n  artifacthub.io/changes: |\n    - kind: added\n      description: old\n  artifacthub.io/crds: |\n    - c\n";
        let written = with_changes(chart, LOG, "0.2.0").expect("a section");
        let changes = "    - kind: added\n      description: \"The big plan: of a \\\"port\\\".\"\n    - kind: added\n      description: \"Another.\"\n    - kind: fixed\n      description: \"A fault.\"\n";
        assert_eq!(
            written,
            format!("a: b\n  artifacthub.io/changes: |\n{changes}  artifacthub.io/crds: |\n    - c\n")
        );
        assert_eq!(with_changes(&written, LOG, "0.2.0").expect("a section"), written);
    }

    #[test]
    fn a_text_without_a_heading_is_one_change() {
        let first =
            Change { kind: "added".to_owned(), description: "The first version, in two lines.".to_owned() };
        assert_eq!(changes("The first version,\nin two lines.\n").expect("a change"), [first]);
        changes("### Improved\n\n- it\n").expect_err("no such kind");
    }

    #[test]
    fn every_section_of_the_changelog_can_be_told() {
        let log = include_str!("../../CHANGELOG.md");
        let headings: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert!(headings.len() > 1, "{headings:?}");
        for heading in headings {
            let told = changes(&changelog::notes(log, heading).expect("a section")).expect("changes");
            assert!(told.iter().all(|change| !change.description.contains("](")), "{told:?}");
        }
    }
}
