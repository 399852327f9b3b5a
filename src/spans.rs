//! Spans: what the operator did, when, and how it ended. `server::otlp` sends them to a collector of traces; without one,
//! nothing is made or kept.
//!
//! The deletion of an object is one trace. Its id is the uid of the object, and the id of its root span is the second half
//! of the uid. So each process that works on a deletion adds to the same trace, and nothing has to be remembered.

use std::sync::OnceLock;
use std::time::SystemTime;

use aws_lc_rs::rand;

use crate::clock::Clock;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub place: Place,
    pub parent: Option<u64>,
    pub kind: Kind,
    pub name: &'static str,
    pub start: SystemTime,
    pub end: SystemTime,
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong, in one word.
    pub error: Option<String>,
}

/// Which span of which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub trace: u128,
    pub span: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work of the operator.
    Internal,
    /// A request to a server.
    Client,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
}

/// The error of a span that ended before its work did.
const CUT_OFF: &str = "cancelled";

type Export = Box<dyn Fn(Ended) + Send + Sync>;

static EXPORT: OnceLock<Export> = OnceLock::new();

tokio::task_local! {
    /// The span that the current task works on.
    static UNDER_WAY: Option<Place>;
}

/// Spans are for people: no decision rests on their times.
fn now() -> SystemTime {
    Clock::System.wall().into()
}

/// From now on each span that ends is given to `export`, which must not block. Only the first one counts.
pub fn export_by(export: impl Fn(Ended) + Send + Sync + 'static) {
    let _ = EXPORT.set(Box::new(export));
}

/// Whether anybody wants spans.
pub fn are_exported() -> bool {
    EXPORT.get().is_some()
}

/// Work under way. It ends when it is dropped, however that comes about.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Ended>>);

impl Span {
    /// A part of what the current task works on; nothing if it works on no span.
    pub fn part(name: &'static str, kind: Kind) -> Self {
        current().map_or_else(Self::default, |parent| Self::below(parent, name, kind))
    }

    /// A part of what the current task works on, or else a trace of its own.
    pub fn start(name: &'static str, kind: Kind) -> Self {
        current().map_or_else(|| Self::own_trace(name, kind), |parent| Self::below(parent, name, kind))
    }

    /// A part of the deletion of the object with this uid.
    pub fn of_deletion(uid: &str, name: &'static str) -> Self {
        let root = deletion(uid);
        root.map_or_else(
            || Self::own_trace(name, Kind::Internal),
            |root| Self::below(root, name, Kind::Internal),
        )
    }

    /// The whole deletion of the object with this uid, since this time until now.
    pub fn whole_deletion(uid: &str, name: &'static str, since: SystemTime) -> Self {
        let place = deletion(uid).filter(|_| are_exported());
        let mut whole = Self::begin(place, None, name, Kind::Internal);
        if let Some(span) = &mut whole.0 {
            // By another clock.
            span.start = span.start.min(since);
            span.error = None;
        }
        whole
    }

    fn own_trace(name: &'static str, kind: Kind) -> Self {
        let place = random().map(|bytes| Place { trace: u128::from_be_bytes(bytes), span: 0 });
        let place = place.and_then(|place| Some(Place { span: span_id()?, ..place }));
        Self::begin(place, None, name, kind)
    }

    fn below(parent: Place, name: &'static str, kind: Kind) -> Self {
        let place = span_id().map(|span| Place { span, ..parent });
        Self::begin(place, Some(parent.span), name, kind)
    }

    fn begin(place: Option<Place>, parent: Option<u64>, name: &'static str, kind: Kind) -> Self {
        let start = now();
        Self(place.map(|place| {
            let (attributes, error) = (Vec::new(), Some(CUT_OFF.to_owned()));
            Box::new(Ended { place, parent, kind, name, start, end: start, attributes, error })
        }))
    }

    pub fn set(&mut self, key: &'static str, text: impl Into<String>) {
        if let Some(span) = &mut self.0 {
            span.attributes.push((key, Value::Text(text.into())));
        }
    }

    pub fn set_number(&mut self, key: &'static str, number: impl Into<i64>) {
        if let Some(span) = &mut self.0 {
            span.attributes.push((key, Value::Number(number.into())));
        }
    }

    /// Why it did not do what it was for, in one word; none: it did. A span that ends without this call was cut off.
    pub fn set_error(&mut self, error: Option<&str>) {
        if let Some(span) = &mut self.0 {
            span.error = error.map(str::to_owned);
        }
    }

