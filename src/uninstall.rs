//! Whether the operator may go: no ZenlayerPort has its finalizer any more, which nobody else takes off. The chart asks
//! before `helm uninstall`.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::api::{FINALIZER, READY, ZenlayerPort};

/// Objects that are read at a time.
const PAGE: u32 = 500;

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
    // Not as ZenlayerPorts: those that this version cannot parse count too.
    let kind = ApiResource::erase::<ZenlayerPort>(&());
    let mut held = Held::default();
    if namespaces.is_empty() {
        held.add_all(&Api::all_with(client.clone(), &kind)).await?;
    }
    for namespace in namespaces.iter().collect::<BTreeSet<_>>() {
        held.add_all(&Api::namespaced_with(client.clone(), namespace, &kind)).await?;
    }
    if held.count > 0 {
        bail!("{held}{}", way_back(repair_command));
    }
    println!("No ZenlayerPort has the finalizer {FINALIZER}. You can uninstall the operator.");
    Ok(())
}

/// The objects that have the finalizer.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    first: Vec<String>,
}

impl Held {
    async fn add_all(&mut self, objects: &Api<DynamicObject>) -> anyhow::Result<()> {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = match objects.list(&page).await {
                // The kind itself is gone, and all its objects with it.
                Err(kube::Error::Api(answer)) if answer.is_not_found() => return Ok(()),
                list => list.context("cannot read whether ZenlayerPorts are left")?,
            };
            for object in &list.items {
                self.add(object);
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page.continue_token = Some(token),
                None => return Ok(()),
            }
        }
    }

    fn add(&mut self, object: &DynamicObject) {
        let metadata = &object.metadata;
        if !metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER) {
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
            "Nothing has been removed. Delete these objects while the operator still runs. To keep a port in Zenlayer, set \
             its object's spec.deletionPolicy to Retain before that. To uninstall all the same, because you will install \
             the operator again, add --no-hooks to helm uninstall."
        )
    }
}

/// What to do about a release that Helm takes for half uninstalled.
fn way_back(repair_command: Option<&str>) -> String {
    repair_command.map_or_else(String::new, |command| {
        format!("\nHelm now shows the release as uninstalling and does not upgrade it. To repair that, type: {command}")
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
    use serde_json::json;

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
