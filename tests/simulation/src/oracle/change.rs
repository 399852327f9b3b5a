//! A change of an object at the API server, in one line.

use serde_json::Value;

pub struct Change<'a> {
    pub place: &'a str,
    pub path: &'a str,
    pub before: Option<&'a Value>,
    pub after: Option<&'a Value>,
}

fn condition<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    let ready =
        object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")?;
    ready[field].as_str()
}

impl Change<'_> {
    /// The reasons that the object showed before and shows now.
    pub fn reasons(&self) -> (Option<&str>, Option<&str>) {
        (
            self.before.and_then(|object| condition(object, "reason")),
            self.after.and_then(|object| condition(object, "reason")),
        )
    }

    /// Whether people read it.
    pub fn tells(&self) -> bool {
        self.place.starts_with("zenlayerports.") || self.place == "events"
    }

    /// None: nobody cares.
    pub fn line(&self) -> Option<String> {
        let path = self.path;
        if self.place.starts_with("zenlayerports.") {
            return Some(format!("  {path}: {}", self.port_line()));
        }
        let after = self.after;
        match self.place {
            "leases" | "leases.coordination.k8s.io" => None,
            "events" => {
                let note = after?["note"].as_str().unwrap_or_default();
                Some(format!("  event {}: {note}", after?["reason"].as_str().unwrap_or_default()))
            }
            place => {
                let what = match (self.before, after) {
                    (None, _) => "made",
                    (_, None) => "gone",
                    (Some(before), Some(after)) if is_terminating(after) && !is_terminating(before) => {
                        "deleted"
                    }
                    _ => "changed",
                };
                Some(format!("  {place} {path}: {what}"))
            }
        }
    }

    fn port_line(&self) -> String {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            return if self.before.is_none() { "made".to_owned() } else { "gone".to_owned() };
        };
        let mut parts = Vec::new();
        if is_terminating(after) && !is_terminating(before) {
            parts.push("deleted".to_owned());
        }
        if after["metadata"]["finalizers"] != before["metadata"]["finalizers"] {
            parts.push(format!("finalizers {}", after["metadata"]["finalizers"]));
        }
        if after["spec"] != before["spec"] {
            parts.push(format!("spec {}", after["spec"]));
        }
        let call = |object: &Value| {
            let call = &object["status"]["release"]["call"];
            let outcome = call["outcome"].as_object().and_then(|outcome| outcome.keys().next().cloned());
            (call["action"].clone(), call["attempt"].clone(), outcome, call["landed"].clone())
        };
        if call(before) != call(after) {
            let (action, attempt, outcome, landed) = call(after);
            let action = action.as_str().unwrap_or("no call").to_owned();
            let landed = if landed == Value::Bool(true) { ", landed" } else { "" };
            parts.push(format!("{action} #{attempt} {}{landed}", outcome.unwrap_or_default()));
        }
        if let (was, Some(is)) = self.reasons()
            && was != Some(is)
        {
            parts.push(format!("{} → {is}", was.unwrap_or("none")));
        } else if condition(before, "message") != condition(after, "message") {
            parts.push(format!("says {:?}", condition(after, "message").unwrap_or_default()));
        }
        if parts.is_empty() {
            parts.push("changed".to_owned());
        }
        parts.join(", ")
    }
}

fn is_terminating(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}
