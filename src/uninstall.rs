//! Whether the operator may go: no ZenlayerPort has its finalizer any more, which nobody else takes off. The chart asks
//! before `helm uninstall`. What the operator made itself goes then, too.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, CustomResourceExt};
use serde_json::Value;

use crate::api::{FINALIZER, READY, ZenlayerPort};
use crate::credentials::delete_leftover_copies;
use crate::kubernetes::says_not_found;

const UNREAD: &str = "cannot check whether any ZenlayerPort still has the finalizer";

/// Objects that are read at a time: each may be fat, and all of them must fit into the memory of the check.
const PAGE: u32 = 25;

/// Objects that are named; the others are counted.
const MOST_NAMED: usize = 20;

/// Fails if an object of `namespaces` (none: of all) has the finalizer, or if that could not be read.
///
/// `repair_command` is what a person types after a refusal: Helm takes the release for half uninstalled then.
pub async fn check(
    client: &Client,
    namespaces: &[String],
    repair_command: Option<&str>,
) -> anyhow::Result<()> {
    let mut held = Held::default();
    let mut add = |object: &DynamicObject| held.add(object);
    if namespaces.is_empty() {
        for_each(client, None, &mut add).await?;
    }
    for namespace in namespaces.iter().collect::<BTreeSet<_>>() {
        for_each(client, Some(namespace), &mut add).await?;
    }
    if held.count > 0 {
        bail!("{held}{}", way_back(repair_command));
    }
    println!("No ZenlayerPort has the finalizer {FINALIZER}. You can uninstall the operator.");
    Ok(())
}

/// Deletes the copies of credentials in namespace `home`, but for those that an object with the finalizer needs: it may be in a
/// namespace that this operator no longer watches. If that fails, it says what to do; nobody is to be kept from uninstalling.
pub async fn delete_copies(client: &Client, home: Option<&str>) {
    let used = async |namespace: &str| {
        let mut secrets = BTreeSet::new();
        for_each(client, Some(namespace), |object| {
            if has_finalizer(object) {
                secrets.extend(text(&object.data, "/spec/credentialsRef/name").map(str::to_owned));
            }
        })
        .await?;
        Ok(secrets)
    };
    match delete_leftover_copies(client, home, used).await {
        Ok(0) => {}
        Ok(deleted) => {
            println!("Deleted the copies of Secrets that no object uses any more: {deleted}.");
        }
        Err(error) => println!(
            "Some copies of Secrets may still exist: {error:#}\nTo delete them: kubectl delete secrets --namespace \
             {} --selector app.kubernetes.io/component=credentials-copy",
            home.unwrap_or(client.default_namespace()),
        ),
    }
}

/// Calls `look` with each object of `namespace` (none: of all). Not as ZenlayerPorts: those that this version cannot parse count,
/// too.
async fn for_each(
    client: &Client,
    namespace: Option<&str>,
    mut look: impl FnMut(&DynamicObject),
) -> anyhow::Result<()> {
    let kind = ApiResource::erase::<ZenlayerPort>(&());
    let objects = match namespace {
        None => Api::<DynamicObject>::all_with(client.clone(), &kind),
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
    };
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = match objects.list(&page).await {
            // Without the kind there are no objects. But a proxy may also have answered.
            Err(kube::Error::Api(answer)) if answer.code == 404 && kind_is_gone(client).await? => {
                return Ok(());
            }
            list => list.context(UNREAD)?,
        };
        list.items.iter().for_each(&mut look);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

async fn kind_is_gone(client: &Client) -> anyhow::Result<bool> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    match definitions.get_metadata(ZenlayerPort::crd_name()).await {
        Ok(_) => Ok(false),
        Err(error) if says_not_found(&error) => Ok(true),
        Err(error) => Err(error).context(UNREAD),
    }
}

fn has_finalizer(object: &DynamicObject) -> bool {
    object.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// The objects that have the finalizer.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    first: Vec<String>,
}

