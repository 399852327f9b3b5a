//! What a decision rests on, each dimension reduced to the values between which some rule tells.

use zenlayer_port_operator::api::CallAction::{self, DestroyPort, TerminatePort};
use zenlayer_port_operator::api::DeletionPolicy::{self, Destroy, Retain, Terminate, TerminateAndDestroy};
use zenlayer_port_operator::api::Reason;

use crate::Effort;

macro_rules! space {
    ($($dimension:ident: $kind:ty),* $(,)?) => {
        /// One combination.
        #[derive(Clone, Copy, Debug)]
        pub struct Case {
            $(pub $dimension: $kind),*
        }

        /// The values that each dimension takes.
        #[derive(Clone, Copy, Debug)]
        pub struct Space {
            $(pub $dimension: &'static [$kind]),*
        }

        impl Space {
            pub fn size(&self) -> usize {
                1 $(* self.$dimension.len())*
            }

            /// The combination of this number, below [`Space::size`].
            pub fn case(&self, number: usize) -> Case {
                let mut rest = number;
                $(
                    let $dimension = self.$dimension[rest % self.$dimension.len()];
                    rest /= self.$dimension.len();
                )*
                debug_assert_eq!(rest, 0);
                Case { $($dimension),* }
            }
        }
    };
}

space! {
    life: Life,
    finalizers: Finalizers,
    policy: DeletionPolicy,
    credential: Credential,
    sighting: Sighting,
    age: Age,
    identity: Identity,
    record: Record,
    history: History,
    destroy_accepted: bool,
    brake: Brake,
    protected: bool,
    deletion: Deletion,
    consent_required: bool,
    listed: bool,
    crd: Crd,
    consent: Consent,
    claim: Claimed,
    in_use: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Alive,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizers {
    Ours,
    OursAndOthers,
    Others,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    Signs,
    OnlyReads,
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    NotAskedFor,
    Unread,
    Seen(Seen),
    Absent { last_seen: LastSeen, run: Run },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Live,
    /// In readings that are ten seconds apart.
    LiveTwice,
    LivePrepaid,
    InBin,
    Deleting,
    Updating,
    Destroying,
    Destroyed,
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSeen {
    Live,
    InBin,
    Leaving,
}

/// Good readings without the port, and the time between the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Run {
    Once,
    TwiceIn5s,
    TwiceIn30s,
    ThriceIn2min,
    ThriceIn10min,
}

/// How old the newest good reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Seconds0,
    Seconds30,
    Seconds31,
    Seconds901,
}

/// For how long this process has known of the deletion: in the grace, just after it, or so long that a reading which is
/// 30 s old began after it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Seconds9,
    Seconds10,
    Seconds60,
}

/// What the object's status knows of the port that it owns, against what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nobody has seen it.
    Unknown,
    SeenByThisKey,
    /// By another key, of which another object tells that it is of the same account.
    SeenByASibling,
    /// By another key of which nothing is known.
    SeenByAStranger,
    /// Its creation time was told then, and is not told now.
    Untimed,
    /// It was created at another time.
    Another,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    None,
    Of(CallAction, Standing),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Written by another process, or an earlier one; this one has seen it just now.
    New,
    Pending,
    PendingSettled,
    Unclear,
    UnclearSettled,
    /// Written long before this process knew of it.
    PendingUnwatched,
    /// No reading followed for more than ten minutes.
    UnclearUnwatched,
    Accepted,
    AcceptedGivenUp,
    Landed,
    /// By the word of another process: this one has read the port only before it knew of the call.
    LandedUnread,
    Refused,
    RefusedLongAgo,
    /// So long ago that what uses the port no longer holds the next call.
    RefusedLongestAgo,
    Throttled,
    ThrottledLongAgo,
    NotSent,
    NotSentLongAgo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    Nothing,
    SeenInBin,
    Restored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    Off,
    Latched,
    TooManyAtOnce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crd {
    Stays,
    NotGranted,
    Terminating,
    Unread,
    /// It was being deleted at an earlier reconcile, and stays now.
    WasTerminating,
    /// It was created when the object was already deleted.
    AppliedAgain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    ToNothing,
    To(Reason),
    ToAll,
}

/// Another object with the same port id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    No,
    ByALivingObject,
    ByAnOlderThatGoesToo,
    ByAYoungerThatGoesToo,
    /// Its own key has never seen the port.
    ByAStranger,
    /// It goes too. What its own key sees is not known yet.
    PerhapsByAnOlder,
    /// What its own key sees was not known in time.
    ByOneThatNeverLooked,
}

