//! What the simulator's journal says of the operator, alone and together with what the objects showed.

use std::cell::RefCell;

use anyhow::Result;
use test_support::oracle::{Chronicle, Evidence, Limits, Violation, judge};
use zenlayer_simulator::Journal;

use crate::world::{ACCOUNT, World};

thread_local! {
    /// In the worlds that ended on this thread.
    static VIOLATIONS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Every test ends with this.
pub fn assert_that_the_oracles_hold() {
    let violations = VIOLATIONS.take();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// A world that ends is judged. Each test says itself how often calls are sent, and how its objects end.
pub fn judge_the_end_of(world: &World) {
    let evidence = Evidence {
        chronicle: world.simulator.with_journal(|journal| Chronicle::from(journal)),
        subjects: world.objects_seen.subjects(world.began, |_, _| Some(ACCOUNT)),
        limits: Limits { sends: usize::MAX, reads: usize::MAX },
        ..Evidence::default()
    };
    let describe = |violation: Violation| format!("{violation}\n{}", world.log());
    VIOLATIONS.with_borrow_mut(|all| all.extend(judge(&evidence).into_iter().map(describe)));
}

impl World {
    pub fn journal(&self) -> Journal {
        self.simulator.journal()
    }

    /// How many requests for this action there were.
    pub fn sent(&self, action: &str) -> usize {
        self.simulator.with_journal(|journal| journal.calls(action).count())
    }

    /// Asserts that each port of `destroyed` was destroyed by exactly one request, and that none was sent for any other.
    pub fn assert_only_destroyed(&self, destroyed: &[&str]) {
        self.assert_only_destroyed_by(1, destroyed);
    }

    /// The same where a test makes calls fail: so many requests were sent for each port, and one of them took effect.
    pub fn assert_only_destroyed_by(&self, sends: usize, destroyed: &[&str]) {
        let journal = self.journal();
        for port in destroyed {
            let sent = journal.calls_for("DestroyPort", port).count();
            assert_eq!(sent, sends, "DestroyPort of {port} was sent {sent} times\n{}", self.log());
            let commits = journal.committed_destroys(port);
            assert_eq!(commits, 1, "{port} was destroyed {commits} times\n{}", self.log());
        }
        let others: Vec<_> = journal
            .calls("DestroyPort")
            .flat_map(|call| call.port_ids.clone())
            .filter(|port| !destroyed.contains(&&**port))
            .collect();
        assert!(others.is_empty(), "DestroyPort was called for {others:?}\n{}", self.log());
    }

    /// Waits until the object is gone: by then these ports were destroyed, as [`World::assert_only_destroyed`] has it.
    pub async fn until_gone_with(&self, name: &str, destroyed: &[&str]) -> Result<()> {
        self.until_gone(name).await?;
        self.assert_only_destroyed(destroyed);
        Ok(())
    }

    pub fn assert_not_terminated(&self, port: &str) {
        let sent = self.journal().calls_for("TerminatePort", port).count();
        assert_eq!(sent, 0, "TerminatePort of {port} was sent\n{}", self.log());
    }

    /// Asserts that the port was terminated, by exactly one request.
    pub fn assert_terminated(&self, port: &str) {
        let journal = self.journal();
        let (sent, commits) =
            (journal.calls_for("TerminatePort", port).count(), journal.committed_terminates(port));
        assert_eq!((sent, commits), (1, 1), "sent and carried out: TerminatePort of {port}\n{}", self.log());
    }
}
