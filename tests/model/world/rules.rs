//! The promises, told of what is true in the world, not of what a replica knows.

use zenlayer_port_operator::api::DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
use zenlayer_port_operator::api::{CallAction, Reason};

use super::World;
use super::environment::Cloud;
use super::object::{Key, Object, Outcome, Status, Which};

/// What speaks against the record of a call, which the API server is about to take in.
pub fn against_a_record(world: &World, of: Which, written: &Status) -> Option<&'static str> {
    let Some(object) = &world.objects[of] else { return Some("a call for an object that is gone") };
    let Some(release) = &written.release else { return Some("a call without a record") };
    let Some(call) = &release.call else { return Some("a call without a record") };
    let is_terminate = call.action == CallAction::TerminatePort;
    let asked_for = match object.policy {
        Destroy => !is_terminate,
        TerminateAndDestroy => true,
        Terminate => is_terminate,
        Retain => false,
    };
    let earlier = object.release().and_then(|release| release.call.as_ref());
    let destroy_sent = earlier.is_some_and(|call| {
        call.action == CallAction::DestroyPort
            && matches!(call.outcome, Outcome::Pending | Outcome::Accepted | Outcome::Unclear)
    });
    let one_of_many = release.latched || (world.too_many && !destroy_sent);
    let restored = release.restorations > 0 && !object.consents_to_restoration(release.restorations);
    let perhaps_restored = restored || (is_terminate && release.seen_recycled);
    let breaches = [
        (!object.deleted, "a call for an object that nobody has deleted"),
        (!object.finalized, "a call for an object that is not ours"),
        (!asked_for, "a call that the policy does not ask for"),
        (object.protected, "a call for a protected object"),
        (one_of_many && !object.consents_to(Reason::MassDeletion), "a call for one of many"),
        (perhaps_restored, "a call for a restored port"),
        (owned_by_another(world, of, object), "a call for a port that another object keeps"),
        (
            matches!(world.keys[of], Key::Limited | Key::Foreign | Key::CopyOfFirst),
            "a call by a key that may not sign it",
        ),
        (
            earlier.is_some_and(|earlier| call.attempt <= earlier.attempt),
            "an attempt that was counted before",
        ),
    ];
    breaches.into_iter().find(|(breach, _)| *breach).map(|(_, name)| name)
}

/// Another object that stays has seen the very port.
fn owned_by_another(world: &World, of: Which, object: &Object) -> bool {
    let number = |object: &Object| object.status.identity.as_ref().map(|identity| identity.port);
    world.objects[1 - of]
        .as_ref()
        .is_some_and(|other| !other.deleted && number(other).is_some() && number(other) == number(object))
}

/// What speaks against sending a call now. What another object has sent does not: it was asked, too. Nor does anything where
/// the port is where the call leads already: then it changes nothing.
pub fn against_sending(
    world: &mut World,
    replica: usize,
    of: Which,
    action: CallAction,
) -> Option<&'static str> {
    if world.newest_attempt(replica, of) == world.attempts[of] {
        return Some("two calls on one record");
    }
    let is_awaited = world.sent.iter().any(|call| call.by == of && !call.overtaken);
    (is_awaited && !world.port.now.is_reached_by(action))
        .then_some("a call while another may still be carried out")
}

/// What speaks against taking the finalizer off, which the API server is about to do.
pub fn against_removal(world: &World, of: Which, reason: Reason) -> Option<&'static str> {
    let object = world.objects[of].as_ref()?;
    let before = world.port.before.as_ref();
    let was = |cloud| world.port.now == cloud || before.is_some_and(|before| before.cloud == cloud);
    let owned = object.status.identity.as_ref().map(|identity| identity.port);
    let is_gone = world.port.now == Cloud::Gone || owned.is_some_and(|owned| owned != world.port.number);
    let (is_right, name) = match reason {
        Reason::PortRetained => (object.policy == Retain, "retained, though the policy is another"),
        Reason::PortRecycled => {
            // It may have left the bin since the reading, for good or by a person's doing, and be on its way back.
            let in_bin = is_gone || [Cloud::Deleting, Cloud::InBin, Cloud::Destroying].into_iter().any(was);
            (object.policy == Terminate && in_bin, "left in the bin, where it is not or should not be")
        }
        Reason::PortNeverFound => {
            // Each object was made for the first port of its id.
            let is_hidden = !world.keys[of].sees_the_port() || was(Cloud::Gone) || world.port.number != 0;
            (owned.is_none() && is_hidden, "never found, though it is there")
        }
        _ => {
            // A key that does not see the port may tell the end of one that is on its way out, if Zenlayer keeps its word.
            let accepted = object.release().is_some_and(|release| release.destroy_accepted);
            let stands_in = world.keys[of] == Key::Limited && (was(Cloud::Destroying) || accepted);
            (is_gone || stands_in, "gone, though it is there")
        }
    };
    (!is_right).then_some(name)
}
