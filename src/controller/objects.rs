//! Requests about ZenlayerPorts. Each answer comes with all that users wrote into the object, which may be megabytes:
//! it is read into one buffer of bounded size, and what the operator does not read is dropped while it is parsed.

use std::io;

use futures::{AsyncBufRead, AsyncReadExt};
use http::Request as HttpRequest;
use kube::Resource;
use kube::api::{GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::ZenlayerPort;
use crate::index::Received;

/// The longest answer about one object. The API server takes objects of up to 3 MiB.
const LONGEST_OBJECT: u64 = 8 << 20;

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

    async fn send<T: DeserializeOwned>(&self, request: HttpRequest<Vec<u8>>) -> Result<T> {
        match self.read(request, LONGEST_OBJECT).await? {
            Some(bytes) => parse(&bytes),
            None => Err(Error::Service("the answer is too long".into())),
        }
    }

    /// The whole answer; none if it is longer than `most` bytes. What is beyond them is not read.
    async fn read(&self, request: HttpRequest<Vec<u8>>, most: u64) -> Result<Option<Vec<u8>>> {
        let answer = self.client.request_stream(request).await?;
        read_up_to(std::pin::pin!(answer), most).await.map_err(Error::ReadEvents)
    }
}

async fn read_up_to(answer: impl AsyncBufRead + Unpin, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = answer.take(most + 1).read_to_end(&mut bytes).await?;
    Ok((read as u64 <= most).then_some(bytes))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(Error::SerdeError)
}
