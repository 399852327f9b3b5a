//! Plays a scene against a server, whichever it is, and writes down what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::step::{Ask, Scene, Step};

/// How long a watch or a repeated question may take. In simulated time it takes none.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);

/// A watch that is open, and what of it has been read but not split into lines.
struct Open {
    body: Body,
    buffer: Vec<u8>,
}

/// Plays one scene. `between` is called before each request: the controllers of a simulated server work then.
pub async fn play(client: &Client, scene: &Scene, between: impl Fn()) -> Result<Vec<Value>> {
    let mut player = Player { client, named: BTreeMap::new(), watches: BTreeMap::new(), between };
    let mut answers = Vec::new();
    for (number, step) in scene.steps.iter().enumerate() {
        let answer = player.step(step).await;

        answers.extend(answer.with_context(|| format!("step {number} of {}: {}", scene.name, line(step)))?);
    }
    Ok(answers)
}

/// What a step asks, for people.
fn line(step: &Step) -> String {
    match step {
        Step::Ask(ask) => format!("{} {}", ask.method, ask.path),
        Step::Until(ask, code, words) => format!("{} {} until {code} {words}", ask.method, ask.path),
        Step::Follow(name, path) => format!("{name} = WATCH {path}"),
        Step::Lines(name, count) => format!("{count} lines of {name}"),
        Step::Rest(name) => format!("the rest of {name}"),
    }
}

struct Player<'a, F> {
    client: &'a Client,
    named: BTreeMap<&'static str, Value>,
    watches: BTreeMap<&'static str, Open>,
    between: F,
}

impl<F: Fn()> Player<'_, F> {
    async fn step(&mut self, step: &Step) -> Result<Option<Value>> {
        let (code, body) = match step {
            Step::Ask(ask) => self.ask(ask).await?,
            Step::Until(ask, code, words) => self.until(ask, *code, words).await?,
            Step::Follow(name, path) => return self.follow(name, path, &line(step)).await,
            Step::Lines(name, count) => {
                let lines = self.read(name, *count).await?;
                ensure!(lines.len() == *count, "the watch ended after {lines:?}");
                return Ok(Some(json!({ "step": line(step), "lines": lines })));
            }
            Step::Rest(name) => {
                let lines = self.read(name, usize::MAX).await?;
                return Ok(Some(json!({ "step": line(step), "lines": lines })));
            }
        };
        Ok(Some(json!({ "step": line(step), "code": code, "body": body })))
    }

    async fn ask(&mut self, ask: &Ask) -> Result<(u16, Value)> {
        (self.between)();
        let body = ask.body.as_ref().map(|body| self.filled_in(&body.to_string())).transpose()?;
        let request = Request::builder()
            .method(ask.method.clone())
            .uri(self.filled_in(&ask.path)?)
            .header(header::CONTENT_TYPE, ask.format)
            .header(header::ACCEPT, ask.accept);
        let request = request.body(Body::from(body.unwrap_or_default().into_bytes()))?;
        let response = timeout(LIMIT, self.client.send(request)).await??;
        let code = response.status().as_u16();
        let text = timeout(LIMIT, response.into_body().collect_bytes()).await??;
        let body = serde_json::from_slice(&text)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&text).into_owned()));
        if !ask.name.is_empty() {
            self.named.insert(ask.name, body.clone());
        }
        Ok((code, body))
    }

    async fn until(&mut self, ask: &Ask, code: u16, words: &str) -> Result<(u16, Value)> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let (found, body) = self.ask(ask).await?;
            if found == code && body.to_string().contains(words) {
                return Ok((found, body));
            }
            ensure!(Instant::now() < deadline, "the last answer is {found}: {body}");
            sleep(PAUSE).await;
        }
    }

    async fn follow(&mut self, name: &'static str, path: &str, line: &str) -> Result<Option<Value>> {
        (self.between)();
        let request = Request::get(self.filled_in(path)?).body(Body::empty())?;
        let response = timeout(LIMIT, self.client.send(request)).await??;
        let code = response.status().as_u16();
        if code != 200 {
            let text = response.into_body().collect_bytes().await?;
            let body: Value = serde_json::from_slice(&text)?;
            return Ok(Some(json!({ "step": line, "code": code, "body": body })));
        }
        self.watches.insert(name, Open { body: response.into_body(), buffer: Vec::new() });
        Ok(None)
    }

    /// So many lines; fewer if the watch ends.
    async fn read(&mut self, name: &str, count: usize) -> Result<Vec<Value>> {
        (self.between)();
        let Some(open) = self.watches.get_mut(name) else { bail!("no watch {name} is open") };
        let mut lines = Vec::new();
        while lines.len() < count {
            if let Some(end) = open.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = open.buffer.drain(..=end).collect();
                lines.push(serde_json::from_slice(&line)?);
                continue;
            }
            let frame = timeout(LIMIT, open.body.frame()).await;
            match frame.with_context(|| format!("nothing follows {lines:?}"))? {
                Some(frame) => open.buffer.extend(frame?.into_data().unwrap_or_else(|_| Bytes::new())),
                None => break,
            }
        }
        Ok(lines)
    }

    /// Puts parts of earlier answers into a text: `{name/metadata/uid}`.
    fn filled_in(&self, text: &str) -> Result<String> {
        let mut filled = text.to_owned();
        for (name, answer) in &self.named {
            while let Some(start) = filled.find(&format!("{{{name}/")) {
                let end = start + filled[start..].find('}').context("a } is missing")?;
                let pointer = &filled[start + 1 + name.len()..end];
                let value = answer.pointer(pointer).with_context(|| format!("{pointer} of {answer}"))?;
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                filled.replace_range(start..=end, &value);
            }
        }
        Ok(filled)
    }
}
