//! What a pod template says about its one container.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, PodSpec, PodTemplateSpec, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::values::{Origin, Values};

pub(super) struct Template {
    spec: PodSpec,
    container: Container,
}

/// Where the readiness probe asks.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) url: String,
    pub(super) path: String,
}

impl Template {
    /// An error if there is more to run than one container.
    pub(super) fn of(template: PodTemplateSpec) -> Result<Self> {
        let mut spec = template.spec.context("it has no pod template")?;
        ensure!(
            spec.containers.len() == 1 && spec.init_containers.iter().flatten().next().is_none(),
            "the test cluster runs Pods with one container and no initContainers"
        );
        let container = spec.containers.remove(0);
        ensure!(
            container.env_from.iter().flatten().next().is_none(),
            "the test cluster does not know envFrom"
        );
        Ok(Self { spec, container })
    }

    pub(super) fn container_name(&self) -> &str {
        &self.container.name
    }

    pub(super) fn service_account(&self) -> &str {
        self.spec.service_account_name.as_deref().unwrap_or("default")
    }

    /// Whether the kubelet would mount a token: the pod's word, else the `ServiceAccount`'s, else yes.
    pub(super) async fn mounts_token(&self, values: &Values) -> Result<bool> {
        let account = values.service_account(self.service_account()).await?;
        let automount = self.spec.automount_service_account_token.or(account.automount_service_account_token);
        Ok(automount.unwrap_or(true))
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.container.ports.iter().flatten().filter_map(|port| u16::try_from(port.container_port).ok())
    }

    pub(super) fn volume_mounts(&self) -> impl Iterator<Item = (&VolumeMount, &Volume)> {
        let volume = |name: &str| self.spec.volumes.iter().flatten().find(|volume| volume.name == name);
        let mounts = self.container.volume_mounts.iter().flatten();
        mounts.filter_map(move |mount| Some((mount, volume(&mount.name)?)))
    }

    /// The environment of the container, in its own terms. A variable may use those before it.
    pub(super) async fn env(&self, values: &Values, pod: &str) -> Result<BTreeMap<String, String>> {
        let mut env = BTreeMap::new();
        for EnvVar { name, value, value_from } in self.container.env.iter().flatten() {
            let value = match value_from {
                None => Some(expand(value.as_deref().unwrap_or_default(), &env)),
                Some(source) => {
                    self.value_from(source, values, pod).await.with_context(|| format!("variable {name}"))?
                }
            };
            env.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(env)
    }

    async fn value_from(&self, source: &EnvVarSource, values: &Values, pod: &str) -> Result<Option<String>> {
        match source {
            EnvVarSource { secret_key_ref: Some(from), .. } => {
                values.text(&Origin::Secret(from.name.clone()), &from.key, from.optional).await
            }
            EnvVarSource { config_map_key_ref: Some(from), .. } => {
                values.text(&Origin::ConfigMap(from.name.clone()), &from.key, from.optional).await
            }
            EnvVarSource { field_ref: Some(from), .. } => match from.field_path.as_str() {
                "metadata.name" => Ok(Some(pod.to_owned())),
                // No Pod object is made, so nothing has its uid.
                "metadata.uid" => Ok(None),
                "metadata.namespace" => Ok(Some(values.namespace().to_owned())),
                "spec.serviceAccountName" => Ok(Some(self.service_account().to_owned())),
                "status.podIP" => Ok(Some("127.0.0.1".to_owned())),
                other => bail!("the test cluster does not know the field {other}"),
            },
            _ => bail!("the test cluster knows secretKeyRef, configMapKeyRef and fieldRef only"),
        }
    }

    /// The words after the program, in the container's own terms. Without a `command` the program is the
    /// image's entrypoint.
    pub(super) fn args(&self, env: &BTreeMap<String, String>) -> Vec<String> {
        let command = self.container.command.iter().flatten().skip(1);
        command.chain(self.container.args.iter().flatten()).map(|word| expand(word, env)).collect()
    }

    /// `None` without a readiness probe by httpGet. `ports`: the local port by container port.
    pub(super) fn health(&self, ports: &BTreeMap<u16, u16>) -> Result<Option<Health>> {
        let probe = self.container.readiness_probe.as_ref().and_then(|probe| probe.http_get.as_ref());
        let Some(probe) = probe else { return Ok(None) };
        let number = match &probe.port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => {
                let mut ports = self.container.ports.iter().flatten();
                ports.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port)
            }
        };
        let port = number.and_then(|number| ports.get(&u16::try_from(number).ok()?));
        let port =
            port.context("the readinessProbe asks at a port that is not among the container's ports")?;
        let scheme = probe.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let path = probe.path.clone().unwrap_or_else(|| "/".to_owned());
        Ok(Some(Health { url: format!("{scheme}://127.0.0.1:{port}"), path }))
    }
}

/// Replaces `$(NAME)` as the kubelet does: one that is not defined stays, `$$` is a `$` that expands nothing.
fn expand(value: &str, env: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let name = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match name {
            _ if after.starts_with('$') => {
                result.push('$');
                &after[1..]
            }
            Some((name, beyond)) if env.contains_key(name) => {
                result.push_str(&env[name]);
                beyond
            }
            _ => {
                result.push('$');
                after
            }
        };
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand_as_in_the_kubelet() {
        let env = BTreeMap::from([("POD".to_owned(), "zpo-1".to_owned())]);
        for (value, expected) in [
            ("--id=$(POD)/$(POD)", "--id=zpo-1/zpo-1"),
            ("$(OTHER)", "$(OTHER)"),
            ("$$(POD)", "$(POD)"),
            ("$POD $(POD", "$POD $(POD"),
            ("100$", "100$"),
        ] {
            assert_eq!(expand(value, &env), expected, "from {value}");
        }
    }
}
