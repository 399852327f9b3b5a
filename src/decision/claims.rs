//! Who else owns the same port.

use jiff::Timestamp;

use crate::api::{PortIdentity, ZenlayerPort};
use crate::port::same_instant;

/// Another object with the same `portId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub creation: Option<Timestamp>,
    pub terminating: bool,
    /// It uses the same credential as the object that is decided about.
    pub same_credential: bool,
    /// What it has seen under the id.
    pub identity: Option<PortIdentity>,
}

/// The claim that an object which is being deleted has to wait for: it is of this port, and either stays, or goes too
/// but was there first.
pub(super) fn blocking<'a>(
    object: &ZenlayerPort,
    created_time: Option<&str>,
    claims: &'a [Claim],
) -> Option<&'a Claim> {
    claims
        .iter()
        .find(|claim| is_of_this_port(claim, created_time) && (!claim.terminating || precedes(claim, object)))
}

/// The claim of another object on the port of an object that lives.
pub(super) fn competing<'a>(created_time: Option<&str>, claims: &'a [Claim]) -> Option<&'a Claim> {
    claims.iter().find(|claim| is_of_this_port(claim, created_time))
}

/// Its own credential has seen this port; one of the same credential would, even if it has not looked yet. A claim that
/// never saw the port with a credential of its own proves nothing: anyone may write any id.
fn is_of_this_port(claim: &Claim, created_time: Option<&str>) -> bool {
    match &claim.identity {
        Some(PortIdentity { created_time: Some(theirs), .. }) => {
            created_time.is_none_or(|ours| same_instant(ours, theirs))
        }
        Some(PortIdentity { created_time: None, .. }) => true,
        None => claim.same_credential,
    }
}

/// Older by creation time, then by uid, so that of any two exactly one goes first.
fn precedes(claim: &Claim, object: &ZenlayerPort) -> bool {
    let ours = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (claim.creation, claim.uid.as_str()) < (ours, object.metadata.uid.as_deref().unwrap_or_default())
}
