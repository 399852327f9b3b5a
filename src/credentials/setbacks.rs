//! What failed, since when, and when it is tried again.

use std::time::Duration;

use crate::clock::Monotonic;
use crate::decision::{Lack, Setback, error_backoff};

/// Why the API server did not do what it was asked, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It will not do it the next time either: a person must act.
    Refused(String),
    /// It did not answer, or could not.
    Unanswered(String),
}

/// Failures in a row, and the newest of them.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    failure: Option<Failure>,
    count: u32,
    first: Monotonic,
    last: Monotonic,
}

impl Failure {
    /// `what` could not be done, because of `error`.
    pub(super) fn new(what: &str, error: &kube::Error) -> Self {
        let sentence = format!("{what}: {}.", brief(error).trim_end_matches('.'));
        match error {
            kube::Error::Api(answer) if is_refusal(answer.code) => Self::Refused(sentence),
            _ => Self::Unanswered(sentence),
        }
    }

    pub(super) fn why(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Unanswered(why) => why,
        }
    }
}

/// A client error that stays one: neither a timeout, nor a conflict, nor too many requests.
fn is_refusal(code: u16) -> bool {
    (400..500).contains(&code) && ![408, 409, 429].contains(&code)
}

/// What the API server says; its whole answer is too long to be shown.
pub(super) fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) => answer.message.clone(),
        other => other.to_string(),
    }
}

impl Setbacks {
    /// Returns whether it had not failed before, or for another cause.
    pub(super) fn failed(&mut self, failure: Failure, now: Monotonic) -> bool {
        if self.count == 0 {
            self.first = now;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        self.failure.replace(failure.clone()) != Some(failure)
    }

    /// Returns whether it had failed before.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(self).failure.is_some()
    }

    /// Whether it is to be tried now: pauses grow with each failure, up to `longest`.
    pub(super) fn is_due(&self, now: Monotonic, longest: Duration) -> bool {
        self.again_in(now, longest).is_zero()
    }

    /// What to tell of it; none if all is well.
    pub(super) fn lack(&self, now: Monotonic, longest: Duration) -> Option<Lack> {
        Some(match self.failure.clone()? {
            Failure::Refused(why) => Lack::Known(why),
            Failure::Unanswered(why) => {
                Lack::Unread(Setback { why, since: self.first, again_in: self.again_in(now, longest) })
            }
        })
    }

    fn again_in(&self, now: Monotonic, longest: Duration) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        (self.last + error_backoff(self.count, 0).min(longest)).since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(seconds))
    }

    fn unanswered() -> Failure {
        Failure::Unanswered("It was not read.".to_owned())
    }

    #[test]
    fn what_failed_once_is_tried_again_a_second_later_and_what_fails_for_long_every_minute() {
        let mut setbacks = Setbacks::default();
        assert!(setbacks.is_due(at(0), MINUTE), "nothing has failed yet");
        setbacks.failed(unanswered(), at(10));
        assert!(!setbacks.is_due(at(10), MINUTE) && setbacks.is_due(at(11), MINUTE), "{setbacks:?}");
        for second in 0..20 {
            setbacks.failed(unanswered(), at(100 + second));
        }
        let Some(Lack::Unread(setback)) = setbacks.lack(at(119), MINUTE) else { panic!("{setbacks:?}") };
        assert_eq!((setback.since, setback.again_in), (at(10), MINUTE), "{setback:?}");
        assert!(setbacks.end() && !setbacks.end() && setbacks.lack(at(200), MINUTE).is_none());
    }

    #[test]
    fn another_cause_is_news_and_the_same_cause_again_is_not() {
        let mut setbacks = Setbacks::default();
        let refused = || Failure::Refused("It is forbidden.".to_owned());
        let news: Vec<bool> = [unanswered(), unanswered(), refused(), refused()]
            .into_iter()
            .map(|failure| setbacks.failed(failure, at(10)))
            .collect();
        assert_eq!(news, [true, false, true, false]);
    }

    #[test]
    fn what_the_api_server_refuses_is_for_a_person_and_what_it_does_not_answer_is_not() {
        let answered = |code: u16| {
            let status = kube::core::Status::failure("no.", "").with_code(code);
            Failure::new("It is not written", &kube::Error::Api(Box::new(status)))
        };
        for code in [400, 401, 403, 422] {
            assert_eq!(answered(code), Failure::Refused("It is not written: no.".to_owned()), "{code}");
        }
        for code in [408, 409, 429, 500, 503] {
            assert_eq!(answered(code), Failure::Unanswered("It is not written: no.".to_owned()), "{code}");
        }
    }
}
