//! Lists and watches of a small API server on loopback, which can grow fat and fall silent.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::State as With;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::run;
use super::*;

const SILENCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Default)]
struct Contents {
    /// As JSON.
    objects: Vec<String>,
    requests: Vec<String>,
    lists: Lists,
    watch: Option<mpsc::UnboundedSender<String>>,
}

/// How lists are answered.
#[derive(Clone, Copy, Default)]
enum Lists {
    #[default]
    Whole,
    Expired,
    Never,
}

/// It ends with this.
struct Server {
    url: Uri,
    contents: Arc<Mutex<Contents>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn with(objects: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let objects = objects.iter().map(ToString::to_string).collect();
        let contents = Arc::new(Mutex::new(Contents { objects, ..Contents::default() }));
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&contents));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { url: url.parse().expect("a URL"), contents, task }
    }

    /// What happens, seen by a client that gives up a connection which is silent for so long.
    fn events(&self, silence: Duration) -> impl Stream<Item = Result<Event<Received>, Error>> + use<> {
        self.events_heard(silence, LastHeard::never())
    }

    fn events_heard(
        &self,
        silence: Duration,
        heard: LastHeard,
    ) -> impl Stream<Item = Result<Event<Received>, Error>> + use<> {
        let client = run::client(Config::new(self.url.clone()), silence).expect("a client");
        events(client, None, heard, Clock::System)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("nobody panics while it holds this")
    }

    /// The watch shows this, once there is one.
    async fn show(&self, kind: &str, object: &Value) {
        let event = json!({ "type": kind, "object": object });
        loop {
            if let Some(watch) = &self.lock().watch {
                watch.send(format!("{event}\n")).expect("the watch is read");
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(With(contents): With<Arc<Mutex<Contents>>>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    let lists = {
        let mut contents = contents.lock().expect("nobody panics while it holds this");
        contents.requests.push(query.clone());
        if query.contains("watch=true") {
            let (watch, lines) = mpsc::unbounded_channel();
            contents.watch = Some(watch);
            let lines = stream::unfold(lines, |mut lines| async {
                lines.recv().await.map(|line| (Ok::<String, std::io::Error>(line), lines))
            });
            return Body::from_stream(lines).into_response();
        }
        contents.lists
    };
    match lists {
        Lists::Whole => {}
        Lists::Expired => {
            let status =
                json!({ "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
            return (StatusCode::GONE, status.to_string()).into_response();
        }
        Lists::Never => std::future::pending().await,
    }
    let contents = contents.lock().expect("nobody panics while it holds this");
    let from = value(&query, "continue").unwrap_or(0);
    let rest = contents.objects.get(from..).unwrap_or_default();
    let items = &rest[..rest.len().min(value(&query, "limit").unwrap_or(usize::MAX))];
    let end = from + items.len();
    let token = if end < contents.objects.len() { end.to_string() } else { String::new() };
    let metadata = json!({ "resourceVersion": "7", "continue": token });
    format!(r#"{{"metadata":{metadata},"items":[{}]}}"#, items.join(",")).into_response()
}

/// A number of the query.
fn value(query: &str, key: &str) -> Option<usize> {
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

fn object(name: &str) -> Value {
    let metadata = json!({ "name": name, "namespace": "network", "uid": name, "resourceVersion": "3" });
    json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
        "metadata": metadata, "spec": { "portId": "port-1" },
    })
}

async fn next(
    events: &mut (impl Stream<Item = Result<Event<Received>, Error>> + Unpin),
) -> Result<Event<Received>, Error> {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time").expect("no end")
}

/// The next events are these.
async fn expect(events: &mut (impl Stream<Item = Result<Event<Received>, Error>> + Unpin), told: &[&str]) {
    for expected in told {
        let event = next(events).await;
        assert_eq!(event.map_or_else(|error| error.to_string(), |event| event.to_string()), *expected);
    }
}

fn page(objects: usize, bytes: usize) -> Page {
    let one = || serde_json::from_value(object("edge")).expect("an object");
    let objects = std::iter::repeat_with(one).take(objects).collect();
    Page { objects, rest: Rest::None { version: "1".to_owned() }, bytes }
}

#[test]
fn a_page_grows_slowly_and_shrinks_to_one_object() {
    let small = page(32, 32 * 2048);
    assert_eq!(PageSize::FIRST.after(&small), PageSize(128));
    assert_eq!(PageSize(400).after(&small), PageSize(PageSize::MOST));
    assert_eq!(PageSize(8).after(&page(8, 8 << 18)), PageSize(8), "256 KiB each: 8 are half a page");
    assert_eq!(PageSize(2).after(&page(2, 3 << 20)), PageSize(1), "1.5 MiB each");
    assert_eq!(PageSize::FIRST.after(&page(0, 100)), PageSize(128), "an empty page");
    assert_eq!(PageSize::FIRST.smaller(), Some(PageSize(8)));
    assert_eq!(PageSize(2).smaller(), Some(PageSize(1)));
    assert_eq!(PageSize(1).smaller(), None);
}

#[tokio::test]
async fn fat_objects_are_all_listed_and_nothing_fat_is_kept() {
    let name = |at: usize| format!("edge-{at:02}");
    let fat = |at: usize| {
        let mut object = object(&name(at));
        // The first are small, so that the page has grown when the fat ones come.
        let bytes = if at < 32 { 10 } else { 1 << 19 };
        object["metadata"]["labels"] = json!({ "fat": "x".repeat(bytes) });
        object
    };
    let server = Server::with((0..50).map(fat).collect()).await;
    let mut events = pin!(server.events(PATIENCE));
    expect(&mut events, &["Init"]).await;
    for at in 0..50 {
        let event = next(&mut events).await.expect("an object");
        assert_eq!(event.to_string(), format!("InitApply({})", name(at)));
        let kept = format!("{event:?}").len();
        assert!(kept < 4096, "{kept} bytes are kept of an object");
    }
    expect(&mut events, &["InitDone"]).await;
    let limits: Vec<usize> =
        server.lock().requests.iter().filter_map(|query| value(query, "limit")).collect();
    assert!(
        limits.windows(2).any(|two| two[1] < two[0]),
        "a page that is too long is asked for again: {limits:?}"
    );
}

#[tokio::test]
async fn what_changes_after_the_list_is_told() {
    let server = Server::with(vec![object("edge")]).await;
    let mut events = pin!(server.events(PATIENCE));
    expect(&mut events, &["Init", "InitApply(edge)", "InitDone"]).await;
    let changes = async {
        let edge = object("edge");
        for kind in ["MODIFIED", "BOOKMARK", "DELETED"] {
            server.show(kind, &edge).await;
        }
    };
    futures::join!(changes, expect(&mut events, &["Apply(edge)", "Delete(edge)"]));
    let from = server.lock().requests.last().cloned().expect("a watch");
    assert!(from.contains("resourceVersion=7"), "the watch begins where the list ended: {from}");
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_after_an_end_and_begins_with_a_list_once_it_is_too_old() {
    let server = Server::with(vec![]).await;
    let mut events = pin!(server.events(PATIENCE));
    expect(&mut events, &["Init", "InitDone"]).await;
    let added = object("edge");
    futures::join!(server.show("ADDED", &added), expect(&mut events, &["Apply(edge)"]));
    server.lock().watch = None;
    let ended = next(&mut events).await.expect_err("it ended within a second");
    assert!(matches!(ended, Error::WatchFailed(_)), "{ended}");
    let too_old = json!({ "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
    let (expired, ()) = futures::join!(next(&mut events), server.show("ERROR", &too_old));
    assert!(matches!(expired, Err(Error::WatchError(_))), "{expired:?}");
    let from = server.lock().requests.last().cloned().expect("a watch");
    assert!(from.contains("resourceVersion=3"), "it goes on after the object: {from}");
    expect(&mut events, &["Init", "InitDone"]).await;
}

#[tokio::test]
async fn a_list_that_expires_begins_from_the_start() {
    let server = Server::with(vec![object("edge")]).await;
    server.lock().lists = Lists::Expired;
    let mut events = pin!(server.events(PATIENCE));
    expect(&mut events, &["Init"]).await;
    next(&mut events).await.expect_err("the list has expired");
    server.lock().lists = Lists::Whole;
    expect(&mut events, &["Init", "InitApply(edge)", "InitDone"]).await;
}

#[tokio::test]
async fn a_list_that_is_never_answered_is_given_up() {
    let server = Server::with(vec![]).await;
    server.lock().lists = Lists::Never;
    let mut events = pin!(server.events(SILENCE));
    expect(&mut events, &["Init"]).await;
    let given_up = next(&mut events).await.expect_err("nothing is answered");
    assert!(matches!(given_up, Error::InitialListFailed(_)), "{given_up}");
}

#[tokio::test]
async fn a_watch_that_falls_silent_but_stays_open_is_given_up() {
    let server = Server::with(vec![]).await;
    let mut events = pin!(server.events(SILENCE));
    expect(&mut events, &["Init", "InitDone"]).await;
    let given_up = next(&mut events).await.expect_err("nothing is sent");
    assert!(matches!(given_up, Error::WatchFailed(_)), "{given_up}");
}

#[tokio::test]
async fn what_the_api_server_says_is_heard_and_a_list_that_is_not_answered_is_not() {
    let server = Server::with(vec![]).await;
    server.lock().lists = Lists::Never;
    let heard = LastHeard::never();
    let mut events = pin!(server.events_heard(SILENCE, heard.clone()));
    expect(&mut events, &["Init"]).await;
    next(&mut events).await.expect_err("nothing is answered");
    expect(&mut events, &["Init"]).await;
    assert_eq!(heard.seconds(), 0, "nothing has come from the API server");
    server.lock().lists = Lists::Whole;
    expect(&mut events, &["InitDone"]).await;
    assert_ne!(heard.seconds(), 0, "the list has come");

    let heard = LastHeard::never();
    let mut events = pin!(server.events_heard(PATIENCE, heard.clone()));
    expect(&mut events, &["Init", "InitDone"]).await;
    heard.forget();
    let edge = object("edge");
    let bookmark_and_change = async {
        server.show("BOOKMARK", &edge).await;
        server.show("MODIFIED", &edge).await;
    };
    futures::join!(bookmark_and_change, expect(&mut events, &["Apply(edge)"]));
    assert_ne!(heard.seconds(), 0, "the watch has shown something");
}
