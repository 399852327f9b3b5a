//! Consent: what counts as it, and the commands that give it.

use super::*;
use crate::api::tests::{UID, object, occurrences};

fn annotated(value: &str) -> ZenlayerPort {
    let mut object = object(Some(UID));
    object.metadata.annotations = Some([(APPROVE_ANNOTATION.to_owned(), value.to_owned())].into());
    object
}

#[test]
fn consent_is_to_one_reason_of_one_object() {
    for (value, given) in [
        ("MassDeletion-5f0c9a3e", true),
        ("MassDeletion-7d1b2c4f", false),
        ("CRDDeleted-5f0c9a3e", false),
        ("MassDeletion", false),
        ("MassDeletion-", false),
        ("MassDeletion-5f0c9a3", false),
        ("MassDeletion-5f0c9a3e-0000-4000-8000-000000000001", false),
        ("massdeletion-5f0c9a3e", false),
        ("5f0c9a3e", false),
        ("*", false),
        ("", false),
    ] {
        assert_eq!(annotated(value).approves(Reason::MassDeletion), given, "{value:?}");
    }
    assert!(!object(Some(UID)).approves(Reason::MassDeletion), "without the annotation");
}

#[test]
fn several_consents_are_separated_by_commas_with_or_without_spaces() {
    for value in [
        "MassDeletion-5f0c9a3e,CRDDeleted-5f0c9a3e",
        " CRDDeleted-5f0c9a3e , MassDeletion-5f0c9a3e\n",
        "MassDeletion-5f0c9a3e,,CRDDeleted-5f0c9a3e,",
        "CRDDeleted-5f0c9a3e,Nonsense,MassDeletion-7d1b2c4f,MassDeletion-5f0c9a3e",
    ] {
        let object = annotated(value);
        let approved: Vec<_> = Reason::ALL.iter().filter(|reason| object.approves(**reason)).collect();
        assert_eq!(approved, [&Reason::MassDeletion, &Reason::CRDDeleted], "{value:?}");
    }
    assert!(
        !annotated("MassDeletion-5f0c9a3e CRDDeleted-5f0c9a3e").approves(Reason::CRDDeleted),
        "without a comma"
    );
}

#[test]
fn an_object_without_a_whole_uid_can_be_approved_by_nobody() {
    for uid in [None, Some(""), Some("5f0c9a3"), Some("5f0c9a3é")] {
        let mut object = annotated("MassDeletion-5f0c9a3,MassDeletion-,MassDeletion");
        object.metadata.uid = uid.map(str::to_owned);
        assert!(!object.approves(Reason::MassDeletion), "{uid:?}");
    }
}

#[test]
fn the_command_gives_the_consent_that_is_missing_and_keeps_what_was_given() {
    let object =
        annotated("CRDDeleted-5f0c9a3e,'; rm -rf /,IdentityChanged-7d1b2c4f,RestoredElsewhere-5f0c9a3e-1");
    let status = occurrences(2);
    let command = object.approve_command(Reason::RestoredElsewhere, &status);
    let (typed, value) = command.split_once(&format!("{APPROVE_ANNOTATION}=")).expect("the annotation");
    assert_eq!(typed, "kubectl annotate zenlayerport edge-1 -n team-a --overwrite ");
    let after = annotated(value);
    let approved: Vec<_> =
        Reason::ALL.iter().filter(|reason| after.approves_given(**reason, &status)).collect();
    assert_eq!(approved, [&Reason::RestoredElsewhere, &Reason::CRDDeleted], "{value}");
    assert_eq!(value, "CRDDeleted-5f0c9a3e,RestoredElsewhere-5f0c9a3e-2", "what is spent is dropped");
}

#[test]
fn a_consent_to_what_can_occur_again_is_spent() {
    for (value, reason, given) in [
        ("RestoredElsewhere-5f0c9a3e-2", Reason::RestoredElsewhere, true),
        ("RestoredElsewhere-5f0c9a3e-1", Reason::RestoredElsewhere, false),
        ("RestoredElsewhere-5f0c9a3e-3", Reason::RestoredElsewhere, false),
        ("RestoredElsewhere-5f0c9a3e", Reason::RestoredElsewhere, false),
        // printf 2025-12-24T18:00:00Z | sha256sum
        ("IdentityChanged-5f0c9a3e-d4ce7ab4", Reason::IdentityChanged, true),
        ("IdentityChanged-5f0c9a3e-00000000", Reason::IdentityChanged, false),
        ("IdentityChanged-5f0c9a3e", Reason::IdentityChanged, false),
    ] {
        assert_eq!(annotated(value).approves_given(reason, &occurrences(2)), given, "{value:?}");
    }
    let nothing_occurred = ZenlayerPortStatus::default();
    for value in ["RestoredElsewhere-5f0c9a3e-0", "RestoredElsewhere-5f0c9a3e", "IdentityChanged-5f0c9a3e-"] {
        let reason = Reason::parse(value.split('-').next().expect("a word")).expect("a reason");
        assert!(!annotated(value).approves_given(reason, &nothing_occurred), "{value:?}");
    }
}

#[test]
fn what_may_be_approved_is_what_the_design_lists() {
    let approvable: Vec<_> = Reason::ALL.iter().filter(|reason| reason.is_approvable()).collect();
    let listed = [
        Reason::IdentityChanged,
        Reason::RestoredElsewhere,
        Reason::MassDeletion,
        Reason::CRDDeleted,
        Reason::ApprovalRequired,
    ];
    assert_eq!(approvable, listed.iter().collect::<Vec<_>>());
}
