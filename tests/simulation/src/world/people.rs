//! What people do: with kubectl, in the console of Zenlayer, and with the operator's processes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use zenlayer_port_operator::api::{APPROVE_ANNOTATION, custom_resource_definition};
use zenlayer_simulator::{
    Account, ChargeType, Cloud, Config as CloudConfig, Port, PortStatus, PortUser, Times,
};

use super::state::{State, Time};
use crate::plan::{Act, Name, Plan};

/// The operator's namespace.
pub(super) const HOME: &str = "zenlayer-system";
/// The Secret of each tenant.
pub(super) const SECRET: &str = "zenlayer";

const PORTS: &str = "/apis/sdn.zenlayer.com/v1alpha1";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const DEFINITION: &str = "zenlayerports.sdn.zenlayer.com";

/// Which of an account's keys are valid: from the first to the second. The second is in the Secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(BTreeMap<String, (u32, u32)>);

impl Keys {
    pub(super) fn of(plan: &Plan) -> Self {
        let accounts = plan.ports.iter().map(|port| port.account.clone());
        let named = plan.acts.iter().filter_map(|timed| match &timed.act {
            Act::Create { object, .. } => Some(object.namespace.clone()),
            _ => None,
        });
        Self(accounts.chain(named).map(|name| (name, (1, 1))).collect())
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    fn account(&self, name: &str) -> Account {
        let (first, last) = self.0.get(name).copied().unwrap_or((1, 1));
        (first..=last).fold(Account::new(name), |account, number| {
            account.key(format!("KEY-{name}-{number}"), password(name, number))
        })
    }

    fn secret(&self, namespace: &str) -> Value {
        let (_, number) = self.0.get(namespace).copied().unwrap_or((1, 1));
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": SECRET, "namespace": namespace },
            "data": {
                "accessKeyId": STANDARD.encode(format!("KEY-{namespace}-{number}")),
                "accessKeyPassword": STANDARD.encode(password(namespace, number)),
            },
        })
    }
}

pub(super) fn password(account: &str, number: u32) -> String {
    format!("hunter-{number}-of-{account}-secret")
}

/// Zenlayer as it is at the beginning.
pub(super) fn cloud(plan: &Plan, keys: &Keys, time: Time) -> Cloud {
    let seconds = std::time::Duration::from_secs;
    let config = &plan.config;
    let ports = plan.ports.iter().map(|planned| {
        let port = Port::new(planned.id.as_str()).account(planned.account.as_str());
        let port = port.name(format!("name-of-{}", planned.id)).status(planned.status.clone());
        let port = port.created(time.wall() - jiff::SignedDuration::from_hours(24));
        let port = if planned.prepaid { port.charge_type(ChargeType::Prepaid) } else { port };
        if planned.in_use {
            port.used_by(PortUser::PrivateConnect(format!("pc-{}", planned.id)))
        } else {
            port
        }
    });
    let config = CloudConfig {
        accounts: keys.accounts().map(|name| keys.account(name)).collect(),
        ports: ports.collect(),
        times: Times {
            terminate: seconds(config.terminate_s),
            destroy: seconds(config.destroy_s),
            destroyed_listed_for: seconds(config.destroyed_listed_s),
            ..Times::default()
        },
        ..CloudConfig::default()
    };
    Cloud::new(config, plan.seed, time.now())
}

/// What is there before anybody does anything.
pub(super) fn prepare(state: &mut State, keys: &Keys) {
    kubectl(state, &Method::POST, DEFINITIONS, &json!(custom_resource_definition()));
    state.api.work();
    let namespaces: Vec<String> = keys.accounts().cloned().chain([HOME.to_owned()]).collect();
    for namespace in &namespaces {
        kubectl(state, &Method::POST, "/api/v1/namespaces", &json!({ "metadata": { "name": namespace } }));
    }
    for namespace in keys.accounts() {
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        kubectl(state, &Method::POST, &path, &keys.secret(namespace));
    }
    state.see_changes(None);
    state.pass_time();
}

fn path_of(object: &Name) -> String {
    format!("{PORTS}/namespaces/{}/zenlayerports/{}", object.namespace, object.name)
}