    /// It is not exported.
    pub fn discard(&mut self) {
        self.0 = None;
    }

    /// Does `work` as what this span is about: spans that start in it are parts of this one.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        UNDER_WAY.scope(self.0.as_ref().map(|span| span.place), work).await
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(mut span), Some(export)) = (self.0.take(), EXPORT.get()) {
            span.end = now().max(span.start);
            export(*span);
        }
    }
}

fn current() -> Option<Place> {
    UNDER_WAY.try_with(|place| *place).ok().flatten()
}

/// The root span of the deletion of the object with this uid; none if that is no UUID.
fn deletion(uid: &str) -> Option<Place> {
    let digits: String = uid.split('-').collect();
    let is_uuid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let trace = u128::from_str_radix(&digits, 16).ok().filter(|_| is_uuid)?;
    let span = u64::from_str_radix(&digits[16..], 16).ok()?;
    // An id of zeros is none.
    (span != 0).then_some(Place { trace, span })
}

fn span_id() -> Option<u64> {
    random().map(u64::from_be_bytes)
}

/// None where nobody wants spans.
fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let filled = are_exported() && rand::fill(&mut bytes).is_ok();
    filled.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    const UID: &str = "7d4b6e0c-0f0f-4f6e-9a3b-2c1d5e8f9a01";
    const TRACE: u128 = 0x7d4b_6e0c_0f0f_4f6e_9a3b_2c1d_5e8f_9a01;
    const ROOT: u64 = 0x9a3b_2c1d_5e8f_9a01;

    /// What has ended, in this order. All tests of the process share the exporter.
    static ENDED: Mutex<Vec<Ended>> = Mutex::new(Vec::new());

    fn ended(trace: u128) -> Vec<Ended> {
        let all = ENDED.lock().expect("no test panics with it");
        all.iter().filter(|span| span.place.trace == trace).cloned().collect()
    }

    #[tokio::test]
    async fn a_deletion_is_one_trace_named_by_the_uid() {
        export_by(|span| ENDED.lock().expect("no test panics with it").push(span));
        let reconcile = Span::of_deletion(UID, "reconcile");
        reconcile
            .around(async {
                let mut call = Span::start("DestroyPort", Kind::Client);
                call.set("request_id", "T1");
                call.set_error(Some("refused"));
                Span::part("PUT", Kind::Client).discard();
            })
            .await;
        drop(reconcile);
        let since = SystemTime::now() - Duration::from_mins(5);
        drop(Span::whole_deletion(UID, "delete", since));

        let [call, reconcile, root] = &ended(TRACE)[..] else { panic!("three spans: {:?}", ended(TRACE)) };
        assert_eq!((call.name, call.parent), ("DestroyPort", Some(reconcile.place.span)));
        assert_eq!(call.error.as_deref(), Some("refused"));
        assert_eq!(call.attributes, [("request_id", Value::Text("T1".to_owned()))]);
        assert_eq!((reconcile.name, reconcile.parent), ("reconcile", Some(ROOT)));
        assert_eq!((root.place.span, root.parent, root.start), (ROOT, None, since));
        assert!(root.end > root.start, "{root:?}");
    }

    #[tokio::test]
    async fn what_belongs_to_no_deletion_is_a_trace_of_its_own_or_nothing() {
        export_by(|span| ENDED.lock().expect("no test panics with it").push(span));
        let [one, other] =
            [0; 2].map(|_| Span::start("DescribePorts", Kind::Client).0.clone().expect("a span"));
        assert_ne!(one.place.trace, other.place.trace);
        assert_eq!(one.parent, None);
        assert!(Span::part("PUT", Kind::Client).0.is_none(), "it is a part of nothing");
    }

    #[test]
    fn only_a_uuid_names_a_trace() {
        assert_eq!(deletion(UID), Some(Place { trace: TRACE, span: ROOT }));
        let long = UID.repeat(2);
        for uid in ["", "edge", "+d4b6e0c-0f0f-4f6e-9a3b-2c1d5e8f9a01", long.as_str()] {
            assert_eq!(deletion(uid), None, "{uid}");
        }
        assert_eq!(deletion("7d4b6e0c-0f0f-4f6e-0000-000000000000"), None, "no id of zeros");
    }
}
