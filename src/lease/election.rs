//! When to look at the Lease, to take it, to keep it and to give up: pure, told what was seen and when.
//!
//! A *term* lasts for the renew deadline from the moment at which the newest successful write was **sent**. Another candidate
//! takes the Lease only after it has **seen** it unchanged for the Lease's duration, by a write that fails if it has changed.
//! So no two terms are ever running at one moment, whatever is paused, lost, late or doubled, and whatever the wall clocks
//! say, as long as
//! - nobody but the candidates writes the Lease, or deletes it before a candidate's first look at it, and
//! - no clock runs more than duration / deadline = 1.5 times as fast as another. The clock counts time in which the machine
//!   was suspended, but that of a virtual machine may stand still while its host stops it.
//!
//! What this cannot give: a process that is paused between its look at the clock and its act still acts afterwards. That is
//! what the record ahead of each call is for.

use std::time::Duration;

use crate::clock::Monotonic;

/// A recorded duration beyond this is taken for a slip of whoever edited the Lease.
const LONGEST_DURATION: Duration = Duration::from_mins(1);

/// client-go's defaults are these too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How long others leave an unchanged Lease to its holder.
    pub duration: Duration,
    /// How long the holder relies on its newest renewal.
    pub renew_deadline: Duration,
    /// Between two renewals, or two looks.
    pub retry: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

impl LeaseTiming {
    /// The same with every duration multiplied by `factor`, but not by less than 0.4: a busy machine, as one that runs tests
    /// is, may stall for a second or two, and a leader that ends over it would only disturb.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |duration: Duration| duration.mul_f64(factor.max(0.4));
        Self {
            duration: scale(self.duration),
            renew_deadline: scale(self.renew_deadline),
            retry: scale(self.retry),
        }
    }
}

/// The Lease as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its `resourceVersion`.
    pub version: String,
    /// None: it was released.
    pub holder: Option<String>,
    /// Its `leaseDurationSeconds`.
    pub duration: Duration,
}

/// The Lease as this process knows it.
#[derive(Clone, Debug)]
struct View {
    /// None: there is no Lease; the rest is what the last one said.
    version: Option<String>,
    holder: Option<String>,
    duration: Duration,
    /// When this process first saw it so.
    since: Monotonic,
}

/// What to do next. A request ends in [`Election::looked`], [`Election::wrote`] or [`Election::failed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease.
    Look,
    Write(Write),
    Wait(Duration),
    /// The Lease was ours and is no longer.
    Lost(Loss),
}

/// A write that fails if the Lease is not as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The version that is replaced; none: it is created.
    pub version: Option<String>,
    /// None releases it.
    pub holder: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    #[error("this replica could not renew it within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    #[error("{0} holds it")]
    Taken(String),
}

/// Where this process stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known yet, or it has resigned.
    Unknown,
    Waiting {
        holder: String,
    },
    Leading {
        /// The end of the term, if it is not renewed.
        until: Monotonic,
    },
}

/// One candidate's part in the election.
#[derive(Clone, Debug)]
pub struct Election {
    me: String,
    timing: LeaseTiming,
    /// None: no look has succeeded yet.
    view: Option<View>,
    next: Next,
    /// Looks and writes that failed in a row.
    failures: u32,
    /// When the newest of our successful writes was sent.
    renewed: Option<Monotonic>,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    LookAt(Monotonic),
    WriteAt(Monotonic),
}

impl Election {
    /// `me` must be a name that no other process has or had.
    pub fn new(me: String, timing: LeaseTiming, now: Monotonic) -> Self {
        Self { me, timing, view: None, next: Next::LookAt(now), failures: 0, renewed: None }
    }

    pub fn step(&self, now: Monotonic) -> Step {
        if let Some(loss) = self.loss(now) {
            return Step::Lost(loss);
        }
        match self.next {
            Next::LookAt(at) | Next::WriteAt(at) if now < at => Step::Wait(at.since(now)),
            Next::LookAt(_) => Step::Look,
            Next::WriteAt(_) => {
                let version = self.view.as_ref().and_then(|view| view.version.clone());
                Step::Write(Write { version, holder: Some(self.me.clone()) })
            }
        }
    }

