//! What an operator that is uninstalled leaves behind.

use std::collections::{BTreeMap, BTreeSet};

use super::copies::Copies;
use super::{Failure, Source};

/// Deletes the copies of Secrets in `home` (none: the namespace of the kubeconfig) that no object needs; `used` tells the names
/// of the Secrets that objects of a namespace need. Returns how many were deleted.
pub async fn delete_leftover_copies(
    kubernetes: &kube::Client,
    home: Option<&str>,
    used: impl AsyncFn(&str) -> anyhow::Result<BTreeSet<String>>,
) -> anyhow::Result<usize> {
    let copies = Copies::new(kubernetes.clone(), home.unwrap_or(kubernetes.default_namespace()));
    let failed = |failure: Failure| anyhow::anyhow!("{}", failure.why());
    let mut by_namespace = BTreeMap::<String, Vec<String>>::new();
    for source in copies.list().await.map_err(failed)?.into_keys() {
        if let Source::Secret { namespace, name } = source {
            by_namespace.entry(namespace).or_default().push(name);
        }
    }
    let mut deleted = 0;
    for (namespace, names) in by_namespace {
        let used = used(&namespace).await?;
        for name in names.iter().filter(|name| !used.contains(*name)) {
            copies.delete(&namespace, name).await.map_err(failed)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
