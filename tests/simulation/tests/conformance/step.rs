//! A script is data: scenes, each a list of steps.

use http::Method;
use serde_json::Value;

/// Steps with one namespace and objects of their own.
pub struct Scene {
    pub name: &'static str,
    pub steps: Vec<Step>,
}

/// In texts, `{name/metadata/uid}` stands for that part of an earlier answer that was given this name.
#[derive(Clone)]
pub enum Step {
    Ask(Ask),
    /// Asks until the answer has this code and holds these words. Only this last answer is compared.
    Until(Ask, u16, &'static str),
    /// Opens a watch, which is read later.
    Follow(&'static str, String),
    /// Reads so many lines of a watch.
    Lines(&'static str, usize),
    /// Reads a watch to its end.
    Rest(&'static str),
}

#[derive(Clone)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    pub format: &'static str,
    pub accept: &'static str,
    /// By which later steps call the answer.
    pub name: &'static str,
}

impl Ask {
    fn new(method: Method, path: impl Into<String>, body: Option<Value>, format: &'static str) -> Self {
        Self { method, path: path.into(), body, format, accept: "application/json", name: "" }
    }

    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Only the metadata of an object.
    pub fn metadata(mut self) -> Self {
        self.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        self
    }

    /// Only the metadata of a list's objects.
    pub fn metadata_list(mut self) -> Self {
        self.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        self
    }

    pub fn until(self, code: u16, words: &'static str) -> Step {
        Step::Until(self, code, words)
    }
}

impl From<Ask> for Step {
    fn from(ask: Ask) -> Self {
        Self::Ask(ask)
    }
}

pub fn get(path: impl Into<String>) -> Ask {
    Ask::new(Method::GET, path, None, "application/json")
}

pub fn post(path: impl Into<String>, body: Value) -> Ask {
    Ask::new(Method::POST, path, Some(body), "application/json")
}

pub fn put(path: impl Into<String>, body: Value) -> Ask {
    Ask::new(Method::PUT, path, Some(body), "application/json")
}

pub fn merge(path: impl Into<String>, body: Value) -> Ask {
    Ask::new(Method::PATCH, path, Some(body), "application/merge-patch+json")
}

pub fn patch(path: impl Into<String>, body: Value) -> Ask {
    Ask::new(Method::PATCH, path, Some(body), "application/json-patch+json")
}

pub fn delete(path: impl Into<String>) -> Ask {
    Ask::new(Method::DELETE, path, None, "application/json")
}

pub fn delete_with(path: impl Into<String>, options: Value) -> Ask {
    Ask::new(Method::DELETE, path, Some(options), "application/json")
}

pub fn follow(name: &'static str, path: impl Into<String>) -> Step {
    Step::Follow(name, path.into())
}

pub fn lines(name: &'static str, count: usize) -> Step {
    Step::Lines(name, count)
}

pub fn rest(name: &'static str) -> Step {
    Step::Rest(name)
}

/// A list of steps of several types.
#[macro_export]
macro_rules! steps {
    ($($step:expr),* $(,)?) => { vec![$($crate::step::Step::from($step)),*] };
}
