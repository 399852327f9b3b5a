//! When a call, and when the removal of the finalizer, is right: the rules of `docs/decision.md` told a second time, as plain conditions
//! instead of a table, and sharing no code with it.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use super::scenario::*;
use crate::answer::Refusal;
use crate::api::CallAction::{self, DestroyPort, TerminatePort};
use crate::api::DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
use crate::api::{Call, CallOutcome, FINALIZER, Reason, Release};
use crate::clock::Monotonic;
use crate::decision::{Attachments, Claim, ClaimBasis, CrdState, CredentialState, Listing, Turn};
use crate::fingerprint::Fingerprint;
use crate::port::PortInfo;
use crate::reading::{Presence, Reading};

/// The one call that is justified now, if any.
pub(super) fn justified_call(it: &Scenario) -> Option<CallAction> {
    let (by, port, reading) = (signer(it)?, seen(it)?, fresh(it)?);
    let policy = it.object.spec.deletion_policy;
    let status = port.port_status.as_str();
    let action = match (status, policy) {
        ("RECYCLED", Destroy | TerminateAndDestroy) => DestroyPort,
        ("RUNNING", Terminate | TerminateAndDestroy) if !port.is_prepaid() => TerminatePort,
        _ => return None,
    };
    let justified = ours_alone(it)
        && it.context.turn == Turn::Free
        && it.evidence.as_ref().is_some_and(|evidence| &evidence.by == by)
        && gates_are_open(it)
        && is_the_port_we_owned(it, port)
        && reading.at >= last_look(it)
        && !restored(it, port, reading)
        && nothing_is_under_way(it, status, reading)
        && !pauses(it, status, reading)
        && !in_use(it, status, reading)
        && !it.context.claims.iter().any(|claim| claim_goes_first(it, port, claim));
    justified.then_some(action)
}

/// The one reason for which the object may go now, if any.
pub(super) fn justified_end(it: &Scenario) -> Option<Reason> {
    let ours = it.object.metadata.finalizers.iter().flatten().any(|one| one == FINALIZER);
    if it.object.spec.deletion_policy == Retain {
        return (it.object.metadata.deletion_timestamp.is_some() && ours).then_some(Reason::PortRetained);
    }
    if matches!(it.context.credential, CredentialState::Unavailable(_)) {
        return None;
    }
    let reading = fresh(it).filter(|_| ours_alone(it))?;
    let end = match seen(it) {
        None => return proven_absent(it),
        Some(_) if reading.at < it.context.deletion_known_since.unwrap_or(NOW) => return None,
        Some(port) => match port.port_status.as_str() {
            "DESTROYED" if our_doing(it) => Reason::PortDestroyed,
            "DESTROYED" => Reason::PortGone,
            "RECYCLED"
                if it.object.spec.deletion_policy == Terminate
                    && is_the_port_we_owned(it, port)
                    && nothing_is_under_way(it, "RECYCLED", reading) =>
            {
                Reason::PortRecycled
            }
            _ => return None,
        },
    };
    Some(end)
}

fn elapsed(since: Monotonic) -> Duration {
    NOW.since(since)
}

fn signer(it: &Scenario) -> Option<&Fingerprint> {
    match &it.context.credential {
        CredentialState::Usable(by) => Some(by),
        CredentialState::ReadOnly { .. } | CredentialState::Unavailable(_) => None,
    }
}

fn fresh(it: &Scenario) -> Option<&Reading> {
    it.evidence.as_ref()?.good.as_ref().filter(|good| elapsed(good.at) <= seconds(30))
}

fn seen(it: &Scenario) -> Option<&PortInfo> {
    match &it.evidence.as_ref()?.good.as_ref()?.presence {
        Presence::Seen(port) => Some(port),
        Presence::Absent => None,
    }
}

/// It is being deleted, and our finalizer is the last.
fn ours_alone(it: &Scenario) -> bool {
    let finalizers = it.object.metadata.finalizers.as_deref().unwrap_or_default();
    it.object.metadata.deletion_timestamp.is_some() && finalizers == [FINALIZER]
}

fn own_release(it: &Scenario) -> Option<&Release> {
    let release = it.object.status.as_ref()?.release.as_ref()?;
    (Some(&release.uid) == it.object.metadata.uid.as_ref()).then_some(release)
}

fn at(time: &str) -> Result<Timestamp, &str> {
    time.parse().map_err(|_| time)
}

fn may_be_same(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| at(one) == at(other))
}

fn is_the_port_we_owned(it: &Scenario, port: &PortInfo) -> bool {
    let consent = format!("-{}", sha256(port.created_time.as_deref().unwrap_or_default()));
    approved(it, "IdentityChanged", &consent) || !changes_identity(it, port)
}

/// A call needs a reading that was sent when the grace was over.
fn last_look(it: &Scenario) -> Monotonic {
    it.context.deletion_known_since.unwrap_or(NOW) + seconds(10)
}

