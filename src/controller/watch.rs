//! Lists the ZenlayerPorts and then watches them. Unlike kube's own watcher it bounds a page of the list by its bytes, so
//! that no number of fat objects takes more memory than one page may.

use std::time::Duration;
use std::vec;

use futures::Stream;
use futures::stream;
use kube::api::WatchEvent;
use kube::runtime::watcher::{Error, Event};
use kube::{Client, ResourceExt};
use tokio::time::Instant;

use super::objects::{self, Objects, Page, Rest};
use crate::clock::Clock;
use crate::index::Received;
use crate::server::LastHeard;

/// The server ends a watch after this many seconds. A connection that is dead is noticed soon after, by the client's own
/// timeout (`run.rs`), even if the server sends no bookmarks; and load balancers that cut idle connections take longer.
const WATCH_SECONDS: u32 = 60;

/// A watch that ends sooner than this was not worth its request, and counts as a failure.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// The bytes of a page. A page of one object may be longer.
const LARGEST_PAGE: u64 = 4 << 20;
const LARGEST_OBJECT: u64 = 16 << 20;

/// How many objects the next page of a list asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageSize(u32);

impl PageSize {
    const FIRST: Self = Self(32);
    const MOST: u32 = 500;
    /// A page is asked for that would be half of what it may be, if its objects are like those before.
    const AIM: u64 = LARGEST_PAGE / 2;

    fn most_bytes(self) -> u64 {
        if self.0 > 1 { LARGEST_PAGE } else { LARGEST_OBJECT }
    }

    /// After a page that was longer than it may be; none if one object is.
    fn smaller(self) -> Option<Self> {
        (self.0 > 1).then(|| Self((self.0 / 4).max(1)))
    }

    /// After a page of so many bytes. It grows slowly: the next objects may be fatter.
    fn after(self, page: &Page) -> Self {
        let each = (page.bytes as u64).div_ceil(page.objects.len().max(1) as u64).max(1);
        let fitting = u32::try_from(Self::AIM / each).unwrap_or(u32::MAX);
        Self(fitting.clamp(1, self.0.saturating_mul(4).min(Self::MOST)))
    }
}

enum State {
    Start,
    Listing { page: vec::IntoIter<Received>, rest: Option<Rest>, size: PageSize },
    Watching { version: String, watch: Option<Watch> },
}

struct Watch {
    events: objects::Watch,
    began: Instant,
}

type Step = (Option<Result<Event<Received>, Error>>, State);

/// All objects of `namespace` (none: of all), and then what changes. It goes on after an error when it is polled again, so
/// it needs a backoff.
///
/// `heard` is told whenever the API server answers or sends something, also that nothing has changed.
pub(super) fn events(
    client: Client,
    namespace: Option<&str>,
    heard: LastHeard,
    clock: Clock,
) -> impl Stream<Item = Result<Event<Received>, Error>> + Send + use<> {
    let objects = Objects::within(client, namespace);
    stream::unfold((State::Start, objects, heard), move |(mut state, objects, heard)| async move {
        loop {
            let is_asked = !matches!(state, State::Start);
            let (event, next) = match state {
                State::Start => (Some(Ok(Event::Init)), State::beginning()),
                State::Listing { page, rest, size } => list(&objects, page, rest, size).await,
                State::Watching { version, watch: None } => open(&objects, version).await,
                State::Watching { version, watch: Some(watch) } => follow(version, watch).await,
            };
            state = next;
            if is_asked && !matches!(event, Some(Err(_))) {
                heard.at(clock.wall());
            }
            if let Some(event) = event {
                return Some((event, (state, objects, heard)));
            }
        }
    })
}

impl State {
    fn beginning() -> Self {
        Self::Listing { page: Vec::new().into_iter(), rest: None, size: PageSize::FIRST }
    }
}

/// Hands out the page's next object, or reads the next page.
async fn list(
    objects: &Objects,
    mut page: vec::IntoIter<Received>,
    rest: Option<Rest>,
    size: PageSize,
) -> Step {
    if let Some(object) = page.next() {
        return (Some(Ok(Event::InitApply(object))), State::Listing { page, rest, size });
    }
    let from = match rest {
        Some(Rest::None { version }) if version.is_empty() => {
            return (Some(Err(Error::NoResourceVersion)), State::Start);
        }
        Some(Rest::None { version }) => {
            return (Some(Ok(Event::InitDone)), State::Watching { version, watch: None });
        }
        Some(Rest::From(token)) => Some(token),
        None => None,
    };
    match objects.page(from.as_deref(), size.0, size.most_bytes()).await {
        Ok(Some(read)) => {
            let size = size.after(&read);
            (None, State::Listing { page: read.objects.into_iter(), rest: Some(read.rest), size })
        }
        Ok(None) => {
            if let Some(size) = size.smaller() {
                return (None, State::Listing { page, rest: from.map(Rest::From), size });
            }
            let error = kube::Error::Service("one object is longer than the API server allows".into());
            (Some(Err(Error::InitialListFailed(error))), State::Start)
        }
        Err(error) => (Some(Err(Error::InitialListFailed(error))), State::Start),
    }
}

async fn open(objects: &Objects, version: String) -> Step {
    match objects.watch(&version, WATCH_SECONDS).await {
        Ok(events) => {
            let watch = Watch { events, began: Instant::now() };
            (None, State::Watching { version, watch: Some(watch) })
        }
        Err(error) => {
            let expired = matches!(&error, kube::Error::Api(answer) if answer.code == 410);
            let next = if expired { State::Start } else { State::Watching { version, watch: None } };
            (Some(Err(Error::WatchStartFailed(error))), next)
        }
    }
}

async fn follow(version: String, mut watch: Watch) -> Step {
    let event = match watch.events.next().await {
        Some(Ok(event)) => event,
        Some(Err(error)) => {
            return (Some(Err(Error::WatchFailed(error))), State::Watching { version, watch: None });
        }
        None => {
            let too_soon = watch.began.elapsed() < SHORTEST_WATCH;
            let error =
                too_soon.then(|| kube::Error::Service("the API server closed the watch at once".into()));
            let error = error.map(|error| Err(Error::WatchFailed(error)));
            return (error, State::Watching { version, watch: None });
        }
    };
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => after(object, watch, Event::Apply),
        WatchEvent::Deleted(object) => after(object, watch, Event::Delete),
        WatchEvent::Bookmark(bookmark) => {
            let version = bookmark.metadata.resource_version;
            (None, State::Watching { version, watch: Some(watch) })
        }
        WatchEvent::Error(answer) => {
            let next =
                if answer.code == 410 { State::Start } else { State::Watching { version, watch: None } };
            (Some(Err(Error::WatchError(answer))), next)
        }
    }
}

fn after(object: Received, watch: Watch, event: fn(Received) -> Event<Received>) -> Step {
    match object.resource_version().filter(|version| !version.is_empty()) {
        Some(version) => (Some(Ok(event(object))), State::Watching { version, watch: Some(watch) }),
        None => (Some(Err(Error::NoResourceVersion)), State::Start),
    }
}

#[cfg(test)]
mod tests;
