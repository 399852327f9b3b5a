//! The version of a release, and what CHANGELOG.md says about it.

use anyhow::{Context as _, Result, ensure};

/// The chart is of this version, and so is the image that it names.
pub fn agree(version: &str, chart: &str) -> Result<()> {
    for key in ["version", "appVersion"] {
        let line = chart.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
        let found = line.with_context(|| format!("Chart.yaml has no {key}"))?.trim_matches('"');
        ensure!(
            found == version,
            "{key} in Chart.yaml is {found}, and the version in Cargo.toml is {version}"
        );
    }
    Ok(())
}

/// The section of the changelog, without its heading.
pub fn notes(changelog: &str, version: &str) -> Result<String> {
    let heading = format!("## {version}");
    let mut lines = changelog.lines().skip_while(|line| !is_heading(line, &heading));
    ensure!(lines.next().is_some(), "CHANGELOG.md has no section {heading:?}: rename Unreleased to it");
    let section: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let text = section.join("\n").trim().to_owned();
    ensure!(!text.is_empty(), "the section {heading:?} of CHANGELOG.md is empty");
    Ok(text + "\n")
}

/// A date may follow it.
fn is_heading(line: &str, heading: &str) -> bool {
    line.strip_prefix(heading).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n- later\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- this\n\n## 0.1.0\n\n- that\n";

    #[test]
    fn the_notes_are_the_section_of_the_version_and_nothing_else() {
        assert_eq!(notes(CHANGELOG, "0.2.0").expect("a section"), "### Added\n\n- this\n");
        assert_eq!(notes(CHANGELOG, "0.1.0").expect("a section"), "- that\n");
        for missing in ["0.2", "0.2.00", "0.3.0"] {
            let error = notes(CHANGELOG, missing).expect_err(missing).to_string();
            assert!(error.contains("rename Unreleased"), "{error}");
        }
    }

    #[test]
    fn a_chart_of_another_version_is_no_release() {
        assert!(agree("0.2.0", "version: 0.2.0\nappVersion: \"0.2.0\"\n").is_ok());
        let error =
            agree("0.2.0", "version: 0.2.0\nappVersion: 0.1.0\n").expect_err("it differs").to_string();
        assert!(error.contains("appVersion in Chart.yaml is 0.1.0"), "{error}");
        let chart = include_str!("../../../deploy/chart/Chart.yaml");
        agree(env!("CARGO_PKG_VERSION"), chart).expect("they agree");
    }
}
