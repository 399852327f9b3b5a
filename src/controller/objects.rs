//! Requests about ZenlayerPorts. Each answer comes with all that users wrote into the object, which may be megabytes:
//! it is read into one buffer of bounded size, and what the operator does not read is dropped while it is parsed.

use std::io;
use std::pin::Pin;

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::Request as HttpRequest;
use kube::Resource;
use kube::api::{GetParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::Request;
use kube::{Client, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::api::ZenlayerPort;
use crate::index::Received;

/// The longest answer about one object. The API server takes objects of up to 3 MiB.
const LONGEST_OBJECT: u64 = 8 << 20;

/// The longest event of a watch: one object.
const LONGEST_EVENT: u64 = 16 << 20;

/// The objects of one namespace, or of all.
#[derive(Clone)]
pub(super) struct Objects {
    client: Client,
    requests: Request,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Received>,
    pub(super) rest: Rest,
    /// What it came in.
    pub(super) bytes: usize,
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Where the next page begins.
    From(String),
    /// Nothing: the list is complete, as of this `resourceVersion`.
    None { version: String },
}

/// What changes, as the API server sends it: a line for each event.
pub(super) struct Watch {
    answer: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
}

/// Its parts may have any order.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct WireList {
    metadata: WireListMetadata,
    items: Vec<Received>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    token: String,
}

impl Objects {
    pub(super) fn within(client: Client, namespace: Option<&str>) -> Self {
        Self { client, requests: Request::new(ZenlayerPort::url_path(&(), namespace)) }
    }

    /// The object; none only if the API server knows the kind and has no object of this name.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Received>> {
        let request = self.requests.get(name, &GetParams::default()).map_err(Error::BuildRequest)?;
        match self.send(request).await {
            Ok(object) => Ok(Some(object)),
            // A kind that is not served is answered 404 too, in plain text.
            Err(Error::Api(answer)) if answer.code == 404 && answer.reason == "NotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// PUTs the status of `object` onto the version of it that `object` is.
    pub(super) async fn replace_status(&self, object: &ZenlayerPort) -> Result<Received> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let body = serde_json::to_vec(object).map_err(Error::SerdeError)?;
        let params = PostParams::default();
        let request = self.requests.replace_subresource("status", name, &params, body);
        self.send(request.map_err(Error::BuildRequest)?).await
    }

    pub(super) async fn merge(&self, name: &str, patch: &impl Serialize) -> Result<Received> {
        let request = self.requests.patch(name, &PatchParams::default(), &Patch::Merge(patch));
        self.send(request.map_err(Error::BuildRequest)?).await
    }

    pub(super) async fn merge_status(&self, name: &str, patch: &impl Serialize) -> Result<Received> {
        let patch = Patch::Merge(patch);
        let request = self.requests.patch_subresource("status", name, &PatchParams::default(), &patch);
        self.send(request.map_err(Error::BuildRequest)?).await
    }

    /// At most `limit` objects; none if they come in more than `most` bytes.
    pub(super) async fn page(&self, from: Option<&str>, limit: u32, most: u64) -> Result<Option<Page>> {
        let params = ListParams {
            limit: Some(limit),
            continue_token: from.map(str::to_owned),
            ..ListParams::default()
        };
        let request = self.requests.list(&params).map_err(Error::BuildRequest)?;
        let Some(bytes) = self.read(request, most).await? else { return Ok(None) };
        let WireList { metadata, items } = parse(&bytes)?;
        let rest = if metadata.token.is_empty() {
            Rest::None { version: metadata.resource_version }
        } else {
            Rest::From(metadata.token)
        };
        Ok(Some(Page { objects: items, rest, bytes: bytes.len() }))
    }

    /// What changes after `version`, for about so many seconds.
    pub(super) async fn watch(&self, version: &str, seconds: u32) -> Result<Watch> {
        let params = WatchParams::default().timeout(seconds);
        let request = self.requests.watch(&params, version).map_err(Error::BuildRequest)?;
        Ok(Watch { answer: Box::pin(self.client.request_stream(request).await?), line: Vec::new() })
    }

    async fn send<T: DeserializeOwned>(&self, request: HttpRequest<Vec<u8>>) -> Result<T> {
        match self.read(request, LONGEST_OBJECT).await? {
            Some(bytes) => parse(&bytes),
            None => Err(Error::Service("the answer is too long".into())),
        }
    }

    /// The whole answer; none if it is longer than `most` bytes. What is beyond them is not read.
    async fn read(&self, request: HttpRequest<Vec<u8>>, most: u64) -> Result<Option<Vec<u8>>> {
        let answer = Box::pin(self.client.request_stream(request)).await?;
        read_up_to(std::pin::pin!(answer), most).await.map_err(Error::ReadEvents)
    }
}

impl Watch {
    /// None at its end.
    pub(super) async fn next(&mut self) -> Option<Result<WatchEvent<Received>>> {
        self.line.clear();
        let read = (&mut self.answer).take(LONGEST_EVENT).read_until(b'\n', &mut self.line).await;
        match read {
            Ok(_) if self.line.ends_with(b"\n") => Some(event(&self.line)),
            Ok(read) if read as u64 == LONGEST_EVENT => {
                Some(Err(Error::Service("an event of the watch is too long".into())))
            }
            // The rest of a line that was cut off tells nothing.
            Ok(_) => None,
            Err(error) if is_cut_off(&error) => None,
            Err(error) => Some(Err(Error::ReadEvents(error))),
        }
    }
}

fn event(line: &[u8]) -> Result<WatchEvent<Received>> {
    let WireEvent { kind, object } = parse(line)?;
    let object = object.get().as_bytes();
    Ok(match kind {
        "ADDED" => WatchEvent::Added(parse(object)?),
        "MODIFIED" => WatchEvent::Modified(parse(object)?),
        "DELETED" => WatchEvent::Deleted(parse(object)?),
        "BOOKMARK" => WatchEvent::Bookmark(parse(object)?),
        _ => WatchEvent::Error(parse(object)?),
    })
}

/// Whether the server ended its answer in the middle, as one that is restarted does.
fn is_cut_off(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
        || error.to_string().contains("unexpected EOF during chunk")
        // What an IO error wraps is not its source.
        || io.and_then(io::Error::get_ref).is_some_and(|wrapped| is_cut_off(wrapped))
        || error.source().is_some_and(is_cut_off)
}

async fn read_up_to(answer: impl AsyncBufRead + Unpin, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = answer.take(most + 1).read_to_end(&mut bytes).await?;
    Ok((read as u64 <= most).then_some(bytes))
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(Error::SerdeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(answer: &'static str) -> Watch {
        Watch { answer: Box::pin(answer.as_bytes()), line: Vec::new() }
    }

    #[tokio::test]
    async fn an_event_is_read_whatever_the_order_of_its_parts_and_one_that_is_cut_off_is_none() {
        let mut watch = watch(concat!(
            r#"{"type":"ADDED","object":{"metadata":{"name":"edge"},"spec":{"portId":"port-1"}}}"#,
            "\n",
            r#"{"object":{"metadata":{"name":"edge"},"spec":{"portId":"port-2"}},"type":"MODIFIED"}"#,
            "\n",
            r#"{"type":"DELETED","object":{"metadata":{"name":"edge"},"spec":{"portId":"port-2"}}"#,
        ));
        for expected in ["port-1", "port-2"] {
            let event = watch.next().await.expect("an event").expect("it can be read");
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                panic!("{event:?} shows no object")
            };
            assert_eq!(object.object().spec.port_id.as_str(), expected);
        }
        let last = watch.next().await;
        assert!(last.is_none(), "{last:?}");
    }

    #[test]
    fn an_answer_that_the_server_cut_off_is_told_from_one_that_failed() {
        let cut_off = io::Error::other(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(is_cut_off(&cut_off));
        assert!(!is_cut_off(&io::Error::other(io::Error::from(io::ErrorKind::TimedOut))));
    }
}
