//! How the objects are named inside the operator.

use std::fmt;
use std::sync::Arc;

use kube::ResourceExt;

/// Names an object by its namespace and name. All who keep it share it, as there are thousands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(Arc<(Box<str>, Box<str>)>);

impl Reference {
    pub fn of(object: &impl ResourceExt) -> Self {
        let metadata = object.meta();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        Self(Arc::new((namespace.into(), metadata.name.as_deref().unwrap_or_default().into())))
    }

    #[cfg(test)]
    pub(crate) fn named(namespace: &str, name: &str) -> Self {
        Self(Arc::new((namespace.into(), name.into())))
    }

    pub fn namespace(&self) -> &str {
        &self.0.0
    }

    pub fn name(&self) -> &str {
        &self.0.1
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}