impl Case {
    /// The call that the policy asks for of a port that is where it is seen.
    pub fn action(&self) -> Option<CallAction> {
        match (self.sighting, self.policy) {
            (Sighting::Seen(Seen::Live | Seen::LiveTwice), TerminateAndDestroy | Terminate) => {
                Some(TerminatePort)
            }
            (Sighting::Seen(Seen::InBin), Destroy | TerminateAndDestroy) => Some(DestroyPort),
            _ => None,
        }
    }

    pub fn has_consent(&self, reason: Reason) -> bool {
        match self.consent {
            Consent::ToNothing => false,
            Consent::To(one) => one == reason,
            Consent::ToAll => true,
        }
    }
}

use Sighting::{Absent, NotAskedFor, Unread};
use Standing as S;

const SIGHTINGS: &[Sighting] = &{
    let mut all = [NotAskedFor; 26];
    let seen = [
        Seen::Live,
        Seen::LiveTwice,
        Seen::LivePrepaid,
        Seen::InBin,
        Seen::Deleting,
        Seen::Updating,
        Seen::Destroying,
        Seen::Destroyed,
        Seen::Odd,
    ];
    let runs = [Run::Once, Run::TwiceIn5s, Run::TwiceIn30s, Run::ThriceIn2min, Run::ThriceIn10min];
    let mut at = 0;
    while at < 9 {
        all[at] = Sighting::Seen(seen[at]);
        at += 1;
    }
    let mut run = 0;
    while run < 5 {
        all[at] = Absent { last_seen: LastSeen::Live, run: runs[run] };
        all[at + 1] = Absent { last_seen: LastSeen::InBin, run: runs[run] };
        all[at + 2] = Absent { last_seen: LastSeen::Leaving, run: runs[run] };
        at += 3;
        run += 1;
    }
    all[at] = Unread;
    all
};

const RECORDS: &[Record] = &{
    let standings = [
        S::New,
        S::Pending,
        S::PendingSettled,
        S::Unclear,
        S::UnclearSettled,
        S::PendingUnwatched,
        S::UnclearUnwatched,
        S::Accepted,
        S::AcceptedGivenUp,
        S::Landed,
        S::LandedUnread,
        S::Refused,
        S::RefusedLongAgo,
        S::RefusedLongestAgo,
        S::Throttled,
        S::ThrottledLongAgo,
        S::NotSent,
        S::NotSentLongAgo,
    ];
    let mut all = [Record::None; 37];
    let mut at = 0;
    while at < standings.len() {
        all[2 * at] = Record::Of(TerminatePort, standings[at]);
        all[2 * at + 1] = Record::Of(DestroyPort, standings[at]);
        at += 1;
    }
    all
};

const CONSENTS: &[Consent] = &[
    Consent::ToNothing,
    Consent::ToAll,
    Consent::To(Reason::IdentityChanged),
    Consent::To(Reason::RestoredElsewhere),
    Consent::To(Reason::MassDeletion),
    Consent::To(Reason::CRDDeleted),
    Consent::To(Reason::ApprovalRequired),
];

/// Whether to call: all that a call rests on, of an object whose port is where a call would work or nearly so.
const CALLS: Space = Space {
    life: &[Life::Deleted],
    finalizers: &[Finalizers::Ours],
    policy: &[Destroy, TerminateAndDestroy, Terminate],
    credential: &[Credential::Signs, Credential::OnlyReads],
    sighting: &[Sighting::Seen(Seen::Live), Sighting::Seen(Seen::LiveTwice), Sighting::Seen(Seen::InBin)],
    age: &[Age::Seconds0, Age::Seconds30, Age::Seconds31],
    identity: &[Identity::SeenByThisKey, Identity::Another],
    record: RECORDS,
    history: &[History::Nothing, History::SeenInBin, History::Restored],
    destroy_accepted: &[false],
    brake: &[Brake::Off, Brake::Latched, Brake::TooManyAtOnce],
    protected: &[false, true],
    deletion: &[Deletion::Seconds9, Deletion::Seconds10, Deletion::Seconds60],
    consent_required: &[false, true],
    listed: &[true],
    crd: &[Crd::Stays, Crd::Terminating, Crd::Unread],
    consent: CONSENTS,
    claim: &[Claimed::No, Claimed::ByALivingObject, Claimed::ByAYoungerThatGoesToo],
    in_use: &[false, true],
};

