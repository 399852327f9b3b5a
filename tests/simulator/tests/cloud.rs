//! The cloud as a deterministic simulation has it: without a server, told the time and a seed.

use std::time::Duration;

use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use zenlayer_simulator::signature::{Signed, authorization};
use zenlayer_simulator::{
    Account, Answer, Apply, Body, Cloud, Config, DEFAULT_ACCOUNT, Exchange, ListFault, Now, Port, PortStatus,
    Reply, Rule, Severed, Times,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A cloud and the time that it is told.
struct World {
    cloud: Cloud,
    now: Now,
}

impl World {
    /// Two ports in the bin; every passing state takes a minute.
    fn new(seed: u64) -> Self {
        let times = Times {
            create: MINUTE,
            terminate: MINUTE,
            renew: MINUTE,
            destroy: MINUTE,
            destroyed_listed_for: MINUTE,
        };
        let accounts = vec![Account::new(DEFAULT_ACCOUNT).key("KEY", "PASSWORD").token("ci", "TOKEN")];
        let ports = ["port-1", "port-2"].map(|id| Port::new(id).status(PortStatus::Recycled)).to_vec();
        let wall = "2026-01-01T00:00:00Z".parse().expect("a time");
        let now = Now { monotonic: Duration::ZERO, wall };
        Self { cloud: Cloud::new(Config { accounts, ports, times, ..Config::default() }, seed, now), now }
    }

    fn with_rule(rule: Rule) -> Self {
        let mut world = Self::new(1);
        world.cloud.fault(rule);
        world
    }

    /// Lets so much time pass.
    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = Now { monotonic: self.now.monotonic + time, wall: self.now.wall + time };
        self.cloud.advance(self.now);
        self
    }

    /// Sends a request that is signed now.
    fn send(&mut self, action: &str, body: &Value) -> Exchange {
        self.send_as(action, body, "PASSWORD", self.now.wall)
    }

    fn send_as(&mut self, action: &str, body: &Value, password: &str, signed_at: Timestamp) -> Exchange {
        let (timestamp, body) = (signed_at.as_second().to_string(), body.to_string());
        let headers = [("content-type", "application/json"), ("host", "zenlayer.example")];
        let signed = Signed { timestamp: &timestamp, headers: &headers, body: body.as_bytes() };
        let request = headers
            .iter()
            .fold(request(action), |request, (name, value)| request.header(*name, *value))
            .header("x-zc-timestamp", &timestamp)
            .header("x-zc-signature-method", "ZC2-HMAC-SHA256")
            .header("authorization", authorization("KEY", password, &signed));
        self.cloud.advance(self.now).request(&request.body(body).expect("a request"))
    }

    /// Waits as long as the exchange says, and ends it.
    fn answer(&mut self, exchange: Exchange) -> Result<Response<Body>, Severed> {
        self.pass(exchange.wait).cloud.answer(exchange)
    }

    fn destroy(&mut self, port_id: &str) -> Exchange {
        self.send("DestroyPort", &json!({ "portId": port_id }))
    }

    /// The code of the answer; empty: a success.
    fn code(&mut self, exchange: Exchange) -> String {
        let answer = self.answer(exchange).expect("an answer");
        let Body::Whole(body) = answer.body() else { panic!("not a whole body: {answer:?}") };
        let body: Value = serde_json::from_slice(body).expect("JSON");
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    fn status(&self, port_id: &str) -> &str {
        self.cloud.port(port_id).map_or("gone", |port| port.port_status.as_str())
    }

    /// When the port changed, in seconds, since it was seeded.
    fn changes(&self, port_id: &str) -> Vec<u64> {
        self.cloud.journal().transitions_of(port_id).skip(1).map(|it| it.at_ms / 1000).collect()
    }
}

fn request(action: &str) -> http::request::Builder {
    http::Request::post("/api/v2/sdn").header("x-zc-action", action).header("x-zc-version", "2023-08-30")
}

/// A script that meets rules of every kind: all that came back, and the journal.
fn played(seed: u64) -> Vec<String> {
    let mut world = World::new(seed);
    for rule in [
        Rule::on("DescribePorts").skip(1).once().list([ListFault::Stale]),
        Rule::on("DestroyPort").port("port-1").once().apply(Apply::Late(90 * SECOND)).answer(Answer::Lost),
        Rule::on("DestroyPort").port("port-2").apply(Apply::After(5 * SECOND)).delay_answer(10 * SECOND),
        Rule::on("RenewPort").throttle(Some("30")),
        Rule::on("TerminatePort").answer(Answer::Truncated),
        Rule::on("DropPorts").answer(Answer::Reset),
    ] {
        world.cloud.fault(rule);
    }
    let new = json!({ "portName": "new", "portType": "1G", "dcId": "SIN1", "businessEntityName": "me" });
    let mut all = Vec::new();
    for (action, body) in [
        ("CreatePort", new),
        ("DescribePorts", json!({})),
        ("DestroyPort", json!({ "portId": "port-1" })),
        ("RenewPort", json!({ "portId": "port-1" })),
        ("DestroyPort", json!({ "portId": "port-2" })),
        ("TerminatePort", json!({ "portId": "port-1" })),
        ("DropPorts", json!({})),
        ("DescribePorts", json!({})),
        ("DestroyPort", json!({ "portId": "port-1" })),
        ("DescribePorts", json!({})),
    ] {
        let exchange = world.pass(20 * SECOND).send(action, &body);
        let wait = exchange.wait;
        all.push(format!("{action} waits {wait:?}: {:?}", world.answer(exchange)));
    }
    let unmet: Vec<_> = world.cloud.faults().iter().filter(|fault| fault.spoiled == 0).collect();
    assert!(unmet.is_empty(), "the script does not meet {unmet:?}");
    all.push(serde_json::to_string(world.cloud.journal()).expect("JSON"));
    all
}

#[test]
fn the_same_script_seed_and_times_give_the_same_answers_and_journal() {
    let first = played(7);
    assert_eq!(first, played(7));
    assert_ne!(first, played(8), "the ids of requests and new ports come from the seed");
}

#[test]
fn the_core_reads_no_clock_and_nothing_random() {
    let sources = [
        ("accounts.rs", include_str!("../src/accounts.rs")),
        ("answer.rs", include_str!("../src/answer.rs")),
        ("api.rs", include_str!("../src/api.rs")),
        ("cloud.rs", include_str!("../src/cloud.rs")),
        ("error.rs", include_str!("../src/error.rs")),
        ("faults.rs", include_str!("../src/faults.rs")),
        ("journal.rs", include_str!("../src/journal.rs")),
        ("life_cycle.rs", include_str!("../src/life_cycle.rs")),
        ("port.rs", include_str!("../src/port.rs")),
        ("signature.rs", include_str!("../src/signature.rs")),
    ];
    let words = ["Instant", "SystemTime", "::now", "RandomState", "HashMap", "HashSet", "tokio", "thread::"];
    for (name, source) in sources {
        for word in words {
            assert!(!source.contains(word), "{name} has the word {word}");
        }
    }
}

#[test]
fn a_port_lives_in_told_time() {
    let mut world = World::new(1);
    world.cloud.seed(Port::new("port-3"));
    assert_eq!(world.cloud.next_change(), None, "no port is in a passing state");

    let terminate = world.send("TerminatePort", &json!({ "portId": "port-3" }));
    assert_eq!(world.code(terminate), "");
    assert_eq!(world.cloud.next_change(), Some(MINUTE));
    world.pass(59 * SECOND);
    assert_eq!(world.status("port-3"), "DELETING");
    world.pass(SECOND);
    assert_eq!((world.status("port-3"), world.cloud.next_change()), ("RECYCLED", None));

    let destroy = world.destroy("port-3");
    assert_eq!(world.code(destroy), "");
    for (status, next_change) in
        [("DESTROYING", Some(2 * MINUTE)), ("DESTROYED", Some(3 * MINUTE)), ("gone", None)]
    {
        assert_eq!((world.status("port-3"), world.cloud.next_change()), (status, next_change));
        world.pass(MINUTE);
    }
    assert_eq!(world.changes("port-3"), [0, 60, 60, 120, 180]);
}

#[test]
fn an_overtaken_timer_is_no_next_change() {
    let mut world = World::new(1);
    let _ = world.destroy("port-1");
    assert_eq!(world.cloud.next_change(), Some(MINUTE));
    world.cloud.set_status("port-1", PortStatus::Running);
    assert_eq!(world.cloud.next_change(), None);
    world.cloud.set_status("port-1", PortStatus::Destroying);
    world.cloud.remove_port("port-1");
    assert_eq!(world.cloud.next_change(), None);
}

#[test]
fn a_late_change_is_made_at_its_time_whatever_was_answered() {
    let mut world = World::with_rule(Rule::any().apply(Apply::Late(90 * SECOND)).answer(Answer::Lost));
    for port_id in ["port-1", "port-2"] {
        let exchange = world.destroy(port_id);
        assert_eq!(exchange.wait, Duration::ZERO);
        assert_eq!(world.cloud.answer(exchange).err(), Some(Severed::Close));
    }
    world.cloud.set_status("port-2", PortStatus::Running);
    assert_eq!(world.cloud.next_change(), Some(90 * SECOND));
    world.pass(10 * MINUTE);
    assert_eq!(world.changes("port-1"), [90, 150, 210], "nobody looked, and each came at its time");
    assert_eq!(world.status("port-2"), "RUNNING", "by then it was not allowed");
}

#[test]
fn what_fell_due_unseen_happens_in_the_order_of_time() {
    let mut world = World::with_rule(Rule::on("RenewPort").apply(Apply::Late(90 * SECOND)));
    world.cloud.seed(Port::new("port-3").status(PortStatus::Deleting));
    let _ = world.send("RenewPort", &json!({ "portId": "port-3" }));
    assert_eq!(world.cloud.next_change(), Some(MINUTE), "the way into the bin ends first");
    world.pass(10 * MINUTE);
    assert_eq!(world.changes("port-3"), [60, 90, 150], "in the bin, on its way out, running");
}

#[test]
fn a_change_is_held_and_then_its_answer() {
    let rule = Rule::any().once().apply(Apply::After(5 * SECOND)).delay_answer(10 * SECOND);
    let mut world = World::with_rule(rule);
    let exchange = world.destroy("port-1");
    assert_eq!((exchange.wait, world.cloud.next_change()), (15 * SECOND, Some(5 * SECOND)));
    assert_eq!(world.pass(4 * SECOND).status("port-1"), "RECYCLED");
    assert_eq!(world.pass(SECOND).status("port-1"), "DESTROYING");
    let reply = |world: &World| world.cloud.journal().requests()[0].reply.clone();
    assert_eq!(reply(&world), Reply::Pending);
    world.pass(10 * SECOND);
    let answer = world.cloud.answer(exchange).expect("an answer");
    assert_eq!(answer.status(), 200, "right as of the change: {answer:?}");
    assert_eq!(reply(&world), Reply::Sent { status: 200, code: None });
}

#[test]
fn a_change_held_for_no_time_is_made_at_once() {
    let mut world = World::with_rule(Rule::any().apply(Apply::After(Duration::ZERO)));
    let exchange = world.destroy("port-1");
    assert_eq!((exchange.wait, world.status("port-1")), (Duration::ZERO, "DESTROYING"));
    assert_eq!(world.code(exchange), "");
}

#[test]
#[should_panic(expected = "the answer is due at 5s, now is 4s")]
fn an_answer_before_its_time_is_a_fault_of_the_caller() {
    let mut world = World::with_rule(Rule::any().delay_answer(5 * SECOND));
    let exchange = world.destroy("port-1");
    let _ = world.pass(4 * SECOND).cloud.answer(exchange);
}

#[test]
fn a_body_says_how_it_comes() {
    let answered = |answer: Answer| {
        let mut world = World::with_rule(Rule::any().answer(answer));
        let exchange = world.destroy("port-1");
        world.answer(exchange).expect("an answer").into_parts()
    };
    let (_, Body::Whole(whole)) = answered(Answer::Right) else { panic!("not whole") };
    let announced = Some(whole.len().to_string());
    let length = |head: &http::response::Parts| {
        head.headers.get("content-length").and_then(|it| it.to_str().ok()).map(str::to_owned)
    };
    let (head, body) = answered(Answer::Truncated);
    assert_eq!((length(&head), body), (announced.clone(), Body::Truncated(whole.slice(..whole.len() / 2))));
    let (head, body) = answered(Answer::Slow(SECOND));
    assert_eq!((length(&head), body), (announced, Body::Slow { bytes: whole, each_byte: SECOND }));
    let (head, body) = answered(Answer::Huge(1 << 40));
    assert_eq!((length(&head), body), (None, Body::Huge(1 << 40)));
}

#[test]
fn signatures_and_tokens_are_checked_by_the_told_wall_clock() {
    let mut world = World::new(1);
    let wall = world.now.wall;
    for (password, signed_at, code) in [
        ("PASSWORD", wall - 5 * MINUTE, ""),
        ("PASSWORD", wall - 6 * MINUTE, "AUTHFAILURE_SIGNATURE_EXPIRED"),
        ("PASSWORD", wall + 6 * MINUTE, "AUTHFAILURE_SIGNATURE_EXPIRED"),
        ("other", wall, "AUTHFAILURE_SIGNATURE_FAILURE"),
    ] {
        let exchange = world.send_as("DescribePorts", &json!({}), password, signed_at);
        assert_eq!(world.code(exchange), code, "{password} at {signed_at}, now is {wall}");
    }
    for (token, code) in [("TOKEN", ""), ("other", "AUTHFAILURE_INVALID_AUTHORIZATION")] {
        let request = request("DescribePorts").header("authorization", format!("Bearer {token}"));
        let exchange = world.cloud.request(&request.body("{}").expect("a request"));
        assert_eq!(world.code(exchange), code, "token {token}");
    }
}

#[test]
fn a_port_is_created_at_the_told_wall_time() {
    let mut world = World::with_rule(Rule::on("CreatePort").apply(Apply::Late(MINUTE)));
    let start = world.now.wall;
    let new = json!({ "portName": "new", "portType": "1G", "dcId": "SIN1", "businessEntityName": "me" });
    let exchange = world.send("CreatePort", &new);
    assert_eq!(world.code(exchange), "");
    world.pass(10 * MINUTE).cloud.seed(Port::new("port-9"));
    let created = |named: &str| world.cloud.ports().find(|port| port.port_name == named)?.created_time;
    assert_eq!(created("new"), Some(start + MINUTE), "when the late change was made");
    assert_eq!(created("port-9"), Some(start + 10 * MINUTE));
}
