//! Writes objects as decisions saw them, and tells of what was written: the index, the log, traces and Events.

use std::sync::Arc;
use std::time::Duration;

use super::error::ReconcileError;
use super::events::Events;
use super::objects::Objects;
use super::transitions::{self, Line};
use super::writes::{self, Written};
use crate::api::{EventType, Reason, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Clock;
use crate::index::Index;
use crate::reconcile::FinalizerWrite;
use crate::server::Metrics;
use crate::spans::{Kind, Span};

pub(super) struct Writer {
    pub(super) kubernetes: kube::Client,
    pub(super) index: Arc<Index>,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
}

impl Writer {
    /// The objects of the same namespace.
    pub(super) fn objects_beside(&self, object: &ZenlayerPort) -> Objects {
        Objects::within(self.kubernetes.clone(), object.metadata.namespace.as_deref())
    }

    /// PUTs `status` onto the object.
    pub(super) async fn status(
        &self,
        object: &ZenlayerPort,
        status: ZenlayerPortStatus,
        row: Option<u8>,
    ) -> Result<Written, ReconcileError> {
        let body = ZenlayerPort { status: Some(status), ..object.clone() };
        let span = Span::part("PUT zenlayerports/status", Kind::Client);
        let answer = writes::status(&self.objects_beside(object), &body).await;
        transitions::end_write(span, &answer);
        let answer =
            answer.map_err(|error| ReconcileError::kubernetes("update", "the object's status", error))?;
        if let Written::Done(written) = &answer {
            self.index.wrote(written, self.clock.monotonic());
            transitions::log_status(object, written, row);
        }
        Ok(answer)
    }

    /// Writes the object's finalizers.
    pub(super) async fn finalizers(
        &self,
        object: &ZenlayerPort,
        finalizers: &[String],
        what: &FinalizerWrite,
        row: Option<u8>,
    ) -> Result<Written, ReconcileError> {
        let span = Span::part("PATCH zenlayerports", Kind::Client);
        let answer = writes::finalizers(&self.objects_beside(object), object, finalizers).await;
        transitions::end_write(span, &answer);
        let answer =
            answer.map_err(|error| ReconcileError::kubernetes("patch", "the object's finalizers", error))?;
        if let Written::Done(written) = &answer {
            self.index.wrote(written, self.clock.monotonic());
            match what {
                FinalizerWrite::Addition => {
                    Line { row, ..Line::default() }.log(written, "added the finalizer");
                }
                FinalizerWrite::Removal { reason, why } => self.deletion_ended(object, row, *reason, why),
            }
        }
        Ok(answer)
    }

    fn deletion_ended(&self, object: &ZenlayerPort, row: Option<u8>, reason: Reason, why: &str) {
        if let Some(deleted) = &object.metadata.deletion_timestamp {
            let took = self.clock.now().wall.duration_since(deleted.0);
            let took = Duration::try_from(took).unwrap_or_default();
            self.metrics.count_deletion(object.spec.deletion_policy, reason, took);
        }
        transitions::end_deletion(object, reason);
        let request_id = object.receipt().request_id;
        let warns = reason.event() == Some(EventType::Warning);
        let line = Line { row, reason: Some(reason.as_str()), request_id, warns };
        line.log(object, format_args!("removed the finalizer. {why}"));
    }
}