    pub fn standing(&self) -> Standing {
        match (self.term_end(), self.rival()) {
            (Some(until), None) => Standing::Leading { until },
            (None | Some(_), Some(holder)) => Standing::Waiting { holder: holder.to_owned() },
            (None, None) => Standing::Unknown,
        }
    }

    /// How long a request may take: two that hang leave time for a third.
    pub fn patience(&self, now: Monotonic) -> Duration {
        let each = self.timing.renew_deadline / 3;
        self.term_end().map_or(each, |end| each.min(end.since(now)))
    }

    /// A look brought `seen` (none: there is no Lease) at `at`.
    pub fn looked(&mut self, seen: Option<Record>, at: Monotonic) {
        self.failures = 0;
        let view = match (seen, self.view.take()) {
            (None, None) => View { version: None, holder: None, duration: Duration::ZERO, since: at },
            // Whoever deleted it did not stop its holder.
            (None, Some(before)) if before.version.is_some() => View { version: None, since: at, ..before },
            (None, Some(before)) => before,
            (Some(Record { version, holder, duration }), before) => {
                let unchanged =
                    |view: &View| view.version.as_ref() == Some(&version) && view.holder == holder;
                let since = before.filter(unchanged).map_or(at, |before| before.since);
                View { version: Some(version), holder, duration, since }
            }
        };
        let free_at =
            if self.is_rival(view.holder.as_deref()) { view.since + self.left_alone(&view) } else { at };
        self.next =
            if free_at <= at { Next::WriteAt(at) } else { Next::LookAt(free_at.min(at + self.timing.retry)) };
        self.view = Some(view);
    }

    /// A write that was sent at `sent` succeeded: the Lease is as `written` says.
    pub fn wrote(&mut self, written: Record, sent: Monotonic, at: Monotonic) {
        self.failures = 0;
        self.renewed = (written.holder.as_ref() == Some(&self.me)).then_some(sent);
        self.next = Next::WriteAt(sent + self.timing.retry);
        let Record { version, holder, duration } = written;
        self.view = Some(View { version: Some(version), holder, duration, since: at });
    }

    /// A request that was sent at `sent` brought no answer, or a conflict: the Lease is looked at before anything else.
    pub fn failed(&mut self, sent: Monotonic, at: Monotonic) {
        self.next = Next::LookAt(at.max(sent + self.pause()));
        self.failures = self.failures.saturating_add(1);
    }

    /// Ends the term, once and for all; the write that frees the Lease, if it is ours as far as is known.
    pub fn resign(&mut self) -> Option<Write> {
        self.renewed = None;
        let view = self.view.as_ref().filter(|view| view.holder.as_ref() == Some(&self.me))?;
        Some(Write { version: Some(view.version.clone()?), holder: None })
    }

    fn loss(&self, now: Monotonic) -> Option<Loss> {
        let end = self.term_end()?;
        match self.rival() {
            Some(holder) => Some(Loss::Taken(holder.to_owned())),
            None => (now >= end).then_some(Loss::Deadline(self.timing.renew_deadline)),
        }
    }

    fn term_end(&self) -> Option<Monotonic> {
        self.renewed.map(|sent| sent + self.timing.renew_deadline)
    }

    fn rival(&self) -> Option<&str> {
        let holder = self.view.as_ref()?.holder.as_deref();
        holder.filter(|_| self.is_rival(holder))
    }

    fn is_rival(&self, holder: Option<&str>) -> bool {
        holder.is_some_and(|holder| holder != self.me)
    }

    /// How long an unchanged Lease is left to its holder, which may have another version's duration.
    fn left_alone(&self, view: &View) -> Duration {
        view.duration.min(LONGEST_DURATION).max(self.timing.duration)
    }

    /// Between a request that failed and the next: a leader has no time to lose, others double it.
    fn pause(&self) -> Duration {
        match self.renewed {
            Some(_) => self.timing.retry,
            None => (self.timing.retry * (1 << self.failures.min(8))).min(self.timing.duration),
        }
    }
}
