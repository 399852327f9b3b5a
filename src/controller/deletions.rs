//! How many deletions began at about the same time, by the credential that signs their calls.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::ZenlayerPort;
use crate::decision::counts_as_deletion;
use crate::fingerprint::Fingerprint;

/// Deletions as the API server timed them. One whose object is gone is remembered until it is too long ago to matter.
#[derive(Debug)]
pub(super) struct Deletions {
    window: SignedDuration,
    /// Counting ends here: with ten thousand deletions at once, each of their passes would count them all.
    enough: usize,
    begun: Mutex<HashMap<Fingerprint, BTreeSet<(Timestamp, String)>>>,
}

/// Remembered of one credential.
const MOST: usize = 100_000;

impl Deletions {
    /// Nobody asks whether there are more than `enough`.
    pub(super) fn new(window: Duration, enough: usize) -> Self {
        Self {
            enough,
            window: SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX),
            begun: Mutex::default(),
        }
    }

    /// Takes in what `object` says now, and returns how many deletions began within the window of its own, but no more
    /// than enough.
    pub(super) fn at_once(&self, object: &ZenlayerPort, credential: &Fingerprint) -> u32 {
        let (Some(began), Some(uid)) = (&object.metadata.deletion_timestamp, &object.metadata.uid) else {
            return 0;
        };
        let began = began.0;
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let same = all.entry(credential.clone()).or_default();
        if counts_as_deletion(object) {
            same.insert((began, uid.clone()));
        } else {
            same.remove(&(began, uid.clone()));
        }
        self.prune(same);
        let within = |time: Timestamp| time.duration_since(began).abs() <= self.window;
        let first = began.saturating_sub(self.window).unwrap_or(Timestamp::MIN);
        let near = same
            .range((first, String::new())..)
            .take_while(|(time, _)| within(*time))
            .take(self.enough)
            .count();
        u32::try_from(near).unwrap_or(u32::MAX)
    }

    /// Drops what began too long before the newest to be counted with any that are still to come.
    fn prune(&self, same: &mut BTreeSet<(Timestamp, String)>) {
        let Some(newest) = same.last().map(|(time, _)| *time) else { return };
        while let Some((time, _)) = same.first()
            && (newest.duration_since(*time) > self.window * 3 || same.len() > MOST)
        {
            same.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{APPROVE_ANNOTATION, DeletionPolicy, ZenlayerPortSpec};
    use crate::port::PortId;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    const WINDOW: Duration = Duration::from_mins(10);

    fn deleted(uid: &str, second: i64) -> ZenlayerPort {
        let spec = ZenlayerPortSpec {
            port_id: PortId::new("port-1"),
            deletion_policy: DeletionPolicy::Destroy,
            deletion_protection: false,
            credentials_ref: None,
        };
        let mut object = ZenlayerPort::new(uid, spec);
        object.metadata.uid = Some(format!("{uid}-uid-0000"));
        object.metadata.deletion_timestamp = Timestamp::from_second(second).ok().map(Time);
        object
    }

    fn credential(name: &str) -> Fingerprint {
        Fingerprint::new(name)
    }

    #[test]
    fn deletions_within_ten_minutes_count_together_and_those_of_another_credential_do_not() {
        let deletions = Deletions::new(WINDOW, 100);
        let counts: Vec<u32> = [0, 300, 600, 1201]
            .iter()
            .map(|second| deletions.at_once(&deleted(&second.to_string(), *second), &credential("a")))
            .collect();
        assert_eq!(counts, [1, 2, 3, 1]);
        assert_eq!(deletions.at_once(&deleted("300", 300), &credential("a")), 3, "those after it count too");
        assert_eq!(deletions.at_once(&deleted("x", 300), &credential("b")), 1);
    }

    #[test]
    fn counting_ends_when_it_is_enough() {
        let deletions = Deletions::new(WINDOW, 2);
        let counts = ["1", "2", "3"].map(|uid| deletions.at_once(&deleted(uid, 0), &credential("a")));
        assert_eq!(counts, [1, 2, 2]);
    }

    #[test]
    fn what_is_retained_or_approved_no_longer_counts() {
        let deletions = Deletions::new(WINDOW, 100);
        let (first, mut second) = (deleted("first", 0), deleted("second", 1));
        deletions.at_once(&first, &credential("a"));
        assert_eq!(deletions.at_once(&second, &credential("a")), 2);
        second.spec.deletion_policy = DeletionPolicy::Retain;
        assert_eq!(deletions.at_once(&second, &credential("a")), 1);
        second.spec.deletion_policy = DeletionPolicy::Destroy;
        let consent = (APPROVE_ANNOTATION.to_owned(), "MassDeletion-second-u".to_owned());
        second.metadata.annotations = Some([consent].into());
        assert_eq!(deletions.at_once(&second, &credential("a")), 1);
        assert_eq!(deletions.at_once(&first, &credential("a")), 1);
    }
}