/// Somebody restored it, or has perhaps: it lay in the bin, or an accepted TerminatePort was to bring it there, and it is
/// live now.
fn restored(it: &Scenario, port: &PortInfo, reading: &Reading) -> bool {
    let Some(release) = own_release(it) else { return false };
    if changes_identity(it, port) {
        // What is known of the port before does not count for the one that a person has approved.
        return false;
    }
    let is_live = port.port_status.as_str() == "RUNNING";
    let read_after = |call: &Call, pause| {
        !matches!(call.outcome, CallOutcome::Refused(_) | CallOutcome::NotSent { .. })
            && it.context.call_known_since.is_some_and(|known| reading.at >= known + seconds(pause))
    };
    let without_effect = release.call.as_ref().is_some_and(|call| {
        let accepted = matches!(call.outcome, CallOutcome::Accepted { .. });
        let no_clear_answer = !accepted && !call.settled;
        call.action == TerminatePort
            && !call.landed
            && !call.without_effect
            && (accepted && read_after(call, 600)
                || no_clear_answer && read_after(call, 60) && nobody_looked(it, call, reading))
    });
    let live_again = is_live && release.seen_recycled;
    let known_now = live_again && reading.at.since(reading.since) >= seconds(10);
    let new = i64::from(known_now || (is_live && !live_again && without_effect));
    let restorations = release.restorations + new;
    let consent = format!("-{restorations}");
    (live_again && !known_now) || (restorations > 0 && !approved(it, "RestoredElsewhere", &consent))
}

/// For more than ten minutes: before this process knew of the call, or after that.
fn nobody_looked(it: &Scenario, call: &Call, reading: &Reading) -> bool {
    it.context.call_known_since.is_some_and(|known| {
        let unknown_for = (wall() - elapsed(known)).duration_since(call.requested_time.0);
        unknown_for.as_secs_f64() > 600.0 || reading.at.since(known) > seconds(600)
    })
}

fn changes_identity(it: &Scenario, port: &PortInfo) -> bool {
    let identity = it.object.status.as_ref().and_then(|status| status.identity.as_ref());
    !may_be_same(identity.and_then(|identity| identity.created_time.as_deref()), port.created_time.as_deref())
}

/// The first 8 hexadecimal digits.
fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(4).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn gates_are_open(it: &Scenario) -> bool {
    let context = &it.context;
    let threshold = context.gates.mass_deletion_threshold.map_or(u32::MAX, NonZeroU32::get);
    let destroy_is_sent =
        own_release(it).and_then(|release| release.call.as_ref()).is_some_and(was_sent_to_destroy);
    let latched = own_release(it).is_some_and(|release| release.latched);
    let one_of_many = latched || (context.deletions_at_once > threshold && !destroy_is_sent);
    let deletion = it.object.metadata.deletion_timestamp.as_ref().map(|deletion| deletion.0);
    let (crd_is_known, crd_stayed) = match context.crd {
        CrdState::Stays { created } => (true, deletion > Some(created)),
        CrdState::NotGranted => (true, true),
        CrdState::Terminating => (true, false),
        CrdState::Unknown(_) => (false, true),
    };
    let crd_stayed = crd_stayed && !own_release(it).is_some_and(|release| release.crd_deleted);
    !it.object.spec.deletion_protection
        && context.deletion_known_since.is_some_and(|known| elapsed(known) >= seconds(10))
        && (!one_of_many || approved(it, "MassDeletion", ""))
        && (!context.gates.require_approval || approved(it, "ApprovalRequired", ""))
        && crd_is_known
        && (crd_stayed || approved(it, "CRDDeleted", ""))
        && context.listing == Listing::Complete
}

fn approved(it: &Scenario, reason: &str, occurrence: &str) -> bool {
    let metadata = &it.object.metadata;
    let value = metadata.annotations.iter().flatten().find(|(key, _)| *key == "sdn.zenlayer.com/approve");
    let words = value.map_or("", |(_, value)| value).split(',').map(str::trim);
    let uid = metadata.uid.as_deref().map_or("", |uid| &uid[..8]);
    words.into_iter().any(|word| word == format!("{reason}-{uid}{occurrence}"))
}

/// Nothing that was called before may still happen.
fn nothing_is_under_way(it: &Scenario, status: &str, reading: &Reading) -> bool {
    let Some(call) = own_release(it).and_then(|release| release.call.as_ref()) else { return true };
    let known = it.context.call_known_since;
    let read_after = |pause| known.is_some_and(|known| reading.at >= known + seconds(pause));
    let terminated = call.action == TerminatePort && status == "RECYCLED" && read_after(0);
    let over = match &call.outcome {
        // A call that this process does not know yet is known from now on.
        _ if call.landed => reading.at >= known.unwrap_or(NOW),
        CallOutcome::Pending {} | CallOutcome::Unclear { .. } => read_after(60),
        CallOutcome::Accepted { .. } => read_after(600),
        CallOutcome::Refused(_) | CallOutcome::NotSent { .. } => true,
    };
    terminated || over
}