/// An act, other than one on the operator's processes.
pub(super) fn perform(state: &mut State, keys: &mut Keys, act: &Act) {
    let secrets = |namespace: &str| format!("/api/v1/namespaces/{namespace}/secrets");
    match act {
        Act::Create { object, port, policy } => {
            let body = json!({
                "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
                "metadata": { "name": object.name, "namespace": object.namespace },
                "spec": { "portId": port, "deletionPolicy": policy, "credentialsRef": { "name": SECRET } },
            });
            let path = format!("{PORTS}/namespaces/{}/zenlayerports", object.namespace);
            kubectl(state, &Method::POST, &path, &body);
        }
        Act::Delete { object } => kubectl(state, &Method::DELETE, &path_of(object), &Value::Null),
        Act::SetPolicy { object, policy } => {
            merge(state, &path_of(object), &json!({ "spec": { "deletionPolicy": policy } }));
        }
        Act::Protect { object, on } => {
            merge(state, &path_of(object), &json!({ "spec": { "deletionProtection": on } }));
        }
        Act::Approve { object } => approve(state, object),
        Act::Touch { object, label } => {
            merge(
                state,
                &path_of(object),
                &json!({ "metadata": { "labels": { "touched": label.to_string() } } }),
            );
        }
        Act::Rotate { namespace } => {
            keys.0.entry(namespace.clone()).or_insert((1, 1)).1 += 1;
            state.cloud.put_account(keys.account(namespace));
            merge(
                state,
                &format!("{}/{SECRET}", secrets(namespace)),
                &json!({ "data": keys.secret(namespace)["data"] }),
            );
        }
        Act::RevokeOldKeys { namespace } => {
            let entry = keys.0.entry(namespace.clone()).or_insert((1, 1));
            entry.0 = entry.1;
            state.cloud.put_account(keys.account(namespace));
        }
        Act::DeleteSecret { namespace } => {
            kubectl(state, &Method::DELETE, &format!("{}/{SECRET}", secrets(namespace)), &Value::Null);
        }
        Act::PutSecret { namespace } => {
            kubectl(state, &Method::POST, &secrets(namespace), &keys.secret(namespace));
        }
        Act::CreateNamespace { namespace } => {
            kubectl(
                state,
                &Method::POST,
                "/api/v1/namespaces",
                &json!({ "metadata": { "name": namespace } }),
            );
            kubectl(state, &Method::POST, &secrets(namespace), &keys.secret(namespace));
        }
        Act::DeleteNamespace { namespace } => {
            kubectl(state, &Method::DELETE, &format!("/api/v1/namespaces/{namespace}"), &Value::Null);
        }
        Act::DeleteDefinition => {
            kubectl(state, &Method::DELETE, &format!("{DEFINITIONS}/{DEFINITION}"), &Value::Null);
        }
        Act::ForceDefinition => {
            merge(
                state,
                &format!("{DEFINITIONS}/{DEFINITION}"),
                &json!({ "metadata": { "finalizers": null } }),
            );
        }
        Act::ApplyDefinition => {
            kubectl(state, &Method::POST, DEFINITIONS, &json!(custom_resource_definition()));
        }
        Act::ForgetHistory => {
            state.api.forget_history();
            state.tell("the API server restarts");
        }
        Act::Terminate { .. }
        | Act::Restore { .. }
        | Act::Destroy { .. }
        | Act::Reissue { .. }
        | Act::Detach { .. } => {
            console(state, act);
        }
        Act::Crash { .. } | Act::Restart { .. } => {}
    }
    state.pass_time();
    state.see_changes(None);
}

/// What somebody does in the console of Zenlayer, as far as it lets them.
fn console(state: &mut State, act: &Act) {
    let status = |state: &State, port: &str| state.cloud.port(port).map(|port| port.port_status.clone());
    let done = match act {
        Act::Terminate { port } => {
            let runs = status(state, port) == Some(PortStatus::Running);
            runs && state.cloud.set_status(port, PortStatus::Deleting)
        }
        Act::Restore { port } => {
            let lies = status(state, port) == Some(PortStatus::Recycled);
            lies && state.cloud.set_status(port, PortStatus::Recovering)
        }
        Act::Destroy { port } => {
            let lies = status(state, port) == Some(PortStatus::Recycled);
            lies && state.cloud.set_status(port, PortStatus::Destroying)
        }
        Act::Reissue { port } => {
            let account = state.cloud.port(port).map(|port| port.account.clone());
            let made = account.map(|account| {
                let again = Port::new(port.as_str()).account(account).name(format!("another-{port}"));
                again.status(PortStatus::Recycled).created(state.time.wall())
            });
            made.is_some_and(|port| {
                state.cloud.seed(port);
                true
            })
        }
        Act::Detach { port } => state.cloud.detach(port),
        _ => false,
    };
    state.tell(&format!("people: {act:?}{}", if done { "" } else { ", which does not work" }));
}

/// Types the command that the message prints, if it prints one.
fn approve(state: &mut State, object: &Name) {
    let shown = state.read(&path_of(object)).unwrap_or_default();
    let conditions = shown["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    let message = ready.and_then(|condition| condition["message"].as_str()).unwrap_or_default();
    let Some((_, after)) = message.split_once(&format!("--overwrite {APPROVE_ANNOTATION}=")) else {
        return state.tell(&format!("people: {object} asks for no approval"));
    };
    let value = after.split([' ', ';']).next().unwrap_or_default().trim_end_matches('.');
    merge(state, &path_of(object), &json!({ "metadata": { "annotations": { APPROVE_ANNOTATION: value } } }));
}

fn merge(state: &mut State, path: &str, changes: &Value) {
    ask(state, &Method::PATCH, path, "application/merge-patch+json", changes);
}

fn kubectl(state: &mut State, method: &Method, path: &str, body: &Value) {
    ask(state, method, path, "application/json", body);
}

fn ask(state: &mut State, method: &Method, path: &str, format: &str, body: &Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path).header("content-type", format);
    let answer = state.api.answer(&request.body(Bytes::from(body)).expect("a request"));
    let code = answer.status().as_u16();
    let short = path.rsplit("/namespaces/").next().unwrap_or(path);
    let why = if code < 400 { Bytes::new() } else { answer.into_body().into_whole().unwrap_or_default() };
    let why: Value = serde_json::from_slice(&why).unwrap_or_default();
    let why = why["message"].as_str().map_or_else(String::new, |why| format!(": {why}"));
    state.tell(&format!("people: {method} {short} ⇒ {code}{why}"));
}
