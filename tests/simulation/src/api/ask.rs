//! A request, taken apart: which kind, which object, with what parameters.

use std::sync::Arc;

use http::{Method, Uri};
use serde_json::Value;

use super::failure::Failure;
use super::kinds::Kind;
use super::store::Key;

/// What a request is about.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) kind: Arc<Kind>,
    pub(super) namespace: Option<String>,
    /// None: the whole collection.
    pub(super) name: Option<String>,
    /// `status`, for example.
    pub(super) subresource: Option<String>,
    pub(super) query: Query,
    /// The answer shall hold only the metadata.
    pub(super) metadata_only: bool,
}

impl Ask {
    pub(super) fn is_status(&self) -> bool {
        self.subresource.as_deref() == Some("status")
    }

    pub(super) fn key(&self, name: &str) -> Key {
        Key::new(self.kind.place(), self.namespace.as_deref(), name)
    }

    /// The paths of the objects that it is about begin so.
    pub(super) fn prefix(&self) -> String {
        self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default()
    }
}

/// The parameters that the server knows.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of its own")]
pub(super) struct Query {
    pub(super) limit: Option<usize>,
    pub(super) token: Option<String>,
    pub(super) version: Option<String>,
    pub(super) version_match: Option<String>,
    pub(super) labels: Selector,
    pub(super) fields: Selector,
    pub(super) watch: bool,
    pub(super) bookmarks: bool,
    pub(super) initial_events: bool,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) dry_run: bool,
}

impl Query {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Failure> {
        let mut query = Self::default();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match key {
                "limit" => query.limit = value.parse().ok().filter(|limit| *limit > 0),
                "continue" => query.token = Some(value).filter(|token| !token.is_empty()),
                "resourceVersion" => query.version = Some(value).filter(|version| !version.is_empty()),
                "resourceVersionMatch" => query.version_match = Some(value),
                "labelSelector" => query.labels = Selector::parse(&value)?,
                "fieldSelector" => query.fields = Selector::parse(&value)?,
                "watch" => query.watch = is_true(&value),
                "allowWatchBookmarks" => query.bookmarks = is_true(&value),
                "sendInitialEvents" => query.initial_events = is_true(&value),
                "timeoutSeconds" => query.timeout_seconds = value.parse().ok(),
                "dryRun" => query.dry_run = value == "All",
                // Who wrote a field is not kept.
                "fieldManager" | "pretty" => {}
                "fieldValidation" if value != "Strict" => {}
                other => return Err(Failure::unknown(&format!("the parameter {other}={value}"))),
            }
        }
        Ok(query)
    }
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "1")
}

/// Takes `%2F` and `+` apart.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        (bytes, rest) = match (first, code) {
            (b'%', Some(byte)) => (pushed(bytes, byte), &after[2..]),
            (b'+', _) => (pushed(bytes, b' '), after),
            (other, _) => (pushed(bytes, other), after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn pushed(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

/// What labels or fields must be: `a=b,c!=d,e,!f`.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector(Vec<Term>);

#[derive(Clone, Debug)]
enum Term {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

impl Selector {
    fn parse(text: &str) -> Result<Self, Failure> {
        let terms = text.split(',').map(str::trim).filter(|term| !term.is_empty()).map(|term| {
            if term.contains(['(', ' ', '>', '<']) {
                return Err(Failure::unknown(&format!("the selector {term}")));
            }
            let pair =
                |(key, value): (&str, &str)| (key.to_owned(), value.trim_start_matches('=').to_owned());
            if let Some((key, value)) = term.split_once("!=").map(pair) {
                return Ok(Term::IsNot(key, value));
            }
            if let Some((key, value)) = term.split_once('=').map(pair) {
                return Ok(Term::Is(key, value));
            }
            let key = term.trim_start_matches('!').to_owned();
            Ok(if term.starts_with('!') { Term::HasNot(key) } else { Term::Has(key) })
        });
        Ok(Self(terms.collect::<Result<_, _>>()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|term| match term {
            Term::Is(key, _) | Term::IsNot(key, _) | Term::Has(key) | Term::HasNot(key) => key.as_str(),
        })
    }

    /// The one value that a key may have, if it is given.
    pub(super) fn exact(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find_map(|term| match term {
            Term::Is(key, value) if key == wanted => Some(value.as_str()),
            _ => None,
        })
    }

    fn admits<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|term| match term {
            Term::Is(key, value) => value_of(key) == Some(value.as_str()),
            Term::IsNot(key, value) => value_of(key) != Some(value.as_str()),
            Term::Has(key) => value_of(key).is_some(),
            Term::HasNot(key) => value_of(key).is_none(),
        })
    }

    pub(super) fn admits_labels(&self, object: &Value) -> bool {
        self.admits(|key| object["metadata"]["labels"][key].as_str())
    }

    /// Fields are named by their paths; one that is not there is empty.
    pub(super) fn admits_fields(&self, object: &Value) -> bool {
        self.admits(|path| {
            let found = path.split('.').try_fold(object, |value, part| value.get(part));
            Some(found.and_then(Value::as_str).unwrap_or_default())
        })
    }
}

/// The parts of a path.
pub(super) struct Path<'a> {
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) plural: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) subresource: Option<&'a str>,
}

impl<'a> Path<'a> {
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match &parts[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // The subresources of a namespace look like kinds in it.
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Self { group, version, namespace, plural, name, subresource })
    }
}

/// The verb, as policies and messages name it.
pub(super) fn verb(method: &Method, ask: &Ask) -> &'static str {
    match (method, &ask.name, ask.query.watch) {
        (&Method::GET, None, true) => "watch",
        (&Method::GET, None, false) => "list",
        (&Method::GET, Some(_), _) => "get",
        (&Method::POST, ..) => "create",
        (&Method::PUT, ..) => "update",
        (&Method::PATCH, ..) => "patch",
        (&Method::DELETE, Some(_), _) => "delete",
        (&Method::DELETE, None, _) => "deletecollection",
        _ => "other",
    }
}
