use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::answer::RefusalKind;
use crate::port::PortStatus;
use crate::zenlayer::testing::{SECRET, Script, Server, answer, good};
use crate::zenlayer::{Attachment, Credential, Owner, Timeouts};

fn ids(count: usize) -> Vec<PortId> {
    (0..count).map(|n| PortId::new(format!("port-{n}"))).collect()
}

fn page(total: usize, ports: std::ops::Range<usize>) -> Script {
    let ports: Vec<Value> =
        ports.map(|n| json!({ "portId": format!("port-{n}"), "portStatus": "RECYCLED" })).collect();
    good(&json!({ "totalCount": total, "dataSet": ports }))
}

async fn describe(server: &Server, count: usize) -> Result<Vec<PortInfo>, Unreadable> {
    let ids = ids(count);
    let batch = Batch::new(&ids).expect("a batch");
    read(&server.client(), batch).await
}

async fn read(client: &Client, batch: Batch<'_>) -> Result<Vec<PortInfo>, Unreadable> {
    let permit = client.read_permit(Priority::Release).await?;
    client.describe_ports(permit, batch, Priority::Release).await
}

async fn destroy(client: &Client) -> ChangeAnswer {
    let permit = client.change_permit().await;
    client.destroy_port(permit, &PortId::new("port-0")).await
}

fn short() -> Timeouts {
    let wait = Duration::from_millis(50);
    Timeouts { read: wait, change: wait, ..Timeouts::default() }
}

#[test]
fn a_chunk_holds_one_to_a_hundred_ids() {
    assert!(Batch::new(&[]).is_none() && Batch::new(&ids(101)).is_none());
    assert!(Batch::new(&ids(1)).is_some() && Batch::new(&ids(100)).is_some());
}

