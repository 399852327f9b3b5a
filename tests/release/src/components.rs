//! What is compiled into a binary. `cargo auditable` lists it in the binary itself, where scanners and SBOM tools find it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use auditable_info::{Limits, audit_info_from_file};
use auditable_serde::DependencyKind;

/// Every binary that is shipped has them: a list without them is of something else.
const ALWAYS: [&str; 2] = ["kube", "rustls"];

/// Name and version of each crate in the binary.
pub fn of(binary: &Path) -> Result<Vec<String>> {
    let info = audit_info_from_file(binary, Limits::default())
        .with_context(|| format!("{} lists no components: build it by cargo auditable", binary.display()))?;
    let shipped = info.packages.iter().filter(|package| package.kind == DependencyKind::Runtime);
    let (names, lines): (Vec<_>, Vec<_>) = shipped
        .map(|package| (package.name.as_str(), format!("{} {}", package.name, package.version)))
        .unzip();
    for name in ALWAYS {
        ensure!(names.contains(&name), "{} does not list {name}", binary.display());
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_without_a_list_is_told_how_to_get_one() {
        let error = of(&std::env::current_exe().expect("this test")).expect_err("it is built by cargo build");
        assert!(error.to_string().contains("build it by cargo auditable"), "{error:#}");
    }
}
