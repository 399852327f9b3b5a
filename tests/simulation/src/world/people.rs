//! What people do: with kubectl, in the console of Zenlayer, and with the operator's processes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use zenlayer_port_operator::api::{APPROVE_ANNOTATION, DeletionPolicy, custom_resource_definition};
use zenlayer_simulator::{
    Account, ChargeType, Cloud, Config as CloudConfig, Port, PortStatus, PortUser, Times,
};

use super::state::{State, Time};
use crate::plan::{Act, HOME, Name, Plan};

/// The Secret of each tenant.
pub(super) const SECRET: &str = "zenlayer";

const PORTS: &str = "/apis/sdn.zenlayer.com/v1alpha1";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const DEFINITION: &str = "zenlayerports.sdn.zenlayer.com";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const POLICY: &str = "no-updates";
/// What the names of all copies begin with.
const COPY: &str = "zenlayer-credentials-";
const OTHER_FINALIZER: &str = "example.com/other";

#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// Which of an account's keys are valid: from the first to the second. The second is in the Secret.
    valid: BTreeMap<String, (u32, u32)>,
    /// The accounts of namespaces that have none of their own.
    guests: BTreeMap<String, String>,
    /// The only ports that a key sees, by its account and number.
    limits: BTreeMap<(String, u32), Vec<String>>,
}

impl Keys {
    pub(super) fn of(plan: &Plan) -> Self {
        let guests = plan.guests.clone();
        let accounts = plan.ports.iter().map(|port| port.account.clone());
        let named = plan.acts.iter().filter_map(|timed| match &timed.act {
            Act::Create { object, .. } => Some(object.namespace.clone()),
            _ => None,
        });
        let named = named.filter(|name| !guests.contains_key(name));
        let valid = accounts.chain(named).map(|name| (name, (1, 1))).collect();
        Self { valid, guests, limits: BTreeMap::new() }
    }

    fn accounts(&self) -> impl Iterator<Item = &String> {
        self.valid.keys()
    }

    fn namespaces(&self) -> impl Iterator<Item = &String> {
        self.valid.keys().chain(self.guests.keys())
    }

    fn account(&self, name: &str) -> Account {
        let (first, last) = self.valid.get(name).copied().unwrap_or((1, 1));
        (first..=last).fold(Account::new(name), |account, number| {
            let account = account.key(format!("KEY-{name}-{number}"), password(name, number));
            match self.limits.get(&(name.to_owned(), number)) {
                Some(ports) => account.only(ports),
                None => account,
            }
        })
    }

    fn secret(&self, namespace: &str) -> Value {
        let account = self.guests.get(namespace).map_or(namespace, String::as_str);
        let (_, number) = self.valid.get(account).copied().unwrap_or((1, 1));
        secret(namespace, &format!("KEY-{account}-{number}"), &password(account, number))
    }

    /// A new key takes the place of the one in the Secret, and sees these ports.
    fn rotate(&mut self, state: &mut State, namespace: &str, only: Option<&[String]>) {
        let entry = self.valid.entry(namespace.to_owned()).or_insert((1, 1));
        entry.1 += 1;
        let number = entry.1;
        self.limits.extend(only.map(|ports| ((namespace.to_owned(), number), ports.to_vec())));
        state.cloud.put_account(self.account(namespace));
        put_key(state, namespace, &self.secret(namespace));
    }
}

fn secret(namespace: &str, id: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": SECRET, "namespace": namespace },
        "data": { "accessKeyId": STANDARD.encode(id), "accessKeyPassword": STANDARD.encode(password) },
    })
}

