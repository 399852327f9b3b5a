//! What is registered for an object ends with it, whatever the order of its end and of the reconciles of it.

use std::sync::Arc;

use proptest::prelude::*;
use zenlayer_simulator::PortStatus;

use super::stage::{NAMESPACE, Stage, object};
use crate::api::ZenlayerPort;
use crate::index::Reference;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An object of this name is made, if there is none.
    Create(usize),
    /// It goes, and the watch shows it.
    Remove(usize),
    /// A reconcile of the object as it is.
    Reconcile(usize),
    /// A reconcile that began before the object went, and ends now, well or not.
    LateReconcile(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..2_usize;
    prop_oneof![
        2 => which.clone().prop_map(Step::Create),
        2 => which.clone().prop_map(Step::Remove),
        2 => which.clone().prop_map(Step::Reconcile),
        3 => which.prop_map(Step::LateReconcile),
    ]
}

const NAMES: [&str; 2] = ["edge", "core"];

async fn play(steps: Vec<Step>) -> Stage {
    let mut stage = Stage::new();
    let mut before: [Option<Arc<ZenlayerPort>>; 2] = [None, None];
    for step in steps {
        match step {
            Step::Create(which) if stage.get(NAMES[which]).is_none() => {
                stage.own(NAMES[which], PortStatus::Recycled);
                before[which] = stage.get(NAMES[which]).map(Arc::new);
            }
            Step::Remove(which) if stage.get(NAMES[which]).is_some() => remove(&mut stage, NAMES[which]),
            Step::Reconcile(which) if stage.get(NAMES[which]).is_some() => {
                let _ = stage.reconcile(NAMES[which]).await;
            }
            Step::LateReconcile(which) => {
                let Some(object) = before[which].clone() else { continue };
                if let Err(error) = stage.reconciler.guarded(Arc::clone(&object)).await {
                    stage.reconciler.pause_after(&object, &error);
                }
            }
            Step::Create(_) | Step::Remove(_) | Step::Reconcile(_) => {}
        }
    }
    for name in NAMES.into_iter().filter(|name| stage.get(name).is_some()).collect::<Vec<_>>() {
        remove(&mut stage, name);
    }
    stage
}

/// Somebody strips the finalizer of an object that is being deleted.
fn remove(stage: &mut Stage, name: &str) {
    stage.delete(name);
    stage.api.edit(Some(NAMESPACE), name, |object: &mut ZenlayerPort| object.metadata.finalizers = None);
    stage.notice(name);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_stays_registered_for_an_object_that_is_gone(steps in prop::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let registered = runtime.block_on(async {
            let stage = play(steps).await;
            stage.registrations.waiters().len()
        });
        prop_assert_eq!(registered, 0);
    }
}

#[tokio::test]
async fn what_stays_registered_all_the_same_is_swept() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.own("ghost", PortStatus::Recycled);
    for name in ["edge", "ghost"] {
        stage.reconcile_until_shown(name, "PortRecycled").await;
    }
    let now = stage.clock.monotonic();
    stage.registrations.index.remove(&Reference::of(&object("ghost")), now);
    stage.registrations.sweep();
    assert_eq!(stage.registrations.waiters(), [Reference::of(&object("edge"))], "the ghost is swept");
    assert_eq!(stage.registrations.mirrors.ports.stats().ports, 1, "the port of edge is still read");
}
