//! A Kubernetes API server in memory, behind a real `kube::Client`: any kind, by its path. It has uids, resource versions,
//! generations, finalizers, the status subresource, and merge patches. It has no watch, no admission and no RBAC:
//! what a test needs of these it says with [`ApiServer::on`].

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Response, Uri, header};
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Clones are handles of the same server.
#[derive(Clone, Default)]
pub(in crate::controller) struct ApiServer(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    /// By path.
    objects: BTreeMap<String, Value>,
    version: u64,
    requests: Vec<Request>,
    reactions: Vec<Reaction>,
    /// Fields of a status that its schema does not know.
    pruned: Vec<&'static str>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Request {
    pub(in crate::controller) method: Method,
    pub(in crate::controller) path: String,
    pub(in crate::controller) body: Value,
}

/// An answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Failure {
    pub(in crate::controller) code: u16,
    pub(in crate::controller) reason: &'static str,
    pub(in crate::controller) message: String,
}

impl Failure {
    pub(in crate::controller) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    fn not_found(path: &str) -> Self {
        Self::new(404, "NotFound", format!("{path} not found"))
    }

    fn conflict() -> Self {
        Self::new(
            409,
            "Conflict",
            "the object has been modified; please apply your changes to the latest version",
        )
    }
}

/// What happens once, when a request comes.
struct Reaction {
    method: Method,
    part: String,
    act: Pin<Box<dyn Future<Output = Option<Failure>> + Send>>,
}

type Answer = Result<Value, Failure>;

impl ApiServer {
    pub(in crate::controller) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(serve).with_state(self.clone()), "default")
    }

    /// Does this once, before the next request of this method whose path holds `part`, and answers with the failure that
    /// comes of it, if one does, instead of carrying the request out.
    pub(in crate::controller) fn on(
        &self,
        method: Method,
        part: &str,
        act: impl Future<Output = Option<Failure>> + Send + 'static,
    ) {
        self.lock().reactions.push(Reaction { method, part: part.to_owned(), act: Box::pin(act) });
    }

    /// Answers the next request of this method whose path holds `part` with a failure.
    pub(in crate::controller) fn fail(&self, method: Method, part: &str, failure: Failure) {
        self.on(method, part, async move { Some(failure) });
    }

    /// From now on it drops these fields from whatever is written, as a CRD does that is older than the operator.
    pub(in crate::controller) fn prune(&self, fields: impl IntoIterator<Item = &'static str>) {
        self.lock().pruned.extend(fields);
    }

    /// All requests so far, in order.
    pub(in crate::controller) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// The requests so far of this method whose paths hold `part`.
    pub(in crate::controller) fn requests_for(&self, method: &Method, part: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.method == *method && request.path.contains(part));
        requests
    }

    /// Puts an object there, as if somebody had created it; returns it as it is stored.
    pub(in crate::controller) fn create<K>(&self, object: &K) -> K
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let value = serde_json::to_value(object).expect("an object is JSON");
        let stored = self.lock().create(&collection::<K>(object.meta().namespace.as_deref()), value);
        typed(stored.expect("nothing of that name is there yet"))
    }

    pub(in crate::controller) fn get<K>(&self, namespace: Option<&str>, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.lock().objects.get(&path::<K>(namespace, name)).cloned().map(typed)
    }

    /// Changes an object as somebody else does it, its status and metadata included.
    pub(in crate::controller) fn edit<K>(
        &self,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut K),
    ) where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let path = path::<K>(namespace, name);
        let mut contents = self.lock();
        let mut object: K = typed(contents.objects.get(&path).expect("the object is there").clone());
        change(&mut object);
        contents.store(&path, serde_json::to_value(&object).expect("an object is JSON"));
    }

    /// Deletes an object as somebody else does it: while it has finalizers it stays, and is terminating.
    pub(in crate::controller) fn delete<K>(&self, namespace: Option<&str>, name: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.lock().delete(&path::<K>(namespace, name)).expect("the object is there");
    }

    async fn answer(&self, request: Request) -> Answer {
        let reaction = {
            let mut contents = self.lock();
            contents.requests.push(request.clone());
            let meant = |it: &Reaction| it.method == request.method && request.path.contains(&it.part);
            contents.reactions.iter().position(meant).map(|at| contents.reactions.remove(at))
        };
        if let Some(reaction) = reaction
            && let Some(failure) = reaction.act.await
        {
            return Err(failure);
        }
        self.lock().carry_out(request)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn carry_out(&mut self, Request { method, path, body }: Request) -> Answer {
        let (object, status) = match path.strip_suffix("/status") {
            Some(object) => (object, true),
            None => (path.as_str(), false),
        };
        match method {
            Method::GET => match self.objects.get(&path) {
                Some(found) => Ok(found.clone()),
                None if is_collection(&path) => Ok(self.list(&path)),
                None => Err(Failure::not_found(&path)),
            },
            Method::POST => self.create(&path, body),
            Method::PUT => {
                let before = self.found(object)?;
                check_preconditions(&before, &body)?;
                let after = if status { with_status(before, &body) } else { without_status(&before, body) };
                Ok(self.store(object, after))
            }
            Method::PATCH => {
                let before = self.found(object)?;
                let after = merged(&before, &body)?;
                let after = if status { with_status(before, &after) } else { without_status(&before, after) };
                Ok(self.store(object, after))
            }
            Method::DELETE => self.delete(&path),
            _ => Err(Failure::new(405, "MethodNotAllowed", method.to_string())),
        }
    }

    fn found(&self, path: &str) -> Answer {
        self.objects.get(path).cloned().ok_or_else(|| Failure::not_found(path))
    }

    fn list(&self, collection: &str) -> Value {
        let items = self.objects.iter().filter(|(path, _)| is_in(path, collection)).map(|(_, item)| item);
        let items: Vec<&Value> = items.collect();
        json!({
            "kind": "List", "apiVersion": "v1", "items": items,
            "metadata": { "resourceVersion": self.version.to_string() },
        })
    }

    fn create(&mut self, collection: &str, mut object: Value) -> Answer {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        if self.objects.contains_key(&path) {
            return Err(Failure::new(409, "AlreadyExists", format!("{path} already exists")));
        }
        let uid = format!("{:08x}-0000-4000-8000-000000000000", self.version + 1);
        object["metadata"]["uid"] = json!(uid);
        if object["metadata"]["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Ok(self.store(&path, object))
    }

    /// Stores the object in a new version; one that is terminating goes with its last finalizer.
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        for field in &self.pruned {
            let (parent, name) = field.rsplit_once('/').expect("a pointer");
            if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
                parent.remove(name);
            }
        }
        let changed = self.objects.get(path).is_none_or(|before| before["spec"] != object["spec"]);
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if changed {
            metadata["generation"] = json!(metadata["generation"].as_i64().unwrap_or_default() + 1);
        }
        let held = metadata["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
        if metadata["deletionTimestamp"].is_null() || held {
            self.objects.insert(path.to_owned(), object.clone());
        } else {
            self.objects.remove(path);
        }
        object
    }

    fn delete(&mut self, path: &str) -> Answer {
        let mut object = self.found(path)?;
        object["metadata"]["deletionTimestamp"] = json!(jiff::Timestamp::now().to_string());
        Ok(self.store(path, object))
    }
}