/// Whether to remove the finalizer, and what else a plan says: every reading and history of every object.
const ENDS: Space = Space {
    life: &[Life::Deleted, Life::Alive],
    finalizers: &[Finalizers::Ours, Finalizers::OursAndOthers, Finalizers::Others],
    policy: &[Destroy, TerminateAndDestroy, Terminate, Retain],
    credential: &[Credential::Signs, Credential::OnlyReads, Credential::Missing],
    sighting: SIGHTINGS,
    age: &[Age::Seconds30, Age::Seconds31, Age::Seconds901],
    identity: &[
        Identity::Unknown,
        Identity::SeenByThisKey,
        Identity::SeenByASibling,
        Identity::SeenByAStranger,
        Identity::Untimed,
        Identity::Another,
    ],
    record: RECORDS,
    history: &[History::Nothing, History::SeenInBin],
    destroy_accepted: &[false, true],
    brake: &[Brake::Off],
    protected: &[false],
    deletion: &[Deletion::Seconds10, Deletion::Seconds60],
    consent_required: &[false],
    listed: &[true],
    crd: &[Crd::NotGranted],
    consent: &[Consent::ToNothing, Consent::ToAll],
    claim: &[Claimed::ByAnOlderThatGoesToo, Claimed::ByAStranger],
    in_use: &[false],
};

/// What else keeps a call back: the brakes that outlive what put them on.
const BRAKES: Space = Space {
    policy: &[Destroy, TerminateAndDestroy],
    credential: &[Credential::Signs],
    record: &[
        Record::None,
        Record::Of(DestroyPort, S::UnclearSettled),
        Record::Of(TerminatePort, S::AcceptedGivenUp),
    ],
    history: &[History::Nothing],
    listed: &[true, false],
    crd: &[
        Crd::Stays,
        Crd::NotGranted,
        Crd::Terminating,
        Crd::Unread,
        Crd::WasTerminating,
        Crd::AppliedAgain,
    ],
    claim: &[
        Claimed::No,
        Claimed::ByAnOlderThatGoesToo,
        Claimed::PerhapsByAnOlder,
        Claimed::ByOneThatNeverLooked,
    ],
    in_use: &[false],
    ..CALLS
};

/// The same, with fewer values of each dimension, but each rule among them.
const SHORT: [Space; 3] = [
    Space {
        policy: &[TerminateAndDestroy],
        sighting: &[Sighting::Seen(Seen::Live), Sighting::Seen(Seen::InBin)],
        age: &[Age::Seconds0, Age::Seconds31],
        identity: &[Identity::SeenByThisKey, Identity::Another],
        record: &[
            Record::None,
            Record::Of(DestroyPort, S::Pending),
            Record::Of(DestroyPort, S::UnclearSettled),
            Record::Of(TerminatePort, S::AcceptedGivenUp),
            Record::Of(TerminatePort, S::PendingUnwatched),
            Record::Of(TerminatePort, S::UnclearUnwatched),
            Record::Of(TerminatePort, S::RefusedLongAgo),
            Record::Of(DestroyPort, S::NotSent),
            Record::Of(TerminatePort, S::LandedUnread),
        ],
        consent_required: &[false, true],
        crd: &[Crd::Stays, Crd::Terminating],
        consent: &[Consent::ToNothing, Consent::ToAll],
        claim: &[Claimed::No, Claimed::ByALivingObject],
        ..CALLS
    },
    Space {
        finalizers: &[Finalizers::Ours, Finalizers::OursAndOthers],
        policy: &[Destroy, Terminate, Retain],
        age: &[Age::Seconds30, Age::Seconds31],
        identity: &[
            Identity::Unknown,
            Identity::SeenByThisKey,
            Identity::SeenByASibling,
            Identity::SeenByAStranger,
        ],
        record: &[
            Record::None,
            Record::Of(DestroyPort, S::Accepted),
            Record::Of(TerminatePort, S::Pending),
            Record::Of(DestroyPort, S::PendingSettled),
        ],
        history: &[History::SeenInBin],
        claim: &[Claimed::No],
        ..ENDS
    },
    Space {
        policy: &[Destroy],
        sighting: &[Sighting::Seen(Seen::InBin)],
        identity: &[Identity::SeenByThisKey],
        record: &[Record::None],
        consent: &[Consent::ToNothing, Consent::ToAll, Consent::To(Reason::CRDDeleted)],
        ..BRAKES
    },
];

pub fn spaces(effort: Effort) -> [Space; 3] {
    match effort {
        Effort::Short => SHORT,
        Effort::Deep => [CALLS, ENDS, BRAKES],
    }
}
