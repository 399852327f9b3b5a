//! The proof that the record of a call is written.

use std::time::Duration;

use crate::answer::NotSentCause;
use crate::api::{CallAction, ZenlayerPort};
use crate::decision::Warrant;
use crate::fingerprint::Fingerprint;
use crate::port::PortId;

/// A call is begun within this time of the decision to call, or not at all: a settled record must not be followed by a late
/// call. A connection may take another 5 s, so that it leaves within 10 s of the record, which is written in between.
pub const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// The proof that the record of a call is written: only with it can the call be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    warrant: Warrant,
    /// The row that made the warrant.
    row: Option<u8>,
}

impl Recorded {
    /// None if `written`, which is what the API server made of the write, does not hold the pending record of the call.
    pub(super) fn new(written: &ZenlayerPort, warrant: &Warrant, row: Option<u8>) -> Option<Self> {
        warrant.is_recorded_in(written).then(|| Self { warrant: warrant.clone(), row })
    }

    pub fn action(&self) -> CallAction {
        self.warrant.action()
    }

    pub fn port_id(&self) -> &PortId {
        self.warrant.port_id()
    }

    pub fn row(&self) -> Option<u8> {
        self.row
    }

    /// Whether the call may be sent with `credential` at this moment, `since_decision` after the decision to call; else why not,
    /// also in words.
    pub fn check(
        &self,
        since_decision: Duration,
        credential: &Fingerprint,
    ) -> Result<(), (NotSentCause, &'static str)> {
        if since_decision > BEGIN_WITHIN {
            Err((NotSentCause::RecordTooSlow, "it took too long to write the record of the call"))
        } else if credential != self.warrant.credential() {
            Err((NotSentCause::CredentialsChanged, "the credentials changed after the decision"))
        } else {
            Ok(())
        }
    }
}