/// A name or a version that a write gives must be that of the object.
fn check_preconditions(before: &Value, given: &Value) -> Result<(), Failure> {
    let agrees = |part: &str| {
        let given = &given["metadata"][part];
        given.is_null() || *given == before["metadata"][part]
    };
    if agrees("uid") && agrees("resourceVersion") { Ok(()) } else { Err(Failure::conflict()) }
}

fn with_status(mut before: Value, given: &Value) -> Value {
    before["status"] = given["status"].clone();
    before
}

fn without_status(before: &Value, mut given: Value) -> Value {
    given["status"] = before["status"].clone();
    // Nobody sets or clears these by a write.
    for part in ["uid", "generation", "creationTimestamp", "deletionTimestamp"] {
        given["metadata"][part] = before["metadata"][part].clone();
    }
    given
}

fn merged(before: &Value, given: &Value) -> Answer {
    check_preconditions(before, given)?;
    let mut after = before.clone();
    json_patch::merge(&mut after, given);
    Ok(after)
}

async fn serve(State(server): State<ApiServer>, method: Method, uri: Uri, body: Bytes) -> Response<Body> {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = Request { method, path: uri.path().to_owned(), body };
    let answer = server.answer(request).await;
    let (code, body) = match answer {
        Ok(body) => (200, body),
        Err(Failure { code, reason, message }) => {
            let body = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "code": code, "reason": reason, "message": message,
            });
            (code, body)
        }
    };
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(body.to_string())).expect("a response")
}

fn collection<K: Resource<DynamicType = ()>>(namespace: Option<&str>) -> String {
    K::url_path(&(), namespace)
}

fn path<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", collection::<K>(namespace))
}

/// A path that ends in the plural of a kind.
fn is_collection(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let after_version = if parts.first() == Some(&"api") { &parts[2..] } else { &parts[3..] };
    match after_version {
        ["namespaces", _, rest @ ..] => rest.len() == 1,
        rest => rest.len() == 1,
    }
}

/// Whether the object of this path is listed there: in the collection itself, or in that of any namespace.
fn is_in(path: &str, collection: &str) -> bool {
    let (Some((of, _)), Some((start, kind))) = (path.rsplit_once('/'), collection.rsplit_once('/')) else {
        return false;
    };
    of == collection || of.starts_with(&format!("{start}/namespaces/")) && of.ends_with(&format!("/{kind}"))
}

fn typed<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).expect("the object is of the kind that its path says")
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.requests()).finish()
    }
}
