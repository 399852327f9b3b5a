//! A replica's way to Zenlayer.

use std::fmt;
use std::future::pending;
use std::sync::PoisonError;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::{Duration, sleep};
use zenlayer_port_operator::zenlayer::{Failure, HttpClient, Post, Reply};
use zenlayer_simulator::{Answer as Rules, Body, Severed};

use super::ask::{Ask, Target};
use super::state::{Life, Passage};
use super::{World, hold};
use crate::plan::{Phase, Trouble};

#[derive(Clone)]
pub(super) struct ZenlayerLink {
    pub(super) world: World,
    pub(super) life: Life,
}

impl fmt::Debug for ZenlayerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZenlayerLink({})", self.life)
    }
}

type Answer = Result<Reply, Failure>;

impl HttpClient for ZenlayerLink {
    fn send(&self, request: Post, longest: usize) -> BoxFuture<'_, Answer> {
        self.clone().exchange(request, longest).boxed()
    }
}

impl ZenlayerLink {
    async fn exchange(self, post: Post, longest: usize) -> Answer {
        let ask = Ask::zenlayer(&post.headers, &post.body);
        let Some(passage) = self.world.depart(self.life, &ask) else { return pending().await };
        let _under_way = UnderWay::begin(&self.world, self.life, &ask);
        let (answer, waits) = oneshot::channel();
        tokio::spawn(self.clone().carry(ask, passage, post, longest, answer));
        waits.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn carry(
        self,
        ask: Ask,
        passage: Passage,
        post: Post,
        longest: usize,
        answer: oneshot::Sender<Answer>,
    ) {
        let Self { world, life } = &self;
        sleep(passage.there).await;
        let rule = match &passage.trouble {
            Some(Trouble::LostBefore) => {
                world.lock().never_arrives(*life, &ask, "is lost");
                world.lock().zenlayer_answers(&ask, None, false);
                sleep(passage.back).await;
                return drop(answer.send(Err(lost())));
            }
            Some(Trouble::Silence { carried_out: false }) => {
                world.lock().zenlayer_answers(&ask, None, false);
                world.lock().never_arrives(*life, &ask, "is never answered");
                return hold(answer).await;
            }
            Some(Trouble::Rule(rule)) => Some((**rule).clone()),
            _ => None,
        };
        let request = received(&post);
        let exchange = {
            let mut state = world.lock();
            // The rule meets this request alone.
            let rule = rule.map(|rule| state.cloud.fault(rule.once()));
            let exchange = state.asks_zenlayer(*life, &ask, &request);
            if let Some(rule) = rule {
                state.cloud.clear_fault(rule);
            }
            exchange
        };
        if passage.dies(Phase::Unanswered) {
            return world.kill(*life, passage.down());
        }
        sleep(exchange.wait).await;
        let response = {
            let mut state = world.lock();
            state.pass_time();
            let response = state.cloud.answer(exchange);
            let told = response
                .as_ref()
                .map_or_else(|_| "nothing".to_owned(), |it| it.status().as_u16().to_string());
            state.tell(&format!("{life}: {} ⇒ {told}", ask.what));
            let is_whole = response.as_ref().is_ok_and(|it| matches!(it.body(), Body::Whole(_)));
            let status = response.as_ref().ok().map(|it| it.status().as_u16());
            if matches!(&passage.trouble, Some(Trouble::Slow { .. } | Trouble::Late { .. })) {
                // Perhaps it comes in time.
                state.zenlayer_answers(&ask, status, true);
            }
            if let Some(Trouble::Rule(rule)) = &passage.trouble
                && let Rules::Error { status: 429, retry_after: Some(seconds), .. } = &rule.answer
            {
                state.zenlayer_pauses(&ask, seconds.parse().unwrap_or_default());
            }
            let (in_time, is_clear) = what_comes(passage.trouble.as_ref());
            if in_time && is_clear && is_whole && status == Some(200) {
                state.zenlayer_shows(&ask);
            }
            state.zenlayer_answers(
                &ask,
                status.filter(|_| in_time && is_whole),
                in_time && is_clear && is_whole,
            );
            response
        };
        match passage.trouble {
            Some(Trouble::LostAfter) => {
                sleep(passage.back).await;
                return drop(answer.send(Err(lost())));
            }
            Some(Trouble::Silence { .. }) => return hold(answer).await,
            Some(Trouble::Twice { after_ms }) => self.again(&ask, post, after_ms),
            _ => {}
        }
        sleep(passage.back).await;
        let _ = answer.send(read(response, longest).await);
        if passage.dies(Phase::Answered) {
            sleep(Duration::from_millis(1)).await;
            world.kill(*life, passage.down());
        }
    }

    fn again(&self, ask: &Ask, post: Post, after_ms: u64) {
        let (link, ask) = (self.clone(), ask.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(after_ms)).await;
            let exchange = link.world.lock().asks_zenlayer(link.life, &ask, &received(&post));
            sleep(exchange.wait).await;
            let mut state = link.world.lock();
            state.pass_time();
            let _ = state.cloud.answer(exchange);
        });
    }
}

/// A call that its sender waits for.
struct UnderWay {
    world: World,
    of: (Life, String),
}

impl UnderWay {
    fn begin(world: &World, life: Life, ask: &Ask) -> Option<Self> {
        let Target::Zenlayer { port: Some(_), key, .. } = &ask.target else { return None };
        let of = (life, key.clone());
        let calls = {
            let mut under_way = world.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let calls = under_way.entry(of.clone()).or_default();
            *calls += 1;
            *calls
        };
        world.lock().calls_at_once(key, calls);
        Some(Self { world: world.clone(), of })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.world.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = under_way.get_mut(&self.of) {
            *calls -= 1;
        }
    }
}

/// Whether all of the answer comes in time, and whether it is one of Zenlayer's, and true.
fn what_comes(trouble: Option<&Trouble>) -> (bool, bool) {
    match trouble {
        None | Some(Trouble::Twice { .. }) => (true, true),
        Some(Trouble::Rule(rule)) => (true, matches!(rule.answer, Rules::Right | Rules::Error { .. })),
        Some(_) => (false, false),
    }
}

fn lost() -> Failure {
    Failure::Lost("Zenlayer sent no complete answer: the connection broke".to_owned())
}

/// The request as it arrives.
fn received(post: &Post) -> Request<String> {
    let mut request = Request::post(post.url.as_str()).body(post.body.clone()).expect("a request");
    request.headers_mut().extend(post.headers.clone());
    let host = http::HeaderValue::from_str(post.url.authority()).expect("a host");
    request.headers_mut().insert(http::header::HOST, host);
    request
}

async fn read(response: Result<Response<Body>, Severed>, longest: usize) -> Answer {
    let (head, body) = response.map_err(|_| lost())?.into_parts();
    let body = match body {
        Body::Whole(bytes) => bytes.to_vec(),
        Body::Truncated(_) => return Err(lost()),
        Body::Slow { bytes, each_byte } => {
            sleep(each_byte * u32::try_from(bytes.len()).unwrap_or(u32::MAX)).await;
            bytes.to_vec()
        }
        Body::Huge(_) => {
            return Err(Failure::Lost(format!(
                "{} with a body of more than {} KiB",
                head.status,
                longest / 1024
            )));
        }
    };
    if body.len() > longest {
        return Err(Failure::Lost(format!(
            "{} with a body of more than {} KiB",
            head.status,
            longest / 1024
        )));
    }
    Ok(Reply { status: head.status, headers: head.headers, body })
}