#[tokio::test]
async fn a_request_is_signed_for_the_host_it_is_sent_to() {
    let server = Server::play(vec![good(&json!({}))]);
    assert_eq!(destroy(&server.client()).await, ChangeAnswer::Accepted { request_id: Some("T1".to_owned()) });
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /api/v2/sdn HTTP/1.1");
    assert_eq!(request.body, r#"{"portId":"port-0"}"#);
    for (name, value) in [
        ("host", server.authority().as_str()),
        ("content-type", "application/json"),
        ("x-zc-service", "sdn"),
        ("x-zc-action", "DestroyPort"),
        ("x-zc-version", "2023-08-30"),
        ("x-zc-signature-method", "ZC2-HMAC-SHA256"),
        ("user-agent", concat!("zenlayer-port-operator/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let timestamp = request.header("x-zc-timestamp").and_then(|text| text.parse().ok()).expect("a timestamp");
    let authorization = crate::zenlayer::signing::ToSign {
        content_type: "application/json",
        host: &server.authority(),
        body: request.body.as_bytes(),
        timestamp,
    }
    .authorization("ZLKEYEXAMPLE0001", SECRET);
    assert_eq!(request.header("authorization"), Some(authorization.as_str()));
}

#[tokio::test]
async fn a_token_is_sent_as_bearer_without_a_signature() {
    let server = Server::play(vec![good(&json!({}))]);
    let token = Credential::token("zl-token").expect("a token");
    destroy(&server.client_with(token, Timeouts::default())).await;
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.header("authorization"), Some("Bearer zl-token"));
    assert_eq!((request.header("x-zc-timestamp"), request.header("x-zc-signature-method")), (None, None));
}

#[tokio::test]
async fn a_reading_asks_for_a_page_of_a_hundred_and_leaves_out_what_is_gone() {
    let server = Server::play(vec![page(1, 1..2)]);
    let ports = describe(&server, 3).await.expect("a good reading");
    assert_eq!(ports.len(), 1);
    assert_eq!((ports[0].port_id.as_str(), &ports[0].port_status), ("port-1", &PortStatus::Recycled));
    let [request] = &server.requests()[..] else { panic!("one request") };
    let expected = json!({ "portIds": ["port-0", "port-1", "port-2"], "pageNum": 1, "pageSize": 100 });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn an_empty_list_is_a_good_reading() {
    assert_eq!(describe(&Server::play(vec![page(0, 0..0)]), 1).await, Ok(vec![]));
}

#[tokio::test]
async fn a_server_with_smaller_pages_is_read_to_the_end() {
    let server = Server::play(vec![page(50, 0..20), page(50, 20..40), page(50, 40..50)]);
    assert_eq!(describe(&server, 50).await.map(|ports| ports.len()), Ok(50));
    let pages: Vec<_> = server.requests().iter().map(|request| request.json()["pageNum"].clone()).collect();
    assert_eq!(pages, [1, 2, 3]);
}

#[tokio::test]
async fn a_reading_that_does_not_add_up_is_none() {
    for (what, script) in [
        ("the same page again", vec![page(40, 0..20), page(40, 0..20)]),
        ("a count that changes", vec![page(40, 0..20), page(39, 20..39)]),
        ("a page that stays empty", vec![page(2, 0..1), page(2, 0..0)]),
        ("fewer than counted", vec![page(1, 0..0)]),
        ("more than counted", vec![page(1, 0..2)]),
        ("more than asked for", vec![page(51, 0..20)]),
        (
            "one twice",
            vec![good(
                &json!({ "totalCount": 2, "dataSet": [{ "portId": "port-1" }, { "portId": "port-1" }] }),
            )],
        ),
        ("another port", vec![page(1, 77..78)]),
        ("an id in other case", vec![good(&json!({ "totalCount": 1, "dataSet": [{ "portId": "PORT-1" }] }))]),
        ("an item without id", vec![good(&json!({ "totalCount": 1, "dataSet": [{}] }))]),
        ("no list", vec![good(&json!({ "totalCount": 0 }))]),
        ("an endless list", (0..MOST_PAGES).map(|n| page(50, n..n + 1)).collect()),
    ] {
        let result = describe(&Server::play(script), 50).await;
        assert!(matches!(result, Err(Unreadable::Unavailable(_))), "{what}: {result:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unclear_for_a_change_and_no_reading() {
    let cut = || Script::Send("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"response\":{}}".into());
    for (what, script) in [
        ("cut in the body", cut as fn() -> Script),
        ("cut in the head", || Script::Send("HTTP/1.1 200 OK\r\nconte".into())),
        ("closed without a word", || Script::Send(Vec::new())),
        ("not HTTP", || Script::Send("SSH-2.0-OpenSSH\r\n".into())),
        ("gzip", || {
            Script::Send(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\u{1f}\u{b}".into(),
            )
        }),
        ("too long", || {
            answer("200 OK", &format!("{{\"response\":{{}},\"x\":\"{}\"}}", "x".repeat(64 * 1024)))
        }),
        ("silent", || Script::Hang),
    ] {
        let credential = Credential::token("zl-token").expect("a token");
        let change = destroy(&Server::play(vec![script()]).client_with(credential.clone(), short())).await;
        assert!(matches!(change, ChangeAnswer::Unclear { .. }), "{what}: {change:?}");
        let client = Server::play(vec![script()]).client_with(credential, short());
        let ids = ids(1);
        let reading = read(&client, Batch::new(&ids).expect("a batch")).await;
        assert!(matches!(reading, Err(Unreadable::Unavailable(_))), "{what}: {reading:?}");
    }
}

/// Anything at all, or an answer that is nearly right; none has a `response` with a list of ports in it.
fn anything_on_the_wire() -> impl Strategy<Value = Vec<u8>> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let status = prop_oneof![Just("200 OK".to_owned()), Just("404 ".to_owned()), "[0-9]{3} [A-Z]{0,8}"];
    let header = prop_oneof![
        "(content-length|transfer-encoding|content-encoding|retry-after|connection): [a-z0-9]{0,9}",
        "[ -~]{0,60}",
    ];
    let body = prop_oneof![
        bytes(200),
        r#"\{"requestId":"T1",("code":(null|7|"[A-Z_]{0,20}"),)?"response":(null|\[\]|"x"|1)\}"#
            .prop_map(String::into_bytes),
    ];
    let nearly = (status, prop::collection::vec(header, 0..4), body).prop_map(|(status, headers, body)| {
        let head = format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", headers.join("\r\n"));
        [head.into_bytes(), body].concat()
    });
    prop_oneof![1 => bytes(300), 3 => nearly]
}

fn is_not_found(read: &Result<Vec<PortInfo>, Unreadable>) -> bool {
    matches!(read, Err(why) if why.kind() == Some(RefusalKind::NotFound))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

    #[test]
    fn whatever_comes_over_the_wire_is_neither_success_nor_absence(wire in anything_on_the_wire()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (change, read) = runtime.block_on(async {
            let script = || vec![Script::Send(wire.clone())];
            let change = destroy(&Server::play(script()).client()).await;
            (change, describe(&Server::play(script()), 1).await)
        });
        prop_assert!(!matches!(change, ChangeAnswer::Accepted { .. } | ChangeAnswer::NotSent { .. }), "{change:?}");
        prop_assert!(read.is_err() && !is_not_found(&read), "{read:?}");
    }
}

#[tokio::test]
async fn a_reading_beyond_eight_mebibytes_is_cut_off() {
    let server = Server::play(vec![answer("200 OK", &"x".repeat(8 * 1024 * 1024 + 1))]);
    let Err(Unreadable::Unavailable(detail)) = describe(&server, 1).await else { panic!("no reading") };
    assert_eq!(detail, "200 OK with a body of more than 8192 KiB");
}

#[tokio::test]
async fn without_a_connection_a_change_was_not_sent() {
    let server = Server::gone();
    let ChangeAnswer::NotSent { cause: NotSentCause::NoConnection, why } = destroy(&server.client()).await
    else {
        panic!("nobody listens")
    };
    assert!(why.contains("refused"), "{why}");
    assert!(matches!(describe(&server, 1).await, Err(Unreadable::Unavailable(_))));
}

#[tokio::test]
async fn a_change_is_sent_once_whatever_the_answer() {
    for script in [answer("503 Busy", "{}"), answer("429 Slow", "{}"), Script::Send(Vec::new())] {
        let server = Server::play(vec![script, good(&json!({}))]);
        let change = destroy(&server.client()).await;
        assert!(matches!(change, ChangeAnswer::Unclear { .. }), "{change:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::play(vec![good(&json!({}))]);
    let to = format!(
        "HTTP/1.1 307 Moved\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.authority()
    );
    let change = destroy(&Server::play(vec![Script::Send(to.into())]).client()).await;
    assert!(matches!(change, ChangeAnswer::Unclear { .. }), "{change:?}");
    assert!(elsewhere.requests().is_empty(), "the credential went elsewhere");
}

#[tokio::test]
async fn a_permit_is_void_once_zenlayer_asks_for_a_pause() {
    let throttled = "HTTP/1.1 429 Slow\r\nretry-after: 60\r\nconnection: close\r\ncontent-length: 33\r\n\r\n\
                     {\"code\":\"REQUEST_LIMIT_EXCEEDED\"}";
    // A second request would be answered too.
    let server = Server::play(vec![Script::Send(throttled.into()), good(&json!({}))]);
    let client = server.client();
    let early = client.change_permit().await;
    let ChangeAnswer::Refused(refusal) = destroy(&client).await else { panic!("a refusal") };
    assert_eq!(refusal.kind, RefusalKind::Throttled);
    let late = client.terminate_port(early, &PortId::new("port-0")).await;
    let ChangeAnswer::NotSent { cause: NotSentCause::Throttled, why } = late else { panic!("{late:?}") };
    assert!(why.starts_with("Zenlayer asked the operator to send no requests before 2"), "{why}");
    assert_eq!(server.requests().len(), 1, "the second call did not leave");
}

#[tokio::test]
async fn a_reading_during_a_long_pause_says_at_once_until_when() {
    let throttled = "HTTP/1.1 429 Slow\r\nretry-after: 240\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let server = Server::play(vec![Script::Send(throttled.into()), page(0, 0..0)]);
    let client = server.client();
    let ids = ids(1);
    let batch = Batch::new(&ids).expect("a batch");
    let refused = read(&client, batch).await.map_err(|why| why.kind());
    assert_eq!(refused, Err(Some(RefusalKind::Throttled)));
    let until = client.paused().expect("a pause").until;
    let told = format!("Zenlayer asked the operator to send no requests before {until:.0}");
    assert_eq!(read(&client, batch).await, Err(Unreadable::NotAsked(told)));
    assert_eq!(server.requests().len(), 1, "the second reading did not leave");
}

#[tokio::test]
async fn attachments_of_ports_are_found_in_private_connects_and_cloud_routers() {
    let connects = json!({ "totalCount": 1, "dataSet": [{
        "privateConnectId": "pc-1",
        "endpointA": { "endpointId": "port-1", "endpointType": "PORT" },
        "endpointZ": { "endpointId": "port-1", "endpointType": "CLOUD" },
    }] });
    let routers = json!({ "totalCount": 2, "dataSet": [
        { "cloudRouterId": "cr-1", "edgePoints": [{ "portId": "port-2" }, { "portId": null }] },
        { "cloudRouterId": "cr-2", "edgePoints": null },
    ] });
    let server = Server::play(vec![good(&connects), good(&routers)]);
    let found = server.client().describe_attachments(Priority::Upkeep).await.expect("a good reading");
    let attached = |port, owner| Attachment { port_id: PortId::new(port), owner };
    assert_eq!(
        found,
        [
            attached("port-1", Owner::PrivateConnect { id: "pc-1".to_owned() }),
            attached("port-2", Owner::CloudRouter { id: "cr-1".to_owned() }),
        ]
    );
    assert_eq!(found[1].owner.to_string(), "cloud router cr-1");
}

#[tokio::test]
async fn what_lies_in_the_recycle_bin_does_not_use_a_port() {
    let in_use = async |status: Option<&str>| {
        let end = json!({ "endpointId": "port-1", "endpointType": "PORT" });
        let connect = json!({ "privateConnectId": "pc", "privateConnectStatus": status, "endpointA": end });
        let router = json!({ "cloudRouterId": "cr", "cloudRouterStatus": status, "edgePoints": [{ "portId": "port-2" }] });
        let list = |item: &Value| good(&json!({ "totalCount": 1, "dataSet": [item] }));
        let server = Server::play(vec![list(&connect), list(&router)]);
        server.client().describe_attachments(Priority::Upkeep).await.map(|found| found.len())
    };
    for status in ["RECYCLED", "DESTROYING", "DESTROYED"] {
        assert_eq!(in_use(Some(status)).await, Ok(0), "{status}");
    }
    for status in
        [None, Some("RUNNING"), Some("AVAILABLE"), Some("DELETING"), Some("RECOVERING"), Some("ODD")]
    {
        assert_eq!(in_use(status).await, Ok(2), "{status:?}");
    }
}

#[tokio::test]
async fn the_words_of_a_port_are_safe_to_print_and_a_disguised_status_stays_unknown() {
    let port = json!({
        "portId": "port-0", "portStatus": "RUNNING\u{202e}", "portName": "a\u{7}\u{1b}[2J\nb",
        "portType": "\u{9b}1G", "dcName": "x".repeat(5000), "createdTime": "2025-11-05T08:00:00Z\r",
    });
    let server = Server::play(vec![good(&json!({ "totalCount": 1, "dataSet": [port] }))]);
    let [port] = &describe(&server, 1).await.expect("a good reading")[..] else { panic!("one port") };
    assert_eq!(port.port_status, PortStatus::Unknown("RUNNING\\u{202e}".to_owned()));
    assert_eq!(port.port_name.as_deref(), Some("a\\u{7}\\u{1b}[2J\\nb"));
    assert_eq!(port.port_type.as_deref(), Some("\\u{9b}1G"));
    assert_eq!(port.dc_name.as_ref().map(|name| name.chars().count()), Some(200));
    assert_eq!(port.created_time.as_deref(), Some("2025-11-05T08:00:00Z\\r"), "and another than without");
}

#[tokio::test]
async fn no_debug_text_and_no_error_shows_a_secret() {
    let server = Server::gone();
    let client = server.client();
    let shown = format!("{client:?} {:?} {:?}", destroy(&client).await, describe(&server, 1).await);
    assert!(!shown.contains(SECRET) && !shown.contains("Signature="), "{shown}");
}
