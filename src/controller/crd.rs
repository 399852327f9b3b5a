//! Whether the CustomResourceDefinition is being deleted: then all objects are, and nobody may have meant their ports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use tokio::sync::Mutex;

use crate::clock::{Clock, Monotonic};
use crate::decision::CrdState;
use crate::kubernetes::says_not_found;

const NAME: &str = "zenlayerports.sdn.zenlayer.com";

/// Reads the state of the CRD, once for all who ask at about the same time.
pub(super) struct Crd {
    api: Api<CustomResourceDefinition>,
    clock: Clock,
    valid_for: Duration,
    read: Mutex<Option<(Monotonic, CrdState)>>,
    told: AtomicBool,
    /// This process could read it once.
    granted: AtomicBool,
}

impl Crd {
    pub(super) fn new(kubernetes: kube::Client, clock: Clock, valid_for: Duration) -> Self {
        let (read, told, granted) = (Mutex::new(None), AtomicBool::new(false), AtomicBool::new(false));
        Self { api: Api::all(kubernetes), clock, valid_for, read, told, granted }
    }

    /// The state as read not before then, and a short while ago at most.
    pub(super) async fn state(&self, not_before: Monotonic) -> CrdState {
        let mut read = self.read.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, state)) = read.as_ref()
            && *at >= not_before
            && now.since(*at) < self.valid_for
        {
            return state.clone();
        }
        let state = Box::pin(self.look()).await;
        *read = Some((now, state.clone()));
        state
    }

    async fn look(&self) -> CrdState {
        let read = self.api.get_metadata(NAME).await;
        if read.is_ok() {
            self.granted.store(true, Ordering::Relaxed);
        }
        match read {
            Ok(crd) => state_of(&crd.metadata),
            Err(error) if says_not_found(&error) => CrdState::Terminating,
            // A right that goes may go together with the CustomResourceDefinition: no gate is opened by that.
            Err(kube::Error::Api(answer))
                if answer.is_forbidden() && !self.granted.load(Ordering::Relaxed) =>
            {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the operator may not read the CustomResourceDefinition {NAME}. If someone deletes it, \
                         Kubernetes deletes all ZenlayerPorts, and the operator cannot tell this from ordinary \
                         deletions. Grant the operator `get` on it, so that it pauses them"
                    );
                }
                CrdState::NotGranted
            }
            Err(error) => CrdState::Unknown(error.to_string()),
        }
    }
}

fn state_of(crd: &ObjectMeta) -> CrdState {
    match (&crd.deletion_timestamp, &crd.creation_timestamp) {
        (Some(_), _) => CrdState::Terminating,
        (None, Some(created)) => CrdState::Stays { created: created.0 },
        (None, None) => CrdState::Unknown("it has no creationTimestamp".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::super::tests::api_server::Failure;
    use super::super::tests::stage::Stage;
    use super::*;

    #[tokio::test]
    async fn a_right_that_was_there_and_is_taken_away_leaves_the_question_open() {
        let stage = Stage::new();
        let crd = Crd::new(stage.api.client(), Clock::System, Duration::ZERO);
        let refuse = || stage.api.fail(Method::GET, NAME, Failure::new(403, "Forbidden", "not any more"));
        refuse();
        assert_eq!(crd.state(Monotonic::default()).await, CrdState::NotGranted, "it was never there");
        assert!(matches!(crd.state(Monotonic::default()).await, CrdState::Stays { .. }));
        refuse();
        let taken = crd.state(Monotonic::default()).await;
        assert!(matches!(&taken, CrdState::Unknown(why) if why.contains("not any more")), "{taken:?}");
    }

    #[tokio::test]
    async fn only_an_api_server_that_says_so_tells_that_the_kind_is_gone() {
        let stage = Stage::new();
        let crd = Crd::new(stage.api.client(), Clock::System, Duration::ZERO);
        stage.api.fail(Method::GET, NAME, Failure::new(404, "", "404 page not found"));
        let unknown = crd.state(Monotonic::default()).await;
        assert!(
            matches!(&unknown, CrdState::Unknown(why) if why.contains("404 page not found")),
            "{unknown:?}"
        );
        stage.api.fail(Method::GET, NAME, Failure::new(404, "NotFound", "there is none"));
        assert_eq!(crd.state(Monotonic::default()).await, CrdState::Terminating);
    }
}
