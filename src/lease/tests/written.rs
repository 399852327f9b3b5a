//! The Lease as it is written, for people and for what else reads Leases.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};

use crate::lease::election::{LeaseTiming, Write};
use crate::lease::{PodIdentity, lease, record};

fn by(holder: Option<&str>, before: Option<&Lease>) -> Lease {
    let version = before.and_then(|before| before.metadata.resource_version.clone());
    let write = Write { version, holder: holder.map(str::to_owned) };
    let mut written =
        lease("operator", &write, before, LeaseTiming::default().scaled(0.5), None, Timestamp::now());
    written.metadata.resource_version = Some("next".to_owned());
    written
}

fn spec(lease: &Lease) -> LeaseSpec {
    lease.spec.clone().expect("a spec")
}

#[test]
fn only_changes_of_hands_are_counted_and_a_renewal_keeps_the_time_of_the_acquisition() {
    let first = by(Some("one"), None);
    let renewed = by(Some("one"), Some(&first));
    let released = by(None, Some(&renewed));
    let taken = by(Some("two"), Some(&released));
    let transitions =
        [&first, &renewed, &released, &taken].map(|lease| spec(lease).lease_transitions.expect("a count"));
    assert_eq!(transitions, [0, 0, 0, 1]);
    assert_eq!(spec(&renewed).acquire_time, spec(&first).acquire_time);
}

#[test]
fn a_release_is_an_empty_holder_and_is_read_as_none() {
    let released = by(None, Some(&by(Some("one"), None)));
    assert_eq!(spec(&released).holder_identity.as_deref(), Some(""));
    assert_eq!(record(&released).holder, None);
}

#[test]
fn the_duration_is_written_in_whole_seconds_and_never_shorter_than_it_is() {
    assert_eq!(spec(&by(Some("one"), None)).lease_duration_seconds, Some(8), "of 7.5 s");
}

#[test]
fn an_update_is_of_the_version_seen_and_leaves_labels_alone() {
    let mut seen = by(Some("one"), None);
    seen.metadata.labels = Some([("team".to_owned(), "network".to_owned())].into());
    let write = Write { version: Some("7".to_owned()), holder: Some("two".to_owned()) };
    let update =
        lease("operator", &write, Some(&seen), LeaseTiming::default(), None, Timestamp::now()).metadata;
    assert_eq!((update.resource_version.as_deref(), &update.labels), (Some("7"), &seen.metadata.labels));
}

#[test]
fn the_lease_goes_with_the_pod_of_its_holder() {
    let pod = |name: &str| PodIdentity { name: name.to_owned(), uid: format!("{name}-uid") };
    let by = |pod: &PodIdentity, before: Option<&Lease>| {
        let write = Write { version: before.map(|_| "1".to_owned()), holder: Some(pod.name.clone()) };
        lease("operator", &write, before, LeaseTiming::default(), Some(pod), Timestamp::now())
    };
    let first = by(&pod("one"), None);
    let taken = by(&pod("two"), Some(&first));
    let owners = [&first, &taken].map(|lease| {
        let owners = lease.metadata.owner_references.iter().flatten();
        owners.map(|owner| format!("{} {} {}", owner.kind, owner.name, owner.uid)).collect::<Vec<_>>()
    });
    assert_eq!(owners, [["Pod one one-uid"], ["Pod two two-uid"]], "whoever takes it owns it alone");
}
