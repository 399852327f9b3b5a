//! What may refuse a write that is well formed: the life of namespaces and definitions, policies, quotas.
//!
//! A policy here knows one expression, `false`: it denies whatever it is for. One with another expression is not taken.

use serde_json::Value;

use super::ask::Ask;
use super::failure::Failure;
use super::kinds::Rules;
use super::object::meta_text;
use super::state::State;

const GROUP: &str = "admissionregistration.k8s.io";

impl State {
    /// Namespaces must exist, and take nothing new while they are terminating.
    pub(super) fn check_lifecycle(&self, ask: &Ask, name: &str, creates: bool) -> Result<(), Failure> {
        if let (Rules::Custom { terminating: true, .. }, true) = (&ask.kind.rules, creates) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Failure::forbidden(&ask.kind, name, why));
        }
        let Some(namespace) = &ask.namespace else { return Ok(()) };
        let Some(found) = self.namespace(namespace) else {
            let kind = self.kind("", "v1", "namespaces").expect("a kind of its own");
            return Err(Failure::not_found(&kind, namespace));
        };
        if creates && found.value()["status"]["phase"] == "Terminating" {
            return Err(Failure::terminating(&ask.kind, name, namespace));
        }
        Ok(())
    }

    pub(super) fn check_policies(&self, ask: &Ask, name: &str, operation: &str) -> Result<(), Failure> {
        if ask.kind.group == GROUP {
            return Ok(());
        }
        let place = |plural: &str| format!("{plural}.{GROUP}");
        for (_, binding) in self.store.of(&place("validatingadmissionpolicybindings"), "") {
            let binding = binding.value();
            let policies = place("validatingadmissionpolicies");
            let policy = binding["spec"]["policyName"].as_str().unwrap_or_default();
            let policy = self.store.of(&policies, policy).find(|(key, _)| key.path == policy);
            let Some((_, policy)) = policy else { continue };
            let policy = policy.value();
            let selector = &binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"];
            if !is_for(&policy["spec"]["matchConstraints"], ask, operation) || !self.selects(selector, ask) {
                continue;
            }
            // All of them deny, so the first does.
            if let Some(validation) = policy["spec"]["validations"].get(0) {
                let why = format!(
                    "ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {}",
                    meta_text(policy, "name"),
                    meta_text(binding, "name"),
                    validation["message"].as_str().unwrap_or("failed expression: false"),
                );
                let reason = validation["reason"].as_str().unwrap_or("Invalid");
                return Err(Failure::denied(&ask.kind, name, &why, reason));
            }
        }
        Ok(())
    }

    /// Whether the labels of the request's namespace are those.
    fn selects(&self, wanted: &Value, ask: &Ask) -> bool {
        let labels = self.labels_of_namespace(ask.namespace.as_deref().unwrap_or_default());
        wanted.as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value)
    }

    /// Quotas count objects: `secrets`, `count/secrets`, `count/zenlayerports.sdn.zenlayer.com`.
    pub(super) fn check_quotas(&self, ask: &Ask, name: &str) -> Result<(), Failure> {
        let Some(namespace) = &ask.namespace else { return Ok(()) };
        let prefix = format!("{namespace}/");
        let within = |place: &str| -> usize {
            self.store.of(place, &prefix).take_while(|(key, _)| key.path.starts_with(&prefix)).count()
        };
        for (key, quota) in self.store.of("resourcequotas", &prefix) {
            if !key.path.starts_with(&prefix) {
                break;
            }
            let counted = [format!("count/{}", ask.kind.resource()), ask.kind.resource()];
            let hard = quota.value()["spec"]["hard"].as_object().into_iter().flatten();
            for (resource, most) in hard.filter(|(resource, _)| counted.contains(resource)) {
                let used = within(&ask.kind.place());
                let most: usize = most.as_str().and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
                if used + 1 > most {
                    let quota = meta_text(quota.value(), "name");
                    let why = format!(
                        "exceeded quota: {quota}, requested: {resource}=1, used: {resource}={used}, limited: \
                         {resource}={most}"
                    );
                    return Err(Failure::forbidden(&ask.kind, name, &why));
                }
            }
        }
        Ok(())
    }
}

/// Whether a policy is for this request.
fn is_for(constraints: &Value, ask: &Ask, operation: &str) -> bool {
    let names = |list: &Value, wanted: &str| {
        let mut list = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        list.any(|one| one == "*" || one == wanted)
    };
    let resource = match &ask.subresource {
        Some(subresource) => format!("{}/{subresource}", ask.kind.plural),
        None => ask.kind.plural.clone(),
    };
    constraints["resourceRules"].as_array().into_iter().flatten().any(|rule| {
        names(&rule["apiGroups"], &ask.kind.group)
            && names(&rule["apiVersions"], &ask.kind.version)
            && names(&rule["operations"], operation)
            && names(&rule["resources"], &resource)
    })
}

/// Whether the policy is one that this server understands.
pub(super) fn check_policy(policy: &Value) -> Result<(), Failure> {
    let spec = &policy["spec"];
    let mut validations = spec["validations"].as_array().into_iter().flatten();
    let unknown =
        ["matchConditions", "paramKind", "variables"].into_iter().find(|part| !spec[part].is_null());
    match (validations.find(|validation| validation["expression"] != "false"), unknown) {
        (Some(validation), _) => {
            Err(Failure::unknown(&format!("the expression {}", validation["expression"])))
        }
        (None, Some(part)) => Err(Failure::unknown(&format!("{part} of a policy"))),
        (None, None) => Ok(()),
    }
}
