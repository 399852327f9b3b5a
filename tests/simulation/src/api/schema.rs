//! The schema of a definition: it fills in defaults, drops what it does not know, and says what is wrong.
//!
//! Of the rules (`x-kubernetes-validations`) it knows the two forms that the ZenlayerPort has: `self.matches('…')` and
//! `self == oldSelf`. A definition with another rule is refused with 501.

use regex::Regex;
use serde_json::{Map, Value};

use super::failure::Cause;

#[derive(Debug)]
pub(super) struct Schema {
    root: Value,
    /// The status is a subresource.
    pub(super) has_status: bool,
}

enum Rule {
    Matches(Regex),
    Unchanged,
}

impl Schema {
    pub(super) fn new(version: &Value) -> Self {
        Self {
            root: version["schema"]["openAPIV3Schema"].clone(),
            has_status: !version["subresources"]["status"].is_null(),
        }
    }

    /// A rule that is not known, if there is one.
    pub(super) fn unknown_rule(schema: &Value) -> Option<String> {
        match schema {
            Value::Object(fields) => {
                let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
                let texts = rules.into_iter().flatten().filter_map(|rule| rule["rule"].as_str());
                let unknown = texts.clone().find(|text| Rule::parse(text).is_none()).map(str::to_owned);
                unknown.or_else(|| fields.values().find_map(Self::unknown_rule))
            }
            Value::Array(items) => items.iter().find_map(Self::unknown_rule),
            _ => None,
        }
    }

    /// Drops what the schema does not know, and fills in defaults.
    pub(super) fn complete(&self, object: &mut Value) {
        let Some(fields) = object.as_object_mut() else { return };
        fields.retain(|name, _| {
            matches!(name.as_str(), "apiVersion" | "kind" | "metadata")
                || !self.root["properties"][name].is_null()
        });
        for (name, value) in fields.iter_mut().filter(|(name, _)| !is_common(name)) {
            complete(&self.root["properties"][name], value);
        }
    }

    /// Adds to `causes` what is wrong with the object; with `before`, also with what changed.
    pub(super) fn check(&self, object: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
        let mut rules = Vec::new();
        Check { causes, rules: &mut rules }.fields(&self.root, object, before, "");
        self.add_rules(rules, causes);
    }

    /// As `check`, of the status alone. The real server then names fields from there on.
    pub(super) fn check_status(&self, object: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
        let (mut found, mut rules) = (Vec::new(), Vec::new());
        let before = before.map(|before| &before["status"]);
        let mut check = Check { causes: &mut found, rules: &mut rules };
        if let Some(status) = object.get("status") {
            check.value(&self.root["properties"]["status"], status, before, "");
        }
        for cause in found.iter_mut().chain(&mut rules) {
            cause.field = joined("status", &cause.field);
        }
        causes.extend(found);
        self.add_rules(rules, causes);
    }

    /// The rules are not asked if something is wrong that could mislead them.
    fn add_rules(&self, rules: Vec<Cause>, causes: &mut Vec<Cause>) {
        const MISLEADING: [&str; 4] =
            ["FieldValueRequired", "FieldValueTypeInvalid", "FieldValueNotSupported", "FieldValueTooLong"];
        if !has_rules(&self.root) {
            return;
        }
        if causes.iter().any(|cause| MISLEADING.contains(&cause.kind)) {
            let why = "some validation rules were not checked because the object was invalid; correct the existing \
                       errors to complete validation";
            causes.push(Cause::invalid("<nil>", &Value::Null, why));
        } else {
            causes.extend(rules);
        }
    }
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.contains_key("x-kubernetes-validations") || fields.values().any(has_rules)
        }
        _ => false,
    }
}