/// The last call changed nothing, and the next is not due yet.
fn pauses(it: &Scenario, status: &str, reading: &Reading) -> bool {
    let Some(call) = own_release(it).and_then(|release| release.call.as_ref()) else { return false };
    let changed_nothing = matches!(&call.outcome, CallOutcome::Refused(_) | CallOutcome::NotSent { .. });
    let read_since = it.context.call_known_since.filter(|known| reading.at >= *known);
    let terminated = call.action == TerminatePort && status == "RECYCLED" && read_since.is_some();
    let pause = match call.attempt {
        1 => 30,
        2 => 60,
        3 => 120,
        4 => 240,
        5 => 480,
        _ => 600,
    };
    let over = read_since.is_some_and(|known| elapsed(known) >= seconds(pause));
    changed_nothing && !call.landed && !terminated && !over
}

/// The last call was refused for the port's own sake, and something uses the port.
fn in_use(it: &Scenario, status: &str, reading: &Reading) -> bool {
    let Some(call) = own_release(it).and_then(|release| release.call.as_ref()) else { return false };
    let CallOutcome::Refused(Refusal { code, .. }) = &call.outcome else { return false };
    let other_causes = ["REQUEST_LIMIT", "AUTHFAILURE_", "NOT_FOUND"];
    let read_since = it.context.call_known_since.is_some_and(|known| reading.at >= known);
    let terminated = call.action == TerminatePort && status == "RECYCLED" && read_since;
    let over = call.landed || terminated;
    let used = matches!(&it.context.attachments, Attachments::Known(users) if !users.is_empty());
    let again = it.context.call_known_since.is_some_and(|known| elapsed(known) >= seconds(600));
    used && !over && !again && !other_causes.iter().any(|cause| code.contains(cause))
}

fn claim_goes_first(it: &Scenario, port: &PortInfo, claim: &Claim) -> bool {
    let of_this_port = match &claim.basis {
        ClaimBasis::Saw { created_time } => {
            may_be_same(created_time.as_deref(), port.created_time.as_deref())
        }
        ClaimBasis::SameCredential => true,
        ClaimBasis::NotKnown { until } => *until > NOW,
        ClaimBasis::None => false,
    };
    let metadata = &it.object.metadata;
    let age = |creation: Option<Timestamp>, uid: &str| (creation, uid.to_owned());
    let ours =
        age(metadata.creation_timestamp.as_ref().map(|it| it.0), metadata.uid.as_deref().unwrap_or(""));
    of_this_port && (!claim.terminating || age(claim.creation, &claim.uid) < ours)
}

fn our_doing(it: &Scenario) -> bool {
    own_release(it).is_some_and(|release| {
        release.destroy_accepted || release.call.as_ref().is_some_and(was_sent_to_destroy)
    })
}

fn was_sent_to_destroy(call: &Call) -> bool {
    let changed_nothing = matches!(&call.outcome, CallOutcome::Refused(_) | CallOutcome::NotSent { .. });
    call.action == DestroyPort && !changed_nothing
}

fn is_a_minute_old(it: &Scenario) -> bool {
    let metadata = &it.object.metadata;
    let known = it.context.deletion_known_since.map_or(Duration::ZERO, elapsed);
    let lived = match (&metadata.creation_timestamp, &metadata.deletion_timestamp) {
        (Some(made), Some(deleted)) if deleted.0 > made.0 => deleted.0.duration_since(made.0).unsigned_abs(),
        _ => Duration::ZERO,
    };
    lived + known >= seconds(60)
}

fn proven_absent(it: &Scenario) -> Option<Reason> {
    let evidence = it.evidence.as_ref()?;
    let absences = evidence.absences?;
    let proven =
        |readings, span| absences.count >= readings && absences.last.since(absences.first) >= seconds(span);
    let status = it.object.status.as_ref();
    let Some(identity) = status.and_then(|status| status.identity.as_ref()) else {
        return (is_a_minute_old(it) && proven(2, 30)).then_some(Reason::PortNeverFound);
    };
    let last_seen = status.and_then(|status| status.port.as_ref()).map_or("", |port| port.status.as_str());
    let accepted = own_release(it).is_some_and(|release| release.destroy_accepted);
    let leaving = accepted || ["DESTROYING", "DESTROYED"].contains(&last_seen);
    let witness =
        |key: &Fingerprint| *key == evidence.by || (leaving && it.context.same_account.contains(key));
    let enough = match last_seen {
        _ if accepted => proven(2, 5),
        "DESTROYING" | "DESTROYED" => proven(2, 5),
        "RECYCLED" | "DELETING" => proven(3, 120),
        _ => proven(3, 600),
    };
    let end = if our_doing(it) { Reason::PortDestroyed } else { Reason::PortGone };
    (enough && identity.seen_by.iter().any(witness)).then_some(end)
}
