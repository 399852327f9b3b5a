//! How the objects are named inside the controller.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::ZenlayerPort;

/// Names an object. Shared by all who keep it, as there are thousands and each is kept for as long as its object is there.
pub(super) type Reference = Arc<ObjectRef<ZenlayerPort>>;

/// Namespace and name alone; what else kube's references may carry takes memory, and tells none apart.
pub(super) fn reference(object: &impl ResourceExt) -> Reference {
    let reference = ObjectRef::new(&object.name_any());
    Arc::new(match object.namespace() {
        Some(namespace) => reference.within(&namespace),
        None => reference,
    })
}
