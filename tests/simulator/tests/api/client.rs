//! A small client that signs like the official SDKs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::Value;
use zenlayer_simulator::signature::{Signed, authorization};
use zenlayer_simulator::{Account, Config, DEFAULT_ACCOUNT, Simulator, Times};

pub(crate) const KEY: &str = "KEY";
pub(crate) const PASSWORD: &str = "PASSWORD";

/// A simulator with one access key, where passing states are over at once.
pub(crate) fn simulator() -> Simulator {
    let accounts = vec![Account::new(DEFAULT_ACCOUNT).key(KEY, PASSWORD)];
    Simulator::start(Config { accounts, times: Times::INSTANT, ..Config::default() })
        .expect("a free port of the loopback address")
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answered {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The ids listed, in order.
    pub(crate) fn port_ids(&self) -> Vec<&str> {
        let items = self.body["response"]["dataSet"].as_array().expect("a dataSet");
        items.iter().filter_map(|item| item["portId"].as_str()).collect()
    }

    pub(crate) fn total_count(&self) -> u64 {
        self.body["response"]["totalCount"].as_u64().expect("a totalCount")
    }

    pub(crate) fn first_status(&self) -> &str {
        self.body["response"]["dataSet"][0]["portStatus"].as_str().unwrap_or("not listed")
    }
}

/// A request that is right until a test spoils a part of it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) url: String,
    pub(crate) action: &'static str,
    pub(crate) version: &'static str,
    pub(crate) key_id: &'static str,
    pub(crate) password: &'static str,
    pub(crate) timestamp: i64,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// In place of the right header.
    pub(crate) authorization: Option<String>,
}

pub(crate) fn call(simulator: &Simulator, action: &'static str, body: &Value) -> Call {
    Call {
        url: simulator.url(),
        action,
        version: "2023-08-30",
        key_id: KEY,
        password: PASSWORD,
        timestamp: now(),
        content_type: "application/json",
        body: body.to_string(),
        authorization: None,
    }
}

impl Call {
    pub(crate) async fn response(self) -> reqwest::Result<reqwest::Response> {
        let host = self.url.trim_start_matches("http://");
        let timestamp = self.timestamp.to_string();
        let headers = [("content-type", self.content_type), ("host", host)];
        let signed = Signed { timestamp: &timestamp, headers: &headers, body: self.body.as_bytes() };
        let right = authorization(self.key_id, self.password, &signed);
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build()?;
        http.post(format!("{}/api/v2/sdn", self.url))
            .header("content-type", self.content_type)
            .header("x-zc-action", self.action)
            .header("x-zc-version", self.version)
            .header("x-zc-timestamp", &timestamp)
            .header("x-zc-signature-method", "ZC2-HMAC-SHA256")
            .header("authorization", self.authorization.unwrap_or(right))
            .body(self.body)
            .send()
            .await
    }

    /// Sends it and reads a JSON answer.
    pub(crate) async fn send(self) -> Answered {
        let response = self.response().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.json().await.expect("a JSON body");
        Answered { status, headers, body }
    }
}

/// Waits until something holds; fails if it takes unreasonably long.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