impl Held {
    fn add(&mut self, object: &DynamicObject) {
        let metadata = &object.metadata;
        if !has_finalizer(object) {
            return;
        }
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(format!(
                "{}/{} ({}): {}",
                metadata.namespace.as_deref().unwrap_or_default(),
                metadata.name.as_deref().unwrap_or_default(),
                text(&object.data, "/spec/portId").unwrap_or("no portId"),
                reason(&object.data).unwrap_or("not checked yet"),
            ));
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Only the operator removes the finalizer {FINALIZER} from ZenlayerPorts. Objects that still have it: {}",
            self.count
        )?;
        for object in &self.first {
            writeln!(f, "  {object}")?;
        }
        if self.count > self.first.len() {
            writeln!(f, "  … and {} more", self.count - self.first.len())?;
        }
        write!(
            f,
            "Helm has removed nothing. Delete these objects while the operator is still running. To keep a port, \
             first set spec.deletionPolicy of its object to Retain. To uninstall anyway, because you will install \
             the operator again, add --no-hooks to helm uninstall."
        )
    }
}

/// What to do about a release that Helm takes for half uninstalled.
fn way_back(repair_command: Option<&str>) -> String {
    repair_command.map_or_else(String::new, |command| {
        format!(
            "\nHelm now shows the release as uninstalling and does not upgrade it. To repair that: {command}"
        )
    })
}

fn text<'a>(data: &'a Value, pointer: &str) -> Option<&'a str> {
    data.pointer(pointer)?.as_str()
}

/// The reason of the `Ready` condition.
fn reason(data: &Value) -> Option<&str> {
    let conditions = data.pointer("/status/conditions")?.as_array()?;
    text(conditions.iter().find(|condition| condition["type"] == READY)?, "/reason")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{StatusCode, Uri};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    fn object(name: &str, finalizers: &[&str]) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": { "namespace": "network", "name": name, "finalizers": finalizers },
            "spec": { "portId": "port-1" },
            "status": { "conditions": [{ "type": "Stalled" }, { "type": "Ready", "reason": "Running" }] },
        }))
        .expect("an object")
    }

    #[test]
    fn an_object_with_the_finalizer_is_named_with_its_port_and_reason() {
        let mut held = Held::default();
        for (name, finalizers) in
            [("edge", &[FINALIZER][..]), ("free", &[]), ("foreign", &["example.com/backup"])]
        {
            held.add(&object(name, finalizers));
        }
        let text = held.to_string();
        assert!(text.contains("still have it: 1\n"), "{text}");
        assert_eq!(held.first, ["network/edge (port-1): Running"]);
    }

    /// An API server that answers each request so.
    async fn api_server(answer: fn(&str) -> (StatusCode, String)) -> Client {
        let answer = async move |uri: Uri| answer(uri.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        kube::Config::new(url.parse().expect("a URL")).try_into().expect("a client")
    }

    fn not_found() -> String {
        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404 }).to_string()
    }

    #[tokio::test]
    async fn without_the_kind_there_is_nothing_to_wait_for() {
        let client = api_server(|path| {
            let is_definition = path.contains("customresourcedefinitions");
            (StatusCode::NOT_FOUND, if is_definition { not_found() } else { "404 page not found".to_owned() })
        });
        check(&client.await, &[], None).await.expect("no kind, no objects");
    }

    #[tokio::test]
    async fn a_404_while_the_kind_is_there_or_nobody_knows_is_not_taken_for_no_objects() {
        let there = |path: &str| {
            if path.contains("customresourcedefinitions") {
                (
                    StatusCode::OK,
                    r#"{ "kind": "PartialObjectMetadata", "metadata": { "name": "it" } }"#.to_owned(),
                )
            } else {
                (StatusCode::NOT_FOUND, "404 page not found".to_owned())
            }
        };
        let proxy = |_: &str| (StatusCode::NOT_FOUND, "<html>no such page</html>".to_owned());
        for (answer, who) in [(there as fn(&str) -> _, "the kind is there"), (proxy, "a proxy")] {
            let refused = check(&api_server(answer).await, &[], None).await.expect_err(who);
            assert!(format!("{refused:#}").contains("cannot check"), "{who}: {refused:#}");
        }
    }

    #[test]
    fn of_many_objects_the_first_are_named_and_the_rest_is_counted() {
        let mut held = Held::default();
        for index in 0..25 {
            held.add(&object(&format!("edge-{index}"), &[FINALIZER]));
        }
        let text = held.to_string();
        assert!(text.contains("still have it: 25\n"), "{text}");
        assert!(text.contains("edge-19 ") && !text.contains("edge-20 "), "{text}");
        assert!(text.contains("… and 5 more"), "{text}");
    }
}