/// Fields of all objects, which no schema describes.
fn is_common(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

fn complete(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            if let Some(properties) = properties {
                fields.retain(|name, _| properties.contains_key(name));
                for (name, schema) in properties {
                    fill_in(schema, name, fields);
                }
            }
            for (name, value) in fields {
                let of_all = &schema["additionalProperties"];
                complete(properties.and_then(|all| all.get(name)).unwrap_or(of_all), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| complete(&schema["items"], item)),
        _ => {}
    }
}

fn fill_in(schema: &Value, name: &str, fields: &mut Map<String, Value>) {
    let nullable = schema["nullable"] == Value::Bool(true);
    let is_null = fields.get(name).is_some_and(Value::is_null);
    if !schema["default"].is_null() && (!fields.contains_key(name) || is_null && !nullable) {
        fields.insert(name.to_owned(), schema["default"].clone());
    } else if is_null && !nullable {
        // A null that may not be is taken for nothing.
        fields.remove(name);
    }
}

struct Check<'a> {
    causes: &'a mut Vec<Cause>,
    rules: &'a mut Vec<Cause>,
}

impl Check<'_> {
    fn fields(&mut self, schema: &Value, value: &Value, before: Option<&Value>, path: &str) {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| value.get(name).is_none()) {
            self.causes.push(Cause::required(joined(path, name), ""));
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if path.is_empty() && is_common(name) {
                continue;
            }
            if let Some(value) = value.get(name) {
                self.value(schema, value, before.and_then(|before| before.get(name)), &joined(path, name));
            }
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, before: Option<&Value>, path: &str) {
        if value.is_null() && schema["nullable"] == Value::Bool(true) {
            return;
        }
        let wanted = schema["type"].as_str().unwrap_or_default();
        let is = type_of(value);
        if !wanted.is_empty() && wanted != is && !(wanted == "number" && is == "integer") {
            let why = format!("{path} in body must be of type {wanted}: \"{is}\"");
            let text = format!("Invalid value: \"{is}\": {why}");
            self.causes.push(Cause::new("FieldValueTypeInvalid", path, text));
            return;
        }
        self.limits(schema, value, path);
        self.rules_of(schema, value, before, path);
        match value {
            Value::Object(_) => self.fields(schema, value, before, path),
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, None, &format!("{path}[{number}]"));
                }
            }
            _ => {}
        }
    }

    fn limits(&mut self, schema: &Value, value: &Value, path: &str) {
        if let Some(known) = schema["enum"].as_array()
            && !known.contains(value)
        {
            let known: Vec<String> = known.iter().map(Value::to_string).collect();
            let text = format!("Unsupported value: {value}: supported values: {}", known.join(", "));
            self.causes.push(Cause::new("FieldValueNotSupported", path, text));
        }
        if let Some(text) = value.as_str() {
            let length = text.chars().count() as u64;
            if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
                let most = &schema["maxLength"];
                let text = format!("Too long: may not be more than {most} bytes");
                self.causes.push(Cause::new("FieldValueTooLong", path, text));
            }
            if schema["minLength"].as_u64().is_some_and(|least| length < least) {
                let least = &schema["minLength"];
                let why = format!("{path} in body should be at least {least} chars long");
                self.causes.push(Cause::invalid(path, value, &why));
            }
        }
        if let (Some(number), Some(least)) = (value.as_f64(), schema["minimum"].as_f64())
            && number < least
        {
            let why = format!("{path} in body should be greater than or equal to {least}");
            self.causes.push(Cause::invalid(path, value, &why));
        }
    }

    fn rules_of(&mut self, schema: &Value, value: &Value, before: Option<&Value>, path: &str) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let holds = match rule["rule"].as_str().and_then(Rule::parse) {
                Some(Rule::Matches(pattern)) => value.as_str().is_some_and(|text| pattern.is_match(text)),
                Some(Rule::Unchanged) => before.is_none_or(|before| before == value),
                None => true,
            };
            if !holds {
                let why = rule["message"].as_str().unwrap_or_default();
                self.rules.push(Cause::invalid(path, value, why));
            }
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        if text == "self == oldSelf" {
            return Some(Self::Unchanged);
        }
        let pattern = text.strip_prefix("self.matches('")?.strip_suffix("')")?;
        Regex::new(pattern).ok().map(Self::Matches)
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