fn put_key(state: &mut State, namespace: &str, secret: &Value) {
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{SECRET}");
    merge(state, &path, &json!({ "data": secret["data"] }));
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
        let name = format!("name-of-{}", planned.id);
        let name = if planned.loud { format!("\u{1b}[31m{name}\u{7}\r\n") } else { name };
        let port = port.name(name).status(planned.status.clone());
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
    let namespaces: Vec<String> = keys.namespaces().cloned().chain([HOME.to_owned()]).collect();
    for namespace in &namespaces {
        kubectl(state, &Method::POST, "/api/v1/namespaces", &json!({ "metadata": { "name": namespace } }));
    }
    if let Some(most) = state.config().most_copies {
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
            "spec": { "hard": { "count/secrets": most.to_string() } },
        });
        kubectl(state, &Method::POST, &format!("/api/v1/namespaces/{HOME}/resourcequotas"), &quota);
    }
    for namespace in keys.namespaces() {
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
        Act::Create { object, port, policy } => create(state, object, port, *policy, SECRET),
        Act::Steal { object, port } => {
            let listed = state.read(&secrets(HOME)).unwrap_or_default();
            let names = listed["items"].as_array().into_iter().flatten();
            let mut names = names.filter_map(|secret| secret["metadata"]["name"].as_str());
            let Some(copy) = names.find(|name| name.starts_with(COPY)) else {
                return state.tell("people: there is no copy to steal");
            };
            create(state, object, port, DeletionPolicy::TerminateAndDestroy, copy);
        }
        Act::Hold { object, on } => hold(state, object, *on),
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
            keys.rotate(state, namespace, None);
        }
        Act::RotateLimited { namespace, ports } => keys.rotate(state, namespace, Some(ports)),
        Act::Forge { namespace, victim } => {
            let (_, number) = keys.valid.get(victim).copied().unwrap_or((1, 1));
            let forged = secret(namespace, &format!("KEY-{victim}-{number}"), &password("nobody", number));
            put_key(state, namespace, &forged);
        }
        Act::RevokeOldKeys { namespace } => {
            let entry = keys.valid.entry(namespace.clone()).or_insert((1, 1));
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
        Act::Deny { statuses } => deny(state, *statuses),
        Act::Allow => {
            for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
                kubectl(state, &Method::DELETE, &format!("{ADMISSION}/{kind}/{POLICY}"), &Value::Null);
            }
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
        | Act::RecycleUsers { .. }
        | Act::Suspend { .. }
        | Act::Resume { .. }
        | Act::Detach { .. } => {
            console(state, act);
        }
        Act::Crash { .. } | Act::Restart { .. } | Act::Stall { .. } => {}
    }
    state.pass_time();
    state.see_changes(None);
}

fn create(state: &mut State, object: &Name, port: &str, policy: DeletionPolicy, secret: &str) {
    let body = json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
        "metadata": { "name": object.name, "namespace": object.namespace },
        "spec": { "portId": port, "deletionPolicy": policy, "credentialsRef": { "name": secret } },
    });
    let path = format!("{PORTS}/namespaces/{}/zenlayerports", object.namespace);
    kubectl(state, &Method::POST, &path, &body);
}

/// Adds the finalizer of another controller to what is there, or takes it off.
fn hold(state: &mut State, object: &Name, on: bool) {
    let shown = state.read(&path_of(object)).unwrap_or_default();
    let there = shown["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let mut finalizers: Vec<Value> = there.into_iter().filter(|it| it != OTHER_FINALIZER).collect();
    finalizers.extend(on.then(|| json!(OTHER_FINALIZER)));
    merge(state, &path_of(object), &json!({ "metadata": { "finalizers": finalizers } }));
}

fn deny(state: &mut State, statuses: bool) {
    let resource = if statuses { "zenlayerports/status" } else { "zenlayerports" };
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": POLICY },
        "spec": {
            "failurePolicy": "Fail", "validations": [{ "expression": "false", "message": "no updates today" }],
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": [resource],
            }] },
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": POLICY },
        "spec": { "policyName": POLICY, "validationActions": ["Deny"] },
    });
    kubectl(state, &Method::POST, &format!("{ADMISSION}/validatingadmissionpolicies"), &policy);
    kubectl(state, &Method::POST, &format!("{ADMISSION}/validatingadmissionpolicybindings"), &binding);
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
        Act::RecycleUsers { port } => state.cloud.recycle_users(port),
        Act::Suspend { port } => {
            let runs = status(state, port) == Some(PortStatus::Running);
            runs && state.cloud.set_status(port, suspended())
        }
        Act::Resume { port } => {
            let is_suspended = status(state, port) == Some(suspended());
            is_suspended && state.cloud.set_status(port, PortStatus::Running)
        }
        _ => false,
    };
    state.tell(&format!("people: {act:?}{}", if done { "" } else { ", which does not work" }));
}

fn suspended() -> PortStatus {
    PortStatus::Other("SUSPENDED".into())
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
